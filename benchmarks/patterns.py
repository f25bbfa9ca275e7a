"""How the classifier of attention maps is kept short: the layout of its images, and maps that are not padded.

python -m benchmarks.patterns     random maps, one thread
"""

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.sides import Claim, compare, show
from lib.analysis import patterns

TOKENS, MAPS = 27, 72  # about the length of an SST-2 dev row; the heads of MiniLM


def claims() -> Iterator[Claim]:
    """Classifying one example's maps."""
    maps = np.random.default_rng(0).random((MAPS, TOKENS, TOKENS)).astype(np.float32)
    padded = np.zeros((MAPS, patterns.SIZE, patterns.SIZE), np.float32)
    padded[:, :TOKENS, :TOKENS] = maps
    new = lambda: patterns.PatternClassifier(torch.Generator().manual_seed(0)).eval()  # noqa: E731
    model, plain = new(), new().to(memory_format=torch.contiguous_format)

    def by_default():
        with torch.no_grad():
            scaled = torch.from_numpy(maps / maps.max((1, 2), keepdims=True)).unsqueeze(1)
            return (
                plain.classes(plain.features(scaled).mean((-1, -2), keepdim=True))
                .flatten(1)
                .argmax(-1)
                .numpy()
            )

    classify = lambda: patterns.classify(model, maps)  # noqa: E731
    yield compare(
        "classifying maps, channels last",
        "channel by channel",
        classify,
        by_default,
        np.array_equal,
    )
    yield compare(
        f"classifying maps of {TOKENS} tokens as they are",
        f"padded to {patterns.SIZE}",
        classify,
        lambda: patterns.classify(model, padded),
    )


if __name__ == "__main__":
    show(claims())
