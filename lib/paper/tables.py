"""Tabulate the scores of all systems, beside the paper's and in pairs (Tables 2 and 3, Figure 16).

Everything starts from one long table with a row for each system, task and seed:

    task   seed  group      item             score  size
    SST-2  42    s-pruning  bad (retrained)  0.71   0.47

group and item have the same names as in `numbers.numbers`, so the paper's number can be looked up.
size is the share of the encoder's weights that a subnetwork keeps. A score that is absent is nan.
A constant answer on STS-B has no correlation, so its score is nan too; `gather` marks it in a
column of its own, "constant", because it is a result and not a gap.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lib.artefacts.store import Place
from lib.data import glue
from lib.paper import intervals, numbers
from lib.tickets.retrain import CONTROLS

KINDS, STATES = ("good", "random", "bad"), ("pruned", "retrained")
GROUPS = ("s-pruning", "m-pruning", "super-survivors")
OF_ESTIMATOR = "s-pruning by {}"  # the group of a search with another estimator than the run's
BASELINES = {  # models without a Transformer: {name: (kind, True if word embeddings are learned)}
    f"{kind}, {'learned' if learned else 'frozen'} embeddings": (kind, learned)
    for kind in ("CBOW", "BiLSTM")
    for learned in (False, True)
}
RANDOM_INIT = "Random init + random s-pruning"
QUOTED = ["CBOW", "BILSTM + GloVe", "BILSTM + ELMO"]


def gather(places: Sequence[Place]) -> pd.DataFrame:
    """Build the long table from places of notebook 05."""
    tables = [
        pd.DataFrame(place.load("systems.json")).assign(task=place.task, seed=place.seed)
        for place in places
    ]
    table = pd.concat(tables, ignore_index=True)
    correlated = [task for task, facts in glue.TASKS.items() if facts.metric == "pearson"]
    return table.assign(constant=table["score"].isna() & table["task"].isin(correlated))


def constants_as_zero(table: pd.DataFrame) -> pd.DataFrame:
    """Copy the long table, with 0 as the score of constant answers; other gaps stay nan.

    A table without the column "constant" has no constant answers.
    """
    if "constant" not in table:
        return table
    constant = table["constant"].astype(bool) & table["score"].isna()
    return table.assign(score=table["score"].mask(constant, 0.0))


def values(
    table: pd.DataFrame, group: str, item: str, task: str, column: str = "score"
) -> pd.Series:
    """Select one system's scores (or sizes) on a task, by seed."""
    rows = table[(table["group"] == group) & (table["item"] == item) & (table["task"] == task)]
    return rows.set_index("seed")[column].astype(float).sort_index()


