"""The figures of the notebooks that read the tickets: stability (07), attention patterns (08), overlap (09)."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lib.show.plots.style import BLUE, GREEN, GREY, ORANGE, finish, legend_below, panels_of

ESTIMATOR_COLOURS = {"per_example": BLUE, "per_batch": ORANGE, "running": GREEN}


def survival_counts(counts: Mapping[str, tuple[np.ndarray, np.ndarray]], units: str) -> Figure:
    """Notebook 07: in how many seeds units survive, and in how many they would by chance. counts: {title: both}."""
    figure, panels = panels_of(len(counts), 3.6, 2.5)
    for axes, (title, (there, chance)) in zip(panels, counts.items(), strict=True):
        seeds = np.arange(len(there))
        axes.bar(seeds, there, color=BLUE, alpha=0.8, label="as it is")
        axes.plot(
            seeds,
            chance,
            color="0.35",
            marker="o",
            markersize=4,
            linewidth=1,
            label="masks drawn at random",
        )
        axes.set_title(title, fontsize=9)
        axes.set(xlabel="seeds in which a unit survives", ylabel=units, xticks=seeds)
    return legend_below(finish(figure), ncols=2)


def importance_by_round(
    values: Sequence[np.ndarray], labels: Sequence[str], shares: Sequence[float], title: str
) -> Figure:
    """Notebook 07: the importance of the live heads, round by round (Fig. 3), and how many are exchangeable.

    values: for each round, float [live heads], in any order; shares: 0 to 1, or nan.
    """
    figure, axes = plt.subplots(figsize=(max(6.5, 0.62 * len(values)), 3.4))
    at = np.arange(len(values))
    draw = np.random.default_rng(0)  # sideways, so that points do not hide one another
    for x, heads in zip(at, values, strict=True):
        axes.scatter(
            x + draw.uniform(-0.22, 0.22, len(heads)),
            heads,
            s=7,
            color=BLUE,
            alpha=0.5,
            linewidths=0,
        )
        axes.hlines(np.median(heads), x - 0.3, x + 0.3, color="0.15", linewidth=1.2)
    axes.set_xticks(at, labels, fontsize=7.5)
    axes.set(ylabel="importance of a head\n(ℓ2-normalised in its layer)", title=title)
    if np.isfinite(shares).any():
        other = axes.twinx()
        other.plot(at, shares, color=ORANGE, marker="o", markersize=4, linewidth=1.2)
        other.set(ylim=(-0.03, 1.03), ylabel="share that could change\nplaces with a neighbour")
        other.yaxis.label.set_color(ORANGE)
        other.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    finish(figure)
    if np.isfinite(shares).any():
        other.spines["right"].set_visible(True)
    return figure


def estimators(kappas: pd.DataFrame, reliabilities: pd.DataFrame) -> Figure:
    """Notebook 07: κ over seeds and split-half reliability, a group of bars a task, a bar an estimator."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2))
    for axes, table, label in (
        (left, kappas, "Fleiss' κ over seeds, heads"),
        (right, reliabilities, "split-half ρ, heads"),
    ):
        table.plot.bar(ax=axes, color=ESTIMATOR_COLOURS, width=0.75, rot=0, legend=False)
        axes.axhline(0, color="0.2", linewidth=0.8)
        axes.set(ylabel=label, xlabel="")
    right.set_ylim(min(0, np.nanmin(reliabilities.to_numpy(), initial=0)), 1.02)
    return legend_below(finish(figure), ncols=3)


