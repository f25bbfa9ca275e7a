"""Compare two sides, timed in turns in one process, so that what slows one also slows the other.

Each benchmark is a module with a generator `claims`. `python -m benchmarks.NAME` prints what it
yields; `python -m benchmarks` runs the benchmarks, each in a new process.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch

TURNS = 3
Cost = Callable[[Callable[[], Any]], tuple[float, Any]]  # runs a side: (its cost, its result)


@dataclass(frozen=True)
class Claim:
    """A measured figure, usually how many times as long `against` takes as `work`.

    median, least, most: over the turns
    wanted: the bound for the median; None if the figure is only reported
    at_most: True if `wanted` is an upper bound
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
        """Make a claim from the figure of each turn."""
        return cls(
            work, against, statistics.median(figures), min(figures), max(figures), wanted, at_most
        )

    @property
    def held(self) -> bool:
        """True if the median is within the bound, or if there is none."""
        return self.wanted is None or (
            self.median <= self.wanted if self.at_most else self.median >= self.wanted
        )

    @property
    def figure(self) -> str:
        """The median and the range, such as 2.00 (1.00–3.00)."""
        once = self.least == self.most
        return f"{self.median:.2f} ({'once' if once else f'{self.least:.2f}–{self.most:.2f}'})"

    @property
    def bound(self) -> str:
        """The bound, such as "at least 2.50"; empty if there is none."""
        if self.wanted is None:
            return ""
        return f"{'at most' if self.at_most else 'at least'} {self.wanted:.2f}"

    def __str__(self):
        verdict = (
            "" if self.wanted is None else f"   {self.bound}: {'held' if self.held else 'NOT held'}"
        )
        return f"{self.work} / {self.against}: {self.figure}{verdict}"


def _unchecked(_ours: Any, _theirs: Any) -> bool:
    return True


def timed(side: Callable[[], Any]) -> tuple[float, Any]:
    """Run a side; return its seconds and its result.

    A side on a GPU ends when the GPU has done all of its work.
    """
    start = time.perf_counter()
    result = side()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start, result


def in_turns(
    sides: Sequence[Callable[[], Any]],
    turns: int,
    seconds: float = float("inf"),
    cost: Cost = timed,
) -> Iterator[tuple[list[float], list[Any]]]:
    """Run all sides in turns; yield (cost of each side, result of each side) after each turn.

    seconds: end before a turn that would go beyond this, if it took as long as the earlier ones;
        there is always one turn
    """
    start = time.perf_counter()
    for turn in range(1, turns + 1):
        measured = [cost(side) for side in sides]
        yield [taken for taken, _ in measured], [result for _, result in measured]
        so_far = time.perf_counter() - start
        if so_far + so_far / turn > seconds:
            return


def compare(
    work: str,
    against: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    same: Callable[[Any, Any], bool] = _unchecked,
    wanted: float | None = None,
    at_most: bool = False,
    amounts: tuple[float, float] = (1, 1),
    turns: int = TURNS,
    warm: bool = False,
    seconds: float = float("inf"),
    cost: Cost = timed,
) -> Claim:
    """Run both sides in turns; claim the time of `theirs` over the time of `ours`.

    same(ours, theirs): True if the two results agree; checked in every turn
    at_most: claim the time of `ours` over the time of `theirs` instead, with an upper bound
    amounts: how much work each side does in a turn, if they differ; times are per unit of work
    warm: True to count the first turn, too, because it needs no warm-up or is long enough
    seconds: see `in_turns`; the first turn counts if there was time for no other
    cost: what to compare instead of times, such as energy
    Raises AssertionError if the results of a turn do not agree.
    """
    figures = []
    for durations, results in in_turns((ours, theirs), turns + (not warm), seconds, cost):
        if not same(*results):
            raise AssertionError(f"{work} and {against} do not give the same result")
        mine, its = (time / amount for time, amount in zip(durations, amounts, strict=True))
        figures.append(mine / its if at_most else its / mine)
    counted = figures if warm else figures[1:] or figures
    return Claim.of(work, against, counted, wanted, at_most)


def show(claims: Iterable[Claim]) -> list[Claim]:
    """Measure each claim and print it, on one thread, as when there is a worker on each core."""
    torch.set_num_threads(1)
    shown = []
    for claim in claims:
        print(claim, flush=True)
        shown.append(claim)
    return shown


def run(name: str) -> list[Claim]:
    """Run the benchmark of this name and return its claims.

    name: a module, which has a generator `claims`; or "search:whole" for another of its generators
    """
    module, _, function = name.partition(":")
    return show(getattr(import_module(f"benchmarks.{module}"), function or "claims")())
