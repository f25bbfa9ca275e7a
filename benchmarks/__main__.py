"""All benchmarks, each in a process of its own, one after another; what they find goes to results.json.

python -m benchmarks                      ten minutes on two cores; the rows of GLUE_DIR, or else those that pip brings
python -m benchmarks memory search:whole  these only; the others' results stay
python -m benchmarks table                what is in results.json, as the README shows it
"""

import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from benchmarks.sides import Claim, run
from lib.artefacts import store

MODULES = ("finetuning", "search", "magnitude", "retraining", "patterns", "chain")
LONGER = ("memory", "search:whole")  # only when asked for
RESULTS = Path(__file__).with_name("results.json")


def table(results: dict) -> str:
    """The claims as the README shows them."""
    lines = [
        "| | against | times as fast, median (range) | wanted | script |",
        "|---|---|---|---|---|",
    ]
    for module, claims in results["claims"].items():
        for claim in (Claim(**values) for values in claims):
            lines.append(
                f"| {claim.work} | {claim.against} | {claim.figure} | {claim.bound} | `{module}` |"
            )
    return "\n".join(lines)


def main(modules: list[str]) -> None:
    """Measure, and write."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"made": {}, "claims": {}}
    start = time.monotonic()
    spawn = multiprocessing.get_context("spawn")
    for module in modules:
        with ProcessPoolExecutor(1, mp_context=spawn) as fresh:
            results["claims"][module] = [
                asdict(claim) for claim in fresh.submit(run, module).result()
            ]
        results["made"][module] = {
            "rows": "GLUE_DIR" if os.environ.get("GLUE_DIR") else "pip",
            **store.environment(),
        }
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
        print(f"    {module}: done after {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["table"]:
        print(table(json.loads(RESULTS.read_text())))
    else:
        main(sys.argv[1:] or list(MODULES))
