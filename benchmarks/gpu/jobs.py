"""How much more a card does with several processes on it: fine-tuning, each on its own."""

import time
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.gpu.results import Line

COUNTS = (1, 2, 4, 8)
TURNS, TASK, STEPS = 2, "QQP", 4  # QQP's rows are the middle of the five; steps of one `fit`
LONGEST = 8.0  # seconds that processes run together in one turn


def work(connection: Connection, encoder: str, cores: int) -> None:
    """In a process of its own: train whenever asked to, until the connection ends.

    Sends "ready", or what went wrong. Receives (processes at once, when to end), and answers with
    (examples, seconds) once it has ended.
    """
    import torch

    from benchmarks import loops
    from benchmarks.gpu.rows import made_up
    from chain.probe import random_model
    from lib.model import recipes, train
    from lib.model.device import to_best_device

    def examples() -> int:
        loops.fit(train.fit, model, data, recipe, batches)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return sum(map(len, batches))

    try:
        model, recipe = to_best_device(random_model(encoder)), recipes.recipe(encoder, epochs=1)
        data = made_up(TASK, 16 * STEPS * recipe.batch_size)
        batches = loops.some_batches(data.lengths, recipe.batch_size, STEPS)
        examples()
        connection.send("ready")
    except RuntimeError as fault:  # such as too little memory on the card
        connection.send(str(fault).splitlines()[0])
        return
    try:
        while True:
            count, end = connection.recv()
            torch.set_num_threads(max(1, cores // count))
            done, start = 0, time.time()
            while not done or time.time() < end:
                done += examples()
            connection.send((done, time.time() - start))
    except (EOFError, BrokenPipeError):  # whoever measures has ended
        return


def measure(
    encoder: str, cores: int, counts: Sequence[int], seconds: float
) -> tuple[list[Line], dict[str, Any]]:
    """Run 1, 2, … processes at once, in turns; the throughput in times of that of one.

    counts: numbers of processes, the first being 1. seconds: for all, starting them included
    Returns a line for each count; and {"gains": {count: throughput in times of one's}}
    Raises RuntimeError if not even one process starts.
    """
    end, context = time.time() + seconds, get_context("spawn")
    processes, lines = [], []
    try:
        for _ in range(max(counts)):
            here, there = context.Pipe()
            process = context.Process(target=work, args=(there, encoder, cores), daemon=True)
            process.start()
            there.close()
            processes.append((process, here))
        answers = [here.recv() if here.poll(end - time.time()) else "late" for _, here in processes]
        ready = [here for (_, here), answer in zip(processes, answers, strict=True)
                 if answer == "ready"]  # fmt: skip
        wrong = next((answer for answer in answers if answer != "ready"), "")
        if not ready:
            if wrong == "late":
                raise TimeoutError("the time was up before a process was ready to train")
            raise RuntimeError(f"no process was ready to train: {wrong}")
        able = [count for count in counts if count <= len(ready)]
        rates: dict[int, list[float]] = {count: [] for count in able}
        for turn in range(TURNS):
            for later, count in enumerate(able):
                turns_left = (TURNS - turn) * len(able) - later
                share = min(LONGEST, (end - time.time()) / turns_left)
                rates[count].append(together(ready[:count], share))
        gains = {
            count: [rate / one for rate, one in zip(rates[count], rates[1], strict=True)]
            for count in able
        }
        for count in counts:
            what = f"{count} jobs on one card" if count > 1 else "1 job"
            if count not in able:
                lines.append(Line(what, "", "skipped", f"only {len(ready)} were ready: {wrong}"))
            elif count > 1:
                low, high = min(gains[count]), max(gains[count])
                figure = f"{sum(gains[count]) / TURNS:.2f} ({low:.2f}–{high:.2f})"
                rate = sum(rates[count]) / TURNS
                lines.append(Line(what, "one, in throughput", figure, f"{rate:,.0f} examples/s"))
        mean = {count: sum(gains[count]) / TURNS for count in able}
        return lines, {"gains": mean}
    finally:
        for process, here in processes:
            here.close()
            process.kill()


def together(connections: Sequence[Connection], seconds: float) -> float:
    """Let processes train at once for this long; return their examples per second together."""
    until = time.time() + seconds
    for connection in connections:
        connection.send((len(connections), until))
    answers = [connection.recv() for connection in connections]
    return sum(done / taken for done, taken in answers)
