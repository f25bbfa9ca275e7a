"""Measure how well the masks of different seeds agree (paper §5.1).

masks: bool [seeds, layers, heads], or [seeds, layers] for MLPs: the good masks of one task.
Each seed is a rater that says for each unit whether it is kept. A statistic that is undefined (for
one seed, for instance, or where everything is kept) is nan.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import hypergeom
from statsmodels.stats.contingency_tables import cochrans_q, mcnemar
from statsmodels.stats.inter_rater import fleiss_kappa as fleiss_of_counts
from statsmodels.stats.multitest import multipletests

from lib.pruning.masks import WeightMask

NAN = float("nan")


def units_of(masks: np.ndarray) -> np.ndarray:
    """Flatten masks [seeds, …] to bool [seeds, units]; ValueError unless all values are 0 or 1."""
    masks = np.asarray(masks)
    if masks.ndim < 2 or not np.isin(masks, (0, 1)).all():
        raise ValueError(
            "masks must be an array [seeds, layers, …] of 0 and 1; "
            f"this one has type {masks.dtype} and shape {masks.shape}"
        )
    return masks.reshape(len(masks), -1).astype(bool)


def fleiss_kappa(masks: np.ndarray) -> float:
    """Compute Fleiss' κ (1971), the agreement of the seeds beyond chance.

    1 is full agreement; 0 is what chance gives if each unit is kept with the overall share.
    nan for a single seed, or if all seeds keep everything, or all of them nothing.
    """
    kept = units_of(masks)
    if len(kept) < 2 or kept.all() or not kept.any():
        return NAN
    counts = kept.sum(0)
    return float(fleiss_of_counts(np.stack([len(kept) - counts, counts], axis=1)))


class Q(NamedTuple):
    """Cochran's Q, its p-value and its degrees of freedom."""

    statistic: float
    p: float
    df: int


def cochran_q(masks: np.ndarray) -> Q:
    """Test whether the seeds keep the same *share* of units; a small p says no. Cochran (1950).

    Q compares the sizes of the masks, not their members: two masks of equal size that share no
    unit still pass perfectly. nan for a single seed, or if all seeds have the same mask.
    """
    kept = units_of(masks)
    if len(kept) < 2 or (kept == kept[0]).all():
        return Q(NAN, NAN, len(kept) - 1)
    test = cochrans_q(kept.T.astype(int))
    return Q(float(test.statistic), float(test.pvalue), int(test.df))


def pairs(masks: np.ndarray, seeds: Sequence[int]) -> pd.DataFrame:
    """Compare the seeds two at a time, one row per pair: shared units, and two tests.

    "same share": p of McNemar's exact test, the two-seed version of Cochran's Q; a small p says
    that one seed keeps more units. nan if the two masks are the same.
    "shared by chance": the hypergeometric probability that masks of these sizes share at least as
    many units; a small p says that they share more than by chance. nan if a mask is full or empty.
    """
    kept, rows = units_of(masks), []
    for i, j in combinations(range(len(kept)), 2):
        a, b = kept[i], kept[j]
        counts = [[np.sum(a & b), np.sum(a & ~b)], [np.sum(~a & b), np.sum(~a & ~b)]]
        shared = counts[0][0]
        same_share = mcnemar(counts, exact=True).pvalue if (a != b).any() else NAN
        trivial = a.all() or b.all() or not a.any() or not b.any()
        by_chance = NAN if trivial else hypergeom.sf(shared - 1, len(a), a.sum(), b.sum())
        expected = a.sum() * b.sum() / len(a)
        rows.append(
            (seeds[i], seeds[j], int(shared), expected, float(same_share), float(by_chance))
        )
    return pd.DataFrame(
        rows, columns=["seed", "other seed", "shared", "expected", "same share", "shared by chance"]
    )


