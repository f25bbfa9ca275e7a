"""The paper's numbers: complete, unique, and in accord with one another and the authors' files."""

import json
from pathlib import Path

import numpy as np
import pytest

from lib.analysis.agreement import fleiss_kappa
from lib.analysis.survival import super_survivors
from lib.data.glue import TASKS
from lib.paper import numbers
from lib.pruning.masks import Mask

PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "published"  # as in conftest.py
M_CELLS, S_CELLS = "m-pruning: share of weights left", "s-pruning: share of seeds that keep it"
LEGIBLE = {  # (heads, MLPs) that can be read in the paper's text, of 144 and 12
    "Fig. 7a": (140, 5), "Fig. 7b": (129, 3), "Fig. 8a": (141, 4), "Fig. 8b": (131, 3),
    "Fig. 9a": (143, 8), "Fig. 9b": (130, 8), "Fig. 10a": (139, 3), "Fig. 10b": (137, 3),
    "Fig. 11a": (141, 5), "Fig. 11b": (142, 5), "Fig. 13a": (141, 5), "Fig. 13b": (139, 6),
    "Fig. 14a": (141, 8), "Fig. 14b": (12, 5),
}  # fmt: skip
METRICS = {"CoLA": "mcc", "STS-B": "pearson", "MNLI": "mnli_acc"}  # in results.json; others "acc"


def rows_of(**wanted):
    """The rows whose columns have these values."""
    table = numbers.numbers()
    return table[np.all([table[column] == value for column, value in wanted.items()], axis=0)]


def cells(task, group, column="value"):
    """What can be read of a heat map: {unit: value}."""
    return rows_of(task=task, group=group).set_index("item")[column].to_dict()


def bad_against(item):
    """The lead of bad (s-pruning) over another row of Table 2, in points, by task."""
    bad = "Bad subnetwork (s-pruning)"
    lead = {t: number_of(bad, t, "baselines") - number_of(item, t, "baselines") for t in TASKS}
    return {task: round(100 * difference) for task, difference in lead.items()}


def number_of(item, task, group, **options):
    return numbers.number(item, task, group, **options)[0]


@pytest.fixture()
def masks_of(published):
    """(mode, "head" or "mlp", task) → bool [seeds, …] of the authors; skips as `published` does."""

    def load(mode, unit, task):
        if mode == "heads_mlps":
            return published(task)[unit == "mlp"]
        seeds = sorted((PUBLISHED / "masks" / mode / task).glob("seed_*"))
        files = [seed / f"{unit}_mask.npy" for seed in seeds]
        return np.stack([np.load(file, allow_pickle=False) for file in files]).astype(bool)

    return load


@pytest.fixture()
def results():
    """The scores in the authors' results.json, {system: {task: mean}}, or a loud skip."""
    file = PUBLISHED / "results.json"
    if not file.exists():
        pytest.skip("THE AUTHORS' RESULTS ARE NOT THERE (published/results.json): nothing checked")
    return {
        system: {task: scores[METRICS.get(task, "acc")][0] for task, scores in by_task.items()}
        for system, by_task in json.loads(file.read_text()).items()
    }


def test_the_papers_numbers_are_complete_and_have_a_source():
    table = numbers.numbers()
    assert not table[["source", "group", "item", "task", "value", "note"]].isna().any().any()
    table_3 = table[table["source"] == "Table 3"]
    assert len(table_3) == 20 * 9 and set(table_3["task"]) == set(TASKS)
    assert numbers.number("full model", "WNLI") == (0.34, 0.06, "Table 3")
    assert numbers.number("good (pruned)", "CoLA", "m-pruning")[:2] == (0.52, 0.01)
    with pytest.raises(KeyError, match="4 numbers|3 numbers|2 numbers"):
        numbers.number("good (pruned)", "CoLA")


def test_no_number_is_missing_or_there_twice():
    table = numbers.numbers()
    assert not table.duplicated(["group", "item", "task"]).any(), "each can be looked up"
    counts = table["source"].value_counts()
    assert counts["Table 2"] == 7 * 10 and counts["Fig. 16"] == 4 * 10
    assert counts["Table 1"] == 9 + 5, "the paper gives no size of dev for four tasks"
    masks = rows_of(source="authors' masks")
    assert len(masks) == 9 * 9 and set(masks["task"]) == set(TASKS)
    items = masks.groupby("task")["item"].apply(sorted)
    assert all(of_task == items["QNLI"] for of_task in items)


def test_sizes_of_table_1_are_near_those_of_glue():
    """Printed sizes are rounded, those of an older GLUE, or count dev among the training rows."""
    for task, known in TASKS.items():
        printed = number_of("training rows", task, "data")
        assert any(abs(printed / n - 1) < 0.1 for n in (known.train, known.train + known.dev)), task
    assert number_of("dev rows", "SST-2", "data") == TASKS["SST-2"].dev
    assert number_of("dev rows", "STS-B", "data") == TASKS["STS-B"].dev


