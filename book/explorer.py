"""The explorer's data and charts: the searches of a run, and the authors' masks beside them.

    explorer-data.js   everything that explorer.js shows, as one value
    vega-embed.js      Vega, Vega-Lite and Vega-Embed in one file, as vl-convert brings them

A mask is written as text, "1" for each unit that is kept, layer by layer.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import vl_convert

from lib.analysis import survival
from lib.analysis.drawn_maps import CLASSES
from lib.artefacts import store
from lib.artefacts.store import Place
from lib.data.glue import TASKS
from lib.paper import authors
from lib.paper.authors import AuthorsMasks
from lib.pruning import importance
from lib.pruning.importance import ESTIMATORS, Estimator
from lib.pruning.search import MODES, Mode, Round, Structured, Trail
from lib.show.plots.grids import MODE_NAMES

SEARCHES, PATTERNS = "03_structured_pruning", "08_attention_patterns"
ESTIMATOR_NAMES: dict[Estimator, str] = {
    "example": "E|g| over examples (the paper's formula)",
    "example_squared": "E g² over examples",
    "batch": "E|g| over batches",
    "batch_squared": "E g² over batches",
    "running": "|running sum of g| (the authors' code)",
    "signed": "−E g, with its sign",
    "token": "E|g| over tokens",
}
PHASES = {  # what a round prunes: (in words, the shape of its point, the same as a sign)
    "full": ("nothing (the full model)", "diamond", "◆"),
    "joint": ("heads and an MLP", "circle", "●"),
    "heads": ("heads", "square", "■"),
    "mlps": ("an MLP", "triangle-up", "▲"),
    "back": ("nothing (a step back)", "cross", "✚"),
}
# From unimportant to important: ColorBrewer's Blues; text on them is INK, or white from PALE on.
RAMP = ("#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#3478b3", "#1f64a8", "#08519c", "#08306b")
PALE = 4
OFF, UNMEASURED, NOW, EDGE, INK = "#ffffff", "#d0d3d6", "#b03a00", "#8a8a8a", "#222222"
FIT = alt.AutoSizeParams(type="fit-x", contains="padding")


def write(profile: str, folder: Path) -> None:
    """Write the scripts that the page explorer.md loads, into the folder of static files."""
    value = json.dumps(data(profile), ensure_ascii=False, separators=(",", ":"))
    (folder / "explorer-data.js").write_text(f"window.EXPLORER = {value};\n")
    # a function of its own, since the bundle's names would collide with those of other scripts
    (folder / "vega-embed.js").write_text(f"(() => {{\n{vl_convert.javascript_bundle()}\n}})();\n")


def data(profile: str) -> dict[str, Any]:
    """Collect what the explorer shows: a run's searches, if there are any, and the authors'."""
    places = store.places(profile, SEARCHES)
    tasks = [task for task in TASKS if any(place.task == task for place in places)]
    found = {task: _task(profile, [p for p in places if p.task == task]) for task in tasks}
    theirs = {task: _theirs(task) for task in authors.tasks()}
    shapes = {"theirs": _shape(theirs)} | ({"ours": _shape(found)} if found else {})
    return {
        "profile": profile,
        "encoder": _encoder(places),
        "tasks": found,
        "authors": theirs,
        "modes": {mode: MODE_NAMES[mode] for mode in MODES},
        "estimators": ESTIMATOR_NAMES,
        "phases": PHASES,
        "colours": {"ramp": RAMP, "off": OFF, "unmeasured": UNMEASURED, "now": NOW, "edge": EDGE}
        | {"ink": INK, "paper": "#ffffff", "pale": PALE},
        "shapes": shapes,
        "charts": {"score": score_chart()} | {who: grid(*shape) for who, shape in shapes.items()},
    }


def _shape(tasks: dict[str, Any]) -> tuple[int, int]:
    """(layers, heads) of the first masks, which are those of all."""
    survives = next(iter(next(iter(tasks.values()))["survival"].values()))
    layers = len(survives["mlps"])
    return layers, len(survives["heads"]) // layers


def _encoder(places: list[Place]) -> str | None:
    if not places:
        return None
    first = places[0]
    full = Place(first.profile, "01_finetune", first.task, first.seed)
    return full.load("result.json")["parameters"]["encoder"]


# --- a run's searches -----------------------------------------------------------------------------


def _task(profile: str, places: list[Place]) -> dict[str, Any]:
    searches = [_searches(place) for place in places]
    shared = [key for key in searches[0] if all(key in found for found in searches)]
    return {
        "seeds": {
            str(place.seed): {
                "trails": {key: trail(place, name) for key, name in found.items()},
                "patterns": _patterns(profile, place),
            }
            for place, found in zip(places, searches, strict=True)
        },
        "survival": {key: _survival(places, searches[0][key]) for key in shared},
    }


def _searches(place: Place) -> dict[str, str]:
    """{"mode/estimator": the name of its files} of the searches that a place has."""
    chosen = _choices(place).estimator
    modes = {f"{mode}/{chosen}": mode for mode in MODES}
    others = {f"joint/{name}": name for name in ESTIMATORS if name != chosen}
    return {
        key: name
        for key, name in (modes | others).items()
        if place.has(f"{name}_trail.safetensors")
    }


def _choices(place: Place) -> Structured:
    record = place.done() or {}
    trails = [name for name in record["artefacts"] if name.endswith("_trail.safetensors")]
    made = place.provenance(trails[0]) or {}
    return Structured(**made["parameters"]["structured"])


def trail(place: Place, name: str) -> dict[str, Any]:
    """Write out a search: its floor, and for each round the mask, the score, the importances.

    The importances of heads are normalised as the search ranks them.
    """
    found = Trail.from_tensors(*place.load(f"{name}_trail.safetensors"))
    how = _choices(place).normalise
    return {
        "floor": round(found.floor, 4),
        "good": max(n for n, one in enumerate(found.rounds) if one.accepted),
        "rounds": [_round(one, how) for one in found.rounds],
    }


def _round(one: Round, how: importance.Normalisation) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "phase": one.phase,
        "score": round(one.score, 4),
        "accepted": one.accepted,
        **_bits(one.mask.heads, one.mask.mlps),
    }
    if one.importance is not None:
        ranked = importance.normalise(one.importance, how)
        shown["importance"] = _numbers([*ranked.heads.ravel(), *ranked.mlps])
    return shown


def _bits(heads: np.ndarray, mlps: np.ndarray) -> dict[str, str]:
    return {
        "heads": "".join("01"[kept] for kept in heads.astype(int).ravel()),
        "mlps": "".join("01"[kept] for kept in mlps.astype(int)),
    }


def _numbers(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.3g}") for value in values]


def _survival(places: list, name: str) -> dict[str, Any]:
    """How many of the places' seeds keep each unit at the end of a search."""
    heads, mlps = survival.stack(places, name)
    counts = {"heads": heads.sum(0).ravel().tolist(), "mlps": mlps.sum(0).tolist()}
    return {"seeds": len(places), **counts}


