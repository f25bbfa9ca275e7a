"""Jobs on workers: failures, killed processes, the order of jobs, and a cluster of one's own."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from distributed import Client

from chain import cards
from chain import cluster as cluster_module
from chain.cluster import Cluster, ClusterLostError
from chain.execute import FOLDERS
from lib.artefacts.fingerprint import ROOT
from tests.chain.helpers import (
    one_cell_notebook,
    pictures,
    run_all_py,
    wait_until_nothing_writes_to,
)

KILL_ONCE = """
import os, pathlib, signal, ipykernel, psutil
killed_before = pathlib.Path("{mark}")
if not killed_before.exists():
    killed_before.touch()
    os.kill({victim}, signal.SIGKILL)
"""
# The parent of a warm kernel is the nursery. Nursery and workers are children of one process.
WORKER = """next(
        process.pid
        for process in psutil.Process(os.getppid()).parent().children()
        if "spawn_main" in " ".join(process.cmdline())
    )"""


SHOW_A_FIGURE = """
import sys
from lib.show import teach
teach.sharp_figures()
import matplotlib.pyplot as plt
import psutil
forked = any(word.endswith("nursery.py") for word in psutil.Process().parent().cmdline())
assert forked or sys.platform != "linux", "the kernel was started cold"
figure, axes = plt.subplots()
print(sys.path)
installed = next(number for number, folder in enumerate(sys.path) if "site-packages" in folder)
assert "{root}" in sys.path[:installed], "an installed checkout would be imported instead"
"""


def run(specs, workers=2):
    begun = []
    with Cluster(None, workers, 1) as cluster:
        outcomes = {outcome.name: outcome for outcome in cluster.run(specs, begun.append)}
        time.sleep(0.5)  # events of begun jobs may arrive later than results
    return outcomes, begun


def test_a_failure_stops_only_the_jobs_that_read_it(tmp_path):
    outcomes, begun = run(
        [
            (one_cell_notebook(tmp_path, "good", "print(1)"), []),
            (one_cell_notebook(tmp_path, "bad", "a = 1\nraise ValueError('this went wrong')"), []),
            (one_cell_notebook(tmp_path, "after-good", "1"), ["good"]),
            (one_cell_notebook(tmp_path, "after-bad", "1"), ["good", "bad"]),
        ]
    )
    states = {name: outcome.state for name, outcome in outcomes.items()}
    assert states == {"good": "done", "bad": "failed", "after-good": "done", "after-bad": "skipped"}
    assert outcomes["bad"].message == "ValueError: this went wrong"
    assert "bad" in outcomes["after-bad"].message and "after-bad" not in begun
    assert "this went wrong" in (tmp_path / "done" / "bad.ipynb").read_text(), (
        "the executed copy must show where the notebook failed"
    )


def test_the_first_job_in_the_list_that_is_ready_runs_next(tmp_path):
    first, last, after = (
        one_cell_notebook(tmp_path, name, "1") for name in ("first", "last", "after")
    )
    _, begun = run([(first, []), (after, ["first"]), (last, [])], workers=1)
    assert begun == ["first", "after", "last"]


def test_jobs_that_become_ready_together_run_at_the_same_time(tmp_path):
    wait_for_other = f"""
import pathlib, time
own, other = (pathlib.Path({str(tmp_path)!r}) / name for name in {{names}})
own.touch()
deadline = time.monotonic() + 30
while not other.exists():
    assert time.monotonic() < deadline, "the other job does not run"
    time.sleep(0.1)
