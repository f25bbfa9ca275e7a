"""Tables over seeds, and the paper's statements in words."""

import numpy as np
import pandas as pd
import pytest

from lib.data.glue import TASKS as GLUE
from lib.paper import intervals, numbers, statements, tables
from lib.paper.statements import AGREES, CANNOT_TELL, DISAGREES, Statement

TASKS = ["SST-2", "RTE"]


def judged_by(of, table, tasks):
    """Judge one statement by a run's scores."""
    learned = tables.learned(table, tasks)
    return statements.judge_scores(of, statements.by_system(table), tasks, learned)


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
        "kind": "difference",
        "left": "s-pruning/good (retrained)",
        "right": "s-pruning/bad (retrained)",
    }
    return Statement(
        **{**plain, "low": 0.0, "high": np.inf, "over": "most tasks", "paper": "", **changes}
    )


def two(good, bad):
    return table(**{"s-pruning/good (retrained)": good, "s-pruning/bad (retrained)": bad})


SYSTEMS = [
    f"{group}/{kind} ({state})"
    for group in tables.GROUPS
    for kind in tables.KINDS
    for state in tables.STATES
]
SYSTEMS += ["reference/full model", "reference/majority baseline"]
SYSTEMS += [f"baselines/{tables.RANDOM_INIT}", "baselines/BiLSTM, frozen embeddings"]
SYSTEMS += [f"longer training/bad (s-pruning), {epoch} epochs" for epoch in (3, 6)]


def whole_run(score, seeds=5, majority=0.0):
    """A long table of all systems and tasks: the same score, and a majority class below it."""
    run = table(**{system: dict.fromkeys(GLUE, [score] * seeds) for system in SYSTEMS})
    return run.assign(score=run["score"].where(run["item"] != "majority baseline", majority))


def printed(item, task, group):
    mean, deviation, _ = numbers.number(item, task, group)
    return mean, 0.0 if np.isnan(deviation) else deviation


@pytest.fixture(scope="module")
def published():
    """The paper's printed means and deviations, {(group, item, task): (mean, deviation)}.

    Of random encoders, BiLSTMs and longer training it prints no deviation. The first two get none,
    the last that of the same system in Table 3.
    """
    rows = numbers.numbers().query("source == 'Table 3'")
    cells = {(r.group, r.item, r.task): (r.value, r.std) for r in rows.itertuples(index=False)}
    for task in GLUE:
        for ours, theirs in (
            (tables.RANDOM_INIT, tables.RANDOM_INIT),
            ("BiLSTM, frozen embeddings", "BILSTM + GloVe"),
        ):
            cells["baselines", ours, task] = printed(theirs, task, "baselines")
        for end, epoch in (("first epoch", 3), ("last epoch", 6)):
            mean, _ = printed(f"bad (s-pruning), {epoch} epochs", task, "longer training")
            deviation = printed("bad (retrained)", task, "s-pruning")[1]
            cells["longer training", end, task] = mean, deviation
    return cells


def verdict_of(statement, scores):
    """A run's verdict on all GLUE tasks that its full model learns."""
    full, majority = (
        {task: scores["reference", item, task] for task in GLUE}
        for item in ("full model", "majority baseline")
    )
    counted = [task for task in GLUE if tables.learns(full[task] - majority[task])]
    by_task = statements.differences(statement, scores, counted)
    return statements.decide(statement, by_task, len(GLUE))


def draws_of_the_paper(published, rounded, draws=500, seeds=5):
    """Scores drawn from the paper's means and deviations.

    rounded: undo the rounding to two digits: means move by up to 0.005, deviations are above 0
    """
    generator = np.random.default_rng(0)
    means, deviations = np.array(list(published.values())).T[:, :, None]
    majority = np.array([item == "majority baseline" for _, item, _ in published])[:, None]
    for _ in range(draws):
        noise = generator.normal(size=(len(published), seeds))
        widths = np.where(majority, 0, np.maximum(deviations, 0.0025)) if rounded else deviations
        moved = generator.uniform(-0.005, 0.005, means.shape) if rounded else 0
        yield dict(zip(published, means + moved + widths * noise, strict=True))


