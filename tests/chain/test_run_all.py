"""Jobs on workers: what fails, what dies, what goes on. The notebooks here are a line long."""

import gzip
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import nbformat
import psutil
import pytest
from filelock import FileLock

import run_all
from chain import estimate, plan, probe, profiles
from chain.cluster import Cluster
from chain.execute import JobSpec
from chain.probe import Speed
from lib.artefacts.fingerprint import ROOT
from lib.artefacts.store import Place

DIE_ONCE = """
import os, pathlib, signal, ipykernel, psutil
mark = pathlib.Path("{mark}")
if not mark.exists():
    mark.touch()
    os.kill({victim}, signal.SIGKILL)
"""
# a warm kernel's parent is the nursery, which is run_all's child, as the workers are
WORKER = """next(
        process.pid
        for process in psutil.Process(os.getppid()).parent().children()
        if "spawn_main" in " ".join(process.cmdline())
    )"""


def order(folder, name, source):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbformat.write(notebook, folder / f"{name}.ipynb")
    return JobSpec(
        name, str(folder / f"{name}.ipynb"), str(folder / "done" / f"{name}.ipynb"), {}, 2
    )


def run(orders, workers=2):
    began = []
    with Cluster(None, workers, 1) as cluster:
        outcomes = {outcome.name: outcome for outcome in cluster.run(orders, began.append)}
        time.sleep(0.5)  # what workers announce travels by another way than their results
    return outcomes, began


def test_a_failure_stops_only_what_reads_it(tmp_path):
    outcomes, began = run(
        [
            (order(tmp_path, "good", "print(1)"), []),
            (order(tmp_path, "bad", "a = 1\nraise ValueError('this went wrong')"), []),
            (order(tmp_path, "after-good", "1"), ["good"]),
            (order(tmp_path, "after-bad", "1"), ["good", "bad"]),
        ]
    )
    states = {name: outcome.state for name, outcome in outcomes.items()}
    assert states == {"good": "done", "bad": "failed", "after-good": "done", "after-bad": "skipped"}
    assert outcomes["bad"].message == "ValueError: this went wrong"
    assert "bad" in outcomes["after-bad"].message and "after-bad" not in began
    assert "this went wrong" in (tmp_path / "done" / "bad.ipynb").read_text(), (
        "the copy shows how far it came"
    )


def test_the_first_of_the_list_that_can_run_is_next(tmp_path):
    first, last, after = (order(tmp_path, name, "1") for name in ("first", "last", "after"))
    _, began = run([(first, []), (after, ["first"]), (last, [])], workers=1)
    assert began == ["first", "after", "last"]


def test_what_becomes_ready_together_runs_together(tmp_path):
    meet = f"""
import pathlib, time
mine, other = (pathlib.Path({str(tmp_path)!r}) / name for name in {{names}})
mine.touch()
deadline = time.monotonic() + 30
while not other.exists():
    assert time.monotonic() < deadline, "the other one does not run"
    time.sleep(0.1)
"""
    one, two = (
        order(tmp_path, "-".join(names), meet.format(names=tuple(names))) for names in ("ab", "ba")
    )
    outcomes, _ = run([(order(tmp_path, "start", "1"), []), (one, ["start"]), (two, ["start"])])
    assert {outcome.state for outcome in outcomes.values()} == {"done"}, outcomes


@pytest.mark.skipif(sys.platform != "linux", reason="warm kernels are Linux's")
def test_a_kernel_or_worker_that_dies_gets_one_more_chance(tmp_path):
    kernel = DIE_ONCE.format(mark=tmp_path / "kernel", victim="os.getpid()")
    worker = DIE_ONCE.format(mark=tmp_path / "worker", victim=WORKER)
    always = DIE_ONCE.format(mark=tmp_path / "never" / "there", victim=WORKER).replace(
        "mark.touch()", ""
    )
    one_by_one = [(order(tmp_path, "kernel", kernel), []), (order(tmp_path, "worker", worker), [])]
    outcomes, _ = run(one_by_one, workers=1)
    assert [outcome.state for outcome in outcomes.values()] == ["done", "done"], outcomes
    outcomes, _ = run([(order(tmp_path, "always", always), [])], workers=1)
    assert outcomes["always"].state == "failed" and "died twice" in outcomes["always"].message


