import copy
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from lib.analysis import attention, drawn_maps, patterns
from lib.analysis.drawn_maps import CLASSES
from lib.data import sources
from lib.model import batches
from lib.pruning import gates
from lib.pruning.masks import Mask


def test_maps_equal_the_models_own_attention(tiny):
    # a copy, because output_attentions leaves hooks behind in the model
    model, data = copy.deepcopy(tiny[0]), tiny[1]
    model.encoder.set_attn_implementation("eager")
    # maps are made one row at a time, so endless rows are fine
    endless = attention.maps(model, data, itertools.cycle((0, 3)))
    for row, (raw, _) in zip((0, 3), endless, strict=False):
        inputs, _ = data.batch([row])
        with torch.no_grad():
            theirs = model.encoder(**inputs, output_attentions=True).attentions
        assert np.allclose(raw, torch.cat(theirs), atol=1e-6)
        assert np.allclose(raw.sum(-1), 1, atol=1e-6)
    whole = list(attention.maps(tiny[0], data, [0]))
    assert whole and not any(module._forward_pre_hooks for module in tiny[0].modules()), (
        "attention.maps leaves no hooks behind"
    )


def test_a_sentence_of_ones_own_has_its_tokens_and_the_maps_of_that_row(tiny):
    model, _ = tiny
    _, tokenizer, _ = sources.encoder("tiny", ["tiny"])
    row = sources.rows("SST-2", ["tiny"]).dev[0]
    tokens, raw, normed = attention.of_sentence(model, tokenizer, row["sentence1"])
    expected = next(attention.maps(model, batches.encode([row], tokenizer), [0]))
    assert tokens[0] == "[CLS]" and tokens[-1] == "[SEP]"
    assert raw.shape == normed.shape == (3, 4, len(tokens), len(tokens))
    assert np.array_equal(raw, expected[0]) and np.array_equal(normed, expected[1])


def test_normed_maps_are_the_lengths_of_what_each_head_adds(tiny):
    """The sum of the vectors α f(x) is what a head adds to the output."""
    model, _ = tiny
    layer = gates.encoder_layers(model)[1]
    states = torch.randn(
        7,
        model.encoder.config.hidden_size,
        dtype=torch.double,
        generator=torch.Generator().manual_seed(0),
    )
    with torch.no_grad():
        context = layer.attention.self(states.unsqueeze(0))[0][0]
        raw, normed = attention.of_layer(layer, states, context)
        value = layer.attention.self.value(states).view(7, 4, -1)
        for head in range(4):
            part = slice(head * value.shape[-1], (head + 1) * value.shape[-1])
            # without the projection's bias, which belongs to no head
            f = value[:, head] @ layer.attention.output.dense.weight[:, part].T
            assert torch.allclose(normed[head], (raw[head][..., None] * f).norm(dim=-1))


def test_inside_masked_the_maps_are_the_subnetworks(tiny):
    model, data = tiny
    mask = Mask(np.array([[1, 0, 0, 1]] * 3, bool), np.array([1, 0, 1], bool))
    (whole, _), before = next(attention.maps(model, data, [2])), dict(model.named_parameters())
    with gates.masked(model, mask):
        inside, _ = next(attention.maps(model, data, [2]))
    assert np.array_equal(whole[0], inside[0]), "nothing is masked below the first layer"
    assert not np.allclose(whole[1:], inside[1:])
    assert np.array_equal(whole, next(attention.maps(model, data, [2]))[0])
    assert before.keys() == dict(model.named_parameters()).keys()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from(["raw", "normed"]), st.integers(1, 12))
def test_drawn_maps_are_valid_repeatable_and_balanced(seed, kind, size):
    maps, classes = drawn_maps.batch(size, kind, np.random.default_rng(seed))
    again, _ = drawn_maps.batch(size, kind, np.random.default_rng(seed))
    assert maps.shape == (size, maps.shape[1], maps.shape[1]) and maps.dtype == np.float32
    assert np.array_equal(maps, again)
    assert np.isfinite(maps).all() and (maps >= 0).all() and (maps.max((1, 2)) > 0).all()
    if kind == "raw":
        assert np.allclose(maps.sum(-1), 1, atol=1e-5)
    counts = np.bincount(classes, minlength=len(CLASSES))
    assert counts.max() - counts.min() <= 1


