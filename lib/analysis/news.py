"""Ask what the paper does not, of its authors' masks and of a run: notebook 10's last table."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.analysis import agreement, overlap
from lib.data.glue import TASKS
from lib.paper import intervals, tables
from lib.paper.findings import worded
from lib.paper.statements import CANNOT_TELL

NO_MASKS = "not a question of masks"


class News(NamedTuple):
    """Something that the paper does not ask: what the authors' masks and the run say, and so."""

    what: str
    masks: str
    run: str
    so: str


def gather(
    authors: Mapping[str, np.ndarray],
    own: Mapping[str, np.ndarray],
    common: Mapping[str, np.ndarray],
    table: pd.DataFrame,
    halves: Mapping[str, Sequence[Mapping[str, float]]],
    weights: Sequence[Mapping[str, float]],
    compared: pd.DataFrame | None,
    draws: int = 10_000,
) -> list[News]:
    """Ask what the paper does not ask.

    authors, own: {task: joint head masks [seeds, layers, heads]}
    common: as `own`, of the seeds that all tasks have, in one order
    table: the run's long table
    halves: {task: a record of notebook 03's halves.json by seed}; weights: notebook 07's records of
        m_masks by task; compared: its table of comparisons, if there is one
    draws: of each permutation test; 07 and 09, which show the same counts, make as many
    """
    found = [_over_seeds(*(_kappas(part, draws) for part in (authors, own)))]
    found += [_over_tasks(*(_pairs(part, draws) for part in (authors, common)))]
    found += [_of_kinds(*(_alike(part, draws) for part in (authors, common)))]
    found += [_of_single_weights(weights), _flattery(halves, table), *_of_the_gap(table)]
    if compared is None:
        needs = f"{CANNOT_TELL}: needs the gradients of 03_structured_pruning in 3 tasks"
        return [*found, News("comparisons of estimators (notebook 07)", NO_MASKS, "–", needs)]
    decided = compared[compared["so"] != "not decided"]
    for row in decided.to_dict("records"):
        figures = f"{row['mean']:+.2f} [{row['95 % interval'].replace(' to ', ', ')}]"
        p = f"{worded(row['p (Holm)'])}, Holm"
        sure = row["p (Holm)"] < intervals.LEVEL
        so = f"{row['so']} ({p})" if sure else f"points to: {row['so']}; not decided ({p})"
        found.append(News(row["comparison"][2:], NO_MASKS, figures, so))
    rest, few = len(compared) - len(decided), bool(compared["p"].isna().all())
    if rest:
        what = f"{rest} {'other ' if len(decided) else ''}comparisons of estimators (notebook 07)"
        so = f"{CANNOT_TELL}: needs 3 tasks" if few else "not decided"
        found.append(News(what, NO_MASKS, "–", so))
    return found


def _counts(p: pd.Series) -> tuple[int, int]:
    return int((p < intervals.LEVEL).sum()), int(p.notna().sum())


def _kappas(masks: Mapping[str, np.ndarray], draws: int) -> list[tuple[int, int]]:
    if not masks:
        return []
    return _over_and_within(agreement.table(masks, draws=draws))


def _pairs(masks: Mapping[str, np.ndarray], draws: int) -> list[tuple[int, int]]:
    seeds = {len(part) for part in masks.values()}
    if len(masks) < 2 or len(seeds) > 1:
        return []
    return _over_and_within(overlap.table(masks, draws=draws))


def _over_and_within(table: pd.DataFrame) -> list[tuple[int, int]]:
    return [_counts(table[name]) for name in ("p (Holm)", "p within layers (Holm)")]


def _alike(masks: Mapping[str, np.ndarray], draws: int) -> overlap.OfOneKind | None:
    if len({len(part) for part in masks.values()}) != 1:
        return None
    found = overlap.of_one_kind(masks, draws=draws)
    return None if np.isnan(found.p) else found


def _of_kinds(*alike: overlap.OfOneKind | None) -> News:
    what = "are tasks of one kind closer than others? (κ of their heads; the paper thinks not)"
    told = [f"{x.same:.2f} against {x.other:.2f}, {worded(x.p)}" if x else "–" for x in alike]
    answers = [
        f"{CANNOT_TELL}: needs tasks of two kinds" if x is None else "yes" if x.p < intervals.LEVEL
        else "not shown" for x in alike
    ]  # fmt: skip
    named = zip(("the masks", "this run"), answers, strict=True)
    so = answers[0] if len({*answers}) == 1 else "; ".join(": ".join(pair) for pair in named)
    return News(what, *told, so)


def _over_seeds(masks: list[tuple[int, int]], run: list[tuple[int, int]]) -> News:
    what = "do seeds share more heads than random masks of their sizes?"
    return News(what, _of_all(masks, "tasks"), _of_all(run, "tasks"), _both(masks, run, "tasks"))


