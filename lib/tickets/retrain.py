"""Training again: subnetworks from the pre-trained weights, random encoders, baselines (paper §4.2, §4.3, App. D, E).

Every system of one task and seed is trained on the same rows in the same order, from a classifier drawn with the same
seed as the full model's, and scored on the same dev rows. Only what is trained differs.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from lib.artefacts.fingerprint import of_work
from lib.artefacts.store import Place
from lib.model import train
from lib.model.classifier import SentenceClassifier
from lib.model.recipes import Recipe
from lib.pruning import gates
from lib.pruning.compact import compact
from lib.pruning.masks import Mask, WeightMask
from lib.tickets.finetuned import FineTuned


@dataclass(frozen=True)
class Trained:
    """How a training went. score: on dev, after the last epoch. by_epoch: {epoch: score} for those that were scored.
    losses: the mean training loss of each epoch."""

    score: float
    by_epoch: dict[int, float]
    losses: list[float]


def starting_point(
    fresh: SentenceClassifier, tuned: SentenceClassifier, embeddings: str
) -> SentenceClassifier:
    """Where retraining starts: pre-trained weights, a fresh classifier; embeddings: see `subnetworks.Retraining`."""
    start = copy.deepcopy(fresh)
    if embeddings == "finetuned":
        start.encoder.embeddings.load_state_dict(tuned.encoder.embeddings.state_dict())
    return start


def randomly_initialised(model: SentenceClassifier, seed: int) -> SentenceClassifier:
    """The same architecture with a random encoder, embeddings included; the classifier stays. Source: §4.3, Table 2."""
    other = copy.deepcopy(model)
    with torch.random.fork_rng(
        devices=[]
    ):  # transformers can only draw weights from the global generator
        torch.manual_seed(seed)
        other.encoder = type(model.encoder)(model.encoder.config).to(model.device)
    return other


def subnetwork(
    subject: FineTuned,
    start: SentenceClassifier,
    mask: Mask | WeightMask,
    recipe: Recipe,
    seed: int,
    scored_from: int | None = None,
) -> Trained:
    """Train a subnetwork of `start`, which stays as it is.

    Heads and MLPs that a `Mask` does not keep are removed, which computes the same for less (tested); weights that a
    `WeightMask` does not keep are 0 throughout. scored_from: see `train_and_score`.
    """
    if isinstance(mask, Mask):
        model = compact(start, mask)
        model.standardise(subject.train)
        return train_and_score(subject, model, recipe, seed, scored_from=scored_from)
    model = copy.deepcopy(start)
    with gates.masked(model, mask):
        model.standardise(subject.train)
    return train_and_score(subject, model, recipe, seed, mask, scored_from)


def train_and_score(
    subject: FineTuned,
    model: nn.Module,
    recipe: Recipe,
    seed: int,
    keep: WeightMask | None = None,
    scored_from: int | None = None,
) -> Trained:
    """Train a model in place on the subject's training rows and score it on its dev rows.

    seed: of the order of batches and of dropout. keep: as for `train.fit`. scored_from: the first epoch after which
    to score; only the last one by default.
    """
    by_epoch = {}

    def report(epoch: int, _loss: float) -> None:
        if epoch >= min(scored_from or recipe.epochs, recipe.epochs):
            by_epoch[epoch] = subject.rescore(train.predict(model, subject.dev))

    losses = train.fit(model, subject.train, recipe, seed, report, keep)
    return Trained(by_epoch[recipe.epochs], by_epoch, losses)


def training_place(place: Place, made: Mapping[str, Any], recipe: Recipe, **facts) -> Place:
    """The place, with a fingerprint of what one training depends on, so that it is done once, whatever else changes.

    made: notebook 01's result.json, for the origins of encoder and rows. facts: what distinguishes this training.
    """
    rows = {name: made["parameters"][name] for name in ("train_rows", "dev_rows")}
    everything = {"seed": place.seed, "encoder": made["encoder"], "rows": made["rows"], **rows}
    everything |= {"recipe": recipe.as_dict(), **facts}
    return replace(
        place, fingerprint=of_work(("lib.tickets.retrain", "lib.model.baselines"), everything)
    )
