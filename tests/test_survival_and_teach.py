import numpy as np

from lib import survival, teach

THREE = np.array([[[1, 0], [1, 1]], [[1, 1], [0, 1]], [[1, 0], [0, 1]]], bool)


def test_survival_in_the_head():
    mean, deviation = survival.survival(THREE)
    assert np.allclose(mean, [[1, 1 / 3], [1 / 3, 1]])
    assert np.allclose(deviation, [[0, np.sqrt(1 / 3)], [np.sqrt(1 / 3), 0]])
    assert np.isnan(survival.survival(THREE[:1])[1]).all(), "one seed has no deviation"


def test_super_survivors_against_chance():
    assert survival.super_survivors(THREE).tolist() == [[True, False], [False, True]]
    assert survival.expected_super_survivors(THREE) == 4 * (3 / 4) * (3 / 4) * (2 / 4)
    draw = np.random.default_rng(0)
    counts = [survival.super_survivors(draw.permuted(THREE.reshape(3, 4), axis=1)).sum() for _ in range(4000)]
    assert abs(np.mean(counts) - survival.expected_super_survivors(THREE)) < 0.05
    assert survival.expected_super_survivors(np.zeros((3, 2, 2))) == 0


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
    results = {"CoLA": {"about": "a folder"}, "RTE": {"about": "the hub"}, "MRPC": {"about": "a folder"}}
    assert teach.rows(results) == "CoLA, MRPC: a folder; RTE: the hub"


def test_sources_are_shown_whole():
    assert "def super_survivors" in teach.show_source(survival.super_survivors).data
