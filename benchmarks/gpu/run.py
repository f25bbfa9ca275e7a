"""The measurements in their order, the most important first, each within its share of the time."""

import copy
import gc
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import numpy
import torch
import transformers

from benchmarks.gpu import card, equality, jobs, speed
from benchmarks.gpu.results import Line, Result
from benchmarks.gpu.rows import made_up
from benchmarks.gpu.speed import Bench
from chain.probe import random_model
from lib.artefacts.fingerprint import of_work
from lib.model.device import best_device, to_best_device

EQUAL_ROWS = 4  # of CoLA's lengths: what is compared does not depend on how many there are
Measured = tuple[list[Line], dict[str, Any]]


@dataclass(frozen=True)
class Measurement:
    """One measurement.

    key: under which later arithmetic finds its values
    weight: its share of the time, in proportion to that of the measurements that come after it
    needs(): the seconds that it takes at least, predicted
    run(seconds): measure for about so long
    """

    name: str
    key: str
    weight: float
    needs: Callable[[], float]
    run: Callable[[float], Measured]


def everything(connection: Connection, end: float, encoders: dict[str, str]) -> None:
    """Measure in this process, and send what comes of it.

    Sends ("made", facts), then for each measurement ("begun", name) and ("result", {key: Result}).
    end: the time of day at which this process is killed
    encoders: {profile: the encoder whose shape is measured}
    """
    started = time.time()
    connection.send(("made", facts()))
    for key, result in results(end, encoders, lambda name: connection.send(("begun", name))):
        connection.send(("result", key, result.as_dict()))
    connection.send(("ended", time.time() - started))


def results(
    end: float, encoders: dict[str, str], begin: Callable[[str], None]
) -> Iterator[tuple[str, Result]]:
    """Yield (key, result) for each measurement."""
    begin("the peak")
    start = time.time()
    torch.manual_seed(0)
    on_cpu = random_model(encoders["paper"])
    model = to_best_device(copy.deepcopy(on_cpu))
    a_second = max(0.1, min(1.0, (end - start) / 60))
    peaks = {
        name: card.peak(model.device, dtype, a_second)
        for name, dtype in card.precisions(model.device).items()
    }
    lines = [
        Line(f"the most of one product, {name} precision", "", f"{peak / 1e12:.2f} TFLOP/s")
        for name, peak in peaks.items()
    ]
    yield "peak", Result("the peak", "measured", time.time() - start, lines=lines, values=peaks)
    ready = time.time() - start
    bench = Bench(encoders["paper"], model, peaks)
    todo = measurements(bench, on_cpu, encoders["reference"], ready)
    for number, one in enumerate(todo):
        left = end - time.time()
        share = left * one.weight / sum(later.weight for later in todo[number:])
        needs = one.needs()
        if needs > left:
            reason = f"it needs about {needs:.0f} s, and {max(0, left):.0f} s are left"
            yield one.key, Result(one.name, "skipped", reason=reason)
            continue
        begin(one.name)
        yield one.key, _result(one, min(left, max(needs, share)))
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _result(one: Measurement, seconds: float) -> Result:
    start = time.time()
    try:
        lines, values = one.run(seconds)
    except TimeoutError as late:
        return Result(one.name, "stopped", time.time() - start, str(late))
    except Exception as fault:  # the others can still be measured
        reason = f"{type(fault).__name__}: {fault}".splitlines()[0]
        return Result(one.name, "failed", time.time() - start, reason)
    return Result(one.name, "measured", time.time() - start, lines=lines, values=values)