"""
    left, right = (
        one_cell_notebook(tmp_path, "-".join(names), wait_for_other.format(names=tuple(names)))
        for names in ("ab", "ba")
    )
    start = one_cell_notebook(tmp_path, "start", "1")
    outcomes, _ = run([(start, []), (left, ["start"]), (right, ["start"])])
    assert {outcome.state for outcome in outcomes.values()} == {"done"}, outcomes


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has warm kernels")
def test_a_job_whose_kernel_or_worker_dies_is_tried_once_more(tmp_path):
    sources = {
        "kernel": KILL_ONCE.format(mark=tmp_path / "kernel", victim="os.getpid()"),
        "worker": KILL_ONCE.format(mark=tmp_path / "worker", victim=WORKER),
    }
    specs = [(one_cell_notebook(tmp_path, name, source), []) for name, source in sources.items()]
    outcomes, _ = run(specs, workers=1)
    assert [outcome.state for outcome in outcomes.values()] == ["done", "done"], outcomes
    kill_always = KILL_ONCE.format(mark=tmp_path / "never" / "there", victim=WORKER)
    kill_always = kill_always.replace("killed_before.touch()", "")
    outcomes, _ = run([(one_cell_notebook(tmp_path, "always", kill_always), [])], workers=1)
    assert outcomes["always"].state == "failed" and "died twice" in outcomes["always"].message


def test_figures_are_shown_sharp_and_only_this_checkout_is_on_the_path(tmp_path):
    spec = one_cell_notebook(tmp_path, "figure", SHOW_A_FIGURE.format(root=ROOT))
    outcomes, _ = run([(spec, [])], workers=1)
    assert outcomes["figure"].state == "done", outcomes["figure"].message
    executed = (tmp_path / "done" / "figure.ipynb").read_text()
    assert str(ROOT / "chain") not in executed
    stored, shown = zip(*pictures(json.loads(executed)), strict=True)
    assert stored == tuple(2 * width for width in shown)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """(address of a dask scheduler with two workers, an outputs folder)."""
    folder = tmp_path_factory.mktemp("dask")
    with running_scheduler(folder) as (address, _):
        yield address, folder / "outputs"


@contextmanager
def running_scheduler(folder):
    """Start a scheduler and two workers as docs/cluster.md does: (address, their processes).

    Each process has a folder of its own, and none knows of run_all's variables, as on machines that
    share nothing but this checkout. The scheduler's process comes first.
    """
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    environment = {name: value for name, value in os.environ.items() if name not in FOLDERS}
    file = folder / "scheduler.json"
    processes = []

    def start(*arguments, **variables):
        (own := folder / f"machine_{len(processes)}").mkdir()
        command = [sys.executable, "-m", "dask", *arguments, "--scheduler-file", str(file)]
        own_environment = environment | variables
        processes.append(subprocess.Popen(command, env=own_environment, cwd=own, **quiet))

    start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
    while not file.exists():
        assert processes[0].poll() is None
        time.sleep(0.1)
    worker = ("worker", "--nworkers", "1", "--nthreads", "1", "--no-dashboard")
    for card in "01":
        start(*worker, "--resources", "GPU=1", CUDA_VISIBLE_DEVICES=card)
    address = re.search(r"tcp://127[\d.]+:\d+", file.read_text()).group()
    try:
        with Client(address) as client:
            client.wait_for_workers(2, timeout=120)
        yield address, processes
    finally:
        for process in reversed(processes):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)


def test_ctrl_c_waits_until_the_workers_have_started():
    """Also if the system gives the signal to a thread that is older than the block."""
    end = threading.Event()
    older = threading.Thread(target=end.wait)
    older.start()
    reached, before = False, signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), cluster_module._signals_blocked():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)
            reached = True
    finally:
        signal.signal(signal.SIGINT, before)
        end.set()
    assert reached


def test_a_workers_loop_prints_nothing_that_it_drops():
    def shows_errors():
        import logging

        return logging.getLogger("tornado.application").isEnabledFor(logging.ERROR)

    with Cluster(None, 1, 1) as cluster:
        assert list(cluster.client.run(shows_errors).values()) == [False]


def test_a_scheduler_that_ends_in_the_middle_of_a_run_is_one_sentence(tmp_path):
    spec = one_cell_notebook(tmp_path, "waits", "import time; time.sleep(600)")
    with running_scheduler(tmp_path) as (address, (process, *_)):
        with (
            pytest.raises(ClusterLostError, match=f"scheduler at {address} has ended; finished"),
            Cluster(address, None, 1) as cluster,
        ):
            list(cluster.run([(spec, [])], lambda name: os.killpg(process.pid, signal.SIGKILL)))
        process.wait()


def test_a_worker_that_vanishes_costs_its_job_once(tmp_path):
    begins = tmp_path / "begins"
    source = f"""
