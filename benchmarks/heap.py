"""What it costs to hand freed memory back to the system: training in fresh processes, with and without, by turns.

python -m benchmarks.heap     MiniLM, 32 rows of STS-B, one thread
"""

import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.sides import Claim, show
from lib.artefacts.fingerprint import ROOT

TURNS = 3
SCRIPT = """
import sys, time, torch
from lib.model import device
if "given back" in sys.argv:
    device.keep_freed_memory = lambda: None
from benchmarks.sides import minilm, recipe
from lib.model import train
torch.set_num_threads(1)
subject = minilm("STS-B", 32, 1)
train.fit(subject.model, subject.train, recipe(epochs=1), 0)
start = time.process_time()
train.fit(subject.model, subject.train, recipe(epochs=3), 0)
print(time.process_time() - start)
"""


def claims() -> Iterator[Claim]:
    """CPU time, against glibc's default and against dask's setting, which gives memory back after each freed tensor."""
    ratios = {"glibc's default": [], "dask's setting for its workers": []}
    for _ in range(TURNS):
        kept = seconds()
        ratios["glibc's default"].append(seconds("given back") / kept)
        ratios["dask's setting for its workers"].append(
            seconds("given back", MALLOC_TRIM_THRESHOLD_="65536") / kept
        )
    for against, figures in ratios.items():
        yield Claim.of("training, freed memory kept", against, figures)


def seconds(*arguments: str, **variables: str) -> float:
    """The CPU time of the script in a fresh process."""
    plain = {name: value for name, value in os.environ.items() if name != "MALLOC_TRIM_THRESHOLD_"}
    environment = plain | {"OMP_NUM_THREADS": "1"} | variables
    command = [sys.executable, "-c", SCRIPT, *arguments]
    return float(
        subprocess.run(
            command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
    )


if __name__ == "__main__":
    show(claims())
