"""Masks that come from elsewhere: read as they are, or refused in one sentence."""

import numpy as np
import pytest

from lib.analysis import survival
from lib.paper import masks as published
from lib.paper.masks import PublishedMasks, masks_folder


def test_masks_are_read_as_notebook_03s(masks_dir):
    one = PublishedMasks(masks_dir, "SST-2", 42)
    raw = np.load(masks_dir / "heads_mlps" / "SST-2" / "seed_42" / "head_mask.npy")
    assert one.load("joint_head_mask.npy").dtype == bool and np.array_equal(
        one.load("joint_head_mask.npy"), raw
    )
    assert one.load("heads_mlp_mask.npy").all() and one.load("mlps_head_mask.npy").shape == (
        3,
        4,
    ), "what was not pruned"
    assert one.has("joint_head_importance.npy") and not one.has("heads_mlp_importance.npy")
    found = published.find("any", ["SST-2", "CoLA"], [42, 7], masks_dir)
    assert list(found) == [("SST-2", 42)], "any subset of tasks and seeds"
    heads, mlps = survival.stack([PublishedMasks(masks_dir, "SST-2", s) for s in (42, 86)], "joint")
    assert heads.shape == (2, 3, 4) and mlps.shape == (2, 3)


def test_the_fingerprint_is_of_the_contents(masks_dir):
    one = PublishedMasks(masks_dir, "RTE", 42)
    before = one.done()["fingerprint"]
    np.save(masks_dir / "heads_mlps" / "RTE" / "seed_42" / "mlp_mask.npy", np.zeros(3))
    assert one.done()["fingerprint"] != before
    assert PublishedMasks(masks_dir, "RTE", 7).done() is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (np.array([[0, 1], [2, 1]]), "holds 2; a mask holds only 0 and 1"),
        (np.array([[0, 1], [0.5, 1]]), r"holds 0\.5"),
        (np.array([[0, np.nan], [0, 1]]), "not finite"),
        (np.ones(4), r"has shape \(4,\), not \[layers, heads\]"),
        (np.ones((0, 4)), "has shape"),
        (np.array([["a", "b"]]), "not numbers"),
        (np.ones((5, 4)), "has 5 layers, and mlp_mask.npy beside it another number"),
        (b"", "not an array in numpy"),
        (
            b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999,), }",
            "not an array in numpy",
        ),
        (b"PK\x03\x04 an archive", "not an array in numpy"),
        (b"\x93NUMPY" + b"x" * 2_000_000, "2,000,006 bytes, far more than a mask takes"),
    ],
)
def test_a_file_that_is_no_mask_is_refused_by_name(masks_dir, content, said):
    path = masks_dir / "heads_mlps" / "SST-2" / "seed_42" / "head_mask.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    with pytest.raises(ValueError, match=said) as refused:
        PublishedMasks(masks_dir, "SST-2", 42).load("joint_head_mask.npy")
    assert str(path) in str(refused.value) and "copy it from the authors' repository again" in str(
        refused.value
    )


def test_a_pickle_is_never_opened(masks_dir, tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    path = masks_dir / "heads_mlps" / "SST-2" / "seed_42" / "head_mask.npy"
    np.save(path, np.array([[Trap()]], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="not an array in numpy"):
        PublishedMasks(masks_dir, "SST-2", 42).load("joint_head_mask.npy")
    assert not (tmp_path / "sprung").exists()


def test_a_missing_file_and_masks_of_two_models(masks_dir):
    (masks_dir / "heads_mlps" / "RTE" / "seed_42" / "head_mask.npy").unlink()
    with pytest.raises(FileNotFoundError, match="head_mask.npy is not there"):
        PublishedMasks(masks_dir, "RTE", 42).load("joint_head_mask.npy")
    np.save(masks_dir / "heads_mlps" / "SST-2" / "seed_42" / "head_mask.npy", np.ones((3, 5)))
    with pytest.raises(ValueError, match="different models.*SST-2-seed_42"):
        survival.stack([PublishedMasks(masks_dir, "SST-2", seed) for seed in (42, 86)], "joint")


def test_the_folder_is_named_by_parameter_or_variable(masks_dir, monkeypatch):
    assert masks_folder() is None
    monkeypatch.setenv("MASKS_DIR", str(masks_dir))
    assert masks_folder() == masks_dir
    monkeypatch.setenv("MASKS_DIR", str(masks_dir.parent))
    with pytest.raises(ValueError, match="did you mean .*masks"):
        masks_folder()
    assert masks_folder(str(masks_dir)) == masks_dir, "the parameter comes first"
