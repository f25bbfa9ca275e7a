"""Tests of what notebook 07 makes of the seeds' studies: each answer can come out either way."""

import numpy as np
import pandas as pd
import pytest

from lib.analysis import comparisons, estimation, over_seeds
from lib.artefacts.store import Place
from lib.paper import tables
from lib.pruning.importance import ESTIMATORS
from lib.pruning.masks import Mask
from lib.tickets.finetuned import FineTuned, halves

ROWS, LAYERS, HEADS = 128, 3, 4


def study(gradients: list[np.ndarray], changes=None, useful=None) -> over_seeds.Studied:
    chosen = halves(ROWS)[0]
    changes = changes or [-part[chosen] for part in gradients]
    tokens = [np.abs(part) * 1.5 for part in gradients]
    return over_seeds.Studied(
        LAYERS, HEADS, gradients, tokens, changes, useful, pd.DataFrame(columns=["estimator"])
    )


def seeds_that_agree(scale: np.ndarray) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.normal(size=(ROWS, 15)) * scale for _ in range(3)]


@pytest.fixture()
def alike():
    return study(
        seeds_that_agree(np.geomspace(0.1, 3, 15)[np.random.default_rng(1).permutation(15)])
    )


def test_reliability_is_a_curve_over_the_number_of_rows(alike):
    table = over_seeds.reliability_by_rows(alike, draws=5)
    assert table.index.tolist() == [16, 32, 64] and list(table.columns) == list(ESTIMATORS)
    assert table["example"].iloc[-1] > 0.9 > table["signed"].iloc[-1]


def test_normalising_by_layer_is_another_order_and_is_asked_as_such():
    layers = np.repeat(np.geomspace(0.1, 3, LAYERS), HEADS)
    within = np.tile(np.linspace(1, 1.1, HEADS), LAYERS)
    by_layer = study(seeds_that_agree(np.append(layers * within, np.ones(LAYERS))))
    found = over_seeds.validity_over_seeds(by_layer, draws=2)
    raw = found.set_index(["estimator", "units", "truth"])["ρ"]["example", "heads", "moved"]
    assert raw == pytest.approx(1), "E|Δ| is E|g| here"
    assert over_seeds.validity_as_it_chooses(by_layer, "example") < 0.6, "layers are as one"


def test_validity_has_both_truths_with_intervals(alike):
    table = over_seeds.validity_over_seeds(alike, draws=20).set_index(
        ["estimator", "units", "truth"]
    )
    moved, net = (table.loc[("example", "heads", truth)] for truth in ("moved", "net"))
    assert moved["ρ"] == pytest.approx(1) and net["ρ"] < 0.7
    assert table.loc[("signed", "heads", "net"), "ρ"] == pytest.approx(1)
    assert (table["low"] <= table["ρ"] + 1e-9).all() or table["ρ"].isna().any()


def test_validity_from_other_rows_is_lost_where_other_rows_differ(alike):
    assert over_seeds.validity_from_other_rows(alike, "example")[0, 1] > 0.9
    other = np.setdiff1d(np.arange(ROWS), alike.choosing)
    for part in alike.gradients:
        part[other] = part[other][:, ::-1]  # there, each unit has the gradients of another one
    assert over_seeds.validity_from_other_rows(alike, "example")[0, 1] < 0.5
    same = over_seeds.validity_over_seeds(alike, draws=5).set_index(["estimator", "units", "truth"])
    assert same.loc[("example", "heads", "moved"), "ρ"] == pytest.approx(1)


def test_seeds_that_agree_and_seeds_that_do_not(alike):
    differ = study([
        part[:, np.random.default_rng(n).permutation(15)] for n, part in enumerate(alike.gradients)
    ])  # fmt: skip
    for one, agree in ((alike, True), (differ, False)):
        kappa, low, high = over_seeds.kappa_at_half(one, "example", draws=20)
        assert low <= kappa <= high and (kappa > 0.4) == agree
        assert over_seeds.kappas_of(one, "heads")["example"][one.half] == kappa
        why = over_seeds.reasons(one).set_index("estimator").loc["example"]
        assert why["other rows"] > 0.8 and (why["both"] > 0.8) == agree


