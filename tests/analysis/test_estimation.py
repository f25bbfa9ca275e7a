"""Tests of what estimators predict and are good for, with cases in which the answer is known."""

import numpy as np
import pandas as pd
import pytest

from lib.analysis import estimation
from lib.pruning.importance import ESTIMATORS, Importance
from lib.pruning.masks import Mask
from lib.tickets.finetuned import FineTuned

SHAPE = (6, 4)


def test_each_truth_is_predicted_by_its_own_estimator(random_signs):
    """Δ = −g, as if the loss were linear in every gate."""
    gradients = random_signs(200) + np.random.default_rng(1).normal(0, 0.5, 30)
    by_size = estimation.validity(gradients, -gradients, *SHAPE, "example")
    by_sign = estimation.validity(gradients, -gradients, *SHAPE, "signed")
    assert np.allclose(by_size[:, 1], 1) and np.allclose(by_sign[:, 0], 1)
    assert (np.abs(by_size[0, 0]) < 0.9) and (np.abs(by_sign[0, 1]) < 0.9)
    partly = -gradients
    partly[:, 4:24] = np.nan
    assert np.isnan(estimation.validity(gradients, partly, *SHAPE, "example")[0]).all()


def test_sizes_are_spaced_from_none_to_all():
    assert estimation.spaced(12, 2) == [0, 4, 8, 12]
    assert estimation.spaced(72, 0) == [0, 72]
    assert estimation.spaced(3, 9) == [0, 1, 2, 3]


@pytest.fixture()
def subject(tiny):
    model, data = tiny
    return FineTuned("SST-2", model, data, float("nan"))


def test_scores_by_size_keeps_the_best_units(subject):
    values = Importance(np.arange(12.0).reshape(3, 4), np.array([3.0, 1, 2]))
    table = estimation.scores_by_size(subject, {"rising": values}, sizes=2)
    assert table["kept"].tolist() == [0, 4, 8, 12, 0, 1, 2, 3]
    by = table.set_index(["units", "kept"])["score"]
    upper = Mask(np.arange(12).reshape(3, 4) >= 8, np.ones(3))
    assert by["heads", 4] == subject.score_of(upper)
    assert by["MLPs", 1] == subject.score_of(Mask(np.ones((3, 4)), [True, False, False]))
    assert by["heads", 12] == by["MLPs", 3] == subject.score_of(subject.full)


@pytest.mark.parametrize("estimator", ["example", "token", "signed"])
def test_in_steps_measures_again_at_each_size(subject, estimator):
    found = estimation.in_steps(subject, subject, estimator, sizes=2)
    assert [kept for kept, _ in found] == [12, 8, 4, 0]
    assert found[0][1] == subject.score_of(subject.full)
    assert found[-1][1] == subject.score_of(Mask(np.zeros((3, 4)), np.ones(3)))


def test_a_study_takes_only_estimators_that_there_are():
    assert estimation.Study(searches=list(ESTIMATORS)).removal == "last"
    with pytest.raises(ValueError, match="searches"):
        estimation.Study(searches=["runing"])


def test_a_ranking_is_beyond_the_random_ones_where_it_beats_or_loses_to_all_of_them():
    names = ["better", "mixed", "random 1", "random 2", "equal"]
    at_3, at_6 = [0.9, 0.4, 0.5, 0.6, 0.6], [0.9, 0.9, 0.8, 0.7, 0.7]
    scores = pd.DataFrame({3: at_3, 6: at_6}, index=names)
    above, below = estimation.beyond_random(scores)
    assert above == {"better": [3, 6], "mixed": [6]} and below == {"mixed": [3]}
    assert estimation.beyond_random(scores.loc[["better", "mixed"]]) == ({}, {})
