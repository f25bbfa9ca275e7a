"""Run a model as a subnetwork: gates and masks that last for one `with` block.

transformers 5 has no head masks any more: it silently ignores `model(..., head_mask=m)`. So the
paper's two gates (§3.3) are hooks on public modules of each layer:

    ξ multiplies each head's context vector, before the attention's output projection and its bias;
    ν multiplies the MLP's output after its dropout: LayerNorm(ν·MLP(z) + z).
"""

import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lib.pruning.masks import Mask, WeightMask

# a layer's linear modules: m-pruning may touch these and nothing else (README, decision 4)
LINEARS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
# All submodules of a layer. Another layout computes something else: a LayerNorm that comes first,
# positions that turn queries and keys, convolutions, adapters.
LAYOUT = {
    "": {"attention", "intermediate", "output"},
    "attention": {"self", "output"},
    "attention.self": {"query", "key", "value", "dropout"},
    "attention.output": {"dense", "LayerNorm", "dropout"},
    "intermediate": {"dense", "intermediate_act_fn"},
    "output": {"dense", "LayerNorm", "dropout"},
}
ADVICE = "use an encoder with BERT's layout (BERT, RoBERTa, ELECTRA, MiniLM, E5, …)"


def encoder_layers(model: nn.Module) -> list[Any]:
    """Find the encoder's layers in any model whose encoder is built like `BertModel`.

    model: an encoder, or a model that holds one under any name (`encoder`, `bert`, …)
    Raises TypeError, with the reason, for any other architecture.
    """
    lists = ((module, getattr(module, "layer", None)) for module in model.modules())
    found = [(m, layers) for m, layers in lists if isinstance(layers, nn.ModuleList) and layers]
    if not found:
        raise TypeError(
            f"{type(model).__name__} has no list of layers called `layer`, unlike BertModel; "
            f"{ADVICE}"
        )
    encoder, layers = found[0]
    reason = "" if hasattr(model, "compacted_to") else _difference(encoder, layers[0])
    if len(found) > 1:
        reason = "it has more than one list of layers"
    if reason:
        raise TypeError(f"{type(encoder).__name__} is not built like BertModel: {reason}; {ADVICE}")
    return list(layers)


def _difference(encoder: nn.Module, layer: nn.Module) -> str:
    """Say how an encoder's layers differ from BERT's; "" if they do not."""
    modules = dict(layer.named_modules())
    for path, expected in LAYOUT.items():
        there = {name for name, _ in modules[path].named_children()}
        for name in sorted(expected - there):
            return f"its layers have no {path}.{name}".replace(" .", " ")
        for name in sorted(there - expected):
            return f"its layers have {path}.{name}, too".replace(" .", " ")
    for name in sorted({name for name, _ in encoder.named_children()} - {"layer"}):
        return f"it has {name} beside its layers"
    return ""


def shape(model: nn.Module) -> tuple[int, int]:
    """Return (layers, heads per layer) of the encoder; if compact, before heads were removed."""
    mask = getattr(model, "compacted_to", None)
    if mask is not None:
        return mask.heads.shape
    layers = encoder_layers(model)
    return len(layers), layers[0].attention.self.num_attention_heads


@contextmanager
def gated(model: nn.Module, heads: Tensor, mlps: Tensor) -> Generator[None]:
    """Multiply each head's context by its gate and each MLP's output by its gate in a `with` block.

    Gradients flow to the gates. After the block the model is unchanged. Source: paper §3.3.
    model: whole, or made by `compact.compact`; then the gates of removed units do nothing
    heads: float [layers, heads]; or [batch, tokens, layers, heads] for gates of each example (with
        tokens = 1) or of each token
    mlps: float [layers] or [batch, tokens, layers]
    Raises ValueError if the gates do not have the model's layers and heads.
    """
    layers = encoder_layers(model)
    kept_here = getattr(model, "compacted_to", None) or Mask.full(*shape(model))
    if heads.shape[-2:] != shape(model) or mlps.shape[-1] != len(layers):
        raise ValueError(
            f"the gates have shapes {tuple(heads.shape)} and {tuple(mlps.shape)}, "
            f"but the model has {len(layers)} layers of {shape(model)[1]} heads"
        )

    def head_gate(layer: int):
        kept = torch.from_numpy(np.flatnonzero(kept_here.heads[layer])).to(heads.device)
        gate = heads[..., layer, :].index_select(-1, kept).unsqueeze(-1)

        def before_projection(_module, inputs):
            context = inputs[0]  # [batch, tokens, kept heads · head size]
            return (context.unflatten(-1, (len(kept), -1)) * gate).flatten(-2), *inputs[1:]

        return before_projection

    def mlp_gate(layer: int):
        return lambda _module, _inputs, output: output * mlps[..., layer].unsqueeze(-1)

    hooks = []
    try:
        for index, layer in enumerate(layers):
            if kept_here.heads[index].any():
                projection = layer.attention.output.dense
                hooks.append(projection.register_forward_pre_hook(head_gate(index)))
            if kept_here.mlps[index]:
                hooks.append(layer.output.dropout.register_forward_hook(mlp_gate(index)))
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def masked(model: nn.Module, mask: Mask | WeightMask) -> Generator[None]:
    """Run the model as the subnetwork `mask` in a `with` block; afterwards it is whole again.

    A `Mask` gates heads and MLPs. A `WeightMask` sets the weights that it does not keep to 0, and
    puts them back after the block.
    Raises ValueError if the model does not have the layers, heads or parameters of the mask.
    """
    if isinstance(mask, Mask):
        weight = next(model.parameters())  # gives the gates their dtype and device
        heads, mlps = (torch.from_numpy(kept.copy()).to(weight) for kept in (mask.heads, mask.mlps))
        with gated(model, heads, mlps):
            yield
        return
    parameters = dict(model.named_parameters())
    missing = [name for name in mask if name not in parameters]
    if missing:
        raise ValueError(
            f"the weight mask covers the parameter {missing[0]}, which this model does not have"
        )
    before = {name: parameters[name].detach().clone() for name in mask}
    try:
        with torch.no_grad():
            for name in mask:
                parameters[name].mul_(torch.from_numpy(mask[name]).to(parameters[name].device))
        yield
    finally:
        with torch.no_grad():
            for name, values in before.items():
                parameters[name].copy_(values)


def prunable(names: Iterable[str], parameters: str = "code") -> list[str]:
    """Select the names of the parameters that m-pruning may touch, in their order.

    Embeddings, LayerNorms, pooler and classifier are never pruned (§3.2).
    names: the parameter names of a model
    parameters: "code", "all" or "weights"; see `search.Magnitude`
    """
    kinds = ("weight",) if parameters == "weights" else ("weight", "bias")
    endings = {f"{linear}.{kind}" for linear in LINEARS for kind in kinds}
    if parameters == "code":
        endings.remove("output.dense.bias")
    return [n for n in names if ".layer." in n and re.split(r"\.layer\.\d+\.", n)[-1] in endings]
