import numpy as np
import pytest
import torch

from lib.model.classifier import example_losses
from lib.pruning import gates, importance
from lib.pruning.importance import Importance
from lib.pruning.masks import Mask
from lib.tickets.finetuned import FineTuned


def losses(model, data, heads, mlps):
    inputs, labels = data.batch(range(len(data)))
    with torch.no_grad(), gates.gated(model, torch.tensor(heads), torch.tensor(mlps)):
        return example_losses(model(**inputs), labels).numpy()


def test_gradients_against_finite_differences(tiny):
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


def test_one_backward_pass_equals_a_loop_over_single_examples(tiny):
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
        alone = np.concatenate(
            [(by_xi * xi).flatten().detach(), (by_nu * nu).detach()]
        )  # masked units are not there
        assert np.allclose(measured.gradients[row], alone, atol=1e-6)
        assert np.allclose(measured.logits[row], output.detach(), atol=1e-6)


def test_a_masked_out_layer_and_nothing_at_all(tiny):
    model, data = tiny
    heads = np.ones((3, 4), bool)
    heads[2] = False
    gradients = importance.measure(model, data, Mask(heads, [True, True, False])).gradients
    assert (
        (gradients[:, 8:12] == 0).all()
        and (gradients[:, 14] == 0).all()
        and (gradients[:, :8] != 0).any(0).all()
    )
    empty = importance.measure(model, data, Mask(np.zeros((3, 4)), np.zeros(3)))
    assert (empty.gradients == 0).all() and np.isfinite(empty.logits).all()


@pytest.mark.parametrize(
    "verdicts", ["yes", "no", "no, then yes", "yes, then no", "by turns, then yes"]
)
def test_gradients_wait_while_the_logits_do_not_deserve_them(tiny, monkeypatch, verdicts):
    model, data = tiny
    monkeypatch.setattr(importance, "evaluation_batch_size", lambda device: 5)
    monkeypatch.setattr(importance, "ENOUGH", 10)
    mask, asked = Mask.full(3, 4), []
    plain = importance.measure(model, data, mask)

    def wants_gradients(logits, rows):
        asked.append(len(rows))
        assert np.array_equal(logits, plain.logits[list(rows)])
        so_far, _, in_the_end = verdicts.partition(", then ")
        if len(asked) > 4:
            return (in_the_end or so_far) == "yes"
        return so_far == "yes" or (so_far == "by turns" and len(asked) % 2 == 1)

    measured = importance.measure(model, data, mask, wants_gradients)
    assert asked == [10, 15, 20, 24, 24]
    assert np.array_equal(measured.logits, plain.logits)
    if verdicts.endswith("yes"):
        assert np.array_equal(measured.gradients, plain.gradients)
    else:
        assert measured.gradients is None


def test_measuring_leaves_the_model_trainable_and_equal(tiny):
    model, data = tiny
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    importance.measure(model, data, Mask.full(3, 4))
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_three_estimators_in_the_head():
    # two units, four examples, batches of two
    gradients = np.array([[1.0, 1], [-1, 1], [2, 1], [-4, 3]])
    assert np.allclose(importance.per_example(gradients), [2, 1.5])
    assert np.allclose(
        importance.per_batch(gradients, 2), [(0 + 1) / 2, (1 + 2) / 2]
    )  # batch means 0, -1 and 1, 2
    assert np.allclose(
        importance.running(gradients, 2), [(0 + 1) / 2, (1 + 3) / 2]
    )  # running sums 0, -1 and 1, 3


def test_only_per_example_ignores_the_order_of_rows():
    gradients = np.random.default_rng(0).normal(size=(300, 5))
    shuffled = np.random.default_rng(1).permutation(gradients)
    assert np.allclose(importance.per_example(gradients), importance.per_example(shuffled))
    assert not np.allclose(importance.running(gradients), importance.running(shuffled))


def test_importance_has_the_shapes_of_the_units():
    scores = importance.importance(np.arange(15.0).reshape(1, 15), 3, 4)
    assert scores.heads.tolist() == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10, 11],
    ] and scores.mlps.tolist() == [
        12,
        13,
        14,
    ]
    with pytest.raises(ValueError, match="'runing'.*per_example, per_batch, running"):
        importance.importance(np.ones((1, 15)), 3, 4, "runing")


def test_normalising_in_the_head():
    scores = Importance(np.array([[3.0, 4], [0, 0], [6, 8]]), np.array([7.0, 8, 9]))
    assert np.allclose(importance.normalise(scores).heads, [[0.6, 0.8], [0, 0], [0.6, 0.8]])
    assert np.allclose(
        importance.normalise(scores, "l2_minmax").heads, [[0.75, 1], [0, 0], [0.75, 1]]
    )
    assert importance.normalise(scores, "none") is scores
    assert importance.normalise(scores).mlps.tolist() == [7, 8, 9]


def test_a_subnetwork_is_measured_as_far_as_its_score_deserves(tiny):
    model, data = tiny
    subject, mask = FineTuned("SST-2", model, data, float("nan")), Mask.full(3, 4)
    score, gradients = subject.measure(mask)
    assert score == subject.score_of(mask)
    assert np.array_equal(gradients, importance.measure(model, data, mask).gradients)
    at_floor, above = subject.measure(mask, score), subject.measure(mask, np.nextafter(score, 2))
    assert at_floor[0] == above[0] == score
    assert np.array_equal(at_floor[1], gradients) and above[1] is None
