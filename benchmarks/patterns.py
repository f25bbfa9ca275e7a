"""Time the classifier of attention maps: channels last in memory, and maps without padding.

python -m benchmarks.patterns     random maps, one thread
"""

from collections.abc import Iterator

import numpy as np
import torch

from benchmarks.sides import Claim, compare, show
from lib.analysis import patterns

TOKENS, MAPS = 27, 72  # about the length of an SST-2 dev row; the heads of MiniLM


def claims() -> Iterator[Claim]:
    """Compare ways to classify all maps of one example."""
    maps = np.random.default_rng(0).random((MAPS, TOKENS, TOKENS)).astype(np.float32)
    padded = np.zeros((MAPS, patterns.SIZE, patterns.SIZE), np.float32)
    padded[:, :TOKENS, :TOKENS] = maps

    def new_classifier():
        return patterns.PatternClassifier(torch.Generator().manual_seed(0)).eval()

    model = new_classifier()
    channels_first = new_classifier().to(memory_format=torch.contiguous_format)

    def classify():
        return patterns.classify(model, maps)

    def classify_channels_first():
        with torch.no_grad():
            scaled = torch.from_numpy(maps / maps.max((1, 2), keepdims=True)).unsqueeze(1)
            features = channels_first.features(scaled).mean((-1, -2), keepdim=True)
            return channels_first.classes(features).flatten(1).argmax(-1).numpy()

    yield compare(
        "classifying maps, channels last",
        "channel by channel",
        classify,
        classify_channels_first,
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
