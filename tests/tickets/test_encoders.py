"""The README's table of encoders: what notebooks 01 to 09 need of a model, on tiny random ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from tokenizers import processors

from lib.analysis import attention
from lib.artefacts.store import Place
from lib.data import glue, sources
from lib.model import baselines, recipes, train, vocabulary
from lib.model.batches import encode
from lib.model.classifier import SentenceClassifier
from lib.pruning import gates, importance, removal, search
from lib.pruning.compact import compact
from lib.pruning.masks import Mask
from lib.tickets import finetuned, retrain, subnetworks

SIZES = {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
SIZES |= {"intermediate_size": 48, "max_position_embeddings": 66, "initializer_range": 0.2}
# {name: (its own settings, pooling)}
RUN = {
    "Bert": ({}, "cls"),
    "Roberta": ({"pad_token_id": 0, "type_vocab_size": 1}, "cls"),
    "XLMRoberta": ({"pad_token_id": 0, "type_vocab_size": 1}, "cls"),
    "Camembert": ({"pad_token_id": 0, "type_vocab_size": 1}, "cls"),
    "Electra": ({"embedding_size": 16}, "mean"),
}
REFUSED = {  # {name: (its own settings, the reason)}
    "RobertaPreLayerNorm": ({}, "its layers have attention.LayerNorm, too"),
    "MegatronBert": ({}, "its layers have ln, too"),
    "Xmod": (
        {"languages": ["en_XX"], "default_language": "en_XX"},
        "its layers have output.adapter_modules, too",
    ),
    "ConvBert": ({"embedding_size": 32}, "its layers have attention.self.conv_kernel_layer, too"),
    "Nystromformer": ({}, "its layers have attention.self.conv, too"),
    "RoFormer": ({"embedding_size": 32}, "it has embed_positions beside its layers"),
    "MPNet": ({}, "its layers have no attention.output"),
    "RemBert": ({}, "it has embedding_hidden_mapping_in beside its layers"),
    "Esm": ({"pad_token_id": 0}, "its layers have LayerNorm, too"),
    "BigBird": ({}, "its layers have no attention.self.dropout"),
    "Longformer": ({"attention_window": 4}, "its layers have no attention.self.dropout"),
    "IBert": ({}, "its layers have pre_intermediate_act, too"),
    "Luke": ({"entity_vocab_size": 5}, "its layers have attention.self.e2e_query, too"),
    "MobileBert": ({}, "its layers have bottleneck, too"),
    "DebertaV2": ({}, "its layers have no attention.self.key"),
    "Canine": ({}, "it has more than one list of layers"),
    "DistilBert": ({}, "its layers have no intermediate"),
    "Albert": ({}, "no list of layers called `layer`"),
    "GPT2": ({}, "no list of layers called `layer`"),
}


def tiny(name, settings=None):
    """A random encoder of an architecture."""
    config = getattr(transformers, f"{name}Config")(**SIZES | (settings or {}))
    torch.manual_seed(0)
    return getattr(transformers, f"{name}Model")(config).eval()


def tokenizer_for(name):
    """The tiny tokenizer; RoBERTa's family has two separators in a pair and no token types."""
    tokenizer = sources.encoder("tiny", ["tiny"])[1]
    if RUN[name][0].get("type_vocab_size") == 1:
        special = [(token, tokenizer.convert_tokens_to_ids(token)) for token in ("[CLS]", "[SEP]")]
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] [SEP] $B [SEP]", special_tokens=special
        )
        tokenizer.model_input_names = ["input_ids", "attention_mask"]
    return tokenizer


@pytest.fixture(params=RUN)
def saved(request, tmp_path):
    """(architecture, the folder that it is saved in, its pooling)."""
    settings, pooling = RUN[request.param]
    for part in (tiny(request.param, settings), tokenizer_for(request.param)):
        part.save_pretrained(tmp_path / request.param)
    return request.param, str(tmp_path / request.param), pooling


