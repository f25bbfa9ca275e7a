"""Look up the paper's numbers, and compare ours with them.

numbers.csv has one number per row: source, group, item, task, value, std, corrected, note. Group,
item and task together name a number; the source is the part of the paper that prints it, or the
masks that its authors published.

    value      what is printed, misprints included
    corrected  for a misprint, the value that fits the rest of the paper; else empty
    note       the evidence for a misprint, or what else the paper or the masks say about the number

Three things to know:
The paper calls two columns of Table 3 MNLI; the last one is WNLI.
The groups "m-pruning: share of weights left" and "s-pruning: share of seeds that keep it" hold
the cells of Figures 7 to 11, 13 and 14 that can be read in the text of the paper; it has no cells
of Figure 12, and those of Figure 6 are out of order.
The group "survival of a head" repeats three cells of each figure, a sample to compare with ours.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from lib.paper import intervals
from lib.paper.masks import ENCODER

PAPERS_SEEDS = 5
SCORE_MARGIN, ROUNDING = 0.02, 0.005
SOURCES_OF_SCORES = ("Table 2", "Table 3", "Fig. 16")
COUNTS = ("super-survivor heads", "super-survivor MLPs")


@cache
def numbers() -> pd.DataFrame:
    """Load numbers.csv, one number per row; an empty std or corrected is nan, an empty note ""."""
    table = pd.read_csv(Path(__file__).with_name("numbers.csv"))
    return table.fillna({"note": ""})


def number(
    item: str, task: str, group: str | None = None, *, corrected: bool = False
) -> tuple[float, float, str]:
    """Look up one number: (value, standard deviation or nan, source).

    corrected: False gives what the paper prints; True gives what it should have printed, which
        differs only for misprints. Show what is printed, but average corrected values.
    Raises KeyError unless exactly one number fits; the group is needed if several have the item.
    """
    table = numbers()
    rows = table[(table["item"] == item) & (table["task"] == task)]
    if group is not None:
        rows = rows[rows["group"] == group]
    if len(rows) != 1:
        raise KeyError(
            f"the paper gives {len(rows)} numbers for {item!r} on {task} (group {group}), not one; "
            "numbers.csv lists them all"
        )
    row = rows.iloc[0]
    misprint = not np.isnan(row["corrected"])
    value = row["corrected"] if corrected and misprint else row["value"]
    return float(value), float(row["std"]), str(row["source"])


def items(task: str, group: str) -> list[str]:
    """List the items of a group for which the paper gives a number on this task."""
    table = numbers()
    return table[(table["task"] == task) & (table["group"] == group)]["item"].tolist()


@dataclass(frozen=True)
class Ours:
    """A number of ours, and where the paper has its counterpart.

    what: its name in the table
    values: one per seed; a nan among them makes the comparison undefined
    task, item, group: the paper's number, as for `number`
    """

    what: str
    values: list[float]
    task: str
    item: str
    group: str | None = None


def compare(rows: list[Ours], encoder: str) -> pd.DataFrame:
    """Put ours beside the paper's: one row each, with the difference and a verdict.

    "± 95 %": how uncertain the difference of the means is, by `_uncertainty`; nan if neither side
        has a deviation, so that only the two numbers are compared
    "margin": the difference that we call none: 0.02 for scores, half of the last digit printed for
        other figures, 0 for counts of heads or MLPs
    Verdict: "agrees" if the whole interval, difference ± 95 %, lies within the margin; "differs" if
    it lies beyond the margin; otherwise "cannot tell". If our encoder is not the paper's, "other
    encoder: not compared"; "undefined" if a number is nan.
    """
    table = []
    for row in rows:
        paper, paper_std, source = number(row.item, row.task, row.group)
        values = np.asarray(row.values, float)
        ours = float(values.mean()) if len(values) else float("nan")
        difference, margin = ours - paper, _margin(row.item, source)
        uncertainty = _uncertainty(values, paper_std)
        verdict = _verdict(abs(difference), np.nan_to_num(uncertainty), margin)
        if Path(encoder).name != ENCODER:
            verdict = "other encoder: not compared"
        figures = (ours, paper, difference, uncertainty, margin)
        table.append((row.what, row.task, *figures, verdict, source))
    columns = ["what", "task", "ours", "paper", "difference", "± 95 %", "margin", "verdict"]
    return pd.DataFrame(table, columns=[*columns, "paper's source"]).round(3)


def _verdict(distance: float, uncertainty: float, margin: float) -> str:
    if np.isnan(distance):
        return "undefined"
    # rounded, since 0.95 − 0.93 is 0.02 and no more
    if round(distance + uncertainty, 9) <= margin:
        return "agrees"
    return "differs" if round(distance - uncertainty, 9) > margin else "cannot tell"


def _margin(item: str, source: str) -> float:
    if source in SOURCES_OF_SCORES:
        return SCORE_MARGIN
    return 0.0 if item in COUNTS else ROUNDING


def _uncertainty(values: np.ndarray, paper_std: float) -> float:
    """Compute how far a 95 % interval of ours − paper reaches to each side, by Welch's t.

    The paper's mean is taken to be over 5 seeds. With fewer than three values of ours, the paper's
    deviation stands for ours. A deviation that only one side has belongs to that side alone. nan if
    neither has any.
    """
    few = len(values) < intervals.LEAST
    if not len(values) or (few and np.isnan(paper_std)):
        return float("nan")
    freedoms = np.array([PAPERS_SEEDS if few else len(values), PAPERS_SEEDS]) - 1
    own_variance = paper_std**2 if few else values.var(ddof=1)
    squares = np.array([own_variance / len(values), np.nan_to_num(paper_std) ** 2 / PAPERS_SEEDS])
    if not squares.sum() > 0:
        return 0.0
    # With a borrowed deviation there is only one, and Welch's degrees of freedom would be too many.
    freedom = freedoms[1] if few else squares.sum() ** 2 / (squares**2 / freedoms).sum()
    return float(intervals.t_quantile(float(freedom)) * np.sqrt(squares.sum()))
