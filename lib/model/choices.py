"""A decorator for classes of settings, so that a mistake in a setting is an error at once.

`@strict` makes a frozen dataclass that raises pydantic's ValidationError for a field that does not
exist or a value of the wrong type, in a notebook as well as in a profile.
"""

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

Share = Annotated[float, Field(gt=0, le=1)]  # 0 < share ≤ 1, and no nan
Count = Annotated[int, Field(gt=0, lt=2**31)]
strict = dataclass(frozen=True, config=ConfigDict(extra="forbid", strict=True))
