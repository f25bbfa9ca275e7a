"""Judge each claim of the paper by its authors' masks and by a run, and what is new here.

What the paper claims stands in two files of lib/paper, whose statements one rule judges
(`lib.paper.statements`): statements.csv is about scores, claims.csv about masks and patterns. So
both need one thing only, a long table of measures by task and seed (see `lib.paper.tables`).
`of_masks` makes it from masks, whether they are the authors' or a run's; `of_models`, `of_weights`
and `of_patterns` add what a run has besides.

The column "among" of claims.csv says which tasks a claim is about: those whose full model learns
(empty), "every task", "pairs" of tasks, or the one task or pair that it names.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.analysis import agreement, overlap, survival
from lib.analysis.drawn_maps import CLASSES
from lib.artefacts.store import Place
from lib.data.glue import TASKS
from lib.paper import numbers, statements, tables
from lib.paper.authors import AuthorsMasks
from lib.paper.statements import AVERAGE, CANNOT_TELL, ON_THIS_TASK, Scores, Statement
from lib.pruning import importance
from lib.pruning.masks import Mask
from lib.pruning.search import MODES, Trail

# by task and seed; Any, because Place and AuthorsMasks share what is used here and no base class
Places = Mapping[tuple[str, int], Any]
BERT_BASE = 768, 3072  # the widths of the model that the authors pruned
NO_MASKS = "not a question of masks"
# which notebook measures a group of items; 05 measures the others
MEASURED_BY = {
    "survivors": "03_structured_pruning",
    "overlap": "03_structured_pruning",
    "m-survivors": "02_magnitude_pruning",
    "patterns": "08_attention_patterns",
    "reference": "01_finetune",
}
TOPICS = {
    "Which parts survive?": ("Table 3", "§4.1", "App. B"),
    "Good, random, bad": ("§4.2",),
    "Super-survivors": ("App. E",),
    "How bad is bad?": ("§4.3", "App. D"),
    "What are the survivors?": ("§5.1", "§5.2", "§5.3"),
}


class Evidence(NamedTuple):
    """A verdict on one claim.

    verdict: as in `lib.paper.statements`
    figures: what it rests on, in a few words; "" if there is nothing to go by
    by_task: the same, task by task
    needed: what a decision would take; "" if there is one
    """

    verdict: str
    figures: str
    by_task: str
    needed: str


class Line(NamedTuple):
    """One claim of the paper, judged by its authors' masks and by a run."""

    topic: str
    statement: Statement
    masks: Evidence
    run: Evidence


def lines(masks: pd.DataFrame, run: pd.DataFrame, tasks: Sequence[str]) -> list[Line]:
    """Judge all claims of the paper, in the order of TOPICS.

    masks: the measures of the authors' masks, with `of_the_paper`
    run: those of a run; tasks: the run's
    """
    of_masks = sorted({*masks["task"]} & {*TASKS}, key=list(TASKS).index)
    # The paper's full models say which tasks count, and nothing else: they are no masks.
    sides = [
        (_scores(masks[masks["group"] != "reference"]), of_masks, masks),
        (_scores(run), list(tasks), run),
    ]
    counted = [
        (scores, of, [task for task in of if task not in tables.left_out(table, of)])
        for scores, of, table in sides
    ]
    claims = [*statements.load("claims.csv"), *statements.load("statements.csv")]
    judged = [
        Line(topic(claim), claim, *(evidence(claim, among, *side) for side in counted))
        for claim, among in claims
    ]
    return sorted(judged, key=lambda line: list(TOPICS).index(line.topic))


def topic(statement: Statement) -> str:
    """Find the topic of a statement: that of its source, unless it is about super-survivors."""
    if statement.left.startswith("super-survivors") or "super-survivors" in statement.right:
        return "Super-survivors"
    return next(name for name, sources in TOPICS.items() if statement.source in sources)


