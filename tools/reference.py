"""Bring the reference run into the checkout: its results without weights, and its summaries.

python -m tools.reference OUTPUTS COMMIT

OUTPUTS is an outputs folder in which the profile `reference` was run, whole or in part, by a clone
at COMMIT. The notebooks that cover all tasks and seeds are run by this checkout, on the results
that are there. Everything but weights then goes to outputs/reference, and what the summaries show
to notebooks/. CONTRIBUTING.md says how a run is continued from there.
"""

import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import papermill

import run_all
from chain import profiles
from lib.artefacts import store
from lib.artefacts.files import atomic
from lib.artefacts.fingerprint import ROOT, notebook
from tools.refresh import show_outputs

PROFILE = "reference"
SHOWN = ("SST-2", 1337)  # whose notebooks are kept as they ran


def main(outputs: str, commit: str) -> int:
    """Run the summaries, then copy; the exit status."""
    os.environ["OUTPUTS_DIR"] = str(Path(outputs).resolve())
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # notebooks have no progress bars
    made, kept = store.outputs() / PROFILE, ROOT / "outputs" / PROFILE
    once = [step for step, (scope, _) in run_all.CHAIN.items() if scope == "once"]
    each = [step for step in run_all.CHAIN if step not in once]
    done = {step: store.places(PROFILE, step) for step in each}
    for step in once:
        target = store.executed_notebook(PROFILE, step)
        target.parent.mkdir(exist_ok=True)
        folder = notebook(step).parent
        papermill.execute_notebook(notebook(step), target, cwd=folder, progress_bar=False)
        show_outputs(step, json.loads(target.read_text()))
    shutil.copytree(made, kept, ignore=ignored, dirs_exist_ok=True)
    for step in each:
        copy_notebook(store.executed_notebook(PROFILE, step, *SHOWN), kept / "notebooks")
    about = {
        "commit": commit,
        "profile": profiles.load(profiles.PARAMS / f"{PROFILE}.yaml", PROFILE),
        "seeds done": {step: Counter(place.task for place in done[step]) for step in each},
    }
    with atomic(kept / "run.json") as temporary:
        temporary.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    return 0


def ignored(folder: str, names: list[str]) -> set[str]:
    """What git does not keep of a reference run, and the executed notebooks."""
    prefix = f"outputs/{PROFILE}/"
    lines = (ROOT / ".gitignore").read_text().splitlines()
    patterns = [line.removeprefix(prefix).split("/")[-1] for line in lines if prefix in line]
    return shutil.ignore_patterns(*filter(None, patterns), "*.ipynb")(folder, names)


def copy_notebook(executed: Path, folder: Path) -> None:
    """Copy an executed notebook without the paths of the machine that it ran on."""
    if executed.exists():
        folder.mkdir(parents=True, exist_ok=True)
        content = json.loads(executed.read_text())
        content["metadata"].pop("papermill", None)
        text = json.dumps(content, indent=1, ensure_ascii=False)
        (folder / executed.name).write_text(text.replace(f"{ROOT}/", "") + "\n")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
