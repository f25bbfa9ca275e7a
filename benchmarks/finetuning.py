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
from lib import train
from lib.finetuned import FineTuned

TASKS = ("CoLA", "SST-2", "QQP", "MRPC", "RTE")
ROWS, PADDED_ROWS = 256, 32  # a turn of ours, a turn of the padded side: it is the rate that is compared
RECIPE = recipe(epochs=1, batch_size=32, precision="float32")  # the same on both sides: only the algorithm differs
OF_PADDING = 0.95  # the share of what padding costs that must be won back
LEAST = {"CoLA": 5, "SST-2": 5}
PRODUCTS = {torch.ops.aten.mm, torch.ops.aten.addmm, torch.ops.aten.bmm, torch.ops.aten.baddbmm}


def claims() -> Iterator[Claim]:
    """Examples a second in training, for each task; then the share of a step that its matrix products take alone."""
    for task in TASKS:
        subject = minilm(task, ROWS, 1)
        small = minilm(task, PADDED_ROWS, 1)
        without_dropout = [agree(train.fit, small), agree(authors.fit, small)]
        assert np.allclose(*without_dropout, rtol=1e-3), f"{task}: the two loops train different models"
        padding = authors.LENGTH / subject.train.lengths.mean()
        yield compare(
            f"fine-tuning on {task}, {subject.train.lengths.mean():.0f} tokens a row",
            "every row padded to 128",
            lambda s=subject: fit(train.fit, s),
            lambda s=small: fit(authors.fit, s),
            wanted=max(OF_PADDING * padding, LEAST.get(task, 0)),
            amounts=(ROWS, PADDED_ROWS),
            turns=3,
        )
    yield from share_of_products(minilm("SST-2", 256, 1))


def fit(loop, subject: FineTuned) -> list[float]:
    """One epoch, of a model that stays as it is."""
    return loop(copy.deepcopy(subject.model), subject.train, RECIPE, 0)


def agree(loop, subject: FineTuned) -> list[float]:
    """The losses of a loop without dropout, which draws differently for batches of other shapes."""
    model = copy.deepcopy(subject.model)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return loop(model, subject.train, replace(RECIPE, epochs=2), 0)


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
                        extent = 1 + sum((size - 1) * step for size, step in zip(*operand, strict=True))
                        made[operand] = torch.randn(extent).as_strided(*operand)
                    like[at] = made[operand]


def share_of_products(subject: FineTuned) -> Iterator[Claim]:
    """One epoch of training against its matrix products alone."""
    with Products() as products:
        fit(train.fit, subject)
    products.fill()
    alone = compare("", "", lambda: fit(train.fit, subject), products.again)
    yield Claim("a training step's matrix products alone", "the step", alone.median, alone.least, alone.most, 0.6)


if __name__ == "__main__":
    show(claims())
