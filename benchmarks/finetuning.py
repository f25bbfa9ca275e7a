"""Fine-tuning: what padding to 128 costs, and how near a training step comes to its matrix products alone.

python -m benchmarks.finetuning     MiniLM, batches of 32, one thread; the rows of GLUE_DIR, or those that pip brings
"""

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import authors
from benchmarks.sides import Claim, compare, minilm, recipe, show
from lib.model import train
from lib.model.batches import training_batches
from lib.tickets.finetuned import FineTuned

TASKS = ("CoLA", "SST-2", "QQP", "MRPC", "RTE")
ROWS = 2048  # from which batches are made; a turn trains on some of them
BATCHES, PADDED_BATCHES = (
    3,
    1,
)  # a turn of ours, a turn of the padded side: it is the rate that is compared
RECIPE = recipe(
    epochs=1, batch_size=32, precision="float32"
)  # the same on both sides: only the algorithm differs
OF_PADDING = 0.95  # the share of what padding costs that must be won back
LEAST = {"CoLA": 5, "SST-2": 5}
PRODUCTS = {torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm, torch.ops.aten.baddbmm}


def claims() -> Iterator[Claim]:
    """Examples a second in training, for each task; then the share of a step that its matrix products take alone."""
    for task in TASKS:
        subject = minilm(task, ROWS, 1)
        if task == TASKS[0]:
            assert np.allclose(agree(train.fit, subject), agree(authors.fit, subject), rtol=1e-3)
        tokens = subject.train.lengths[np.concatenate(some_batches(subject, BATCHES))].mean()
        yield compare(
            f"fine-tuning on {task}, {tokens:.1f} tokens a row",
            "every row padded to 128",
            lambda s=subject: fit(train.fit, s, BATCHES),
            lambda s=subject: fit(authors.fit, s, PADDED_BATCHES),
            wanted=max(OF_PADDING * authors.LENGTH / tokens, LEAST.get(task, 0)),
            amounts=(BATCHES, PADDED_BATCHES),
            warm=True,
        )
    yield from share_of_products(minilm("SST-2", ROWS, 1))


def fit(loop, subject: FineTuned, count: int) -> list[float]:
    """Train on some batches of an epoch, the same for both loops; the subject stays as it is."""
    train.training_batches = authors.training_batches = lambda *_: some_batches(subject, count)
    return loop(copy.deepcopy(subject.model), subject.train, RECIPE, 0)


def some_batches(subject: FineTuned, count: int) -> list[list[int]]:
    """Some batches of an epoch, from those of short rows to those of long ones."""
    lengths = subject.train.lengths
    batches = training_batches(lengths, RECIPE.batch_size, torch.Generator().manual_seed(0))
    batches.sort(key=lambda rows: lengths[rows].sum())
    step = len(batches) // count
    return batches[step // 2 :: step][:count]


def agree(loop, subject: FineTuned) -> list[float]:
    """The losses of a loop without dropout, which draws differently for batches of other shapes."""
    model = copy.deepcopy(subject.model)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return fit(loop, replace(subject, model=model), 3)


class Products(TorchDispatchMode):
    """A context that notes the matrix products that are done in it: (product, operands) each, not their values."""

    def __init__(self):
        super().__init__()
        self.done = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket in PRODUCTS:
            like = [(a.shape, a.stride()) if isinstance(a, Tensor) else a for a in args]
            self.done.append((function, like))
        return function(*args, **(kwargs or {}))

    def again(self):
        """Do the same products on other numbers."""
        for function, like in self.done:
            function(*like)

    def fill(self) -> None:
        """Make operands of the shapes and layouts that were noted, one for each distinct one."""
        made = {}
        for _, like in self.done:
            for at, operand in enumerate(like):
                if isinstance(operand, tuple):
                    if operand not in made:
                        extent = 1 + sum(
                            (size - 1) * step for size, step in zip(*operand, strict=True)
                        )
                        made[operand] = torch.randn(extent).as_strided(*operand)
                    like[at] = made[operand]


def share_of_products(subject: FineTuned) -> Iterator[Claim]:
    """One epoch of training against its matrix products alone."""
    with Products() as products:
        fit(train.fit, subject, BATCHES)
    products.fill()
    alone = compare("", "", lambda: fit(train.fit, subject, BATCHES), products.again)
    yield Claim(
        "a training step's matrix products alone",
        "the step",
        alone.median,
        alone.least,
        alone.most,
        0.6,
    )


if __name__ == "__main__":
    show(claims())
