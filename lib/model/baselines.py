"""Baselines without a Transformer (Table 2): CBOW and a BiLSTM on the encoder's word embeddings.

The GLUE baselines that the paper quotes use GloVe or ELMo. Ours use the word embeddings of the
encoder that is being pruned, frozen or trained further, so they start with as much pre-training as
its lowest layer holds. The rest follows Wang et al. (2018): each sentence becomes a vector u, the
mean of its word embeddings (CBOW) or the maximum over a BiLSTM's states; a pair of sentences
becomes [u; v; |u − v|; u ⊙ v]; then come a hidden layer of 512 and a linear layer.
"""

import torch
from torch import Tensor, nn

from lib.model.classifier import SentenceClassifier
from lib.model.recipes import Recipe

KINDS = ("CBOW", "BiLSTM")
RECIPE = Recipe(learning_rate=2e-3, epochs=10, batch_size=16)  # measured: benchmarks/recipes.py
HIDDEN, STATES, DROPOUT = 512, 128, 0.2


class WordVectors(nn.Module):
    """Sentence vectors from word embeddings: their mean, or the maximum over a BiLSTM's states."""

    def __init__(self, kind: str, table: nn.Embedding, learned: bool):
        super().__init__()
        self.table = nn.Embedding.from_pretrained(table.weight.detach().clone(), freeze=not learned)
        directions = 0 if kind == "CBOW" else 2
        # Two LSTMs, the second over reversed sentences, compute on padded rows what a bidirectional
        # LSTM computes on packed rows, but faster (benchmarks/retraining.py).
        self.lstms = nn.ModuleList(
            nn.LSTM(table.embedding_dim, STATES, batch_first=True) for _ in range(directions)
        )
        self.width = directions * STATES or table.embedding_dim

    def get_input_embeddings(self) -> nn.Embedding:
        """Return the table of word embeddings; encoders have a method of this name."""
        return self.table

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        """Compute sentence vectors [batch, width].

        words: token ids [batch, longest], padded on the right
        lengths: [batch], tokens per sentence, at least 1
        """
        column = torch.arange(words.shape[1], device=words.device)
        is_word = (column < lengths[:, None]).unsqueeze(-1)
        if not self.lstms:
            return (self.table(words) * is_word).sum(1) / lengths[:, None]
        # each sentence reversed within its own length, so that padding stays on the right
        backwards = words.gather(1, (lengths[:, None] - 1 - column).clamp(min=0))
        states = [
            lstm(self.table(ids))[0]
            for lstm, ids in zip(self.lstms, (words, backwards), strict=True)
        ]
        return torch.cat(states, -1).masked_fill(~is_word, -torch.inf).amax(1)


class Baseline(nn.Module):
    """CBOW or BiLSTM on word embeddings: takes an encoder's inputs, gives logits [batch, outputs].

    kind: "CBOW" or "BiLSTM"; ValueError for anything else
    table: the encoder's word embeddings, which are copied
    learned: True if training may change the word embeddings
    pair: True if a row has two sentences
    separator: the id of the token that ends each sentence
    seed: draws all other weights
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
        # an LSTM can only draw its weights from the global generator
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = WordVectors(kind, table, learned)
            features = self.encoder.width * (4 if pair else 1)
            self.hidden = nn.Sequential(
                nn.Dropout(DROPOUT), nn.Linear(features, HIDDEN), nn.Tanh(), nn.Dropout(DROPOUT)
            )
            self.classifier = nn.Linear(HIDDEN, outputs)

    @property
    def device(self) -> torch.device:
        """The device that the weights are on."""
        return self.classifier.weight.device

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **_inputs: Tensor) -> Tensor:
        # a row is [CLS] first [SEP], or [CLS] first [SEP] second [SEP], with two in the middle for
        # RoBERTa
        first_end = (input_ids == self.separator).int().argmax(1)
        row_end = attention_mask.sum(1) - 1
        u = self._vector(input_ids, torch.ones_like(first_end), first_end)
        if not self.pair:
            return self.classifier(self.hidden(u))
        next_token = input_ids.gather(1, first_end[:, None] + 1)[:, 0]
        v = self._vector(input_ids, first_end + 1 + (next_token == self.separator), row_end)
        return self.classifier(self.hidden(torch.cat([u, v, (u - v).abs(), u * v], -1)))

    def _vector(self, words: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """Read the sentences words[i, start[i] : end[i]]; the next token replaces an empty one."""
        lengths = (end - start).clamp(min=1)
        positions = start[:, None] + torch.arange(int(lengths.max()), device=words.device)
        return self.encoder(words.gather(1, positions.clamp(max=words.shape[1] - 1)), lengths)


Classifier = SentenceClassifier | Baseline
