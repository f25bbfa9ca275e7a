"""Try the encoder of a profile before anything runs: what cannot work is refused at once."""

import torch

from chain.profiles import ConfigError, Profile
from lib.analysis import attention
from lib.data import glue, sources
from lib.model import recipes
from lib.model.batches import encode
from lib.model.classifier import SentenceClassifier, positions
from lib.pruning import gates

KNOWN = ("pip ", "made ")  # origins of encoders that tests try


def check_encoder(profile: Profile, origin: str) -> None:
    """Load the encoder as notebooks will, and compare the maps of a long row with its attention.

    On the CPU, so that this process holds no card.
    Raises ConfigError with the reason if notebooks cannot work with it.
    """
    if origin.startswith(KNOWN):
        return
    recipe = recipes.recipe(profile.encoder, **profile.finetuning)
    try:
        encoder, tokenizer, _ = sources.encoder(profile.encoder, profile.look_in, profile.revision)
        gates.encoder_layers(encoder)
        most = positions(encoder)
        if most < recipe.max_length:
            raise ValueError(
                f"it has positions for {most} tokens, not {recipe.max_length}; set "
                f"finetuning: {{max_length: {most}}}"
            )
        outputs = glue.TASKS[profile.tasks[0]].outputs
        model = SentenceClassifier(encoder, outputs, recipe.pooling, torch.Generator())
        long = [{"sentence1": "the cat sleeps today " * recipe.max_length, "label": 0}]
        next(attention.maps(model, encode(long, tokenizer, recipe.max_length), [0]))
    except (TypeError, ValueError) as fault:
        raise ConfigError(f"the encoder {profile.encoder} cannot be used: {fault}") from None
