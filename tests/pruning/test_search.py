import tracemalloc
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lib.pruning import gates
from lib.pruning.importance import Importance
from lib.pruning.masks import Mask
from lib.pruning.search import (
    Magnitude,
    Ordering,
    Structured,
    Trail,
    by_importance,
    by_magnitude,
    drop_lowest,
    floor_of,
)


def kept(mask):
    return np.concatenate([mask[name].ravel() for name in mask]).astype(int).tolist()


def test_ordering_keeps_exactly_count_weights():
    order = Ordering({"a": np.array([[0.5, -0.1], [0.2, -0.9]]), "b": np.array([0.2, 0.4])})
    assert kept(order.keep(6)) == [1, 1, 1, 1, 1, 1]
    assert kept(order.keep(5)) == [1, 0, 1, 1, 1, 1]
    assert kept(order.keep(4)) == [1, 0, 0, 1, 1, 1], "of two equal weights, the earlier is pruned"
    assert kept(order.keep(1)) == [0, 0, 0, 1, 0, 0]
    assert kept(order.keep(0)) == [0] * 6


def test_equal_weights_are_pruned_one_by_one():
    order = Ordering({"a": np.full(10, 0.3), "b": np.full(10, -0.3)})
    for count in range(21):
        assert kept(order.keep(count)) == [0] * (20 - count) + [1] * count


@given(st.lists(st.sampled_from([-2.0, -1, 0, 1, 2, 3]), min_size=1, max_size=30), st.data())
def test_ordering_equals_a_full_sort(values, data):
    count = data.draw(st.integers(0, len(values)))
    pruned = sorted(range(len(values)), key=lambda i: (abs(values[i]), i))[: len(values) - count]
    assert kept(Ordering({"a": np.array(values)}).keep(count)) == [
        int(i not in pruned) for i in range(len(values))
    ]


def test_m_pruning_by_hand():
    weights = {"w": np.arange(1.0, 101)}
    trail = by_magnitude(weights, lambda mask: 1.0 if mask.kept >= 73 else 0.5)
    assert [r.mask.kept for r in trail.rounds] == [100, 90, 81, 73, 66]
    assert [r.accepted for r in trail.rounds] == [True, True, True, True, False]
    assert (trail.floor, trail.good.mask.kept) == (0.9, 73)
    of_all = by_magnitude(weights, lambda mask: 1.0, Magnitude(share_of="all"))
    assert [r.mask.kept for r in of_all.rounds] == [100, 90, 80, 70, 60, 50, 40, 30, 20, 10, 0]


def test_the_masks_of_m_pruning_are_made_again_and_not_kept():
    weights = {"w": np.random.default_rng(0).normal(size=80_000)}
    masks = []
    tracemalloc.start()
    trail = by_magnitude(weights, lambda mask: masks.append(mask.digest) or 1.0)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(trail.rounds) > 90 and trail.good.kept == 0
    ordering = weights["w"].nbytes + trail.good.order.up_to.nbytes
    assert held < ordering + 200_000, "ninety masks would take 900 kB"
    assert [r.mask.digest for r in trail.rounds] == masks
    assert [r.share for r in trail.rounds] == [r.mask.share for r in trail.rounds]


def test_the_authors_limit_never_accepts_its_last_mask():
    trail = by_magnitude({"w": np.arange(1.0, 1001)}, lambda mask: 1.0, Magnitude(max_rounds=10))
    assert len(trail.rounds) == 11 and not trail.rounds[-1].accepted
    assert trail.good.mask.share == pytest.approx(0.9**9, abs=0.002)


def test_what_m_pruning_may_touch(tiny):
    names = [name for name, _ in tiny[0].named_parameters()]
    code, everything, weights = (
        gates.prunable(names, which) for which in ("code", "all", "weights")
    )
    assert (len(code), len(everything), len(weights)) == (3 * 11, 3 * 12, 3 * 6)
    assert set(everything) - set(code) == {
        f"encoder.encoder.layer.{i}.output.dense.bias" for i in range(3)
    }
    assert "encoder.encoder.layer.0.attention.output.dense.bias" in code
    assert not any(
        module in name
        for name in everything
        for module in ("LayerNorm", "embeddings", "pooler", "classifier")
    )


