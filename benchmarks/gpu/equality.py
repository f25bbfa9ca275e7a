"""Is float32 on this device as exact as float32 on the CPU? On logits, importance and one step.

Two devices add up in different orders, so their last digits differ. How much they may differ is
measured, not guessed: the same numbers are computed in float64, and the device's float32 may be
FACTOR times as far from them as the CPU's float32 is. Another order of additions changes an error
by a small factor. A device that multiplies with fewer bits is out of bounds: TF32 and bf16 have 13
and 16 bits less than float32, so each product is rounded thousands of times as coarsely.
"""

import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks import authors, loops
from lib.model import recipes, train
from lib.model.batches import Encoded
from lib.pruning import gates, importance
from lib.pruning.masks import Mask

FACTOR = 16
SAME_LOSS = 1e-4  # relative; padding changes only the order of additions, too


@dataclass(frozen=True)
class Equality:
    """How far float32 is from float64: ‖x − exact‖ / ‖exact‖, on the device and on the CPU."""

    what: str
    error: float
    cpu_error: float

    @property
    def held(self) -> bool:
        """True if the device is about as exact as the CPU; not if its error is not a number."""
        return self.error <= FACTOR * self.cpu_error

    @property
    def ratio(self) -> float:
        """The device's error in times of the CPU's."""
        return self.error / self.cpu_error


def compare_with_cpu(on_cpu: Any, on_device: Any, data: Encoded) -> list[Equality]:
    """Compare a model's copies on the CPU and on a device: on logits, importance and one step.

    Both in float32, with the same weights. data: a few rows
    """
    exact = computed(copy.deepcopy(on_cpu).double(), data)
    cpu, device = computed(on_cpu, data), computed(on_device, data)
    return [
        Equality(what, _distance(device[what], exact[what]), _distance(cpu[what], exact[what]))
        for what in exact
    ]


def computed(model: Any, data: Encoded) -> dict[str, dict[str, np.ndarray]]:
    """Compute {what: arrays by name} with one model, in its own precision; it does not change.

    The step's arrays are the changes of all weights. Dropout is off.
    """
    full = Mask.full(*gates.shape(model))
    measured = importance.measure(model, data, full)
    assert measured.gradients is not None
    stepped = loops.without_dropout(model)
    train.fit(stepped, data, one_step(data), 0)
    before, after = dict(model.named_parameters()), dict(stepped.named_parameters())
    changes = {name: (after[name] - before[name]).detach().cpu().numpy() for name in before}
    return {
        "logits": {"": train.predict(model, data)},
        "importance": {"": importance.example(measured.gradients.astype(np.float64))},
        "one step of the optimiser": changes,
    }


def one_step(data: Encoded) -> recipes.Recipe:
    """BERT's recipe in float32, for one step on all rows."""
    return replace(recipes.BERT, epochs=1, batch_size=len(data), precision="float32")


def same_loss_as_authors(model: Any, data: Encoded) -> bool:
    """True if the authors' loop, with its padding, starts from the same loss as lib's."""
    losses = [
        loop(loops.without_dropout(model), data, one_step(data), 0)[0]
        for loop in (train.fit, authors.fit)
    ]
    return bool(np.isclose(*losses, rtol=SAME_LOSS))


def _distance(arrays: dict[str, np.ndarray], exact: dict[str, np.ndarray]) -> float:
    """‖arrays − exact‖ / ‖exact‖ over all arrays together."""
    apart = sum(np.square(arrays[name] - exact[name], dtype=np.float64).sum() for name in exact)
    whole = sum(np.square(exact[name], dtype=np.float64).sum() for name in exact)
    return float(np.sqrt(apart / whole))
