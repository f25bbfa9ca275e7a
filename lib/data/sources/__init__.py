"""Where rows and encoders come from: four sources, tried in the order that a profile names.

folder   GLUE from the folder named by the variable GLUE_DIR; an encoder saved in a folder
pip      small real encoders and real GLUE rows inside packages, for machines without a model hub
hub      the Hugging Face hub: nyu-mll/glue, and any encoder with BertModel's layout
tiny     a random encoder and template sentences, made in memory, for tests

A source that lacks what it is asked for raises `Unavailable` with the reason, and the next one is
tried. Where the user has named a folder (GLUE_DIR), its faults are ValueErrors, and no other source
stands in for it.
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
    """A task's rows.

    train, dev: dicts with sentence1, sentence2 (pairs only) and label (Hugging Face's convention).
    origin: where the rows come from, with a checksum where there is one.
    about: what a reader must know about these rows.
    """

    train: list[dict]
    dev: list[dict]
    origin: str
    about: str

    def capped(self, train_rows: int | None, dev_rows: int | None) -> "Rows":
        """Keep at most this many training and dev rows; None keeps all.

        The selection does not depend on the seed of an experiment. `about` says how many there are.
        """
        train, dev = _sample(self.train, train_rows), _sample(self.dev, dev_rows)
        about = f"{len(train):,} training and {len(dev):,} dev rows, from {self.about}"
        return Rows(train, dev, self.origin, about)


def _sample(rows: list[dict], count: int | None) -> list[dict]:
    if count is None or count >= len(rows):
        return rows
    chosen = np.random.default_rng(0).permutation(len(rows))[:count]
    return [rows[i] for i in np.sort(chosen)]


def rows(task: str, order: Sequence[str], train: bool = True) -> Rows:
    """Get the rows of a GLUE task from the first source in `order` that has them.

    Raises Unavailable, with each source's reason, if none has them.
    train: False leaves out the training rows, for who only scores; the origin is the same
    """
    if task not in TASKS:
        raise LookupError(f"there is no GLUE task {task!r}; the tasks are {', '.join(TASKS)}")
    return Rows(*_first(order, f"rows of {task}", lambda source: source.rows(task, train)))


def encoder(name: str, order: Sequence[str], revision: str | None = None):
    """Get (encoder, tokenizer, origin) from the first source in `order` that has the encoder.

    Raises Unavailable, with each source's reason, if none has it, and ValueError for one that is
    damaged or incomplete.

    name: "minilm-l6", "e5-small", "tiny", a folder, or any model id on the hub.
    revision: a commit, tag or branch on the hub; None for the newest
    """
    return _first(order, f"encoder {name}", lambda source: source.encoder(name, revision))


def locate(
    name: str, tasks: Sequence[str], order: Sequence[str], revision: str | None = None
) -> dict[str, str]:
    """Find the origins of the encoder (key "encoder") and of each task's rows (key: the task).

    Called once, before many processes need the data: it also downloads what is not in a cache yet,
    so that no two processes download the same file and none asks the hub.
    """
    origins = {
        "encoder": _first(order, f"encoder {name}", lambda source: source.prepare(name, revision))
    }
    for task in tasks:
        wanted = f"rows of {task}"
        origins[task] = _first(order, wanted, lambda source, task=task: source.prepare_rows(task))
    return origins


def _first(order: Sequence[str], wanted: str, ask: Callable):
    reasons = []
    for name in order:
        if name not in SOURCES:
            raise LookupError(f"there is no source {name!r}; the sources are {', '.join(SOURCES)}")
        try:
            return ask(SOURCES[name])
        except Unavailable as reason:
            reasons.append(f"{name}: {reason}")
    others = [name for name in SOURCES if name not in order and name != "tiny"]
    hint = f"; look_in can also name {' and '.join(others)}" if others else ""
    raise Unavailable(f"no source has the {wanted} ({'; '.join(reasons)}){hint}")
