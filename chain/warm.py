"""Warm kernels: Jupyter kernels forked from a process that has done all imports.

A cold kernel spends 7 to 15 seconds on importing torch, transformers and matplotlib. A fork has
them at once, and every notebook still gets a process of its own. The forks come from
`chain.nursery`; Jupyter gets them through `WarmProvisioner`, which is registered as an entry point
of this project.

A local cluster starts one nursery for all its workers, before the workers start, so that the
imports run while other things start. A worker of another cluster starts its own. Only on Linux:
elsewhere forking after these imports is not safe, and kernels start cold.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner
from traitlets import Unicode

from chain import nursery

KERNEL, COLD = "warm", "python3"
PROVISIONER = "all-tickets-warm"
VARIABLE = "ALL_TICKETS_NURSERY"  # the folder of the nursery's socket and kernel spec


def available() -> bool:
    """True if kernels can be forked here: on Linux, with this project installed."""
    names = entry_points(group="jupyter_client.kernel_provisioners").names
    return sys.platform == "linux" and PROVISIONER in names


def kernel_name() -> str:
    """The kernel to run notebooks with: the warm one, or python3 where kernels cannot be forked.

    Starts a nursery if this process has none, or if the one that it had has died.
    """
    if not available():
        return COLD
    if not _listens(os.environ.get(VARIABLE, "")) and start() is None:
        return COLD
    known = os.environ.get("JUPYTER_PATH", "").split(os.pathsep)
    if os.environ[VARIABLE] not in known:
        os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, (os.environ[VARIABLE], *known)))
    return KERNEL


def _listens(folder: str) -> bool:
    """True if a nursery answers in this folder, now or after its imports."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(Path(folder) / "socket"))
        except OSError:
            return False
    return True


def start(**environment: str) -> subprocess.Popen | None:
    """Start a nursery for this process and its children; None where kernels cannot be forked.

    None also if it cannot listen, as where the path of the temporary folder is too long.
    It accepts requests from now on and answers them after its imports.
    environment: variables that must be set before the imports, such as the number of threads.
    """
    if not available():
        return None
    folder = Path(mkdtemp(prefix="all-tickets-"))
    address = str(folder / "socket")
    spec = {
        "argv": [KERNEL, "-f", "{connection_file}"],
        "display_name": "Python 3, warm",
        "language": "python",
        "metadata": {
            "kernel_provisioner": {"provisioner_name": PROVISIONER, "config": {"address": address}}
        },
    }
    place = folder / "kernels" / KERNEL
    place.mkdir(parents=True)
    (place / "kernel.json").write_text(json.dumps(spec))
    # its standard input is a pipe from this process: when this process ends, however it ends, so
    # does the nursery. Ctrl-C in the terminal is for run_all alone: it is in another process group
    process = subprocess.Popen(
        [sys.executable, nursery.__file__, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | environment,
        process_group=0,
    )
    assert process.stdout is not None
    if not process.stdout.readline():  # else it listens
        process.communicate()
        shutil.rmtree(folder, ignore_errors=True)
        return None
    os.environ[VARIABLE] = str(folder)
    return process


def stop(process: subprocess.Popen | None) -> None:
    """End a nursery that `start` has started, even if it is still importing."""
    if process is not None:
        folder = os.environ.pop(VARIABLE)
        process.kill()  # its kernels lead process groups of their own and end with their workers
        process.communicate()
        shutil.rmtree(folder, ignore_errors=True)


_seconds_of_ended: list[float] = []


def ended_kernels_seconds() -> float:
    """Processor time of this process's warm kernels that have ended; not of those killed."""
    return sum(_seconds_of_ended)


class WarmProvisioner(LocalProvisioner):
    """Jupyter's hook for starting kernels: asks the nursery at `address` for a fork."""

    address = Unicode(help="the nursery's Unix socket").tag(config=True)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork a kernel. cmd: the kernel spec's argv, whose first word is not a program here."""
        cwd = kwargs.get("cwd") or os.getcwd()
        request = {"arguments": cmd[1:], "cwd": str(cwd), "environment": dict(kwargs["env"])}
        # in a thread: the nursery answers only after its imports
        self.process = await asyncio.to_thread(ForkedKernel, self.address, request)
        self.pid = self.pgid = self.process.pid  # a fork leads its own process group
        self.cwd = cwd
        return self.connection_info


class ForkedKernel:
    """A kernel that the nursery has forked, with what Jupyter uses of `subprocess.Popen`.

    An open connection stands for the running kernel: when one side ends, the other side notices.
    """

    stdin = stdout = stderr = None  # it writes to our own output

    def __init__(self, address: str, request: dict):
        self.returncode: int | None = None
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line = json.dumps(request).encode() + b"\n"
        try:
            self.connection.connect(address)
            sent = socket.send_fds(self.connection, [line], [1, 2])
            self.connection.sendall(line[sent:])
            answer = self.connection.recv(16)
        except OSError:
            answer = b""
        if not answer:
            self.connection.close()
            raise RuntimeError("Kernel could not be forked: the nursery has ended")
        self.pid = int(answer)

    def poll(self) -> int | None:
        """None while the kernel runs; then 0, since only its parent could know the exit status."""
        return self._receive(socket.MSG_DONTWAIT)

    def wait(self) -> int | None:
        """Wait until the kernel has ended."""
        return self._receive(0)

    def _receive(self, flags: int) -> int | None:
        if self.returncode is None:
            try:
                # this returns when the kernel ends or has gone; in the latter case with nothing
                seconds = self.connection.recv(32, flags)
            except BlockingIOError:
                return None
            except ConnectionError:
                seconds = b""
            _seconds_of_ended.append(float(seconds or 0))
            self.returncode = 0
            self.connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send the kernel a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the kernel."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask the kernel to end."""
        self.send_signal(signal.SIGTERM)
