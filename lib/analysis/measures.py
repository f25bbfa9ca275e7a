"""Measure what the paper's claims are about: long tables by task and seed (see `lib.paper.tables`).

`of_masks` reads masks, whether they are the authors' or a run's; `of_models`, `of_weights` and
`of_patterns` add what a run has besides. `lib.analysis.claims` judges the claims by them.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from lib.analysis import agreement, overlap, survival
from lib.analysis.drawn_maps import CLASSES
from lib.artefacts.store import Place
from lib.data.glue import TASKS
from lib.paper import numbers
from lib.paper.authors import AuthorsMasks
from lib.pruning import importance
from lib.pruning.masks import Mask
from lib.pruning.search import MODES, Trail

# by task and seed; Any, because Place and AuthorsMasks share what is used here and no base class
Places = Mapping[tuple[str, int], Any]
BERT_BASE = 768, 3072  # the widths of the model that the authors pruned


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
