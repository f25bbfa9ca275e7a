"""Let `pytest --nbval-lax notebooks` run each notebook with the profile smoke.

That profile has a tiny model, takes seconds and downloads nothing. The parameters are inserted
after the cell tagged `parameters`, where papermill would insert them. Results go to a temporary
folder, so testing never touches a user's outputs, and each notebook finds there what the notebooks
before it wrote.
"""

import os
import tempfile
from pathlib import Path

import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_collection_modifyitems(config, items):
    yield
    cells = [item for item in items if type(item).__name__ == "IPyNbCell"]
    if not cells:
        return
    import run_all
    from chain import plan, profiles

    folder = tempfile.TemporaryDirectory(prefix="nbval-")
    config.add_cleanup(folder.cleanup)
    os.environ["OUTPUTS_DIR"] = folder.name
    os.environ.pop("MASKS_DIR", None)  # notebooks must read the masks of the notebooks before them
    profile = profiles.read("smoke")
    one_seed = profiles.checked({**dict(profile), "seeds": profile.seeds[:1]}, "the profile smoke")
    jobs = plan.plan(run_all.CHAIN, "smoke", one_seed, {})
    parameters = {Path(f"{job.step}.ipynb").name: job.parameters for job in jobs}
    for item in cells:
        if "parameters" in item.cell.metadata.get("tags", []):
            values = parameters[Path(item.parent.path).name]
            item.cell.source += "\n" + "\n".join(
                f"{name} = {value!r}" for name, value in values.items()
            )
