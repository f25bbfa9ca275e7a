"""What all figures share: colours, panels, legends, heat maps, no frames."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

GREY, BLUE, ORANGE, GREEN = "0.6", "#3465a4", "#e07a1f", "#4e9a48"


def panels_of(
    count: int, width: float, height: float, columns: int = 3, above: float = 0.0
) -> tuple[Figure, Sequence[Axes]]:
    """Make a figure with `count` panels, at most `columns` in a row; the last row may end empty.

    width, height: of a panel, in inches.
    above: extra height of the figure, in inches.
    """
    across = min(count, columns)
    down = -(-count // across)
    figsize = (width * across, above + height * down)
    figure, grid = plt.subplots(down, across, figsize=figsize, squeeze=False)
    for axes in grid.ravel()[count:]:
        axes.set_axis_off()
    return figure, list(grid.ravel()[:count])


def finish(figure: Figure) -> Figure:
    """Remove frames, and keep labels from running into one another."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    return figure


def legend_below(figure: Figure, ncols: int) -> Figure:
    """Put one legend for all panels below the figure; its entries are the first panel's."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    at = {"loc": "upper center", "bbox_to_anchor": (0.5, 0)}
    figure.legend(handles, labels, **at, ncols=ncols, frameon=False, fontsize=9)
    return figure


def legend_beside(axes: Axes) -> None:
    """Put a panel's legend on its right."""
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))


def percent(value: float, _position: float, /) -> str:
    """Format a share of an axis as a whole percentage."""
    return f"{value:.0%}"


def heat_map(
    axes: Axes, values, labels, low: float | None, high: float | None, fontsize: float
) -> None:
    """Draw a labelled heat map.

    values, labels: a number and a text for each cell, arrays or tables of one shape.
    low, high: the range of the colours; None takes it from the values.
    """
    import seaborn  # here, because the import takes a second, which most notebooks can save

    lines = {"linewidths": 0.5, "linecolor": "white"}
    text = {"annot": labels, "fmt": "", "annot_kws": {"fontsize": fontsize}}
    seaborn.heatmap(values, ax=axes, vmin=low, vmax=high, cmap="Blues", cbar=False, **lines, **text)