def evidence(
    statement: Statement, among: str, scores: Scores, tasks: Sequence[str], counted: Sequence[str]
) -> Evidence:
    """Judge one claim.

    among: the claim's column of that name; counted: those of the tasks whose full model learns
    """
    named = [] if among in ("", "every task", "pairs") else [among]
    pairs = sorted({task for _, _, task in scores if " · " in task}) if among == "pairs" else []
    asked = named or pairs or list(tasks)
    count = list(counted) if not among else asked
    by_task = statements.differences(statement, scores, count)
    if tasks and not count:
        return Evidence(CANNOT_TELL, "", "", "a full model that learns the task")
    if not any(map(len, by_task.values())):
        sides = [side.split("/")[0] for side in (statement.left, statement.right) if side]
        silent = [side for side in sides if side not in {group for group, *_ in scores}]
        of = MEASURED_BY.get((silent or sides)[0], "05_retrain_tickets")
        where = f" of {among.replace(' · ', ' and ')}" if named else ""
        two = " of two tasks" if among == "pairs" else ""
        return Evidence(CANNOT_TELL, "", "", f"{of}{where}{two}")
    judged = statements.judge_scores(statement, scores, asked, count)
    verdict = judged["this run"]
    if verdict.endswith(ON_THIS_TASK) and (named or pairs):
        verdict = verdict.removesuffix(ON_THIS_TASK) + (" on this pair" if pairs else "")
    figures = _in_short(statement, by_task, len(asked), "pairs" if pairs else "tasks")
    needed = judged["needed"].replace(" of both systems", "")  # masks are none
    needed = needed.replace("tasks", "pairs") if pairs else needed
    if needed and statement.over == AVERAGE and max(map(len, by_task.values())) < 2:
        needed = f"at least {tables.LEAST_SEEDS} tasks"  # one number for a task, whatever its seeds
    return Evidence(verdict, figures, judged["because"], needed)


def _in_short(
    statement: Statement, by_task: Mapping[str, np.ndarray], asked: int, units: str
) -> str:
    known = {task: values for task, values in by_task.items() if len(values)}
    sign = "+" if statement.right else ""
    spread = statement.kind == "spread"
    if spread:
        known = {task: values for task, values in known.items() if len(values) > 1}
    means = np.array([x.std(ddof=1) if spread else x.mean() for x in known.values()])
    if not len(means):
        return ""
    if len(by_task) == 1:
        of = tables.deviation_interval if spread else tables.interval
        low, high = of(next(iter(known.values())))
        ends = "" if np.isnan(low) else f" [{low:{sign}.2f}, {high:{sign}.2f}]"
        return f"{means[0]:{sign}.2f}{ends}"
    if statement.over == AVERAGE:
        low, high = tables.interval(means)
        ends = "" if np.isnan(low) else f" [{low:{sign}.2f}, {high:{sign}.2f}]"
        return f"{means.mean():{sign}.2f}{ends} over {len(means)} {units}"
    cast = [*statements.votes(statement, by_task, asked).values()]
    sides = cast.count(statements.AGREES), cast.count(statements.DISAGREES)
    return (
        f"{np.median(means):{sign}.2f}; of {len(cast)} {units}, {sides[0]} for, {sides[1]} against"
    )


def _scores(table: pd.DataFrame) -> Scores:
    return statements.by_system(table) if len(table) else {}


# --- what is measured -----------------------------------------------------------------------------


def _long(rows: Iterable[tuple]) -> pd.DataFrame:
    """Make a long table from rows (task, seed, group, item, score)."""
    table = pd.DataFrame(rows, columns=["task", "seed", "group", "item", "score"])
    return table.assign(size=np.nan)


def of_the_paper(tasks: Sequence[str], seed: int) -> pd.DataFrame:
    """Measure what decides whether the paper's full model learns a task: its printed means."""
    items = ("full model", "majority baseline")
    return _long(
        (task, seed, "reference", item, numbers.number(item, task, "reference")[0])
        for task in tasks
        for item in items
    )