def test_drawn_classes_look_like_their_names():
    draw = np.random.default_rng(0)
    by_class = {name: [] for name in CLASSES}
    for _ in range(40):
        maps, classes = drawn_maps.batch(10, "raw", draw)
        for drawn, c in zip(maps, classes, strict=True):
            by_class[CLASSES[c]].append(drawn)

    def near_diagonal(m):
        return np.abs(np.subtract.outer(range(len(m)), range(len(m)))) <= 3

    on_diagonal = {
        name: np.mean([m[near_diagonal(m)].sum() / len(m) for m in maps])
        for name, maps in by_class.items()
    }
    in_column = {
        name: np.mean([m.mean(0).max() * len(m) for m in maps]) for name, maps in by_class.items()
    }
    assert on_diagonal["diagonal"] == max(on_diagonal.values())
    assert on_diagonal["vertical+diagonal"] > 1.5 * on_diagonal["vertical"]
    assert in_column["vertical"] == max(in_column.values())
    assert in_column["vertical+diagonal"] > 2 * in_column["diagonal"]


def test_the_classifier_learns_in_a_few_steps_and_depends_only_on_its_seeds():
    def train():
        batches = patterns.drawn_batches(60, "raw", 0, size=15)
        return patterns.train(batches, 60, torch.Generator().manual_seed(0))

    model, again = train(), train()
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True)
    )
    test = [drawn_maps.batch(20, "raw", np.random.default_rng(1000 + n)) for n in range(10)]
    right = np.mean([(patterns.classify(model, maps) == classes).mean() for maps, classes in test])
    assert right > 0.4, f"accuracy is {right}, and chance is 0.2"
    first = test[0][0][:1]
    assert patterns.classify(model, first) == patterns.classify(model, 7 * first), (
        "each map is divided by its own largest value"
    )
    assert patterns.classify(model, np.ones((1, 4, 4))).shape == (1,)
    assert patterns.classify(model, np.zeros((2, 90, 90))).shape == (2,)


def test_the_labelled_maps_are_complete():
    for kind in ("raw", "normed"):
        maps, classes = patterns.labelled(kind)
        halves = [patterns.labelled(kind, part) for part in ("tuning", "test")]
        assert len(maps) == len(classes) == 96 == sum(len(half) for half, _ in halves)
        assert set(classes) == set(range(len(CLASSES)))
        assert all(
            m.ndim == 2 and m.shape[0] == m.shape[1] and 8 <= len(m) <= 64 and m.max() == 1
            for m in maps
        )


def test_only_the_given_heads_are_counted(tiny):
    model, data = tiny
    classifiers = {
        kind: patterns.PatternClassifier(torch.Generator().manual_seed(0))
        for kind in ("raw", "normed")
    }
    heads = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool)
    counts = patterns.count(model, data, range(5), classifiers, heads)
    assert counts.shape == (2, 3, 4, 5)
    assert np.array_equal(counts.sum(-1), np.broadcast_to(5 * heads, (2, 3, 4)))
    assert patterns.count(model, data, range(5), classifiers, np.zeros((3, 4), bool)).sum() == 0


def test_the_correlation_of_a_copy_is_1_and_of_a_constant_nan():
    draw = np.random.default_rng(0)
    survives = draw.random((3, 6, 12)) < 0.4
    found = patterns.correlation(survives, survives * 0.5 + 0.2, draws=500)
    assert found.r == pytest.approx(1) and found.p < 0.01
    assert found.low < found.expected < found.high < found.r
    assert np.isnan(patterns.correlation(np.ones((1, 3, 4)), draw.random((1, 3, 4)))).all()
    by_layer = np.repeat(draw.random((1, 6, 1)), 12, axis=2)
    layers_only = patterns.correlation(survives[:1], by_layer)
    assert np.isfinite(layers_only.r) and np.isnan(layers_only.p), "no shuffle changes anything"


def test_tasks_are_centred_before_they_are_pooled():
    """The task that keeps more heads has more of the pattern; within a task nothing correlates."""
    survives = np.array([[[1, 1, 1, 0]], [[1, 0, 0, 0]]], bool)
    shares = np.array([[[0.9, 0.8, 0.7, 0.8]], [[0.2, 0.1, 0.2, 0.3]]])
    assert np.corrcoef(survives.ravel(), shares.ravel())[0, 1] > 0.4
    assert patterns.correlation(survives, shares).r == pytest.approx(0, abs=1e-9)


TASKS, LAYERS, HEADS = 9, 6, 12
BASE = np.linspace(0.1, 0.9, TASKS)[:, None, None] + np.zeros((TASKS, LAYERS, HEADS))
DEPTH = np.linspace(0.9, 0.1, LAYERS)[None, :, None] + np.zeros((TASKS, LAYERS, HEADS))