def test_drop_lowest_by_hand():
    mask = Mask([[1, 1, 1], [1, 0, 1]], [1, 1])
    scores = Importance(np.array([[0.3, 0.1, 0.2], [0.1, 0.0, 0.9]]), np.array([0.5, 0.4]))
    dropped = drop_lowest(mask, scores, 2, 1)
    assert dropped == Mask([[1, 0, 1], [0, 0, 1]], [1, 0]), "units that are off are ignored"
    of_two_equal = drop_lowest(mask, scores, 1, 0)
    assert of_two_equal == Mask([[1, 0, 1], [1, 0, 1]], [1, 1]), "the lower layer's goes first"
    assert drop_lowest(mask, scores, 99, 99) == Mask(np.zeros((2, 3)), np.zeros(2))


SCORES = Importance(np.arange(20.0).reshape(2, 10) + 1, np.array([1.0, 2]))


def toy(score):
    """Make a `measure` from a score function; the importance is SCORES, or None under the floor."""

    def measure(mask, floor):
        value = score(mask)
        return value, None if value < floor else SCORES

    return measure


def perfect(mask, _floor, least_mlps=0):
    """Score 1 while enough MLPs are left, for a model of any shape."""
    scores = Importance(
        np.arange(1.0, mask.heads.size + 1).reshape(mask.heads.shape), mask.mlps * 1.0
    )
    return float(mask.n_mlps >= least_mlps), scores


def test_the_phases_of_the_joint_mode():
    # From 20 heads: 2 heads and 1 MLP a round, then 1 head a round, then MLPs.
    # A mask is under the floor with 13 heads or 0 MLPs.
    trail = by_importance(Mask.full(2, 10), toy(lambda m: float(m.n_heads >= 14 and m.n_mlps >= 1)))
    assert [(r.phase, r.mask.n_heads, r.mask.n_mlps, r.accepted) for r in trail.rounds] == [
        ("full", 20, 2, True),
        ("joint", 18, 1, True),
        ("joint", 16, 0, False),
        ("heads", 17, 1, True),
        ("heads", 16, 1, True),
        ("heads", 15, 1, True),
        ("heads", 14, 1, True),
        ("heads", 13, 1, False),
        ("mlps", 14, 0, False),
    ]


def test_heads_and_mlps_modes():
    heads = by_importance(Mask.full(2, 10), toy(lambda m: float(m.n_heads > 15)), "heads")
    assert [r.mask.n_heads for r in heads.rounds] == [20, 18, 16, 14]
    assert heads.good.mask.n_mlps == 2
    mlps = by_importance(Mask.full(2, 10), toy(lambda m: 1.0), "mlps")
    assert [r.mask.n_mlps for r in mlps.rounds] == [2, 1, 0] and mlps.good.mask.n_heads == 20
    with pytest.raises(ValueError, match="'both'.*joint, heads, mlps"):
        by_importance(Mask.full(2, 10), toy(lambda m: 1.0), "both")


def test_importance_at_the_start_of_a_phase():
    # by the importance of the mask that failed, head 0 goes first; of the accepted mask, head 9
    order = {2: np.arange(10.0), 1: np.arange(10.0)[::-1], 0: np.arange(10.0)}

    def measure(mask, floor):
        score = float(mask.n_mlps >= 1)
        return score, Importance(
            np.stack([order[mask.n_mlps]] * 2), np.array([1.0, 2])
        ) if score >= floor else None

    first = {
        start: by_importance(Mask.full(2, 10), measure, "joint", Structured(start=start))
        for start in ("accepted", "failed")
    }
    assert first["accepted"].rounds[3].mask.heads[:, 9].tolist() == [False, True]
    assert first["failed"].rounds[3].mask.heads[:, 9].tolist() == [True, True]


def test_a_full_model_at_or_below_chance_loses_everything():
    trail = by_importance(
        Mask.full(2, 10), toy(lambda m: 0.34 if m.n_heads + m.n_mlps == 22 else 0.56)
    )
    assert trail.good.mask == Mask(np.zeros((2, 10)), np.zeros(2))
    zero = by_magnitude({"w": np.arange(1.0, 11)}, lambda mask: 0.0)
    assert zero.good.mask.kept == 0


