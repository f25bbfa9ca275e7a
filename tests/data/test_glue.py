import numpy as np
import pytest

from lib.data import glue
from lib.data.glue import TASKS
from lib.paper import numbers


def test_scores_match_metrics_computed_by_hand():
    one_hot = np.eye(2)[[1, 1, 0, 0]]
    labels = np.array([1, 0, 0, 0])
    assert glue.score("SST-2", one_hot, labels) == 0.75
    assert glue.score("CoLA", one_hot, labels) == pytest.approx(
        (1 * 2 - 1 * 0) / np.sqrt(2 * 1 * 3 * 2)
    )
    logits, labels = np.array([[1.0], [2], [3]]), np.array([2.0, 4, 6])
    assert glue.score("STS-B", logits, labels) == pytest.approx(1)
    same_ranks = np.array([[1.0], [2], [10]]), np.array([1.0, 2, 3])
    pearson = glue.score("STS-B", *same_ranks)
    assert glue.score("STS-B", *same_ranks, "pearson_spearman") == pytest.approx((pearson + 1) / 2)


def test_constant_answers_score_the_majority_or_nan():
    assert glue.majority("SST-2", [1, 1, 0]) == pytest.approx(2 / 3)
    assert glue.majority("CoLA", [1, 1, 0]) == 0
    assert np.isnan(glue.majority("STS-B", [1.0, 2, 3]))
    assert np.isnan(glue.score("STS-B", np.ones((3, 1)), np.array([1.0, 2, 3])))


def test_an_unknown_stsb_score_is_named():
    with pytest.raises(ValueError, match="'spearman'"):
        glue.correlation(np.arange(3), np.arange(3), "spearman")


def test_real_dev_sets_reproduce_the_papers_majority_baseline(glue_dir):
    from lib.data import sources

    for task in set(TASKS) - {"STS-B", "QQP"}:  # the folder has only a part of QQP
        labels = [row["label"] for row in sources.rows(task, ["folder"]).dev]
        assert len(labels) == TASKS[task].dev
        published, *_ = numbers.number("majority baseline", task)
        assert round(glue.majority(task, labels), 2) == pytest.approx(published, abs=0.011)
