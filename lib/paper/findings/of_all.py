"""The findings of notebooks 04 and 06 to 09, which look at all tasks and seeds."""

from collections.abc import Mapping, Sequence, Sized

import numpy as np
import pandas as pd

from lib.paper import intervals, numbers, tables
from lib.paper.findings import Finding

PART_NAMES = ("lower", "middle", "upper")
ON_A_PAR = 0.05  # as in statements.csv
LEVEL = 0.05  # of p-values, after Holm's correction
NOTHING = "there is nothing to compare"


def survivors(kept: Mapping[str, np.ndarray], supers: pd.DataFrame) -> Finding:
    """Notebook 04: where the survivors live, and how many survive every seed.

    kept: {task: share of heads kept in the lower, middle and upper third of the layers, float [3]}
    supers: a row for each task; columns seeds, super-survivors, by chance (heads only)
    """
    paper = (
        "the important heads tend to be in the earlier and middle layers (§4.1). The number of "
        "super-survivors is not compared with chance."
    )
    shares = {task: part for task, part in kept.items() if 0 < np.nanmean(part) < 1}
    asked = supers[supers["seeds"] > 1]
    if not shares:
        return Finding("no task keeps some heads and prunes others.", paper, f"{NOTHING}.")
    mean = np.mean([*shares.values()], axis=0)
    where = _names([f"{100 * m:.0f} % of the {n}" for m, n in zip(mean, PART_NAMES, strict=True)])
    lowest = sum(int(np.argmin(part) == 2) for part in shares.values())
    run = (
        f"the good subnetworks keep {where} third of the heads, on average over "
        f"{_count(len(shares), 'task')}; the upper third keeps least on {lowest}."
    )
    if len(asked):
        more = int((asked["super-survivors"] > asked["by chance"]).sum())
        total, chance = asked["super-survivors"].sum(), asked["by chance"].sum()
        run += (
            f" {total:.0f} heads survive every seed of their task, against {chance:.0f} by chance; "
            f"there are more than by chance on {more} of {_count(len(asked), 'task')}."
        )
    if lowest > len(shares) / 2:
        place = "pruning spares the earlier and middle layers here too"
    else:
        place = "the paper's preference for earlier and middle layers does not show "
        place += _on_most(shares)
    if not len(asked):
        return Finding(run, paper, f"{place}; one seed cannot say what survives every seed.")
    if more == len(asked):
        agree = "seeds agree more than blind choice would; 07 tests it"
    elif total <= chance:
        agree = "surviving every seed is no more than what mask sizes give by chance"
    else:
        agree = f"seeds agree more than blind choice would on {more} of {len(asked)} tasks"
    return Finding(run, paper, f"{place}; {agree}.")


