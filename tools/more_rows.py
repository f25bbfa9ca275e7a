"""Train the reference run's subnetworks again on more rows, in processes, for a limited time.

python -m tools.more_rows --rows 10000 --jobs 2        to outputs/reference/more_rows.jsonl

Needs the rows that the run had (GLUE_DIR). Each training is one line, written when it is done; what
is in the file is not trained again, unless another device is asked to compare. Takes hours on two
cores, minutes on a GPU.
"""

import argparse
import json

import sys
import time

from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

TASKS = ["CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI", "QNLI", "RTE"]  # WNLI cannot be learned
SEEDS = [1337, 42, 86]
FEW = 1500


def sizes(most: int) -> dict[str, int]:
    """{task: its training rows, at most this many}."""
    from lib.data import sources

    return {task: min(most, len(sources.rows(task, ["folder"]).train)) for task in TASKS}


def work(todo, done, profile: str) -> None:
    """In a process: train what comes, until None comes."""
    import torch

    from lib.tickets import more_rows

    torch.set_num_threads(1)
    for one in iter(todo.get, None):
        start = time.time()
        trained = more_rows.train(one, profile)
        done.put((one, asdict(trained), time.time() - start))


def main() -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.more_rows",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=24 * 60.0)
    parser.add_argument("--profile", default="reference")
    parser.add_argument("--to", type=Path, default=Path("outputs/reference/more_rows.jsonl"))
    options = parser.parse_args()
    end = time.time() + 60 * options.minutes
    from lib.artefacts.store import environment
    from lib.tickets.more_rows import planned

    made = environment()
    lines = options.to.read_text().splitlines() if options.to.exists() else []
    there = {tuple(json.loads(line)[k] for k in ("task", "seed", "system", "rows", "epochs"))
             for line in lines}  # fmt: skip
    todo = [one for one in planned(TASKS, SEEDS, FEW, sizes(options.rows))
            if tuple(asdict(one).values()) not in there]  # fmt: skip
    context = get_context("spawn")
    waiting, done = context.Queue(), context.Queue()
    for one in [*todo, *[None] * options.jobs]:
        waiting.put(one)
    processes = [
        context.Process(target=work, args=(waiting, done, options.profile), daemon=True)
        for _ in range(options.jobs)
    ]
    for process in processes:
        process.start()
    left = len(todo)
    with options.to.open("a") as file:
        while left and time.time() < end:
            try:
                one, trained, seconds = done.get(timeout=1)
            except Exception:
                if not any(process.is_alive() for process in processes):
                    break
                continue
            left -= 1
            record = {**asdict(one), **trained, "seconds": round(seconds, 1), **made}
            file.write(json.dumps(record) + "\n")
            file.flush()
            print(f"{left} left; {one}: {trained['score']:.3f} in {seconds:.0f} s", flush=True)
    for process in processes:
        process.kill()
    print(f"{left} left")
    return int(left > 0)


if __name__ == "__main__":
    sys.exit(main())
