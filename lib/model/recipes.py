"""How each encoder wants to be fine-tuned."""

from dataclasses import asdict, replace
from typing import Literal

from pydantic import PositiveFloat, PositiveInt

from lib.model.choices import strict


@strict
class Recipe:
    """How an encoder is fine-tuned.

    pooling: "cls" (the pooler over [CLS], as BERT) or "mean" (over the tokens, standardised: see SentenceClassifier).
    learning_rate: the encoder's peak rate. head_factor: how many times that rate the classifier gets. precision:
    "float32", or "mixed", with bf16 matrix products where the device has units for them (README, decision 23). For all:
    linear decay to 0, no warm-up, AdamW without weight decay, gradient clip 1.0 (paper §3 and its code).
    """

    pooling: Literal["cls", "mean"] = "cls"
    learning_rate: PositiveFloat = 2e-5
    head_factor: PositiveFloat = 1.0
    epochs: PositiveInt = 3
    batch_size: PositiveInt = 32
    max_length: PositiveInt = 128
    precision: Literal["float32", "mixed"] = "float32"

    def as_dict(self) -> dict:
        """The recipe as plain values."""
        return asdict(self)


BERT = Recipe(precision="mixed")  # the paper's; for every encoder that is not named below
# measured: benchmarks/recipes.py
SMALL = Recipe(pooling="mean", learning_rate=1e-4, head_factor=10, batch_size=16, precision="mixed")
RECIPES = {
    "minilm-l6": SMALL,
    "e5-small": SMALL,
    "tiny": Recipe(pooling="cls", learning_rate=1e-3, batch_size=16, max_length=32),
}


def recipe(encoder: str, **changes) -> Recipe:
    """The recipe of an encoder by name, but for these changes; BERT's, the paper's, where nothing else is known."""
    return replace(RECIPES.get(encoder, BERT), **changes)
