"""`pytest --nbval-lax notebooks` runs each notebook with the profile smoke: a tiny model, seconds, no download.

The parameters go in the way papermill would put them, behind the cell tagged `parameters`. Results go to a folder of
their own, so that testing never touches anybody's outputs; there, notebook after notebook finds what it reads.
"""

import tempfile
from pathlib import Path

import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_collection_modifyitems(session, config, items):
    yield
    cells = [item for item in items if type(item).__name__ == "IPyNbCell"]
    if not cells:
        return
    import os

    import run_all
    from chain import plan, profiles

    folder = tempfile.TemporaryDirectory(prefix="nbval-")
    config.add_cleanup(folder.cleanup)
    os.environ["OUTPUTS_DIR"] = folder.name
    os.environ.pop("MASKS_DIR", None)  # the masks are to be those of the notebooks before
    profile = profiles.read("smoke")
    one_seed = profiles.checked({**dict(profile), "seeds": profile.seeds[:1]}, "the profile smoke")
    jobs = plan.plan(run_all.CHAIN, "smoke", one_seed, {})
    values = {Path(f"{job.step}.ipynb").name: job.parameters for job in jobs}
    for item in cells:
        if "parameters" in item.cell.metadata.get("tags", []):
            changes = values[Path(item.parent.path).name]
            item.cell.source += "\n" + "\n".join(
                f"{name} = {value!r}" for name, value in changes.items()
            )
