"""S-pruning: the search for a subnetwork, its importance passes, and models that are physically smaller.

python -m benchmarks.search           MiniLM, 64 dev rows, one thread; the rows of GLUE_DIR, or those that pip brings
python -m benchmarks search:whole     searches on whole dev sets: half an hour
"""

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from benchmarks import authors
from benchmarks.sides import Claim, compare, half_the_units, minilm, recipe, show
from lib.model import train
from lib.model.classifier import example_losses
from lib.pruning import gates, importance
from lib.pruning.compact import compact
from lib.pruning.importance import per_batch, per_example
from lib.pruning.search import Structured, by_importance
from lib.tickets.finetuned import FineTuned

TASKS = ("CoLA", "MRPC")
CHOICES = Structured(estimator="per_batch")


def claims() -> Iterator[Claim]:
    """Search, importance, forward pass."""
    subject = tuned(TASKS[0], 512, 64, epochs=2)
    yield searches(TASKS[0], subject)  # the other's rows are long: `whole` measures both
    for task in TASKS:
        subject = minilm(task, 512, 64)
        yield from importance_passes(task, subject)
    half = half_the_units()
    small = compact(subject.model, half)

    def masked():
        with gates.masked(subject.model, half):
            return train.predict(subject.model, subject.dev)

    yield compare(
        "forward pass, half the heads and MLPs removed",
        "the same ones masked",
        lambda: train.predict(small, subject.dev),
        masked,
        same=lambda ours, theirs: np.allclose(ours, theirs, atol=1e-3),
        wanted=1.6,
    )


def whole() -> Iterator[Claim]:
    """Searches on whole dev sets, of models that have learned what these rows can teach them."""
    for task in TASKS:
        yield searches(task, tuned(task, 1500, None, epochs=3))


def tuned(task: str, train_rows: int, dev_rows: int | None, epochs: int) -> FineTuned:
    """MiniLM, fine-tuned, so that there is something to lose."""
    subject = minilm(task, train_rows, dev_rows)
    train.fit(subject.model, subject.train, recipe(epochs=epochs), 0)
    return subject


def own_copy(subject: FineTuned) -> FineTuned:
    """For the authors' side: asking for attentions leaves hooks in a model."""
    return replace(subject, model=copy.deepcopy(subject.model))


def searches(task: str, subject: FineTuned) -> Claim:
    """A joint search, each side once."""
    theirs = own_copy(subject)
    return compare(
        f"s-pruning search on {task}, {len(subject.dev)} dev rows",
        "padded, with gradients of weights, attentions kept",
        lambda: search(subject),
        lambda: authors.search(theirs, CHOICES),
        same=lambda ours, theirs: ours == theirs,
        wanted=6,
        turns=1,
        warm=True,
    )


def search(subject: FineTuned, choices: Structured = CHOICES) -> list:
    """The masks tried by lib's joint search, in order."""
    layers, heads = subject.full.heads.shape

    def measure(mask, floor):
        score, gradients = subject.measure(mask, floor)
        if gradients is None:
            return score, None
        return score, importance.importance(gradients, layers, heads, choices.estimator)

    return [r.mask for r in by_importance(subject.full, measure, "joint", choices).rounds]


def importance_passes(task: str, subject: FineTuned) -> Iterator[Claim]:
    """Exact per-example importance against the authors' pass, and against one example at a time."""
    theirs = own_copy(subject)
    measure = lambda: importance.measure(subject.model, subject.dev, subject.full).gradients  # noqa: E731
    flat = lambda scores: np.concatenate([scores.heads.ravel(), scores.mlps])  # noqa: E731
    yield compare(
        f"per-example importance on {task}",
        "gradients of batches and of all weights, padded",
        measure,
        lambda: flat(authors.measure(theirs, subject.full)),
        same=lambda ours, theirs: np.allclose(per_batch(ours), theirs, rtol=1e-2, atol=1e-5),
        wanted=3,
        warm=True,
    )
    yield compare(
        f"per-example importance on {task}",
        "one example at a time",
        measure,
        lambda: one_by_one(subject),
        same=lambda ours, theirs: np.allclose(
            per_example(ours), per_example(theirs), rtol=1e-2, atol=1e-5
        ),
        wanted=1.5,
        warm=True,
    )


def one_by_one(subject: FineTuned) -> np.ndarray:
    """Every example's gate gradients [rows, units] from a backward pass of its own, without padding."""
    model, gradients = subject.model.eval().requires_grad_(False), []
    for row in range(len(subject.dev)):
        heads, mlps = (
            torch.ones(part.shape, requires_grad=True)
            for part in (subject.full.heads, subject.full.mlps)
        )
        inputs, labels = subject.dev.batch([row])
        with gates.gated(model, heads, mlps):
            found = torch.autograd.grad(
                example_losses(model(**inputs), labels).sum(), (heads, mlps)
            )
        gradients.append(torch.cat([part.ravel() for part in found]).numpy())
    model.requires_grad_(True)
    return np.stack(gradients)


if __name__ == "__main__":
    show(claims())
