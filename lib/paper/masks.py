"""Masks that somebody else has published, in the layout of the authors' code, read as if notebook 03 had made them.

    <masks_dir>/{heads_mlps,heads,mlps}/<TASK>/seed_<n>/{head_mask,mlp_mask,head_importance,mlp_importance}.npy

masks_dir is the `masks` folder of a checkout; a notebook's parameter names it, or else the variable MASKS_DIR. The
files come from elsewhere and are not trusted: they are small arrays of plain numbers, or they are refused.
"""

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.artefacts.store import Place

FOLDERS = {"joint": "heads_mlps", "heads": "heads", "mlps": "mlps"}
ENCODER = "bert-base-uncased"  # what the authors pruned …
ABOUT = "masks published by the paper's authors, not made here"  # … and what a caption says of it
LARGEST = (
    1_000_000  # bytes: BERT-large's importances take 3 kB, so whatever is larger is something else
)
STEP = "03_structured_pruning"
WAY_OUT = "copy it from the authors' repository again, or leave its task out"


def masks_folder(masks_dir: str = "") -> Path | None:
    """The folder of published masks that the parameter, or else MASKS_DIR, names; None where neither does.

    Raises ValueError where it is not such a folder.
    """
    named = masks_dir or os.environ.get("MASKS_DIR", "")
    if not named:
        return None
    folder = Path(named).expanduser().resolve()
    if not any((folder / name).is_dir() for name in FOLDERS.values()):
        inside = folder / "masks"
        hint = (
            f"; did you mean {inside}?"
            if inside.is_dir()
            else ", or unset it to use the masks of your own runs"
        )
        raise ValueError(
            f"MASKS_DIR (or masks_dir) is {named!r}, which has none of the folders {', '.join(FOLDERS.values())}: "
            f"name the folder masks/ of a checkout of the authors' code{hint}"
        )
    return folder


def find(
    profile: str, tasks: Sequence[str], seeds: Sequence[int], folder: Path | None
) -> dict[tuple[str, int], "Place | PublishedMasks"]:
    """{(task, seed): what has the masks}, of all that are there: published ones, or places of notebook 03."""
    each = [(task, seed) for task in tasks for seed in seeds]
    found = {
        pair: Place(profile, STEP, *pair) if folder is None else PublishedMasks(folder, *pair)
        for pair in each
    }
    return {pair: place for pair, place in found.items() if place.done()}


@dataclass(frozen=True)
class PublishedMasks:
    """The published masks of one task and seed; `load`, `has` and `done` are as a `store.Place` has them."""

    folder: Path
    task: str
    seed: int

    @property
    def name(self) -> str:
        """In one word, for messages."""
        return f"published-{self.task}-seed_{self.seed}"

    def done(self) -> dict | None:
        """{"fingerprint": a hash of all files here}, or None where there is no joint mask."""
        files = sorted(path for kind in FOLDERS for path in self._folder(kind).glob("*.npy"))
        if not any(path.parent == self._folder("joint") for path in files):
            return None
        whole = hashlib.sha256()
        for path in files:
            whole.update(path.relative_to(self.folder).as_posix().encode() + _bytes(path))
        return {"fingerprint": whole.hexdigest()}

    def has(self, name: str) -> bool:
        """Is there such an array? Names are those of notebook 03: joint_head_mask.npy, heads_head_importance.npy, …"""
        mode, what = _parts(name)
        return (self._folder(mode) / what).exists() or self._left_out(mode, what)

    def load(self, name: str) -> np.ndarray:
        """The array: masks as bool, importance as float. What a search did not touch (and so has no file) is all kept.

        Raises FileNotFoundError or ValueError, in one sentence that names the file and the way out.
        """
        mode, what = _parts(name)
        path = self._folder(mode) / what
        if not path.exists() and self._left_out(mode, what):
            return np.ones_like(self.load(f"joint_{what}"))
        array = _checked(path, 2 if what.startswith("head") else 1)
        partner = path.with_name(
            what.replace("head_", "mlp_") if "head_" in what else what.replace("mlp_", "head_")
        )
        if partner.exists() and len(_checked(partner, 3 - array.ndim)) != len(array):
            raise _refused(
                path, f"has {len(array)} layers, and {partner.name} beside it another number"
            )
        return array

    def _folder(self, mode: str) -> Path:
        return self.folder / FOLDERS[mode] / self.task / f"seed_{self.seed}"

    def _left_out(self, mode: str, what: str) -> bool:
        other = {"heads": "mlp_mask.npy", "mlps": "head_mask.npy"}.get(mode)
        return (
            what == other
            and self._folder(mode).is_dir()
            and (self._folder("joint") / what).exists()
        )


def _parts(name: str) -> tuple[str, str]:
    mode, _, what = name.partition("_")
    if mode not in FOLDERS:
        raise KeyError(f"published masks have no {name!r}; their kinds are {', '.join(FOLDERS)}")
    return mode, what


def _bytes(path: Path) -> bytes:
    if path.stat().st_size > LARGEST:
        raise _refused(path, f"has {path.stat().st_size:,} bytes, far more than a mask takes")
    return path.read_bytes()


def plain_array(path: Path, dimensions: int) -> np.ndarray:
    """An untrusted .npy file of so many dimensions, of finite numbers; ValueError in one sentence for all else."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there; {WAY_OUT}")
    content = io.BytesIO(_bytes(path))
    try:
        array = np.lib.format.read_array(
            content, allow_pickle=False
        )  # np.load would open archives, too
    except (ValueError, EOFError, OSError, MemoryError, SyntaxError) as fault:
        said = " ".join(str(fault).split())[:80]
        raise _refused(
            path, f"is not an array in numpy's format, or holds objects ({said})"
        ) from None
    if array.dtype.kind not in "biuf":
        raise _refused(path, f"holds {array.dtype}, not numbers")
    if array.ndim != dimensions or not array.size:
        raise _refused(
            path,
            f"has shape {array.shape}, not {'[layers, heads]' if dimensions == 2 else '[layers]'}",
        )
    if not np.isfinite(array).all():
        raise _refused(path, "holds values that are not finite")
    return array


def _checked(path: Path, dimensions: int) -> np.ndarray:
    array = plain_array(path, dimensions)
    if path.stem.endswith("mask"):
        odd = array[(array != 0) & (array != 1)]
        if odd.size:
            raise _refused(path, f"holds {odd.flat[0]}; a mask holds only 0 and 1")
        return array.astype(bool)
    if (array < 0).any():
        raise _refused(path, "holds a negative importance")
    return array.astype(float)


def _refused(path: Path, why: str) -> ValueError:
    return ValueError(f"{path} {why}; {WAY_OUT}")
