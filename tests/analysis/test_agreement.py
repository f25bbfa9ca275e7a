import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lib.analysis import agreement
from lib.analysis.survival import super_survivors

APART = np.array([[[1, 1, 0, 0]], [[0, 0, 1, 1]]], bool)
INSIDE = np.array([[[1] * 10 + [0] * 2], [[1] * 3 + [0] * 9]], bool)
MASKS = arrays(bool, st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 5)))


@pytest.fixture(autouse=True)
def _no_warning_from_inside():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_kappa_and_q_in_the_head():
    assert agreement.fleiss_kappa(APART) == pytest.approx(-1), (
        "half kept, never the same: as far from 1 as can be"
    )
    assert agreement.fleiss_kappa(np.repeat(APART[:1], 3, 0)) == pytest.approx(1)
    assert agreement.cochran_q(APART)[:3] == (0, 1, 1), "Q sees only that both keep two"
    assert agreement.cochran_q(INSIDE).statistic == pytest.approx(7), (
        "(7 - 0)² / (7 + 0), which is McNemar's"
    )


@pytest.mark.parametrize(
    ("masks", "why"),
    [
        (APART[:1], "one seed"),
        (np.zeros_like(APART), "nothing is kept"),
        (np.ones_like(APART), "everything is kept"),
    ],
)
def test_what_cannot_be_said_is_nan_and_says_why(masks, why):
    assert np.isnan(agreement.fleiss_kappa(masks))
    assert np.isnan(agreement.cochran_q(masks).p) and np.isnan(agreement.permutation_test(masks).p)
    assert agreement.why_nan(masks) == why


def test_equal_masks_leave_q_nothing_and_one_telling_seed_leaves_permutations_nothing():
    same = np.repeat(APART[:1], 3, 0)
    assert np.isnan(agreement.cochran_q(same).p) and "all seeds are the same" in agreement.why_nan(
        same
    )
    wnli = np.stack([APART[0], np.zeros_like(APART[0]), np.ones_like(APART[0])])
    assert np.isnan(
        agreement.permutation_test(wnli).p
    ) and "everything or nothing" in agreement.why_nan(wnli)
    assert np.isfinite(agreement.fleiss_kappa(wnli))


def test_masks_of_other_values_are_refused():
    with pytest.raises(ValueError, match="must be 0 and 1"):
        agreement.fleiss_kappa(np.array([[0.5, 1], [0, 1]]))


@settings(deadline=None, max_examples=60)
@given(MASKS)
def test_any_masks_give_numbers_or_nan_and_never_a_warning(masks):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kappa, test = agreement.fleiss_kappa(masks), agreement.permutation_test(masks, draws=50)
        agreement.cochran_q(masks), agreement.pairs(masks, list(range(len(masks))))
    assert np.isnan(kappa) or -1 - 1e-9 <= kappa <= 1 + 1e-9
    assert np.isnan(test.p) or 0 < test.p <= 1
    there, chance = agreement.survival_counts(masks)
    assert there.sum() == masks[0].size and chance.sum() == pytest.approx(masks[0].size)
    assert there[-1] == super_survivors(masks).sum()


def test_the_permutation_test_is_exact_where_all_deals_can_be_listed():
    two = np.array([[[1, 1, 0, 0]], [[1, 1, 0, 0]]], bool)
    test = agreement.permutation_test(two, draws=20_000)
    assert test.observed == 2 and test.expected == pytest.approx(1, abs=0.03)
    assert test.p == pytest.approx(1 / 6, abs=0.01), "one of six pairs of four"
    assert agreement.permutation_test(two, draws=500) == agreement.permutation_test(
        two, draws=500
    ), "the same draw"


def test_within_layers_agreement_on_layers_is_no_agreement():
    draw = np.random.default_rng(0)
    masks = np.zeros((5, 6, 12), bool)
    for mask in (
        masks
    ):  # all seeds keep the three lower layers, and there ten heads that each draws by itself
        for layer in mask[:3]:
            layer[draw.permutation(12)[:10]] = True
    assert agreement.permutation_test(masks, draws=1000).p < 0.01
    assert agreement.permutation_test(masks, draws=1000, within_layers=True).p > 0.05


def test_random_masks_pass_for_random():
    draw = np.random.default_rng(1)
    found = [
        agreement.permutation_test(draw.random((3, 6, 12)) < 0.6, draws=200).p for _ in range(60)
    ]
    assert 0.02 < np.mean(np.array(found) < 0.2) < 0.42 and 0.35 < np.mean(found) < 0.65


def test_holm_leaves_nan_alone():
    assert agreement.holm([0.01, float("nan"), 0.04]) == pytest.approx(
        [0.02, float("nan"), 0.04], nan_ok=True
    )
    assert np.isnan(agreement.holm([float("nan")])).all()


def test_pairs_of_seeds():
    table = agreement.pairs(np.concatenate([INSIDE, INSIDE[:1]]), [7, 8, 9])
    assert table[["seed", "other seed"]].to_numpy().tolist() == [[7, 8], [7, 9], [8, 9]]
    assert table["shared"].tolist() == [3, 10, 3] and table["expected"].iloc[0] == 2.5
    assert table["same share"].iloc[0] == pytest.approx(2 * 0.5**7) and np.isnan(
        table["same share"].iloc[1]
    )
    assert table["shared by chance"].iloc[0] == pytest.approx((10 * 9 * 8) / (12 * 11 * 10))


def test_split_halves_tell_an_estimator_that_cancels_from_one_that_does_not():
    draw = np.random.default_rng(0)
    scale = draw.uniform(0.5, 2, 6 * 4 + 6)
    gradients = draw.normal(size=(512, 30)) * scale  # signs are a coin's: a batch's mean is noise
    exact, _ = agreement.split_half(gradients, 6, 4, "per_example")
    cancelling, _ = agreement.split_half(gradients, 6, 4, "running")
    assert exact > 0.9 > 0.6 > cancelling
    assert np.isnan(agreement.split_half(np.zeros((8, 30)), 6, 4, "per_example")).all()


def test_exchangeable_neighbours():
    rows = np.tile([1.0, 2, 3, 4, 0], (50, 1)) + np.random.default_rng(0).normal(0, 1e-3, (50, 5))
    live = np.ones((1, 4), bool)
    assert agreement.exchangeable(rows, live) == 0
    rows[:, 1] = 1 + np.random.default_rng(1).normal(0, 0.1, 50)
    assert agreement.exchangeable(rows, live) == 0.5, "two of four cannot be told apart"
    assert np.isnan(agreement.exchangeable(rows, np.array([[True, False, False, False]])))


def test_the_authors_masks(published):
    expected = {"CoLA": 0.228, "MNLI": 0.258, "RTE": 0.180, "SST-2": 0.325, "WNLI": -0.250}
    supers = {"CoLA": (34, 9), "MNLI": (40, 4), "RTE": (11, 2), "SST-2": (19, 2), "WNLI": (0, 0)}
    for task, kappa in expected.items():
        heads, mlps = published(task)
        assert agreement.fleiss_kappa(heads) == pytest.approx(kappa, abs=5e-4)
        assert (super_survivors(heads).sum(), super_survivors(mlps).sum()) == supers[task]
    assert agreement.cochran_q(published("MNLI")[0]).p == pytest.approx(0.395, abs=5e-4)
    assert agreement.cochran_q(published("RTE")[0]).p == pytest.approx(3e-36, rel=0.2)
