"""Two sides of a comparison, timed by turns in one process, so that what slows one slows the other."""

import statistics
import time

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
