"""Tables over seeds, and the paper's statements in words."""

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
    """The paper's means as the scores of three seeds, twice: all seeds equal, full model spread."""
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


def test_intervals_by_hand():
    assert np.allclose(tables.interval([0.1, 0.2, 0.3]), (0.1, 0.3))
    assert np.isnan(tables.interval([0.1, 0.2])).all()
    assert np.isnan(tables.interval([0.1, np.nan, 0.2])).all()
    low, high = tables.interval(np.random.default_rng(0).normal(0, 1, 400))
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert tables.interval([0.1, 0.2, 0.4]) == tables.interval([0.1, 0.2, 0.4])


def test_spread_is_the_sample_deviation():
    assert tables.spread([0.2, 0.4]) == "0.30 ± 0.14"
    assert tables.spread([0.5]) == "0.50"
    assert tables.spread([]) == "–" and tables.spread([0.1, np.nan]) == "–"


def test_table_3_has_ours_above_the_papers():
    scores = table(**{"s-pruning/bad (retrained)": {"SST-2": [0.7, 0.8], "RTE": [0.5]}})
    lines = tables.table_3(scores, TASKS)
    ours = lines.loc[("s-pruning", "bad (retrained)", "ours")]
    theirs = lines.loc[("s-pruning", "bad (retrained)", "paper")]
    assert ours.tolist() == ["0.75 ± 0.07", "0.50"]
    assert theirs.tolist() == ["0.86 ± 0.06", "0.59 ± 0.04"]
    assert len(lines) == 2 * (2 + 18)


def test_table_2_has_averages_and_names_what_is_quoted():
    scores = {
        f"baselines/{item}": {"SST-2": [0.6, 0.8], "RTE": [0.5, 0.5]} for item in tables.BASELINES
    }
    scores["reference/majority baseline"] = {"SST-2": [0.5], "RTE": [np.nan]}
    lines = tables.table_2(table(**scores), TASKS)
    cbow = lines.loc[("ours", "CBOW, frozen embeddings (trained here)")]
    assert cbow.tolist() == ["0.70", "0.50", "0.60"]
    assert lines.loc[("ours", "majority class")].tolist() == ["0.50", "–", "0.25"], (
        "no correlation counts as 0"
    )
    quoted = lines.loc["quoted by the paper"]
    assert list(quoted.index) == ["CBOW", "BILSTM + GloVe", "BILSTM + ELMO"]
    assert quoted.loc["BILSTM + GloVe"].tolist() == ["0.87", "0.58", "0.72"]


def test_differences_are_paired_by_seed():
    pairs = tables.paired(two({"SST-2": [0.9, 0.6, 0.8]}, {"SST-2": [0.8, 0.5, 0.6]}), ["SST-2"])
    row = pairs[
        (pairs["group"] == "s-pruning") & (pairs["difference"] == "good − bad (retrained)")
    ].iloc[0]
    assert (row["mean"], row["95 % interval"], row["seeds"]) == ("+0.133", "+0.10 to +0.20", 3)
    pairs = tables.paired(two({"SST-2": [0.9, 0.6]}, {"SST-2": [0.8, 0.5]}), ["SST-2"])
    row = pairs[pairs["difference"] == "good − bad (retrained)"].iloc[0]
    assert row["95 % interval"] == "none: fewer than 3 seeds" and row["seeds"] == 2


def test_longer_training_has_a_row_for_each_epoch():
    scores = {
        f"longer training/bad (s-pruning), {epoch} epochs": {"SST-2": [epoch / 10]}
        for epoch in (3, 4, 10)
    }
    lines = tables.longer_training(table(**scores), ["SST-2"])
    assert lines.loc[("bad (s-pruning), 3 epochs", "ours")].tolist() == ["0.300", "0.300"]
    assert lines.loc[("bad (s-pruning), 3 epochs", "paper")].tolist() == ["0.873", "0.873"]
    assert "paper" not in lines.loc["bad (s-pruning), 10 epochs"].index, "the paper stops at six"
    assert tables.by_epoch(table(**scores), "SST-2").columns.tolist() == [3, 4, 10]
    improves = statement(left="longer training/last epoch", right="longer training/first epoch")
    assert "+0.70" in statements.judge(improves, table(**scores), ["SST-2"])["because"]


@pytest.mark.parametrize(
    "good, verdict",
    [
        ([0.9, 0.8, 0.9], AGREES),
        ([0.5, 0.4, 0.5], DISAGREES),
        ([0.9, 0.4, 0.7], CANNOT_TELL),
        ([0.9, 0.9], CANNOT_TELL),
    ],
)
def test_the_verdict_on_one_task(good, verdict):
    scores = two({"SST-2": good}, {"SST-2": [0.6] * len(good)})
    judged = statements.judge(statement(), scores, ["SST-2"])
    assert judged["this run"] == verdict and "SST-2 " in judged["because"]


def test_a_verdict_needs_more_than_half_of_the_tasks():
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


def test_verdicts_on_averages_spreads_and_the_line_of_figure_2():
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


def test_every_statement_names_known_systems(published):
    known = set(published[0]["group"] + "/" + published[0]["item"])
    special = {
        "",
        "reference/full model less one std",
        "longer training/last epoch",
        "longer training/first epoch",
    }
    for each in statements.statements():
        for side in (each.left, each.right):
            assert side in known | special or side.endswith("/size"), side
        assert each.low < each.high and each.over in ("most tasks", "average", "spread")


def test_the_papers_own_numbers_agree_with_its_statements(published):
    """Except statements about sizes and spreads, which these numbers do not have."""
    plain, spread = published
    tasks = sorted(set(plain["task"]))
    assert len(tasks) == 9
    checked = [
        each
        for each in statements.statements()
        if "size" not in each.left and each.over != "spread"
    ]
    scores = {each: spread if "less one std" in each.right else plain for each in checked}
    judged = [(each.says, statements.judge(each, scores[each], tasks)) for each in checked]
    assert [says for says, verdict in judged if verdict["this run"] != AGREES] == []
    assert len(statements.verdicts(plain, tasks)) == len(statements.statements())
