"""Bring what runs have made into the checkout: outputs/reference, and what the notebooks show.

python -m tools.reference results OUTPUTS COMMIT
    OUTPUTS is an outputs folder in which the profile `reference` was run, whole or in part, by a
    clone at COMMIT. The notebooks that cover all tasks and seeds are run by this checkout, on the
    results that are there. Everything but weights goes to outputs/reference, and what these
    summaries show to notebooks/. CONTRIBUTING.md says how a run is continued from there.
python -m tools.reference notebooks OUTPUTS
    What 01, 02, 03 and 05 show there for one task and seed of `reference`: to notebooks/. This
    checkout must have run them.
python -m tools.reference more_rows CSV
    What tools.more_rows has trained: to outputs/reference/more_rows, where 06 finds it.
python -m tools.reference summaries PROFILE
    Pictures, tables and executed summaries of another profile's run in outputs/: to
    outputs/reference/PROFILE.
python -m tools.reference searches OUTPUTS
    OUTPUTS is an outputs folder in which the profile `searches` was run, whole or in part, by a
    clone (CONTRIBUTING.md). 06 and 07 are run by this checkout. Their tables about the searches go
    to outputs/reference/searches, where 06 and 07 of the reference run show them; and the results,
    but for weights and for what the reference run has, byte for byte.
"""

import filecmp
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

import pandas as pd
import papermill

import run_all
from chain import profiles
from lib.artefacts import store
from lib.artefacts.files import atomic
from lib.artefacts.fingerprint import ROOT, notebook, of_work
from lib.tickets.more_rows import STEP, TRAININGS

PROFILE, SEARCHES = "reference", "searches"
ABOUT_SEARCHES = {  # what `searches` adds to the reference run's tables, by the step that writes it
    "06_all_tickets_win": ("scores_by_estimator", "retrained_by_estimator"),
    "07_stability": ("searches_compared", "searches_on_half", "searches_and_rankings"),
}
KEPT = ROOT / "outputs" / PROFILE
SHOWN = ("SST-2", 1337)  # whose notebooks are shown, and kept as they ran
ONCE = [step for step, (scope, _) in run_all.CHAIN.items() if scope == "once"]
EACH = [step for step in run_all.CHAIN if step not in ONCE]


def main(what: str, *arguments: str) -> int:
    """Do one of these things; the exit status."""
    things = [results, notebooks, more_rows, summaries, searches]
    {thing.__name__: thing for thing in things}[what](*arguments)
    return 0


def results(outputs: str, commit: str) -> None:
    """Run the summaries, then copy all but weights."""
    read_from(outputs)
    done = {step: store.places(PROFILE, step) for step in EACH}
    for beside in (STEP, f"{SEARCHES}/tables"):  # what 06 and 07 read beside the chain's steps
        if (KEPT / beside).exists():
            shutil.copytree(KEPT / beside, store.outputs() / PROFILE / beside, dirs_exist_ok=True)
    for step in ONCE:
        show_outputs(step, json.loads(ran(step, PROFILE).read_text()))
    for name in (*run_all.CHAIN, "figures", "tables", "run_all"):  # not what others put beside them
        made = store.outputs() / PROFILE / name
        if made.exists():
            if name in ("figures", "tables"):  # what is no longer drawn goes
                shutil.rmtree(KEPT / name, ignore_errors=True)
            shutil.copytree(made, KEPT / name, ignore=ignored, dirs_exist_ok=True)
    about = {
        "commit": commit,
        "profile": profiles.load(profiles.PARAMS / f"{PROFILE}.yaml", PROFILE),
        "seeds done": {step: Counter(place.task for place in done[step]) for step in EACH},
    }
    with atomic(KEPT / run_all.BROUGHT_ALONG) as temporary:
        temporary.write_text(as_file(about))


def notebooks(outputs: str) -> None:
    """Show what the notebooks of one task and seed show, and keep them as they ran."""
    os.environ["OUTPUTS_DIR"] = str(Path(outputs).resolve())
    executed = {step: store.executed_notebook(PROFILE, step, *SHOWN) for step in EACH}
    for step, path in executed.items():
        show_outputs(step, json.loads(path.read_text()))
    copy_notebooks(executed.values(), KEPT / "notebooks")


def more_rows(trained: str) -> None:
    """Keep what was trained on more rows, perhaps on another machine: its lines say on which."""
    content = Path(trained).read_text()
    ran = pd.read_csv(StringIO(content))[["device", "torch"]].drop_duplicates()
    kept = store.Place(PROFILE, STEP, fingerprint=of_work(["lib.tickets.more_rows"], {}))
    kept.save(TRAININGS, content, trained_on=ran.to_dict("records"))


def summaries(profile: str) -> None:
    """Copy what a run has shown: pictures, tables, and the notebooks that cover all tasks."""
    made, kept = store.outputs() / profile, KEPT / profile
    for shown in ("figures", "tables", "notebooks"):  # the results that `searches` keeps stay
        shutil.rmtree(kept / shown, ignore_errors=True)
    for pattern in ("figures/*.png", "tables/*.csv", "tables/*.md"):
        copy_with_records(made.glob(pattern), kept / pattern.split("/")[0])
    executed = (store.executed_notebook(profile, step) for step in ONCE)
    copy_notebooks((path for path in executed if path.exists()), kept / "notebooks")


