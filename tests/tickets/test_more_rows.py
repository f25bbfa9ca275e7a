"""Subnetworks trained again on more rows: the plan, one training, and the command that goes on."""

import csv
from collections import Counter

import numpy as np
import pytest

from lib.artefacts.store import Place
from lib.data import sources
from lib.model import recipes
from lib.tickets import more_rows
from lib.tickets.more_rows import AS_MANY_STEPS, BY_THE_RECIPE, FULL, Training
from tools import more_rows as command


@pytest.fixture()
def run(outputs):
    """Store what the trainings read of a run with the tiny encoder: 01's result and 05's masks."""
    for task in ("SST-2", "RTE"):
        for seed in (1, 2):
            parameters = {"encoder": "tiny", "look_in": ["tiny"], "train_rows": 20, "dev_rows": 30}
            encoder = sources.locate("tiny", [task], ["tiny"])
            result = {
                "encoder": encoder["encoder"],
                "rows": encoder[task],
                "parameters": parameters,
                "recipe": recipes.recipe("tiny").as_dict(),
            }
            Place("tried", "01_finetune", task, seed).save("result.json", result)
            draw = np.random.default_rng(seed)
            masks = {}
            for kind in ("good", "random", "bad"):
                masks[f"s-pruning_{kind}_heads"] = draw.random((3, 4)) < 0.5
                masks[f"s-pruning_{kind}_mlps"] = np.array([True, False, True])
            place = Place("tried", "05_retrain_tickets", task, seed)
            place.save("masks.safetensors", (masks, {}))
            place.finish()
    return "tried"


def test_the_most_important_come_first_and_nothing_comes_twice():
    rows = {"A": 100, "B": 70}
    found = more_rows.planned(["B", "A"], [1, 2], 10, rows, 3)
    assert len(found) == len({*found}) == 28
    assert [one.system for one in found[:4]] == [FULL, "bad", FULL, "bad"]
    assert found[0].task == "A" and found[0].rows == 100, "the longest first"
    longer = [one for one in found if one.length == AS_MANY_STEPS]
    assert {one.task: one.epochs for one in longer} == {"A": 30, "B": 21}
    assert all(one.rows == 10 for one in longer)
    counts = Counter(one.system for one in found)
    assert counts == {FULL: 8, "bad": 12, "good": 4, "random": 4}


def test_a_training_is_of_the_stored_mask_on_as_many_rows(run, monkeypatch):
    asked = []
    real = more_rows.retrain.subnetwork

    def watched(subject, start, mask, recipe, seed):
        asked.append((len(subject.training_rows), len(subject.dev), mask, recipe, seed))
        return real(subject, start, mask, recipe, seed)

    monkeypatch.setattr(more_rows.retrain, "subnetwork", watched)
    one = Training("SST-2", 2, "bad", 40, BY_THE_RECIPE, 1)
    trained = more_rows.train(one, run)
    ((rows, dev, mask, recipe, seed),) = asked
    stored, _ = Place(run, "05_retrain_tickets", "SST-2", 2).load("masks.safetensors")
    assert (rows, dev, recipe.epochs, recipe.precision, seed) == (40, 30, 1, "float32", 2)
    assert np.array_equal(mask.heads, stored["s-pruning_bad_heads"])
    assert trained.items() >= vars(one).items() and 0 <= trained["score"] <= 1
    assert more_rows.train(one, run)["score"] == trained["score"]
    more_rows.train(Training("SST-2", 2, FULL, 40, BY_THE_RECIPE, 1), run)
    assert asked[-1][2].heads.all() and asked[-1][2].mlps.all()


def test_other_rows_than_the_runs_are_refused(run):
    place = Place(run, "01_finetune", "SST-2", 1)
    place.save("result.json", {**place.load("result.json"), "rows": "folder elsewhere"})
    with pytest.raises(ValueError, match="are not those that the run had"):
        more_rows.train(Training("SST-2", 1, "bad", 40, BY_THE_RECIPE, 1), run)


def test_the_command_says_what_is_wrong_before_it_trains(run, tmp_path, monkeypatch, capsys):
    place = Place(run, "01_finetune", "SST-2", 1)
    had = place.load("result.json")
    to = str(tmp_path / "made.csv")
    for result, says in (
        ({**had, "rows": "folder elsewhere"}, "set GLUE_DIR"),
        ({**had, "parameters": {**had["parameters"], "train_rows": None}}, "had all rows"),
    ):
        place.save("result.json", result)
        monkeypatch.setattr("sys.argv", ["more_rows", "--profile", run, "--to", to])
        with pytest.raises(SystemExit):
            command.main()
        assert says in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["more_rows", "--profile", "none", "--to", to])
    with pytest.raises(SystemExit):
        command.main()
    assert "the run none has trained no subnetworks again" in capsys.readouterr().err


def test_what_was_trained_is_read_from_the_run(run):
    assert more_rows.trained(run) is None
    Place(run, more_rows.STEP).save(more_rows.TRAININGS, "task,rows\nRTE,40\n")
    assert more_rows.trained(run).to_dict("list") == {"task": ["RTE"], "rows": [40]}


def test_the_command_goes_on_where_it_ended(run, tmp_path, monkeypatch):
    to = tmp_path / "made.csv"
    todo = command.left_to_train(run, 30, to)
    assert len(todo) == 28 and todo[0].rows == 30
    assert command.run(todo[:3], run, 2, to, float("inf")) == 0
    with to.open(newline="") as file:
        made = list(csv.DictReader(file))
    assert len(made) == 3 and all(line["device"] and line["torch"] for line in made)
    assert {*command.left_to_train(run, 30, to)} == {*todo[3:]}
    assert command.run(todo[3:], run, 1, to, 0) == 25, "no time is left"
