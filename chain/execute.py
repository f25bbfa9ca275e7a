"""Running one notebook in a worker process: parameters in, executed copy and artefacts out."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path

from chain import cards, energy, warm
from lib.artefacts.fingerprint import ROOT

TOPIC = "all-tickets"  # the dask topic under which workers report what they begin
# Variables with folders. A job has them as run_all has them, on whichever machine it runs.
FOLDERS = ("GLUE_DIR", "MASKS_DIR", "OUTPUTS_DIR", "ALL_TICKETS_CACHE")


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    state: "done", "failed" or "skipped". message: the last lines of the error, or why it was
    skipped. energy: as `chain.energy.measured` gives it.
    """

    name: str
    state: str
    seconds: float = 0.0
    message: str = ""
    energy: dict = field(default_factory=dict)


@dataclass(frozen=True)
class JobSpec:
    """What a worker needs to know to run a job.

    source, target: the notebook and its executed copy, absolute paths. jobs: the most jobs that
    share this machine. allow_partial: run even if some of what it reads has failed. threads: of the
    kernel; None for its share of the cores. country: measure energy, with the emissions of this
    country's electricity. folders: {variable: absolute path}, of `FOLDERS`.
    """

    name: str
    source: str
    target: str
    parameters: dict
    jobs: int
    cards: int = 0
    allow_partial: bool = False
    threads: int | None = None
    country: str | None = None
    folders: dict = field(default_factory=dict)


def execute(spec: JobSpec, upstream: list[Outcome]) -> Outcome:
    """Run a notebook with papermill; retry once if its kernel dies.

    A failing cell is an outcome, not an exception.
    """
    failed = [outcome.name for outcome in upstream if outcome.state != "done"]
    if failed and not (spec.allow_partial and len(failed) < len(upstream)):
        return Outcome(spec.name, "skipped", message=f"it reads {failed[0]}, which did not finish")
    _announce(spec)
    _environment(spec)
    start = time.perf_counter()
    try:
        with energy.measured(spec.country, spec.jobs, spec.cards) as used:
            _papermill(spec)
    except Exception as fault:
        return Outcome(spec.name, "failed", time.perf_counter() - start, _last_lines(fault))
    return Outcome(spec.name, "done", time.perf_counter() - start, energy=used)


def _papermill(spec: JobSpec) -> None:
    import papermill
    from nbclient.exceptions import DeadKernelError

    Path(spec.target).parent.mkdir(parents=True, exist_ok=True)
    # papermill's own cwd= is not thread-safe; all notebooks run in one folder, so change to it once
    os.chdir(Path(spec.source).parent)
    for attempt in (1, 2):
        try:
            papermill.execute_notebook(
                spec.source,
                spec.target,
                spec.parameters,
                kernel_name=warm.kernel_name(),
                progress_bar=False,
                extra_arguments=[
                    "--IPKernelApp.log_level=50"
                ],  # no line about encryption from every kernel
            )
            return
        except (DeadKernelError, RuntimeError) as fault:
            # RuntimeError: processes that start kernels at once can pick the same port, and one
            # kernel is lost
            died = isinstance(fault, DeadKernelError) or str(fault).startswith("Kernel ")
            if attempt == 2 or not died:
                raise


def _announce(spec: JobSpec) -> None:
    from distributed import get_worker

    get_worker().log_event(TOPIC, {"name": spec.name})


def _environment(spec: JobSpec) -> None:
    """Set the environment that the kernel inherits."""
    from distributed import get_worker

    # dask's settings for its workers: they return memory to the system after each freed tensor, and
    # hold MKL to one thread
    threads = ("MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    for variable in ("MALLOC_TRIM_THRESHOLD_", *threads, *FOLDERS):
        os.environ.pop(variable, None)
    ours = process_environment(spec.jobs, spec.threads) | spec.folders
    os.environ.update(ours, TOKENIZERS_PARALLELISM="false")
    name = str(get_worker().name)
    if name.isdigit():  # our own cluster numbers its workers; others assign cards themselves
        os.environ.update(cards.of_worker(int(name), spec.cards))


def process_environment(jobs: int, threads: int | None = None) -> dict[str, str]:
    """Variables for a process that shares this machine with others, `jobs` in all.

    PYTHONPATH puts this checkout's lib first, whichever is installed. Each process gets a thread
    per core of its share, or `threads`: more than its share would only wait for one another.
    """
    count = threads or max(1, usable_cores() // jobs)
    wait = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
    return {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(count)} | wait


def usable_cores() -> int:
    """The cores that this process may use: under taskset, fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _last_lines(fault: Exception) -> str:
    """The last lines of an error."""
    name, value = getattr(fault, "ename", ""), getattr(fault, "evalue", "")
    text = f"{name}: {value}" if name else f"{type(fault).__name__}: {fault}"
    return "\n".join(text.strip().splitlines()[-6:])
