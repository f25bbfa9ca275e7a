"""Where artefacts live and what is known of them. Only this module builds a path.

    outputs/<profile>/<step>/<task>/seed_<n>/<artefact>        what a notebook wrote
    outputs/<profile>/<step>/<task>/seed_<n>/<artefact>.json   its provenance: fingerprint, parameters, checksum, ...
    outputs/<profile>/figures/<name>.png, .svg                 a figure, with its provenance
    outputs/<profile>/tables/<name>.csv, .md                   a table, with its provenance
    outputs/<profile>/notebooks/<step>-<task>-seed_<n>.ipynb   the executed notebook

Every file is written to a neighbour first and moved into place, so a killed process leaves whole files or none.
Nothing is ever pickled.
"""

import hashlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lib.artefacts import formats
from lib.artefacts.fingerprint import ROOT, appearance, fingerprint

PACKAGES = ("torch", "transformers", "numpy", "scikit-learn", "scipy")
DONE = "done.json"


def outputs() -> Path:
    """The folder of all outputs: the checkout's own, or the one that the variable OUTPUTS_DIR names."""
    return Path(os.environ.get("OUTPUTS_DIR") or ROOT / "outputs")


def executed_notebook(
    profile: str, step: str, task: str | None = None, seed: int | None = None
) -> Path:
    """Where run_all leaves the executed copy of a notebook."""
    return outputs() / profile / "notebooks" / f"{Place(profile, step, task, seed).name}.ipynb"


@dataclass(frozen=True)
class Place:
    """The folder of one step, for one task and seed or for all: it saves and loads artefacts by name.

    The suffix of a name is its format; `formats` says which.
    """

    profile: str
    step: str
    task: str | None = None
    seed: int | None = None
    fingerprint: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The place in one word: 03_structured_pruning-SST-2-seed_42, or 04_good_subnetworks."""
        return self.step if self.task is None else f"{self.step}-{self.task}-seed_{self.seed}"

    @property
    def folder(self) -> Path:
        """Where it is on disk."""
        base = outputs() / self.profile / self.step
        return base if self.task is None else base / self.task / f"seed_{self.seed}"

    def path(self, name: str) -> Path:
        """The path of an artefact."""
        return self.folder / name

    def save(self, name: str, value, seconds: float | None = None, **facts) -> None:
        """Write an artefact, then its provenance; seconds: what computing it took; facts: whatever else to note."""
        with _atomic(self.path(name)) as temporary:
            formats.write(temporary, value)
        record = {
            "fingerprint": self.fingerprint,
            "parameters": dict(self.parameters),
            "sha256": sha256(self.path(name)),
            "seconds": None if seconds is None else round(seconds, 2),
            "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            **environment(),
            **facts,
        }
        with _atomic(self.path(f"{name}.json")) as temporary:
            formats.write(temporary, record)

    def publish(self, name: str, thing) -> None:
        """Put a figure (PNG and SVG) or a table (CSV and Markdown) where people look for them."""
        if hasattr(thing, "savefig"):
            room, parts = "figures", {"png": thing, "svg": thing}
        else:
            markdown = thing.reset_index().to_markdown(
                index=False, disable_numparse=True
            )  # 0.80 stays 0.80
            room, parts = "tables", {"csv": thing.to_csv(), "md": markdown + "\n"}
        for suffix, value in parts.items():
            replace(self, step=room, task=None, seed=None).save(
                f"{name}.{suffix}", value, made_by=self.name
            )

    def has(self, name: str) -> bool:
        """Is there such an artefact, made with this place's fingerprint (or any, for a place that is only read)?"""
        record = self.provenance(name)
        return record is not None and self.fingerprint in ("", record["fingerprint"])

    def provenance(self, name: str) -> dict | None:
        """What is known of an artefact, or None where there is none."""
        try:
            return (
                json.loads(self.path(f"{name}.json").read_text())
                if self.path(name).exists()
                else None
            )
        except FileNotFoundError:
            return None

    def load(self, name: str):
        """Read an artefact; its checksum is compared first.

        Raises FileNotFoundError or ValueError, each in one sentence that says what to do.
        """
        record = self.provenance(name)
        if record is None:
            only = f"--profile {self.profile} --only {self.step[:2]}"
            only += "" if self.task is None else f" --tasks {self.task} --seeds {self.seed}"
            raise FileNotFoundError(
                f"{self.path(name)} is not there yet; make it with: python run_all.py {only}"
            )
        if sha256(self.path(name)) != record["sha256"]:
            raise ValueError(
                f"{self.path(name)} is damaged (its checksum differs from the one noted); delete it and run again"
            )
        return formats.read(self.path(name))

    def load_or(self, name: str, compute: Callable[[], Any]):
        """The artefact, if this code with these parameters has made it; else compute it, save it, return it."""
        if self.fingerprint and self.has(name):
            return self.load(name)
        start = time.perf_counter()
        value = compute()
        self.save(name, value, time.perf_counter() - start)
        return formats.read(self.path(name))

    def finish(self, **facts) -> list[str]:
        """Note that everything here is complete; returns the names of this run's artefacts."""
        names = sorted(path.name for path in self.folder.glob("*.*") if self.has(path.name))
        with _atomic(self.path(DONE)) as temporary:
            formats.write(
                temporary,
                {
                    "fingerprint": self.fingerprint,
                    "appearance": appearance(),
                    "artefacts": names,
                    **facts,
                },
            )
        return names

    def done(self) -> dict | None:
        """What `finish` noted, or None where the step has not been completed here."""
        try:
            return json.loads(self.path(DONE).read_text())
        except FileNotFoundError:
            return None

    def clear(self) -> None:
        """Forget that what is here is fresh: provenance goes, so all of it is computed again. Artefacts stay."""
        for record in (*self.folder.glob("*.*.json"), self.path(DONE)):
            record.unlink(missing_ok=True)

    def is_done(self) -> bool:
        """Has the step been completed with this very fingerprint, and would it look the same now?"""
        record = self.done()
        return record is not None and (record["fingerprint"], record["appearance"]) == (
            self.fingerprint,
            appearance(),
        )

    def __str__(self):
        return f"{self.profile} · {self.name} · {self.fingerprint[:12]}"