def of_models(places: Mapping[tuple[str, int], Place]) -> pd.DataFrame:
    """Measure the full models and the majority class; places: of notebook 01."""
    rows = []
    for (task, seed), place in places.items():
        result = place.load("result.json")
        rows.append((task, seed, "reference", "full model", result["score"]))
        rows.append((task, seed, "reference", "majority baseline", result["majority"]))
    return _long(rows)


def of_weights(places: Mapping[tuple[str, int], Place]) -> pd.DataFrame:
    """Measure where single weights survive m-pruning; places: of notebook 02."""
    rows = []
    for (task, seed), place in places.items():
        heads = place.load("survivors.safetensors")[0]["heads"]
        half = len(heads) // 2
        rows += [
            (task, seed, "m-survivors", item, float(np.mean(part)))
            for item, part in {
                "heads below": heads[:half], "heads above": heads[-half:], "share of a head": heads
            }.items()
        ]  # fmt: skip
        rows.append((task, seed, "m-pruning", "size", place.load("good.json")["size"]))
    return _long(rows)


def of_masks(places: Places) -> pd.DataFrame:
    """Measure the masks of s-pruning: where units survive, how much, in which seeds and tasks.

    places: of notebook 03, or the authors'
    """
    rows = [row for (task, seed), place in places.items() for row in _of_one(task, seed, place)]
    tasks = sorted({task for task, _ in places}, key=list(TASKS).index)
    seeds = {task: [seed for of, seed in places if of == task] for task in tasks}
    heads = {}
    for task in tasks:
        stack = survival.stack([places[task, seed] for seed in seeds[task]], "joint")
        heads[task] = dict(zip(seeds[task], stack[0], strict=True))
        rows.append(
            (task, seeds[task][0], "survivors", "κ of heads", agreement.fleiss_kappa(stack[0]))
        )
        if all(isinstance(places[task, seed], AuthorsMasks) for seed in seeds[task]):
            left = Mask(*map(survival.super_survivors, stack)).share_of_weights(*BERT_BASE)
            rows += [(task, seed, "super-survivors", "size", left) for seed in seeds[task]]
    for one, other in combinations(tasks, 2):
        for seed in [seed for seed in heads[one] if seed in heads[other]]:
            rows += _of_pair(one, other, seed, heads)
    return _long(rows)


def _of_one(task: str, seed: int, place: Any) -> list[tuple]:
    masks = {
        mode: Mask(place.load(f"{mode}_head_mask.npy"), place.load(f"{mode}_mlp_mask.npy"))
        for mode in MODES
        if place.has(f"{mode}_head_mask.npy")
    }
    if place.has("good.json"):
        sizes = {mode: line["size"] for mode, line in place.load("good.json").items()}
    else:
        sizes = {mode: mask.share_of_weights(*BERT_BASE) for mode, mask in masks.items()}
    heads, mlps = masks["joint"].heads, masks["joint"].mlps
    layers = len(heads)
    below, third = round(2 * layers / 3), layers // 3
    in_the_middle = np.zeros(layers, bool)
    in_the_middle[third : layers - third] = True
    found = {
        "heads below": heads[:below].mean(),
        "heads above": heads[below:].mean(),
        "MLPs in the middle": mlps[in_the_middle].mean(),
        "other MLPs": mlps[~in_the_middle].mean(),
        "heads of low importance": _of_low_importance(place),
        "weights together": sizes["joint"],
    }
    if {"heads", "mlps"} <= masks.keys():
        found |= {
            "heads together": heads.mean(),
            "heads alone": masks["heads"].heads.mean(),
            "MLPs together": mlps.mean(),
            "MLPs alone": masks["mlps"].mlps.mean(),
            "weights alone": min(sizes["heads"], sizes["mlps"]),
        }
    rows = [(task, seed, "survivors", item, float(value)) for item, value in found.items()]
    return [*rows, (task, seed, "s-pruning", "size", float(sizes["joint"]))]


