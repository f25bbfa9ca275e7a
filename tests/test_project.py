"""What a public project promises: that it installs, and that its files agree with one another."""

import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from lib.artefacts.fingerprint import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text()))
SUPPORTED = SpecifierSet(PROJECT["requires-python"])


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned_within_its_range():
    pins = {normal(name): version for name, version in PINS.items()}
    extras = PROJECT["optional-dependencies"].values()
    for line in [*PROJECT["dependencies"], *(line for extra in extras for line in extra)]:
        wanted = Requirement(line)
        if wanted.name not in ("pip", PROJECT["name"]):
            assert wanted.specifier.contains(pins[normal(wanted.name)]), line
    assert PINS["torch"] == "2.13.0"


def test_the_conda_environment_installs_with_the_constraints():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())
    *plain, last = conda["dependencies"]
    assert last["pip"] == ["--constraint constraints.txt", "--editable .[test]"]
    assert conda["name"] == PROJECT["name"]
    (version,) = [entry for entry in plain if re.search(r"[<>=]", entry)]
    assert SUPPORTED.contains(version.removeprefix("python=") + ".0")
    names = {Requirement(line).name for line in PROJECT["dependencies"]}
    assert not names & set(plain) - {"pip"}, "versions stand in one place"


def test_the_workflow_tests_versions_that_are_supported():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())
    versions = workflow["jobs"]["linux"]["strategy"]["matrix"]["python"]
    assert versions == ["3.11", "3.14"] and all(SUPPORTED.contains(v) for v in versions)
    assert {step.get("run") for job in workflow["jobs"].values() for step in job["steps"]} == {
        *(None, "make test", "make unit")
    }


def test_the_citation_names_the_paper_and_the_licence():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"] == "MIT"
    assert citation["preferred-citation"]["doi"] == "10.18653/v1/2020.emnlp-main.259"
    assert "the All tickets contributors" in (ROOT / "LICENSE").read_text()


def test_make_help_names_every_target():
    text = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    phony = re.search(r"(?m)^\.PHONY: (.+)$", (ROOT / "Makefile").read_text())[1].split()
    assert [line.split()[0] for line in text.splitlines()] == phony


def test_the_layers_of_lib_hold_and_a_breach_is_noticed(tmp_path):
    for name in ("lib", "chain"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "run_all.py").touch()
    check = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    kept = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True)
    assert kept.returncode == 0 and "3 kept, 0 broken" in kept.stdout, kept.stdout + kept.stderr
    with open(tmp_path / "lib" / "model" / "train.py", "a") as file:
        file.write("\nfrom lib.pruning import masks\n")
    broken = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True)
    assert (
        broken.returncode == 1 and "lib.model is not allowed to import lib.pruning" in broken.stdout
    )


DATA = """
import lib
from lib.analysis import patterns
from lib.paper import numbers, statements
assert lib.__path__[0].startswith({folder!r}), lib.__path__
print(len(numbers.numbers()), len(statements.statements()), len(patterns.labelled("raw")[0]))
"""


def test_an_installed_package_finds_its_data_files(tmp_path):
    copy, target = tmp_path / "checkout", tmp_path / "installed"
    copy.mkdir()
    for name in ("lib", "chain"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--target",
        str(target),
    ]
    done = subprocess.run([*install, str(copy)], capture_output=True, text=True)
    if done.returncode and re.search(r"setuptools|Connection|Temporary failure", done.stderr):
        pytest.skip(f"THE PACKAGE WAS NOT BUILT: pip found no setuptools ({done.stderr[-200:]})")
    assert done.returncode == 0, done.stderr
    code = DATA.format(folder=str(target))
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(target), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0 and all(int(n) > 20 for n in said.stdout.split()), said.stderr
