"""Are few rows the reason? Shares by hand, and verdicts that come out both ways."""

import pandas as pd
import pytest

from lib.analysis import few_rows
from lib.tickets.more_rows import AS_MANY_STEPS, BY_THE_RECIPE, FULL

TASKS = {"SST-2": 10_000, "QNLI": 8_000, "STS-B": 5_000}
MAJORITY = {
    "SST-2": 0.5,
    "QNLI": 0.5,
    "STS-B": float("nan"),
}  # a constant has none
SEEDS = (1, 2, 3)


def systems():
    lines = []
    for task, score in MAJORITY.items():
        for seed in SEEDS:
            common = {"task": task, "seed": seed, "constant": task == "STS-B"}
            of = {("reference", "majority baseline"): score, ("reference", FULL): 0.9}
            of["s-pruning", "bad (retrained)"] = 0.6
            lines += [{**common, "group": g, "item": i, "score": x} for (g, i), x in of.items()]
    return pd.DataFrame(lines)


def trainings(bad_more=0.7, bad_longer=0.6, full_few=0.9):
    """Bad has .6 on few rows; scores shift by .001 from seed to seed and .01 from task to task."""
    lines = []
    for number, (task, more) in enumerate(TASKS.items()):
        base = 0.0 if task == "STS-B" else 0.5
        scores = {
            (FULL, 1500, BY_THE_RECIPE): full_few,
            ("bad", 1500, BY_THE_RECIPE): 0.6,
            ("bad", 1500, AS_MANY_STEPS): bad_longer + 0.012 * number,
            (FULL, more, BY_THE_RECIPE): 0.9,
            ("bad", more, BY_THE_RECIPE): bad_more + 0.01 * number,
            ("random", more, BY_THE_RECIPE): 0.8,
            ("good", more, BY_THE_RECIPE): 0.9,
        }
        for (system, rows, length), score in scores.items():
            share = (score - 0.5) / 0.4  # of the lead, so that all tasks have the same shares
            for seed in SEEDS:
                lines.append(
                    {"task": task, "seed": seed, "system": system, "rows": rows, "length": length}
                    | {"epochs": 3, "score": base + (0.9 - base) * share + 0.001 * seed}
                )
    return pd.DataFrame(lines)


def test_shares_are_of_the_lead_on_as_many_rows():
    shares, _ = few_rows.learned(trainings(), systems())
    assert shares.index.tolist() == ["SST-2", "QNLI", "STS-B"], "the most rows come first"
    assert shares["more"].tolist() == [10_000, 8_000, 5_000] and (shares["few"] == 1500).all()
    first = shares.loc["SST-2"]
    assert first[few_rows.FEW] == pytest.approx(0.102 / 0.402)
    assert first[few_rows.OWN] == pytest.approx(0.102 / 0.402), "the full model is as good there"
    assert first[few_rows.MORE] == pytest.approx(0.202 / 0.402)
    assert shares.loc["STS-B", "random"] == pytest.approx(0.677 / 0.902), "a constant counts as 0"


def test_two_yardsticks_where_the_full_model_gains_from_rows():
    shares, _ = few_rows.learned(trainings(full_few=0.7), systems())
    first = shares.loc["SST-2"]
    assert first[few_rows.OWN] == pytest.approx(0.102 / 0.202)
    assert first[few_rows.FEW] == pytest.approx(0.102 / 0.402)


def test_a_task_that_cannot_be_asked_is_left_out_by_name():
    few = trainings(full_few=0.5)
    few.loc[few["task"] == "SST-2", "score"] = trainings()["score"]
    shares, why = few_rows.learned(few, systems())
    assert shares.index.tolist() == ["SST-2"]
    assert [*why] == ["QNLI", "STS-B"] and "not shown to beat" in why["QNLI"]
    made = trainings()
    partly = made[(made["task"] != "QNLI") | (made["length"] == BY_THE_RECIPE)]
    _, why = few_rows.learned(partly, systems())
    assert why == {"QNLI": "not all that is needed has been trained"}
    nothing, _ = few_rows.learned(made[:0], systems())
    assert nothing.empty and "0 of the 3 tasks" in few_rows.so(nothing)


def test_a_system_that_was_not_trained_with_all_seeds_changes_no_other():
    made, gone = trainings(), {"task": "QNLI", "system": "random", "seed": 2}
    rest = made[~(made[[*gone]] == pd.Series(gone)).all(axis=1)]
    (whole, _), (less, _) = (few_rows.learned(one, systems()) for one in (made, rest))
    assert less.drop(columns="random").equals(whole.drop(columns="random"))
    none, _ = few_rows.learned(made[made["system"] != "random"], systems())
    assert none["random"].isna().all() and none["good"].equals(whole["good"])


def test_a_constant_answer_on_stsb_counts_as_0():
    made = trainings()
    at = (made["task"] == "STS-B") & (made["system"] == "bad") & (made["rows"] > 1500)
    made.loc[at, "score"] = float("nan")
    shares, _ = few_rows.learned(made, systems())
    assert shares.loc["STS-B", few_rows.MORE] == 0


@pytest.mark.parametrize(
    ("bad_more", "bad_longer", "says"),
    [
        (0.7, 0.6, ["Few rows are a part of the reason", "do not replace more rows"]),
        (0.55, 0.7, ["speaks against few rows", "do better than more rows"]),
        (0.59, 0.59, ["not decided", "not shown to differ"]),
        (0.76, 0.7, ["lies inside that interval"]),
        (0.6, 0.6, ["lies outside that interval"]),
    ],
)
def test_each_answer_can_come_out(bad_more, bad_longer, says):
    shares, _ = few_rows.learned(trainings(bad_more, bad_longer), systems())
    text = few_rows.so(shares)
    assert all(one in text for one in says), text
    planned = few_rows.planned(shares)
    assert list(planned.index) == [*few_rows.PLANNED] and planned["p"].notna().all()
    assert "p (Holm)" not in few_rows.not_planned(shares)


def test_what_is_repeated_on_few_rows_is_compared_with_the_run():
    apart = few_rows.repeated(trainings(full_few=0.8), systems())
    assert apart.loc["SST-2", "bad"] == pytest.approx(0.002)
    assert apart.loc["SST-2", FULL] == pytest.approx(-0.098)
    made = trainings()
    partly = made[(made["task"] != "QNLI") | (made["system"] != FULL)]
    assert few_rows.repeated(partly, systems()).index.tolist() == ["SST-2", "STS-B"]


def test_before_few_rows_were_trained_nothing_is_taken_for_them():
    begun = trainings().query("rows > 1500")
    shares, out = few_rows.learned(begun, systems())
    assert not len(shares) and {*out} == {*TASKS}
    assert few_rows.repeated(begun, systems()).empty
