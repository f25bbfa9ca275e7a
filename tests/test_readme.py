"""The figures in README.md and docs/ are those of the tables in outputs/reference."""

import json
import re
from datetime import datetime

import numpy as np
import pandas as pd
from scipy.stats import ttest_1samp

from benchmarks.gpu import hours
from chain import profiles
from lib.analysis import agreement, comparisons, few_rows
from lib.artefacts.fingerprint import ROOT
from lib.data.glue import TASKS
from lib.paper import intervals, numbers, tables
from lib.pruning.importance import ESTIMATORS
from lib.tickets.more_rows import AS_MANY_STEPS, BY_THE_RECIPE
from tools import readme

PAGES = ROOT / "README.md", ROOT / "docs" / "importance.md", ROOT / "docs" / "speed.md"
PAGE = " ".join(" ".join(page.read_text() for page in PAGES).split())
TABLES = ROOT / "outputs" / "reference"
RUNS = {"study": TABLES / "study" / "tables", "reference": TABLES / "tables"}
KINDS = ("bad", "random", "good")
OF_BAD = "s-pruning", "bad (retrained)"


def test_the_blocks_are_what_the_tables_and_boxes_say():
    for page in readme.PAGES:
        assert readme.written(page) == page.read_text(), "run: python -m tools.readme"


def says(text):
    assert text in PAGE, f"neither README.md nor docs/ says {text!r}"


def two(value):
    """A number as in the README: two digits, without the leading 0."""
    return f"{value:.2f}".replace("0.", ".").replace("-", "−")


def test_what_longer_training_does_on_stsb():
    gains = []
    for file in (TABLES / "05_retrain_tickets" / "STS-B").glob("*/systems.json"):
        scores = {row["item"]: row["score"] for row in json.loads(file.read_text())}
        gains.append([scores[f"bad (s-pruning), {epochs} epochs"] for epochs in (3, 4, 5, 6)])
    assert np.shape(gains) == (5, 4) and (np.diff(gains) > 0).all(), "all five seeds gain"
    says(f"After six epochs instead of three they reach {two(np.mean(gains, axis=0)[-1])}")
    mean, deviation, _ = numbers.number("bad (retrained)", "STS-B", "s-pruning")
    says(f"far below the paper's {two(mean)} ± {two(deviation)}")


def test_what_removing_each_unit_costs():
    minutes = []
    for folder in (TABLES / "03_structured_pruning").glob("*/seed_*"):
        # each layer's losses are written when it is measured; the first one begins unrecorded
        first, last = (
            datetime.fromisoformat(
                json.loads((folder / f"removal_{layer:02}.npy.json").read_text())["written"]
            )
            for layer in (0, 11)
        )
        minutes.append((last - first).total_seconds() / 60 * 12 / 11)
    assert len(minutes) == 45
    says(f"took a median of {np.median(minutes):.0f} minutes of one core")


def comparisons_of(run):
    """The differences of a run, by letter and task, and its ten rows by letter."""
    table = pd.read_csv(RUNS[run] / "comparisons.csv")
    table = table.set_index(table["comparison"].str[0])
    return table[[name for name in table.columns if name in TASKS]], table


def sure_of(differences):
    judged = comparisons.decisions(differences)
    return {name[0] for name in judged.index[judged["p (Holm)"] < 0.05]}


def test_what_the_comparisons_say():
    (study, judged), (reference, _) = comparisons_of("study"), comparisons_of("reference")
    says("than the running sum does, in both runs. In the reference run it also tells better")
    sure = sure_of(reference)
    assert sure_of(study) == {"A"} and sure == {*"ABCEIJ"}, "what the points say"
    assert all((part.mean(axis=1)[[*"ABIJ"]] > 0).all() for part in (study, reference))
    stable = difference(reference.loc["I"]).replace("+", "")
    says(f"κ is {stable} higher by E|g| (planned; in the study below it is not shown)")
    says("By that rule the study decides five, and the reference run six")
    assert (judged["so"] != "not decided").sum() == 5
    assert (comparisons.decisions(reference)["so"] != "not decided").sum() == 6
    says("without it the same six are decided")
    assert sure_of(reference.drop(columns="WNLI")) == sure
    says("earlier run had seen, the rows *reliable*, *valid* and *stable* are decided as well")
    new = reference.drop(columns=study.columns)
    assert new.shape[1] == 5 and sure_of(new) == {*"ABCI"}
    why = f"J {comparisons.COMPARISONS['J'].what}"
    p = f"{comparisons.decisions(new).loc[why, 'p (Holm)']:.2g}".lstrip("0")
    says(f"*why* (p = {p}) and E|g| against random ({difference(new.loc['E'])}) are not")
    says(f"scores {two(-study.loc['F'].max())} to {two(-study.loc['F'].min())} *below* random")
    assert study.loc["F"].idxmin() == "STS-B"
    says(f"the true E Δ chooses a half that is {two(study.loc['G', 'STS-B'])} *above* random")