SHOWS = """
import sys
import matplotlib.pyplot as plt
import psutil
forked = any(word.endswith("nursery.py") for word in psutil.Process().parent().cmdline())
assert forked or sys.platform != "linux", "the kernel was started cold"
figure, axes = plt.subplots()
print(sys.path)
installed = next(place for place, folder in enumerate(sys.path) if "site-packages" in folder)
assert "{root}" in sys.path[:installed], "another checkout could come first"
"""


def test_figures_are_shown_and_only_this_checkout_is_on_the_path(tmp_path):
    outcomes, _ = run([(order(tmp_path, "figure", SHOWS.format(root=ROOT)), [])], workers=1)
    assert outcomes["figure"].state == "done", outcomes["figure"].message
    executed = (tmp_path / "done" / "figure.ipynb").read_text()
    assert "image/png" in executed and str(ROOT / "chain") not in executed


def command(*arguments, outputs, check=None, **variables):
    mine = {"OUTPUTS_DIR": str(outputs), "COLUMNS": "200"}
    environment = {k: v for k, v in os.environ.items() if k != "MASKS_DIR"} | mine | variables
    line = [sys.executable, str(ROOT / "run_all.py"), *arguments]
    done = subprocess.run(line, capture_output=True, text=True, env=environment, timeout=300)
    assert check is None or done.returncode == check, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_mistakes_stop_everything_before_anything_runs(tmp_path):
    assert "no profile 'smok'; did you mean 'smoke'" in command(
        "--profile", "smok", outputs=tmp_path, check=2
    )
    assert "did you mean 'CoLA'" in command("--tasks", "cola", outputs=tmp_path, check=2)
    said = command("--profile", "smoke", "--only", "02", outputs=tmp_path, check=2)
    assert (
        "02_magnitude_pruning-SST-2-seed_1337 reads 01_finetune-SST-2-seed_1337, which is not done"
        in said
    )
    said = command(
        "--profile", "smoke", "--scheduler", "tcp://127.0.0.1:9", outputs=tmp_path, check=2
    )
    assert "--scheduler tcp://127.0.0.1:9: no dask scheduler answers there" in said
    (tmp_path / "SST-2").mkdir()
    with gzip.open(tmp_path / "SST-2" / "train.jsonl.gz", "wt") as file:
        file.write('{"sentence1": "fine", "label": 9}')
    (tmp_path / "SST-2" / "dev.jsonl.gz").touch()
    said = command("--tasks", "SST-2", outputs=tmp_path, check=2, GLUE_DIR=str(tmp_path))
    assert (
        "train.jsonl.gz, line 1: the label 9 is not one of SST-2's" in said
        and "Traceback" not in said
    )
    assert not list(tmp_path.rglob("*.ipynb"))


def test_a_dry_run_shows_the_plan_and_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    of = {"encoder": "e5-small", "workers": 3, "cards": 0}
    speed = asdict(
        Speed(step=1.0, trained_token=0.0, scored_token=0.0)
    )  # as if the probe had been made before
    Place("laptop", "run_all").save(estimate.PROBE, {"of": of, "speed": speed})
    said = command("--profile", "laptop", "--dry-run", "--jobs", "3", outputs=tmp_path, check=0)
    assert "113 of 113 jobs to do" in said and re.search(
        r"01_finetune.*WNLI.*1337 42 86.*635.*71", said
    )
    steps = 3 * (
        8 * 125 + 40
    )  # three epochs of batches of 16: eight tasks with 2,000 rows, WNLI with 635
    hours = (
        (
            3 * steps * (estimate.TRAININGS["01"] + estimate.TRAININGS["05"])
            + 113 * estimate.OVERHEAD
        )
        / 3
        / 3600
    )
    assert f"about {hours:.1f} h with 3 workers" in said
    assert not list(tmp_path.rglob("*.ipynb"))


