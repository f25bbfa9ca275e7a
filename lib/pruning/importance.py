"""Measure how much each head and MLP matters: how sensitive the loss is to its gate (paper §3.3).

    I_h = E_x |∂L(x)/∂ξ|        I_mlp = E_x |∂L(x)/∂ν|

The expectation is over examples x, so the absolute value is taken per example, before the mean.
Give each example its own gates and sum the losses: one backward pass then yields all these
derivatives, exactly, and the weights need no gradients. `measure` keeps every derivative g(x): the
paper's formula, what the authors' code computes, and what others use are reductions of them, which
differ in where the absolute value or the square sits. `ESTIMATORS` lists them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch

from lib.model.batches import Encoded, evaluation_batches
from lib.model.classifier import SentenceClassifier, example_losses
from lib.model.device import evaluation_batch_size
from lib.pruning import gates
from lib.pruning.compact import compact
from lib.pruning.masks import Mask

Estimator = Literal[  # README, decision 9
    "example", "example_squared", "batch", "batch_squared", "running", "signed", "token"
]
Normalisation = Literal["l2", "l2_minmax", "none"]  # README, decision 10
Masked = Literal["removed", "measured"]  # README, decision 24

AUTHORS_BATCH = 64  # the authors' code reads the dev set in batches of this size
KWON_BATCH = 32  # and Kwon et al.'s code (2022) in batches of this size
ENOUGH = 64  # rows; a score on fewer of them does not decide whether gradients are wanted


@dataclass(frozen=True)
class Importance:
    """The importance of each head and MLP, raw or normalised.

    heads: float [layers, heads], I_h
    mlps: float [layers], I_mlp
    """

    heads: np.ndarray
    mlps: np.ndarray


@dataclass(frozen=True)
class Measurement:
    """The result of one pass over the rows, in the order of the rows.

    logits: float32 [rows, outputs]
    gradients: float32 [rows, layers·heads + layers], ∂L(x)/∂ξ then ∂L(x)/∂ν; None if not wanted
    token_sums: float32 like gradients, Σ_t |g(x, t)| over the tokens t of a row; None if not wanted
    """

    logits: np.ndarray
    gradients: np.ndarray | None
    token_sums: np.ndarray | None = None

    def rows_for(self, estimator: Estimator) -> np.ndarray | None:
        """Return what this estimator reduces: the token sums for "token", else the gradients."""
        return self.token_sums if estimator == "token" else self.gradients


def measure(
    model: SentenceClassifier,
    data: Encoded,
    mask: Mask,
    wants_gradients: Callable[[np.ndarray, Sequence[int]], bool] | None = None,
    masked: Masked = "removed",
    tokens: bool = False,
) -> Measurement:
    """Compute a subnetwork's logits and each example's gate gradients.

    Each batch takes one forward and one backward pass, dropout off. The model does not change.

    wants_gradients(logits, rows): True if logits [rows, outputs] on these rows are good enough to
        need gradients, which are half the work: a search has no use for those of a mask that fails.
        If the first rows already fail, skip their gradients; compute them later, in a second pass,
        if the full score passes. None: always compute gradients.
    masked: "removed" physically removes masked units first, so a small subnetwork is cheap to
        measure and their gradients are 0; "measured" keeps them in the model with gate 0, so they
        have gradients, too (the authors' code)
    tokens: give each token of each example gates of its own, so that their derivatives can be
        summed with and without their signs; memory grows by layers × units × tokens of a batch
    """

    def wanted(logits: np.ndarray, rows: Sequence[int]) -> bool:
        return wants_gradients is None or wants_gradients(logits, rows)

    layers, heads = mask.heads.shape
    there = mask if masked == "removed" else Mask.full(layers, heads)
    small = compact(model, there).eval().requires_grad_(False)  # only the gates need gradients
    gate_row = small.classifier.weight.new_tensor(np.r_[mask.heads.ravel(), mask.mlps])
    logits = np.empty((len(data), small.classifier.out_features), np.float32)
    gradients = np.zeros((len(data), len(gate_row)), np.float32)
    token_sums = np.zeros_like(gradients) if tokens else None
    data, seen = data.to(small.device), []

    def run(indices: list[int], force: bool = False) -> bool:
        """Store a batch's logits, and its gradients if they are wanted; True if they are."""
        inputs, labels = data.batch(indices)
        length = inputs["input_ids"].shape[1] if tokens else 1
        gate_values = gate_row.expand(len(indices), length, -1).clone().requires_grad_()
        head_gates, mlp_gates = gate_values[..., :-layers], gate_values[..., -layers:]
        with gates.gated(small, head_gates.unflatten(-1, (layers, heads)), mlp_gates):
            output = small(**inputs)
        logits[indices] = output.detach().float().cpu().numpy()
        seen.extend(indices)
        if not (force or len(seen) < ENOUGH or wanted(logits[seen], seen)):
            return False
        if there.n_heads or there.n_mlps:  # an empty subnetwork has no gate to differentiate by
            # No example sees another one, so the sum's gradient holds each example's gradient.
            loss = example_losses(output, labels).sum()
            (gate_gradients,) = torch.autograd.grad(loss, gate_values)
            gradients[indices] = gate_gradients.sum(1).float().cpu().numpy()
            if token_sums is not None:
                token_sums[indices] = gate_gradients.abs().sum(1).float().cpu().numpy()
        return True

    batches = evaluation_batches(data.lengths, evaluation_batch_size(small.device))
    skipped = [indices for indices in batches if not run(indices)]
    if not wanted(logits, range(len(data))):
        return Measurement(logits, None)
    for indices in skipped:
        run(indices, force=True)
    return Measurement(logits, gradients, token_sums)


# --- estimators: each reduces float [rows, units] to [units] --------------------------------------


def example(gradients: np.ndarray) -> np.ndarray:
    """Compute E_x |g(x)|, the paper's formula (§3.3)."""
    return np.abs(gradients).mean(0)


def example_squared(gradients: np.ndarray) -> np.ndarray:
    """Compute E_x g(x)², the diagonal of the empirical Fisher information of the gates."""
    return np.square(gradients).mean(0)


def batch(gradients: np.ndarray, size: int = AUTHORS_BATCH) -> np.ndarray:
    """Average |mean gradient of a batch| over batches: opposite signs cancel within a batch."""
    return np.abs(_batch_means(gradients, size)).mean(0)


def batch_squared(gradients: np.ndarray, size: int = KWON_BATCH) -> np.ndarray:
    """Average (mean gradient of a batch)² over batches: the code of Kwon et al. (2022).

    Its expectation is (E g)² + Var(g) / size, so the size decides which of the two it measures.
    """
    return np.square(_batch_means(gradients, size)).mean(0)


def running(gradients: np.ndarray, size: int = AUTHORS_BATCH) -> np.ndarray:
    """Average |running sum of batch means|: the authors' code, which never zeroes the gradient.

    Signs cancel within and across batches, and the order of the rows matters.
    """
    return np.abs(_batch_means(gradients, size).cumsum(0)).mean(0)


def signed(gradients: np.ndarray) -> np.ndarray:
    """Compute −E_x g(x): to first order, what removing a unit adds to the loss. It can be negative.

    A gate that goes from 1 to 0 changes x's loss by about −g(x). (Molchanov et al. 2017 take the
    absolute value of that.)
    """
    return -gradients.mean(0)


def token(token_sums: np.ndarray) -> np.ndarray:
    """Compute E_x Σ_t |g(x, t)|, with a gate for each token t of x.

    So do the codes of Michel et al. (2019) and Super Tickets (Liang et al. 2021), up to a factor.
    """
    return token_sums.mean(0)


def _batch_means(gradients: np.ndarray, size: int) -> np.ndarray:
    return np.stack([gradients[i : i + size].mean(0) for i in range(0, len(gradients), size)])


class Estimate(NamedTuple):
    """An estimator of importance, and its formula as figures show it."""

    reduce: Callable[[np.ndarray], np.ndarray]
    formula: str


ESTIMATORS: dict[Estimator, Estimate] = {
    "example": Estimate(example, "E|g|, the paper"),
    "example_squared": Estimate(example_squared, "E g²"),
    "batch": Estimate(batch, f"|g| of batches of {AUTHORS_BATCH}"),
    "batch_squared": Estimate(batch_squared, f"g² of batches of {KWON_BATCH}"),
    "running": Estimate(running, "|running sum|, the code"),
    "signed": Estimate(signed, "−E g"),
    "token": Estimate(token, "E Σ|g| over tokens"),
}


def importance(
    gradients: np.ndarray, layers: int, heads: int, estimator: Estimator = "example"
) -> Importance:
    """Reduce gate gradients to the importance of each unit, not yet normalised.

    gradients: float [rows, layers·heads + layers], `Measurement.rows_for(estimator)`
    estimator: a key of `ESTIMATORS`: "example" is the paper's formula, "running" the authors' code
    Raises ValueError for any other estimator.
    """
    if estimator not in ESTIMATORS:
        raise ValueError(f"the estimator is {estimator!r}; it can be {', '.join(ESTIMATORS)}")
    units = ESTIMATORS[estimator].reduce(np.asarray(gradients, np.float64))
    return Importance(units[: layers * heads].reshape(layers, heads), units[layers * heads :])


def normalise(scores: Importance, method: Normalisation = "l2") -> Importance:
    """Divide each layer's heads by their ℓ2 norm, after Molchanov et al. (paper §3.3).

    MLPs do not change. A layer whose heads are all 0 stays 0.
    method: "l2" (the paper); "l2_minmax", which then stretches all heads to [0, 1] and keeps their
        order (the authors' code); or "none". Source: README, decision 10
    Raises ValueError for any other normalisation.
    """
    if method not in get_args(Normalisation):
        raise ValueError(f"the normalisation is {method!r}; it can be 'l2', 'l2_minmax' or 'none'")
    if method == "none":
        return scores
    norms = np.linalg.norm(scores.heads, axis=1, keepdims=True)
    heads = np.divide(scores.heads, norms, out=np.zeros_like(scores.heads), where=norms > 0)
    if method == "l2_minmax" and np.ptp(heads) > 0:
        heads = (heads - heads.min()) / np.ptp(heads)
    return Importance(heads, scores.mlps)
