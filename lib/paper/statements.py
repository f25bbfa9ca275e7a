"""Check the paper's statements in words against the scores of a run.

statements.csv (§4.2, §4.3, App. D, E) and claims.csv (the rest; see `lib.analysis.claims`) have one
statement per row: left − right, or left alone, lies between low and high.
Its kind says how to read the bounds:

    difference    left is better or worse than right: 0, no difference, is not between the bounds
    equivalence   left is as good as right, up to a margin on both sides of 0
    no worse      left is at most a margin behind right
    on the line   left is at most one standard deviation of right behind right (Figure 2)
    range         left alone, for instance a size
    spread        the standard deviation of left over seeds

A task is for a statement if the whole 95 % interval over seeds lies between low and high, and
against it if the whole interval lies below low or above high; otherwise it cannot tell. Bounds
themselves are never inside. So equal scores are not for a difference, and a wide interval is not
for an equivalence. The intervals are those of `lib.paper.intervals`.

    over "most tasks"   more than half of the tasks that count must be for it, or against it
    over "average"      the tasks are the sample: the interval is that of the mean of their means

A task does not count if its full model has not been shown to learn it (`tables.left_out`), or if it
has none of the scores. At least two tasks and half of the run's tasks must count. A run of a single
task is judged "on this task". The margins are ours; change them in the file.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from lib.paper import intervals, tables

OF_SCORES, OF_MASKS = "statements.csv", "claims.csv"  # files beside this one
AGREES, DISAGREES, CANNOT_TELL = "agrees", "disagrees", "cannot tell"
ON_THIS_TASK = " on this task"
KINDS = ("difference", "equivalence", "no worse", "on the line", "range", "spread")
OVER_SEEDS = ("on the line", "spread")  # about deviations over seeds, which an average has not
MOST_TASKS, AVERAGE = "most tasks", "average"
LEAST_TASKS = 2  # a run of several tasks is not decided by one
MANY = 1_000  # more seeds or tasks than anybody would add

# {(group, item, task): scores or sizes by seed, nan where absent}; all have the same seeds
Scores = Mapping[tuple[str, str, str], np.ndarray]


@dataclass(frozen=True)
class Statement:
    """One statement of the paper, in our words, and the condition under which it holds.

    kind: one of KINDS; ValueError if the bounds do not fit it
    left, right: "group/item" of the long table in `tables`, or "group/size"; right may be empty
    low, high: the bounds, infinite where there is none; over: "most tasks" or "average"
    paper: on how many tasks it holds in the paper, or by how much
    own: whether the paper's printed means bear the statement out: "yes", "no" or "not given"
    note: what to know about the paper's own numbers
    """

    source: str
    says: str
    kind: str
    left: str
    right: str
    low: float
    high: float
    over: str
    paper: str = ""
    own: str = "not given"
    note: str = ""

    def __post_init__(self) -> None:
        no_difference_is_inside = self.low < 0 < self.high
        fits = {
            "difference": bool(self.right) and not no_difference_is_inside,
            "equivalence": bool(self.right) and no_difference_is_inside and self._two_bounds(),
            "no worse": bool(self.right) and no_difference_is_inside,
            "on the line": bool(self.right) and self.low == 0,
            "range": not self.right,
            "spread": not self.right,
        }
        known = self.over in (MOST_TASKS, AVERAGE) and self.kind in KINDS
        known = known and not (self.over == AVERAGE and self.kind in OVER_SEEDS)
        if not (known and fits[self.kind] and self.low < self.high):
            raise ValueError(
                f"{self.says!r} is of kind {self.kind!r} over {self.over!r}, which its bounds "
                f"{self.low} to {self.high} or its sides do not fit; lib/paper/statements.py "
                "explains the kinds"
            )

    def _two_bounds(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)


def statements() -> tuple[Statement, ...]:
    """Load what the paper says of scores."""
    return tuple(statement for statement, _ in load(OF_SCORES))


@cache
def load(name: str) -> tuple[tuple[Statement, str], ...]:
    """Load a file of statements beside this one: (statement, the column "among" or "") for each.

    An empty bound is infinite.
    """
    file = Path(__file__).with_name(name)
    table = pd.read_csv(
        file, dtype={"right": str}, keep_default_na=False, na_values={"low": "", "high": ""}
    )
    table["low"], table["high"] = table["low"].fillna(-np.inf), table["high"].fillna(np.inf)
    among = table.pop("among") if "among" in table else [""] * len(table)
    rows = zip(table.to_dict("records"), among, strict=True)
    return tuple((Statement(**row), of) for row, of in rows)


def verdicts(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Judge all statements by a run's scores, one row each; table: from `tables.gather`."""
    scores, counted = by_system(table), tables.learned(table, tasks)
    lines = []
    for each in statements():
        judged = judge_scores(each, scores, tasks, counted)
        about = {"the paper's numbers": each.own, "note": each.note}
        lines.append({"source": each.source, "the paper says": each.says, **judged, **about})
    return pd.DataFrame(lines)


