"""Where models run, and how: the same file for a CPU and for a card.

Models are trained with bf16 matrix products where there are units for them, on cards and on newer CPUs (autocast:
weights, optimiser and losses stay float32). They are scored, and importance is measured, in float32 everywhere: what
decides over a mask is never rounded.

On AMD's CPUs, torch's default route for matrix products (MKL) does not take AVX-512, which leaves a little of the
machine unused, or nearly half of it, as the CPU goes (benchmarks/retraining.py). Its other route (oneDNN) takes it,
but torch opens that for float32 only under the name of "bf16". On most CPUs nothing is rounded to bf16 there: the
products are exact float32 ones. On those with matrix units for bf16 they are not. So the route is tried on one
product, and kept only if that has float32's accuracy.
"""

import ctypes
import platform
from functools import cache

import torch
from torch import nn


def best_device() -> torch.device:
    """The first CUDA device where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def to_best_device(model: nn.Module) -> nn.Module:
    """The model on the best device, with what makes it fast there and changes no result but in its last digits.

    model: with an encoder as `encoder`. On a CPU attention is the plain formula: the fused one is slower by that route.
    """
    if best_device().type == "cpu":
        keep_freed_memory()
        if onednn_is_exact():
            torch.backends.mkldnn.matmul.fp32_precision = "bf16"
            model.encoder.set_attn_implementation("eager")
    return model.to(best_device())


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context for the forward pass of a training step; see `models.Recipe.precision`.

    Weights, optimiser and losses stay float32. With "float32", or without units for bf16, it does nothing.
    """
    return torch.autocast(
        device.type, torch.bfloat16, enabled=precision == "mixed" and multiplies_bf16(device)
    )


def multiplies_bf16(device: torch.device) -> bool:
    """Has the device units for products of bf16 numbers?"""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    units = torch.cpu.get_capabilities()
    return bool(units.get("avx512_bf16") or units.get("amx_bf16"))


def evaluation_batch_size(device: torch.device) -> int:
    """How many rows to score at once. On a CPU more than a few fall out of a core's cache (benchmarks/search.py)."""
    return 256 if device.type == "cuda" else 16


@cache
def keep_freed_memory() -> None:
    """Let the C library keep what is freed, for the next tensor of that size.

    By default glibc hands large blocks back to the system at once, and each step of training asks for the same ones
    again, a page at a time (benchmarks/heap.py). Other C libraries are left as they are.
    """
    if platform.libc_ver()[0] == "glibc":
        trim_threshold, mmap_threshold = -1, -3  # the names of these numbers are in malloc.h
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(mmap_threshold, 32 << 20)  # the most that it takes
        mallopt(trim_threshold, (1 << 31) - 1)


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
