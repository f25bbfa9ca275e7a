import numpy as np

from lib.analysis import survival

THREE = np.array([[[1, 0], [1, 1]], [[1, 1], [0, 1]], [[1, 0], [0, 1]]], bool)


def test_survival_by_hand():
    mean, deviation = survival.survival(THREE)
    assert np.allclose(mean, [[1, 1 / 3], [1 / 3, 1]])
    assert np.allclose(deviation, [[0, np.sqrt(1 / 3)], [np.sqrt(1 / 3), 0]])
    assert np.isnan(survival.survival(THREE[:1])[1]).all(), "one seed has no deviation"


def test_super_survivors_against_chance():
    assert survival.super_survivors(THREE).tolist() == [[True, False], [False, True]]
    assert survival.expected_super_survivors(THREE) == 4 * (3 / 4) * (3 / 4) * (2 / 4)
    draw = np.random.default_rng(0)
    counts = [
        survival.super_survivors(draw.permuted(THREE.reshape(3, 4), axis=1)).sum()
        for _ in range(4000)
    ]
    assert abs(np.mean(counts) - survival.expected_super_survivors(THREE)) < 0.05
    assert survival.expected_super_survivors(np.zeros((3, 2, 2))) == 0
