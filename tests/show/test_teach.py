import numpy as np

from lib.analysis import survival
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


def test_show_source_shows_the_whole_function():
    assert "def super_survivors" in teach.show_source(survival.super_survivors).data