@pytest.mark.parametrize("source", LEGIBLE)
def test_every_legible_unit_of_a_figure_is_there_once(source):
    panel = rows_of(source=source)
    group = M_CELLS if source.endswith("a") else S_CELLS
    assert panel["task"].nunique() == 1 and set(panel["group"]) == {group}
    units = panel["item"].str.extract(r"^(head|MLP) (\d+)(?:\.(\d+))?$")
    heads, mlps = (units[units[0] == kind] for kind in ("head", "MLP"))
    assert (len(heads), len(mlps)) == LEGIBLE[source] and len(heads) + len(mlps) == len(panel)
    assert not heads.isna().any().any() and not mlps[1].isna().any() and mlps[2].isna().all()
    assert units[[1, 2]].fillna(0).astype(int).to_numpy().max() < 12
    assert not panel["item"].duplicated().any()
    if group == S_CELLS:
        deviation = np.sqrt(panel["value"] * (1 - panel["value"]) * 5 / 4)
        assert np.allclose(panel["std"], deviation, atol=0.006), "k of 5 seeds have no other"


def test_cells_of_m_pruning_are_in_their_places():
    """Two tasks differ by much the same in every unit; with a shifted row they would not."""
    qnli = cells("QNLI", M_CELLS)
    for task in ("RTE", "MRPC", "QQP", "SST-2", "STS-B"):
        other = cells(task, M_CELLS)
        differences = [other[unit] - qnli[unit] for unit in qnli.keys() & other.keys()]
        assert len(differences) > 135 and np.ptp(differences) <= 0.02 + 1e-9, task


def test_cells_of_s_pruning_are_those_of_the_authors_masks(masks_of):
    for task in ("QNLI", "RTE", "MRPC", "QQP", "SST-2", "STS-B", "WNLI"):
        shares, deviations = cells(task, S_CELLS), cells(task, S_CELLS, "std")
        masks = {unit: masks_of("heads_mlps", unit, task) for unit in ("head", "mlp")}
        heads, mlps = ((kept.mean(0), kept.std(0, ddof=1)) for kept in masks.values())
        for unit, share in shares.items():
            kind, place = unit.split(" ")
            index = tuple(int(n) for n in place.split("."))
            mean, std = (part[index] for part in (heads if kind == "head" else mlps))
            assert share == pytest.approx(mean) and deviations[unit] == pytest.approx(std, abs=6e-3)


def test_the_sample_of_heads_repeats_their_cells():
    sample = rows_of(group="survival of a head")
    assert len(sample) == 7 * 3
    for row in sample.itertuples():
        cell = numbers.number(row.item, row.task, S_CELLS)
        assert cell == (row.value, row.std, row.source + "b")


def test_misprints_keep_what_is_printed_and_say_what_fits():
    flagged = numbers.numbers()[lambda t: t["corrected"].notna()]
    assert sorted(flagged["item"]) == ["Bad subnetwork (m-pruning)", "CBOW"]
    assert set(flagged["task"]) == {"CoLA"}
    assert flagged["note"].str.startswith("misprint: ").all()
    assert numbers.number("CBOW", "CoLA")[0] == 0.46
    assert numbers.number("CBOW", "CoLA", corrected=True)[0] == 0.046
    assert numbers.number("Bad subnetwork (m-pruning)", "CoLA")[0] == 0.24
    assert numbers.number("Bad subnetwork (m-pruning)", "CoLA", corrected=True)[0] == 0.0247
    plain = numbers.number("full model", "RTE")
    assert plain == numbers.number("full model", "RTE", corrected=True) == (0.63, 0.03, "Table 3")


@pytest.mark.parametrize("item", rows_of(source="Table 2")["item"].unique())
def test_corrected_averages_of_table_2_are_the_printed_ones(item):
    printed = number_of(item, "average", "baselines")
    cuts = item.startswith(("Bad", "Random"))  # cut off, not rounded: up to .01 too low
    off = printed - np.mean([number_of(item, t, "baselines", corrected=True) for t in TASKS])
    assert -0.005 <= off <= (0.01 if cuts else 0.005)
    raw = printed - np.mean([number_of(item, t, "baselines") for t in TASKS])
    misprint = item in ("CBOW", "Bad subnetwork (m-pruning)")
    assert (raw < -0.015) == misprint and (raw == off) != misprint


def test_the_corrected_average_of_cbow():
    scores = [number_of("CBOW", task, "baselines", corrected=True) for task in TASKS]
    assert round(np.mean(scores), 2) == number_of("CBOW", "average", "baselines") == 0.61


