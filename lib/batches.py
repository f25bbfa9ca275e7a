"""Sentences as token ids, and the order in which a model sees them.

Padding is the dearest arithmetic in GLUE: padded to 128, the average CoLA row is nine tenths nothing. Rows are
tokenised once, batched with rows of like length, and padded to the longest of their batch only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

# how many batches' worth of shuffled rows are sorted by length together: large enough for little padding, small
# enough that batches still differ from epoch to epoch
BUCKET = 32


@dataclass(frozen=True)
class Encoded:
    """Tokenised rows: what a model reads, in the order of the rows.

    inputs: per row a dict of int lists of one length (input_ids, and token_type_ids where the tokenizer makes them).
    labels: int64 [rows] for classification, float32 [rows] for regression. pad_id: the padding token.
    """

    inputs: Sequence[dict[str, list[int]]]
    labels: np.ndarray
    pad_id: int

    def __len__(self):
        return len(self.labels)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per row, special tokens counted: int [rows]."""
        return np.array([len(row["input_ids"]) for row in self.inputs])

    def batch(self, indices: Sequence[int], device: torch.device | str = "cpu") -> tuple[dict[str, Tensor], Tensor]:
        """(inputs [batch, longest of the batch] with their attention mask, labels [batch]) for these rows."""
        rows = [self.inputs[i] for i in indices]
        longest = max(len(row["input_ids"]) for row in rows)
        padded = {
            name: torch.tensor(
                [row[name] + [self.pad_id if name == "input_ids" else 0] * (longest - len(row[name])) for row in rows]
            )
            for name in rows[0]
        }
        lengths = torch.tensor([len(row["input_ids"]) for row in rows])
        padded["attention_mask"] = (torch.arange(longest) < lengths[:, None]).long()
        labels = torch.from_numpy(self.labels[np.asarray(indices)])
        return {name: tensor.to(device) for name, tensor in padded.items()}, labels.to(device)


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
    inputs = [dict(zip(names, values, strict=True)) for values in zip(*(tokens[n] for n in names), strict=True)]
    labels = [row["label"] for row in rows]
    dtype = np.float32 if isinstance(labels[0], float) else np.int64
    return Encoded(inputs, np.array(labels, dtype), tokenizer.pad_token_id)


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