def searches(outputs: str) -> None:
    """Run 06 and 07 on what the profile `searches` has made; copy what they say of it and used."""
    read_from(outputs)
    planned = profiles.load(profiles.PARAMS / f"{SEARCHES}.yaml", SEARCHES)
    parameters = {"profile": SEARCHES, "tasks": planned["tasks"], "seeds": planned["seeds"]}
    made, kept = store.outputs() / SEARCHES, KEPT / SEARCHES
    shutil.rmtree(kept / "tables", ignore_errors=True)
    for step, names in ABOUT_SEARCHES.items():
        ran(step, SEARCHES, parameters)
        files = (made / "tables" / f"{name}.{end}" for name in names for end in ("csv", "md"))
        copy_with_records((file for file in files if file.exists()), kept / "tables")
    # Nothing is removed in this profile, so removal.npy is all nan. The gradients are those of the
    # reference run's models: its own, up to rounding.
    copy_new(made, kept, but=("removal.npy", "gradients.npy", "token_sums.npy"))


def copy_new(made: Path, kept: Path, but: Iterable[str] = ()) -> None:
    """Copy results, but for weights, these files, and what the reference run has, byte for byte."""
    left_out = {*but, *(f"{name}.json" for name in but)}

    def not_kept(folder: str, names: list[str]) -> set[str]:
        here, twin = Path(folder), KEPT / Path(folder).relative_to(made)
        same = filecmp.cmpfiles(here, twin, names, shallow=False)[0] if twin.exists() else []
        return {*ignored(folder, names), *left_out, *same, *(f"{name}.json" for name in same)}

    for step in EACH:
        if (made / step).exists():
            shutil.copytree(made / step, kept / step, ignore=not_kept, dirs_exist_ok=True)


def copy_with_records(files: Iterable[Path], folder: Path) -> None:
    """Copy artefacts, each with the record of how it was made."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        for path in (file, file.with_name(f"{file.name}.json")):
            shutil.copy(path, folder)


def read_from(outputs: str) -> None:
    """Let this process and its notebooks find results in this folder."""
    os.environ["OUTPUTS_DIR"] = str(Path(outputs).resolve())
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # notebooks have no progress bars
    os.environ["OMP_NUM_THREADS"] = "1"  # as a run's jobs have; with two, 08's classifier differs


def ran(step: str, profile: str, parameters: dict | None = None) -> Path:
    """Run a notebook of this checkout on a profile's results; the path of the executed copy."""
    target = store.executed_notebook(profile, step)
    target.parent.mkdir(exist_ok=True)
    source = notebook(step)
    papermill.execute_notebook(source, target, parameters, cwd=source.parent, progress_bar=False)
    return target


def ignored(folder: str, names: list[str]) -> set[str]:
    """What git does not keep of a reference run, and the executed notebooks."""
    prefix = f"outputs/{PROFILE}/"
    lines = (ROOT / ".gitignore").read_text().splitlines()
    patterns = [line.removeprefix(prefix).split("/")[-1] for line in lines if prefix in line]
    return shutil.ignore_patterns(*filter(None, patterns), "*.ipynb")(folder, names)


def copy_notebooks(executed: Iterable[Path], folder: Path) -> None:
    """Copy executed notebooks without the paths of the machine that they ran on."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in executed:
        content = json.loads(path.read_text())
        content["metadata"].pop("papermill", None)
        for cell in content["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"] = joined(cell)
        (folder / path.name).write_text(as_file(content).replace(f"{ROOT}/", ""))


def show_outputs(step: str, executed: dict) -> None:
    """Give a notebook's code cells the outputs of its executed copy.

    Raises ValueError if the copy ran other code: its outputs would not be those of these cells.
    """
    stored = json.loads(notebook(step).read_text())
    ran = [cell for cell in executed["cells"] if "injected-parameters" not in tags(cell)]
    if [text(cell) for cell in ran] != [text(cell) for cell in stored["cells"]]:
        raise ValueError(f"{step}: it ran with other cells; run it with this checkout")
    for cell, done in zip(stored["cells"], ran, strict=True):
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = joined(done), done["execution_count"]
    notebook(step).write_text(as_file(stored))


def joined(cell: dict) -> list[dict]:
    """A cell's outputs; what it printed at several moments, with nothing in between, is one."""
    outputs: list[dict] = []
    for output in cell["outputs"]:
        last = outputs[-1] if outputs else {}
        if last.get("name") == output.get("name") and "text" in last and "text" in output:
            last["text"] = "".join([*last["text"], *output["text"]]).splitlines(keepends=True)
        else:
            outputs.append({**output})
    return outputs


def as_file(content: dict) -> str:
    """The JSON of a notebook or a record, as it is kept in the checkout."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def text(cell: dict) -> str:
    """A cell's source, which a file has as lines."""
    return "".join(cell["source"])


def tags(cell: dict) -> list[str]:
    """A cell's tags."""
    return cell["metadata"].get("tags", [])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