def bars(
    table: pd.DataFrame, task: str, lines: dict[str, tuple[str, str]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute what a panel of bars shows: (means, sample standard deviations) over seeds.

    lines: {label: (group, kind)}
    Both tables have a row for each label, and the two states (pruned, retrained) as columns.
    """
    cells = {
        label: [values(table, group, f"{kind} ({state})", task) for state in STATES]
        for label, (group, kind) in lines.items()
    }
    means = {label: [scores.mean() for scores in states] for label, states in cells.items()}
    deviations = {
        label: [scores.std(ddof=1) for scores in states] for label, states in cells.items()
    }
    return (
        pd.DataFrame.from_dict(means, "index", columns=list(STATES)),
        pd.DataFrame.from_dict(deviations, "index", columns=list(STATES)),
    )


def by_kind(table: pd.DataFrame, group: str, task: str, state: str) -> pd.DataFrame:
    """Select one group's scores on a task: a row for each seed, a column for each kind."""
    columns = {kind: values(table, group, f"{kind} ({state})", task) for kind in KINDS}
    return pd.DataFrame(columns)


def spread(scores: ArrayLike) -> str:
    """Format mean ± sample standard deviation as in Table 3: 0.85 ± 0.01.

    A single score has no deviation. No score, or a nan among them, gives a dash.
    """
    values = np.asarray(scores, float)
    if not len(values) or np.isnan(values).any():
        return "–"
    return f"{values.mean():.2f}" + (f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else "")


def table_3(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Make Table 3: mean ± sample standard deviation over seeds; below each row, the paper's."""
    systems = [("reference", "majority baseline"), ("reference", "full model")]
    systems += [
        (group, f"{kind} ({state})") for group in GROUPS for kind in KINDS for state in STATES
    ]
    lines = {}
    for group, item in systems:
        lines[group, item, "ours"] = [spread(values(table, group, item, task)) for task in tasks]
        published = [numbers.number(item, task, group) for task in tasks]
        lines[group, item, "paper"] = [
            f"{mean:.2f} ± {deviation:.2f}" for mean, deviation, _ in published
        ]
    return _frame(lines, list(tasks), ["", "system", "whose"])


def table_2(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Make Table 2: bad subnetworks and baselines without a Transformer, averaged over the tasks.

    The paper quotes CBOW, GloVe and ELMo from Wang et al. (2018), and so do we. In the average a
    constant answer counts as 0; where a score is absent there is no average. The paper's cells are
    as printed; its two misprints, both on CoLA, count in the average with the value that fits.
    """
    ours = {"majority class": ("reference", "majority baseline")}
    ours |= {f"{item} (trained here)": ("baselines", item) for item in BASELINES}
    ours |= {f"bad ({group}, retrained)": (group, "bad (retrained)") for group in GROUPS[:2]}
    ours |= {item: ("baselines", item) for item in (RANDOM_INIT, *CONTROLS)}
    theirs = {"Majority class baseline": "paper"} | {item: "quoted by the paper" for item in QUOTED}
    theirs |= {f"Bad subnetwork ({group})": "paper" for group in GROUPS[:2]} | {
        RANDOM_INIT: "paper"
    }
    lines, averages = {}, {}
    for name, (group, item) in ours.items():
        lines["ours", name] = [values(table, group, item, task).mean() for task in tasks]
        filled = [values(constants_as_zero(table), group, item, task).mean() for task in tasks]
        averages["ours", name] = float(np.mean(filled))
    for item, whose in theirs.items():
        lines[whose, item], corrected = (
            [numbers.number(item, task, "baselines", corrected=fits)[0] for task in tasks]
            for fits in (False, True)
        )
        averages[whose, item] = float(np.mean(corrected))
    return _frame(
        {key: [_rounded(x) for x in (*line, averages[key])] for key, line in lines.items()},
        [*tasks, "average"],
        ["whose", "system"],
    )


def longer_training(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Make Figure 16, which is a table: bad s-pruned subnetworks after each epoch of a longer run.

    The paper's row is below ours, for the epochs that the paper has. A constant answer counts as 0
    in the average; where a score is absent there is no average.
    """
    filled = [by_epoch(constants_as_zero(table), task).mean() for task in tasks]
    curves, lines = [by_epoch(table, task).mean() for task in tasks], {}
    for epoch in sorted({epoch for curve in curves for epoch in curve.index}):
        item = f"bad (s-pruning), {epoch} epochs"
        ours = [float(curve.get(epoch, np.nan)) for curve in curves]
        average = np.mean([float(curve.get(epoch, np.nan)) for curve in filled])
        lines[item, "ours"] = [_rounded(x, 3) for x in (*ours, average)]
        try:
            theirs = [numbers.number(item, task, "longer training")[0] for task in tasks]
        except KeyError:  # the paper has no such epoch
            continue
        lines[item, "paper"] = [_rounded(x, 3) for x in (*theirs, np.mean(theirs))]
    return _frame(lines, [*tasks, "average"], ["system", "whose"])


def by_epoch(table: pd.DataFrame, task: str) -> pd.DataFrame:
    """Select the longer runs on a task: one row per seed, one column per epoch."""
    rows = table[(table["group"] == "longer training") & (table["task"] == task)]
    epoch = rows["item"].str.extract(r"(\d+) epochs", expand=False).astype(int)
    return rows.assign(epoch=epoch).pivot(index="seed", columns="epoch", values="score")


def gap_recovered(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Tabulate each system's score and, beside it, the share of the gap that it recovers.

    The gap reaches from the majority class (0 %) to the full model (100 %), in means over the seeds
    that all three have: (score − majority) / (full − majority). A constant answer on STS-B counts
    as 0. There is no share for a task of `left_out`, whose gap may be nothing.
    """
    table, out, lines = constants_as_zero(table), left_out(table, tasks), {}
    systems = [
        (group, f"{kind} ({state})") for group in GROUPS for kind in KINDS for state in STATES
    ]
    systems += [("baselines", item) for item in (RANDOM_INIT, *BASELINES)]
    for group, item in systems:
        cells = []
        for task in tasks:
            score, share = _on_gap(table, task, group, item)
            known = task not in out and not np.isnan(share)
            shown = f"{_rounded(100 * share, 0)} %" if known else "–"
            cells.append(f"{_rounded(score)} ({shown})")
        lines[group, item] = cells
    return _frame(lines, list(tasks), ["", "system"])


def gap(table: pd.DataFrame, tasks: Sequence[str], group: str, item: str) -> dict[str, float]:
    """Compute the share of the gap that a system recovers: {task: share}, without what is missing.

    The gap is that of `gap_recovered`, from 0 to 1.
    tasks: those whose full model learns
    """
    shares = {task: _on_gap(table, task, group, item)[1] for task in tasks}
    return {task: share for task, share in shares.items() if not np.isnan(share)}


def _on_gap(table: pd.DataFrame, task: str, group: str, item: str) -> tuple[float, float]:
    """(score, share of the gap) of a system on a task; nan if unknown, or if there is no gap."""
    ends = [("reference", "majority baseline"), ("reference", "full model"), (group, item)]
    each = pd.concat([values(table, *system, task) for system in ends], axis=1).dropna()
    low, high, score = map(float, each.to_numpy().mean(0)) if len(each) else [np.nan] * 3
    return score, (score - low) / (high - low) if high > low else np.nan


def papers_shares(tasks: Sequence[str]) -> dict[str, dict[str, float]]:
    """Compute the share of the gap that the paper's retrained s-pruned subnetworks recover.

    Returns {kind: {task: (score − majority) / (full − majority)}}, where there is a gap.
    """
    systems = {kind: ("s-pruning", f"{kind} (retrained)") for kind in KINDS}
    systems |= {item: ("reference", item) for item in ("full model", "majority baseline")}
    scores = {
        name: {task: numbers.number(item, task, group)[0] for task in tasks}
        for name, (group, item) in systems.items()
    }
    full, majority = scores["full model"], scores["majority baseline"]
    return {
        kind: {
            task: (scores[kind][task] - majority[task]) / (full[task] - majority[task])
            for task in full
            if full[task] > majority[task]
        }
        for kind in KINDS
    }


def without_choice(table: pd.DataFrame) -> list[str]:
    """List where good, random and bad are one subnetwork, because it keeps all units or none.

    Returns one sentence for each task, set of seeds, and all or none.
    """
    sizes, groups = table[table["item"] == "good (pruned)"], {}
    for size, kept in ((1.0, "everything"), (0.0, "nothing")):
        found = sizes[sizes["size"] == size].sort_values("seed")
        for (group, task), part in found.groupby(["group", "task"], sort=False):
            seeds = ", ".join(map(str, part["seed"]))
            groups.setdefault((task, seeds, kept), []).append(group)
    return [
        f"{task}, seed{'s' * (', ' in seeds)} {seeds}: {kept} is kept ({', '.join(of)}), so good, "
        "random and bad are the same."
        for (task, seeds, kept), of in groups.items()
    ]


def held_out(searched: Mapping[str, Sequence[Mapping[str, Mapping[str, float]]]]) -> pd.DataFrame:
    """Tabulate what good subnetworks lose on the half of dev that chose them, and on the other.

    searched: {task: halves.json of notebook 03, for each seed}
    Returns a row for each task and estimator; "lost" is the full model's score less the good one's.
    """
    rows = []
    for task, seeds in searched.items():
        for name in sorted({name for of_seed in seeds for name in of_seed}):
            records = pd.DataFrame([of_seed[name] for of_seed in seeds if name in of_seed])
            choosing, other = (lost(records, half) for half in ("choosing", "other"))
            more = (other - choosing).dropna()  # nan: a constant answer on STS-B
            means = choosing.mean(), other.mean(), more.mean()
            rows.append((task, name, *means, intervals.text(more), len(more)))
    names = ["lost, choosing half", "lost, other half", "lost more", "of lost more", "seeds"]
    return pd.DataFrame(rows, columns=["task", "estimator", *names]).round(3)


def lost(records: Any, half: str) -> Any:
    """Subtract the good subnetwork's score on one half of dev from the full model's there.

    records: a record of notebook 03's halves.json, or a table of them
    """
    return records[f"full, {half} half"] - records[f"good, {half} half"]


def learned(table: pd.DataFrame, tasks: Sequence[str]) -> list[str]:
    """List the tasks whose full model beats the majority class; see `left_out` for the others."""
    out = left_out(table, tasks)
    return [task for task in tasks if task not in out]


def left_out(table: pd.DataFrame, tasks: Sequence[str]) -> dict[str, str]:
    """Find the tasks that the full model has not been shown to learn: {task: why}.

    A task stays if full model − majority class, paired by seed, has its whole interval above 0.
    That is two standard errors or more: the fewer seeds, the more standard errors Student's t asks
    for. With too few seeds for an interval, the mean must lie above 0. A task without these scores
    stays: nothing is known against it. A constant answer on STS-B counts as 0.
    """
    table, reasons = constants_as_zero(table), {}
    for task in tasks:
        full, majority = (
            values(table, "reference", item, task) for item in ("full model", "majority baseline")
        )
        gain = (full - majority).dropna()
        if len(gain) and not learns(gain):
            reasons[task] = (
                f"full model − majority class is {gain.mean():+.2f}, {intervals.text(gain)}"
            )
    return reasons


def learns(gain: ArrayLike) -> bool:
    """Say whether a full model has been shown to beat the majority class; see `left_out`.

    gain: full model − majority class by seed, without nan
    """
    low, _ = intervals.of_mean(gain)
    return bool((np.asarray(gain, float).mean() if np.isnan(low) else low) > 0)


def paired(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Compare good, random and bad seed by seed, which the paper's separate deviations cannot do.

    The interval is `intervals.of_mean`, over the seeds that both systems have. A constant answer
    on STS-B counts as 0.
    """
    table, rows, pairs = constants_as_zero(table), [], list(combinations(KINDS, 2))
    for group, state, (left, right), task in product(GROUPS, STATES, pairs, tasks):
        a, b = (values(table, group, f"{kind} ({state})", task) for kind in (left, right))
        differences = (a - b).dropna()
        low, high = intervals.of_mean(differences)
        text = f"{low:+.2f} to {high:+.2f}" if np.isfinite(low) else "none: fewer than 3 seeds"
        comparison = f"{left} − {right} ({state})"
        rows.append((group, comparison, task, f"{differences.mean():+.3f}", text, len(differences)))
    return pd.DataFrame(
        rows, columns=["group", "difference", "task", "mean", "95 % interval", "seeds"]
    )


def _rounded(value: float | np.floating, digits: int = 2) -> str:
    # adding 0 turns -0.0 into 0.0
    return "–" if np.isnan(value) else f"{round(float(value), digits) + 0.0:.{digits}f}"


def _frame(lines: dict[tuple, list], columns: list[str], names: list[str]) -> pd.DataFrame:
    return pd.DataFrame(lines.values(), pd.MultiIndex.from_tuples(lines, names=names), columns)