def test_the_joint_phase_may_end_when_one_kind_is_used_up():
    """The authors' loop ends with either kind; if the heads are gone, the last MLP comes back."""

    def rounds(layers, heads, joint_ends):
        choices = Structured(joint_ends=joint_ends, step=0.5)
        trail = by_importance(Mask.full(layers, heads), perfect, "joint", choices)
        return [(r.phase, r.mask.n_heads, r.mask.n_mlps) for r in trail.rounds], trail.good.mask

    # 4 layers of 1 head: 2 heads and 1 MLP a round, so the heads are used up first
    tried, good = rounds(4, 1, "either")
    assert tried == [
        *[("full", 4, 4), ("joint", 2, 3), ("joint", 0, 2), ("back", 0, 3)],
        *[("mlps", 0, 2), ("mlps", 0, 1), ("mlps", 0, 0)],
    ]
    assert (good.n_heads, good.n_mlps) == (0, 0)
    # 1 layer of 8 heads: the MLP is used up first, and the heads go on alone
    tried, _ = rounds(1, 8, "either")
    assert tried == [("full", 8, 1), ("joint", 4, 0), ("heads", 2, 0), ("heads", 0, 0)]
    tried, _ = rounds(1, 8, "both")
    assert tried == [("full", 8, 1), ("joint", 4, 0), ("joint", 0, 0)]


def test_sizes_are_rounded_down_as_in_the_authors_code():
    sizes = {}
    for layers, heads in ((12, 12), (6, 12), (3, 4)):
        # no MLP can go, so the joint phase fails at once and the heads go on alone
        measure = partial(perfect, least_mlps=layers)
        trail = by_importance(Mask.full(layers, heads), measure)
        first = {r.phase: r.mask.n_heads for r in reversed(trail.rounds)}
        sizes[layers * heads] = {phase: layers * heads - n for phase, n in first.items()}
    assert (sizes[144]["joint"], sizes[144]["heads"]) == (14, 7)
    assert (sizes[72]["joint"], sizes[72]["heads"]) == (7, 3)
    assert sizes[12]["joint"] == 1 and "heads" not in sizes[12], "half of one head is none"


def test_floors():
    scores = [k / 277 for k in range(278)]
    assert all(floor_of(s, 0.9) == s * 0.9 for s in scores), "to the last digit, as they compare"
    assert floor_of(-0.1, 0.9) == pytest.approx(-0.11), "a full model is never under its own floor"
    undefined = by_magnitude({"w": np.arange(1.0, 11)}, lambda mask: float("nan"))
    assert undefined.good.share == 1, "an undefined score prunes nothing"


@settings(deadline=None)
@given(
    st.lists(st.floats(-1, 1), min_size=60, max_size=60),
    st.sampled_from(["joint", "heads", "mlps"]),
)
def test_the_good_mask_is_never_under_the_floor_and_only_shrinks(scores, mode):
    values = iter(scores)
    trail = by_importance(Mask.full(2, 10), toy(lambda m: next(values)), mode)
    assert trail.good.score >= trail.floor
    good = [r for r in trail.rounds if r.accepted]
    for before, after in zip(good, good[1:], strict=False):
        assert not (after.mask.heads & ~before.mask.heads).any()
        assert not (after.mask.mlps & ~before.mask.mlps).any()


def test_a_trail_comes_back_from_its_tensors():
    trail = by_importance(Mask.full(2, 10), toy(lambda m: float(m.n_heads >= 14)))
    again = Trail.from_tensors(*trail.to_tensors())
    assert (again.floor, again.good.mask, again.good.score) == (
        trail.floor,
        trail.good.mask,
        trail.good.score,
    )
    assert [(r.phase, r.mask, r.score, r.accepted) for r in again.rounds] == [
        (r.phase, r.mask, r.score, r.accepted) for r in trail.rounds
    ]
    for before, after in zip(trail.rounds, again.rounds, strict=True):
        if before.accepted:
            assert np.array_equal(after.importance.heads, SCORES.heads)
            assert np.array_equal(after.importance.mlps, SCORES.mlps)
        else:
            assert before.importance is after.importance is None


@pytest.mark.parametrize(
    "wrong", [{"estimater": "running"}, {"estimator": "runing"}, {"step": "0.1"}]
)
def test_a_wrong_choice_raises(wrong):
    with pytest.raises(ValidationError):
        Structured(**wrong)
