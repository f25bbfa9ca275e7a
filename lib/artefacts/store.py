"""Where artefacts are on disk, and what is known about each. Only this module builds their paths.

    outputs/<profile>/<step>/<task>/seed_<n>/<artefact>        what a notebook wrote
    outputs/<profile>/<step>/<task>/seed_<n>/<artefact>.json   its provenance
    outputs/<profile>/<step>/<task>/seed_<n>/done.json         the step is complete
    outputs/<profile>/figures/<name>.png, .svg                 a figure, with its provenance
    outputs/<profile>/tables/<name>.csv, .md                   a table, with its provenance
    outputs/<profile>/notebooks/<step>-<task>-seed_<n>.ipynb   the executed notebook

Notebooks that cover all tasks and seeds have no <task>/seed_<n>/. The provenance of an artefact
says how it was made: fingerprint, parameters, checksum, versions.
"""

import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lib.artefacts import formats
from lib.artefacts.files import atomic, sha256
from lib.artefacts.fingerprint import ROOT, appearance, fingerprint

PACKAGES = ("torch", "transformers", "numpy", "scikit-learn", "scipy")
DONE = "done.json"


class NotKeptError(FileNotFoundError):
    """An artefact that was made and then not kept: weights are too large to share."""


def outputs() -> Path:
    """The folder of all outputs: outputs/ in the checkout, or else the variable OUTPUTS_DIR."""
    return Path(os.environ.get("OUTPUTS_DIR") or ROOT / "outputs")


def executed_notebook(
    profile: str, step: str, task: str | None = None, seed: int | None = None
) -> Path:
    """The path of the executed copy of a notebook, which run_all writes."""
    return outputs() / profile / "notebooks" / f"{Place(profile, step, task, seed).name}.ipynb"


