"""The CUDA cards of this machine, and which of them a process may use."""

import os

VARIABLE = "CUDA_VISIBLE_DEVICES"


def count() -> int:
    """Count the cards that this process sees, without a CUDA context in it."""
    try:
        import torch
    except ImportError:
        return 0
    return torch.cuda.device_count() if torch.backends.cuda.is_built() else 0


def of_worker(number: int, cards: int) -> dict[str, str]:
    """The variable that gives a worker one card; {} without cards.

    If the variable is set already, the worker's card is one of those that it names: the others may
    be somebody else's.
    """
    if not cards:
        return {}
    named = [card.strip() for card in os.environ.get(VARIABLE, "").split(",") if card.strip()]
    seen = named[:cards] or [str(card) for card in range(cards)]
    return {VARIABLE: seen[number % len(seen)]}
