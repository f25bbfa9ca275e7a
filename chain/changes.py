"""A profile as the command line changes it, and the folder of its results (--set, --as)."""

import copy
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import yaml

from chain import profiles
from chain.profiles import CHOICES, CODE, ConfigError, Profile
from lib.artefacts.files import atomic

LONGEST = 100  # characters of a folder's name


@dataclass(frozen=True)
class Chosen:
    """What to run.

    name: the folder under outputs/. values: the profile as plain values. derived: True for a
    profile that is not one of params/ as it stands.
    """

    name: str
    profile: Profile
    values: dict
    derived: bool

    def remember(self) -> None:
        """Leave a changed profile beside its results, so that its name alone runs it again."""
        if self.derived:
            with atomic(profiles.remembered(self.name)) as path:
                path.write_text(yaml.safe_dump(self.values, sort_keys=False, allow_unicode=True))


def choose(profile: str, settings: Sequence[str] = (), name: str | None = None) -> Chosen:
    """The profile with these settings, and the name of its folder.

    profile: a name, or the path of a .yaml file. settings: "key=value" each, nested keys with dots,
    values in YAML. name: the folder under outputs/; without it a changed profile goes to
    <profile>+<key>=<value>. Raises ConfigError, one line for each mistake.
    """
    source = profiles.find(profile)
    values = changed(source.values, settings)
    before = profiles.checked(source.values, source.where)
    after = profiles.checked(values, "--set" if settings else source.where)
    # as absolute paths, whatever folder it runs in
    for key in ("encoder", "annotated_dir", "masks_dir"):
        if values.get(key):
            values[key] = getattr(after, key)
    differences = differing(before, after)
    derived = bool(differences) or name not in (None, source.name) or not source.own
    if name is None:
        name = folder_name(source.name, differences)
    chosen = Chosen(name, after, values, derived)
    _check_folder(chosen, source, bool(differences))
    return chosen


def changed(values: dict, settings: Sequence[str]) -> dict:
    """Profile values with settings "key=value" put in."""
    values, seen = copy.deepcopy(values), set()
    for setting in settings:
        key, separator, text = setting.partition("=")
        key = key.strip()
        path = key.split(".")
        if not separator or not all(path):
            raise ConfigError(
                f"--set {setting}: write key=value, as in --set structured.estimator=running"
            )
        if any(f"{key}.".startswith(f"{old}.") or f"{old}.".startswith(f"{key}.") for old in seen):
            raise ConfigError(f"--set {setting}: {key} is set twice")
        seen.add(key)
        try:
            value = profiles.yaml_value(text)
        except ValueError as fault:
            reason = f"{profiles.shown(text)} is not a YAML value ({fault})"
            raise ConfigError(f"--set {key}: {reason}") from None
        inside = values
        for part in path[:-1]:
            inside = inside.setdefault(part, {})
            if not isinstance(inside, dict):
                raise ConfigError(
                    f"--set {setting}: {part} holds a single value and has no keys of its own"
                )
        inside[path[-1]] = value
    if values.get("choices") == "code":
        for key in seen:
            inner = values[key] if isinstance(values.get(key), dict) else {}
            for decided in (key, *(f"{key}.{name}" for name in inner)):
                if _decided_by_code(decided) is not None:
                    raise ConfigError(f"--set {decided}: choices: code decides it; set only one")
    return values


def leaves(profile: Profile) -> dict[str, Any]:
    """{key with dots: value} of all that a profile sets."""
    found = {}
    for key in type(profile).model_fields:
        value = getattr(profile, key)
        value = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        if isinstance(value, dict):
            found |= {f"{key}.{inner}": one for inner, one in value.items()}
        else:
            found[key] = value
    return found


def differing(before: Profile, after: Profile) -> dict[str, Any]:
    """{key with dots: the value in `after`} of all that differs; None where it has no such key."""
    old, new = leaves(before), leaves(after)
    keys = {**old, **new}
    return {key: new.get(key) for key in keys if old.get(key) != new.get(key)}


def folder_name(base: str, differences: dict[str, Any]) -> str:
    """The profile and what differs from it, as in quick+estimator=running+train_rows=1000.

    A key stands without its section where that is clear. What does not fit into a file name becomes
    a hash.
    """
    if differences.get("choices") == "code":  # the name says it all
        differences = {k: v for k, v in differences.items() if _decided_by_code(k) is None}
    parts = [f"+{_short(key)}={_plain(value)}" for key, value in sorted(differences.items())]
    name = base + "".join(parts)
    if len(name) > LONGEST or not re.fullmatch(r"[\w.+=,-]+", name):
        digest = hashlib.sha256(
            json.dumps(differences, sort_keys=True, default=str).encode()
        ).hexdigest()[:8]
        name = re.sub(r"[^\w.+=,-]+", "-", name)[: LONGEST - 9] + f"+{digest}"
    return name


def _decided_by_code(key: str) -> Any:
    """The value that `choices: code` gives a key with dots; None if it gives none."""
    section, _, inner = key.partition(".")
    value = CODE.get(section)
    return value.get(inner) if isinstance(value, dict) else value


def _short(key: str) -> str:
    last = key.rsplit(".", 1)[-1]
    inner = [name for choices in CHOICES.values() for name in choices.__dataclass_fields__]
    names = [*Profile.model_fields, *inner]
    return last if names.count(last) == 1 else key


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "null" if value is None else str(value)


def _check_folder(chosen: Chosen, source: profiles.Source, differs: bool) -> None:
    """Results of two different profiles must not mix in one folder."""
    name = chosen.name
    if not re.fullmatch(r"[\w+=,-][\w.+=,-]{,119}", name) or name.endswith((".yaml", ".yml")):
        raise ConfigError(
            f"{name[:40]!r} cannot be the name of a folder of results: it may hold letters, digits "
            "and . _ + = , - only, and not end in .yaml; choose another name with --as"
        )
    foreign = chosen.name in profiles.names() and (
        chosen.name != source.name or differs or not source.own
    )
    if foreign:
        raise ConfigError(
            f"outputs/{chosen.name} belongs to the profile {chosen.name}; "
            "choose another name with --as"
        )
    path = profiles.remembered(chosen.name)
    if chosen.derived and not path.exists() and _is_used(path.parent):
        raise ConfigError(
            f"{path.parent} exists and does not say which profile it is of; "
            "choose another name with --as, or move it away"
        )
    if chosen.derived and path.exists():
        before = profiles.read_file(path)
        for key, value in differing(before, chosen.profile).items():
            raise ConfigError(
                f"{path.parent} holds results of other settings ({key} is "
                f"{leaves(before).get(key)!r} there and {value!r} here); "
                "choose another name with --as, or delete that folder"
            )


def _is_used(folder: Path) -> bool:
    """True if there is anything but what a dry run leaves."""
    if not folder.is_dir():
        return folder.exists()
    return bool({path.name for path in folder.iterdir()} - {"run_all", ".lock"})
