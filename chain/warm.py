"""Kernels that start warm: forked from a process that has already imported what every notebook imports.

A fresh kernel spends 7 to 15 seconds on importing torch, transformers and matplotlib; a fork has them at once. Every
notebook still gets a process of its own. Three processes play together:

    the nursery   imports once, has one thread only, and forks a kernel whenever it is asked to
    the kernel    the fork; it goes when its client goes
    the client    what Jupyter believes to be the kernel: it asks, passes signals on, and waits

A local cluster starts one nursery for all its workers, before the workers, so that imports are paid once and while
other things start; a worker of somebody else's cluster starts its own. Only on Linux: elsewhere forking after these
imports is not safe, and kernels start cold.
"""

import importlib
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

IMPORTS = (
    "torch",
    "transformers.models.auto",
    "transformers.models.bert.modeling_bert",
    "pandas",
    "matplotlib.pyplot",
    "seaborn",
    "scipy.stats",
    "sklearn.metrics",
    "safetensors.numpy",
    "pydantic.dataclasses",
    "ipykernel.kernelapp",
    "ipykernel.zmqshell",
)
KERNEL, VARIABLE = "warm", "ALL_TICKETS_NURSERY"


def kernel_name() -> str:
    """The name of the kernel to run notebooks with: the warm one, whose nursery is started if need be, or python3."""
    if sys.platform != "linux":
        return "python3"
    if VARIABLE not in os.environ:
        start()
    known = os.environ.get("JUPYTER_PATH", "").split(os.pathsep)
    if os.environ[VARIABLE] not in known:
        os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, (os.environ[VARIABLE], *known)))
    return KERNEL


def start(**environment: str) -> subprocess.Popen | None:
    """A nursery for this process and those that it starts; None where there can be none.

    It takes kernels' requests from now on, and answers them when it has imported everything. environment: what it must
    know before its imports, such as the number of threads.
    """
    if sys.platform != "linux":
        return None
    folder = Path(mkdtemp(prefix="all-tickets-"))
    spec = folder / "kernels" / KERNEL
    spec.mkdir(parents=True)
    command = [
        sys.executable,
        "-S",
        "-E",
        __file__,
        "client",
        str(folder / "socket"),
        "-f",
        "{connection_file}",
    ]
    spec.joinpath("kernel.json").write_text(
        json.dumps({"argv": command, "display_name": "Python 3, warm", "language": "python"})
    )
    # its standard input is a pipe from this process: when this process ends, however it ends, so does the nursery
    process = subprocess.Popen(
        [sys.executable, __file__, "nursery", str(folder / "socket")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | environment,
    )
    process.stdout.readline()  # it listens
    os.environ[VARIABLE] = str(folder)
    return process


def stop(process: subprocess.Popen | None) -> None:
    """End a nursery that `start` has started."""
    if process is not None:
        del os.environ[VARIABLE]
        process.communicate()


def nursery(address: str) -> None:
    """Import, then fork a kernel for each client that has connected or does, until standard input closes."""
    sys.path.pop(0)  # this file's folder, which no notebook should import from
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(address)
    server.listen(16)
    print("listening", flush=True)
    # what a kernel sets before pyplot is imported; the module itself must be loaded by the kernel, not here, because
    # it is on being loaded that it ties itself to the shell
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    for name in IMPORTS:
        with suppress(Exception):  # the notebook that needs it says what is wrong
            importlib.import_module(name)
    signal.signal(
        signal.SIGCHLD, signal.SIG_IGN
    )  # nobody waits for the kernels: let them not become zombies
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    selector = selectors.DefaultSelector()
    selector.register(server, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                return shutil.rmtree(Path(address).parent)
            client, _ = server.accept()
            request, files, *_ = socket.recv_fds(client, 1 << 20, 2)
            if os.fork() == 0:
                server.close()
                selector.close()
                _become_kernel(client, json.loads(request), files)
            client.close()
            for file in files:
                os.close(file)


def _become_kernel(client: socket.socket, request: dict, files: list[int]) -> None:
    """In the fork: take over the client's folder, environment and output, and run as an IPython kernel."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(files, 1):
        os.dup2(file, number)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"], JPY_PARENT_PID=str(os.getppid()))
    client.sendall(str(os.getpid()).encode().ljust(16))
    # the connection stays open as long as the client lives; if it is killed, the kernel must not live on
    threading.Thread(target=lambda: (client.recv(1), os._exit(1)), daemon=True).start()
    sys.path.insert(0, "")
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(argv=request["arguments"])
    os._exit(0)


def client(address: str, *arguments: str) -> bytes | None:
    """Ask the nursery for a kernel; then stand in for it: pass signals on, end when it ends or when the worker does."""
    worker = os.getppid()
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.connect(address)
    request = {"arguments": arguments, "cwd": os.getcwd(), "environment": dict(os.environ)}
    socket.send_fds(line, [json.dumps(request).encode()], [1, 2])
    kernel = int(line.recv(16))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: os.kill(kernel, received))
    line.settimeout(1)
    while os.getppid() == worker:  # a worker that is killed leaves its children to another parent
        try:
            return line.recv(1)  # the kernel has gone
        except TimeoutError:
            pass


if __name__ == "__main__":
    {"nursery": nursery, "client": client}[sys.argv[1]](*sys.argv[2:])
