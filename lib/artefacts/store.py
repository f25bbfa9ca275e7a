"""Where artefacts are on disk, and what is known about each. Only this module builds their paths.

    outputs/<profile>/<step>/<task>/seed_<n>/<artefact>        what a notebook wrote
    outputs/<profile>/<step>/<task>/seed_<n>/<artefact>.json   its provenance
    outputs/<profile>/<step>/<task>/seed_<n>/done.json         the step is complete
    outputs/<profile>/figures/<name>.png, .svg                 a figure, with its provenance
    outputs/<profile>/tables/<name>.csv, .md                   a table, with its provenance
    outputs/<profile>/notebooks/<step>-<task>-seed_<n>.ipynb   the executed notebook

Notebooks that cover all tasks and seeds have no <task>/seed_<n>/. The provenance of an artefact
says how it was made: fingerprint, parameters, size, time and checksum of its file, versions. A
record that is damaged counts as one that is not there. A damaged artefact is moved into a folder
`damaged` beside it, so that it can be made again.
"""

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from lib.artefacts import formats
from lib.artefacts.files import atomic, sha256
from lib.artefacts.fingerprint import ROOT, appearance, fingerprint

PACKAGES = ("torch", "transformers", "numpy", "scikit-learn", "scipy")
DONE = "done.json"
DAMAGED = "damaged"  # the folder for what is set aside
LEFT_OUT = (".safetensors", ".npy", ".svg")  # what a run that is shared may do without
# A record may come from anywhere: it names files of the step's folder, or published ones, only.
Name = Annotated[str, Field(pattern=r"^((figures|tables)/)?[^/.][^/]*$")]
Fault = Literal["missing", "not kept", "unrecorded", "damaged"]


class NotKeptError(FileNotFoundError):
    """An artefact that was made and then not kept: weights are too large to share."""


class DamagedError(ValueError):
    """An artefact whose file is not the one that its provenance describes."""


class Provenance(BaseModel, extra="allow"):
    """What must be in an artefact's provenance; there is more, for people to read."""

    fingerprint: str
    sha256: str


