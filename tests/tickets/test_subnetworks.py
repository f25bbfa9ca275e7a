"""Subnetworks have the right sizes and units, for any good mask, and seeds do not leak."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lib.pruning.masks import Mask, WeightMask
from lib.tickets import subnetworks
from lib.tickets.subnetworks import (
    Retraining,
    bad_units,
    bad_weights,
    random_units,
    random_weights,
    super_units,
)

SEEDS = st.integers(0, 10_000)
HEADS = st.tuples(st.integers(1, 5), st.integers(1, 6))


@st.composite
def goods(draw):
    shape = draw(HEADS)
    return Mask(draw(arrays(bool, shape)), draw(arrays(bool, shape[0])))


@st.composite
def seeds_of_goods(draw):
    count, shape = draw(st.integers(1, 5)), draw(HEADS)
    return draw(arrays(bool, (count, *shape))), draw(arrays(bool, (count, shape[0])))


@st.composite
def good_weights(draw):
    shapes = draw(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9)), min_size=1, max_size=4))
    return WeightMask.of({f"w{i}": draw(arrays(bool, shape)) for i, shape in enumerate(shapes)})


def size(mask):
    return mask.n_heads, mask.n_mlps


@given(goods(), SEEDS)
def test_random_and_bad_units_have_the_size_of_good(good, seed):
    assert size(random_units(good, seed)) == size(bad_units(good, seed)) == size(good)


@given(goods(), SEEDS)
def test_bad_holds_all_pruned_units_or_only_pruned_units(good, seed):
    bad = bad_units(good, seed)
    for kept, drawn in ((good.heads, bad.heads), (good.mlps, bad.mlps)):
        survivors = (drawn & kept).sum()
        if (~kept).sum() <= kept.sum():
            assert drawn[~kept].all(), "all pruned units fit in"
            assert survivors == 2 * kept.sum() - kept.size, "survivors only fill up the rest"
        else:
            assert not survivors, "there are enough pruned units, so no survivor is needed"


@given(goods(), SEEDS)
def test_a_seed_always_draws_the_same(good, seed):
    assert random_units(good, seed) == random_units(good, seed)
    assert bad_units(good, seed) == bad_units(good, seed)


@given(good_weights(), SEEDS)
def test_random_and_bad_weights_have_the_size_of_good_and_bad_holds_the_pruned(good, seed):
    random, bad = random_weights(good, seed), bad_weights(good, seed)
    assert random.kept == bad.kept == good.kept
    assert random.shapes == bad.shapes == good.shapes
    pruned = good.size - good.kept
    overlap = sum(int((bad[name] & good[name]).sum()) for name in good)
    assert overlap == max(0, good.kept - pruned)


@given(seeds_of_goods(), SEEDS, st.sampled_from(["rank", "never"]))
def test_super_survivors_survive_in_all_seeds_and_the_others_have_their_size(masks, seed, rule):
    heads, mlps = masks
    three = super_units(heads, mlps, seed, rule)
    assert np.array_equal(three["good"].heads, heads.all(0))
    assert np.array_equal(three["good"].mlps, mlps.all(0))
    assert size(three["good"]) == size(three["random"]) == size(three["bad"])
    for kind, all_seeds in (("heads", heads), ("mlps", mlps)):
        good, random, bad = (getattr(three[name], kind) for name in ("good", "random", "bad"))
        if 2 * good.sum() <= good.size:
            assert not (bad & good).any()
            assert rule == "never" or not (random & good).any()
        if 3 * good.sum() <= good.size:
            assert not (random & good).any() and not (random & bad).any()
        if rule == "rank" and bad.any() and not bad.all():
            counts = all_seeds.sum(0)
            assert counts[bad].max() <= counts[~bad].min(), "bad survives in the fewest seeds"


@given(seeds_of_goods(), SEEDS)
def test_nothing_leaks_from_one_seed_to_the_next(masks, seed):
    alone = super_units(*masks, seed)
    for other in range(3):
        super_units(*masks, other)
    assert super_units(*masks, seed) == alone
    for other in range(3):
        assert super_units(*masks, other)["good"] == alone["good"], "good has no random draw"


def test_every_choice_is_equally_likely():
    good = Mask([[1, 0], [1, 0]], [1, 0])
    drawn = np.mean([random_units(good, seed).heads for seed in range(2000)], axis=0)
    assert np.allclose(drawn, 0.5, atol=0.05)
    weights = WeightMask.of(
        {"a": np.array([True, False, False]), "b": np.array([True] + 5 * [False])}
    )
    drawn = np.mean(
        [np.r_[(m := random_weights(weights, seed))["a"], m["b"]] for seed in range(3000)], axis=0
    )
    assert np.allclose(drawn, 2 / 9, atol=0.04)


def test_random_and_bad_of_one_seed_are_independent():
    good = Mask(np.arange(24).reshape(4, 6) % 2 == 0, [1, 0, 1, 0])
    shared = [(random_units(good, s).heads & bad_units(good, s).heads).sum() for s in range(400)]
    assert abs(np.mean(shared) - 6) < 0.3, "a random half shares 6 of 12 heads with a fixed half"


def test_nothing_pruned_and_everything_pruned():
    for kept in (np.ones, np.zeros):
        good = Mask(kept((2, 3), bool), kept(2, bool))
        assert random_units(good, 0) == bad_units(good, 0) == good, "only this mask has its size"
        three = super_units(good.heads[None], good.mlps[None], 0)
        assert set(three.values()) == {good}
        weights = WeightMask.of({"a": kept((2, 3), bool)})
        assert random_weights(weights, 0) == bad_weights(weights, 0) == weights


def test_share_draws_each_unit_independently_like_the_authors_code():
    good = Mask(np.eye(4, dtype=bool), [1, 0, 0, 0])
    sizes = [random_units(good, seed, "share").n_heads for seed in range(500)]
    assert abs(np.mean(sizes) - 4) < 0.3 and len(set(sizes)) > 3


def test_the_first_layers_at_another_masks_size():
    like = Mask([[0, 1, 1], [1, 0, 1]], [0, 1])
    first = subnetworks.first_units(like)
    assert first == Mask([[1, 1, 1], [1, 0, 0]], [1, 0])


def test_super_survivors_as_in_the_authors_code():
    """Bad leaves super-survivors out while it can, and all seeds get one draw."""
    mlps = np.ones((2, 1), bool)

    def drawn(kind, first, second, rule="never"):
        heads = np.array([[first], [second]], bool)
        masks = [super_units(heads, mlps, seed, rule)[kind].heads[0] for seed in range(40)]
        return {tuple(np.flatnonzero(mask)) for mask in masks}

    # heads 0 and 1 survive in both seeds, head 2 in one, head 3 in none
    few = [1, 1, 1, 0], [1, 1, 0, 0]
    assert drawn("bad", *few) == drawn("bad", *few, "rank") == {(2, 3)}
    assert len(drawn("random", *few)) == 6, "nothing is neither good nor bad: filled up from all"
    # three of four survive in both: head 3 alone is too little, so survivors fill it up
    (bad,) = drawn("bad", [1, 1, 1, 0], [1, 1, 1, 0])
    assert len(bad) == 3 and 3 in bad
    # more than enough survive in no seed: one draw of them, for all seeds
    many = [1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]
    assert len(drawn("bad", *many)) == 1 and len(drawn("random", *many)) > 1


def test_the_smallest_weights_by_hand():
    weights = {"a": np.array([[0.5, -0.1], [0.2, -0.9]]), "b": np.array([0.3, 0.4])}
    good = WeightMask.of(
        {"a": np.array([[True, False], [False, True]]), "b": np.array([False, False])}
    )
    smallest = subnetworks.smallest_weights(good, weights)
    assert smallest["a"].tolist() == [[False, True], [True, False]]
    assert smallest["b"].tolist() == [False, False]


def test_drawing_more_units_than_there_are_raises():
    with pytest.raises(ValueError, match="cannot draw 3 units: there are only 2"):
        subnetworks.sample([np.array([True, True, False])], 3, np.random.default_rng(0))


def test_choices_are_strict():
    with pytest.raises(ValueError, match="smallest"):
        Retraining(bad_weights="largest")


@pytest.mark.parametrize("task", ["CoLA", "WNLI"])
def test_bad_subnetworks_of_the_authors_own_masks(published, task):
    """Real masks of BERT-base; most of WNLI's are empty."""
    heads, mlps = published(task)
    three = super_units(heads, mlps, 0)
    assert three["good"].n_heads == {"CoLA": 34, "WNLI": 0}[task]
    for seed, (h, m) in enumerate(zip(heads, mlps, strict=True)):
        good = Mask(h, m)
        assert size(bad_units(good, seed)) == size(good)
    assert size(three["bad"]) == size(three["good"])


settings.register_profile("ours", deadline=None, max_examples=60)
settings.load_profile("ours")
