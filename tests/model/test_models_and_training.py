"""The classifier, its recipes, batches, training and scoring, and the choice of device."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel

from lib.data import sources
from lib.data.glue import score
from lib.model import device, train
from lib.model.batches import encode, evaluation_batches, training_batches
from lib.model.classifier import SentenceClassifier, example_losses
from lib.model.device import best_device, onednn_is_exact, to_best_device
from lib.model.recipes import BERT, RECIPES, Recipe, recipe

FAST = RECIPES["tiny"]


def new_model(outputs=2, pooling="cls", seed=7):
    """(model, tokenizer): a tiny random encoder with a classifier."""
    encoder, tokenizer, _ = sources.encoder("tiny", ["tiny"])
    return SentenceClassifier(
        encoder, outputs, pooling, torch.Generator().manual_seed(seed)
    ), tokenizer


def test_cls_pooling_computes_what_transformers_classifier_does():
    config = BertConfig(
        vocab_size=40,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    theirs = BertForSequenceClassification(config).eval()
    encoder = BertModel(config)
    encoder.load_state_dict(theirs.bert.state_dict())
    ours = SentenceClassifier(encoder, 2, "cls", torch.Generator()).eval()
    ours.classifier.load_state_dict(theirs.classifier.state_dict())
    inputs = {
        "input_ids": torch.arange(4, 16).reshape(2, 6),
        "attention_mask": torch.tensor([[1] * 6, [1] * 4 + [0] * 2]),
    }
    with torch.no_grad():
        assert torch.allclose(ours(**inputs), theirs(**inputs).logits, atol=1e-6)


def test_bert_has_the_papers_recipe():
    assert recipe("bert-base-uncased") == BERT
    assert Recipe("cls", 2e-5, 1, 3, 32, 128, "mixed") == BERT


def test_padding_does_not_change_the_mean():
    model, tokenizer = new_model(pooling="mean")
    model.eval()
    rows = [
        {"sentence1": "the cat sleeps", "label": 0},
        {"sentence1": "the happy dog runs in the garden", "label": 1},
    ]
    data = encode(rows, tokenizer)
    with torch.no_grad():
        together, alone = model(**data.batch([0, 1])[0])[0], model(**data.batch([0])[0])[0]
    assert torch.allclose(together, alone, atol=1e-6)


def test_standardised_vectors_have_mean_0_and_variance_1():
    model, tokenizer = new_model(pooling="mean")
    data = encode(sources.rows("SST-2", ["tiny"]).train[:50], tokenizer)
    inputs = data.batch(range(50))[0]
    model.standardise(data)
    with torch.no_grad():
        vectors = (model.pooled(**inputs) - model.centre) / model.scale
    assert vectors.mean(0).abs().max() < 1e-5 and abs(vectors.square().mean() - 1) < 1e-4


def test_wrong_pooling_is_refused_with_its_name():
    encoder, *_ = sources.encoder("tiny", ["tiny"])
    with pytest.raises(ValueError, match="'max'; it can be 'cls' or 'mean'"):
        SentenceClassifier(encoder, 2, "max", torch.Generator())
    encoder.pooler = None
    with pytest.raises(ValueError, match="has no pooler.*use pooling 'mean'"):
        SentenceClassifier(encoder, 2, "cls", torch.Generator())


def test_example_losses_by_hand():
    logits = torch.tensor([[0.0, 0.0], [np.log(3.0), 0.0]], dtype=torch.double)
    assert torch.allclose(
        example_losses(logits, torch.tensor([0, 1])),
        torch.tensor([np.log(2.0), np.log(4.0)], dtype=torch.double),
    )
    assert example_losses(torch.tensor([[2.0], [1.0]]), torch.tensor([0.5, 1.0])).tolist() == [
        2.25,
        0,
    ]


def test_batches_hold_every_row_once_and_similar_lengths_together():
    lengths = np.random.default_rng(0).integers(3, 60, 1000)
    batches = training_batches(lengths, 16, torch.Generator().manual_seed(0))
    assert sorted(sum(batches, [])) == list(range(1000))
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded < 1.1 * lengths.sum()
    again = training_batches(lengths, 16, torch.Generator().manual_seed(0))
    other = training_batches(lengths, 16, torch.Generator().manual_seed(1))
    assert batches == again != other
    assert sorted(sum(evaluation_batches(lengths, 16), [])) == list(range(1000))


def test_rows_are_padded_only_to_the_longest_of_their_batch():
    _, tokenizer = new_model()
    rows = [
        {"sentence1": "cat", "sentence2": "dog", "label": 1.5},
        {"sentence1": "the cat", "sentence2": "dog", "label": 0.0},
    ]
    data = encode(rows, tokenizer)
    inputs, labels = data.batch([0, 1])
    assert inputs["attention_mask"].tolist() == [[1, 1, 1, 1, 1, 0], [1] * 6]
    assert inputs["token_type_ids"].tolist() == [[0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 1, 1]]
    assert labels.dtype == torch.float32 and labels.tolist() == [1.5, 0]
    assert data.batch([0])[0]["input_ids"].shape == (1, 5)
    assert data.row(1) == inputs["input_ids"][1].tolist()
    assert data.to("meta").batch([0, 1])[0]["input_ids"].device.type == "meta", (
        "batches are made on the device of the rows"
    )
    assert encode([{"sentence1": "cat " * 50, "label": 0}], tokenizer, 12).lengths.tolist() == [12]
    with pytest.raises(ValueError, match="no rows"):
        encode([], tokenizer)


def trained(seed):
    """(model, losses, dev set) after a short training."""
    model, tokenizer = new_model(seed=seed)
    text = sources.rows("SST-2", ["tiny"])
    losses = train.fit(model, encode(text.train[:200], tokenizer), FAST, seed)
    return model, losses, encode(text.dev, tokenizer)


def test_the_same_seed_gives_the_same_bits_and_restores_the_global_generator():
    before = torch.random.get_rng_state()
    (model, losses, _), (same, same_losses, _), (other, *_) = trained(1), trained(1), trained(2)
    assert torch.equal(torch.random.get_rng_state(), before), "the global generator is the user's"
    assert losses == same_losses
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), same.state_dict().values(), strict=True)
    )
    assert not torch.equal(model.classifier.weight, other.classifier.weight)
    assert losses[-1] < losses[0]


def test_predictions_are_in_the_order_of_the_rows():
    model, _, dev = trained(1)
    together = train.predict(model, dev)
    for row in (0, 57, len(dev) - 1):
        with torch.no_grad():
            assert np.allclose(model(**dev.batch([row])[0]), together[row], atol=1e-5)


def test_even_the_tiny_model_learns():
    model, tokenizer = new_model()
    text = sources.rows("SST-2", ["tiny"])
    train.fit(model, encode(text.train, tokenizer), FAST, 0)
    dev = encode(text.dev, tokenizer)
    assert score("SST-2", train.predict(model, dev), dev.labels) > 0.9


def test_the_weights_to_train_can_be_any_mapping_of_names_to_arrays():
    model, tokenizer = new_model()
    name = "encoder.encoder.layer.0.output.dense.weight"
    weight = model.get_parameter(name)
    kept = np.arange(weight.numel()).reshape(weight.shape) % 2 == 0
    data = encode(sources.rows("SST-2", ["tiny"]).train[:50], tokenizer)
    train.fit(model, data, FAST, 0, keep={name: kept})
    assert np.array_equal(weight.detach().numpy() != 0, kept)


def test_linear_decay_and_clipping_by_hand():
    # The gradient of the bias hardly changes, so each of AdamW's first steps is as large as the
    # learning rate, which falls from its peak to half of it.
    model, tokenizer = new_model()
    data = encode([{"sentence1": "cat", "label": 0}, {"sentence1": "dog", "label": 0}], tokenizer)
    before = model.classifier.bias.detach().clone()
    train.fit(model, data, Recipe("cls", 1e-3, 1, epochs=2, batch_size=2), 0)
    moved = (model.classifier.bias.detach() - before).abs()
    assert torch.allclose(moved, torch.full((2,), 1e-3 * (1 + 0.5)), rtol=0.02)


def test_a_model_on_the_best_device_computes_the_same():
    model, tokenizer = new_model()
    data = encode(sources.rows("SST-2", ["tiny"]).dev[:20], tokenizer)
    before, setting = train.predict(model, data), torch.backends.mkldnn.matmul.fp32_precision
    try:
        assert to_best_device(model) is model and model.device == best_device()
        assert np.allclose(train.predict(model, data), before, atol=1e-4)
    finally:
        torch.backends.mkldnn.matmul.fp32_precision = setting


def test_mixed_precision_needs_units_for_it_and_learns_the_same(monkeypatch):
    """Works on a CPU as on a GPU, since the code is the same. Losses and weights stay float32."""
    losses, models, seen = {}, {}, []
    text = sources.rows("SST-2", ["tiny"])
    for units, precision in ((True, "float32"), (False, "mixed"), (True, "mixed")):
        monkeypatch.setattr(device, "multiplies_bf16", lambda _device, units=units: units)
        model, tokenizer = new_model()
        hook = model.classifier.register_forward_hook(
            lambda _module, _inputs, logits: seen.append(logits.dtype)
        )
        losses[units, precision] = train.fit(
            model, encode(text.train[:200], tokenizer), replace(FAST, precision=precision), 0
        )
        hook.remove()
        models[units, precision] = model
    assert losses[True, "float32"] == losses[False, "mixed"], (
        "without units for bf16, mixed is float32, bit for bit"
    )
    assert torch.bfloat16 in seen and seen.index(torch.bfloat16) == 2 * len(seen) // 3
    assert np.allclose(losses[True, "mixed"], losses[True, "float32"], rtol=0.02)
    assert losses[True, "mixed"] != losses[True, "float32"]
    assert {p.dtype for p in models[True, "mixed"].parameters()} == {torch.float32}
    assert train.predict(models[True, "mixed"], encode(text.dev, tokenizer)).dtype == np.float32


def test_losses_are_at_least_float32_whatever_the_logits():
    logits, labels = torch.tensor([[3.0]], dtype=torch.bfloat16), torch.tensor([3.014])
    assert torch.allclose(example_losses(logits, labels), torch.tensor([0.014**2]), rtol=1e-3)
    assert example_losses(logits.double(), labels).dtype == torch.float64


def test_trying_onednn_restores_settings_and_generator():
    state, setting = torch.random.get_rng_state(), torch.backends.mkldnn.matmul.fp32_precision
    onednn_is_exact.cache_clear()
    assert onednn_is_exact() in (True, False)
    assert torch.backends.mkldnn.matmul.fp32_precision == setting
    assert torch.equal(torch.random.get_rng_state(), state)


def test_onednn_is_refused_if_it_rounds_products(monkeypatch):
    """As on a CPU with matrix units for bf16: oneDNN is available, but not exact."""
    product = torch.Tensor.__matmul__

    def rounding(left, right):
        setting = torch.backends.mkldnn.matmul.fp32_precision
        if left.dtype == torch.float32 and setting == "bf16":
            left, right = left.bfloat16().float(), right.bfloat16().float()
        return product(left, right)

    monkeypatch.setattr(torch.Tensor, "__matmul__", rounding)
    onednn_is_exact.cache_clear()
    assert not onednn_is_exact()
    onednn_is_exact.cache_clear()
