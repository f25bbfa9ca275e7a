"""Are few training rows the reason why bad subnetworks learn less here than in the paper?

`lib.tickets.more_rows` trains subnetworks on few rows and on more. What is compared is the share of
what the full model learns that a subnetwork learns, (its score − majority) / (full − majority), by
means over seeds, on tasks whose full model beats the majority class on few rows and on more.

Two comparisons were planned, and committed (5df19e0), before anything was trained:
1. More rows: bad's share on more rows minus its share on few. An interval over tasks above 0 makes
   few rows a part of the reason; one below 0 speaks against it. Only if the interval of the share
   on more rows holds the paper's .68 (the median of its tasks) could they be all of it.
2. Rows or steps: bad on more rows minus bad on few rows for about as many steps, both as shares of
   the full model's lead on more rows. Above 0, steps do not replace rows; if it holds 0, they may.
All else was added after looking. One thing was changed before the training: its precision is
float32, not the run's bf16.
"""

import numpy as np
import pandas as pd

from lib.analysis import comparisons
from lib.data.glue import TASKS
from lib.paper import intervals, tables
from lib.tickets.more_rows import AS_MANY_STEPS, BY_THE_RECIPE, FULL

OWN = "bad, few rows, of the full model's lead there"
FEW, LONGER, MORE = "bad, few rows", "bad, few rows, about as many steps", "bad"
OTHERS = ("random", "good")  # on more rows
PLANNED = {
    "more rows: bad on more rows − on few": (MORE, OWN),
    "steps do not replace rows: bad on more rows − on few, about as many steps": (MORE, LONGER),
}
_NEEDED = {
    ("few", BY_THE_RECIPE, FULL),
    ("few", BY_THE_RECIPE, "bad"),
    ("few", AS_MANY_STEPS, "bad"),
    ("more", BY_THE_RECIPE, FULL),
    ("more", BY_THE_RECIPE, "bad"),
}


def _few(trainings: pd.DataFrame) -> float:
    """The rows that the run had: on these alone bad has as many steps; nan until it was trained."""
    return trainings.loc[trainings["length"] == AS_MANY_STEPS, "rows"].min()


def _leads(trainings: pd.DataFrame, systems: pd.DataFrame, task: str) -> pd.DataFrame:
    """Scores less the majority class's: float [seeds, (few or more, length, system)].

    A constant answer on STS-B, which has no correlation, counts as 0.
    """
    of_task = trainings[trainings["task"] == task]
    size = np.where(of_task["rows"] == _few(trainings), "few", "more")
    score = of_task["score"].fillna(0.0) if TASKS[task].metric == "pearson" else of_task["score"]
    of_task = of_task.assign(size=size, score=score)
    scores = of_task.pivot_table("score", "seed", ["size", "length", "system"])
    majority = tables.values(systems, "reference", "majority baseline", task)
    return scores.sub(majority, axis=0)


def _why_not(leads: pd.DataFrame) -> str | None:
    """Say why a task cannot be asked; None if it can."""
    whole = leads[[*_NEEDED]].dropna() if {*leads.columns} >= _NEEDED else leads[:0]
    if not len(whole):
        return "not all that is needed has been trained"
    if not all(tables.learns(whole[size, BY_THE_RECIPE, FULL]) for size in ("few", "more")):
        return "its full model is not shown to beat the majority class on both"
    return None


