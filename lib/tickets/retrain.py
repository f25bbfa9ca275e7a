"""Retraining: train subnetworks, random encoders and baselines (paper §4.2, §4.3, App. D, E).

All systems of one task and seed are trained on the same rows in the same order, from a classifier
drawn with the full model's seed, and scored on the same dev rows. Only what is trained differs.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from lib.artefacts.fingerprint import of_work
from lib.artefacts.store import Place
from lib.model import train
from lib.model.baselines import Classifier
from lib.model.classifier import SentenceClassifier
from lib.model.recipes import Recipe
from lib.pruning import gates
from lib.pruning.compact import compact
from lib.pruning.masks import Mask, WeightMask
from lib.tickets.finetuned import FineTuned

CONTROLS = (  # what else is trained at the bad s-pruned subnetwork's size
    "random layers, pre-trained embeddings",
    "shuffled pre-trained weights",
    "first layers, pre-trained",
)


@dataclass(frozen=True)
class Trained:
    """The result of one training.

    score: on dev, after the last epoch
    by_epoch: {epoch: score}, for the epochs that were scored
    losses: the mean training loss of each epoch
    """

    score: float
    by_epoch: dict[int, float]
    losses: list[float]


def starting_point(
    fresh: SentenceClassifier, tuned: SentenceClassifier, embeddings: str
) -> SentenceClassifier:
    """Copy the model that retraining starts from: pre-trained weights and a fresh classifier.

    embeddings: "finetuned" takes them from `tuned`; see `subnetworks.Retraining`
    """
    start = copy.deepcopy(fresh)
    if embeddings == "finetuned":
        _copy_embeddings(tuned, start)
    return start


def _copy_embeddings(source: SentenceClassifier, target: SentenceClassifier) -> None:
    """Copy embeddings, in place; a small ELECTRA's are narrow and have a projection beside them."""
    for name, module in target.encoder.named_children():
        if name.startswith("embeddings"):
            module.load_state_dict(source.encoder.get_submodule(name).state_dict())


def randomly_initialised(
    model: SentenceClassifier, seed: int, keep_embeddings: bool = False
) -> SentenceClassifier:
    """Copy a model with a random encoder and the same classifier (§4.3, Table 2).

    keep_embeddings: only the layers are random; a control that the paper does not have
    """
    other = copy.deepcopy(model)
    with torch.random.fork_rng(devices=[]):  # transformers draws from the global generator only
        torch.manual_seed(seed)
        other.encoder = type(model.encoder)(model.encoder.config).to(model.device)
    if keep_embeddings:
        _copy_embeddings(model, other)
    return other


@torch.no_grad()
def shuffled(model: SentenceClassifier, seed: int) -> SentenceClassifier:
    """Copy a model with the entries of each weight matrix of its layers in random order.

    What is left of pre-training is the distribution of the weights, and the embeddings, biases and
    LayerNorms. A control that the paper does not have.
    """
    other, generator = copy.deepcopy(model), torch.Generator().manual_seed(seed)
    for layer in gates.encoder_layers(other):
        for parameter in layer.parameters():
            if parameter.ndim == 2:
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return other


def subnetwork(
    subject: FineTuned,
    start: SentenceClassifier,
    mask: Mask | WeightMask,
    recipe: Recipe,
    seed: int,
    scored_from: int | None = None,
    emptied_bias: Literal["kept", "dropped"] = "kept",
) -> Trained:
    """Train a subnetwork of `start`, and score it; `start` itself does not change.

    Heads and MLPs that a `Mask` does not keep are removed, which computes the same for less work
    (tested). Weights that a `WeightMask` does not keep are 0 throughout.
    scored_from: see `train_and_score`. emptied_bias: see `subnetworks.Retraining`
    """
    if isinstance(mask, Mask):
        model = compact(start, mask, emptied_bias)
        model.standardise(subject.training_rows)
        return train_and_score(subject, model, recipe, seed, scored_from=scored_from)
    model = copy.deepcopy(start)
    with gates.masked(model, mask):
        model.standardise(subject.training_rows)
    return train_and_score(subject, model, recipe, seed, mask, scored_from)


def train_and_score(
    subject: FineTuned,
    model: Classifier,
    recipe: Recipe,
    seed: int,
    keep: WeightMask | None = None,
    scored_from: int | None = None,
) -> Trained:
    """Train a model in place on the subject's training rows, and score it on the dev rows.

    seed: rules the order of batches and dropout
    keep: the weights to train, as in `train.fit`
    scored_from: score after this epoch and all later ones; None for the last epoch only
    """
    by_epoch = {}

    def report(epoch: int, _loss: float) -> None:
        if epoch >= min(scored_from or recipe.epochs, recipe.epochs):
            by_epoch[epoch] = subject.rescore(train.predict(model, subject.dev))

    losses = train.fit(model, subject.training_rows, recipe, seed, report, keep)
    return Trained(by_epoch[recipe.epochs], by_epoch, losses)


def training_place(place: Place, result: Mapping[str, Any], recipe: Recipe, **facts) -> Place:
    """Give a place the fingerprint of one training, so that nothing else makes it train again.

    result: notebook 01's result.json, for the origins of encoder and rows
    facts: what distinguishes this training from the others
    """
    rows = {name: result["parameters"][name] for name in ("train_rows", "dev_rows")}
    everything = {"seed": place.seed, "encoder": result["encoder"], "rows": result["rows"], **rows}
    everything |= {"recipe": recipe.as_dict(), **facts}
    return replace(place, fingerprint=of_work(["lib.tickets.retrain"], everything))
