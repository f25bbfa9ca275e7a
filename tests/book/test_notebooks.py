"""Which copy of a notebook the book shows, and what becomes of its cells."""

import json

import pytest

from book import notebooks


def markdown(text):
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def code(text, outputs=(), **metadata):
    return {"cell_type": "code", "metadata": metadata, "source": text, "outputs": [*outputs]}


PICTURE = {"output_type": "display_data", "data": {"image/png": "aGk="}, "metadata": {}}
ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}


def notebook(*cells):
    return {"cells": [markdown("# 4 · Where?"), *cells], "metadata": {}}


def page(*cells):
    return notebooks.page(notebook(*cells), lambda link: link)


def test_the_first_copy_without_an_error_is_shown(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name, cell in (
        ("03_prune-CoLA-seed_1", code("1/0", [ERROR])),
        ("03_prune-SST-2-seed_1", code("1")),
        ("03_prune-SST-2-seed_2", code("2")),
        ("04_where", code("1")),
        ("06_all", code("1/0", [ERROR])),
    ):
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook(cell)))
    found = {step: path.stem for step, path in notebooks.copies(tmp_path).items()}
    assert found == {"03_prune": "03_prune-SST-2-seed_1", "04_where": "04_where"}


@pytest.mark.parametrize(
    ("lines", "outputs", "expected"),
    [
        (
            'profile = "quick"\ntask = "SST-2"\nseed = 1337\nencoder = "minilm-l6"',
            [PICTURE],
            "the run **quick** with the encoder minilm-l6: task SST-2, seed 1337.",
        ),
        (
            'profile = "study"\ntasks = ["MNLI", "QNLI"]\nseeds = [1, 2]\nmasks_dir = ""',
            [PICTURE],
            "the run **study**: tasks MNLI, QNLI, seeds 1, 2.",
        ),
        (
            'profile = "published"\ntasks = ["MNLI"]\nseeds = [1]\nmasks_dir = "authors"',
            [PICTURE],
            "the run **published**: the masks of BERT-base that the paper's authors published, "
            "task MNLI, seed 1.",
        ),
        ('profile = "quick"', [], "the code alone: the notebook has no results yet."),
    ],
)
def test_a_page_says_which_run_it_shows(lines, outputs, expected):
    cells = page(code(lines, tags=["parameters"]), code("draw()", outputs))["cells"]
    assert cells[1]["source"] == f":::{{note}}\nThis page shows {expected}\n:::"


def test_the_values_of_the_run_come_before_those_of_the_file():
    cells = [
        code('profile = "quick"\nseed = 1', tags=["parameters"]),
        code('# Parameters\nprofile = "laptop"\n', tags=["injected-parameters"]),
    ]
    assert notebooks.parameters(notebook(*cells)) == {"profile": "laptop", "seed": 1}


def test_plumbing_is_folded_and_errors_do_not_show():
    cells = page(
        code("a = 1", tags=["parameters"]),
        code("import numpy", tags=["setup"]),
        code("draw()", jupyter={"source_hidden": True}),
        code("exercise()", [ERROR], tags=["exercise"]),
    )["cells"][2:]
    assert ["hide-input" in cell["metadata"]["tags"] for cell in cells] == [True, True, True, False]
    assert cells[3]["outputs"] == []


def test_a_picture_has_the_words_of_the_prose_before_it():
    cells = page(
        markdown("## One figure\n\nLeft: **trails** of $k$ [modes](m.ipynb); `x` is\nnew."),
        code("draw()", [PICTURE]),
        code("draw()", [PICTURE], alt="A grid of heads."),
    )["cells"]
    alts = [cell["metadata"]["mystnb"]["image"]["alt"] for cell in cells[3:]]
    assert alts == ["One figure. Left: trails of k modes; x is new.", "A grid of heads."]


def test_words_for_a_picture_do_not_give_away_a_folded_answer_and_are_short():
    before = markdown(
        "# Q?\n\n<details><summary>Hint</summary>\n\nIt is 3.\n</details>\n\n" + "a b " * 200
    )
    found = notebooks.words([before])
    assert "3" not in found and found.startswith("Q. a b") and len(found) <= 400


def test_relative_links_are_led_and_others_stay():
    text = "[a](04_where.ipynb#seeds) ![b](../c.png) [d](https://e.org) [f](#g) `names[h](i)`"
    seen = []
    out = notebooks.relinked(text, lambda link: seen.append(link) or f"/{link}")
    assert seen[:2] == ["04_where.ipynb", "../c.png"]
    assert out.startswith("[a](/04_where.ipynb#seeds) ![b](/../c.png) [d](https://e.org) [f](#g)")
