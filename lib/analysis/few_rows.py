"""Are few training rows the reason why bad subnetworks learn less here than in the paper?

Planned before anything was trained (`lib.tickets.more_rows` trains). What is compared is the share
of what the full model learns that a subnetwork learns, (its score − majority) / (full − majority),
by means over seeds, on tasks whose full model beats the majority class on few rows and on more.

1. More rows: bad's share on more rows minus its share on few. An interval over tasks above 0 makes
   few rows a part of the reason; one below 0 speaks against it. Only if the interval of the share
   on more rows holds the paper's (the median of its tasks) could they be all of it.
2. Rows or steps: bad on more rows minus bad on few rows for as many steps, both as shares of the
   full model's lead on more rows. Above 0, it is the rows; if it holds 0, it may be the steps.
"""

import numpy as np
import pandas as pd

from lib.analysis import comparisons
from lib.paper import intervals, tables
from lib.paper.findings.of_tickets import papers_shares
from lib.tickets.more_rows import AS_MANY_STEPS, BY_THE_RECIPE, FULL

FEW, LONGER, MORE = "bad, few rows", "bad, few rows, as many steps", "bad"
OTHERS = ("random", "good")  # on more rows
QUESTIONS = {
    "more rows: bad on more rows − on few": (MORE, FEW),
    "rows, not steps: bad on more rows − on few rows for as many steps": (MORE, LONGER),
}


def shares(trainings: pd.DataFrame, systems: pd.DataFrame) -> pd.DataFrame:
    """Compute what each subnetwork learns, as a share of what the full model does.

    trainings: what `lib.tickets.more_rows.train` returned, a row for each
    systems: the run's long table (`tables.gather`), for the majority class
    Returns a row for each task, the one with the most rows first: few and more (numbers of rows),
    and a share for each of FEW, LONGER, MORE and OTHERS. Shares on few rows are of the full model's
    lead on few rows, all others of its lead on more rows. A task whose full model has not been
    shown to beat the majority class on both is left out.
    """
    systems, found = tables.constants_as_zero(systems), {}
    for task in trainings["task"].unique():
        of_task = trainings[trainings["task"] == task]
        few, more = of_task["rows"].min(), of_task["rows"].max()
        majority = tables.values(systems, "reference", "majority baseline", task)
        by_seed = of_task.pivot_table("score", "seed", ["rows", "length", "system"])
        leads = by_seed.sub(majority, axis=0).dropna()
        usual = leads.xs(BY_THE_RECIPE, axis=1, level="length")
        if not all(tables.learns(usual[rows, FULL]) for rows in (few, more)):
            continue
        lead, on_few, full = leads.mean(), usual[few].mean(), usual[more, FULL].mean()
        on_more = usual[more].mean() / full
        found[task] = {
            "few": few,
            "more": more,
            FEW: on_few["bad"] / on_few[FULL],
            LONGER: lead[few, AS_MANY_STEPS, "bad"] / full,
            **{kind: on_more.get(kind, np.nan) for kind in (MORE, *OTHERS)},
        }
    learned = pd.DataFrame(found).T.astype({"few": int, "more": int})
    return learned.sort_values("more", ascending=False, kind="stable")


def repeated(trainings: pd.DataFrame, systems: pd.DataFrame) -> pd.DataFrame:
    """Compare what was trained again on few rows with the run: does this device give the same?

    trainings, systems: as for `shares`
    Returns a row for each task, and a column for bad and the full model: the mean over seeds of the
    score, here minus there.
    """
    few = trainings[trainings["rows"] == trainings["rows"].min()]
    usual = few[few["length"] == BY_THE_RECIPE]
    here = usual.pivot_table("score", ["task", "seed"], "system")
    items = {"bad": ("s-pruning", "bad (retrained)"), FULL: ("reference", FULL)}
    there = {
        name: systems[(systems["group"] == group) & (systems["item"] == item)].set_index(
            ["task", "seed"]
        )["score"]
        for name, (group, item) in items.items()
    }
    return (here[[*there]] - pd.DataFrame(there)).dropna().groupby(level="task", sort=False).mean()


def answers(learned: pd.DataFrame) -> pd.DataFrame:
    """Answer the two questions, with the tasks as the sample; see `comparisons.over_tasks`.

    learned: of `shares`
    """
    differences = {what: learned[a] - learned[b] for what, (a, b) in QUESTIONS.items()}
    return comparisons.over_tasks(pd.DataFrame(differences).T)


def so(learned: pd.DataFrame) -> str:
    """Say in words what follows, by the plan above.

    learned: of `shares`, with at least three tasks
    """
    theirs = papers_shares([*learned.index])["bad"]
    papers, less = np.median([*theirs.values()]), learned[MORE] - pd.Series(theirs)
    gain, steps = (learned[a] - learned[b] for a, b in QUESTIONS.values())
    low, high = intervals.of_mean(learned[MORE])
    few, more = (f"{100 * learned[name].median():.0f} %" for name in (FEW, MORE))
    decided = {
        1: "few rows are a part of the reason",
        -1: "few rows are not the reason, since with more of them bad ones learn less",
        0: "whether few rows are a part of the reason is not decided",
    }
    replaced = {
        1: "as many steps on few rows do not replace more rows",
        -1: "as many steps on few rows do better than more rows",
        0: "more rows are not shown to differ from as many steps on few rows",
    }
    return (
        f"on more rows, retrained bad subnetworks learn {more} of what the full model learns, on "
        f"few {few} (medians of {len(learned)} tasks). As planned: {decided[_side(gain)]} "
        f"({_mean(gain)}); the mean share on more rows, {learned[MORE].mean():.2f} "
        f"[{low:.2f}, {high:.2f}], {'holds' if low <= papers <= high else 'does not hold'} the "
        f"paper's {papers:.2f}; {replaced[_side(steps)]} ({_mean(steps)}). Not planned: task by "
        f"task, our share minus the paper's ({_mean(less)})."
    )


def _side(differences: pd.Series) -> int:
    low, high = intervals.of_mean(differences)
    return int(low > 0) - int(high < 0)


def _mean(differences: pd.Series) -> str:
    low, high = intervals.of_mean(differences)
    return f"mean difference {differences.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