def share_of_runs(outcomes, *wanted):
    return np.mean([outcome in wanted for outcome in outcomes])


def simulation_error(share, runs):
    return 3 * np.sqrt(share * (1 - share) / runs)


def test_intervals_by_hand():
    # the mean is 0.2, the deviation 0.1, and t with two degrees of freedom is 4.303
    assert np.allclose(intervals.of_mean([0.1, 0.2, 0.3]), (0.2 - 0.2484, 0.2 + 0.2484), atol=1e-4)
    assert np.isnan(intervals.of_mean([0.1, 0.2])).all()
    assert np.isnan(intervals.of_mean([0.1, np.nan, 0.2])).all()
    low, high = intervals.of_mean(np.random.default_rng(0).normal(0, 1, 400))
    assert high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert intervals.of_mean([0.1, 0.2, 0.4]) == intervals.of_mean([0.1, 0.2, 0.4])
    assert intervals.of_mean([0.5, 0.5, 0.5]) == (0.5, 0.5)
    # the deviation is 0.1; χ² with two degrees of freedom is 7.378 and 0.0506
    wanted = (0.1 * np.sqrt(2 / 7.378), 0.1 * np.sqrt(2 / 0.0506))
    assert np.allclose(intervals.of_deviation([0.1, 0.2, 0.3]), wanted, rtol=1e-3)
    assert np.isnan(intervals.of_deviation([0.1, 0.2])).all()


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(("interval", "truth"), [("of_mean", 0.3), ("of_deviation", 0.1)])
def test_intervals_cover_the_truth_in_95_of_100_runs(interval, truth, seeds):
    scores = np.random.default_rng(seeds).normal(0.3, 0.1, (4_000, seeds))
    ends = np.array([getattr(intervals, interval)(row) for row in scores])
    coverage = ((ends[:, 0] < truth) & (truth < ends[:, 1])).mean()
    assert coverage == pytest.approx(0.95, abs=simulation_error(0.95, len(scores)))


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


def test_the_papers_averages_count_its_misprints_with_what_fits():
    ours = {"reference/majority baseline": {task: [0.5] for task in GLUE}}
    lines = tables.table_2(table(**ours), list(GLUE))
    cbow = lines.loc[("quoted by the paper", "CBOW")]
    assert (cbow["CoLA"], cbow["average"]) == ("0.46", "0.61"), "as printed, and without it"


def test_table_2_has_averages_and_names_what_is_quoted():
    scores = {
        f"baselines/{item}": {"SST-2": [0.6, 0.8], "RTE": [0.5, 0.5]} for item in tables.BASELINES
    }
    scores["reference/majority baseline"] = {"SST-2": [0.5], "RTE": [np.nan]}
    lines = tables.table_2(table(**scores), TASKS)
    cbow = lines.loc[("ours", "CBOW, frozen embeddings (trained here)")]
    assert cbow.tolist() == ["0.70", "0.50", "0.60"]
    majority = lines.loc[("ours", "majority class")].tolist()
    assert majority == ["0.50", "–", "–"], "a missing score has no average"
    constant = table(**scores).assign(constant=lambda rows: rows["score"].isna())
    majority = tables.table_2(constant, TASKS).loc[("ours", "majority class")].tolist()
    assert majority == ["0.50", "–", "0.25"], "no correlation counts as 0"
    quoted = lines.loc["quoted by the paper"]
    assert list(quoted.index) == ["CBOW", "BILSTM + GloVe", "BILSTM + ELMO"]
    assert quoted.loc["BILSTM + GloVe"].tolist() == ["0.87", "0.58", "0.72"]


def test_differences_are_paired_by_seed():
    pairs = tables.paired(two({"SST-2": [0.9, 0.6, 0.8]}, {"SST-2": [0.8, 0.5, 0.6]}), ["SST-2"])
    row = pairs[
        (pairs["group"] == "s-pruning") & (pairs["difference"] == "good − bad (retrained)")
    ].iloc[0]
    assert (row["mean"], row["95 % interval"], row["seeds"]) == ("+0.133", "-0.01 to +0.28", 3)
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
    assert "+0.70" in judged_by(improves, table(**scores), ["SST-2"])["because"]


