"""Bring the studies of a task's seeds together: what notebook 07 makes of what 03 stored.

    reliable   two samples of rows put the units of one model in the same order
    valid      the order is that of what removing each unit alone does
    useful     the k best units score well on rows that chose nothing
    stable     two seeds keep the same units

Ours; the paper has none of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import product
from typing import Literal

import numpy as np
import pandas as pd

from lib.analysis import agreement
from lib.analysis.estimation import TRUTHS, validities, validity
from lib.analysis.order import over_rows, rank_correlation, same_order
from lib.analysis.survival import stack
from lib.artefacts.store import Place
from lib.paper import intervals
from lib.pruning.importance import ESTIMATORS, Estimator, Importance, importance, normalise
from lib.pruning.search import Structured
from lib.tickets.finetuned import halves


@dataclass(frozen=True)
class Studied:
    """What notebook 03 measured of one task, seed by seed.

    gradients, token_sums: float [rows, units] of the full models, on all dev rows
    changes: Δ [rows, units], on the rows that choose; nan for units that were not removed
    useful: columns of `scores_by_size`, and seed
    halves: a row for each seed and estimator: sizes and scores of the search on one half
    """

    layers: int
    heads: int
    gradients: list[np.ndarray]
    token_sums: list[np.ndarray]
    changes: list[np.ndarray]
    useful: pd.DataFrame
    halves: pd.DataFrame

    def rows(self, estimator: Estimator) -> list[np.ndarray]:
        """What the estimator reduces, for each seed."""
        return self.token_sums if estimator == "token" else self.gradients

    @property
    def half(self) -> int:
        """Half of the heads."""
        return round(self.layers * self.heads / 2)

    @property
    def choosing(self) -> np.ndarray:
        """The indices of the rows that choose."""
        return halves(len(self.gradients[0]))[0]

    def importances(self, estimator: Estimator) -> list[Importance]:
        """The importance of each seed's units from all rows, heads ℓ2-normalised."""
        return [
            normalise(importance(part, self.layers, self.heads, estimator))
            for part in self.rows(estimator)
        ]


def gather(places: Sequence[Place]) -> Studied:
    """Load what notebook 03 stored for the seeds of one task."""
    layers, heads = places[0].load("joint_head_mask.npy").shape
    useful, searches = [], []
    for place in places:
        seed = place.seed
        useful.append(pd.read_csv(StringIO(place.load("useful.csv"))).assign(seed=seed))
        for name, line in place.load("halves.json").items():
            searches.append({"seed": seed, "estimator": name, **line})
    files = {"gradients": "gradients", "token_sums": "token_sums", "changes": "removal"}
    arrays = {
        name: [place.load(f"{file}.npy").astype(np.float32) for place in places]
        for name, file in files.items()
    }
    scores, found = pd.concat(useful), pd.DataFrame(searches)
    return Studied(layers, heads, **arrays, useful=scores, halves=found)


def reliability_by_rows(of: Studied, draws: int = 20) -> pd.DataFrame:
    """Compute ρ of two samples of rows for the heads of one model: the mean over seeds.

    Returns a row for each number of rows in a sample, 16 and its doubles and half of all; a column
    for each estimator.
    """
    half = len(of.gradients[0]) // 2
    samples = [16 * 2**n for n in range(20) if 16 * 2**n < 0.8 * half] + [half]
    table = {
        name: [
            same_order(of.rows(name), of.layers, of.heads, name, rows, draws=draws).other_rows.heads
            for rows in samples
        ]
        for name in ESTIMATORS
    }
    return pd.DataFrame(table, index=samples)


