"""95 % intervals over seeds, or over tasks: of a mean, of a standard deviation, and of both.

They assume that the values are drawn independently from about a normal distribution; the intervals
with a standard deviation in them depend on that more than the one of a mean. From fewer than three
values, or if one is nan, there is none: (nan, nan). If all values are equal, it is one point.

n: in all three, how many values to pretend there were, with this mean and deviation; by default as
many as there are
"""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

LEAST = 3  # values; from two, Student's t reaches nearly 13 standard errors to each side
LEVEL = 0.05  # below it, a p-value decides; after a correction where several are asked
NONE = float("nan"), float("nan")


def of_mean(values: ArrayLike, n: int | None = None) -> tuple[float, float]:
    """Compute Student's t interval of the mean, for instance of paired differences."""
    known = np.asarray(values, float)
    if not _enough(known):
        return NONE
    n = n or len(known)
    half = t_quantile(n - 1) * float(known.std(ddof=1)) / np.sqrt(n)
    return float(known.mean()) - half, float(known.mean()) + half


def side(interval: tuple[float, float]) -> int:
    """Say on which side of 0 an interval lies: 1, -1, or 0 if it holds 0 or is `NONE`."""
    low, high = interval
    return int(low > 0) - int(high < 0)


def of_deviation(values: ArrayLike, n: int | None = None) -> tuple[float, float]:
    """Compute the χ² interval of the standard deviation from which values are drawn."""
    known = np.asarray(values, float)
    if not _enough(known):
        return NONE
    low, high = _factors(n or len(known))
    return low * float(known.std(ddof=1)), high * float(known.std(ddof=1))


def of_lead_over_line(pairs: ArrayLike, n: int | None = None) -> tuple[float, float]:
    """Compute the interval of mean + deviation: how far a system is above a full model's line.

    The line is the full model's mean less one standard deviation (Figure 2). Both are estimated
    from a few seeds. The two are independent for normal scores, so their intervals are joined by
    their distances from the estimates (MOVER: Zou & Donner 2008).
    pairs: float [seeds, 2], the difference of a seed's system from its full model, and the full
    model's score
    """
    differences, full = np.asarray(pairs, float).reshape(-1, 2).T
    if not _enough(differences + full):
        return NONE
    mean, deviation = float(differences.mean()), float(full.std(ddof=1))
    (low, high), (least, most) = of_mean(differences, n), of_deviation(full, n)
    lead = mean + deviation
    below, above = np.hypot(mean - low, deviation - least), np.hypot(high - mean, most - deviation)
    return lead - float(below), lead + float(above)


def text(values: ArrayLike) -> str:
    """Format `of_mean`: "95 % interval -0.01 to +0.05", or why there is none."""
    low, high = of_mean(values)
    if np.isnan(low):
        return f"no interval from fewer than {LEAST} values"
    return f"95 % interval {low:+.2f} to {high:+.2f}"


@cache
def t_quantile(freedom: float) -> float:
    """Look up how many standard errors a 95 % interval reaches to each side (Student's t)."""
    return float(stats.t.ppf(0.975, freedom))


@cache
def _factors(n: int) -> tuple[float, float]:
    """What n values' sample standard deviation is multiplied by in `of_deviation`."""
    upper, lower = stats.chi2.ppf([0.975, 0.025], n - 1)
    return float(np.sqrt((n - 1) / upper)), float(np.sqrt((n - 1) / lower))


def _enough(values: np.ndarray) -> bool:
    return len(values) >= LEAST and not np.isnan(values).any()
