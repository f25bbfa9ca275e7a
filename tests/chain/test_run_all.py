"""run_all itself: mistakes, stops, estimates, what it shows."""

import gc
import gzip
import logging
import os
import re
import resource
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from io import StringIO
from types import SimpleNamespace

import psutil
import pytest
from filelock import FileLock

import run_all
from chain import estimate, plan, probe, profiles
from chain.cluster import Cluster
from chain.display import Display
from chain.execute import Outcome
from chain.probe import Speed
from lib.artefacts.fingerprint import ROOT
from lib.artefacts.store import Place
from tests.chain.helpers import run_all_py, wait_until_nothing_writes_to


def test_the_workers_of_a_scheduler_are_not_counted_here(tmp_path):
    given = "--profile", "smoke", "--scheduler", "tcp://127.0.0.1:9", "--jobs", "2"
    assert "leave out --jobs" in run_all_py(*given, outputs=tmp_path, status=2)


def test_a_mistake_is_reported_before_any_notebook_runs(tmp_path):
    assert "no profile 'smok'; did you mean 'smoke'" in run_all_py(
        "--profile", "smok", outputs=tmp_path, status=2
    )
    assert "did you mean 'CoLA'" in run_all_py("--tasks", "cola", outputs=tmp_path, status=2)
    output = run_all_py("--profile", "smoke", "--only", "02", outputs=tmp_path, status=2)
    assert (
        "02_magnitude_pruning-SST-2-seed_1337 reads 01_finetune-SST-2-seed_1337, which is not done"
        in output
    )
    output = run_all_py(
        "--profile", "smoke", "--scheduler", "tcp://127.0.0.1:9", outputs=tmp_path, status=2
    )
    assert "--scheduler tcp://127.0.0.1:9: no dask scheduler answers there" in output
    (tmp_path / "SST-2").mkdir()
    with gzip.open(tmp_path / "SST-2" / "train.jsonl.gz", "wt") as file:
        file.write('{"sentence1": "fine", "label": 9}')
    (tmp_path / "SST-2" / "dev.jsonl.gz").touch()
    output = run_all_py("--tasks", "SST-2", outputs=tmp_path, status=2, GLUE_DIR=str(tmp_path))
    assert "train.jsonl.gz, line 1: the label 9 is not one of SST-2's" in output
    assert "Traceback" not in output
    assert not list(tmp_path.rglob("*.ipynb"))


def test_results_that_the_project_brings_along_are_not_replaced(tmp_path):
    def job(task):
        return SimpleNamespace(place=SimpleNamespace(task=task))

    brought = ROOT / "outputs" / "reference"
    with pytest.raises(profiles.ConfigError, match="another folder, as with --as my-reference"):
        run_all.spare_what_is_brought_along(brought, [job(None), job("RTE")])
    run_all.spare_what_is_brought_along(brought, [job(None)])  # a summary reads them
    run_all.spare_what_is_brought_along(brought.with_name("quick"), [job("RTE")])
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / run_all.BROUGHT_ALONG).touch()
    run_all.spare_what_is_brought_along(tmp_path / "reference", [job("RTE")])  # OUTPUTS_DIR


def test_a_dry_run_shows_the_plan_and_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path))
    # the probe's result, as if it had run before
    settings = {"encoder": "e5-small", "workers": 3, "cards": 0}
    speed = asdict(Speed(step=1.0, trained_token=0.0, scored_token=0.0))
    Place("reference", "run_all").save(estimate.PROBE, {"of": settings, "speed": speed})
    output = run_all_py(
        "--profile", "reference", "--dry-run", "--jobs", "3", outputs=tmp_path, status=0
    )
    assert "186 of 186 jobs to do" in output
    assert re.search(r"01_finetune.*WNLI.*1337 42 86 71 166.*635.*71", output)
    # three epochs of batches of 16: eight tasks with 1,500 rows, and WNLI with 635
    steps = 3 * (8 * 94 + 40)
    trainings = 5 * (estimate.TRAININGS["01"] + estimate.TRAININGS["05"])  # five seeds
    seconds = steps * trainings + 186 * estimate.OVERHEAD
    assert f"about {seconds / 3 / 3600:.1f} h with 3 workers" in output
    assert not list(tmp_path.rglob("*.ipynb"))


