"""How artefacts look on disk, by the suffix of their names. Nothing is ever pickled.

.npy an array · .safetensors (tensors, metadata) · .json plain values · .csv, .md text · .png, .svg a matplotlib figure
"""

import json
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file


def write(path: Path, value) -> None:
    """Write a value in the format that the path's suffix names. ValueError for another suffix."""
    match path.suffix:
        case ".npy":
            np.save(path, np.asarray(value), allow_pickle=False)
        case ".safetensors":
            tensors, metadata = value
            save_file(
                {name: np.ascontiguousarray(array) for name, array in tensors.items()},
                path,
                metadata,
            )
        case ".json":
            path.write_text(json.dumps(value, indent=1, default=_plain) + "\n")
        case ".csv" | ".md":
            path.write_text(value)
        case ".png" | ".svg":
            value.savefig(path, dpi=150, bbox_inches="tight")
        case suffix:
            raise ValueError(f"no artefact is written as {suffix!r}")


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is not a plain value that JSON can hold")


def read(path: Path):
    """What `write` wrote: the same value, but text and pictures as text and bytes."""
    match path.suffix:
        case ".npy":
            return np.load(path, allow_pickle=False)
        case ".safetensors":
            with safe_open(path, "np") as file:
                return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
        case ".json":
            return json.loads(path.read_text())
        case _:
            return path.read_text() if path.suffix in (".csv", ".md", ".svg") else path.read_bytes()