def _patterns(profile: str, place: Place) -> list[str]:
    """Each head's most common pattern of attention in the fine-tuned model; [] if not measured."""
    counted = Place(profile, PATTERNS)
    name = f"counts-{place.task}-{place.seed}.npy"
    if not counted.has(name):
        return []
    counts = counted.load(name)[0, 0]  # all heads of the whole model; maps of attention weights
    shares = counts.max(-1) / counts.sum(-1)
    common = counts.argmax(-1)
    return [
        f"{CLASSES[one]} ({share:.0%} of its maps)"
        for one, share in zip(common.ravel(), shares.ravel(), strict=True)
    ]


# --- the authors' masks ---------------------------------------------------------------------------


def _theirs(task: str) -> dict[str, Any]:
    places = {seed: AuthorsMasks(task, seed) for seed in authors.seeds()}
    return {
        "seeds": {
            str(seed): {mode: _ended(place, mode) for mode in MODES}
            for seed, place in places.items()
        },
        "survival": {mode: _survival([*places.values()], mode) for mode in MODES},
    }


def _ended(place: AuthorsMasks, mode: Mode) -> dict[str, Any]:
    heads, mlps = (place.load(f"{mode}_{unit}_mask.npy") for unit in ("head", "mlp"))
    return _bits(heads, mlps)


