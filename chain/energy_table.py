"""What jobs took of energy, noted beside their times and summed per notebook in tables/energy."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pandas as pd

from chain.profiles import ConfigError, nearest
from lib.artefacts.publish import publish
from lib.artefacts.store import Place

NOTES = "energy.json"


def check_country(code: str) -> None:
    """Raise ConfigError if codecarbon is not installed or does not know the country."""
    try:
        from codecarbon.input import DataSource
    except ImportError:
        raise ConfigError(
            f"--energy {code}: codecarbon is not installed; pip install -e '.[energy]' adds it"
        ) from None
    known = DataSource().get_global_energy_mix_data()
    if code not in known:
        raise ConfigError(
            f"--energy {code}: codecarbon knows no such country{nearest(code, known)}; "
            "write its three letters, as in FRA"
        )


def note(profile: str, name: str, seconds: float, used: Mapping[str, Any]) -> None:
    """Remember what a job took, for the table."""
    place = Place(profile, "run_all")
    with suppress(OSError):  # a full disk; a measurement must not cost a run
        noted = place.find(NOTES, {})
        place.save(NOTES, {**noted, name: {**used, "seconds": round(seconds, 1)}})


def table(noted: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Sum the jobs' notes, {job: note}, per step, with a last line for all."""
    jobs = pd.DataFrame(noted.values(), [name.split("-")[0] for name in noted])

    def line(of: pd.DataFrame) -> dict[str, Any]:
        kwh, grams = of["kwh"].sum(), 1000 * of["kg_co2eq"].sum()
        return {
            "jobs": len(of),
            "hours": f"{of['seconds'].sum() / 3600:.3g}",
            "kWh": f"{kwh:.3g}",
            "g CO2eq": f"{grams:.3g}",
            "country": " ".join(sorted(set(of["country"]))),
            "energy is": " ".join(sorted(set(of["how"]))),
        }

    lines = {step: line(jobs.loc[[step]]) for step in sorted(set(jobs.index))}
    return pd.DataFrame([*lines.values(), line(jobs)], pd.Index([*lines, "all"], name="notebook"))


def publish_table(profile: str) -> pd.DataFrame | None:
    """Save the table of all noted jobs as tables/energy; None if there are none."""
    place = Place(profile, "run_all")
    noted = place.find(NOTES, {})
    if not noted:
        return None
    sums = table(noted)
    publish(place, "energy", sums)
    return sums
