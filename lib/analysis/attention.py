"""What heads attend to: raw attention maps, and maps weighted by what is attended to (paper §5.2).

A head's output for token i is a weighted sum over tokens j of f(x_j), a vector that depends on the head:

    raw map       α_ij                          softmax of query · key / √d_h
    normed map    ‖α_ij f(x_j)‖,  f(x) = (x W_V + b_V) W_O

after Kobayashi et al. (2020): W_O is the head's slice of the output projection; the value's bias belongs to f, the
output's, which no single head owns, does not. A token with much attention and a short f(x) matters little.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from lib.model.batches import Encoded
from lib.model.classifier import SentenceClassifier
from lib.pruning import gates


@torch.no_grad()
def maps(
    model: SentenceClassifier, data: Encoded, rows: Iterable[int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each of these rows (raw, normed), float32 [layers, heads, tokens, tokens] each; dropout off.

    Row i of a map is the token that looks, column j the one that is looked at. One example at a time, so there is no
    padding, and memory is that of one example. Inside `gates.masked` these are the maps of the subnetwork.
    """
    model.eval()
    data = data.to(model.device)
    for row in rows:
        inputs, _ = data.batch([row])
        with _inputs_of_attention(model) as states:
            model.encoder(**inputs)
        both = [
            of_layer(layer, state[0])
            for layer, state in zip(gates.encoder_layers(model), states, strict=True)
        ]
        yield tuple(torch.stack(part).float().cpu().numpy() for part in zip(*both, strict=True))


def of_layer(layer: nn.Module, states: Tensor) -> tuple[Tensor, Tensor]:
    """(raw, normed), [heads, tokens, tokens] each, of one layer; states: what it reads, [tokens, hidden]."""
    attention, output = layer.attention.self, layer.attention.output.dense
    heads = attention.num_attention_heads
    query, key, value = (
        linear(states).unflatten(-1, (heads, -1)).transpose(0, 1)  # [heads, tokens, head size]
        for linear in (attention.query, attention.key, attention.value)
    )
    raw = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1)
    per_head = output.weight.unflatten(-1, (heads, -1)).permute(
        1, 2, 0
    )  # [heads, head size, hidden]
    norms = (value @ per_head).norm(dim=-1)  # [heads, tokens]: ‖f(x_j)‖
    return raw, raw * norms.unsqueeze(-2)


@contextmanager
def _inputs_of_attention(model: nn.Module) -> Iterator[list[Tensor]]:
    states: list[Tensor] = []

    def remember(_module, arguments, named):
        states.append(arguments[0] if arguments else named["hidden_states"])

    layers = gates.encoder_layers(model)
    hooks = [
        layer.attention.self.register_forward_pre_hook(remember, with_kwargs=True)
        for layer in layers
    ]
    try:
        yield states
    finally:
        for hook in hooks:
            hook.remove()