def tickets(table: pd.DataFrame, tasks: Sequence[str]) -> Finding:
    """Notebook 06: are all tickets winning?

    The answer is about s-pruning, after retraining; a task counts if its full model beats the
    majority class (`tables.left_out`).
    table: the long table of `tables.gather`
    """
    out = tables.left_out(table, tasks)
    counted = [task for task in tasks if task not in out]
    table = tables.constants_as_zero(table)
    theirs = _shares_of_gap(_papers_scores(counted))
    paper = (
        f"they recover {_list_of_shares(theirs)} on the same tasks: random is mostly on a par with "
        "good, and even bad ones “can be finetuned separately to reach fairly strong performance” "
        "(§7)."
        if counted
        else "random s-pruned subnetworks are mostly on a par with good ones; bad ones are behind."
    )
    if not counted:
        run = "no full model has been shown to beat the majority class, so nothing can be recovered"
        return Finding(f"{run}.", paper, "this run cannot answer the question.")
    ours = _shares_of_gap({
        kind: {task: _retrained(table, kind, task).mean() for task in counted}
        for kind in ("good", "random", "bad", "full model", "majority baseline")
    })  # fmt: skip
    sides = {kind: _sides(table, kind, counted) for kind in ("random", "bad")}
    run = (
        f"good, random and bad s-pruned subnetworks, trained again, recover "
        f"{_list_of_shares(ours)} of the gap between majority class and full model "
        f"({_tasks_counted(counted, tasks)}). "
        + " ".join(
            f"Good beats {kind} on {_count(len(side['behind']), 'task')}, is on a par "
            f"(within 5 points) on {len(side['par'])}, is beaten on {len(side['ahead'])}, "
            f"and on {len(side['open'])} this run cannot tell."
            for kind, side in sides.items()
        )
    )
    bad, random, half = sides["bad"], sides["random"], len(counted) / 2
    if len(bad["behind"]) > half:
        so = f"no, not all: on {_names(bad['behind'])} the bad ticket loses to the good one"
        so += "; the paper sees bad ones behind, too"
    elif len(bad["par"]) + len(bad["ahead"]) > half:
        so = "yes, in this run even bad tickets win, which goes further than the paper"
    else:
        leaning = ours["good"] - ours["bad"]
        so = (
            f"this run cannot tell: {_on_most(counted)} the interval over seeds includes both 0 "
            f"and more than 5 points. The means put bad {100 * abs(leaning):.0f} % of the gap "
            f"{'behind' if leaning > 0 else 'ahead of'} good"
        )
    if len(random["behind"]) > half:
        far = sum(_lead(table, "random", task)[0] > ON_A_PAR for task in random["behind"])
        so += f". Good beats random {_on_most(counted)}, by more than 5 points on {far}"
        so += (
            ", which contradicts the paper"
            if far > half
            else "; so whether the paper's “on a par” holds is open"
        )
    elif len(random["par"]) + len(random["ahead"]) > half:
        so += f". Random is as good as good {_on_most(counted)}, as in the paper"
    return Finding(run, paper, f"{so}.")


def _on_most(tasks: Sized) -> str:
    return "on the one task" if len(tasks) == 1 else "on most tasks"


def _retrained(table: pd.DataFrame, kind: str, task: str) -> pd.Series:
    if kind in tables.KINDS:
        return tables.values(table, "s-pruning", f"{kind} (retrained)", task)
    return tables.values(table, "reference", kind, task)


def _papers_scores(tasks: Sequence[str]) -> dict[str, dict[str, float]]:
    systems = {kind: ("s-pruning", f"{kind} (retrained)") for kind in tables.KINDS}
    systems |= {item: ("reference", item) for item in ("full model", "majority baseline")}
    return {
        name: {task: numbers.number(item, task, group)[0] for task in tasks}
        for name, (group, item) in systems.items()
    }


