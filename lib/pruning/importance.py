"""How much each head and MLP matters: the sensitivity of the loss to its gate (paper §3.3).

    I_h = E_x |∂L(x)/∂ξ|        I_mlp = E_x |∂L(x)/∂ν|

The expectation is over examples x, so the absolute value belongs to each example. Giving every example gates of its
own and summing the losses yields all of these derivatives, exactly, in one backward pass; the weights need no
gradients at all. They are kept, [examples, layers·heads + layers], because everything else is a reduction of them:
the paper's formula, what the authors' code computes, bootstrap intervals.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lib.model.batches import Encoded, evaluation_batches
from lib.model.classifier import SentenceClassifier, example_losses
from lib.model.device import evaluation_batch_size
from lib.pruning import gates
from lib.pruning.compact import compact
from lib.pruning.masks import Mask

AUTHORS_BATCH = 64  # the batch in which the authors' code walks through the dev set
ENOUGH = 64  # rows from whose score can be told what that of all will be; that of fewer says little


@dataclass(frozen=True)
class Importance:
    """heads: float [layers, heads], I_h, or normalised; mlps: float [layers], I_mlp."""

    heads: np.ndarray
    mlps: np.ndarray


@dataclass(frozen=True)
class Measurement:
    """What one pass over the rows gives.

    logits: float32 [rows, outputs]. gradients: float32 [rows, layers·heads + layers], ∂L(x)/∂ξ then ∂L(x)/∂ν; None
    where the logits did not deserve any. Both are in the order of the rows.
    """

    logits: np.ndarray
    gradients: np.ndarray | None


def measure(
    model: SentenceClassifier,
    data: Encoded,
    mask: Mask,
    wants_gradients: Callable[[np.ndarray, Sequence[int]], bool] = lambda logits, rows: True,
) -> Measurement:
    """The subnetwork's logits and every example's gate gradients, in one forward and one backward pass a batch.

    Masked units are physically removed first, so a small subnetwork is cheap to measure, and their gradients are 0.
    Dropout is off; the model stays as it is.

    wants_gradients(logits, rows): do these logits [rows, outputs], those of these rows, deserve gradients? A search has no use
    for those of a mask that fails, and they are half the work. What counts is the answer for all rows; while that for
    the first so many is no, gradients wait, and if it is yes in the end, they are made up for.
    """
    layers, heads = mask.heads.shape
    small = compact(model, mask).eval().requires_grad_(False)  # only the gates need gradients
    ones = torch.ones(
        layers * heads + layers, dtype=small.classifier.weight.dtype, device=small.device
    )
    logits = np.empty((len(data), small.classifier.out_features), np.float32)
    gradients = np.zeros((len(data), len(ones)), np.float32)
    data, seen = data.to(small.device), []

    def visit(indices, again=False) -> bool:
        """One batch: its logits, and its gradients if they are deserved. Were they?"""
        inputs, labels = data.batch(indices)
        both = ones.expand(len(indices), -1).clone().requires_grad_()
        with gates.gated(small, both[:, :-layers].unflatten(1, (layers, heads)), both[:, -layers:]):
            output = small(**inputs)
        logits[indices] = output.detach().float().cpu().numpy()
        seen.extend(indices)
        if not (again or len(seen) < ENOUGH or wants_gradients(logits[seen], seen)):
            return False
        if mask.n_heads or mask.n_mlps:  # with no gate left there is nothing to differentiate by
            # examples do not see each other, so the gradient of the sum holds the gradient of each
            (slopes,) = torch.autograd.grad(example_losses(output, labels).sum(), both)
            gradients[indices] = slopes.float().cpu().numpy()
        return True

    batches = evaluation_batches(data.lengths, evaluation_batch_size(small.device))
    waiting = [indices for indices in batches if not visit(indices)]
    if not wants_gradients(logits, range(len(data))):
        return Measurement(logits, None)
    for indices in waiting:
        visit(indices, again=True)
    return Measurement(logits, gradients)


def per_example(gradients: np.ndarray, batch: int = AUTHORS_BATCH) -> np.ndarray:
    """E_x |g(x)|: the paper's formula. gradients [rows, units] → [units]; batch is not used."""
    return np.abs(gradients).mean(0)


def per_batch(gradients: np.ndarray, batch: int = AUTHORS_BATCH) -> np.ndarray:
    """The mean over batches of |the batch's mean gradient|: opposite signs cancel within a batch."""
    return np.abs(_batch_means(gradients, batch)).mean(0)


def running(gradients: np.ndarray, batch: int = AUTHORS_BATCH) -> np.ndarray:
    """What the authors' code does: the gradient is never zeroed, so |running sum of batch means| is averaged.

    Signs cancel within and across batches, and the order of the rows matters.
    """
    return np.abs(_batch_means(gradients, batch).cumsum(0)).mean(0)


def _batch_means(gradients: np.ndarray, batch: int) -> np.ndarray:
    return np.stack([gradients[i : i + batch].mean(0) for i in range(0, len(gradients), batch)])


ESTIMATORS = {
    "per_example": per_example,
    "per_batch": per_batch,
    "running": running,
}  # README, decision 9


def importance(
    gradients: np.ndarray, layers: int, heads: int, estimator: str = "per_example"
) -> Importance:
    """The importance of each unit, from gate gradients [rows, layers·heads + layers]. Not yet normalised.

    estimator: "per_example" (the paper), "per_batch" or "running" (the authors' code).
    """
    if estimator not in ESTIMATORS:
        raise ValueError(
            f"the importance estimator is {estimator!r}; it can be one of {', '.join(ESTIMATORS)}"
        )
    units = ESTIMATORS[estimator](np.asarray(gradients, np.float64))
    return Importance(units[: layers * heads].reshape(layers, heads), units[layers * heads :])


def normalise(scores: Importance, how: str = "l2") -> Importance:
    """Divide each layer's heads by their ℓ2 norm, after Molchanov et al. (paper §3.3); MLPs stay as they are.

    how: "l2", or "l2_minmax", which then stretches all heads to [0, 1] as the authors' code does (the order of the
    heads is the same), or "none". A layer whose heads are all 0 stays 0. Source: README, decision 10.
    """
    if how not in ("l2", "l2_minmax", "none"):
        raise ValueError(f"the normalisation is {how!r}; it can be 'l2', 'l2_minmax' or 'none'")
    if how == "none":
        return scores
    norms = np.linalg.norm(scores.heads, axis=1, keepdims=True)
    heads = np.divide(scores.heads, norms, out=np.zeros_like(scores.heads), where=norms > 0)
    if how == "l2_minmax" and np.ptp(heads) > 0:
        heads = (heads - heads.min()) / np.ptp(heads)
    return Importance(heads, scores.mlps)
