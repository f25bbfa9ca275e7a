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


def test_kappa_and_q_by_hand():
    assert agreement.fleiss_kappa(APART) == pytest.approx(-1), (
        "both keep half and share nothing: the lowest κ there is"
    )
    assert agreement.fleiss_kappa(np.repeat(APART[:1], 3, 0)) == pytest.approx(1)
    assert agreement.cochran_q(APART)[:3] == (0, 1, 1), "Q sees only that both keep two units"
    assert agreement.cochran_q(INSIDE).statistic == pytest.approx(7), (
        "(7 - 0)² / (7 + 0), McNemar's statistic"
    )


@pytest.mark.parametrize(
    ("masks", "why"),
    [
        (APART[:1], "one seed"),
        (np.zeros_like(APART), "nothing is kept"),
        (np.ones_like(APART), "everything is kept"),
    ],
)
def test_undefined_statistics_are_nan_and_say_why(masks, why):
    assert np.isnan(agreement.fleiss_kappa(masks))
    assert np.isnan(agreement.cochran_q(masks).p) and np.isnan(agreement.permutation_test(masks).p)
    assert agreement.why_nan(masks) == why


def test_q_is_nan_for_equal_masks_and_the_permutation_test_for_one_nontrivial_seed():
    same = np.repeat(APART[:1], 3, 0)
    assert np.isnan(agreement.cochran_q(same).p)
    assert "all seeds are the same" in agreement.why_nan(same)
    wnli = np.stack([APART[0], np.zeros_like(APART[0]), np.ones_like(APART[0])])
    assert np.isnan(agreement.permutation_test(wnli).p)
    assert "everything or nothing" in agreement.why_nan(wnli)
    assert np.isfinite(agreement.fleiss_kappa(wnli))


def test_values_other_than_0_and_1_are_refused():
    with pytest.raises(ValueError, match="of 0 and 1; this one has type float64"):
        agreement.fleiss_kappa(np.array([[0.5, 1], [0, 1]]))


@settings(deadline=None, max_examples=60)
@given(MASKS)
def test_all_masks_give_numbers_or_nan_without_a_warning(masks):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kappa, test = agreement.fleiss_kappa(masks), agreement.permutation_test(masks, draws=50)
        agreement.cochran_q(masks), agreement.pairs(masks, list(range(len(masks))))
    assert np.isnan(kappa) or -1 - 1e-9 <= kappa <= 1 + 1e-9
    assert np.isnan(test.p) or 0 < test.p <= 1
    observed, expected = agreement.survival_counts(masks)
    assert observed.sum() == masks[0].size and expected.sum() == pytest.approx(masks[0].size)
    assert observed[-1] == super_survivors(masks).sum()


def test_the_permutation_test_approximates_the_exact_p_of_a_small_example():
    two = np.array([[[1, 1, 0, 0]], [[1, 1, 0, 0]]], bool)
    test = agreement.permutation_test(two, draws=20_000)
    assert test.observed == 2 and test.expected == pytest.approx(1, abs=0.03)
    assert test.p == pytest.approx(1 / 6, abs=0.01), "one of the six ways to keep two of four units"
    first, second = (agreement.permutation_test(two, draws=500) for _ in range(2))
    assert first == second, "the same seed, the same draws"


def test_agreement_only_on_layers_vanishes_within_layers():
    draw = np.random.default_rng(0)
    masks = np.zeros((5, 6, 12), bool)
    # all seeds keep the three lower layers, but each one draws its own ten heads there
    for mask in masks:
        for layer in mask[:3]:
            layer[draw.permutation(12)[:10]] = True
    assert agreement.permutation_test(masks, draws=1000).p < 0.01
    assert agreement.permutation_test(masks, draws=1000, within_layers=True).p > 0.05


def test_the_p_values_of_random_masks_look_uniform():
    draw = np.random.default_rng(1)
    p_values = [
        agreement.permutation_test(draw.random((3, 6, 12)) < 0.6, draws=200).p for _ in range(60)
    ]
    assert 0.02 < np.mean(np.array(p_values) < 0.2) < 0.42 and 0.35 < np.mean(p_values) < 0.65


def test_holm_does_not_count_nan():
    assert agreement.holm([0.01, float("nan"), 0.04]) == pytest.approx(
        [0.02, float("nan"), 0.04], nan_ok=True
    )
    assert np.isnan(agreement.holm([float("nan")])).all()


def test_pairs_of_seeds_by_hand():
    table = agreement.pairs(np.concatenate([INSIDE, INSIDE[:1]]), [7, 8, 9])
    assert table[["seed", "other seed"]].to_numpy().tolist() == [[7, 8], [7, 9], [8, 9]]
    assert table["shared"].tolist() == [3, 10, 3] and table["expected"].iloc[0] == 2.5
    assert table["same share"].iloc[0] == pytest.approx(2 * 0.5**7)
    assert np.isnan(table["same share"].iloc[1])
    assert table["shared by chance"].iloc[0] == pytest.approx((10 * 9 * 8) / (12 * 11 * 10))


