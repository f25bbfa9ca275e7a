"""The nursery: a process that imports everything once and then forks kernels.

python chain/nursery.py ADDRESS     forks a kernel for each connection to this Unix socket

It has one thread only, since forking is safe only then. It ends when its standard input closes,
which happens when the process that started it ends, however that ends. `chain.warm` starts it and
talks to it.
"""

import importlib
import json
import os
import select
import selectors
import shutil
import signal
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

IMPORTS = (
    "torch",
    "transformers.models.auto",
    "transformers.models.bert.modeling_bert",
    "pandas",
    "matplotlib.pyplot",
    "scipy.stats",
    "sklearn.metrics",
    "safetensors.numpy",
    "pydantic.dataclasses",
    "ipykernel.kernelapp",
    "ipykernel.zmqshell",
)


def serve(address: str) -> None:
    """Import everything, then fork a kernel for each connection until standard input closes.

    A connection may be made, and its request sent, before the imports are finished.
    """
    sys.path.pop(0)  # this file's folder: no notebook should import from it
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(address)
    server.listen(16)
    print("listening", flush=True)
    # Kernels set this before they import pyplot. Here pyplot is imported first, so set it here,
    # too. The backend's own module must not be imported here: it ties itself to the kernel's shell
    # when it is loaded.
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    for name in IMPORTS:
        if select.select([sys.stdin], [], [], 0)[0]:  # nobody waits for these imports any more
            return shutil.rmtree(Path(address).parent)
        with suppress(Exception):  # the notebook that needs the module reports what is wrong
            importlib.import_module(name)
    # nobody waits for the kernels; this keeps zombies away
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    selector = selectors.DefaultSelector()
    selector.register(server, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                return shutil.rmtree(Path(address).parent)
            connection, _ = server.accept()
            try:
                request, files = receive(connection)
            except (OSError, ValueError):  # one that only asked whether anybody listens, or died
                connection.close()
                continue
            if os.fork() == 0:
                server.close()
                selector.close()
                become_kernel(connection, request, files)
            connection.close()
            for file in files:
                os.close(file)


def receive(connection: socket.socket) -> tuple[dict, list[int]]:
    """(request, files): a line of JSON, and the output and error files of the process that asks."""
    line, files, *_ = socket.recv_fds(connection, 1 << 16, 2)
    while line and not line.endswith(b"\n"):  # a long environment arrives in pieces
        piece = connection.recv(1 << 16)
        if not piece:
            raise ConnectionError("the process that asks has ended in the middle of its request")
        line += piece
    return json.loads(line), files


def become_kernel(connection: socket.socket, request: dict, files: list[int]) -> None:
    """In the fork: take over the asking process's folder, environment and output; run a kernel."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(files, 1):
        os.dup2(file, number)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["environment"])
    try:
        connection.sendall(str(os.getpid()).encode().ljust(16))
    except OSError:  # whoever asked has gone
        os._exit(1)

    def leave_with_worker():
        with suppress(ConnectionError):  # a reset, if the other side has not read the answer
            connection.recv(1)  # returns when the other side closes the connection, or is killed
        os._exit(1)

    threading.Thread(target=leave_with_worker, daemon=True).start()
    sys.path.insert(0, "")
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(argv=request["arguments"])
    with suppress(OSError):  # the processor time that it took, for chain.energy
        connection.sendall(str(sum(os.times()[:4])).encode())
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
