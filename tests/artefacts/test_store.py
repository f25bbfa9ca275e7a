import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from lib.artefacts import fingerprint, store
from lib.artefacts.store import Place

STEP = "01_finetune"


def place(fingerprint_="a" * 64, **changes):
    return Place("test", STEP, "SST-2", 42, fingerprint_, {"seed": 42, **changes})


def test_every_format_comes_back_as_it_was(outputs):
    at = place()
    values = {
        "a.npy": np.arange(6).reshape(2, 3),
        "b.json": {"x": [1, 2.5, None], "y": "ξ"},
        "c.safetensors": (
            {"w": np.ones((2, 2), np.float32), "m": np.array([True, False])},
            {"phases": "a b"},
        ),
        "d.csv": "x,y\n1,2\n",
    }
    for name, value in values.items():
        at.save(name, value)
    assert np.array_equal(at.load("a.npy"), values["a.npy"])
    assert at.load("b.json") == values["b.json"] and at.load("d.csv") == values["d.csv"]
    tensors, metadata = at.load("c.safetensors")
    assert tensors["m"].tolist() == [True, False] and metadata == {"phases": "a b"}
    assert at.folder == outputs / "test" / STEP / "SST-2" / "seed_42"
    assert not list(at.folder.glob(".new-*")), "no half-written file is left"


def test_figures_and_tables_are_put_where_people_look(outputs):
    at, figure = place(), Figure(figsize=(1, 1))
    at.publish("figure_02", figure)
    at.publish(
        "table_3",
        pd.DataFrame({"SST-2": ["0.9 ± 0.1"]}, index=pd.Index(["full model"], name="system")),
    )
    assert {path.name for path in (outputs / "test" / "figures").iterdir()} == {
        *("figure_02.png", "figure_02.svg", "figure_02.png.json", "figure_02.svg.json")
    }
    tables = Place("test", "tables")
    assert tables.load("table_3.csv") == "system,SST-2\nfull model,0.9 ± 0.1\n"
    assert tables.load("table_3.md").splitlines()[2] == "| full model | 0.9 ± 0.1 |"
    record = tables.provenance("table_3.md")
    assert (
        record["made_by"] == at.name
        and record["fingerprint"] == at.fingerprint
        and record["parameters"] == {"seed": 42}
    )


def test_nothing_is_ever_pickled(outputs):
    with pytest.raises(ValueError, match="pickle"):
        place().save("a.npy", np.array([{}], dtype=object))
    with pytest.raises(TypeError, match="not a plain value"):
        place().save("a.json", {"x": object()})
    with pytest.raises(ValueError, match="no artefact is written as '.pkl'"):
        place().save("a.pkl", 1)
    assert not list(place().folder.iterdir())


def test_provenance_says_what_an_artefact_is(outputs):
    place().save("a.json", [1], seconds=1.234, rows="somewhere")
    record = place().provenance("a.json")
    assert record["fingerprint"] == "a" * 64 and record["parameters"] == {"seed": 42}
    assert record["seconds"] == 1.23 and record["rows"] == "somewhere"
    assert record["versions"]["torch"] and record["python"] and record["device"]
    assert record["sha256"] == store.sha256(place().path("a.json"))


def test_a_missing_or_damaged_artefact_says_what_to_do(outputs):
    with pytest.raises(
        FileNotFoundError, match="run_all.py --profile test --only 01 --tasks SST-2 --seeds 42"
    ):
        place().load("a.json")
    place().save("a.json", [1])
    place().path("a.json").write_text("[2]")
    with pytest.raises(ValueError, match="a.json is damaged .* delete it and run again"):
        place().load("a.json")


def test_load_or_computes_once_for_one_fingerprint(outputs):
    calls = []
    compute = lambda: calls.append(1) or {"n": len(calls)}  # noqa: E731
    assert place().load_or("a.json", compute) == place().load_or("a.json", compute) == {"n": 1}
    assert place("b" * 64).load_or("a.json", compute) == {"n": 2}
    assert place("b" * 64).provenance("a.json")["seconds"] is not None
    place().clear()
    assert place("b" * 64).load_or("a.json", compute) == {"n": 3}


