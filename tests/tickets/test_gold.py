"""The switches called "code" against what the authors' own scripts gave on small models.

GOLD_DIR (default: shared/gold beside the checkout's folder) holds a folder for each case:
case.json (configuration, token ids), model.safetensors, and authors.safetensors, their results.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import BertConfig, BertModel

from lib.data.glue import TASKS
from lib.model import train
from lib.model.batches import Encoded
from lib.model.classifier import SentenceClassifier
from lib.pruning import gates, importance, search
from lib.pruning.masks import Mask
from lib.tickets import finetuned, subnetworks
from lib.tickets.finetuned import FineTuned

GOLD = Path(os.environ.get("GOLD_DIR") or Path(__file__).resolve().parents[3] / "shared" / "gold")
CASES = sorted(path.parent for path in GOLD.glob("*/case.json"))
if not CASES:
    pytest.skip(
        f"THE AUTHORS' RESULTS ARE NOT THERE ({GOLD}): not compared", allow_module_level=True
    )

CODE = search.Structured(
    estimator="running",
    normalise="l2_minmax",
    masked="measured",
    start="failed",
    joint_ends="either",
)


class Case:
    """A small fine-tuned model with its dev rows, and what the authors' scripts made of it."""

    def __init__(self, folder: Path):
        self.facts = json.loads((folder / "case.json").read_text())
        self.authors = load_file(folder / "authors.safetensors")
        task, rows = self.facts["task"], self.facts["rows"]
        encoder = BertModel(BertConfig(**self.facts["bert_config"]))
        generator = torch.Generator().manual_seed(0)
        model = SentenceClassifier(encoder, TASKS[task].outputs, self.facts["pooling"], generator)
        finetuned.load_weights(model, (load_file(folder / "model.safetensors"), {}))
        ids = {
            name: torch.tensor([token for row in rows for token in row[name]])
            for name in ("input_ids", "token_type_ids")
        }
        labels = np.array([row["label"] for row in rows])
        labels = labels.astype(np.int64 if TASKS[task].labels else np.float32)
        lengths = np.array([len(row["input_ids"]) for row in rows])
        self.subject = FineTuned(task, model, Encoded(ids, lengths, labels, 0), float("nan"))
        self.layers, self.heads = gates.shape(model)

    def search(self, mode: str) -> search.Trail:
        """The search as the authors' code does it."""

        def measure(mask: Mask, floor: float):
            score, measured = self.subject.measure(mask, floor, "pearson_spearman", CODE.masked)
            rows = measured.rows_for(CODE.estimator)
            if rows is None:
                return score, None
            return score, importance.importance(rows, self.layers, self.heads, CODE.estimator)

        return search.by_importance(self.subject.full, measure, mode, CODE)


@pytest.fixture(autouse=True)
def the_authors_batches(monkeypatch):
    """Read the dev set in its order, in batches of 64.

    Without any head a model gives every row the same output, up to rounding. Rounding depends on
    the shape of a batch, and it decides whether STS-B's correlation exists and what it is.
    """

    def in_order(lengths: np.ndarray, _size: int) -> Iterator[list[int]]:
        for start in range(0, len(lengths), importance.AUTHORS_BATCH):
            yield list(range(start, min(start + importance.AUTHORS_BATCH, len(lengths))))

    monkeypatch.setattr(importance, "evaluation_batches", in_order)
    monkeypatch.setattr(train, "evaluation_batches", in_order)


@pytest.fixture(scope="module", params=CASES, ids=lambda path: path.name)
def case(request):
    return Case(request.param)


@pytest.mark.parametrize("mode", ["joint", "heads", "mlps"])
def test_a_search_is_the_authors_mask_for_mask(case, mode):
    trail, theirs = case.search(mode), case.authors
    tried = [r for r in trail.rounds if r.phase != "back"]
    for number, ours in enumerate(tried[: len(theirs[f"{mode}_scores"])]):
        mask = Mask(theirs[f"{mode}_head_masks"][number], theirs[f"{mode}_mlp_masks"][number])
        assert ours.mask == mask, f"round {number}: ours {ours.mask}, theirs {mask}"
    assert len(tried) == len(theirs[f"{mode}_scores"])
    if TASKS[case.subject.task].labels:  # correlations of nearly constant outputs are all rounding
        assert [r.score for r in tried] == pytest.approx(theirs[f"{mode}_scores"].tolist())
    final = Mask(theirs[f"{mode}_final_head_mask"], theirs[f"{mode}_final_mlp_mask"])
    assert trail.good.mask == final


def test_the_first_importance_is_the_authors(case):
    _, measured = case.subject.measure(case.subject.full, stsb_score="pearson_spearman")
    ours = importance.importance(measured.gradients, case.layers, case.heads, "running")
    for name, values in (("head", ours.heads), ("mlp", ours.mlps)):
        theirs = case.authors[f"raw_{name}_importance"]  # on another scale
        assert np.allclose(values / values.max(), theirs / theirs.max(), atol=1e-4)


def test_magnitude_pruning_keeps_the_authors_weights(case):
    choices = search.Magnitude(max_rounds=10)
    parameters = dict(case.subject.model.named_parameters())
    weights = {
        name: parameters[name].detach().numpy()
        for name in gates.prunable(parameters, choices.parameters)
    }
    trail = search.by_magnitude(
        weights, lambda mask: case.subject.score_of(mask, "pearson_spearman"), choices
    )
    assert [r.mask.kept for r in trail.rounds] == case.facts["magnitude_kept"][: len(trail.rounds)]
    assert len(trail.rounds) == len(case.facts["magnitude_kept"])
    good = trail.good.mask
    bad = subnetworks.smallest_weights(good, weights)
    for name in weights:
        for mask, theirs in ((good, "magnitude_final"), (bad, "magnitude_bad")):
            assert np.array_equal(mask.bits[name], case.authors[f"{theirs}/{name}"]), name
