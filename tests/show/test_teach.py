import numpy as np

from lib.analysis import survival
from lib.show import teach


def test_the_checker_says_what_is_wrong_and_never_raises(capsys):
    def unwritten(x):
        """Nothing yet."""

    def broken(x):
        return 1 / 0

    def double(x):
        return x + 1

    for function in (unwritten, broken, double):
        teach.check(function, ((1,), 2), ((2,), 4), hint="Twice.")
    teach.check(lambda x: x * 2, ((np.ones(2),), np.full(2, 2.0)))
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "· unwritten(1) returns nothing yet. Twice."
    assert said[1] == "✗ broken(1) stopped with ZeroDivisionError: division by zero"
    assert said[2] == "✗ double(2) gives 3; right would be 4. Twice."
    assert said[3].startswith("✓") and said[3].endswith("all 1 cases are right")


def test_rows_of_which_the_same_is_said_are_said_once():
    results = {
        "CoLA": {"about": "a folder"},
        "RTE": {"about": "the hub"},
        "MRPC": {"about": "a folder"},
    }
    assert teach.rows(results) == "CoLA, MRPC: a folder; RTE: the hub"


def test_sources_are_shown_whole():
    assert "def super_survivors" in teach.show_source(survival.super_survivors).data
