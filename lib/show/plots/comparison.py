"""Good, random and bad subnetworks side by side, and our numbers beside the paper's."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.show.plots.style import (
    BLUE,
    GREY,
    KINDS,
    OURS,
    PAPERS,
    WIDTH,
    finish,
    legend_below,
    panels_of,
    percent,
)

ABREAST = 3  # panels of bars side by side


@dataclass(frozen=True)
class Bars:
    """A panel of scores as bars.

    means, deviations: a row for each group of bars; the columns are pruned and retrained.
    full, majority: scores drawn as lines across the panel; a nan majority is left out.
    """

    title: str
    means: pd.DataFrame
    deviations: pd.DataFrame
    full: float
    majority: float


def tickets(rows: Sequence[Sequence[Bars]], labels: Sequence[str], full_label: str) -> Figure:
    """Notebooks 05 and 06: pruned and retrained subnetworks, panel by panel (Fig. 2, Fig. 17).

    rows: the panels of each row; the panels of a row share the axis of scores. A row of more than
        `ABREAST` panels is continued below, so that their titles stay apart.
    labels: the axis label of each row.
    full_label: the legend's text for the line of the full model.
    """
    folded = [
        (panels[start : start + ABREAST], label)
        for panels, label in zip(rows, labels, strict=True)
        for start in range(0, len(panels), ABREAST)
    ]
    rows, labels = zip(*folded, strict=True)
    width = max(map(len, rows))
    figsize = (WIDTH, 0.9 + 2.3 * len(rows))
    figure, grid = plt.subplots(len(rows), width, figsize=figsize, sharey="row", squeeze=False)
    for axes_row, panels, label in zip(grid, rows, labels, strict=True):
        for axes, panel in zip(axes_row, panels, strict=False):
            _bars(axes, panel, full_label)
        axes_row[0].set_ylabel(label)
        for axes in axes_row[len(panels) :]:
            axes.set_axis_off()
    return legend_below(finish(figure), ncols=4)


def _bars(axes: Axes, panel: Bars, full_label: str) -> None:
    positions = np.arange(len(panel.means))
    for offset, state, colour in ((-0.2, "pruned", GREY), (0.2, "retrained", BLUE)):
        x, means, errors = positions + offset, panel.means[state], panel.deviations[state].fillna(0)
        axes.bar(x, means, 0.38, color=colour, label=state, zorder=2)
        axes.errorbar(x, means, errors, fmt="none", ecolor="0.2", elinewidth=1, zorder=3)
    axes.axhline(panel.full, color="0.2", linestyle="--", linewidth=1, label=full_label, zorder=4)
    if np.isfinite(panel.majority):
        style: dict[str, Any] = {"color": "0.2", "linestyle": ":", "linewidth": 1.2}
        axes.axhline(panel.majority, **style, label="majority class", zorder=4)
    if (panel.means < 0).any(axis=None):
        axes.axhline(0, color="0.2", linewidth=0.6, zorder=1)
    axes.set_xticks(positions, panel.means.index)
    axes.set_title(panel.title.replace(": ", ":\n"), fontsize=9)


@dataclass(frozen=True)
class Seeds:
    """A panel of scores, seed by seed.

    groups: {label: (pruned, retrained)}, tables with a row for each seed and a column for each
        kind ("good", "random", "bad")
    full: scores of the full model, float [seeds]
    majority: the score of the majority class; nan is not drawn
    """

    title: str
    groups: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]]
    full: np.ndarray
    majority: float


def by_seed(panels: Sequence[Seeds]) -> Figure:
    """Notebook 06: each seed's subnetworks, cut out and trained again (Fig. 2, Fig. 17)."""
    across = min(3, max(2, len(panels)))
    figure, axes_of = panels_of(len(panels), WIDTH / across, 2.3 if across < 3 else 1.9)
    for axes, panel in zip(axes_of, panels, strict=True):
        _full_model(axes, np.asarray(panel.full, float), panel.majority)
        width = len(KINDS) + 0.7
        for number, (pruned, retrained) in enumerate(panel.groups.values()):
            _pairs(axes, number * width, pruned, retrained)
        centres = [number * width + 1 for number in range(len(panel.groups))]
        axes.set_xticks(centres, panel.groups, fontsize=8)
        axes.tick_params(axis="x", length=0)
        axes.tick_params(axis="y", labelsize=8)
        axes.set_title(panel.title, fontsize=9)
    dot: dict[str, Any] = {"linestyle": "none", "markersize": 5}
    kinds = [Line2D([], [], **style, **dot, label=kind) for kind, style in KINDS.items()]
    hollow: dict[str, Any] = {"marker": "o", "color": "0.3", "markerfacecolor": "white"}
    states = [
        Line2D([], [], **hollow, **dot, label="hollow: cut out"),
        Line2D([], [], marker="o", color="0.3", **dot, label="filled: trained again"),
    ]
    return legend_below(finish(figure), ncols=4, more=[*kinds, *states])


