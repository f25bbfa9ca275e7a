"""Time fine-tuning: the cost of padding to 128, and the share of a step that is matrix products.

python -m benchmarks.finetuning     MiniLM, batches of 32, one thread; rows from GLUE_DIR or pip
"""

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import authors, loops
from benchmarks.sides import Claim, compare, show
from benchmarks.subjects import minilm, recipe
from lib.model import train
from lib.tickets.finetuned import FineTuned

TASKS = ("CoLA", "SST-2", "QQP", "MRPC", "RTE")
ROWS = 2048  # an epoch; each turn trains on a few of its batches
# Batches per turn, in lib's loop and in the padded one; the times per batch are compared.
BATCHES, PADDED_BATCHES = 3, 1
RECIPE = recipe(epochs=1, batch_size=32, precision="float32")  # for both sides
SHARE_OF_PADDING = 0.95  # the ratio must reach this share of (tokens with / without padding) …
LEAST = {"CoLA": 5, "SST-2": 5}  # … and this
PRODUCTS = {torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm, torch.ops.aten.baddbmm}


def claims() -> Iterator[Claim]:
    """Compare training with and without padding to 128 on each task; then time the products."""
    for task in TASKS:
        subject = minilm(task, ROWS, 1)
        if task == TASKS[0]:
            ours = losses_without_dropout(train.fit, subject)
            theirs = losses_without_dropout(authors.fit, subject)
            assert np.allclose(ours, theirs, rtol=1e-3)
        tokens = subject.train.lengths[np.concatenate(some_batches(subject, BATCHES))].mean()
        yield compare(
            f"fine-tuning on {task}, {tokens:.1f} tokens a row",
            "every row padded to 128",
            lambda s=subject: fit(train.fit, s, BATCHES),
            lambda s=subject: fit(authors.fit, s, PADDED_BATCHES),
            wanted=max(SHARE_OF_PADDING * authors.LENGTH / tokens, LEAST.get(task, 0)),
            amounts=(BATCHES, PADDED_BATCHES),
            warm=True,
        )
    yield share_of_products(minilm("SST-2", ROWS, 1))


def fit(loop: loops.Loop, subject: FineTuned, count: int) -> list[float]:
    """Train a copy of the model with a loop, on `count` fixed batches instead of an epoch."""
    batches = some_batches(subject, count)
    return loops.fit(loop, copy.deepcopy(subject.model), subject.train, RECIPE, batches)


def some_batches(subject: FineTuned, count: int) -> list[list[int]]:
    """Pick batches of an epoch, evenly spread from short rows to long ones."""
    return loops.some_batches(subject.train.lengths, RECIPE.batch_size, count)


def losses_without_dropout(loop: loops.Loop, subject: FineTuned) -> list[float]:
    """Return a loop's losses with dropout off, since dropout depends on the shape of a batch."""
    model = loops.without_dropout(subject.model)
    return loops.fit(loop, model, subject.train, RECIPE, some_batches(subject, 3))


class Products(TorchDispatchMode):
    """Record the matrix products in a `with` block, to compute them again without the rest.

    done: a (function, operands) pair for each product; a tensor is recorded as (shape, strides)
        until `fill` makes one
    """

    def __init__(self):
        super().__init__()
        self.done = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket in PRODUCTS:
            operands = [(a.shape, a.stride()) if isinstance(a, Tensor) else a for a in args]
            self.done.append((function, operands))
        return function(*args, **(kwargs or {}))

    def again(self):
        """Compute the same products of the tensors that `fill` made."""
        for function, operands in self.done:
            function(*operands)

    def fill(self) -> None:
        """Make random operands, one for each shape and strides that were recorded."""
        tensors = {}
        for _, operands in self.done:
            for position, operand in enumerate(operands):
                if isinstance(operand, tuple):
                    if operand not in tensors:
                        extent = 1 + sum(
                            (size - 1) * stride for size, stride in zip(*operand, strict=True)
                        )
                        tensors[operand] = torch.randn(extent).as_strided(*operand)
                    operands[position] = tensors[operand]


def share_of_products(subject: FineTuned) -> Claim:
    """Compare a few training steps with their matrix products alone."""
    with Products() as products:
        fit(train.fit, subject, BATCHES)
    products.fill()
    return compare(
        "a training step's matrix products alone",
        "the step",
        lambda: fit(train.fit, subject, BATCHES),
        products.again,
        wanted=0.6,
    )


if __name__ == "__main__":
    show(claims())
