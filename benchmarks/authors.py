"""The authors' algorithm, written anew from what their code does, for the benchmarks to measure against.

Every row is padded to 128 tokens. A mask is a gate; nothing is ever removed. A search makes one pass over dev for the
importance, in which attentions are kept and all weights get gradients, and another one to score. The rest (model,
optimiser, attention, matrix products) is that of lib, so that only the algorithm differs.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from lib.model.batches import Encoded, training_batches
from lib.model.classifier import SentenceClassifier, example_losses
from lib.model.recipes import Recipe
from lib.pruning import gates, importance
from lib.pruning.importance import Importance
from lib.pruning.masks import Mask
from lib.pruning.search import Structured, drop_lowest, floor_of
from lib.tickets.finetuned import FineTuned

LENGTH = 128  # to which the rows are padded
BATCH = 64  # in which dev is walked through


def padded(data: Encoded, indices) -> tuple[dict[str, Tensor], Tensor]:
    """A batch as `Encoded.batch` gives it, but as long as the longest row may be."""
    inputs, labels = data.batch(indices)
    missing = LENGTH - inputs["input_ids"].shape[1]
    fill = {"input_ids": data.pad_id}
    return {
        n: nn.functional.pad(t, (0, missing), value=fill.get(n, 0)) for n, t in inputs.items()
    }, labels


def fit(model: SentenceClassifier, data: Encoded, recipe: Recipe, seed: int) -> list[float]:
    """Fine-tune in place; returns the mean loss of each epoch. The batches are those of `train.fit`."""
    optimizer = torch.optim.AdamW(
        [
            {"params": model.encoder.parameters()},
            {"params": model.classifier.parameters(), "lr": recipe.learning_rate * recipe.head_factor},
        ],
        lr=recipe.learning_rate, eps=1e-8, weight_decay=0.0, fused=True,
    )  # fmt: skip
    steps = recipe.epochs * -(-len(data) // recipe.batch_size)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    order, losses = torch.Generator().manual_seed(seed), []
    model.train()
    for _ in range(recipe.epochs):
        total = 0.0
        for indices in training_batches(data.lengths, recipe.batch_size, order):
            inputs, labels = padded(data, indices)
            loss = example_losses(model(**inputs), labels).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            decay.step()
            total += loss.item() * len(indices)
        losses.append(total / len(data))
    model.eval()
    return losses


def _walk(data: Encoded) -> Iterator[tuple[slice, dict[str, Tensor], Tensor]]:
    for start in range(0, len(data), BATCH):
        rows = range(start, min(start + BATCH, len(data)))
        yield slice(rows.start, rows.stop), *padded(data, rows)


def score(subject: FineTuned, mask: Mask) -> float:
    """A subnetwork's score on dev, by gates."""
    logits = []
    with torch.no_grad(), gates.masked(subject.model, mask):
        for _, inputs, _ in _walk(subject.dev):
            logits.append(subject.model(**inputs).numpy())
    return subject.rescore(np.concatenate(logits))


def measure(subject: FineTuned, mask: Mask) -> Importance:
    """The mean over batches of |the gradient of the batch's mean loss|: one backward pass for gates and all weights."""
    model = subject.model.eval().requires_grad_(True)
    head_gate, mlp_gate = (
        torch.from_numpy(part.astype(np.float32)) for part in (mask.heads, mask.mlps)
    )
    heads, mlps, batches = 0.0, 0.0, 0
    for _, inputs, labels in _walk(subject.dev):
        gate = head_gate.clone().requires_grad_(), mlp_gate.clone().requires_grad_()
        with gates.gated(model, *gate):
            example_losses(model(**inputs, output_attentions=True), labels).mean().backward()
        heads, mlps, batches = (
            heads + gate[0].grad.abs().numpy(),
            mlps + gate[1].grad.abs().numpy(),
            batches + 1,
        )
        model.zero_grad()
    return Importance(heads / batches * mask.heads, mlps / batches * mask.mlps)


def search(subject: FineTuned, choices: Structured) -> list[Mask]:
    """The masks tried by a joint search, in order: `by_importance` with two passes over dev a round."""
    mask = subject.full
    tried, measured = [mask], {}
    floor = floor_of(score(subject, mask), choices.keep)
    heads = choices.step * mask.heads.size
    for n_heads, n_mlps in ((round(heads), 1), (round(heads * choices.second_step), 0), (0, 1)):
        while True:
            if mask not in measured:
                measured = {mask: importance.normalise(measure(subject, mask), choices.normalise)}
            smaller = drop_lowest(mask, measured[mask], n_heads, n_mlps)
            if smaller == mask:
                break
            tried.append(smaller)
            if score(subject, smaller) < floor:
                break
            mask = smaller
    return tried
