"""What the tickets say: stability (notebook 07), attention patterns (08), task overlap (09)."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.show.plots.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    OURS,
    PAPERS,
    PATTERNS,
    SKY,
    WIDTH,
    finish,
    heat_map,
    legend_below,
    panels_of,
    percent,
)


def survival_counts(counts: Mapping[str, tuple[np.ndarray, np.ndarray]], units: str) -> Figure:
    """Notebook 07: how many units survive in 0, 1, … S seeds, observed and expected by chance.

    counts: {title: (observed, expected)}, each [S + 1].
    units: what is counted, for the axis label.
    """
    columns = min(4, len(counts))
    figure, panels = panels_of(len(counts), WIDTH / max(columns, 3), 1.75, columns)
    for number, (axes, (title, pair)) in enumerate(zip(panels, counts.items(), strict=True)):
        observed, expected = pair
        seeds = np.arange(len(observed))
        axes.bar(seeds, observed, color=BLUE, alpha=0.75, label="observed")
        style: dict[str, Any] = {"color": "0.25", "marker": "o", "markersize": 4, "linewidth": 1}
        axes.plot(seeds, expected, **style, label="random masks of the same sizes")
        axes.set_title(title, fontsize=8)
        axes.set(xticks=seeds)
        axes.set_xlabel("kept by k seeds", fontsize=8)
        axes.tick_params(labelsize=8)
        if number % columns == 0:
            axes.set_ylabel(units, fontsize=8)
    return legend_below(finish(figure), ncols=2)


def agreement_by_task(tables: Mapping[str, pd.DataFrame], papers: tuple[float, float]) -> Figure:
    """Notebook 07: κ of each task, ours and of the authors' masks.

    tables: {whose masks: of `lib.analysis.agreement.table`}, one or two; a filled mark has a
        p (Holm) below 0.05
    papers: the least and the largest κ in the paper
    """
    ours = next(iter(tables.values()))
    figure, axes = plt.subplots(figsize=(WIDTH, 0.8 + 0.24 * len(ours)))
    # the authors' masks come last, or alone
    looks = {1: ((PAPERS, 0.0),), 2: ((OURS, 0.12), (PAPERS, -0.12))}[len(tables)]
    for (name, table), (style, shift) in zip(tables.items(), looks, strict=True):
        y = np.arange(len(ours))[::-1] + shift
        sure = (table.loc[ours.index, "p (Holm)"] < 0.05).to_numpy()
        kappas = table.loc[ours.index, "κ"].to_numpy(float)
        known = np.isfinite(kappas)
        for group, fill, text in (
            (sure & known, style["color"], "more than chance"),
            (~sure & known, "white", "not shown to be"),
        ):
            dot: dict[str, Any] = {"marker": style["marker"], "edgecolor": style["color"], "s": 34}
            if group.any():
                label = f"{name}: {text}"
                axes.scatter(kappas[group], y[group], facecolor=fill, **dot, label=label)
    text = f"the paper's range, {papers[0]:.2f} to {papers[1]:.2f}"
    axes.axvspan(*papers, color="0.9", linewidth=0, zorder=0, label=text)
    axes.axvline(
        0,
        color="0.3",
        linewidth=1,
        linestyle="--",
        label="κ = 0: chance, if all seeds kept one share",
    )
    axes.set_yticks(np.arange(len(ours))[::-1], ours.index, fontsize=8)
    axes.set_ylim(-0.6, len(ours) - 0.4)
    axes.set_xlabel("Fleiss' κ of the heads over seeds")
    axes.tick_params(labelsize=8)
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
    size = (WIDTH, height)
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
    below.set_xlabel(
        "iteration whose mask was accepted (above) and its live heads (below)", fontsize=8
    )
    if swaps:
        styles = ((ORANGE, "o", "-"), (GREEN, "s", "--"))
        for (name, shares), (colour, marker, line) in zip(swaps.items(), styles, strict=True):
            style: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": line}
            below.plot(rounds, shares, **style, markersize=4, linewidth=1.2, label=name)
        below.axhline(0.5, color="0.3", linestyle=":", linewidth=1, label="order is pure noise")
        below.set(ylim=(-0.03, 0.6), ylabel="probability\nthat two heads swap")
        under = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.5), "ncols": 3}
        below.legend(**under, frameon=False, fontsize=8)
    return finish(figure)


def maps(
    rows: Mapping[str, Mapping[str, np.ndarray]], tokens: Sequence[str] | None = None
) -> Figure:
    """Notebook 08: attention maps, each with a colour scale of its own.

    rows: {name of the row: {title: map [tokens, tokens]}}.
    tokens: the words of all maps, for the axes; None if the maps have none.
    """
    across = max(map(len, rows.values()))
    figsize = (WIDTH, (WIDTH / across + (0.15 if tokens is None else 0.4)) * len(rows))
    figure, grid = plt.subplots(len(rows), across, figsize=figsize, squeeze=False)
    for number, (axes_row, (name, row)) in enumerate(zip(grid, rows.items(), strict=True)):
        for axes, (title, attention) in zip(axes_row, row.items(), strict=False):
            axes.imshow(attention, cmap="viridis", vmin=0, interpolation="nearest")
            axes.set_title(title, fontsize=8)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if tokens is not None and number == len(rows) - 1:
                axes.set_xticks(range(len(tokens)), tokens, rotation=90, fontsize=8)
        for axes in axes_row[len(row) :]:
            axes.set_axis_off()
        if tokens is not None:
            axes_row[0].set_yticks(range(len(tokens)), tokens, fontsize=8)
        axes_row[0].set_ylabel(name, fontsize=9)
    return finish(figure)


def confusion(tables: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """Notebook 08: how the classifier classifies the labelled maps.

    tables: {title: number of maps, int [label, predicted class]}.
    """
    figsize = (WIDTH, 3.3)
    figure, grid = plt.subplots(1, len(tables), figsize=figsize, sharey=True, squeeze=False)
    abbreviations = {"vertical+diagonal": "vert.+diag.", "heterogeneous": "heterog."}
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
        1, len(tables), figsize=(WIDTH, 1.0 + 0.24 * rows), sharex=True, sharey=True, squeeze=False
    )
    heights = np.arange(rows)[::-1]
    for axes, (kind, table) in zip(grid[0], tables.items(), strict=True):
        ends = table["low by chance"], table["high by chance"]
        bar: dict[str, Any] = {"color": "0.8", "linewidth": 7}
        axes.hlines(heights, *ends, **bar, label="95 % of shuffles within layers")
        dot: dict[str, Any] = {"color": BLUE, "zorder": 3}
        axes.scatter(table["correlation"], heights, **dot, label="observed")
        hollow: dict[str, Any] = {"marker": PAPERS["marker"], "edgecolor": PAPERS["color"]}
        axes.scatter(
            table["paper"], heights, **hollow, facecolor="white", zorder=4, label="the paper"
        )
        axes.axvline(0, color="0.3", linestyle="--", linewidth=1)
        axes.set_title(f"{kind} attention", fontsize=9)
        axes.set_yticks(heights, table.index, fontsize=8)
        axes.set(xlabel="correlation over heads", ylim=(-0.6, rows - 0.4))
    return legend_below(finish(figure), ncols=3)


def patterns(shares: Mapping[str, Mapping[str, pd.DataFrame]]) -> Figure:
    """Notebook 08: the share of each class of attention pattern, task by task (Fig. 4, Fig. 18).

    shares: {kind of attention: {title: a table with a row for each task, a column for each class}}.
        A row of nan, where no head survives, stays empty.
    """
    across = max(map(len, shares.values()))
    tasks = len(next(iter(next(iter(shares.values())).values())))
    size = (WIDTH, 2.4 * len(shares))
    figure, grid = plt.subplots(len(shares), across, figsize=size, sharey=True, squeeze=False)
    for axes_row, (kind, tables) in zip(grid, shares.items(), strict=True):
        for axes, (title, table) in zip(axes_row, tables.items(), strict=True):
            bottom = np.zeros(len(table))
            for name in reversed(table.columns):  # heterogeneous, the one in question, on the axis
                look: dict[str, Any] = {**PATTERNS[name], "edgecolor": "white", "linewidth": 0}
                axes.bar(table.index, table[name], 0.85, bottom=bottom, **look, label=name)
                bottom = bottom + table[name].to_numpy()
            axes.set_title(title, fontsize=8)
            axes.tick_params(axis="x", labelsize=8, rotation=0 if tasks < 3 else 90)
        axes_row[0].set_ylabel(f"{kind} attention")
        axes_row[0].yaxis.set_major_formatter(percent)
    return legend_below(finish(figure), ncols=5)


def overlaps(panels: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]]) -> Figure:
    """Notebook 09: the number of units that two tasks share, and the excess over chance (Fig. 5).

    panels: {title: (shared, by chance)}, tables [task, task], means over seeds. The numbers are the
        shared units, and in brackets shared − by chance, which the colours show: orange above 0,
        purple below. On the diagonal, a task's own size is shown without a colour. Panels of the
        same kind of unit, the first word of the title, have the same colours.
    """
    tasks = len(next(iter(panels.values()))[0])
    figure, grid = panels_of(len(panels), WIDTH / 2, max(2.0, 0.7 + 0.32 * tasks), columns=2)
    beyond = {
        title: (shared - chance).to_numpy(copy=True) for title, (shared, chance) in panels.items()
    }
    for part in beyond.values():
        np.fill_diagonal(part, 0.0)
    for axes, (title, (shared, _)) in zip(grid, panels.items(), strict=True):
        unit, excess = title.split()[0], beyond[title]
        alike = [part for other, part in beyond.items() if other.split()[0] == unit]
        most = max(1.0, *(float(np.abs(part).max()) for part in alike))
        labels = shared.map(f"{{:.{0 if shared.to_numpy().max() > 20 else 1}f}}".format).to_numpy()
        if tasks <= 4:  # there is room
            digits = 0 if most > 2 else 1
            signs = np.vectorize(lambda x, d=digits: f" ({round(x, d) + 0.0:+.{d}f})")(excess)
            labels = labels + np.where(np.eye(tasks, dtype=bool), "", signs)
        heat_map(axes, excess, labels, -most, most, 8, colours="PuOr_r")
        axes.set_xticks(np.arange(tasks) + 0.5, shared.columns, rotation=90)
        axes.set_yticks(np.arange(tasks) + 0.5, shared.index, va="center")
        axes.tick_params(labelsize=8, length=0)
        axes.set_title(
            f"{title}\n(darkest: {most:.{0 if most > 2 else 1}f} more or fewer than by chance)",
            fontsize=8,
        )
    return finish(figure)


def excess(tables: Mapping[str, pd.DataFrame], label: str) -> Figure:
    """Notebook 09: what each pair of tasks shares beyond chance, with its interval over seeds.

    tables: {whose masks: a table with the columns task, other task, excess, from, to, p, p (Holm),
        p within layers (Holm)}, all with the same pairs. The marker shows which of the two
        corrected p-values are below 0.05.
    label: of the axis.
    A pair of which nothing can be asked in any table, because a task keeps all or nothing, is not
    drawn.
    """
    asked = np.any([table["p"].notna() for table in tables.values()], axis=0)
    tables = {title: table[asked] if asked.any() else table for title, table in tables.items()}
    pairs = next(iter(tables.values()))
    size = (WIDTH, 0.9 + 0.19 * len(pairs))
    shape: dict[str, Any] = {"sharex": True, "sharey": True, "squeeze": False}
    figure, grid = plt.subplots(1, len(tables), figsize=size, **shape)
    heights = np.arange(len(pairs))[::-1]
    for axes, (title, table) in zip(grid[0], tables.items(), strict=True):
        _excess(axes, table, heights)
        axes.axvline(0, color="0.3", linestyle="--", linewidth=1)
        axes.set_yticks(heights, table["task"] + " · " + table["other task"], fontsize=8)
        axes.set(xlabel=label, ylim=(-0.7, len(table) - 0.3))
        axes.set_title(title, fontsize=9)
    return legend_below(finish(figure), ncols=1 if len(tables) == 1 else 2)


def _excess(axes: Axes, table: pd.DataFrame, heights: np.ndarray) -> None:
    tested, significant = table["p"].notna().to_numpy(), (table["p (Holm)"] < 0.05).to_numpy()
    within = (table["p within layers (Holm)"] < 0.05).to_numpy()
    has_interval = table["from"].notna().to_numpy()
    ends = table[has_interval]
    if len(ends):
        line: dict[str, Any] = {"color": BLUE, "label": "95 % interval over seeds"}
        axes.hlines(heights[has_interval], ends["from"], ends["to"], linewidth=1.2, **line)
    groups = {
        "test: more than chance, also within layers": (significant & within, "o", BLUE, BLUE),
        "test: more than chance; within layers not shown": (significant & ~within, "D", SKY, BLUE),
        "test: more than chance within layers only": (~significant & within, "^", SKY, BLUE),
        "test: not shown to be more than chance": (
            tested & ~significant & ~within,
            "o",
            "white",
            BLUE,
        ),
        "cannot be asked: all or nothing is kept": (~tested & ~within, "X", GREY, GREY),
    }
    for text, (group, marker, fill, edge) in groups.items():
        if group.any():
            style: dict[str, Any] = {"facecolor": fill, "edgecolor": edge, "marker": marker}
            at = table["excess"][group], heights[group]
            axes.scatter(*at, **style, s=26, zorder=3, label=text)


def tree(linkage: np.ndarray, tasks: Sequence[str], title: str) -> Figure:
    """Notebook 09: the tree of tasks.

    linkage: scipy's linkage matrix, in which distances are 1 − κ.
    """
    from scipy.cluster.hierarchy import dendrogram

    figure, axes = plt.subplots(figsize=(6.5, 1 + 0.22 * len(tasks)))
    one_colour = {"color_threshold": 0, "above_threshold_color": BLUE}
    dendrogram(linkage, labels=list(tasks), orientation="left", ax=axes, **one_colour)
    axes.axvline(1, color=GREY, linestyle="--", linewidth=1)
    axes.set_xlim(max(1.1, axes.get_xlim()[0]), 0)
    axes.set_xlabel("mean distance, 1 − κ (dashed: alike by chance alone)")
    axes.set_yticklabels(axes.get_yticklabels(), fontsize=9)
    axes.set_title(title, fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return finish(figure)
