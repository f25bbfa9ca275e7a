"""The device that models run on, and the precision they compute with there.

The code is the same for a CPU and for a GPU. Training in "mixed" precision uses bf16 matrix
products on GPUs and newer CPUs that have units for them (autocast: weights, optimiser and losses
stay float32). Scores and importance are computed in float32 everywhere, so nothing that decides
about a mask is ever rounded to bf16.

On AMD's CPUs, torch's default library for matrix products (MKL) does not use AVX-512. Depending on
the CPU, that wastes a little of its speed or nearly half (benchmarks/retraining.py). The other
library (oneDNN) uses it, but torch selects it for float32 only by the setting "bf16". On most CPUs
that setting rounds nothing: the products are exact float32 products. On CPUs with matrix units for
bf16 they are rounded. So we try oneDNN on one product, and keep it only if that has float32's
accuracy.
"""

from functools import cache
from typing import Any

import torch

from lib.model.classifier import SentenceClassifier

ONEDNN: Any = torch.backends.mkldnn  # its settings have no static types


def best_device() -> torch.device:
    """Return the first CUDA device if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def to_best_device(model: SentenceClassifier) -> SentenceClassifier:
    """Move the model to the best device and make it fast there; results change in last digits only.

    Where oneDNN is used, attention is the plain formula: with oneDNN, the fused one is slower.
    model: has its encoder as `encoder`
    """
    if best_device().type == "cpu" and onednn_is_exact():
        ONEDNN.matmul.fp32_precision = "bf16"
        model.encoder.set_attn_implementation("eager")
    return model.to(best_device())


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context for the forward pass of a training step.

    It changes nothing on a device without units for bf16.
    precision: "mixed" or "float32", see `recipes.Recipe`
    """
    return torch.autocast(
        device.type, torch.bfloat16, enabled=precision == "mixed" and multiplies_bf16(device)
    )


def multiplies_bf16(device: torch.device) -> bool:
    """True if the device has units for products of bf16 numbers."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    units = torch.cpu.get_capabilities()
    return bool(units.get("avx512_bf16") or units.get("amx_bf16"))


def evaluation_batch_size(device: torch.device) -> int:
    """Return how many rows to score at once.

    On a CPU, more than a few rows do not fit into a core's cache (benchmarks/search.py).
    """
    return 256 if device.type == "cuda" else 16


@cache
def onednn_is_exact() -> bool:
    """True if oneDNN's float32 products are as accurate as MKL's on this machine.

    Tries one product with each, then restores the settings. Rounding to bf16 makes errors a few
    thousand times as large as float32's.
    """
    if not ONEDNN.is_available():
        return False
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(256, 256, generator=generator) for _ in range(2))
    exact = left.double() @ right.double()
    settings = ONEDNN.matmul
    before = settings.fp32_precision
    errors = {}
    try:
        for precision in ("ieee", "bf16"):
            settings.fp32_precision = precision
            errors[precision] = float((left @ right - exact).abs().max())
    finally:
        settings.fp32_precision = before
    return errors["bf16"] < 10 * errors["ieee"]
