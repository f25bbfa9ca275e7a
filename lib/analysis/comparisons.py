"""The ten comparisons of estimators that notebook 07 decided on before it saw their results.

The tasks are the sample: each comparison is one number for a task, the mean over its seeds.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp

from lib.analysis import agreement
from lib.analysis.over_seeds import Studied, at_size, kappas_of
from lib.paper import intervals


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
        "valid: ρ with E|Δ|, E|g| − running sum",
        "E|g| tells better what moves the loss",
        "the running sum tells better what moves the loss",
    ),
    "C": Comparison(
        "valid: ρ with E Δ, −E g − E|g|",
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
    Returns the columns, and mean, 95 % interval (Student's t over tasks), p, p (Holm), and what
    follows: "not decided" if the interval holds 0. The interval and p are nan for fewer than three
    tasks.
    """
    ends = [intervals.of_mean(values) for values in differences.to_numpy()]
    low, high = np.reshape(ends, (-1, 2)).T
    enough = differences.shape[1] >= intervals.LEAST
    p = ttest_1samp(differences, 0, axis=1).pvalue if enough else low
    compared = [COMPARISONS[key] for key in differences.index]
    follows = np.select(
        [low > 0, high < 0],
        [[one.above for one in compared], [one.below for one in compared]],
        "not decided",
    )
    labels = [f"{key} {COMPARISONS[key].what}" for key in differences.index]
    return differences.round(3).assign(**{
        "mean": differences.mean(axis=1).round(3),
        "95 % interval": [f"{a:+.3f} to {b:+.3f}" if np.isfinite(a) else "–" for a, b in ends],
        "p": np.round(p, 4), "p (Holm)": agreement.holm(p).round(4), "so": follows,
    }).set_axis(pd.Index(labels, name="comparison"))  # fmt: skip
