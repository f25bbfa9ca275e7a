"""The figures in README.md are those of the tables in outputs/reference."""

import json
import re

import numpy as np
import pandas as pd

from lib.artefacts.fingerprint import ROOT
from lib.paper import numbers
from tools import readme

PAGE = " ".join((ROOT / "README.md").read_text().split())
TABLES = ROOT / "outputs" / "reference"
KINDS = ("bad", "random", "good")


def test_the_blocks_are_what_the_tables_and_boxes_say():
    page = (ROOT / "README.md").read_text()
    assert readme.written(page) == page, "run: python -m tools.readme"


def says(text):
    assert text in PAGE, f"README.md does not say {text!r}"


def two(value):
    """A number as in the README: two digits, without the leading 0."""
    return f"{value:.2f}".replace("0.", ".").replace("-", "−")


def test_what_longer_training_does_on_stsb():
    gains = []
    for file in (TABLES / "05_retrain_tickets" / "STS-B").glob("*/systems.json"):
        scores = {row["item"]: row["score"] for row in json.loads(file.read_text())}
        gains.append([scores[f"bad (s-pruning), {epochs} epochs"] for epochs in (3, 4, 5, 6)])
    assert np.shape(gains) == (3, 4) and (np.diff(gains) > 0).all(), "all three seeds gain"
    says(f"After six epochs instead of three they reach {two(np.mean(gains, axis=0)[-1])}")
    mean, deviation, _ = numbers.number("bad (retrained)", "STS-B", "s-pruning")
    says(f"far below the paper's {two(mean)} ± {two(deviation)}")


def test_what_the_comparisons_say():
    folders = {"study": TABLES / "study" / "tables", "reference": TABLES / "tables"}
    tables = {name: pd.read_csv(folder / "comparisons.csv") for name, folder in folders.items()}
    by_letter = {
        name: table.set_index(table["comparison"].str[0]) for name, table in tables.items()
    }
    sure = {name: {*table.index[table["p (Holm)"] < 0.05]} for name, table in by_letter.items()}
    means = {name: table["mean"] for name, table in by_letter.items()}
    says("than the running sum does, in both runs. In the reference run it also tells better")
    assert sure["study"] == {"A"} and {*"ABEIJ"} <= sure["reference"], "what the points say"
    assert all((means[name][[*"ABIJ"]] > 0).all() for name in means) and means["reference"]["E"] > 0
    assert not {*"DF"} & sure["reference"], "neither run decides these"
    f = by_letter["study"].loc["F"]
    tasks = ["MNLI", "QNLI", "SST-2", "STS-B"]
    says(f"scores {two(-f[tasks].max())} to {two(-f[tasks].min())} *below* random halves")


def test_what_the_searches_on_one_half_say():
    found = pd.read_csv(TABLES / "tables" / "searches_compared.csv").set_index("estimator")
    row = found.loc["running"]
    mean, low, high = (two(float(x)) for x in re.findall(r"[+-]\d\.\d+", row["size − E|g|'s"]))
    p = f"{row['p: size (Holm)']:.2g}".lstrip("0")
    says(f"a share of the weights larger by {mean} [{low}, {high}] (p = {p})")


def test_what_the_study_says_about_single_weights():
    masks = pd.read_csv(TABLES / "study" / "tables" / "m_masks.csv")
    ranges = {name: [two(masks[name].min()), two(masks[name].max())] for name in masks.columns[1:]}
    between, chance = (" to ".join(ranges[name]) for name in ("two seeds", "by chance"))
    says(f"Jaccard index {between}; by chance {chance})")
    (before,) = {*ranges["with pre-trained"]}
    says(f"those that the pre-trained weights alone would have them keep ({before})")


def test_what_the_estimators_predict():
    found = pd.read_csv(TABLES / "study" / "tables" / "estimators.csv").set_index("estimator")
    first = found["valid: ρ with E Δ"].str.extract(r"(-?[\d.]+)")[0].astype(float)
    paper, signed = first["E|g|, the paper"], first["−E g"]
    says(f"(ρ from {two(paper.min())} to {two(paper.max())})")
    says(f"predicts that on the same rows ({two(signed.min())} to {two(signed.max())})")


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