@dataclass(frozen=True)
class Place:
    """A step's folder, for one task and seed or for all; saves and loads artefacts by name.

    The suffix of a name decides the format: see `formats`.
    task, seed: None in steps that cover all tasks and seeds
    fingerprint: the hash of everything that the step's results depend on; "" if the place is only
        read from, so that any fingerprint will do
    parameters: the notebook's parameters, for the provenance
    """

    profile: str
    step: str
    task: str | None = None
    seed: int | None = None
    fingerprint: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A name such as 03_structured_pruning-SST-2-seed_42, or 04_good_subnetworks."""
        return self.step if self.task is None else f"{self.step}-{self.task}-seed_{self.seed}"

    @property
    def folder(self) -> Path:
        """The folder on disk."""
        base = outputs() / self.profile / self.step
        return base if self.task is None else base / self.task / f"seed_{self.seed}"

    def path(self, name: str) -> Path:
        """The path of an artefact."""
        return self.folder / name

    def save(self, name: str, value, seconds: float | None = None, **facts) -> None:
        """Write an artefact, then its provenance.

        If it is there already, byte for byte and with this fingerprint, nothing changes on disk.
        seconds: how long it took to compute
        facts: anything else to put into the provenance
        """
        before = self.provenance(name)
        with atomic(self.path(name)) as temporary:
            formats.write(temporary, value)
        what = {
            "fingerprint": self.fingerprint,
            "parameters": dict(self.parameters),
            "sha256": sha256(self.path(name)),
        }
        if before is not None and what.items() <= before.items():
            return
        record = {
            **what,
            "seconds": None if seconds is None else round(seconds, 2),
            "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            **environment(),
            **facts,
        }
        with atomic(self.path(f"{name}.json")) as temporary:
            formats.write(temporary, record)

    def has(self, name: str) -> bool:
        """True if the artefact exists and has this place's fingerprint; "" accepts any."""
        record = self.provenance(name)
        return record is not None and self.fingerprint in ("", record["fingerprint"])

    def provenance(self, name: str) -> dict | None:
        """Read how an artefact was made; None if there is no such artefact."""
        return _read_json(self.path(f"{name}.json")) if self.path(name).exists() else None

    def load(self, name: str):
        """Read an artefact, after comparing its checksum.

        Raises FileNotFoundError if it does not exist, NotKeptError if it was made but only its
        provenance was kept, and ValueError if it is damaged.
        """
        record = self.provenance(name)
        if record is None:
            options = f"--profile {self.profile} --only {self.step[:2]}"
            options += "" if self.task is None else f" --tasks {self.task} --seeds {self.seed}"
            if self.path(f"{name}.json").exists():
                raise NotKeptError(
                    f"{self.path(name)} was made, but is not kept here; make it again with: "
                    f"python run_all.py {options} --force"
                )
            raise FileNotFoundError(
                f"{self.path(name)} does not exist yet; make it with: python run_all.py {options}"
            )
        if sha256(self.path(name)) != record["sha256"]:
            raise ValueError(
                f"{self.path(name)} is damaged (its checksum is not the one in its provenance); "
                "delete it and run again"
            )
        return formats.read(self.path(name))

    def load_or(self, name: str, compute: Callable[[], Any], of: Sequence["Place"] = ()):
        """Load the artefact if this code made it with these parameters; else compute and save it.

        A new value is read back from disk, so both ways return the same.
        of: the places that `compute` reads. If what it needs there was not kept, a value that other
            code has computed from the same places is loaded.
        """
        if self.fingerprint and self.has(name):
            return self.load(name)
        read = sorted((place.done() or {}).get("fingerprint", "") for place in of)
        start = time.perf_counter()
        try:
            value = compute()
        except NotKeptError:
            record = self.provenance(name)
            if not of or record is None or record.get("of") != read:
                raise
            return self.load(name)
        self.save(name, value, time.perf_counter() - start, of=read)
        return formats.read(self.path(name))

    def finish(self, **facts) -> list[str]:
        """Record that the step is complete, and return the names of this run's artefacts.

        facts: anything else to put into the record
        """
        names = sorted(path.name for path in self.folder.glob("*.*") if self.has(path.name))
        record = {"fingerprint": self.fingerprint, "appearance": appearance(), "artefacts": names}
        with atomic(self.path(DONE)) as temporary:
            formats.write(temporary, {**record, **facts})
        return names

    def done(self) -> dict | None:
        """Read what `finish` recorded; None if the step is not complete."""
        return _read_json(self.path(DONE))

    def clear(self) -> None:
        """Delete the provenance but not the artefacts: everything is then computed again."""
        for record in (*self.folder.glob("*.*.json"), self.path(DONE)):
            record.unlink(missing_ok=True)

    def is_done(self) -> bool:
        """True if the step is complete with this fingerprint and would look the same now."""
        record = self.done()
        return record is not None and (record["fingerprint"], record["appearance"]) == (
            self.fingerprint,
            appearance(),
        )

    def __str__(self):
        return f"{self.profile} · {self.name}"


def open_place(
    step: str,
    parameters: Mapping[str, Any],
    reads: Sequence[Place] = (),
    facts: Mapping[str, Any] = {},
) -> Place:
    """Make the place of a step, for a notebook that starts.

    parameters: all parameters of the notebook; profile must be one, task and seed may be
    reads: the places that the step reads from; FileNotFoundError if one is not complete
    facts: anything else that the results depend on
    """
    upstream = []
    for place in reads:
        record = place.done() or place.load(DONE)  # the latter raises, and says what to run
        upstream.append(record["fingerprint"])
    return place_of(step, parameters, upstream, facts)


def place_of(
    step: str, parameters: Mapping[str, Any], upstream: Sequence[str], facts: Mapping[str, Any] = {}
) -> Place:
    """Make the place of a step as `open_place` does, from the fingerprints of the places it reads.

    Those places need not be complete yet.
    """
    task, seed = parameters.get("task"), parameters.get("seed")
    digest = fingerprint(step, parameters, upstream, facts)
    return Place(parameters["profile"], step, task, seed, digest, parameters)


def places(profile: str, step: str) -> list[Place]:
    """List the complete places of a step over all tasks and seeds, ordered by folder name."""
    records = sorted((outputs() / profile / step).glob(f"*/seed_*/{DONE}"))
    return [
        Place(profile, step, path.parts[-3], int(path.parts[-2].removeprefix("seed_")))
        for path in records
    ]


@cache
def environment() -> dict[str, Any]:
    """The versions of Python and of packages, the device and the threads, for the provenance."""
    import torch

    device = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else platform.processor() or platform.machine()
    )
    return {
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "device": device,
        "threads": torch.get_num_threads(),
    }


def _read_json(path: Path) -> dict | None:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
