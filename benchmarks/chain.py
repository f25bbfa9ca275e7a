"""Time the notebooks: two workers against one, and the share of the time that is overhead.

python -m benchmarks.chain     01 and 02 of the profile quick on SST-2, two seeds, each way once;
                               then the executed notebooks of quick, if there are any

One worker can mean one core or the whole machine. On Linux, both are measured.
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

FOUR_NOTEBOOKS = ("--tasks", "SST-2", "--seeds", "1337,42", "--only", "01-02")


def claims() -> Iterator[Claim]:
    """Compare two workers with one; then compute the overhead in the executed notebooks."""
    two_workers = seconds("--jobs", "2")
    cores_of_one = {"with 1 worker, which has both cores": None}
    if hasattr(os, "sched_setaffinity"):
        one_core = {min(os.sched_getaffinity(0))}
        cores_of_one = {"with 1 worker on 1 core": one_core, **cores_of_one}
    for against, cores in cores_of_one.items():
        ratio = seconds("--jobs", "1", cores=cores) / two_workers
        yield Claim.of(
            "run_all with 2 workers on 2 cores, 4 notebooks", against, [ratio], wanted=1.5
        )
    notebooks = sorted((store.outputs() / "quick" / "notebooks").glob("*.ipynb"))
    times = [overhead(path) for path in notebooks]
    if times:
        all_overhead, all_time = map(sum, zip(*times, strict=True))
        shares = [lost / whole for lost, whole in times]
        yield Claim(
            f"kernel start, imports, rendering in the {len(times)} notebooks of quick "
            "(range: of one notebook)",
            "their wall time",
            all_overhead / all_time,
            min(shares),
            max(shares),
            wanted=0.15,
            at_most=True,
        )


def seconds(*options: str, cores: set[int] | None = None) -> float:
    """Time run_all on the four notebooks, with its outputs in a temporary folder.

    cores: the only cores that it may use; None for no limit
    """

    def pin():
        os.sched_setaffinity(0, cores)

    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "run_all.py"), *FOUR_NOTEBOOKS, *options]
        inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        environment = inherited | {
            "OUTPUTS_DIR": folder,
            "OMP_WAIT_POLICY": "PASSIVE",
            "GOMP_SPINCOUNT": "0",
        }
        start = time.perf_counter()
        subprocess.run(
            command,
            env=environment,
            check=True,
            capture_output=True,
            preexec_fn=pin if cores else None,
        )
        return time.perf_counter() - start


def overhead(path) -> tuple[float, float]:
    """Return (overhead, total time) of an executed notebook, in seconds.

    Overhead is the time outside cells, in the setup cell, and in cells that draw.
    """
    executed = nbformat.read(path, 4)
    whole = executed.metadata.papermill.duration
    work = 0.0
    for cell in executed.cells:
        draws = any("image/png" in output.get("data", {}) for output in cell.get("outputs", ()))
        if cell.cell_type == "code" and not draws and "setup" not in cell.metadata.tags:
            work += cell.metadata.papermill.duration
    return whole - work, whole


if __name__ == "__main__":
    show(claims())