def test_the_probe_measures_and_is_made_once(outputs, monkeypatch):
    monkeypatch.setattr(probe, "SECONDS", 0)
    rough, better, best = probe.measure("tiny", time.time() + 60)
    assert rough.scored_token == better.scored_token == best.scored_token > 0
    assert rough.trained_token > 0 and better.trained_token > 0
    assert best.step + 16 * 16 * best.trained_token > 0
    made = []
    monkeypatch.setattr(estimate, "probe", lambda *settings: made.append(settings) or best)
    profile = profiles.read("smoke")
    assert estimate.speed("smoke", profile, 2, 0) == best == estimate.speed("smoke", profile, 2, 0)
    assert made == [("tiny", 2, 0)], "it is kept"
    assert estimate.speed("smoke", profile, 3, 0) == best
    assert len(made) == 2, "it is kept for this number of workers only"


def test_the_probe_ends_on_time_with_what_it_has(outputs, monkeypatch):
    slow = [sys.executable, "-c", "import time; print('one', flush=True); time.sleep(600)"]
    process = subprocess.Popen(slow, stdout=subprocess.PIPE, text=True)
    assert probe._last_line(process, time.time() + 5) == "one"
    assert process.wait() == -signal.SIGKILL
    monkeypatch.setattr(probe, "LIMIT", 0.01)  # not enough to import torch
    assert probe.probe("tiny", 1) is None
    assert estimate.speed("smoke", profiles.read("smoke"), 1, 0) == estimate.TYPICAL
    assert not list(outputs.rglob("probe.json")), "what was not measured is not kept"


def test_estimates_use_what_jobs_took_before(outputs):
    profile = profiles.checked(
        {**dict(profiles.read("smoke")), "tasks": ["SST-2", "RTE"]}, "a test"
    )
    jobs = [j for j in plan.plan(run_all.CHAIN, "smoke", profile, {}) if j.step[:2] == "01"]
    speeds = []

    def speed():
        speeds.append(1)
        return Speed(step=1.0, trained_token=0.0, scored_token=0.0)

    guessed = estimate.estimates(jobs, profile, speed)
    assert len(speeds) == 1 and len(set(guessed.values())) == 1, "asked once; equal work"
    work = {
        job.name: estimate.work(job.step, job.place.task, profile, estimate.TYPICAL) for job in jobs
    }
    ran = jobs[0].name
    estimate.note("smoke", ran, 3 * work[ran])
    found = estimate.estimates(jobs, profile, speed)
    assert len(speeds) == 1, "jobs of the same notebook ran: no probe is needed"
    for name, seconds in found.items():
        assert seconds == pytest.approx(3 * work[name], abs=0.1), "three times as slow as usual"


def test_the_longest_remaining_path_goes_first():
    jobs = plan.plan(run_all.CHAIN, "smoke", profiles.read("smoke"), {})
    ways = run_all.critical_path(
        jobs, {job.name: 1.0 + 10 * job.name.startswith("08") for job in jobs}
    )
    one = "-SST-2-seed_42"
    assert ways["08_attention_patterns"] == 11 and ways["06_all_tickets_win"] == 1
    assert ways[f"05_retrain_tickets{one}"] == 2 and ways[f"03_structured_pruning{one}"] == 12
    assert ways[f"01_finetune{one}"] == 13 and ways[f"02_magnitude_pruning{one}"] == 3


