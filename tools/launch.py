"""Write the launch buttons: links that open a notebook on a borrowed machine.

python -m tools.launch           write the buttons into the pages that have a place for them
python -m tools.launch FOLDER    write the copies that Colab opens into FOLDER

pyproject.toml names the repository, under [project.urls]. Binder builds the project from .binder/.
Colab opens one notebook without the project around it, so its copy starts with a cell that fetches
the project; a workflow of GitHub keeps these copies on the branch `colab`.
"""

import json
import re
import sys
import tomllib
from pathlib import Path

from tools import blocks

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = {
    "00_start_here": "Start here",
    "04_good_subnetworks": "Where do the survivors live?",
    "06_all_tickets_win": "Are all tickets winning?",
    "07_stability": "Another seed: the same heads?",
    "08_attention_patterns": "Do the survivors look linguistic?",
    "09_task_overlap": "Do tasks share their survivors?",
    "10_what_we_learned": "What we learned",
}
PAGES = ("notebooks/00_start_here.ipynb", "docs/teaching.md")
BEGIN = "<!-- launch buttons: written by `python -m tools.launch` -->"
END = "<!-- end of launch buttons -->"
BOOTSTRAP = """\
# Colab starts without the project: fetch and install it. This takes a few minutes. If Colab asks
# for a restart of the session, restart, and run this cell again.
import os
import subprocess
import sys

at = "/content/all-tickets"
if not os.path.isdir(at):
    subprocess.run(["git", "clone", "--quiet", "--depth=1", "{repository}", at], check=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--editable", at]
    subprocess.run(install, check=True)
sys.path.insert(0, at)
os.chdir(f"{{at}}/notebooks")
"""


def repository() -> str:
    """The address of the repository, from pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Source"]


def buttons(notebooks: str) -> str:
    """The table of links; notebooks: the folder of the notebooks, from the page that shows it."""
    name = repository().removeprefix("https://github.com/")
    lines = ["| notebook | opens in |", "|---|---|"]
    for step, title in NOTEBOOKS.items():
        binder = f"https://mybinder.org/v2/gh/{name}/main?labpath=notebooks%2F{step}.ipynb"
        colab = f"https://colab.research.google.com/github/{name}/blob/colab/{step}.ipynb"
        page = f"[{step[:2]} · {title}]({notebooks}{step}.ipynb)"
        lines.append(f"| {page} | [Binder]({binder}) · [Colab]({colab}) |")
    return "\n".join(lines)


def filled(text: str, notebooks: str) -> str:
    """The text with the buttons in their place. Raises ValueError if it has no such place."""
    return blocks.fill(text, BEGIN, END, buttons(notebooks))


def with_buttons(page: str) -> str:
    """A page of PAGES as it should be."""
    text = (ROOT / page).read_text()
    if not page.endswith(".ipynb"):
        return filled(text, "../notebooks/")
    content = json.loads(text)
    for cell in content["cells"]:
        if BEGIN in (source := "".join(cell["source"])):
            cell["source"] = filled(source, "").splitlines(keepends=True)
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def colab_copy(step: str) -> dict:
    """A notebook for Colab: first a cell that fetches the project, then its own cells."""
    content = json.loads((ROOT / "notebooks" / f"{step}.ipynb").read_text())
    code = BOOTSTRAP.format(repository=repository())
    first = {
        "cell_type": "code",
        "id": "fetch-project",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": code.splitlines(keepends=True),
    }
    return {**content, "cells": [first, *content["cells"]]}


def main(folder: str | None = None) -> int:
    """Write the buttons, or the copies for Colab; the exit status."""
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", repository()):
        print(f"pyproject.toml, [project.urls]: {repository()} is not a repository on GitHub")
        return 2
    if folder is None:
        for page in PAGES:
            (ROOT / page).write_text(with_buttons(page))
        return 0
    Path(folder).mkdir(parents=True, exist_ok=True)
    for step in NOTEBOOKS:
        text = json.dumps(colab_copy(step), indent=1, ensure_ascii=False)
        (Path(folder) / f"{step}.ipynb").write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
