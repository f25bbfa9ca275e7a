"""Notebook 10: what became of each claim, on one page."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

# Okabe and Ito's colours; the marker says the same.
MARKERS: dict[str, dict[str, Any]] = {
    "agrees": {"marker": "o", "color": "#0072b2", "markersize": 9},
    "disagrees": {"marker": "X", "color": "#d55e00", "markersize": 10},
    "cannot tell": {"marker": "o", "color": "0.45", "markersize": 9, "markerfacecolor": "white"},
}
TEXT = 8.5  # points


def verdicts(
    topics: Mapping[str, Sequence[tuple[int, Mapping[str, str]]]], judges: Sequence[str]
) -> Figure:
    """Draw a symbol for each claim, a block of rows for each topic.

    topics: {topic: (number of the claim, {judge: verdict}) for each claim}. A judge without a
        verdict on a claim leaves its place empty.
    judges: a row of each block for each of them
    """
    most = max(map(len, topics.values()))
    block = len(judges) + 1.3
    figure, axes = plt.subplots(figsize=(7.2, 0.5 + 0.27 * block * len(topics)))
    for number, (topic, claims) in enumerate(topics.items()):
        top = -number * block
        axes.text(-4.6, top, topic, fontsize=9.5, fontweight="bold", va="center")
        for position, (claim, _) in enumerate(claims):
            axes.text(
                position, top, str(claim), fontsize=TEXT, color="0.35", ha="center", va="center"
            )
        for row, judge in enumerate(judges, 1):
            axes.text(-4.6, top - row, judge, fontsize=TEXT, va="center")
            for position, (_, by) in enumerate(claims):
                if judge in by:
                    style = MARKERS[by[judge]]
                    axes.plot(position, top - row, linestyle="", markeredgewidth=1.3, **style)
    axes.set(xlim=(-4.7, most - 0.4), ylim=(-len(topics) * block + 0.4, 0.6))
    axes.set_axis_off()
    handles = [
        Line2D([], [], linestyle="", markeredgewidth=1.3, label=name, **style)
        for name, style in MARKERS.items()
    ]
    at: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.04)}
    figure.legend(handles=handles, **at, ncols=3, frameon=False, fontsize=9)
    figure.tight_layout()
    return figure
