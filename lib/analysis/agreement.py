"""Do the seeds agree on what survives? (paper §5.1). Masks in, numbers out; nothing here knows of models.

masks: bool [seeds, layers, heads] (or [seeds, layers] for MLPs) everywhere: the good masks of one task. Each seed is a
rater that says of each unit whether it is kept. What cannot be said (one seed, everything kept, nothing kept) is nan.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import hypergeom, spearmanr
from statsmodels.stats.contingency_tables import cochrans_q, mcnemar
from statsmodels.stats.inter_rater import fleiss_kappa as fleiss_of_counts
from statsmodels.stats.multitest import multipletests

from lib.pruning.importance import importance, normalise

NAN = float("nan")


def units_of(masks: np.ndarray) -> np.ndarray:
    """bool [seeds, units] of masks with any shape behind the seeds; ValueError for other values than 0 and 1."""
    masks = np.asarray(masks)
    if masks.ndim < 2 or not np.isin(masks, (0, 1)).all():
        raise ValueError(
            f"masks must be 0 and 1 in an array [seeds, layers, …], not {masks.dtype} {masks.shape}"
        )
    return masks.reshape(len(masks), -1).astype(bool)


def fleiss_kappa(masks: np.ndarray) -> float:
    """How far the seeds agree beyond what the share of kept units makes likely: 1 always, 0 by chance. Fleiss (1971).

    nan for a single seed, or where all units of all seeds are kept, or none.
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
    """Do the seeds keep the same *share* of units? A small p says no. Cochran (1950).

    It compares the sizes of the masks, not their members: whether the seeds keep the same units it does not ask.
    nan for a single seed, or where every unit is kept by all seeds or by none, so that there is nothing to compare.
    """
    kept = units_of(masks)
    if len(kept) < 2 or (kept == kept[0]).all():
        return Q(NAN, NAN, len(kept) - 1)
    found = cochrans_q(kept.T.astype(int))
    return Q(float(found.statistic), float(found.pvalue), int(found.df))


def pairs(masks: np.ndarray, seeds: Sequence[int]) -> pd.DataFrame:
    """Two seeds at a time: the units that both keep, what chance would leave, and two tests, a row a pair.

    "same share": McNemar's exact test, which is Cochran's Q for two; a small p says that one seed keeps more.
    "shared by chance": the hypergeometric chance that masks of these sizes share as many; a small p says: alike.
    """
    kept, rows = units_of(masks), []
    for one, other in combinations(range(len(kept)), 2):
        a, b = kept[one], kept[other]
        table = [[np.sum(a & b), np.sum(a & ~b)], [np.sum(~a & b), np.sum(~a & ~b)]]
        same_share = mcnemar(table, exact=True).pvalue if (a != b).any() else NAN
        trivial = a.all() or b.all() or not a.any() or not b.any()
        chance = NAN if trivial else hypergeom.sf(table[0][0] - 1, len(a), a.sum(), b.sum())
        expected = a.sum() * b.sum() / len(a)
        rows.append(
            (seeds[one], seeds[other], int(table[0][0]), expected, float(same_share), float(chance))
        )
    return pd.DataFrame(
        rows, columns=["seed", "other seed", "shared", "expected", "same share", "shared by chance"]
    )


