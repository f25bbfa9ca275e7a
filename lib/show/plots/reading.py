"""What the tickets say: stability (notebook 07), attention patterns (08), task overlap (09)."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.show.plots.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    finish,
    heat_map,
    legend_below,
    legend_beside,
    panels_of,
    percent,
)

LIGHT_BLUE = "#a9c1e0"


def survival_counts(counts: Mapping[str, tuple[np.ndarray, np.ndarray]], units: str) -> Figure:
    """Notebook 07: how many units survive in 0, 1, … S seeds, observed and expected by chance.

    counts: {title: (observed, expected)}, each [S + 1].
    units: what is counted, for the axis label.
    """
    figure, panels = panels_of(len(counts), 3.6, 2.5)
    for axes, (title, (observed, expected)) in zip(panels, counts.items(), strict=True):
        seeds = np.arange(len(observed))
        axes.bar(seeds, observed, color=BLUE, alpha=0.8, label="as it is")
        style: dict[str, Any] = {"color": "0.35", "marker": "o", "markersize": 4, "linewidth": 1}
        axes.plot(seeds, expected, **style, label="masks drawn at random")
        axes.set_title(title, fontsize=9)
        axes.set(xlabel="seeds in which a unit survives", ylabel=units, xticks=seeds)
    return legend_below(finish(figure), ncols=2)


def importance_by_round(
    values: Sequence[np.ndarray],
    labels: Sequence[str],
    swaps: Mapping[str, Sequence[float]],
    title: str,
    scale: str,
) -> Figure:
    """Notebook 07: the importance of the live heads, round by round (Fig. 3).

    values: for each round, float [live heads] in any order.
    labels: the name of each round.
    swaps: {how far two heads are apart: for each round, the probability that other rows put them
        into the opposite order, or nan}. Empty: nothing is drawn below the importance.
    scale: what has been done to the importance, for the axis.
    """
    rows, height = (2, 5.0) if swaps else (1, 3.4)
    size = (max(6.5, 0.62 * len(values)), height)
    shape: dict[str, Any] = {"sharex": True, "squeeze": False, "height_ratios": [3, 2][:rows]}
    figure, grid = plt.subplots(rows, 1, figsize=size, **shape)
    axes, rounds = grid[0, 0], np.arange(len(values))
    rng = np.random.default_rng(0)
    for x, heads in zip(rounds, values, strict=True):
        jitter = rng.uniform(-0.22, 0.22, len(heads))
        axes.scatter(x + jitter, heads, s=7, color=BLUE, alpha=0.5, linewidths=0)
        axes.hlines(np.median(heads), x - 0.3, x + 0.3, color="0.15", linewidth=1.2)
    axes.set(ylabel=f"importance of a head\n({scale})", title=title)
    below = grid[-1, 0]
    below.set_xticks(rounds, labels, fontsize=8)
    if swaps:
        styles = ((ORANGE, "o", "-"), (GREEN, "s", "--"))
        for (name, shares), (colour, marker, line) in zip(swaps.items(), styles, strict=True):
            style: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": line}
            below.plot(rounds, shares, **style, markersize=4, linewidth=1.2, label=name)
        below.axhline(0.5, color="0.3", linestyle=":", linewidth=1, label="order is pure noise")
        below.set(ylim=(-0.03, 0.6), ylabel="probability\nthat two heads swap")
        under = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.3), "ncols": 3}
        below.legend(**under, frameon=False, fontsize=9)
    return finish(figure)


def maps(rows: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Notebook 08: attention maps, each with a colour scale of its own.

    rows: {name of the row: {title: map [tokens, tokens]}}.
    """
    across = max(map(len, rows.values()))
    figsize = (2.1 * across, 2.35 * len(rows))
    figure, grid = plt.subplots(len(rows), across, figsize=figsize, squeeze=False)
    for axes_row, (name, row) in zip(grid, rows.items(), strict=True):
        for axes, (title, attention) in zip(axes_row, row.items(), strict=False):
            axes.imshow(attention, cmap="viridis", vmin=0, interpolation="nearest")
            axes.set_title(title, fontsize=8)
            axes.set(xticks=[], yticks=[])
        for axes in axes_row[len(row) :]:
            axes.set_axis_off()
        axes_row[0].set_ylabel(name, fontsize=9)
    return finish(figure)


