"""Good, random and bad subnetworks side by side (notebooks 05 and 06)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.show.plots.style import BLUE, GREEN, GREY, finish, legend_below, panels_of


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

    rows: the panels of each row; the panels of a row share the axis of scores.
    labels: the axis label of each row.
    full_label: the legend's text for the line of the full model.
    """
    width = max(map(len, rows))
    figsize = (3.5 * width, 0.9 + 2.1 * len(rows))
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
    axes.set_title(panel.title, fontsize=9)


def epochs(
    scores: Mapping[str, pd.DataFrame], metrics: Mapping[str, str], good: Mapping[str, float]
) -> Figure:
    """Notebook 06: bad subnetworks that train longer, epoch by epoch (Fig. 16).

    scores: {task: a table with a row for each seed and a column for each epoch}.
    metrics: {task: the name of its metric}.
    good: {task: the mean score of the retrained good subnetworks}.
    """
    figure, panels = panels_of(len(scores), 3.5, 2.4, above=0.6)
    for axes, (task, table) in zip(panels, scores.items(), strict=True):
        epoch, mean = table.columns, table.mean()
        axes.plot(epoch, table.T, color=GREY, linewidth=0.8)
        axes.plot(epoch, mean, color=BLUE, marker="o", label="mean of the seeds (grey: each)")
        style: dict[str, Any] = {"color": GREEN, "linestyle": "--", "linewidth": 1}
        axes.axhline(good[task], **style, label="good subnetworks, retrained")
        axes.set(title=task, xlabel="epoch", ylabel=f"{metrics[task]} on dev", xticks=epoch)
    return legend_below(finish(figure), ncols=2)
