import numpy as np

from lib.analysis import survival
from lib.pruning.masks import WeightMask

THREE = np.array([[[1, 0], [1, 1]], [[1, 1], [0, 1]], [[1, 0], [0, 1]]], bool)


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


def test_surviving_shares_by_hand():
    # one layer, two heads of width 1, d = 2, intermediate 2
    at = "encoder.layer.0"
    row = np.array([[True, True], [False, False]])  # head 0 keeps its row, head 1 loses it
    kept = {f"{at}.attention.self.{name}.weight": row for name in ("query", "key", "value")}
    # column 0 keeps one of two weights, column 1 none
    kept[f"{at}.attention.output.dense.weight"] = np.array([[True, False], [False, False]])
    kept[f"{at}.intermediate.dense.weight"] = np.array([[True, True], [True, False]])
    kept[f"{at}.output.dense.weight"] = np.array([[False, False], [False, True]])
    heads, mlps = survival.surviving_shares(WeightMask.of(kept), 1, 2)
    assert np.allclose(heads, [[(3 + 0.5) / 4, 0]])
    assert np.allclose(mlps, [4 / 8])
