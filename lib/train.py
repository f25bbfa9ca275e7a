"""Fine-tuning and scoring: a plain loop, the paper's optimiser, no trainer in between (§3)."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from lib.batches import Encoded, evaluation_batches, training_batches
from lib.models import Recipe, SentenceClassifier, example_losses

EVALUATION_BATCH = 16  # larger ones fall out of a core's cache: benchmarks/evaluation.py
STANDARDISING_ROWS = 256


def fit(
    model: SentenceClassifier,
    data: Encoded,
    recipe: Recipe,
    seed: int,
    report: Callable[[int, float], None] = lambda epoch, loss: None,
) -> list[float]:
    """Fine-tune the model in place; returns the mean training loss of each epoch.

    AdamW (eps 1e-8, no weight decay), linear decay to 0, no warm-up, gradient clip 1.0 (paper §3 and its code). seed
    rules the order of the batches and dropout; the global generators are as before when this returns. report(epoch,
    loss) is called after each epoch.
    """
    new, old = [], []
    for name, parameter in model.named_parameters():
        (old if name.startswith("encoder.") else new).append(parameter)
    groups = [{"params": old}, {"params": new, "lr": recipe.learning_rate * recipe.head_factor}]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate, eps=1e-8, weight_decay=0.0, fused=True)
    order = torch.Generator().manual_seed(seed)
    steps = recipe.epochs * -(-len(data) // recipe.batch_size)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    lengths, losses = data.lengths, []
    some = range(min(len(data), STANDARDISING_ROWS))
    model.standardise(data.batch(some[i : i + EVALUATION_BATCH], model.device)[0] for i in some[::EVALUATION_BATCH])
    model.train()
    with torch.random.fork_rng():  # dropout can only draw from the global generator: seed it here, restore it after
        torch.manual_seed(seed)
        for epoch in range(recipe.epochs):
            total = torch.zeros((), device=model.device)
            for indices in training_batches(lengths, recipe.batch_size, order):
                inputs, labels = data.batch(indices, model.device)
                loss = example_losses(model(**inputs), labels).mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                decay.step()
                total += loss.detach() * len(indices)
            losses.append(float(total) / len(data))
            report(epoch + 1, losses[-1])
    model.eval()
    return losses


@torch.inference_mode()
def predict(model: SentenceClassifier, data: Encoded) -> np.ndarray:
    """Logits [rows, outputs] in the order of the rows, dropout off."""
    model.eval()
    logits = np.empty((len(data), model.classifier.out_features), np.float32)
    for indices in evaluation_batches(data.lengths, EVALUATION_BATCH):
        inputs, _ = data.batch(indices, model.device)
        logits[indices] = model(**inputs).float().cpu().numpy()
    return logits
