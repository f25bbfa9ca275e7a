"""Compute one hash of everything that an artefact depends on, to know when it is out of date.

It covers the notebook's code cells and parameters, the modules of lib that it imports, and what it
read. Code is compared by its syntax tree, so comments, docstrings and layout do not count, and
neither do exercises and playgrounds, which are there to be edited. The modules of lib/show and
lib/paper/findings only show things: when they change, a notebook is drawn again, but nothing is
computed again.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from lib.artefacts.files import sha256

ROOT = Path(__file__).resolve().parents[2]
SHOWING = ("lib.show.", "lib.paper.findings")
NOT_CODE = {"parameters", "exercise", "playground"}  # tags of cells


def fingerprint(
    step: str, parameters: Mapping[str, Any], reads: Iterable[str], facts: Mapping[str, Any]
) -> str:
    """Hash everything that the artefacts of a step depend on: 64 hex digits.

    parameters: the notebook's parameters, profile included
    reads: the fingerprints of the places that the step reads from
    facts: anything else that matters, such as the origin of the rows
    """
    cells = code_cells(notebook(step))
    return _hash(
        step,
        dict(parameters),
        sorted(reads),
        dict(facts),
        [_tree(cell) for cell in cells],
        _modules(cells),
    )


def of_work(modules: Iterable[str], facts: Mapping[str, Any]) -> str:
    """Hash modules of lib and the facts that they work on, but no notebook: 64 hex digits.

    For expensive work that must not be repeated just because a notebook's cell has changed.
    modules: full names, such as lib.tickets.retrain; the modules that they import count, too
    """
    return _hash(dict(facts), _modules(f"import {module}" for module in modules))


def _modules(sources: Iterable[str]) -> dict[str, list[str]]:
    return {
        name: _contents(_file(name)) for name in imported(sources) if not name.startswith(SHOWING)
    }


def _contents(module: Path) -> list[str]:
    """The module's code, and the checksums of the data files that it names.

    Data files are searched for in the module's folder and below.
    """
    tree = _tree(module.read_text())  # a docstring may name a file that others read
    named = [file for file in sorted(module.parent.rglob("*")) if file.name in tree]
    return [tree, *(sha256(file) for file in named if _is_data(file))]


def _is_data(file: Path) -> bool:
    return file.is_file() and file.suffix != ".py" and not file.name.startswith("README")


def _hash(*values) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def appearance() -> str:
    """Hash the modules that only show things."""
    folders = [ROOT / "lib" / "show", ROOT / "lib" / "paper" / "findings"]
    files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return hashlib.sha256("".join(_tree(path.read_text()) for path in files).encode()).hexdigest()


def notebook(step: str) -> Path:
    """The path of a step's notebook."""
    return ROOT / "notebooks" / f"{step}.ipynb"


def code_cells(path: Path) -> list[str]:
    """Read the code cells of a notebook, except parameters (hashed as values) and those to edit.

    Raises ValueError for a file that is no notebook, or a cell that is no Python.
    """
    try:
        cells = json.loads(path.read_text())["cells"]
    except (ValueError, KeyError):
        raise ValueError(f"{path} cannot be read as a notebook; restore it") from None
    sources = [
        "".join(cell["source"])
        for cell in cells
        if cell["cell_type"] == "code" and not NOT_CODE & set(cell["metadata"].get("tags", ()))
    ]
    for source in sources:
        try:
            _tree(source)  # cached: it is asked for again, for each job
        except SyntaxError as fault:
            line = (fault.text or "").strip()
            raise ValueError(
                f"a cell of {path} is not plain Python ({fault.msg}: {line}); finish it, or give "
                "it the tag playground"
            ) from None
    return sources


def imported(sources: Iterable[str]) -> list[str]:
    """List the modules of lib that these sources import, directly or not: full names, sorted."""
    seen: set[str] = set()
    queue = [name for source in sources for name in _imports(source)]
    while queue:
        name = queue.pop()
        if name not in seen:
            seen.add(name)
            queue += _imports(_file(name).read_text())
    return sorted(seen)


@cache  # a plan asks for the same few sources thousands of times
def _imports(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "lib":
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [name for name in submodules if _file(name).exists()] or [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.startswith("lib.")]
            found += [name for name in names if _file(name).exists()]
    return found


def _file(module: str) -> Path:
    """The file of a module of lib; one that does not exist if there is no such module."""
    path = ROOT / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@cache
def _tree(source: str) -> str:
    """The syntax tree as text, without docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:]
    return ast.dump(tree)