def test_the_probe_measures_speed_and_runs_once(outputs, monkeypatch):
    monkeypatch.setattr(probe, "SECONDS", 0)
    rough, better, best = probe.measure("tiny", time.time() + 60)
    assert rough.scored_token == better.scored_token == best.scored_token > 0
    assert rough.trained_token > 0 and better.trained_token > 0
    assert best.step + 16 * 16 * best.trained_token > 0
    probed = []
    monkeypatch.setattr(estimate, "probe", lambda *settings: probed.append(settings) or best)
    profile = profiles.read("smoke")
    assert estimate.speed("smoke", profile, 2, 0) == best == estimate.speed("smoke", profile, 2, 0)
    assert probed == [("tiny", 2, 0)], "the second call must use the stored speed"
    assert estimate.speed("smoke", profile, 3, 0) == best
    assert len(probed) == 2, "another number of workers needs another probe"


def test_the_probe_ends_on_time_with_what_it_has(outputs, monkeypatch):
    slow_command = [sys.executable, "-c", "import time; print('one', flush=True); time.sleep(600)"]
    process = subprocess.Popen(slow_command, stdout=subprocess.PIPE, text=True)
    assert probe._last_line(process, time.time() + 5) == "one"
    assert process.wait() == -signal.SIGKILL
    monkeypatch.setattr(probe, "LIMIT", 0.01)  # not enough to import torch
    assert probe.probe("tiny", 1) is None
    assert estimate.speed("smoke", profiles.read("smoke"), 1, 0) == estimate.TYPICAL
    assert not list(outputs.rglob("probe.json")), (
        "the typical speed is not a measurement and must not be stored"
    )


def test_estimates_use_what_jobs_took_before(outputs):
    profile = profiles.checked(
        {**dict(profiles.read("smoke")), "tasks": ["SST-2", "RTE"]}, "a test"
    )
    jobs = [j for j in plan.plan(run_all.CHAIN, "smoke", profile, {}) if j.step[:2] == "01"]
    calls = []

    def speed():
        calls.append(1)
        return Speed(step=1.0, trained_token=0.0, scored_token=0.0)

    before = estimate.estimates(jobs, profile, speed)
    assert len(calls) == 1 and len(set(before.values())) == 1, "one probe, and equal work"
    work = {
        job.name: estimate.work(job.step, job.place.task, profile, estimate.TYPICAL) for job in jobs
    }
    finished = jobs[0].name
    estimate.note("smoke", finished, 3 * work[finished])
    after = estimate.estimates(jobs, profile, speed)
    assert len(calls) == 1, "no probe is needed once a job of the same notebook has run"
    for name, seconds in after.items():
        assert seconds == pytest.approx(3 * work[name], abs=0.1), "all take three times as long"


def test_estimates_count_what_other_estimators_chose():
    values = dict(profiles.read("smoke")) | {"estimators": ["example", "batch", "running"]}
    plain = profiles.checked(values, "a test")
    more = profiles.checked(values | {"retraining": {"estimators": ["batch", "running"]}}, "a test")
    seconds = [estimate.work("05_retrain", "RTE", p, estimate.TYPICAL) for p in (plain, more)]
    assert seconds[1] > 1.1 * seconds[0], "14 trainings, and six smaller ones"


def test_a_job_waits_for_all_that_it_depends_on_and_that_runs_again():
    jobs = plan.plan(run_all.CHAIN, "smoke", profiles.read("smoke"), {})
    job = next(job for job in jobs if job.step == "09_task_overlap")
    running = {"01_finetune-SST-2-seed_42", "02_magnitude_pruning-SST-2-seed_42", job.name}
    cluster = SimpleNamespace(per_host=1, cards=0, threads=1)
    options = run_all._parser().parse_args([])
    _, after = run_all.job_spec(job, running, cluster, options)
    assert after == ["01_finetune-SST-2-seed_42"], "03 is done, but what it read is made again"


