"""Every notebook follows the same rules."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import run_all
from chain.plan import parameter_names
from lib.artefacts.fingerprint import notebook
from lib.show import teach
from tests.chain.helpers import pictures

NOTEBOOKS = {step: json.loads(notebook(step).read_text()) for step in run_all.CHAIN}
pytestmark = pytest.mark.parametrize("step", NOTEBOOKS)


def cells(step, kind):
    return [cell for cell in NOTEBOOKS[step]["cells"] if cell["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


def test_a_notebook_has_all_its_parts_in_order(step):
    text = "\n".join(source(cell) for cell in cells(step, "markdown"))
    parts = [
        "By the end you will have",
        "**reads**",
        "**next**",
        "Predict",
        "can show",
        "the paper's",
        "Limits",
        "Your turn",
    ]
    places = [text.find(part) for part in parts]
    assert -1 not in places, f"the notebook has no part {parts[places.index(-1)]!r}"
    assert places[:5] == sorted(places[:5]) and places[6] < places[7]
    assert "<details>" in text and '> "' in text, (
        "the notebook needs an answer to unfold and a quotation from the paper"
    )


def test_cells_are_short_and_prose_and_code_alternate(step):
    lengths = sorted(len(source(cell).splitlines()) for cell in cells(step, "code"))
    assert lengths[-1] <= 30 and lengths[len(lengths) // 2] <= 8
    kinds = [cell["cell_type"] for cell in NOTEBOOKS[step]["cells"]]
    assert sum(a == b == "code" for a, b in zip(kinds, kinds[1:], strict=False)) <= 3
    assert 18 <= len(kinds) <= 70  # 07 has two chapters: the paper's and ours


def test_parameters_come_first_and_setup_follows(step):
    code = cells(step, "code")
    assert code[0]["metadata"].get("tags") == ["parameters"]
    assert "setup" in code[1]["metadata"].get("tags", [])
    assert {"profile"} <= set(parameter_names(step))
    assert len(source(code[0]).splitlines()) <= 9


def test_exercises_are_checked_and_so_are_the_sources_shown(step):
    code = cells(step, "code")
    exercises = [cell for cell in code if "exercise" in cell["metadata"].get("tags", [])]
    assert exercises and all("teach.check(" in source(cell) for cell in exercises)
    for cell in code:
        shows_source = "teach.show_source(" in source(cell)
        assert shows_source == ("nbval-check-output" in cell["metadata"].get("tags", []))
        if shows_source:
            assert cell["outputs"], "nbval needs a stored output to compare lib's source with"
    assert "assert" in " ".join(map(source, code)), (
        "the notebook must assert that its version by hand equals lib's"
    )


def test_figures_have_twice_the_pixels_that_they_are_shown_with(step):
    """What is called retina: they stay sharp on a high-density screen, and in print."""
    found = pictures(NOTEBOOKS[step])
    assert found
    for stored, shown in found:
        assert abs(stored - 2 * shown) <= 1, f"{stored} pixels for a width of {shown}"


def test_nothing_in_a_notebook_depends_on_one_machine(step):
    assert "widgets" not in NOTEBOOKS[step]["metadata"]
    code = "".join(source(cell) for cell in cells(step, "code")).replace("!=", "")
    assert not re.search(r"pip install|%pip|!|/(home|root|work)/", code)
    assert not re.search(r"/(home|root|work|tmp)/", json.dumps(NOTEBOOKS[step]))


def test_each_exercise_has_a_solution_that_passes_its_checks(step, monkeypatch):
    """The Markdown cell after an exercise holds the solution; both cells stand for themselves."""
    checked: list[tuple] = []
    monkeypatch.setattr(teach, "check", lambda function, *cases, hint="": checked.append(cases))
    notebook_cells = NOTEBOOKS[step]["cells"]
    for cell, after in zip(notebook_cells, notebook_cells[1:], strict=False):
        if "exercise" not in cell["metadata"].get("tags", []):
            continue
        found = re.search(
            r"<details><summary>Solution</summary>\s+```python\n(.*?)```\s+</details>",
            source(after),
            re.DOTALL,
        )
        assert found, f"the cell after the exercise has no solution: {source(after)[:80]!r}"
        names = {"np": np, "pd": pd, "teach": teach}
        exec(source(cell), names)
        unsolved, cases = {*names}, checked.pop()
        exec(found.group(1), names)
        name = re.search(r"^def (\w+)", source(cell), re.MULTILINE)
        assert name and name.group(1) in unsolved
        for arguments, expected in cases:
            assert np.allclose(names[name.group(1)](*arguments), expected)
