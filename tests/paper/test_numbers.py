import pytest

from lib.data.glue import TASKS
from lib.paper import numbers


def test_the_papers_numbers_are_complete_and_have_a_source():
    table = numbers.numbers()
    assert not table[["source", "item", "task", "value"]].isna().any().any()
    table_3 = table[table["source"] == "Table 3"]
    assert len(table_3) == 20 * 9 and set(table_3["task"]) == set(TASKS)
    assert numbers.number("full model", "WNLI") == (0.34, 0.06, "Table 3")
    assert numbers.number("good (pruned)", "CoLA", "m-pruning")[:2] == (0.52, 0.01)
    with pytest.raises(KeyError, match="4 numbers|3 numbers|2 numbers"):
        numbers.number("good (pruned)", "CoLA")


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
    table = numbers.compare(rows, "minilm-l6")
    assert table["verdict"].tolist() == ["other encoder: not compared"] * 2
    assert table["ours"].tolist() == [0.93, 0.5] and table["paper"].tolist() == [0.93, 0.93]