def _full_model(axes: Axes, scores: np.ndarray, majority: float) -> None:
    deviation = scores.std(ddof=1) if len(scores) > 1 else 0.0
    low, high = scores.mean() - deviation, scores.mean() + deviation
    # the edge keeps a band visible that is thinner than a pixel
    axes.axhspan(
        low, high, facecolor="0.87", edgecolor="0.87", label="full model ± 1 std", zorder=0
    )
    axes.axhline(scores.mean(), color="0.5", linewidth=0.8, zorder=1)
    if np.isfinite(majority):
        axes.axhline(majority, color="0.2", linestyle=":", label="majority class", zorder=1)


def _pairs(axes: Axes, at: float, pruned: pd.DataFrame, retrained: pd.DataFrame) -> None:
    for x, (kind, style) in enumerate(KINDS.items(), start=0):
        colour, marker = style["color"], style["marker"]
        before, after = at + x - 0.22, at + x + 0.22
        ends = np.stack([pruned[kind], retrained[kind]])
        axes.plot([before, after], ends, color=colour, linewidth=0.8, zorder=2)
        dot: dict[str, Any] = {"marker": marker, "edgecolor": colour, "s": 17, "zorder": 3}
        axes.scatter(np.full(len(pruned), before), pruned[kind], facecolor="white", **dot)
        axes.scatter(np.full(len(retrained), after), retrained[kind], facecolor=colour, **dot)


def dots(
    compared: pd.DataFrame, label: str = "", span: tuple[float, float] | None = None
) -> Figure:
    """Draw our numbers and the paper's: a panel for each kind of number, a row for each task.

    A single task gets one panel, with a row for each kind of number, if these have a common axis.
    compared: of `lib.paper.numbers.compare`. A line shows "± 95 %", the uncertainty of the
        difference, around ours; where there is none, there is no line.
    label: what the numbers are, for the axis
    span: the values that are possible, such as (0, 1) for shares: all panels then have one axis,
        and no line leaves it. None: each panel has an axis of its own.
    """
    if span and compared["task"].nunique() == 1:  # one panel, a row for each kind
        compared = compared.assign(task=compared["what"], what=compared["task"])
    kinds, tasks = list(compared["what"].unique()), list(compared["task"].unique())
    columns = min(3, len(kinds))
    width = WIDTH / 3 if len(kinds) > 1 else 0.8 * WIDTH
    figure, panels = panels_of(len(kinds), width, 0.85 + 0.19 * len(tasks), columns=columns)
    heights = {task: -place for place, task in enumerate(tasks)}
    least, most = span or (-np.inf, np.inf)
    ours, width_95 = compared["ours"], compared["± 95 %"]
    cut = bool(((ours + width_95 > most) | (ours - width_95 < least)).any())
    about = f"line: ± 95 % of the difference{', within what is possible' if cut else ''}"
    names = f"this run ({about})" if (width_95 > 0).any() else "this run", "the paper"
    for number, (axes, kind) in enumerate(zip(panels, kinds, strict=True)):
        rows = compared[compared["what"] == kind]
        y = rows["task"].map(heights)
        ends = rows[["ours", "paper"]]
        axes.hlines(y, ends.min(axis=1), ends.max(axis=1), color="0.8", linewidth=2, zorder=1)
        low, high = (rows["ours"] + sign * rows["± 95 %"] for sign in (-1, 1))
        line: dict[str, Any] = {"color": OURS["color"], "linewidth": 0.8, "zorder": 2}
        axes.hlines(y, low.clip(least, most), high.clip(least, most), **line)
        axes.scatter(rows["ours"], y, **OURS, s=24, zorder=4, label=names[0])
        hollow: dict[str, Any] = {
            "marker": PAPERS["marker"],
            "edgecolor": PAPERS["color"],
            "facecolor": "white",
        }
        axes.scatter(rows["paper"], y, **hollow, s=24, zorder=3, label=names[1])
        shown = tasks if number % columns == 0 else [""] * len(tasks)
        axes.set_yticks(list(heights.values()), shown, fontsize=8)
        axes.set_ylim(-len(tasks) + 0.4, 0.6)
        if span:
            margin = 0.04 * (most - least)
            axes.set_xlim(max(least, _floor(compared, least)) - margin, most + margin)
        elif len(tasks) == 1:  # else a small difference would fill the panel
            low, high = min(0, axes.get_xlim()[0]), axes.get_xlim()[1]
            axes.set_xlim(low, high + 0.05 * (high - low))
        axes.tick_params(axis="x", labelsize=8)
        axes.set_title(kind, fontsize=8)
        if number >= len(kinds) - columns:
            axes.set_xlabel(label, fontsize=8)
    return legend_below(finish(figure), ncols=2)