import os, pathlib, time
folder = pathlib.Path({str(begins)!r})
first = not folder.exists()
folder.mkdir(exist_ok=True)
(folder / str(os.getpid())).write_text(os.getcwd())
time.sleep(600 if first else 0)
"""
    spec = one_cell_notebook(tmp_path, "waits", source)

    def vanish():
        while not (kernels := list(begins.glob("*"))):
            time.sleep(0.1)
        busy = worker_of(kernels[0].name, processes)
        os.killpg(busy.pid, signal.SIGKILL)

    with running_scheduler(tmp_path) as (address, processes), Cluster(address, None, 1) as cluster:
        thread = threading.Thread(target=vanish)
        thread.start()
        (outcome,) = cluster.run([(spec, [])], lambda _: None)
        thread.join()
    assert outcome.state == "done" and len(list(begins.iterdir())) == 2


def worker_of(kernel, processes):
    """The process of `running_scheduler` whose worker runs this kernel."""
    above = {parent.pid for parent in psutil.Process(int(kernel)).parents()}
    return next(process for process in processes if process.pid in above)


def test_each_job_has_the_card_of_its_worker(scheduler, tmp_path):
    wait_for_both = f"""
import os, pathlib, time
folder = pathlib.Path({str(tmp_path)!r})
(folder / ("card " + os.environ["CUDA_VISIBLE_DEVICES"])).touch()
deadline = time.monotonic() + 30
while len(list(folder.glob("card *"))) < 2:
    assert time.monotonic() < deadline, "the other job does not run, or has the same card"
    time.sleep(0.1)
