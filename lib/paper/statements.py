"""Which is better? What the paper says in words (§4.2, §4.3, App. D, E), as data, and whether a run agrees.

statements.csv has a statement a row: left − right, or left alone, should lie between low and high.

    over "most tasks"   in more than half of the tasks
    over "average"      on average over the tasks
    over "spread"       left's standard deviation over seeds, in more than half of the tasks

A task, or the average, speaks for a statement if the whole interval over seeds lies between low and high, against it
if all of it lies outside, and cannot tell otherwise; a run agrees or disagrees if more than half of its tasks do. So
the words of the paper get margins: they are ours, and stand in the file to be argued with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from lib.paper import tables

AGREES, DISAGREES, CANNOT_TELL = "agrees", "disagrees", "cannot tell"


@dataclass(frozen=True)
class Statement:
    """One sentence of the paper, in our words, with what would make it true; paper: on how many tasks, or by how much.

    left, right: "group/item" of `results`, or "group/size"; right may be empty.
    """

    source: str
    says: str
    left: str
    right: str
    low: float
    high: float
    over: str
    paper: str


@cache
def statements() -> tuple[Statement, ...]:
    """All of them."""
    file = Path(__file__).with_name("statements.csv")
    table = pd.read_csv(
        file, dtype={"right": str}, keep_default_na=False, na_values={"low": "", "high": ""}
    )
    table["low"], table["high"] = table["low"].fillna(-np.inf), table["high"].fillna(np.inf)
    return tuple(Statement(*row) for row in table.itertuples(index=False))


def verdicts(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Each statement with the verdict of a run's scores (`tables.gather`) and the figures that it rests on."""
    return pd.DataFrame(
        [
            {"source": s.source, "the paper says": s.says, **judge(s, table, tasks)}
            for s in statements()
        ]
    )


def judge(statement: Statement, table: pd.DataFrame, tasks: Sequence[str]) -> dict[str, str]:
    """{"this run", "because", "paper"}: the verdict, the figures behind it, and what the paper counts."""
    found = {task: _values(statement, table, task) for task in tasks}
    if statement.over == "average":
        by_seed = pd.concat(found.values(), axis=1).dropna().mean(1)
        votes, figures = (
            [_vote(statement, by_seed)],
            f"{by_seed.mean():+.2f} over {len(tasks)} tasks",
        )
    elif statement.over == "spread":
        deviations = {task: series.std(ddof=1) for task, series in found.items()}
        enough = {
            task: len(series.dropna()) >= tables.LEAST_SEEDS for task, series in found.items()
        }
        votes = [
            _inside(statement, x, x) if enough[task] else CANNOT_TELL
            for task, x in deviations.items()
        ]
        figures = ", ".join(f"{task} {x:.2f}" for task, x in deviations.items())
    else:
        votes = [_vote(statement, series) for series in found.values()]
        sign = "+" if statement.right else ""
        figures = ", ".join(f"{task} {series.mean():{sign}.2f}" for task, series in found.items())
    count = {verdict: votes.count(verdict) for verdict in (AGREES, DISAGREES, CANNOT_TELL)}
    if len(votes) > 1:
        figures += (
            f" ({count[AGREES]} for, {count[DISAGREES]} against, {count[CANNOT_TELL]} cannot tell)"
        )
    decided = [verdict for verdict in (AGREES, DISAGREES) if count[verdict] > len(votes) / 2]
    verdict = decided[0] if decided else CANNOT_TELL
    return {"this run": verdict, "because": figures, "paper": statement.paper}


def _vote(statement: Statement, by_seed: pd.Series) -> str:
    return _inside(statement, *tables.interval(by_seed))


def _inside(statement: Statement, low: float, high: float) -> str:
    if np.isnan(low) or np.isnan(high):
        return CANNOT_TELL
    if statement.low <= low and high <= statement.high:
        return AGREES
    return DISAGREES if high < statement.low or low > statement.high else CANNOT_TELL


def _values(statement: Statement, table: pd.DataFrame, task: str) -> pd.Series:
    left = _side(statement.left, table, task)
    return left - _side(statement.right, table, task) if statement.right else left


def _side(name: str, table: pd.DataFrame, task: str) -> pd.Series:
    """A side of a statement, by seed; "full model less one std" is the line that Figure 2 draws."""
    group, item = name.split("/")
    if item == "size":
        return tables.values(table, group, "good (pruned)", task, "size")
    if group == "longer training":
        curve = tables.by_epoch(table, task)
        return curve.iloc[:, -1 if item == "last epoch" else 0]
    if item == "full model less one std":
        full = tables.values(table, "reference", "full model", task)
        return full * 0 + full.mean() - full.std(ddof=1)
    return tables.values(table, group, item, task).fillna(0)  # no correlation at all counts as 0
