"""Count which units survive, over seeds and tasks (paper §4.1, §4.2, Figures 1 and 6–15)."""

from collections.abc import Sequence

import numpy as np

from lib.artefacts.store import Place
from lib.pruning.masks import WeightMask


def stack(places: Sequence[Place], mode: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Load what survives at several places: (heads [places, layers, heads], mlps [places, layers]).

    mode: whose masks to load, as booleans, from notebook 03: "joint", "heads", "mlps", or an
    estimator such as "running". With None: the shares of weights that survive m-pruning, from
    notebook 02.
    """
    if mode is not None:
        arrays = [
            (place.load(f"{mode}_head_mask.npy"), place.load(f"{mode}_mlp_mask.npy"))
            for place in places
        ]
    else:
        tables = [place.load("survivors.safetensors")[0] for place in places]
        arrays = [(table["heads"], table["mlps"]) for table in tables]
    heads, mlps = zip(*arrays, strict=True)
    if len({array.shape for array in heads}) > 1:
        shapes = ", ".join(
            f"{place.name} {array.shape}" for place, array in zip(places, heads, strict=True)
        )
        raise ValueError(
            "the masks come from different models; use masks with the same numbers of layers and "
            f"heads: {shapes}"
        )
    return np.stack(heads), np.stack(mlps)


def super_survivors(masks: np.ndarray) -> np.ndarray:
    """Find the units that survive in every seed: bool [seeds, …] → bool […] (§4.2, Appendix E)."""
    return np.all(np.asarray(masks, bool), axis=0)


def expected_super_survivors(masks: np.ndarray) -> float:
    """Compute how many units random masks of the same sizes would keep in every seed, on average.

    masks: bool [seeds, …]. A random unit survives seed s with probability |m_s| / n, independently
    of the other seeds.
    """
    masks = np.asarray(masks, bool).reshape(len(masks), -1)
    return float(masks.shape[1] * masks.mean(1).prod())


def surviving_shares(mask: WeightMask, layers: int, heads: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute the share of weights kept in each head [layers, heads] and MLP [layers] (Fig. 1a).

    A head's weights are its rows of query, key and value and its columns of the attention's output
    projection. An MLP's weights are those of its two linear layers. Biases do not count.
    """
    in_heads, in_mlps = np.empty((layers, heads)), np.empty(layers)
    prefix = next(iter(mask)).split(".layer.")[0]
    for layer in range(layers):
        at = f"{prefix}.layer.{layer}"
        rows = [mask[f"{at}.attention.self.{name}.weight"] for name in ("query", "key", "value")]
        columns = mask[f"{at}.attention.output.dense.weight"].T
        per_head = [matrix.reshape(heads, -1).mean(1) for matrix in (*rows, columns)]
        in_heads[layer] = np.mean(per_head, axis=0)
        linears = [mask[f"{at}.{name}.dense.weight"].ravel() for name in ("intermediate", "output")]
        in_mlps[layer] = np.concatenate(linears).mean()
    return in_heads, in_mlps
