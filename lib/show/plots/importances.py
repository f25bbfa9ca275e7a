"""Notebook 07: the estimators of importance, by four questions."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from lib.show.plots.style import BLUE, ORANGE, VERMILLION, WIDTH, finish, legend_below, panels_of

# Okabe and Ito's colours, which the colour-blind can tell apart; lines differ in their dashes, too.
STYLES: dict[str, dict[str, Any]] = {
    "example": {"color": "#0072b2", "linestyle": "-"},
    "example_squared": {"color": "#56b4e9", "linestyle": (0, (5, 1))},
    "token": {"color": "#009e73", "linestyle": (0, (1, 1))},
    "batch": {"color": "#e69f00", "linestyle": "--"},
    "batch_squared": {"color": "#5c3d00", "linestyle": (0, (3, 1, 1, 1, 1, 1))},
    "running": {"color": "#d55e00", "linestyle": "-."},
    "signed": {"color": "#cc79a7", "linestyle": (0, (5, 2, 1, 2))},
    "removal, net": {"color": "0.35", "linestyle": "--"},
    "removal, moved": {"color": "0.0", "linestyle": ":"},
}

# The estimators that the notebooks speak of; figures of many lines draw the others in grey.
MAIN = ("example", "running", "signed", "removal, net", "removal, moved")
REASONS = {
    "other rows": ("o", BLUE, "same model, other examples"),
    "other seed": ("s", ORANGE, "another seed, same examples"),
    "both": ("D", VERMILLION, "another seed, other examples"),
}


def _curve(axes: Axes, x: ArrayLike, y: ArrayLike, name: str, names: Mapping[str, str]) -> None:
    """Draw the line of one ranking: in its own look if it is in MAIN, or else thin and grey."""
    if name in MAIN:
        axes.plot(x, y, **STYLES[name], linewidth=1.5, label=names[name], zorder=3)
    else:
        axes.plot(x, y, color="0.75", linewidth=0.7, label="other estimators", zorder=2)


def reliability(curves: Mapping[str, pd.DataFrame], names: Mapping[str, str]) -> Figure:
    """Draw how alike two samples of rows put the heads of one model in order, by sample size.

    curves: {task: ρ, a row for each number of examples in a sample, a column for each estimator}
    names: {estimator: its formula}
    """
    figure, panels = panels_of(len(curves), WIDTH / 3, 2.2)
    for axes, (task, table) in zip(panels, curves.items(), strict=True):
        for name in table.columns:
            axes.plot(table.index, table[name], **STYLES[name], linewidth=1.4, label=names[name])
        axes.set_xscale("log", base=2)
        axes.set_xticks(table.index, [str(rows) for rows in table.index])
        axes.minorticks_off()
        axes.set_title(task, fontsize=9)
        axes.set(xlabel="examples in each sample", ylim=(min(0, table.min(axis=None)) - 0.05, 1.03))
    panels[0].set_ylabel("Spearman's ρ of two samples")
    return legend_below(finish(figure), ncols=3)


def validity(table: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Draw how well each estimator predicts what removing a unit alone does.

    Units of which too few were removed for any ρ get no panels.
    table: columns task, estimator, units, truth, ρ, low, high; the mean over seeds of a task and
        its 95 % interval over examples
    names: {estimator: its formula}
    """
    titles = {"net": "net effect on the loss, E Δ", "moved": "size of the change, E|Δ|"}
    known = table.groupby("units")["ρ"].count()
    rows = [units for units in ("heads", "MLPs") if known.get(units, 0)] or ["heads"]
    kinds = [(units, truth) for units in rows for truth in titles]
    figsize = WIDTH, 1.2 + 0.31 * len(names) * len(rows)
    figure, grid = plt.subplots(
        len(rows), 2, figsize=figsize, sharex=True, sharey=True, squeeze=False
    )
    tasks = list(table["task"].unique())
    markers, offsets = "osD^vP*Xh", np.linspace(0.3, -0.3, len(tasks)) if len(tasks) > 1 else [0.0]
    heights = {name: len(names) - place for place, name in enumerate(names)}
    for axes, (units, truth) in zip(grid.ravel(), kinds, strict=True):
        part = table[(table["units"] == units) & (table["truth"] == truth)]
        for place, task in enumerate(tasks):
            of_task = part[part["task"] == task]
            y = of_task["estimator"].map(heights) + offsets[place]
            colour = plt.get_cmap("cividis")(0.65 * place / max(len(tasks) - 1, 1))
            ends = of_task["low"].clip(-1, 1), of_task["high"].clip(-1, 1)
            axes.hlines(y, *ends, color=colour, linewidth=1.3)
            axes.scatter(of_task["ρ"], y, color=colour, marker=markers[place], s=20, label=task)
        axes.axvline(0, color="0.3", linewidth=0.8)
        axes.set_title(f"removing one of the {units}:\n{titles[truth]}", fontsize=9)
        axes.set(xlim=(-1.05, 1.05))
        axes.set_yticks(list(heights.values()), [names[name] for name in heights], fontsize=9)
    for axes in grid[-1]:
        axes.set_xlabel("Spearman's ρ over units")
    return legend_below(finish(figure), ncols=min(len(tasks), 5))


