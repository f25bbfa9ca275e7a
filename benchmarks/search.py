"""Time s-pruning: the search for a subnetwork, its importance passes, and compact models.

python -m benchmarks.search           MiniLM, 64 dev rows, one thread; rows from GLUE_DIR or pip
python -m benchmarks search:whole     searches on whole dev sets: most of half an hour
"""

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from benchmarks import authors
from benchmarks.sides import Claim, compare, show
from benchmarks.subjects import half_the_units, minilm, recipe
from lib.model import train
from lib.model.classifier import example_losses
from lib.pruning import gates, importance, removal
from lib.pruning.compact import compact
from lib.pruning.importance import batch, example
from lib.pruning.masks import Mask
from lib.pruning.search import Structured, by_importance
from lib.tickets.finetuned import FineTuned

TASKS = ("CoLA", "MRPC")
CHOICES = Structured(estimator="batch")


def claims() -> Iterator[Claim]:
    """Compare a search, importance passes on each task, and a forward pass."""
    # MRPC's rows are long, so its search is only in `whole`.
    yield compare_searches(TASKS[0], fine_tuned(TASKS[0], 512, 64, epochs=2))
    for task in TASKS:
        subject = minilm(task, 512, 64)
        yield from compare_importance_passes(task, subject)
    yield compare_removals(subject)
    half = half_the_units()
    small = compact(subject.model, half)

    def predict_masked():
        with gates.masked(subject.model, half):
            return train.predict(subject.model, subject.dev)

    yield compare(
        "forward pass, half the heads and MLPs removed",
        "the same ones masked",
        lambda: train.predict(small, subject.dev),
        predict_masked,
        same=lambda ours, theirs: np.allclose(ours, theirs, atol=1e-3),
        wanted=1.6,
    )


def compare_removals(subject: FineTuned) -> Claim:
    """Compare removing each unit alone with a compact model for each, from the first layer on."""
    full = subject.full
    layers, heads = full.heads.shape

    def one_model_each():
        logits = np.empty(
            (layers, heads + 1, len(subject.dev), subject.model.classifier.out_features)
        )
        for layer, unit in np.ndindex(layers, heads + 1):
            kept_heads, kept_mlps = full.heads.copy(), full.mlps.copy()
            if unit < heads:
                kept_heads[layer, unit] = False
            else:
                kept_mlps[layer] = False
            small = compact(subject.model, Mask(kept_heads, kept_mlps))
            logits[layer, unit] = train.predict(small, subject.dev)
        return logits

    def layers_below_once():
        found = [
            removal.logits_without(subject.model, subject.dev, full, layer)
            for layer in range(layers)
        ]
        return np.stack(found)[:, :-1]

    return compare(
        "removing each of 78 units alone",
        "a compact model for each",
        layers_below_once,
        one_model_each,
        same=lambda ours, theirs: np.allclose(ours, theirs, atol=1e-3),
        wanted=1.5,
        warm=True,
    )


def whole() -> Iterator[Claim]:
    """Compare searches on whole dev sets, with models that are trained longer, on more rows."""
    for task in TASKS:
        yield compare_searches(task, fine_tuned(task, 1500, None, epochs=3))


def fine_tuned(task: str, train_rows: int, dev_rows: int | None, epochs: int) -> FineTuned:
    """Fine-tune MiniLM, so that pruning has a score to lose."""
    subject = minilm(task, train_rows, dev_rows)
    train.fit(subject.model, subject.train, recipe(epochs=epochs), 0)
    return subject


def copy_for_authors(subject: FineTuned) -> FineTuned:
    """Copy a subject for the authors' side, which leaves hooks in its model (attentions)."""
    return replace(subject, model=copy.deepcopy(subject.model))


def compare_searches(task: str, subject: FineTuned) -> Claim:
    """Compare one joint search on each side."""
    copied = copy_for_authors(subject)
    return compare(
        f"s-pruning search on {task}, {len(subject.dev)} dev rows",
        "padded, with gradients of weights, attentions kept",
        lambda: search(subject),
        lambda: authors.search(copied, CHOICES),
        same=lambda ours, theirs: ours == theirs,
        wanted=6,
        turns=1,
        warm=True,
    )


def search(subject: FineTuned, choices: Structured = CHOICES) -> list:
    """Run lib's joint search; return the masks that it tries, in order."""
    layers, heads = subject.full.heads.shape

    def measure(mask, floor):
        score, measured = subject.measure(mask, floor)
        rows = measured.rows_for(choices.estimator)
        if rows is None:
            return score, None
        return score, importance.importance(rows, layers, heads, choices.estimator)

    return [r.mask for r in by_importance(subject.full, measure, "joint", choices).rounds]


def compare_importance_passes(task: str, subject: FineTuned) -> Iterator[Claim]:
    """Compare exact per-example importance with the authors' pass, and with one row at a time."""
    copied = copy_for_authors(subject)

    def measure():
        return importance.measure(subject.model, subject.dev, subject.full).gradients

    def measure_as_authors():
        _, scores = authors.measure(copied, subject.full)
        return np.concatenate([scores.heads.ravel(), scores.mlps])

    yield compare(
        f"per-example importance on {task}",
        "gradients of batches and of all weights, padded",
        measure,
        measure_as_authors,
        same=lambda ours, theirs: np.allclose(batch(ours), theirs, rtol=1e-2, atol=1e-5),
        wanted=3,
        warm=True,
    )
    yield compare(
        f"per-example importance on {task}",
        "one example at a time",
        measure,
        lambda: one_by_one(subject),
        same=lambda ours, theirs: np.allclose(example(ours), example(theirs), rtol=1e-2, atol=1e-5),
        wanted=1.5,
        warm=True,
    )


def one_by_one(subject: FineTuned) -> np.ndarray:
    """Compute gate gradients [rows, units] with one backward pass per row, without padding."""
    model, gradients = subject.model.eval().requires_grad_(False), []
    for row in range(len(subject.dev)):
        heads, mlps = (
            torch.ones(kept.shape, requires_grad=True)
            for kept in (subject.full.heads, subject.full.mlps)
        )
        inputs, labels = subject.dev.batch([row])
        with gates.gated(model, heads, mlps):
            loss = example_losses(model(**inputs), labels).sum()
            gate_gradients = torch.autograd.grad(loss, (heads, mlps))
        gradients.append(torch.cat([gradient.ravel() for gradient in gate_gradients]).numpy())
    model.requires_grad_(True)
    return np.stack(gradients)


if __name__ == "__main__":
    show(claims())
