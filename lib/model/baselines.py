"""What could be had without a Transformer: bags of words and a BiLSTM, on the encoder's own word embeddings (Table 2).

The GLUE baselines that the paper quotes read GloVe or ELMo. These read the word embeddings of the encoder that is
being pruned, so that they start from as much pre-training as its lowest layer holds: frozen, or learned further. What
they do with them is as in Wang et al. (2018): a vector u for each sentence, the mean (CBOW) or the maximum over a
BiLSTM's states; for pairs [u; v; |u − v|; u ⊙ v]; then a hidden layer of 512 and a linear one.
"""

import torch
from torch import Tensor, nn

from lib.model.recipes import Recipe

KINDS = ("CBOW", "BiLSTM")
RECIPE = Recipe(learning_rate=2e-3, epochs=10, batch_size=16)  # measured: benchmarks/recipes.py
HIDDEN, STATES, DROPOUT = 512, 128, 0.2


class WordVectors(nn.Module):
    """Sentence vectors from word embeddings: their mean, or the maximum over the states of a BiLSTM."""

    def __init__(self, kind: str, table: nn.Embedding, learned: bool):
        super().__init__()
        self.table = nn.Embedding.from_pretrained(table.weight.detach().clone(), freeze=not learned)
        directions = 0 if kind == "CBOW" else 2
        # two LSTMs over rows that are padded on the right, the second one over turned rows: what a bidirectional one
        # computes over packed rows, faster (benchmarks/retraining.py)
        self.lstms = nn.ModuleList(
            nn.LSTM(table.embedding_dim, STATES, batch_first=True) for _ in range(directions)
        )
        self.width = directions * STATES or table.embedding_dim

    def get_input_embeddings(self) -> nn.Embedding:
        """The table of word embeddings, under the name that encoders have for it."""
        return self.table

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        """words: ids [batch, longest], lengths [batch] ≥ 1 → vectors [batch, width]."""
        column = torch.arange(words.shape[1], device=words.device)
        real = (column < lengths[:, None]).unsqueeze(-1)
        if not self.lstms:
            return (self.table(words) * real).sum(1) / lengths[:, None]
        turned = words.gather(1, (lengths[:, None] - 1 - column).clamp(min=0))
        states = [
            lstm(self.table(order))[0]
            for lstm, order in zip(self.lstms, (words, turned), strict=True)
        ]
        return torch.cat(states, -1).masked_fill(~real, -torch.inf).amax(1)


class Baseline(nn.Module):
    """CBOW or BiLSTM on a table of word embeddings: logits [batch, outputs], from the inputs that an encoder gets.

    kind: "CBOW" or "BiLSTM". table: the encoder's word embeddings, copied; learned: may training change them? pair: are
    there two sentences in a row? separator: the token between them. seed: of all other weights.
    """

    def __init__(
        self,
        kind: str,
        table: nn.Embedding,
        learned: bool,
        pair: bool,
        separator: int,
        outputs: int,
        seed: int,
    ):
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"the baseline is {kind!r}; it can be one of {', '.join(KINDS)}")
        self.pair, self.separator = pair, separator
        with torch.random.fork_rng(
            devices=[]
        ):  # an LSTM can only draw its weights from the global generator
            torch.manual_seed(seed)
            self.encoder = WordVectors(kind, table, learned)
            features = self.encoder.width * (4 if pair else 1)
            self.hidden = nn.Sequential(
                nn.Dropout(DROPOUT), nn.Linear(features, HIDDEN), nn.Tanh(), nn.Dropout(DROPOUT)
            )
            self.classifier = nn.Linear(HIDDEN, outputs)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.classifier.weight.device

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **_inputs: Tensor) -> Tensor:
        ends = attention_mask.sum(1) - 1  # of the closing separator
        first = (
            (input_ids == self.separator).int().argmax(1)
        )  # of the separator behind the first sentence
        u = self._vector(input_ids, torch.ones_like(first), first)
        if not self.pair:
            return self.classifier(self.hidden(u))
        v = self._vector(input_ids, first + 1, ends)
        return self.classifier(self.hidden(torch.cat([u, v, (u - v).abs(), u * v], -1)))

    def _vector(self, words: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """The vectors of the sentences words[i, start[i] : end[i]]; an empty one is read as the word that follows."""
        lengths = (end - start).clamp(min=1)
        at = start[:, None] + torch.arange(int(lengths.max()), device=words.device)
        return self.encoder(words.gather(1, at.clamp(max=words.shape[1] - 1)), lengths)