def _shares_of_gap(scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Compute (score − majority) / (full − majority) of each kind, the median over tasks."""
    full, majority = scores["full model"], scores["majority baseline"]
    shares = {
        kind: [
            (scores[kind][task] - majority[task]) / (full[task] - majority[task])
            for task in full
            if full[task] > majority[task]
        ]
        for kind in tables.KINDS
    }
    return {kind: float(pd.Series(of, dtype=float).median()) for kind, of in shares.items()}


def _sides(table: pd.DataFrame, kind: str, tasks: Sequence[str]) -> dict[str, list[str]]:
    """Sort tasks by where `kind` stands beside good: behind, par, ahead, or open.

    On a par: the whole interval is within the margin, even if it excludes 0.
    """
    sides: dict[str, list[str]] = {"behind": [], "par": [], "ahead": [], "open": []}
    for task in tasks:
        low, high = _lead(table, kind, task)
        if low > -ON_A_PAR and high < ON_A_PAR:
            side = "par"
        else:
            side = "behind" if low > 0 else "ahead" if high < 0 else "open"
        sides[side].append(task)
    return sides


def _lead(table: pd.DataFrame, kind: str, task: str) -> tuple[float, float]:
    """By how much good leads `kind`, seed by seed: a 95 % interval."""
    return intervals.of_mean(
        (_retrained(table, "good", task) - _retrained(table, kind, task)).dropna()
    )


def stability(table: pd.DataFrame) -> Finding:
    """Notebook 07: does another seed keep the same heads?

    table: of `lib.analysis.agreement.table`, for heads
    """
    low, high = (
        numbers.number(f"{end} Fleiss' kappa of heads", "all")[0] for end in ("least", "largest")
    )
    paper = (
        f"κ is {low:.2f} to {high:.2f}, and “the good subnetworks are unstable” (§5.1). There is "
        "no test against random masks of the same sizes."
    )
    known = table[table["κ"].notna() & table["p"].notna()]
    if not len(known):
        return Finding(
            "no task has two seeds that each keep some heads and prune others.",
            paper,
            f"{NOTHING}; it takes at least two seeds.",
        )
    kappas, ratio = known["κ"], known["shared by two seeds"].sum() / known["by chance"].sum()
    sure, within = (int((known[p] < LEVEL).sum()) for p in ("p (Holm)", "p within layers (Holm)"))
    run = (
        f"κ of the heads is {_span(kappas)}. Two seeds share {ratio:.2f} times as many heads as "
        f"random masks of their sizes. This is more than chance on {sure} of "
        f"{_count(len(known), 'task')}, and more than shared layers explain on {within}."
    )
    if sure == 0:
        so = "another seed keeps other heads: the overlap is indistinguishable from chance"
    elif sure <= len(known) / 2:
        so = f"{_on_most(known)}, seeds are not shown to share more heads than chance gives"
    else:
        so = f"unstable is not random: seeds keep partly the same heads {_on_most(known)}"
    if kappas.min() > high:
        so += f", and κ is above the paper's range on {'all' if len(known) > 1 else 'this'} "
        so += "tasks" if len(known) > 1 else "task"
    elif kappas.max() < low:
        so += ", and κ is below the paper's range"
    elif sure > len(known) / 2:
        so += f", but far from all (κ up to {kappas.max():.2f})"
    return Finding(run, paper, f"{so}.")


def estimators(decisions: pd.DataFrame) -> Finding:
    """Notebook 07: is the estimator of importance the reason why masks are unstable?

    decisions: of `lib.analysis.comparisons.decisions`
    """
    paper = (
        "importance is E|g|; the authors' code sums gradients before it takes |·|. The paper "
        "compares no estimators."
    )
    clear = decisions[decisions["so"] != "not decided"]
    decided = clear[clear["p (Holm)"] < LEVEL]
    run = (
        f"the intervals over tasks decide {len(clear)} of {_count(len(decisions), 'comparison')}"
        f"{': ' + '; '.join(clear['so']) if len(clear) else ''}. "
        f"{_count(len(decided), 'decision')} {'survives' if len(decided) == 1 else 'survive'} "
        f"Holm's correction{': ' + '; '.join(decided['so']) if len(decided) else ''}."
    )
    if not len(decided) and decisions["p"].isna().all():
        return Finding(run, paper, f"fewer than {intervals.LEAST} tasks: nothing can be decided.")
    if not len(decided):
        return Finding(run, paper, "this run does not show that the choice of estimator matters.")
    labels = [str(name)[0] for name in decided.index]
    open_ = "IJ" if not {*"IJ"} & {*labels} else ""
    so = f"the estimator matters for {_reasons(labels)}"
    if open_:
        so += "; that it is why masks differ between seeds is not shown"
    return Finding(run, paper, f"{so}.")


def _reasons(labels: Sequence[str]) -> str:
    about = {
        "A": "how many examples a reliable order takes", "B": "what the order predicts",
        "C": "what the order predicts", "D": "what is chosen", "E": "what is chosen",
        "F": "what is chosen", "G": "what is chosen", "H": "what is chosen",
        "I": "how far seeds agree", "J": "how far seeds agree",
    }  # fmt: skip
    return _names(list(dict.fromkeys(about[label] for label in labels)))


def patterns(correlations: pd.DataFrame, trusted: Mapping[str, float]) -> Finding:
    """Notebook 08: do survivors look linguistic?

    correlations: index (kind, tasks); columns correlation, low by chance, high by chance,
        p (Holm), paper
    trusted: {kind: weighted F1 of the classifier on real maps}
    """
    overall = correlations.xs("all tasks", level="tasks")
    paper = "the correlation of survival and heterogeneous patterns is " + " and ".join(
        f"{value:.3f} ({kind})" for kind, value in overall["paper"].items()
    )
    paper += ": super-survivors “do not preferentially encode” them (§5.2)."
    known = overall[overall["correlation"].notna() & overall["p (Holm)"].notna()]
    if not len(known):
        run = "every head survives, or none, so there is no correlation"
        return Finding(f"{run}.", paper, f"{NOTHING}.")
    run = "the correlation is " + " and ".join(
        f"{row['correlation']:+.2f} ({kind}; 95 % of shuffles within layers: "
        f"{row['low by chance']:+.2f} to {row['high by chance']:+.2f})"
        for kind, row in known.iterrows()
    )
    run += ". The classifier's F1 is " + " and ".join(
        f"{value:.2f} ({kind})" for kind, value in trusted.items()
    )
    sure = known[known["p (Holm)"] < LEVEL]
    beyond = sure["correlation"] - sure["by layers alone"]
    more, fewer = ([str(kind) for kind in sure.index[sign * beyond > 0]] for sign in (1, -1))
    if more and fewer:
        so = (
            f"{_names(more)} maps of survivors are heterogeneous more often than their layers "
            f"explain, {_names(fewer)} maps less often: no single answer"
        )
    elif more:
        so = (
            f"survivors do look more varied than their layers explain ({_names(more)} maps), which "
            "contradicts the paper"
        )
    elif fewer:
        so = (
            f"survivors look less varied than their layers explain ({_names(fewer)} maps): they do "
            "not prefer such patterns, as in the paper"
        )
    else:
        so = (
            "no preference beyond that of their layers was found, as in the paper; that does not "
            "show that there is none"
        )
    return Finding(f"{run}.", paper, f"{so}.")


def overlaps(table: pd.DataFrame, agree: tuple[float, float]) -> Finding:
    """Notebook 09: do tasks share their survivors?

    table: of `lib.analysis.overlap.table`, for heads
    agree: (correlation, p) of `lib.analysis.overlap.seeds_agree`
    """
    paper = (
        "overlaps are “not particularly large, but still more than what we would expect if the "
        "heads were completely independent” (§5.3), without a test."
    )
    asked = table[table["p"].notna()]
    if not len(asked):
        return Finding("no two tasks keep some heads and prune others.", paper, f"{NOTHING}.")
    sure, within = (int((asked[p] < LEVEL).sum()) for p in ("p (Holm)", "p within layers (Holm)"))
    ratio = asked["shared"].sum() / asked["by chance"].sum()
    correlation, p = agree
    run = (
        f"two tasks share {ratio:.2f} times as many heads as random masks of their sizes; this is "
        f"more than chance for {sure} of {_count(len(asked), 'pair')}, and for {within} beyond "
        "shared layers. "
    )
    if np.isnan(p):
        run += "There are too few tasks or seeds to ask whether tasks form groups."
    else:
        run += (
            f"Seeds' rankings of the pairs correlate by {correlation:.2f} "
            f"(p {'<' if p < 0.001 else '='} {max(p, 0.001):.3f})."
        )
    by_seeds = int((asked["from"] > 0).sum())
    if sure == 0:
        so = "no pair is shown to share more than chance gives, unlike in the paper"
        if by_seeds:
            so += f" (10 asks only whether seeds agree on an excess: they do for {by_seeds})"
    elif sure <= len(asked) / 2:
        so = f"{sure} of {_count(len(asked), 'pair')} are shown to share more than chance gives, "
        so += "the others are not"
    else:
        so = "tasks do share survivors beyond chance, as the paper says"
    if sure:
        layers = "do not" if within > sure / 2 else "may"
        so += f". Shared layers {layers} explain most of that"
    if not np.isnan(p):
        noise = "is not one seed's accident" if p < LEVEL else "is indistinguishable from noise"
        so += f". Which tasks are close {noise}"
    return Finding(run, paper, f"{so}.")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _names(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _span(values: pd.Series) -> str:
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"


def _list_of_shares(shares: Mapping[str, float]) -> str:
    parts = ["–" if np.isnan(share) else f"{100 * share:.0f}" for share in shares.values()]
    return f"{_names(parts)} %"


def _tasks_counted(counted: Sequence[str], tasks: Sequence[str]) -> str:
    left = len(tasks) - len(counted)
    return (
        f"median of {_count(len(counted), 'task')}"
        + (f"; {left} left out, whose full model is not shown to beat the majority" if left else "")
    )  # fmt: skip
