"""Let a process measure for so long and no longer, and keep what it has sent. Imports no torch."""

import json
import os
import sys
import time
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.gpu.results import Result, table
from lib.artefacts.files import atomic

ENCODERS = {"paper": "bert-base-uncased", "reference": "e5-small"}
REHEARSAL = dict.fromkeys(ENCODERS, "tiny")
# Two processes whose threads spin while they wait hinder one another: let threads sleep instead.
SLEEP = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}


@dataclass
class Report:
    """What is known so far.

    made: the device and the versions; empty until the measuring process has sent them
    running: the measurement that runs now, and since when
    """

    minutes: float
    rehearsal: bool
    made: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    running: tuple[str, float] | None = None

    def hear(self, message: tuple) -> None:
        """Take in a message of the measuring process, and tell the user of it."""
        match message:
            case "made", facts:
                self.made = facts
            case "begun", name:
                self.running = name, time.time()
            case "result", key, values:
                self.results[key] = result = Result.of(values)
                self.running = None
                because = f" ({result.reason})" if result.reason else ""
                print(f"{result.name}: {result.state}{because}", file=sys.stderr, flush=True)

    def end(self, reason: str) -> None:
        """Record what still ran when the measuring process ended, and why it ended."""
        name, since = self.running or ("starting: importing torch, or what comes next", time.time())
        self.results["ended"] = Result(name, "stopped", time.time() - since, reason)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        results = {key: result.as_dict() for key, result in self.results.items()}
        return {"made": {**self.made, "minutes": self.minutes, "rehearsal": self.rehearsal},
                "results": results}  # fmt: skip

    def __str__(self):
        if self.made:
            versions = ", ".join(f"{name} {self.made[name]}" for name in ("torch", "transformers"))
            where = f"{self.made['name']} ({self.made['cores']} cores; {versions})"
        else:
            where = "no device: torch was not imported in time"
        there_is_none = self.made.get("device") == "cpu"
        notes = [
            "There is no GPU here: this is the CPU." * there_is_none,
            "This is a rehearsal with a tiny model: the figures mean nothing." * self.rehearsal,
            "Weights are random, and rows are made up, as long as GLUE's.",
        ]
        return f"Measured on {where}. {' '.join(filter(None, notes))}\n\n" + table(
            self.results.values()
        )


def failed(report: Report) -> bool:
    """True if a measurement failed, or if float32 is not equal to the CPU's."""
    unequal = not report.results.get("equality", Result("", "skipped")).values.get("equal", True)
    return unequal or any(result.state == "failed" for result in report.results.values())


def measure(report: Report, end: float, to: Path) -> None:
    """Let a process measure until `end`; after each measurement, write what there is.

    That process is killed at `end`, so whatever hangs in it, this ends in time.
    """
    for name, value in SLEEP.items():
        os.environ.setdefault(name, value)
    context = get_context("spawn")
    here, there = context.Pipe(duplex=False)
    encoders = REHEARSAL if report.rehearsal else ENCODERS
    process = context.Process(target=_everything, args=(there, end, encoders))
    process.start()
    there.close()
    ended = False
    try:
        while not ended and here.poll(max(0.0, end - time.time())):
            message = here.recv()
            ended = message[0] == "ended"
            report.hear(message)
            write(to, report)
        if not ended:
            report.end("the time was up")
    except EOFError:
        process.join(1)
        report.end(f"the process that measures ended with exit status {process.exitcode}")
    finally:
        process.kill()
        process.join()


def _everything(connection: Connection, end: float, encoders: dict[str, str]) -> None:
    from benchmarks.gpu.run import everything  # not above: the parent starts without torch

    everything(connection, end, encoders)


def write(path: Path, report: Report) -> None:
    """Write the report as json, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(report.as_dict(), indent=1, ensure_ascii=False) + "\n")