@pytest.mark.parametrize("task", ["SST-2", "RTE"])
def test_what_the_notebooks_need_of_an_encoder_works(saved, task, outputs):
    name, folder, pooling = saved
    recipe = recipes.Recipe(pooling=pooling, epochs=1, batch_size=16, max_length=32)
    rows = sources.rows(task, ["tiny"]).capped(48, 24)
    # 01
    model, tokenizer, origin = finetuned.new(folder, ["folder"], task, 7, pooling)
    assert type(model.encoder).__name__ == f"{name}Model"
    data, dev = (encode(part, tokenizer, 32) for part in (rows.train, rows.dev))
    assert ("token_type_ids" in data.tokens) == (RUN[name][0].get("type_vocab_size") != 1)
    model.standardise(data)
    train.fit(model, data, recipe, seed=7)
    score = glue.score(task, train.predict(model, dev), dev.labels)
    place = Place("p", "01_finetune", task, 7, "some")
    place.save("model.safetensors", finetuned.weights(model))
    parameters = {
        "encoder": folder,
        "look_in": ["folder", "tiny"],
        "train_rows": 48,
        "dev_rows": 24,
    }
    result = {"score": score, "parameters": parameters, "recipe": recipe.as_dict()}
    result |= {"labels": dev.labels.tolist(), "encoder": origin, "rows": rows.origin}
    place.save("result.json", result)
    subject = finetuned.restore(place, with_train=True)
    before = train.predict(subject.model, dev)
    assert np.allclose(before, train.predict(model, dev), atol=1e-6)
    # 02
    names = gates.prunable(dict(subject.model.named_parameters()))
    assert len(names) == 3 * (6 + 5), "six matrices and five biases a layer"
    weights = {
        n: p.detach().numpy() for n, p in subject.model.named_parameters() if n in set(names)
    }
    pruned = search.Ordering(weights).keep(sum(w.size for w in weights.values()) // 2)
    subject.score_of(pruned)
    # 03: removed units compute what masked ones do, and a slope is what a small step gives
    mask = Mask([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], [True, False, True])
    with gates.masked(subject.model, mask):
        masked = train.predict(subject.model, dev)
    assert np.allclose(train.predict(compact(subject.model, mask), dev), masked, atol=1e-5)
    assert not np.allclose(masked, before, atol=1e-3)
    gradients = importance.measure(subject.model, dev, subject.full, tokens=True).gradients
    assert gradients.shape == (24, 3 * 4 + 3) and (np.abs(gradients).max(0) > 0).all()
    without = removal.logits_without(subject.model, dev, subject.full, layer=1)
    head = np.ones((3, 4), bool)
    head[1, 2] = False
    assert np.allclose(without[-1], before, atol=1e-5)
    alone = train.predict(compact(subject.model, Mask(head, np.ones(3, bool))), dev)
    assert np.allclose(without[2], alone, atol=1e-5)
    # 05
    fresh, tokenizer = finetuned.pretrained(place)
    start = retrain.starting_point(fresh, subject.model, "finetuned")
    for kind in (mask, pruned):
        assert len(retrain.subnetwork(subject, start, kind, recipe, seed=7).losses) == 1
    random = retrain.randomly_initialised(fresh, 7, keep_embeddings=True)
    for part, ours in random.encoder.named_children():
        same = [
            torch.equal(a, b)
            for a, b in zip(
                ours.parameters(), fresh.encoder.get_submodule(part).parameters(), strict=True
            )
        ]
        assert all(same) == part.startswith("embeddings"), part
    retrain.shuffled(fresh, 7)
    table, of = vocabulary.word_embeddings(fresh), glue.TASKS[task]
    baseline = baselines.Baseline("BiLSTM", table, True, of.pair, tokenizer.sep_token_id, 2, 7)
    retrain.train_and_score(subject, baseline, replace(baselines.RECIPE, epochs=1), seed=7)
    # 08: the maps are the model's own
    raw, normed = next(attention.maps(subject.model, dev, [3]))
    assert raw.shape == normed.shape == (3, 4, dev.lengths[3], dev.lengths[3])
    subject.model.encoder.set_attn_implementation("eager")
    with torch.no_grad():
        own = subject.model.encoder(**dev.batch([3])[0], output_attentions=True).attentions
    assert np.allclose(raw, torch.cat(own), atol=1e-6)
    # 04, 06, 07 and 09 read masks and scores only
    subnetworks.random_units(mask, 7)


def test_an_encoder_without_a_pooler_says_what_to_set(tmp_path):
    for part in (tiny("Electra", {"embedding_size": 16}), tokenizer_for("Electra")):
        part.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"in a profile, finetuning: \{pooling: mean\}"):
        finetuned.new(str(tmp_path), ["folder"], "SST-2", 7)


@pytest.mark.parametrize("name", REFUSED)
def test_any_other_layout_is_refused_at_once_with_the_reason(name):
    settings, reason = REFUSED[name]
    if name == "DistilBert":
        settings = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
    encoder = tiny(name, settings)
    with pytest.raises(TypeError, match=reason) as raised:
        gates.encoder_layers(encoder)
    assert "\n" not in str(raised.value) and "use an encoder with BERT's layout" in str(
        raised.value
    )


@pytest.mark.parametrize("name", ["RoFormer", "Mra", "Yoso"])
def test_maps_that_are_not_the_models_own_are_an_error(name, monkeypatch):
    # RoFormer's layout would give it away; MRA and YOSO have BERT's and approximate its attention
    monkeypatch.setattr(gates, "_difference", lambda *_: "")
    settings = {"embedding_size": 32} if name == "RoFormer" else {}
    model = SentenceClassifier(tiny(name, settings), 2, "mean", torch.Generator())
    row = encode(sources.rows("SST-2", ["tiny"]).dev[:1], sources.encoder("tiny", ["tiny"])[1])
    with pytest.raises(
        ValueError, match=f"the attention of {name}SelfAttention is not the softmax"
    ):
        next(attention.maps(model, row, [0]))


def test_the_second_sentence_of_a_pair_begins_after_all_separators():
    table = torch.nn.Embedding.from_pretrained(torch.arange(8.0)[:, None].repeat(1, 2))
    one, two = (
        baselines.Baseline("CBOW", table, False, True, separator=3, outputs=2, seed=0).eval()
        for _ in range(2)
    )
    plain, doubled = torch.tensor([[2, 5, 3, 6, 7, 3]]), torch.tensor([[2, 5, 3, 3, 6, 7, 3]])
    with torch.no_grad():
        expected = one(plain, torch.ones_like(plain))
        assert torch.allclose(two(doubled, torch.ones_like(doubled)), expected)
