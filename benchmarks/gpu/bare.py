"""Import lib on a machine that has torch and transformers, but not pydantic.

lib checks the settings of recipes and searches with pydantic's dataclasses. Only two modules use
it, and what is benchmarked needs both. These benchmarks read no settings, so that where pydantic is
missing, Python's own dataclasses will do.
"""

import dataclasses
import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def import_recipes() -> None:
    """Import `lib.model.choices` and `lib.model.recipes`, with plain dataclasses if need be.

    pydantic stays missing for everything that is imported later.
    """
    if find_spec("pydantic") is not None:
        return
    settings, checked = ModuleType("pydantic"), ModuleType("pydantic.dataclasses")
    settings.__dict__.update(
        ConfigDict=dict, Field=lambda **_: None, PositiveInt=int, PositiveFloat=float
    )
    checked.__dict__["dataclass"] = _plain
    stand_ins = {"pydantic": settings, "pydantic.dataclasses": checked}
    sys.modules.update(stand_ins)
    try:
        import_module("lib.model.recipes")
    finally:
        for name in stand_ins:
            del sys.modules[name]


def _plain(frozen: bool, config: dict):  # noqa: ARG001  # what pydantic would check is in `config`
    return dataclasses.dataclass(frozen=frozen)
