"""A random BERT of 3 layers × 4 heads and template sentences, made in memory without a download.

The sentences are about animals. The label follows from the words, so that even a tiny model learns
something: it is the mood of a single sentence, or the mood of the second sentence of a pair.
"""

import zlib

import numpy as np

from lib.data.glue import TASKS
from lib.data.sources.unavailable import Unavailable, refuse_revision

ANIMALS = ["cat", "dog", "horse", "parrot", "hamster", "rabbit", "goose", "lizard"]
GOOD = ["happy", "lovely", "bright", "gentle", "clever", "brave"]
BAD = ["angry", "awful", "gloomy", "cruel", "stupid", "cowardly"]
ACTIONS = ["sleeps", "runs", "sings", "waits", "hides", "eats"]
PLACES = ["garden", "kitchen", "forest", "street", "barn", "attic"]
OTHERS = ["the", "a", "in", "today"]
TRAIN_ROWS, DEV_ROWS = 600, 160


def rows(task: str, train: bool = True) -> tuple[list[dict], list[dict], str, str]:
    """Make (train rows, dev rows, origin, about) with the columns and labels of a GLUE task."""
    rng = np.random.default_rng(zlib.crc32(task.encode()))
    unique: dict[tuple, dict] = {}
    while len(unique) < TRAIN_ROWS + DEV_ROWS:
        row = _pair(rng, task) if TASKS[task].pair else _single(rng)
        unique.setdefault((row["sentence1"], row.get("sentence2")), row)
    made = list(unique.values())
    about = f"template sentences, not {task}: for tests only"
    return made[DEV_ROWS:] if train else [], made[:DEV_ROWS], "made in memory", about


def prepare_rows(task: str) -> str:
    """The origin of a task's rows."""
    return rows(task)[2]


def _sentence(rng, animal: str, mood: str) -> str:
    action, place, when = rng.choice(ACTIONS), rng.choice(PLACES), rng.choice(["", "today"])
    return f"the {mood} {animal} {action} in the {place} {when}".strip()


def _single(rng) -> dict:
    label = int(rng.integers(2))
    sentence = _sentence(rng, rng.choice(ANIMALS), rng.choice(GOOD if label else BAD))
    return {"sentence1": sentence, "label": label}


def _pair(rng, task: str) -> dict:
    classes = len(TASKS[task].labels) or 3
    number = int(rng.integers(classes))
    animal, mood = rng.choice(ANIMALS), rng.choice(GOOD)
    # the class is the second sentence's mood: 0 bad, 1 good, 2 none
    moods = [rng.choice(BAD), rng.choice(GOOD), "a"]
    first, second = _sentence(rng, animal, mood), _sentence(rng, animal, moods[number])
    label = number if TASKS[task].labels else 2.5 * number
    return {"sentence1": first, "sentence2": second, "label": label}


def prepare(name: str, revision: str | None = None) -> str:
    """The origin of the encoder "tiny"."""
    refuse_revision(revision)
    if name != "tiny":
        raise Unavailable("its only encoder is tiny")
    return "made in memory"


def encoder(name: str, revision: str | None = None):
    """Make (encoder, tokenizer, origin) of the random BERT "tiny"; it is the same every time."""
    origin = prepare(name, revision)
    import torch
    from transformers import BertConfig, BertModel

    tokenizer = _tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BertModel(config).eval(), tokenizer, origin


def _tokenizer():
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = special + sorted({*ANIMALS, *GOOD, *BAD, *ACTIONS, *PLACES, *OTHERS})
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", words.index("[CLS]")), ("[SEP]", words.index("[SEP]"))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )
