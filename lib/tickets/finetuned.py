"""A fine-tuned model with its dev set: notebook 01 makes it, the pruning notebooks restore it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch

from lib.artefacts.store import Place
from lib.data import glue, sources
from lib.data.sources import hub
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

    train: the training rows, or None if they were not loaded
    """

    task: str
    model: SentenceClassifier
    dev: Encoded
    score: float
    train: Encoded | None = None

    @property
    def training_rows(self) -> Encoded:
        """The training rows; ValueError if the model was restored without them."""
        if self.train is None:
            raise ValueError("the model has no training rows; use restore(place, with_train=True)")
        return self.train

    @property
    def full(self) -> Mask:
        """The mask that keeps everything."""
        return Mask.full(*gates.shape(self.model))

    def on(self, rows: Sequence[int] | np.ndarray) -> "FineTuned":
        """The same model with only these dev rows; its score is the score on them."""
        dev = self.dev.take(rows)
        score = glue.score(self.task, train.predict(self.model, dev), dev.labels)
        return replace(self, dev=dev, score=score)

    def rescore(
        self,
        logits: np.ndarray,
        stsb_score: glue.StsbScore = "pearson",
        rows: Sequence[int] | slice = slice(None),
    ) -> float:
        """Compute the task's metric for logits [rows, outputs] on the dev rows, or some of them."""
        return glue.score(self.task, logits, self.dev.labels[rows], stsb_score)

    def score_of(
        self,
        mask: Mask | WeightMask,
        stsb_score: glue.StsbScore = "pearson",
        emptied_bias: Literal["kept", "dropped"] = "kept",
    ) -> float:
        """Score a subnetwork on dev, pruned but not retrained.

        emptied_bias: for heads and MLPs; see `subnetworks.Retraining`
        """
        if isinstance(mask, Mask):
            small = compact(self.model, mask, emptied_bias)
            return self.rescore(train.predict(small, self.dev), stsb_score)
        with gates.masked(self.model, mask):
            return self.rescore(train.predict(self.model, self.dev), stsb_score)

    def size_of(self, mask: Mask | WeightMask) -> float:
        """The share of the encoder's prunable weights that a mask keeps, from 0 to 1 (Table 2)."""
        if isinstance(mask, WeightMask):
            return mask.share
        config = self.model.encoder.config
        return mask.share_of_weights(config.hidden_size, config.intermediate_size)

    def measure(
        self,
        mask: Mask,
        floor: float = -np.inf,
        stsb_score: glue.StsbScore = "pearson",
        masked: importance.Masked = "removed",
        tokens: bool = False,
    ) -> tuple[float, importance.Measurement]:
        """Measure a subnetwork in one pass: (score, logits and gate gradients).

        The gradients are None if the score is under the floor.
        masked, tokens: see `importance.measure`
        """

        def passes(logits: np.ndarray, rows: Sequence[int]) -> bool:
            # nan passes, too: the full model needs its gradients even if its score is undefined
            return not self.rescore(logits, stsb_score, rows) < floor

        measured = importance.measure(self.model, self.dev, mask, passes, masked, tokens)
        return self.rescore(measured.logits, stsb_score), measured


def halves(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Split `count` rows at random: (indices of the rows that choose, of those that score).

    What is chosen on the first half can be scored on the second, which had no say in it. All models
    of a task get the same split.
    """
    order = np.random.default_rng(0).permutation(count)
    first, second = (np.sort(part) for part in np.array_split(order, 2))
    return first, second


def new(
    encoder: str,
    look_in: Sequence[str],
    task: str,
    seed: int,
    pooling: str | None = None,
    revision: str | None = None,
) -> tuple[SentenceClassifier, Any, str]:
    """Put a new classifier on a pre-trained encoder: (model, tokenizer, the encoder's origin).

    The classifier's weights are drawn with the seed.
    look_in: the sources to try for the encoder; see `lib.data.sources`
    pooling: None for the one in the encoder's recipe
    revision: the encoder's, on the hub
    Raises TypeError for an architecture that is not BERT's.
    """
    loaded, tokenizer, origin = sources.encoder(encoder, look_in, revision)
    gates.encoder_layers(loaded)
    generator = torch.Generator().manual_seed(seed)
    pooling = pooling or recipes.recipe(encoder).pooling
    model = SentenceClassifier(loaded, glue.TASKS[task].outputs, pooling, generator)
    return to_best_device(model), tokenizer, origin


def pretrained(place: Place) -> tuple[SentenceClassifier, Any]:
    """Make the model that notebook 01 started from at a place again: (model, tokenizer).

    Raises ValueError if the encoder is no longer the one that it started from.
    """
    assert place.task is not None and place.seed is not None, "01 runs for a task and a seed"
    result = place.load("result.json")
    parameters, pooling = result["parameters"], result["recipe"]["pooling"]
    encoder, look_in = parameters["encoder"], parameters["look_in"]
    revision = hub.revision_in(result["encoder"])
    model, tokenizer, origin = new(encoder, look_in, place.task, place.seed, pooling, revision)
    if origin != result["encoder"]:
        raise ValueError(
            f"the encoder {encoder} is not the one that {place.name} was trained from ({origin} "
            f"now, {result['encoder']} then); bring that one back, or run notebook 01 again"
        )
    return model, tokenizer


def weights(model: SentenceClassifier) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return a model's state as (tensors, metadata) for the store."""
    return {name: tensor.cpu().numpy() for name, tensor in model.state_dict().items()}, {}


def load_weights(
    model: SentenceClassifier, stored: tuple[dict[str, np.ndarray], dict[str, str]]
) -> None:
    """Load stored weights, as `weights` returned them, into a model of the same shape."""
    model.load_state_dict({name: torch.from_numpy(array) for name, array in stored[0].items()})
    model.eval()


def restore(place: Place, with_train: bool = False) -> FineTuned:
    """Load the model that notebook 01 stored at a place, with its dev rows.

    with_train: also load its training rows
    Raises NotKeptError if the weights were not kept, as in the reference run, and ValueError if the
    encoder or the dev rows are no longer those that the model was trained from and scored on.
    """
    task = place.task
    assert task is not None, "notebook 01 runs for a task and a seed"
    stored, result = place.load("model.safetensors"), place.load("result.json")
    parameters, recipe = result["parameters"], recipes.Recipe(**result["recipe"])
    model, tokenizer = pretrained(place)
    load_weights(model, stored)
    rows = sources.rows(task, parameters["look_in"], with_train)
    rows = rows.capped(parameters["train_rows"], parameters["dev_rows"])
    dev = encode(rows.dev, tokenizer, recipe.max_length)
    if not np.array_equal(dev.labels, np.asarray(result["labels"], dev.labels.dtype)):
        raise ValueError(
            f"the dev rows of {task} differ from those that {place.name} was scored on "
            f"({result['rows']}); set GLUE_DIR as it was then, or run notebook 01 again"
        )
    train_rows = encode(rows.train, tokenizer, recipe.max_length) if with_train else None
    return FineTuned(task, model, dev, result["score"], train_rows)
