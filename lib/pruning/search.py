"""The two pruning loops: start with everything and prune a little each round (paper §3.2, §3.3).

They know nothing about models, only a function that scores a subnetwork. Where the paper and its
authors' code differ, `Magnitude` and `Structured` have a choice; [n] is the README's decision n.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar, get_args

import numpy as np

from lib.model.choices import Count, Share, strict
from lib.pruning import importance
from lib.pruning.importance import Estimator, Importance, Masked, Normalisation
from lib.pruning.masks import Mask, WeightMask

Mode = Literal["joint", "heads", "mlps"]
MODES = get_args(Mode)


@dataclass(frozen=True)
class Round:
    """A round of s-pruning: a subnetwork, its score on dev, and whether the loop accepted it.

    phase: what this round pruned; "full" for the whole model, "back" for a mask that the search
        steps back to, whatever its score (decision 25)
    importance: measured on this subnetwork, not normalised; None for a mask under the floor if no
        later round needs it
    """

    phase: str
    mask: Mask
    score: float
    accepted: bool
    importance: Importance | None = None


@dataclass(frozen=True)
class WeightRound:
    """A round of m-pruning: how many weights it kept, their score, and whether it was accepted.

    A mask of BERT-base's weights takes 10 MiB, and a search whose score never falls has about 160
    rounds. So the mask is not kept, but made again when it is asked for.
    order: the weights in order of magnitude; of all rounds, the same
    """

    order: "Ordering" = field(repr=False)
    kept: int
    score: float
    accepted: bool

    @property
    def share(self) -> float:
        """The share (0 to 1) of weights kept."""
        return self.kept / self.order.size

    @property
    def mask(self) -> WeightMask:
        """Make this round's mask."""
        return self.order.keep(self.kept)


AnyRound = TypeVar("AnyRound", Round, WeightRound)


