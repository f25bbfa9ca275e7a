"""Recipes: how each encoder is fine-tuned."""

from dataclasses import asdict, replace
from typing import Annotated, Literal

from pydantic import Field

from lib.model.choices import Count, strict


@strict
class Recipe:
    """How an encoder is fine-tuned.

    The rest is the same for all encoders: AdamW without weight decay, linear decay of the learning
    rate to 0, no warm-up, gradients clipped at norm 1.0 (paper §3 and its code).
    pooling: "cls" (the pooler over [CLS], as in BERT) or "mean" (the mean over the tokens,
        standardised: see SentenceClassifier)
    learning_rate: the encoder's peak learning rate
    head_factor: the classifier's learning rate, as a multiple of the encoder's
    max_length: tokens per row, special tokens included; longer rows are truncated
    precision: "float32", or "mixed" for bf16 matrix products where the device has units for them
        (README, decision 23)
    """

    pooling: Literal["cls", "mean"] = "cls"
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 2e-5
    head_factor: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    epochs: Count = 3
    batch_size: Count = 32
    max_length: Count = 128
    precision: Literal["float32", "mixed"] = "float32"

    def as_dict(self) -> dict:
        """Return the recipe as plain values."""
        return asdict(self)


BERT = Recipe(precision="mixed")  # the paper's recipe; for every encoder that is not named below
# measured: benchmarks/recipes.py
SMALL = Recipe(pooling="mean", learning_rate=1e-4, head_factor=10, batch_size=16, precision="mixed")
RECIPES = {
    "minilm-l6": SMALL,
    "e5-small": SMALL,
    "tiny": Recipe(pooling="cls", learning_rate=1e-3, batch_size=16, max_length=32),
}


def recipe(encoder: str, **changes) -> Recipe:
    """Return the recipe of an encoder, or else BERT's from the paper, with these changes."""
    return replace(RECIPES.get(encoder, BERT), **changes)
