"""The findings of notebooks 04 and 07 to 09, which look at all tasks and seeds."""

from collections.abc import Mapping, Sequence, Sized
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.paper import intervals, numbers
from lib.paper.findings import Finding, count_of, names_of, worded
from lib.paper.intervals import LEVEL

NOTHING = "there is nothing to compare"
Thirds = Mapping[str, Mapping[str, np.ndarray]]  # {"heads" or "MLPs": {task: a value a third}}
# What an estimator can matter for: notebook 07's comparisons of two estimators. The others compare
# one with chance, or with itself.
MATTERS_FOR = {
    "how many examples a reliable order takes (A)": "A",
    "what the order predicts (B, C)": "BC",
    "the score of the heads ranked higher (D: by E|g| or running sum; H: normalised or not)": "DH",
    "how far seeds agree (I)": "I",
}


def survivors(kept: Thirds, theirs: Thirds, supers: pd.DataFrame) -> Finding:
    """Notebook 04: where the survivors live, and how many survive every seed.

    kept: the share of units kept in the lower, middle and upper third of the layers, float [3]
    theirs: the same of the authors' masks on these tasks; empty if `kept` is of them
    supers: a row for each task; columns seeds, super-survivors, by chance (heads only)
    """
    paper = "the important heads are more in the earlier and middle layers, the important MLPs "
    paper += "more in the middle (§4.1)."
    if theirs:
        paper += f" In its authors' masks {_clauses(_places(theirs))}."
    paper += " The number of super-survivors is not compared with chance."
    places = _places(kept)
    if not places:
        return Finding("no task keeps some units and prunes others.", paper, f"{NOTHING}.")
    run = f"{_clauses(places)}."
    so = "; ".join(
        f"that {one.rule}, as we read the paper's preference of {units} for the {one.where}, "
        f"holds on {one.shown or 'none'} of {count_of(one.asked, 'task')}"
        for units, one in places.items()
    )
    asked = supers[(supers["seeds"] > 1) & (supers["by chance"] > 0)]  # chance could be surpassed
    if not len(asked):
        return Finding(run, paper, f"{so}; what survives every seed cannot be asked here.")
    more = int((asked["super-survivors"] > asked["by chance"]).sum())
    each = [
        f"{row['super-survivors']:.0f} against {row['by chance']:.0f} ({task})"
        for task, row in asked.iterrows()
    ]
    run += (
        f" More heads survive every seed than chance predicts on {more} of "
        f"{count_of(len(asked), 'task')}: {names_of(each)}."
    )
    if more == len(asked):
        agree = "seeds agree more often than independent random masks would; 07 tests it"
    elif more == 0:
        agree = "surviving every seed is no more than what mask sizes give by chance"
    else:
        agree = f"on {more} of {len(asked)} tasks seeds agree more often than random masks would"
    return Finding(run, paper, f"{so}; {agree}.")


