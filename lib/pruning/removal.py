"""Remove each head and each MLP alone and look at the loss: what importance tries to predict.

Importance is a slope at a gate of 1. This is the whole step from 1 to 0, for one unit u at a time:

    Δ_u(x) = L(x without u) − L(x)

The mean of Δ is the *net* effect of removing u, in which examples that gain and examples that lose
cancel. The mean of |Δ| is how much u *moves* answers. A unit can move many and have no net effect.
The paper measures neither.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lib.model.batches import Encoded, evaluation_batches
from lib.model.classifier import SentenceClassifier, example_losses
from lib.model.device import evaluation_batch_size
from lib.pruning import gates
from lib.pruning.compact import compact
from lib.pruning.masks import Mask


@torch.inference_mode()
def logits_without(model: SentenceClassifier, data: Encoded, mask: Mask, layer: int) -> np.ndarray:
    """Remove each unit of one layer of a subnetwork alone: float32 [heads + 2, rows, outputs].

    The logits without each head, without the MLP, and last with all units. They are nan for a unit
    that the mask has removed before. The model does not change.
    Layers below do not notice, so each batch passes them once, not once for each unit.
    layer: counted from 0
    """
    small, data = compact(model, mask).eval(), data.to(model.device)
    layers, (_, heads) = gates.encoder_layers(small), mask.heads.shape
    logits = np.full((heads + 2, len(data), small.classifier.out_features), np.nan, np.float32)
    live = np.flatnonzero(np.r_[mask.heads[layer], mask.mlps[layer]])
    for indices in evaluation_batches(data.lengths, evaluation_batch_size(small.device)):
        inputs, _ = data.batch(indices)
        with _recorded_input(layers[layer]) as inputs_of_layer:
            logits[-1, indices] = small(**inputs).float().cpu().numpy()
        for unit in live:
            head_gates = small.classifier.weight.new_ones(mask.heads.shape)
            mlp_gates = small.classifier.weight.new_ones(mask.mlps.shape)
            if unit < heads:
                head_gates[layer, unit] = 0
            else:
                mlp_gates[layer] = 0
            with (
                gates.gated(small, head_gates, mlp_gates),
                _skipped(layers[:layer], inputs_of_layer),
            ):
                logits[unit, indices] = small(**inputs).float().cpu().numpy()
    return logits


def units_of(layer: int, layers: int, heads: int) -> np.ndarray:
    """Say where a layer's units are among all: its heads, then its MLP, as in gate gradients."""
    return np.r_[layer * heads + np.arange(heads), layers * heads + layer]


@contextmanager
def _recorded_input(layer: Any) -> Generator[list[Tensor]]:
    """Collect what a layer is given in a `with` block."""
    given: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _layer, inputs: given.append(inputs[0]))
    try:
        yield given
    finally:
        hook.remove()


@contextmanager
def _skipped(layers: Sequence[Any], output: Sequence[Tensor]) -> Generator[None]:
    """Let layers return a known output, without computing anything, in a `with` block."""
    for layer in layers:
        layer.forward = lambda *_inputs, **_options: output[0]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # the class's own is found again


def loss_changes(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Compute Δ_u(x): float32 [rows, units], positive where x's loss rises without u.

    logits: float32 [units + 1, rows, outputs], those with all units last
    labels: [rows]; float labels mean regression, as in `classifier.example_losses`
    """
    truth = torch.from_numpy(labels)
    *without, before = (example_losses(torch.from_numpy(one), truth) for one in logits)
    return torch.stack([loss - before for loss in without], dim=1).numpy()


class Effect(NamedTuple):
    """What removing each unit alone does to the loss: means over rows [units], and their errors.

    net, net_error: E Δ(x) and its standard error
    moved, moved_error: E |Δ(x)| and its standard error
    """

    net: np.ndarray
    net_error: np.ndarray
    moved: np.ndarray
    moved_error: np.ndarray


def effect(changes: np.ndarray) -> Effect:
    """Average Δ [rows, units] and |Δ| over rows; nan for a unit that was not removed."""
    moved, root = np.abs(changes), np.sqrt(len(changes))
    return Effect(
        *(changes.mean(0), changes.std(0, ddof=1) / root),
        *(moved.mean(0), moved.std(0, ddof=1) / root),
    )
