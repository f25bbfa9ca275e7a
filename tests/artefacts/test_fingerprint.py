"""What changes a fingerprint, and what does not."""

import pytest

from lib.artefacts import fingerprint


def test_a_fingerprint_changes_with_what_matters_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "lib" / "show").mkdir(parents=True)
    (tmp_path / "lib" / "paper" / "findings").mkdir(parents=True)
    monkeypatch.setattr(fingerprint, "ROOT", tmp_path)

    def fingerprint_with(
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
            (other.get("playground", "pass"), ["playground"]),
        ]
        cells = [{"cell_type": "code", "source": s, "metadata": {"tags": t}} for s, t in cells]
        cells.append({"cell_type": "markdown", "source": other.get("prose", ""), "metadata": {}})
        (tmp_path / "notebooks" / "09_x.ipynb").write_text(fingerprint.json.dumps({"cells": cells}))
        sources = {"a": a, "b": b, "show/plots": plots, "unused": other.get("unused", "")}
        sources["paper/findings/of_one"] = other.get("findings", "")
        for name, source in sources.items():
            (tmp_path / "lib" / f"{name}.py").write_text(source)
        return fingerprint.fingerprint(
            "09_x", dict(parameters), other.get("reads", []), other.get("facts", {})
        )

    base = fingerprint_with()
    assert (
        base
        == fingerprint_with(a='"""Doc."""\n# comment\nfrom   lib import b')
        == fingerprint_with(prose="words")
        == fingerprint_with(exercise="1 + 1")
        == fingerprint_with(playground="off = [(0, 3)]")
    )
    assert base == fingerprint_with(unused="z = 1")
    with_plots = fingerprint_with(cell="from lib import a\nfrom lib.show import plots\na.f()")
    assert with_plots == fingerprint_with(
        cell="from lib import a\nfrom lib.show import plots\na.f()", plots="y = 2\n"
    ), "figures do not change results"
    cell = "from lib import a\nfrom lib.paper.findings import of_one\na.f()"
    assert fingerprint_with(cell=cell) == fingerprint_with(cell=cell, findings="text = ''"), (
        "a sentence does not change results"
    )
    others = [
        fingerprint_with(cell="from lib import a\na.g()"),
        fingerprint_with(b="x = 2\n"),
        fingerprint_with(parameters={"p": 2}),
        fingerprint_with(reads=["f"]),
    ]
    others += [
        fingerprint_with(facts={"rows": "elsewhere"}),
        fingerprint_with(a="from lib import b\nz = 1"),
    ]
    assert len({base, with_plots, *others}) == 8


def test_work_depends_on_its_modules_and_facts_and_on_no_notebook():
    facts = {"mask": "a", "seed": 1}
    key = fingerprint.of_work(["lib.tickets.retrain"], facts)
    assert key == fingerprint.of_work(["lib.tickets.retrain"], dict(reversed(facts.items())))
    assert key != fingerprint.of_work(["lib.tickets.retrain"], {**facts, "mask": "b"})
    assert key != fingerprint.of_work(["lib.tickets.retrain", "lib.paper.numbers"], facts)


@pytest.mark.parametrize("name", ["numbers.csv", "folder/numbers.csv", "folder/maps.npy"])
def test_a_data_file_that_a_module_names_counts_as_its_code(tmp_path, name):
    data = tmp_path / name
    data.parent.mkdir(exist_ok=True)
    data.write_bytes(b"\x93 1")
    (tmp_path / "reads.py").write_text(f'PATH = "{data.name}"')
    (tmp_path / "other.py").write_text("PATH = None")
    before = [fingerprint._contents(tmp_path / module) for module in ("reads.py", "other.py")]
    data.write_bytes(b"\x93 2")
    after = [fingerprint._contents(tmp_path / module) for module in ("reads.py", "other.py")]
    assert before[0] != after[0] and before[1] == after[1]


def test_readmes_and_other_modules_are_not_data(tmp_path):
    (tmp_path / "module.py").write_text('"""See folder/README.md and other.py."""')
    (tmp_path / "folder").mkdir()
    others = tmp_path / "folder" / "README.md", tmp_path / "other.py"
    seen = set()
    for text in ("x = 1", "x = 2"):
        for file in others:
            file.write_text(text)
        seen.add(tuple(fingerprint._contents(tmp_path / "module.py")))
    assert len(seen) == 1


def test_the_labelled_maps_count_as_code_of_the_module_that_reads_them():
    room = fingerprint.ROOT / "lib" / "analysis"
    contents = fingerprint._contents(room / "patterns.py")
    data = [room / "labelled" / name for name in ("labels.csv", "maps.npy")]
    assert contents[1:] == [fingerprint.sha256(file) for file in data]


def test_a_notebook_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "03_mine.ipynb"
    path.write_text("{")
    with pytest.raises(ValueError, match="03_mine.ipynb cannot be read as a notebook"):
        fingerprint.code_cells(path)
    cell = {"cell_type": "code", "metadata": {}, "source": ["x = 1\n", "%timeit x"]}
    path.write_text(fingerprint.json.dumps({"cells": [cell]}))
    with pytest.raises(ValueError, match=r"03_mine.ipynb is not plain Python .*%timeit x"):
        fingerprint.code_cells(path)
    cell["metadata"] = {"tags": ["playground"]}
    path.write_text(fingerprint.json.dumps({"cells": [cell]}))
    assert fingerprint.code_cells(path) == []


def test_a_docstring_does_not_decide_what_is_hashed(tmp_path):
    (tmp_path / "numbers.csv").write_text("1")
    (tmp_path / "module.py").write_text('"""Others read numbers.csv."""')
    before = fingerprint._contents(tmp_path / "module.py")
    (tmp_path / "numbers.csv").write_text("2")
    assert fingerprint._contents(tmp_path / "module.py") == before
