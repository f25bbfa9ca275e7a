"""The Hugging Face hub: GLUE as nyu-mll/glue, and any encoder with BertModel's layout."""

import os
from functools import cache
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from lib.data.glue import TASKS
from lib.data.sources.pretrained import load
from lib.data.sources.unavailable import Unavailable

IDS = {"minilm-l6": "sentence-transformers/all-MiniLM-L6-v2", "e5-small": "intfloat/e5-small"}
COLUMNS = {
    "CoLA": ("sentence", None),
    "SST-2": ("sentence", None),
    "QQP": ("question1", "question2"),
    "MNLI": ("premise", "hypothesis"),
    "QNLI": ("question", "sentence"),
}


@cache
def _check_reachable() -> None:
    """Check once, briefly, that the hub can be reached.

    Without a network, the hub's own client retries for half a minute.
    """
    from huggingface_hub.constants import ENDPOINT

    if os.environ.get("HF_HUB_OFFLINE") == "1":
        return  # the user says that everything is in the cache
    try:
        urlopen(Request(ENDPOINT, method="HEAD"), timeout=10).close()
    except HTTPError:
        return  # an error page is an answer, too
    except OSError as fault:
        reason = getattr(fault, "reason", fault)
        raise Unavailable(f"the hub cannot be reached ({reason})") from None


def rows(task: str) -> tuple[list[dict], list[dict], str, str]:
    """Get (train rows, dev rows, origin, about) of a task; MNLI's dev set is the matched one."""
    _check_reachable()
    import datasets

    name = task.lower().replace("-", "")
    try:
        splits = datasets.load_dataset("nyu-mll/glue", name)
    # the client raises dozens of kinds of errors; each means that the rows cannot be loaded
    except Exception as fault:
        raise Unavailable(f"nyu-mll/glue {name} could not be loaded ({fault})") from None
    first, second = COLUMNS.get(task, ("sentence1", "sentence2"))
    number = int if TASKS[task].labels else float
    train, dev = (
        [
            {
                "sentence1": row[first],
                **({"sentence2": row[second]} if second else {}),
                "label": number(row["label"]),
            }
            for row in splits[split]
        ]
        for split in ("train", "validation_matched" if task == "MNLI" else "validation")
    )
    origin = f"hub nyu-mll/glue {name} {splits['train']._fingerprint}"
    return train, dev, origin, "GLUE as the hub has it"


def encoder(name: str):
    """Load (encoder, tokenizer, origin) of a model on the hub."""
    if name == "tiny":
        raise Unavailable("tiny is not on the hub; the source tiny makes it")
    _check_reachable()
    model = IDS.get(name, name)
    try:
        encoder, tokenizer = load(model)
    except (OSError, ValueError) as fault:
        raise Unavailable(f"{model} could not be loaded ({str(fault).splitlines()[0]})") from None
    return encoder, tokenizer, f"hub {model} {getattr(encoder.config, '_commit_hash', '')}".strip()


def prepare(name: str) -> str:
    """Download a model into the hub's cache and return its origin."""
    return encoder(name)[2]
