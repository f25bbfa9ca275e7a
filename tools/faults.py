"""A campaign of faults against the chain: kills, damaged files, full disks, bad profiles.

python -m tools.faults                        for an hour, with the profile smoke
python -m tools.faults --minutes 10 --seed 1 --kinds damage,profile

One run is made and kept. Each fault is then done to a copy of it, at random; the same command is
run again without the fault, and what comes out is compared with the first run, file by file. A bad
profile has survived if it was refused with one line, or accepted.

tried       faults
survived    the run after it ended well, without being told what to do
identical   ... with the same contents (results, arrays, tables and PNG pictures)
tracebacks  faults that showed one, before or after; 0 is wanted

The exit status is 0 if all survived and none showed a traceback.
"""

import argparse
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from rich.console import Console
from rich.table import Table

from chain import profiles
from chain.changes import choose
from chain.profiles import ConfigError
from lib.artefacts.files import sha256
from lib.artefacts.fingerprint import ROOT

COMMAND = [sys.executable, str(ROOT / "run_all.py"), "--profile", "smoke", "--seeds", "42"]
COLUMNS = ("tried", "survived", "identical", "tracebacks")
RECORD = re.compile(r"(\.\w+\.json|done\.json|seconds\.json|probe\.json)$")
RECORDS = (b"", b"[]", b"{}", b"null", b"\xff\xfe{\x00}\x00", b'{"fingerprint": [')
WORDS = ("~nouser", "x" * 5000, "null", "-1", ".nan", ".inf", "[]", "{1: 2}", "2024-02-31", "'")
WORDS += ("9" * 5000, "0x" + "f" * 5000, "[" * 5000, "&a [*a]", "*a", "!!python/name:os", "\x00")


