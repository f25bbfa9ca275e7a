"""Check the paper's statements in words (§4.2, §4.3, App. D, E) against the scores of a run.

statements.csv has one statement per row: left − right, or left alone, should lie from low to high.

    over "most tasks"   in more than half of the tasks
    over "average"      on average over the tasks
    over "spread"       the standard deviation of left over seeds, in more than half of the tasks

A task, or the average, speaks for a statement if its whole interval over seeds lies from low to
high (bounds included), against it if the whole interval lies below low or above high; otherwise it
cannot tell. For "spread" the deviation itself is compared, without an interval. A run agrees or
disagrees if more than half of its tasks do. The margins are ours; change them in the file.
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
    """One statement of the paper, in our words, and the condition under which it holds.

    left, right: "group/item" of the long table in `tables`, or "group/size"; right may be empty
    low, high: the bounds; over: "most tasks", "average" or "spread"
    paper: on how many tasks it holds in the paper, or by how much
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
    """Load statements.csv; an empty bound is infinite."""
    file = Path(__file__).with_name("statements.csv")
    table = pd.read_csv(
        file, dtype={"right": str}, keep_default_na=False, na_values={"low": "", "high": ""}
    )
    table["low"], table["high"] = table["low"].fillna(-np.inf), table["high"].fillna(np.inf)
    return tuple(Statement(*row) for row in table.itertuples(index=False))


def verdicts(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Judge all statements by a run's scores, one row each; table: from `tables.gather`."""
    return pd.DataFrame(
        [
            {"source": s.source, "the paper says": s.says, **judge(s, table, tasks)}
            for s in statements()
        ]
    )


def judge(statement: Statement, table: pd.DataFrame, tasks: Sequence[str]) -> dict[str, str]:
    """Judge one statement: {"this run": verdict, "because": its figures, "paper": the paper's}."""
    by_task = {task: _values(statement, table, task) for task in tasks}
    if statement.over == "average":
        # only seeds that every task has
        by_seed = pd.concat(by_task.values(), axis=1).dropna().mean(axis=1)
        votes, figures = (
            [_vote(statement, by_seed)],
            f"{by_seed.mean():+.2f} over {len(tasks)} tasks",
        )
    elif statement.over == "spread":
        deviations = {task: series.std(ddof=1) for task, series in by_task.items()}
        enough = {
            task: len(series.dropna()) >= tables.LEAST_SEEDS for task, series in by_task.items()
        }
        votes = [
            _compare(statement, x, x) if enough[task] else CANNOT_TELL
            for task, x in deviations.items()
        ]
        figures = ", ".join(f"{task} {x:.2f}" for task, x in deviations.items())
    else:
        votes = [_vote(statement, series) for series in by_task.values()]
        sign = "+" if statement.right else ""
        figures = ", ".join(f"{task} {series.mean():{sign}.2f}" for task, series in by_task.items())
    count = {verdict: votes.count(verdict) for verdict in (AGREES, DISAGREES, CANNOT_TELL)}
    if len(votes) > 1:
        figures += (
            f" ({count[AGREES]} for, {count[DISAGREES]} against, {count[CANNOT_TELL]} cannot tell)"
        )
    decided = [verdict for verdict in (AGREES, DISAGREES) if count[verdict] > len(votes) / 2]
    verdict = decided[0] if decided else CANNOT_TELL
    return {"this run": verdict, "because": figures, "paper": statement.paper}


def _vote(statement: Statement, by_seed: pd.Series) -> str:
    return _compare(statement, *tables.interval(by_seed))


def _compare(statement: Statement, low: float, high: float) -> str:
    if np.isnan(low) or np.isnan(high):
        return CANNOT_TELL
    if statement.low <= low and high <= statement.high:
        return AGREES
    return DISAGREES if high < statement.low or low > statement.high else CANNOT_TELL


def _values(statement: Statement, table: pd.DataFrame, task: str) -> pd.Series:
    left = _side(statement.left, table, task)
    return left - _side(statement.right, table, task) if statement.right else left


def _side(name: str, table: pd.DataFrame, task: str) -> pd.Series:
    """One side of a statement, by seed. "full model less one std" is the line in Figure 2."""
    group, item = name.split("/")
    if item == "size":
        return tables.values(table, group, "good (pruned)", task, "size")
    if group == "longer training":
        curve = tables.by_epoch(table, task)
        return curve.iloc[:, -1 if item == "last epoch" else 0]
    if item == "full model less one std":
        full = tables.values(table, "reference", "full model", task)
        return full * 0 + full.mean() - full.std(ddof=1)
    # meant for a constant answer, which has no correlation, but every nan counts as 0
    return tables.values(table, group, item, task).fillna(0)
