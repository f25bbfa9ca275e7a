"""Where jobs run: on a local dask cluster, or on an existing one by its scheduler's address."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker

# Before the import, when dask sets up its logging here and in the workers: the display already
# shows what dask would warn about.
os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "critical")

import dask
from distributed import Client, LocalCluster, WorkerPlugin, as_completed
from distributed.client import FutureCancelledError
from distributed.comm import CommClosedError

from chain import cards, warm
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


class Quiet(WorkerPlugin):
    """Keep a worker's event loop from printing what it drops while a run stops."""

    name = "quiet"

    def setup(self, worker) -> None:  # noqa: ARG002 (dask passes the worker)
        """Show only what ends a worker's process, also one that replaces another."""
        for loop in ("tornado.application", "asyncio"):
            logging.getLogger(loop).setLevel(logging.CRITICAL)


class ClusterLostError(RuntimeError):
    """The scheduler has ended in the middle of a run."""


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
        self.cards = cards.count() if scheduler is None else 0
        self.workers = jobs or self.cards * jobs_per_card or usable_cores()
        self.per_host = self.workers

    def __enter__(self) -> "Cluster":
        dask.config.set(CONFIG)
        with ExitStack() as starting:
            if self.scheduler is None:
                self._start(starting)
            else:
                self._join(self.scheduler)
            starting.callback(self.client.close)
            self._ending = starting.pop_all()
        return self

    def _start(self, starting: ExitStack) -> None:
        nursery = warm.start(**process_environment(self.per_host, self.threads))
        starting.callback(warm.stop, nursery)
        with _signals_blocked():
            local = LocalCluster(
                n_workers=self.workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=0,  # the kernels use the memory, not the workers
                host="127.0.0.1",  # nobody else on the network may submit work
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address="127.0.0.1:0",
                resources={"GPU": self.share} if self.cards else None,
            )
            starting.callback(local.close)
            self.client = Client(local)
            self.client.register_plugin(Quiet())
        self.needs_card = bool(self.cards)

    def _join(self, scheduler: str) -> None:
        try:
            self.client = Client(scheduler, timeout=15)
        except Exception as fault:  # dask's connectors raise errors of many kinds
            reason = " ".join(str(fault).split())
            raise ConfigError(
                f"--scheduler {scheduler}: no dask scheduler answers there ({reason}); "
                "give the address that it printed when it started, as tcp://host:8786"
            ) from None
        known = self.client.scheduler_info(n_workers=-1)["workers"].values()
        self.workers = max(1, sum(worker["nthreads"] for worker in known))
        hosts = [worker["host"] for worker in known for _ in range(worker["nthreads"])]
        self.per_host = max([hosts.count(host) for host in hosts] or [1])
        self.needs_card = any("GPU" in worker.get("resources", {}) for worker in known)

    def __exit__(self, *_):
        self._ending.close()

    def run(
        self, specs: list[tuple[JobSpec, list[str]]], began: Callable[[str], None]
    ) -> Iterator[Outcome]:
        """Run all jobs, each one after the jobs that it names, and yield each outcome as it comes.

        Of several jobs that are ready, the first in the list runs next. A job is submitted only
        when a worker is free: dask would assign it to the worker that ran what it reads, even if
        that one is busy and another is idle. began: called with a job's name when a worker begins
        it. Raises ClusterLostError if the scheduler ends.
        """
        try:
            yield from self._run(specs, began)
        except (OSError, FutureCancelledError):  # a CommClosedError is an OSError
            raise ClusterLostError(
                f"the dask scheduler at {self.scheduler or 'this machine'} has ended; finished "
                "work is kept, and the same command with a scheduler that runs continues from there"
            ) from None

    def _run(
        self, specs: list[tuple[JobSpec, list[str]]], began: Callable[[str], None]
    ) -> Iterator[Outcome]:
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
            if future.status in ("cancelled", "lost"):  # the client has given up on the scheduler
                raise CommClosedError(f"{name} was cancelled")
            if future.status == "finished":
                outcomes[name] = future.result()
            else:
                outcomes[name] = Outcome(
                    name, "failed", message=f"its worker died twice ({future.exception()})"
                )
            fill()
            yield outcomes[name]


@contextmanager
def _signals_blocked() -> Generator[None]:
    """Start processes that never see Ctrl-C, nor SIGTERM: both can reach a whole process group.

    They inherit the blocked signals; this process gets them at the end of the block, and ends them.
    """
    resource_tracker.ensure_running()  # later, this would end the block for what starts after it
    stops, came = (signal.SIGINT, signal.SIGTERM), []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    # Threads that are older than the block do not block the signals. Python would hand what they
    # get to this thread, in the middle of starting a worker.
    main = threading.current_thread() is threading.main_thread()
    handlers = {n: signal.signal(n, lambda n, _: came.append(n)) for n in stops} if main else {}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number in dict.fromkeys(came):
            signal.raise_signal(number)
