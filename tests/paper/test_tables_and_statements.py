"""Tables over seeds, and what the paper says in words."""

import numpy as np
import pandas as pd
import pytest

from lib.paper import numbers, statements, tables
from lib.paper.statements import AGREES, CANNOT_TELL, DISAGREES, Statement

TASKS = ["SST-2", "RTE"]


def table(**scores):
    """A long table from {"group/item": {task: scores by seed}}."""
    rows = []
    for name, by_task in scores.items():
        group, item = name.split("/")
        for task, values in by_task.items():
            rows += [(task, seed, group, item, value, 0.5) for seed, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["task", "seed", "group", "item", "score", "size"])


def statement(**changes):
    plain = {
        "source": "§0",
        "says": "",
        "left": "s-pruning/good (retrained)",
        "right": "s-pruning/bad (retrained)",
    }
    return Statement(
        **{**plain, "low": 0.0, "high": np.inf, "over": "most tasks", "paper": "", **changes}
    )


def two(good, bad):
    return table(**{"s-pruning/good (retrained)": good, "s-pruning/bad (retrained)": bad})


@pytest.fixture(scope="module")
def published():
    """The paper's own means as if they were three seeds: (without spread, with that of the full model)."""
    rows = numbers.numbers()
    rows = rows[rows["task"] != "average"]
    rows = rows[rows["source"].isin(["Table 3", "Fig. 16"]) | (rows["item"] == tables.RANDOM_INIT)]
    rows = rows.rename(columns={"value": "score"}).assign(size=np.nan)
    bilstm = numbers.numbers()[lambda t: (t["item"] == "BILSTM + GloVe") & (t["task"] != "average")]
    rows = pd.concat([rows, bilstm.assign(item="BiLSTM, frozen embeddings", score=bilstm["value"])])
    spread = rows["std"].where(rows["item"] == "full model", 0).fillna(0)
    return [
        pd.concat([rows.assign(seed=s, score=rows["score"] + (s - 1) * width) for s in range(3)])
        for width in (0, spread)
    ]


def test_an_interval_by_hand():
    assert np.allclose(tables.interval([0.1, 0.2, 0.3]), (0.1, 0.3))
    assert (
        np.isnan(tables.interval([0.1, 0.2])).all()
        and np.isnan(tables.interval([0.1, np.nan, 0.2])).all()
    )
    low, high = tables.interval(np.random.default_rng(0).normal(0, 1, 400))
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert tables.interval([0.1, 0.2, 0.4]) == tables.interval([0.1, 0.2, 0.4])


def test_spread_is_the_samples():
    assert tables.spread([0.2, 0.4]) == "0.30 ± 0.14"
    assert (
        tables.spread([0.5]) == "0.50"
        and tables.spread([]) == "–"
        and tables.spread([0.1, np.nan]) == "–"
    )


def test_table_3_has_ours_above_the_papers():
    of_bad = table(**{"s-pruning/bad (retrained)": {"SST-2": [0.7, 0.8], "RTE": [0.5]}})
    lines = tables.table_3(of_bad, TASKS)
    assert lines.loc[("s-pruning", "bad (retrained)", "ours")].tolist() == ["0.75 ± 0.07", "0.50"]
    assert lines.loc[("s-pruning", "bad (retrained)", "paper")].tolist() == [
        "0.86 ± 0.06",
        "0.59 ± 0.04",
    ]
    assert len(lines) == 2 * (2 + 18)


def test_table_2_averages_and_says_what_is_quoted():
    scores = {
        f"baselines/{item}": {"SST-2": [0.6, 0.8], "RTE": [0.5, 0.5]} for item in tables.BASELINES
    }
    scores["reference/majority baseline"] = {"SST-2": [0.5], "RTE": [np.nan]}
    lines = tables.table_2(table(**scores), TASKS)
    assert lines.loc[("ours", "CBOW, frozen embeddings (trained here)")].tolist() == [
        "0.70",
        "0.50",
        "0.60",
    ]
    assert lines.loc[("ours", "majority class")].tolist() == ["0.50", "–", "0.25"], (
        "no correlation counts as 0"
    )
    quoted = lines.loc["quoted by the paper"]
    assert list(quoted.index) == ["CBOW", "BILSTM + GloVe", "BILSTM + ELMO"]
    assert quoted.loc["BILSTM + GloVe"].tolist() == ["0.87", "0.58", "0.72"]


def test_pairs_are_taken_seed_by_seed():
    pairs = tables.paired(two({"SST-2": [0.9, 0.6, 0.8]}, {"SST-2": [0.8, 0.5, 0.6]}), ["SST-2"])
    row = pairs[
        (pairs["group"] == "s-pruning") & (pairs["difference"] == "good − bad (retrained)")
    ].iloc[0]
    assert (row["mean"], row["95 % interval"], row["seeds"]) == ("+0.133", "+0.10 to +0.20", 3)
    pairs = tables.paired(two({"SST-2": [0.9, 0.6]}, {"SST-2": [0.8, 0.5]}), ["SST-2"])
    row = pairs[pairs["difference"] == "good − bad (retrained)"].iloc[0]
    assert row["95 % interval"] == "none: fewer than 3 seeds" and row["seeds"] == 2