def difference(values):
    """Mean and interval of differences, as in the README: +.13 [−.04, +.31]."""
    numbers_ = values.mean(), *intervals.of_mean(values)
    mean, low, high = (f"{x:+.2f}".replace("0.", ".").replace("-", "−") for x in numbers_)
    return f"{mean} [{low}, {high}]"


def test_what_the_searches_on_one_half_say():
    by_run = {}
    for run, folder in RUNS.items():
        found = pd.read_csv(folder / "searches_on_half.csv").set_index(["task", "estimator"])
        found["lost"] = tables.lost(found, "other")
        by_run[run] = found[["size", "lost"]].unstack("estimator")
    study, reference = (
        {
            name: of["size", name] - of["size", "example"]
            for name in ("running", "signed")
            if name in of["size"]
        }
        for of in (by_run["study"], by_run["reference"])
    )
    row = (
        pd.read_csv(RUNS["reference"] / "searches_compared.csv")
        .set_index("estimator")
        .loc["running"]
    )
    mean, low, high = (two(float(x)) for x in re.findall(r"[+-]\d\.\d+", row["size − E|g|'s"]))
    p = f"{row['p: size (Holm)']:.1g}".lstrip("0")
    less = " and ".join(reference["running"].index[reference["running"] <= 0])
    says(f"by {mean} of the weights [{low}, {high}] (p = {p}; not on {less})")
    says(f"not decidedly in the study ({difference(study['running'])})")
    assert (study["signed"] > 0).all()
    p = f"{ttest_1samp(study['signed'], 0).pvalue:.2g}".lstrip("0")
    says(f"by {difference(study['signed']).replace('+', '')} (p = {p})")
    lost = [by_run["reference"]["lost"]["running"] - by_run["reference"]["lost"]["example"]]
    lost += [by_run["study"]["lost"][name] - by_run["study"]["lost"]["example"] for name in study]
    for each in lost:
        low, high = intervals.of_mean(each)
        assert low < 0 < high, "what they lose on the other half is not shown to differ"


def test_what_the_searches_by_all_estimators_say():
    folder = TABLES / "searches"
    table = pd.read_csv(folder / "tables" / "searches_compared.csv", index_col="estimator")
    planned = profiles.load(profiles.PARAMS / "searches.yaml", "searches")
    says(f"models of {', '.join(planned['tasks'][:-1])} and {planned['tasks'][-1]} (three seeds)")
    for task in planned["tasks"]:
        found = [*(folder / "03_structured_pruning" / task).glob("seed_*/halves.json")]
        assert len(found) == 3, task
    assert table.index[0] == "example"
    says("By E|g| the searches end smallest, on average, but no single difference survives the")
    says("Nor is it shown that what is lost on the other half depends on the estimator.")
    for what in ("size", "lost"):
        assert (table[f"p: {what} (Holm)"].dropna() > intervals.LEVEL).all(), what
    assert {*table.index[1:3]} == {"token", "example_squared"} <= {*planned["estimators"]}
    says("the two whose subnetworks come next in size, the token sum and E g²")


