"""Every claim of the paper, judged by masks: the lines of notebook 10."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from lib.analysis import claims, measures, news
from lib.analysis.drawn_maps import CLASSES
from lib.artefacts.store import Place
from lib.data.glue import KINDS
from lib.paper import authors, statements, tables
from lib.paper.authors import AuthorsMasks
from lib.paper.statements import AGREES, CANNOT_TELL, DISAGREES
from lib.pruning.importance import Importance
from lib.pruning.masks import Mask
from lib.pruning.search import Round, Trail

SEEDS = (1, 2, 3)


def pruned(task, seed, heads, mlps, alone=None):
    """A place of notebook 03 with these masks; the searches of one kind of unit keep `alone`."""
    place = Place("p", "03_structured_pruning", task, seed)
    heads, mlps = np.array(heads, bool), np.array(mlps, bool)
    other = heads if alone is None else np.array(alone, bool)
    of_mode = {"joint": (heads, mlps), "heads": (other, mlps | True), "mlps": (heads | True, mlps)}
    for mode, (mask, mlp_mask) in of_mode.items():
        place.save(f"{mode}_head_mask.npy", mask)
        place.save(f"{mode}_mlp_mask.npy", mlp_mask)
    importance = Importance(np.arange(heads.size, dtype=float).reshape(heads.shape) + 1, mlps * 1.0)
    first = Round("joint", Mask.full(*heads.shape), 1.0, True, importance)
    place.save("joint_trail.safetensors", Trail((first,), 0.9).to_tensors())
    place.save("good.json", {"joint": {"size": 0.6}, "heads": {"size": 0.8}, "mlps": {"size": 0.7}})
    return place


def measured(table, item, task, group="survivors"):
    rows = table.query("group == @group and item == @item and task == @task")
    return rows["score"].tolist()


def test_masks_are_measured_as_by_hand(outputs):
    heads = [[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]]  # [3 layers, 4 heads]
    one = pruned("MRPC", 1, heads, [0, 1, 0], alone=[[1, 0, 0, 0]] * 3)
    other = pruned("QNLI", 1, [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]], [1, 0, 1])
    table = measures.of_masks({("MRPC", 1): one, ("QNLI", 1): other})
    assert measured(table, "heads below", "MRPC") == [3 / 8], "two of three layers"
    assert measured(table, "heads above", "MRPC") == [1 / 4]
    assert measured(table, "MLPs in the middle", "MRPC") == [1.0]
    assert measured(table, "other MLPs", "QNLI") == [1.0]
    assert measured(table, "heads together", "MRPC") == [1 / 3]
    assert measured(table, "heads alone", "MRPC") == [1 / 4]
    assert measured(table, "weights alone", "MRPC") == [0.7], "the smaller of the two"
    assert measured(table, "shared", "MRPC · QNLI", "overlap") == [2]
    assert measured(table, "by chance", "MRPC · QNLI", "overlap") == [4 * 3 / 12]
    assert measured(table, "share of the smaller", "MRPC · QNLI", "overlap") == [2 / 3]
    assert measured(table, "shared with QNLI", "MRPC", "overlap") == [2]
    # 1 … 4 in a layer: after ℓ2, the first heads of a layer are under half of the greatest
    low = measured(table, "heads of low importance", "MRPC")[0]
    layers = np.arange(1.0, 13).reshape(3, 4)
    normal = layers / np.linalg.norm(layers, axis=1, keepdims=True)
    assert low == pytest.approx((normal < normal.max() / 2).mean()) and 0 < low < 1


def test_every_claim_reads_something_that_is_measured(outputs):
    masks = {
        (task, seed): pruned(task, seed, np.eye(3, 4), [0, 1, 0])
        for task in ("MRPC", "QNLI", "QQP", "MNLI")
        for seed in SEEDS
    }
    weights = Place("p", "02_magnitude_pruning", "MRPC", 1)
    weights.save("survivors.safetensors", ({"heads": np.ones((3, 4)), "mlps": np.ones(3)}, {}))
    weights.save("good.json", {"size": 0.5})
    full = Place("p", "01_finetune", "MRPC", 1)
    full.save("result.json", {"score": 0.9, "majority": 0.5})
    looks = Place("p", "08_attention_patterns")
    for name in (*(f"counts-MRPC-{seed}" for seed in SEEDS), "counts-MRPC-pretrained"):
        draw = np.random.default_rng(len(name))
        looks.save(f"{name}.npy", draw.integers(1, 9, (2, 2, 3, 4, len(CLASSES))))
    places = {("MRPC", 1): weights}, {("MRPC", 1): full}
    parts = measures.of_weights(places[0]), measures.of_models(places[1]), measures.of_masks(masks)
    table = measures.together(*parts, measures.of_patterns(looks, masks))
    known = {*(table["group"] + "/" + table["item"])}
    for claim, _ in statements.load("claims.csv"):
        for side in filter(None, (claim.left, claim.right)):
            assert side in known, f"nothing measures {side!r} of {claim.says!r}"
        claims.topic(claim)


@pytest.fixture(scope="module")
def by_the_authors():
    tasks, seeds = authors.tasks(), authors.seeds()
    places = {(task, seed): AuthorsMasks(task, seed) for task in tasks for seed in seeds}
    table = measures.together(measures.of_masks(places), measures.of_the_paper(tasks, seeds[0]))
    return claims.lines(table, table.iloc[:0], [])


def test_the_authors_masks_judge_claims_about_masks_and_no_others(by_the_authors):
    assert len(by_the_authors) == 40, "notebook 10 and its boxes speak of forty claims"
    judged = {line.statement.says: line.masks for line in by_the_authors if line.masks.figures}
    kappa = next(one for says, one in judged.items() if "κ" in says)
    assert kappa.verdict == AGREES and "over 8 tasks" in kappa.figures, "WNLI does not count"
    assert next(one for says, one in judged.items() if "QNLI share" in says).verdict == AGREES
    groups = {line.statement.left.split("/")[0] for line in by_the_authors if line.masks.figures}
    assert groups == {"survivors", "overlap", "s-pruning", "super-survivors"}
    for line in by_the_authors:
        assert line.masks.figures or "retrained" not in line.masks.verdict
    assert not any("retrained" in says for says in judged), "masks have no scores"


def test_where_the_run_is_silent_a_line_says_which_notebook_it_needs(by_the_authors):
    for line in by_the_authors:
        assert (line.run.verdict, line.run.figures) == (CANNOT_TELL, "")
        assert line.run.needed[:3] in {"01_", "02_", "03_", "05_", "08_"}
    needs = {line.statement.left: line.run.needed for line in by_the_authors}
    assert needs["patterns/change in fine-tuning"] == "08_attention_patterns"
    assert needs["overlap/shared"] == "03_structured_pruning of two tasks"
    assert needs["overlap/share of the smaller"] == "03_structured_pruning of MRPC and QNLI"


def of(item, by_task, group="survivors"):
    rows = [
        (task, seed, group, item, value)
        for task, values in by_task.items()
        for seed, value in zip(SEEDS, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=["task", "seed", "group", "item", "score"]).assign(
        size=np.nan
    )


@pytest.mark.parametrize("shift, verdict", [(0.2, AGREES), (-0.2, DISAGREES), (0.0, CANNOT_TELL)])
def test_a_run_can_agree_contradict_or_leave_open(shift, verdict):
    tasks = ["SST-2", "RTE", "QNLI", "MNLI"]
    below = {t: [0.5 + shift + 0.01 * (n % 2)] * 3 for n, t in enumerate(tasks)}
    above = {t: [0.5 + 0.01 * (n // 2)] * 3 for n, t in enumerate(tasks)}
    run = measures.together(of("heads below", below), of("heads above", above))
    found = {line.statement.left: line for line in claims.lines(run.iloc[:0], run, tasks)}
    assert found["survivors/heads below"].run.verdict == verdict


def test_what_is_needed_fits_what_is_asked():
    few = measures.together(of("heads below", {"RTE": [0.5, 0.6, 0.4]}))
    kappa = pd.DataFrame(
        [("RTE", 1, "survivors", "κ of heads", 0.5)],
        columns=["task", "seed", "group", "item", "score"],
    )
    run = measures.together(few, of("heads above", {"RTE": [0.5] * 3}), kappa.assign(size=np.nan))
    found = {line.statement.left: line.run for line in claims.lines(run.iloc[:0], run, ["RTE"])}
    assert found["survivors/κ of heads"].needed == "at least 3 tasks", "κ is one number for a task"
    assert "systems" not in found["survivors/heads below"].needed
    unlearned = of("full model", {"RTE": [0.5, 0.6, 0.4]}, "reference")
    unlearned = measures.together(
        run, unlearned, of("majority baseline", {"RTE": [0.5] * 3}, "reference")
    )
    found = {
        line.statement.left: line.run for line in claims.lines(run.iloc[:0], unlearned, ["RTE"])
    }
    assert found["survivors/heads below"].needed == "a full model that learns the task"
    learned = measures.together(run, of("full model", {"RTE": [0.9] * 3}, "reference"))
    found = {
        line.statement.right: line.run for line in claims.lines(run.iloc[:0], learned, ["RTE"])
    }
    assert found["super-survivors/good (retrained)"].needed == "05_retrain_tickets"


def test_sizes_come_from_the_systems_where_there_are_any():
    from_masks = of("size", {"RTE": [0.6, 0.7, 0.8]}, "s-pruning")
    systems = of("good (pruned)", {"RTE": [0.5, 0.5, 0.5]}, "s-pruning").assign(size=0.3)
    assert set(measures.together(from_masks)["item"]) == {"size"}
    scores = statements.by_system(measures.together(systems, from_masks))
    assert scores["s-pruning", "size", "RTE"].tolist() == [0.3] * 3


def test_the_news_come_out_either_way():
    draw = np.random.default_rng(0)
    same = np.repeat(draw.random((1, 6, 12)) < 0.5, 3, axis=0)
    noise = {task: draw.random((3, 6, 12)) < 0.5 for task in ("RTE", "MRPC", "QNLI")}
    empty = measures.together()
    alike = dict.fromkeys(noise, same)
    shares = {"two seeds": 0.9, "by chance": 0.8, "at most": 0.92, "with pre-trained": 0.97}
    halves = {"full, choosing half": 0.9, "good, choosing half": 0.85, "full, other half": 0.9}
    lost = {task: [{**halves, "good, other half": 0.7 - n / 100}] for n, task in enumerate(noise)}
    yes = news.gather(alike, alike, alike, empty, lost, [shares], None, draws=200)
    no = news.gather(
        noise, noise, noise, empty, {}, [{**shares, "two seeds": 0.82}], None, draws=200
    )
    assert [one.so for one in yes[:4]] == [
        "yes, and layers alone do not explain it",
        "yes, and layers alone do not explain it",
        "not shown",
        "yes: the index is nearer to the most that their sizes allow than to chance",
    ]
    assert yes[4].so == "it flatters" and yes[4].run.startswith("+0.160")
    assert [one.so for one in no[:4]] == [
        "not shown for most tasks",
        "not shown for most pairs",
        "not shown",
        "in 0 of 1 tasks",
    ]
    assert no[4].so == f"{CANNOT_TELL}: needs 03_structured_pruning"
    assert no[5].so == f"{CANNOT_TELL}: needs 05_retrain_tickets"
    assert no[6].so.startswith(CANNOT_TELL)


def test_the_kinds_of_tasks_are_news_that_can_come_out_either_way():
    draw = np.random.default_rng(0)
    kinds, empty = sorted({*KINDS.values()}), measures.together()
    bases = {kind: draw.random((6, 12)) for kind in kinds}
    by_kind = {
        task: np.stack([bases[kind] + draw.normal(0, 0.1, (6, 12)) < 0.5 for _ in range(3)])
        for task, kind in KINDS.items()
    }
    one = {"RTE": by_kind["RTE"]}
    told = {
        name: news.gather(masks, run, run, empty, {}, [], None, draws=200)[2]
        for name, masks, run in (
            ("both", by_kind, by_kind),
            ("masks", by_kind, one),
            ("no", {}, {}),
        )
    }
    assert told["both"].so == "yes" and told["both"].masks == told["both"].run
    assert told["masks"].so == f"the masks: yes; this run: {CANNOT_TELL}: needs tasks of two kinds"
    assert told["masks"].run == "–" and told["no"].so.startswith(CANNOT_TELL)


def test_a_task_that_is_not_learned_counts_neither_in_pairs_nor_in_news():
    tasks = ["RTE", "MRPC", "QNLI", "WNLI"]
    full = {task: [0.4, 0.5, 0.6] if task == "WNLI" else [0.9, 0.8, 0.85] for task in tasks}
    known = measures.together(
        of("full model", full, "reference"),
        of("majority baseline", dict.fromkeys(tasks, [0.5] * 3), "reference"),
    )
    pairs = {f"{a} · {b}": [9.0, 10.0, 11.0] for a, b in combinations(tasks, 2)}
    shared = (
        of("shared", pairs, "overlap"),
        of("by chance", dict.fromkeys(pairs, [5.0] * 3), "overlap"),
    )
    run = measures.together(known, *shared)
    found = {line.statement.left: line.run for line in claims.lines(run.iloc[:0], run, tasks)}
    assert "of 3 pairs, 3 for" in found["overlap/shared"].figures, "those without WNLI"
    at_once = {"full, choosing half": 0.9, "good, choosing half": 0.8, "full, other half": 0.9}
    halves = {
        task: [{**at_once, "good, other half": 0.1 if task == "WNLI" else 0.79}] for task in tasks
    }
    flattered = news.gather({}, {}, {}, known, halves, [], None)[4]
    assert flattered.run.startswith("+0.010") and "over 3 tasks" in flattered.run


def test_the_share_of_the_gap_by_hand():
    run = measures.together(
        of("full model", {"RTE": [0.9] * 3, "SST-2": [0.5] * 3}, "reference"),
        of("majority baseline", {"RTE": [0.5] * 3, "SST-2": [0.5] * 3}, "reference"),
        of("bad (retrained)", {"RTE": [0.8] * 3, "SST-2": [0.5] * 3}, "s-pruning"),
    )
    shares = tables.gap(run, ["RTE", "SST-2"], "s-pruning", "bad (retrained)")
    assert shares == {"RTE": pytest.approx(0.75)}, "a task without a gap has no share"
