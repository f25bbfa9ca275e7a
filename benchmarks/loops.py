"""Train with a loop, lib's or the authors', on a few fixed batches instead of an epoch."""

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch

from benchmarks import authors
from lib.model import train
from lib.model.batches import Encoded, training_batches
from lib.model.classifier import SentenceClassifier
from lib.model.recipes import Recipe

Loop = Callable[[SentenceClassifier, Encoded, Recipe, int], list[float]]


def fit(
    loop: Loop,
    model: SentenceClassifier,
    data: Encoded,
    recipe: Recipe,
    batches: Sequence[Sequence[int]],
) -> list[float]:
    """Train a model in place with a loop on these batches; return the losses of the epochs.

    loop: `train.fit` or `authors.fit`
    batches: each one's rows; every epoch has the same
    """
    try:
        train.training_batches = authors.training_batches = lambda *_: batches
        return loop(model, data, recipe, 0)
    finally:
        train.training_batches = authors.training_batches = training_batches


def some_batches(lengths: np.ndarray, size: int, count: int) -> list[list[int]]:
    """Pick batches of an epoch, evenly spread from short rows to long ones.

    lengths: int [rows], tokens per row
    size: rows per batch
    count: how many batches, at most those of an epoch
    """
    batches = training_batches(lengths, size, torch.Generator().manual_seed(0))
    batches.sort(key=lambda rows: lengths[rows].sum())
    middles = (np.arange(count) + 0.5) * len(batches) / count
    return [batches[int(middle)] for middle in middles]


def without_dropout(model: SentenceClassifier) -> SentenceClassifier:
    """Copy a model with dropout off, since dropout depends on the shape of a batch."""
    copied = copy.deepcopy(model)
    for module in copied.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return copied
