"""Figures: tables in, a figure out. Nothing is computed here that a reader could want to know.

Here are those of notebooks 01 to 06; those of 07 to 09 are in `reading`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

GREY, BLUE, ORANGE, GREEN = "0.6", "#3465a4", "#e07a1f", "#4e9a48"
MODE_COLOURS = {"joint": BLUE, "heads": ORANGE, "mlps": GREEN}
MODE_NAMES = {"joint": "heads and MLPs together", "heads": "heads only", "mlps": "MLPs only"}


def score_spread(resampled: np.ndarray, full: float, lines: Mapping[str, float], metric: str, task: str) -> Figure:
    """Notebook 01: how far the full score would wander on other dev sets of this size, beside other scores.

    resampled: float [samples], scores on bootstrap samples of dev; lines: {name: score} to mark.
    """
    figure, axes = plt.subplots(figsize=(7, 3.2))
    low = min(np.nanmin(resampled), *[value for value in lines.values() if np.isfinite(value)])
    axes.hist(
        resampled,
        bins=18,
        range=(np.nanmin(resampled) - 1e-3, 1),
        color=BLUE,
        alpha=0.35,
        label="full model, dev resampled",
    )
    axes.axvline(full, color=BLUE, linestyle="--", label=f"full model: {full:.3f}")
    styles = [(GREY, "-"), ("0.3", ":"), (ORANGE, "-.")]
    for (name, value), (colour, style) in zip(lines.items(), styles, strict=False):
        if np.isfinite(value):
            axes.axvline(value, color=colour, linestyle=style, label=f"{name}: {value:.3f}")
    axes.set(xlabel=f"{metric} on dev", ylabel="samples", title=f"{task}: the full model", xlim=(low - 0.03, 1.01))
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    return finish(figure)


def trail(axes: Axes, table: pd.DataFrame, colour: str, label: str) -> None:
    """One trail: score against size [share], rejected rounds hollow. table: columns size, score, accepted.

    The line joins accepted rounds only: each round starts from the last of them, not from one that failed.
    """
    good = table[table["accepted"]]
    axes.plot(good["size"], good["score"], color=colour, linewidth=1.2, label=label, zorder=2)
    for accepted, fill in ((True, colour), (False, "white")):
        part = table[table["accepted"] == accepted]
        axes.scatter(part["size"], part["score"], s=26, facecolor=fill, edgecolor=colour, zorder=3)


def _floor(axes: Axes, full: float, floor: float, metric: str) -> None:
    axes.axhline(full, color="0.2", linestyle="--", linewidth=1, label="full model")
    axes.axhline(floor, color="0.2", linestyle=":", linewidth=1, label="floor")
    axes.set(ylabel=f"{metric} on dev", xlim=(1.03, -0.03))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")


def magnitude(
    table: pd.DataFrame,
    floor: float,
    random: Sequence[tuple[float, float]],
    heads: np.ndarray,
    mlps: np.ndarray,
    metric: str,
    title: str,
) -> Figure:
    """Notebook 02: the trail of m-pruning, and the share of weights that survives in each head and MLP.

    table: columns size, score, accepted; random: (size, score) of random masks; heads [layers, heads], mlps [layers].
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(1, 1.15))
    _floor(left, float(table["score"].iloc[0]), floor, metric)
    trail(left, table, BLUE, "smallest weights removed")
    left.scatter(*zip(*random, strict=True), marker="x", color=GREY, label="random weights removed", zorder=3)
    left.set(xlabel="weights left", title=title)
    left.legend(frameon=False, fontsize=8)
    units(right, heads, mlps, "share of weights that survive", form=".2f", span=None)
    return finish(figure)


