"""Heat maps with a cell for each head and MLP (notebooks 02 and 04)."""

from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.show.plots.style import finish

MODE_NAMES = {"joint": "heads and MLPs together", "heads": "heads only", "mlps": "MLPs only"}


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
    axes.set_xticks(
        np.r_[np.arange(width), width + 1] + 0.5,
        [*map(str, range(width)), "MLP"],
        rotation=0,
        fontsize=7,
    )
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
    heads: tuple[np.ndarray, np.ndarray],
    mlps: tuple[np.ndarray, np.ndarray],
    span: tuple[float, float] | None = None,
) -> Panel:
    """A panel from (mean, deviation) of heads and of MLPs."""
    return Panel(heads[0], mlps[0], (heads[1], mlps[1]), span)


def unit_panels(panels: Mapping[str, Panel]) -> Figure:
    """Notebook 04: heat maps side by side. panels: {title: panel}."""
    layers = next(iter(panels.values())).heads.shape[0]
    figure, axes = plt.subplots(
        1, len(panels), figsize=(6.6 * len(panels), 0.9 + 0.42 * layers), squeeze=False
    )
    for ax, (title, one) in zip(axes[0], panels.items(), strict=True):
        units(ax, one.heads, one.mlps, title, ".2f", one.span, one.spread)
    return finish(figure)
