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
from scipy.stats import hypergeom, spearmanr
from statsmodels.stats.contingency_tables import cochrans_q, mcnemar
from statsmodels.stats.inter_rater import fleiss_kappa as fleiss_of_counts
from statsmodels.stats.multitest import multipletests

from lib.pruning.importance import Estimator, importance, normalise

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
    nan if fewer than two seeds have anything to shuffle: a full or empty mask (or layer) has not.
    """
    kept = units_of(masks)
    blocks = kept.reshape(np.shape(masks)[0], np.shape(masks)[1] if within_layers else 1, -1)
    shares = blocks.mean(2)
    # shuffling one seed changes nothing if all other seeds are full or empty
    if len(kept) < 2 or ((shares == 0) | (shares == 1)).all(1).sum() >= len(kept) - 1:
        return Permutation(NAN, NAN, NAN)
    draw = np.random.default_rng(seed)
    counts = np.zeros((draws, *blocks.shape[1:]), np.int16)
    for mask in blocks:
        counts += draw.permuted(np.broadcast_to(mask, counts.shape), axis=2)
    n_pairs = len(kept) * (len(kept) - 1) / 2

    def shared(count: np.ndarray) -> np.ndarray:
        """Units shared by two seeds: a unit that k seeds keep is shared by k (k - 1) / 2 pairs."""
        return (count * (count - 1) // 2).reshape(*count.shape[:-2], -1).sum(-1) / n_pairs

    return against_chance(float(shared(blocks.sum(0))), shared(counts))


def holm(p_values: ArrayLike) -> np.ndarray:
    """Correct p-values for the number of tests (Holm 1979); nan stays nan and is not counted."""
    values = np.asarray(p_values, float)
    tested, corrected = np.isfinite(values), np.full(len(values), NAN)
    if tested.any():
        corrected[tested] = multipletests(values[tested], method="holm")[1]
    return corrected


def table(masks: Mapping[str, np.ndarray], seed: int = 0, draws: int = 10_000) -> pd.DataFrame:
    """Collect κ, Q's p and the permutation test in one row per task; masks: {task: masks}.

    "p (Holm)": p, corrected over the tasks; the other p-values are not corrected.
    "p within layers": the p if random masks keep the number of units of each layer.
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
    frame.insert(list(frame.columns).index("p") + 1, "p (Holm)", holm(frame["p"]))
    return frame


def why_nan(masks: np.ndarray) -> str:
    """Say why κ, Q or the permutation test over all units is nan; empty if none of them is.

    This leaves out the test within layers, whose p can be nan for its own reason: a layer has only
    one MLP, so there is nothing to shuffle.
    """
    kept = units_of(masks)
    if len(kept) < 2:
        return "one seed"
    if kept.all() or not kept.any():
        return "everything is kept" if kept.all() else "nothing is kept"
    if (kept == kept[0]).all():
        return "all seeds are the same, so Q has nothing to compare"
    if (kept.any(1) & ~kept.all(1)).sum() < 2:
        return (
            "all seeds but one (or all) keep everything or nothing, "
            "so random masks are the same masks"
        )
    return ""


# --- how much of the disagreement comes from the estimator ----------------------------------------


def split_half(
    gradients: np.ndarray,
    layers: int,
    heads: int,
    estimator: Estimator,
    seed: int = 0,
    draws: int = 50,
) -> tuple[float, float]:
    """Correlate the importances from two random halves of the rows: (heads, MLPs), Spearman's ρ.

    Each ρ is the mean over `draws` random splits. Both halves come from one model, so any shortfall
    from 1 is estimation error at half the rows; the seed plays no part in it.
    Heads are ℓ2-normalised in each layer, as pruning does by default.
    gradients: float [rows, layers·heads + layers], from `importance.measure`
    nan if a half gives all heads (or all MLPs) the same importance.
    """
    draw, correlations = np.random.default_rng(seed), []
    for _ in range(draws):
        order = draw.permutation(len(gradients))
        halves = np.array_split(gradients[order], 2)
        a, b = (normalise(importance(half, layers, heads, estimator)) for half in halves)
        correlations.append(
            [_rank_correlation(a.heads, b.heads), _rank_correlation(a.mlps, b.mlps)]
        )
    of_heads, of_mlps = np.mean(correlations, axis=0)
    return float(of_heads), float(of_mlps)


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    if np.ptp(a) == 0 or np.ptp(b) == 0:  # equal values have no order
        return NAN
    return float(spearmanr(a.ravel(), b.ravel()).statistic)


def exchangeable(gradients: np.ndarray, live: np.ndarray, errors: float = 2.0) -> float:
    """Compute the share of live heads whose importance is close to a neighbour's.

    The live heads are put in order of normalised importance, E|g|. Two neighbours are close if the
    mean of their difference, row by row, is at most `errors` of its standard errors. The order
    comes from the same rows and no correction is made, so this describes the heads and is no test.
    gradients: float [rows, layers·heads + layers]; live: bool [layers, heads]
    nan for fewer than two live heads. Ours, to put a number to the explanation in §5.1.
    """
    layers, heads = live.shape
    rows = np.abs(np.asarray(gradients, float))[:, : layers * heads].reshape(-1, layers, heads)
    norms = np.linalg.norm(rows.mean(0), axis=1, keepdims=True)
    rows = (rows / np.where(norms > 0, norms, 1)).reshape(len(rows), -1)[:, live.ravel()]
    if rows.shape[1] < 2:
        return NAN
    steps = np.diff(rows[:, np.argsort(rows.mean(0), kind="stable")], axis=1)
    close = steps.mean(0) <= errors * steps.std(0, ddof=1) / np.sqrt(len(steps))
    # close[i] is about heads i and i + 1, so each head looks at the pair before and the pair after
    return float((np.r_[close, False] | np.r_[False, close]).mean())