def test_a_constant_answer_is_told_apart_from_a_missing_score(tmp_path):
    class Finished:
        seed = 1

        def __init__(self, task):
            self.task = task

        def load(self, _):
            return [{"group": "reference", "item": "full model", "score": np.nan, "size": 1.0}]

    found = tables.gather([Finished("STS-B"), Finished("SST-2")])
    assert found["constant"].tolist() == [True, False]
    filled = tables.constants_as_zero(found)["score"]
    assert filled[0] == 0 and np.isnan(filled[1])
    assert found["score"].isna().all(), "the long table itself keeps nan"
    absent = table(**{"reference/full model": {"STS-B": [np.nan]}})
    assert tables.constants_as_zero(absent)["score"].isna().all()


def test_the_share_of_the_gap_and_the_tasks_left_out():
    scores = table(
        **{
            "reference/majority baseline": {"SST-2": [0.5] * 3, "RTE": [0.5] * 3},
            "reference/full model": {"SST-2": [0.9] * 3, "RTE": [0.50, 0.53, 0.52]},
            "s-pruning/bad (retrained)": {"SST-2": [0.6] * 3, "RTE": [0.5] * 3},
            "m-pruning/bad (retrained)": {"SST-2": [0.5, np.nan, np.nan], "RTE": [0.5] * 3},
        }
    )
    out = tables.left_out(scores, TASKS)
    assert list(out) == ["RTE"] and out["RTE"].startswith("full model − majority class is +0.02")
    shares = tables.gap_recovered(scores, TASKS)
    assert shares.loc[("s-pruning", "bad (retrained)")].tolist() == ["0.60 (25 %)", "0.50 (–)"]
    assert shares.loc[("m-pruning", "bad (retrained)"), "SST-2"] == "0.50 (0 %)"
    assert shares.loc[("m-pruning", "good (retrained)"), "SST-2"] == "– (–)"
    below = scores.assign(score=scores["score"].where(scores["item"] != "full model", 0.4))
    assert list(tables.left_out(below, TASKS)) == TASKS, "worse than the majority class"


@pytest.mark.parametrize(
    "good, verdict",
    [
        ([0.9, 0.8, 0.9], "agrees on this task"),
        ([0.4, 0.3, 0.4], "disagrees on this task"),
        ([0.9, 0.4, 0.7], CANNOT_TELL),
        ([0.6, 0.6, 0.6], CANNOT_TELL),
        ([0.9, 0.9], CANNOT_TELL),
    ],
)
def test_the_verdict_on_one_task(good, verdict):
    scores = two({"SST-2": good}, {"SST-2": [0.6] * len(good)})
    judged = judged_by(statement(), scores, ["SST-2"])
    assert judged["this run"] == verdict and "SST-2 " in judged["because"]


def test_a_verdict_needs_more_than_half_of_the_tasks():
    bad = {task: [0.6] * 3 for task in (*TASKS, "MRPC")}
    good = {"SST-2": [0.9] * 3, "RTE": [0.8] * 3, "MRPC": [0.1] * 3}
    assert judged_by(statement(), two(good, bad), [*TASKS, "MRPC"])["this run"] == AGREES
    good["RTE"] = [0.2] * 3
    judged = judged_by(statement(), two(good, bad), [*TASKS, "MRPC"])
    assert judged["this run"] == DISAGREES and "1 for, 2 against" in judged["because"]
    good["RTE"] = [0.2, 0.9, 0.6]
    assert judged_by(statement(), two(good, bad), [*TASKS, "MRPC"])["this run"] == CANNOT_TELL