def test_published_masks_go_through_the_notebooks_that_can_read_them(tmp_path, masks_dir):
    some = ("--profile", "published", "--tasks", "SST-2,RTE,CoLA", "--seeds", "42,86,71")
    assert "$MASKS_DIR names a variable that is not set" in command(
        *some, outputs=tmp_path, check=2
    )
    outputs = tmp_path / "outputs"
    said = command(*some, outputs=outputs, check=0, MASKS_DIR=str(masks_dir))
    assert "only 04, 07, 09 run" in said and "3 done" in said
    assert "All 3 jobs are done already" in command(
        *some, outputs=outputs, check=0, MASKS_DIR=str(masks_dir)
    )
    executed = (outputs / "published" / "notebooks" / "07_stability.ipynb").read_text()
    assert "masks published by the paper's authors" in executed and "CoLA   seeds none" in executed
    assert (outputs / "published" / "tables" / "stability_heads.csv").read_text().count("\n") == 3
    (masks_dir / "heads_mlps" / "RTE" / "seed_86" / "head_mask.npy").write_bytes(b"torn")
    said = command(*some, outputs=outputs, check=1, MASKS_DIR=str(masks_dir))
    assert "3 failed" in said and "head_mask.npy is not an array in numpy's format" in said
    said = command(*some, outputs=outputs, check=2, MASKS_DIR=str(tmp_path / "outputs"))
    assert "has none of the folders heads_mlps, heads, mlps" in said and "Traceback" not in said


def test_a_second_run_on_the_same_outputs_says_so_and_leaves(tmp_path):
    (tmp_path / "smoke").mkdir()
    with FileLock(tmp_path / "smoke" / ".lock"):
        said = command("--profile", "smoke", outputs=tmp_path, check=2)
    assert "another run is writing to" in said


@pytest.mark.skipif(sys.platform != "linux", reason="warm kernels are Linux's")
def test_a_run_that_is_killed_leaves_no_process_behind_and_no_lock(tmp_path):
    environment = os.environ | {"OUTPUTS_DIR": str(tmp_path)}
    line = [
        sys.executable,
        str(ROOT / "run_all.py"),
        "--profile",
        "smoke",
        "--tasks",
        "SST-2",
        "--seeds",
        "1",
    ]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment)
    assert any(said.startswith("begins") for said in process.stdout)
    time.sleep(2)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while (left := mine(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not left
    with FileLock(tmp_path / "smoke" / ".lock", timeout=0):
        pass


def mine(outputs):
    """The processes that write to this outputs folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if (
                process.environ().get("OUTPUTS_DIR") == str(outputs)
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process.cmdline())
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """A dask scheduler and two workers, started with dask's own command-line tools on loopback."""
    folder = tmp_path_factory.mktemp("dask")
    dask = [sys.executable, "-m", "dask"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    environment = os.environ | {"OUTPUTS_DIR": str(folder / "outputs")}
    file = folder / "scheduler.json"

    def start(*arguments):
        command = [*dask, *arguments, "--scheduler-file", str(file)]
        return subprocess.Popen(command, env=environment, **quiet)

    processes = [start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")]
    while not file.exists():
        assert processes[0].poll() is None
        time.sleep(0.1)
    worker = (
        "worker",
        "--nworkers",
        "1",
        "--nthreads",
        "1",
        "--no-dashboard",
        "--local-directory",
        str(folder),
    )
    processes += [start(*worker) for _ in range(2)]
    yield re.search(r"tcp://127[\d.]+:\d+", file.read_text()).group(), folder / "outputs"
    for process in reversed(processes):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def test_the_smoke_chain_on_a_scheduler_with_two_workers(scheduler):
    address, outputs = scheduler
    said = command("--profile", "smoke", "--scheduler", address, outputs=outputs, check=0)
    assert "2 workers" in said and "13 done" in said
    assert len(list((outputs / "smoke" / "notebooks").glob("*.ipynb"))) == 13
    again = command("--profile", "smoke", "--scheduler", address, outputs=outputs, check=0)
    assert "All 13 jobs are done already" in again
    (outputs / "smoke" / "02_magnitude_pruning" / "SST-2" / "seed_42" / "done.json").unlink()
    said = command("--profile", "smoke", "--scheduler", address, outputs=outputs, check=0)
    assert "1 done" in said, "what was done stays done"