def test_averages_of_figure_16_are_the_printed_ones():
    for epochs in range(3, 7):
        item = f"bad (s-pruning), {epochs} epochs"
        scores = [number_of(item, task, "longer training") for task in TASKS]
        assert number_of(item, "average", "longer training") == pytest.approx(
            np.mean(scores), abs=1e-4
        )


def test_table_2_cuts_off_the_digits_of_the_authors_results(results):
    systems = {"s": "head_mlp_bad_1_retrained", "m": "global_bad_retrained"}
    differs = []
    for letter, system in systems.items():
        item = f"Bad subnetwork ({letter}-pruning)"
        cut = {task: np.floor(100 * score) / 100 for task, score in results[system].items()}
        differs += [(item, t) for t in TASKS if cut[t] != number_of(item, t, "baselines")]
        mean = np.mean([results[system][task] for task in TASKS])
        assert round(mean, 2) == number_of(item, "average", "baselines")
    assert differs == [("Bad subnetwork (m-pruning)", "CoLA")], "the misprint"
    fits = number_of("Bad subnetwork (m-pruning)", "CoLA", "baselines", corrected=True)
    assert results["global_bad_retrained"]["CoLA"] == pytest.approx(fits, abs=5e-5)


def test_the_shares_of_section_4_1_belong_to_no_named_task():
    said = rows_of(source="§4.1", group="s-pruning")
    assert set(said["task"]) == {"not named"} and said["value"].tolist() == [0.49, 0.22, 0.75, 0.5]
    items = said["item"].tolist()
    by_task = {t: [number_of(item, t, "s-pruning") for item in items] for t in TASKS}
    by_task["mean"] = np.mean(list(by_task.values()), axis=0)
    assert by_task["QNLI"] == [0.592, 0.533, 0.733, 0.533]
    for task, shares in by_task.items():
        assert np.abs(shares - said["value"].to_numpy()).max() > 0.05, task


def test_section_4_1_contradicts_the_cells_of_figure_7a():
    lost = [1 - left for unit, left in cells("QNLI", M_CELLS).items() if unit.startswith("head")]
    said = rows_of(source="§4.1", group="m-pruning")
    assert said["value"].tolist() == [0.42, 0.57] and said["note"].str.contains("contradicts").all()
    assert (min(lost), max(lost)) == pytest.approx((0.41, 0.60))


def test_counts_in_words_against_the_tables():
    """The notes of these rows say where the paper's tables count otherwise."""
    table = rows_of(group="counts in words")
    said = table.set_index("item")["value"]
    lead = bad_against("BILSTM + GloVe")
    close = [task for task, points in lead.items() if abs(points) <= 4]
    wins = [task for task, points in lead.items() if points > 4]
    name = "tasks where bad (s-pruning) {} BiLSTM + GloVe{}"
    assert len(close) == said[name.format("is competitive with", "")] == 5
    assert len(wins) == said[name.format("wins against", "")] == 2
    assert said[name.format("loses to", " by a large margin")] == 9 - len(close + wins) == 2
    assert len(close + wins) == 7 and sum(points >= 0 for points in lead.values()) == 3

    behind = "tasks where bad (m-pruning) is at least 5 points behind bad (s-pruning)"
    in_table_2 = bad_against("Bad subnetwork (m-pruning)")
    bad = "bad (retrained)"
    in_table_3 = [number_of(bad, t, "s-pruning") - number_of(bad, t, "m-pruning") for t in TASKS]
    assert sum(points >= 5 for points in in_table_2.values()) == 5
    assert said[behind] == sum(round(100 * x) >= 5 for x in in_table_3) == 6

    varies = [
        {t for t in TASKS if numbers.number(f"{kind} (pruned)", t, "s-pruning")[1] > 0.10}
        for kind in ("bad", "random")
    ]
    assert said["tasks where bad and random (s-pruning) vary by over 10 points"] == 5
    assert (len(varies[0]), len(varies[1]), len(varies[0] & varies[1])) == (4, 6, 4)
    assert table["note"].ne("").all()