def measurements(bench: Bench, on_cpu: Any, reference: str, ready: float) -> list[Measurement]:
    """List all measurements, the most important first.

    ready: the seconds that it took to have a model on the device
    """
    cores = usable_cores()
    counts = [n for n in jobs.COUNTS if bench.device.type == "cuda" or n <= cores]
    small: list[Bench] = []  # made when it is its turn, so that it takes no time before

    def reference_bench() -> Bench:
        if not small:
            small.append(Bench(reference, to_best_device(random_model(reference)), bench.peaks))
        return small[0]

    tuning = [
        Measurement(
            f"fine-tuning on {task}",
            f"steps {task}",
            3,
            partial(speed.finetuning_needs, bench, task),
            partial(speed.finetuning, bench, task),
        )
        for task in ("MRPC", "CoLA", "QQP", "SST-2", "RTE")
    ]
    return [
        Measurement(
            "equality with the CPU in float32",
            "equality",
            2,
            partial(_equality_needs, bench, ready),
            lambda _seconds: _equality(on_cpu, bench),
        ),
        *tuning,
        Measurement(
            "scoring",
            "scoring",
            1,
            partial(speed.scoring_needs, bench),
            partial(speed.scoring, bench),
        ),
        Measurement(
            "a round of s-pruning, all units",
            "s-round",
            2,
            partial(speed.s_round_needs, bench),
            partial(speed.s_round, bench, 1.0),
        ),
        Measurement(
            "a round of m-pruning",
            "m-round",
            4,
            partial(speed.m_round_needs, bench),
            partial(speed.m_round, bench, True),
        ),
        Measurement(
            f"fine-tuning {reference}",
            "reference",
            2,
            lambda: ready + speed.own_recipe_needs(Bench(reference, bench.model, bench.peaks)),
            lambda seconds: speed.own_recipe(reference_bench(), seconds),
        ),
        Measurement(
            f"{', '.join(map(str, counts))} jobs on one card",
            "jobs",
            8,
            lambda: jobs_need(bench, counts, cores, ready),
            partial(jobs.measure, bench.encoder, cores, counts),
        ),
        Measurement(
            "a round of s-pruning, half of the units",
            "s-round half",
            2,
            partial(speed.s_round_needs, bench),
            partial(speed.s_round, bench, 0.5),
        ),
        Measurement(
            "a round of m-pruning, its mask alone",
            "m-round mask",
            3,
            partial(speed.m_round_needs, bench),
            partial(speed.m_round, bench, False),
        ),
    ]


def jobs_need(bench: Bench, counts: list[int], cores: int, ready: float) -> float:
    """Predict the seconds to start all processes, and one piece of work for each number of them."""
    starting = 2 * ready * max(1, max(counts) / cores)  # 2: imports take about as long again
    a_piece = jobs.STEPS * speed.seconds_of_a_step(bench, jobs.TASK)[bench.best]
    return starting + a_piece * (max(counts) + jobs.TURNS * sum(counts))


def _equality_needs(bench: Bench, ready: float) -> float:
    """Predict the seconds on the CPU: five passes in each of two precisions, and copies."""
    if bench.device.type == "cpu":
        work = card.operations(bench.encoder, [24], EQUAL_ROWS, 5 + 2 * 5)
        return bench.seconds(work) + ready
    return 3 * ready  # the CPU's speed is not known


def _equality(on_cpu: Any, bench: Bench) -> Measured:
    data = made_up("CoLA", EQUAL_ROWS)
    found = equality.compare_with_cpu(on_cpu, bench.model, data)
    device = {"cuda": "GPU", "cpu": "CPU itself"}[bench.device.type]
    lines = [
        Line(
            f"float32: {one.what}",
            f"float32 on the CPU, both against float64, at most {equality.FACTOR}",
            f"{one.ratio:.2f} times its error",
            f"{'equal' if one.held else 'NOT EQUAL'}: {one.error:.1e} on the {device}, "
            f"{one.cpu_error:.1e} on the CPU",
        )
        for one in found
    ]
    same = equality.same_loss_as_authors(bench.model, data)
    lines.append(
        Line("float32: the loss in lib's loop", "in the authors'", "equal" if same else "NOT EQUAL")
    )
    return lines, {"equal": same and all(one.held for one in found)}


def facts() -> dict[str, Any]:
    """What was measured on, for the json."""
    device = best_device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor()
    return {
        "device": device.type,
        "name": name or platform.machine(),
        "cores": usable_cores(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": numpy.__version__,
        "cuda": torch.version.cuda,
        "code": of_work(["lib.model.train", "lib.pruning.search", "lib.pruning.importance"], {}),
    }


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
