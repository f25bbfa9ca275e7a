"""What a card can do at most, and how much there is to do: floating-point operations."""

import time

import torch

from benchmarks import authors
from chain.probe import BERT_BASE, SHAPES
from lib.model.device import multiplies_bf16

LONG_ENOUGH = 0.05  # seconds of a product: what starts it no longer counts
LARGEST = 8192
FORWARD, GATES, TRAINING = 1, 2, 3  # forward passes that each takes: gates need no weight gradients


def peak(device: torch.device, dtype: torch.dtype, seconds: float) -> float:
    """Measure the most operations per second of one large product of square matrices.

    Matrices grow until a product takes long enough; the fastest product counts. Float32 is what it
    is by default, without TF32.
    """
    size, best, end = 256, 0.0, time.perf_counter() + seconds
    while True:
        left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        left @ right
        while True:
            _finish(device)
            start = time.perf_counter()
            left @ right
            _finish(device)
            taken = time.perf_counter() - start
            best = max(best, 2 * size**3 / taken)
            if taken < LONG_ENOUGH and size < LARGEST:
                size *= 2
                break
            if time.perf_counter() > end:
                return best


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def precisions(device: torch.device) -> dict[str, torch.dtype]:
    """The precisions of a recipe that differ on this device, and what each multiplies."""
    mixed = {"mixed": torch.bfloat16} if multiplies_bf16(device) else {}
    return {"float32": torch.float32, **mixed}


def operations(encoder: str, widths: list[int], rows: int, passes: int) -> float:
    """Count the operations of an encoder's matrix products on batches.

    widths: tokens per row of each batch, with padding. rows: rows per batch.
    passes: FORWARD; GATES, a forward and a backward pass without gradients of weights; or TRAINING
    """
    layers, _, hidden, intermediate = SHAPES.get(encoder, BERT_BASE)
    weights = 4 * hidden**2 + 2 * hidden * intermediate
    a_row = sum(width * (2 * weights + 4 * width * hidden) for width in widths)
    return passes * layers * rows * a_row


def padded_operations(encoder: str, rows: int, passes: int) -> float:
    """Count the operations on rows that are padded to the authors' length."""
    return operations(encoder, [authors.LENGTH], rows, passes)
