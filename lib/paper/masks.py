"""Read published masks, in the layout of the authors' code, as if notebook 03 had made them.

    <masks_dir>/{heads_mlps,heads,mlps}/<TASK>/seed_<n>/
        {head_mask,mlp_mask,head_importance,mlp_importance}.npy

masks_dir is the folder `masks` of a checkout. A notebook's parameter names it, or else the variable
MASKS_DIR. The files are not trusted: anything but a small array of plain numbers is refused.
"authors" stands for the paper's own masks, which are in this package: `lib.paper.authors`.
"""

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lib.artefacts.files import read_regular
from lib.artefacts.store import Place
from lib.paper.authors import AuthorsMasks

FOLDERS = {"joint": "heads_mlps", "heads": "heads", "mlps": "mlps"}
AUTHORS = Path("authors")  # in place of a folder: the masks that are in this package
ENCODER = "bert-base-uncased"  # the model that the authors pruned
ABOUT = "masks published by the paper's authors, not made here"  # for captions
LARGEST = 1_000_000  # bytes; BERT-large's importances take 3 kB
STEP = "03_structured_pruning"
WAY_OUT = "copy it from the authors' repository again, or leave its task out"


def masks_folder(masks_dir: str = "") -> Path | None:
    """Find the folder of published masks that masks_dir names, or else the variable MASKS_DIR.

    None if neither is set. AUTHORS, which is no folder, for "authors", unless the variable is set.
    Raises ValueError if it has none of the folders in FOLDERS.
    """
    variable = os.environ.get("MASKS_DIR", "")
    named = variable if masks_dir in ("", AUTHORS.name) else masks_dir
    if not named:
        return AUTHORS if masks_dir else None
    # os.path's functions answer where Path's raise: links in a circle, names that are too long
    folder = Path(os.path.realpath(os.path.expanduser(named)))
    if not any(os.path.isdir(folder / name) for name in FOLDERS.values()):
        inside = folder / "masks"
        hint = (
            f"; did you mean {inside}?"
            if os.path.isdir(inside)
            else ", or leave it empty to use the masks of your own runs"
        )
        raise ValueError(
            f"MASKS_DIR (or masks_dir) is {named!r}, which has none of the folders "
            f"{', '.join(FOLDERS.values())}; set it to the folder masks/ of a checkout of the "
            f"authors' code{hint}"
        )
    return folder


def find(
    profile: str, tasks: Sequence[str], seeds: Sequence[int], folder: Path | None
) -> dict[tuple[str, int], "Place | PublishedMasks | AuthorsMasks"]:
    """Find the finished masks: {(task, seed): place}, without the pairs that have none.

    folder: from `masks_folder`; None means places of notebook 03 instead of published masks
    """

    def place(task: str, seed: int) -> "Place | PublishedMasks | AuthorsMasks":
        if folder is None:
            return Place(profile, STEP, task, seed)
        if folder == AUTHORS:
            return AuthorsMasks(task, seed)
        return PublishedMasks(folder, task, seed)

    places = {(task, seed): place(task, seed) for task in tasks for seed in seeds}
    return {pair: place for pair, place in places.items() if place.done()}


