"""What the tests of the chain share: notebooks of one cell, and run_all in a process of its own."""

import base64
import os
import struct
import subprocess
import sys
import time

import nbformat
import psutil

from chain.execute import JobSpec
from lib.artefacts.fingerprint import ROOT


def one_cell_notebook(folder, name, source):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbformat.write(notebook, folder / f"{name}.ipynb")
    return JobSpec(
        name, str(folder / f"{name}.ipynb"), str(folder / "done" / f"{name}.ipynb"), {}, 2
    )


def pictures(notebook):
    """List an executed notebook's PNGs as (width in pixels, width that they are shown with)."""
    found = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            if png := output.get("data", {}).get("image/png"):
                (stored,) = struct.unpack(">I", base64.b64decode(png)[16:20])
                found.append((stored, output["metadata"].get("image/png", {}).get("width", stored)))
    return found


def run_all_py(*arguments, outputs, status, **variables):
    """Run run_all.py, check its exit status, and return what it printed."""
    ours = {"OUTPUTS_DIR": str(outputs), "COLUMNS": "200"}
    environment = {k: v for k, v in os.environ.items() if k != "MASKS_DIR"} | ours | variables
    command = [sys.executable, str(ROOT / "run_all.py"), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert ended.returncode == status, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def wait_until_nothing_writes_to(outputs, seconds=30):
    """Fail if a process is left after this time that has this outputs folder in its environment."""
    deadline = time.monotonic() + seconds
    while (left := _processes_writing_to(outputs)) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not left


def _processes_writing_to(outputs):
    """List the command lines of running processes that write to this outputs folder."""
    command_lines = []
    for process in psutil.process_iter():
        try:
            if (
                process.environ().get("OUTPUTS_DIR") == str(outputs)
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                command_lines.append(process.cmdline())
        except psutil.Error:
            continue
    return command_lines