def _floor(compared: pd.DataFrame, least: float) -> float:
    """Where a common axis may begin: the smallest number or end of a line, to a tenth below."""
    ends = compared["ours"] - compared["± 95 %"].fillna(0)
    return math.floor(10 * max(least, min(ends.min(), compared["paper"].min()))) / 10


def epochs(
    scores: Mapping[str, pd.DataFrame],
    metrics: Mapping[str, str],
    good: Mapping[str, float],
    ends: Mapping[str, tuple[float, float]],
) -> Figure:
    """Notebook 06: bad subnetworks that train longer, epoch by epoch (Fig. 16).

    scores: {task: a table with a row for each seed and a column for each epoch}.
    metrics: {task: the name of its metric}.
    good: {task: the mean score of the retrained good subnetworks}.
    ends: {task: the mean scores of the majority class and the full model}; nan is not drawn.
    """
    figure, panels = panels_of(len(scores), WIDTH / min(3, max(2, len(scores))), 2.1)
    bad = KINDS["bad"]
    for axes, (task, table) in zip(panels, scores.items(), strict=True):
        epoch = table.columns
        for _, of_seed in table.iterrows():
            axes.plot(epoch, of_seed, **bad, markersize=4, linewidth=0.9, label="bad, each seed")
        style: dict[str, Any] = {"color": BLUE, "linestyle": "--", "linewidth": 1.2}
        axes.axhline(good[task], **style, label="good, retrained: mean")
        majority, full = ends[task]
        axes.axhline(full, color="0.5", linewidth=0.8, label="full model: mean")
        if np.isfinite(majority):
            axes.axhline(majority, color="0.2", linestyle=":", label="majority class")
        axes.set(xticks=epoch)
        axes.set_title(task, fontsize=9)
        axes.set_xlabel("epoch", fontsize=8)
        axes.set_ylabel(metrics[task], fontsize=8)
        axes.tick_params(labelsize=8)
    return legend_below(finish(figure), ncols=4)


def learned(
    shares: pd.DataFrame, few: str, longer: str, kinds: Sequence[str], papers: Mapping[str, float]
) -> Figure:
    """Notebook 06: what retrained subnetworks learn on few rows and on more, task by task.

    shares: a row for each task, with the numbers of rows "few" and "more", and in the columns
        `few`, `longer` (both of bad on few rows) and `kinds` (on more rows) a share of the full
        model's lead on more rows
    papers: {task: the share of the paper's bad subnetworks}
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 1.1 + 0.32 * len(shares)))
    y, bad = -np.arange(len(shares)), KINDS["bad"]
    axes.hlines(y, shares[few], shares["bad"], color=bad["color"], linewidth=1.2, zorder=1)
    hollow: dict[str, Any] = {"facecolor": "white", "edgecolor": bad["color"], "zorder": 3}
    axes.scatter(shares[few], y, marker=bad["marker"], s=34, label=few, **hollow)
    axes.scatter(shares[longer], y, marker="x", s=28, color="0.2", label=longer, zorder=3)
    for kind in kinds:
        axes.scatter(shares[kind], y, **KINDS[kind], s=34, label=f"{kind}, more rows", zorder=4)
    theirs = [papers.get(task, np.nan) for task in shares.index]
    style: dict[str, Any] = {**hollow, "edgecolor": "0.2", "zorder": 2, "marker": PAPERS["marker"]}
    axes.scatter(theirs, y, s=24, label="bad in the paper, all rows", **style)
    rows = zip(shares.index, shares["few"], shares["more"], strict=True)
    axes.set_yticks(y, [f"{task}: {small:,} → {large:,} rows" for task, small, large in rows])
    axes.axvline(0, color="0.2", linestyle=":", linewidth=1)
    axes.axvline(1, color="0.5", linewidth=0.8)
    axes.xaxis.set_major_formatter(percent)
    axes.set_xlabel("share of what the full model learns on more rows (0 %: the majority class)")
    return legend_below(finish(figure), ncols=3)
