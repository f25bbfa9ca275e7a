"""Made-up rows, as long as GLUE's: how long a step takes depends on their lengths alone."""

import numpy as np
import torch

from lib.model.batches import Encoded

# Tokens of training rows with BERT's uncased vocabulary, special tokens included, at most 128: the
# quantiles 1/40, 3/40, …, 39/40 of each task's first 5,000 rows. A test measures them again.
LENGTHS = {
    "CoLA": [6, 7, 8, 8, 9, 9, 9, 10, 10, 10, 11, 11, 12, 12, 13, 14, 15, 16, 19, 23],
    "SST-2": [3, 4, 5, 5, 6, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 19, 21, 25, 30, 39],
    "QQP": [16, 18, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 31, 33, 34, 37, 39, 43, 50, 64],
    "MRPC": [29, 34, 38, 40, 42, 45, 46, 49, 51, 52, 54, 56, 58, 60, 61, 64, 66, 69, 72, 78],
    "RTE": [25, 31, 35, 38, 41, 44, 46, 48, 51, 54, 57, 61, 64, 69, 78, 93, 113, 128, 128, 128],
}  # fmt: skip
FIRST_WORD, VOCABULARY = 1000, 30522  # BERT's uncased vocabulary has no words before these


def made_up(task: str, count: int, seed: int = 0) -> Encoded:
    """Draw rows of random words with two classes; each length of the task is equally likely."""
    draw = np.random.default_rng(seed)
    lengths = draw.choice(LENGTHS[task], count)
    ids = torch.from_numpy(draw.integers(FIRST_WORD, VOCABULARY, lengths.sum()))
    tokens = {"input_ids": ids, "token_type_ids": torch.zeros_like(ids)}
    return Encoded(tokens, lengths, draw.integers(2, size=count), pad_id=0)
