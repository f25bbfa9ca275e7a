"""Where models run, and how: the same file for a CPU and for a card.

On AMD's CPUs, torch's default route for matrix products (MKL) leaves half of the machine unused: AVX-512
is there, and not taken. Its other route (oneDNN) takes it, but torch opens that for float32 only under the name of
"bf16". On most CPUs nothing is rounded to bf16 there: the products are exact float32 ones. On those with matrix units
for bf16 they are not. So the route is tried on one product, and kept only if that has float32's accuracy.
"""

from functools import cache

import torch
from torch import nn


def best_device() -> torch.device:
    """The first CUDA device where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def ready(model: nn.Module) -> nn.Module:
    """The model on the best device, with what makes it fast there and changes no result but in its last digits.

    model: with an encoder as `encoder`. On a CPU attention is the plain formula: the fused one is slower by that route.
    """
    if best_device().type == "cpu" and onednn_is_exact():
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
        model.encoder.set_attn_implementation("eager")
    return model.to(best_device())


@cache
def onednn_is_exact() -> bool:
    """Are float32 products by oneDNN as accurate as MKL's on this machine? Settings are as before when this returns.

    Rounding to bf16 would make errors a few thousand times as large as those of float32.
    """
    if not torch.backends.mkldnn.is_available():
        return False
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(256, 256, generator=generator) for _ in range(2))
    exact = left.double() @ right.double()
    settings, before = torch.backends.mkldnn.matmul, torch.backends.mkldnn.matmul.fp32_precision
    errors = {}
    try:
        for precision in ("ieee", "bf16"):
            settings.fp32_precision = precision
            errors[precision] = float((left @ right - exact).abs().max())
    finally:
        settings.fp32_precision = before
    return errors["bf16"] < 10 * errors["ieee"]
