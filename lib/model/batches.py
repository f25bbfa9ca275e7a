"""Sentences as token ids, and the order in which a model sees them.

Padding is the dearest arithmetic in GLUE: padded to 128, the average CoLA row is nine tenths nothing. Rows are
tokenised once, batched with rows of like length, and padded to the longest of their batch only.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

import numpy as np
import torch
from torch import Tensor

# how many batches' worth of shuffled rows are sorted by length together: large enough for little padding, small
# enough that batches still differ from epoch to epoch
BUCKET = 32


@dataclass(frozen=True)
class Encoded:
    """Tokenised rows, one behind the other in one tensor; batches are cut out of it on the device where it is.

    tokens: int64 [tokens of all rows] under input_ids, and token_type_ids where the tokenizer makes them. lengths: int
    [rows], tokens per row, special tokens counted. labels: int64 [rows] for classification, float32 [rows] for
    regression. pad_id: the padding token.
    """

    tokens: Mapping[str, Tensor]
    lengths: np.ndarray
    labels: np.ndarray
    pad_id: int

    def __len__(self):
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Encoded":
        """The same rows on another device."""
        return replace(
            self, tokens={name: tensor.to(device) for name, tensor in self.tokens.items()}
        )

    def row(self, index: int) -> list[int]:
        """The token ids of one row."""
        return self.batch([index])[0]["input_ids"][0].tolist()

    def batch(self, indices: Sequence[int]) -> tuple[dict[str, Tensor], Tensor]:
        """(inputs [batch, longest of the batch] with their attention mask, labels [batch]) for these rows."""
        rows, device = np.asarray(indices), self.tokens["input_ids"].device
        starts, lengths = (
            torch.from_numpy(np.stack([self._starts[rows], self.lengths[rows]]))
            .to(device)
            .unsqueeze(-1)
        )
        column = torch.arange(int(self.lengths[rows].max()), device=device)
        padding = column >= lengths
        at = (starts + column).masked_fill_(padding, 0)
        fill = {"input_ids": self.pad_id}
        inputs = {
            name: values[at].masked_fill_(padding, fill.get(name, 0))
            for name, values in self.tokens.items()
        }
        return inputs | {"attention_mask": (~padding).long()}, torch.from_numpy(
            self.labels[rows]
        ).to(device)

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum(self.lengths) - self.lengths


def encode(rows: Sequence[dict], tokenizer, max_length: int = 128) -> Encoded:
    """Tokenise rows with keys sentence1, sentence2 (absent for single sentences) and label.

    max_length counts the special tokens (paper's code: 128). Labels that are floats make a regression task.
    """
    if not rows:
        raise ValueError("there are no rows to encode")
    pairs = "sentence2" in rows[0]
    tokens = tokenizer(
        [row["sentence1"] for row in rows],
        [row["sentence2"] for row in rows] if pairs else None,
        truncation=True,
        max_length=max_length,
        return_attention_mask=False,
    )
    names = [name for name in ("input_ids", "token_type_ids") if name in tokens]
    end_to_end = {
        n: torch.from_numpy(np.fromiter(chain.from_iterable(tokens[n]), np.int64)) for n in names
    }
    lengths = np.array([len(ids) for ids in tokens["input_ids"]])
    labels = [row["label"] for row in rows]
    dtype = np.float32 if isinstance(labels[0], float) else np.int64
    return Encoded(end_to_end, lengths, np.array(labels, dtype), tokenizer.pad_token_id)


def training_batches(lengths: np.ndarray, size: int, generator: torch.Generator) -> list[list[int]]:
    """One epoch's batches of row indices: every row once, rows of like length together, batches in random order."""
    order = torch.randperm(len(lengths), generator=generator).numpy()
    batches = []
    for start in range(0, len(order), BUCKET * size):
        bucket = order[start : start + BUCKET * size]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        batches += [bucket[i : i + size].tolist() for i in range(0, len(bucket), size)]
    return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]


def evaluation_batches(lengths: np.ndarray, size: int) -> Iterator[list[int]]:
    """Batches of row indices, longest rows first: the least padding, and a lack of memory shows at once."""
    order = np.argsort(-lengths, kind="stable")
    for start in range(0, len(order), size):
        yield order[start : start + size].tolist()
