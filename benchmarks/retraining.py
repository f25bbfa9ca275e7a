"""What training saves: words that do not occur, units that are masked, products by other routes; what an m-mask costs.

python -m benchmarks.retraining     MiniLM, 128 rows of SST-2, batches of 16, one thread
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.sides import Claim, compare, half_the_units, minilm, recipe, show
from lib.model import baselines, train, vocabulary
from lib.model.device import multiplies_bf16, onednn_is_exact
from lib.pruning import gates
from lib.pruning.compact import compact
from lib.pruning.masks import Mask, WeightMask

RECIPE = recipe(epochs=1, precision="float32")


class AllWords:
    """In place of vocabulary.OccurringWords: the whole table of word embeddings, used or not."""

    def __init__(self, *_):
        pass

    @contextmanager
    def in_place(self):
        """Change nothing."""
        yield


class Packed(baselines.WordVectors):
    """In place of baselines.WordVectors: one bidirectional LSTM over packed rows, with the weights of the two."""

    def forward(self, words, lengths):
        one, other = self.lstms
        with torch.random.fork_rng():  # drawing weights must not change what dropout draws
            both = nn.LSTM(
                self.table.embedding_dim, baselines.STATES, batch_first=True, bidirectional=True
            )
        for name, parameter in one.named_parameters():
            setattr(both, name, parameter)
            setattr(both, f"{name}_reverse", getattr(other, name))
        packed = pack_padded_sequence(
            self.table(words), lengths, batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(both(packed)[0], batch_first=True, padding_value=-torch.inf)
        return states.amax(1)


def claims() -> Iterator[Claim]:
    """Each saving by itself, in float32."""
    subject = minilm("SST-2", 128, 1)
    model, rows, occurring = subject.model, subject.train, train.OccurringWords
    draw, half = np.random.default_rng(0), half_the_units()
    prunable = set(gates.prunable(dict(model.named_parameters())))
    half_the_weights = {
        n: draw.random(p.shape) < 0.5 for n, p in model.named_parameters() if n in prunable
    }
    weights = WeightMask.of(half_the_weights)

    def fit(start=model, words=occurring, keep=None, mask=None, how=RECIPE):
        train.OccurringWords, trained = words, copy.deepcopy(start)
        with gates.masked(trained, mask or Mask.full(*gates.shape(start))):
            return train.fit(trained, rows, how, 0, keep=keep)

    alike = lambda ours, theirs: np.allclose(ours, theirs, rtol=1e-2)  # noqa: E731
    small = compact(model, half)
    yield compare(
        "retraining half the heads and MLPs, the rest removed",
        "the rest masked",
        lambda: fit(small),
        lambda: fit(mask=half),
        lambda ours, theirs: np.allclose(
            ours, theirs, rtol=0.2
        ),  # dropout draws differ: half the MLPs draw none
        wanted=1.8,
    )
    yield compare(
        "training with half the weights kept at 0",
        "without a mask, in times its time",
        lambda: fit(keep=weights),
        fit,
        wanted=1.1,
        at_most=True,
    )
    yield compare(
        "training the words that occur", "all words", fit, lambda: fit(words=AllWords), alike
    )

    def by(precision):
        torch.backends.mkldnn.matmul.fp32_precision = precision
        return fit()

    if onednn_is_exact():
        yield compare(
            "training, products by oneDNN",
            "torch's default",
            lambda: by("bf16"),
            lambda: by("ieee"),
            alike,
        )
        by("bf16")
    if multiplies_bf16(model.device):
        mixed = recipe(epochs=1, precision="mixed")
        yield compare(
            "training, products in bf16", "in float32", lambda: fit(how=mixed), fit, alike
        )
    yield from bilstm(subject)


def bilstm(subject) -> Iterator[Claim]:
    """A BiLSTM over padded rows against packed ones, with frozen embeddings."""
    table = vocabulary.word_embeddings(subject.model)

    def fit(vectors):
        model = baselines.Baseline("BiLSTM", table, False, False, 102, 2, 0)
        model.encoder.__class__ = vectors
        return train.fit(
            model, subject.train, recipe(epochs=1, learning_rate=2e-3, precision="float32"), 0
        )

    yield compare(
        "BiLSTM over padded rows, each direction an LSTM",
        "packed rows, both in one",
        lambda: fit(baselines.WordVectors),
        lambda: fit(Packed),
        lambda ours, theirs: np.allclose(ours, theirs, rtol=1e-3),
    )


if __name__ == "__main__":
    show(claims())
