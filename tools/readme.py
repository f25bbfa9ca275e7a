"""Write what the reference run and the study say into README.md, from their tables and boxes.

python -m tools.readme     after `python -m tools.reference results`

Two blocks between markers are written: the reference run's scores with the answers of its
notebooks' boxes, and the study's table of two estimators. A test compares the page with what this
would write.
"""

import json
import re
import sys

import pandas as pd

from lib.artefacts.fingerprint import ROOT, notebook
from tools.blocks import fill
from tools.reference import KEPT, text

PAGE = ROOT / "README.md"
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
ESTIMATORS = ("E|g|, the paper", "|running sum|, the code")
QUESTIONS = {  # row of the README: column of study/tables/estimators
    "*reliable*: two halves of the dev rows, Spearman's ρ": "reliable: ρ of two halves",
    "*valid*: ρ with how much removing a head alone moves answers": "valid: ρ with E|Δ|",
    "*useful*: score of the better half of the heads, less that of random halves": (
        "useful: score at half"
    ),
    "*stable*: three seeds, Fleiss' κ at half of the heads": "stable: κ at half",
}


def reference() -> str:
    """The scores of the tasks that are finished, and the boxes' answers."""
    gap = pd.read_csv(KEPT / "tables" / "gap_recovered.csv").set_index(["Unnamed: 0", "system"])
    scores = pd.read_csv(KEPT / "tables" / "table_3.csv")
    ours = scores[scores["whose"] == "ours"].set_index("system")
    kappa = pd.read_csv(KEPT / "tables" / "stability_heads.csv").set_index("task")["κ"]
    rows = {
        "majority class": ours.loc["majority baseline"],
        "full model": ours.loc["full model"],
        **{name: gap.loc[system] for name, system in SYSTEMS.items()},
        "Fleiss' κ of the good heads": kappa.map("{:.2f}".format),
    }
    lines = [f"| | {' | '.join(gap.columns)} |", "|" + "---|" * (len(gap.columns) + 1)]
    lines += [f"| {name} | {' | '.join(row[gap.columns])} |" for name, row in rows.items()]
    answers = [f"- **{title}** {line(step, of)} (`{step}`)" for step, (title, of) in BOXES.items()]
    return "\n".join([*lines, "", *answers])


def line(step: str, beginning: str) -> str:
    """A line of the notebook's first box, without its bold beginning."""
    for cell in json.loads(notebook(step).read_text())["cells"]:
        if "teach.box(" in text(cell) and cell["cell_type"] == "code":
            box = "".join(cell["outputs"][0]["data"]["text/markdown"])
            (sentence,) = re.findall(rf"(?m)^> \*\*{beginning}\*\* (.*)$", box)
            return sentence[0].upper() + sentence[1:]
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
            " / ".join(first_number(found.loc[(task, name), column]) for name in ESTIMATORS)
            for task in tasks
        ]
        lines.append(f"| {question} | {' | '.join(pairs)} |")
    return "\n".join(lines)


def first_number(cell: object) -> str:
    """The number that a cell begins with, without a leading 0, as in the README: .98 or +.10."""
    match = re.match(r"([+−-]?)(\d*\.\d+)", str(cell))
    assert match is not None, cell
    return match[1] + f"{float(match[2]):.2f}".lstrip("0")


def written(page: str) -> str:
    """The page with both blocks written anew."""
    for name, block in (("reference run", reference()), ("study", study())):
        page = fill(page, BEGIN.format(name), END, block)
    return page


def main() -> int:
    """Write the page; the exit status."""
    PAGE.write_text(written(PAGE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
