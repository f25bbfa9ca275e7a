import warnings
from itertools import combinations

import numpy as np
import pytest

from lib.analysis import overlap

A = np.array([[[1, 1, 1, 0, 0, 0]], [[1, 0, 1, 0, 1, 0]]], bool)
B = np.array([[[1, 1, 0, 1, 0, 0]], [[0, 1, 0, 1, 0, 1]]], bool)


def test_overlaps_by_hand():
    assert overlap.overlap(A, B).tolist() == [2, 0]
    assert overlap.expected_overlap(A, B).tolist() == [1.5, 1.5]
    mean, by_chance = overlap.matrices({"a": A, "b": B})
    assert mean.loc["a", "b"] == 1 and mean.loc["a", "a"] == 3
    assert np.isclose(by_chance.loc["a", "b"], overlap.expected_overlap(A, B).mean())


def test_with_one_seed_the_p_value_is_hypergeometric():
    shared = [len({0, 1, 2} & set(drawn)) for drawn in combinations(range(6), 3)]
    exact = np.mean([number >= 2 for number in shared])
    test = overlap.permutation_test(A[:1], B[:1], draws=20_000)
    assert test.p == pytest.approx(exact, abs=0.02)


def test_five_copies_of_a_seed_are_no_more_evidence_than_one():
    one = overlap.permutation_test(A[:1], A[:1], draws=5000).p
    five = overlap.permutation_test(np.repeat(A[:1], 5, 0), np.repeat(A[:1], 5, 0), draws=5000).p
    assert one == pytest.approx(five, abs=0.02) == pytest.approx(1 / 20, abs=0.02)


def test_units_kept_by_equally_many_seeds_can_still_be_shuffled():
    masks = np.eye(3, dtype=bool)[:, None]  # seed s keeps unit s alone
    test = overlap.permutation_test(masks, masks, draws=5000)
    assert test.observed == 1 and test.expected == pytest.approx(1 / 3, abs=0.02)
    assert test.p == pytest.approx(1 / 6, abs=0.02), "one of the six orders of three units"


def test_nan_where_no_shuffle_changes_the_overlap():
    full_then_empty = np.stack([np.ones((1, 6), bool), np.zeros((1, 6), bool)])
    assert np.isnan(overlap.permutation_test(A, full_then_empty)).all()
    assert np.isnan(overlap.permutation_test(A, np.ones_like(A))).all()
    mlps = np.array([[1, 1, 0], [0, 1, 1]], bool)
    assert np.isnan(overlap.permutation_test(mlps, mlps, within_layers=True)).all()
    assert np.isfinite(overlap.permutation_test(mlps, mlps).p)


def _task(draw, profile, common=None):
    """Masks [3 seeds, 6, 12] whose seeds have much in common; profile: what a layer keeps."""
    core = draw.random((6, 12)) < profile
    masks = np.where(draw.random((3, 6, 12)) < 0.7, core, draw.random((3, 6, 12)) < profile)
    return masks if common is None else np.where(draw.random((3, 6, 12)) < 0.5, common, masks)


def test_a_layer_profile_that_tasks_share_rejects_only_over_all_layers():
    draw, profile = np.random.default_rng(0), np.linspace(0.95, 0.15, 6)[:, None]
    rejected = []
    for _ in range(200):
        pair = _task(draw, profile), _task(draw, profile)
        tests = [overlap.permutation_test(*pair, draws=200, within_layers=w) for w in (False, True)]
        rejected.append([test.p < 0.05 for test in tests])
    over_all, within = np.mean(rejected, axis=0)
    assert over_all > 0.9 and within < 0.08


def test_heads_that_tasks_share_are_found_within_layers():
    draw, profile = np.random.default_rng(1), np.linspace(0.95, 0.15, 6)[:, None]
    found = []
    for _ in range(50):
        common = draw.random((6, 12)) < 0.5
        pair = _task(draw, profile, common), _task(draw, profile, common)
        found.append(overlap.permutation_test(*pair, draws=200, within_layers=True).p < 0.05)
    assert np.mean(found) > 0.9


def test_the_table_has_both_tests_each_corrected_over_the_pairs():
    draw = np.random.default_rng(2)
    masks = {task: _task(draw, 0.5) for task in "abc"}
    table = overlap.table(masks, draws=200)
    assert list(table.columns[-4:]) == [
        "p", "p (Holm)", "p within layers", "p within layers (Holm)",
    ]  # fmt: skip
    for name in ("p", "p within layers"):
        assert table[f"{name} (Holm)"].to_numpy() == pytest.approx(overlap.holm(table[name]))
    within = overlap.permutation_test(masks["a"], masks["b"], draws=200, within_layers=True)
    assert table["p within layers"][0] == within.p
    assert overlap.table(dict(list(masks.items())[:1])).empty


