"""The masks that the paper's authors published, inside this package: nine tasks, five seeds.

They are outcomes of the authors' experiments with BERT-base, from the repository of their code,
sai-prasanna/bert-experiments, commit f02280f. `tools/authors.py` put them into one file,
authors_masks.safetensors: for each search ("joint", "heads", "mlps") and each kind of unit that it
prunes, a mask (uint8) and the importances of its last round (float32), [tasks, seeds, …].

    masks = authors.AuthorsMasks("MNLI", 42)
    masks.load("joint_head_mask.npy")  # bool [12 layers, 12 heads]
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from lib.artefacts import formats
from lib.artefacts.files import sha256

FILE = Path(__file__).with_name("authors_masks.safetensors")


@cache
def _file() -> tuple[dict[str, np.ndarray], list[str], list[int], str]:
    """Read the file: (arrays, tasks, seeds, checksum)."""
    arrays, metadata = formats.read(FILE)
    about = json.loads(metadata["about"])
    return arrays, about["tasks"], about["seeds"], sha256(FILE)


def tasks() -> list[str]:
    """The nine tasks."""
    return list(_file()[1])


def seeds() -> list[int]:
    """The five seeds."""
    return list(_file()[2])


@dataclass(frozen=True)
class AuthorsMasks:
    """The authors' masks of one task and seed; `load`, `has`, `done` work as in `store.Place`."""

    task: str
    seed: int

    @property
    def name(self) -> str:
        """A name for messages, such as authors-SST-2-seed_42."""
        return f"authors-{self.task}-seed_{self.seed}"

    def done(self) -> dict | None:
        """Return {"fingerprint": the file's checksum}; None for another task or seed."""
        _, known, drawn, checksum = _file()
        return {"fingerprint": checksum} if self.task in known and self.seed in drawn else None

    def has(self, name: str) -> bool:
        """True if there is such an array, as in `load`."""
        return self.done() is not None and (name in _names() or name in NEVER_PRUNED)

    def load(self, name: str) -> np.ndarray:
        """Load an array by notebook 03's name: a mask as bool, importance as float.

        The search "heads" prunes no MLPs, so its MLP mask keeps all; and so on for "mlps".
        Raises FileNotFoundError for a name, task or seed that there is not.
        """
        if not self.has(name):
            raise FileNotFoundError(f"the authors published no {name} for {self.name}")
        arrays, known, drawn, _ = _file()
        if name in NEVER_PRUNED:
            return np.ones_like(self.load(NEVER_PRUNED[name]))
        array = arrays[name.removesuffix(".npy")][known.index(self.task), drawn.index(self.seed)]
        return array.astype(bool if "mask" in name else float)


# units that a search does not prune, and a mask of their shape
NEVER_PRUNED = {
    "heads_mlp_mask.npy": "joint_mlp_mask.npy",
    "mlps_head_mask.npy": "joint_head_mask.npy",
}


def _names() -> set[str]:
    return {f"{name}.npy" for name in _file()[0]}