@dataclass(frozen=True)
class PublishedMasks:
    """The published masks of one task and seed; `load`, `has`, `done` work as in `store.Place`."""

    folder: Path
    task: str
    seed: int

    @property
    def name(self) -> str:
        """A name for messages, such as published-SST-2-seed_42."""
        return f"published-{self.task}-seed_{self.seed}"

    def done(self) -> dict | None:
        """Return {"fingerprint": a hash of all files}, or None if the joint folder has no file."""
        files = sorted(path for mode in FOLDERS for path in self._folder(mode).glob("*.npy"))
        if not any(path.parent == self._folder("joint") for path in files):
            return None
        digest = hashlib.sha256()
        for path in files:
            digest.update(path.relative_to(self.folder).as_posix().encode() + _bytes(path))
        return {"fingerprint": digest.hexdigest()}

    def has(self, name: str) -> bool:
        """True if the array exists; names are those of notebook 03, such as joint_head_mask.npy."""
        mode, file = _mode_and_file(name)
        return os.path.lexists(self._folder(mode) / file) or self._never_pruned(mode, file)

    def load(self, name: str) -> np.ndarray:
        """Load an array: a mask as bool, importance as float.

        The search "heads" prunes no MLPs and has no file for them, so its MLP mask keeps all; the
        same goes for the heads in "mlps".
        Raises FileNotFoundError for a missing file, ValueError for a file that is refused, KeyError
        for a name without a known mode.
        """
        mode, file = _mode_and_file(name)
        path = self._folder(mode) / file
        if not os.path.lexists(path) and self._never_pruned(mode, file):
            return np.ones_like(self.load(f"joint_{file}"))
        array = _checked(path, 2 if file.startswith("head") else 1)
        partner = path.with_name(
            file.replace("head_", "mlp_") if "head_" in file else file.replace("mlp_", "head_")
        )
        if os.path.lexists(partner):
            layers = len(_checked(partner, 3 - array.ndim))
            if layers != len(array):
                raise _refused(
                    path, f"has {len(array)} layers, but {partner.name} beside it has {layers}"
                )
        return array

    def _folder(self, mode: str) -> Path:
        return self.folder / FOLDERS[mode] / self.task / f"seed_{self.seed}"

    def _never_pruned(self, mode: str, file: str) -> bool:
        """True if the file would be a mask of the units that this mode does not prune."""
        other = {"heads": "mlp_mask.npy", "mlps": "head_mask.npy"}.get(mode)
        return (
            file == other
            and self._folder(mode).is_dir()
            and (self._folder("joint") / file).exists()
        )


def _mode_and_file(name: str) -> tuple[str, str]:
    mode, _, file = name.partition("_")
    if mode not in FOLDERS:
        raise KeyError(
            f"there is no published array {name!r}; a name starts with {', '.join(FOLDERS)}"
        )
    return mode, file


def _bytes(path: Path) -> bytes:
    try:
        content = read_regular(path, LARGEST)
    except FileNotFoundError:  # where plain_array found a name: a link
        raise _refused(path, "is a link to a file that does not exist") from None
    except OSError as fault:
        raise _refused(path, f"cannot be read: {fault.strerror}") from None
    if len(content) > LARGEST:
        raise _refused(path, f"has over {LARGEST:,} bytes, far more than a mask needs")
    return content


def plain_array(path: Path, dimensions: int) -> np.ndarray:
    """Read an untrusted .npy file: finite numbers in an array of this many dimensions, not empty.

    Raises FileNotFoundError for a missing file, ValueError for anything else.
    """
    if not os.path.lexists(path):
        raise FileNotFoundError(f"{path} does not exist; {WAY_OUT}")
    content = io.BytesIO(_bytes(path))
    try:
        # np.load would also open archives
        array = np.lib.format.read_array(content, allow_pickle=False)
    except (ValueError, EOFError, OSError, MemoryError, SyntaxError) as error:
        reason = " ".join(str(error).split())[:80]
        raise _refused(
            path, f"is not an array in numpy's format, or holds objects ({reason})"
        ) from None
    if array.dtype.kind not in "biuf":
        raise _refused(path, f"holds {array.dtype}, not numbers")
    if array.ndim != dimensions or not array.size:
        raise _refused(
            path, f"has shape {array.shape}; it must be {dimensions}-dimensional and not empty"
        )
    if not np.isfinite(array).all():
        raise _refused(path, "holds values that are not finite")
    return array


def _checked(path: Path, dimensions: int) -> np.ndarray:
    array = plain_array(path, dimensions)
    if path.stem.endswith("mask"):
        others = array[(array != 0) & (array != 1)]
        if others.size:
            raise _refused(path, f"holds {others.flat[0]}; a mask holds only 0 and 1")
        return array.astype(bool)
    if (array < 0).any():
        raise _refused(path, "holds a negative importance")
    return array.astype(float)


def _refused(path: Path, why: str) -> ValueError:
    return ValueError(f"{path} {why}; {WAY_OUT}")
