"""One notebook in a worker process: parameters in, executed copy and artefacts out."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from chain import warm
from lib.artefacts.fingerprint import ROOT

TOPIC = "all-tickets"  # under which workers tell the scheduler what they begin


@dataclass(frozen=True)
class Outcome:
    """How a job ended. state: "done", "failed" or "skipped"; message: the error's last lines, or why it was skipped."""

    name: str
    state: str
    seconds: float = 0.0
    message: str = ""


@dataclass(frozen=True)
class JobSpec:
    """All that a worker must know of a job; every path is absolute."""

    name: str
    source: str
    target: str
    parameters: dict
    jobs: int
    cards: int = 0
    allow_partial: bool = False  # go on even if some of what it reads has failed


def execute(order: JobSpec, upstream: list[Outcome]) -> Outcome:
    """Run a notebook with papermill; a kernel that dies is given a second chance. Never raises for a failing cell."""
    failed = [outcome.name for outcome in upstream if outcome.state != "done"]
    if failed and not (order.allow_partial and len(failed) < len(upstream)):
        return Outcome(
            order.name, "skipped", message=f"it reads {failed[0]}, which was not completed"
        )
    _announce(order)
    _environment(order)
    start = time.perf_counter()
    try:
        _papermill(order)
    except Exception as fault:
        return Outcome(order.name, "failed", time.perf_counter() - start, _last_lines(fault))
    return Outcome(order.name, "done", time.perf_counter() - start)


def _papermill(order: JobSpec) -> None:
    import papermill
    from nbclient.exceptions import DeadKernelError

    Path(order.target).parent.mkdir(parents=True, exist_ok=True)
    # papermill's own cwd= is not safe with threads; all notebooks run in one folder, so change to it once
    os.chdir(Path(order.source).parent)
    for attempt in (1, 2):
        try:
            papermill.execute_notebook(
                order.source,
                order.target,
                order.parameters,
                kernel_name=warm.kernel_name(),
                progress_bar=False,
                extra_arguments=[
                    "--IPKernelApp.log_level=50"
                ],  # no line about encryption from every kernel
            )
            return
        except (DeadKernelError, RuntimeError) as fault:
            # a RuntimeError: two processes that start kernels at once can pick the same port, and one kernel is lost
            died = isinstance(fault, DeadKernelError) or str(fault).startswith("Kernel ")
            if attempt == 2 or not died:
                raise


def _announce(order: JobSpec) -> None:
    from distributed import get_worker

    get_worker().log_event(TOPIC, {"name": order.name})


def _environment(order: JobSpec) -> None:
    """What the kernel inherits."""
    from distributed import get_worker

    # dask's own settings: they trim the heap after each freed tensor (benchmarks/heap.py), hold MKL to one thread
    for variable in ("MALLOC_TRIM_THRESHOLD_", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.pop(variable, None)
    os.environ.update(process_environment(order.jobs), TOKENIZERS_PARALLELISM="false")
    name = str(get_worker().name)
    if (
        order.cards and name.isdigit()
    ):  # a worker of our own cluster; others' workers come with a card of theirs
        os.environ["CUDA_VISIBLE_DEVICES"] = str(int(name) % order.cards)


def process_environment(jobs: int) -> dict[str, str]:
    """What a process must find in its environment, if there are so many such processes in all on this machine.

    This checkout's lib, whichever else is installed. A thread for each core of its share: more only wait for one
    another.
    """
    count = max(1, usable_cores() // jobs)
    wait = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
    return {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(count)} | wait


def usable_cores() -> int:
    """How many cores this process may use: fewer than the machine has, under taskset or a batch system."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _last_lines(fault: Exception, count: int = 6) -> str:
    """The end of an error, without the colours of a terminal."""
    name, value = getattr(fault, "ename", ""), getattr(fault, "evalue", "")
    text = f"{name}: {value}" if name else f"{type(fault).__name__}: {fault}"
    return "\n".join(text.strip().splitlines()[-count:])