def test_one_task_does_not_decide_a_run():
    many = list(GLUE)
    good, bad = {"SST-2": [0.9] * 5}, {"SST-2": [0.6] * 5}
    assert judged_by(statement(), two(good, bad), many)["this run"] == CANNOT_TELL
    # eight full models learn nothing, so a single task counts
    rows = {
        "s-pruning/good (retrained)": dict.fromkeys(many, [0.9] * 5),
        "s-pruning/bad (retrained)": dict.fromkeys(many, [0.6] * 5),
        "reference/majority baseline": dict.fromkeys(many, [0.5] * 5),
        "reference/full model": dict.fromkeys(many, [0.5] * 5) | {"SST-2": [0.9] * 5},
    }
    judged = judged_by(statement(), table(**rows), many)
    assert judged["this run"] == CANNOT_TELL
    assert judged["needed"] == "at least 5 tasks; 1 of 9 count"
    assert judged["because"].startswith("SST-2 +0.30; left out: ") and "CoLA" in judged["because"]
    # one task differs by 50 points, which makes the mean over nine 6 points
    good = {task: [0.6] * 5 for task in many} | {"STS-B": [1.1] * 5}
    bad = dict.fromkeys(many, [0.6] * 5)
    for over in ("average", "most tasks"):
        judged = judged_by(statement(over=over), two(good, bad), many)
        assert judged["this run"] == CANNOT_TELL
        alone = judged_by(statement(over=over), two(good, bad), ["STS-B"])
        assert alone["this run"] == "agrees on this task"


def test_a_task_without_scores_has_no_vote_but_belongs_to_the_run():
    good, bad = ({task: [score] * 3 for task in TASKS} for score in (0.9, 0.6))
    judged = judged_by(statement(), two(good, bad), [*TASKS, "MRPC", "QQP"])
    assert judged["this run"] == AGREES and "MRPC –" in judged["because"]
    good["RTE"] = [0.6] * 3
    assert judged_by(statement(), two(good, bad), [*TASKS, "MRPC"])["this run"] == CANNOT_TELL
    five = judged_by(statement(), two(good, bad), list(GLUE)[:5])
    assert five["this run"] == CANNOT_TELL and five["needed"] == "at least 3 tasks; 1 of 5 count"


def test_cannot_tell_says_what_is_needed():
    good = {"SST-2": [0.70, 0.74, 0.78], "RTE": [0.70, 0.74, 0.78]}
    bad = {"SST-2": [0.7] * 3, "RTE": [0.7] * 3}
    # mean and deviation are 0.04: t(n − 1) is below √n from 7 seeds on
    assert judged_by(statement(), two(good, bad), TASKS)["needed"] == "about 7 seeds"
    good["RTE"] = [0.66, 0.62, 0.70]
    judged = judged_by(statement(), two(good, bad), TASKS)
    assert judged["needed"] == "more tasks; of these 2, means for it: 1, against it: 1"
    judged = judged_by(statement(over="average"), two(good, bad), TASKS)
    assert judged["needed"] == "at least 3 tasks"
    few = judged_by(statement(), two({"SST-2": [0.9]}, {"SST-2": [0.6]}), ["SST-2"])
    assert few["needed"] == "at least 3 seeds of both systems"
    decided = two({"SST-2": [0.9] * 3}, {"SST-2": [0.6] * 3})
    assert judged_by(statement(), decided, ["SST-2"])["needed"] == ""


