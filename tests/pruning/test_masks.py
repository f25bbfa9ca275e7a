from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.pruning.masks import Mask, WeightMask


def test_a_mask_is_a_frozen_value():
    heads = np.ones((2, 3), bool)
    mask = Mask(heads, [1, 0])
    heads[0, 0] = False
    assert mask.heads[0, 0], "the mask holds a copy of the caller's array"
    with pytest.raises(ValueError, match="read-only"):
        mask.heads[0, 0] = False
    assert mask == Mask([[1, 1, 1], [1, 1, 1]], [True, False])
    assert len({mask, Mask(mask.heads, mask.mlps), Mask.full(2, 3)}) == 2
    assert (mask.n_heads, mask.n_mlps, str(mask)) == (6, 1, "6 of 6 heads, 1 of 2 MLPs")


@pytest.mark.parametrize(
    ("heads", "mlps", "message"),
    [
        ([[1, 0.5]], [1], "0.5"),
        ([1, 0], [1], r"heads must have 2 dimension\(s\), not shape \(2,\)"),
        ([[1, 0]], [1, 1], "heads has 1 layers but mlps has 2"),
        ([[1, np.nan]], [1], "nan"),
    ],
)
def test_a_wrong_mask_raises(heads, mlps, message):
    with pytest.raises(ValueError, match=message):
        Mask(heads, mlps)


def test_share_of_weights_by_hand():
    # d = 4, two heads of width 2, intermediate 8: a head has 4·4·2 = 32 weights, an MLP 2·4·8 = 64
    mask = Mask([[1, 0]], [0])
    assert mask.share_of_weights(4, 8) == 32 / (2 * 32 + 64)
    assert Mask.full(3, 2).share_of_weights(4, 8) == 1


@given(
    st.lists(st.booleans(), min_size=1, max_size=40),
    st.lists(st.booleans(), min_size=1, max_size=9),
)
def test_a_weight_mask_keeps_every_bit(first, second):
    arrays = {"a": np.array(first), "b": np.array(second)[None]}
    mask = WeightMask.of(arrays)
    assert all(np.array_equal(mask[name], array) for name, array in arrays.items())
    assert (mask.size, mask.kept) == (len(first) + len(second), sum(first) + sum(second))
    assert WeightMask.from_tensors(*mask.to_tensors()) == mask
    assert repr(mask) == f"{mask.kept} of {mask.size} weights", "repr shows the size, not the bits"


def test_a_weight_mask_is_a_mapping_that_compares_by_value():
    arrays = {"a": np.array([True, False]), "b": np.array([[False]])}
    mask = WeightMask.of(arrays)
    assert isinstance(mask, Mapping) and len(mask) == 2 and list(mask) == ["a", "b"]
    assert "a" in mask and "c" not in mask and mask.get("c") is None
    assert all(np.array_equal(array, arrays[name]) for name, array in mask.items())
    assert mask == WeightMask.of(arrays) and mask != arrays and arrays != mask
    assert mask != WeightMask.of({**arrays, "a": np.array([True, True])})
    assert mask and not WeightMask.of({}), "like any mapping, false only without parameters"
    assert WeightMask.of({"a": np.zeros(2, bool)}), "a mask that keeps nothing is true"
    with pytest.raises(TypeError, match="unhashable"):
        hash(mask)
