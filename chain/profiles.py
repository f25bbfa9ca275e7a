"""Profiles: params/*.yaml, read strictly. A mistake stops everything before anything has run, in one sentence each."""

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from lib.data.glue import TASKS
from lib.model.recipes import Recipe
from lib.pruning.importance import ESTIMATORS
from lib.pruning.search import MODES, Magnitude, Structured
from lib.tickets.subnetworks import Retraining

CHOICES = {
    "finetuning": Recipe,
    "magnitude": Magnitude,
    "structured": Structured,
    "retraining": Retraining,
}
PARAMS = Path(__file__).resolve().parent.parent / "params"


class ConfigError(ValueError):
    """Something in a profile or on the command line is wrong; the message says what, where, and what would be right."""


def known_task(name: str) -> str:
    """The task's name, if GLUE has it."""
    if name not in TASKS:
        raise ValueError(f"there is no task {name!r}{nearest(name, TASKS)}")
    return name


def _once(values: list) -> list:
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} stands there twice")
    return values


Distinct = AfterValidator(_once)


def _folder(name: str) -> str:
    named = os.path.expandvars(name)
    if "$" in named:
        raise ValueError(f"{name} names a variable that is not set; set it to a folder")
    return named and str(Path(named).expanduser().resolve())


class Profile(BaseModel):
    """Everything that a run can vary; the names are those of the notebooks' parameters."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    encoder: str
    look_in: Annotated[list[Literal["folder", "pip", "hub", "tiny"]], Field(min_length=1), Distinct]
    tasks: Annotated[
        list[Annotated[str, AfterValidator(known_task)]], Field(min_length=1), Distinct
    ]
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), Distinct]
    train_rows: PositiveInt | None
    dev_rows: PositiveInt | None
    stsb_score: Literal["pearson", "pearson_spearman"]
    modes: Annotated[list[Literal["joint", "heads", "mlps"]], Field(min_length=1), Distinct] = list(
        MODES
    )
    estimators: Annotated[list[Literal["per_example", "per_batch", "running"]], Distinct] = list(
        ESTIMATORS
    )
    finetuning: dict = {}
    magnitude: Magnitude = Magnitude()
    structured: Structured = Structured()
    retraining: Retraining = Retraining()
    examples: PositiveInt = 100
    training_steps: PositiveInt = 300
    annotated_dir: Annotated[str, AfterValidator(_folder)] = ""
    masks_dir: Annotated[str, AfterValidator(_folder)] = ""
    jobs_per_card: PositiveInt = 1


def names() -> list[str]:
    """The profiles there are."""
    return sorted(path.stem for path in PARAMS.glob("*.yaml"))


def read(name: str) -> Profile:
    """A profile by name. Raises ConfigError, one line for each thing that is wrong."""
    if name not in names():
        raise ConfigError(
            f"there is no profile {name!r}{nearest(name, names())}; params/ holds {', '.join(names())}"
        )
    return parse((PARAMS / f"{name}.yaml").read_text(), f"params/{name}.yaml")


def parse(text: str, where: str) -> Profile:
    """A profile from YAML; `where` is how messages call its place."""
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as fault:
        raise ConfigError(f"{where} is not YAML: {' '.join(str(fault).split())}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{where} must be a list of `key: value` lines")
    return checked(values, where)


def checked(values: dict, where: str) -> Profile:
    """A profile from its values. Raises ConfigError, one line for each thing that is wrong."""
    values, faults = dict(values), []
    for key, choices in CHOICES.items():
        if isinstance(values.get(key), dict):
            try:
                made = choices(**values[key])
                values[key] = (
                    values[key] if key == "finetuning" else made
                )  # only what differs from an encoder's recipe
            except ValidationError as found:
                faults += [{**fault, "loc": (key, *fault["loc"])} for fault in found.errors()]
                del values[key]
    try:
        profile = Profile.model_validate(values)
    except ValidationError as found:
        faults += found.errors()
    if faults:
        raise ConfigError("\n".join(f"{where}: {_sentence(fault)}" for fault in faults))
    return profile


def nearest(word, known) -> str:
    """ "; did you mean …?" with the known word that is most like it, or nothing."""
    close = get_close_matches(
        str(word).lower(), {str(name).lower(): name for name in known}, n=1, cutoff=0.5
    )
    exact = {str(name).lower(): name for name in known}
    return f"; did you mean {exact[close[0]]!r}?" if close else ""


def _sentence(fault: dict) -> str:
    *path, last = fault["loc"]
    at = ".".join(str(part) for part in fault["loc"])
    match fault["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return f"unknown key {at!r}{nearest(last, _keys(path))}"
        case "missing":
            return f"the key {at!r} is missing"
        case "literal_error":
            return f"{at} is {fault['input']!r}, but can be {fault['ctx']['expected']}"
        case "value_error":
            return f"{at}: {fault['ctx']['error']}"
    said = fault["msg"].replace("Input should be ", "must be ")
    hint = (
        "; YAML reads 2e-5 as text, write 2.0e-5"
        if isinstance(fault["input"], str) and "number" in said
        else ""
    )
    return f"{at} is {fault['input']!r}, but {said}{hint}"


def _keys(path: list) -> list[str]:
    inner = CHOICES.get(path[0] if path else "")
    return list(inner.__dataclass_fields__ if inner else Profile.model_fields)