def test_what_the_subnetworks_of_three_searches_say():
    folder = TABLES / "searches" / "tables"
    scores = pd.read_csv(folder / "scores_by_estimator.csv", index_col=0)
    judged = pd.read_csv(folder / "retrained_by_estimator.csv", index_col=0)
    tasks = profiles.load(profiles.PARAMS / "searches.yaml", "searches")["tasks"]
    assert {*tasks} < {*judged.columns}
    controls = [name for name in judged.index if not name.startswith(comparisons.BETWEEN)]
    between = judged.drop(controls)
    sizes = scores["size"].sort_values().map(two)
    says(f"whose sizes are {sizes.iloc[0]}, {sizes.iloc[1]} and {sizes.iloc[2]}")
    says("No difference is shown. The three means are within .002 of each other")
    assert len(scores) == len(between) == 3 and scores["good"].agg(np.ptp) < 0.002
    assert (between["p (Holm)"] > intervals.LEVEL).all()
    says("the intervals of the differences over tasks reach to about ±.03; on single tasks")
    ends = np.array([intervals.of_mean(row) for row in between[tasks].to_numpy()])
    assert abs(ends).max().round(2) == 0.03
    most = abs(between[tasks]).max()
    says(f"the means differ by up to {two(most.max())} ({most.idxmax()})")
    says("good is above random and bad on each of the five tasks, whichever of the three chose")
    assert (judged.loc[controls, tasks] > 0).all(axis=None)
    says("for nine comparisons (the three searches with one another, and good with random and with")
    says("bad in each), good is shown to be better than random with E g²")
    formulas = {key: ESTIMATORS[key].formula for key in ("example_squared", "token", "example")}
    randoms = {key: f"{formula}: good − random" for key, formula in formulas.items()}
    sure = {name for name in judged.index if judged.loc[name, "p (Holm)"] < intervals.LEVEL}
    assert len(judged) == 9 and sure == {randoms["example_squared"], randoms["token"]}
    for key, end in (("example_squared", ")"), ("token", ")"), ("example", "; STS-B")):
        found = judged.loc[randoms[key]]
        p = f"{found['p (Holm)']:.2g}".lstrip("0")
        says(f"({difference(found[tasks].astype(float))}, p = {p}{end}")
    uneven = judged.loc[randoms["example"], tasks].astype(float)
    low, high = (two(f(uneven.drop("STS-B"))) for f in (min, max))
    says(f"STS-B {two(uneven['STS-B'])}, elsewhere {low} to {high}")
    assert judged.loc[list(randoms.values()), "mean"].idxmax() == randoms["example"]
    bad = judged.loc[[f"{formula}: good − bad" for formula in formulas.values()], tasks]
    low, high = two(bad["STS-B"].min()), two(bad["STS-B"].max())
    elsewhere = two(bad.drop(columns="STS-B").max(axis=None))
    says(f"on STS-B they are {low} to {high} apart, elsewhere at most {elsewhere}, and so")


def test_what_the_searches_kappas_say():
    found = pd.read_csv(RUNS["reference"] / "searches_and_rankings.csv")
    kappas = found.pivot(index="task", columns="estimator", values="κ of the search").dropna()
    assert len(kappas) == 8, "eight tasks"
    paper, code = (
        f"{two(kappas[by].min())} to {two(kappas[by].max())}" for by in ("example", "running")
    )
    says(f"κ from {paper} by the formula")
    says(f"from {code} by the running sum of the code")


def test_what_came_out():
    claims = pd.read_csv(RUNS["reference"] / "what_we_learned.csv")
    verdicts = claims["verdict"].str.split(":").str[0].value_counts()
    counts = [verdicts[each] for each in ("agrees", "disagrees", "cannot tell")]
    told = "of {} claims taken from the paper {} hold, {} do not, and {} cannot be decided"
    says(told.format(len(claims), *counts))


def masks_of_searches(estimator):
    """{task: bool [seeds, layers, heads]}: the heads that the joint searches of a run keep."""
    name = {"example": "joint"}.get(estimator, estimator)
    kept = {}
    for task in TASKS:
        files = (TABLES / "03_structured_pruning" / task).glob(f"*/{name}_head_mask.npy")
        kept[task] = np.stack([np.load(file) for file in files])
    return kept


def test_why_it_contradicts_the_paper():
    kappas, lower = {}, {}
    for estimator in ("example", "running"):
        kept = masks_of_searches(estimator)
        kept.pop("WNLI")  # of which nothing is kept
        assert len(kept) == 8 and {len(masks) for masks in kept.values()} == {5}
        kappas[estimator] = np.array([agreement.fleiss_kappa(masks) for masks in kept.values()])
        third = next(iter(kept.values())).shape[1] * 2 // 3
        lower[estimator] = np.array(
            [m[:, :third].mean() - m[:, third:].mean() for m in kept.values()]
        )
    says(f"the paper's formula, κ is {interval(kappas['example'])}")
    assert 0.15 <= kappas["running"].mean() <= 0.32
    says(
        f"computes, it is {interval(kappas['running'])}; the mean is within the paper's .15 to .32"
    )
    says(f"Fleiss' κ is {two(kappas['example'].mean())} on average, by the running sum of its "
         f"code {two(kappas['running'].mean())}")  # fmt: skip
    here, code = (interval(lower[estimator]) for estimator in ("example", "running"))
    says(f"{here} here by E|g|, and {code} by the running sum")
    difference_ = interval(lower["running"] - lower["example"])
    says(f"(the two differ by {difference_})")
    assert intervals.side(intervals.of_mean(lower["running"] - lower["example"])) == 1
    claims = pd.read_csv(RUNS["reference"] / "what_we_learned.csv").set_index("#")
    failed = claims[claims["verdict"] == "disagrees"]
    assert [*failed.index] == [2, 5, 13, 19, 22, 27, 32, 34], "three are explained, five are not"
    authors = failed["authors' masks"].str.split(":").str[0]
    assert authors[authors == "agrees"].index.tolist() == [2, 32]
    assert authors[19] == "cannot tell" and set(authors[[5, 13, 22, 27, 34]]) == {"–"}

    def as_told(cell):
        return re.search(r"\S+ \[.*?\]", cell).group().translate({ord("+"): None, ord("-"): "−"})

    told = as_told(failed["authors' masks"][2]).replace("0.", ".")
    says(f"The difference is {told} in the authors' masks")
    says(f"here it is {as_told(failed['this run'][27]).replace('0.', '.')}")


