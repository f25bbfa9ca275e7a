"""Run the benchmarks, each in a new process, and write their results to results.json.

python -m benchmarks                      all but the long ones: ten minutes on two cores
python -m benchmarks memory search:whole  only these; the results of the others stay
python -m benchmarks table                print results.json as the table in docs/speed.md

The rows come from the folder GLUE_DIR, or else from packages that pip installs.
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
LONGER = ("memory", "scheduling", "energy", "search:whole")  # run only if they are named
RESULTS = Path(__file__).with_name("results.json")


def table(results: dict) -> str:
    """Return the claims as the Markdown table in docs/speed.md."""
    lines = [
        "| | against | times as fast, or as the row says; median (range) | wanted | script |",
        "|---|---|---|---|---|",
    ]
    for module, claims in results["claims"].items():
        for claim in (Claim(**values) for values in claims):
            lines.append(
                f"| {claim.work} | {claim.against} | {claim.figure} | {claim.bound} | `{module}` |"
            )
    return "\n".join(lines)


def main(modules: list[str]) -> None:
    """Run these benchmarks, and update results.json after each one."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"made": {}, "claims": {}}
    start = time.monotonic()
    spawn = multiprocessing.get_context("spawn")
    for module in modules:
        with ProcessPoolExecutor(1, mp_context=spawn) as new_process:
            claims = new_process.submit(run, module).result()
            environment = new_process.submit(store.environment).result()  # its threads, not ours
        results["claims"][module] = [asdict(claim) for claim in claims]
        rows = "GLUE_DIR" if os.environ.get("GLUE_DIR") else "pip"
        results["made"][module] = {"rows": rows, **environment}
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
        print(f"    {module}: done after {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["table"]:
        print(table(json.loads(RESULTS.read_text())))
    else:
        main(sys.argv[1:] or list(MODULES))
