"""Write files whole or not at all, read untrusted ones, and compute checksums."""

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic(path: Path) -> Generator[Path]:
    """Yield a temporary path to write to; it replaces `path` if the block ends without an error.

    A process that is killed leaves the old file or the new one, never half of one. Who may read and
    write the file, the user's umask decides: workers of several users may share the outputs.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".new-{secrets.token_hex(8)}{path.suffix}")
    temporary.touch(exist_ok=False)
    mode = temporary.stat().st_mode
    try:
        yield temporary
        temporary.chmod(mode)  # safetensors puts a private file in its place
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Make a folder, and write and remove a file in it; OSError if that fails."""
    with atomic(folder / ".writable") as temporary:
        temporary.write_bytes(bytes(1 << 20))
    (folder / ".writable").unlink()


def read_regular(path: Path, limit: int | None = None) -> bytes:
    """Read a file that is not our own: at most `limit` bytes, and one more if there are more.

    Raises OSError, whose `strerror` is the reason, if it cannot be read, or is neither a regular
    file nor a link to one: a device or a pipe may have no end.
    """

    def without_waiting(name: str, flags: int) -> int:  # for somebody who writes to the pipe
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))

    with open(path, "rb", opener=without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        return file.read() if limit is None else file.read(limit + 1)


def sha256(path: Path) -> str:
    """Compute the checksum of a file: 64 hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