def test_scores_are_read_by_ranking_and_size():
    at_half = {"example": 0.8, "random 1": 0.6, "random 2": 0.7}
    lines = [
        (name, "heads", kept, score + 0.1 * seed, seed)
        for seed in (0, 1)
        for name, best in at_half.items()
        for kept, score in ((0, 0.5), (6, best))
    ]
    table = pd.DataFrame(lines, columns=["ranking", "units", "kept", "score", "seed"])
    of = study(seeds_that_agree(np.ones(15)), useful=table)
    assert over_seeds.at_size(of, "example", 6).tolist() == pytest.approx([0.8, 0.9])
    assert over_seeds.at_size(of, "random", 6).tolist() == pytest.approx([0.65, 0.75])
    assert over_seeds.curves(of, ["example", "absent"]).loc[6].tolist() == pytest.approx([0.85])
    band = over_seeds.random_band(of).loc[6]
    assert band.tolist() == pytest.approx([0.7, 0.65, 0.75]), "each draw's mean over the seeds"


def test_pure_noise_is_decided_in_at_most_five_percent():
    draw = np.random.default_rng(0)
    noise = pd.DataFrame(draw.normal(size=(2000, 4)), index=list("ABCDEFGHIJ") * 200)
    decided = comparisons.decisions(noise)["so"] != "not decided"
    assert 0.03 < decided.mean() < 0.07


def test_decisions_come_out_either_way_and_need_three_tasks():
    table = pd.DataFrame(
        {"MNLI": [0.1, -0.1, 0.1], "QNLI": [0.12, -0.1, -0.1], "RTE": [0.11, -0.12, 0]},
        index=["A", "B", "C"],
    )
    above, below = comparisons.COMPARISONS["A"].above, comparisons.COMPARISONS["B"].below
    assert comparisons.decisions(table)["so"].tolist() == [above, below, "not decided"]
    two = comparisons.decisions(table[["MNLI", "QNLI"]])
    assert set(two["so"]) == {"not decided"} and two["p"].isna().all()
    missing = comparisons.decisions(table.assign(RTE=np.nan))
    assert set(missing["so"]) == {"not decided"}, "a missing score decides nothing"


def test_a_small_p_value_is_not_rounded_to_0():
    differences = pd.DataFrame([[1.0, 1.0001, 0.9999, 1.0], [0.3, -0.2, 0.1, 0.4]])
    p = comparisons.over_tasks(differences)["p"]
    assert 0 < p[0] < 1e-6 and p[1] > 0.05


def test_what_notebook_03_stores_is_gathered(tiny, outputs):
    """From a real model, through the store, to the answers and the ten comparisons."""
    model, data = tiny
    subject = FineTuned("SST-2", model, data, float("nan"))
    rows, others = halves(len(data))
    choosing, scoring = subject.on(rows), subject.on(others)
    for seed in (1, 2, 3):
        place = Place("smoke", "03_structured_pruning", "SST-2", seed)
        _, whole = subject.measure(subject.full, tokens=True)
        draw = np.random.default_rng(seed)
        gradients = whole.gradients * draw.uniform(0.5, 2, 15)
        changes = -gradients[rows]
        orders = estimation.rankings(
            gradients[rows], whole.token_sums[rows], changes, Mask.full(3, 4), ["example"], 2, seed
        )
        place.save("useful.csv", estimation.scores_by_size(scoring, orders, 1).to_csv(index=False))
        place.save("halves.json", {"example": {"heads": 3, "full, other half": scoring.score}})
        place.save("gradients.npy", gradients)
        place.save("token_sums.npy", whole.token_sums)
        place.save("removal.npy", changes.astype(np.float16))
        place.save("joint_head_mask.npy", np.ones((3, 4), bool))
    assert len(choosing.dev) == len(changes)
    places = [Place("smoke", "03_structured_pruning", "SST-2", seed) for seed in (1, 2, 3)]
    of = over_seeds.gather(places)
    assert (of.layers, of.heads, of.half) == (3, 4, 6) and len(of.gradients) == 3
    assert of.halves["seed"].tolist() == [1, 2, 3] and set(of.useful["seed"]) == {1, 2, 3}
    valid = over_seeds.validity_over_seeds(of, draws=5)
    found = comparisons.differences(of, over_seeds.reasons(of), valid)
    assert list(found) == list("ABCDEFGHIJ") and np.isfinite(list(found.values())).all()
    table = over_seeds.answers(of, over_seeds.reliability_by_rows(of, draws=2), valid)
    assert len(table) == len(ESTIMATORS) and table.shape[1] == 7


def searches(sizes: dict[str, float], lost: dict[str, float], noise: float = 0.01) -> pd.DataFrame:
    draw = np.random.default_rng(1)
    lines = [
        {
            "task": task, "seed": seed, "estimator": name, "heads": 10, "MLPs": 3,
            "size": sizes[name] + draw.normal(0, noise),
            "full, other half": 0.9, "good, other half": 0.9 - lost[name] + draw.normal(0, noise),
        }
        for task in ("CoLA", "RTE", "SST-2", "MRPC") for seed in (1, 2, 3) for name in sizes
    ]  # fmt: skip
    return pd.DataFrame(lines)


