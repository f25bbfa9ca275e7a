"""Compare estimators of importance over tasks, as decided before there were results.

    differences, decisions   notebook 07's ten comparisons of single estimators
    of_searches              all estimators: the searches on one half of dev
    of_retrained, followed   the subnetworks that searches left, trained again

The tasks are the sample: each comparison is one number for a task, the mean over its seeds.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp

from lib.analysis import agreement
from lib.analysis.over_seeds import Studied, at_size, kappas_of
from lib.paper import intervals, tables
from lib.pruning.importance import ESTIMATORS, Estimator

BETWEEN = "good: "  # begins a comparison of the good subnetworks of two searches


class Comparison(NamedTuple):
    """A difference that notebook 07 decided to look at, and what it means above and below 0."""

    what: str
    above: str
    below: str


COMPARISONS = {
    "A": Comparison(
        "reliable: ρ of two halves, E|g| − running sum",
        "E|g| is the more reliable of the two",
        "the running sum is the more reliable of the two",
    ),
    "B": Comparison(
        "valid: ρ(E|g|, E|Δ|) − ρ(running sum, E|Δ|)",
        "E|g| tells better what moves the loss",
        "the running sum tells better what moves the loss",
    ),
    "C": Comparison(
        "valid: ρ(−E g, E Δ) − ρ(E|g|, E Δ)",
        "the signed mean tells better what hurts the mean loss",
        "E|g| tells better what hurts the mean loss",
    ),
    "D": Comparison(
        "useful: score at half, E|g| − running sum",
        "E|g| chooses better",
        "the running sum chooses better",
    ),
    "E": Comparison(
        "useful: score at half, E|g| − random",
        "E|g| chooses better than chance",
        "E|g| chooses worse than chance",
    ),
    "F": Comparison(
        "useful: score at half, −E g − random",
        "the signed mean chooses better than chance",
        "the signed mean chooses worse than chance",
    ),
    "G": Comparison(
        "useful: score at half, true E Δ − random",
        "the true net effect chooses better than chance",
        "the true net effect chooses worse than chance",
    ),
    "H": Comparison(
        "useful: score at half, E|g| ℓ2-normalised − not normalised",
        "normalising in each layer helps E|g|",
        "normalising in each layer hurts E|g|",
    ),
    "I": Comparison(
        "stable: κ at half, E|g| − running sum",
        "masks by E|g| agree more over seeds",
        "masks by the running sum agree more over seeds",
    ),
    "J": Comparison(
        "why: ρ over examples − ρ over seeds and examples, E|g|",
        "by E|g|, seeds differ in their order of heads by more than noise",
        "by E|g|, seeds differ in their order of heads by less than examples do",
    ),
}


def differences(of: Studied, why: pd.DataFrame, valid: pd.DataFrame) -> dict[str, float]:
    """Compute the comparisons A to J of notebook 07 for one task.

    why, valid: of `reasons` and `validity_over_seeds`
    """
    half, orders = of.half, why.set_index("estimator")
    rho = valid[valid["units"] == "heads"].set_index(["truth", "estimator"])["ρ"]
    plain, random, net = "example, not normalised", "random", "removal, net"
    names = ("example", "running", "signed", plain, random, net)
    score = {name: at_size(of, name, half).mean() for name in names}
    kappa = {name: kappas[half] for name, kappas in kappas_of(of, "heads").items()}
    return {
        "A": orders["other rows"]["example"] - orders["other rows"]["running"],
        "B": rho["moved", "example"] - rho["moved", "running"],
        "C": rho["net", "signed"] - rho["net", "example"],
        "D": score["example"] - score["running"],
        "E": score["example"] - score[random],
        "F": score["signed"] - score[random],
        "G": score[net] - score[random],
        "H": score["example"] - score[plain],
        "I": kappa["example"] - kappa["running"],
        "J": orders["other rows"]["example"] - orders["both"]["example"],
    }


def decisions(differences: pd.DataFrame) -> pd.DataFrame:
    """Judge comparisons with the tasks as the sample.

    differences: a row for each key of COMPARISONS, a column for each task
    Returns what `over_tasks` does, and what follows: "not decided" if the interval holds 0.
    """
    follows = []
    for key, values in zip(differences.index, differences.to_numpy(), strict=True):
        one = COMPARISONS[key]
        side = intervals.side(intervals.of_mean(values))
        follows.append({1: one.above, -1: one.below, 0: "not decided"}[side])
    labels = [f"{key} {COMPARISONS[key].what}" for key in differences.index]
    judged = over_tasks(differences).assign(so=follows)
    return judged.set_axis(pd.Index(labels, name="comparison"))


def over_tasks(differences: pd.DataFrame) -> pd.DataFrame:
    """Add to differences their mean over tasks, and how sure it is.

    differences: a row for each comparison, a column for each task
    Returns the columns, and mean, 95 % interval (Student's t over tasks), p, and p (Holm), which is
    corrected for the rows that have a p. With fewer than three tasks there is no interval, no p.
    """

    def rounded(values: np.ndarray) -> list[float]:  # not to 0, which no p-value is
        return [float(f"{p:.2g}") for p in values]

    ends = [intervals.of_mean(values) for values in differences.to_numpy()]
    enough = differences.shape[1] >= intervals.LEAST
    p = ttest_1samp(differences, 0, axis=1).pvalue if enough else np.full(len(ends), np.nan)
    return differences.round(3).assign(**{
        "mean": differences.mean(axis=1).round(3),
        "95 % interval": [f"{a:+.3f} to {b:+.3f}" if np.isfinite(a) else "–" for a, b in ends],
        "p": rounded(p), "p (Holm)": rounded(agreement.holm(p)),
    })  # fmt: skip


# --- searches -------------------------------------------------------------------------------------


def of_searches(found: pd.DataFrame) -> pd.DataFrame:
    """Compare the joint searches on one half of dev by each estimator with those by E|g|.

    Two questions: does the search end smaller, and does what it keeps lose more of the full model's
    score on the other half? Each is corrected for the number of estimators. Only seeds that have a
    search by each estimator count.
    found: a row for each task, seed and estimator: the columns of notebook 03's halves.json
    Returns a row for each estimator, smallest first: means over tasks of means over seeds, and the
    differences from E|g|, empty for E|g| itself.
    """
    columns = ["heads", "MLPs", "size", "lost"]
    # a constant answer on STS-B has no correlation, and counts as 0
    known = found.assign(**{"good, other half": found["good, other half"].fillna(0.0)})
    known["lost"] = tables.lost(known, "other")
    by_seed = known.set_index(["task", "seed", "estimator"])[columns].astype(float)
    by_task = by_seed.unstack("estimator").dropna().groupby("task").mean()
    table = by_task.mean().unstack(0)[columns]
    for what in ("size", "lost"):
        each = by_task[what].T
        if "example" not in each.index or len(each) < 2:
            continue  # there is nothing to compare
        judged = over_tasks(each.drop("example") - each.loc["example"])
        means = [f"{mean:+.3f}" if np.isfinite(mean) else "–" for mean in judged["mean"]]
        table[f"{what} − E|g|'s"] = judged.assign(m=means)["m"].str.cat(
            judged["95 % interval"], ", "
        )
        table[f"p: {what} (Holm)"] = judged["p (Holm)"]
    return table.sort_values("size").rename(columns={"lost": "lost, other half"})


def of_retrained(
    table: pd.DataFrame, tasks: Sequence[str], own: Estimator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare the subnetworks that searches with several estimators left, after retraining.

    table: the long table of `tables`, with groups of `tables.OF_ESTIMATOR`
    own: the estimator of the group "s-pruning"
    Returns scores (a row for each search: the size, and the score of each kind, over tasks of means
    over seeds) and differences, paired by seed: good − random and good − bad of each search, and
    good − good of each two searches, as `over_tasks` judges them.
    """
    known = tables.constants_as_zero(table)
    groups = {own: "s-pruning"}
    groups |= {name: tables.OF_ESTIMATOR.format(name) for name in ESTIMATORS if name != own}
    groups = {name: group for name, group in groups.items() if (known["group"] == group).any()}

    def scores_of(name: Estimator, kind: str) -> list[pd.Series]:
        item = f"{kind} (retrained)"
        return [tables.values(known, groups[name], item, task) for task in tasks]

    def less(a: list[pd.Series], b: list[pd.Series]) -> list[float]:
        return [(x - y).dropna().mean() for x, y in zip(a, b, strict=True)]

    scores, differences = {}, {}
    for name, group in groups.items():
        of = {kind: scores_of(name, kind) for kind in tables.KINDS}
        sizes = [tables.values(known, group, "good (pruned)", task, "size") for task in tasks]
        shown = {"size": sizes, **of}
        formula = ESTIMATORS[name].formula
        scores[formula] = {what: np.mean([x.mean() for x in all_]) for what, all_ in shown.items()}
        for other in ("random", "bad"):
            differences[f"{formula}: good − {other}"] = less(of["good"], of[other])
    for one, other in combinations(groups, 2):
        label = f"{BETWEEN}{ESTIMATORS[other].formula} − {ESTIMATORS[one].formula}"
        differences[label] = less(scores_of(other, "good"), scores_of(one, "good"))
    judged = over_tasks(pd.DataFrame(differences, index=list(tasks)).T)
    table = pd.DataFrame(scores).T.rename_axis("searched by")
    return table, judged.rename_axis("retrained, over tasks")


def followed(judged: pd.DataFrame) -> str:
    """Say in words what follows from `of_retrained`'s differences, by notebook 07's plan.

    judged: its second table
    """
    p, mean = judged["p (Holm)"], judged["mean"]
    if not p.notna().any():
        return f"With fewer than {intervals.LEAST} tasks nothing can be decided."
    sure = p[p < intervals.LEVEL].index
    good = [name for name in p.index if name.startswith(BETWEEN)]
    apart = [f"{name.removeprefix(BETWEEN)}, {mean[name]:+.2f}" for name in good if name in sure]
    so = "Whether it matters to a retrained good subnetwork which importance chose is not decided."
    if apart:
        so = (
            "It matters to a retrained good subnetwork which importance chose, by the choice or by "
            f"the size at which its search ends ({'; '.join(apart)})."
        )
    for other in ("random", "bad"):
        asked = [name for name in p.index if name.endswith(f": good − {other}")]
        for sign, better in ((1, "better"), (-1, "worse")):
            those = [name for name in asked if name in sure and sign * mean[name] > 0]
            if those or sign > 0:  # none that is worse is not worth a sentence
                which = "; ".join(name.split(":")[0] for name in those)
                so += f" Good is shown to be {better} than {other} with {len(those)} of "
                so += f"{len(asked)} estimators{f' ({which})' if which else ''}."
    return so
