"""Write what the runs say into README.md and docs/importance.md, from their tables and boxes.

python -m tools.readme     after `python -m tools.reference results`

The blocks between markers are written: which tasks the reference run has, its scores with the
answers of its notebooks' boxes, the study's table of two estimators, what became of the study's
comparisons in the reference run, and the searches with all estimators. A test compares the pages
with what this would write.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from lib.artefacts.fingerprint import ROOT, notebook
from lib.artefacts.publish import in_a_cell
from lib.data.glue import TASKS
from lib.paper import intervals, numbers
from lib.paper.findings import names_of, worded
from lib.paper.tables import KINDS, without_choice
from lib.pruning.importance import ESTIMATORS
from tools.blocks import fill
from tools.reference import KEPT, SEARCHES, text

END = "<!-- end: tools.readme -->"
BEGIN = "<!-- {}: written by `python -m tools.readme` -->"

SYSTEMS = {  # row of the README: the system in tables/gap_recovered
    "s-pruned, retrained: good": ("s-pruning", "good (retrained)"),
    "s-pruned, retrained: random": ("s-pruning", "random (retrained)"),
    "s-pruned, retrained: bad": ("s-pruning", "bad (retrained)"),
    "m-pruned, retrained: good": ("m-pruning", "good (retrained)"),
    "m-pruned, retrained: random": ("m-pruning", "random (retrained)"),
    "m-pruned, retrained: bad": ("m-pruning", "bad (retrained)"),
    "random encoder of bad's size": ("baselines", "Random init + random s-pruning"),
    "bag of words, frozen embeddings": ("baselines", "CBOW, frozen embeddings"),
}
BOXES = {  # notebook: (what its box is about, the line of the box that goes here)
    "10_what_we_learned": ("All claims.", "In this run"),
    "06_all_tickets_win": ("Are all tickets winning?", "So"),
    "07_stability": ("Do seeds agree?", "So"),
    "08_attention_patterns": ("Do the survivors look linguistic?", "So"),
    "09_task_overlap": ("Do tasks share their survivors?", "So"),
}
SEARCHED, LAST, SEEDS = "03_structured_pruning", "05_retrain_tickets", 5
PAPER_AND_CODE = ("E|g|, the paper", "|running sum|, the code")
QUESTIONS = {  # row of the README: column of study/tables/estimators
    "*reliable*: two halves of the dev rows, Spearman's ρ": "reliable: ρ of two halves",
    "*valid*: ρ with how much removing a head alone changes an example's loss": (
        "valid: ρ with E|Δ|"
    ),
    "*useful*: score of the better half of the heads, less that of random halves": (
        "useful: score at half"
    ),
    "*stable*: three seeds, Fleiss' κ at half of the heads": "stable: κ at half",
}


def progress() -> str:
    """Which tasks the reference run has whole, and which in part."""
    done = json.loads((KEPT / "run.json").read_text())["seeds done"]
    whole = [task for task, seeds in done[LAST].items() if seeds >= SEEDS]
    pruned = [
        task for task, seeds in done[SEARCHED].items() if seeds >= SEEDS and task not in whole
    ]
    if len(whole) == len(TASKS):
        return f"*All {len(TASKS)} tasks are whole, with {min(done[LAST].values())} seeds each.*"
    rest = len(TASKS) - len(whole) - len(pruned)
    text = f"*So far it has {names_of(whole or ['no task'])} whole"
    text += f"; {names_of(pruned)} pruned, but not trained again" if pruned else ""
    tasks = "1 task is" if rest == 1 else f"{rest} tasks are"
    text += f". {tasks} still to run (CONTRIBUTING.md says how).*" if rest else ".*"
    return text


def reference() -> str:
    """The scores of the tasks that are finished, the paper's below them, and the boxes' answers."""
    gap = pd.read_csv(KEPT / "tables" / "gap_recovered.csv").set_index(["Unnamed: 0", "system"])
    scores = pd.read_csv(KEPT / "tables" / "table_3.csv")
    ours = scores[scores["whose"] == "ours"].set_index(["Unnamed: 0", "system"])
    kappa = pd.read_csv(KEPT / "tables" / "stability_heads.csv").set_index("task")["κ"]
    rows = {
        "majority class": ours.loc["reference", "majority baseline"],
        "full model": ours.loc["reference", "full model"],
        **{name: _with_share(ours, gap, system) for name, system in SYSTEMS.items()},
        "Fleiss' κ of the good heads": kappa.map("{:.2f}".format).replace("nan", "–"),
        "*paper, BERT-base:* full model": _papers([("reference", "full model")], gap.columns),
        **{
            f"*paper:* {group[0]}-pruned, retrained: good / random / bad": _papers(
                [(group, f"{kind} (retrained)") for kind in KINDS], gap.columns
            )
            for group in ("s-pruning", "m-pruning")
        },
    }
    lines = [f"| | {' | '.join(gap.columns)} |", "|" + "---|" * (len(gap.columns) + 1)]
    lines += [f"| {name} | {' | '.join(row[gap.columns])} |" for name, row in rows.items()]
    answers = [f"- **{title}** {line(step, of)} (`{step}`)" for step, (title, of) in BOXES.items()]
    systems = pd.read_csv(KEPT / "06_all_tickets_win" / "systems.csv")
    one_and_the_same = " ".join(without_choice(systems))
    return "\n".join([*lines, "", one_and_the_same, "", *answers])


def _with_share(scores: pd.DataFrame, gap: pd.DataFrame, system: tuple[str, str]) -> pd.Series:
    """A row of mean ± deviation (share of the gap); of some systems only the mean is tabled."""
    shares = gap.loc[system]
    if system not in scores.index:
        return shares
    return scores.loc[system, gap.columns] + " " + shares.str.extract(r"(\(.*\))")[0]


def _papers(systems: list[tuple[str, str]], tasks: pd.Index) -> pd.Series:
    """A row of the paper's means over seeds (Table 3): these systems, side by side."""
    cells = {
        task: [numbers.number(item, task, group)[0] for group, item in systems] for task in tasks
    }
    return pd.Series({task: " / ".join(f"{x:.2f}" for x in row) for task, row in cells.items()})


