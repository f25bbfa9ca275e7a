"""Published masks are read exactly, or refused with a message that names the file."""

import os
import subprocess
import sys

import numpy as np
import pytest

from lib.analysis import survival
from lib.artefacts.fingerprint import ROOT
from lib.paper import masks as published
from lib.paper.masks import PublishedMasks, masks_folder


def test_published_masks_read_like_those_of_notebook_03(masks_dir):
    place = PublishedMasks(masks_dir, "SST-2", 42)
    raw = np.load(masks_dir / "heads_mlps" / "SST-2" / "seed_42" / "head_mask.npy")
    joint = place.load("joint_head_mask.npy")
    assert joint.dtype == bool and np.array_equal(joint, raw)
    assert place.load("heads_mlp_mask.npy").all(), "units that were not pruned are kept"
    assert place.load("mlps_head_mask.npy").shape == (3, 4), "units that were not pruned are kept"
    assert place.has("joint_head_importance.npy") and not place.has("heads_mlp_importance.npy")
    places = published.find("any", ["SST-2", "CoLA"], [42, 7], masks_dir)
    assert list(places) == [("SST-2", 42)], "tasks and seeds without masks are left out"
    heads, mlps = survival.stack([PublishedMasks(masks_dir, "SST-2", s) for s in (42, 86)], "joint")
    assert heads.shape == (2, 3, 4) and mlps.shape == (2, 3)


def test_the_fingerprint_depends_on_the_contents(masks_dir):
    place = PublishedMasks(masks_dir, "RTE", 42)
    before = place.done()["fingerprint"]
    np.save(masks_dir / "heads_mlps" / "RTE" / "seed_42" / "mlp_mask.npy", np.zeros(3))
    assert place.done()["fingerprint"] != before
    assert PublishedMasks(masks_dir, "RTE", 7).done() is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (np.array([[0, 1], [2, 1]]), "holds 2; a mask holds only 0 and 1"),
        (np.array([[0, 1], [0.5, 1]]), r"holds 0\.5"),
        (np.array([[0, np.nan], [0, 1]]), "not finite"),
        (np.ones(4), r"has shape \(4,\); it must be 2-dimensional"),
        (np.ones((0, 4)), "has shape .* not empty"),
        (np.array([["a", "b"]]), "not numbers"),
        (np.ones((5, 4)), "has 5 layers, but mlp_mask.npy beside it has 3"),
        (b"", "not an array in numpy"),
        (
            b"\x93NUMPY\x01\x00v\x00"
            b"{'descr': '<f8', 'fortran_order': False, 'shape': (9999999999,), }",
            "not an array in numpy",
        ),
        (b"PK\x03\x04 an archive", "not an array in numpy"),
        (b"\x93NUMPY" + b"x" * 2_000_000, "over 1,000,000 bytes, far more than a mask needs"),
    ],
)
def test_a_file_that_is_not_a_mask_is_refused_by_name(masks_dir, content, message):
    path = masks_dir / "heads_mlps" / "SST-2" / "seed_42" / "head_mask.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    with pytest.raises(ValueError, match=message) as refused:
        PublishedMasks(masks_dir, "SST-2", 42).load("joint_head_mask.npy")
    assert str(path) in str(refused.value)
    assert "copy it from the authors' repository again" in str(refused.value)


def endless(path):
    path.symlink_to("/dev/zero")


def looping(path):
    path.symlink_to(path.name)


def dangling(path):
    path.symlink_to("nowhere.npy")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (endless, "cannot be read: it is not a regular file"),
        (os.mkfifo, "cannot be read: it is not a regular file"),
        (os.mkdir, "cannot be read: Is a directory"),
        (looping, "cannot be read: Too many levels of symbolic links"),
        (dangling, "is a link to a file that does not exist"),
    ],
)
def test_what_is_not_a_regular_file_is_refused_by_name(masks_dir, make, message):
    path = masks_dir / "heads_mlps" / "SST-2" / "seed_42" / "head_mask.npy"
    path.unlink()
    make(path)
    code = (
        "import resource, sys; from pathlib import Path; from lib.paper import masks\n"
        "resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # /dev/zero fills any memory\n"
        "place = masks.PublishedMasks(Path(sys.argv[1]), 'SST-2', 42)\n"
        "for use in (place.done, lambda: place.load('joint_head_mask.npy')):\n"
        "    try: print(use())\n"
        "    except ValueError as refused: print(refused)"
    )
    command = [sys.executable, "-c", code, str(masks_dir)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert ended.stdout.splitlines() == [f"{path} {message}; {published.WAY_OUT}"] * 2, ended.stderr


@pytest.mark.parametrize("name", ["~nobody-has-this-name/masks", "x" * 5000, "circle"])
def test_a_folder_of_masks_that_cannot_be_is_a_sentence(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(ValueError, match="which has none of the folders heads_mlps"):
        masks_folder(name)


def test_a_pickle_is_never_opened(masks_dir, tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    path = masks_dir / "heads_mlps" / "SST-2" / "seed_42" / "head_mask.npy"
    np.save(path, np.array([[Trap()]], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="not an array in numpy"):
        PublishedMasks(masks_dir, "SST-2", 42).load("joint_head_mask.npy")
    assert not (tmp_path / "sprung").exists()


def test_missing_files_and_masks_of_different_models_are_refused(masks_dir):
    (masks_dir / "heads_mlps" / "RTE" / "seed_42" / "head_mask.npy").unlink()
    with pytest.raises(FileNotFoundError, match="head_mask.npy does not exist"):
        PublishedMasks(masks_dir, "RTE", 42).load("joint_head_mask.npy")
    np.save(masks_dir / "heads_mlps" / "SST-2" / "seed_42" / "head_mask.npy", np.ones((3, 5)))
    with pytest.raises(ValueError, match="different models.*SST-2-seed_42"):
        survival.stack([PublishedMasks(masks_dir, "SST-2", seed) for seed in (42, 86)], "joint")


def test_the_folder_comes_from_the_parameter_or_the_variable(masks_dir, monkeypatch):
    assert masks_folder() is None
    monkeypatch.setenv("MASKS_DIR", str(masks_dir))
    assert masks_folder() == masks_dir
    monkeypatch.setenv("MASKS_DIR", str(masks_dir.parent))
    with pytest.raises(ValueError, match="did you mean .*masks"):
        masks_folder()
    assert masks_folder(str(masks_dir)) == masks_dir, "the parameter takes precedence"
