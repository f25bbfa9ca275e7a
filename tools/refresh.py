"""Show the results of a finished run: put its outputs into notebooks/ and outputs/reference/.

python -m tools.refresh            the run of the profile quick in outputs/quick
"""

import json
import shutil
import sys

import run_all
from chain import plan, profiles
from lib.artefacts import store
from lib.artefacts.fingerprint import ROOT, notebook

PROFILE = "quick"


def main() -> int:
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
    sys.exit(main())