def by_system(table: pd.DataFrame) -> dict[tuple[str, str, str], np.ndarray]:
    """Arrange the long table by system and task: {(group, item, task): one value per seed}.

    An absent score is nan; a constant answer on STS-B is 0. "size" is an item of the groups that
    have good subnetworks; "first epoch", "last epoch" are items of "longer training".
    The values are in the order of the sorted seeds.
    """
    table = tables.constants_as_zero(table)
    key, seeds = ["group", "item", "task"], sorted(table["seed"].unique())
    good = table[table["item"] == "good (pruned)"]
    sizes = good.assign(item="size", score=good["size"])
    epochs = [_epoch_ends(table, task) for task in table["task"].unique()]
    everything = pd.concat([table, sizes, *epochs])
    wide = everything.pivot(index="seed", columns=key, values="score").reindex(seeds)
    return {column: wide[column].to_numpy(float) for column in wide.columns}


def differences(
    statement: Statement, scores: Scores, tasks: Sequence[str]
) -> dict[str, np.ndarray]:
    """Compute left − right, or left alone: {task: by seed}, without seeds that lack either.

    "on the line" needs right itself, too: its arrays are [seeds, 2], left − right and right.
    """
    found = {}
    for task in tasks:
        values = _side(statement.left, scores, task)
        if statement.right:
            right = _side(statement.right, scores, task)
            values, right = np.broadcast_arrays(values - right, right)
            if statement.kind == "on the line":
                values = np.stack([values, right], axis=1)
        known = ~np.isnan(values.reshape(len(values), -1)).any(1)
        found[task] = values[known]
    return found


def decide(statement: Statement, by_task: Mapping[str, np.ndarray], run: int) -> str:
    """Reach the verdict of a run.

    by_task: {task that counts: values by seed}, from `differences`
    run: the number of tasks in the run, whether they count or not
    """
    if _too_few(by_task, run):
        return CANNOT_TELL
    cast = list(votes(statement, by_task, run).values())
    decided = [side for side in (AGREES, DISAGREES) if cast.count(side) > len(cast) / 2]
    if not decided:
        return CANNOT_TELL
    return decided[0] + (ON_THIS_TASK if run == 1 else "")


def judge_scores(
    statement: Statement, scores: Scores, tasks: Sequence[str], counted: Sequence[str]
) -> dict[str, str]:
    """Judge one statement as `judge` does; counted: those of the run's tasks that count."""
    by_task, run = differences(statement, scores, counted), len(tasks)
    verdict = decide(statement, by_task, run)
    out = [task for task in tasks if task not in counted]
    return {
        "this run": verdict,
        "because": _figures(statement, by_task, run)
        + (f"; left out: {', '.join(out)}" if out else ""),
        "needed": _needed(statement, by_task, run) if verdict == CANNOT_TELL else "",
        "paper": statement.paper,
    }


def _epoch_ends(table: pd.DataFrame, task: str) -> pd.DataFrame:
    curve = tables.by_epoch(table, task)
    ends = {"first epoch": 0, "last epoch": -1} if curve.shape[1] else {}
    rows = [
        (task, seed, "longer training", item, score)
        for item, column in ends.items()
        for seed, score in curve.iloc[:, column].items()
    ]
    return pd.DataFrame(rows, columns=["task", "seed", "group", "item", "score"])


def _side(name: str, scores: Scores, task: str) -> np.ndarray:
    group, item = name.split("/")
    return scores.get((group, item, task), np.full(1, np.nan))


def _too_few(by_task: Mapping[str, np.ndarray], run: int) -> bool:
    return run > 1 and _speaking(by_task) < _least(run)


def _speaking(by_task: Mapping[str, np.ndarray]) -> int:
    """Count the tasks that have scores."""
    return sum(len(values) > 0 for values in by_task.values())


def _least(run: int) -> int:
    return max(LEAST_TASKS, math.ceil(run / 2))


