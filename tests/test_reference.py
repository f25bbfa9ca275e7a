"""The reference run that the project brings along: whole, small, and open without any weights."""

import json
import os
import shutil
from itertools import product

import numpy as np
import pandas as pd
import papermill
import pytest

import run_all
from chain import profiles
from lib.analysis import comparisons
from lib.artefacts import store
from lib.artefacts.files import sha256
from lib.artefacts.fingerprint import ROOT, notebook
from lib.artefacts.store import Place
from lib.paper import tables
from lib.pruning.importance import ESTIMATORS
from lib.pruning.search import Trail
from tools import reference

FOLDER = ROOT / "outputs" / "reference"
ONCE = [step for step, (scope, _) in run_all.CHAIN.items() if scope == "once"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A copy of what git keeps of the reference run; OUTPUTS_DIR is its folder."""
    outputs = tmp_path_factory.mktemp("outputs")
    shutil.copytree(FOLDER, outputs / "reference", ignore=reference.ignored)
    before = os.environ.get("OUTPUTS_DIR")
    os.environ["OUTPUTS_DIR"] = str(outputs)
    yield outputs / "reference"
    os.environ.pop("OUTPUTS_DIR")
    if before is not None:
        os.environ["OUTPUTS_DIR"] = before


def of_searches(kept, name):
    """Read the records of this name that `searches` keeps: (task and seed, content) for each."""
    for file in sorted((kept / reference.SEARCHES).glob(f"*/*/seed_*/{name}")):
        yield {"task": file.parts[-3], "seed": file.parts[-2]}, json.loads(file.read_text())


def test_every_artefact_that_is_kept_has_its_checksum(kept):
    checked = 0
    for folder, step in product((kept, kept / reference.SEARCHES), run_all.CHAIN):
        for record in (folder / step).rglob("*.*.json"):
            artefact = record.with_suffix("")
            if artefact.exists():
                assert json.loads(record.read_text())["sha256"] == sha256(artefact), artefact
                checked += 1
    assert checked > 100


def test_it_is_small_and_holds_no_weights_and_no_paths(kept):
    files = [path for path in kept.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 40e6
    assert not [
        path for path in files if path.name in ("model.safetensors", "weight_mask.safetensors")
    ]
    for path in files:
        if path.suffix in (".json", ".md", ".csv", ".ipynb"):
            for folder in ("/home/", "/root/", "/work/", "/tmp/"):
                assert folder not in path.read_text(), (path, folder)


def test_what_it_says_is_done_is_there(kept):
    done = json.loads((kept / "run.json").read_text())["seeds done"]
    for task in done["03_structured_pruning"]:
        for place in store.places("reference", "03_structured_pruning"):
            if place.task == task:
                trail = Trail.from_tensors(*place.load("joint_trail.safetensors"))
                assert (trail.good.mask.heads == place.load("joint_head_mask.npy")).all()
    for step, tasks in done.items():
        for task, seeds in tasks.items():
            assert seeds == 5, f"{step} of {task} is not finished"


def test_the_table_of_searches_is_what_the_kept_searches_give(kept):
    lines = [
        {**which, "estimator": name, **line}
        for which, found in of_searches(kept, "halves.json")
        for name, line in found.items()
    ]
    sizes = comparisons.of_searches(pd.DataFrame(lines))["size"]
    stored = pd.read_csv(
        kept / reference.SEARCHES / "tables" / "searches_compared.csv", index_col=0
    )
    assert sizes.index.tolist() == stored.index.tolist()
    assert np.allclose(sizes, stored["size"], atol=1e-4)
    planned = profiles.load(profiles.PARAMS / "searches.yaml", "searches")
    assert {*sizes.index[:3]} == {*planned["estimators"]}, "those that are trained again"


def test_the_scores_by_estimator_are_what_the_kept_trainings_give(kept):
    lines = [
        {**which, **line} for which, found in of_searches(kept, "systems.json") for line in found
    ]
    scores = pd.DataFrame(lines).groupby(["group", "item", "task"])["score"].agg(["mean", "count"])
    folder = kept / reference.SEARCHES / "tables"
    stored = pd.read_csv(folder / "scores_by_estimator.csv", index_col=0)
    for name in ("example", "example_squared", "token"):
        group = "s-pruning" if name == "example" else tables.OF_ESTIMATOR.format(name)
        for kind in tables.KINDS:
            by_task = scores.loc[group, f"{kind} (retrained)"]
            assert len(by_task) == 5 and (by_task["count"] == 3).all()
            shown = stored.loc[ESTIMATORS[name].formula, kind]
            assert by_task["mean"].mean() == pytest.approx(shown, abs=1e-4)


@pytest.mark.parametrize("step", ONCE)
def test_a_summary_opens_without_weights(kept, step, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    place = Place("reference", "01_finetune", "SST-2", 1337)
    with pytest.raises(store.NotKeptError):
        place.load("model.safetensors")
    papermill.execute_notebook(
        notebook(step), tmp_path / "executed.ipynb", cwd=notebook(step).parent, progress_bar=False
    )


def test_the_notebooks_show_the_reference_run(kept):
    for step in ONCE:
        cells = json.loads(notebook(step).read_text())["cells"]
        shown = json.dumps([cell.get("outputs") for cell in cells])
        assert Place("reference", step).done() is not None
        assert "reference:" in shown or "reference ·" in shown or "profile reference" in shown, step


def test_notebook_10_counts_what_notebook_09_counts():
    folder = FOLDER / "tables"
    pairs = pd.read_csv(folder / "overlap_heads.csv")
    counts = [
        f"{(pairs[p + ' (Holm)'] < 0.05).sum()} of {pairs[p].notna().sum()}"
        for p in ("p", "p within layers")
    ]
    new = pd.read_csv(folder / "what_is_new.csv", index_col="the question")["this run"]
    said = new["do tasks share more heads than layers explain?"]
    assert said == f"{counts[0]} pairs; within layers {counts[1]}"


def test_what_a_cell_prints_at_several_moments_is_one_output():
    def said(*lines, name="stdout"):
        return {"output_type": "stream", "name": name, "text": list(lines)}

    figure = {"output_type": "display_data", "data": {"image/png": "aGk="}, "metadata": {}}
    printed = [said("a\n"), said("b"), said("c\n"), figure, said("d\n"), said("e\n", name="stderr")]
    once = [said("a\n", "bc\n"), figure, said("d\n"), said("e\n", name="stderr")]
    assert reference.joined({"outputs": printed}) == once
    assert printed[0] == said("a\n"), "the executed copy stays as it was"
