"""Write how long each notebook and its slowest sections took into docs/teaching.md, as measured.

python -m tools.times FOLDER …    each FOLDER holds executed notebooks, as outputs/quick/notebooks

The times are those that papermill noted in the executed copies. These do not know the machine, so
the page names it by hand.
"""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path

from tools.blocks import fill

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "teaching.md"
BEGIN, END = "<!-- times: written by `python -m tools.times` -->", "<!-- end of times -->"
WORTH_NAMING = 10.0  # seconds: faster sections are not named


def sections(notebook: dict) -> dict[str, float]:
    """{heading: seconds of the executed cells below it}, in the notebook's order."""
    heading, took = "the beginning", defaultdict[str, float](float)
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            found = [line.lstrip("# ") for line in source.splitlines() if line.startswith("#")]
            heading = found[-1] if found else heading
        seconds = cell["metadata"].get("papermill", {}).get("duration")
        if seconds is not None:
            took[heading] += seconds
    return took


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
    copies = defaultdict[tuple[str, str], list[dict[str, float]]](list)
    for folder in folders:
        for path in sorted(folder.glob("*.ipynb")):
            notebook = json.loads(path.read_text())
            if not failed(notebook):
                copies[path.stem.split("-")[0], folder.parent.name].append(sections(notebook))
    lines = [
        "| notebook | profile | copies | whole, seconds | slowest sections, seconds |",
        "|---|---|---|---|---|",
    ]
    for (step, profile), runs in sorted(copies.items()):
        whole = statistics.median(sum(run.values()) for run in runs)
        medians = {name: statistics.median(run.get(name, 0) for run in runs) for name in runs[0]}
        slow = sorted(medians, key=lambda name: -medians[name])[:4]
        named = [f"{name}: {medians[name]:.0f}" for name in slow if medians[name] >= WORTH_NAMING]
        rest = "; ".join(named) or f"all under {WORTH_NAMING:.0f}"
        lines.append(f"| `{step}` | {profile} | {len(runs)} | {whole:.0f} | {rest} |")
    return "\n".join(lines)


def main(*folders: str) -> int:
    """Write the table; the exit status."""
    PAGE.write_text(fill(PAGE.read_text(), BEGIN, END, table([*map(Path, folders)])))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
