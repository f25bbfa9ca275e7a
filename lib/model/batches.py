"""Sentences as token ids, and the batches in which a model reads them.

Padding is the most expensive arithmetic in GLUE: padded to 128 tokens, the average CoLA row is nine
tenths padding. So rows are tokenised once, batched with rows of similar length, and padded only to
the longest row of their batch.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

import numpy as np
import torch
from torch import Tensor

# How many batches of shuffled rows are sorted by length together: enough for little padding, but
# few enough that the batches still differ from epoch to epoch.
BUCKET = 32

LONGEST = 128  # tokens of a row, special tokens included, as in the paper's code


@dataclass(frozen=True)
class Encoded:
    """Tokenised rows, joined end to end in one tensor; batches are cut out of it on its device.

    tokens: int64 [tokens of all rows] under input_ids, and under token_type_ids if the tokenizer
        makes them
    lengths: int [rows], tokens per row, special tokens included
    labels: int64 [rows] for classification, float32 [rows] for regression
    pad_id: the id of the padding token
    """

    tokens: Mapping[str, Tensor]
    lengths: np.ndarray
    labels: np.ndarray
    pad_id: int

    def __len__(self):
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Encoded":
        """Return the same rows with their tokens on another device."""
        return replace(
            self, tokens={name: tensor.to(device) for name, tensor in self.tokens.items()}
        )

    def take(self, rows: Sequence[int] | np.ndarray) -> "Encoded":
        """Return only these rows, in this order."""
        chosen = np.asarray(rows)
        begins, ends = self._starts[chosen], self._starts[chosen] + self.lengths[chosen]
        places = np.concatenate([np.arange(*span) for span in zip(begins, ends, strict=True)])
        tokens = torch.from_numpy(places)
        picked = {n: values[tokens.to(values.device)] for n, values in self.tokens.items()}
        return replace(
            self, tokens=picked, lengths=self.lengths[chosen], labels=self.labels[chosen]
        )

    def row(self, index: int) -> list[int]:
        """Return the token ids of one row."""
        return self.batch([index])[0]["input_ids"][0].tolist()

    def batch(self, indices: Sequence[int]) -> tuple[dict[str, Tensor], Tensor]:
        """Cut out a batch: (inputs, labels [batch]).

        inputs: tensors [batch, longest row of the batch] by name, attention_mask among them
        """
        rows, device = np.asarray(indices), self.tokens["input_ids"].device
        spans = torch.from_numpy(np.stack([self._starts[rows], self.lengths[rows]]))
        starts, lengths = spans.to(device).unsqueeze(-1)
        column = torch.arange(int(self.lengths[rows].max()), device=device)
        padding = column >= lengths
        positions = (starts + column).masked_fill_(padding, 0)
        fill = {"input_ids": self.pad_id}
        inputs = {
            name: values[positions].masked_fill_(padding, fill.get(name, 0))
            for name, values in self.tokens.items()
        }
        inputs["attention_mask"] = (~padding).long()
        return inputs, torch.from_numpy(self.labels[rows]).to(device)

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum(self.lengths) - self.lengths


def encode(rows: Sequence[dict], tokenizer, max_length: int = LONGEST) -> Encoded:
    """Tokenise rows. Raises ValueError if there are none.

    rows: dictionaries with sentence1, sentence2 (absent in tasks on single sentences) and label; a
        float label means regression
    max_length: tokens per row, special tokens included; longer rows are truncated
    """
    if not rows:
        raise ValueError("there are no rows to encode; `rows` must hold at least one")
    pairs = "sentence2" in rows[0]
    tokens = tokenizer(
        [row["sentence1"] for row in rows],
        [row["sentence2"] for row in rows] if pairs else None,
        truncation=True,
        max_length=max_length,
        return_attention_mask=False,
    )
    names = [name for name in ("input_ids", "token_type_ids") if name in tokens]
    joined = {
        name: torch.from_numpy(np.fromiter(chain.from_iterable(tokens[name]), np.int64))
        for name in names
    }
    lengths = np.array([len(ids) for ids in tokens["input_ids"]])
    labels = [row["label"] for row in rows]
    dtype = np.float32 if isinstance(labels[0], float) else np.int64
    return Encoded(joined, lengths, np.array(labels, dtype), tokenizer.pad_token_id)


def training_batches(lengths: np.ndarray, size: int, generator: torch.Generator) -> list[list[int]]:
    """Draw the batches of one epoch, lists of row indices: every row once, in random order.

    Rows of similar length share a batch.
    lengths: int [rows], tokens per row
    size: rows per batch
    """
    order = torch.randperm(len(lengths), generator=generator).numpy()
    batches = []
    for start in range(0, len(order), BUCKET * size):
        bucket = order[start : start + BUCKET * size]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        batches += [bucket[i : i + size].tolist() for i in range(0, len(bucket), size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def evaluation_batches(lengths: np.ndarray, size: int) -> Iterator[list[int]]:
    """Yield batches of row indices, longest rows first.

    This order needs the least padding, and if memory is too small, the first batch shows it.
    lengths: int [rows], tokens per row
    size: rows per batch
    """
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), size):
        yield order[start : start + size].tolist()
