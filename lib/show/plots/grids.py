"""Heat maps with a cell for each head and MLP (notebooks 02 and 04)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.show.plots.style import finish, heat_map, panels_of

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
    """Draw a value for each head and each MLP; the MLPs have a column of their own (Fig. 1).

    heads: [layers, heads].
    mlps: [layers].
    form: the format of the numbers in the cells.
    span: the range of the colours; None takes it from the values.
    spread: standard deviations of (heads, MLPs) to write below the values, in the same shapes.
    """
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
    heat_map(axes, grid, labels, low, high, fontsize=5.5 if spread is not None else 6.5)
    ticks, names = np.r_[np.arange(width), width + 1] + 0.5, [*map(str, range(width)), "MLP"]
    axes.set_xticks(ticks, names, rotation=0, fontsize=7)
    axes.set_yticks(np.arange(layers) + 0.5, [*map(str, range(layers))], rotation=0, fontsize=7)
    axes.set(xlabel="head", ylabel="layer", title=title)


@dataclass(frozen=True)
class Panel:
    """A heat map of heads and MLPs.

    heads, mlps: the values, [layers, heads] and [layers].
    spread: the standard deviations of both, in the same shapes.
    span: the range of the colours; None takes it from the values.
    """

    heads: np.ndarray
    mlps: np.ndarray
    spread: tuple[np.ndarray, np.ndarray]
    span: tuple[float, float] | None


def panel(
    heads: tuple[np.ndarray, np.ndarray],
    mlps: tuple[np.ndarray, np.ndarray],
    span: tuple[float, float] | None = None,
) -> Panel:
    """Make a panel from the (mean, deviation) of the heads and of the MLPs."""
    return Panel(heads[0], mlps[0], (heads[1], mlps[1]), span)


def unit_panels(panels: Mapping[str, Panel]) -> Figure:
    """Notebook 04: heat maps side by side, three in a row. panels: {title: panel}."""
    layers = next(iter(panels.values())).heads.shape[0]
    figure, grid = panels_of(len(panels), 6.6, 0.9 + 0.42 * layers)
    for axes, (title, content) in zip(grid, panels.items(), strict=True):
        units(axes, content.heads, content.mlps, title, ".2f", content.span, content.spread)
    return finish(figure)
