"""Tabulate the scores of all systems, beside the paper's and in pairs (Tables 2 and 3, Figure 16).

Everything starts from one long table with a row for each system, task and seed:

    task   seed  group      item             score  size
    SST-2  42    s-pruning  bad (retrained)  0.71   0.47

group and item have the same names as in `numbers.numbers`, so the paper's number can be looked up.
size is the share of the encoder's weights that a subnetwork keeps.
"""

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lib.artefacts.store import Place
from lib.paper import numbers

KINDS, STATES = ("good", "random", "bad"), ("pruned", "retrained")
GROUPS = ("s-pruning", "m-pruning", "super-survivors")
LEAST_SEEDS = 3  # with fewer seeds there is no interval
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
    return pd.concat(tables, ignore_index=True)


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
    missing score counts as 0.
    """
    ours = {"majority class": ("reference", "majority baseline")}
    ours |= {f"{item} (trained here)": ("baselines", item) for item in BASELINES}
    ours |= {f"bad ({group}, retrained)": (group, "bad (retrained)") for group in GROUPS[:2]}
    ours[RANDOM_INIT] = ("baselines", RANDOM_INIT)
    theirs = {"Majority class baseline": "paper"} | {item: "quoted by the paper" for item in QUOTED}
    theirs |= {f"Bad subnetwork ({group})": "paper" for group in GROUPS[:2]} | {
        RANDOM_INIT: "paper"
    }
    lines = {}
    for name, (group, item) in ours.items():
        lines["ours", name] = [values(table, group, item, task).mean() for task in tasks]
    for item, whose in theirs.items():
        lines[whose, item] = [numbers.number(item, task, "baselines")[0] for task in tasks]
    for line in lines.values():
        # meant for a constant answer, which has no correlation, but every nan counts as 0
        line.append(float(np.mean(np.nan_to_num(line))))
    return _frame(
        {key: [_rounded(x) for x in line] for key, line in lines.items()},
        [*tasks, "average"],
        ["whose", "system"],
    )


def longer_training(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Make Figure 16, which is a table: bad s-pruned subnetworks after each epoch of a longer run.

    The paper's row is below ours, for the epochs that the paper has.
    """
    curves, lines = [by_epoch(table, task).mean() for task in tasks], {}
    for epoch in sorted({epoch for curve in curves for epoch in curve.index}):
        item = f"bad (s-pruning), {epoch} epochs"
        ours = [float(curve.get(epoch, np.nan)) for curve in curves]
        lines[item, "ours"] = [_rounded(x, 3) for x in (*ours, np.mean(np.nan_to_num(ours)))]
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


def interval(differences: ArrayLike, seed: int = 0, draws: int = 10_000) -> tuple[float, float]:
    """Compute a percentile bootstrap interval (2.5 % to 97.5 %) of the mean of paired differences.

    With three to five seeds it is little more than their range; read it that way.
    (nan, nan) for fewer than three differences, or if one is nan.
    """
    values = np.asarray(differences, float)
    if len(values) < LEAST_SEEDS or np.isnan(values).any():
        return float("nan"), float("nan")
    picks = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    low, high = np.percentile(values[picks].mean(1), [2.5, 97.5])
    return float(low), float(high)


def paired(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Compare good, random and bad seed by seed, which the paper's separate deviations cannot do.

    The interval is the one of `interval`, over the seeds that both systems have.
    """
    rows, pairs = [], list(combinations(KINDS, 2))
    for group, state, (left, right), task in product(GROUPS, STATES, pairs, tasks):
        a, b = (values(table, group, f"{kind} ({state})", task) for kind in (left, right))
        differences = (a - b).dropna()
        low, high = interval(differences)
        text = f"{low:+.2f} to {high:+.2f}" if np.isfinite(low) else "none: fewer than 3 seeds"
        comparison = f"{left} − {right} ({state})"
        rows.append((group, comparison, task, f"{differences.mean():+.3f}", text, len(differences)))
    return pd.DataFrame(
        rows, columns=["group", "difference", "task", "mean", "95 % interval", "seeds"]
    )


def _rounded(value: float | np.floating, digits: int = 2) -> str:
    return "–" if np.isnan(value) else f"{value:.{digits}f}"


def _frame(lines: dict[tuple, list], columns: list[str], names: list[str]) -> pd.DataFrame:
    return pd.DataFrame(lines.values(), pd.MultiIndex.from_tuples(lines, names=names), columns)