def _of_low_importance(place: Any) -> float:
    """The share of heads with less than half of the greatest importance.

    The authors published the importance of their last round, which they stretched to [0, 1] over
    the heads; ours is that of the full model.
    """
    if place.has("joint_head_importance.npy"):
        heads = place.load("joint_head_importance.npy")
    else:
        first = Trail.from_tensors(*place.load("joint_trail.safetensors")).rounds[0].importance
        if first is None:
            return float("nan")
        heads = importance.normalise(first).heads
    return float(np.mean(heads < heads.max() / 2))


def _of_pair(
    one: str, other: str, seed: int, heads: Mapping[str, Mapping[int, np.ndarray]]
) -> list[tuple]:
    a, b = heads[one][seed][None], heads[other][seed][None]
    shared, by_chance = float(overlap.overlap(a, b)[0]), float(overlap.expected_overlap(a, b)[0])
    smaller, pair = min(a.sum(), b.sum()), f"{one} · {other}"
    found = {"shared": shared, "by chance": by_chance}
    if smaller:
        found["share of the smaller"] = shared / smaller
    rows = [(pair, seed, "overlap", item, value) for item, value in found.items()]
    rows += [(one, seed, "overlap", f"shared with {other}", shared)]
    return [*rows, (other, seed, "overlap", f"shared with {one}", shared)]


def of_patterns(place: Place, masks: Mapping[tuple[str, int], Place]) -> pd.DataFrame:
    """Measure the attention patterns; place: of notebook 08, masks: of notebook 03."""
    rows = []
    for task in {task: None for task, _ in masks}:
        seeds = [seed for of, seed in masks if of == task]
        counted = {seed: f"counts-{task}-{seed}.npy" for seed in seeds}
        before = f"counts-{task}-pretrained.npy"
        if not all(map(place.has, (*counted.values(), before))):
            continue
        stack = survival.stack([masks[task, seed] for seed in seeds], "joint")
        survives = survival.super_survivors(stack[0])
        pretrained = _shares(place.load(before)[0, 0])
        for seed, name in counted.items():
            counts = place.load(name)  # [all heads or super-survivors, raw or normed, L, H, class]
            everywhere, supers = _shares(counts[0, 0]), _shares(counts[1, 0])
            chosen = [CLASSES.index("block"), CLASSES.index("vertical")]
            found = {
                "block or vertical in all heads": everywhere[chosen].sum(),
                "block or vertical in super-survivors": supers[chosen].sum(),
                "change in fine-tuning": np.abs(everywhere - pretrained).sum() / 2,
            }
            for kind, part in zip(("raw", "normed"), counts[0], strict=True):
                share = part[..., CLASSES.index("heterogeneous")] / part.sum(-1)
                found[f"correlation in {kind} attention"] = _correlation(survives, share)
            rows += [(task, seed, "patterns", item, float(x)) for item, x in found.items()]
    return _long(rows)


def _shares(counts: np.ndarray) -> np.ndarray:
    """The share of each class; counts: int [layers, heads, classes]. nan if there is no map."""
    total = counts.sum((0, 1))
    return total / total.sum() if total.sum() else np.full(len(total), np.nan)


def _correlation(survives: np.ndarray, share: np.ndarray) -> float:
    a, b = survives.ravel().astype(float), share.ravel()
    return float(np.corrcoef(a, b)[0, 1]) if a.std() and b.std() else float("nan")


def together(*measured: pd.DataFrame) -> pd.DataFrame:
    """Join long tables into one; of two rows for one number, the first stays.

    Where a table has systems (from `tables.gather`), the sizes are those of their subnetworks.
    """
    parts = [part for part in measured if len(part)]
    if not parts:
        return _long([])
    table = pd.concat(parts, ignore_index=True)
    good = table[table["item"] == "good (pruned)"]
    sized = {*zip(good["group"], good["task"], strict=True)}
    again = [
        item == "size" and (group, task) in sized
        for group, item, task in zip(table["group"], table["item"], table["task"], strict=True)
    ]
    kept = table[~np.array(again, bool)]
    return kept.drop_duplicates(["task", "seed", "group", "item"], ignore_index=True)


