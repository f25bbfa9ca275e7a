"""Attention maps of all heads: raw, and weighted by the vectors attended to (paper §5.2).

A head's output for token i is a weighted sum over tokens j of f(x_j), a vector that the head makes:

    raw map       α_ij                          softmax of query · key / √d_h
    normed map    ‖α_ij f(x_j)‖,  f(x) = (x W_V + b_V) W_O

after Kobayashi et al. (2020). W_O is the head's slice of the output projection; the projection's
bias belongs to no single head and is left out. A token with much attention but a short f(x) matters
little.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lib.model.batches import LONGEST, Encoded, encode
from lib.model.classifier import SentenceClassifier, positions
from lib.pruning import gates

SAME = 1e-4  # how far apart float32 may bring two ways to compute the same, relative to the largest


@torch.no_grad()
def maps(
    model: SentenceClassifier, data: Encoded, rows: Iterable[int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (raw, normed) for each row: float32 [layers, heads, tokens, tokens] each.

    Row i of a map is the token that looks, column j the token that is looked at. Dropout is off.
    Rows go through the model one at a time, so there is no padding and little memory is needed.
    Inside `gates.masked` the maps are those of the subnetwork.
    Raises ValueError if a raw map is not the one that the model itself has computed with.
    """
    model.eval()
    data = data.to(model.device)
    for row in rows:
        inputs, _ = data.batch([row])
        with _recorded_attention(model) as recorded:
            model.encoder(**inputs)
        by_layer = [
            of_layer(layer, states[0], context[0])
            for layer, (states, context) in zip(gates.encoder_layers(model), recorded, strict=True)
        ]
        yield tuple(torch.stack(kind).float().cpu().numpy() for kind in zip(*by_layer, strict=True))


def of_sentence(
    model: SentenceClassifier, tokenizer, sentence: str
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Compute the maps of one sentence: (tokens, raw, normed), as in `maps`."""
    longest = min(LONGEST, positions(model.encoder))
    data = encode([{"sentence1": sentence, "label": 0}], tokenizer, longest)
    raw, normed = next(maps(model, data, [0]))
    return tokenizer.convert_ids_to_tokens(data.row(0)), raw, normed


def of_layer(layer: Any, states: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
    """Compute (raw, normed) of one layer, [heads, tokens, tokens] each.

    states: the input of the layer's attention, [tokens, hidden]
    context: its output before the projection, [tokens, hidden]; ValueError if the raw map does not
        give the same, as in a model that turns queries and keys by their positions
    """
    attention, output = layer.attention.self, layer.attention.output.dense
    heads = attention.num_attention_heads
    query, key, value = (
        linear(states).unflatten(-1, (heads, -1)).transpose(0, 1)  # [heads, tokens, head size]
        for linear in (attention.query, attention.key, attention.value)
    )
    raw = (query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5).softmax(-1)
    difference = ((raw @ value).transpose(0, 1).flatten(1) - context).abs().max()
    if not difference <= SAME * context.abs().max():
        raise ValueError(
            f"the attention of {type(attention).__name__} is not the softmax of query · key / √d_h "
            f"(its context vectors differ by {difference:.2g}), so there are no maps to look at; "
            f"{gates.ADVICE}"
        )
    weight = output.weight.unflatten(-1, (heads, -1)).permute(1, 2, 0)  # [heads, head size, hidden]
    norms = (value @ weight).norm(dim=-1)  # [heads, tokens]: ‖f(x_j)‖
    return raw, raw * norms.unsqueeze(-2)


@contextmanager
def _recorded_attention(model: nn.Module) -> Generator[list[tuple[Tensor, Tensor]]]:
    """Collect (input, context), [rows, tokens, hidden], of each layer's attention as it runs."""
    recorded: list[tuple[Tensor, Tensor]] = []

    def remember(_module, args, kwargs, output):
        context = output[0] if isinstance(output, tuple) else output
        recorded.append((args[0] if args else kwargs["hidden_states"], context))

    layers = gates.encoder_layers(model)
    hooks = [
        layer.attention.self.register_forward_hook(remember, with_kwargs=True) for layer in layers
    ]
    try:
        yield recorded
    finally:
        for hook in hooks:
            hook.remove()
