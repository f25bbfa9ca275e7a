"""Profiles: what a run can vary, read from params/*.yaml and checked before anything runs."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from lib.analysis.estimation import Study
from lib.artefacts import store
from lib.data.glue import TASKS, StsbScore
from lib.model.choices import Count
from lib.model.recipes import Recipe
from lib.paper.masks import AUTHORS
from lib.pruning.importance import Estimator
from lib.pruning.search import MODES, Magnitude, Mode, Structured
from lib.tickets.subnetworks import Retraining

CHOICES = {
    "finetuning": Recipe,
    "magnitude": Magnitude,
    "structured": Structured,
    "retraining": Retraining,
    "study": Study,
}
# What `choices: code` sets: every decision in which the authors' code differs from our default.
CODE = {
    "stsb_score": "pearson_spearman",
    "magnitude": {"max_rounds": 10},
    "structured": {
        "estimator": "running",
        "normalise": "l2_minmax",
        "masked": "measured",
        "start": "failed",
        "joint_ends": "either",
    },
    "retraining": {
        "bad_weights": "smallest",
        "random_units": "share",
        "super_bad": "never",
        "emptied_bias": "dropped",
    },
}
LARGEST = 100_000  # bytes of a profile
DEEPEST = 20  # lists and dictionaries inside one another
PARAMS = Path(__file__).resolve().parent.parent / "params"


class ConfigError(ValueError):
    """A mistake in a profile or an option; the message says what, where and the way out."""


def known_task(name: str) -> str:
    """The task's name, if it is one of GLUE's."""
    if name not in TASKS:
        raise ValueError(f"there is no task {shown(name)}{nearest(name, TASKS)}")
    return name


def _once(values: list) -> list:
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise ValueError(f"{shown(twice[0])} is listed twice")
    return values


Distinct = AfterValidator(_once)


def absolute(name: str) -> str:
    """The absolute path of a file or folder, which may begin with ~.

    Raises ValueError for a name that cannot be a path.
    """
    try:
        path = Path(name).expanduser()
        path.exists()
        return str(path.resolve())
    except (OSError, RuntimeError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise ValueError(f"{_short(name)} cannot be the path of a folder ({reason})") from None


def _folder(name: str) -> str:
    if name == AUTHORS.name:  # stands for the masks that are in lib/paper
        return name
    named = os.path.expandvars(name)
    if "$" in named:
        raise ValueError(f"{_short(name)} names a variable that is not set; set it to a folder")
    return named and absolute(named)


def _encoder(name: str) -> str:
    """An absolute path if the encoder is a folder: notebooks run in another one than run_all."""
    folder = absolute(name)
    return folder if Path(folder).is_dir() else name


Several = Annotated[int, Field(ge=2, lt=2**31)]  # one row has no spread, and no two halves


class Profile(BaseModel):
    """Everything that a run can vary. The keys have the names of the notebooks' parameters."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    encoder: Annotated[str, AfterValidator(_encoder)]
    revision: Annotated[str, Field(min_length=1)] | None = None
    look_in: Annotated[list[Literal["folder", "pip", "hub", "tiny"]], Field(min_length=1), Distinct]
    tasks: Annotated[
        list[Annotated[str, AfterValidator(known_task)]], Field(min_length=1), Distinct
    ]
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(min_length=1), Distinct]
    train_rows: Several | None
    dev_rows: Several | None
    choices: Literal["ours", "code"] = "ours"
    stsb_score: StsbScore
    modes: Annotated[list[Mode], Field(min_length=1), Distinct] = list(MODES)
    estimators: Annotated[list[Estimator], Distinct] = ["example", "batch", "running"]
    finetuning: dict = {}
    magnitude: Magnitude = Magnitude()
    structured: Structured = Structured()
    retraining: Retraining = Retraining()
    study: Study = Study()
    examples: Count = 100
    training_steps: Count = 300
    annotated_dir: Annotated[str, AfterValidator(_folder)] = ""
    masks_dir: Annotated[str, AfterValidator(_folder)] = ""
    jobs_per_card: Count = 1
    # of each job; None: its share of the cores. Sums in another order have other last digits, so
    # results are the same bytes only if this is the same.
    threads: Count | None = None

    @field_validator("modes")
    @classmethod
    def _joint(cls, modes: list[Mode]) -> list[Mode]:
        """Every notebook after 03 reads the masks of the joint search."""
        if "joint" not in modes:
            raise ValueError(f"{shown(modes)} lacks joint, which later notebooks read; add it")
        return modes

    @field_validator("retraining")
    @classmethod
    def _searched(cls, retraining: Retraining, info: ValidationInfo) -> Retraining:
        """Only what notebook 03 searches for can be trained in 05."""
        if not {"modes", "estimators", "structured"} <= info.data.keys():
            return retraining  # one of them is wrong, and the message about it is enough
        for name in _once(retraining.estimators):
            if name == info.data["structured"].estimator:
                raise ValueError(f"{name} in `estimators` is the search's own, trained anyway")
            if name not in info.data["estimators"]:
                raise ValueError(
                    f"{name} in `estimators` is not searched with; add it to the profile's own "
                    "`estimators`"
                )
        return retraining


