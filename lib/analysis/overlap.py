"""What tasks share (paper §5.3, Figures 5 and 19): units that survive for both, against what chance would leave.

masks: bool [seeds, layers, heads] (or [seeds, layers] for MLPs) of one task; for two tasks, the same seeds in order.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from lib.analysis.agreement import NAN, Permutation, against_chance, holm, units_of
from lib.paper.tables import interval


def overlap(masks_a: np.ndarray, masks_b: np.ndarray) -> np.ndarray:
    """How many units both tasks keep, for each seed: int [seeds]. With one task twice: how many it keeps."""
    a, b = _both(masks_a, masks_b)
    return (a & b).sum(1)


def expected_overlap(masks_a: np.ndarray, masks_b: np.ndarray) -> np.ndarray:
    """What `overlap` would be of masks drawn at random with the sizes they have: |a|·|b| / n, float [seeds].

    The mean of a hypergeometric distribution: of n units a are kept by one task, and b are drawn for the other.
    """
    a, b = _both(masks_a, masks_b)
    return a.sum(1) * b.sum(1) / a.shape[1]


def permutation_test(
    masks_a: np.ndarray, masks_b: np.ndarray, seed: int = 0, draws: int = 10_000
) -> Permutation:
    """Do two tasks share more units than they would if one task's units had been dealt out at random?

    One task's units are renamed, in all of its seeds alike, so that what its seeds have in common stays: five seeds
    of a task are not five tasks. With a single seed this is the hypergeometric test. One-sided; nan where either
    task keeps everything, or nothing.
    """
    a, b = _both(masks_a, masks_b)
    if any(
        (masks.sum(0) == masks.sum(0)[0]).all() for masks in (a, b)
    ):  # renaming would change nothing
        return Permutation(NAN, NAN, NAN)
    together = (
        a.T.astype(np.float64) @ b
    )  # [unit of a, unit of b]: the number of seeds in which both are kept
    renamed = np.random.default_rng(seed).permuted(
        np.tile(np.arange(len(together)), (draws, 1)), axis=1
    )
    drawn = together[np.arange(len(together)), renamed].sum(1) / len(a)
    return against_chance(float(np.trace(together)) / len(a), drawn)


def table(masks: Mapping[str, np.ndarray], seed: int = 0, draws: int = 10_000) -> pd.DataFrame:
    """All pairs of tasks: shared, by chance, the excess with its 95 % interval over seeds, p and Holm's p.

    masks: {task: masks}. The excess is paired by seed, as the paper pairs them; p is `permutation_test`'s.
    """
    rows = []
    for one, other in combinations(masks, 2):
        shared, chance = (
            overlap(masks[one], masks[other]),
            expected_overlap(masks[one], masks[other]),
        )
        low, high = interval(shared - chance)
        p = permutation_test(masks[one], masks[other], seed, draws).p
        rows.append(
            (one, other, shared.mean(), chance.mean(), (shared - chance).mean(), low, high, p)
        )
    columns = ["task", "other task", "shared", "by chance", "excess", "from", "to", "p"]
    found = pd.DataFrame(rows, columns=columns)
    return found.assign(**{"p (Holm)": holm(found["p"])})


def matrices(masks: Mapping[str, np.ndarray]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(mean, sample standard deviation) over seeds of the units that two tasks share; the diagonal is a task's size."""
    shared = np.array(
        [[overlap(one, other) for other in masks.values()] for one in masks.values()], float
    )
    seeds = shared.shape[2]
    deviation = shared.std(2, ddof=1) if seeds > 1 else np.full(shared.shape[:2], NAN)
    return tuple(
        pd.DataFrame(part, list(masks), list(masks)) for part in (shared.mean(2), deviation)
    )


def distances(masks: Mapping[str, np.ndarray]) -> np.ndarray:
    """How unlike the tasks' masks are, seed by seed: 1 − Cohen's κ, float [seeds, tasks, tasks].

    κ, because two large masks share much whatever they are: agreement counts only beyond what the sizes bring. Two
    masks of which one keeps everything, or nothing, agree by chance alone: 1.
    """
    kept = np.stack([units_of(part) for part in masks.values()], axis=1).astype(
        float
    )  # [seeds, tasks, units]
    share, n = kept.mean(2), kept.shape[2]
    observed = (kept @ kept.swapaxes(1, 2) + (1 - kept) @ (1 - kept).swapaxes(1, 2)) / n
    both = lambda part: part[:, :, None] * part[:, None, :]  # noqa: E731
    chance = both(share) + both(1 - share)
    kappa = np.divide(observed - chance, 1 - chance, out=np.zeros_like(chance), where=chance < 1)
    apart = 1 - kappa
    diagonal = np.arange(apart.shape[1])
    apart[:, diagonal, diagonal] = 0
    return apart


def seeds_agree(apart: np.ndarray, seed: int = 0, draws: int = 2_000) -> tuple[float, float]:
    """(correlation, p): do the seeds rank the pairs of tasks alike? If not, a clustering of the tasks is noise.

    apart: [seeds, tasks, tasks]. Spearman's correlation of two seeds' distances, mean over pairs of seeds; p from
    renaming the tasks in each seed by itself (Mantel's test, for several matrices). nan for one seed or under 4 tasks.
    """
    seeds, tasks, _ = apart.shape
    if seeds < 2 or tasks < 4:
        return NAN, NAN
    upper = np.triu_indices(tasks, 1)
    ranks = rankdata(apart[:, *upper], axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    lengths = np.linalg.norm(ranks, axis=1, keepdims=True)
    if not lengths.all():  # all pairs of tasks are as far apart: there is nothing to rank
        return NAN, NAN
    square = np.zeros_like(apart)
    square[:, *upper] = ranks / lengths
    square += square.swapaxes(1, 2)

    def alike(orders: Iterable[np.ndarray]) -> float:
        named = [
            part[np.ix_(order, order)][upper] for part, order in zip(square, orders, strict=True)
        ]
        # the squared length of a sum of unit vectors holds all their correlations: the mean over pairs of seeds
        return float((np.square(np.sum(named, axis=0)).sum() - seeds) / (seeds * (seeds - 1)))

    draw = np.random.default_rng(seed)
    there = alike([np.arange(tasks)] * seeds)
    drawn = [alike([draw.permutation(tasks) for _ in range(seeds)]) for _ in range(draws)]
    return there, against_chance(there, np.array(drawn)).p


def clusters(apart: np.ndarray) -> np.ndarray:
    """The tree of tasks (scipy's linkage matrix), by the mean distance over seeds and between groups."""
    return linkage(squareform(apart.mean(0), checks=False), "average")


def _both(masks_a: np.ndarray, masks_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if np.shape(masks_a) != np.shape(masks_b):
        raise ValueError(
            f"the tasks' masks must have one shape, not {np.shape(masks_a)} and {np.shape(masks_b)}"
        )
    return units_of(masks_a), units_of(masks_b)