def test_verdicts_on_averages_spreads_and_the_line_of_figure_2():
    good, bad = {"SST-2": [0.9] * 3, "RTE": [0.5] * 3}, {"SST-2": [0.6] * 3, "RTE": [0.6] * 3}
    judged = judged_by(statement(over="average"), two(good, bad), TASKS)
    assert judged["because"].startswith("+0.10 over 2 tasks")
    four = {"SST-2": 0.9, "RTE": 0.8, "MRPC": 0.85, "CoLA": 0.88}
    high, low = ({task: [x - d] * 3 for task, x in four.items()} for d in (0, 0.3))
    judged = judged_by(statement(over="average", low=0.2), two(high, low), list(four))
    assert judged["this run"] == AGREES
    judged = judged_by(statement(over="average", low=0.4), two(high, low), list(four))
    assert judged["this run"] == DISAGREES
    wide = two({"SST-2": [0.2, 0.5, 0.8]}, {"SST-2": [0.5, 0.5, 0.5]})
    for bound, verdict in (
        (0.1, "agrees on this task"),
        (0.2, CANNOT_TELL),  # the deviation is 0.3, and its interval reaches from 0.16 to 1.9
        (2.0, "disagrees on this task"),
    ):
        spread = statement(kind="spread", right="", low=bound)
        assert judged_by(spread, wide, ["SST-2"])["this run"] == verdict
    full = {
        "reference/full model": {"SST-2": [0.8, 0.9, 1.0]},
        "s-pruning/good (retrained)": {"SST-2": [0.85] * 3},
    }
    line = statement(kind="on the line", right="reference/full model")
    assert judged_by(line, table(**full), ["SST-2"])["because"].startswith("SST-2 +0.05")


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "difference", "low": -0.05},
        {"kind": "equivalence", "low": 0.0, "high": 0.05},
        {"kind": "equivalence", "low": -0.05},
        {"kind": "no worse", "low": 0.0},
        {"kind": "on the line", "low": -0.1},
        {"kind": "on the line", "over": "average"},
        {"kind": "range"},
        {"kind": "spread"},
        {"kind": "better"},
        {"low": 0.1, "high": 0.05},
        {"over": "all tasks"},
    ],
)
def test_bounds_that_do_not_fit_their_kind_are_refused(wrong):
    with pytest.raises(ValueError, match="do not fit"):
        statement(**wrong)


def test_every_statement_names_known_systems(published):
    known = {f"{group}/{item}" for group, item, _ in published}
    assert {each.kind for each in statements.statements()} == set(statements.KINDS)
    for each in statements.statements():
        for side in (each.left, each.right):
            assert side in known or not side or side.endswith("/size"), side
        assert each.own in ("yes", "no", "not given") and (each.own == "yes" or each.note)


def test_equal_scores_agree_with_no_statement_of_difference():
    judged = statements.verdicts(whole_run(0.8), list(GLUE))
    kinds = pd.Series([each.kind for each in statements.statements()])
    agree = judged["this run"] == AGREES
    from_majority = judged["the paper says"].str.contains("beats the majority class")
    # The majority class is the one system that scores less, or no task would count.
    assert not agree[(kinds == "difference") & ~from_majority].any()
    assert agree[kinds == "equivalence"].sum() == (kinds == "equivalence").sum()
    level = statements.verdicts(whole_run(0.8, majority=0.8), list(GLUE))
    assert set(level["this run"]) == {CANNOT_TELL}, "no full model learns anything"


@pytest.mark.parametrize("tasks", [list(GLUE), ["STS-B"]])
def test_with_all_scores_missing_nothing_can_be_told(tasks):
    absent = whole_run(np.nan, majority=np.nan).assign(size=np.nan, constant=False)
    assert set(statements.verdicts(absent, tasks)["this run"]) == {CANNOT_TELL}
    assert set(statements.verdicts(absent.iloc[:0], tasks)["this run"]) == {CANNOT_TELL}
    constant = absent.assign(constant=absent["task"] == "STS-B")
    assert set(statements.verdicts(constant, tasks)["this run"]) == {CANNOT_TELL}


@pytest.mark.parametrize("rounded", [False, True])
def test_runs_drawn_from_the_papers_numbers_do_not_disagree_with_it(published, rounded):
    draws = list(draws_of_the_paper(published, rounded))
    assert len(draws) == 500
    agree = []
    for each in statements.statements():
        outcomes = [verdict_of(each, scores) for scores in draws]
        assert share_of_runs(outcomes, DISAGREES) <= 0.05, each.says
        agree.append(share_of_runs(outcomes, AGREES))
        if "size" in each.left:  # of which numbers.csv has none
            assert set(outcomes) == {CANNOT_TELL}
    # Notebook 06 says "about seven of the sentences".
    assert sum(agree) == pytest.approx(7, abs=0.5) and sum(x > 0.9 for x in agree) == 6


