"""The authors' algorithm, reimplemented from their code, for the benchmarks to compare with.

Every row is padded to 128 tokens. A mask only sets gates to 0; nothing is removed. One pass over
dev gives score and importance, keeps attentions, and computes gradients of all weights and gates.
The model, optimiser, attention and matrix products are lib's, so only the algorithm differs.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:  # it needs packages that benchmarks.gpu does without
    from lib.tickets.finetuned import FineTuned

LENGTH = 128  # tokens per row, with padding
BATCH = 64  # rows per batch in passes over dev


def padded(data: Encoded, indices) -> tuple[dict[str, Tensor], Tensor]:
    """Cut out a batch as `Encoded.batch` does, but pad every row to LENGTH tokens."""
    inputs, labels = data.batch(indices)
    missing = LENGTH - inputs["input_ids"].shape[1]
    fill = {"input_ids": data.pad_id}
    return {
        name: nn.functional.pad(tensor, (0, missing), value=fill.get(name, 0))
        for name, tensor in inputs.items()
    }, labels


def fit(model: SentenceClassifier, data: Encoded, recipe: Recipe, seed: int) -> list[float]:
    """Fine-tune in place on the batches of `train.fit`; return the mean loss of each epoch."""
    rate = recipe.learning_rate
    groups = [
        {"params": model.encoder.parameters()},
        {"params": model.classifier.parameters(), "lr": rate * recipe.head_factor},
    ]
    optimizer = torch.optim.AdamW(groups, lr=rate, eps=1e-8, weight_decay=0.0, fused=True)
    steps = recipe.epochs * -(-len(data) // recipe.batch_size)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    order, losses = torch.Generator().manual_seed(seed), []
    data = data.to(model.device)
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


def _batches(data: Encoded) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
    for start in range(0, len(data), BATCH):
        yield padded(data, range(start, min(start + BATCH, len(data))))


@torch.no_grad()
def predict(model: SentenceClassifier, data: Encoded) -> np.ndarray:
    """Compute logits [rows, outputs] in the order of the rows."""
    model.eval()
    batches = _batches(data.to(model.device))
    return np.concatenate([model(**inputs).cpu().numpy() for inputs, _ in batches])


def one_pass(model: SentenceClassifier, data: Encoded, mask: Mask) -> tuple[np.ndarray, Importance]:
    """Compute a subnetwork's logits and its importance in one pass, with gates.

    Each batch takes one backward pass for the gates and all weights. Masked units stay in the
    model and get gradients, too; these are set to 0 at the end, so that both sides rank alike. The
    importance is the mean over batches of |gradient of the batch's mean loss| ("batch").
    """
    model.eval().requires_grad_(True)
    head_mask, mlp_mask = (
        torch.from_numpy(kept.astype(np.float32)).to(model.device)
        for kept in (mask.heads, mask.mlps)
    )
    heads, mlps, logits = 0.0, 0.0, []
    for inputs, labels in _batches(data.to(model.device)):
        head_gates = head_mask.clone().requires_grad_()
        mlp_gates = mlp_mask.clone().requires_grad_()
        with gates.gated(model, head_gates, mlp_gates):
            output = model(**inputs, output_attentions=True)
            example_losses(output, labels).mean().backward()
        heads = heads + head_gates.grad.abs().cpu().numpy()
        mlps = mlps + mlp_gates.grad.abs().cpu().numpy()
        logits.append(output.detach().cpu().numpy())
        model.zero_grad()
    count = len(logits)
    units = Importance(heads / count * mask.heads, mlps / count * mask.mlps)
    return np.concatenate(logits), units


def measure(subject: "FineTuned", mask: Mask) -> tuple[float, Importance]:
    """Score a subnetwork on dev, and measure its importance: `one_pass`."""
    logits, units = one_pass(subject.model, subject.dev, mask)
    return subject.rescore(logits), units


def search(subject: "FineTuned", choices: Structured) -> list[Mask]:
    """Run a joint search as `by_importance` does; return the masks that it tries, in order."""
    mask = subject.full
    tried = [mask]
    full, units = measure(subject, mask)
    floor = floor_of(full, choices.keep)
    heads = max(1, int(choices.step * mask.heads.size))
    for n_heads, n_mlps in ((heads, 1), (int(heads * choices.second_step), 0), (0, 1)):
        while True:
            ranked = importance.normalise(units, choices.normalise)
            smaller = drop_lowest(mask, ranked, n_heads, n_mlps)
            if smaller == mask:
                break
            tried.append(smaller)
            value, measured = measure(subject, smaller)
            if value < floor:
                break
            mask, units = smaller, measured
    return tried
