"""What several tests need: a tiny double-precision model, real GLUE where it is there."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from lib.data import sources
from lib.model.batches import encode
from lib.model.classifier import SentenceClassifier

GLUE = Path(__file__).resolve().parents[2] / "shared" / "glue"


@pytest.fixture(scope="session")
def tiny():
    """(model, dev data): a random BERT of 3 layers × 4 heads in float64, with biases and LayerNorms that matter."""
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
    """An outputs folder of the test's own."""
    monkeypatch.setenv("OUTPUTS_DIR", str(tmp_path / "outputs"))
    monkeypatch.delenv("MASKS_DIR", raising=False)
    return tmp_path / "outputs"


@pytest.fixture()
def glue_dir(monkeypatch):
    """Real GLUE, or a skip that says what is missing."""
    if not GLUE.is_dir():
        pytest.skip(
            f"REAL GLUE IS NOT THERE ({GLUE.name}/ beside the checkout's folder): nothing was checked on it"
        )
    monkeypatch.setenv("GLUE_DIR", str(GLUE))
    return GLUE


@pytest.fixture()
def published():
    """task → (heads [seeds, layers, heads], mlps [seeds, layers]) of the authors' own joint masks, or a loud skip."""
    folder = GLUE.parent / "published" / "masks" / "heads_mlps"
    if not folder.is_dir():
        pytest.skip(
            "THE AUTHORS' MASKS ARE NOT THERE (published/ beside the checkout's folder): nothing was checked"
        )

    def load(task):
        seeds = sorted((folder / task).glob("seed_*"))
        return tuple(
            np.stack([np.load(s / f"{n}_mask.npy") for s in seeds]).astype(bool)
            for n in ("head", "mlp")
        )

    return load


@pytest.fixture()
def masks_dir(tmp_path):
    """A masks/ folder as the authors publish it, made up: two tasks × three seeds, 3 layers × 4 heads."""
    draw = np.random.default_rng(0)
    for task in ("SST-2", "RTE"):
        for seed in (42, 86, 71):
            for kind, names in (
                ("heads_mlps", ("head", "mlp")),
                ("heads", ("head",)),
                ("mlps", ("mlp",)),
            ):
                place = tmp_path / "masks" / kind / task / f"seed_{seed}"
                place.mkdir(parents=True)
                for name in names:
                    shape = (3, 4) if name == "head" else (3,)
                    np.save(
                        place / f"{name}_mask.npy", (draw.random(shape) < 0.6).astype(np.float32)
                    )
                    np.save(place / f"{name}_importance.npy", draw.random(shape).astype(np.float32))
    return tmp_path / "masks"


torch.set_num_threads(
    1
)  # as workers do: two threads that wait for one another on a busy machine take ten times as long
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
