"""The boxes of notebooks 01, 02, 03 and 05 say what the numbers carry, and no more."""

import numpy as np
import pytest

from lib.data.glue import TASKS
from lib.paper.findings import of_one
from lib.paper.findings.of_one import Kept

NAN = float("nan")
LEARNED, AT_CHANCE = (0.75, 0.85), (0.45, 0.60)


def whole_model(task="SST-2", **changes):
    base = {"full": 0.8, "interval": LEARNED, "majority": 0.52, "untrained": 0.5, "probed": 0.7}
    return of_one.whole_model(task, **{**base, **changes})


def magnitude(task="SST-2", **changes):
    base = {"size": 0.3, "score": 0.78, "full": 0.8, "interval": LEARNED, "majority": 0.52}
    left = {"a head": np.array([0.2, 0.5]), "an MLP": np.array([0.1, 0.4])}
    return of_one.magnitude(task, **{**base, "random": [0.5, 0.52], "left": left, **changes})


KEPT = {
    "joint": Kept(41, 2, 0.41, 0.78),
    "heads": Kept(16, 6, 0.74, 0.78),
    "mlps": Kept(72, 2, 0.56, 0.77),
}


def structured(task="SST-2", **changes):
    base = {"kept": KEPT, "units": (72, 6), "full": 0.8, "interval": LEARNED, "majority": 0.52}
    return of_one.structured(
        task, **{**base, "random": [0.6], "unimportant": (0.75, 0.7), **changes}
    )


def retrained(task="SST-2", good=0.78, random=0.77, bad=0.7, **changes):
    three = {"good": good, "random": random, "bad": bad}
    scores = {(g, k): v for g in ("s-pruning", "m-pruning") for k, v in three.items()}
    base = {"scores": scores, "full": 0.8, "interval": LEARNED, "majority": 0.52}
    return of_one.retrained(task, **{**base, "controls": {"a random encoder": 0.55}, **changes})


@pytest.mark.parametrize("find", [whole_model, magnitude, structured, retrained])
def test_a_full_model_at_chance_shows_nothing(find):
    learned, at_chance = find(), find(interval=AT_CHANCE)
    assert learned.so != at_chance.so
    assert "not show" in at_chance.so


@pytest.mark.parametrize("find", [whole_model, magnitude, structured, retrained])
@pytest.mark.parametrize("task", TASKS)
def test_each_task_has_its_numbers_of_the_paper(find, task):
    finding = find(task)
    assert finding.paper == find(task, interval=AT_CHANCE).paper, (
        "the run does not change the paper"
    )
    assert not any("nan" in line.split() or "undefined" in line for line in finding)


@pytest.mark.parametrize("find", [whole_model, magnitude, structured, retrained])
def test_missing_numbers_are_named_and_decide_nothing(find):
    finding = find(full=NAN, interval=(NAN, NAN), majority=NAN)
    assert "undefined" in finding.run
    assert "no score" in finding.so or "nothing follows" in finding.so


@pytest.mark.parametrize("find", [whole_model, magnitude, structured, retrained])
def test_without_a_majority_baseline_the_score_is_compared_with_0(find):
    assert find("STS-B", majority=NAN).so == find("STS-B", majority=0.0).so


def test_the_whole_model_is_compared_with_the_majority_class_here_and_in_the_paper():
    assert "as in the paper" in whole_model().so
    assert "unlike the paper's" in whole_model(majority=0.9).so
    # on WNLI the paper's model is below the majority class
    assert "which the paper's has not" in whole_model("WNLI").so
    assert "as in the paper" in whole_model("WNLI", majority=0.9).so


def test_the_probe_is_compared_with_the_interval():
    lines = {probed: whole_model(probed=probed).so for probed in (0.7, 0.8, 0.9, NAN)}
    assert "has added" in lines[0.7] and "may have lost" in lines[0.9]
    assert "not shown that fine-tuning adds" in lines[0.8] and "probe" not in lines[NAN]


@pytest.mark.parametrize("find", [magnitude, structured])
def test_random_masks_decide_whether_the_choice_matters(find):
    agrees = find(random=[0.5, 0.52])
    contradicts = find(random=[0.95, 0.97])
    shows_nothing = find(random=[0.75, 0.5])  # one of them is within the luck of the rows
    assert "it matters which" in agrees.so.lower() and "as in the paper" in agrees.so
    assert "does harm" in contradicts.so and "unlike in the paper" in contradicts.so
    assert "not shown that it matters" in shows_nothing.so
    assert "open whether" in find(random=[]).so and "open whether" in find(random=[NAN]).so
    assert "not scored" in find(random=[]).run


