"""Heat maps with a cell for each head and MLP (notebooks 02 and 04)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.show.plots.style import WIDTH, finish, heat_map, panels_of

MODE_NAMES = {"joint": "heads and MLPs together", "heads": "heads only", "mlps": "MLPs only"}


def units(
    axes: Axes,
    heads: np.ndarray | None,
    mlps: np.ndarray | None,
    span: tuple[float, float],
    title: str,
    colours: str = "Blues",
    around: float = 0.0,
) -> None:
    """Draw a value for each head and each MLP; the MLPs have a column of their own (Fig. 1).

    heads, mlps: [layers, heads] and [layers], shown as whole numbers; zeros stay empty. None: there
        is no such column.
    span: the values of the lightest and the darkest colour
    around: what is subtracted from a value for its colour, but not for its number
    """
    columns = [] if heads is None else [*heads.T]
    names = [str(head) if head % 2 == 0 else "" for head in range(len(columns))]
    if mlps is not None:
        gap = [np.full(len(mlps), np.nan)] if columns else []
        columns, names = [*columns, *gap, mlps], [*names, *([""] if gap else []), "MLP"]
    cells = np.stack(columns, axis=1)
    labels = np.full(cells.shape, "", dtype=object)
    for row, column in np.argwhere(cells > 0):
        value = cells[row, column]
        labels[row, column] = "<1" if value < 0.5 else format(value, ".0f")
    heat_map(axes, cells - around, labels, *span, fontsize=8, colours=colours)
    axes.set_xticks(np.arange(len(names)) + 0.5, names, rotation=0)
    axes.set_yticks(np.arange(len(cells)) + 0.5, [*map(str, range(len(cells)))], va="center")
    axes.tick_params(labelsize=8, length=0)
    axes.set_xlabel("head" if heads is not None else "", fontsize=8)
    axes.set_ylabel("layer", fontsize=8)
    axes.set_title(title, fontsize=8)


@dataclass(frozen=True)
class Kept:
    """A heat map of how often heads and MLPs are kept.

    heads, mlps: how often, int [layers, heads] and [layers]; None if a search keeps all of them
    of: how often they could be kept
    """

    heads: np.ndarray | None
    mlps: np.ndarray | None
    of: int


def kept(heads: np.ndarray, mlps: np.ndarray, mode: str = "joint") -> Kept:
    """Count in how many masks units are kept; masks: bool [masks, layers, …].

    mode: of the search; the units that it does not prune are left out
    """
    of_heads = None if mode == "mlps" else np.asarray(heads).sum(0)
    return Kept(of_heads, None if mode == "heads" else np.asarray(mlps).sum(0), len(heads))


def survivors(panels: Mapping[str, Kept], columns: int = 2) -> Figure:
    """Notebook 04: in how many masks each unit is kept; dark: in all, empty: in none (Fig. 1, 15).

    panels: {title: counts}; they may be of encoders of different shapes
    """
    layers = max(len(part) for content in panels.values() for part in (content.heads, content.mlps)
                 if part is not None)  # fmt: skip
    across = min(columns, len(panels))
    figure, grid = panels_of(len(panels), WIDTH / max(across, 2), 0.8 + 0.17 * layers, columns)
    for axes, (title, content) in zip(grid, panels.items(), strict=True):
        units(axes, content.heads, content.mlps, (0, content.of), title)
    return finish(figure)


def shares(panels: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Notebook 04: the share of weights, in percent, that m-pruning keeps in each unit (Fig. 1a).

    panels: {title: (heads, mlps)}, shares [layers, heads] and [layers]. The numbers are the shares;
        the colours say how far a unit is above or below the mean of its panel's heads. An MLP
        that is further away than every head has the last colour.
    """
    means = {title: 100 * float(heads.mean()) for title, (heads, _) in panels.items()}
    apart = [np.abs(100 * heads - means[title]).max() for title, (heads, _) in panels.items()]
    most = max(1.0, *map(float, apart))
    layers = max(heads.shape[0] for heads, _ in panels.values())
    figure, grid = panels_of(len(panels), WIDTH / 2, 0.8 + 0.17 * layers, columns=2)
    for axes, (title, (heads, mlps)) in zip(grid, panels.items(), strict=True):
        look = {"colours": "PuOr_r", "around": means[title]}
        units(axes, 100 * heads, 100 * mlps, (-most, most), title, **look)
    return finish(figure)
