"""Saving and loading artefacts, their provenance, and what counts as complete."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from lib.artefacts import files, store
from lib.artefacts.fingerprint import ROOT
from lib.artefacts.publish import publish
from lib.artefacts.store import Place

STEP = "01_finetune"


def place(fingerprint_="a" * 64, **changes):
    return Place("test", STEP, "SST-2", 42, fingerprint_, {"seed": 42, **changes})


def whole(of, verify=False):
    """True if the step is done, and a summary could read what it made."""
    faults = of.faults(verify).items()
    return of.is_current() and all(store.may_lack(name, fault) for name, fault in faults)


def test_every_format_is_read_back_unchanged(outputs):
    saved_in = place()
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
        saved_in.save(name, value)
    assert np.array_equal(saved_in.load("a.npy"), values["a.npy"])
    assert saved_in.load("b.json") == values["b.json"] and saved_in.load("d.csv") == values["d.csv"]
    tensors, metadata = saved_in.load("c.safetensors")
    assert tensors["m"].tolist() == [True, False]
    assert metadata == {"phases": "a b"}
    assert saved_in.folder == outputs / "test" / STEP / "SST-2" / "seed_42"
    assert not list(saved_in.folder.glob(".new-*")), "no half-written file is left"


WRITE_ALL = """
import sys
from pathlib import Path
import numpy as np
from matplotlib.figure import Figure
from lib.artefacts import formats

folder = Path(sys.argv[1])
figure = Figure(figsize=(2, 2))
axes = figure.subplots()
axes.plot([0, 1], [1, 0], marker="o", label="a line")
axes.imshow(np.eye(3), extent=(0, 1, 0, 1))
axes.legend()
metadata = {f"key {number}": "ξ 'quoted' \\"text\\"" for number in range(9)}
values = {
    "a.png": figure,
    "a.svg": figure,
    "a.safetensors": ({"x": np.eye(2), "a": np.ones(3, bool)}, metadata),
    "bare.safetensors": ({"x": np.eye(2)}, {}),
}
for name, value in values.items():
    formats.write(folder / name, value)
