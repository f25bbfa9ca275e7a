"""M-pruning at the size of BERT-base: rounds that are thresholds on one ordering, against torch's global pruning.

python -m benchmarks.magnitude     BERT-base with random weights, 85 M of which can be pruned, one thread
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn.utils import prune as torch_prune
from transformers import BertConfig, BertModel

from benchmarks.sides import Claim, compare, show
from lib.pruning import gates, search
from lib.pruning.masks import WeightMask

ROUNDS = 10  # of a search: ours counts once for all of them


def claims() -> Iterator[Claim]:
    """A round, with its mask on the model."""
    torch.manual_seed(0)
    model, other = BertModel(BertConfig()), BertModel(BertConfig())
    other.load_state_dict(model.state_dict())
    layers = gates.encoder_layers(other)
    targets = [(layer.get_submodule(path), "weight") for layer in layers for path in gates.LINEARS]
    weights = {
        n: p for n, p in model.named_parameters() if n in set(gates.prunable([n], "weights"))
    }

    def rounds() -> list[WeightMask]:
        order = search.Ordering(
            {name: parameter.detach().numpy() for name, parameter in weights.items()}
        )
        left, found = order.size, []
        for _ in range(ROUNDS):
            left -= round(0.1 * left)
            found.append(order.keep(left))
            with gates.masked(model, found[-1]):
                pass
        return found

    turns = iter(range(ROUNDS))

    def one_round() -> tuple[int, list[np.ndarray]]:
        torch_prune.global_unstructured(targets, torch_prune.L1Unstructured, amount=0.1)
        return next(turns), [linear.weight_mask.numpy() for linear, _ in targets]

    def same(ours: list[WeightMask], theirs: tuple[int, list[np.ndarray]]) -> bool:
        number, masks = theirs
        return all(
            np.array_equal(ours[number][name], mask)
            for name, mask in zip(weights, masks, strict=True)
        )

    yield compare(
        "a round of m-pruning at BERT-base size",
        "torch.nn.utils.prune.global_unstructured",
        rounds,
        one_round,
        same,
        wanted=10,
        amounts=(ROUNDS, 1),
        warm=True,
    )


if __name__ == "__main__":
    show(claims())