def test_what_the_study_says_about_single_weights():
    masks = pd.read_csv(TABLES / "study" / "tables" / "m_masks.csv")
    ranges = {name: [two(masks[name].min()), two(masks[name].max())] for name in masks.columns[1:]}
    between, chance = (" to ".join(ranges[name]) for name in ("two seeds", "by chance"))
    says(f"Jaccard index {between}; by chance {chance})")
    (before,) = {*ranges["with pre-trained"]}
    says(f"those that the pre-trained weights alone would have them keep ({before})")


def test_what_the_estimators_predict():
    def span(run, column, formula, which=0):
        found = (
            pd.read_csv(RUNS[run] / "estimators.csv").set_index("estimator").loc[formula, column]
        )
        values = found.astype(str).str.findall(r"-?[\d.]+").str[which].astype(float)
        return f"{two(values.min())} to {two(values.max())}"

    says(f"(ρ from {span('study', 'valid: ρ with E Δ', 'E|g|, the paper')})")
    says(f"its ρ is {span('reference', 'ℓ2-normalised: ρ with E|Δ|', 'E|g|, the paper')} in the")
    says(f"measured on ({span('study', 'valid: ρ with E Δ', '−E g')} in the study)")
    other = span("reference", "from other rows: ρ with E Δ, E|Δ|", "−E g")
    says(f"from other rows only with ρ {other} (reference run)")


def test_what_the_authors_masks_say():
    found = pd.read_csv(TABLES / "published" / "tables" / "stability_heads.csv").set_index("task")
    asked = found.drop("WNLI")
    assert len(asked) == 8 and pd.isna(found.loc["WNLI", "p"])
    says(f"κ is {two(asked['κ'].min())} to {two(asked['κ'].max())}")
    assert (asked[["p", "p within layers"]].round(4) == 0.0001).all().all()
    says("(p = .0001 in 10,000 draws;")
    shared, chance = (asked[name] for name in ("shared by two seeds", "by chance"))
    says(f"share {shared.min():.0f} to {shared.max():.0f} heads there")
    says(f"random masks of the same sizes {chance.min():.0f} to {chance.max():.0f}.")


def test_what_the_speed_ups_save_in_energy():
    claims = json.loads((ROOT / "benchmarks" / "results.json").read_text())["claims"]["energy"]
    tuning, search = (claim["median"] for claim in claims)
    says(f"takes {tuning:.1f} times the energy of ours for fine-tuning on CoLA")
    says(f"and {search:.1f} times for a search there")


def test_the_papers_answer_is_table_3():
    table = numbers.numbers().query("source == 'Table 3'").groupby(["group", "item"])["value"]
    means = table.mean().map(two)
    bad, random, good = (means["s-pruning", f"{kind} (retrained)"] for kind in KINDS)
    full, majority = (means["reference", item] for item in ("full model", "majority baseline"))
    says(f"they score {bad}, random ones {random}, good ones {good}, the full model {full} and the")
    says(f"majority class {majority} (Table 3)")


def test_what_else_learns_stsb_on_the_same_rows():
    scores = []
    for file in (TABLES / "05_retrain_tickets" / "STS-B").glob("*/systems.json"):
        scores.append({row["item"]: row["score"] for row in json.loads(file.read_text())})
    bag, first = (
        np.mean([of_seed[item] for of_seed in scores])
        for item in ("CBOW, frozen embeddings", "first layers, pre-trained")
    )
    says(f"a bag of words reaches {two(bag)}, and the encoder's first layers, cut to bad's size,")
    says(f"reach {two(first)}.")


def interval(values):
    low, high = intervals.of_mean(values)
    return f"{two(values.mean())} [{two(low)}, {two(high)}]"


