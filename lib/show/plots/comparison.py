"""Good, random and bad subnetworks side by side (notebooks 05 and 06)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.show.plots.style import BLUE, GREEN, GREY, finish, legend_below, panels_of


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
        axes.errorbar(
            at + offset,
            panel.means[state],
            errors,
            fmt="none",
            ecolor="0.2",
            elinewidth=1,
            zorder=3,
        )
    axes.axhline(panel.full, color="0.2", linestyle="--", linewidth=1, label=full_label, zorder=4)
    if np.isfinite(panel.majority):
        axes.axhline(
            panel.majority,
            color="0.2",
            linestyle=":",
            linewidth=1.2,
            label="majority class",
            zorder=4,
        )
    if (panel.means < 0).any(axis=None):
        axes.axhline(0, color="0.2", linewidth=0.6, zorder=1)
    axes.set_xticks(at, panel.means.index)
    axes.set_title(panel.title, fontsize=9)


def epochs(
    scores: Mapping[str, pd.DataFrame], metrics: Mapping[str, str], good: Mapping[str, float]
) -> Figure:
    """Notebook 06: bad subnetworks trained longer, epoch by epoch (Fig. 16).

    scores: {task: a row a seed, a column an epoch}; good: the retrained good subnetworks' mean scores.
    """
    figure, panels = panels_of(len(scores), 3.5, 2.4, above=0.6)
    for axes, (task, table) in zip(panels, scores.items(), strict=True):
        axes.plot(table.columns, table.T, color=GREY, linewidth=0.8)
        axes.plot(
            table.columns,
            table.mean(),
            color=BLUE,
            marker="o",
            label="mean of the seeds (grey: each)",
        )
        axes.axhline(
            good[task],
            color=GREEN,
            linestyle="--",
            linewidth=1,
            label="good subnetworks, retrained",
        )
        axes.set(title=task, xlabel="epoch", ylabel=f"{metrics[task]} on dev", xticks=table.columns)
    return legend_below(finish(figure), ncols=2)
