"""Masks: frozen values that say which parts of a model a subnetwork keeps.

The paper prunes in two ways. A `Mask` (s-pruning, §3.3) keeps whole attention heads and MLPs; a
`WeightMask` (m-pruning, §3.2) keeps single weights.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


def _frozen(values, dimensions: int, name: str) -> np.ndarray:
    array = np.asarray(values)
    wrong = array[~np.isin(array, (0, 1))]
    if len(wrong):
        raise ValueError(f"{name} must hold only 0 and 1 (or booleans), not {wrong[0]}")
    if array.ndim != dimensions:
        raise ValueError(f"{name} must have {dimensions} dimension(s), not shape {array.shape}")
    array = array.astype(bool)  # a copy: the caller's array stays the caller's
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class Mask:
    """Which heads and MLPs are kept: the paper's ξ and ν (§3.3) as booleans.

    Both arrays are read-only copies. Masks compare by value and can be keys of a dict.
    heads: bool [layers, heads], the head mask ξ
    mlps: bool [layers], the MLP mask ν
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
        """Make the mask that keeps everything."""
        return cls(np.ones((layers, heads), bool), np.ones(layers, bool))

    @property
    def n_heads(self) -> int:
        """The number of heads kept."""
        return int(self.heads.sum())

    @property
    def n_mlps(self) -> int:
        """The number of MLPs kept."""
        return int(self.mlps.sum())

    def share_of_weights(self, hidden: int, intermediate: int) -> float:
        """Compute the share (0 to 1) of the encoder's linear weights in the kept heads and MLPs.

        A head has 4·d·d_h weights (query, key, value and its slice of the output projection), an
        MLP 2·d·intermediate; d is `hidden`, the model's width. Biases do not count.
        """
        head = 4 * hidden * (hidden // self.heads.shape[1])
        mlp = 2 * hidden * intermediate
        kept = self.n_heads * head + self.n_mlps * mlp
        return kept / (self.heads.size * head + self.mlps.size * mlp)

    def __eq__(self, other):
        if not isinstance(other, Mask):
            return NotImplemented
        return np.array_equal(self.heads, other.heads) and np.array_equal(self.mlps, other.mlps)

    def __hash__(self):
        return hash((self.heads.shape, self.heads.tobytes(), self.mlps.tobytes()))

    @property
    def digest(self) -> str:
        """A hash of the mask, to recognise its trained subnetwork by."""
        shape = repr(self.heads.shape).encode()
        return hashlib.sha256(shape + self.heads.tobytes() + self.mlps.tobytes()).hexdigest()

    def __str__(self):
        return f"{self.n_heads} of {self.heads.size} heads, {self.n_mlps} of {self.mlps.size} MLPs"


@dataclass(frozen=True, eq=False, repr=False)
class WeightMask(Mapping[str, np.ndarray]):
    """Which single weights are kept, of the parameters that m-pruning may touch (§3.2).

    A mapping {parameter name: bool array in the parameter's shape}. It stores bits and unpacks them
    on access: BERT-base's 85 M such weights take 10 MiB as bits, eight times that as booleans.
    bits: {parameter name: uint8 [ceil(size / 8)]}, from numpy.packbits
    shapes: {parameter name: shape}
    """

    bits: Mapping[str, np.ndarray]
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, kept: Mapping[str, np.ndarray]) -> "WeightMask":
        """Make a mask from {parameter name: bool array in the parameter's shape}."""
        return cls(
            {name: np.packbits(array.ravel()) for name, array in kept.items()},
            {name: tuple(array.shape) for name, array in kept.items()},
        )

    def __getitem__(self, name: str) -> np.ndarray:
        """Unpack the mask of one parameter."""
        shape = self.shapes[name]
        return np.unpackbits(self.bits[name], count=int(np.prod(shape))).astype(bool).reshape(shape)

    def __iter__(self):
        return iter(self.shapes)

    def __len__(self):
        return len(self.shapes)

    @property
    def size(self) -> int:
        """The number of weights that the mask covers, kept or not."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    @property
    def kept(self) -> int:
        """The number of weights kept."""
        return sum(int(np.bitwise_count(bits).sum()) for bits in self.bits.values())

    @property
    def share(self) -> float:
        """The share (0 to 1) of weights kept."""
        return self.kept / self.size

    @property
    def digest(self) -> str:
        """A hash of the mask, to recognise its trained subnetwork by."""
        whole = hashlib.sha256(json.dumps(self.shapes).encode())
        for name in self:
            whole.update(self.bits[name].tobytes())
        return whole.hexdigest()

    def __str__(self):
        return f"{self.kept:,} of {self.size:,} weights"

    __repr__ = __str__  # a notebook should show the mask's size, not its bits

    def __eq__(self, other):
        if not isinstance(other, WeightMask):
            return NotImplemented
        return self.shapes == other.shapes and all(
            np.array_equal(self.bits[n], other.bits[n]) for n in self
        )

    __hash__ = None  # not a dictionary key: hashing ten megabytes would be a surprise

    def to_tensors(self) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Return (tensors, metadata) for the store."""
        return dict(self.bits), {"shapes": json.dumps(self.shapes)}

    @classmethod
    def from_tensors(
        cls, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
    ) -> "WeightMask":
        """Read back what `to_tensors` returned."""
        shapes = {name: tuple(shape) for name, shape in json.loads(metadata["shapes"]).items()}
        return cls({name: tensors[name] for name in shapes}, shapes)