def test_sizes_in_words_against_the_authors_masks():
    sizes = {
        kind: np.array([number_of(f"share of weights, {kind}", t, "sizes") for t in TASKS])
        for kind in ("good", "super-survivors")
    }
    found = {}
    for section, kind in (("§4.2", "super-survivors"), ("App. E", "super-survivors"),
                          ("App. E", "good")):  # fmt: skip
        low, high = (
            rows_of(group=f"sizes ({section})", item=f"{edge} share of weights, {kind}")["value"]
            for edge in ("least", "largest")
        )
        within = (sizes[kind] >= float(low.item())) & (sizes[kind] <= float(high.item()))
        found[section, kind] = int(within.sum())
    assert found == {
        ("§4.2", "super-survivors"): 4, ("App. E", "super-survivors"): 5, ("App. E", "good"): 6
    }  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_the_authors_masks_give_the_numbers_of_the_file(masks_of, task):
    heads, mlps = (masks_of("heads_mlps", unit, task) for unit in ("head", "mlp"))
    supers = Mask(super_survivors(heads), super_survivors(mlps))
    good = [Mask(h, m).share_of_weights(768, 3072) for h, m in zip(heads, mlps, strict=True)]
    computed = {
        ("stability", "Fleiss' kappa of heads"): fleiss_kappa(heads),
        ("stability", "super-survivor heads"): supers.n_heads,
        ("stability", "super-survivor MLPs"): supers.n_mlps,
        ("s-pruning", "share of heads left, joint"): heads.mean(),
        ("s-pruning", "share of heads left, heads"): masks_of("heads", "head", task).mean(),
        ("s-pruning", "share of MLPs left, joint"): mlps.mean(),
        ("s-pruning", "share of MLPs left, mlps"): masks_of("mlps", "mlp", task).mean(),
        ("sizes", "share of weights, good"): np.mean(good),
        ("sizes", "share of weights, super-survivors"): supers.share_of_weights(768, 3072),
    }
    rows = rows_of(source="authors' masks", task=task)
    assert set(zip(rows["group"], rows["item"], strict=True)) == set(computed)
    for (group, item), value in computed.items():
        assert number_of(item, task, group) == pytest.approx(value, abs=5.001e-4), item


BERT = "bert-base-uncased"


def verdicts(*rows, encoder=BERT):
    return numbers.compare(list(rows), encoder)["verdict"].tolist()


def test_verdicts_of_comparisons():
    full = [
        numbers.Ours("a", [0.929, 0.93, 0.931], "SST-2", "full model"),
        numbers.Ours("b", [0.80, 0.80, 0.80], "SST-2", "full model"),
        numbers.Ours("c", [0.90, 0.96, 0.93], "SST-2", "full model"),
    ]
    table = numbers.compare(full, BERT)
    assert table["verdict"].tolist() == ["agrees", "differs", "cannot tell"]
    assert table["difference"].tolist() == [0.0, -0.13, 0.0]
    # deviation 0.03 of three, and none of the paper's: 4.303 · 0.03 / √3
    assert table["± 95 %"].tolist() == [0.002, 0.0, 0.075]
    assert table["margin"].tolist() == [0.02] * 3
    nan = numbers.Ours("d", [float("nan")], "STS-B", "majority baseline")
    assert verdicts(nan, numbers.Ours("e", [], "STS-B", "full model")) == ["undefined"] * 2


def test_a_wide_deviation_of_the_paper_agrees_with_nothing():
    wide = {"task": "STS-B", "item": "bad (pruned)", "group": "s-pruning"}  # 0.32 ± 0.38
    near, far = [0.32, 0.33, 0.31], [0.95, 0.95, 0.95]
    assert verdicts(*(numbers.Ours("", x, **wide) for x in (near, far))) == [
        "cannot tell",
        "differs",
    ]


def test_one_seed_borrows_the_papers_deviation():
    cola = {"task": "CoLA", "item": "full model"}  # 0.56 ± 0.01
    table = numbers.compare([numbers.Ours("", [x], **cola) for x in (0.56, 0.40)], BERT)
    assert table["± 95 %"].tolist() == [0.03, 0.03]  # 2.776 · 0.01 · √(1 + 1/5)
    assert table["verdict"].tolist() == ["cannot tell", "differs"]


def test_the_margin_of_scores_is_not_for_counts():
    heads = {"task": "CoLA", "item": "super-survivor heads", "group": "stability"}  # 34
    kappa = {"task": "CoLA", "item": "Fleiss' kappa of heads", "group": "stability"}  # 0.228
    assert verdicts(*(numbers.Ours("", [x], **heads) for x in (34.0, 34.01, 35.0))) == [
        "agrees",
        "differs",
        "differs",
    ]
    assert verdicts(*(numbers.Ours("", [x], **kappa) for x in (0.23, 0.245))) == [
        "agrees",
        "differs",
    ]


def test_another_encoder_is_not_compared():
    rows = [
        numbers.Ours("a", [0.93, 0.93, 0.93], "SST-2", "full model"),
        numbers.Ours("b", [0.5, 0.5, 0.5], "SST-2", "full model"),
    ]
    for encoder in ("/models/bert-base-uncased-tests/tiny", "x/bert-base-uncased-SST-2"):
        assert set(numbers.compare(rows, encoder)["verdict"]) == {"other encoder: not compared"}
    assert "agrees" in set(numbers.compare(rows, "/models/bert-base-uncased")["verdict"])
    table = numbers.compare(rows, "minilm-l6")
    assert table["verdict"].tolist() == ["other encoder: not compared"] * 2
    assert table["ours"].tolist() == [0.93, 0.5] and table["paper"].tolist() == [0.93, 0.93]
