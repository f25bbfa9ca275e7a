"""Time what makes training faster, and what an m-mask costs.

Faster: leave out words that do not occur, remove masked units, multiply by oneDNN or in bf16.

python -m benchmarks.retraining     MiniLM, 128 rows of SST-2, batches of 16, one thread
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.sides import Claim, compare, show
from benchmarks.subjects import half_the_units, minilm, recipe
from lib.model import baselines, train, vocabulary
from lib.model.device import multiplies_bf16, onednn_is_exact
from lib.pruning import gates
from lib.pruning.compact import compact
from lib.pruning.masks import Mask, WeightMask

RECIPE = recipe(epochs=1, precision="float32")


class AllWords:
    """Replaces vocabulary.OccurringWords: trains with the whole table of word embeddings."""

    def __init__(self, *_):
        pass

    @contextmanager
    def in_place(self):
        """Change nothing."""
        yield


class Packed(baselines.WordVectors):
    """Replaces baselines.WordVectors: one bidirectional LSTM, same weights, on packed rows."""

    def forward(self, words, lengths):
        forwards, backwards = self.lstms
        with torch.random.fork_rng():  # new weights are drawn, which must not change dropout
            lstm = nn.LSTM(
                self.table.embedding_dim, baselines.STATES, batch_first=True, bidirectional=True
            )
        for name, parameter in forwards.named_parameters():
            setattr(lstm, name, parameter)
            setattr(lstm, f"{name}_reverse", getattr(backwards, name))
        packed = pack_padded_sequence(
            self.table(words), lengths, batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(lstm(packed)[0], batch_first=True, padding_value=-torch.inf)
        return states.amax(1)


def claims() -> Iterator[Claim]:
    """Compare training with and without each of these, one at a time, in float32."""
    subject = minilm("SST-2", 128, 1)
    model, rows, occurring = subject.model, subject.train, train.OccurringWords
    draw, half = np.random.default_rng(0), half_the_units()
    prunable = set(gates.prunable(dict(model.named_parameters())))
    half_the_weights = WeightMask.of(
        {n: draw.random(p.shape) < 0.5 for n, p in model.named_parameters() if n in prunable}
    )

    def fit(start=model, words=occurring, keep=None, mask=None, with_recipe=RECIPE):
        train.OccurringWords, trained = words, copy.deepcopy(start)
        with gates.masked(trained, mask or Mask.full(*gates.shape(start))):
            return train.fit(trained, rows, with_recipe, 0, keep=keep)

    def same_losses(ours, theirs):
        return np.allclose(ours, theirs, rtol=1e-2)

    small = compact(model, half)
    yield compare(
        "retraining half the heads and MLPs, the rest removed",
        "the rest masked",
        lambda: fit(small),
        lambda: fit(mask=half),
        # loose, since dropout differs: removed MLPs draw no random numbers for it
        lambda ours, theirs: np.allclose(ours, theirs, rtol=0.2),
        wanted=1.8,
    )
    yield compare(
        "training with half the weights kept at 0",
        "without a mask, as a multiple of its time",
        lambda: fit(keep=half_the_weights),
        fit,
        wanted=1.1,
        at_most=True,
    )
    yield compare(
        "training the words that occur", "all words", fit, lambda: fit(words=AllWords), same_losses
    )

    def fit_with(precision):
        torch.backends.mkldnn.matmul.fp32_precision = precision
        return fit()

    if onednn_is_exact():
        yield compare(
            "training, products by oneDNN",
            "torch's default",
            lambda: fit_with("bf16"),  # selects oneDNN, without rounding: see lib.model.device
            lambda: fit_with("ieee"),
            same_losses,
        )
        fit_with("bf16")  # use oneDNN again from here on
    if multiplies_bf16(model.device):
        mixed = recipe(epochs=1, precision="mixed")
        yield compare(
            "training, products in bf16",
            "in float32",
            lambda: fit(with_recipe=mixed),
            fit,
            same_losses,
        )
    yield bilstm(subject)


def bilstm(subject) -> Claim:
    """Compare a BiLSTM on padded rows with one on packed rows, with frozen embeddings."""
    table = vocabulary.word_embeddings(subject.model)

    def fit(word_vectors):
        model = baselines.Baseline("BiLSTM", table, False, False, 102, 2, 0)
        model.encoder.__class__ = word_vectors
        return train.fit(
            model, subject.train, recipe(epochs=1, learning_rate=2e-3, precision="float32"), 0
        )

    return compare(
        "BiLSTM over padded rows, each direction an LSTM",
        "packed rows, both in one",
        lambda: fit(baselines.WordVectors),
        lambda: fit(Packed),
        lambda ours, theirs: np.allclose(ours, theirs, rtol=1e-3),
    )


if __name__ == "__main__":
    show(claims())