def test_the_statements_say_where_the_papers_means_contradict_it(published):
    """Over all nine tasks, as the paper counts, and to the two digits that it prints."""
    for each in statements.statements():
        if "size" in each.left:
            assert each.own == "not given"
            continue
        holds = []
        for task in GLUE:
            group, item = each.left.split("/")
            mean, deviation = published[group, item, task]
            if each.kind == "spread":
                mean = deviation
            elif each.right:
                other, item = each.right.split("/")
                right = published[other, item, task]
                mean -= right[0] - (right[1] if each.kind == "on the line" else 0)
            holds.append(mean)
        points = [np.mean(holds)] if each.over == "average" else holds
        inside = [each.low <= round(x, 9) <= each.high for x in points]
        assert each.own == ("yes" if sum(inside) > len(inside) / 2 else "no"), each.says


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("run", [1, 2, 9])
def test_noise_decides_no_statement_of_difference(run, seeds):
    """If the truth lies on the bound, a verdict is an error: at most 5 of 100 runs have one."""
    generator, runs = np.random.default_rng(run + seeds), 600
    tasks = list(GLUE)[:run]
    for each in statements.statements():
        if each.kind != "difference":
            continue
        truth = each.low if np.isfinite(each.low) else each.high
        noise = generator.normal(truth, 0.03, (runs, run, seeds))
        outcomes = [
            statements.decide(each, dict(zip(tasks, one, strict=True)), run) for one in noise
        ]
        wrong = 1 - share_of_runs(outcomes, CANNOT_TELL)
        assert wrong <= 0.05 + simulation_error(0.05, runs), each.says


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("alike", [0, 0.5, 0.9])
@pytest.mark.parametrize("noisier", [0.3, 1, 3])
def test_noise_does_not_decide_where_the_line_of_figure_2_is(seeds, alike, noisier):
    """A system that is exactly on the full model's line, one deviation below its mean.

    alike: the correlation of the two over seeds
    noisier: the system's deviation, divided by the full model's
    """
    generator, runs = np.random.default_rng(seeds), 2_000
    full, own = generator.normal(size=(2, runs, seeds))
    system = noisier * (alike * full + np.sqrt(1 - alike**2) * own) - 1
    line = next(each for each in statements.statements() if each.kind == "on the line")
    outcomes = [
        statements.decide(line, {"RTE": np.stack([a - b, b], axis=1)}, 1)
        for a, b in zip(system, full, strict=True)
    ]
    assert 1 - share_of_runs(outcomes, CANNOT_TELL) <= 0.05 + simulation_error(0.05, runs)


@pytest.mark.parametrize("seeds", [3, 5])
def test_noise_never_agrees_with_a_difference_of_whole_runs(seeds):
    """All systems score alike but for noise, and the full model beats the majority class."""
    generator, runs = np.random.default_rng(seeds), 200
    keys = list(statements.by_system(whole_run(0.8, seeds)))
    level = np.array([0.0 if item == "majority baseline" else 0.8 for _, item, _ in keys])
    width = np.where(level > 0, 0.03, 0.0)[:, None]
    draws = [
        dict(zip(keys, level[:, None] + width * noise, strict=True))
        for noise in generator.normal(size=(runs, len(keys), seeds))
    ]
    for each in statements.statements():
        if each.kind == "difference" and "majority" not in each.right:
            outcomes = [verdict_of(each, scores) for scores in draws]
            assert share_of_runs(outcomes, AGREES) <= 0.05, each.says
            if 0 in (each.low, each.high):
                decided = 1 - share_of_runs(outcomes, CANNOT_TELL)
                assert decided <= 0.05 + simulation_error(0.05, runs), each.says


def test_a_search_that_keeps_all_or_nothing_leaves_no_choice():
    good = {"RTE": [0.7, 0.7], "SST-2": [0.9, 0.9]}
    found = table(**{"s-pruning/good (pruned)": good, "m-pruning/good (pruned)": good})
    assert tables.without_choice(found) == [], "all sizes are .5"
    found.loc[(found["task"] == "RTE") & (found["group"] == "s-pruning"), "size"] = 0.0
    found.loc[(found["task"] == "SST-2") & (found["seed"] == 1), "size"] = 1.0
    assert tables.without_choice(found) == [
        "SST-2, seed 1: everything is kept (s-pruning, m-pruning), so good, random and bad are the "
        "same.",
        "RTE, seeds 0, 1: nothing is kept (s-pruning), so good, random and bad are the same.",
    ]
