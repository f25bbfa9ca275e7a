from typing import get_args

import numpy as np
import pytest
import torch

from lib.model.batches import evaluation_batches
from lib.model.classifier import example_losses
from lib.pruning import gates, importance
from lib.pruning.importance import Importance
from lib.pruning.masks import Mask
from lib.tickets.finetuned import FineTuned


def losses(model, data, heads, mlps):
    inputs, labels = data.batch(range(len(data)))
    with torch.no_grad(), gates.gated(model, torch.tensor(heads), torch.tensor(mlps)):
        return example_losses(model(**inputs), labels).numpy()


def test_gradients_equal_finite_differences(tiny):
    model, data = tiny
    measured = importance.measure(model, data, Mask.full(3, 4))
    assert measured.gradients.shape == (24, 3 * 4 + 3)
    for unit in range(15):
        ends = []
        for step in (1e-6, -1e-6):
            heads, mlps = np.ones((3, 4)), np.ones(3)
            (heads.reshape(-1) if unit < 12 else mlps)[unit % 12] += step
            ends.append(losses(model, data, heads, mlps))
        assert np.allclose((ends[0] - ends[1]) / 2e-6, measured.gradients[:, unit], atol=1e-6)


def test_one_backward_pass_gives_the_same_as_a_loop_over_examples(tiny):
    model, data = tiny
    draw = np.random.default_rng(0)
    mask = Mask(draw.random((3, 4)) > 0.3, [True, True, False])
    measured = importance.measure(model, data, mask)
    for row in range(len(data)):
        inputs, labels = data.batch([row])
        xi = torch.tensor(mask.heads, dtype=torch.double, requires_grad=True)
        nu = torch.tensor(mask.mlps, dtype=torch.double, requires_grad=True)
        with gates.gated(model, xi, nu):
            output = model(**inputs)
        by_xi, by_nu = torch.autograd.grad(example_losses(output, labels).sum(), (xi, nu))
        # times the gates: masked units are removed, so `measure` gives them 0
        alone = np.concatenate([(by_xi * xi).flatten().detach(), (by_nu * nu).detach()])
        assert np.allclose(measured.gradients[row], alone, atol=1e-6)
        assert np.allclose(measured.logits[row], output.detach(), atol=1e-6)


def test_masked_units_have_gradient_0(tiny):
    model, data = tiny
    heads = np.ones((3, 4), bool)
    heads[2] = False
    gradients = importance.measure(model, data, Mask(heads, [True, True, False])).gradients
    assert (gradients[:, 8:12] == 0).all() and (gradients[:, 14] == 0).all()
    assert (gradients[:, :8] != 0).any(0).all()
    empty = importance.measure(model, data, Mask(np.zeros((3, 4)), np.zeros(3)))
    assert (empty.gradients == 0).all() and np.isfinite(empty.logits).all()


@pytest.mark.parametrize(
    "answers", ["yes", "no", "no, then yes", "yes, then no", "alternating, then yes"]
)
def test_gradients_are_skipped_at_first_and_computed_later(tiny, monkeypatch, answers):
    """answers: what wants_gradients says while batches run, then what it says about all rows."""
    model, data = tiny
    monkeypatch.setattr(importance, "evaluation_batch_size", lambda device: 5)
    monkeypatch.setattr(importance, "ENOUGH", 10)
    mask, asked = Mask.full(3, 4), []
    plain = importance.measure(model, data, mask)

    def wants_gradients(logits, rows):
        asked.append(len(rows))
        assert np.array_equal(logits, plain.logits[list(rows)])
        at_first, _, in_the_end = answers.partition(", then ")
        if len(asked) > 4:
            return (in_the_end or at_first) == "yes"
        return at_first == "yes" or (at_first == "alternating" and len(asked) % 2 == 1)

    measured = importance.measure(model, data, mask, wants_gradients)
    assert asked == [10, 15, 20, 24, 24]
    assert np.array_equal(measured.logits, plain.logits)
    if answers.endswith("yes"):
        assert np.array_equal(measured.gradients, plain.gradients)
    else:
        assert measured.gradients is None


def test_measuring_does_not_change_the_model(tiny):
    model, data = tiny
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    importance.measure(model, data, Mask.full(3, 4))
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_estimators_by_hand():
    # two units, four examples, batches of two
    gradients = np.array([[1.0, 1], [-1, 1], [2, 1], [-4, 3]])
    assert np.allclose(importance.example(gradients), [2, 1.5])
    assert np.allclose(importance.example_squared(gradients), [5.5, 3])
    # batch means: 0, -1 for one unit and 1, 2 for the other
    assert np.allclose(importance.batch(gradients, 2), [(0 + 1) / 2, (1 + 2) / 2])
    assert np.allclose(importance.batch_squared(gradients, 2), [(0 + 1) / 2, (1 + 4) / 2])
    # running sums: 0, -1 and 1, 3
    assert np.allclose(importance.running(gradients, 2), [(0 + 1) / 2, (1 + 3) / 2])
    assert np.allclose(importance.signed(gradients), [0.5, -1.5])
    assert np.allclose(importance.token(np.abs(gradients)), [2, 1.5])