def test_a_killed_write_leaves_the_old_file(outputs, monkeypatch):
    place().save("a.json", [1])

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(store.os, "replace", die)
        place().save("a.json", [2])
    assert (place().folder / "a.json").read_text().split() == ["[", "1", "]"]


def test_done_is_for_one_fingerprint_and_one_appearance(outputs, monkeypatch):
    at = place()
    assert not at.is_done() and at.done() is None
    at.save("a.json", [1])
    assert at.finish(facts={"rows": "x"}) == ["a.json"]
    assert at.is_done() and at.done()["facts"] == {"rows": "x"}
    assert not place("b" * 64).is_done()
    monkeypatch.setattr(store, "appearance", lambda: "another look")
    assert not at.is_done()
    assert [p.task for p in store.places("test", STEP)] == ["SST-2"]


def test_reading_from_what_is_not_complete_is_refused(outputs):
    with pytest.raises(FileNotFoundError, match="--only 01"):
        store.open_place(
            "02_magnitude_pruning", {"profile": "test", "task": "RTE", "seed": 1}, reads=[place("")]
        )


def test_a_fingerprint_feels_what_matters_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "lib" / "show").mkdir(parents=True)
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)

    def of(
        cell="from lib import a\na.f()",
        a="from lib import b\n",
        b="x = 1\n",
        plots="y = 1\n",
        parameters=(),
        **other,
    ):
        cells = [
            (cell, []),
            ("p = 1", ["parameters"]),
            (other.get("exercise", "pass"), ["exercise"]),
        ]
        cells = [{"cell_type": "code", "source": s, "metadata": {"tags": t}} for s, t in cells]
        cells.append({"cell_type": "markdown", "source": other.get("prose", ""), "metadata": {}})
        (tmp_path / "notebooks" / "09_x.ipynb").write_text(fingerprint.json.dumps({"cells": cells}))
        sources = {"a": a, "b": b, "show/plots": plots, "unused": other.get("unused", "")}
        for name, source in sources.items():
            (tmp_path / "lib" / f"{name}.py").write_text(source)
        return fingerprint.fingerprint(
            "09_x", dict(parameters), other.get("reads", []), other.get("facts", {})
        )

    base = of()
    assert (
        base
        == of(a='"""Doc."""\n# comment\nfrom   lib import b')
        == of(prose="words")
        == of(exercise="1 + 1")
    )
    assert base == of(unused="z = 1")
    with_plots = of(cell="from lib import a\nfrom lib.show import plots\na.f()")
    assert with_plots == of(
        cell="from lib import a\nfrom lib.show import plots\na.f()", plots="y = 2\n"
    ), "figures do not change results"
    others = [
        of(cell="from lib import a\na.g()"),
        of(b="x = 2\n"),
        of(parameters={"p": 2}),
        of(reads=["f"]),
    ]
    others += [of(facts={"rows": "elsewhere"}), of(a="from lib import b\nz = 1")]
    assert len({base, with_plots, *others}) == 8


def test_work_depends_on_its_modules_and_facts_and_on_no_notebook():
    facts = {"mask": "a", "seed": 1}
    key = fingerprint.of_work(["lib.tickets.retrain"], facts)
    assert key == fingerprint.of_work(["lib.tickets.retrain"], dict(reversed(facts.items())))
    assert key != fingerprint.of_work(["lib.tickets.retrain"], {**facts, "mask": "b"})
    assert key != fingerprint.of_work(["lib.tickets.retrain", "lib.model.baselines"], facts)


@pytest.mark.parametrize("name", ["numbers.csv", "folder/numbers.csv"])
def test_a_table_beside_a_module_counts_as_its_code(tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / name).write_text("a\n1\n")
    (tmp_path / "reads.py").write_text('PATH = "numbers.csv"')
    (tmp_path / "other.py").write_text("PATH = None")
    before = [fingerprint._contents(tmp_path / name) for name in ("reads.py", "other.py")]
    (tmp_path / name).write_text("a\n2\n")
    after = [fingerprint._contents(tmp_path / name) for name in ("reads.py", "other.py")]
    assert before[0] != after[0] and before[1] == after[1]