class Done(BaseModel, extra="allow"):
    """What must be in done.json. artefacts: {name: sha256}; older runs listed the names alone."""

    fingerprint: str
    appearance: str
    artefacts: dict[Name, str] | list[Name] = {}
    facts: dict[str, Any] = {}


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
    made: the files that were saved or taken over here, or at places derived from this one
    """

    profile: str
    step: str
    task: str | None = None
    seed: int | None = None
    fingerprint: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    made: set[Path] = field(default_factory=set, compare=False, repr=False)

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
        """The path of an artefact; that of a published one if the name is figures/… or tables/…."""
        return (outputs() / self.profile if "/" in name else self.folder) / name

    def save(self, name: str, value, seconds: float | None = None, **facts) -> None:
        """Write an artefact, then its provenance.

        If it is there already, byte for byte and with this fingerprint, nothing changes on disk.
        seconds: how long it took to compute
        facts: anything else to put into the provenance
        """
        before = self.provenance(name)
        with atomic(self.path(name)) as temporary:
            formats.write(temporary, value)
        self.made.add(self.path(name))
        what = {
            "fingerprint": self.fingerprint,
            "parameters": dict(self.parameters),
            "sha256": sha256(self.path(name)),
        }
        if before is not None and what.items() <= before.items():
            return _set_time(self.path(name), before)
        state = self.path(name).stat()
        record = {
            **what,
            "bytes": state.st_size,
            "modified_ns": state.st_mtime_ns,
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
        """Read how an artefact was made; None if there is no such artefact, or nothing to read."""
        there = self.path(name).exists()
        return _read(self.path(f"{name}.json"), Provenance) if there else None

    def fault(self, name: str, verify: bool = False) -> Fault | None:
        """Say what is wrong with an artefact, if anything is.

        It is "not kept" if only its provenance is there, and "unrecorded" if only the file is.
        Its file is compared with the size and the time in the provenance, and with the checksum
        if they differ, or if `verify`; a file that is not what was saved is "damaged".
        """
        path, record = self.path(name), _read(self.path(f"{name}.json"), Provenance)
        if not path.exists():
            return "not kept" if record else "missing"
        if record is None:
            return "unrecorded"
        state = path.stat()
        if not path.is_file() or state.st_size != record.get("bytes", state.st_size):
            return "damaged"
        if not verify and state.st_mtime_ns == record.get("modified_ns"):
            return None
        if sha256(path) != record["sha256"]:
            return "damaged"
        _set_time(path, record)
        return None

    def load(self, name: str):
        """Read an artefact, after comparing its checksum.

        Raises FileNotFoundError if it does not exist, NotKeptError if it was made but only its
        provenance was kept, and DamagedError if it is damaged.
        """
        fault, path = self.fault(name, verify=True), self.path(name)
        if fault is None:
            return formats.read(path)
        again = f"make it again with: python run_all.py --profile {self.profile}"
        if fault == "damaged":
            raise DamagedError(
                f"{path} is damaged (its checksum is not the one in its provenance); "
                f"{again} --verify"
            )
        only = f"--only {self.step[:2]}"
        only += "" if self.task is None else f" --tasks {self.task} --seeds {self.seed}"
        if fault == "not kept":
            raise NotKeptError(f"{path} was made, but is not kept here; {again} {only} --force")
        why = "does not exist yet" if fault == "missing" else "has no provenance that can be read"
        raise FileNotFoundError(f"{path} {why}; {again.replace(' again', '')} {only}")

    def find(self, name: str, default):
        """Read an artefact that this code can do without: the default if it is not there whole."""
        return default if self.fault(name, verify=True) else formats.read(self.path(name))

    def load_or(self, name: str, compute: Callable[[], Any], of: Sequence["Place"] = ()):
        """Load the artefact if this code made it with these parameters; else compute and save it.

        A new value is read back from disk, so both ways return the same. A damaged file is set
        aside.
        of: the places that `compute` reads. If what it needs there was not kept, a value that other
            code has computed from the same places is loaded.
        """
        if self.fault(name, verify=True) == "damaged":
            self.set_aside(name)
        if self.fingerprint and self.has(name):
            return self._take_over(name)
        read = sorted((place.done() or {}).get("fingerprint", "") for place in of)
        start = time.perf_counter()
        try:
            value = compute()
        except NotKeptError:
            record = self.provenance(name)
            if not of or record is None or record.get("of") != read:
                raise
            return self._take_over(name)
        self.save(name, value, time.perf_counter() - start, of=read)
        return formats.read(self.path(name))

    def _take_over(self, name: str):
        self.made.add(self.path(name))
        return formats.read(self.path(name))

    def set_aside(self, name: str) -> Path:
        """Move a damaged artefact and its provenance into a folder beside it; return its new path.

        Nothing is lost, and what is no longer there is made again.
        """
        path = self.path(name)
        (path.parent / DAMAGED).mkdir(exist_ok=True)
        for file in (path, path.with_name(f"{path.name}.json")):
            if file.exists():
                os.replace(file, path.parent / DAMAGED / file.name)
        return path.parent / DAMAGED / path.name

    def finish(self, **facts) -> list[str]:
        """Record that the step is complete, and return the names of this run's artefacts.

        The record has the checksums of all that was saved or taken over since the place was opened,
        published figures and tables included.
        facts: anything else to put into the record
        """
        made = {self._name(path): path for path in sorted(self.made)}
        sums = {name: record["sha256"] for name in made if (record := self.provenance(name))}
        record = {"fingerprint": self.fingerprint, "appearance": appearance(), "artefacts": sums}
        with atomic(self.path(DONE)) as temporary:
            formats.write(temporary, {**record, **facts})
        return [name for name in sums if "/" not in name]

    def _name(self, path: Path) -> str:
        base = self.folder if path.parent == self.folder else outputs() / self.profile
        return path.relative_to(base).as_posix()

    def done(self) -> dict | None:
        """Read what `finish` recorded; None if the step is not complete."""
        return _read(self.path(DONE), Done)

    def clear(self) -> None:
        """Delete the provenance but not the artefacts: everything is then computed again."""
        for record in (*self.folder.glob("*.*.json"), self.path(DONE)):
            record.unlink(missing_ok=True)

    def is_current(self) -> bool:
        """True if the step was completed with this fingerprint and would look the same now.

        This says nothing of its artefacts: see `faults`.
        """
        record = self.done()
        return record is not None and (record["fingerprint"], record["appearance"]) == (
            self.fingerprint,
            appearance(),
        )

    def faults(self, verify: bool = False) -> dict[str, Fault]:
        """{name: what is wrong} of the artefacts that `finish` recorded; {} if all are whole.

        One that has been replaced since then counts as missing. verify: see `fault`
        """
        names = (self.done() or {}).get("artefacts", {})
        found: dict[str, Fault] = {}
        for name in names:
            record = self.provenance(name) or {}
            if fault := self.fault(name, verify):
                found[name] = fault
            elif isinstance(names, dict) and names[name] != record.get("sha256"):
                found[name] = "missing"
        return found

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


def may_lack(name: str, fault: Fault) -> bool:
    """True for an array or a drawing that was made and not kept: its step is done all the same."""
    return fault == "not kept" and name.endswith(LEFT_OUT)


def _set_time(path: Path, record: Mapping[str, Any]) -> None:
    """Give a file with the right checksum the time in its provenance, so the next look is quick."""
    if (then := record.get("modified_ns")) is not None:
        with suppress(OSError):  # in a folder that is read only, or somebody else's
            os.utime(path, ns=(then, then))


def _read(path: Path, kind: type[BaseModel]) -> dict | None:
    """Read a record; None if it is not there or is not one, whatever the reason."""
    try:
        return kind.model_validate_json(path.read_bytes()).model_dump()
    except (OSError, ValidationError):
        return None
