"""The authors' masks inside the package are those of their repository, array by array."""

from pathlib import Path

import numpy as np
import pytest

from lib.analysis import agreement
from lib.data.glue import TASKS
from lib.paper import authors
from lib.paper import masks as published
from lib.paper.authors import AuthorsMasks
from lib.paper.masks import PublishedMasks

MASKS = Path(__file__).resolve().parents[3] / "shared" / "published" / "masks"


def test_all_tasks_and_seeds_are_there():
    assert set(authors.tasks()) == set(TASKS) and authors.seeds() == [1337, 42, 86, 71, 166]
    assert authors.FILE.stat().st_size < 100_000


@pytest.mark.parametrize("task", TASKS)
def test_every_array_is_the_authors(task):
    if not MASKS.is_dir():
        pytest.skip(f"THE AUTHORS' MASKS ARE MISSING: there is no {MASKS}; nothing was checked")
    names = [
        f"{mode}_{unit}_{kind}.npy"
        for mode in published.FOLDERS
        for unit in ("head", "mlp")
        for kind in ("mask", "importance")
    ]
    compared = 0
    for seed in authors.seeds():
        ours, theirs = AuthorsMasks(task, seed), PublishedMasks(MASKS, task, seed)
        for name in names:
            assert ours.has(name) == theirs.has(name), name
            if ours.has(name):
                array = ours.load(name)
                assert array.dtype == theirs.load(name).dtype
                assert np.array_equal(array, theirs.load(name)), (seed, name)
                compared += 1
    assert compared == 5 * (4 + 3 + 3)


def test_what_they_did_not_publish_is_named():
    assert AuthorsMasks("MNLI", 7).done() is None and AuthorsMasks("SNLI", 42).done() is None
    with pytest.raises(FileNotFoundError, match="no joint_head_mask.npy for authors-MNLI-seed_7"):
        AuthorsMasks("MNLI", 7).load("joint_head_mask.npy")
    assert not AuthorsMasks("MNLI", 42).has("heads_mlp_importance.npy")


def test_they_are_found_by_the_word_authors(monkeypatch, masks_dir):
    folder = published.masks_folder("authors")
    assert folder == published.AUTHORS
    found = published.find("any", ["CoLA", "MNLI"], [42, 7], folder)
    assert list(found) == [("CoLA", 42), ("MNLI", 42)]
    monkeypatch.setenv("MASKS_DIR", str(masks_dir))
    assert published.masks_folder("authors") == masks_dir, "the variable names others"


@pytest.mark.parametrize("task", sorted(set(TASKS) - {"WNLI"}))
def test_seeds_share_more_heads_than_chance_on_the_eight_tasks_that_can_be_asked(published, task):
    heads, _ = published(task)
    assert agreement.permutation_test(heads, draws=500).p < 0.01
    assert agreement.permutation_test(heads, draws=500, within_layers=True).p < 0.01
