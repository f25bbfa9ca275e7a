"""The pages around the chain: 00_start_here, the teaching plan, and their launch buttons."""

import ast
import json
import re

import matplotlib.pyplot as plt
import pytest

import run_all
from lib.artefacts.fingerprint import ROOT
from lib.show.plots import schematic, verdicts
from tools import launch, times

START = json.loads((ROOT / "notebooks" / "00_start_here.ipynb").read_text())
SMALLEST = 8  # points of text, in a figure that is shown 700 pixels wide
PROSE = "\n".join("".join(c["source"]) for c in START["cells"] if c["cell_type"] == "markdown")
CODE = ["".join(c["source"]) for c in START["cells"] if c["cell_type"] == "code"]


@pytest.fixture(autouse=True)
def no_window():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def test_every_notebook_is_in_the_chain_except_the_start_page():
    files = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert files - {*run_all.CHAIN} == {"00_start_here"} and {*run_all.CHAIN} <= files


def test_the_start_page_reads_nothing_and_needs_no_model(tmp_path, monkeypatch):
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path / "none"))
    imported = {
        node.module or ""
        for code in CODE
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.ImportFrom)
    }
    assert not any(name.startswith(("lib.artefacts", "lib.model", "lib.data")) for name in imported)
    assert not any("parameters" in cell["metadata"].get("tags", []) for cell in START["cells"])
    names: dict = {}
    for code in CODE:
        exec(code, names)
    good, bad = names["masks"]["good"], names["masks"]["bad"]
    sizes = {(mask.n_heads, mask.n_mlps) for mask in names["masks"].values()}
    assert len(sizes) == 1, "three tickets of one size"
    if good.n_heads <= good.heads.size / 2:
        assert not (good.heads & bad.heads).any()
    else:
        assert (good.heads | bad.heads).all(), "bad holds all that good does not"
    assert not (tmp_path / "none").exists(), "and it writes nothing"


def test_the_start_page_leads_to_every_notebook_and_its_links_exist():
    targets = {link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PROSE)}
    assert {f"{step}.ipynb" for step in run_all.CHAIN} <= targets
    for target in targets:
        if not target.startswith("https://"):
            assert (ROOT / "notebooks" / target).exists(), target


def test_the_start_page_has_the_story_the_picture_three_paths_and_a_glossary():
    for path in ("20 minutes", "An evening", "A course"):
        assert f"**{path}" in PROSE
    words = re.findall(r"^\| \*([^|]+)\* \|", PROSE, re.MULTILINE)
    for word in ("m-pruning", "s-pruning", "super-survivor", "floor", "winning ticket", "seed"):
        assert word in words, f"the glossary lacks {word!r}"
    assert not re.search(r"/(home|root|work|tmp)/", json.dumps(START))
    assert max(len(code.splitlines()) for code in CODE) <= 30


def smallest_text(figure):
    """Points, in a figure that is shrunk to 7 inches if it is wider."""
    sizes = [text.get_fontsize() for text in figure.findobj(plt.Text) if text.get_text().strip()]
    return min(sizes) * min(1, 7.2 / figure.get_figwidth())


def test_the_figures_of_both_pages_can_be_read():
    names: dict = {}
    exec(CODE[0], names)
    by = [{"this run": "agrees"}, {"this run": "disagrees", "authors' masks": "cannot tell"}]
    topics = {"A topic": [(1, by[0]), (2, by[1])], "Another": [(3, by[0])]}
    drawn = verdicts.verdicts(topics, ["authors' masks", "this run"])
    for figure in (names["figure"], drawn):
        assert smallest_text(figure) >= SMALLEST
    marks = [line.get_marker() for line in drawn.axes[0].lines]
    assert sorted(marks) == ["X", "o", "o", "o"], "one symbol for each verdict, none where silent"
    assert {*schematic.KINDS} == {"good", "random", "bad"}


@pytest.mark.parametrize("page", launch.PAGES)
def test_the_launch_buttons_name_the_repository_of_pyproject(page):
    assert launch.with_buttons(page) == (ROOT / page).read_text(), "run: python -m tools.launch"


def test_the_owner_is_named_in_one_place(monkeypatch):
    monkeypatch.setattr(launch, "repository", lambda: "https://github.com/somebody/tickets")
    buttons = launch.buttons("")
    for number in ("00", "04", "06", "07", "09", "10"):
        assert len(re.findall(rf"somebody/tickets/\S+{number}_\w+\.ipynb", buttons)) == 2
    assert "OWNER" not in buttons
    copy = launch.colab_copy("06_all_tickets_win")
    first = "".join(copy["cells"][0]["source"])
    ast.parse(first)
    assert "https://github.com/somebody/tickets" in first
    original = json.loads((ROOT / "notebooks" / "06_all_tickets_win.ipynb").read_text())
    assert copy["cells"][1:] == original["cells"]


def test_the_links_of_the_teaching_plan_exist():
    text = (ROOT / "docs" / "teaching.md").read_text()
    targets = {link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link}
    assert targets
    for target in targets:
        assert (ROOT / "docs" / target).exists(), target


def test_times_are_medians_of_finished_copies(tmp_path):
    folder = tmp_path / "quick" / "notebooks"
    folder.mkdir(parents=True)

    def copy(name, seconds, status="completed"):
        ran = {"papermill": {"duration": seconds, "status": status}}
        cells = [
            {"cell_type": "markdown", "source": ["## Prune, or load\n"], "metadata": {}},
            {"cell_type": "code", "source": ["x"], "metadata": ran},
            {"cell_type": "code", "source": ["y"], "metadata": {**ran, "papermill": {
                "duration": 1.0, "status": status}}},
        ]  # fmt: skip
        (folder / name).write_text(json.dumps({"cells": cells}))

    for seed, seconds in enumerate((20.0, 30.0, 100.0)):
        copy(f"02_magnitude_pruning-RTE-seed_{seed}.ipynb", seconds)
    copy("02_magnitude_pruning-RTE-seed_9.ipynb", 5_000.0, status="failed")
    assert "| 3 | 31 | Prune, or load: 31 |" in times.table([folder])