def test_what_more_rows_do():
    trainings = pd.read_csv(TABLES / "more_rows" / "trainings.csv")
    systems = pd.read_csv(TABLES / "06_all_tickets_win" / "systems.csv")
    shares, _ = few_rows.learned(trainings, systems)
    good, random, bad, few = map(two, shares[["good", "random", "bad", few_rows.OWN]].mean())
    says(
        f"good ones then learn {good} of what the full model learns from as many rows, random ones"
    )
    seeds = systems[systems["seed"].isin(trainings["seed"])]
    assert trainings["seed"].nunique() == 3
    own = tables.gap(tables.constants_as_zero(seeds), [*shares.index], *OF_BAD)
    on_cpu = two(np.mean([*own.values()]))
    says(
        f"on which they learn {few} (trained on a CPU, as for the table, with these seeds {on_cpu})"
    )
    gain, steps = (shares[a] - shares[b] for a, b in few_rows.PLANNED.values())
    says(f"the difference, {interval(gain)}, is not decided")
    says(f"these end {interval(steps)} lower than more rows do")
    enough = shares["more"] >= 5749
    assert (gain[enough] > 0).all() and (gain[~enough] < 0).all()
    assert [*shares.index[~enough]] == ["MRPC", "RTE"] and enough.sum() == 6
    theirs = tables.papers_shares([*shares.index])
    means = [two(np.mean([*theirs[kind].values()])) for kind in reversed(KINDS)]
    of_paper = f"{means[0]}, {means[1]} and {means[2]}"
    says(f"ones {random} and bad ones {bad} (paper, by the same measure: {of_paper})")
    behind = pd.Series(theirs["bad"]) - shares["bad"]
    says(f"bad ones learn {interval(behind)} less than the paper's {means[2]}")
    stsb = trainings.query("task == 'STS-B' and system == 'bad'").groupby(["rows", "length"])
    scores = stsb["score"].mean().map(two)
    with_all = scores[5749, BY_THE_RECIPE]
    says(f"(three epochs and three of the seeds, on a GPU) they reach {with_all}")
    says(f"about as many steps on the 1,500 rows {scores[1500, AS_MANY_STEPS]}")


def test_why_wnli_keeps_nothing():
    says("WNLI's full model is worse than the majority class")
    for file in (TABLES / "01_finetune" / "WNLI").glob("seed_*/result.json"):
        result = json.loads(file.read_text())
        assert result["score"] < result["majority"], file


def test_how_much_faster_it_is():
    claims = json.loads((ROOT / "benchmarks" / "results.json").read_text())["claims"]
    padded = [
        c["median"] for c in claims["finetuning"] if c["against"] == "every row padded to 128"
    ]
    says(f"fine-tuning is {min(padded):.1f} to {max(padded):.1f} times as fast as the authors'")
    whole = [claim["median"] for claim in claims["search:whole"]]
    says(f"search {min(whole):.1f} to {max(whole):.1f} times (MRPC, CoLA)")


def test_what_the_gpu_has_measured():
    found = json.loads((ROOT / "benchmarks" / "gpu" / "h100.json").read_text())["results"]
    for key, result in found.items():
        for line in result["lines"]:
            if line["against"] and not key.startswith(("equality", "steps MRPC", "hours")):
                assert f"| {line['figure']} |" in PAGE, line["work"]
    exact = [float(line["figure"].split()[0]) for line in found["equality"]["lines"][:3]]
    says(f"are {min(exact):.1f} to {max(exact):.1f} times as far from float64 as the CPU's")
    hours_of_paper = of_paper_without_mrpc(found)
    says(f"| {hours_of_paper:.0f} one job at a time, ")
    says(
        f"{hours_of_paper / found['jobs']['values']['gains']['8']:.0f} with eight (rough estimates,"
    )
    assert found["steps MRPC"]["lines"][0]["figure"] == "1.43 (1.43–1.43)", "one turn, the first"
    at_once = found["hours of `paper`"]["lines"][0]["note"].split("; ")[1]
    assert found["hours of `paper`"]["lines"][0]["figure"] == "250.6" and "60.4" in at_once


def of_paper_without_mrpc(found):
    steps = [
        (one["tokens"], one["seconds"]["mixed"])
        for key in ("CoLA", "QQP", "SST-2", "RTE")
        for one in found[f"steps {key}"]["values"]["finetuning"].values()
    ]
    speed = hours.speed_of(steps, found["scoring"]["values"]["scored_token"])
    return hours.seconds_of(hours.works()["paper"], speed) / 3600
