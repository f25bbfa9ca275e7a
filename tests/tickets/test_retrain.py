"""Retraining: removed equals masked, pruned weights stay at 0, unused words change nothing."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lib.artefacts.store import Place
from lib.data import sources
from lib.model import baselines, train
from lib.model.batches import encode, training_batches
from lib.model.classifier import SentenceClassifier, example_losses
from lib.model.recipes import RECIPES
from lib.model.vocabulary import OccurringWords, word_embeddings
from lib.pruning import gates
from lib.pruning.compact import compact
from lib.pruning.masks import Mask, WeightMask
from lib.tickets import retrain
from lib.tickets.finetuned import FineTuned

FAST = replace(RECIPES["tiny"], epochs=2)
MASK = Mask([[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]], [1, 0, 1])


def query_of(model):
    """The query weights of layer 0."""
    return gates.encoder_layers(model)[0].attention.self.query.weight


def without_dropout(model):
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    for layer in gates.encoder_layers(model):
        layer.attention.self.dropout.p = 0.0
    return model


@pytest.fixture()
def start(tiny):
    return without_dropout(copy.deepcopy(tiny[0]))


@pytest.fixture(scope="module")
def subject():
    """A tiny model with its rows, as if notebook 01 had stored it."""
    encoder, tokenizer, _ = sources.encoder("tiny", ["tiny"])
    model = SentenceClassifier(encoder, 2, "cls", torch.Generator().manual_seed(1))
    text = sources.rows("SST-2", ["tiny"])
    return FineTuned(
        "SST-2", model, encode(text.dev, tokenizer), 0.5, encode(text.train[:200], tokenizer)
    )


def test_removed_and_masked_subnetworks_have_equal_logits_and_take_equal_steps(start, tiny):
    data = tiny[1]
    one_step = replace(FAST, epochs=1, batch_size=len(data))
    removed, masked = compact(start, MASK), copy.deepcopy(start)
    with gates.masked(masked, MASK):
        assert np.allclose(train.predict(removed, data), train.predict(masked, data), atol=1e-6)
        train.fit(masked, data, one_step, 0)
    train.fit(removed, data, one_step, 0)
    after, moved = compact(masked, MASK).state_dict(), 0.0
    for name, tensor in removed.state_dict().items():
        assert torch.allclose(tensor, after[name], atol=1e-7), name
    for name, tensor in compact(start, MASK).state_dict().items():
        moved = max(moved, (tensor - after[name]).abs().max().item())
    assert moved > 5e-4, "the step must change weights, or equality says nothing"


def test_masked_heads_do_not_train(start, tiny):
    masked = copy.deepcopy(start)
    with gates.masked(masked, MASK):
        train.fit(masked, tiny[1], FAST, 0)
    moved = (query_of(masked) - query_of(start)).view(4, 8, 32).abs().amax((1, 2))
    assert moved[[1, 3]].max() == 0 < moved[[0, 2]].min()


def test_pruned_weights_are_exactly_0_after_every_step_and_the_others_train(
    start, tiny, monkeypatch
):
    names = gates.prunable(dict(start.named_parameters()))
    draw = np.random.default_rng(0)
    keep = WeightMask.of(
        {n: draw.random(p.shape) < 0.5 for n, p in start.named_parameters() if n in names}
    )
    steps, original = [], torch.optim.AdamW.step

    def step(optimizer, *arguments):
        original(optimizer, *arguments)
        for name, parameter in model.named_parameters():
            if name in keep.shapes:
                assert (parameter[~torch.from_numpy(keep[name])] == 0).all()
                assert (parameter[torch.from_numpy(keep[name])] != 0).all()
        steps.append(1)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    model = copy.deepcopy(start)
    train.fit(model, tiny[1], replace(FAST, batch_size=5), 0, keep=keep)
    assert len(steps) == 2 * 5


def test_pruned_weights_do_not_count_when_gradients_are_clipped(start, tiny, monkeypatch):
    """The gradient norm is that of a model in which the pruned weights do not exist."""
    name = gates.prunable(dict(start.named_parameters()))[0]
    keep = WeightMask.of({name: np.zeros(dict(start.named_parameters())[name].shape, bool)})
    seen, original = [], nn.utils.clip_grad_norm_

    def clip(parameters, norm):
        gradient = dict(model.named_parameters())[name].grad
        seen.append((gradient.abs().max().item(), original(parameters, norm)))

    monkeypatch.setattr(nn.utils, "clip_grad_norm_", clip)
    model = copy.deepcopy(start)
    train.fit(model, tiny[1], FAST, 0, keep=keep)
    assert all(gradient == 0 for gradient, _ in seen)


def first_rows(data, count):
    tokens = {name: ids[: data.lengths[:count].sum()] for name, ids in data.tokens.items()}
    return replace(data, tokens=tokens, lengths=data.lengths[:count], labels=data.labels[:count])


def plain_fit(model, data, recipe, seed):
    """Train like train.fit, but with all words of the vocabulary, also those that do not occur."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, eps=1e-8, weight_decay=0.0
    )
    steps = recipe.epochs * -(-len(data) // recipe.batch_size)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    order = torch.Generator().manual_seed(seed)
    model.train()
    for _ in range(recipe.epochs):
        for indices in training_batches(data.lengths, recipe.batch_size, order):
            inputs, labels = data.batch(indices)
            optimizer.zero_grad()
            example_losses(model(**inputs), labels).mean().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            decay.step()


def test_leaving_out_unused_words_gives_the_same_model(start, tiny):
    data = tiny[1]
    some = first_rows(data, 6)
    ours, plain = copy.deepcopy(start), copy.deepcopy(start)
    recipe = replace(FAST, batch_size=4)
    train.fit(ours, some, recipe, 3)
    plain_fit(plain, some, recipe, 3)
    for (name, a), b in zip(ours.named_parameters(), plain.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-9), name
    table, before = word_embeddings(ours).weight, word_embeddings(start).weight
    used = OccurringWords(word_embeddings(start), some).words
    unused = np.setdiff1d(np.arange(len(table)), used.numpy())
    assert len(unused) > 5 and torch.equal(table[unused], before[unused])
    assert not torch.equal(table[used], before[used])


def test_the_model_is_whole_between_epochs_and_afterwards(start, tiny):
    data, shapes = tiny[1], []
    some = first_rows(data, 6)

    def report(epoch, loss):
        shapes.append(train.predict(start, data).shape)

    names = [name for name, _ in start.named_parameters()]
    train.fit(start, some, FAST, 0, report)
    assert shapes == [(24, 2)] * 2, "words that occur only in dev can be looked up"
    assert [name for name, _ in start.named_parameters()] == names
    assert not word_embeddings(start)._forward_pre_hooks and word_embeddings(start).padding_idx == 0


def test_training_a_subnetwork_does_not_change_the_start(subject):
    before = copy.deepcopy(subject.model.state_dict())
    result = retrain.subnetwork(
        subject, subject.model, MASK, replace(FAST, epochs=4), seed=0, scored_from=3
    )
    assert list(result.by_epoch) == [3, 4] and len(result.losses) == 4
    assert result.score == result.by_epoch[4]
    assert result.losses[-1] < result.losses[0]
    assert all(
        torch.equal(a, b)
        for a, b in zip(before.values(), subject.model.state_dict().values(), strict=True)
    )
    again = retrain.subnetwork(subject, subject.model, MASK, replace(FAST, epochs=4), seed=0)
    assert again.score == result.score, "scoring between epochs changes nothing"
    assert again.losses == result.losses
    assert list(again.by_epoch) == [4]


def test_an_empty_subnetwork_can_be_trained(subject):
    nothing = Mask(np.zeros((3, 4), bool), np.zeros(3, bool))
    assert 0 <= retrain.subnetwork(subject, subject.model, nothing, FAST, 0).score <= 1


def test_a_random_encoder_depends_on_its_seed_and_keeps_the_classifier(subject):
    state = torch.random.get_rng_state()
    first, same, other = (retrain.randomly_initialised(subject.model, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(query_of(first), query_of(same))
    assert not torch.equal(query_of(first), query_of(other))
    assert not torch.equal(word_embeddings(first).weight, word_embeddings(subject.model).weight)
    assert torch.equal(first.classifier.weight, subject.model.classifier.weight)


def test_random_layers_may_keep_the_embeddings(subject):
    other = retrain.randomly_initialised(subject.model, 1, keep_embeddings=True)
    assert torch.equal(word_embeddings(other).weight, word_embeddings(subject.model).weight)
    assert not torch.equal(query_of(other), query_of(subject.model))


def test_shuffled_weights_are_the_same_numbers_in_another_order(subject):
    first, same, other = (retrain.shuffled(subject.model, seed) for seed in (1, 1, 2))
    before = query_of(subject.model)
    assert torch.equal(query_of(first), query_of(same))
    assert not torch.equal(query_of(first), query_of(other))
    assert not torch.equal(query_of(first), before)
    assert torch.equal(query_of(first).flatten().sort().values, before.flatten().sort().values)
    for name, parameter in first.named_parameters():
        if "embeddings" in name or parameter.ndim == 1 or "classifier" in name:
            assert torch.equal(parameter, subject.model.get_parameter(name)), name


def test_retraining_starts_from_the_embeddings_that_were_chosen(subject):
    tuned = copy.deepcopy(subject.model)
    with torch.no_grad():
        word_embeddings(tuned).weight.add_(1)
    pretrained = retrain.starting_point(subject.model, tuned, "pretrained")
    kept = retrain.starting_point(subject.model, tuned, "finetuned")
    assert torch.equal(word_embeddings(pretrained).weight, word_embeddings(subject.model).weight)
    assert torch.equal(word_embeddings(kept).weight, word_embeddings(tuned).weight)
    assert torch.equal(kept.classifier.weight, subject.model.classifier.weight)


def test_one_training_depends_on_its_own_facts_only(outputs):
    place = Place("p", "05_retrain_tickets", "SST-2", 1, "of the notebook")
    result = {"parameters": {"train_rows": 5, "dev_rows": 5}, "encoder": "e", "rows": "r"}

    def training(mask, **changes):
        return retrain.training_place(replace(place, **changes), result, FAST, mask=mask)

    key = training("a").fingerprint
    assert training("a").fingerprint == key != training("b").fingerprint
    edited = training("a", fingerprint="after an edit")
    assert edited.fingerprint == key, "editing a notebook must not repeat a training"
    assert training("a", seed=2).fingerprint != key
    edited.save("x.json", 1)
    assert training("a").load_or("x.json", pytest.fail) == 1


# --- baselines ------------------------------------------------------------------------------------


def baseline(kind, learned=False, pair=True, seed=0):
    encoder, tokenizer, _ = sources.encoder("tiny", ["tiny"])
    table = encoder.get_input_embeddings()
    model = baselines.Baseline(kind, table, learned, pair, tokenizer.sep_token_id, 2, seed).eval()
    return model, tokenizer, table


def test_cbow_of_a_pair_by_hand():
    model, tokenizer, table = baseline("CBOW")
    rows = [
        {"sentence1": "the cat sleeps", "sentence2": "the dog", "label": 0},
        {"sentence1": "the happy dog runs in the garden", "sentence2": "a goose", "label": 1},
    ]

    def mean_vector(text):
        return table.weight[tokenizer.convert_tokens_to_ids(text.split())].mean(0)

    u, v = mean_vector("the cat sleeps"), mean_vector("the dog")
    with torch.no_grad():
        features = torch.cat([u, v, (u - v).abs(), u * v])
        by_hand = model.classifier(model.hidden(features))
        assert torch.allclose(
            model(**encode(rows, tokenizer).batch([0, 1])[0])[0], by_hand, atol=1e-6
        )


@pytest.mark.parametrize("kind", baselines.KINDS)
@pytest.mark.parametrize("pair", [True, False])
def test_baselines_do_not_see_padding(kind, pair):
    model, tokenizer, _ = baseline(kind, pair=pair)
    rows = [
        {"sentence1": "the cat", "label": 0},
        {"sentence1": "the happy dog runs in the garden", "label": 1},
    ]
    if pair:
        rows = [{**row, "sentence2": row["sentence1"]} for row in rows]
    data = encode(rows, tokenizer)
    with torch.no_grad():
        assert torch.allclose(
            model(**data.batch([0, 1])[0])[0], model(**data.batch([0])[0])[0], atol=1e-6
        )


@pytest.mark.parametrize("kind", baselines.KINDS)
def test_baselines_learn_and_frozen_embeddings_do_not_change(kind, subject):
    for learned in (False, True):
        model, _, table = baseline(kind, learned, pair=False)
        result = retrain.train_and_score(subject, model, baselines.RECIPE, 0)
        assert result.score > 0.65, "the baseline must beat chance on the tiny source's sentences"
        assert torch.equal(model.encoder.table.weight, table.weight) != learned
    assert table.weight.requires_grad, "training must not freeze the encoder's own table"


def test_an_empty_second_sentence_gives_finite_logits():
    for kind in baselines.KINDS:
        model, tokenizer, _ = baseline(kind)
        data = encode([{"sentence1": "the cat", "sentence2": "", "label": 0}], tokenizer)
        with torch.no_grad():
            assert model(**data.batch([0])[0]).isfinite().all()


def test_two_lstms_over_padded_rows_equal_a_bidirectional_one_over_packed_rows():
    table = nn.Embedding(50, 8)
    ours = baselines.WordVectors("BiLSTM", table, learned=False)
    bidirectional = nn.LSTM(8, baselines.STATES, batch_first=True, bidirectional=True)
    for name, parameter in ours.lstms[0].named_parameters():
        setattr(bidirectional, name, parameter)
        setattr(bidirectional, f"{name}_reverse", getattr(ours.lstms[1], name))
    words, lengths = torch.arange(12).reshape(3, 4), torch.tensor([4, 1, 3])
    packed = pack_padded_sequence(table(words), lengths, batch_first=True, enforce_sorted=False)
    output, _ = bidirectional(packed)
    states, _ = pad_packed_sequence(output, batch_first=True, padding_value=-torch.inf)
    assert torch.allclose(ours(words, lengths), states.amax(1), atol=1e-6)


def test_an_unknown_baseline_raises():
    with pytest.raises(ValueError, match="'GRU'; it can be one of CBOW, BiLSTM"):
        baseline("GRU")