def test_the_critical_path_counts_all_jobs_that_wait():
    jobs = plan.plan(run_all.CHAIN, "smoke", profiles.read("smoke"), {})
    expected = {job.name: 1.0 + 10 * job.name.startswith("08") for job in jobs}
    path = run_all.critical_path(jobs, expected)
    seed = "-SST-2-seed_42"
    # 10 waits for 08, and 06 for nobody
    assert path["08_attention_patterns"] == 12 and path["06_all_tickets_win"] == 1
    assert path[f"05_retrain_tickets{seed}"] == 2 and path[f"03_structured_pruning{seed}"] == 13
    assert path[f"01_finetune{seed}"] == 14 and path[f"02_magnitude_pruning{seed}"] == 3


def test_published_masks_run_through_the_notebooks_that_can_read_them(tmp_path, masks_dir):
    options = ("--profile", "published", "--tasks", "SST-2,RTE,CoLA", "--seeds", "42,86,71")
    assert "masks are the paper's authors': only 04, 07, 09 run" in run_all_py(
        *options, "--dry-run", outputs=tmp_path, status=0
    ).replace("\n", " ")
    outputs = tmp_path / "outputs"
    output = run_all_py(*options, outputs=outputs, status=0, MASKS_DIR=str(masks_dir))
    assert "only 04, 07, 09 run" in output and "3 done" in output
    assert "All 3 jobs are done already" in run_all_py(
        *options, outputs=outputs, status=0, MASKS_DIR=str(masks_dir)
    )
    executed = (outputs / "published" / "notebooks" / "07_stability.ipynb").read_text()
    assert "masks published by the paper's authors" in executed and "CoLA   seeds none" in executed
    assert (outputs / "published" / "tables" / "stability_heads.csv").read_text().count("\n") == 3
    (masks_dir / "heads_mlps" / "RTE" / "seed_86" / "head_mask.npy").write_bytes(b"torn")
    output = run_all_py(*options, outputs=outputs, status=1, MASKS_DIR=str(masks_dir))
    assert "3 failed" in output and "head_mask.npy is not an array in numpy's format" in output
    output = run_all_py(*options, outputs=outputs, status=2, MASKS_DIR=str(tmp_path / "outputs"))
    assert "has none of the folders heads_mlps, heads, mlps" in output and "Traceback" not in output