def open_place(
    step: str,
    parameters: Mapping[str, Any],
    reads: Sequence[Place] = (),
    facts: Mapping[str, Any] = {},
) -> Place:
    """The place of a step that runs with these parameters (profile, and task and seed where it has them).

    reads: the places it reads from, which must be complete; facts: what else its results depend on.
    """
    upstream = []
    for place in reads:
        if (record := place.done()) is None:
            place.load(DONE)  # raises, with what to do
        upstream.append(record["fingerprint"])
    return place_of(step, parameters, upstream, facts)


def place_of(
    step: str, parameters: Mapping[str, Any], upstream: Sequence[str], facts: Mapping[str, Any] = {}
) -> Place:
    """As `open_place`, from the fingerprints of the places read from, which need not be complete yet."""
    task, seed = parameters.get("task"), parameters.get("seed")
    return Place(
        parameters["profile"],
        step,
        task,
        seed,
        fingerprint(step, parameters, upstream, facts),
        parameters,
    )


def places(profile: str, step: str) -> list[Place]:
    """The places of a step that are complete, over all tasks and seeds, in alphabetical order of their folders."""
    found = sorted((outputs() / profile / step).glob(f"*/seed_*/{DONE}"))
    return [
        Place(profile, step, path.parts[-3], int(path.parts[-2].removeprefix("seed_")))
        for path in found
    ]


@cache
def environment() -> dict[str, Any]:
    """Versions and device, for provenance."""
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


def sha256(path: Path) -> str:
    """The checksum of a file, as 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _atomic(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".new-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
        os.chmod(
            name, 0o644
        )  # temporary files are private; outputs may be shared by the workers of several users
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
