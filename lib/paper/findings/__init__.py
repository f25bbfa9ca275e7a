"""What a run has found, in three lines a notebook: in this run, in the paper, so.

Each function takes the run's numbers and writes what they carry and no more. Its tests feed it
numbers that agree with the paper, that contradict it, and that show nothing, and it must say three
different things.

    of_one        notebooks 01, 02, 03 and 05: one task, one seed
    of_all        notebooks 04 and 07 to 09: all tasks and seeds
    of_tickets    notebook 06: are all tickets winning?
    of_the_paper  notebook 10: forty claims of the paper
"""

from collections.abc import Sequence
from typing import NamedTuple


class Finding(NamedTuple):
    """The three lines of a box; see `teach.box`."""

    run: str
    paper: str
    so: str


def worded(p: float) -> str:
    """Write a p-value into a sentence: "p = 0.0046", or "p < 0.0001"."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def count_of(number: int, what: str) -> str:
    """Write a number of things: "1 task", "3 tasks"."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def names_of(names: Sequence[str]) -> str:
    """Write at least one name: "CoLA, RTE and MNLI"."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