def validity_over_seeds(of: Studied, draws: int = 200) -> pd.DataFrame:
    """Correlate each estimator with what removing a unit does: mean over seeds, and its interval.

    Importance and truth are of the same rows, which are drawn anew together.
    Returns columns estimator, units, truth, ρ, low, high; 95 % over rows.
    """
    chosen = of.choosing
    measured = {name: [part[chosen] for part in of.rows(name)] for name in ESTIMATORS}

    def mean_over_seeds(rows: np.ndarray) -> np.ndarray:
        found = []
        for seed, changes in enumerate(of.changes):
            parts = {name: measured[name][seed][rows] for name in ESTIMATORS}
            scores = [importance(part, of.layers, of.heads, name) for name, part in parts.items()]
            found.append(validities(scores, changes[rows]))
        return np.mean(found, axis=0)

    found = over_rows(mean_over_seeds, len(chosen), draws=draws).reshape(3, -1).T
    keys = product(ESTIMATORS, ("heads", "MLPs"), TRUTHS)
    lines = [(*key, *values) for key, values in zip(keys, found, strict=True)]
    return pd.DataFrame(lines, columns=["estimator", "units", "truth", "ρ", "low", "high"])


def validity_from_other_rows(of: Studied, estimator: Estimator) -> np.ndarray:
    """Correlate importance from one half of dev with removals on the other half: ρ [2, 2].

    That the same rows give both is then not why they agree. The mean over seeds; see
    `estimation.validity` for rows and columns.
    """
    other = np.setdiff1d(np.arange(len(of.gradients[0])), of.choosing)
    parts = zip(of.rows(estimator), of.changes, strict=True)
    return np.mean(
        [validity(g[other], d, of.layers, of.heads, estimator) for g, d in parts], axis=0
    )


def validity_as_it_chooses(of: Studied, estimator: Estimator) -> float:
    """Correlate the heads' importance, ℓ2-normalised in each layer, with E|Δ|: the mean over seeds.

    Masks are chosen by this order; `validity_over_seeds` asks the raw importance, as removals are.
    """
    parts = zip(of.rows(estimator), of.changes, strict=True)
    return float(np.mean([
        rank_correlation(
            normalise(importance(g[of.choosing], of.layers, of.heads, estimator)).heads,
            np.abs(d).mean(0)[: of.layers * of.heads],
        )
        for g, d in parts
    ]))  # fmt: skip


def kappas_of(of: Studied, units: Literal["heads", "MLPs"]) -> dict[str, np.ndarray]:
    """Compute κ over seeds at equal sizes, for each estimator: {name: float [units + 1]}."""
    found = {}
    for name in ESTIMATORS:
        seeds = of.importances(name)
        stack = np.stack([one.heads if units == "heads" else one.mlps for one in seeds])
        found[name] = agreement.kappa_by_size(stack)
    return found


def kappa_at_half(of: Studied, estimator: Estimator, draws: int = 200) -> np.ndarray:
    """Compute κ over seeds if each keeps half of its heads: [value, low, high], 95 % over rows."""

    def at_half(rows: np.ndarray) -> np.ndarray:
        heads = [
            normalise(importance(part[rows], of.layers, of.heads, estimator)).heads
            for part in of.rows(estimator)
        ]
        return agreement.kappa_by_size(np.stack(heads))[of.half]

    return over_rows(at_half, len(of.gradients[0]), draws=draws)


def at_size(of: Studied, ranking: str, kept: int) -> pd.Series:
    """Select the scores of a ranking's k best heads, by seed; "random" is the mean of the draws."""
    table = of.useful[(of.useful["units"] == "heads") & (of.useful["kept"] == kept)]
    named = (
        table["ranking"].str.startswith("random")
        if ranking == "random"
        else (table["ranking"] == ranking)
    )
    return table[named].groupby("seed")["score"].mean()


def random_band(of: Studied) -> pd.DataFrame:
    """Summarise random orders of heads: columns mean, low, high; a row for each size.

    Each draw is averaged over the seeds, as `curves` averages a ranking; low and high are the least
    and the largest of these averages.
    """
    random = of.useful["ranking"].str.startswith("random")
    table = of.useful[random & (of.useful["units"] == "heads")]
    by_draw = table.groupby(["kept", "ranking"])["score"].mean().groupby("kept")
    return pd.DataFrame({"mean": by_draw.mean(), "low": by_draw.min(), "high": by_draw.max()})


