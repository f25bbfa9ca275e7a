"""The formats of artefacts on disk, by the suffix of their names. Nothing is ever pickled.

.npy          an array
.safetensors  (tensors, metadata)
.json         plain values
.csv, .md     text
.png, .svg    a matplotlib figure
"""

import json
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file


def write(path: Path, value) -> None:
    """Write a value in the format of the path's suffix. Raises ValueError for any other suffix."""
    match path.suffix:
        case ".npy":
            np.save(path, np.asarray(value), allow_pickle=False)
        case ".safetensors":
            tensors, metadata = value
            arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
            save_file(arrays, path, metadata)
        case ".json":
            path.write_text(json.dumps(value, indent=1, default=_plain) + "\n")
        case ".csv" | ".md":
            path.write_text(value)
        case ".png" | ".svg":
            value.savefig(path, dpi=150, bbox_inches="tight")
        case suffix:
            raise ValueError(
                f"the suffix of an artefact is {suffix!r}; "
                "it can be .npy, .safetensors, .json, .csv, .md, .png or .svg"
            )


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(
        f"{value!r} is not a plain value, so JSON cannot hold it; "
        "convert it to numbers, text, lists and dictionaries"
    )


def read(path: Path):
    """Read what `write` wrote: the same value, but a figure as the text or bytes of its file."""
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
