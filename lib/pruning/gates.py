"""Masks at work on a model: hooks and weights that are in place inside a `with` block and gone after it.

transformers 5 has no head masks any more (`model(..., head_mask=m)` is silently ignored), so the two gates of the
paper's §3.3 are hooks on public modules of the layer:

    ξ multiplies each head's context vector, before the attention's output projection (whose bias stays);
    ν multiplies the MLP's output after its dropout, before residual and LayerNorm: LayerNorm(ν·MLP(z) + z).
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from lib.pruning.masks import Mask, WeightMask

# the linear layers of one layer, all that m-pruning may touch (README, decision 4) …
LINEARS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)
LAYOUT = (*LINEARS, "output.dropout")  # … and all submodules that this project relies on


def encoder_layers(model: nn.Module) -> nn.ModuleList:
    """The encoder's layers, for any encoder that is built like `BertModel`, whatever its name.

    model: an encoder, or a model that has one as `encoder`, `bert`, …. Raises TypeError, in one sentence, for another
    architecture.
    """
    for module in model.modules():
        layers = getattr(module, "layer", None)
        if isinstance(layers, nn.ModuleList) and len(layers):
            missing = [path for path in LAYOUT if not _has(layers[0], path)]
            if not missing or hasattr(model, "compacted_to"):
                return layers
            raise TypeError(
                f"{type(module).__name__} is not built like BertModel: its layers have no {missing[0]}; "
                "take an encoder with BERT's layout (BERT, RoBERTa, ELECTRA, MiniLM, E5, …)"
            )
    raise TypeError(
        f"{type(model).__name__} has no list of layers called `layer`, as BertModel has; "
        "take an encoder with BERT's layout (BERT, RoBERTa, ELECTRA, MiniLM, E5, …)"
    )


def _has(module: nn.Module, path: str) -> bool:
    for name in path.split("."):
        module = getattr(module, name, None)
    return module is not None


def shape(model: nn.Module) -> tuple[int, int]:
    """(layers, heads per layer) of the model's encoder; of the whole model's, if it is a compact one."""
    if hasattr(model, "compacted_to"):
        return model.compacted_to.heads.shape
    layers = encoder_layers(model)
    return len(layers), layers[0].attention.self.num_attention_heads


@contextmanager
def gated(model: nn.Module, heads: Tensor, mlps: Tensor) -> Iterator[None]:
    """Multiply every head's context by `heads` and every MLP's output by `mlps` while the block runs.

    heads: float [layers, heads], or [batch, layers, heads] for a gate of its own per example; mlps: float [layers] or
    [batch, layers]. Gradients flow to both. After the block the model is as it was. In a model made by
    `compact.compact` the gates of removed units do nothing. Source: paper §3.3.
    """
    layers = encoder_layers(model)
    there = getattr(model, "compacted_to", None) or Mask.full(*shape(model))
    if heads.shape[-2:] != shape(model) or mlps.shape[-1] != len(layers):
        raise ValueError(
            f"the gates have shapes {tuple(heads.shape)} and {tuple(mlps.shape)}, but the model has "
            f"{len(layers)} layers of {shape(model)[1]} heads"
        )

    def head_gate(layer: int):
        live = torch.from_numpy(np.flatnonzero(there.heads[layer])).to(heads.device)
        gate = heads[..., layer, :].index_select(-1, live).reshape(-1, 1, len(live), 1)

        def before_projection(_module, inputs):
            context = inputs[0]  # [batch, tokens, heads · head size]
            return (context.unflatten(-1, (len(live), -1)) * gate).flatten(-2), *inputs[1:]

        return before_projection

    def mlp_gate(layer: int):
        return lambda _module, _inputs, output: output * mlps[..., layer].reshape(-1, 1, 1)

    hooks = []
    try:
        for index, layer in enumerate(layers):
            if there.heads[index].any():
                hooks.append(
                    layer.attention.output.dense.register_forward_pre_hook(head_gate(index))
                )
            if there.mlps[index]:
                hooks.append(layer.output.dropout.register_forward_hook(mlp_gate(index)))
        yield
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def masked(model: nn.Module, mask: Mask | WeightMask) -> Iterator[None]:
    """Run the model as the subnetwork `mask` while the block lasts; afterwards it is the whole model again.

    A `Mask` gates heads and MLPs; a `WeightMask` sets the weights it does not keep to zero and puts them back.
    """
    if isinstance(mask, Mask):
        like = next(model.parameters())
        as_tensor = lambda array: torch.from_numpy(array.copy()).to(like)  # noqa: E731
        with gated(model, as_tensor(mask.heads), as_tensor(mask.mlps)):
            yield
        return
    parameters = dict(model.named_parameters())
    missing = [name for name in mask if name not in parameters]
    if missing:
        raise ValueError(f"the weight mask speaks of {missing[0]}, which this model does not have")
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
    """Those of a model's parameter names that m-pruning may touch, in order: see `prune.Magnitude`.

    Embeddings, LayerNorms, pooler and classifier are never among them (§3.2).
    """
    kinds = ("weight",) if parameters == "weights" else ("weight", "bias")
    endings = {f"{linear}.{kind}" for linear in LINEARS for kind in kinds}
    if parameters == "code":
        endings.remove("output.dense.bias")
    return [
        name
        for name in names
        if ".layer." in name and re.split(r"\.layer\.\d+\.", name)[-1] in endings
    ]