def confusion(tables: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """Notebook 08: how the classifier classifies the labelled maps.

    tables: {title: number of maps, int [label, predicted class]}.
    """
    figsize = (4.1 * len(tables) + 0.8, 3.6)
    figure, grid = plt.subplots(1, len(tables), figsize=figsize, sharey=True, squeeze=False)
    abbreviations = {"vertical+diagonal": "both", "heterogeneous": "heterog."}
    short = [abbreviations.get(name, name) for name in classes]
    for axes, (title, table) in zip(grid[0], tables.items(), strict=True):
        shares = table / np.maximum(table.sum(1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(*table.shape):
            colour = "white" if shares[row, column] > 0.6 else "0.2"
            style = {"ha": "center", "va": "center", "fontsize": 9, "color": colour}
            axes.text(column, row, table[row, column] or "·", **style)
        axes.set_xticks(range(len(short)), short, fontsize=8, rotation=25, ha="right")
        axes.set_yticks(range(len(short)), short, fontsize=8)
        axes.set_title(title, fontsize=9)
        axes.set(xlabel="the classifier says")
    grid[0, 0].set_ylabel("labelled")
    return finish(figure)


def correlations(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Notebook 08: the correlation of super-survival and a pattern, against shuffled heads.

    tables: {kind of attention: a row for each task; columns correlation, low by chance, high by
        chance, paper}. nan is not drawn.
    """
    rows = len(next(iter(tables.values())))
    figure, grid = plt.subplots(
        1, len(tables), figsize=(8.5, 1.2 + 0.3 * rows), sharex=True, sharey=True, squeeze=False
    )
    heights = np.arange(rows)[::-1]
    for axes, (kind, table) in zip(grid[0], tables.items(), strict=True):
        ends = table["low by chance"], table["high by chance"]
        bar: dict[str, Any] = {"color": "0.8", "linewidth": 7}
        axes.hlines(heights, *ends, **bar, label="95 % of shuffles within layers")
        dot: dict[str, Any] = {"color": BLUE, "zorder": 3}
        axes.scatter(table["correlation"], heights, **dot, label="observed")
        axes.scatter(table["paper"], heights, color=ORANGE, marker="x", zorder=4, label="paper")
        axes.axvline(0, color="0.3", linestyle="--", linewidth=1)
        axes.set_title(f"{kind} attention", fontsize=9)
        axes.set_yticks(heights, table.index, fontsize=8)
        axes.set(xlabel="correlation over heads")
    return legend_below(finish(figure), ncols=3)


def patterns(shares: Mapping[str, Mapping[str, pd.DataFrame]]) -> Figure:
    """Notebook 08: the share of each class of attention pattern, task by task (Fig. 4, Fig. 18).

    shares: {kind of attention: {title: a table with a row for each task, a column for each class}}.
        A row of nan, where no head survives, stays empty.
    """
    across = max(map(len, shares.values()))
    tasks = len(next(iter(next(iter(shares.values())).values())))
    size = (max(2.3, 0.6 + 0.42 * tasks) * across, 2.6 * len(shares))
    figure, grid = plt.subplots(len(shares), across, figsize=size, sharey=True, squeeze=False)
    colours = (BLUE, ORANGE, "#8f5aa8", GREEN, "0.75")
    for axes_row, (kind, tables) in zip(grid, shares.items(), strict=True):
        for axes, (title, table) in zip(axes_row, tables.items(), strict=True):
            bottom = np.zeros(len(table))
            for colour, name in zip(colours, table.columns, strict=True):
                axes.bar(table.index, table[name], 0.75, bottom=bottom, color=colour, label=name)
                bottom = bottom + table[name].to_numpy()
            axes.set_title(title, fontsize=9)
            axes.tick_params(axis="x", labelsize=8, rotation=0 if tasks < 4 else 60)
        axes_row[0].set_ylabel(f"{kind} attention")
        axes_row[0].yaxis.set_major_formatter(percent)
    return legend_below(finish(figure), ncols=5)


def overlaps(panels: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]]) -> Figure:
    """Notebook 09: the number of units that two tasks share (Fig. 5, Fig. 19).

    panels: {title: (means, standard deviations over seeds)}, tables [task, task].
    """
    tasks = len(next(iter(panels.values()))[0])
    side = max(2.4, 0.72 * tasks)
    figure, grid = panels_of(len(panels), side + 1.2, side + 0.7, columns=2)
    for axes, (title, (mean, deviation)) in zip(grid, panels.items(), strict=True):
        has_deviation = deviation.notna().any(axis=None)
        labels = mean.map(("{:.1f}" if has_deviation else "{:.0f}").format)
        if has_deviation:
            labels += deviation.map("\n±{:.1f}".format)
        heat_map(axes, mean, labels, low=0, high=None, fontsize=7)
        axes.set_title(title, fontsize=9)
        axes.tick_params(labelsize=8, rotation=0)
    return finish(figure)


def excess(table: pd.DataFrame, label: str) -> Figure:
    """Notebook 09: what each pair of tasks shares beyond chance, with its interval over seeds.

    table: columns task, other task, excess, from, to, p, p (Holm), p within layers (Holm). The
        marker shows which of the two corrected p-values are below 0.05.
    label: of the axis.
    """
    figure, axes = plt.subplots(figsize=(6.5, 0.8 + 0.27 * len(table)))
    heights = np.arange(len(table))[::-1]
    tested, significant = table["p"].notna().to_numpy(), (table["p (Holm)"] < 0.05).to_numpy()
    within = (table["p within layers (Holm)"] < 0.05).to_numpy()
    has_interval = table["from"].notna().to_numpy()
    intervals = table[has_interval]
    axes.hlines(
        heights[has_interval], intervals["from"], intervals["to"], color=BLUE, linewidth=1.4
    )
    groups = {
        "more than chance, also within layers": (significant & within, "o", BLUE, BLUE),
        "more than chance; within layers not shown": (significant & ~within, "D", LIGHT_BLUE, BLUE),
        "more than chance within layers only": (~significant & within, "^", LIGHT_BLUE, BLUE),
        "indistinguishable from chance": (tested & ~significant & ~within, "o", "white", BLUE),
        "cannot be asked: all or nothing is kept": (~tested & ~within, "o", GREY, GREY),
    }
    for text, (group, marker, fill, edge) in groups.items():
        if group.any():
            style: dict[str, Any] = {"facecolor": fill, "edgecolor": edge, "marker": marker}
            at = table["excess"][group], heights[group]
            axes.scatter(*at, **style, s=30, zorder=3, label=text)
    axes.axvline(0, color="0.3", linestyle="--", linewidth=1)
    axes.set_yticks(heights, table["task"] + " · " + table["other task"], fontsize=8)
    axes.set(xlabel=label, ylim=(-0.7, len(table) - 0.3))
    legend_beside(axes)
    return finish(figure)


def tree(linkage: np.ndarray, tasks: Sequence[str], title: str) -> Figure:
    """Notebook 09: the tree of tasks.

    linkage: scipy's linkage matrix, in which distances are 1 − κ.
    """
    from scipy.cluster.hierarchy import dendrogram

    figure, axes = plt.subplots(figsize=(6.5, 1 + 0.3 * len(tasks)))
    one_colour = {"color_threshold": 0, "above_threshold_color": BLUE}
    dendrogram(linkage, labels=list(tasks), orientation="left", ax=axes, **one_colour)
    axes.axvline(1, color=GREY, linestyle="--", linewidth=1)
    axes.set_xlim(max(1.1, axes.get_xlim()[0]), 0)
    axes.set_xlabel("mean distance, 1 − κ (dashed: alike by chance alone)")
    axes.set_yticklabels(axes.get_yticklabels(), fontsize=9)
    axes.set_title(title, fontsize=9)
    return finish(figure)
