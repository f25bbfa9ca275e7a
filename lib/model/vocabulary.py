"""Train with only the word embeddings that occur in the training sentences.

A small encoder has as many weights in its table of word embeddings as in all its layers. Words that
do not occur have no gradient, and AdamW without weight decay leaves their embeddings unchanged. Yet
clearing, clipping and stepping through them takes up to a fifth of a training step, and more in a
pruned model (benchmarks/retraining.py; it depends on the machine). So during training the table
holds only the rows that occur.
"""

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import nn

from lib.model.baselines import Classifier
from lib.model.batches import Encoded


class OccurringWords:
    """A smaller table, with the word embeddings that occur; training gives the same model (tested).

    Inside a `with words.in_place():` block the model uses the smaller table. Make the optimiser and
    take its steps in such blocks. After each block the whole table is up to date.
    table: the word embeddings
    data: the sentences; their words and the padding token occur
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
    def in_place(self) -> Generator[None]:
        """Make the model use the smaller table within the block."""
        table, all_rows, padding = self.table, self.table.weight, self.table.padding_idx
        renumber = table.register_forward_pre_hook(
            lambda _table, inputs: (self.position[inputs[0]],)
        )
        table.weight = self.rows
        table.padding_idx = None if padding is None else int(self.position[padding])
        try:
            yield
        finally:
            renumber.remove()
            table.weight, table.padding_idx = all_rows, padding
            with torch.no_grad():
                all_rows[self.words] = self.rows.detach()


def word_embeddings(model: Classifier) -> nn.Embedding:
    """Return the table of word embeddings of a classifier or a baseline."""
    return model.encoder.get_input_embeddings()
