"""Fine-tuning and scoring: a plain loop, the paper's optimiser, no trainer in between (§3)."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from lib.model.batches import Encoded, evaluation_batches, training_batches
from lib.model.classifier import example_losses
from lib.model.device import autocast, evaluation_batch_size
from lib.model.recipes import Recipe
from lib.model.vocabulary import OccurringWords, word_embeddings
from lib.pruning.masks import WeightMask


def fit(
    model: nn.Module,
    data: Encoded,
    recipe: Recipe,
    seed: int,
    report: Callable[[int, float], None] = lambda epoch, loss: None,
    keep: WeightMask | None = None,
) -> list[float]:
    """Train the model in place; returns the mean training loss of each epoch.

    AdamW (eps 1e-8, no weight decay), linear decay to 0, no warm-up, gradient clip 1.0 (paper §3 and its code). seed
    rules the order of the batches and dropout; the global generators are as before when this returns. report(epoch,
    loss) is called after each epoch, when the model may be looked at or scored, but not changed.

    keep: train this subnetwork of single weights only (§4.2). The others are set to 0 and have no gradient, so they
    are exactly 0 after every step and count nothing when gradients are clipped.
    """
    pruned = _prune(model, keep)
    data = data.to(model.device)
    words = OccurringWords(word_embeddings(model), data)
    with words.in_place():
        optimizer = _optimizer(model, recipe)
    order = torch.Generator().manual_seed(seed)
    steps = recipe.epochs * -(-len(data) // recipe.batch_size)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    lengths, losses = data.lengths, []
    with (
        torch.random.fork_rng()
    ):  # dropout can only draw from the global generator: seed it here, restore it after
        torch.manual_seed(seed)
        for epoch in range(recipe.epochs):
            total = torch.zeros((), device=model.device)
            model.train()
            with words.in_place():
                for indices in training_batches(lengths, recipe.batch_size, order):
                    inputs, labels = data.batch(indices)
                    with autocast(model.device, recipe.precision):
                        loss = example_losses(model(**inputs), labels).mean()
                    optimizer.zero_grad()
                    loss.backward()
                    for parameter, mask in pruned:
                        parameter.grad.mul_(mask)
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.step()
                    decay.step()
                    total += loss.detach() * len(indices)
            model.eval()
            losses.append(float(total) / len(data))
            report(epoch + 1, losses[-1])
    return losses


def _optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW, with a rate of its own for what is not the encoder's."""
    new, old = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (old if name.startswith("encoder.") else new).append(parameter)
    groups = [{"params": old}, {"params": new, "lr": recipe.learning_rate * recipe.head_factor}]
    return torch.optim.AdamW(
        groups, lr=recipe.learning_rate, eps=1e-8, weight_decay=0.0, fused=True
    )


@torch.no_grad()
def _prune(model: nn.Module, keep: WeightMask | None) -> list[tuple[nn.Parameter, torch.Tensor]]:
    """Set what the mask does not keep to 0; returns (parameter, its mask as floats) for the gradients."""
    parameters, pruned = dict(model.named_parameters()), []
    for name in keep or ():
        mask = torch.from_numpy(keep[name]).to(
            parameters[name]
        )  # floats: multiplying by booleans takes 2½ times as long
        parameters[name].mul_(mask)
        pruned.append((parameters[name], mask))
    return pruned


@torch.inference_mode()
def predict(model: nn.Module, data: Encoded) -> np.ndarray:
    """Logits [rows, outputs] in the order of the rows, dropout off."""
    model.eval()
    logits = np.empty((len(data), model.classifier.out_features), np.float32)
    data = data.to(model.device)
    for indices in evaluation_batches(data.lengths, evaluation_batch_size(model.device)):
        inputs, _ = data.batch(indices)
        logits[indices] = model(**inputs).float().cpu().numpy()
    return logits
