"""The scores of all systems as tables: over seeds, beside the paper's, and against one another (Tables 2 and 3).

Everything starts from one long table, a row for each system, task and seed:

    task  seed  group  item  score  size
    SST-2  42  s-pruning  bad (retrained)  0.71  0.47

group and item are named as in `numbers.numbers`, so that a number of ours finds the paper's. size is the share of the
encoder's weights that a subnetwork keeps.
"""

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd

from lib.artefacts.store import Place
from lib.paper import numbers

KINDS, STATES = ("good", "random", "bad"), ("pruned", "retrained")
GROUPS = ("s-pruning", "m-pruning", "super-survivors")
LEAST_SEEDS = 3  # with fewer, no interval is given
BASELINES = {  # what needs no Transformer: {name: (kind, are the word embeddings learned?)}
    f"{kind}, {'learned' if learned else 'frozen'} embeddings": (kind, learned)
    for kind in ("CBOW", "BiLSTM")
    for learned in (False, True)
}
RANDOM_INIT = "Random init + random s-pruning"
QUOTED = ["CBOW", "BILSTM + GloVe", "BILSTM + ELMO"]


def gather(places: Sequence[Place]) -> pd.DataFrame:
    """The long table from the places of notebook 05."""
    tables = [
        pd.DataFrame(place.load("systems.json")).assign(task=place.task, seed=place.seed)
        for place in places
    ]
    return pd.concat(tables, ignore_index=True)


def values(
    table: pd.DataFrame, group: str, item: str, task: str, column: str = "score"
) -> pd.Series:
    """One system's scores (or sizes) on a task, by seed."""
    rows = table[(table["group"] == group) & (table["item"] == item) & (table["task"] == task)]
    return rows.set_index("seed")[column].astype(float).sort_index()


def bars(
    table: pd.DataFrame, task: str, lines: dict[str, tuple[str, str]]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(means, sample standard deviations) over seeds of some systems, pruned and retrained: what a panel of bars shows.

    lines: {label: (group, kind)}. Both tables have these labels as index and the two states as columns.
    """
    cells = {
        label: [values(table, group, f"{kind} ({state})", task) for state in STATES]
        for label, (group, kind) in lines.items()
    }
    mean = {label: [scores.mean() for scores in both] for label, both in cells.items()}
    deviation = {label: [scores.std(ddof=1) for scores in both] for label, both in cells.items()}
    return tuple(
        pd.DataFrame.from_dict(part, "index", columns=list(STATES)) for part in (mean, deviation)
    )


def spread(scores: Sequence[float]) -> str:
    """Mean and sample standard deviation, as the paper's Table 3 has them: 0.85 ± 0.01; one score has no deviation."""
    scores = np.asarray(scores, float)
    if not len(scores) or np.isnan(scores).any():
        return "–"
    return f"{scores.mean():.2f}" + (f" ± {scores.std(ddof=1):.2f}" if len(scores) > 1 else "")


def table_3(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Table 3: mean ± sample standard deviation over seeds, ours and, in the line below, the paper's."""
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
    return _frame(lines, tasks, ["", "system", "whose"])


def table_2(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Table 2: bad subnetworks beside what needs no Transformer, each with its macro average over these tasks.

    The paper's numbers are its own; those of CBOW, GloVe and ELMo it quotes from Wang et al. (2018), and so do we.
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
        line.append(float(np.mean(np.nan_to_num(line))))  # no correlation at all counts as 0
    return _frame(
        {key: [_two(x) for x in line] for key, line in lines.items()},
        [*tasks, "average"],
        ["whose", "system"],
    )


def longer_training(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Figure 16 (it is a table): bad s-pruned subnetworks after each epoch of one longer run, ours and the paper's."""
    curves, lines = [by_epoch(table, task).mean() for task in tasks], {}
    for epoch in sorted({epoch for curve in curves for epoch in curve.index}):
        item = f"bad (s-pruning), {epoch} epochs"
        ours = [float(curve.get(epoch, np.nan)) for curve in curves]
        lines[item, "ours"] = [_two(x, 3) for x in (*ours, np.mean(np.nan_to_num(ours)))]
        try:
            theirs = [numbers.number(item, task, "longer training")[0] for task in tasks]
        except KeyError:  # more, or fewer, epochs than the paper's
            continue
        lines[item, "paper"] = [_two(x, 3) for x in (*theirs, np.mean(theirs))]
    return _frame(lines, [*tasks, "average"], ["system", "whose"])


def by_epoch(table: pd.DataFrame, task: str) -> pd.DataFrame:
    """The longer runs on a task: a row a seed, a column an epoch."""
    rows = table[(table["group"] == "longer training") & (table["task"] == task)]
    epoch = rows["item"].str.extract(r"(\d+) epochs", expand=False).astype(int)
    return rows.assign(epoch=epoch).pivot(index="seed", columns="epoch", values="score")


def interval(
    differences: Sequence[float], seed: int = 0, draws: int = 10_000
) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean of a few paired differences; (nan, nan) for fewer than three.

    With three to five seeds it is little more than their range, and should be read as such.
    """
    differences = np.asarray(differences, float)
    if len(differences) < LEAST_SEEDS or np.isnan(differences).any():
        return float("nan"), float("nan")
    picks = np.random.default_rng(seed).integers(len(differences), size=(draws, len(differences)))
    low, high = np.percentile(differences[picks].mean(1), [2.5, 97.5])
    return float(low), float(high)


def paired(table: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Good, random and bad against one another, seed by seed: what the paper's separate deviations cannot show."""
    rows, pairs = [], list(combinations(KINDS, 2))
    for group, state, (left, right), task in product(GROUPS, STATES, pairs, tasks):
        ours, others = (values(table, group, f"{kind} ({state})", task) for kind in (left, right))
        differences = (ours - others).dropna()
        low, high = interval(differences)
        said = f"{low:+.2f} to {high:+.2f}" if np.isfinite(low) else "none: fewer than 3 seeds"
        comparison = f"{left} − {right} ({state})"
        rows.append((group, comparison, task, f"{differences.mean():+.3f}", said, len(differences)))
    return pd.DataFrame(
        rows, columns=["group", "difference", "task", "mean", "95 % interval", "seeds"]
    )


def _two(value: float, digits: int = 2) -> str:
    return "–" if np.isnan(value) else f"{value:.{digits}f}"


def _frame(lines: dict[tuple, list], columns: Sequence[str], names: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(lines.values(), pd.MultiIndex.from_tuples(lines, names=names), columns)