def test_longer_training_has_a_line_for_each_epoch():
    scores = {
        f"longer training/bad (s-pruning), {epoch} epochs": {"SST-2": [epoch / 10]}
        for epoch in (3, 4, 10)
    }
    lines = tables.longer_training(table(**scores), ["SST-2"])
    assert lines.loc[("bad (s-pruning), 3 epochs", "ours")].tolist() == ["0.300", "0.300"]
    assert lines.loc[("bad (s-pruning), 3 epochs", "paper")].tolist() == ["0.873", "0.873"]
    assert "paper" not in lines.loc["bad (s-pruning), 10 epochs"].index, "the paper stops at six"
    assert tables.by_epoch(table(**scores), "SST-2").columns.tolist() == [3, 4, 10]
    better = statement(left="longer training/last epoch", right="longer training/first epoch")
    assert "+0.70" in statements.judge(better, table(**scores), ["SST-2"])["because"]


@pytest.mark.parametrize(
    "good, verdict",
    [
        ([0.9, 0.8, 0.9], AGREES),
        ([0.5, 0.4, 0.5], DISAGREES),
        ([0.9, 0.4, 0.7], CANNOT_TELL),
        ([0.9, 0.9], CANNOT_TELL),
    ],
)
def test_a_verdict_on_one_task(good, verdict):
    found = two({"SST-2": good}, {"SST-2": [0.6] * len(good)})
    judged = statements.judge(statement(), found, ["SST-2"])
    assert judged["this run"] == verdict and "SST-2 " in judged["because"]


def test_most_tasks_must_agree():
    bad = {task: [0.6] * 3 for task in (*TASKS, "MRPC")}
    good = {"SST-2": [0.9] * 3, "RTE": [0.8] * 3, "MRPC": [0.1] * 3}
    assert statements.judge(statement(), two(good, bad), [*TASKS, "MRPC"])["this run"] == AGREES
    good["RTE"] = [0.2] * 3
    judged = statements.judge(statement(), two(good, bad), [*TASKS, "MRPC"])
    assert judged["this run"] == DISAGREES and "1 for, 2 against" in judged["because"]
    good["RTE"] = [0.2, 0.9, 0.6]
    assert (
        statements.judge(statement(), two(good, bad), [*TASKS, "MRPC"])["this run"] == CANNOT_TELL
    )


def test_averages_spreads_and_the_line_of_figure_2():
    good, bad = {"SST-2": [0.9] * 3, "RTE": [0.5] * 3}, {"SST-2": [0.6] * 3, "RTE": [0.6] * 3}
    assert (
        statements.judge(statement(over="average"), two(good, bad), TASKS)["because"]
        == "+0.10 over 2 tasks"
    )
    wide = two({"SST-2": [0.2, 0.5, 0.8]}, {"SST-2": [0.5, 0.5, 0.5]})
    assert (
        statements.judge(statement(over="spread", right="", low=0.1), wide, ["SST-2"])["this run"]
        == AGREES
    )
    assert (
        statements.judge(statement(over="spread", right="", low=0.4), wide, ["SST-2"])["this run"]
        == DISAGREES
    )
    full = {
        "reference/full model": {"SST-2": [0.8, 0.9, 1.0]},
        "s-pruning/good (retrained)": {"SST-2": [0.85] * 3},
    }
    line = statement(right="reference/full model less one std")
    assert statements.judge(line, table(**full), ["SST-2"])["because"].startswith("SST-2 +0.05")


def test_every_statement_speaks_of_systems_that_there_are(published):
    known = set(published[0]["group"] + "/" + published[0]["item"])
    special = {
        "",
        "reference/full model less one std",
        "longer training/last epoch",
        "longer training/first epoch",
    }
    for one in statements.statements():
        for side in (one.left, one.right):
            assert side in known | special or side.endswith("/size"), side
        assert one.low < one.high and one.over in ("most tasks", "average", "spread")


def test_the_papers_own_numbers_bear_out_its_words(published):
    """But for those that speak of sizes and spreads, which are not among these numbers."""
    plain, spread = published
    tasks = sorted(set(plain["task"]))
    assert len(tasks) == 9
    spoken = [
        one for one in statements.statements() if "size" not in one.left and one.over != "spread"
    ]
    of = {one: spread if "less one std" in one.right else plain for one in spoken}
    assert [
        one.says for one in spoken if statements.judge(one, of[one], tasks)["this run"] != AGREES
    ] == []
    assert len(statements.verdicts(plain, tasks)) == len(statements.statements())