def learned(trainings: pd.DataFrame, systems: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Compute what each subnetwork learns, as a share of what the full model does.

    trainings: what `lib.tickets.more_rows.train` returned, a row for each
    systems: the run's long table (`tables.gather`), for the majority class
    Returns the shares, and the tasks that cannot be asked: {task: why}. The shares have a row for
    each other task, the one with the most rows first. Columns: few and more (numbers of rows);
    shares of the full model's lead on more rows for FEW, LONGER, MORE and OTHERS; and OWN, the
    share of the full model's lead on few rows. Means are over the seeds that have both, so nan if a
    system was not trained.
    """
    zeroed, found, out = tables.constants_as_zero(systems), {}, {}
    for task in trainings["task"].unique():
        leads = _leads(trainings, zeroed, task)
        if why := _why_not(leads):
            out[task] = why
            continue
        rows = trainings.loc[trainings["task"] == task, "rows"]

        def share(size: str, system: str, length: str = BY_THE_RECIPE, of: str = "more") -> float:
            full = (of, BY_THE_RECIPE, FULL)
            both = leads.reindex(columns=[(size, length, system), full]).dropna().mean()  # noqa: B023
            return both.iloc[0] / both.iloc[1]

        found[task] = {
            "few": _few(trainings),
            "more": rows.max(),
            FEW: share("few", "bad"),
            LONGER: share("few", "bad", AS_MANY_STEPS),
            **{kind: share("more", kind) for kind in (MORE, *OTHERS)},
            OWN: share("few", "bad", of="few"),
        }
    columns = ["few", "more", FEW, LONGER, MORE, *OTHERS, OWN]
    table = pd.DataFrame.from_dict(found, orient="index", columns=columns)
    return table.sort_values("more", ascending=False, kind="stable"), out


def repeated(trainings: pd.DataFrame, systems: pd.DataFrame) -> pd.DataFrame:
    """Compare what was trained again on few rows with the run: does this device give the same?

    trainings, systems: as for `learned`
    Returns a row for each task, and a column for bad and the full model: the mean over seeds of the
    score, here minus there.
    """
    few = trainings[trainings["rows"] == _few(trainings)]
    usual = few[few["length"] == BY_THE_RECIPE]
    items, apart = {"bad": ("s-pruning", "bad (retrained)"), FULL: ("reference", FULL)}, {}
    for task, of_task in usual.groupby("task", sort=False):
        here = of_task.pivot(index="seed", columns="system", values="score")
        there = {name: tables.values(systems, *item, task) for name, item in items.items()}
        apart[task] = (here.reindex(columns=[*there]) - pd.DataFrame(there)).dropna().mean()
    return pd.DataFrame(apart).T.dropna()


def planned(shares: pd.DataFrame) -> pd.DataFrame:
    """Make the two planned comparisons, with the tasks as the sample; see `over_tasks`.

    shares: of `learned`
    """
    differences = {what: shares[a] - shares[b] for what, (a, b) in PLANNED.items()}
    return comparisons.over_tasks(pd.DataFrame(differences).T)


def not_planned(shares: pd.DataFrame) -> pd.DataFrame:
    """Make the comparisons that were added after looking; their p are not corrected.

    shares: of `learned`
    """
    theirs = tables.papers_shares([*shares.index])
    differences = {
        f"bad, {what}": shares[one] - shares[FEW]
        for what, one in (("more rows − few", MORE), ("about as many steps − few", LONGER))
    }
    for kind in ("good", "random", "bad"):
        differences[f"{kind} − {kind} in the paper"] = shares[kind] - pd.Series(theirs[kind])
    judged = comparisons.over_tasks(pd.DataFrame(differences).T[shares.index])
    return judged.drop(columns="p (Holm)")


def so(shares: pd.DataFrame) -> str:
    """Say in words what follows from the planned comparisons.

    shares: of `learned`
    """
    if len(shares) < intervals.LEAST:
        return f"{len(shares)} of the {intervals.LEAST} tasks that an interval needs are trained."
    theirs = np.array([*tables.papers_shares([*shares.index])["bad"].values()])
    gain, steps = (shares[a] - shares[b] for a, b in PLANNED.values())
    low, high = intervals.of_mean(shares[MORE])
    part = {
        1: "Few rows are a part of the reason",
        -1: "That speaks against few rows as the reason",
        0: "Whether few rows are a part of the reason is not decided",
    }[intervals.side(intervals.of_mean(gain))]
    replaced = {
        1: "do not replace more rows",
        -1: "do better than more rows",
        0: "are not shown to differ from more rows",
    }[intervals.side(intervals.of_mean(steps))]
    found, mean = shares[MORE].mean(), theirs.mean()
    return (
        f"On more rows, retrained bad subnetworks learn {found:.2f} of what the full model learns, "
        f"on few rows {shares[OWN].mean():.2f} (means of {len(shares)} tasks). {part} "
        f"({_mean(gain)}). About as many steps on few rows {replaced} ({_mean(steps)}). The share "
        f"on more rows is {found:.2f} [{low:.2f}, {high:.2f}]; the paper's mean of these tasks, "
        f"{mean:.2f}, lies {'inside' if low <= mean <= high else 'outside'} that interval."
    )


def _mean(differences: pd.Series) -> str:
    low, high = intervals.of_mean(differences)
    return f"mean difference {differences.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
