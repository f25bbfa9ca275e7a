"""Notebook 00: a layer with its two gates, and three subnetworks of one size."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle

# Okabe and Ito's colours; a word or hatching says the same.
HEADS, MLP, GATE, OFF = "#56b4e9", "#e69f00", "#d55e00", "0.93"
KINDS = {"good": ("#0072b2", ""), "random": ("0.55", "..."), "bad": ("#d55e00", "///")}
TEXT = 9  # points


def layer_and_tickets(heads: Mapping[str, np.ndarray], mlps: Mapping[str, np.ndarray]) -> Figure:
    """Draw one layer with the gates ξ and ν, and below it a grid for each kind of subnetwork.

    heads, mlps: {kind: bool [layers, heads]} and {kind: bool [layers]}, with the keys of KINDS
    """
    figure = plt.figure(figsize=(7.2, 5.6))
    grid = figure.add_gridspec(2, len(heads), height_ratios=(1.35, 1), hspace=0.12, wspace=0.18)
    _layer(figure.add_subplot(grid[0, :]))
    for column, kind in enumerate(heads):
        _ticket(figure.add_subplot(grid[1, column]), kind, heads[kind], mlps[kind])
    return figure


def _box(axes: Axes, x: float, y: float, width: float, height: float, colour: str, text: str):
    style: dict[str, Any] = {
        "boxstyle": "round,pad=0.02,rounding_size=0.08",
        "edgecolor": "0.2",
        "linewidth": 1,
    }
    axes.add_patch(FancyBboxPatch((x, y), width, height, facecolor=colour, **style))
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=TEXT)


def _gate(axes: Axes, x: float, y: float, text: str) -> None:
    axes.add_patch(Circle((x, y), 0.2, facecolor="white", edgecolor=GATE, linewidth=2, zorder=3))
    axes.text(x, y, text, ha="center", va="center", fontsize=TEXT, color=GATE, zorder=4)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style: dict[str, Any] = {
        "arrowstyle": "-|>",
        "color": "0.2",
        "linewidth": 1.2,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    axes.annotate("", xy=end, xytext=start, arrowprops=style)


def _layer(axes: Axes) -> None:
    heights = np.array([2.65, 1.75, 0.85, -0.05])
    middle = float(heights.mean()) + 0.25
    axes.text(-0.1, middle, "token\nvectors", ha="center", va="center", fontsize=TEXT)
    for number, y in enumerate(heights, 1):
        name = f"head {number}" if number < len(heights) else "head H"
        _arrow(axes, (0.35, middle), (1.2, y + 0.25))
        _box(axes, 1.25, y, 1.15, 0.5, HEADS, name)
        gate = f"ξ{'₁₂₃'[number - 1]}" if number < len(heights) else "ξₕ"
        axes.plot([2.42, 2.72], [y + 0.25] * 2, color="0.2", linewidth=1.2)
        _gate(axes, 2.9, y + 0.25, gate)
        _arrow(axes, (3.1, y + 0.25), (3.72, middle))
    axes.text(1.82, 0.7, "⋮", ha="center", va="center", fontsize=12)
    _box(axes, 3.75, middle - 0.45, 1.55, 0.9, "white", "add,\nLayerNorm")
    _arrow(axes, (5.32, middle), (5.8, middle))
    _box(axes, 5.85, middle - 0.45, 1.1, 0.9, MLP, "MLP")
    axes.plot([6.97, 7.25], [middle] * 2, color="0.2", linewidth=1.2)
    _gate(axes, 7.42, middle, "ν")
    _arrow(axes, (7.62, middle), (8.05, middle))
    _box(axes, 8.1, middle - 0.45, 1.55, 0.9, "white", "add,\nLayerNorm")
    _arrow(axes, (9.67, middle), (10.1, middle))
    axes.text(10.15, middle, "next\nlayer", ha="left", va="center", fontsize=TEXT)
    over = middle + 1.75  # the residual connections, which no gate can close
    for start, end in ((0.35, 4.5), (5.52, 8.85)):
        axes.plot(
            [start, start, end], [middle, over, over], color="0.6", linewidth=1, linestyle="--"
        )
        _arrow(axes, (end, over), (end, middle + 0.48))
    axes.text(7.1, over + 0.08, "residual: goes on when a gate is shut", ha="center", va="bottom",
              fontsize=TEXT - 0.5, color="0.35")  # fmt: skip
    axes.text(5.3, -0.15, "A gate is 1 (open) or 0 (shut).\nA mask is one choice for every gate.",
              ha="left", va="center", fontsize=TEXT, color=GATE)  # fmt: skip
    axes.set_title("One layer: H attention heads, one MLP, and a gate behind each", fontsize=10)
    axes.set(xlim=(-0.6, 10.9), ylim=(-0.45, over + 0.45), aspect="equal")
    axes.set_axis_off()


def _ticket(axes: Axes, kind: str, heads: np.ndarray, mlps: np.ndarray) -> None:
    colour, hatch = KINDS[kind]
    layers, width = heads.shape
    for layer in range(layers):
        row = [*enumerate(heads[layer]), (width + 0.5, mlps[layer])]
        for x, kept in row:
            face, pattern = (colour, hatch) if kept else (OFF, "")
            cell: dict[str, Any] = {
                "facecolor": face,
                "edgecolor": "white",
                "linewidth": 1,
                "hatch": pattern,
            }
            axes.add_patch(Rectangle((x, layer), 1, 1, **cell))
    axes.text(width / 2, -0.25, "heads", ha="center", va="top", fontsize=TEXT)
    axes.text(width + 1, -0.25, "MLP", ha="center", va="top", fontsize=TEXT)
    axes.text(-0.25, layers / 2, "layers", ha="right", va="center", rotation=90, fontsize=TEXT)
    size = f"{int(heads.sum())} of {heads.size} heads, {int(mlps.sum())} of {mlps.size} MLPs"
    axes.set_title(f"{kind}\n{size}", fontsize=TEXT)
    axes.set(xlim=(-0.9, width + 1.6), ylim=(-1.0, layers + 0.1), aspect="equal")
    axes.set_axis_off()