def test_searches_are_compared_with_those_of_the_papers_formula():
    sizes, lost = {"example": 0.5, "signed": 0.9, "token": 0.5}, {"example": 0.1, "signed": 0.0}
    table = comparisons.of_searches(searches(sizes, {**lost, "token": 0.1}))
    assert table.index[-1] == "signed" and {*table.index[:2]} == {"example", "token"}
    assert table.loc["signed", "size − E|g|'s"].startswith("+0.4")
    p = table[["p: size (Holm)", "p: lost (Holm)"]]
    assert (p.loc["signed"] < 0.01).all() and (p.loc["token"] > 0.05).all()
    assert p.loc["example"].isna().all() and table.loc["signed", "lost, other half"] < 0.02
    assert table.loc["signed", "lost − E|g|'s"].startswith("-0.1")
    short = searches(sizes, {**lost, "token": 0.1})
    short.loc[short["estimator"].eq("token") & short["seed"].eq(1), "size"] = np.nan
    short.loc[short["estimator"].eq("example") & short["seed"].eq(1), "size"] = 0.0
    paired = comparisons.of_searches(short)
    assert paired.loc["example", "size"] == pytest.approx(0.5, abs=0.02), "seed 1 counts for none"
    for name in ("example", "running"):
        alone = comparisons.of_searches(searches({name: 0.6}, {name: 0.1}))
        assert list(alone.columns) == ["heads", "MLPs", "size", "lost, other half"]


def test_retrained_subnetworks_of_two_searches_are_compared_over_tasks():
    draw, rows = np.random.default_rng(0), []
    good = {"s-pruning": 0.8, tables.OF_ESTIMATOR.format("token"): 0.7}
    for task in ("CoLA", "RTE", "SST-2"):
        for seed in (1, 2, 3):
            for group, score in good.items():
                for kind, less in (("good", 0.0), ("random", 0.0), ("bad", 0.3)):
                    value = score - less + draw.normal(0, 0.01)
                    rows.append((task, seed, group, f"{kind} (retrained)", value, 0.5))
                rows.append((task, seed, group, "good (pruned)", 0.6, 0.5))
    table = pd.DataFrame(rows, columns=["task", "seed", "group", "item", "score", "size"])
    scores, judged = comparisons.of_retrained(table, ["CoLA", "RTE", "SST-2"], "example")
    assert scores.index.tolist() == ["E|g|, the paper", "E Σ|g| over tokens"]
    assert scores.loc["E|g|, the paper", "bad"] == pytest.approx(0.5, abs=0.01)
    mean, p = judged["mean"], judged["p (Holm)"]
    assert mean["good: E Σ|g| over tokens − E|g|, the paper"] == pytest.approx(-0.1, abs=0.02)
    assert p["good: E Σ|g| over tokens − E|g|, the paper"] < 0.05
    assert p["E|g|, the paper: good − random"] > 0.05 > p["E|g|, the paper: good − bad"]
    assert mean["E|g|, the paper: good − bad"] == pytest.approx(0.3, abs=0.02)
    assert (p >= judged["p"]).all() and (p > judged["p"]).any()
    said = comparisons.followed(judged)
    assert said.startswith("It matters to a retrained good subnetwork which importance chose")
    assert "(E Σ|g| over tokens − E|g|, the paper, -0.10)" in said
    assert "better than random with 0 of 2 estimators." in said and "worse" not in said
    assert "better than bad with 2 of 2 estimators (E|g|, the paper; E Σ|g| over tokens)" in said
    turned = judged.assign(**{"mean": -mean})
    assert "worse than bad with 2 of 2" in comparisons.followed(turned)
    vague = judged.assign(**{"p (Holm)": 0.2})
    assert comparisons.followed(vague).startswith("Whether it matters to a retrained good")
    few = comparisons.of_retrained(table[table["task"] == "RTE"], ["RTE"], "example")[1]
    assert comparisons.followed(few) == "With fewer than 3 tasks nothing can be decided."
    of_token = table["group"] != "s-pruning"
    table.loc[~of_token & (table["seed"] == 1), "score"] += 1.0
    unpaired = table[~(of_token & (table["seed"] == 1))]
    again = comparisons.of_retrained(unpaired, ["CoLA", "RTE", "SST-2"], "example")[1]["mean"]
    expected = pytest.approx(-0.1, abs=0.02)
    assert again["good: E Σ|g| over tokens − E|g|, the paper"] == expected, "paired by seed"
    own = table[table["group"] == "s-pruning"]
    assert len(comparisons.of_retrained(own, ["CoLA"], "running")[0]) == 1
