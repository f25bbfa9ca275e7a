"""The energy that a job takes and its emissions, by codecarbon in offline mode: no network is used.

codecarbon sees the whole machine: from its counters if Linux shows them (RAPL), or else estimated
from the load and the nominal power of the processor; the power of memory is always estimated. A job
gets that share of it that its kernel has of the processor time that all programs took, so jobs that
run at the same time do not count twice, and other programs do not count.
"""

import logging
import os
import resource
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from typing import Any

from chain import warm
from chain.cards import VARIABLE

COUNTED, ESTIMATED = "counters", "estimated"


@contextmanager
def measured(
    country: str | None, jobs: int, cards: int, spent: Callable[[], float] | None = None
) -> Generator[dict[str, Any]]:
    """Measure what runs in the block; the dict has the results afterwards.

    They are kwh, kg_co2eq, the share of the machine's processor time, country, and how: COUNTED or
    ESTIMATED. It stays empty without a country, if the block fails, or if codecarbon does: a
    measurement must not cost a job.
    jobs, cards: how many jobs share this machine at most, and its number of CUDA cards
    spent: the processor seconds so far of what is measured; by default the kernels'
    """
    used: dict[str, Any] = {}
    if country is None:
        yield used
        return
    try:
        tracker = _tracker(country, os.environ.get(VARIABLE) if cards else None)
        tracker.start_task()
    except Exception:
        yield used
        return
    own_seconds = spent or _kernel_seconds
    busy, own = _busy_seconds(), own_seconds()
    found = None
    try:
        yield used
    finally:
        try:
            found = tracker.stop_task()
            busy, own = _busy_seconds() - busy, own_seconds() - own
        except Exception:
            found = None
    if found is not None and found.energy_consumed > 0:
        # a kernel that was killed has not said what it spent
        share = min(1.0, own / busy) if own and busy else 1 / jobs
        card = found.gpu_energy * cards / max(jobs, cards)
        energy = share * (found.cpu_energy + found.ram_energy) + card
        intensity = found.emissions / found.energy_consumed
        used |= {"kwh": energy, "kg_co2eq": energy * intensity, "share": round(share, 4)}
        used |= {"country": country, "how": _how()}


@cache
def _tracker(country: str, card: str | None):
    from codecarbon import OfflineEmissionsTracker

    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # before log_level takes effect
    return OfflineEmissionsTracker(
        country_iso_code=country,
        tracking_mode="machine",
        allow_multiple_runs=True,
        log_level="critical",
        gpu_ids=[card] if card else [],
        # given, lest a variable or a configuration file of the user's sends anything anywhere
        output_methods=[],
        emissions_endpoint=None,
        electricitymaps_api_token=None,
        cloud_provider=None,
    )


def _how() -> str:
    from codecarbon.core.cpu import is_rapl_available

    return COUNTED if is_rapl_available() else ESTIMATED


def _busy_seconds() -> float:
    """Processor time that all programs of this machine have taken."""
    import psutil

    times = psutil.cpu_times()
    return times.user + times.system + getattr(times, "nice", 0.0)


def _kernel_seconds() -> float:
    """Processor time that the kernels of this process have taken; only those that have ended."""
    cold = resource.getrusage(resource.RUSAGE_CHILDREN)
    return warm.ended_kernels_seconds() + cold.ru_utime + cold.ru_stime
