"""A fine-tuned model with its dev set: built in notebook 01, taken up again by the notebooks that prune it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lib.artefacts.store import Place
from lib.data import glue, sources
from lib.model import recipes, train
from lib.model.batches import Encoded, encode
from lib.model.classifier import SentenceClassifier
from lib.model.device import to_best_device
from lib.pruning import gates, importance
from lib.pruning.compact import compact
from lib.pruning.masks import Mask, WeightMask


@dataclass(frozen=True)
class FineTuned:
    """A model of one task and seed, the task's dev rows, and the full model's score on them.

    train: the training rows, where they were asked for.
    """

    task: str
    model: SentenceClassifier
    dev: Encoded
    score: float
    train: Encoded | None = None

    @property
    def full(self) -> Mask:
        """The mask that keeps everything."""
        return Mask.full(*gates.shape(self.model))

    def rescore(
        self,
        logits: np.ndarray,
        stsb_score: str = "pearson",
        rows: Sequence[int] | slice = slice(None),
    ) -> float:
        """The task's metric on other logits [rows, outputs] for the same dev rows, or for these of them."""
        return glue.score(self.task, logits, self.dev.labels[rows], stsb_score)

    def score_of(self, mask: Mask | WeightMask, stsb_score: str = "pearson") -> float:
        """The score of a subnetwork, pruned and not retrained."""
        if isinstance(mask, Mask):
            return self.rescore(train.predict(compact(self.model, mask), self.dev), stsb_score)
        with gates.masked(self.model, mask):
            return self.rescore(train.predict(self.model, self.dev), stsb_score)

    def measure(
        self, mask: Mask, floor: float = -np.inf, stsb_score: str = "pearson"
    ) -> tuple[float, np.ndarray | None]:
        """(score, gate gradients as in `importance.measure`) of a subnetwork, in one pass; None under the floor."""
        wants_gradients = lambda logits, rows: not self.rescore(logits, stsb_score, rows) < floor  # noqa: E731
        measured = importance.measure(self.model, self.dev, mask, wants_gradients)
        return self.rescore(measured.logits, stsb_score), measured.gradients


def new(
    encoder: str, look_in: Sequence[str], task: str, seed: int, pooling: str | None = None
) -> tuple[SentenceClassifier, object, str]:
    """(model, tokenizer, the encoder's origin): the pre-trained encoder, and a classifier drawn with the seed.

    pooling: as in the encoder's recipe, if it is not said.
    """
    pretrained, tokenizer, origin = sources.encoder(encoder, look_in)
    gates.encoder_layers(pretrained)  # another architecture is refused here, in one sentence
    generator = torch.Generator().manual_seed(seed)
    pooling = pooling or recipes.recipe(encoder).pooling
    model = SentenceClassifier(pretrained, glue.TASKS[task].outputs, pooling, generator)
    return to_best_device(model), tokenizer, origin


def weights(model: SentenceClassifier) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(tensors, metadata) of a model's state, as the store keeps them."""
    return {name: tensor.cpu().numpy() for name, tensor in model.state_dict().items()}, {}


def load_weights(
    model: SentenceClassifier, stored: tuple[dict[str, np.ndarray], dict[str, str]]
) -> None:
    """Put stored weights into a model of the same shape."""
    model.load_state_dict({name: torch.from_numpy(array) for name, array in stored[0].items()})
    model.eval()


def restore(place: Place, with_train: bool = False) -> FineTuned:
    """The model that notebook 01 left at a place, with its dev rows as they were there; with_train: those, too."""
    made = place.load("result.json")
    parameters, recipe = made["parameters"], recipes.Recipe(**made["recipe"])
    look_in = parameters["look_in"]
    model, tokenizer, _ = new(
        parameters["encoder"], look_in, place.task, place.seed, recipe.pooling
    )
    load_weights(model, place.load("model.safetensors"))
    rows = sources.rows(place.task, look_in).capped(
        parameters["train_rows"], parameters["dev_rows"]
    )
    encoded = lambda part: encode(part, tokenizer, recipe.max_length)  # noqa: E731
    dev = encoded(rows.dev)
    if not np.array_equal(dev.labels, np.asarray(made["labels"], dev.labels.dtype)):
        raise ValueError(
            f"the dev rows of {place.task} are not those that {place.name} was scored on ({made['rows']}); "
            "set GLUE_DIR as it was then, or run notebook 01 again"
        )
    return FineTuned(
        place.task, model, dev, made["score"], encoded(rows.train) if with_train else None
    )
