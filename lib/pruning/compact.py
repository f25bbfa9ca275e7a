"""Subnetworks as smaller models: masked heads and MLPs physically removed, the same function computed.

A gate that is 0 still pays for its head. Removing the rows and columns instead gives the same logits (tested) for less
arithmetic. One thing is easily got wrong: a layer that has lost all its heads still adds the bias of its attention
output, because the gate sits before the projection; so that bias stays (README, decision 15).
"""

import copy

import numpy as np
import torch
from torch import Tensor, nn

from lib.pruning import gates
from lib.pruning.masks import Mask


class NoHeads(nn.Module):
    """What is left of an attention block without heads: LayerNorm(dropout(output bias) + x)."""

    def __init__(self, attention: nn.Module):
        super().__init__()
        self.bias = attention.output.dense.bias
        self.dropout, self.LayerNorm = attention.output.dropout, attention.output.LayerNorm

    def forward(self, hidden_states: Tensor, *_args, **_kwargs) -> tuple[Tensor, None]:
        return self.LayerNorm(
            self.dropout(self.bias.expand_as(hidden_states)) + hidden_states
        ), None


class NoMLP(nn.Module):
    """What is left of an MLP block that is masked: LayerNorm(z)."""

    def __init__(self, output: nn.Module):
        super().__init__()
        self.LayerNorm = output.LayerNorm

    def forward(self, _hidden_states: Tensor, attention_output: Tensor) -> Tensor:
        return self.LayerNorm(attention_output)


def compact(model: nn.Module, mask: Mask) -> nn.Module:
    """A copy of the model without the heads and MLPs that the mask does not keep. The model stays as it is.

    The copy computes what `gates.masked(model, mask)` does; its attribute `compacted_to` is the mask, so that
    `gates.gated` knows which units its gates belong to.
    """
    if mask.heads.shape != gates.shape(model):
        raise ValueError(
            f"the mask has {mask.heads.shape} layers and heads, the model {gates.shape(model)}"
        )
    small = copy.deepcopy(model)
    for layer, heads, mlp in zip(gates.encoder_layers(small), mask.heads, mask.mlps, strict=True):
        attention = layer.attention
        if not heads.any():
            layer.attention = NoHeads(attention)
        elif not heads.all():
            width = attention.self.attention_head_size
            kept = torch.from_numpy(np.flatnonzero(np.repeat(heads, width))).to(
                attention.output.dense.weight.device
            )
            for projection in (attention.self.query, attention.self.key, attention.self.value):
                _take(projection, rows=kept)
            _take(attention.output.dense, columns=kept)
            attention.self.num_attention_heads = int(heads.sum())
            attention.self.all_head_size = len(kept)
        if not mlp:
            layer.intermediate, layer.output = nn.Identity(), NoMLP(layer.output)
    small.compacted_to = mask
    return small


def _take(linear: nn.Linear, rows: Tensor | None = None, columns: Tensor | None = None) -> None:
    """Keep some rows (outputs) or columns (inputs) of a linear layer, in place; dtype and bias stay."""
    with torch.no_grad():
        if rows is not None:
            linear.weight = nn.Parameter(linear.weight[rows].clone())
            linear.bias = nn.Parameter(linear.bias[rows].clone())
            linear.out_features = len(rows)
        else:
            linear.weight = nn.Parameter(linear.weight[:, columns].clone())
            linear.in_features = len(columns)