def survival_counts(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count the units that survive in 0, 1, …, S seeds: (observed, expected), [S + 1] each.

    Expected: for random masks, where seed s keeps each unit with probability |m_s| / n. The seeds
    are independent, so the number of seeds that keep a unit is Poisson-binomial.
    """
    kept = units_of(masks)
    probabilities = np.ones(1)
    for share in kept.mean(1):
        probabilities = np.convolve(probabilities, [1 - share, share])
    return np.bincount(kept.sum(0), minlength=len(kept) + 1), kept.shape[1] * probabilities


class Permutation(NamedTuple):
    """The result of a one-sided permutation test.

    observed: the statistic of the real masks: the mean number of units shared by two seeds or tasks
    expected: the mean of the statistic over the random draws
    p: the share of draws whose statistic is at least as large, as `against_chance` counts them
    """

    observed: float
    expected: float
    p: float


def against_chance(observed: float, drawn: np.ndarray) -> Permutation:
    """Compare an observed statistic with those of random draws, float [draws].

    The observed value counts as one of the draws, so p is never 0.
    """
    # sums of floats can differ in their last digits, so a tie is a tie up to 1e-9
    as_large = (drawn >= observed - 1e-9).sum()
    return Permutation(observed, float(drawn.mean()), float((1 + as_large) / (1 + len(drawn))))


def permutation_test(
    masks: np.ndarray, seed: int = 0, draws: int = 10_000, within_layers: bool = False
) -> Permutation:
    """Test whether two seeds share more units, on average, than random masks of the same sizes.

    Each draw shuffles the seeds' masks independently: over all units or, with within_layers, inside
    each layer, so that every layer keeps its number of units. At fixed sizes Fleiss' κ rises with
    the number of shared units, so the test over all units is a test of κ, too.
    nan if no shuffle can change what the seeds share: see `_can_be_shuffled`.
    """
    kept = units_of(masks)
    if not _can_be_shuffled(masks, within_layers):
        return Permutation(NAN, NAN, NAN)
    blocks = kept.reshape(np.shape(masks)[0], np.shape(masks)[1] if within_layers else 1, -1)
    draw = np.random.default_rng(seed)
    counts = np.zeros((draws, *blocks.shape[1:]), np.int16)
    for mask in blocks:
        counts += draw.permuted(np.broadcast_to(mask, counts.shape), axis=2)
    n_pairs = len(kept) * (len(kept) - 1) / 2

    def shared(count: np.ndarray) -> np.ndarray:
        """Units shared by two seeds: a unit that k seeds keep is shared by k (k - 1) / 2 pairs."""
        return (count * (count - 1) // 2).reshape(*count.shape[:-2], -1).sum(-1) / n_pairs

    return against_chance(float(shared(blocks.sum(0))), shared(counts))


def _can_be_shuffled(masks: np.ndarray, within_layers: bool) -> bool:
    """Tell whether shuffling can change how many units the seeds share.

    It can if, over all units (or in one and the same layer), two seeds keep some but not all. A
    seed that keeps everything or nothing there shares as many units with any order of another one.
    """
    masks = np.asarray(masks, bool)
    shares = masks.reshape(len(masks), masks.shape[1] if within_layers else 1, -1).mean(2)
    return bool((((shares > 0) & (shares < 1)).sum(0) >= 2).any())


def shuffled_products(
    a: np.ndarray, b: np.ndarray, seed: int, draws: int
) -> tuple[float, np.ndarray] | None:
    """Sum a · b, as it is and with the units of b shuffled: (observed, drawn float [draws]).

    Each draw shuffles the units inside each layer, in the same way in all rows, so that whatever
    the rows of b have in common stays. This is the permutation test of `overlap` (rows are seeds)
    and of `patterns` (rows are tasks).
    a, b: [rows, layers, units]; to shuffle over all layers, pass [rows, 1, units]
    None if no shuffle can change the sum.
    """
    # [layer, unit of a, unit of b]: their products, summed over rows
    together = np.einsum("rli,rlj->lij", a, b, dtype=np.float64)
    # a sum of one term for the unit of a and one for the unit of b is the same in every order
    steps = np.diff(np.diff(together, axis=1), axis=2)
    if np.allclose(steps, 0, atol=1e-9 * np.abs(together).max()):
        return None
    layers, units, _ = together.shape
    orders = np.random.default_rng(seed).permuted(
        np.broadcast_to(np.arange(units), (draws, layers, units)), axis=2
    )
    drawn = together[np.arange(layers)[:, None], np.arange(units), orders].sum((1, 2))
    return float(np.trace(together, axis1=1, axis2=2).sum()), drawn


def holm(p_values: ArrayLike) -> np.ndarray:
    """Correct p-values for the number of tests (Holm 1979); nan stays nan and is not counted."""
    values = np.asarray(p_values, float)
    tested, corrected = np.isfinite(values), np.full(len(values), NAN)
    if tested.any():
        corrected[tested] = multipletests(values[tested], method="holm")[1]
    return corrected


def table(masks: Mapping[str, np.ndarray], seed: int = 0, draws: int = 10_000) -> pd.DataFrame:
    """Collect κ, Q's p and the permutation test in one row per task; masks: {task: masks}.

    "p within layers": the p if random masks keep the number of units of each layer; always nan for
    MLPs, because a layer has one.
    "p (Holm)", "p within layers (Holm)": corrected over the tasks; the p of Q is not.
    "why nan": the answer of `why_nan`.
    """
    rows = []
    for task, of_task in masks.items():
        kept, test = units_of(of_task), permutation_test(of_task, seed, draws)
        rows.append({
            "task": task, "seeds": len(kept), "kept": kept.sum(1).mean(),
            "κ": fleiss_kappa(of_task), "p of Q": cochran_q(of_task).p,
            "shared by two seeds": test.observed, "by chance": test.expected, "p": test.p,
            "p within layers": permutation_test(of_task, seed, draws, within_layers=True).p,
            "why nan": why_nan(of_task),
        })  # fmt: skip
    frame = pd.DataFrame(rows).set_index("task")
    for name in ("p", "p within layers"):
        frame.insert(list(frame.columns).index(name) + 1, f"{name} (Holm)", holm(frame[name]))
    return frame


def why_nan(masks: np.ndarray) -> str:
    """Say why κ, Q or a permutation test is nan, with all reasons; empty if none of them is."""
    kept = units_of(masks)
    if len(kept) < 2:
        return "one seed"
    if kept.all() or not kept.any():
        return "everything is kept" if kept.all() else "nothing is kept"
    reasons = []
    if (kept == kept[0]).all():
        reasons.append("all seeds are the same, so Q has nothing to compare")
    if not _can_be_shuffled(masks, within_layers=False):
        reasons.append(
            "all seeds but one (or all) keep everything or nothing, "
            "so random masks share the same number of units"
        )
    elif np.ndim(masks) == 2:
        reasons.append("a layer has one MLP, so there is nothing to shuffle within layers")
    elif not _can_be_shuffled(masks, within_layers=True):
        reasons.append("in no layer do two seeds keep some but not all units")
    return "; ".join(reasons)


class Jaccard(NamedTuple):
    """The Jaccard index of two masks, what both keep divided by what either keeps.

    index: of the two masks
    by_chance: of random masks of their sizes
    at_most: if the smaller one lay inside the larger one
    """

    index: float
    by_chance: float
    at_most: float


def jaccard(one: WeightMask, other: WeightMask) -> Jaccard:
    """Compare two masks of single weights of one model; nan if neither keeps anything."""
    shared = sum(int(np.bitwise_count(one.bits[n] & other.bits[n]).sum()) for n in one)
    small, large = sorted([one.kept, other.kept])
    if not large:
        return Jaccard(NAN, NAN, NAN)
    expected = small * large / one.size
    return Jaccard(
        shared / (small + large - shared), expected / (small + large - expected), small / large
    )


# --- masks of equal size --------------------------------------------------------------------------


def kappa_by_size(importances: np.ndarray) -> np.ndarray:
    """Compute Fleiss' κ of masks of equal size, for every size: float [units + 1].

    Element k is κ if each seed keeps its k most important units, so two estimators, or two tasks,
    can be compared at the same k. κ depends on the size, so masks of different sizes cannot.
    importances: float [seeds, …], one row of units per seed; a tie goes to the earlier unit
    nan for k = 0 and for all units, where there is nothing to agree on, and for a single seed.
    """
    scores = np.reshape(importances, (len(importances), -1))
    ranks = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    return _kappa_of_ranks(ranks[None])[0]


def random_kappa_by_size(
    seeds: int, units: int, quantile: float = 0.95, seed: int = 0, draws: int = 2_000
) -> np.ndarray:
    """Compute the control of `kappa_by_size`: a quantile of κ over random orders, [units + 1].

    The mean of κ over random masks of equal sizes is 0. The quantile holds for one k at a time: a
    curve that looks at all k goes above it somewhere by chance more often.
    """
    ranks = np.broadcast_to(np.arange(units), (draws, seeds, units))
    kappas = _kappa_of_ranks(np.random.default_rng(seed).permuted(ranks, axis=2))
    return np.quantile(kappas, quantile, axis=0)


def _kappa_of_ranks(ranks: np.ndarray) -> np.ndarray:
    """Compute κ [draws, k] for every size k; ranks: [draws, seeds, units], kept if below k."""
    draws, seeds, units = ranks.shape
    shared = np.zeros((draws, units + 1))
    for i, j in combinations(range(seeds), 2):
        # both seeds keep a unit from the size on that the worse of its two ranks asks for
        enters = np.maximum(ranks[:, i], ranks[:, j]) + 1
        np.add.at(shared, (np.arange(draws)[:, None], enters), 1)
    p = np.arange(units + 1) / units
    kappas = np.full(shared.shape, NAN)
    if seeds > 1:
        shared = shared.cumsum(1) / (seeds * (seeds - 1) / 2 * units)
        inner = slice(1, -1)
        # fleiss_kappa's formula, where all seeds keep the share p
        kappas[:, inner] = (shared - p**2)[:, inner] / (p * (1 - p))[inner]
    return kappas
