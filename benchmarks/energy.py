"""Measure the energy that the speed-ups save: one fine-tuning and one search, against the authors'.

python -m benchmarks energy     MiniLM on CoLA, one thread: a minute and a half

Both sides do the same work. codecarbon gives the energy as in `chain.energy`: from the machine's
counters, or else estimated from load and nominal power, so that it is nearly in proportion to time.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks import authors, finetuning, search
from benchmarks.sides import Claim, compare, show
from benchmarks.subjects import minilm
from chain import energy
from lib.model import train

COUNTRY = "FRA"  # codecarbon asks for one; the energy does not depend on it
TASK, BATCHES = "CoLA", 8


def claims() -> Iterator[Claim]:
    """Compare the energy of fine-tuning, and of a joint search."""
    subject = minilm(TASK, finetuning.ROWS, 1)
    yield compare(
        f"energy of fine-tuning on {TASK}",
        "every row padded to 128",
        partial(finetuning.fit, train.fit, subject, BATCHES),
        partial(finetuning.fit, authors.fit, subject, BATCHES),
        cost=kwh,
    )
    tuned = search.fine_tuned(TASK, 512, 64, epochs=2)
    copied = search.copy_for_authors(tuned)
    yield compare(
        f"energy of an s-pruning search on {TASK}, {len(tuned.dev)} dev rows",
        "padded, with gradients of weights, attentions kept",
        partial(search.search, tuned),
        partial(authors.search, copied, search.CHOICES),
        same=lambda ours, theirs: ours == theirs,
        turns=1,
        warm=True,
        cost=kwh,
    )


def kwh(side: Callable[[], Any]) -> tuple[float, Any]:
    """Run a side; return its energy in kWh, and its result."""
    with energy.measured(COUNTRY, jobs=1, cards=0, spent=time.process_time) as used:
        result = side()
    if not used:
        raise RuntimeError("codecarbon measured nothing: pip install -e '.[energy]' adds it")
    return used["kwh"], result


if __name__ == "__main__":
    show(claims())