def maps(rows: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Notebook 08: attention maps. rows: {row's name: {title: map [tokens, tokens]}}; each has its own colours."""
    across = max(map(len, rows.values()))
    figure, grid = plt.subplots(
        len(rows), across, figsize=(2.1 * across, 2.35 * len(rows)), squeeze=False
    )
    for axes_row, (name, shown) in zip(grid, rows.items(), strict=True):
        for axes, (title, one) in zip(axes_row, shown.items(), strict=False):
            axes.imshow(one, cmap="viridis", vmin=0, interpolation="nearest")
            axes.set_title(title, fontsize=8)
            axes.set(xticks=[], yticks=[])
        for axes in axes_row[len(shown) :]:
            axes.set_axis_off()
        axes_row[0].set_ylabel(name, fontsize=9)
    return finish(figure)


def confusion(tables: Mapping[str, np.ndarray], classes: Sequence[str]) -> Figure:
    """Notebook 08: what labelled maps are taken for. tables: {title: int [label, class given]}."""
    figure, grid = plt.subplots(
        1, len(tables), figsize=(4.1 * len(tables) + 0.8, 3.6), sharey=True, squeeze=False
    )
    short = [
        name.replace("vertical+diagonal", "both").replace("heterogeneous", "heterog.")
        for name in classes
    ]
    for axes, (title, table) in zip(grid[0], tables.items(), strict=True):
        shares = table / np.maximum(table.sum(1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(*table.shape):
            colour = "white" if shares[row, column] > 0.6 else "0.2"
            axes.text(
                column,
                row,
                table[row, column] or "·",
                ha="center",
                va="center",
                fontsize=9,
                color=colour,
            )
        axes.set_xticks(range(len(short)), short, fontsize=8, rotation=25, ha="right")
        axes.set_yticks(range(len(short)), short, fontsize=8)
        axes.set_title(title, fontsize=9)
        axes.set(xlabel="the classifier says")
    grid[0, 0].set_ylabel("labelled")
    return finish(figure)


def patterns(shares: Mapping[str, Mapping[str, pd.DataFrame]]) -> Figure:
    """Notebook 08: the share of each kind of pattern, task by task (Fig. 4, 18).

    shares: {kind: {setting: a row a task, a column a class}}; a row of nan, where no head survives, stays empty.
    """
    across = max(map(len, shares.values()))
    tasks = len(next(iter(next(iter(shares.values())).values())))
    size = (max(2.3, 0.6 + 0.42 * tasks) * across, 2.6 * len(shares))
    figure, grid = plt.subplots(len(shares), across, figsize=size, sharey=True, squeeze=False)
    colours = (BLUE, ORANGE, "#8f5aa8", GREEN, "0.75")
    for axes_row, (kind, settings) in zip(grid, shares.items(), strict=True):
        for axes, (setting, table) in zip(axes_row, settings.items(), strict=True):
            bottom = np.zeros(len(table))
            for colour, name in zip(colours, table.columns, strict=True):
                axes.bar(table.index, table[name], 0.75, bottom=bottom, color=colour, label=name)
                bottom = bottom + table[name].to_numpy()
            axes.set_title(setting, fontsize=9)
            axes.tick_params(axis="x", labelsize=8, rotation=0 if tasks < 4 else 60)
        axes_row[0].set_ylabel(f"{kind} attention")
        axes_row[0].yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return legend_below(finish(figure), ncols=5)


def overlaps(panels: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]]) -> Figure:
    """Notebook 09: units that two tasks share, mean and deviation over seeds (Fig. 5, 19). panels: {title: both}."""
    import seaborn  # here, because importing it takes a second that most notebooks need not pay

    tasks = len(next(iter(panels.values()))[0])
    side = max(2.4, 0.72 * tasks)
    figure, grid = panels_of(len(panels), side + 1.2, side + 0.7, columns=2)
    for axes, (title, (mean, deviation)) in zip(grid, panels.items(), strict=True):
        several = deviation.notna().any(axis=None)
        said = mean.map(("{:.1f}" if several else "{:.0f}").format)
        if several:
            said += deviation.map("\n±{:.1f}".format)
        seaborn.heatmap(
            mean, ax=axes, annot=said, fmt="", cmap="Blues", cbar=False, linewidths=0.5, linecolor="white", vmin=0,
            annot_kws={"fontsize": 7},
        )  # fmt: skip
        axes.set_title(title, fontsize=9)
        axes.tick_params(labelsize=8, rotation=0)
    return finish(figure)


def excess(table: pd.DataFrame, label: str) -> Figure:
    """Notebook 09: what each pair of tasks shares beyond chance, with its interval over seeds.

    table: columns task, other task, excess, from, to, p (Holm). Filled: p under 0.05 after Holm's correction.
    """
    figure, axes = plt.subplots(figsize=(6.5, 0.8 + 0.27 * len(table)))
    at = np.arange(len(table))[::-1]
    sure, asked = (table["p (Holm)"] < 0.05).to_numpy(), table["p"].notna().to_numpy()
    has = table["from"].notna().to_numpy()
    axes.hlines(at[has], table["from"][has], table["to"][has], color=BLUE, linewidth=1.4)
    groups = {
        "p < 0.05 (Holm)": (sure, BLUE, BLUE),
        "not told from chance": (asked & ~sure, "white", BLUE),
    }
    groups["cannot be asked: all or nothing is kept"] = (~asked, GREY, GREY)
    for said, (group, fill, edge) in groups.items():
        if group.any():
            axes.scatter(
                table["excess"][group],
                at[group],
                facecolor=fill,
                edgecolor=edge,
                s=30,
                zorder=3,
                label=said,
            )
    axes.axvline(0, color="0.3", linestyle="--", linewidth=1)
    axes.set_yticks(at, table["task"] + " · " + table["other task"], fontsize=8)
    axes.set(xlabel=label, ylim=(-0.7, len(table) - 0.3))
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1))
    return finish(figure)


def tree(linkage: np.ndarray, tasks: Sequence[str], title: str) -> Figure:
    """Notebook 09: the tree of tasks. linkage: scipy's matrix; heights are 1 − κ."""
    from scipy.cluster.hierarchy import dendrogram

    figure, axes = plt.subplots(figsize=(6.5, 1 + 0.3 * len(tasks)))
    dendrogram(
        linkage,
        labels=list(tasks),
        orientation="left",
        ax=axes,
        color_threshold=0,
        above_threshold_color=BLUE,
    )
    axes.axvline(1, color=GREY, linestyle="--", linewidth=1)
    axes.set(
        xlabel="mean distance, 1 − κ (dashed: alike by chance alone)",
        xlim=(max(1.1, axes.get_xlim()[0]), 0),
    )
    axes.set_yticklabels(axes.get_yticklabels(), fontsize=9)
    axes.set_title(title, fontsize=9)
    return finish(figure)