# --- charts ---------------------------------------------------------------------------------------


def grid(layers: int, heads: int) -> dict[str, Any]:
    """The chart of all heads and MLPs: a cell for each, with its text, from the data `units`."""
    columns = [*map(str, range(heads)), "MLP"]
    base = alt.Chart(alt.NamedData("units")).encode(
        x=alt.X(
            "column:O",
            title="head",
            scale=alt.Scale(domain=columns, paddingInner=0.08),
            axis=alt.Axis(orient="top", labelAngle=0, labelOverlap=False),
        ),
        y=alt.Y(
            "layer:O",
            title="layer",
            scale=alt.Scale(domain=[*map(str, range(layers))], paddingInner=0.08),
        ),
        tooltip=[
            alt.Tooltip(f"{field}:N", title=field)
            for field in ("unit", "state", "importance", "survival", "attention")
        ],
    )
    said = "datum.unit + ': ' + datum.state + ', ' + datum.survival"  # for screen readers
    cells = (
        base.transform_calculate(said=said)
        .mark_rect(cursor="pointer")
        .encode(
            description=alt.Description("said:N"),
            fill=alt.Fill("fill:N", scale=None),
            stroke=alt.Stroke("edge:N", scale=None),
            strokeWidth=alt.StrokeWidth("width:Q", scale=None),
        )
    )
    texts = base.mark_text(fontSize=12, cursor="pointer", aria=False).encode(
        text="text:N", fill=alt.Fill("ink:N", scale=None)
    )
    return _spec(alt.layer(cells, texts).properties(height=24 * layers))


def score_chart() -> dict[str, Any]:
    """The chart of a search's scores and its floor, from the data `rounds`."""
    base = alt.Chart(alt.NamedData("rounds"))
    x = alt.X("round:Q", axis=alt.Axis(format="d", tickMinStep=1), title="round")
    y = alt.Y("score:Q", scale=alt.Scale(zero=False, nice=True), title="score on the dev rows")
    line = base.mark_line(color="#8a8a8a", strokeWidth=1).encode(x=x, y=y)
    floor = base.mark_rule(color=NOW, strokeDash=[6, 4]).encode(y="mean(floor):Q")
    name = base.mark_text(align="left", dy=12, x=4, color=NOW, fontSize=12).encode(
        y="mean(floor):Q", text=alt.value("floor: 90 % of the full model's score")
    )
    points = base.mark_point(size=70, filled=True, strokeWidth=1.5).encode(
        x=x,
        y=y,
        shape=alt.Shape("shape:N", scale=None),
        fill=alt.condition("datum.accepted", alt.value(RAMP[6]), alt.value(OFF)),
        stroke=alt.value(RAMP[6]),
        tooltip=[
            "round:Q",
            "phase:N",
            alt.Tooltip("score:Q", format=".3f"),
            "heads:Q",
            "MLPs:Q",
            "verdict:N",
        ],
    )
    now = base.transform_filter("datum.now")
    here = now.mark_rule(color=INK).encode(x=x)
    ring = now.mark_point(size=320, color=INK, strokeWidth=2).encode(x=x, y=y)
    return _spec(alt.layer(here, line, floor, name, points, ring).properties(height=190))


def _spec(chart: alt.LayerChart) -> dict[str, Any]:
    """A chart as Vega-Lite's JSON; explorer.js makes it as wide as its place on the page."""
    whole = chart.properties(background="white", autosize=FIT).configure(
        font="system-ui, sans-serif",
        axis={"labelFontSize": 12, "titleFontSize": 13, "grid": False},
        legend={"labelFontSize": 12, "titleFontSize": 12},
        view={"stroke": None},
    )
    return whole.to_dict()
