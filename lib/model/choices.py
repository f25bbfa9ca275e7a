"""Choices: frozen dataclasses that refuse a misspelt name or a wrong type, in a notebook as in a profile."""

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

strict = dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
