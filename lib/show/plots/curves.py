"""The spread of the full model's score, and how it falls during pruning (notebooks 01 to 03)."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.show.plots.grids import MODE_NAMES, units
from lib.show.plots.style import (
    BLUE,
    GREEN,
    GREY,
    MODES,
    ORANGE,
    WIDTH,
    finish,
    legend_beside,
    percent,
)


def score_spread(
    resampled: np.ndarray, full: float, lines: Mapping[str, float], metric: str, task: str
) -> Figure:
    """Notebook 01: how much the full model's score varies over dev sets of this size.

    resampled: scores on bootstrap samples of the dev set, float [samples].
    lines: {name: other score to mark}; a nan score is left out.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 3.2))
    known = resampled[np.isfinite(resampled)]  # constant answers have no correlation
    marks = [value for value in (full, *lines.values()) if np.isfinite(value)]
    low = min([*known, *marks, 0.97])
    if len(known):
        bins: dict[str, Any] = {"bins": 18, "range": (known.min() - 1e-3, 1)}
        axes.hist(known, **bins, color=BLUE, alpha=0.35, label="full model, dev resampled")
    axes.axvline(full, color=BLUE, linestyle="--", label=f"full model: {full:.3f}")
    styles = [(GREY, "-"), (GREEN, "-"), ("0.3", ":"), (ORANGE, "-.")]
    for (name, value), (colour, style) in zip(lines.items(), styles, strict=True):
        if np.isfinite(value):
            axes.axvline(value, color=colour, linestyle=style, label=f"{name}: {value:.3f}")
    axes.set(xlabel=f"{metric} on dev", ylabel="samples", title=f"{task}: the full model")
    axes.set_xlim(low - 0.03, 1.01)
    legend_beside(axes)
    return finish(figure)


def trail(axes: Axes, table: pd.DataFrame, colour: str, label: str) -> None:
    """Draw one trail: score against the share that is left; rejected rounds are hollow.

    table: columns size, score, accepted.
    """
    # each round starts from the last accepted one, so the line joins accepted rounds only
    line = table[table["accepted"]]
    axes.plot(line["size"], line["score"], color=colour, linewidth=1.2, label=label, zorder=2)
    for accepted, fill in ((True, colour), (False, "white")):
        rounds = table[table["accepted"] == accepted]
        style: dict[str, Any] = {"s": 26, "facecolor": fill, "edgecolor": colour}
        axes.scatter(rounds["size"], rounds["score"], **style, zorder=3)


def _random_masks(axes: Axes, points: Sequence[tuple[float, float]], label: str) -> None:
    sizes, scores = zip(*points, strict=True)
    axes.scatter(sizes, scores, marker="x", color=GREY, label=label, zorder=3)


def _floor(axes: Axes, full: float, floor: float, metric: str) -> None:
    axes.axhline(full, color="0.2", linestyle="--", linewidth=1, label="full model")
    axes.axhline(floor, color="0.2", linestyle=":", linewidth=1, label="floor")
    axes.set(ylabel=f"{metric} on dev", xlim=(1.03, -0.03))
    axes.xaxis.set_major_formatter(percent)


def magnitude(
    table: pd.DataFrame,
    floor: float,
    random: Sequence[tuple[float, float]],
    heads: np.ndarray,
    mlps: np.ndarray,
    metric: str,
    title: str,
) -> Figure:
    """Notebook 02: the trail of m-pruning, and the share of weights left in each head and MLP.

    table: columns size, score, accepted.
    random: (size, score) of random masks.
    heads, mlps: the shares, [layers, heads] and [layers].
    """
    below = 0.8 + 0.2 * len(mlps)
    figure, (upper, lower) = plt.subplots(
        2, 1, figsize=(WIDTH, 3.2 + below), height_ratios=(3.2, below)
    )
    _floor(upper, float(table["score"].iloc[0]), floor, metric)
    trail(upper, table, BLUE, "smallest weights removed")
    _random_masks(upper, random, "random weights removed")
    upper.set(xlabel="weights left", title=title)
    legend_beside(upper)
    shares = 100 * np.r_[heads.ravel(), mlps]
    span = float(shares.min()), float(shares.max())
    units(lower, 100 * heads, 100 * mlps, span, "percent of each unit's weights that survive")
    return finish(figure)


def structured(
    tables: Mapping[str, pd.DataFrame],
    floor: float,
    random: Sequence[tuple[float, float]],
    head_importance: np.ndarray,
    metric: str,
    title: str,
) -> Figure:
    """Notebook 03: the trails of the modes, and the distribution of head importance (Fig. 3).

    tables: {mode: table with the columns size, score, accepted}.
    random: (size, score) of random masks; may be empty.
    head_importance: normalised, float [layers, heads].
    """
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(WIDTH, 5.2), height_ratios=(1.6, 1))
    _floor(upper, float(next(iter(tables.values()))["score"].iloc[0]), floor, metric)
    for mode, table in tables.items():
        trail(upper, table, MODES[mode], MODE_NAMES[mode])
    if random:
        _random_masks(upper, random, "random units, same size")
    upper.set(xlabel="encoder weights left", title=title)
    legend_beside(upper)
    lower.hist(head_importance.ravel(), bins=20, color=BLUE, alpha=0.6)
    lower.set(xlabel="importance of a head (ℓ2-normalised in its layer)", ylabel="heads")
    lower.set_title("importance of the heads of the full model")
    return finish(figure)
