"""What all figures share: colours, panels, no frames, one legend."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

GREY, BLUE, ORANGE, GREEN = "0.6", "#3465a4", "#e07a1f", "#4e9a48"


def panels_of(
    count: int, width: float, height: float, columns: int = 3, above: float = 0.0
) -> tuple[Figure, Sequence[Axes]]:
    """So many panels of a size in inches, at most `columns` a row, and room above; the last row's rest stays empty."""
    across = min(count, columns)
    down = -(-count // across)
    figure, grid = plt.subplots(
        down, across, figsize=(width * across, above + height * down), squeeze=False
    )
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
    figure.legend(
        handles,
        labels,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=ncols,
        frameon=False,
        fontsize=9,
    )
    return figure