def test_a_second_run_on_the_same_outputs_stops_with_a_message(tmp_path):
    (tmp_path / "smoke").mkdir()
    with FileLock(tmp_path / "smoke" / ".lock"):
        output = run_all_py("--profile", "smoke", outputs=tmp_path, status=2)
    assert "another run is writing to" in output


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has warm kernels")
def test_a_killed_run_leaves_no_process_and_no_lock_behind(tmp_path):
    environment = os.environ | {"OUTPUTS_DIR": str(tmp_path)}
    options = ["--profile", "smoke", "--tasks", "SST-2", "--seeds", "1"]
    command = [sys.executable, str(ROOT / "run_all.py"), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert any(line.startswith("begins") for line in process.stdout)
    time.sleep(2)
    process.kill()
    process.wait()
    wait_until_nothing_writes_to(tmp_path)
    with FileLock(tmp_path / "smoke" / ".lock", timeout=0):
        pass


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_ends_in_one_sentence_and_leaves_no_process_behind(tmp_path, number, status):
    command = [sys.executable, str(ROOT / "run_all.py"), "--profile", "smoke", "--seeds", "1"]
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    environment = os.environ | {"OUTPUTS_DIR": str(tmp_path)}
    # a session of its own: all its processes get the signal, as from a terminal or from Slurm
    process = subprocess.Popen(command, **both, env=environment, start_new_session=True)
    assert any(line.startswith("profile smoke") for line in process.stdout)
    for _ in range(2):
        os.killpg(process.pid, number)
        time.sleep(0.5)
    output = process.stdout.read()
    assert process.wait() == status and "Traceback" not in output, output
    assert output.strip().splitlines()[-1].startswith("Stopped. Finished work is kept")
    wait_until_nothing_writes_to(tmp_path)


@pytest.fixture
def stops_afterwards():
    """Let this process stop and log as before, whatever a test of run_all has set."""
    before = {number: signal.getsignal(number) for number in run_all.STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("stops_afterwards")
def test_what_the_clusters_loop_drops_while_a_run_stops_is_not_shown():
    loggers = [logging.getLogger(name) for name in ("tornado.application", "distributed.scheduler")]
    with pytest.raises(KeyboardInterrupt):
        run_all._stop(signal.SIGINT, None)
    assert not any(logger.isEnabledFor(logging.CRITICAL) for logger in loggers)


@pytest.mark.usefixtures("stops_afterwards")
@pytest.mark.parametrize(("after_a_stop", "status"), [(True, 143), (False, 1)])
def test_what_fails_because_of_a_stop_is_a_stop(after_a_stop, status, monkeypatch, capsys):
    def run(*_):
        try:
            if after_a_stop:
                raise KeyboardInterrupt(signal.SIGTERM)
        finally:
            raise TimeoutError("the cluster did not close in time")

    monkeypatch.setattr(run_all, "run", run)
    assert run_all.main(["--profile", "smoke"]) == status
    said = "".join(capsys.readouterr())
    assert ("Stopped. Finished work is kept" in said) == after_a_stop
    assert ("did not close in time" in said) != after_a_stop


@pytest.mark.parametrize("address", ["tls://127.0.0.1:9", "ucx://127.0.0.1:9", "nowhere", ""])
def test_a_scheduler_that_cannot_be_asked_is_a_mistake_in_the_settings(address):
    with (
        pytest.raises(profiles.ConfigError, match="no dask scheduler answers there") as mistake,
        Cluster(address, None, 1),
    ):
        pass
    assert "\n" not in str(mistake.value)
    # dask's client may deadlock if it is collected while another one starts
    del mistake
    gc.collect()


def test_the_local_cluster_listens_on_loopback_only():
    with Cluster(None, 1, 1):
        own = psutil.Process()
        listening = [
            connection.laddr.ip
            for process in (own, *own.children(recursive=True))
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
    assert len(listening) >= 3 and set(listening) <= {"127.0.0.1", "::1"}


def test_text_that_looks_like_markup_is_shown_as_it_is():
    console = run_all._console(file=StringIO(), width=100)
    with Display(console, {"[bold]x[/y]": 1.0}, 1) as display:
        display.begin("[bold]x[/y]")
        display.end(Outcome("[bold]x[/y]", "done", 1.0))
    run_all.summary(console, [Outcome("[/z] :dog:", "skipped", message="[red]")])
    shown = console.file.getvalue()
    assert "begins  [bold]x[/y]" in shown and "done    [bold]x[/y] in 1 s" in shown
    assert "[/z] :dog:: [red]" in shown


@pytest.mark.parametrize("what", ["in the way", "full"])
def test_outputs_that_cannot_be_written_to_stop_the_run_before_it_begins(tmp_path, what):
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "outputs" if what == "in the way" else tmp_path / "outputs"
    most = 1000 if what == "full" else resource.RLIM_INFINITY
    ended = subprocess.run(
        [sys.executable, "-B", str(ROOT / "run_all.py"), "--profile", "smoke"],
        env=os.environ | {"OUTPUTS_DIR": str(folder)},
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
    )
    assert ended.returncode == 2 and "cannot be written to" in ended.stderr, ended.stderr
    assert "OUTPUTS_DIR" in ended.stderr and ended.stderr.count("\n") == 1