def replication() -> str:
    """The ten comparisons of estimators, over tasks, in the study and in the reference run."""
    columns, labels = {}, pd.Series()
    for folder, run, encoder in (
        (KEPT / "study", "`study`", "MiniLM-L6"),
        (KEPT, "reference run", "E5-small"),
    ):
        found = pd.read_csv(folder / "tables" / "comparisons.csv")
        found.index = found["comparison"].str[0]  # A to J; some words of the study's are others
        labels = found["comparison"].str[2:].map(in_a_cell)
        tasks = sum(name in TASKS for name in found.columns)
        columns[f"{run}: {tasks} tasks, {encoder}"] = found.apply(over_tasks, axis=1)
    return pd.DataFrame({"for heads": labels} | columns).to_markdown(index=False)


def over_tasks(row: pd.Series) -> str:
    """Write mean and interval of a comparison, in bold if Holm's p decides it, and this p."""
    low, high = re.findall(r"[+-]\d+\.\d+", row["95 % interval"])
    mean, low, high = (first_number(f"{float(x):+.2f}") for x in (row["mean"], low, high))
    difference = f"{mean} [{low}, {high}]"
    difference = f"**{difference}**" if row["p (Holm)"] < intervals.LEVEL else difference
    return f"{difference}, {worded(row['p (Holm)']).replace(' 0.', ' .')}"


def line(step: str, beginning: str) -> str:
    """A line of the notebook's first box, without its bold beginning."""
    for cell in json.loads(notebook(step).read_text())["cells"]:
        if "teach.box(" in text(cell) and cell["cell_type"] == "code":
            box = "".join(cell["outputs"][0]["data"]["text/markdown"])
            (sentence,) = re.findall(rf"(?m)^> \*\*{beginning}\*\* (.*)$", box)
            whose = f"{beginning} " if beginning == "In this run" else ""
            return whose + (sentence if whose else sentence[0].upper() + sentence[1:])
    raise LookupError(f"{step} has no box")


def study() -> str:
    """The four answers of the study, task by task, for the paper's estimator and the code's."""
    found = pd.read_csv(KEPT / "study" / "tables" / "estimators.csv").set_index(
        ["task", "estimator"]
    )
    tasks = list(dict.fromkeys(found.index.get_level_values("task")))
    lines = ["| " + " | ".join(["", *tasks]) + " |", "|" + "---|" * (len(tasks) + 1)]
    for question, column in QUESTIONS.items():
        pairs = [
            " / ".join(first_number(found.loc[(task, name), column]) for name in PAPER_AND_CODE)
            for task in tasks
        ]
        lines.append(f"| {question} | {' | '.join(pairs)} |")
    return "\n".join(lines)


def searches() -> str:
    """How small the searches of the profile `searches` end, what they lose, and score retrained."""
    folder = KEPT / SEARCHES / "tables"
    compared = pd.read_csv(folder / "searches_compared.csv", index_col="estimator")
    scores = pd.read_csv(folder / "scores_by_estimator.csv", index_col="searched by")[[*KINDS]]
    retrained = scores.map(first_number).agg(" / ".join, axis=1)
    formulas = [ESTIMATORS[name].formula for name in compared.index]

    def differences(what: str) -> pd.Series:
        parts = compared[f"{what} − E|g|'s"].str.split(", ", expand=True)
        judged = pd.DataFrame({
            "mean": parts[0].astype(float), "95 % interval": parts[1],
            "p (Holm)": compared[f"p: {what} (Holm)"],
        })  # fmt: skip
        return judged.dropna().apply(over_tasks, axis=1).reindex(compared.index, fill_value="")

    return pd.DataFrame({
        "joint search by": [in_a_cell(formula) for formula in formulas],
        "weights left": compared["size"].map("{:.2f}".format).map(first_number),
        "less those by E\\|g\\|": differences("size"),
        "lost": compared["lost, other half"].map("{:.2f}".format).map(first_number),
        "less that by E\\|g\\|": differences("lost"),
        "retrained: good / random / bad": retrained.reindex(formulas, fill_value="").to_numpy(),
    }).to_markdown(index=False, disable_numparse=True)  # fmt: skip


def first_number(cell: object) -> str:
    """The number that a cell begins with, without a leading 0, as in the README: .98 or +.10."""
    match = re.match(r"([+−-]?)(\d*\.\d+)", str(cell))
    assert match is not None, cell
    whole, decimals = f"{float(match[2]):.2f}".split(".")
    return f"{match[1].replace('-', '−')}{whole.lstrip('0')}.{decimals}"


PAGES: dict[Path, dict[str, Callable[[], str]]] = {  # {page: {block: what writes it}}
    ROOT / "README.md": {"progress": progress, "reference run": reference},
    ROOT / "docs" / "importance.md": {
        "replication": replication, "study": study, "searches": searches,
    },
}  # fmt: skip


def written(page: Path) -> str:
    """The page with all its blocks written anew."""
    content = page.read_text()
    for name, block in PAGES[page].items():
        content = fill(content, BEGIN.format(name), END, block())
    return content


def main() -> int:
    """Write the pages; the exit status."""
    for page in PAGES:
        page.write_text(written(page))
    return 0


if __name__ == "__main__":
    sys.exit(main())
