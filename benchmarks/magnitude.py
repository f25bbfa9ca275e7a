"""Time m-pruning at the size of BERT-base: thresholds on one ordering against torch's pruning.

python -m benchmarks.magnitude     BERT-base with random weights, 85 M of them prunable, one thread
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn
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
    yield compare_rounds("a round of m-pruning at BERT-base size", model, torch_pruned, wanted=10)


def compare_rounds(
    work: str,
    model: nn.Module,
    torch_pruned: nn.Module,
    score: Callable[[], object] = lambda: None,
    score_as_authors: Callable[[], object] = lambda: None,
    **options,
) -> Claim:
    """Compare a round of m-pruning: make a mask, put it on the model, and score it.

    model, torch_pruned: two copies; the second one stays pruned
    score, score_as_authors: score the first and the second model; by default nothing is scored
    options: of `sides.compare`
    """
    layers = gates.encoder_layers(torch_pruned)
    targets = [(layer.get_submodule(path), "weight") for layer in layers for path in gates.LINEARS]
    prunable = set(gates.prunable(dict(model.named_parameters()), "weights"))
    weights = {name: p for name, p in model.named_parameters() if name in prunable}

    def all_rounds() -> list[WeightMask]:
        order = search.Ordering(
            {name: parameter.detach().cpu().numpy() for name, parameter in weights.items()}
        )
        left, masks = order.size, []
        for _ in range(ROUNDS):
            left -= round(0.1 * left)
            masks.append(order.keep(left))
            with gates.masked(model, masks[-1]):
                score()
        return masks

    numbers = iter(range(ROUNDS))

    def one_round() -> tuple[int, list[torch.Tensor]]:
        torch_prune.global_unstructured(targets, torch_prune.L1Unstructured, amount=0.1)
        score_as_authors()
        return next(numbers), [linear.weight_mask for linear, _ in targets]

    def same(ours: list[WeightMask], theirs: tuple[int, list[torch.Tensor]]) -> bool:
        number, masks = theirs
        differ = sum(
            np.count_nonzero(ours[number][name] != mask.cpu().numpy().astype(bool))
            for name, mask in zip(weights, masks, strict=True)
        )
        # of weights of equal magnitude, a GPU may prune others
        return differ <= (1e-6 * ours[number].size if masks[0].is_cuda else 0)

    return compare(
        work,
        "torch.nn.utils.prune.global_unstructured",
        all_rounds,
        one_round,
        same,
        amounts=(ROUNDS, 1),
        warm=True,
        **options,
    )


if __name__ == "__main__":
    show(claims())
