"""Time m-pruning at the size of BERT-base: thresholds on one ordering against torch's pruning.

python -m benchmarks.magnitude     BERT-base with random weights, 85 M of them prunable, one thread
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch.nn.utils import prune as torch_prune
from transformers import BertConfig, BertModel

from benchmarks.sides import Claim, compare, show
from lib.pruning import gates, search
from lib.pruning.masks import WeightMask

ROUNDS = 10  # rounds of a search; lib's ordering is made once for all of them


def claims() -> Iterator[Claim]:
    """Compare the time of a round: make a mask and put it on the model."""
    torch.manual_seed(0)
    model, torch_pruned = BertModel(BertConfig()), BertModel(BertConfig())
    torch_pruned.load_state_dict(model.state_dict())
    layers = gates.encoder_layers(torch_pruned)
    targets = [(layer.get_submodule(path), "weight") for layer in layers for path in gates.LINEARS]
    prunable = set(gates.prunable(dict(model.named_parameters()), "weights"))
    weights = {name: p for name, p in model.named_parameters() if name in prunable}

    def all_rounds() -> list[WeightMask]:
        order = search.Ordering(
            {name: parameter.detach().numpy() for name, parameter in weights.items()}
        )
        left, masks = order.size, []
        for _ in range(ROUNDS):
            left -= round(0.1 * left)
            masks.append(order.keep(left))
            with gates.masked(model, masks[-1]):
                pass
        return masks

    numbers = iter(range(ROUNDS))

    def one_round() -> tuple[int, list[np.ndarray]]:
        torch_prune.global_unstructured(targets, torch_prune.L1Unstructured, amount=0.1)
        return next(numbers), [linear.weight_mask.numpy() for linear, _ in targets]

    def same(ours: list[WeightMask], theirs: tuple[int, list[np.ndarray]]) -> bool:
        number, masks = theirs
        return all(
            np.array_equal(ours[number][name], mask)
            for name, mask in zip(weights, masks, strict=True)
        )

    yield compare(
        "a round of m-pruning at BERT-base size",
        "torch.nn.utils.prune.global_unstructured",
        all_rounds,
        one_round,
        same,
        wanted=10,
        amounts=(ROUNDS, 1),
        warm=True,
    )


if __name__ == "__main__":
    show(claims())