def structured(
    tables: Mapping[str, pd.DataFrame],
    floor: float,
    random: Sequence[tuple[float, float]],
    head_importance: np.ndarray,
    metric: str,
    title: str,
) -> Figure:
    """Notebook 03: the trails of the three modes, and the distribution of head importance (Fig. 3).

    tables: {mode: columns size, score, accepted}; head_importance: normalised, float [layers, heads].
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), width_ratios=(1.3, 1))
    _floor(left, float(next(iter(tables.values()))["score"].iloc[0]), floor, metric)
    for mode, table in tables.items():
        trail(left, table, MODE_COLOURS[mode], MODE_NAMES[mode])
    if random:
        left.scatter(*zip(*random, strict=True), marker="x", color=GREY, label="random units, same size", zorder=3)
    left.set(xlabel="encoder weights left", title=title)
    left.legend(frameon=False, fontsize=8)
    right.hist(head_importance.ravel(), bins=20, color=BLUE, alpha=0.6)
    right.set(
        xlabel="importance of a head (ℓ2-normalised in its layer)", ylabel="heads", title="full model, iteration 1"
    )
    return finish(figure)


def units(
    axes: Axes,
    heads: np.ndarray,
    mlps: np.ndarray,
    title: str,
    form: str,
    span: tuple[float, float] | None,
    spread: tuple | None = None,
) -> None:
    """A value for each head and, in a column of its own, for each layer's MLP (the paper's Figure 1, in one frame).

    heads [layers, heads], mlps [layers]. span: the colours' range, or None for the values' own. spread: standard
    deviations in the same two shapes, written beneath the values.
    """
    import seaborn  # here, because importing it takes a second that most notebooks need not pay

    layers, width = heads.shape
    grid = np.full((layers, width + 2), np.nan)
    grid[:, :width], grid[:, -1] = heads, mlps
    low, high = span or (np.nanmin(grid), np.nanmax(grid))
    labels = np.full(grid.shape, "", dtype=object)
    for row, column in np.argwhere(np.isfinite(grid)):
        labels[row, column] = format(grid[row, column], form)
        if spread is not None:
            deviation = spread[1][row] if column == width + 1 else spread[0][row, column]
            if np.isfinite(deviation):
                labels[row, column] += f"\n±{format(deviation, form)}"
    seaborn.heatmap(
        grid, ax=axes, vmin=low, vmax=high, cmap="Blues", cbar=False, linewidths=0.5, linecolor="white",
        annot=labels, fmt="", annot_kws={"fontsize": 5.5 if spread is not None else 6.5},
    )  # fmt: skip
    axes.set_xticks(np.r_[np.arange(width), width + 1] + 0.5, [*map(str, range(width)), "MLP"], rotation=0, fontsize=7)
    axes.set_yticks(np.arange(layers) + 0.5, range(layers), rotation=0, fontsize=7)
    axes.set(xlabel="head", ylabel="layer", title=title)


@dataclass(frozen=True)
class Panel:
    """A heat map of units: values and their deviations for heads [layers, heads] and MLPs [layers], colours' range."""

    heads: np.ndarray
    mlps: np.ndarray
    spread: tuple[np.ndarray, np.ndarray]
    span: tuple[float, float] | None


def panel(
    heads: tuple[np.ndarray, np.ndarray], mlps: tuple[np.ndarray, np.ndarray], span: tuple[float, float] | None = None
) -> Panel:
    """A panel from (mean, deviation) of heads and of MLPs."""
    return Panel(heads[0], mlps[0], (heads[1], mlps[1]), span)


def unit_panels(panels: Mapping[str, Panel]) -> Figure:
    """Notebook 04: heat maps side by side. panels: {title: panel}."""
    layers = next(iter(panels.values())).heads.shape[0]
    figure, axes = plt.subplots(1, len(panels), figsize=(6.6 * len(panels), 0.9 + 0.42 * layers), squeeze=False)
    for ax, (title, one) in zip(axes[0], panels.items(), strict=True):
        units(ax, one.heads, one.mlps, title, ".2f", one.span, one.spread)
    return finish(figure)


