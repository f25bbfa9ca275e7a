"""Who survives: counts over seeds and tasks (paper §4.1, §4.2, Figures 1 and 6–15). Arrays in, arrays out."""

from collections.abc import Sequence

import numpy as np

from lib.artefacts.store import Place


def stack(places: Sequence[Place], mode: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(heads [places, layers, heads], mlps [places, layers]) from places of notebook 03, or 02 where mode is None.

    With a mode ("joint", "heads", "mlps") the masks of that search, as booleans; without one the shares of weights
    that survive m-pruning.
    """
    if mode is not None:
        parts = [
            (place.load(f"{mode}_head_mask.npy"), place.load(f"{mode}_mlp_mask.npy"))
            for place in places
        ]
    else:
        tables = [place.load("survivors.safetensors")[0] for place in places]
        parts = [(table["heads"], table["mlps"]) for table in tables]
    heads, mlps = zip(*parts, strict=True)
    if len({part.shape for part in heads}) > 1:
        said = ", ".join(
            f"{place.name} {part.shape}" for place, part in zip(places, heads, strict=True)
        )
        raise ValueError(
            f"the masks are of different models, with different numbers of layers or heads: {said}"
        )
    return np.stack(heads), np.stack(mlps)


def survival(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean, sample standard deviation) over the first axis: what a cell of Figure 1 holds.

    values: [seeds, …], masks or shares. One seed has no deviation: nan.
    """
    values = np.asarray(values, float)
    deviation = values.std(0, ddof=1) if len(values) > 1 else np.full(values.shape[1:], np.nan)
    return values.mean(0), deviation


def super_survivors(masks: np.ndarray) -> np.ndarray:
    """The units that survive in every seed: bool [seeds, …] → bool […]. Source: paper §4.2, Appendix E."""
    return np.asarray(masks, bool).all(0)


def expected_super_survivors(masks: np.ndarray) -> float:
    """How many units would survive in every seed if each seed's mask were drawn at random with the size it has.

    masks: bool [seeds, …]. A unit survives seed s with probability |m_s| / n, and the seeds are independent.
    """
    masks = np.asarray(masks, bool).reshape(len(masks), -1)
    return float(masks.shape[1] * masks.mean(1).prod())
