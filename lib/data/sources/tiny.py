"""A random BERT of 3 layers × 4 heads and sentences from templates, made in memory: seconds, no download.

The sentences are about pets and weather; each task's label follows from the words, so that even a tiny model learns
something: a mood for single sentences, "do both speak of the same animal?" for pairs.
"""

import zlib

import numpy as np

from lib.data.glue import TASKS
from lib.data.sources.unavailable import Unavailable

ANIMALS = ["cat", "dog", "horse", "parrot", "hamster", "rabbit", "goose", "lizard"]
GOOD = ["happy", "lovely", "bright", "gentle", "clever", "brave"]
BAD = ["angry", "awful", "gloomy", "cruel", "stupid", "cowardly"]
ACTIONS = ["sleeps", "runs", "sings", "waits", "hides", "eats"]
PLACES = ["garden", "kitchen", "forest", "street", "barn", "attic"]
OTHERS = ["the", "a", "in", "today"]
TRAIN_ROWS, DEV_ROWS = 600, 160


def rows(task: str) -> tuple[list[dict], list[dict], str, str]:
    """(train rows, dev rows, origin, about) of a made-up task with the columns and labels of a GLUE task."""
    draw = np.random.default_rng(zlib.crc32(task.encode()))
    rows: dict[tuple, dict] = {}
    while len(rows) < TRAIN_ROWS + DEV_ROWS:
        row = _pair(draw, task) if TASKS[task].pair else _single(draw)
        rows.setdefault((row["sentence1"], row.get("sentence2")), row)
    rows = list(rows.values())
    return (
        rows[DEV_ROWS:],
        rows[:DEV_ROWS],
        "made in memory",
        f"template sentences, not {task}: for tests only",
    )


def _sentence(draw, animal: str, mood: str) -> str:
    return f"the {mood} {animal} {draw.choice(ACTIONS)} in the {draw.choice(PLACES)} {draw.choice(['', 'today'])}".strip()


def _single(draw) -> dict:
    label = int(draw.integers(2))
    return {
        "sentence1": _sentence(draw, draw.choice(ANIMALS), draw.choice(GOOD if label else BAD)),
        "label": label,
    }


def _pair(draw, task: str) -> dict:
    classes = len(TASKS[task].labels) or 3
    kind = int(draw.integers(classes))
    animal, mood = draw.choice(ANIMALS), draw.choice(GOOD)
    # class 0: the second sentence is in a bad mood; 1: in a good one; 2: it says nothing of moods
    moods = [draw.choice(BAD), draw.choice(GOOD), "a"]
    first, second = _sentence(draw, animal, mood), _sentence(draw, animal, moods[kind])
    label = kind if TASKS[task].labels else 2.5 * kind
    return {"sentence1": first, "sentence2": second, "label": label}


def prepare(name: str) -> str:
    """The origin of the encoder."""
    if name != "tiny":
        raise Unavailable("it has only tiny")
    return "made in memory"


def encoder(name: str):
    """(encoder, tokenizer, origin) of the random BERT called "tiny"; the same one every time."""
    origin = prepare(name)
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
