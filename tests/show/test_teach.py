import numpy as np
import pandas as pd

from lib.analysis import survival
from lib.artefacts.store import Place
from lib.show import teach


def test_check_prints_what_is_wrong_and_never_raises(capsys):
    def unwritten(x):
        """To be written by the reader."""

    def broken(x):
        return 1 / 0

    def double(x):  # right for 1, wrong for 2
        return x + 1

    for function in (unwritten, broken, double):
        teach.check(function, ((1,), 2), ((2,), 4), hint="Twice.")
    teach.check(lambda x: x * 2, ((np.ones(2),), np.full(2, 2.0)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "· unwritten(1) returns nothing yet. Twice."
    assert lines[1] == "✗ broken(1) stopped with ZeroDivisionError: division by zero"
    assert lines[2] == "✗ double(2) gives 3; it should be 4. Twice."
    assert lines[3].startswith("✓") and lines[3].endswith("all 1 cases are right")


def test_tasks_with_the_same_description_are_named_together():
    results = {
        "CoLA": {"about": "a folder"},
        "RTE": {"about": "the hub"},
        "MRPC": {"about": "a folder"},
    }
    assert teach.rows(results) == "CoLA, MRPC: a folder; RTE: the hub"


def test_a_source_of_rows_is_named_once():
    rows = {"CoLA": "9 rows, from GLUE", "RTE": "5 rows, from GLUE", "QQP": "9 rows, from a wheel"}
    results = {task: {"about": about} for task, about in rows.items()}
    told = "CoLA: 9 rows; RTE: 5 rows; from GLUE; QQP: 9 rows; from a wheel"
    assert teach.rows(results) == told


def test_show_source_shows_the_whole_function():
    assert "def super_survivors" in teach.show_source(survival.super_survivors).data


def test_a_folded_source_is_inside_details():
    shown = teach.show_source(survival.super_survivors, folded="lib's version").data
    assert shown.startswith("<details><summary>lib's version</summary>\n\n```python\n")
    assert "def super_survivors" in shown and shown.endswith("```\n\n</details>")


def test_the_answer_in_short_is_its_first_sentence():
    assert teach.short("no: by 0.71. More.").data == "**In short:** no: by 0.71."
    assert teach.short("it is open.").data == "**In short:** it is open."


def test_a_table_has_no_index_and_rounded_numbers():
    frame = pd.DataFrame(
        {"what": ["a"], "score": np.float32([0.12345]), "± 95 %": [float("nan")], "n": [3]}
    )
    lines = teach.table(frame, 2).data.splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == ["what", "score", "± 95 %", "n"]
    assert [cell.strip() for cell in lines[-1].split("|")[1:-1]] == ["a", "0.12", "", "3"]
    p = teach.table(pd.DataFrame({"p (Holm)": [0.0001, 0.04], "pairs": [0.0001, 2.0]}), 1).data
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in p.splitlines()[-2:]]
    assert cells == [["< .001", "0.0"], ["0.040", "2.0"]]
    bars = teach.table(pd.DataFrame({"E|g|": ["|g|"]})).data
    assert bars.count("\\|") == 4, "a bar does not end its cell"


def test_a_caption_says_that_quick_is_a_demonstration():
    for profile, told in (("quick", True), ("reference", False)):
        place = Place(profile, "06_all_tickets_win")
        caption = teach.caption(place, "minilm-l6", "SST-2: 320 rows", [1, 2]).data
        assert caption.startswith(f"*profile {profile}") and caption.endswith("seeds 1, 2.*")
        assert ("demonstration" in caption) == told
