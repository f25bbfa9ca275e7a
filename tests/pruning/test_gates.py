import numpy as np
import pytest
import torch
from torch.nn.functional import gelu, layer_norm, scaled_dot_product_attention

from lib.analysis import attention
from lib.model.batches import Encoded
from lib.model.classifier import SentenceClassifier
from lib.pruning import gates
from lib.pruning.compact import compact
from lib.pruning.masks import Mask, WeightMask


def logits(model, data, mask=None):
    inputs, _ = data.batch(range(8))
    with torch.no_grad():
        if mask is None:
            return model(**inputs)
        with gates.masked(model, mask):
            return model(**inputs)


def some_mask(seed=1):
    draw = np.random.default_rng(seed)
    heads = draw.random((3, 4)) > 0.4
    heads[1] = False  # a whole layer without heads
    return Mask(heads, [True, False, True])


def forward_by_hand(model, inputs, mask):
    """Run BERT's layers by hand, with ξ before the output projection and ν after the MLP (§3.3)."""
    encoder = model.encoder
    hidden = encoder.embeddings(
        input_ids=inputs["input_ids"], token_type_ids=inputs["token_type_ids"]
    )
    real = inputs["attention_mask"][:, None, None, :].bool()
    for layer, xi, nu in zip(
        encoder.encoder.layer, torch.tensor(mask.heads), mask.mlps, strict=True
    ):
        projections = (
            layer.attention.self.query,
            layer.attention.self.key,
            layer.attention.self.value,
        )
        split = [p(hidden).unflatten(-1, (4, -1)).transpose(1, 2) for p in projections]
        context = scaled_dot_product_attention(*split, attn_mask=real) * xi[None, :, None, None]
        joined = context.transpose(1, 2).flatten(-2)
        out = layer.attention.output
        z = out.LayerNorm(joined @ out.dense.weight.T + out.dense.bias + hidden)
        mlp = layer.output.dense(gelu(layer.intermediate.dense(z)))
        norm = layer.output.LayerNorm
        hidden = layer_norm(
            float(nu) * mlp + z, norm.normalized_shape, norm.weight, norm.bias, norm.eps
        )
    pooled = torch.tanh(encoder.pooler.dense(hidden[:, 0]))
    return model.classifier(pooled)


def test_gates_sit_where_the_paper_says(tiny):
    model, data = tiny
    inputs, _ = data.batch(range(8))
    mask = some_mask()
    with torch.no_grad():
        assert torch.allclose(
            logits(model, data, mask), forward_by_hand(model, inputs, mask), atol=1e-10
        )


def test_open_gates_change_nothing_and_shut_gates_change_much(tiny):
    model, data = tiny
    full = Mask.full(*gates.shape(model))
    assert torch.equal(logits(model, data, full), logits(model, data))
    nothing = Mask(np.zeros((3, 4)), np.zeros(3))
    assert (logits(model, data, nothing) - logits(model, data)).abs().max() > 0.01


def test_the_model_is_whole_again_even_after_an_error(tiny):
    model, data = tiny
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    unmasked = logits(model, data)
    weight = "encoder.encoder.layer.0.intermediate.dense.weight"
    no_weights = WeightMask.of({weight: np.zeros((64, 32), bool)})
    for mask in (some_mask(), no_weights):
        assert not torch.equal(logits(model, data, mask), unmasked)
        with pytest.raises(RuntimeError, match="on purpose"), gates.masked(model, mask):
            raise RuntimeError("on purpose")
        assert torch.equal(logits(model, data), unmasked)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_compact_computes_the_same_as_masking(tiny):
    model, data = tiny
    for seed in range(5):
        mask = some_mask(seed)
        small = compact(model, mask)
        with torch.no_grad():
            assert torch.allclose(
                small(**data.batch(range(8))[0]), logits(model, data, mask), atol=1e-12
            )
        assert sum(p.numel() for p in small.parameters()) < sum(
            p.numel() for p in model.parameters()
        )
    assert gates.shape(model) == gates.shape(small) == (3, 4)


def test_a_layer_without_heads_keeps_its_bias(tiny):
    model, data = tiny
    heads = np.ones((3, 4), bool)
    heads[1] = False
    mask = Mask(heads, np.ones(3))
    with_bias = compact(model, mask)
    without = compact(model, mask)
    with torch.no_grad():
        without.encoder.encoder.layer[1].attention.bias.zero_()
        inputs, _ = data.batch(range(4))
        assert (with_bias(**inputs) - without(**inputs)).abs().max() > 1e-3


def test_a_mask_that_does_not_fit_the_model_raises(tiny):
    model, _data = tiny
    with (
        pytest.raises(ValueError, match=r"3 layers of 4 heads"),
        gates.masked(model, Mask.full(2, 4)),
    ):
        pass
    with (
        pytest.raises(ValueError, match="covers the parameter nowhere, which this model does not"),
        gates.masked(model, WeightMask.of({"nowhere": np.ones(2, bool)})),
    ):
        pass
    with pytest.raises(ValueError, match=r"= \(2, 4\), but the model has \(3, 4\)"):
        compact(model, Mask.full(2, 4))


def other_encoders():
    from transformers import ElectraConfig, ElectraModel, RobertaConfig, RobertaModel

    sizes = dict(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    yield RobertaModel(RobertaConfig(**sizes, max_position_embeddings=40))
    yield ElectraModel(ElectraConfig(**sizes, embedding_size=16))


@pytest.mark.parametrize("encoder", other_encoders(), ids=lambda e: type(e).__name__)
def test_any_encoder_with_berts_layout_works(encoder):
    encoder.eval()
    inputs = {
        "input_ids": torch.arange(5, 15).reshape(2, 5),
        "attention_mask": torch.ones(2, 5, dtype=torch.long),
    }
    mask = Mask([[True, False], [False, False]], [False, True])
    with torch.no_grad(), gates.masked(encoder, mask):
        masked = encoder(**inputs).last_hidden_state
    with torch.no_grad():
        assert torch.allclose(compact(encoder, mask)(**inputs).last_hidden_state, masked, atol=1e-6)
        assert not torch.allclose(encoder(**inputs).last_hidden_state, masked)
        encoder.set_attn_implementation("eager")
        first_row = {name: tensor[:1] for name, tensor in inputs.items()}
        theirs = torch.cat(encoder(**first_row, output_attentions=True).attentions)
    model = SentenceClassifier(encoder, 2, "mean", torch.Generator())
    row = Encoded({"input_ids": inputs["input_ids"][0]}, np.array([5]), np.zeros(1, np.int64), 0)
    assert np.allclose(next(attention.maps(model, row, [0]))[0], theirs, atol=1e-6)


def test_another_architecture_raises():
    from transformers import DistilBertConfig, DistilBertModel

    other = DistilBertModel(
        DistilBertConfig(vocab_size=20, dim=16, n_layers=1, n_heads=2, hidden_dim=32)
    )
    with pytest.raises(TypeError, match="BERT's layout"):
        gates.encoder_layers(other)
