"""Turn a subnetwork into a smaller model: remove masked heads and MLPs, compute the same function.

A head whose gate is 0 still costs its full arithmetic. Removing its rows and columns gives the same
logits (tested) for less work.
"""

import copy
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from lib.model.classifier import SentenceClassifier
from lib.pruning import gates
from lib.pruning.masks import Mask


class NoHeads(nn.Module):
    """An attention block without heads: LayerNorm(dropout(output bias) + x)."""

    def __init__(self, attention: Any, bias: Literal["kept", "dropped"]):
        super().__init__()
        # The gate sits before the output projection. So a block whose gates are all 0 still adds
        # the projection's bias, and that bias must stay when the heads go (README, decision 15).
        self.bias = attention.output.dense.bias
        if bias == "dropped":
            self.bias = nn.Parameter(torch.zeros_like(self.bias), requires_grad=False)
        self.dropout, self.LayerNorm = attention.output.dropout, attention.output.LayerNorm

    def forward(self, hidden_states: Tensor, *_args, **_kwargs) -> tuple[Tensor, None]:
        projected = self.bias.expand_as(hidden_states)
        return self.LayerNorm(self.dropout(projected) + hidden_states), None


class NoMLP(nn.Module):
    """A layer's output without its MLP: LayerNorm(z), where z is the attention block's output."""

    def __init__(self, output: Any):
        super().__init__()
        self.LayerNorm = output.LayerNorm

    def forward(self, _hidden_states: Tensor, attention_output: Tensor) -> Tensor:
        return self.LayerNorm(attention_output)


def compact(
    model: SentenceClassifier, mask: Mask, emptied_bias: Literal["kept", "dropped"] = "kept"
) -> SentenceClassifier:
    """Copy a model without the heads and MLPs that the mask switches off.

    The model itself does not change. The copy computes the same function as the model inside
    `gates.masked(model, mask)`. It stores the mask as `compacted_to`, so that `gates.gated` can
    match gates to the units that are left.
    emptied_bias: "dropped" makes another model: a layer without heads loses its bias, too, as in
        the authors' code (README, decision 15)
    Raises ValueError if the mask does not have the model's layers and heads, or if the model is
    such a copy already.
    """
    if hasattr(model, "compacted_to"):
        raise ValueError("the model has been compacted before; compact the whole model")
    if mask.heads.shape != gates.shape(model):
        mine, its = gates.shape(model), mask.heads.shape
        raise ValueError(f"the mask is for (layers, heads) = {its}, but the model has {mine}")
    small = copy.deepcopy(model)
    for layer, heads, mlp in zip(gates.encoder_layers(small), mask.heads, mask.mlps, strict=True):
        attention = layer.attention
        if not heads.any():
            layer.attention = NoHeads(attention, emptied_bias)
        elif not heads.all():
            width = attention.self.attention_head_size
            dense = attention.output.dense
            kept = torch.from_numpy(np.flatnonzero(np.repeat(heads, width))).to(dense.weight.device)
            for projection in (attention.self.query, attention.self.key, attention.self.value):
                _take(projection, rows=kept)
            _take(dense, columns=kept)
            attention.self.num_attention_heads = int(heads.sum())
            attention.self.all_head_size = len(kept)
        if not mlp:
            layer.intermediate, layer.output = nn.Identity(), NoMLP(layer.output)
    small.compacted_to = mask
    return small


def _take(linear: nn.Linear, rows: Tensor | None = None, columns: Tensor | None = None) -> None:
    """Keep only these rows (outputs) or columns (inputs) of a linear layer, in place."""
    with torch.no_grad():
        if rows is not None:
            linear.weight = nn.Parameter(linear.weight[rows].clone())
            linear.bias = nn.Parameter(linear.bias[rows].clone())
            linear.out_features = len(rows)
        if columns is not None:
            linear.weight = nn.Parameter(linear.weight[:, columns].clone())
            linear.in_features = len(columns)
