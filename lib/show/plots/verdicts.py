"""Notebook 10: what became of each claim, on one page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lib.show.plots.style import WIDTH

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
    """Draw a symbol for each claim, a block of rows for each topic, with its count of verdicts.

    topics: {topic: (number of the claim, {judge: verdict}) for each claim}. A judge without a
        verdict on a claim leaves its place empty.
    judges: a row of each block for each of them that has a verdict there
    """
    most = max(map(len, topics.values()))
    rows = {
        topic: [judge for judge in judges if any(judge in by for _, by in claims)]
        for topic, claims in topics.items()
    }
    lines = sum(len(of) + 1.4 for of in rows.values())
    figure, axes = plt.subplots(figsize=(WIDTH, 0.4 + 0.26 * lines))
    left, y = -7.5, 0.0
    for topic, claims in topics.items():
        axes.text(left, y, topic, fontsize=9.5, fontweight="bold", va="center")
        middle: dict[str, Any] = {"ha": "center", "va": "center"}
        for position, (claim, _) in enumerate(claims):
            axes.text(position, y, str(claim), fontsize=TEXT, color="0.35", **middle)
        for judge in rows[topic]:
            y -= 1
            found = [
                (position, by[judge]) for position, (_, by) in enumerate(claims) if judge in by
            ]
            count = Counter(verdict for _, verdict in found)
            tally = ", ".join(f"{name} {count[name]}" for name in MARKERS if count[name])
            axes.text(left, y, f"{judge}: {tally}", fontsize=TEXT, va="center")
            for position, verdict in found:
                axes.plot(position, y, linestyle="", markeredgewidth=1.3, **MARKERS[verdict])
        y -= 1.4
    axes.set(xlim=(left - 0.1, most - 0.4), ylim=(y + 0.7, 0.6))
    axes.set_axis_off()
    handles = [
        Line2D([], [], linestyle="", markeredgewidth=1.3, label=name, **style)
        for name, style in MARKERS.items()
    ]
    at: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, 0.04)}
    figure.legend(handles=handles, **at, ncols=3, frameon=False, fontsize=9)
    figure.tight_layout()
    return figure