# --- what is new here -----------------------------------------------------------------------------


class News(NamedTuple):
    """Something that the paper does not ask: what the authors' masks and the run say, and so."""

    what: str
    masks: str
    run: str
    so: str


def news(
    authors: Mapping[str, np.ndarray],
    own: Mapping[str, np.ndarray],
    table: pd.DataFrame,
    halves: Mapping[str, Sequence[Mapping[str, float]]],
    weights: Sequence[Mapping[str, float]],
    compared: pd.DataFrame | None,
    draws: int = 2_000,
) -> list[News]:
    """Ask what the paper does not ask.

    authors, own: {task: joint head masks [seeds, layers, heads]}
    table: the run's long table
    halves: {task: a record of notebook 03's halves.json by seed}; weights: notebook 07's records of
        m_masks by task; compared: its table of comparisons, if there is one
    draws: of each permutation test
    """
    found = [_over_seeds(*(_kappas(part, draws) for part in (authors, own)))]
    found += [_over_tasks(*(_pairs(part, draws) for part in (authors, own)))]
    found += [_of_single_weights(weights), _flattery(halves), *_of_the_gap(table)]
    if compared is None:
        needs = f"{CANNOT_TELL}: needs the gradients of 03_structured_pruning in 3 tasks"
        return [*found, News("comparisons of estimators (notebook 07)", NO_MASKS, "–", needs)]
    decided = compared[compared["so"] != "not decided"]
    for row in decided.to_dict("records"):
        figures = f"{row['mean']:+.2f} [{row['95 % interval'].replace(' to ', ', ')}]"
        so = f"{row['so']} (p = {row['p (Holm)']:.2g}, Holm)"
        found.append(News(row["comparison"][2:], NO_MASKS, figures, so))
    rest, few = len(compared) - len(decided), bool(compared["p"].isna().all())
    if rest:
        what = f"{rest} {'other ' if len(decided) else ''}comparisons of estimators (notebook 07)"
        so = f"{CANNOT_TELL}: needs 3 tasks" if few else "not decided"
        found.append(News(what, NO_MASKS, "–", so))
    return found


def _counts(p: pd.Series) -> tuple[int, int]:
    return int((p < 0.05).sum()), int(p.notna().sum())


def _kappas(masks: Mapping[str, np.ndarray], draws: int) -> list[tuple[int, int]]:
    if not masks:
        return []
    table = agreement.table(masks, draws=draws)
    within = pd.Series(agreement.holm(table["p within layers"]))  # the table corrects only p
    return [_counts(table["p (Holm)"]), _counts(within)]


def _pairs(masks: Mapping[str, np.ndarray], draws: int) -> list[tuple[int, int]]:
    seeds = {len(part) for part in masks.values()}
    if len(masks) < 2 or len(seeds) > 1:
        return []
    table = overlap.table(masks, draws=draws)
    return [_counts(table[name]) for name in ("p (Holm)", "p within layers (Holm)")]


def _over_seeds(masks: list[tuple[int, int]], run: list[tuple[int, int]]) -> News:
    what = "do seeds share more heads than random masks of their sizes?"
    return News(what, _of_all(masks, "tasks"), _of_all(run, "tasks"), _mostly(run, "tasks"))


def _over_tasks(masks: list[tuple[int, int]], run: list[tuple[int, int]]) -> News:
    what = "do tasks share more heads than layers explain?"
    return News(what, _of_all(masks, "pairs"), _of_all(run, "pairs"), _mostly(run, "pairs"))


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
        return "yes, and layers alone do not explain it"
    return "yes, but layers may explain it" if over > asked / 2 else f"not shown for most {units}"


