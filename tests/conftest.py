"""Fixtures for all tests: a tiny double-precision model, folders, and real data if there is any."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from lib.data import sources
from lib.model.batches import encode
from lib.model.classifier import SentenceClassifier
from lib.paper import authors
from lib.paper.authors import AuthorsMasks

GLUE = Path(__file__).resolve().parents[2] / "shared" / "glue"

# One thread, as in workers: two threads that wait for each other on a busy machine take ten times
# as long.
torch.set_num_threads(1)
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.pop("GLUE_DIR", None)  # a test takes its rows from where it says


@pytest.fixture(scope="session")
def tiny():
    """Make (model, dev data): a random BERT of 3 layers × 4 heads in float64.

    Its biases and LayerNorms are not the usual zeros and ones, so tests notice if they get lost.
    """
    encoder, tokenizer, _ = sources.encoder("tiny", ["tiny"])
    generator = torch.Generator().manual_seed(0)
    model = SentenceClassifier(encoder, 2, "cls", generator).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(
                    0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.double)
                )
        model.classifier.weight.normal_(generator=generator)
    return model, encode(sources.rows("SST-2", ["tiny"]).dev[:24], tokenizer)


@pytest.fixture()
def outputs(tmp_path, monkeypatch):
    """Use an outputs folder for this test only; it does not exist yet."""
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path / "outputs"))
    monkeypatch.delenv("MASKS_DIR", raising=False)
    return tmp_path / "outputs"


@pytest.fixture()
def glue_dir(monkeypatch):
    """Use real GLUE, or skip the test and say what is missing."""
    if not GLUE.is_dir():
        pytest.skip(f"REAL GLUE IS MISSING: there is no {GLUE}; this test checked nothing")
    monkeypatch.setenv("GLUE_DIR", str(GLUE))
    return GLUE


@pytest.fixture()
def published():
    """Load the authors' joint masks of a task: task → (heads [seeds, 12, 12], mlps [seeds, 12])."""

    def load(task):
        places = [AuthorsMasks(task, seed) for seed in authors.seeds()]
        return tuple(
            np.stack([place.load(f"joint_{unit}_mask.npy") for place in places])
            for unit in ("head", "mlp")
        )

    return load


@pytest.fixture()
def masks_dir(tmp_path):
    """Make a masks/ folder with random masks, laid out like the folder that the authors published.

    It holds two tasks × three seeds, 3 layers × 4 heads.
    """
    draw = np.random.default_rng(0)
    for task in ("SST-2", "RTE"):
        for seed in (42, 86, 71):
            for kind, units in (
                ("heads_mlps", ("head", "mlp")),
                ("heads", ("head",)),
                ("mlps", ("mlp",)),
            ):
                folder = tmp_path / "masks" / kind / task / f"seed_{seed}"
                folder.mkdir(parents=True)
                for unit in units:
                    shape = (3, 4) if unit == "head" else (3,)
                    mask = (draw.random(shape) < 0.6).astype(np.float32)
                    np.save(folder / f"{unit}_mask.npy", mask)
                    importance = draw.random(shape).astype(np.float32)
                    np.save(folder / f"{unit}_importance.npy", importance)
    return tmp_path / "masks"
