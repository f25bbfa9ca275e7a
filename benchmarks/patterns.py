"""How the classifier of attention maps is kept short: the layout of its images, and maps that are not padded.

python -m benchmarks.patterns     prints ratios, median and range of five turns; both sides in one process, by turns
"""

import numpy as np
import torch

from benchmarks.sides import ratio
from lib import patterns

TOKENS, MAPS = 27, 72  # about the length of an SST-2 dev row; the heads of MiniLM


def main() -> None:
    """Measure on random maps, one thread."""
    torch.set_num_threads(1)
    maps = np.random.default_rng(0).random((MAPS, TOKENS, TOKENS)).astype(np.float32)
    padded = np.zeros((MAPS, patterns.SIZE, patterns.SIZE), np.float32)
    padded[:, :TOKENS, :TOKENS] = maps
    model = patterns.PatternClassifier(torch.Generator().manual_seed(0)).eval()
    plain = (
        patterns.PatternClassifier(torch.Generator().manual_seed(0)).eval().to(memory_format=torch.contiguous_format)
    )

    def by_default():
        with torch.no_grad():
            scaled = torch.from_numpy(maps / maps.max((1, 2), keepdims=True)).unsqueeze(1)
            return plain.classes(plain.features(scaled).mean((-1, -2), keepdim=True)).flatten(1).argmax(-1).numpy()

    assert np.array_equal(by_default(), patterns.classify(model, maps)), "both sides answer the same"
    print("images channel by channel / channels last:", ratio(by_default, lambda: patterns.classify(model, maps)))
    pay = ratio(lambda: patterns.classify(model, padded), lambda: patterns.classify(model, maps))
    print(f"maps of {TOKENS} tokens padded to {patterns.SIZE} / as they are:", pay)


if __name__ == "__main__":
    main()
