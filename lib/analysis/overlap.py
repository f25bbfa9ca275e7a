"""Measure which units two tasks share, against chance (paper §5.3, Figures 5 and 19).

masks: bool [seeds, layers, heads], or [seeds, layers] for MLPs: the good masks of one task. Two
tasks need the same seeds in the same order.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from lib.analysis.agreement import (
    NAN,
    Permutation,
    against_chance,
    holm,
    shuffled_products,
    units_of,
)
from lib.data.glue import KINDS
from lib.paper import intervals


def overlap(masks_a: np.ndarray, masks_b: np.ndarray) -> np.ndarray:
    """Count the units that both tasks keep, for each seed: int [seeds]."""
    a, b = _units_of_both(masks_a, masks_b)
    return (a & b).sum(1)


def expected_overlap(masks_a: np.ndarray, masks_b: np.ndarray) -> np.ndarray:
    """Compute the mean overlap of random masks of the same sizes, |a|·|b| / n: float [seeds].

    This is the mean of a hypergeometric distribution: one task keeps |a| of n units, and |b| units
    are drawn for the other.
    """
    a, b = _units_of_both(masks_a, masks_b)
    return a.sum(1) * b.sum(1) / a.shape[1]


def permutation_test(
    masks_a: np.ndarray,
    masks_b: np.ndarray,
    seed: int = 0,
    draws: int = 10_000,
    within_layers: bool = False,
) -> Permutation:
    """Test whether two tasks share more units than if one task's units were shuffled. One-sided.

    Each draw shuffles the units of one task in the same way in all seeds, which keeps what the
    seeds have in common: five seeds of a task are not five independent masks. With a single seed
    this approximates the hypergeometric test.
    The units are shuffled over all layers or, with within_layers, inside each layer, so that every
    layer of every seed keeps its number of units. The first asks whether the tasks share units; the
    second, whether they share more than having the same layers in common explains.
    nan if shuffling changes nothing, for instance if a task keeps all units or none. A layer has
    only one MLP, so within layers MLPs are always nan.
    """
    a, b = _units_of_both(masks_a, masks_b)
    blocks = len(a), np.shape(masks_a)[1] if within_layers else 1, -1
    sums = shuffled_products(a.reshape(blocks), b.reshape(blocks), seed, draws)
    if sums is None:
        return Permutation(NAN, NAN, NAN)
    observed, drawn = sums
    return against_chance(observed / len(a), drawn / len(a))


def table(masks: Mapping[str, np.ndarray], seed: int = 0, draws: int = 10_000) -> pd.DataFrame:
    """Compare all pairs of tasks, one row per pair; masks: {task: masks}.

    "excess": the mean over seeds of shared units minus the units shared by chance.
    "from", "to": its interval over seeds, by `intervals.of_mean`.
    "p": of `permutation_test`; "p (Holm)": corrected over the pairs.
    "p within layers", "p within layers (Holm)": the same if random masks keep the number of units
    of each layer; always nan for MLPs.
    """
    rows = []
    for task, other in combinations(masks, 2):
        pair = masks[task], masks[other]
        shared, by_chance = overlap(*pair), expected_overlap(*pair)
        excess = shared - by_chance
        means = shared.mean(), by_chance.mean(), excess.mean()
        tests = (permutation_test(*pair, seed, draws, within) for within in (False, True))
        rows.append((task, other, *means, *intervals.of_mean(excess), *(test.p for test in tests)))
    columns = ["task", "other task", "shared", "by chance", "excess", "from", "to"]
    frame = pd.DataFrame(rows, columns=[*columns, "p", "p within layers"])
    frame.insert(list(frame.columns).index("p") + 1, "p (Holm)", holm(frame["p"]))
    return frame.assign(**{"p within layers (Holm)": holm(frame["p within layers"])})


def matrices(masks: Mapping[str, np.ndarray]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count the units that each two tasks share: (observed, expected by chance), means over seeds.

    Both are tables [task, task]. On the diagonal, observed is the size of a task's own masks.
    """
    observed, expected = (
        np.array([[of(task, other).mean() for other in masks.values()] for task in masks.values()])
        for of in (overlap, expected_overlap)
    )
    tasks = list(masks)
    return pd.DataFrame(observed, tasks, tasks), pd.DataFrame(expected, tasks, tasks)


def distances(masks: Mapping[str, np.ndarray]) -> np.ndarray:
    """Compute how unlike the tasks' masks are, 1 − Cohen's κ: float [seeds, tasks, tasks].

    Two large masks always share much, so κ counts only agreement beyond what their sizes give.
    If a mask keeps everything or nothing, all agreement is by chance and the distance is 1.
    """
    # [seeds, tasks, units]
    kept = np.stack([units_of(of_task) for of_task in masks.values()], axis=1).astype(float)
    share, n = kept.mean(2), kept.shape[2]
    observed = (kept @ kept.swapaxes(1, 2) + (1 - kept) @ (1 - kept).swapaxes(1, 2)) / n

    def of_pairs(probability: np.ndarray) -> np.ndarray:
        """The probability for two tasks at once, if their masks were independent."""
        return probability[:, :, None] * probability[:, None, :]

    chance = of_pairs(share) + of_pairs(1 - share)
    kappa = np.divide(observed - chance, 1 - chance, out=np.zeros_like(chance), where=chance < 1)
    apart = 1 - kappa
    diagonal = np.arange(apart.shape[1])
    apart[:, diagonal, diagonal] = 0
    return apart