@dataclass(frozen=True)
class Source:
    """Where a profile comes from. own: True for a file of params/."""

    name: str
    values: dict
    where: str
    own: bool = False


def names() -> list[str]:
    """The names of the profiles in params/."""
    return sorted(path.stem for path in PARAMS.glob("*.yaml"))


def remembered(name: str) -> Path:
    """The file in which a changed profile is kept beside its results."""
    return store.outputs() / name / "profile.yaml"


def find(profile: str) -> Source:
    """A profile, by its name in params/, a path to a .yaml file, or the folder of its results."""
    profile = _folder_of_results(profile)
    if profile in names():
        path = PARAMS / f"{profile}.yaml"
        return Source(
            profile, load(path, f"params/{profile}.yaml"), f"params/{profile}.yaml", own=True
        )
    if profile.endswith((".yaml", ".yml")):
        try:
            path = Path(absolute(profile))
            missing = not path.is_file()
        except ValueError:
            missing = True
        if missing:
            raise ConfigError(f"--profile {_short(profile, 300)}: there is no such file")
        own = path.parent == PARAMS
        stem = path.stem if own else Path(profile).stem
        return Source(stem, load(path, profile), profile, own)
    if len(profile) <= 200 and remembered(profile).is_file():
        path = remembered(profile)
        return Source(profile, load(path, str(path)), str(path))
    raise ConfigError(
        f"there is no profile {shown(profile)}{nearest(profile, names())}; "
        f"params/ holds {', '.join(names())}"
    )


def _folder_of_results(profile: str) -> str:
    """The name of a profile that is given as its folder under outputs/, or as the file in there."""
    if len(profile) > 200 or "/" not in profile:
        return profile
    try:
        path = Path(absolute(profile.rstrip("/")))
    except ValueError:
        return profile
    folder = path.parent if path.name == "profile.yaml" else path
    is_result = folder.parent == store.outputs().resolve()
    return folder.name if is_result and remembered(folder.name).is_file() else profile


def read(name: str) -> Profile:
    """A profile by name or path. Raises ConfigError, one line for each mistake."""
    source = find(name)
    return checked(source.values, source.where)


def read_file(path: Path) -> Profile:
    """A profile from a file."""
    return checked(load(path, str(path)), str(path))


