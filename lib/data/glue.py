"""The nine GLUE tasks: labels, official sizes, and the scores that the paper reports (Table 1)."""

import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, matthews_corrcoef

StsbScore = Literal["pearson", "pearson_spearman"]


@dataclass(frozen=True)
class Task:
    """One GLUE task.

    pair: True if a row has two sentences.
    labels: class names, in the order of Hugging Face's label numbers; empty for regression.
    metric: "accuracy", "matthews" or "pearson".
    train, dev: the number of rows in the official sets.
    """

    pair: bool
    labels: tuple[str, ...]
    metric: str
    train: int
    dev: int

    @property
    def outputs(self) -> int:
        """The number of logits that a model of this task has."""
        return len(self.labels) or 1


_ENTAILMENT = ("entailment", "not_entailment")
TASKS = {
    "CoLA": Task(False, ("unacceptable", "acceptable"), "matthews", 8_551, 1_043),
    "SST-2": Task(False, ("negative", "positive"), "accuracy", 67_349, 872),
    "MRPC": Task(True, ("not_equivalent", "equivalent"), "accuracy", 3_668, 408),
    "STS-B": Task(True, (), "pearson", 5_749, 1_500),
    "QQP": Task(True, ("not_duplicate", "duplicate"), "accuracy", 363_846, 40_430),
    "MNLI": Task(True, ("entailment", "neutral", "contradiction"), "accuracy", 392_702, 9_815),
    "QNLI": Task(True, _ENTAILMENT, "accuracy", 104_743, 5_463),
    "RTE": Task(True, _ENTAILMENT, "accuracy", 2_490, 277),
    "WNLI": Task(True, ("not_entailment", "entailment"), "accuracy", 635, 71),
}

# as the authors of GLUE group them (Wang et al. 2019, Table 1)
KINDS = {
    **dict.fromkeys(("CoLA", "SST-2"), "single sentences"),
    **dict.fromkeys(("MRPC", "STS-B", "QQP"), "similarity and paraphrase"),
    **dict.fromkeys(("MNLI", "QNLI", "RTE", "WNLI"), "inference"),
}


def score(task: str, logits: np.ndarray, labels: np.ndarray, stsb: StsbScore = "pearson") -> float:
    """Score logits [rows, outputs] against labels [rows] with the task's metric; nan if undefined.

    stsb: how to score STS-B. The paper reports "pearson"; the authors' code decided how far to
        prune with "pearson_spearman", the mean of the two correlations (README, decision 1).
    """
    if TASKS[task].metric == "pearson":
        return correlation(logits[:, 0], labels, stsb)
    predicted = logits.argmax(1)
    if TASKS[task].metric == "matthews":
        return float(matthews_corrcoef(labels, predicted))
    return float(accuracy_score(labels, predicted))


def correlation(predicted: np.ndarray, labels: np.ndarray, kind: StsbScore = "pearson") -> float:
    """Correlate predictions with labels, both [rows]; nan if either is constant.

    kind: "pearson" for Pearson's r, "pearson_spearman" for the mean of r and Spearman's ρ.
    """
    if kind not in get_args(StsbScore):
        raise ValueError(f"the STS-B score is {kind!r}; it can be 'pearson' or 'pearson_spearman'")
    if np.ptp(predicted) == 0 or np.ptp(labels) == 0:
        return float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns when predictions are nearly constant
        pearson = float(pearsonr(predicted, labels).statistic)
        if kind == "pearson":
            return pearson
        return (pearson + float(spearmanr(predicted, labels).statistic)) / 2


def majority(task: str, labels: ArrayLike) -> float:
    """Score the answer that is always these rows' most frequent label.

    nan for STS-B: a constant answer has no correlation (README, decision 3; the paper shows 0.02).
    """
    answers = np.asarray(labels)
    if TASKS[task].metric == "pearson":
        return float("nan")
    most_frequent = Counter(answers.tolist()).most_common(1)[0][0]
    constant = np.full(len(answers), most_frequent)
    return score(task, np.eye(TASKS[task].outputs)[constant], answers)