def telling(masks: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Pick the tasks whose masks tell something: no seed keeps all units, or none."""
    units = {task: units_of(of_task) for task, of_task in masks.items()}
    return {t: masks[t] for t, part in units.items() if (part.any(1) & ~part.all(1)).all()}


def seeds_agree(apart: np.ndarray, seed: int = 0, draws: int = 10_000) -> tuple[float, float]:
    """Test whether the seeds rank the pairs of tasks alike: (correlation, p).

    Unless they do, a tree of the tasks may be noise.
    apart: the distances, float [seeds, tasks, tasks]
    correlation: Spearman's, of the distances of two seeds; the mean over all pairs of seeds
    p: one-sided, from shuffling the tasks' names in each seed independently (Mantel's test, for
    several matrices)
    nan for one seed, for fewer than 4 tasks, or if all distances of a seed are equal.
    """
    seeds, tasks, _ = apart.shape
    if seeds < 2 or tasks < 4:
        return NAN, NAN
    upper = np.triu_indices(tasks, 1)
    ranks = rankdata(apart[:, *upper], axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    lengths = np.linalg.norm(ranks, axis=1, keepdims=True)
    if not lengths.all():
        return NAN, NAN
    unit_ranks = np.zeros_like(apart)
    unit_ranks[:, *upper] = ranks / lengths
    unit_ranks += unit_ranks.swapaxes(1, 2)

    def mean_correlation(orders: Iterable[np.ndarray]) -> float:
        vectors = [
            of_seed[np.ix_(order, order)][upper]
            for of_seed, order in zip(unit_ranks, orders, strict=True)
        ]
        # These are unit vectors, and the product of two is Spearman's correlation. The squared
        # length of their sum is seeds · 1 (each with itself) + every correlation twice, so no loop
        # over pairs is needed. Reordering the tasks only permutes a vector: ranks stay valid.
        squared_length = np.square(np.sum(vectors, axis=0)).sum()
        return float((squared_length - seeds) / (seeds * (seeds - 1)))

    draw = np.random.default_rng(seed)
    observed = mean_correlation([np.arange(tasks)] * seeds)
    drawn = [
        mean_correlation([draw.permutation(tasks) for _ in range(seeds)]) for _ in range(draws)
    ]
    return observed, against_chance(observed, np.array(drawn)).p


class OfOneKind(NamedTuple):
    """Mean κ of two tasks of one kind, and of two kinds; p: how often shuffled kinds do as much."""

    same: float
    other: float
    p: float


def of_one_kind(
    masks: Mapping[str, np.ndarray],
    kinds: Mapping[str, str] = KINDS,
    seed: int = 0,
    draws: int = 10_000,
) -> OfOneKind:
    """Test whether tasks of one kind have more alike masks than tasks of two kinds. One-sided.

    The test shuffles the kinds: each task keeps its masks and gets the kind of another. So a task
    that is near to all others, or to none, does not decide.
    kinds: {task: its kind}
    Only the tasks of `telling` are asked. nan if no two of them are of one kind, or no two of
    different kinds.
    """
    asked = telling(masks)
    if len(asked) < 2:
        return OfOneKind(NAN, NAN, NAN)
    upper = np.triu_indices(len(asked), 1)
    kappa = 1 - distances(asked).mean(0)[upper]
    _, of = np.unique([kinds[task] for task in asked], return_inverse=True)

    def of_shuffled(kind: np.ndarray) -> tuple[float, float]:
        alike = kind[upper[0]] == kind[upper[1]]
        if alike.all() or not alike.any():
            return NAN, NAN
        return float(kappa[alike].mean()), float(kappa[~alike].mean())

    same, other = of_shuffled(of)
    if np.isnan(same):
        return OfOneKind(NAN, NAN, NAN)
    draw = np.random.default_rng(seed)
    drawn = np.array([np.subtract(*of_shuffled(draw.permutation(of))) for _ in range(draws)])
    return OfOneKind(same, other, against_chance(same - other, drawn).p)


def clusters(apart: np.ndarray) -> np.ndarray:
    """Build the tree of tasks, scipy's linkage matrix: average linkage of the mean over seeds."""
    return linkage(squareform(apart.mean(0), checks=False), "average")


def _units_of_both(masks_a: np.ndarray, masks_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if np.shape(masks_a) != np.shape(masks_b):
        raise ValueError(
            f"the masks of the two tasks have shapes {np.shape(masks_a)} and {np.shape(masks_b)}; "
            "compare masks of the same model and the same seeds"
        )
    return units_of(masks_a), units_of(masks_b)
