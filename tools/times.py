"""Write how long each notebook and its slowest cells took into docs/teaching.md, as measured.

python -m tools.times FOLDER …    each FOLDER holds executed notebooks, as outputs/quick/notebooks

The times are those that papermill noted in the executed copies. These do not know the machine, so
the page names it by hand.
"""

import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tools.blocks import fill

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "teaching.md"
BEGIN, END = "<!-- times: written by `python -m tools.times` -->", "<!-- end of times -->"
WORTH_NAMING = 10.0  # seconds: faster cells are not named


def cells(notebook: dict) -> Iterator[tuple[str, float]]:
    """The seconds of each executed cell, with the last heading above it."""
    heading = "the beginning"
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            found = [line.lstrip("# ") for line in source.splitlines() if line.startswith("#")]
            heading = found[-1] if found else heading
        seconds = cell["metadata"].get("papermill", {}).get("duration")
        if seconds is not None:
            yield heading, seconds


def failed(notebook: dict) -> bool:
    """True if a cell has not run, or has failed."""
    states = [
        cell["metadata"].get("papermill", {}).get("status")
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]
    return any(state != "completed" for state in states)


def table(folders: list[Path]) -> str:
    """A line for each notebook and profile: medians over its executed copies, in seconds."""
    copies: dict[tuple[str, str], list[list[tuple[str, float]]]] = defaultdict(list)
    for folder in folders:
        for path in sorted(folder.glob("*.ipynb")):
            notebook = json.loads(path.read_text())
            if not failed(notebook):
                profile = folder.parent.name
                copies[path.stem.split("-")[0], profile].append(list(cells(notebook)))
    lines = [
        "| notebook | profile | copies | whole, seconds | slowest cells, seconds |",
        "|---|---|---|---|---|",
    ]
    for (step, profile), runs in sorted(copies.items()):
        whole = statistics.median(sum(seconds for _, seconds in run) for run in runs)
        columns = zip(*runs, strict=True) if len({len(run) for run in runs}) == 1 else zip(runs[0])
        medians = [(one[0][0], statistics.median(s for _, s in one)) for one in columns]
        slow = sorted((m for m in medians if m[1] >= WORTH_NAMING), key=lambda m: -m[1])[:4]
        named = "; ".join(f"{heading}: {seconds:.0f}" for heading, seconds in slow)
        rest = named or f"all under {WORTH_NAMING:.0f}"
        lines.append(f"| `{step}` | {profile} | {len(runs)} | {whole:.0f} | {rest} |")
    return "\n".join(lines)


def main(*folders: str) -> int:
    """Write the table; the exit status."""
    PAGE.write_text(fill(PAGE.read_text(), BEGIN, END, table([*map(Path, folders)])))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
