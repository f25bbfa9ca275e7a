"""Figures are legible at 700 pixels and for colour-blind readers."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from lib.analysis import agreement, overlap
from lib.paper import numbers, tables
from lib.pruning.importance import ESTIMATORS
from lib.show.plots import comparison, curves, grids, importances, reading, style

TASKS = ["CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI", "QNLI", "RTE", "WNLI"]
LEAST_POINTS, SHOWN, PIXELS_PER_INCH = 8.0, 700, 96

# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
# ΔE of CIELAB (1976); 2.3 is about what a careful eye can just tell
LEAST_DIFFERENCE = 15.0


def lab(linear):
    """CIELAB of linear sRGB colours [colours, 3], white D65."""
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
              [0.0193339, 0.1191920, 0.9503041]]  # fmt: skip
    xyz = linear @ np.transpose(to_xyz) / [0.95047, 1, 1.08883]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def smallest_difference(colours, matrix):
    rgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = lab(np.clip(linear @ np.transpose(matrix), 0, 1))
    apart = np.linalg.norm(seen[:, None] - seen, axis=2)
    return apart[np.triu_indices(len(seen), 1)].min()


PALETTES = {
    **style.PALETTES,
    "estimators": [line["color"] for line in importances.STYLES.values()],
    "reasons": [colour for _, colour, _ in importances.REASONS.values()],
}


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize("palette", PALETTES)
def test_colours_can_be_told_apart(palette, deficiency):
    smallest = smallest_difference(PALETTES[palette], DEFICIENCIES[deficiency])
    assert smallest >= LEAST_DIFFERENCE, f"two colours differ by {smallest:.1f} only"


def test_the_bound_rejects_two_colours_that_were_in_use():
    """A blue and a purple of figure 18 were one colour to a protanope."""
    before = ["#3465a4", "#8f5aa8"]
    assert smallest_difference(before, DEFICIENCIES["protanopia"]) < 2
    assert smallest_difference(before, DEFICIENCIES["none"]) > LEAST_DIFFERENCE


def test_colour_never_stands_alone():
    for looks in (style.KINDS, style.PATTERNS, importances.STYLES):
        beside_colour = [
            {key: value for key, value in look.items() if key != "color"} for look in looks.values()
        ]
        alike = [look for look in beside_colour if beside_colour.count(look) > 1]
        assert len(alike) <= 2, f"only colour tells these apart: {alike}"


# --- every figure of the notebooks, at its full size ---------------------------------------------


def draw():
    return np.random.default_rng(0)


def by_seed():
    scores = pd.DataFrame(draw().random((3, 3)), columns=list(style.KINDS))
    groups = {"m-pruning\n45 % left": (scores, scores), "s-pruning\n45 % left": (scores, scores)}
    return comparison.by_seed(
        [comparison.Seeds(f"{t} (accuracy)", groups, np.array([0.7, 0.8]), 0.5) for t in TASKS]
    )


def dots():
    ours = [
        numbers.Ours(f"s-pruning: {kind}", [0.7, 0.8, 0.9], t, f"{kind} (retrained)", "s-pruning")
        for kind in style.KINDS
        for t in TASKS
    ]
    return comparison.dots(numbers.compare(ours, "e5-small"), "score", (-1, 1))


def epochs():
    scores = {t: pd.DataFrame(draw().random((3, 4)), columns=[3, 4, 5, 6]) for t in TASKS}
    ends = dict.fromkeys(TASKS, (0.5, 0.9))
    metrics, good = dict.fromkeys(TASKS, "accuracy"), dict.fromkeys(TASKS, 0.7)
    return comparison.epochs(scores, metrics, good, ends)


def learned():
    shares = pd.DataFrame(draw().random((len(TASKS), 5)), index=TASKS)
    shares.columns = ["bad, few rows", "bad, few rows, as many steps", *style.KINDS]
    papers = dict.fromkeys(TASKS, 0.7)
    shares = shares.assign(few=1500, more=10_000)
    return comparison.learned(shares, *shares.columns[:2], [*style.KINDS], papers)


def masks(seeds=5):
    return draw().random((seeds, 12, 12)) < 0.5, draw().random((seeds, 12)) < 0.5


def survivors():
    return grids.survivors({title: grids.kept(*masks(27)) for title in ("ours", "BERT-base")})


def shares():
    heads, mlps = draw().random((12, 12)), draw().random(12)
    return grids.shares({title: (heads, mlps) for title in TASKS})


def survival_counts():
    counts = agreement.survival_counts(masks()[0])
    titles = [f"{t}\n{whose}: κ = 0.23" for t in TASKS for whose in ("ours", "BERT-base")]
    return reading.survival_counts(dict.fromkeys(titles, counts), "heads")


def agreement_by_task():
    table = agreement.table({t: masks()[0] for t in TASKS}, draws=50)
    return reading.agreement_by_task({"ours": table, "BERT-base": table}, (0.15, 0.32))


def importance_by_round():
    values = [draw().random(144 - 7 * n) for n in range(16)]
    labels = [f"{n + 1}\n{len(v)}" for n, v in enumerate(values)]
    swaps = {name: [0.3] * 16 for name in ("neighbours", "ten places apart (control)")}
    return reading.importance_by_round(values, labels, swaps, "CoLA, seed 1337", "normalised")


def maps():
    words = [f"word {n}" for n in range(14)]
    rows = {f"layer {n}, head {n}": draw().random((len(words), len(words))) for n in range(3)}
    return reading.maps({"raw": rows, "normed": rows}, words)


def confusion():
    counts = {f"{kind}: all 96 labelled maps": np.ones((5, 5), int) for kind in ("raw", "normed")}
    return reading.confusion(counts, list(style.PATTERNS))


def correlations():
    columns = ["correlation", "low by chance", "high by chance", "paper"]
    table = pd.DataFrame(draw().random((10, 4)), ["all tasks", *TASKS], columns)
    return reading.correlations({"raw": table, "normed": table})


def patterns():
    table = pd.DataFrame(np.full((9, 5), 0.2), TASKS, list(style.PATTERNS))
    settings = [
        f"{who},\n{when}"
        for when in ("fine-tuned", "pre-trained")
        for who in ("super-survivors", "all heads")
    ]
    return reading.patterns({kind: dict.fromkeys(settings, table) for kind in ("raw", "normed")})


def overlaps():
    pair = overlap.matrices({t: masks()[0] for t in TASKS})
    return reading.overlaps({f"{whose}: heads (of 144)": pair for whose in ("ours", "BERT-base")})


def excess():
    table = overlap.table({t: masks()[0] for t in TASKS}, draws=50)
    return reading.excess({"ours": table, "BERT-base": table}, "heads shared beyond chance")


def tree():
    apart = overlap.distances({t: masks()[0] for t in TASKS})
    return reading.tree(overlap.clusters(apart), TASKS, "seeds agree: more than noise")


FORMULAS = {name: one.formula for name, one in ESTIMATORS.items()}
CURVES = pd.DataFrame(draw().random((4, len(FORMULAS))), [32, 64, 128, 256], list(FORMULAS))


def reliability():
    return importances.reliability(dict.fromkeys(TASKS, CURVES), FORMULAS)


def usefulness():
    band = pd.DataFrame({"mean": 0.5, "low": 0.4, "high": 0.6}, CURVES.index)
    labels = ("heads kept", dict.fromkeys(TASKS, "accuracy"))
    tasks = (dict.fromkeys(TASKS, thing) for thing in (CURVES, band, 0.5))
    return importances.usefulness(*tasks, FORMULAS, labels)


def validity():
    rows = [(t, name, units, truth, 0.5, 0.4, 0.6) for t in TASKS for name in FORMULAS
            for units in ("heads", "MLPs") for truth in ("net", "moved")]  # fmt: skip
    columns = ["task", "estimator", "units", "truth", "ρ", "low", "high"]
    return importances.validity(pd.DataFrame(rows, columns=columns), FORMULAS)


def reasons():
    rows = [(t, name, 0.8, 0.6, 0.5) for t in TASKS for name in FORMULAS]
    columns = ["task", "estimator", "other rows", "other seed", "both"]
    return importances.reasons(pd.DataFrame(rows, columns=columns), FORMULAS)


def kappa_by_size():
    lines = {name: np.linspace(0, 1, 145) for name in FORMULAS}
    floors = dict.fromkeys(TASKS, np.full(145, 0.1))
    return importances.kappa_by_size(dict.fromkeys(TASKS, lines), floors, FORMULAS, "heads")


def trail_of(rounds):
    shares = 0.9 ** np.arange(rounds)
    accepted = np.arange(rounds) < rounds - 1
    return pd.DataFrame({"size": shares, "score": 0.5 + shares / 3, "accepted": accepted})


def score_spread():
    lines = {"majority class": 0.5, "before fine-tuning": 0.48, "linear probe": 0.7, "paper": 0.93}
    scores = np.random.default_rng(0).normal(0.88, 0.02, 200)
    return curves.score_spread(scores, 0.88, lines, "accuracy", "SST-2")


def magnitude():
    random = [(0.3, 0.5), (0.3, 0.52)]
    parts = np.full((12, 12), 0.44), np.full(12, 0.51)
    return curves.magnitude(trail_of(12), 0.75, random, *parts, "accuracy", "SST-2, seed 1337")


def structured():
    trails = {mode: trail_of(9) for mode in style.MODES}
    importance = np.random.default_rng(0).random((12, 12))
    return curves.structured(trails, 0.75, [(0.5, 0.6)], importance, "accuracy", "SST-2, seed 1337")


def tickets(*estimators):
    means = pd.DataFrame(0.7, list(style.KINDS), ["pruned", "retrained"])
    others = [tables.OF_ESTIMATOR.format(name) for name in estimators]
    groups = ("s-pruning", *others, "m-pruning", "super-survivors")
    bars = [
        comparison.Bars(f"{group}: 42% of the weights", means, means * 0.1, 0.89, 0.5)
        for group in groups
    ]
    return comparison.tickets([bars], ["accuracy on dev"], "full model")


def test_titles_of_panels_stay_apart_when_several_estimators_chose():
    figure = tickets("batch_squared", "example_squared", "running")
    figure.canvas.draw()
    boxes = [axes.title.get_window_extent() for axes in figure.axes if axes.get_title()]
    assert len(boxes) == 6
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:number])
    plt.close(figure)


@pytest.mark.parametrize("colours", ["Blues", "PuOr_r"])
def test_the_text_of_a_heat_map_has_enough_contrast(colours):
    figure, axes = plt.subplots()
    values = np.linspace(-1, 1, 60).reshape(6, 10)
    style.heat_map(axes, values, np.full(values.shape, "9"), -1, 1, 8, colours)
    figure.canvas.draw()
    mesh = axes.collections[0]
    for text, fill in zip(axes.texts, mesh.get_facecolor(), strict=True):
        dark, light = sorted([style.luminance(to_rgb(text.get_color())), style.luminance(fill)])
        assert (light + 0.05) / (dark + 0.05) >= 4.5, "WCAG 2 asks for 4.5"
    plt.close(figure)


FIGURES = [
    score_spread, magnitude, structured, tickets, by_seed, dots, epochs, learned, survivors, shares,
    survival_counts, agreement_by_task, maps, confusion, importance_by_round, correlations,
    patterns, overlaps, excess, tree, reliability, usefulness, validity, reasons, kappa_by_size,
]  # fmt: skip


@pytest.mark.parametrize("make", FIGURES, ids=lambda make: make.__name__)
def test_text_is_large_enough_where_a_figure_is_700_pixels_wide(make):
    figure = make()
    try:
        figure.canvas.draw()
        # notebooks show a figure with the legend beside or below it
        width = figure.get_tightbbox(figure.canvas.get_renderer()).width * PIXELS_PER_INCH
        scale = min(1.0, SHOWN / width)
        texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
        shown = {text.get_text(): text.get_fontsize() * scale for text in texts}
        small = {text: round(size, 2) for text, size in shown.items() if size < LEAST_POINTS}
        assert texts and not small
    finally:
        plt.close(figure)


def test_units_without_any_rho_get_no_panels():
    columns = ["task", "estimator", "units", "truth", "ρ", "low", "high"]
    rows = [("SST-2", "example", units, truth, rho, rho, rho) for truth in ("net", "moved")
            for units, rho in (("heads", 0.5), ("MLPs", np.nan))]  # fmt: skip
    figure = importances.validity(pd.DataFrame(rows, columns=columns), FORMULAS)
    try:
        assert [axes.get_title()[:22] for axes in figure.axes] == ["removing one of the he"] * 2
        (dot,) = figure.axes[0].collections[1].get_offsets()
        assert dot[1] in figure.axes[0].get_yticks(), "a single task's dot is beside its label"
    finally:
        plt.close(figure)


def test_numbers_of_one_task_share_a_panel_only_if_they_have_a_common_axis():
    numbers_of = {"task": "SST-2", "ours": 17.0, "paper": 19.0, "± 95 %": np.nan}
    compared = pd.DataFrame([{"what": what, **numbers_of} for what in ("κ", "super-survivors")])
    for span, panels in ((None, 2), ((0, 20), 1)):
        figure = comparison.dots(compared, span=span)
        try:
            assert len(figure.axes) == panels
            if span is None:
                low, high = figure.axes[0].get_xlim()
                assert low <= 0 and high > 19, "from 0, so that a small difference looks small"
        finally:
            plt.close(figure)


def test_a_model_without_any_score_is_drawn_all_the_same():
    scores = np.full(20, np.nan)
    lines = {"majority class": np.nan, "before": 0.1, "linear probe": 0.8, "paper": 0.9}
    figure = curves.score_spread(scores, np.nan, lines, "pearson", "STS-B")
    assert figure.axes[0].get_xlim()[0] == pytest.approx(0.07)