"""
    specs = [(one_cell_notebook(tmp_path, name, wait_for_both), []) for name in ("one", "other")]
    with Cluster(scheduler[0], None, 1) as cluster:
        outcomes = list(cluster.run(specs, lambda _: None))
        assert cluster.needs_card
    assert {outcome.state for outcome in outcomes} == {"done"}, outcomes
    assert {path.name for path in tmp_path.glob("card *")} == {"card 0", "card 1"}


@pytest.mark.parametrize("ended_by", ["itself", "SIGTERM"])
def test_the_job_script_for_slurm(tmp_path, ended_by):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "srun").write_text('#!/bin/sh\nexec "$@"\n')  # one node, one task
    (tmp_path / "bin" / "srun").chmod(0o755)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "run_all.py").symlink_to(ROOT / "run_all.py")
    environment = os.environ | {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "OUTPUTS_DIR": str(tmp_path / "outputs"),
        "SLURM_SUBMIT_DIR": str(tmp_path),
        "SLURM_JOB_ID": "1",
        "SLURM_CPUS_PER_TASK": "2",
        "SLURM_NTASKS": "1",
    }
    options = ["--profile", "smoke", "--only", "01", "--tasks", "SST-2", "--seeds", "1"]
    process = subprocess.Popen(
        ["bash", str(ROOT / "docs" / "slurm.sh"), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if ended_by == "SIGTERM" and line.startswith("begins"):
            process.terminate()
    ended = process.wait()
    assert (ended, lines[-1].strip()[:7]) == {
        "itself": (0, "1 done"), "SIGTERM": (143, "Stopped")
    }[ended_by]  # fmt: skip
    wait_until_nothing_writes_to(tmp_path / "outputs")
    assert not list(tmp_path.glob(".dask*"))


def test_the_smoke_chain_on_a_scheduler_with_two_workers(scheduler):
    address, outputs = scheduler
    output = run_all_py("--profile", "smoke", "--scheduler", address, outputs=outputs, status=0)
    assert "2 workers" in output and "14 done" in output
    assert len(list((outputs / "smoke" / "notebooks").glob("*.ipynb"))) == 14
    again = run_all_py("--profile", "smoke", "--scheduler", address, outputs=outputs, status=0)
    assert "All 14 jobs are done already" in again
    (outputs / "smoke" / "02_magnitude_pruning" / "SST-2" / "seed_42" / "done.json").unlink()
    output = run_all_py("--profile", "smoke", "--scheduler", address, outputs=outputs, status=0)
    assert "1 done" in output, "only the job without done.json runs again"
    place = outputs / "smoke" / "02_magnitude_pruning" / "SST-2" / "seed_42"
    result = place / "weight_mask.safetensors"  # the only artefact here that is made from another
    before = result.read_bytes()
    result.write_bytes(before[:-10])
    (outputs / "smoke" / "run_all" / "seconds.json").write_text("[]")
    output = run_all_py("--profile", "smoke", "--scheduler", address, outputs=outputs, status=0)
    assert "damaged, so made again by 02_magnitude_pruning-SST-2-seed_42" in output
    assert "1 done" in output and result.read_bytes() == before
    assert (place / "damaged" / result.name).read_bytes() == before[:-10]


def contents(folder):
    """{path: what must be the same in two runs}, without run_all's notes on how long jobs took.

    Of an executed notebook its code and outputs, of a provenance all but times and durations.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name in (".lock", "run_all/seconds.json", "run_all/seconds.json.json"):
            continue
        if "damaged" in path.parts:  # what another test has damaged
            continue
        if path.suffix == ".ipynb":
            cells = json.loads(path.read_text())["cells"]
            found[name] = [(cell["source"], cell.get("outputs")) for cell in cells]
        elif path.with_suffix("").suffix and path.suffix == ".json":
            record = json.loads(path.read_text())
            assert {"seconds", "written"} <= record.keys(), name
            times = ("seconds", "written", "modified_ns")
            found[name] = {k: v for k, v in record.items() if k not in times}
        else:
            found[name] = path.read_bytes()
    return found


def test_the_same_parameters_give_the_same_bytes_with_one_worker_and_with_two(scheduler, tmp_path):
    address, outputs = scheduler
    run_all_py("--profile", "smoke", "--scheduler", address, outputs=outputs, status=0)
    run_all_py("--profile", "smoke", "--jobs", "1", "--only", "01-03", outputs=tmp_path, status=0)
    steps = ("01_", "02_", "03_")
    two, one = (
        {name: content for name, content in contents(folder).items() if name.startswith(steps)}
        for folder in (outputs / "smoke", tmp_path / "smoke")
    )
    assert two.keys() == one.keys()
    assert {".npy", ".safetensors", ".json", ".csv"} <= {Path(name).suffix for name in one}
    assert [name for name in one if one[name] != two[name]] == []


def test_a_worker_gets_one_of_the_cards_that_the_user_chose(monkeypatch):
    monkeypatch.delenv(cards.VARIABLE, raising=False)
    assert cards.of_worker(3, 0) == {}
    assert cards.of_worker(3, 2) == {cards.VARIABLE: "1"}
    monkeypatch.setenv(cards.VARIABLE, "2, GPU-5f")
    assert cards.of_worker(0, 2) == {cards.VARIABLE: "2"}
    found = cards.of_worker(3, 2)
    assert found == {cards.VARIABLE: "GPU-5f"}
    monkeypatch.setenv(cards.VARIABLE, found[cards.VARIABLE])
    assert cards.of_worker(3, 2) == found, "the worker's next job"
