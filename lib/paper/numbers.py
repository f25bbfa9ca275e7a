"""The paper's numbers, each with the table or section it comes from, and how ours compare.

The numbers are in numbers.csv: source, group, item, task, value, std. Table 3's last column, which the paper
heads MNLI a second time, is WNLI.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd


@cache
def numbers() -> pd.DataFrame:
    """All of them, one a row."""
    return pd.read_csv(Path(__file__).with_name("numbers.csv"))


def number(item: str, task: str, group: str | None = None) -> tuple[float, float, str]:
    """(value, standard deviation or nan, source) of an item and task; KeyError if the paper does not give it."""
    table = numbers()
    found = table[(table["item"] == item) & (table["task"] == task)]
    if group is not None:
        found = found[found["group"] == group]
    if len(found) != 1:
        raise KeyError(
            f"the paper gives {len(found)} numbers for {item!r} on {task} (group {group})"
        )
    row = found.iloc[0]
    return float(row["value"]), float(row["std"]), str(row["source"])


def items(task: str, group: str) -> list[str]:
    """The names of a group's items that the paper gives for a task."""
    table = numbers()
    return table[(table["task"] == task) & (table["group"] == group)]["item"].tolist()


@dataclass(frozen=True)
class Ours:
    """A number of ours and where the paper has its own. values: one for each seed."""

    what: str
    values: list[float]
    task: str
    item: str
    group: str | None = None


def compare(rows: list[Ours], encoder: str) -> pd.DataFrame:
    """Ours beside the paper's: value, paper, difference, tolerance, verdict.

    The tolerance is two standard errors of the difference, from both sample deviations, but at least 0.02; a single
    seed has no deviation of its own and borrows the paper's. The verdict says so where the encoder is not the paper's:
    a difference is then no disagreement.
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
    columns = [
        "what",
        "task",
        "ours",
        "paper",
        "difference",
        "tolerance",
        "verdict",
        "paper's source",
    ]
    return pd.DataFrame(table, columns=columns).round(3)
