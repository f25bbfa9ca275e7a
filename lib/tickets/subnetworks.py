"""Which subnetworks are compared: good, random and bad ones of one size (paper §4.2, Appendix E).

"Good" is what pruning left. Everything here is drawn from that: masks in, masks out, with exactly as many heads and
MLPs, or exactly as many weights, as the good one has. Each draw depends on its own arguments and its seed alone, so
nothing leaks from one seed, or one kind of subnetwork, to another.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import PositiveInt

from lib.model.choices import strict
from lib.pruning.masks import Mask, WeightMask
from lib.pruning.search import Ordering

# each kind of draw has a stream of its own: a "bad" mask must not be a shifted copy of the "random" one of its seed
RANDOM, BAD, SUPER = 1, 2, 3


@strict
class Retraining:
    """The choices of retraining; the numbers are those of the README's table of decisions.

    bad_weights [7]: of m-pruning; what was pruned, topped up at random ("complement", the paper), or the "smallest"
    weights (the authors' code). random_units [17]: as many units as the good subnetwork has ("exact"), or each kept
    with good's "share" as probability (code). embeddings [19]: start from "pretrained" ones (code), or keep the
    "finetuned" ones, as the paper's "(except embeddings)" can be read. super_bad [20]: see `super_units`.
    longer [22]: the epochs of the longer run of App. D; it is scored from the recipe's last epoch on.
    """

    bad_weights: Literal["complement", "smallest"] = "complement"
    random_units: Literal["exact", "share"] = "exact"
    embeddings: Literal["pretrained", "finetuned"] = "pretrained"
    super_bad: Literal["rank", "never"] = "rank"
    longer: PositiveInt = 6


def sample(
    candidates: Sequence[np.ndarray], count: int, draw: np.random.Generator
) -> list[np.ndarray]:
    """Exactly `count` of the candidates, every choice equally likely.

    candidates: bool arrays of any shapes; returns bool arrays of the same shapes. How many each array gives is drawn
    first (a multivariate hypergeometric draw), so that no list of all weights of a model is ever made.
    """
    sizes = [int(array.sum()) for array in candidates]
    if count > sum(sizes):
        raise ValueError(f"{count} units were asked for, but there are {sum(sizes)} to choose from")
    chosen = []
    for array, share in zip(
        candidates, draw.multivariate_hypergeometric(sizes, count), strict=True
    ):
        taken = np.zeros(array.size, bool)
        taken[draw.permutation(np.flatnonzero(array))[:share]] = True
        chosen.append(taken.reshape(array.shape))
    return chosen


def top_up(
    first: Sequence[np.ndarray], then: Sequence[np.ndarray], count: int, draw
) -> list[np.ndarray]:
    """Exactly `count` units: of `first` as far as they go, and random ones of `then` for what is missing."""
    available = sum(int(array.sum()) for array in first)
    if available >= count:
        return sample(first, count, draw)
    rest = sample([b & ~a for a, b in zip(first, then, strict=True)], count - available, draw)
    return [a | b for a, b in zip(first, rest, strict=True)]


# --- heads and MLPs (s-pruning) -----------------------------------------------------------------------------------


def random_units(good: Mask, seed: int, how: str = "exact") -> Mask:
    """As many heads and as many MLPs as `good` keeps, drawn at random from all. Source: §4.2; README, decision 17.

    how: "exact", or "share", with which each unit is kept with probability equal to good's share, as in the authors'
    code; the size is then that of `good` only on average.
    """
    draw = np.random.default_rng([seed, RANDOM])
    if how == "share":
        return Mask(*(draw.random(part.shape) < part.mean() for part in (good.heads, good.mlps)))
    return Mask(
        *(
            sample([np.ones_like(part)], int(part.sum()), draw)[0]
            for part in (good.heads, good.mlps)
        )
    )


def bad_units(good: Mask, seed: int) -> Mask:
    """What `good` pruned, and if that is too little, random survivors up to good's size. Source: §4.2.

    Where more was pruned than kept, a random part of it. Heads and MLPs are counted apart.
    """
    draw = np.random.default_rng([seed, BAD])
    return Mask(
        *(top_up([~part], [part], int(part.sum()), draw)[0] for part in (good.heads, good.mlps))
    )


def super_units(
    heads: np.ndarray, mlps: np.ndarray, seed: int, how: str = "rank"
) -> dict[str, Mask]:
    """{"good", "random", "bad"}: the super-survivors, and two subnetworks of their size. Source: App. E.

    heads: bool [seeds, layers, heads], mlps: bool [seeds, layers]: the good masks of all seeds. good: what survives in
    every seed. bad: the units that survive in the fewest seeds, ties broken by a draw. random: drawn from what is
    neither, and where that is not enough, from the bad ones. seed: of the draws; it says nothing about good.

    how: "rank", or "never", with which bad is drawn from the units that survive in no seed, topped up by any others at
    random, as in the authors' code. README, decision 20.
    """
    draw = np.random.default_rng([seed, SUPER])
    parts = [_super(np.asarray(part, bool), draw, how) for part in (heads, mlps)]
    return {
        kind: Mask(*both)
        for kind, both in zip(("good", "random", "bad"), zip(*parts, strict=True), strict=True)
    }


def _super(
    masks: np.ndarray, draw: np.random.Generator, how: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    counts, good = masks.sum(0), masks.all(0)
    size = int(good.sum())
    if how == "never":
        (bad,) = top_up([counts == 0], [np.ones_like(good)], size, draw)
    else:
        order = np.lexsort(
            (draw.random(counts.size), counts.ravel())
        )  # by count, equal counts in random order
        bad = np.isin(np.arange(counts.size), order[:size]).reshape(counts.shape)
    (random,) = top_up(
        [~good & ~bad], [~good] if (~good).sum() >= size else [np.ones_like(good)], size, draw
    )
    return good, random, bad


# --- single weights (m-pruning) -----------------------------------------------------------------------------------


def random_weights(good: WeightMask, seed: int) -> WeightMask:
    """As many weights as `good` keeps, drawn at random from all that may be pruned. Source: §4.2."""
    draw = np.random.default_rng([seed, RANDOM])
    everything = [np.ones(good.shapes[name], bool) for name in good]
    return WeightMask.of(dict(zip(good, sample(everything, good.kept, draw), strict=True)))


def bad_weights(good: WeightMask, seed: int) -> WeightMask:
    """What `good` pruned, and if that is too little, random survivors up to good's size. Source: §4.2."""
    draw = np.random.default_rng([seed, BAD])
    kept = [good[name] for name in good]
    return WeightMask.of(
        dict(zip(good, top_up([~array for array in kept], kept, good.kept, draw), strict=True))
    )


def smallest_weights(good: WeightMask, weights: Mapping[str, np.ndarray]) -> WeightMask:
    """As many weights as `good` keeps, the smallest: the authors' code's "bad". Source: README, decision 7.

    weights: {parameter name: array} of the fine-tuned model.
    """
    larger = Ordering({name: weights[name] for name in good}).keep(good.size - good.kept)
    return WeightMask.of({name: ~larger[name] for name in good})
