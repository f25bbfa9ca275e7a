"""Energy of jobs: measured without a network, shared between jobs, summed in a table."""

import subprocess
import sys

import nbformat
import pytest

import run_all
from chain import energy, energy_table
from chain.cluster import Cluster
from chain.execute import JobSpec
from chain.profiles import ConfigError
from lib.artefacts.fingerprint import ROOT
from lib.artefacts.store import Place

MEASURE = """
import os, sys
asked = []
sys.addaudithook(lambda event, facts: asked.append((event, facts)) if event in (
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto") else None)
from chain import energy
with energy.measured("FRA", jobs=2, cards=0) as used:
    sum(range(30_000_000))
print(used["kwh"], used["kg_co2eq"], used["country"], used["how"])
print([one for one in asked if not str(one[1][-1]).startswith("/")])  # files are local sockets
"""


def test_energy_is_measured_without_a_network_whatever_the_user_has_set_up(tmp_path):
    settings = {
        "CODECARBON_ELECTRICITYMAPS_API_TOKEN": "secret",
        "CODECARBON_EMISSIONS_ENDPOINT": "http://127.0.0.1:9",
        "CODECARBON_OUTPUT_METHODS": "csv,api",
        "PYTHONPATH": str(ROOT),
    }
    ended = subprocess.run(
        [sys.executable, "-c", MEASURE],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**run_all.os.environ, **settings},
    )
    assert ended.returncode == 0, ended.stderr
    measured, asked = ended.stdout.splitlines()[-2:]
    kwh, kg, country, how = measured.split()
    assert float(kwh) > 0 and country == "FRA" and how in (energy.COUNTED, energy.ESTIMATED)
    assert 0.001 < float(kg) / float(kwh) < 0.2, "French electricity has some 50 g per kWh"
    assert asked == "[]" and ended.stderr == ""
    assert not list(tmp_path.iterdir()), "codecarbon leaves no file"


def test_a_job_gets_its_share_and_a_failure_of_the_meter_costs_nothing(monkeypatch):
    class Tracker:
        def start_task(self):
            pass

        def stop_task(self):
            facts = {"cpu_energy": 3.0, "ram_energy": 1.0, "gpu_energy": 8.0}
            return type("Found", (), {**facts, "energy_consumed": 12.0, "emissions": 6.0})

    monkeypatch.setattr(energy, "_tracker", lambda country, card: Tracker())
    monkeypatch.setattr(energy, "_busy_seconds", iter([100.0, 110.0, 0.0, 10.0]).__next__)
    monkeypatch.setattr(energy, "_kernel_seconds", iter([5.0, 10.0, 5.0, 5.0]).__next__)
    with energy.measured("FRA", jobs=4, cards=2) as used:
        pass
    assert used["kwh"] == 0.5 * (3 + 1) + 8 / 2, "half of the processor's, half of a card's"
    assert used["kg_co2eq"] == used["kwh"] * 0.5
    with energy.measured("FRA", jobs=4, cards=2) as used:
        pass
    assert used["kwh"] == (3 + 1) / 4 + 8 / 2, "a kernel that did not report gets an equal share"

    def broken(country, card):
        raise OSError("no meter")

    monkeypatch.setattr(energy, "_tracker", broken)
    with energy.measured("FRA", jobs=1, cards=0) as used:
        pass
    assert used == {}
    with energy.measured(None, jobs=1, cards=0) as used:
        pass
    assert used == {}


BUSY = """
import time
end = time.process_time() + 2
while time.process_time() < end:
    pass
"""


def test_a_job_on_a_worker_comes_back_with_its_energy(tmp_path):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(BUSY)])
    nbformat.write(notebook, tmp_path / "busy.ipynb")
    files = (str(tmp_path / "busy.ipynb"), str(tmp_path / "done" / "busy.ipynb"))
    # a kernel that did not report its seconds would get a thousandth
    spec = JobSpec("busy", *files, {}, jobs=1000, country="FRA")
    with Cluster(None, 1, 1) as cluster:
        (outcome,) = cluster.run([(spec, [])], lambda name: None)
    assert outcome.state == "done", outcome.message
    assert outcome.energy["kwh"] > 0 and outcome.energy["share"] > 0.004


def test_the_table_sums_jobs_per_notebook(outputs):
    used = {"kwh": 0.002, "kg_co2eq": 0.0001, "country": "FRA", "how": energy.ESTIMATED}
    assert energy_table.publish_table("smoke") is None
    for name in ("03_structured_pruning-SST-2-seed_1", "01_finetune-SST-2-seed_1", "04_good"):
        energy_table.note("smoke", name, 1800, used)
    energy_table.note("smoke", "01_finetune-SST-2-seed_2", 3600, {**used, "kwh": 0.004})
    energy_table.note("smoke", "04_good", 360, used)  # ran again
    energy_table.publish_table("smoke")
    lines = Place("smoke", "tables").load("energy.csv").splitlines()
    assert lines[0] == "notebook,jobs,hours,kWh,g CO2eq,country,energy is"
    assert lines[1] == "01_finetune,2,1.5,0.006,0.2,FRA,estimated"
    assert lines[-1] == "all,4,2.1,0.01,0.4,FRA,estimated"


def test_an_unknown_country_is_a_sentence():
    with pytest.raises(ConfigError, match="--energy FR: codecarbon knows no such country"):
        energy_table.check_country("FR")
    energy_table.check_country("FRA")


def test_damaged_notes_cost_no_run(outputs):
    used = {"kwh": 0.002, "kg_co2eq": 0.0001, "country": "FRA", "how": energy.ESTIMATED}
    energy_table.note("smoke", "04_good", 60, used)
    Place("smoke", "run_all").path(energy_table.NOTES).write_text("{")
    assert energy_table.publish_table("smoke") is None
    energy_table.note("smoke", "04_good", 60, used)
    assert energy_table.publish_table("smoke").loc["all", "jobs"] == 1
