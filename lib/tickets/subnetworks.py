"""Draw the subnetworks to compare: good, random and bad ones of equal size (paper §4.2, App. E).

"Good" is what pruning left. The functions here take good masks and return other masks with exactly
as many heads and MLPs, or exactly as many weights. Each draw depends only on its arguments and its
seed, so nothing leaks from one seed, or one kind of subnetwork, to another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Literal

import numpy as np

from lib.model.choices import Count, strict
from lib.pruning.importance import Estimator
from lib.pruning.masks import Mask, WeightMask
from lib.pruning.search import Ordering

# Each kind of draw has its own random stream. Otherwise the "bad" mask of a seed could be a shifted
# copy of the "random" one.
RANDOM, BAD, SUPER = 1, 2, 3


@strict
class Retraining:
    """The choices of retraining; numbers in brackets refer to the README's table of decisions.

    bad_weights [7]: "bad" in m-pruning: what was pruned, topped up at random ("complement", the
        paper), or the "smallest" weights (the authors' code)
    random_units [17]: as many units as the good subnetwork ("exact"), or each unit with good's
        "share" as its probability (code)
    emptied_bias [15]: an attention block without heads keeps the bias of its output ("kept"), or
        loses it in the models that are scored and retrained ("dropped", code)
    embeddings [19]: start from "pretrained" ones (code), or keep the "finetuned" ones, which is one
        reading of the paper's "(except embeddings)"
    super_bad [20]: see `super_units`
    longer [22]: epochs of the longer run of App. D, which is scored from the recipe's last epoch on
    estimators: others than the search's own, with which notebook 03 has searched, too; what these
        searches left is trained as well, each with a random and a bad subnetwork of its size
    """

    bad_weights: Literal["complement", "smallest"] = "complement"
    random_units: Literal["exact", "share"] = "exact"
    emptied_bias: Literal["kept", "dropped"] = "kept"
    embeddings: Literal["pretrained", "finetuned"] = "pretrained"
    super_bad: Literal["rank", "never"] = "rank"
    longer: Count = 6
    estimators: list[Estimator] = field(default_factory=list)


def sample(
    candidates: Sequence[np.ndarray], count: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Draw exactly `count` of the candidates; every choice is equally likely.

    candidates: bool arrays of any shapes, True for a candidate
    Returns bool arrays of the same shapes, True for what was drawn.
    Raises ValueError if there are fewer candidates than `count`.
    """
    sizes = [int(array.sum()) for array in candidates]
    if count > sum(sizes):
        raise ValueError(f"cannot draw {count} units: there are only {sum(sizes)} to choose from")
    # draw how many each array gives first, so that all of a model's weights are never in one list
    counts = rng.multivariate_hypergeometric(sizes, count)
    chosen = []
    for array, count_here in zip(candidates, counts, strict=True):
        drawn = np.zeros(array.size, bool)
        drawn[rng.permutation(np.flatnonzero(array))[:count_here]] = True
        chosen.append(drawn.reshape(array.shape))
    return chosen


def top_up(
    preferred: Sequence[np.ndarray], others: Sequence[np.ndarray], count: int, rng
) -> list[np.ndarray]:
    """Draw exactly `count` units from `preferred`; if there are too few, the rest from `others`."""
    available = sum(int(array.sum()) for array in preferred)
    if available >= count:
        return sample(preferred, count, rng)
    rest = [b & ~a for a, b in zip(preferred, others, strict=True)]
    added = sample(rest, count - available, rng)
    return [a | b for a, b in zip(preferred, added, strict=True)]


# --- heads and MLPs (s-pruning) -------------------------------------------------------------------


def random_units(good: Mask, seed: int, rule: str = "exact") -> Mask:
    """Draw as many heads and as many MLPs as `good` keeps, from all. Source: §4.2.

    rule: "exact"; or "share", which keeps each unit with good's share as its probability, like the
        authors' code, so that only the average size is good's. README, decision 17
    """
    rng = np.random.default_rng([seed, RANDOM])
    units = (good.heads, good.mlps)
    if rule == "share":
        return Mask(*(rng.random(kept.shape) < kept.mean() for kept in units))
    return Mask(*(sample([np.ones_like(kept)], int(kept.sum()), rng)[0] for kept in units))


def bad_units(good: Mask, seed: int) -> Mask:
    """Draw from what `good` pruned; if that is too little, add random survivors. Source: §4.2.

    The result has as many heads and as many MLPs as `good`. The two are drawn separately.
    """
    rng = np.random.default_rng([seed, BAD])
    units = (good.heads, good.mlps)
    return Mask(*(top_up([~kept], [kept], int(kept.sum()), rng)[0] for kept in units))


def three_units(good: Mask, seed: int, rule: str = "exact") -> dict[str, Mask]:
    """Make {"good", "random", "bad"}: see `random_units` and `bad_units`."""
    return {"good": good, "random": random_units(good, seed, rule), "bad": bad_units(good, seed)}


def first_units(like: Mask) -> Mask:
    """Keep as many heads and MLPs as `like` does, all in the lowest layers."""
    heads = np.arange(like.heads.size).reshape(like.heads.shape) < like.n_heads
    return Mask(heads, np.arange(len(like.mlps)) < like.n_mlps)


def super_units(
    heads: np.ndarray, mlps: np.ndarray, seed: int, rule: str = "rank"
) -> dict[str, Mask]:
    """Make {"good", "random", "bad"}: super-survivors, and two subnetworks of their size (App. E).

    good: the units that survive in every seed
    random: units that are neither good nor bad; if too few, also bad ones, or any if still too few
    bad: the units that survive in the fewest seeds, ties broken at random
    heads, mlps: the good masks of all seeds, bool [seeds, layers, heads] and [seeds, layers]
    seed: for the draws; good does not depend on it
    rule: "rank"; or "never", the authors' code: bad is drawn once for all seeds, from units that
        survive in no seed, topped up with units that are not good while there are enough;
        random is topped up with any units. README, decision 20
    """
    rngs = np.random.default_rng([seed, SUPER]), np.random.default_rng([SUPER])
    of_heads, of_mlps = (_super(np.asarray(masks, bool), *rngs, rule) for masks in (heads, mlps))
    kinds = zip(("good", "random", "bad"), of_heads, of_mlps, strict=True)
    return {kind: Mask(kept_heads, kept_mlps) for kind, kept_heads, kept_mlps in kinds}


def _super(
    masks: np.ndarray, rng: np.random.Generator, shared: np.random.Generator, rule: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    counts, good = masks.sum(0), np.all(masks, axis=0)
    size = int(good.sum())
    others = ~good if (~good).sum() >= size else np.ones_like(good)
    if rule == "never":
        (bad,) = top_up([counts == 0], [others], size, shared)
        others = np.ones_like(good)
    else:
        # by count, equal counts in random order
        order = np.lexsort((rng.random(counts.size), counts.ravel()))
        bad = np.isin(np.arange(counts.size), order[:size]).reshape(counts.shape)
    (random,) = top_up([~good & ~bad], [others], size, rng)
    return good, random, bad


# --- single weights (m-pruning) -------------------------------------------------------------------


def random_weights(good: WeightMask, seed: int) -> WeightMask:
    """Draw as many weights as `good` keeps, from all that may be pruned. Source: §4.2."""
    rng = np.random.default_rng([seed, RANDOM])
    everything = [np.ones(good.shapes[name], bool) for name in good]
    return WeightMask.of(dict(zip(good, sample(everything, good.kept, rng), strict=True)))


def bad_weights(good: WeightMask, seed: int) -> WeightMask:
    """Draw from what `good` pruned; if that is too little, add random survivors. Source: §4.2.

    The result has as many weights as `good`.
    """
    rng = np.random.default_rng([seed, BAD])
    kept = [good[name] for name in good]
    return WeightMask.of(
        dict(zip(good, top_up([~array for array in kept], kept, good.kept, rng), strict=True))
    )


def smallest_weights(good: WeightMask, weights: Mapping[str, np.ndarray]) -> WeightMask:
    """Take as many weights as `good` keeps, the smallest: the authors' "bad" (README, decision 7).

    weights: {parameter name: array} of the fine-tuned model
    """
    larger = Ordering({name: weights[name] for name in good}).keep(good.size - good.kept)
    return WeightMask.of({name: ~larger[name] for name in good})
