"""The findings of notebook 06: are all tickets winning?"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp
from statsmodels.stats.multitest import multipletests

from lib.paper import intervals, tables
from lib.paper.findings import Finding, count_of, names_of

ON_A_PAR = 0.05  # the margin is as in statements.csv
FEW = 3  # tasks that a box lists one by one


def tickets(table: pd.DataFrame, tasks: Sequence[str]) -> Finding:
    """Notebook 06: are all tickets winning?

    The answer is about s-pruning, after retraining; a task counts if its full model beats the
    majority class (`tables.left_out`). “All” fails if a bad ticket loses on one task, beyond what
    the number of tasks makes likely by chance (Holm's correction).
    table: the long table of `tables.gather`
    """
    out = tables.left_out(table, tasks)
    counted = [task for task in tasks if task not in out]
    table = tables.constants_as_zero(table)
    theirs = tables.papers_shares(counted)
    paper = (
        f"they recover {_listed(theirs)}: random is mostly on a par with good, "
        "and even bad ones “can be finetuned separately to reach fairly strong performance” (§7)."
        if counted
        else "random s-pruned subnetworks are mostly on a par with good ones; bad ones are behind."
    )
    if not counted:
        run = "no full model has been shown to beat the majority class, so nothing can be recovered"
        return Finding(f"{run}.", paper, "this run cannot answer the question.")
    systems = {kind: ("s-pruning", f"{kind} (retrained)") for kind in tables.KINDS}
    ours = {kind: tables.gap(table, counted, *system) for kind, system in systems.items()}
    sides = {kind: _sides(table, kind, counted) for kind in ("random", "bad")}
    left = (
        f" ({names_of([*out])} left out: full model not shown to beat the majority)" if out else ""
    )
    run = (
        "trained again, good, random and bad s-pruned subnetworks recover this share of the gap "
        f"between majority class and full model: {_listed(ours)}{left}. "
        + " ".join(_compared(kind, of_kind) for kind, of_kind in sides.items())
    )
    so = _about_bad(table, counted, sides["bad"], ours)
    so += _about_random(table, counted, sides["random"]) + _about_the_criterion(table, counted)
    return Finding(run, paper, f"{so}.")


def _compared(kind: str, sides: Mapping[str, Sequence[str]]) -> str:
    """Where `kind` stands beside good, in one sentence."""
    words = {
        "behind": "each task by itself, good beats {kind} on {tasks}",
        "par": "{kind} is on a par (within 5 points) on {tasks}",
        "ahead": "{kind} beats good on {tasks}",
        "open": "on {tasks} the difference from {kind} is not decided",
    }
    filled = {side: names_of(found) for side, found in sides.items() if found}
    parts = [words[side].format(kind=kind, tasks=found) for side, found in filled.items()]
    return f"{'; '.join([parts[0][0].upper() + parts[0][1:], *parts[1:]])}."


def _about_bad(
    table: pd.DataFrame,
    tasks: Sequence[str],
    sides: Mapping[str, Sequence[str]],
    shares: Mapping[str, Mapping[str, float]],
) -> str:
    p = _p_of_lead(table, "bad", tasks)
    loses = [task for task in sides["behind"] if p[task] < intervals.LEVEL]
    undecided = {*sides["open"], *sides["behind"]} - {*loses}
    rest = [task for task in tasks if task in undecided]
    if loses:
        ends = {task: intervals.of_mean(_leads(table, "bad", task)) for task in loses}
        clearest = max(ends, key=lambda task: ends[task][0])
        low, high = ends[clearest]
        lead = _leads(table, "bad", clearest).mean()
        most = "" if len(ends) == 1 else f"most clearly on {clearest}: "
        so = "no, not all tickets do equally well" if len(loses) > 1 else "not on every task"
        so += ": retrained bad subnetworks score below good ones "
        so += f"on {names_of(loses)}, also after Holm's correction over the tasks "
        so += f"({most}good − bad = {lead:.2f} [{low:.2f}, {high:.2f}])"
        fallen = [task for task in rest if task in sides["behind"]]
        still_open = [task for task in rest if task not in fallen]
        so += f"; on {names_of(fallen)} the difference does not survive it" if fallen else ""
        so += f"; on {names_of(still_open)} it is not decided" if still_open else ""
        return so + "; the paper sees bad ones behind, too"
    if not rest:
        return "yes, in this run even bad tickets win, which goes further than the paper"
    good, bad = shares["good"], shares["bad"]
    ahead = [task for task in rest if good.get(task, np.nan) > bad.get(task, np.nan)]
    so = f"this run cannot tell: bad is not shown to lose, and on {names_of(rest)} the difference "
    so += "from good is not decided (after Holm's correction over the tasks)"
    return so + (f" (the means put bad behind good on {names_of(ahead)})" if ahead else "")


def _about_the_criterion(table: pd.DataFrame, tasks: Sequence[str]) -> str:
    """On how many tasks a kind's mean reaches the paper's line: full model less one deviation.

    Nothing of tasks with one seed, which have no deviation.
    """
    scores = {task: _retrained(table, "full model", task) for task in tasks}
    lines = {task: of_task for task, of_task in scores.items() if of_task.count() > 1}
    if not lines:
        return ""
    reach = {
        (group, kind): sum(
            _retrained(table, kind, task, group).mean() >= full.mean() - full.std(ddof=1)
            for task, full in lines.items()
        )
        for group in tables.GROUPS[:2]
        for kind in ("good", "bad")
    }
    return (
        ". By the means, the paper's criterion (full model less one standard deviation) is reached "
        f"by good s-pruned subnetworks on {reach['s-pruning', 'good']} and by bad ones on "
        f"{reach['s-pruning', 'bad']} of {count_of(len(lines), 'task')}; of the m-pruned ones, by "
        f"good on {reach['m-pruning', 'good']} and by bad on {reach['m-pruning', 'bad']}"
    )


def _about_random(
    table: pd.DataFrame, tasks: Sequence[str], sides: Mapping[str, Sequence[str]]
) -> str:
    half = len(tasks) / 2
    where = "on the one task" if len(tasks) == 1 else "on most tasks"
    if len(sides["behind"]) > half:
        ends = [intervals.of_mean(_leads(table, "random", task)) for task in sides["behind"]]
        far = sum(low > ON_A_PAR for low, _ in ends)
        against = "which contradicts the paper" if far > half else "so “on a par” is open"
        return f". Good beats random {where}, by more than 5 points on {far}; {against}"
    if len(sides["par"]) + len(sides["ahead"]) > half:
        return f". Random is as good as good {where}, as in the paper"
    return ""


def _retrained(table: pd.DataFrame, kind: str, task: str, group: str = "s-pruning") -> pd.Series:
    if kind in tables.KINDS:
        return tables.values(table, group, f"{kind} (retrained)", task)
    return tables.values(table, "reference", kind, task)


def _sides(table: pd.DataFrame, kind: str, tasks: Sequence[str]) -> dict[str, list[str]]:
    """Sort tasks by where `kind` stands beside good: behind, par, ahead, or open.

    On a par: the whole interval is within the margin, even if it excludes 0.
    """
    sides: dict[str, list[str]] = {"behind": [], "par": [], "ahead": [], "open": []}
    for task in tasks:
        low, high = intervals.of_mean(_leads(table, kind, task))
        if low > -ON_A_PAR and high < ON_A_PAR:
            side = "par"
        else:
            side = "behind" if low > 0 else "ahead" if high < 0 else "open"
        sides[side].append(task)
    return sides


def _p_of_lead(table: pd.DataFrame, kind: str, tasks: Sequence[str]) -> dict[str, float]:
    """Test whether good and `kind` differ, seed by seed (Student's t): p after Holm's correction.

    1 for a task with too few seeds for an interval.
    """
    p = []
    for task in tasks:
        lead = _leads(table, kind, task)
        if len(lead) < intervals.LEAST:
            p.append(1.0)
        elif lead.std() == 0:
            p.append(float(lead.mean() == 0))
        else:
            p.append(float(ttest_1samp(lead, 0).pvalue))
    return dict(zip(tasks, multipletests(p, method="holm")[1], strict=True))


def _leads(table: pd.DataFrame, kind: str, task: str) -> pd.Series:
    """By how much good leads `kind`, for each seed that has both."""
    return (_retrained(table, "good", task) - _retrained(table, kind, task)).dropna()


def _listed(shares: Mapping[str, Mapping[str, float]]) -> str:
    """Write the shares of good, random and bad: of each task, or the median if they are many."""
    table = pd.DataFrame(shares)
    if not len(table):
        return "nothing, for there is no gap"
    if len(table) > FEW:
        return f"{_percent(table.median())} (median of {len(table)} tasks)"
    return names_of([f"{_percent(row)} on {task}" for task, row in table.iterrows()])


def _percent(shares: pd.Series) -> str:
    return f"{names_of(['–' if np.isnan(x) else f'{100 * x:.0f}' for x in shares])} %"