@dataclass(frozen=True)
class Trail(Generic[AnyRound]):
    """All rounds of a pruning loop: rounds[0] is the full model, floor the lowest score allowed."""

    rounds: tuple[AnyRound, ...]
    floor: float

    @property
    def good(self) -> AnyRound:
        """The last accepted round: the "good" subnetwork. Its score is never under the floor."""
        return [r for r in self.rounds if r.accepted][-1]

    def to_tensors(self: "Trail[Round]") -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Return (tensors, metadata) of an s-pruning trail for the store.

        Each tensor is [rounds, …]. An importance that was not measured is nan.
        """
        measured = [
            r.importance or Importance(r.mask.heads * np.nan, r.mask.mlps * np.nan)
            for r in self.rounds
        ]
        tensors = {
            "heads": np.stack([r.mask.heads for r in self.rounds]),
            "mlps": np.stack([r.mask.mlps for r in self.rounds]),
            "head_importance": np.stack([i.heads for i in measured]),
            "mlp_importance": np.stack([i.mlps for i in measured]),
            "score": np.array([r.score for r in self.rounds]),
            "accepted": np.array([r.accepted for r in self.rounds]),
        }
        metadata = {"phases": " ".join(r.phase for r in self.rounds), "floor": repr(self.floor)}
        return tensors, metadata

    @staticmethod
    def from_tensors(
        tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
    ) -> "Trail[Round]":
        """Read back what `to_tensors` returned."""
        scores = zip(tensors["head_importance"], tensors["mlp_importance"], strict=True)
        rounds = zip(
            metadata["phases"].split(),
            map(Mask, tensors["heads"], tensors["mlps"]),
            tensors["score"].tolist(),
            tensors["accepted"].tolist(),
            [None if np.isnan(heads).all() else Importance(heads, mlps) for heads, mlps in scores],
            strict=True,
        )
        return Trail(tuple(Round(*values) for values in rounds), float(metadata["floor"]))


@strict
class Magnitude:
    """The choices of m-pruning.

    parameters [4]: "code" prunes what the authors' code prunes, every weight and bias of the
        encoder's linear layers except the bias of the MLP's second layer; "all" prunes that bias
        too; "weights" prunes no bias
    step, share_of [5]: the share to prune each round, of the weights "left" or of "all"
    keep: the floor, as a share of the full score
    max_rounds [6]: the limit on rounds; the last round allowed is never accepted, as in the
        authors' code. None (null in YAML): no limit
    """

    parameters: Literal["code", "all", "weights"] = "code"
    step: Share = 0.1
    share_of: Literal["left", "all"] = "left"
    keep: Share = 0.9
    max_rounds: Count | None = None


@strict
class Structured:
    """The choices of s-pruning.

    estimator [9], normalise [10], masked [24]: see `lib.pruning.importance`
    step, share_of [12]: the share of heads to prune each round, of "all" heads or of those "left",
        rounded down, but at least one
    second_step [13]: the heads-only phase prunes this share of that number, rounded down; may be 0
    start [14]: phases 2 and 3 start from the importance of the last "accepted" mask, or of the mask
        that "failed" (the authors' code)
    joint_ends [25]: with the last unit of "both" kinds, or of "either" (the authors' code): if that
        is the last head, the MLP pruned with it comes back
    keep: the floor, as a share of the full score
    """

    estimator: Estimator = "example"
    normalise: Normalisation = "l2"
    masked: Masked = "removed"
    step: Share = 0.1
    share_of: Literal["all", "left"] = "all"
    second_step: Share = 0.5
    start: Literal["accepted", "failed"] = "accepted"
    joint_ends: Literal["both", "either"] = "both"
    keep: Share = 0.9


def floor_of(score: float, keep: float) -> float:
    """Return the lowest score that a subnetwork may have: keep · the full score (paper: 90 %).

    Below a negative full score it is lower by (1 - keep) · |score|: the full model always passes.
    (The authors' script stops with an error there.)
    """
    return keep * score if score >= 0 else score + (1 - keep) * score


# --- m-pruning (§3.2) -----------------------------------------------------------------------------


class Ordering:
    """A model's prunable weights in order of magnitude; of two equal ones, the later ranks higher.

    Weights do not change between rounds, so each round is a threshold on this one order. They are
    counted once, in 2¹⁵ bins of similar magnitude; a round sorts only the bin of its threshold.
    weights: {parameter name: float array}
    """

    def __init__(self, weights: Mapping[str, np.ndarray]):
        self.magnitudes = {name: np.abs(array) for name, array in weights.items()}
        self.size = sum(m.size for m in self.magnitudes.values())
        counts = sum(
            np.bincount(_bin_of(m).ravel(), minlength=1 << 15) for m in self.magnitudes.values()
        )
        self.up_to = np.cumsum(counts)  # the number of weights in each bin and all lower bins

    def keep(self, count: int) -> WeightMask:
        """Make the mask that keeps exactly the `count` largest weights."""
        pruned = self.size - count
        if pruned <= 0:
            return WeightMask.of({n: np.ones(m.shape, bool) for n, m in self.magnitudes.items()})
        bin_ = int(np.searchsorted(self.up_to, pruned))
        inside = np.sort(np.concatenate([m[_bin_of(m) == bin_] for m in self.magnitudes.values()]))
        below = int(self.up_to[bin_]) - len(inside)
        threshold = inside[pruned - below - 1]
        # Several weights can equal the threshold: prune only the first `ties` of all parameters'.
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
    """The upper half of a float32's bits: a larger magnitude is never in a lower bin."""
    return np.ascontiguousarray(magnitudes, np.float32).view(np.uint32) >> 16


def by_magnitude(
    weights: Mapping[str, np.ndarray],
    score: Callable[[WeightMask], float],
    choices: Magnitude | None = None,
) -> Trail[WeightRound]:
    """Prune the smallest weights round by round while the score is at or above the floor (§3.2).

    weights: {parameter name: array} of the fine-tuned model
    score(mask): a subnetwork's score on dev
    """
    choices = choices or Magnitude()
    order = Ordering(weights)
    left = total = order.size
    full = score(order.keep(total))
    floor = floor_of(full, choices.keep)
    rounds = [WeightRound(order, total, full, True)]
    while rounds[-1].accepted and left > 0 and len(rounds) - 1 < (choices.max_rounds or np.inf):
        base = left if choices.share_of == "left" else total
        left = max(0, left - max(1, round(choices.step * base)))
        value = score(order.keep(left))
        at_limit = len(rounds) == choices.max_rounds  # the authors' loop drops its last mask
        rounds.append(WeightRound(order, left, value, bool(value >= floor) and not at_limit))
    return Trail(tuple(rounds), floor)


# --- s-pruning (§3.3, App. B) ---------------------------------------------------------------------


def drop_lowest(mask: Mask, scores: Importance, n_heads: int, n_mlps: int) -> Mask:
    """Switch off the n_heads heads and n_mlps MLPs with the lowest importance (§3.3).

    Units that are already off are ignored; if fewer are left than asked for, all of them go. Among
    equal scores, the lower layer goes first, then the lower head.
    scores: heads [layers, heads], mlps [layers]
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
    mode: Mode = "joint",
    choices: Structured | None = None,
) -> Trail[Round]:
    """Prune the least important units round by round while the score is at or above the floor.

    This is s-pruning (§3.3). A phase ends at its first mask under the floor, or with no unit left.
    full: the mask to start from
    measure(mask, floor): a subnetwork's score on dev and its importance, not normalised; the
        importance may be None if the score is under that floor
    mode: "joint" prunes heads and one MLP a round, then heads alone, then MLPs alone; "heads" and
        "mlps" prune one kind only (App. B)
    Raises ValueError for any other mode.
    """
    choices = choices or Structured()
    if mode not in MODES:
        raise ValueError(f"the pruning mode is {mode!r}; it can be one of {', '.join(MODES)}")
    value, scores = measure(full, -np.inf)
    floor = floor_of(value, choices.keep)
    rounds = [Round("full", full, value, True, scores)]
    good, before = full, full
    for phase, share_of_step, n_mlps in _phases(mode, choices):
        while True:
            if phase == "joint" and choices.joint_ends == "either":
                if not good.n_heads:  # the authors' loop ends before it saves the newest MLP mask
                    good = Mask(good.heads, before.mlps)
                    rounds.append(Round("back", good, measure(good, -np.inf)[0], True))
                if not (good.n_heads and good.n_mlps):
                    break
            assert scores is not None, "every mask that was accepted was measured"
            ranked = importance.normalise(scores, choices.normalise)
            count = good.heads.size if choices.share_of == "all" else good.n_heads
            n_heads = int(max(1, int(count * choices.step)) * share_of_step)
            mask = drop_lowest(good, ranked, n_heads, n_mlps)
            if mask == good:
                break
            value, measured = measure(mask, -np.inf if choices.start == "failed" else floor)
            rounds.append(Round(phase, mask, value, bool(value >= floor), measured))
            if rounds[-1].accepted or choices.start == "failed":
                scores = measured
            if not rounds[-1].accepted:
                break
            good, before = mask, good
    return Trail(tuple(rounds), floor)


def _phases(mode: Mode, choices: Structured) -> list[tuple[str, float, int]]:
    """List a mode's phases [12, 13, 16]: (name, share of a full step of heads, MLPs a round)."""
    if mode == "joint":
        return [("joint", 1, 1), ("heads", choices.second_step, 0), ("mlps", 0, 1)]
    return [("heads", 1, 0)] if mode == "heads" else [("mlps", 0, 1)]
