"""Study the estimators of importance on one model: what do they predict, what are they good for?

    valid    the order of the units is that of what removing each alone does
    useful   the k best units score well on rows that chose nothing

rows: float [rows, layers·heads + layers], what an estimator reduces: `Measurement.rows_for`.
`order` asks whether the order is reliable, `over_seeds` whether other seeds find the same. Ours;
the paper has none of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Annotated, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from lib.analysis.order import rank_correlations
from lib.data import glue
from lib.data.glue import StsbScore
from lib.model.choices import strict
from lib.pruning import removal
from lib.pruning.importance import (
    ESTIMATORS,
    Estimator,
    Importance,
    Normalisation,
    importance,
    normalise,
)
from lib.pruning.masks import Mask
from lib.pruning.search import drop_lowest
from lib.tickets.finetuned import FineTuned

TRUTHS = ("net", "moved")  # what removing a unit alone does: E Δ and E|Δ|, `removal.Effect`


def _the_papers() -> list[Estimator]:
    return ["example"]


@strict
class Study:
    """How much of a model notebook 03 studies; the more, the longer it takes.

    removal: whose units are removed alone: those of "all" layers, of the "last" one, of "none"
    sizes: at how many numbers of units, evenly spaced between none and all, subnetworks are scored
    draws: how many random orders they are compared with
    searches: the estimators with which a joint search chooses on one half of the dev rows, and
        which are also ranked by in steps, and without normalising
    """

    removal: Literal["all", "last", "none"] = "last"
    sizes: Annotated[int, Field(ge=0, lt=2**31)] = 1
    draws: Annotated[int, Field(ge=0, lt=2**31)] = 2
    searches: list[Estimator] = field(default_factory=_the_papers)


# --- valid ----------------------------------------------------------------------------------------


def validity(
    rows: np.ndarray, changes: np.ndarray, layers: int, heads: int, estimator: Estimator
) -> np.ndarray:
    """Correlate raw importance with what removing each unit alone does: ρ [2, 2].

    changes: Δ [examples, units] from `removal.loss_changes`, of the same examples or of others; nan
        for units that were not removed
    Returns a row for the heads and one for the MLPs, and a column for each of `TRUTHS`.
    """
    return validities([importance(rows, layers, heads, estimator)], changes)[0]


def validities(scores: Sequence[Importance], changes: np.ndarray) -> np.ndarray:
    """Do what `validity` does for several importances of one model: ρ [importances, 2, 2]."""
    truths, at = [changes.mean(0), np.abs(changes).mean(0)], scores[0].heads.size
    of_heads = [*(one.heads.ravel() for one in scores), *(truth[:at] for truth in truths)]
    of_mlps = [*(one.mlps for one in scores), *(truth[at:] for truth in truths)]
    count = len(scores)
    found = [rank_correlations(part)[:count, count:] for part in (of_heads, of_mlps)]
    return np.stack(found, axis=1)


def removed(
    subject: FineTuned, logits: np.ndarray, layer: int, stsb_score: StsbScore = "pearson"
) -> pd.DataFrame:
    """Tabulate what removing each unit of one layer alone does, each with its standard error.

    logits: from `removal.logits_without`, on the subject's dev rows
    Returns columns layer, unit ("MLP" or the head's number), net and moved (of the loss), score:
    changes by the removal; and the same with " ±". The score's error is bootstrapped over rows.
    """
    found = removal.effect(removal.loss_changes(logits, subject.dev.labels))

    def score_changes(rows: np.ndarray) -> np.ndarray:
        labels = subject.dev.labels[rows]
        scores = [glue.score(subject.task, one[rows], labels, stsb_score) for one in logits]
        return np.array(scores[:-1]) - scores[-1]

    everywhere = np.arange(len(subject.dev))
    draw = np.random.default_rng(0)
    drawn = [score_changes(draw.choice(everywhere, len(everywhere))) for _ in range(50)]
    return pd.DataFrame({
        "layer": layer, "unit": [*map(str, range(len(logits) - 2)), "MLP"],
        "net": found.net, "net ±": found.net_error,
        "moved": found.moved, "moved ±": found.moved_error,
        "score": score_changes(everywhere), "score ±": np.std(drawn, axis=0, ddof=1),
    })  # fmt: skip


# --- useful ---------------------------------------------------------------------------------------


def rankings(
    gradients: np.ndarray,
    token_sums: np.ndarray,
    changes: np.ndarray | None,
    full: Mask,
    plain: Sequence[Estimator],
    draws: int,
    seed: int,
) -> dict[str, Importance]:
    """Put the units of a model in order in many ways: {name: a value for each unit}.

    Each estimator with ℓ2-normalised heads; what removing a unit alone does to the loss ("removal,
    net", "removal, moved"), unless changes is None; and random orders ("random 1", …).
    gradients, token_sums, changes: [rows, units], of the rows that choose
    plain: the estimators to rank by also as they are ("example, not normalised")
    """
    (layers, heads), found = full.heads.shape, {}
    for name in ESTIMATORS:
        raw = importance(token_sums if name == "token" else gradients, layers, heads, name)
        found[name] = normalise(raw)
        if name in plain:
            found[f"{name}, not normalised"] = raw
    if changes is not None:
        effect = removal.effect(changes)
        for truth, values in zip(TRUTHS, (effect.net, effect.moved), strict=True):
            of_heads = values[: layers * heads].reshape(layers, heads)
            found[f"removal, {truth}"] = Importance(of_heads, values[layers * heads :])
    for number in range(draws):
        draw = np.random.default_rng([seed, number])
        values = Importance(draw.random((layers, heads)), draw.random(layers))
        found[f"random {number + 1}"] = values
    return found


def spaced(units: int, sizes: int) -> list[int]:
    """List numbers of units from none to all, with `sizes` evenly spaced ones in between."""
    return sorted({round(units * step / (sizes + 1)) for step in range(sizes + 2)})


def scores_by_size(
    subject: FineTuned,
    rankings: Mapping[str, Importance],
    sizes: int,
    stsb_score: StsbScore = "pearson",
) -> pd.DataFrame:
    """Keep the k best units of each ranking, at once, and score them without retraining.

    Heads with all MLPs in place, and MLPs with all heads.
    rankings: {name: a value for each unit, a higher one is better}
    Returns columns ranking, units, kept, score. A subnetwork of two rankings is scored once.
    """
    full, known, lines = subject.full, {}, []
    for units, count in (("heads", full.n_heads), ("MLPs", full.n_mlps)):
        for kept in spaced(count, sizes):
            dropped = (count - kept, 0) if units == "heads" else (0, count - kept)
            for name, values in rankings.items():
                mask = drop_lowest(full, values, *dropped)
                if mask not in known:
                    known[mask] = subject.score_of(mask, stsb_score)
                lines.append((name, units, kept, known[mask]))
    return pd.DataFrame(lines, columns=["ranking", "units", "kept", "score"])


def in_steps(
    choosing: FineTuned,
    scoring: FineTuned,
    estimator: Estimator,
    sizes: int,
    method: Normalisation = "l2",
    stsb_score: StsbScore = "pearson",
) -> list[tuple[int, float]]:
    """Go down from all heads to none, and measure importance again at each size: [(kept, score)].

    This is the search in heads mode without a floor.
    choosing, scoring: one model with the rows that choose, and with those that score
    """
    mask, found = choosing.full, []
    layers, heads = mask.heads.shape
    for kept in spaced(mask.n_heads, sizes)[::-1]:
        if kept < mask.n_heads:
            _, measured = choosing.measure(mask, tokens=estimator == "token")
            rows = measured.rows_for(estimator)
            assert rows is not None, "without a floor everything is measured"
            ranked = normalise(importance(rows, layers, heads, estimator), method)
            mask = drop_lowest(mask, ranked, mask.n_heads - kept, 0)
        found.append((kept, scoring.score_of(mask, stsb_score)))
    return found


def beyond_random(scores: pd.DataFrame) -> tuple[dict[str, list[int]], dict[str, list[int]]]:
    """Find where a ranking scores above all random ones, and where below all of them.

    scores: a row for each ranking, a column for each size; the random ones are "random 1", …
    Returns ({ranking: sizes}, {ranking: sizes}), without rankings that have no such size; empty if
    there is no random one.
    """
    by_chance = scores.index.str.startswith("random ")
    drawn, chosen = scores[by_chance], scores[~by_chance]
    if not len(drawn):
        return {}, {}
    beyond = chosen > drawn.max(), chosen < drawn.min()
    above, below = (
        {name: list(scores.columns[row]) for name, row in zip(at.index, at.to_numpy(), strict=True)}
        for at in beyond
    )
    return {n: at for n, at in above.items() if at}, {n: at for n, at in below.items() if at}
