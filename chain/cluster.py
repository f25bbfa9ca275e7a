"""Where jobs run: on a local dask cluster, or on an existing one by its scheduler's address."""

import os
import signal
from collections.abc import Callable, Iterator

# Before the import, when dask sets up its logging here and in the workers: the display already
# shows what dask would warn about.
os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "error")

import dask
from distributed import Client, LocalCluster, as_completed

from chain import warm
from chain.execute import TOPIC, JobSpec, Outcome, execute, process_environment, usable_cores
from chain.profiles import ConfigError

# One worker process per slot, with one thread each: kernels are processes with threads of their
# own.
CONFIG = {
    "distributed.scheduler.allowed-failures": 1,  # a job whose worker dies is tried once more
    "distributed.worker.daemon": False,  # workers start kernels, so they need child processes
    "distributed.admin.low-level-log-length": 100,
    # dask's monitoring runs many times a second and takes a tenth of a core away from the kernels
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
}


class Cluster:
    """A context that holds workers.

    workers, cards: how many there are. per_host: the most workers on one machine. threads: of each
    job; None for its share of the cores.
    """

    def __init__(
        self,
        scheduler: str | None,
        jobs: int | None,
        jobs_per_card: int,
        threads: int | None = None,
    ):
        self.scheduler, self.share, self.threads = scheduler, 1 / jobs_per_card, threads
        self.cards = 0 if scheduler else _cards()
        self.workers = jobs or self.cards * jobs_per_card or usable_cores()
        self.per_host = self.workers

    def __enter__(self) -> "Cluster":
        dask.config.set(CONFIG)
        self.local = self.nursery = None
        if self.scheduler:
            try:
                self.client = Client(self.scheduler, timeout=15)
            except (OSError, ValueError) as fault:
                raise ConfigError(
                    f"--scheduler {self.scheduler}: no dask scheduler answers there ({fault})"
                ) from None
            known = self.client.scheduler_info(n_workers=-1)["workers"].values()
            self.workers = max(1, sum(worker["nthreads"] for worker in known))
            hosts = [worker["host"] for worker in known for _ in range(worker["nthreads"])]
            self.per_host = max([hosts.count(host) for host in hosts] or [1])
            self.needs_card = any("GPU" in worker.get("resources", {}) for worker in known)
        else:
            self.nursery = warm.start(**process_environment(self.per_host, self.threads))
            self.local = LocalCluster(
                n_workers=self.workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=0,  # the kernels use the memory, not the workers
                dashboard_address=":0",
                resources={"GPU": self.share} if self.cards else None,
            )
            self.client = Client(self.local)
            self.client.run(_ignore_interrupts)
            self.needs_card = bool(self.cards)
        return self

    def __exit__(self, *_):
        self.client.close()
        if self.local is not None:
            self.local.close()
        warm.stop(self.nursery)

    def run(
        self, specs: list[tuple[JobSpec, list[str]]], began: Callable[[str], None]
    ) -> Iterator[Outcome]:
        """Run all jobs, each one after the jobs that it names, and yield each outcome as it comes.

        Of several jobs that are ready, the first in the list runs next. A job is submitted only
        when a worker is free: dask would assign it to the worker that ran what it reads, even if
        that one is busy and another is idle. began: called with a job's name when a worker begins
        it.
        """
        self.client.subscribe_topic(TOPIC, lambda event: began(event[1]["name"]))
        resources = {"GPU": self.share} if self.needs_card else None
        waiting, running, outcomes = list(specs), {}, {}
        futures = as_completed()

        def fill():
            slots = max(self.workers, sum(self.client.nthreads().values()))  # workers may join
            for spec, after in [job for job in waiting if outcomes.keys() >= set(job[1])]:
                if len(running) >= slots:
                    break
                upstream = [outcomes[name] for name in after]
                key = f"{spec.name}-{os.urandom(4).hex()}"
                future = self.client.submit(execute, spec, upstream, key=key, resources=resources)
                running[future.key] = spec.name
                waiting.remove((spec, after))
                futures.add(future)

        fill()
        for future in futures:
            name = running.pop(future.key)
            if future.status == "finished":
                outcomes[name] = future.result()
            else:
                outcomes[name] = Outcome(
                    name, "failed", message=f"its worker died twice ({future.exception()})"
                )
            fill()
            yield outcomes[name]


def _ignore_interrupts() -> None:
    """In a worker: leave Ctrl-C, which reaches every process of the terminal, to run_all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _cards() -> int:
    """The number of CUDA cards, counted without a CUDA context in this process."""
    try:
        import torch
    except ImportError:
        return 0
    return torch.cuda.device_count() if torch.backends.cuda.is_built() else 0