def test_within_layers_p_is_nan_if_no_layer_can_be_shuffled_in_two_seeds():
    masks = np.zeros((2, 2, 4), bool)
    masks[0, 0, :2] = masks[1, 1, :2] = True  # each seed has a choice in a layer of its own
    assert np.isnan(agreement.permutation_test(masks, within_layers=True)).all()
    assert np.isfinite(agreement.permutation_test(masks).p)
    assert agreement.why_nan(masks) == "in no layer do two seeds keep some but not all units"
    masks[1, 0, 0] = True
    assert np.isfinite(agreement.permutation_test(masks, within_layers=True).p)
    assert agreement.why_nan(masks) == ""


def test_why_nan_says_that_a_layer_has_one_mlp():
    mlps = np.array([[1, 1, 0], [0, 1, 1]], bool)
    table = agreement.table({"differ": mlps, "same": mlps[[0, 0]]}, draws=50)
    assert table["p within layers"].isna().all() and table["p"].notna().all()
    assert table.loc["differ", "why nan"].startswith("a layer has one MLP")
    both = table.loc["same", "why nan"]
    assert "all seeds are the same" in both and "a layer has one MLP" in both


def test_shuffled_products_by_hand():
    a = np.array([[[1.0, 2, 3]]])
    observed, drawn = agreement.shuffled_products(a, a, seed=0, draws=3000)
    assert observed == 14 and set(drawn) == {10, 11, 13, 14}
    assert drawn.mean() == pytest.approx(12, abs=0.1)
    # in two layers of one unit each, nothing can be shuffled
    assert (
        agreement.shuffled_products(a[..., :2].reshape(1, 2, 1), np.ones((1, 2, 1)), 0, 9) is None
    )


def test_kappa_by_size_is_fleiss_kappa_of_the_masks():
    scores = np.random.default_rng(0).random((3, 4, 3)) + np.linspace(0, 1, 3)
    kappas = agreement.kappa_by_size(scores)
    assert kappas.shape == (13,) and np.isnan(kappas[[0, 12]]).all()
    for k in range(1, 12):
        flat = scores.reshape(3, -1)
        masks = flat >= np.sort(flat, axis=1)[:, [-k]]
        assert (masks.sum(1) == k).all()
        assert kappas[k] == pytest.approx(agreement.fleiss_kappa(masks)), k
    assert np.isnan(agreement.kappa_by_size(scores[:1])).all()
    assert agreement.kappa_by_size(scores[[0, 0]])[1:-1] == pytest.approx(1)


def test_kappa_at_equal_sizes_does_not_depend_on_where_a_search_ends():
    """Searches along one order that stop at different sizes differ in κ, but not in the curve."""
    draw = np.random.default_rng(0)
    common = draw.normal(size=72)
    scores = common + draw.normal(0, 0.7, (5, 72))
    kappas = agreement.kappa_by_size(scores)
    assert np.ptp(kappas[5:68]) > 0.1, "so κ at two sizes is no comparison"
    floor = agreement.random_kappa_by_size(5, 72)
    assert (kappas[5:68] > floor[5:68]).all()


def test_random_orders_exceed_the_floor_in_about_5_percent():
    draw = np.random.default_rng(1)
    floor = agreement.random_kappa_by_size(3, 72)
    assert np.isnan(floor[[0, -1]]).all() and np.isfinite(floor[1:-1]).all()
    above = [agreement.kappa_by_size(draw.random((3, 72)))[36] > floor[36] for _ in range(400)]
    assert 0.02 < np.mean(above) < 0.08


def test_kappa_q_and_super_survivors_of_the_authors_masks(published):
    expected = {"CoLA": 0.228, "MNLI": 0.258, "RTE": 0.180, "SST-2": 0.325, "WNLI": -0.250}
    supers = {"CoLA": (34, 9), "MNLI": (40, 4), "RTE": (11, 2), "SST-2": (19, 2), "WNLI": (0, 0)}
    for task, kappa in expected.items():
        heads, mlps = published(task)
        assert agreement.fleiss_kappa(heads) == pytest.approx(kappa, abs=5e-4)
        assert (super_survivors(heads).sum(), super_survivors(mlps).sum()) == supers[task]
    assert agreement.cochran_q(published("MNLI")[0]).p == pytest.approx(0.395, abs=5e-4)
    assert agreement.cochran_q(published("RTE")[0]).p == pytest.approx(3e-36, rel=0.2)