def votes(statement: Statement, by_task: Mapping[str, np.ndarray], run: int) -> dict[str, str]:
    """Say what each task says to a statement, or the average of a run of several tasks.

    A task without any scores says nothing and is left out.
    by_task, run: as in `decide`
    """
    if statement.over == AVERAGE and run > 1:
        return {AVERAGE: _compare(statement, *intervals.of_mean(_means(by_task)))}
    return {
        task: _compare(statement, *interval(statement.kind, values))
        for task, values in by_task.items()
        if len(values)
    }


def interval(kind: str, values: np.ndarray, n: int | None = None) -> tuple[float, float]:
    """Compute the 95 % interval of a task's figure; values: of one task, from `differences`.

    n: as in `lib.paper.intervals`
    """
    of = {"spread": intervals.of_deviation, "on the line": intervals.of_lead_over_line}
    return of.get(kind, intervals.of_mean)(values, n)


def point(kind: str, values: np.ndarray) -> float:
    """Compute a task's figure: a mean or a deviation over seeds; nan where there is none."""
    if len(values) < (2 if kind in OVER_SEEDS else 1):
        return np.nan
    if kind == "on the line":
        differences, right = values.T
        return float(differences.mean() + right.std(ddof=1))
    return float(values.std(ddof=1) if kind == "spread" else values.mean())


def _means(by_task: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.array([values.mean() for values in by_task.values() if len(values)])


def _compare(statement: Statement, low: float, high: float) -> str:
    if np.isnan(low) or np.isnan(high):
        return CANNOT_TELL
    low, high = round(low, 9), round(high, 9)  # 0.95 − 0.9 is 0.05 and no more
    if statement.low < low and high < statement.high:
        return AGREES
    return DISAGREES if high < statement.low or low > statement.high else CANNOT_TELL


def _figures(statement: Statement, by_task: Mapping[str, np.ndarray], run: int) -> str:
    sign = "+" if statement.right else ""
    points = {task: point(statement.kind, values) for task, values in by_task.items()}
    text = ", ".join(
        f"{task} –" if np.isnan(x) else f"{task} {x:{sign}.2f}" for task, x in points.items()
    )
    cast = list(votes(statement, by_task, run).values())
    if statement.over == AVERAGE and run > 1:
        means = _means(by_task)
        mean = f"{means.mean():{sign}.2f}" if len(means) else "–"
        return f"{mean} over {len(means)} tasks, {intervals.text(means)} ({text})"
    if len(cast) > 1:
        text += (
            f" ({cast.count(AGREES)} for, {cast.count(DISAGREES)} against, "
            f"{cast.count(CANNOT_TELL)} cannot tell)"
        )
    return text or "no task counts"


def _needed(statement: Statement, by_task: Mapping[str, np.ndarray], run: int) -> str:
    """Say what a decision would take, if the scores keep their means and deviations."""
    if _too_few(by_task, run):
        return f"at least {_least(run)} tasks; {_speaking(by_task)} of {run} count"
    if statement.over == AVERAGE and run > 1:
        means = _means(by_task)
        if len(means) < intervals.LEAST:
            return f"at least {intervals.LEAST} tasks"
        return _about(_enough(statement, means), "tasks")
    if not by_task:
        return "a full model that learns the task"
    majority = _speaking(by_task) // 2 + 1
    measured = [x for x in by_task.values() if len(x) >= intervals.LEAST]
    if len(measured) < majority:
        where = f" in {majority} tasks" if majority > 1 else ""
        return f"at least {intervals.LEAST} seeds of both systems{where}"
    points = [point(statement.kind, values) for values in measured]
    sides = [_compare(statement, x, x) for x in points]
    options = []
    for side in (AGREES, DISAGREES):
        seeds = sorted(
            _enough(statement, x) for x, lean in zip(measured, sides, strict=True) if lean == side
        )
        options += seeds[majority - 1 : majority]
    if not options:
        split = f"means for it: {sides.count(AGREES)}, against it: {sides.count(DISAGREES)}"
        return f"more tasks; of these {_speaking(by_task)}, {split}"
    return _about(min(options), "seeds")


def _enough(statement: Statement, values: np.ndarray) -> float:
    """The least number of values with this mean and deviation that decide; infinite above MANY."""
    for n in range(intervals.LEAST, MANY + 1):
        if _compare(statement, *interval(statement.kind, values, n)) != CANNOT_TELL:
            return n
    return math.inf


def _about(count: float, what: str) -> str:
    return f"about {count:.0f} {what}" if count <= MANY else f"over {MANY:,} {what}"