def _uneven(kept: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Of the tasks where one third of the layers keeps more than another."""
    return [part for part in kept.values() if np.ptp(part) > 0]


class _Preferred(NamedTuple):
    """Where the paper sees one kind of units, and the rule by which we count the tasks that agree.

    clause: what this run shows; shown, asked: on how many tasks the rule holds, and of how many
    """

    where: str
    rule: str
    clause: str
    shown: int
    asked: int


def _places(kept: Thirds) -> dict[str, _Preferred]:
    """Where the heads, and where the MLPs are, for each of the two that can be asked."""
    places = {}
    if parts := _uneven(kept.get("heads", {})):
        fewest = sum(int(part[2] < part[:2].min()) for part in parts)
        most = sum(int(part[2] > part[:2].max()) for part in parts)
        clause = f"the upper third of the layers keeps the fewest heads on {fewest} and the most "
        clause += f"on {most} of {count_of(len(parts), 'task')}"
        rule = "the upper third keeps the fewest heads"
        where = "earlier and middle layers"
        places["heads"] = _Preferred(where, rule, clause, fewest, len(parts))
    if parts := _uneven(kept.get("MLPs", {})):
        middle = sum(int(part[1] > max(part[0], part[2])) for part in parts)
        rule = "the middle third keeps the most MLPs"
        clause = f"{rule} on {middle} of {count_of(len(parts), 'task')}"
        places["MLPs"] = _Preferred("middle", rule, clause, middle, len(parts))
    return places


def _clauses(places: Mapping[str, _Preferred]) -> str:
    return "; ".join(one.clause for one in places.values())


def _on_most(tasks: Sized) -> str:
    return "on the one task" if len(tasks) == 1 else "on most tasks"


def stability(table: pd.DataFrame, by_code: Mapping[str, float] | None = None) -> Finding:
    """Notebook 07: does another seed keep the same heads?

    table: of `lib.analysis.agreement.table`, for heads
    by_code: {task: κ of the searches by the running sum, by which the authors' code chose}, where
        the searches of `table` went by another estimator
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
    kappas, ratios = known["κ"], known["shared by two seeds"] / known["by chance"]
    sure, within = (int((known[p] < LEVEL).sum()) for p in ("p (Holm)", "p within layers (Holm)"))
    run = (
        f"κ of the heads is {_span(kappas)}. Two seeds share {_span(ratios)} times as many heads "
        f"as random masks of their sizes{', by task' * (len(known) > 1)}. This is more than chance "
        f"on {sure} of {count_of(len(known), 'task')}, and more than shared layers explain on "
        f"{within}."
    )
    if sure == 0:
        so = "another seed keeps other heads: the overlap is indistinguishable from chance"
    elif sure <= len(known) / 2:
        so = f"{_on_most(known)}, seeds are not shown to share more heads than chance gives"
    else:
        so = "unstable is not random: seeds share more heads than chance gives on "
        so += f"{sure} of {count_of(len(known), 'task')}"
    above = int((kappas > high).sum())
    so += f" (κ {_span(kappas)}; 1 would be the same heads). The paper's seeds have {low:.2f} to "
    so += f"{high:.2f}; here κ is above that on {above} of {count_of(len(known), 'task')}"
    coded = pd.Series(by_code or {}, dtype=float).reindex(known.index).dropna()
    if len(coded):
        so += ". The authors' code chose by the running sum; searches by it have κ "
        so += f"{_span(coded)} here, above the paper's on {int((coded > high).sum())} and below on "
        so += f"{int((coded < low).sum())} of {count_of(len(coded), 'task')}"
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
    named = "" if len(decided) == len(clear) else f": {'; '.join(decided['so'])}"
    run = (
        f"the intervals over tasks decide {len(clear)} of {count_of(len(decisions), 'comparison')}"
        f"{': ' + '; '.join(clear['so']) if len(clear) else ''}. "
        f"{count_of(len(decided), 'decision')} {'survives' if len(decided) == 1 else 'survive'} "
        f"Holm's correction{named if len(decided) else ''}."
    )
    if not len(decided) and decisions["p"].isna().all():
        return Finding(run, paper, f"fewer than {intervals.LEAST} tasks: nothing can be decided.")
    by_letter = {str(name)[0]: so for name, so in decided["so"].items()}
    shown = {about: any(x in by_letter for x in letters) for about, letters in MATTERS_FOR.items()}
    matters = [about for about in shown if shown[about]]
    open_ = [about for about in shown if not shown[about]]
    so = "this run does not show that the choice of estimator matters"
    if matters:
        so = f"the estimator matters for {names_of(matters)}"
        so += f"; that it matters for {names_of(open_)} is not shown" if open_ else ""
    others = [so for x, so in by_letter.items() if x not in "".join(MATTERS_FOR.values())]
    return Finding(run, paper, f"{so}{'. Besides: ' + '; '.join(others) if others else ''}.")


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
    run += ". On labelled maps of two small encoders, the classifier's F1 is " + " and ".join(
        f"{value:.2f} ({kind})" for kind, value in trusted.items()
    )
    sure = known[known["p (Holm)"] < LEVEL]
    beyond = sure["correlation"] - sure["by layers alone"]
    more, fewer = ([str(kind) for kind in sure.index[sign * beyond > 0]] for sign in (1, -1))
    if more and fewer:
        so = (
            f"{names_of(more)} maps of survivors are heterogeneous more often than their layers "
            f"explain, {names_of(fewer)} maps less often: no single answer"
        )
    elif more:
        so = (
            "survivors' maps are called heterogeneous more often than their layers explain "
            f"({names_of(more)} maps), which contradicts the paper"
        )
    elif fewer:
        so = (
            "survivors' maps are called heterogeneous less often than their layers explain "
            f"({names_of(fewer)} maps{_which(correlations, fewer)}). The paper found no relation. "
            "Neither shows a preference for such patterns"
        )
    else:
        so = (
            "no preference beyond that of their layers was found, as in the paper; that does not "
            "show that there is none"
        )
    return Finding(f"{run}.", paper, f"{so}.")


def _which(correlations: pd.DataFrame, kinds: Sequence[str]) -> str:
    """The tasks that alone show fewer heterogeneous maps, if some do."""
    alone = correlations.drop("all tasks", level="tasks")
    alone = alone[
        alone.index.get_level_values("kind").isin(list(kinds)) & (alone["p (Holm)"] < LEVEL)
    ]
    lower = alone[alone["correlation"] < alone["by layers alone"]]
    names = list(dict.fromkeys(lower.index.get_level_values("tasks")))
    return f"; task by task, after Holm's correction, on {names_of(names)} only" if names else ""


def overlaps(
    table: pd.DataFrame,
    agree: tuple[float, float],
    kinds: tuple[float, float, float],
    pairs: tuple[float, float, float],
    of_mlps: tuple[float, float, float],
) -> Finding:
    """Notebook 09: do tasks share their survivors?

    table: of `lib.analysis.overlap.table`, for heads
    agree: (correlation, p) of `lib.analysis.overlap.seeds_agree`
    kinds, pairs, of_mlps: (κ of one kind, of others, p) of `lib.analysis.overlap.of_one_kind`, for
        the heads of all tasks, the heads of those whose rows are pairs of sentences, and the MLPs
    """
    paper = (
        "overlaps are “not particularly large, but still more than what we would expect if the "
        "heads were completely independent” (§5.3), without a test. They “do not seem to depend on "
        "the type of the task”."
    )
    asked = table[table["p"].notna()]
    if not len(asked):
        return Finding("no two tasks keep some heads and prune others.", paper, f"{NOTHING}.")
    sure, within = (int((asked[p] < LEVEL).sum()) for p in ("p (Holm)", "p within layers (Holm)"))
    ratio = asked["shared"].sum() / asked["by chance"].sum()
    correlation, p = agree
    run = (
        f"two tasks share {ratio:.2f} times as many heads as random masks of their sizes; this is "
        f"more than chance for {sure} of {count_of(len(asked), 'pair')}, and for {within} beyond "
        "shared layers. "
    )
    if np.isnan(p):
        run += "There are too few tasks or seeds to ask whether tasks form groups."
    else:
        run += f"Seeds' rankings of the pairs correlate by {correlation:.2f} ({worded(p)})."
    by_seeds = int((asked["from"] > 0).sum())
    if sure == 0:
        so = "no pair is shown to share more than chance gives, unlike in the paper"
        if by_seeds:
            so += " (10 asks only whether other seeds would show the excess again: they would for "
            so += f"{by_seeds})"
    elif sure <= len(asked) / 2:
        so = f"{sure} of {count_of(len(asked), 'pair')} {'is' if sure == 1 else 'are'} shown to "
        so += "share more heads than chance gives"
    else:
        so = "tasks do share survivors beyond chance, as the paper says"
    if sure:
        both = int(((asked["p (Holm)"] < LEVEL) & (asked["p within layers (Holm)"] < LEVEL)).sum())
        beyond = "also beyond what shared layers explain" if both else "which layers may explain"
        so += f", {both} of them {beyond}" if 0 < both < sure else f", {beyond}"
    if not np.isnan(p):
        noise = "is not one seed's accident" if p < LEVEL else "is indistinguishable from noise"
        so += f". Which tasks are close {noise}"
    same, other, p_kinds = kinds
    if not np.isnan(p_kinds):
        run += f" κ is {same:.2f} for two tasks of one kind and {other:.2f} for others "
        run += f"({worded(p_kinds)})."
        if p_kinds < LEVEL:
            so += ". By κ, heads of tasks of one kind are closer, which is not what the paper says"
            others = (("among tasks of sentence pairs", pairs[2]), ("for MLPs", of_mlps[2]))
            for which, p_other in others:
                if not np.isnan(p_other):
                    shown = "so it is, too" if p_other < LEVEL else "this is not shown"
                    so += f"; {which} {shown} ({worded(p_other)})"
        else:
            so += ". That heads of tasks of one kind are closer is not shown, as in the paper"
    return Finding(run, paper, f"{so}.")


def _span(values: pd.Series) -> str:
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"
