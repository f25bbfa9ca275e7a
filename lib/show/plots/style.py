"""What all figures share: colours, panels, legends, heat maps, no frames.

A figure is at most WIDTH inches wide, so that it is legible where it is shown 700 pixels wide.
Colours are Okabe and Ito's (2008), which colour-blind readers can tell apart; `PALETTES` lists
those that have to be told apart within one figure. A marker, a dash or hatching says the same.
"""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 7.0  # inches
GREY, BLACK = "0.6", "0.1"
BLUE, ORANGE, GREEN = "#0072b2", "#e69f00", "#009e73"
SKY, VERMILLION, PURPLE = "#56b4e9", "#d55e00", "#cc79a7"
OURS: dict[str, Any] = {"color": BLUE, "marker": "o"}
PAPERS: dict[str, Any] = {"color": VERMILLION, "marker": "D"}
KINDS: dict[str, dict[str, Any]] = {
    "good": {"color": BLUE, "marker": "o"},
    "random": {"color": "0.55", "marker": "s"},
    "bad": {"color": VERMILLION, "marker": "^"},
}
PATTERNS: dict[str, dict[str, Any]] = {
    "diagonal": {"color": ORANGE, "hatch": "///"},
    "vertical": {"color": BLUE, "hatch": ""},
    "vertical+diagonal": {"color": "#004d40", "hatch": "xxx"},
    "block": {"color": PURPLE, "hatch": "..."},
    "heterogeneous": {"color": BLACK, "hatch": ""},
}
MODES = {"joint": BLUE, "heads": ORANGE, "mlps": GREEN}
PALETTES: dict[str, Sequence[str]] = {
    "good, random, bad": [style["color"] for style in KINDS.values()],
    "ours, the paper's": [OURS["color"], PAPERS["color"]],
    "modes of the search": [*MODES.values()],
    "attention patterns": [style["color"] for style in PATTERNS.values()],
}


def panels_of(
    count: int, width: float, height: float, columns: int = 3
) -> tuple[Figure, Sequence[Axes]]:
    """Make a figure with `count` panels, at most `columns` in a row; the last row may end empty.

    width, height: of a panel, in inches. A single panel has at least half of WIDTH.
    """
    width = max(width, WIDTH / 2) if count == 1 else width
    across = min(count, columns)
    down = -(-count // across)
    figsize = (width * across, height * down)
    figure, grid = plt.subplots(down, across, figsize=figsize, squeeze=False)
    for axes in grid.ravel()[count:]:
        axes.set_axis_off()
    return figure, list(grid.ravel()[:count])


def finish(figure: Figure) -> Figure:
    """Remove frames, and keep labels from running into one another."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        for label in (axes.xaxis.label, axes.yaxis.label, axes.title):
            label.set_fontsize(min(label.get_fontsize(), 9))
        for tick in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            tick.set_fontsize(min(tick.get_fontsize(), 8))
    figure.tight_layout()
    return figure


def legend_below(figure: Figure, ncols: int, more: Sequence[Artist] = ()) -> Figure:
    """Put one legend for all panels below the figure; it has each label once, then `more`."""
    entries: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    entries |= {str(handle.get_label()): handle for handle in more}
    at = {"loc": "upper center", "bbox_to_anchor": (0.5, 0)}
    figure.legend([*entries.values()], [*entries], **at, ncols=ncols, frameon=False, fontsize=8)
    return figure


def legend_beside(axes: Axes) -> None:
    """Put a panel's legend on its right."""
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))


def percent(value: float, _position: float, /) -> str:
    """Format a share of an axis as a whole percentage."""
    return f"{value:.0%}"


def heat_map(
    axes: Axes,
    values: np.ndarray,
    labels: np.ndarray,
    low: float,
    high: float,
    fontsize: float,
    colours: str = "Blues",
) -> None:
    """Draw a labelled heat map; each label is black or white, whichever is easier to read.

    values, labels: a number and a text for each cell, of one shape; nan is a cell without a colour
    low, high: the values of the first and the last colour
    colours: the name of a colour map
    """
    cells = np.ma.masked_invalid(values)
    mesh = axes.pcolormesh(cells, cmap=colours, vmin=low, vmax=high, edgecolors="w", linewidth=0.5)
    fills = mesh.to_rgba(cells)
    axes.invert_yaxis()  # the first row is at the top
    axes.spines[:].set_visible(False)
    for row, column in np.argwhere(labels != ""):
        colour = "black" if luminance(fills[row, column]) > 0.179 else "white"
        text = axes.text(column + 0.5, row + 0.5, labels[row, column], ha="center", va="center")
        text.set(color=colour, fontsize=fontsize)


def luminance(colour: Sequence[float]) -> float:
    """Compute the relative luminance of an sRGB colour, as in WCAG 2; black is 0, white 1.

    Above 0.179, black text has more contrast than white text.
    """
    rgb = np.asarray(colour, float)[:3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
