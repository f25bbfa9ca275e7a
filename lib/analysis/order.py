"""How sure is the order of the units? Over examples, over seeds, and by chance (paper §5.1).

rows: float [rows, layers·heads + layers], what an estimator reduces: `Measurement.rows_for`. Heads
are ℓ2-normalised in each layer, as pruning does by default.
A correlation is Spearman's ρ, and nan where one side has no order. Ours; the paper has none of it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from lib.pruning.importance import Estimator, importance, normalise

NAN = float("nan")
FEWEST_UNITS = 5  # fewer units than that have no rank correlation worth the name


class OfUnits(NamedTuple):
    """A number for the heads and one for the MLPs."""

    heads: float
    mlps: float


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Compute Spearman's ρ of two arrays of one shape; see `rank_correlations`."""
    return float(rank_correlations([a, b])[0, 1])


def rank_correlations(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Compute Spearman's ρ of each array with each, all of one shape: float [arrays, arrays].

    A unit that is nan in any of them is left out. nan for fewer than FEWEST_UNITS units, or if a
    side is constant: equal values have no order.
    """
    values = np.stack([np.ravel(one) for one in arrays])
    values = values[:, ~np.isnan(values).any(axis=0)]
    if values.shape[1] < FEWEST_UNITS:
        return np.full((len(arrays), len(arrays)), NAN)
    ranks = rankdata(values, axis=1) - (values.shape[1] + 1) / 2
    lengths = np.linalg.norm(ranks, axis=1, keepdims=True)  # 0 for what is constant
    ranks = np.divide(ranks, lengths, out=np.full_like(ranks, NAN), where=lengths > 0)
    return ranks @ ranks.T


# --- reliable, and stable over seeds --------------------------------------------------------------


class SameOrder(NamedTuple):
    """How well two measurements of importance agree in their order of units: mean ρ.

    other_rows: of one model on two samples of rows. What is missing to 1 is the rows' noise.
    other_seed: of two models on the same sample. What is missing to 1 is the models' difference,
        and noise that the two have in common is counted as agreement.
    both: of two models on two samples. If it equals other_rows, the models estimate the same.
    """

    other_rows: OfUnits
    other_seed: OfUnits
    both: OfUnits


def same_order(
    parts: Sequence[np.ndarray],
    layers: int,
    heads: int,
    estimator: Estimator,
    sample: int | None = None,
    seed: int = 0,
    draws: int = 50,
) -> SameOrder:
    """Compare importances over rows, over seeds, and over both.

    In each draw two samples of rows without a row in common are taken, the same ones for all seeds.
    parts: for each seed, the rows of its model, in the same order of examples
    sample: rows in a sample; None for half of them
    With one seed, other_seed and both are nan.
    """
    count = len(parts[0])
    sample = count // 2 if sample is None else sample
    if not 0 < sample <= count // 2:
        raise ValueError(f"a sample of {sample} rows: there are {count}, so at most {count // 2}")
    draw, found = np.random.default_rng(seed), []
    for _ in range(draws):
        order = draw.permutation(count)
        samples = order[:sample], order[sample : 2 * sample]
        a, b = (
            [normalise(importance(part[rows], layers, heads, estimator)) for part in parts]
            for rows in samples
        )
        found.append(
            [
                _mean_correlations([x.heads for x in a], [y.heads for y in b]),
                _mean_correlations([x.mlps for x in a], [y.mlps for y in b]),
            ]
        )
    return SameOrder(*(OfUnits(*kind) for kind in np.mean(found, axis=0).T.tolist()))


def _mean_correlations(a: list[np.ndarray], b: list[np.ndarray]) -> list[float]:
    """Compute what a `SameOrder` has, of the models' importances on two samples, a and b."""
    found, others = rank_correlations([*a, *b])[: len(a)], ~np.eye(len(a), dtype=bool)
    on_one, on_two = found[:, : len(a)], found[:, len(a) :]
    if not others.any():
        return [float(on_two.mean()), NAN, NAN]
    return [float(part.mean()) for part in (on_two[~others], on_one[others], on_two[others])]


def swaps(
    rows: np.ndarray,
    live: np.ndarray,
    places: int,
    estimator: Estimator = "example",
    seed: int = 0,
    draws: int = 50,
) -> float:
    """Estimate the probability that other rows put two heads into the opposite order.

    One random half of the rows puts the live heads in order of normalised importance. Of all heads
    that are `places` apart in that order, the function returns the share that the other half puts
    the other way round: the mean over `draws` random splits, where a tie counts as half.
    0 is a clear ranking and 0.5 is pure noise, whatever `places` is, because the half that makes
    the order is not the half that tests it. Heads next to each other (places = 1) may swap because
    the order is noise or because they matter equally; heads ten places apart are the control.
    live: bool [layers, heads]
    nan for fewer than two rows, or if there are not more than `places` live heads. Ours, to put a
    number to the explanation in §5.1.
    """
    if live.sum() <= places or len(rows) < 2:
        return NAN
    draw, shares = np.random.default_rng(seed), []
    for _ in range(draws):
        halves = np.array_split(draw.permutation(len(rows)), 2)
        first, second = (
            normalise(importance(rows[half], *live.shape, estimator)).heads[live] for half in halves
        )
        ordered = second[np.argsort(first, kind="stable")]
        steps = ordered[places:] - ordered[:-places]
        shares.append(np.mean((steps < 0) + 0.5 * (steps == 0)))
    return float(np.mean(shares))


# --- intervals ------------------------------------------------------------------------------------


def over_rows(
    statistic: Callable[[np.ndarray], np.ndarray], count: int, seed: int = 0, draws: int = 200
) -> np.ndarray:
    """Bootstrap a statistic over examples: float [3, …], its value and a 95 % interval.

    The interval says how far the examples at hand could have misled, with these models and as many
    examples. It says nothing of other seeds. A resample holds some examples twice, so it is noisier
    than the sample, and correlations and κ of noisy orders are lower: the quantiles of the draws
    are centred on the value.
    statistic: takes indices [count] of examples, some more than once, some not at all
    """
    draw = np.random.default_rng(seed)
    drawn = [statistic(np.sort(draw.integers(0, count, count))) for _ in range(draws)]
    value = statistic(np.arange(count))
    low, middle, high = np.quantile(drawn, (0.025, 0.5, 0.975), axis=0)
    return np.stack([value, value + low - middle, value + high - middle])