@dataclass(frozen=True)
class Bars:
    """A panel of scores: means and deviations [bars, (pruned, retrained)]; full, majority: lines across, or nan."""

    title: str
    means: pd.DataFrame
    deviations: pd.DataFrame
    full: float
    majority: float


def tickets(rows: Sequence[Sequence[Bars]], labels: Sequence[str], full_label: str) -> Figure:
    """Notebooks 05 and 06: subnetworks, pruned and retrained, panel by panel (Fig. 2, Fig. 17).

    rows: the panels of each row, which share an axis; labels: what each row's axis shows; full_label: of the line.
    """
    width = max(map(len, rows))
    figure, grid = plt.subplots(
        len(rows), width, figsize=(3.5 * width, 0.9 + 2.1 * len(rows)), sharey="row", squeeze=False
    )
    for axes_row, panels, label in zip(grid, rows, labels, strict=True):
        for axes, panel in zip(axes_row, panels, strict=False):
            _bars(axes, panel, full_label)
        axes_row[0].set_ylabel(label)
        for axes in axes_row[len(panels) :]:
            axes.set_axis_off()
    return legend_below(finish(figure), ncols=4)


def _bars(axes: Axes, panel: Bars, full_label: str) -> None:
    at = np.arange(len(panel.means))
    for offset, state, colour in ((-0.2, "pruned", GREY), (0.2, "retrained", BLUE)):
        errors = panel.deviations[state].fillna(0)
        axes.bar(at + offset, panel.means[state], 0.38, color=colour, label=state, zorder=2)
        axes.errorbar(at + offset, panel.means[state], errors, fmt="none", ecolor="0.2", elinewidth=1, zorder=3)
    axes.axhline(panel.full, color="0.2", linestyle="--", linewidth=1, label=full_label, zorder=4)
    if np.isfinite(panel.majority):
        axes.axhline(panel.majority, color="0.2", linestyle=":", linewidth=1.2, label="majority class", zorder=4)
    if (panel.means < 0).any(axis=None):
        axes.axhline(0, color="0.2", linewidth=0.6, zorder=1)
    axes.set_xticks(at, panel.means.index)
    axes.set_title(panel.title, fontsize=9)


def epochs(scores: Mapping[str, pd.DataFrame], metrics: Mapping[str, str], good: Mapping[str, float]) -> Figure:
    """Notebook 06: bad subnetworks trained longer, epoch by epoch (Fig. 16).

    scores: {task: a row a seed, a column an epoch}; good: the retrained good subnetworks' mean scores.
    """
    figure, panels = panels_of(len(scores), 3.5, 2.4, above=0.6)
    for axes, (task, table) in zip(panels, scores.items(), strict=True):
        axes.plot(table.columns, table.T, color=GREY, linewidth=0.8)
        axes.plot(table.columns, table.mean(), color=BLUE, marker="o", label="mean of the seeds (grey: each)")
        axes.axhline(good[task], color=GREEN, linestyle="--", linewidth=1, label="good subnetworks, retrained")
        axes.set(title=task, xlabel="epoch", ylabel=f"{metrics[task]} on dev", xticks=table.columns)
    return legend_below(finish(figure), ncols=2)


def panels_of(
    count: int, width: float, height: float, columns: int = 3, above: float = 0.0
) -> tuple[Figure, Sequence[Axes]]:
    """So many panels of a size in inches, at most `columns` a row, and room above; the last row's rest stays empty."""
    across = min(count, columns)
    down = -(-count // across)
    figure, grid = plt.subplots(down, across, figsize=(width * across, above + height * down), squeeze=False)
    for axes in grid.ravel()[count:]:
        axes.set_axis_off()
    return figure, grid.ravel()[:count]


def finish(figure: Figure) -> Figure:
    """No frames, and labels that do not run into one another."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return figure


def legend_below(figure: Figure, ncols: int) -> Figure:
    """One legend for all panels, with what the first one shows."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=ncols, frameon=False, fontsize=9)
    return figure