def run(outputs: Path, *options: str, most: int = resource.RLIM_INFINITY):
    """Run the chain on an outputs folder; its output is standard output and errors together.

    most: bytes that a file may have
    """
    return subprocess.run(
        [*COMMAND, *options],
        env=os.environ | {"OUTPUTS_DIR": str(outputs)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )


def contents(outputs: Path) -> dict[str, str]:
    """{file: sha256} of what must be the same in every run: no records, no times, no notebooks."""
    return {
        str(path.relative_to(outputs)): sha256(path)
        for path in sorted(outputs.rglob("*.*"))
        if path.is_file()
        and not RECORD.search(path.name)
        and path.suffix in (".json", ".npy", ".safetensors", ".csv", ".md", ".png")
        and not {"damaged", "run_all"} & set(path.parts)
    }


class Campaign:
    """A whole run to copy from, and what has been counted. Each fault is a method's name."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.draw = folder, random.Random(seed)
        self.counts: dict[str, Counter] = {}

    @cached_property
    def whole(self) -> Path:
        """The outputs of the run without any fault."""
        first = run(self.folder / "whole")
        if first.returncode:
            sys.exit(f"the run without any fault failed:\n{first.stdout}")
        return self.folder / "whole"

    @cached_property
    def expected(self) -> dict[str, str]:
        """What every other run must give."""
        return contents(self.whole)

    def try_once(self, kind: str) -> str:
        """Do one fault, count how it ends, and return a line about it."""
        count = self.counts.setdefault(kind, Counter())
        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        if kind == "profile":  # nothing runs
            copy.mkdir()
        else:
            shutil.copytree(self.whole, copy)
        what, survived, identical, output = getattr(self, kind)(copy)
        traceback = "Traceback (most recent call last)" in output
        count.update(tried=1, survived=survived, identical=identical, tracebacks=traceback)
        bad = traceback or not survived
        return f"{kind}: {what}" + (f"\n{output[-3000:]}" if bad else "")

    def _again(self, what: str, outputs: Path, before: str = "", *options: str) -> tuple:
        after = run(outputs, *options)
        identical = after.returncode == 0 and contents(outputs) == self.expected
        return what, after.returncode == 0, identical, before + after.stdout

    def _forget(self, outputs: Path) -> str:
        """Let a random job, and at most all jobs, be to do again; say which one."""
        records = sorted(outputs.rglob("done.json"))
        chosen = self.draw.sample(records, self.draw.randint(1, len(records)))
        for record in chosen:
            for path in (record, *record.parent.glob("*.*.json")):
                path.unlink(missing_ok=True)
        return f"{len(chosen)} of {len(records)} jobs to do"

    def kill(self, outputs: Path) -> tuple:
        """Kill run_all, or let it be interrupted once or twice, at a random moment."""
        what = self._forget(outputs)
        number = self.draw.choice((signal.SIGKILL, signal.SIGINT))
        with open(self.folder / "log", "w+") as log:
            environment = os.environ | {"OUTPUTS_DIR": str(outputs)}
            process = subprocess.Popen(COMMAND, env=environment, stdout=log, stderr=log)
            after = self.draw.uniform(3, 60)
            try:
                process.wait(after)
            except subprocess.TimeoutExpired:
                for _ in range(self.draw.randint(1, 2)):
                    process.send_signal(number)
                    time.sleep(0.3)
            process.wait()
            log.seek(0)
            before = log.read()
        return self._again(f"{number.name} after {after:.0f} s, {what}", outputs, before)

    def damage(self, outputs: Path) -> tuple:
        """Flip a bit of an artefact, cut it, empty it or delete it."""
        path = outputs / self.draw.choice(sorted(self.expected))
        content, state = bytearray(path.read_bytes()), path.stat()
        how = self.draw.choice(("flip", "flip and keep its time", "cut", "empty", "delete"))
        if how == "delete":
            path.unlink()
            path.with_name(f"{path.name}.json").unlink()
        else:
            if how.startswith("flip"):
                content[self.draw.randrange(len(content))] ^= 1 << self.draw.randrange(8)
            kept = {"cut": self.draw.randrange(len(content)), "empty": 0}.get(how, len(content))
            path.write_bytes(content[:kept])
        if "time" in how:
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        options = ("--verify",) if "time" in how else ()
        return self._again(f"{how} {path.relative_to(outputs)}", outputs, "", *options)

    def record(self, outputs: Path) -> tuple:
        """Damage a record: done.json, a provenance, or the times of earlier runs."""
        path = self.draw.choice(
            [p for p in sorted(outputs.rglob("*.json")) if RECORD.search(p.name)]
        )
        content = self.draw.choice((*RECORDS, path.read_bytes()[:-20]))
        path.write_bytes(content)
        return self._again(f"{path.relative_to(outputs)} is {content[:20]!r}", outputs)

    def full(self, outputs: Path) -> tuple:
        """Let the disk be full in mid-run: a small file system, or else a limit on files."""
        what = self._forget(outputs)
        with small_disk(self.folder / "disk", self.whole) as disk:
            if disk:
                shutil.copytree(outputs, disk, dirs_exist_ok=True)
                room = self.draw.randrange(1, 2000)
                used = sum(path.stat().st_blocks // 2 for path in disk.rglob("*"))
                mount("-o", f"remount,size={used + 200 + room}k", str(disk))
                before = run(disk).stdout
                mount("-o", "remount,size=200m", str(disk))
                return self._again(f"{room} kB left, {what}", disk, before)
        most = self.draw.randrange(1000, 200_000)
        before = run(outputs, most=most).stdout
        return self._again(f"files of at most {most} bytes, {what}", outputs, before)

    def profile(self, outputs: Path) -> tuple:
        """Put a value that makes no sense into a profile, or a byte into its file."""
        content = (profiles.PARAMS / "smoke.yaml").read_bytes()
        lines = content.decode().splitlines()
        change = self.draw.choice((self._word, self._byte))
        path = outputs / "own.yaml"
        path.write_bytes(change(lines))
        try:
            with limited(30):
                choose(str(path))
            return "accepted", True, True, ""
        except ConfigError as mistake:
            return str(mistake)[:100], True, True, ""
        except BaseException as fault:
            shown = f"Traceback (most recent call last): {fault!r}\n{path.read_bytes()[:1000]!r}"
            return "not refused", False, False, shown

    def _word(self, lines: list[str]) -> bytes:
        key = self.draw.choice(
            [*profiles.Profile.model_fields, "structured: {step", "finetuning: {epochs"]
        )
        word = self.draw.choice(WORDS)
        kept = [line for line in lines if not line.startswith(f"{key}:")]
        return "\n".join([*kept, f"{key}: {word}" + ("}" if "{" in key else "")]).encode()

    def _byte(self, lines: list[str]) -> bytes:
        content = bytearray("\n".join(lines).encode())
        content[self.draw.randrange(len(content))] = self.draw.randrange(256)
        return bytes(content)


KINDS: dict[str, Callable] = {
    kind: getattr(Campaign, kind) for kind in ("damage", "record", "kill", "full", "profile")
}


def mount(*arguments: str) -> bool:
    """True if the system has mounted something; it may not be allowed here."""
    try:
        return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0
    except OSError:
        return False


@contextmanager
def small_disk(folder: Path, contents: Path) -> Generator[Path | None]:
    """A file system in memory, or None where it cannot be mounted."""
    folder.mkdir(exist_ok=True)
    size = sum(path.stat().st_size for path in contents.rglob("*")) // 1000 + 100_000
    mounted = mount("-t", "tmpfs", "-o", f"size={size}k", "faults", str(folder))
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def limited(seconds: int) -> Generator[None]:
    """Raise TimeoutError if the block does not end in time."""

    def stop(*_):
        raise TimeoutError(f"no end after {seconds} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def main() -> int:
    """Run the campaign and print its table; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(KINDS), help="separated by commas")
    options = parser.parse_args()
    kinds, console = options.kinds.split(","), Console(markup=False, highlight=False)
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        campaign = Campaign(Path(folder), options.seed)
        end = time.monotonic() + 60 * options.minutes
        while time.monotonic() < end:
            for kind in kinds:
                # a bad profile takes no time, since nothing runs
                for _ in range(50 if kind == "profile" else 1):
                    console.print(campaign.try_once(kind), soft_wrap=True)
    table = Table("fault", *COLUMNS)
    for kind, count in campaign.counts.items():
        table.add_row(kind, *(str(count[column]) for column in COLUMNS))
    total = sum(campaign.counts.values(), Counter())
    table.add_row("all", *(str(total[column]) for column in COLUMNS))
    console.print(table)
    return int(total["survived"] < total["tried"] or total["tracebacks"] > 0)


if __name__ == "__main__":
    sys.exit(main())
