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
    values: one per seed
    task, item, group: the paper's number, as for `number`
    """

    what: str
    values: list[float]
    task: str
    item: str
    group: str | None = None


def compare(rows: list[Ours], encoder: str) -> pd.DataFrame:
    """Put ours beside the paper's: one row each, with difference, tolerance and verdict.

    Tolerance: two standard errors of the difference of the means, and at least 0.02 whatever the
    unit. The paper's mean is taken to be over 5 seeds. A single value of ours borrows the paper's
    deviation; a deviation that the paper does not give counts as 0.
    Verdict: "agrees" within the tolerance, else "differs"; "differs (other encoder)" if our encoder
    is not the paper's, so the difference is no disagreement; "undefined" if a number is nan.
    """
    table = []
    for row in rows:
        paper, paper_std, source = number(row.item, row.task, row.group)
        values = np.asarray(row.values, float)
        ours = float(values.mean())
        std = float(values.std(ddof=1)) if len(values) > 1 else paper_std
        tolerance = max(
            0.02,
            2 * np.sqrt(np.nan_to_num(std) ** 2 / len(values) + np.nan_to_num(paper_std) ** 2 / 5),
        )
        difference = ours - paper
        verdict = (
            "undefined"
            if np.isnan(difference)
            else "agrees"
            if abs(difference) <= tolerance
            else "differs"
        )
        if verdict == "differs" and "bert-base-uncased" not in encoder:
            verdict = "differs (other encoder)"
        table.append((row.what, row.task, ours, paper, difference, tolerance, verdict, source))
    columns = ["what", "task", "ours", "paper", "difference", "tolerance", "verdict"]
    return pd.DataFrame(table, columns=[*columns, "paper's source"]).round(3)