def _over_tasks(masks: list[tuple[int, int]], run: list[tuple[int, int]]) -> News:
    what = "do tasks share more heads than layers explain?"
    return News(what, _of_all(masks, "pairs"), _of_all(run, "pairs"), _both(masks, run, "pairs"))


def _both(masks: list[tuple[int, int]], run: list[tuple[int, int]], units: str) -> str:
    """The two answers, or one if they are the same."""
    answers = {"the masks": _mostly(masks, units), "this run": _mostly(run, units)}
    if len({*answers.values()}) == 1:
        return answers["this run"]
    return "; ".join(f"{whose}: {answer}" for whose, answer in answers.items())


def _of_all(counts: list[tuple[int, int]], units: str) -> str:
    if not counts or not counts[0][1]:
        return "–"
    (over, asked), (within, asked_within) = counts
    return f"{over} of {asked} {units}; within layers {within} of {asked_within}"


def _mostly(counts: list[tuple[int, int]], units: str) -> str:
    if not counts or not counts[0][1]:
        several = "two tasks with the same seeds" if units == "pairs" else "two seeds of a task"
        return f"{CANNOT_TELL}: needs masks of {several}"
    (over, asked), (within, asked_within) = counts
    if asked_within and within > asked_within / 2:
        yes = "yes" if (over, within) == (asked, asked_within) else f"on most {units}"
        return f"{yes}, and layers alone do not explain it"
    if over <= asked / 2:
        return f"not shown for most {units}"
    yes = "yes" if over == asked and not within else f"on most {units}"
    return f"{yes}, but layers may explain it"


def _of_single_weights(records: Sequence[Mapping[str, float]]) -> News:
    what = "m-pruning: do seeds keep the same single weights? (Jaccard index)"
    names = ("two seeds", "by chance", "at most", "with pre-trained")
    kept = [[record.get(name, np.nan) for name in names] for record in records]
    found = np.array([row for row in kept if not np.isnan(row).any()], float)
    if not len(found):
        return News(what, "–", "–", f"{CANNOT_TELL}: needs 07_stability of two seeds")
    seeds, chance, _, before = found.mean(0)
    run = f"{seeds:.2f}; by chance {chance:.2f}; with the largest pre-trained {before:.2f}"
    two, by_chance, at_most = found[:, :3].T
    nearer = two - by_chance > at_most - two
    most = "yes: the index is nearer to the most that their sizes allow than to chance"
    so = most if nearer.all() else f"in {nearer.sum()} of {len(nearer)} tasks"
    return News(what, "not published", run, so)


def _flattery(halves: Mapping[str, Sequence[Mapping[str, float]]], table: pd.DataFrame) -> News:
    what = "how much do the rows that chose a subnetwork flatter it? (score lost on other rows)"
    out = tables.left_out(table, [*halves]) if len(table) else {}
    more = {
        task: np.mean([tables.lost(one, "other") - tables.lost(one, "choosing") for one in records])
        for task, records in halves.items()
        if records and task not in out
    }
    more = {task: lost for task, lost in more.items() if np.isfinite(lost)}
    if not more:
        return News(what, "–", "–", f"{CANNOT_TELL}: needs 03_structured_pruning")
    return News(what, NO_MASKS, *_average(np.array([*more.values()]), "it flatters", "it does not"))


def _average(values: np.ndarray, above: str, below: str) -> tuple[str, str]:
    low, high = intervals.of_mean(values)
    if np.isnan(low):
        few = "one task" if len(values) == 1 else f"{len(values)} tasks"
        return f"{values.mean():+.3f} over {few}", f"{CANNOT_TELL}: needs 3 tasks"
    so = {1: above, -1: below, 0: "not decided"}[intervals.side((low, high))]
    return f"{values.mean():+.3f} [{low:+.3f}, {high:+.3f}] over {len(values)} tasks", so


def _of_the_gap(table: pd.DataFrame) -> list[News]:
    table = tables.constants_as_zero(table)
    tasks = [task for task in TASKS if task in {*table["task"]}]
    learned = tables.learned(table, tasks)
    shares = [
        np.array([*tables.gap(table, learned, *system).values()])
        for system in (
            ("s-pruning", "bad (retrained)"), ("baselines", tables.RANDOM_INIT)
        )
    ]  # fmt: skip
    what = "how much of what the full model learns does a bad s-pruned subnetwork learn?"
    bad, random = shares
    if not len(bad):
        return [News(what, "–", "–", f"{CANNOT_TELL}: needs 05_retrain_tickets")]
    text = f"{100 * np.median(bad):z.0f} % of the gap"
    span = f"{100 * bad.min():z.0f} to {100 * bad.max():z.0f} %"
    text += f" (median of {len(bad)} tasks; {span})" if len(bad) > 1 else ""
    if len(random):
        text += f"; a random encoder {100 * np.median(random):z.0f} %"
    most = int((bad > 0.5).sum())
    return [News(what, NO_MASKS, text, f"over half of it on {most} of {len(bad)} tasks")]
