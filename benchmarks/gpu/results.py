"""What came of each measurement, and the table of all. Imports no torch, so it is there at once."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["measured", "skipped", "stopped", "failed"]


@dataclass(frozen=True)
class Line:
    """One line of the table: what was measured, against what, the figure, and a note."""

    work: str
    against: str
    figure: str
    note: str = ""

    def __str__(self):
        return f"| {self.work} | {self.against} | {self.figure} | {self.note} |"


@dataclass(frozen=True)
class Result:
    """What came of one measurement.

    state: "skipped" before it began, or "stopped" while it ran, because the time was up
    reason: why it was not measured
    values: figures that later arithmetic needs
    """

    name: str
    state: State
    seconds: float = 0.0
    reason: str = ""
    lines: list[Line] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Result":
        """Read back what `asdict` returned."""
        return cls(**{**values, "lines": [Line(**line) for line in values["lines"]]})

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return asdict(self)

    def table_lines(self) -> list[Line]:
        """The lines of the table; one that says why, if it was not measured."""
        return self.lines or [Line(self.name, "", self.state, self.reason)]


def table(results: Iterable[Result]) -> str:
    """Return all results as a Markdown table."""
    head = ["| | against | figure | |", "|---|---|---|---|"]
    return "\n".join([*head, *(str(line) for r in results for line in r.table_lines())])
