"""An encoder with a linear classifier on top, for fine-tuning.

The paper fine-tunes BERT: the pooler over [CLS], dropout, one linear layer (§3). The small encoders
that pip can download are sentence encoders. Their pooler was never trained, so the mean over their
tokens is used instead. The means of any two sentences hardly differ (e5-small's have a cosine
around 0.8), so they are centred and scaled first.
"""

from typing import Any

import torch
from torch import Tensor, nn

from lib.model.batches import Encoded, evaluation_batches

STANDARDISING_ROWS, STANDARDISING_BATCH = 128, 16


class SentenceClassifier(nn.Module):
    """encoder → pooling → dropout → linear: logits [batch, outputs], 1 output for regression.

    With pooling "cls" it computes what transformers' BertForSequenceClassification does (tested).
    With pooling "mean" it standardises the pooled vectors by a fixed centre [hidden] and one scale,
    which `standardise` takes from training rows.
    encoder: a model with BertModel's layout
    pooling: "cls" or "mean"; ValueError for anything else, or if "cls" has no pooler
    generator: draws the classifier's weights from N(0, 0.02²); its bias is zero
    """

    encoder: Any  # a transformers model, whose submodules have no static types
    classifier: nn.Linear
    centre: Tensor
    scale: Tensor
    compacted_to: Any  # a Mask, in a copy made by `lib.pruning.compact`; else not set

    def __init__(self, encoder: Any, outputs: int, pooling: str, generator: torch.Generator):
        super().__init__()
        if pooling not in ("cls", "mean"):
            raise ValueError(f"pooling is {pooling!r}; it can be 'cls' or 'mean'")
        if pooling == "cls" and getattr(encoder, "pooler", None) is None:
            raise ValueError(
                f"{type(encoder).__name__} has no pooler over [CLS]; use pooling 'mean' "
                "(in a profile, finetuning: {pooling: mean})"
            )
        self.encoder, self.pooling = encoder, pooling
        self.dropout = nn.Dropout(encoder.config.hidden_dropout_prob)
        # skip_init: otherwise nn.Linear would draw weights from the global generator first
        self.classifier = nn.utils.skip_init(nn.Linear, encoder.config.hidden_size, outputs)
        nn.init.normal_(self.classifier.weight, std=0.02, generator=generator)
        nn.init.zeros_(self.classifier.bias)
        self.register_buffer("centre", torch.zeros(encoder.config.hidden_size))
        self.register_buffer("scale", torch.ones(()))

    def forward(self, **inputs: Tensor) -> Tensor:
        return self.classifier(self.dropout((self.pooled(**inputs) - self.centre) / self.scale))

    def pooled(self, **inputs: Tensor) -> Tensor:
        """Compute one vector for each example: [batch, hidden], not standardised."""
        output = self.encoder(**inputs)
        if self.pooling == "cls":
            return output.pooler_output
        is_token = inputs["attention_mask"].unsqueeze(-1).to(output.last_hidden_state)
        return (output.last_hidden_state * is_token).sum(1) / is_token.sum(1)

    @torch.no_grad()
    def standardise(self, data: Encoded) -> None:
        """Set centre and scale: the pooled vectors get mean 0 and, on average, variance 1.

        Does nothing for pooling "cls": BERT's pooler needs no standardising.
        data: training rows, of which only the first STANDARDISING_ROWS count
        """
        if self.pooling == "mean":
            self.eval()
            data = data.to(self.device)
            batches = evaluation_batches(data.lengths[:STANDARDISING_ROWS], STANDARDISING_BATCH)
            vectors = torch.cat([self.pooled(**data.batch(indices)[0]) for indices in batches])
            self.centre.copy_(vectors.mean(0))
            self.scale.copy_((vectors - self.centre).square().mean().sqrt())

    @property
    def device(self) -> torch.device:
        """The device that the weights are on."""
        return self.classifier.weight.device


def positions(encoder: Any) -> int:
    """Count the tokens that an encoder has positions for; RoBERTa's begin after that of padding."""
    table = encoder.embeddings.position_embeddings
    return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)


def example_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the loss of each example [batch]: squared error for float labels, else cross-entropy.

    The losses are float32, or float64 if the logits are.
    logits: [batch, outputs]
    labels: [batch]
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if labels.is_floating_point():
        return nn.functional.mse_loss(logits[:, 0], labels.to(logits), reduction="none")
    return nn.functional.cross_entropy(logits, labels, reduction="none")
