"""Pruning: loops that start with everything, take a little away at a time, and end in a trail (paper §3.2, §3.3).

The loops know nothing of models. They are handed a function that scores a subnetwork, so they can be tested by hand.
Every choice in which the paper and its authors' code differ is a field of `Magnitude` or `Structured`; the numbers in
brackets are those of the README's table of decisions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lib.model.choices import strict
from lib.pruning import importance
from lib.pruning.importance import Importance
from lib.pruning.masks import Mask, WeightMask

MODES = ("joint", "heads", "mlps")


@dataclass(frozen=True)
class Round:
    """One iteration: the subnetwork that was tried, its score, and whether it stayed at or above the floor.

    phase: what was being pruned ("full" for the start). mask: the subnetwork tried. importance: measured on it, raw;
    None in m-pruning, and where nobody needs it as the mask is under the floor.
    """

    phase: str
    mask: Mask | WeightMask
    score: float
    accepted: bool
    importance: Importance | None = None


@dataclass(frozen=True)
class Trail:
    """Everything a pruning loop tried, in order. rounds[0] is the full model; floor is the least score accepted."""

    rounds: tuple[Round, ...]
    floor: float

    @property
    def good(self) -> Round:
        """The last round accepted: the "good" subnetwork. Its score is never under the floor."""
        return [r for r in self.rounds if r.accepted][-1]

    def to_tensors(self) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """(tensors, metadata) of a trail of s-pruning, as the store keeps them; [rounds, …] each.

        Importance that was not measured is nan.
        """
        measured = [
            r.importance or Importance(r.mask.heads * np.nan, r.mask.mlps * np.nan)
            for r in self.rounds
        ]
        tensors = {
            "heads": np.stack([r.mask.heads for r in self.rounds]),
            "mlps": np.stack([r.mask.mlps for r in self.rounds]),
            "head_importance": np.stack([one.heads for one in measured]),
            "mlp_importance": np.stack([one.mlps for one in measured]),
            "score": np.array([r.score for r in self.rounds]),
            "accepted": np.array([r.accepted for r in self.rounds]),
        }
        return tensors, {
            "phases": " ".join(r.phase for r in self.rounds),
            "floor": repr(self.floor),
        }

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
    ) -> "Trail":
        """The inverse of `to_tensors`."""
        both = zip(tensors["head_importance"], tensors["mlp_importance"], strict=True)
        rounds = zip(
            metadata["phases"].split(),
            map(Mask, tensors["heads"], tensors["mlps"]),
            tensors["score"].tolist(),
            tensors["accepted"].tolist(),
            [None if np.isnan(heads).all() else Importance(heads, mlps) for heads, mlps in both],
            strict=True,
        )
        return cls(tuple(Round(*values) for values in rounds), float(metadata["floor"]))


@strict
class Magnitude:
    """The choices of m-pruning.

    parameters [4]: "code" prunes what the authors' code does, every weight and bias of the encoder's linear layers but
    the bias of the MLP's second; "all" prunes that bias too; "weights" leaves all biases alone. step: the share pruned
    each round. share_of [5]: of the weights "left" or of "all". keep: the floor as a share of the full score.
    max_rounds [6]: at most so many rounds, of which the authors' code never keeps the last; null for no limit.
    """

    parameters: Literal["code", "all", "weights"] = "code"
    step: float = 0.1
    share_of: Literal["left", "all"] = "left"
    keep: float = 0.9
    max_rounds: int | None = None


@strict
class Structured:
    """The choices of s-pruning.

    estimator [9] and normalise [10]: see `lib.importance`. step: the share of heads pruned a round. share_of [12]: of
    "all" heads or of those "left". second_step [13]: the heads-only phase prunes this share of what the joint phase
    does. start [14]: phases 2 and 3 start from importance measured on the "accepted" mask, or left over from the one
    that "failed", as in the authors' code. keep: the floor as a share of the full score.
    """

    estimator: Literal["per_example", "per_batch", "running"] = "per_example"
    normalise: Literal["l2", "l2_minmax", "none"] = "l2"
    step: float = 0.1
    share_of: Literal["all", "left"] = "all"
    second_step: float = 0.5
    start: Literal["accepted", "failed"] = "accepted"
    keep: float = 0.9


def floor_of(score: float, keep: float) -> float:
    """The least score that a subnetwork may have: keep · score (paper: 90 % of the full model's).

    A negative score (Matthews, Pearson can be) is lowered by the same amount, so the full model is never under its
    own floor.
    """
    return score - (1 - keep) * abs(score)


# --- m-pruning (§3.2) ---------------------------------------------------------------------------------------------


class Ordering:
    """All of a model's prunable weights in the order of their magnitudes.

    The weights do not change between rounds, so each round of m-pruning is a threshold on this one order. Most of it is
    never needed: the weights are counted once in 2¹⁵ bins of like magnitude, and of these a round sorts only the one
    that holds its threshold.
    weights: {name: float array}. Ties go to the weight that comes later: it is kept.
    """

    def __init__(self, weights: Mapping[str, np.ndarray]):
        self.magnitudes = {name: np.abs(array) for name, array in weights.items()}
        self.size = sum(m.size for m in self.magnitudes.values())
        counts = sum(
            np.bincount(_bin_of(m).ravel(), minlength=1 << 15) for m in self.magnitudes.values()
        )
        self.up_to = np.cumsum(counts)  # how many weights there are in each bin and those below it

    def keep(self, count: int) -> WeightMask:
        """The mask that keeps exactly the `count` largest weights."""
        pruned = self.size - count
        if pruned <= 0:
            return WeightMask.of({n: np.ones(m.shape, bool) for n, m in self.magnitudes.items()})
        bin_ = int(np.searchsorted(self.up_to, pruned))
        inside = np.sort(np.concatenate([m[_bin_of(m) == bin_] for m in self.magnitudes.values()]))
        below = int(self.up_to[bin_]) - len(inside)
        threshold = inside[pruned - below - 1]
        # so many of the equal ones must go
        ties = pruned - below - int(np.searchsorted(inside, threshold, "left"))
        kept = {}
        for name, magnitude in self.magnitudes.items():
            flat = magnitude.ravel()
            keep = flat > threshold
            equal = np.flatnonzero(flat == threshold)
            keep[equal[ties:]] = True
            ties -= min(ties, len(equal))
            kept[name] = keep.reshape(magnitude.shape)
        return WeightMask.of(kept)


def _bin_of(magnitudes: np.ndarray) -> np.ndarray:
    """The upper half of a float32's bits: exponent, 7 bits of mantissa. A larger magnitude is in no lower bin."""
    return np.ascontiguousarray(magnitudes, np.float32).view(np.uint32) >> 16


def by_magnitude(
    weights: Mapping[str, np.ndarray],
    score: Callable[[WeightMask], float],
    choices: Magnitude | None = None,
) -> Trail:
    """M-pruning: drop the smallest weights, round by round, while the score stays at or above the floor (§3.2).

    weights: {parameter name: array} of the fine-tuned model; score: a subnetwork's score on dev. No retraining
    between rounds.
    """
    choices = choices or Magnitude()
    order = Ordering(weights)
    left = total = order.size
    mask = order.keep(total)
    full = score(mask)
    floor = floor_of(full, choices.keep)
    rounds = [Round("full", mask, full, True)]
    while rounds[-1].accepted and left > 0 and len(rounds) - 1 < (choices.max_rounds or np.inf):
        left = max(
            0, left - max(1, round(choices.step * (left if choices.share_of == "left" else total)))
        )
        mask = order.keep(left)
        value = score(mask)
        last = (
            len(rounds) == choices.max_rounds
        )  # the authors' loop ends before it keeps its last mask
        rounds.append(Round("magnitude", mask, value, bool(value >= floor) and not last))
    return Trail(tuple(rounds), floor)


# --- s-pruning (§3.3, App. B) -------------------------------------------------------------------------------------


def drop_lowest(mask: Mask, scores: Importance, n_heads: int, n_mlps: int) -> Mask:
    """Switch off the live heads and MLPs with the lowest importance.

    scores.heads is [layers, heads], scores.mlps [layers]; units already off are ignored, and where fewer are left
    than asked for, all of them go. Ties go to the lower layer, then the lower head. Source: paper §3.3.
    """
    return Mask(
        _without_lowest(mask.heads, scores.heads, n_heads),
        _without_lowest(mask.mlps, scores.mlps, n_mlps),
    )


def _without_lowest(live: np.ndarray, scores: np.ndarray, count: int) -> np.ndarray:
    candidates = np.flatnonzero(live)
    lowest = candidates[np.argsort(scores.ravel()[candidates], kind="stable")[:count]]
    kept = live.ravel().copy()
    kept[lowest] = False
    return kept.reshape(live.shape)


def by_importance(
    full: Mask,
    measure: Callable[[Mask, float], tuple[float, Importance | None]],
    mode: str = "joint",
    choices: Structured | None = None,
) -> Trail:
    """S-pruning: drop the least important units, round by round, while the score stays at or above the floor.

    full: the mask to start from. measure(mask, floor): a subnetwork's (score on dev, importance before normalising);
    the importance may be None if the score is under that floor. mode: "joint" prunes heads and one MLP a round, then
    heads alone, then MLPs alone (§3.3); "heads" and "mlps" prune one kind only (App. B). A phase ends at its first mask
    under the floor, or with nothing left to prune.
    """
    choices = choices or Structured()
    if mode not in MODES:
        raise ValueError(f"the pruning mode is {mode!r}; it can be one of {', '.join(MODES)}")
    value, scores = measure(full, -np.inf)
    floor = floor_of(value, choices.keep)
    rounds = [Round("full", full, value, True, scores)]
    good = rounds[0]
    for phase, head_share, n_mlps in _phases(mode, choices):
        while True:
            count = good.mask.heads.size if choices.share_of == "all" else good.mask.n_heads
            n_heads = max(1, round(head_share * count)) if head_share else 0
            ranked = importance.normalise(scores, choices.normalise)
            mask = drop_lowest(good.mask, ranked, n_heads, n_mlps)
            if mask == good.mask:
                break
            value, measured = measure(mask, -np.inf if choices.start == "failed" else floor)
            rounds.append(Round(phase, mask, value, bool(value >= floor), measured))
            if not rounds[-1].accepted:
                if choices.start == "failed":
                    scores = measured
                break
            good, scores = rounds[-1], measured
    return Trail(tuple(rounds), floor)


def _phases(mode: str, choices: Structured) -> list[tuple[str, float, int]]:
    """(name, share of heads, number of MLPs) a round, for each phase of a mode (README, decisions 12, 13 and 16)."""
    if mode == "joint":
        return [
            ("joint", choices.step, 1),
            ("heads", choices.step * choices.second_step, 0),
            ("mlps", 0, 1),
        ]
    return [("heads", choices.step, 0)] if mode == "heads" else [("mlps", 0, 1)]
