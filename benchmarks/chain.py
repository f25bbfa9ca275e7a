"""Running notebooks: two workers against one, and what of the time is not work.

python -m benchmarks.chain     01 and 02 of quick, SST-2, two seeds, each way once; then the last whole run of quick

One worker is one core to some, and the whole machine to others; on Linux both are measured.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

import nbformat

from benchmarks.sides import Claim, show
from lib.artefacts import store
from lib.artefacts.fingerprint import ROOT

PART = ("--tasks", "SST-2", "--seeds", "1337,42", "--only", "01-02")


def claims() -> Iterator[Claim]:
    """Two workers; then the share of overhead, where there is an executed run of quick."""
    two, ways = seconds("--jobs", "2"), {"with 1 worker, which has both cores": None}
    if hasattr(os, "sched_setaffinity"):
        ways = {"with 1 worker on 1 core": {min(os.sched_getaffinity(0))}, **ways}
    for against, cores in ways.items():
        ratio = seconds("--jobs", "1", cores=cores) / two
        yield Claim.of(
            "run_all with 2 workers on 2 cores, 4 notebooks", against, [ratio], wanted=1.5
        )
    shares = [
        overhead(path) for path in sorted((store.outputs() / "quick" / "notebooks").glob("*.ipynb"))
    ]
    if shares:
        lost, whole = map(sum, zip(*shares, strict=True))
        each = [part / of for part, of in shares]
        yield Claim(
            f"kernel start, imports, rendering in the {len(shares)} notebooks of quick (range: of one notebook)",
            "their wall time",
            lost / whole, min(each), max(each),
            wanted=0.15,
            at_most=True,
        )  # fmt: skip


def seconds(*options: str, cores: set[int] | None = None) -> float:
    """Run the part, in a folder of its own; cores: held to these."""
    hold = (lambda: os.sched_setaffinity(0, cores)) if cores else None
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "run_all.py"), *PART, *options]
        plain = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        environment = plain | {
            "OUTPUTS_DIR": folder,
            "OMP_WAIT_POLICY": "PASSIVE",
            "GOMP_SPINCOUNT": "0",
        }
        start = time.perf_counter()
        subprocess.run(command, env=environment, check=True, capture_output=True, preexec_fn=hold)
        return time.perf_counter() - start


def overhead(path) -> tuple[float, float]:
    """(seconds outside of cells, in the setup cell, and in cells that draw; seconds in all) of an executed notebook."""
    executed = nbformat.read(path, 4)
    whole = executed.metadata.papermill.duration
    work = 0.0
    for cell in executed.cells:
        drawn = any("image/png" in output.get("data", {}) for output in cell.get("outputs", ()))
        if cell.cell_type == "code" and not drawn and "setup" not in cell.metadata.tags:
            work += cell.metadata.papermill.duration
    return whole - work, whole


if __name__ == "__main__":
    show(claims())