def curves(of: Studied, names: Sequence[str]) -> pd.DataFrame:
    """Average the scores of the best heads over seeds: a row for each size, a column a ranking."""
    table = of.useful[of.useful["units"] == "heads"]
    means = table.groupby(["kept", "ranking"])["score"].mean().unstack()
    return means[[name for name in names if name in means.columns]]


def reasons(of: Studied) -> pd.DataFrame:
    """Tell noise from another order: columns estimator, other rows, other seed, both; ρ of heads.

    See `order.SameOrder`.
    """
    lines = []
    for name in ESTIMATORS:
        found = same_order(of.rows(name), of.layers, of.heads, name)
        lines.append((name, *(getattr(found, kind).heads for kind in found._fields)))
    return pd.DataFrame(lines, columns=["estimator", "other rows", "other seed", "both"])


def searches_and_rankings(of: Studied, places: Sequence[Place]) -> pd.DataFrame:
    """Compare the κ of whole searches with that of masks that are taken at once.

    places: notebook 03's, in the order of the seeds
    Returns a row for each estimator with which a joint search was done on all dev rows. Masks taken
    at once have the sizes of the search's, or all of them its mean size.
    """
    made = places[0].provenance("joint_trail.safetensors")
    assert made is not None, "notebook 03 always makes it"
    own, lines = Structured(**made["parameters"]["structured"]).estimator, []
    for name in ESTIMATORS:
        mode = "joint" if name == own else name
        if all(place.has(f"{mode}_head_mask.npy") for place in places):
            masks, _ = stack(places, mode)
            ranks = [np.argsort(np.argsort(-one.heads, axis=None)) for one in of.importances(name)]
            kept = [int(mask.sum()) for mask in masks]
            same, one = (
                np.stack([rank < size for rank, size in zip(ranks, sizes, strict=True)])
                for sizes in (kept, [round(np.mean(kept))] * len(kept))
            )
            kappas = (agreement.fleiss_kappa(part) for part in (masks, same, one))
            lines.append((name, " ".join(map(str, kept)), *kappas))
    columns = ["κ of the search", "at once, same sizes", "at once, one size"]
    return pd.DataFrame(lines, columns=["estimator", "heads kept by each seed", *columns])


def answers(of: Studied, reliable: pd.DataFrame, valid: pd.DataFrame) -> pd.DataFrame:
    """Bring the four answers for heads together, with intervals: a row for each estimator.

    reliable, valid: of `reliability_by_rows` and `validity_over_seeds`
    """

    def text(value: float, low: float, high: float) -> str:
        return "not asked" if np.isnan(value) else f"{value:.2f} [{low:.2f}, {high:.2f}]"

    half, truths = of.half, valid.set_index(["estimator", "units", "truth"])
    random, lines = at_size(of, "random", half), {}
    for name, (_, formula) in ESTIMATORS.items():
        gain = at_size(of, name, half) - random
        other, chooses = validity_from_other_rows(of, name)[0], validity_as_it_chooses(of, name)
        lines[formula] = {
            "reliable: ρ of two halves": f"{reliable[name].iloc[-1]:.2f}",
            "valid: ρ with E Δ": text(*truths.loc[(name, "heads", "net")]),
            "valid: ρ with E|Δ|": text(*truths.loc[(name, "heads", "moved")]),
            "from other rows: ρ with E Δ, E|Δ|": "not asked"
            if np.isnan(other).any()
            else f"{other[0]:.2f}, {other[1]:.2f}",
            "ℓ2-normalised: ρ with E|Δ|": "not asked" if np.isnan(chooses) else f"{chooses:.2f}",
            "useful: score at half": f"{gain.mean():+.2f}, {intervals.text(gain)}"
            if gain.notna().any()
            else "not asked",
            "stable: κ at half": text(*kappa_at_half(of, name)),
        }
    return pd.DataFrame(lines).T.rename_axis("estimator")
