"""The explorer's data say what the run's artefacts and the authors' masks say."""

import numpy as np
import pytest

from book import explorer
from lib.artefacts.store import Place
from lib.paper import authors
from lib.paper.authors import AuthorsMasks
from lib.pruning.importance import ESTIMATORS, Importance
from lib.pruning.masks import Mask
from lib.pruning.search import Structured, by_importance

SEEDS = (42, 86)


def searched(seed):
    """A search over 3 layers × 4 heads that ends when half of the heads are gone."""
    draw = np.random.default_rng(seed)
    scores = Importance(draw.random((3, 4)), draw.random(3))
    return by_importance(
        Mask.full(3, 4), lambda mask, _: (mask.n_heads / 12 + 0.45, scores), "joint", Structured()
    )


@pytest.fixture()
def run(outputs):
    """Two seeds of a task, with searches by two estimators, and 08's patterns of one of them."""
    for seed in SEEDS:
        parameters = {"structured": {}}
        place = Place("mine", "03_structured_pruning", "SST-2", seed, "f", parameters)
        for name in ("joint", "running"):
            found = searched(seed + len(name))
            place.save(f"{name}_trail.safetensors", found.to_tensors())
            place.save(f"{name}_head_mask.npy", found.good.mask.heads)
            place.save(f"{name}_mlp_mask.npy", found.good.mask.mlps)
        place.finish()
        result = {"parameters": {"encoder": "minilm-l6"}}
        Place("mine", "01_finetune", "SST-2", seed, "f").save("result.json", result)
    counts = np.zeros((2, 2, 3, 4, 5), int)
    counts[0, 0, ..., 1], counts[0, 0, ..., 4] = 3, 1  # 3 of 4 maps are vertical
    Place("mine", "08_attention_patterns", fingerprint="f").save("counts-SST-2-42.npy", counts)
    return explorer.data("mine")


def test_a_trail_is_written_out_as_it_was_found(run):
    trails = run["tasks"]["SST-2"]["seeds"]["42"]["trails"]
    assert list(trails) == ["joint/example", "joint/running"]
    found, shown = searched(42 + len("joint")), trails["joint/example"]
    assert len(shown["rounds"]) == len(found.rounds)
    assert shown["floor"] == pytest.approx(found.floor, abs=1e-4)
    for one, round_ in zip(shown["rounds"], found.rounds, strict=True):
        assert [bit == "1" for bit in one["heads"]] == round_.mask.heads.ravel().tolist()
        assert [bit == "1" for bit in one["mlps"]] == round_.mask.mlps.tolist()
        assert one["score"] == pytest.approx(round_.score, abs=1e-4)
        assert one["accepted"] == round_.accepted
    good = shown["rounds"][shown["good"]]
    assert good["heads"].count("1") == found.good.mask.n_heads
    norms = np.linalg.norm(np.reshape(shown["rounds"][0]["importance"][:12], (3, 4)), axis=1)
    assert np.allclose(norms, 1, atol=0.01), "as the search ranks them: l2 in each layer"


def test_survival_counts_the_seeds_that_keep_a_unit(run):
    survival = run["tasks"]["SST-2"]["survival"]["joint/running"]
    kept = [searched(seed + len("running")).good.mask for seed in SEEDS]
    assert survival["seeds"] == 2
    assert survival["heads"] == sum(mask.heads.astype(int) for mask in kept).ravel().tolist()
    assert survival["mlps"] == sum(mask.mlps.astype(int) for mask in kept).tolist()


def test_patterns_of_attention_are_shown_where_08_has_counted_them(run):
    seeds = run["tasks"]["SST-2"]["seeds"]
    assert seeds["42"]["patterns"] == ["vertical (75% of its maps)"] * 12
    assert seeds["86"]["patterns"] == []


def test_the_authors_masks_are_theirs(outputs):
    data = explorer.data("none")
    assert data["tasks"] == {} and "ours" not in data["charts"]
    assert list(data["authors"]) == authors.tasks()
    mnli = data["authors"]["MNLI"]
    mask = AuthorsMasks("MNLI", 42).load("heads_head_mask.npy")
    assert mnli["seeds"]["42"]["heads"]["heads"] == "".join(
        "01"[k] for k in mask.ravel().astype(int)
    )
    assert mnli["seeds"]["42"]["heads"]["mlps"] == "1" * 12
    every = [
        AuthorsMasks("MNLI", s).load("joint_mlp_mask.npy").astype(int) for s in authors.seeds()
    ]
    assert mnli["survival"]["joint"]["mlps"] == sum(every).tolist()


def test_every_estimator_has_a_name_and_every_cell_can_be_read():
    assert set(explorer.ESTIMATOR_NAMES) == set(ESTIMATORS)
    for number, colour in enumerate(explorer.RAMP):
        ink = explorer.INK if number < explorer.PALE else explorer.OFF
        assert contrast(ink, colour) >= 4.5, colour
    for ink in (explorer.INK, explorer.NOW):
        assert contrast(ink, explorer.OFF) >= 4.5


def contrast(one, other):
    """The ratio of luminances that WCAG 2 defines, from 1 to 21."""

    def luminance(colour):
        parts = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ (0.2126, 0.7152, 0.0722)

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)