def _base_rates(draw):
    """Tasks differ in both quantities; heads do not."""
    return draw.random(BASE.shape) < BASE, BASE / 2 + draw.normal(0, 0.1, BASE.shape)


def _trend(draw):
    """Both quantities fall with depth, in all tasks alike."""
    return draw.random(DEPTH.shape) < DEPTH, DEPTH / 2 + draw.normal(0, 0.1, DEPTH.shape)


def _same_heads(draw):
    """A head is much the same in all tasks, so tasks are no independent samples."""
    quality, habit = draw.normal(size=(2, 1, LAYERS, HEADS))
    survives = quality + draw.normal(0, 0.5, DEPTH.shape) > 0
    return survives, habit + draw.normal(0, 0.3, DEPTH.shape)


def _effect(draw):
    """A trend with depth, and heads whose pattern makes them survive."""
    habit = draw.normal(size=(1, LAYERS, HEADS))
    survives = DEPTH + 0.3 * habit + draw.normal(0, 0.3, DEPTH.shape) > 0.5
    return survives, DEPTH / 2 + 0.3 * habit + draw.normal(0, 0.3, DEPTH.shape)


@pytest.mark.parametrize(
    ("make", "least", "most"),
    [(_base_rates, 0, 0.08), (_trend, 0, 0.08), (_same_heads, 0, 0.08), (_effect, 0.9, 1)],
)
def test_how_often_the_correlation_is_called_significant(make, least, most):
    draw = np.random.default_rng(0)
    p_values = [patterns.correlation(*make(draw), draws=200).p for _ in range(300)]
    assert least <= np.mean(np.array(p_values) < 0.05) <= most


def test_the_interval_of_f1_covers_the_truth_and_grows_with_fewer_maps():
    shares = np.array([0.04, 0.55, 0.28, 0.03, 0.10])  # about those of our raw maps

    def labels_and_answers(number, draw):
        classes = draw.choice(5, number, p=shares)
        return classes, np.where(draw.random(number) < 0.75, classes, draw.integers(5, size=number))

    truth, *ends = patterns.weighted_f1(
        *labels_and_answers(50_000, np.random.default_rng(0)), draws=20
    )
    assert np.ptp(ends) < 0.02
    few = labels_and_answers(48, np.random.default_rng(1))
    assert patterns.weighted_f1(*few)[0] == pytest.approx(f1_score(*few, average="weighted"))
    draws = [np.random.default_rng([1, n]) for n in range(100)]
    found = [patterns.weighted_f1(*labels_and_answers(48, draw), draws=500) for draw in draws]
    assert 0.88 <= np.mean([low <= truth <= high for _, low, high in found]) <= 1
    assert 0.15 < np.mean([high - low for _, low, high in found]) < 0.3, "48 maps: about ±0.11"
    assert patterns.weighted_f1(np.arange(5), np.arange(5)) == (1, 1, 1)


def test_annotated_maps_in_the_authors_layout(tmp_path):
    draw = np.random.default_rng(0)
    labels = ["diagonal", "vertical", "Vertical_Diagonal", "block", "mixed"] * 3
    for table, data, header in (
        ("raw/labels.txt", "raw/for_training", ""),
        ("normed/attention_norm_annotated.tsv", "normed/data", "name\tlabel\n"),
    ):
        (tmp_path / data).mkdir(parents=True)
        (tmp_path / table).write_text(
            header + "".join(f"m{n}.npy\t{label}\n" for n, label in enumerate(labels))
        )
        for n in range(len(labels)):
            np.save(tmp_path / data / f"m{n}.npy", draw.random((10 + n % 2, 10 + n % 2)))
    for kind in ("raw", "normed"):
        maps, classes = patterns.annotated(str(tmp_path), kind)
        assert len(maps) == 15 and classes.tolist() == [0, 1, 2, 3, 4] * 3
    training, test = patterns.split(classes, 0)
    assert len(test) == 5 and set(classes[test]) == set(range(5)) and not set(training) & set(test)
    batches = list(
        patterns.batches_by_size(
            [maps[n] for n in training], classes[training], epochs=2, seed=0, size=4
        )
    )
    assert sum(len(c) for _, c in batches) == 20 and all(len(m) <= 4 for m, _ in batches)
    (tmp_path / "raw/labels.txt").write_text("m0\tzigzag\n")
    with pytest.raises(ValueError, match="labels.txt, line 1: the label is 'zigzag'"):
        patterns.annotated(str(tmp_path), "raw")
    with pytest.raises(
        ValueError, match="set annotated_dir to the folder head_classification_data"
    ):
        patterns.annotated(str(tmp_path / "raw"), "normed")
