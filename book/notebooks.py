"""Which copy of a notebook the book shows, and how that copy becomes a page.

A page is the executed copy with five changes: a note says which run it shows; plumbing is folded;
a picture has words for those who do not see it; links lead to pages of the book; and what only
Jupyter needs is gone.
"""

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

PLUMBING = {"parameters", "injected-parameters", "setup"}
LONGEST_WORDS = 400  # characters of a picture's description
LINK = re.compile(r"\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")


def copies(folder: Path) -> dict[str, Path]:
    """{notebook: its executed copy} of the run in a profile's folder.

    A notebook that ran for each task and seed is there with the first of its copies. A copy that
    ends in an error is passed over.
    """
    found: dict[str, Path] = {}
    for path in sorted((folder / "notebooks").glob("*.ipynb")):
        step = re.sub(r"-.*", "", path.stem)
        if step not in found and not _failed(json.loads(path.read_text())):
            found[step] = path
    return found


def _failed(notebook: dict) -> bool:
    outputs = (output for cell in notebook["cells"] for output in cell.get("outputs", []))
    return any(output["output_type"] == "error" for output in outputs)


def page(notebook: dict, lead: Callable[[str], str]) -> dict:
    """Turn an executed notebook into a page of the book.

    lead(target): where a relative link is to lead, from its target
    """
    cells = [_cell(cell, notebook, number) for number, cell in enumerate(notebook["cells"])]
    for cell in cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = relinked(_text(cell), lead)
    note = {
        "cell_type": "markdown",
        "metadata": {},
        "source": f":::{{note}}\n{shows(notebook)}\n:::",
    }
    return {
        "cells": [cells[0], note, *cells[1:]],
        "metadata": {"kernelspec": notebook["metadata"].get("kernelspec", {})},
        "nbformat": 4,
        "nbformat_minor": 4,
    }


def shows(notebook: dict) -> str:
    """Say in a sentence which run a page shows, from the notebook's parameters."""
    values = parameters(notebook)
    profile = values.get("profile")
    if profile is None:
        return "This page needs no run of its own."
    if not any(cell.get("outputs") for cell in notebook["cells"]):
        return "This page shows the code alone: the notebook has no results yet."
    if values.get("masks_dir") == "authors":
        return (
            f"This page shows the run **{profile}**: the masks of BERT-base that the paper's "
            f"authors published, {_listed('task', values.get('tasks'))}, "
            f"{_listed('seed', values.get('seeds'))}."
        )
    tasks = [values["task"]] if "task" in values else values.get("tasks")
    seeds = [values["seed"]] if "seed" in values else values.get("seeds")
    encoder = f" with the encoder {values['encoder']}" if "encoder" in values else ""
    parts = filter(None, (_listed("task", tasks), _listed("seed", seeds)))
    return f"This page shows the run **{profile}**{encoder}: {', '.join(parts)}."


def _listed(noun: str, values: list | None) -> str:
    if not values:
        return ""
    return f"{noun}{'s' if len(values) > 1 else ''} {', '.join(map(str, values))}"


def parameters(notebook: dict) -> dict[str, Any]:
    """Read the values of a notebook's parameters, those of the run before those of the file."""
    values: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if {"parameters", "injected-parameters"} & set(_tags(cell)):
            for line in ast.parse(_text(cell)).body:
                if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
                    values[line.targets[0].id] = ast.literal_eval(line.value)
    return values


def relinked(text: str, lead: Callable[[str], str]) -> str:
    """Rewrite the relative links of a Markdown text."""
    return LINK.sub(lambda m: f"]({lead(m['target'])}{m['anchor'] or ''})", text)


def _cell(cell: dict, notebook: dict, number: int) -> dict:
    metadata: dict[str, Any] = {"tags": _tags(cell)}
    shown = {key: cell[key] for key in ("cell_type", "source")}
    if cell["cell_type"] != "code":
        return {**shown, "metadata": metadata}
    hidden = cell["metadata"].get("jupyter", {}).get("source_hidden", False)
    if hidden or PLUMBING & set(metadata["tags"]):
        metadata["tags"] = [*metadata["tags"], "hide-input"]
    given = cell["metadata"].get("alt")
    metadata["mystnb"] = {"image": {"alt": given or words(notebook["cells"][:number])}}
    outputs = [output for output in cell["outputs"] if output["output_type"] != "error"]
    return {**shown, "metadata": metadata, "outputs": outputs, "execution_count": None}


def words(before: list[dict]) -> str:
    """Describe a picture by what the prose before it says, for those who do not see it.

    It is the last heading and the paragraphs that follow it up to the picture, without their signs.
    before: the cells before the picture
    """
    prose = [_text(cell) for cell in before if cell["cell_type"] == "markdown"]
    paragraphs: list[str] = []
    for text in reversed(prose):
        tokens = MarkdownIt().parse(re.sub(r"(?s)<details>.*?</details>", "", text))
        opened = [token.type for token in tokens]
        for position in range(len(tokens) - 1, -1, -1):
            if tokens[position].type != "inline":
                continue
            plain = "".join(
                child.content if child.type in ("text", "code_inline") else " "
                for child in tokens[position].children or []
                if child.type in ("text", "code_inline", "softbreak")
            )
            paragraphs.insert(0, plain.strip())
            if opened[position - 1] == "heading_open":
                return _shortened(paragraphs)
    return _shortened(paragraphs)


def _shortened(paragraphs: list[str]) -> str:
    heading, *rest = paragraphs or ["A figure"]
    text = heading.rstrip(".?!:") + ". " + " ".join(rest) if rest else heading
    text = re.sub(r"\s+", " ", text.replace("$", "").replace("\\", "")).strip()
    return text if len(text) <= LONGEST_WORDS else text[: LONGEST_WORDS - 1].rsplit(" ", 1)[0] + "…"


def _text(cell: dict) -> str:
    return "".join(cell["source"])


def _tags(cell: dict) -> list[str]:
    return list(cell["metadata"].get("tags", []))
