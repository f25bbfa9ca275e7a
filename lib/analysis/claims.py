"""Judge each claim of the paper by its authors' masks and by a run.

What the paper claims stands in two files of lib/paper, whose statements one rule judges
(`lib.paper.statements`): statements.csv is about scores, claims.csv about masks and patterns. So
both need one thing only, a long table of measures by task and seed (see `lib.paper.tables`).
`lib.analysis.measures` makes it from masks, whether the authors' or a run's, and from what else a
run has.

The column "among" of claims.csv says which tasks a claim is about: those whose full model learns
(empty), "every task", "pairs" of tasks, or the one task or pair that it names.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.data.glue import TASKS
from lib.paper import intervals, statements, tables
from lib.paper.statements import AVERAGE, CANNOT_TELL, ON_THIS_TASK, Scores, Statement

# which notebook measures a group of items; 05 measures the others
MEASURED_BY = {
    "survivors": "03_structured_pruning",
    "overlap": "03_structured_pruning",
    "m-survivors": "02_magnitude_pruning",
    "patterns": "08_attention_patterns",
    "reference": "01_finetune",
}
TOPICS = {
    "Which parts survive?": ("Table 3", "§4.1", "App. B"),
    "Good, random, bad": ("§4.2",),
    "Super-survivors": ("App. E",),
    "How bad is bad?": ("§4.3", "App. D"),
    "What are the survivors?": ("§5.1", "§5.2", "§5.3"),
}


class Evidence(NamedTuple):
    """A verdict on one claim.

    verdict: as in `lib.paper.statements`
    figures: what it rests on, in a few words; "" if there is nothing to go by
    by_task: the same, task by task
    needed: what a decision would take; "" if there is one
    """

    verdict: str
    figures: str
    by_task: str
    needed: str


class Line(NamedTuple):
    """One claim of the paper, judged by its authors' masks and by a run."""

    topic: str
    statement: Statement
    masks: Evidence
    run: Evidence


def lines(masks: pd.DataFrame, run: pd.DataFrame, tasks: Sequence[str]) -> list[Line]:
    """Judge all claims of the paper, in the order of TOPICS.

    masks: the measures of the authors' masks, with `of_the_paper`
    run: those of a run; tasks: the run's
    """
    of_masks = sorted({*masks["task"]} & {*TASKS}, key=list(TASKS).index)
    # The paper's full models say which tasks count, and nothing else: they are no masks.
    sides = [
        (_scores(masks[masks["group"] != "reference"]), of_masks, masks),
        (_scores(run), list(tasks), run),
    ]
    counted = [(scores, of, tables.learned(table, of)) for scores, of, table in sides]
    claims = [*statements.load(statements.OF_MASKS), *statements.load(statements.OF_SCORES)]
    judged = [
        Line(topic(claim), claim, *(evidence(claim, among, *side) for side in counted))
        for claim, among in claims
    ]
    return sorted(judged, key=lambda line: list(TOPICS).index(line.topic))


def topic(statement: Statement) -> str:
    """Find the topic of a statement: that of its source, unless it is about super-survivors."""
    if statement.left.startswith("super-survivors") or "super-survivors" in statement.right:
        return "Super-survivors"
    return next(name for name, sources in TOPICS.items() if statement.source in sources)


def evidence(
    statement: Statement, among: str, scores: Scores, tasks: Sequence[str], counted: Sequence[str]
) -> Evidence:
    """Judge one claim.

    among: the claim's column of that name; counted: those of the tasks whose full model learns
    """
    named = [] if among in ("", "every task", "pairs") else [among]
    pairs = sorted({task for _, _, task in scores if " · " in task}) if among == "pairs" else []
    pairs = [pair for pair in pairs if {*pair.split(" · ")} <= {*counted}]
    asked = named or pairs or list(tasks)
    count = list(counted) if not among else asked
    by_task = statements.differences(statement, scores, count)
    if tasks and not count:
        return Evidence(CANNOT_TELL, "", "", "a full model that learns the task")
    if not any(map(len, by_task.values())):
        sides = [side.split("/")[0] for side in (statement.left, statement.right) if side]
        silent = [side for side in sides if side not in {group for group, *_ in scores}]
        of = MEASURED_BY.get((silent or sides)[0], "05_retrain_tickets")
        where = f" of {among.replace(' · ', ' and ')}" if named else ""
        two = " of two tasks" if among == "pairs" else ""
        return Evidence(CANNOT_TELL, "", "", f"{of}{where}{two}")
    judged = statements.judge_scores(statement, scores, asked, count)
    verdict = judged["this run"]
    if verdict.endswith(ON_THIS_TASK) and (named or pairs):
        verdict = verdict.removesuffix(ON_THIS_TASK) + (" on this pair" if pairs else "")
    figures = _in_short(statement, by_task, len(asked), "pairs" if pairs else "tasks")
    needed = judged["needed"].replace(" of both systems", "")  # masks are none
    needed = needed.replace("tasks", "pairs") if pairs else needed
    known = [values for values in by_task.values() if len(values)]
    few = len(known) < intervals.LEAST and max(map(len, known)) < 2
    if needed and statement.over == AVERAGE and few:
        needed = f"at least {intervals.LEAST} tasks"  # one number for a task, whatever its seeds
    return Evidence(verdict, figures, judged["because"], needed)


def _in_short(
    statement: Statement, by_task: Mapping[str, np.ndarray], asked: int, units: str
) -> str:
    sign = "+" if statement.right else ""
    points = np.array([statements.point(statement.kind, values) for values in by_task.values()])
    known = points[~np.isnan(points)]
    if not len(known):
        return ""
    if len(by_task) == 1:
        low, high = statements.interval(statement.kind, next(iter(by_task.values())))
        ends = "" if np.isnan(low) else f" [{low:{sign}.2f}, {high:{sign}.2f}]"
        return f"{known[0]:{sign}.2f}{ends}"
    if statement.over == AVERAGE:
        low, high = intervals.of_mean(known)
        ends = "" if np.isnan(low) else f" [{low:{sign}.2f}, {high:{sign}.2f}]"
        return f"{known.mean():{sign}.2f}{ends} over {len(known)} {units}"
    cast = [*statements.votes(statement, by_task, asked).values()]
    sides = cast.count(statements.AGREES), cast.count(statements.DISAGREES)
    return (
        f"{np.median(known):{sign}.2f}; of {len(cast)} {units}, {sides[0]} for, {sides[1]} against"
    )


def _scores(table: pd.DataFrame) -> Scores:
    return statements.by_system(table) if len(table) else {}