def usefulness(
    curves: Mapping[str, pd.DataFrame],
    random: Mapping[str, pd.DataFrame],
    majority: Mapping[str, float],
    names: Mapping[str, str],
    labels: tuple[str, Mapping[str, str]],
) -> Figure:
    """Draw the score of the k best units, on examples that chose nothing.

    Every line ends at the full model's score on these examples. Rankings that are not in MAIN are
    grey.
    curves: {task: score, mean over seeds; a row for each k, a column for each ranking}
    random: {task: columns mean, low, high, a row for each k: random orders}
    majority: {task: the score of the most frequent answer, or nan}
    names: {ranking: its label}
    labels: (of the x axis, {task: the metric})
    """
    across = min(3, max(2, len(curves)))
    figure, panels = panels_of(len(curves), WIDTH / across, 2.3, columns=across)
    for axes, (task, table) in zip(panels, curves.items(), strict=True):
        band = random[task]
        style: dict[str, Any] = {"color": "0.9", "label": "random orders, least to largest"}
        axes.fill_between(band.index, band["low"], band["high"], **style)
        axes.plot(band.index, band["mean"], color="0.5", linewidth=1, label="random orders, mean")
        if majority[task] > table.min(axis=None) - 0.1:  # far below, it would stretch the axis
            axes.axhline(majority[task], color="0.3", linewidth=0.6, label="majority class")
        for name in shown_first(list(table.columns)):
            _curve(axes, table.index, table[name], name, names)
        axes.set_title(task, fontsize=9)
        axes.set(xlabel=labels[0], ylabel=labels[1][task])
    return legend_below(finish(figure), ncols=3)


def reasons(table: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """Draw how far two orders of heads agree: other examples, another seed, and both.

    table: columns task, estimator, other rows, other seed, both (ρ)
    names: {estimator: its formula}
    """
    tasks = list(table["task"].unique())
    figure, panels = panels_of(len(tasks), WIDTH / 3, 0.9 + 0.3 * len(names))
    heights = {name: len(names) - place for place, name in enumerate(names)}
    for number, (axes, task) in enumerate(zip(panels, tasks, strict=True)):
        part = table[table["task"] == task]
        y = part["estimator"].map(heights)
        axes.hlines(y, part["both"], part["other rows"], color="0.8", linewidth=2)
        for shift, (column, (marker, colour, label)) in zip(
            (0.16, 0, -0.16), REASONS.items(), strict=True
        ):
            dot: dict[str, Any] = {"marker": marker, "color": colour, "s": 18, "zorder": 3}
            axes.scatter(part[column], y + shift, **dot, label=label)
        axes.axvline(0, color="0.3", linewidth=0.8)
        axes.set_title(task, fontsize=9)
        axes.set(
            xlim=(min(0, table[list(REASONS)].min(axis=None)) - 0.05, 1.05),
            xlabel="Spearman's ρ over heads",
        )
        shown = [names[name] for name in heights] if number % 3 == 0 else [""] * len(heights)
        axes.set_yticks(list(heights.values()), shown, fontsize=9)
    return legend_below(finish(figure), ncols=3)


def kappa_by_size(
    curves: Mapping[str, Mapping[str, np.ndarray]],
    floors: Mapping[str, np.ndarray],
    names: Mapping[str, str],
    units: str,
) -> Figure:
    """Draw κ over seeds if each seed keeps its k most important units, from 10 to 90 % of them.

    curves: {task: {estimator: κ, float [units + 1]}}
    floors: {task: the 95th percentile of κ of random masks of each size, float [units + 1]}
    names: {estimator: its formula}
    units: what is kept, for the axis
    """
    figure, panels = panels_of(len(curves), WIDTH / 3, 2.2)
    for axes, (task, lines) in zip(panels, curves.items(), strict=True):
        # at the ends, two or three units decide κ
        sizes = np.arange(len(floors[task]))
        shown = slice(len(sizes) // 10, len(sizes) - len(sizes) // 10)
        style: dict[str, Any] = {
            "color": "0.9",
            "label": "random masks, up to their 95th percentile",
        }
        axes.fill_between(sizes[shown], 0, floors[task][shown], **style)
        axes.axhline(0, color="0.3", linewidth=0.8)
        for name in shown_first(list(lines)):
            _curve(axes, sizes[shown], lines[name][shown], name, names)
        axes.set_title(task, fontsize=9)
        axes.set(xlabel=f"{units} kept by each seed", ylim=(-0.15, 1.03))
    panels[0].set_ylabel("Fleiss' κ over seeds")
    return legend_below(finish(figure), ncols=3)


def shown_first(names: Sequence[str]) -> list[str]:
    """Put rankings into the order of STYLES, as legends list them."""
    return sorted(names, key=list(STYLES).index)