def test_full_and_empty_masks_give_nan_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        masks = {"a": A, "all": np.ones_like(A), "none": np.zeros_like(A)}
        table = overlap.table(masks)
        apart = overlap.distances({**masks, "b": B})
        assert np.isnan(overlap.seeds_agree(apart[:1])).all()
        assert np.isnan(overlap.seeds_agree(apart[:, :3, :3])).all()
    assert table["p"].isna().all() and table["p (Holm)"].isna().all()
    assert (table["excess"] == 0).all()
    assert (apart[:, 1, 2] == 1).all() and (np.diagonal(apart, axis1=1, axis2=2) == 0).all()


def test_masks_of_different_models_are_refused():
    with pytest.raises(ValueError, match="have shapes .* the same model"):
        overlap.overlap(A, B[:, :, :5])


def test_seeds_agree_on_two_families_of_tasks_but_not_on_noise():
    draw = np.random.default_rng(0)
    tasks, families = "abcdef", {}
    for number, task in enumerate(tasks):  # a b c share one hidden mask, d e f another
        core = np.random.default_rng(number // 3).random((6, 12)) < 0.5
        families[task] = np.stack(
            [
                np.where(draw.random((6, 12)) < 0.8, core, draw.random((6, 12)) < 0.5)
                for _ in range(4)
            ]
        )
    noise = {task: draw.random((4, 6, 12)) < 0.5 for task in tasks}
    correlation, p = overlap.seeds_agree(overlap.distances(families))
    assert correlation > 0.5 and p < 0.01
    assert overlap.seeds_agree(overlap.distances(noise))[1] > 0.05
    tree = overlap.clusters(overlap.distances(families))
    assert {frozenset(map(int, tree[i, :2])) for i in range(4)} != set() and tree[-1, 3] == 6
    groups = {int(n) for n in tree[-1, :2]}  # the last two groups to be joined, of three tasks each
    assert all(tree[g - 6, 3] == 3 for g in groups)


def test_the_correlation_of_two_seeds_is_spearmans():
    from scipy.stats import spearmanr

    apart = np.random.default_rng(3).random((2, 5, 5))
    apart += apart.swapaxes(1, 2)
    upper = np.triu_indices(5, 1)
    expected = spearmanr(apart[0][upper], apart[1][upper]).statistic
    assert overlap.seeds_agree(apart, draws=10)[0] == pytest.approx(expected)


def test_tasks_of_one_kind_are_told_from_tasks_whose_kind_does_not_matter():
    draw = np.random.default_rng(0)
    bases, noise = draw.random((2, 12, 12)), 0.15
    kinds = {task: "aaaabbbb"[n] for n, task in enumerate("stuvwxyz")}

    def masks_by(chosen):
        return {
            task: np.stack([base + draw.normal(0, noise, base.shape) < 0.5 for _ in range(3)])
            for task, base in zip(kinds, chosen, strict=True)
        }

    by_kind = masks_by([bases["ab".index(kind)] for kind in kinds.values()])
    same, other, p = overlap.of_one_kind(by_kind, kinds)
    assert same > other + 0.3 and p < 0.05
    assert overlap.of_one_kind(masks_by([bases[0]] * 8), kinds).p > 0.05
    against = overlap.of_one_kind(by_kind, {task: "ab"[n % 2] for n, task in enumerate(kinds)})
    assert against.same < against.other and against.p > 0.5
    kappa = 1 - overlap.distances(by_kind).mean(0)
    by_hand = [kappa[i, j] for i in range(8) for j in range(i) if (i < 4) == (j < 4)]
    assert same == pytest.approx(np.mean(by_hand))
    with_an_empty_one = by_kind | {"e": np.zeros((3, 12, 12), bool)}
    assert overlap.of_one_kind(with_an_empty_one, {**kinds, "e": "a"}) == (same, other, p)


def test_kinds_cannot_be_compared_if_there_is_one_or_if_all_differ():
    draw = np.random.default_rng(0)
    three = {task: draw.random((2, 4, 4)) < 0.5 for task in ("CoLA", "MRPC", "RTE")}
    assert np.isnan(overlap.of_one_kind(three)).all()
    assert np.isnan(overlap.of_one_kind({"MNLI": three["RTE"], "RTE": three["RTE"]})).all()
    assert np.isnan(overlap.of_one_kind({})).all()
    assert not np.isnan(overlap.of_one_kind(three | {"QNLI": three["RTE"]})).any()
