"""Kernels forked from the nursery, without a run around them."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chain import warm
from lib.artefacts.fingerprint import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has warm kernels")


@pytest.mark.parametrize("has_read_the_answer", [True, False])
def test_a_kernel_ends_with_the_process_that_asked_for_it(
    tmp_path, monkeypatch, has_read_the_answer
):
    monkeypatch.delenv(warm.VARIABLE, raising=False)  # another test's nursery
    started = warm.start()
    try:
        address = str(Path(os.environ[warm.VARIABLE]) / "socket")
        connection_file = str(tmp_path / "kernel.json")
        request = {"arguments": ["-f", connection_file], "cwd": str(tmp_path)}
        request["environment"] = dict(os.environ)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(address)
            line = json.dumps(request).encode() + b"\n"
            socket.send_fds(connection, [line], [1, 2])
            # a process killed before it reads the answer resets the connection
            answer = connection.recv(16, 0 if has_read_the_answer else socket.MSG_PEEK)
            kernel = int(answer)
            assert runs(kernel)
        deadline = time.monotonic() + 30
        while runs(kernel) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not runs(kernel)
    finally:
        warm.stop(started)


def test_a_nursery_that_has_died_is_replaced(monkeypatch):
    monkeypatch.delenv(warm.VARIABLE, raising=False)
    monkeypatch.delenv("JUPYTER_PATH", raising=False)
    started = warm.start()
    dead = os.environ[warm.VARIABLE]
    started.kill()
    started.wait()
    request = {"arguments": [], "cwd": "/", "environment": {}}
    with pytest.raises(RuntimeError, match="^Kernel could not be forked"):
        warm.ForkedKernel(str(Path(dead) / "socket"), request)
    replaced = []
    start = warm.start

    def started_again():
        replaced.append(start())
        return replaced[-1]

    monkeypatch.setattr(warm, "start", started_again)
    try:
        assert warm.kernel_name() == warm.kernel_name() == "warm"
        assert len(replaced) == 1 and os.environ[warm.VARIABLE] != dead
        assert os.environ["JUPYTER_PATH"].split(os.pathsep)[0] == os.environ[warm.VARIABLE]
        assert replaced[0].poll() is None, "that somebody asks whether it listens does not end it"
    finally:
        warm.stop(replaced[0])
        shutil.rmtree(dead)


@pytest.mark.parametrize("closed", [True, False])
def test_a_nursery_ends_in_the_middle_of_its_imports(monkeypatch, closed):
    monkeypatch.delenv(warm.VARIABLE, raising=False)
    monkeypatch.setattr(warm.nursery, "__file__", str(Path(__file__).with_name("slow_nursery.py")))
    started = warm.start()
    folder, begun = os.environ[warm.VARIABLE], time.monotonic()
    if closed:  # as when run_all was killed
        started.stdin.close()
        started.wait(30)
    else:
        warm.stop(started)
    assert time.monotonic() - begun < 20 and not Path(folder).exists()


def test_a_kernel_for_somebody_who_has_gone_ends_without_a_word():
    code = (
        "import socket; from chain import nursery; ours, theirs = socket.socketpair();"
        "theirs.close();"
        "nursery.become_kernel(ours, {'cwd': '/', 'environment': {}, 'arguments': []}, [])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "")


def test_ctrl_c_in_the_terminal_does_not_reach_the_nursery(monkeypatch):
    monkeypatch.delenv(warm.VARIABLE, raising=False)
    started = warm.start()
    assert os.getpgid(started.pid) == started.pid
    warm.stop(started)


def runs(pid):
    """True while this process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_request_that_ends_in_the_middle_does_not_stop_the_nursery():
    ours, theirs = socket.socketpair()
    theirs.sendall(b'{"half": ')
    theirs.close()
    with pytest.raises(ConnectionError, match="in the middle of its request"):
        warm.nursery.receive(ours)


def test_without_a_nursery_notebooks_run_in_cold_kernels(monkeypatch, tmp_path):
    monkeypatch.delenv(warm.VARIABLE, raising=False)
    too_long = tmp_path / ("x" * 120)  # for the address of a Unix socket
    monkeypatch.setattr(warm, "mkdtemp", lambda prefix: str(too_long))
    assert warm.kernel_name() == warm.COLD and not too_long.exists()
