"""The formats of artefacts on disk, by the suffix of their names. Nothing is ever pickled.

.npy          an array
.safetensors  (tensors, metadata)
.json         plain values
.csv, .md     text
.png, .svg    a matplotlib figure

The same value gives the same bytes, in every process and at every time.
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
            _sort_metadata(path)
        case ".json":
            path.write_text(json.dumps(value, indent=1, default=_plain) + "\n")
        case ".csv" | ".md":
            path.write_text(value)
        case ".png" | ".svg":
            from matplotlib import rc_context

            # without these, an SVG has random ids and today's date
            dated = {"metadata": {"Date": None}} if path.suffix == ".svg" else {}
            with rc_context({"svg.hashsalt": "all-tickets"}):
                value.savefig(path, dpi=150, bbox_inches="tight", **dated)
        case suffix:
            raise ValueError(
                f"the suffix of an artefact is {suffix!r}; "
                "it can be .npy, .safetensors, .json, .csv, .md, .png or .svg"
            )


def _sort_metadata(path: Path) -> None:
    """Put the metadata of a .safetensors file into order: its writer's order is random.

    The header is JSON and stays as long as it is; its length is the file's first eight bytes.
    """
    with open(path, "r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        if "__metadata__" not in header:
            return
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        file.seek(8)
        file.write(text.ljust(length))


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
