"""Two sides of a comparison, timed by turns in one process, so that what slows one slows the other."""

import statistics
import time

import numpy as np

from lib.masks import Mask

TURNS = 5


def ratio(slow, fast) -> str:
    """The time of `slow` over that of `fast`, by turns."""
    slow(), fast()
    found = []
    for _ in range(TURNS):
        times = []
        for side in (slow, fast):
            start = time.perf_counter()
            side()
            times.append(time.perf_counter() - start)
        found.append(times[0] / times[1])
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def half_the_units() -> Mask:
    """Half of MiniLM's heads and half of its MLPs, at random."""
    draw = np.random.default_rng(0)
    return Mask(draw.permuted(np.arange(72) < 36).reshape(6, 12), draw.permuted(np.arange(6) < 3))