def test_the_batch_decides_what_its_squares_measure():
    gradients = np.random.default_rng(0).normal(0.1, 1, (64_000, 1))
    for size in (1, 8, 64):
        expected = 0.1**2 + 1 / size
        assert importance.batch_squared(gradients, size) == pytest.approx(expected, rel=0.1)


def test_estimators_are_listed_once():
    assert tuple(importance.ESTIMATORS) == get_args(importance.Estimator)


def test_tokens_have_gates_of_their_own(tiny):
    """Their derivatives add up to the example's, and their absolute values to at least as much."""
    model, data = tiny
    draw = np.random.default_rng(0)
    mask = Mask(draw.random((3, 4)) > 0.3, [True, True, False])
    plain = importance.measure(model, data, mask)
    measured = importance.measure(model, data, mask, tokens=True)
    assert np.allclose(measured.gradients, plain.gradients, atol=1e-6)
    assert np.allclose(measured.logits, plain.logits, atol=1e-6)
    assert (measured.token_sums >= np.abs(measured.gradients) - 1e-6).all()
    assert (measured.token_sums > np.abs(measured.gradients) + 1e-6).any()
    assert plain.token_sums is None and plain.rows_for("token") is None
    assert measured.rows_for("token") is measured.token_sums
    assert measured.rows_for("running") is measured.gradients


def test_a_tokens_derivative_equals_a_finite_difference(tiny):
    model, data = tiny
    inputs, labels = data.batch([0])
    length = inputs["input_ids"].shape[1]
    total = 0.0
    for token in range(length):
        ends = []
        for step in (1e-6, -1e-6):
            heads = torch.ones(1, length, 3, 4, dtype=torch.double)
            heads[0, token, 1, 2] += step
            with torch.no_grad(), gates.gated(model, heads, torch.ones(3, dtype=torch.double)):
                ends.append(example_losses(model(**inputs), labels).item())
        total += abs(ends[0] - ends[1]) / 2e-6
    sums = importance.measure(model, data, Mask.full(3, 4), tokens=True).token_sums
    assert sums[0, 1 * 4 + 2] == pytest.approx(total, abs=1e-5)


def test_the_order_of_rows_matters_to_running_but_not_to_example():
    gradients = np.random.default_rng(0).normal(size=(300, 5))
    shuffled = np.random.default_rng(1).permutation(gradients)
    assert np.allclose(importance.example(gradients), importance.example(shuffled))
    assert not np.allclose(importance.running(gradients), importance.running(shuffled))


def test_importance_has_the_shapes_of_the_units():
    scores = importance.importance(np.arange(15.0).reshape(1, 15), 3, 4)
    assert scores.heads.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert scores.mlps.tolist() == [12, 13, 14]
    with pytest.raises(ValueError, match="'runing'.*example, .*running"):
        importance.importance(np.ones((1, 15)), 3, 4, "runing")


def test_normalising_by_hand():
    scores = Importance(np.array([[3.0, 4], [0, 0], [6, 8]]), np.array([7.0, 8, 9]))
    assert np.allclose(importance.normalise(scores).heads, [[0.6, 0.8], [0, 0], [0.6, 0.8]])
    assert np.allclose(
        importance.normalise(scores, "l2_minmax").heads, [[0.75, 1], [0, 0], [0.75, 1]]
    )
    assert importance.normalise(scores, "none") is scores
    assert importance.normalise(scores).mlps.tolist() == [7, 8, 9]
    with pytest.raises(ValueError, match="'l1'; it can be 'l2', 'l2_minmax' or 'none'"):
        importance.normalise(scores, "l1")


def test_a_subnetwork_under_the_floor_has_no_gradients(tiny):
    model, data = tiny
    subject, mask = FineTuned("SST-2", model, data, float("nan")), Mask.full(3, 4)
    score, measured = subject.measure(mask)
    assert score == subject.score_of(mask)
    assert np.array_equal(measured.gradients, importance.measure(model, data, mask).gradients)
    at_floor, above = subject.measure(mask, score), subject.measure(mask, np.nextafter(score, 2))
    assert at_floor[0] == above[0] == score
    assert np.array_equal(at_floor[1].gradients, measured.gradients)
    assert above[1].gradients is None


def test_a_mask_that_passes_is_computed_once(tiny):
    """No batch runs twice if every score passes, also before there are enough rows to ask."""
    model, data = tiny
    batches = len(list(evaluation_batches(data.lengths, 16)))
    passes = []
    hook = model.classifier.register_forward_hook(lambda *_: passes.append(1))
    try:
        mask = Mask.full(*gates.shape(model))
        for wants_gradients in (None, lambda _logits, _rows: True):
            passes.clear()
            importance.measure(model, data, mask, wants_gradients)
            assert len(passes) == batches
    finally:
        hook.remove()
