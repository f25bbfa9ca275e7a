"""Does every dependency have a wheel, for each supported Python on each supported system?

python tools/wheels.py          asks pip, by a dry run for each pair; prints a table; exits with 1
if a wheel is missing

It asks for exactly the versions in constraints.txt. pip reads the markers of dependencies ("only on
Windows") for the machine that it runs on, so a package that only another system needs is not in
that list and not asked for.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"
VERSIONS = ("3.12", "3.13", "3.14")  # the tests run on 3.11
MANYLINUX = ("_2_28", "_2_27", "_2_26", "_2_24", "_2_17", "2014", "_2_12", "2010", "_2_5", "1")
SYSTEMS = {  # {system: the platform tags that pip may use}
    "Linux x86-64": [f"manylinux{version}_x86_64" for version in MANYLINUX],
    "macOS arm64": [
        *(f"macosx_{n}_0_{arch}" for n in (14, 13, 12, 11) for arch in ("arm64", "universal2")),
        *(f"macosx_10_{minor}_universal2" for minor in range(16, 8, -1)),
    ],
    "Windows x86-64": ["win_amd64"],
}


def pins() -> list[str]:
    """The lines of constraints.txt that pin a version."""
    return [line for line in CONSTRAINTS.read_text().splitlines() if re.match(r"[\w.-]+==", line)]


def missing(version: str, platforms: list[str], wanted: list[str]) -> list[str]:
    """Those of the pinned packages that have no wheel for this Python and these platforms."""
    without: list[str] = []
    while True:
        left = [pin for pin in wanted if pin not in without]
        result = dry_run(version, platforms, left)
        if result.returncode == 0:
            return without
        named = re.search(r"No matching distribution found for (\S+)", result.stderr)
        if named is None or named[1] not in left:
            raise RuntimeError(f"pip failed for another reason: {result.stderr.strip()[-500:]}")
        without.append(named[1])


def dry_run(version: str, platforms: list[str], wanted: list[str]) -> subprocess.CompletedProcess:
    """What `pip install --dry-run` says to these pins, as wheels, for another Python and system."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text("\n".join(wanted))
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--target", folder, "--python-version", version]
        for platform in platforms:
            command += ["--platform", platform]
        return subprocess.run([*command, "-r", str(requirements)], capture_output=True, text=True)


def main() -> int:
    """Print the table."""
    wanted, lines, complete = pins(), [], True
    print(f"| {len(wanted)} packages | {' | '.join(SYSTEMS)} |\n|---|{'---|' * len(SYSTEMS)}")
    for version in VERSIONS:
        cells = []
        for platforms in SYSTEMS.values():
            without = missing(version, platforms, wanted)
            complete &= not without
            cells.append("all have a wheel" if not without else f"none for {', '.join(without)}")
        lines.append(f"| Python {version} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
