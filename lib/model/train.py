"""Fine-tune and score: a plain loop with the paper's optimiser, no trainer in between (§3)."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn

from lib.model.baselines import Classifier
from lib.model.batches import Encoded, evaluation_batches, training_batches
from lib.model.classifier import example_losses
from lib.model.device import autocast, evaluation_batch_size
from lib.model.recipes import Recipe
from lib.model.vocabulary import OccurringWords, word_embeddings


def fit(
    model: Classifier,
    data: Encoded,
    recipe: Recipe,
    seed: int,
    report: Callable[[int, float], None] | None = None,
    keep: Mapping[str, np.ndarray] | None = None,
) -> list[float]:
    """Train the model in place, and return the mean training loss of each epoch.

    AdamW (eps 1e-8, no weight decay), linear decay to 0, no warm-up, gradients clipped at norm 1.0
    (paper §3 and its code). The global random generators are restored at the end.
    seed: decides the order of the batches and dropout
    report: called as report(epoch, loss) after each epoch, the first being 1; it may look at the
        model or score it, but not change it
    keep: {parameter name: bool array in the parameter's shape}, the single weights to train (§4.2).
        The other weights of these parameters are set to 0 and have no gradient, so they are exactly
        0 after every step, and do not count when gradients are clipped.
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
    with torch.random.fork_rng():  # dropout can only draw from the global generator
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
                        assert parameter.grad is not None
                        parameter.grad.mul_(mask)
                    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.step()
                    decay.step()
                    total += loss.detach() * len(indices)
            model.eval()
            losses.append(float(total) / len(data))
            if report is not None:
                report(epoch + 1, losses[-1])
    return losses


def _optimizer(model: Classifier, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW with two learning rates: the encoder's, and one for all other parameters."""
    encoder, others = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            (encoder if name.startswith("encoder.") else others).append(parameter)
    rate = recipe.learning_rate * recipe.head_factor
    groups = [{"params": encoder}, {"params": others, "lr": rate}]
    return torch.optim.AdamW(
        groups, lr=recipe.learning_rate, eps=1e-8, weight_decay=0.0, fused=True
    )


@torch.no_grad()
def _prune(
    model: Classifier, keep: Mapping[str, np.ndarray] | None
) -> list[tuple[nn.Parameter, torch.Tensor]]:
    """Set the weights that are not kept to 0; return (parameter, its mask) for the gradients."""
    parameters, pruned = dict(model.named_parameters()), []
    for name, kept in (keep or {}).items():
        parameter = parameters[name]
        # as floats: multiplying by booleans takes 2½ times as long
        mask = torch.from_numpy(kept).to(parameter)
        parameter.mul_(mask)
        pruned.append((parameter, mask))
    return pruned


@torch.inference_mode()
def predict(model: Classifier, data: Encoded) -> np.ndarray:
    """Compute logits, float32 [rows, outputs], in the order of the rows, with dropout off."""
    model.eval()
    logits = np.empty((len(data), model.classifier.out_features), np.float32)
    data = data.to(model.device)
    for indices in evaluation_batches(data.lengths, evaluation_batch_size(model.device)):
        inputs, _ = data.batch(indices)
        logits[indices] = model(**inputs).float().cpu().numpy()
    return logits