def load(path: Path, where: str) -> dict:
    """The values in a YAML file, not checked yet; `where` is what messages call it."""
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
        text = content.decode("utf-8")
    except (UnicodeDecodeError, OSError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise ConfigError(f"{where} cannot be read as UTF-8 text ({reason})") from None
    if len(content) > LARGEST:
        raise ConfigError(f"{where} has over {LARGEST:,} bytes, far more than a profile needs")
    return parsed(text, where)


class _Loader(yaml.SafeLoader):
    """Plain YAML without what takes for ever: aliases, whose few lines can stand for any amount,
    and lists in lists in lists.
    """

    def fetch_flow_collection_start(self, TokenClass):
        if self.flow_level > DEEPEST:
            raise yaml.YAMLError("its values are nested too deep")
        super().fetch_flow_collection_start(TokenClass)

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.YAMLError(f"write out what the alias *{event.anchor} stands for")
        return super().compose_node(parent, index)


def yaml_value(text: str):
    """The value of a YAML text. Raises ValueError, in one line, if it is none."""
    try:
        return yaml.load(text, _Loader)
    except RecursionError:
        raise ValueError("its values are nested too deep") from None
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as fault:
        raise ValueError(_short(" ".join(str(fault).split()), 300)) from None


def parsed(text: str, where: str) -> dict:
    """The values in a YAML text, not checked yet; `where` is what messages call it."""
    try:
        values = yaml_value(text)
    except ValueError as fault:
        raise ConfigError(f"{where} is not valid YAML: {fault}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{where} must be a list of `key: value` lines")
    return values


def _short(text: str, longest: int = 80) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


def shown(value) -> str:
    """A value as messages show it: cut where it is long."""
    try:
        return _short(repr(value))
    except (ValueError, RecursionError):  # Python refuses to write integers of 5,000 digits
        return f"a {type(value).__name__} that is too long to show"


def checked(values: dict, where: str) -> Profile:
    """A profile from its values; `where` is what messages call their source.

    Raises ConfigError, one line for each mistake.
    """
    values, faults = dict(values), []
    for section in (values, *(value for value in values.values() if isinstance(value, dict))):
        for key in section:
            if not isinstance(key, str):
                raise ConfigError(
                    f"{where}: the key {shown(key)} must be a word, not a number or a date"
                )
    if values.get("choices") == "code":
        values = _merged(values, CODE)
    for key, choices in CHOICES.items():
        if isinstance(values.get(key), dict):
            try:
                made = choices(**values[key])
                if (
                    key != "finetuning"
                ):  # that one holds only what differs from the encoder's recipe
                    values[key] = made
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


def _merged(values: dict, changes: dict) -> dict:
    """Values with these changes; sections keep what the changes do not name.

    A section that has been checked before, in a profile that is narrowed, has the changes already.
    """
    merged = {**values, **changes}
    for key, section in changes.items():
        before = values.get(key, {})
        if isinstance(section, dict):
            merged[key] = {**before, **section} if isinstance(before, dict) else before
    return merged


def nearest(word, known: Iterable) -> str:
    """The end of a message, "; did you mean 'tasks'?", or nothing if no known word is similar."""
    close = _closest(word, known)
    return f"; did you mean {close!r}?" if close else ""


def _closest(word, known: Iterable) -> str | None:
    exact = {str(name).lower(): name for name in known}
    close = get_close_matches(str(word)[:100].lower(), exact, n=1, cutoff=0.5)
    return exact[close[0]] if close else None


def _sentence(fault: dict) -> str:
    *path, last = fault["loc"]
    at = _short(".".join(str(part) for part in fault["loc"]))
    match fault["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            keys = _keys(path)
            close = _closest(last, keys)
            return f"unknown key {at!r}" + (f"; did you mean {keys[close]}?" if close else "")
        case "missing":
            return f"the key {at!r} is missing"
        case "list_type":
            written = fault["input"] if isinstance(fault["input"], str) else ""
            hint = f"; write [{written}]" if written and "," not in written else ""
            return f"{at} is {shown(fault['input'])}, but must be a list{hint}"
        case "literal_error":
            return f"{at} is {shown(fault['input'])}, but can be {fault['ctx']['expected']}"
        case "value_error":
            return f"{at}: {fault['ctx']['error']}"
    rule = fault["msg"].replace("Input should be ", "must be ")
    is_text = isinstance(fault["input"], str) and "number" in rule
    hint = "; YAML reads 2e-5 as text, write 2.0e-5" if is_text else ""
    return f"{at} is {shown(fault['input'])}, but {rule}{hint}"


def _keys(path: list) -> dict[str, str]:
    """{key: how to write it} of a section; of a profile with the keys of its sections, too."""
    sections = {name: list(of.__dataclass_fields__) for name, of in CHOICES.items()}
    if path:
        return {key: repr(f"{path[0]}.{key}") for key in sections.get(path[0], ())}
    known: dict[str, str] = {}
    for section, keys in sections.items():
        for key in keys:
            dotted = repr(f"{section}.{key}")
            known[key] = f"{known[key]} or {dotted}" if key in known else dotted
    return known | {key: repr(key) for key in Profile.model_fields}
