"""Where jobs run: dask.distributed futures, on a local cluster by default, on an existing scheduler by address."""

import os
import signal
from collections.abc import Callable, Iterator

# before the import, which is when dask sets up its logging, here and in the workers; its warnings say in many words
# what the display says in one
os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "error")

import dask
from distributed import Client, LocalCluster, as_completed

from chain import warm
from chain.execute import TOPIC, JobSpec, Outcome, execute, process_environment, usable_cores
from chain.profiles import ConfigError

# one worker process a slot, one thread each: the kernels are the workers' children and bring their own threads
CONFIG = {
    "distributed.scheduler.allowed-failures": 1,  # a worker that dies takes its job down once; then it is reported
    "distributed.worker.daemon": False,  # workers start kernels, so they must be allowed children
    "distributed.admin.low-level-log-length": 100,
    # what dask watches itself with, many times a second, is worth a tenth of a core to kernels on the same machine
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
}


class Cluster:
    """A context that holds workers. workers, cards: how many there are; per_host: the most workers on one machine."""

    def __init__(self, scheduler: str | None, jobs: int | None, jobs_per_card: int):
        self.scheduler, self.share = scheduler, 1 / jobs_per_card
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
            self.nursery = warm.start(**process_environment(self.per_host))
            self.local = LocalCluster(
                n_workers=self.workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=0,  # the memory is the kernels'
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
        self, orders: list[tuple[JobSpec, list[str]]], began: Callable[[str], None]
    ) -> Iterator[Outcome]:
        """Run all orders, each after those that it names, and yield how each ends, as it ends.

        Where several could be next, the first of the list is. An order is handed over when a worker is free for it, not
        before: dask would give it to the worker that has run what it reads, which may be busy while another is not.
        """
        self.client.subscribe_topic(TOPIC, lambda event: began(event[1]["name"]))
        resources = {"GPU": self.share} if self.needs_card else None
        waiting, running, outcomes = list(orders), {}, {}
        futures = as_completed()

        def fill():
            slots = max(self.workers, sum(self.client.nthreads().values()))  # some may have joined
            for order, after in [ready for ready in waiting if outcomes.keys() >= set(ready[1])]:
                if len(running) >= slots:
                    break
                upstream = [outcomes[name] for name in after]
                key = f"{order.name}-{os.urandom(4).hex()}"
                future = self.client.submit(execute, order, upstream, key=key, resources=resources)
                running[future.key] = order.name
                waiting.remove((order, after))
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
    """In a worker: Ctrl-C reaches every process of the terminal, but it is run_all's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _cards() -> int:
    """How many CUDA cards there are, without a CUDA context in this process."""
    try:
        import torch
    except ImportError:
        return 0
    return torch.cuda.device_count() if torch.backends.cuda.is_built() else 0
