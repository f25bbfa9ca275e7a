"""The table on speed shows what was measured, and the measuring itself is right."""

import copy
import json

import numpy as np
import pytest
import torch

from benchmarks import authors, sides
from benchmarks.__main__ import LONGER, MODULES, RESULTS, table
from benchmarks.finetuning import Products
from benchmarks.sides import Claim, compare
from lib.artefacts.fingerprint import ROOT
from lib.pruning import importance, search
from lib.tickets.finetuned import FineTuned


def test_the_page_on_speed_shows_what_was_measured():
    results = json.loads(RESULTS.read_text())
    assert {*MODULES} <= set(results["claims"]) <= {*MODULES, *LONGER}
    assert table(results) in (ROOT / "docs" / "speed.md").read_text(), (
        "put the output of `python -m benchmarks table` into docs/speed.md"
    )


def test_a_claim_is_the_time_of_the_other_side_over_ours(monkeypatch):
    now = 0.0
    monkeypatch.setattr(sides.time, "perf_counter", lambda: now)

    def ours():
        nonlocal now
        now += 1.0

    def theirs():
        nonlocal now
        now += 3.0

    claim = compare("a", "b", ours, theirs, wanted=2, turns=3)
    assert claim.least == claim.median == claim.most == 3 and claim.held
    slower = compare("a", "b", ours, theirs, amounts=(1, 10), wanted=2, turns=1, warm=True)
    assert slower.median == 0.3 and not slower.held, "their turn does ten times as much work"
    at_most = compare("a", "b", ours, theirs, wanted=0.5, at_most=True, turns=1, warm=True)
    assert at_most.median == 1 / 3
    with pytest.raises(AssertionError, match="a and b do not give the same result"):
        compare("a", "b", lambda: 1, lambda: 2, same=lambda ours, theirs: ours == theirs)
    assert (
        str(Claim.of("a", "b", [1.0, 3.0, 2.0], 2.5))
        == "a / b: 2.00 (1.00–3.00)   at least 2.50: NOT held"
    )


@pytest.fixture()
def subject(tiny, monkeypatch):
    monkeypatch.setattr(authors, "LENGTH", 12)
    monkeypatch.setattr(authors, "BATCH", 7)
    model, dev = tiny[:2]
    # a copy, because output_attentions leaves hooks in a model
    return FineTuned("SST-2", copy.deepcopy(model), dev, 0.5)


def test_the_authors_algorithm_gives_the_same_results_as_ours(subject):
    layers, heads = subject.full.heads.shape
    choices = search.Structured(estimator="batch", keep=0.5)

    def measure(mask, floor=-np.inf):
        score, measured = subject.measure(mask, floor)
        if measured.gradients is None:
            return score, None
        units = importance.batch(measured.gradients, authors.BATCH)
        return score, importance.Importance(units[:-layers].reshape(layers, heads), units[-layers:])

    (their_score, theirs), (score, ours) = (
        authors.measure(subject, subject.full),
        measure(subject.full),
    )
    assert np.allclose(theirs.heads, ours.heads) and their_score == score
    trail = search.by_importance(subject.full, measure, "joint", choices)
    assert authors.search(subject, choices) == [r.mask for r in trail.rounds]
    assert len(trail.rounds) > 3


def test_matrix_products_are_recorded_and_computed_again():
    with Products() as products:
        linear = torch.nn.Linear(3, 4)
        (linear(torch.ones(5, 3)) @ torch.ones(4, 2)).sum().backward()
    names = sorted(function.overloadpacket.__name__ for function, _ in products.done)
    assert names == ["addmm", "mm", "mm", "mm"]
    products.fill()
    products.again()
