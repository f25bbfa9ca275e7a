import numpy as np
import pytest

from lib.model.batches import evaluation_batches
from lib.model.device import evaluation_batch_size
from lib.pruning import gates, removal
from lib.pruning.masks import Mask
from lib.tickets.finetuned import FineTuned


def _without(mask: Mask, layer: int, unit: int) -> Mask:
    heads, mlps = mask.heads.copy(), mask.mlps.copy()
    if unit < heads.shape[1]:
        heads[layer, unit] = False
    else:
        mlps[layer] = False
    return Mask(heads, mlps)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("layer", range(3))
def test_removing_a_unit_is_masking_it(tiny, layer, whole):
    model, data = tiny
    subject = FineTuned("SST-2", model, data, float("nan"))
    heads = np.ones((3, 4)) if whole else np.eye(3, 4) + np.eye(3, 4, 1)
    mask = Mask(heads, [True, True, whole])
    logits = removal.logits_without(model, data, mask, layer)
    assert logits.shape == (6, len(data), 2)
    *without, with_all = logits
    _, measured = subject.measure(mask)
    assert np.allclose(with_all, measured.logits, atol=1e-6)
    for unit in range(5):
        if (mask.heads[layer, unit] if unit < 4 else mask.mlps[layer]) == 0:
            assert np.isnan(without[unit]).all(), "it had gone before"
        else:
            _, alone = subject.measure(_without(mask, layer, unit))
            assert np.allclose(without[unit], alone.logits, atol=1e-6)
            assert not np.allclose(without[unit], with_all, atol=1e-4)


def test_layers_below_are_computed_once_for_a_batch(tiny):
    model, data = tiny
    calls = []
    bottom = gates.encoder_layers(model)[0]
    before = type(bottom).forward
    try:
        type(bottom).forward = lambda self, *a, **k: calls.append(1) or before(self, *a, **k)
        removal.logits_without(model, data, Mask.full(3, 4), layer=2)
    finally:
        type(bottom).forward = before
    # each batch: all three layers with all units, then the last one without each of its five
    batches = len(list(evaluation_batches(data.lengths, evaluation_batch_size(model.device))))
    assert len(calls) == batches * (3 + 5)
    assert "forward" not in vars(bottom), "the model is as it was"


def test_units_are_where_the_gradients_have_them():
    assert removal.units_of(1, 3, 4).tolist() == [4, 5, 6, 7, 13]
    everywhere = np.concatenate([removal.units_of(layer, 3, 4) for layer in range(3)])
    assert sorted(everywhere) == list(range(15))


def test_changes_and_effects_by_hand():
    labels = np.array([0.0, 0.0], np.float32)  # regression: the loss is the squared output
    logits = np.array([[[2.0], [1]], [[np.nan], [np.nan]], [[1], [2]]], np.float32)
    changes = removal.loss_changes(logits, labels)
    assert changes[:, 0].tolist() == [3, -3] and np.isnan(changes[:, 1]).all()
    found = removal.effect(changes)
    assert found.net[0] == 0 and found.moved[0] == 3
    assert found.net_error[0] == pytest.approx(np.std([3, -3], ddof=1) / np.sqrt(2))
    assert found.moved_error[0] == 0 and np.isnan(found.net[1])