tensors, read = formats.read(folder / "a.safetensors")
assert read == metadata and np.array_equal(tensors["x"], np.eye(2)) and tensors["a"].all()
assert np.array_equal(formats.read(folder / "bare.safetensors")[0]["x"], np.eye(2))
"""


def test_the_same_value_is_the_same_bytes_in_every_process(tmp_path):
    folders = [tmp_path / "first", tmp_path / "second"]
    for year, folder in enumerate(folders, 2001):
        folder.mkdir()
        # the date that matplotlib would write
        date = {"SOURCE_DATE_EPOCH": str((year - 1970) * 365 * 86400)}
        command = [sys.executable, "-c", WRITE_ALL, str(folder)]
        subprocess.run(command, check=True, cwd=ROOT, env=os.environ | date)
    first, second = ({p.name: p.read_bytes() for p in folder.iterdir()} for folder in folders)
    assert len(first) == 4
    assert [name for name in first if first[name] != second[name]] == []


def test_nothing_is_ever_pickled(outputs):
    with pytest.raises(ValueError, match="pickle"):
        place().save("a.npy", np.array([{}], dtype=object))
    with pytest.raises(TypeError, match="not a plain value"):
        place().save("a.json", {"x": object()})
    with pytest.raises(ValueError, match="the suffix of an artefact is '.pkl'; it can be .npy"):
        place().save("a.pkl", 1)
    assert not list(place().folder.iterdir())


def test_provenance_says_how_an_artefact_was_made(outputs):
    place().save("a.json", [1], seconds=1.234, rows="somewhere")
    record = place().provenance("a.json")
    assert record["fingerprint"] == "a" * 64 and record["parameters"] == {"seed": 42}
    assert record["seconds"] == 1.23 and record["rows"] == "somewhere"
    assert record["versions"]["torch"] and record["python"] and record["device"]
    assert record["sha256"] == files.sha256(place().path("a.json"))


def test_a_missing_or_damaged_artefact_says_what_to_do(outputs):
    with pytest.raises(
        FileNotFoundError, match="run_all.py --profile test --only 01 --tasks SST-2 --seeds 42"
    ):
        place().load("a.json")
    place().save("a.json", [1])
    place().path("a.json").write_text("[2]")
    with pytest.raises(ValueError, match="a.json is damaged .* run_all.py --profile test --verify"):
        place().load("a.json")


def test_load_or_computes_once_for_each_fingerprint(outputs):
    calls = []

    def compute():
        calls.append(1)
        return {"n": len(calls)}

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
        patched.setattr(files.os, "replace", die)
        place().save("a.json", [2])
    assert (place().folder / "a.json").read_text().split() == ["[", "1", "]"]


def test_done_holds_for_one_fingerprint_and_one_appearance(outputs, monkeypatch):
    finished = place()
    assert not whole(finished) and finished.done() is None
    finished.save("a.json", [1])
    assert finished.finish(facts={"rows": "x"}) == ["a.json"]
    assert whole(finished) and finished.done()["facts"] == {"rows": "x"}
    assert not whole(place("b" * 64))
    monkeypatch.setattr(store, "appearance", lambda: "another look")
    assert not whole(finished)
    assert [p.task for p in store.places("test", STEP)] == ["SST-2"]


def test_reading_from_an_incomplete_place_is_refused(outputs):
    with pytest.raises(FileNotFoundError, match="--only 01"):
        store.open_place(
            "02_magnitude_pruning", {"profile": "test", "task": "RTE", "seed": 1}, reads=[place("")]
        )


def test_saving_the_same_bytes_again_changes_nothing_on_disk(outputs):
    place().save("a.json", [1], seconds=1)
    record = place().provenance("a.json")
    place().save("a.json", [1], seconds=2)
    assert place().provenance("a.json") == record
    place("b" * 64).save("a.json", [1], seconds=2)
    assert place().provenance("a.json")["fingerprint"] == "b" * 64


def test_what_was_not_kept_says_so(outputs):
    place().save("model.safetensors", ({"w": np.ones(2)}, {}))
    place().path("model.safetensors").unlink()
    with pytest.raises(store.NotKeptError, match="was made, but is not kept here; .* --force"):
        place().load("model.safetensors")


def test_without_the_weights_a_value_that_other_code_made_of_the_same_models_is_loaded(outputs):
    model, summary = place(), Place("test", "08_attention_patterns", fingerprint="c" * 64)
    model.save("model.safetensors", ({"w": np.ones(2)}, {}))
    model.finish()

    def count():
        return {"sum": float(model.load("model.safetensors")[0]["w"].sum())}

    assert summary.load_or("counts.json", count, of=[model]) == {"sum": 2.0}
    model.path("model.safetensors").unlink()
    newer = Place("test", "08_attention_patterns", fingerprint="d" * 64)
    assert newer.load_or("counts.json", count, of=[model]) == {"sum": 2.0}
    with pytest.raises(store.NotKeptError):
        newer.load_or("counts.json", count)  # it does not say what it was made of
    place("e" * 64).finish()  # another model
    with pytest.raises(store.NotKeptError):
        newer.load_or("counts.json", count, of=[model])


def finished():
    """A step with a result, an array, a training under a fingerprint of its own, and a figure."""
    made = place()
    made.save("result.json", {"score": 0.5})
    made.save("model.safetensors", ({"w": np.ones(2)}, {}))
    replace(made, fingerprint="c" * 64).load_or("random.json", lambda: [1])
    publish(made, "figure_02", Figure(figsize=(1, 1)))
    assert made.finish() == ["model.safetensors", "random.json", "result.json"]
    return made


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "flipped": flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("name", ["result.json", "model.safetensors", "random.json"])
@pytest.mark.parametrize("how", DAMAGE)
def test_a_step_with_a_damaged_artefact_is_not_done(outputs, name, how):
    made = finished()
    assert whole(made) and whole(made, verify=True)
    DAMAGE[how](made.path(name))
    assert not whole(made) and made.faults() == {name: "damaged"}
    aside = made.set_aside(name)
    assert aside.exists() and not made.path(name).exists() and not whole(made)


def test_a_step_whose_published_figure_is_damaged_or_gone_is_not_done(outputs):
    made = finished()
    picture = outputs / "test" / "figures" / "figure_02.png"
    picture.write_bytes(picture.read_bytes()[:-1])
    assert made.faults() == {"figures/figure_02.png": "damaged"} and not whole(made)
    picture.unlink()
    assert made.faults() == {"figures/figure_02.png": "not kept"} and not whole(made)


def test_a_step_is_done_without_arrays_that_were_not_kept(outputs):
    made = finished()
    made.path("model.safetensors").unlink()
    assert made.faults() == {"model.safetensors": "not kept"} and whole(made)
    made.path("model.safetensors.json").unlink()
    assert made.faults() == {"model.safetensors": "missing"} and not whole(made)


def test_what_other_code_has_replaced_since_a_step_was_done_counts_as_missing(outputs):
    made = finished()
    place("b" * 64).save("result.json", {"score": 0.6})
    assert made.is_current() and not whole(made)


def test_checksums_are_compared_where_times_differ_or_if_asked(outputs, monkeypatch):
    made = finished()
    checked = []

    def counted(path):
        checked.append(path.name)
        return files.sha256(path)

    monkeypatch.setattr(store, "sha256", counted)
    assert whole(made) and not checked
    path = made.path("result.json")
    os.utime(path)
    assert whole(made) and checked == ["result.json"]
    assert whole(made) and checked == ["result.json"], "its time is set right, so once is enough"
    before = path.stat()
    flip(path)
    os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))
    assert whole(made) and not whole(made, verify=True), "only the checksum shows this"
    assert set(checked[1:]) == {*made.faults(verify=True), *made.done()["artefacts"]} - {
        *("figures/figure_02.png", "figures/figure_02.svg")
    } | {"figure_02.png", "figure_02.svg"}


RECORDS = (b"", b"[]", b"{}", b"null", b'{"fingerprint": 1}', "{}".encode("utf-16"), b"\xff" * 9)
RECORDS += (b"[" * 100_000, b'{"fingerprint": "a", "appearance": "b", "artefacts": ["../../x"]}')


@pytest.mark.parametrize("content", RECORDS, ids=range(len(RECORDS)))
def test_a_damaged_record_counts_as_none(outputs, content):
    made = finished()
    made.path("result.json.json").write_bytes(content)
    assert made.provenance("result.json") is None and not made.has("result.json")
    assert made.faults() == {"result.json": "unrecorded"} and not whole(made)
    with pytest.raises(FileNotFoundError, match="no provenance that can be read; make it with"):
        made.load("result.json")
    assert made.load_or("result.json", lambda: {"score": 1}) == {"score": 1}
    made.path("done.json").write_bytes(content)
    assert made.done() is None and not whole(made) and made.faults() == {}


def test_a_damaged_value_is_set_aside_and_computed_again(outputs):
    made = place()
    made.load_or("a.json", lambda: [1])
    made.path("a.json").write_text("[2]")
    assert made.find("a.json", []) == []
    assert made.load_or("a.json", lambda: [3]) == [3] == made.find("a.json", [])
    assert json.loads((made.folder / "damaged" / "a.json").read_text()) == [2], "nothing is lost"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o007, 0o660), (0o077, 0o600)])
def test_the_umask_decides_who_may_read(outputs, umask, mode):
    before = os.umask(umask)
    try:
        made = finished()
    finally:
        os.umask(before)
    for path in made.folder.iterdir():
        assert path.stat().st_mode & 0o777 == mode, path


def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path):
    files.check_writable(tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        files.check_writable(tmp_path / "file" / "new")
