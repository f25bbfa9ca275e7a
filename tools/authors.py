"""Put the masks that the paper's authors published into one file of lib/paper.

python -m tools.authors path/to/masks      the folder masks/ of a checkout of their code
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from lib.artefacts import formats
from lib.data.glue import TASKS
from lib.paper import authors
from lib.paper.masks import FOLDERS, PublishedMasks

SEEDS = (1337, 42, 86, 71, 166)
SOURCE = "https://github.com/sai-prasanna/bert-experiments, commit f02280f, masks/"
UNITS = {"joint": ("head", "mlp"), "heads": ("head",), "mlps": ("mlp",)}


def main(folder: Path) -> None:
    """Read every array as an untrusted file, and write them together."""
    arrays: dict[str, np.ndarray] = {}
    for mode, units in UNITS.items():
        for name in (f"{mode}_{unit}_{kind}" for unit in units for kind in ("mask", "importance")):
            every = [
                [PublishedMasks(folder, task, seed).load(f"{name}.npy") for seed in SEEDS]
                for task in TASKS
            ]
            arrays[name] = np.asarray(every, np.uint8 if "mask" in name else np.float32)
    digest = hashlib.sha256()
    for path in sorted(p for mode in FOLDERS.values() for p in (folder / mode).rglob("*.npy")):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    about = {
        "source": SOURCE,
        "sha256 of the files": digest.hexdigest(),
        "tasks": list(TASKS),
        "seeds": SEEDS,
    }
    # one key: safetensors would write several in no fixed order
    formats.write(authors.FILE, (arrays, {"about": json.dumps(about)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