def test_a_difference_counts_only_beyond_the_luck_of_the_dev_rows():
    assert "It matters" not in structured(random=[0.74]).so
    assert "It matters" in structured(random=[0.74], interval=(0.78, 0.82)).so


def test_what_is_at_least_so_much_is_not_rounded_up():
    good = KEPT["joint"].score
    for behind, told in ((0.187, "0.18"), (0.15, "0.15"), (0.3, "0.30")):
        assert f"at least {told} lower" in structured(random=[good - behind]).so


def test_a_model_that_cannot_be_pruned_contradicts_the_paper():
    finding = magnitude(size=1.0)
    assert "no weight can go" in finding.run and "does not repeat" in finding.so
    assert "70 % of the weights can go" in magnitude().run


def test_the_smallest_way_of_s_pruning_is_compared_with_the_paper():
    assert "pruning both together, as in their masks" in structured().so
    others = {**KEPT, "heads": Kept(1, 6, 0.3, 0.78)}
    assert "pruning heads alone, unlike in their masks" in structured(kept=others).so
    equal = {**KEPT, "mlps": Kept(72, 1, 0.41, 0.78)}
    assert "both together and MLPs alone, unlike" in structured(kept=equal).so
    alone = structured(kept={"heads": KEPT["heads"]}).so
    assert "smallest" not in alone and alone.startswith("it matters")


def test_the_sizes_of_the_authors_masks_follow_from_their_shares_of_units():
    sizes = of_one.published_sizes("SST-2")
    assert np.isclose(sizes["joint"], 0.588, atol=0.001), "numbers.csv gives it, too"
    assert sizes["joint"] < sizes["mlps"] < sizes["heads"]


def test_bad_learns_or_does_not():
    agrees, contradicts = retrained(bad=0.7), retrained(bad=0.54)
    assert "recovers 64 % of" in agrees.so and "in the paper 83 %" in agrees.so
    assert "not shown to learn" in contradicts.so
    # on MRPC the paper's bad subnetwork is no better than the majority class
    assert "unlike in the paper" in retrained("MRPC").so
    assert "missing" in retrained(bad=NAN).so and "undefined" in retrained(bad=NAN).run


def test_good_random_and_bad_are_told_apart_only_beyond_the_luck_of_the_rows():
    assert "differ by no more than ±0.05" in retrained(random=0.77).so
    assert "By s-pruning good beats random by 0.18" in retrained(random=0.6).so
    assert "By s-pruning random beats good by 0.12" in retrained(random=0.9).so
    assert "ahead of every control; the best is a random encoder (0.550)" in retrained().so
    several = retrained(controls={"a random encoder": 0.55, "a BiLSTM": 0.68, "CBOW": NAN})
    assert "Bad (0.700) is ahead of a random encoder (0.550), but not clearly" in several.so
    assert "ahead of a BiLSTM (0.680), so" in several.so
    assert "is not clearly ahead of a BiLSTM" in retrained(controls={"a BiLSTM": 0.68}).so


def test_a_subnetwork_that_did_not_learn_is_named():
    assert "not shown to learn" not in retrained().so
    scores = {(g, k): 0.78 for g in ("s-pruning", "m-pruning") for k in ("good", "random", "bad")}
    lost = retrained(scores=scores | {("m-pruning", "random"): 0.53})
    assert "Random by m-pruning (0.53) is not shown to learn anything" in lost.so
    both = retrained(scores=scores | {("m-pruning", k): 0.53 for k in ("random", "bad")})
    assert "Random by m-pruning (0.53) and bad by m-pruning (0.53) are not shown" in both.so


def test_the_box_of_m_pruning_says_where_the_weights_are_and_what_the_paper_says_twice():
    finding = magnitude()
    assert "What is left is 20 % to 50 % of a head and 10 % to 40 % of an MLP" in finding.run
    assert "42 % to 57 %" in finding.paper and "Figure 7a lose 41 % to 60 %" in finding.paper


def test_the_share_of_unimportant_heads_says_that_it_is_of_normalised_importance():
    assert "75 % of the heads have less" in structured().so and "that, 70 %)" in structured().so
    assert "of the heads have" not in structured(unimportant=(NAN, NAN)).so
    assert "control" not in retrained(controls={"a random encoder": NAN}).so


def test_what_comes_back_into_the_full_models_interval_is_named():
    assert "good by s-pruning, random by s-pruning, good by m-pruning" in retrained().so
    assert retrained(good=0.7, random=0.6, bad=0.6).so.startswith("none come back")
