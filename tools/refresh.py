"""Show the results of a finished run: put its outputs into notebooks/ and outputs/reference/.

python -m tools.refresh             of the run in outputs/quick: its files, and what the notebooks
                                    show that run for one task and seed
python -m tools.refresh published   figures, tables and executed summaries of another profile's run

The notebooks that cover all tasks and seeds show the reference run: see tools/reference.py.
"""

import json
import shutil
import sys

import run_all
from chain import plan, profiles
from lib.artefacts import store
from lib.artefacts.fingerprint import ROOT, notebook

PROFILE = "quick"


def main(profile: str = PROFILE) -> int:
    """Refresh the notebooks and quick's files, or collect another profile's; the exit status."""
    return refresh() if profile == PROFILE else collect(profile)


def collect(profile: str) -> int:
    """Copy what a run has shown: pictures, tables, and the notebooks that cover all tasks."""
    made, reference = store.outputs() / profile, ROOT / "outputs" / "reference" / profile
    shutil.rmtree(reference, ignore_errors=True)
    shown = [*made.glob("figures/*.png"), *made.glob("tables/*.csv"), *made.glob("tables/*.md")]
    shown += [path.with_name(f"{path.name}.json") for path in shown]
    once = [step for step, (scope, _) in run_all.CHAIN.items() if scope == "once"]
    shown += [path for step in once for path in made.glob(f"notebooks/{step}.ipynb")]
    for file in shown:
        target = reference / file.relative_to(made)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".ipynb":  # without the paths of the machine that it ran on
            executed = json.loads(file.read_text())
            executed["metadata"].pop("papermill", None)
            text = json.dumps(executed, indent=1, ensure_ascii=False)
            target.write_text(text.replace(f"{ROOT}/", "") + "\n")
        else:
            shutil.copy(file, target)
    return 0 if shown else 1


def refresh() -> int:
    """Copy cell outputs, figures and tables; return 1 if a notebook of the run is stale."""
    jobs = plan.plan(
        run_all.CHAIN, PROFILE, profiles.read(PROFILE), run_all.recorded_origins(PROFILE)
    )
    first = {job.step: job for job in reversed(jobs)}  # of the first task and seed
    stale = [job.name for job in first.values() if not job.done]
    if stale:
        print(f"{', '.join(stale)}: stale; run: python run_all.py --profile {PROFILE}")
        return 1
    for step, job in first.items():
        place = job.place
        if place.task is None:
            continue
        executed = store.executed_notebook(place.profile, step, place.task, place.seed)
        show_outputs(step, json.loads(executed.read_text()))
    made, reference = store.outputs() / PROFILE, ROOT / "outputs" / "reference" / PROFILE
    for file in sorted(reference.rglob("*.*")):
        published = made / file.relative_to(reference)
        # one table, the scores of all systems, is an artefact of notebook 06 and not published
        shutil.copy(published if published.exists() else next(made.rglob(file.name)), file)
    return 0


def show_outputs(step: str, executed: dict) -> None:
    """Give a notebook's code cells the outputs of its executed copy."""
    stored = json.loads(notebook(step).read_text())
    ran = [cell for cell in executed["cells"] if "injected-parameters" not in tags(cell)]
    for cell, done in zip(stored["cells"], ran, strict=True):
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = done["outputs"], done["execution_count"]
    notebook(step).write_text(json.dumps(stored, indent=1, ensure_ascii=False) + "\n")


def tags(cell: dict) -> list[str]:
    """A cell's tags."""
    return cell["metadata"].get("tags", [])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
