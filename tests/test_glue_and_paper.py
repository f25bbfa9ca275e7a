import numpy as np
import pytest

from lib import glue, paper
from lib.glue import TASKS


def test_metrics_by_hand():
    one_hot = np.eye(2)[[1, 1, 0, 0]]
    labels = np.array([1, 0, 0, 0])
    assert glue.score("SST-2", one_hot, labels) == 0.75
    assert glue.score("CoLA", one_hot, labels) == pytest.approx((1 * 2 - 1 * 0) / np.sqrt(2 * 1 * 3 * 2))
    assert glue.score("STS-B", np.array([[1.0], [2], [3]]), np.array([2.0, 4, 6])) == pytest.approx(1)
    ranks_agree = np.array([[1.0], [2], [10]]), np.array([1.0, 2, 3])
    pearson = glue.score("STS-B", *ranks_agree)
    assert glue.score("STS-B", *ranks_agree, "pearson_spearman") == pytest.approx((pearson + 1) / 2)


def test_a_constant_answer():
    assert glue.majority("SST-2", [1, 1, 0]) == pytest.approx(2 / 3)
    assert glue.majority("CoLA", [1, 1, 0]) == 0
    assert np.isnan(glue.majority("STS-B", [1.0, 2, 3]))
    assert np.isnan(glue.score("STS-B", np.ones((3, 1)), np.array([1.0, 2, 3])))
    with pytest.raises(ValueError, match="'spearman'"):
        glue.correlation(np.arange(3), np.arange(3), "spearman")


def test_real_dev_sets_give_the_papers_majority_rows(glue_dir):
    from lib import sources

    for task in set(TASKS) - {"STS-B", "QQP"}:  # QQP is there in part
        labels = [row["label"] for row in sources.text(task, ["folder"]).dev]
        assert len(labels) == TASKS[task].dev
        assert round(glue.majority(task, labels), 2) == pytest.approx(
            paper.number("majority baseline", task)[0], abs=0.011
        )


def test_the_papers_numbers_are_whole_and_have_a_source():
    table = paper.numbers()
    assert not table[["source", "item", "task", "value"]].isna().any().any()
    table_3 = table[table["source"] == "Table 3"]
    assert len(table_3) == 20 * 9 and set(table_3["task"]) == set(TASKS)
    assert paper.number("full model", "WNLI") == (0.34, 0.06, "Table 3")
    assert paper.number("good (pruned)", "CoLA", "m-pruning")[:2] == (0.52, 0.01)
    with pytest.raises(KeyError, match="4 numbers|3 numbers|2 numbers"):
        paper.number("good (pruned)", "CoLA")


def test_comparisons_say_what_they_rest_on():
    rows = [
        paper.Ours("a", [0.93, 0.92, 0.94], "SST-2", "full model"),
        paper.Ours("b", [0.80, 0.80], "SST-2", "full model"),
    ]
    table = paper.compare(rows, "bert-base-uncased")
    assert table["verdict"].tolist() == ["agrees", "differs"]
    assert table["difference"].tolist() == [0.0, -0.13] and table["tolerance"].tolist() == [0.02, 0.02]
    assert paper.compare(rows, "minilm-l6")["verdict"].tolist() == ["agrees", "differs (other encoder)"]
    nan = paper.compare([paper.Ours("c", [float("nan")], "STS-B", "majority baseline")], "bert-base-uncased")
    assert nan["verdict"].tolist() == ["undefined"]
