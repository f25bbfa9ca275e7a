"""What a subnetwork is: a frozen value that says which units, or which single weights, are kept.

Two kinds, one for each way of pruning in the paper:
`Mask` (s-pruning, §3.3) keeps whole attention heads and MLPs; `WeightMask` (m-pruning, §3.2) keeps single weights.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


def _frozen(values, dimensions: int, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise ValueError(
            f"{name} must hold only 0 and 1 (or booleans), not {array.ravel()[~np.isin(array.ravel(), (0, 1))][0]}"
        )
    if array.ndim != dimensions:
        raise ValueError(f"{name} must have {dimensions} dimension(s), not shape {array.shape}")
    array = array.astype(bool)  # a copy: the caller's array stays the caller's
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Mask:
    """Which heads and MLPs are kept: ξ and ν of the paper's §3.3, as booleans.

    heads: bool [layers, heads], the head mask ξ. mlps: bool [layers], the MLP mask ν.
    Both arrays are read-only copies. Masks compare by value and can be keys of a dict.
    """

    heads: np.ndarray
    mlps: np.ndarray

    def __post_init__(self):
        object.__setattr__(self, "heads", _frozen(self.heads, 2, "heads"))
        object.__setattr__(self, "mlps", _frozen(self.mlps, 1, "mlps"))
        if len(self.heads) != len(self.mlps):
            raise ValueError(f"heads has {len(self.heads)} layers but mlps has {len(self.mlps)}")

    @classmethod
    def full(cls, layers: int, heads: int) -> "Mask":
        """Everything kept."""
        return cls(np.ones((layers, heads), bool), np.ones(layers, bool))

    @property
    def n_heads(self) -> int:
        """How many heads are kept."""
        return int(self.heads.sum())

    @property
    def n_mlps(self) -> int:
        """How many MLPs are kept."""
        return int(self.mlps.sum())

    def share_of_weights(self, hidden: int, intermediate: int) -> float:
        """The share (0 to 1) of the encoder's linear weights that the kept heads and MLPs hold.

        hidden is the model's width d, intermediate the MLP's. A head has 4·d·d_h weights (query, key, value and its
        slice of the output projection), an MLP 2·d·intermediate; biases are left out.
        """
        head = 4 * hidden * (hidden // self.heads.shape[1])
        mlp = 2 * hidden * intermediate
        return (self.n_heads * head + self.n_mlps * mlp) / (
            self.heads.size * head + self.mlps.size * mlp
        )

    def __eq__(self, other):
        if not isinstance(other, Mask):
            return NotImplemented
        return np.array_equal(self.heads, other.heads) and np.array_equal(self.mlps, other.mlps)

    def __hash__(self):
        return hash((self.heads.shape, self.heads.tobytes(), self.mlps.tobytes()))

    @property
    def digest(self) -> str:
        """A hash of the mask: which trained subnetwork is whose."""
        return hashlib.sha256(
            repr(self.heads.shape).encode() + self.heads.tobytes() + self.mlps.tobytes()
        ).hexdigest()

    def __str__(self):
        return f"{self.n_heads} of {self.heads.size} heads, {self.n_mlps} of {self.mlps.size} MLPs"


@dataclass(frozen=True, eq=False, repr=False)
class WeightMask:
    """Which single weights are kept, one bit each, for the parameters that m-pruning may touch (§3.2).

    bits: {parameter name: uint8 [ceil(size / 8)]}, as numpy.packbits gives them. shapes: {parameter name: shape}.
    BERT-base has 85 M such weights: as bits a mask takes 10 MiB, as booleans eight times that.
    """

    bits: Mapping[str, np.ndarray]
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, kept: Mapping[str, np.ndarray]) -> "WeightMask":
        """From {parameter name: bool array of the parameter's shape}."""
        return cls(
            {name: np.packbits(array.ravel()) for name, array in kept.items()},
            {name: tuple(array.shape) for name, array in kept.items()},
        )

    def __getitem__(self, name: str) -> np.ndarray:
        """The mask of one parameter: bool, in the parameter's shape."""
        shape = self.shapes[name]
        return np.unpackbits(self.bits[name], count=int(np.prod(shape))).astype(bool).reshape(shape)

    def __iter__(self):
        return iter(self.shapes)

    @property
    def size(self) -> int:
        """How many weights the mask speaks of."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    @property
    def kept(self) -> int:
        """How many weights it keeps."""
        return sum(int(np.bitwise_count(bits).sum()) for bits in self.bits.values())

    @property
    def share(self) -> float:
        """The share (0 to 1) of weights kept."""
        return self.kept / self.size

    @property
    def digest(self) -> str:
        """A hash of the mask: which trained subnetwork is whose."""
        whole = hashlib.sha256(json.dumps(self.shapes).encode())
        for name in self:
            whole.update(self.bits[name])
        return whole.hexdigest()

    def __str__(self):
        return f"{self.kept:,} of {self.size:,} weights"

    __repr__ = __str__  # who shows a mask in a notebook wants its size, not its bits

    def __eq__(self, other):
        if not isinstance(other, WeightMask):
            return NotImplemented
        return self.shapes == other.shapes and all(
            np.array_equal(self.bits[n], other.bits[n]) for n in self
        )

    __hash__ = None  # compared, never a key: hashing ten megabytes would be a surprise

    def to_tensors(self) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """(tensors, metadata), as the store keeps them."""
        return dict(self.bits), {"shapes": json.dumps(self.shapes)}

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
    ) -> "WeightMask":
        """The inverse of `to_tensors`."""
        shapes = {name: tuple(shape) for name, shape in json.loads(metadata["shapes"]).items()}
        return cls({name: tensors[name] for name in shapes}, shapes)


def surviving_shares(mask: WeightMask, layers: int, heads: int) -> tuple[np.ndarray, np.ndarray]:
    """The share of weights that survive in each head [layers, heads] and in each MLP [layers] (Fig. 1a).

    A head's weights are its rows of query, key and value and its columns of the attention's output projection; an
    MLP's are those of its two linear layers. Biases that belong to no single head or are not prunable are left out.
    """
    in_heads, in_mlps = np.empty((layers, heads)), np.empty(layers)
    prefix = next(iter(mask)).split(".layer.")[0]
    for layer in range(layers):
        at = f"{prefix}.layer.{layer}"
        rows = [mask[f"{at}.attention.self.{name}.weight"] for name in ("query", "key", "value")]
        columns = mask[f"{at}.attention.output.dense.weight"].T
        per_head = [part.reshape(heads, -1).mean(1) for part in (*rows, columns)]
        in_heads[layer] = np.mean(per_head, axis=0)
        both = [mask[f"{at}.{name}.dense.weight"].ravel() for name in ("intermediate", "output")]
        in_mlps[layer] = np.concatenate(both).mean()
    return in_heads, in_mlps