def _of_single_weights(records: Sequence[Mapping[str, float]]) -> News:
    what = "m-pruning: do seeds keep the same single weights? (Jaccard index)"
    names = ("two seeds", "by chance", "with pre-trained")
    kept = [[record.get(name, np.nan) for name in names] for record in records]
    found = np.array([row for row in kept if not np.isnan(row).any()], float)
    if not len(found):
        return News(what, "–", "–", f"{CANNOT_TELL}: needs 07_stability of two seeds")
    seeds, chance, before = found.mean(0)
    run = f"{seeds:.2f}; by chance {chance:.2f}; with the pre-trained weights' own {before:.2f}"
    nearer = (found[:, 0] - found[:, 1]) > (1 - found[:, 0])
    so = "yes: nearer to all than to chance" if nearer.all() else "not in every task"
    return News(what, "not published", run, so)


def _flattery(halves: Mapping[str, Sequence[Mapping[str, float]]]) -> News:
    what = "what do rows that chose a subnetwork flatter it by? (score lost on other rows)"
    more = {
        task: np.mean([_lost(record, "other") - _lost(record, "choosing") for record in records])
        for task, records in halves.items()
        if records
    }
    if not more:
        return News(what, "–", "–", f"{CANNOT_TELL}: needs 03_structured_pruning")
    return News(what, NO_MASKS, *_average(np.array([*more.values()]), "it flatters", "it does not"))


def _lost(record: Mapping[str, float], half: str) -> float:
    return record[f"full, {half} half"] - record[f"good, {half} half"]


def _average(values: np.ndarray, above: str, below: str) -> tuple[str, str]:
    low, high = tables.interval(values)
    if np.isnan(low):
        few = "one task" if len(values) == 1 else f"{len(values)} tasks"
        return f"{values.mean():+.3f} over {few}", f"{CANNOT_TELL}: needs 3 tasks"
    so = above if low > 0 else below if high < 0 else "not decided"
    return f"{values.mean():+.3f} [{low:+.3f}, {high:+.3f}] over {len(values)} tasks", so


def gap(table: pd.DataFrame, tasks: Sequence[str], group: str, item: str) -> dict[str, float]:
    """Compute the share of the gap that a system recovers: {task: share}, without what is missing.

    The gap reaches from the majority class (0) to the full model (1), in means over seeds.
    tasks: those whose full model learns
    """
    found = {}
    for task in tasks:
        ends = [("reference", "majority baseline"), ("reference", "full model"), (group, item)]
        low, high, score = (tables.values(table, *one, task).mean() for one in ends)
        if np.isfinite([low, high, score]).all() and high > low:
            found[task] = float((score - low) / (high - low))
    return found


def _of_the_gap(table: pd.DataFrame) -> list[News]:
    table = tables.constants_as_zero(table)
    tasks = [task for task in TASKS if task in {*table["task"]}]
    learned = [task for task in tasks if task not in tables.left_out(table, tasks)]
    shares = [
        np.array([*gap(table, learned, *system).values()])
        for system in (
            ("s-pruning", "bad (retrained)"), ("baselines", tables.RANDOM_INIT)
        )
    ]  # fmt: skip
    what = "how much of what the full model learns does a bad s-pruned subnetwork learn?"
    bad, random = shares
    if not len(bad):
        return [News(what, "–", "–", f"{CANNOT_TELL}: needs 05_retrain_tickets")]
    text = f"{100 * bad.mean():.0f} % of the gap"
    text += f" ({100 * bad.min():.0f} % to {100 * bad.max():.0f} %)" if len(bad) > 1 else ""
    if len(random):
        text += f"; a random encoder {100 * random.mean():.0f} %"
    most = int((bad > 0.5).sum())
    return [News(what, NO_MASKS, text, f"over half of it on {most} of {len(bad)} tasks")]
