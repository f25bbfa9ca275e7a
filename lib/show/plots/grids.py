"""Heat maps with a cell for each head and MLP (notebooks 02 and 04)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.show.plots.style import WIDTH, finish, heat_map, panels_of

MODE_NAMES = {"joint": "heads and MLPs together", "heads": "heads only", "mlps": "MLPs only"}


def units(
    axes: Axes, heads: np.ndarray, mlps: np.ndarray, span: tuple[float, float], title: str
) -> None:
    """Draw a value for each head and each MLP; the MLPs have a column of their own (Fig. 1).

    heads, mlps: [layers, heads] and [layers], shown as whole numbers; zeros stay empty
    span: the values of the lightest and the darkest colour
    """
    layers, width = heads.shape
    cells = np.full((layers, width + 2), np.nan)
    cells[:, :width], cells[:, -1] = heads, mlps
    labels = np.full(cells.shape, "", dtype=object)
    for row, column in np.argwhere(cells > 0):
        labels[row, column] = format(cells[row, column], ".0f")
    heat_map(axes, cells, labels, *span, fontsize=8)
    names = [str(head) if head % 2 == 0 else "" for head in range(width)]
    axes.set_xticks(np.r_[np.arange(width), width + 1] + 0.5, [*names, "MLP"], rotation=0)
    axes.set_yticks(np.arange(layers) + 0.5, [*map(str, range(layers))], rotation=0)
    axes.tick_params(labelsize=8, length=0)
    axes.set_xlabel("head", fontsize=8)
    axes.set_ylabel("layer", fontsize=8)
    axes.set_title(title, fontsize=8)


@dataclass(frozen=True)
class Kept:
    """A heat map of how often heads and MLPs are kept.

    heads, mlps: how often, int [layers, heads] and [layers]
    of: how often they could be kept
    """

    heads: np.ndarray
    mlps: np.ndarray
    of: int


def kept(heads: np.ndarray, mlps: np.ndarray) -> Kept:
    """Count in how many masks units are kept; masks: bool [masks, layers, …]."""
    return Kept(np.asarray(heads).sum(0), np.asarray(mlps).sum(0), len(heads))


def survivors(panels: Mapping[str, Kept], columns: int = 2) -> Figure:
    """Notebook 04: in how many masks each unit is kept; dark: in all, empty: in none (Fig. 1, 15).

    panels: {title: counts}; they may be of encoders of different shapes
    """
    layers = max(content.heads.shape[0] for content in panels.values())
    across = min(columns, len(panels))
    figure, grid = panels_of(len(panels), WIDTH / max(across, 2), 0.8 + 0.17 * layers, columns)
    for axes, (title, content) in zip(grid, panels.items(), strict=True):
        units(axes, content.heads, content.mlps, (0, content.of), title)
    return finish(figure)


def shares(panels: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Notebook 04: the share of weights, in percent, that m-pruning keeps in each unit (Fig. 1a).

    panels: {title: (heads, mlps)}, shares [layers, heads] and [layers]; the colours of all panels
        reach from the smallest share to the largest
    """
    everything = np.concatenate([np.ravel(part) for both in panels.values() for part in both])
    span = 100 * float(everything.min()), 100 * float(everything.max())
    layers = max(heads.shape[0] for heads, _ in panels.values())
    figure, grid = panels_of(len(panels), WIDTH / 2, 0.8 + 0.17 * layers, columns=2)
    for axes, (title, (heads, mlps)) in zip(grid, panels.items(), strict=True):
        units(axes, 100 * heads, 100 * mlps, span, title)
    return finish(figure)
