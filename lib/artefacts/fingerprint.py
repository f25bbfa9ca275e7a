"""What an artefact depends on, in one hash: code cells, parameters, lib modules, and what was read.

Code is compared by its syntax tree: comments, docstrings and layout do not count. Exercises do not count either.
`plots` and `teach` only show things, so a change in them redraws a notebook but recomputes nothing.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SHOWING = "lib.show."


def fingerprint(
    step: str, parameters: Mapping[str, Any], reads: Iterable[str], facts: Mapping[str, Any]
) -> str:
    """The hash of everything that the artefacts of a step depend on: 64 hex digits.

    parameters: of the notebook, profile included. reads: the fingerprints of the places it reads from. facts: what
    else matters, as the origin of the rows.
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
    """The hash of what modules of lib make from these facts, whichever notebook asks for it: 64 hex digits.

    For what is dear to compute and must not be computed again because a cell of a notebook has changed.
    """
    return _hash(dict(facts), _modules(f"import {module}" for module in modules))


def _modules(sources: Iterable[str]) -> dict[str, list[str]]:
    return {
        name: _contents(_file(name)) for name in imported(sources) if not name.startswith(SHOWING)
    }


def _contents(module: Path) -> list[str]:
    """What a module says: its code, and the tables beside it, or in a folder there, that it names."""
    source = module.read_text()
    tables = [
        table.read_text() for table in sorted(module.parent.rglob("*.csv")) if table.name in source
    ]
    return [_tree(source), *tables]


def _hash(*everything) -> str:
    return hashlib.sha256(json.dumps(everything, sort_keys=True, default=str).encode()).hexdigest()


def appearance() -> str:
    """The hash of the modules that only show things."""
    files = sorted((ROOT / "lib" / "show").rglob("*.py"))
    return hashlib.sha256("".join(_tree(path.read_text()) for path in files).encode()).hexdigest()


def notebook(step: str) -> Path:
    """The notebook of a step."""
    return ROOT / "notebooks" / f"{step}.ipynb"


def code_cells(path: Path) -> list[str]:
    """The sources of a notebook's code cells, without parameters (they are hashed as values) and exercises."""
    return [
        "".join(cell["source"])
        for cell in json.loads(path.read_text())["cells"]
        if cell["cell_type"] == "code"
        and not {"parameters", "exercise"} & set(cell["metadata"].get("tags", ()))
    ]


def imported(sources: Iterable[str]) -> list[str]:
    """The modules of lib that these sources import, directly or not, by their full names, sorted."""
    seen: set[str] = set()
    queue = [name for source in sources for name in _imports(source)]
    while queue:
        name = queue.pop()
        if name not in seen:
            seen.add(name)
            queue += _imports(_file(name).read_text())
    return sorted(seen)


def _imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "lib":
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from [name for name in inner if _file(name)] or [node.module]
        elif isinstance(node, ast.Import):
            yield from (
                alias.name
                for alias in node.names
                if alias.name.startswith("lib.") and _file(alias.name)
            )


def _file(module: str) -> Path | None:
    path = ROOT / Path(*module.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.exists()), None)


@cache
def _tree(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:]
    return ast.dump(tree)
