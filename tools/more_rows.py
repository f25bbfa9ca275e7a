"""Train a run's subnetworks again on more rows, several at once; `lib.tickets.more_rows` says why.

GLUE_DIR=… python -m tools.more_rows --jobs 2

Needs the rows and the encoder that the run had, and of outputs/reference only 01's result.json and
05's masks.safetensors. What is trained is added to a CSV, line by line; what is there is not
trained again. About 9 minutes on an H100 with 16 jobs, in float32; many hours on two cores.
"""

import argparse
import csv
import sys
import time
import traceback
from dataclasses import fields
from multiprocessing import get_context
from pathlib import Path
from queue import Empty

from lib.artefacts import store
from lib.data import glue
from lib.model import recipes
from lib.tickets import more_rows
from lib.tickets.more_rows import Training

TASKS = [task for task in glue.TASKS if task != "WNLI"]  # which no full model learns
NAMES = [field.name for field in fields(Training)]


def main() -> int:
    """Return the exit status: 1 if something is left to train."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.more_rows",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--profile", default="reference", help="the run whose masks are trained")
    parser.add_argument("--rows", type=int, default=10_000, help="the most training rows of a task")
    parser.add_argument("--jobs", type=int, default=1, help="how many are trained at once")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="the time for all")
    parser.add_argument("--to", type=Path, default=Path("more_rows.csv"), help="the CSV to add to")
    options = parser.parse_args()
    end = time.time() + 60 * options.minutes
    try:
        todo = left_to_train(options.profile, options.rows, options.to)
    except (ValueError, OSError, LookupError) as fault:
        parser.error(str(fault))
    left = run(todo, options.profile, options.jobs, options.to, end)
    print(f"{left} left to train; what is trained is in {options.to}")
    return int(left > 0)


def left_to_train(profile: str, most: int, to: Path) -> list[Training]:
    """List what is not in the CSV yet.

    Raises ValueError if the run has trained no subnetworks again, had all rows, or other ones than
    are there now.
    """
    places = store.places(profile, "05_retrain_tickets")
    retrained = [(at.task, at.seed) for at in places if at.task in TASKS and at.seed is not None]
    if not retrained:
        raise ValueError(
            f"the run {profile} has trained no subnetworks again; first: python run_all.py "
            f"--profile {profile}"
        )
    seeds = list(dict.fromkeys(seed for _, seed in retrained))
    of = {
        task: store.Place(profile, "01_finetune", task, seed).load("result.json")
        for task, seed in dict(reversed(retrained)).items()  # the first seed of each task
    }
    tasks, made = list(of), next(iter(of.values()))
    few, epochs = made["parameters"]["train_rows"], recipes.Recipe(**made["recipe"]).epochs
    if few is None:
        raise ValueError(f"the run {profile} had all rows (train_rows: null): there are no more")
    rows = {task: min(most, len(more_rows.rows_of(task, of[task]).train)) for task in tasks}
    lines = to.read_text().splitlines() if to.exists() else []
    done = {tuple(line[name] for name in NAMES) for line in csv.DictReader(lines)}
    return [
        one
        for one in more_rows.planned(tasks, seeds, few, rows, epochs)
        if (one.task, one.seed) in retrained and tuple(map(str, vars(one).values())) not in done
    ]


def run(todo: list[Training], profile: str, jobs: int, to: Path, end: float) -> int:
    """Train in `jobs` processes until `end`; return how many are left."""
    context = get_context("spawn")
    waiting, done = context.Queue(), context.Queue()
    for one in [*todo, *[None] * jobs]:
        waiting.put(one)
    processes = [
        context.Process(target=work, args=(waiting, done, profile), daemon=True)
        for _ in range(jobs)
    ]
    for process in processes:
        process.start()
    left, working = len(todo), True
    while left and time.time() < end:
        try:
            trained = done.get(timeout=1)
        except Empty:
            if not working:
                break
            working = any(process.is_alive() for process in processes)  # then look once more
            continue
        add(to, trained)
        left -= 1
        print(f"{left} left; {trained}", flush=True)
    for process in processes:
        process.kill()
    return left


def work(waiting, done, profile: str) -> None:
    """In a process: train what comes, until None does; what fails is shown, and left out."""
    import torch

    torch.set_num_threads(1)
    for one in iter(waiting.get, None):
        try:
            done.put(more_rows.train(one, profile))
        except Exception:
            traceback.print_exc()


def add(to: Path, trained: dict) -> None:
    """Add one line to the CSV."""
    new = not to.exists() or not to.stat().st_size
    with to.open("a", newline="") as file:
        writer = csv.DictWriter(file, [*trained])
        if new:
            writer.writeheader()
        writer.writerow(trained)


if __name__ == "__main__":
    sys.exit(main())
