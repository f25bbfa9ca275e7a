"""Tests of how sure an order of units is, each with a case in which the answer is known."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from lib.analysis import order

SHAPE = (6, 4)


def test_other_rows_is_low_for_an_estimator_whose_signs_cancel(random_signs):
    gradients = random_signs()
    exact = order.same_order([gradients], *SHAPE, "example").other_rows.heads
    cancelling = order.same_order([gradients], *SHAPE, "running").other_rows.heads
    assert exact > 0.9 > 0.6 > cancelling
    constant = order.same_order([np.zeros((8, 30))], *SHAPE, "example")
    assert np.isnan(constant).all(), "equal units have no order, and one seed has no other"


def test_more_rows_are_more_reliable(random_signs):
    gradients = random_signs(2048)
    few, many = (
        order.same_order([gradients], *SHAPE, "example", sample).other_rows.heads
        for sample in (16, 1024)
    )
    assert few < 0.9 < 0.97 < many
    with pytest.raises(ValueError, match="a sample of 1025 rows: there are 2048, so at most 1024"):
        order.same_order([gradients], *SHAPE, "example", 1025)


def test_noise_and_another_order_are_told_apart(random_signs):
    scale = np.random.default_rng(0).uniform(0.5, 2, 30)
    same = [random_signs(64, seed, scale) for seed in range(3)]
    found = order.same_order(same, *SHAPE, "example")
    assert found.both.heads == pytest.approx(found.other_rows.heads, abs=0.1), "noise alone"
    assert found.other_rows.heads < 0.95
    differ = [random_signs(4096, seed) for seed in range(3)]
    found = order.same_order(differ, *SHAPE, "example", draws=10)
    assert found.other_rows.heads > 0.95 and abs(found.both.heads) < 0.5, "another order"


def test_noise_that_seeds_share_counts_as_agreement_only_on_the_same_rows(random_signs):
    shared = random_signs(64, scale=np.ones(30))
    found = order.same_order([shared, shared + 1e-6], *SHAPE, "example")
    assert found.other_seed.heads > 0.99 and abs(found.both.heads) < 0.3


def test_rank_correlation_leaves_out_what_is_not_known():
    a = np.array([1.0, 2, 3, 4, 5, np.nan])
    assert order.rank_correlation(a, np.array([2.0, 4, 6, 8, 100, 0])) == pytest.approx(1)
    assert np.isnan(order.rank_correlation(a, np.array([np.nan, 4, 6, 8, 100, 0])))
    assert np.isnan(order.rank_correlation(a, np.ones(6)))


def test_each_is_correlated_with_each():
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(3, 20)), draw.integers(0, 6, (2, 20)).astype(float)  # b has ties
    found = order.rank_correlations([*a, np.ones(20), *b])[:4, 4:]
    assert found.shape == (4, 2)
    for i, one in enumerate(a):
        assert found[i] == pytest.approx([spearmanr(one, other).statistic for other in b])
    assert np.isnan(found[3]).all()


def _gradients(means, error, rows=128, seed=0):
    """Positive gradients of one layer of heads, and of its MLP."""
    noise = np.random.default_rng(seed).normal(0, error, (rows, len(means) + 1))
    return np.append(means, 1.0) + noise


@pytest.mark.parametrize("places", [1, 10])
def test_a_clear_ranking_never_swaps_and_noise_is_a_coin_toss(places):
    live = np.ones((1, 24), bool)
    assert order.swaps(_gradients(np.arange(10, 34.0), 0.01), live, places) == 0
    noise = [order.swaps(_gradients(np.full(24, 10.0), 1, seed=n), live, places) for n in range(20)]
    assert np.mean(noise) == pytest.approx(0.5, abs=0.02)


def test_close_neighbours_swap_and_heads_further_away_do_not():
    live = np.ones((1, 24), bool)
    # a step between neighbours is one standard error of a head's mean, ten steps are ten of them
    gradients = _gradients(np.arange(20, 44.0), 128**0.5)
    near, far = (order.swaps(gradients, live, places) for places in (1, 10))
    assert near > 0.25 and far < 0.01


def test_swaps_need_enough_live_heads_and_look_at_no_others():
    gradients = _gradients(np.arange(10, 34.0), 0.01)
    live = np.arange(24)[None] < 11
    gradients[:, 11:24] = 0
    assert order.swaps(gradients, live, 10) == 0
    assert np.isnan(order.swaps(gradients, live, 11))
    assert np.isnan(order.swaps(gradients[:1], live, 1))
    assert order.swaps(np.zeros_like(gradients), live, 1) == 0.5, "equal heads have no order"


def test_the_interval_over_rows_covers_the_truth():
    """The mean of 60 rows, 400 times: the interval holds the true mean in about 95 % of them."""
    draw, held = np.random.default_rng(0), 0
    for _ in range(400):
        rows = draw.normal(3, 1, 60)
        value, low, high = order.over_rows(lambda at, rows=rows: rows[at].mean(), 60)
        assert value == rows.mean()
        held += low <= 3 <= high
    assert 0.90 < held / 400 < 0.98
