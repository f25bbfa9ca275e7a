"""The pre-trained encoder as it is: how far its sentence vectors go without fine-tuning.

A full model that scores below this has been damaged by its fine-tuning. Ours; the paper has no such
baseline.
"""

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lib.data import glue
from lib.model.batches import LONGEST, encode, evaluation_batches
from lib.model.classifier import SentenceClassifier, positions
from lib.model.device import evaluation_batch_size


@torch.inference_mode()
def vectors(model: SentenceClassifier, sentences: Sequence[str], tokenizer) -> np.ndarray:
    """Compute the pooled vector of each sentence by itself: float32 [sentences, hidden]."""
    model.eval()
    rows = [{"sentence1": text, "label": 0} for text in sentences]
    data = encode(rows, tokenizer, min(LONGEST, positions(model.encoder))).to(model.device)
    pooled = np.empty((len(data), model.encoder.config.hidden_size), np.float32)
    for indices in evaluation_batches(data.lengths, evaluation_batch_size(model.device)):
        pooled[indices] = model.pooled(**data.batch(indices)[0]).float().cpu().numpy()
    return pooled


def score(
    task: str,
    model: SentenceClassifier,
    tokenizer,
    train: Sequence[dict],
    dev: Sequence[dict],
) -> float:
    """Score dev rows by the vectors of a model that was not fine-tuned, with the task's metric.

    A regression task (STS-B) takes the cosine of the two sentences as it is. Any other is read by a
    linear probe, a logistic regression fitted to the training rows: on the sentence's vector u, or,
    for two sentences, on [|u − v|; u ⊙ v].
    train, dev: rows as `glue` has them: sentence1, sentence2 if the task has pairs, label
    """
    labels = np.array([row["label"] for row in dev])
    if not glue.TASKS[task].labels:
        u, v = (vectors(model, [row[s] for row in dev], tokenizer) for s in _sentences(task))
        cosine = (u * v).sum(1) / (np.linalg.norm(u, axis=1) * np.linalg.norm(v, axis=1))
        return glue.score(task, cosine[:, None], labels)
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    answers = [row["label"] for row in train]
    if len(set(answers)) == 1:  # too few rows for a regression
        probe = DummyClassifier()
    probe.fit(_features(task, model, tokenizer, train), answers)
    predicted = probe.predict(_features(task, model, tokenizer, dev))
    return glue.score(task, np.eye(glue.TASKS[task].outputs)[predicted], labels)


def _features(task: str, model: SentenceClassifier, tokenizer, rows: Sequence[dict]) -> np.ndarray:
    parts = [vectors(model, [row[s] for row in rows], tokenizer) for s in _sentences(task)]
    if len(parts) == 1:
        return parts[0]
    u, v = parts
    return np.concatenate([np.abs(u - v), u * v], axis=1)


def _sentences(task: str) -> tuple[str, ...]:
    return ("sentence1", "sentence2") if glue.TASKS[task].pair else ("sentence1",)
