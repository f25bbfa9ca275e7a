"""Kernels forked from the nursery, without a run around them."""

import json
import os
import socket
import sys
import time
from pathlib import Path

import pytest

from chain import warm

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


def runs(pid):
    """True while this process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