def survival_counts(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many units survive in 0, 1, …, S seeds: (as it is, as expected of masks drawn at random); [S + 1] each.

    At random: seed s keeps each unit with probability |m_s| / n, so the number of seeds is Poisson-binomial.
    """
    kept = units_of(masks)
    chance = np.ones(1)
    for share in kept.mean(1):
        chance = np.convolve(chance, [1 - share, share])
    return np.bincount(kept.sum(0), minlength=len(kept) + 1), kept.shape[1] * chance


class Permutation(NamedTuple):
    """alike: the units that two seeds (or tasks) share, on average; by_chance: of random masks; p: one-sided."""

    observed: float
    expected: float
    p: float


def against_chance(alike: float, drawn: np.ndarray) -> Permutation:
    """What is there against what was drawn at random, float [draws].

    It counts as one of the draws, so p is never 0; as sums of floats may differ in their last digits, a draw that is
    as large up to 1e-9 counts as such.
    """
    return Permutation(
        alike, float(drawn.mean()), float((1 + (drawn >= alike - 1e-9).sum()) / (1 + len(drawn)))
    )


def permutation_test(
    masks: np.ndarray, seed: int = 0, draws: int = 10_000, within_layers: bool = False
) -> Permutation:
    """Are the seeds' masks more alike than masks of the same sizes drawn at random? The question of §5.1.

    Each seed's kept units are dealt out anew, over all units, or within_layers, where each layer keeps its number.
    At given sizes the mean number of shared units and Fleiss' κ order masks alike, so this is κ's test, too. nan where
    no draw can differ.
    """
    kept = units_of(masks)
    layers = kept.reshape(np.shape(masks)[0], np.shape(masks)[1] if within_layers else 1, -1)
    shares = layers.mean(2)
    if len(kept) < 2 or ((shares == 0) | (shares == 1)).all(1).sum() >= len(kept) - 1:
        return Permutation(NAN, NAN, NAN)
    draw = np.random.default_rng(seed)
    counts = sum(
        draw.permuted(np.broadcast_to(one, (draws, *one.shape)), axis=2).astype(np.int16)
        for one in layers
    )
    number = len(kept) * (len(kept) - 1) / 2
    shared = lambda count: (
        (count * (count - 1) // 2).reshape(*count.shape[:-2], -1).sum(-1) / number
    )
    return against_chance(float(shared(layers.sum(0))), shared(counts))


def holm(p_values: Sequence[float]) -> np.ndarray:
    """The p-values, corrected for asking as many questions (Holm 1979); nan stays nan and counts as no question."""
    p_values = np.asarray(p_values, float)
    asked, corrected = np.isfinite(p_values), np.full(len(p_values), NAN)
    if asked.any():
        corrected[asked] = multipletests(p_values[asked], method="holm")[1]
    return corrected


def table(masks: Mapping[str, np.ndarray], seed: int = 0, draws: int = 10_000) -> pd.DataFrame:
    """What the notebook shows, a row a task: κ, Q's p, the permutation test with Holm's correction over the tasks.

    masks: {task: masks}. "within layers": the p where each layer of each seed keeps its number. "why nan" says what
    could not be said, and why.
    """
    rows = []
    for task, part in masks.items():
        kept, test = units_of(part), permutation_test(part, seed, draws)
        rows.append({
            "task": task, "seeds": len(kept), "kept": kept.sum(1).mean(),
            "κ": fleiss_kappa(part), "p of Q": cochran_q(part).p,
            "shared by two seeds": test.observed, "by chance": test.expected, "p": test.p,
            "p within layers": permutation_test(part, seed, draws, within_layers=True).p,
            "why nan": why_nan(part),
        })  # fmt: skip
    found = pd.DataFrame(rows).set_index("task")
    found.insert(found.columns.get_loc("p") + 1, "p (Holm)", holm(found["p"]))
    return found


def why_nan(masks: np.ndarray) -> str:
    """Why κ, Q or the permutation test cannot be said of these masks, in words; empty where all can."""
    kept = units_of(masks)
    if len(kept) < 2:
        return "one seed"
    if kept.all() or not kept.any():
        return "everything is kept" if kept.all() else "nothing is kept"
    if (kept == kept[0]).all():
        return "all seeds are the same, so Q has nothing to compare"
    if (kept.any(1) & ~kept.all(1)).sum() < 2:
        return "all seeds but one (or all) keep everything or nothing, so random masks are the same masks"
    return ""


# --- how much of the disagreement is the estimator's --------------------------------------------------------------


def split_half(
    gradients: np.ndarray, layers: int, heads: int, estimator: str, seed: int = 0, draws: int = 50
) -> tuple[float, float]:
    """(heads, MLPs): Spearman's correlation between the importances that two random halves of the rows give, mean.

    gradients: float [rows, layers·heads + layers], from `importance.measure`. The same model, the same rows: what is
    missing to 1 is the estimator's own noise, at half the rows. Heads are normalised by layer, as for pruning.
    """
    draw, found = np.random.default_rng(seed), []
    for _ in range(draws):
        order = draw.permutation(len(gradients))
        halves = np.array_split(gradients[order], 2)
        one, other = (normalise(importance(half, layers, heads, estimator)) for half in halves)
        found.append([_ranks_agree(one.heads, other.heads), _ranks_agree(one.mlps, other.mlps)])
    heads_agree, mlps_agree = np.mean(found, axis=0)
    return float(heads_agree), float(mlps_agree)


def _ranks_agree(one: np.ndarray, other: np.ndarray) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:  # all units alike: no order to agree on
        return NAN
    return float(spearmanr(one.ravel(), other.ravel()).statistic)


def exchangeable(gradients: np.ndarray, live: np.ndarray, errors: float = 2.0) -> float:
    """The share of live heads that could change places with a neighbour in the order of importance, for all one knows.

    gradients: float [rows, layers·heads + layers]; live: bool [layers, heads]. Two heads that follow one another in
    the normalised order cannot be told apart where their difference, taken row by row, is within so many of its
    standard errors. nan for fewer than two live heads. Source: the explanation in §5.1, made a number.
    """
    layers, heads = live.shape
    rows = np.abs(np.asarray(gradients, float))[:, : layers * heads].reshape(-1, layers, heads)
    norms = np.linalg.norm(rows.mean(0), axis=1, keepdims=True)
    rows = (rows / np.where(norms > 0, norms, 1)).reshape(len(rows), -1)[:, live.ravel()]
    if rows.shape[1] < 2:
        return NAN
    steps = np.diff(rows[:, np.argsort(rows.mean(0), kind="stable")], axis=1)
    alike = steps.mean(0) <= errors * steps.std(0, ddof=1) / np.sqrt(len(steps))
    return float((np.r_[alike, False] | np.r_[False, alike]).mean())
