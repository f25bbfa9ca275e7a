"""Training without the words that never occur.

A small encoder has as many weights in its table of word embeddings as in all its layers. The rows of words that the
training sentences do not use have no gradient and do not change (AdamW without weight decay leaves them where they
are), yet clearing, clipping and stepping through them takes up to a fifth of a training step, of a pruned model's more
(benchmarks/retraining.py: it depends on the machine). So while a model is trained, its table holds only the rows that
occur.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from lib.model.batches import Encoded


class OccurringWords:
    """The rows of an embedding table that some sentences use, as a smaller table; the same model comes out (tested).

    table: the word embeddings; data: the sentences, padding included. `in_place` swaps the smaller table in: an
    optimiser must be made, and steps taken, inside such a block. After each block the whole table is up to date.
    """

    def __init__(self, table: nn.Embedding, data: Encoded):
        self.table, device = table, table.weight.device
        words = data.tokens["input_ids"].to(device)
        self.words = torch.cat([words, words.new_tensor([data.pad_id])]).unique()  # sorted
        self.position = torch.full((table.num_embeddings,), -1, device=device)
        self.position[self.words] = torch.arange(len(self.words), device=device)
        self.rows = nn.Parameter(
            table.weight.detach()[self.words].clone(), table.weight.requires_grad
        )

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the model look words up among the occurring ones while the block lasts."""
        table, whole, padding = self.table, self.table.weight, self.table.padding_idx
        renumber = table.register_forward_pre_hook(
            lambda _table, inputs: (self.position[inputs[0]],)
        )
        table.weight = self.rows
        table.padding_idx = None if padding is None else int(self.position[padding])
        try:
            yield
        finally:
            renumber.remove()
            table.weight, table.padding_idx = whole, padding
            with torch.no_grad():
                whole[self.words] = self.rows.detach()


def word_embeddings(model: nn.Module) -> nn.Embedding:
    """The table of word embeddings of a classifier: the encoder's, or a baseline's own."""
    return model.encoder.get_input_embeddings()
