"""What notebooks show besides figures: source code, captions, boxes, exercise checks.

Nothing here computes a result.
"""

import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from IPython.core.getipython import get_ipython
from IPython.display import Markdown
from matplotlib_inline.config import InlineBackend

from lib.artefacts.publish import in_a_cell
from lib.artefacts.store import Place

SMALL = "not BERT-base: a small sentence encoder that was tuned on pairs of texts, among them {}"
CAVEATS = {  # of encoders, and of a profile
    "tiny": "a random encoder on made-up sentences: the numbers mean nothing",
    "minilm-l6": SMALL.format("NLI and Quora questions"),
    "e5-small": SMALL.format("NLI, and questions with passages that answer them"),
    "quick": "a small demonstration; the evidence is in the profile reference",
}


def sharp_figures() -> None:
    """Show a notebook's figures at twice the resolution ("retina"); without a notebook, do nothing.

    A notebook's first cell calls this; on import there may be no shell yet.
    """
    if shell := get_ipython():
        InlineBackend.instance(parent=shell).figure_formats = {"retina"}


def show_source(*functions: Callable, folded: str = "") -> Markdown:
    """Show the source of functions of lib, so that readers can stay in the notebook.

    folded: the line to click on, if the source is to be folded away
    """
    sources = [textwrap.dedent(inspect.getsource(function)).strip() for function in functions]
    code = "\n\n".join(sources)
    block = f"```python\n{code}\n```"
    summary = f"<details><summary>{folded}</summary>"
    return Markdown(f"{summary}\n\n{block}\n\n</details>" if folded else block)


def table(frame: pd.DataFrame, digits: int = 3) -> Markdown:
    """Show a table without its index, rounded; an empty cell stands for nan.

    Columns named p, with or without more words, hold p-values: three digits, or "< .001".
    """

    def cell(value: Any, of_p: bool) -> Any:
        if not isinstance(value, float | np.floating):
            return value
        if of_p:
            return "< .001" if value < 0.001 else f"{value:.3f}"
        return f"{value:.{digits}f}"

    rounded = pd.DataFrame({
        name: [cell(value, str(name).split()[:1] in (["p"], ["p:"])) for value in frame[name]]
        for name in frame
    })  # fmt: skip
    escaped = rounded.replace("nan", "").map(in_a_cell).rename(columns=in_a_cell)
    return Markdown(escaped.to_markdown(index=False, disable_numparse=True))


def caption(place: Place, encoder: str, rows: str, seeds: Sequence[int]) -> Markdown:
    """Write what a figure is based on: profile, encoder, rows and seeds.

    The profile and the encoder get a caveat, if CAVEATS has one.
    """

    def named(name: str) -> str:
        return f"{name} ({CAVEATS[name]})" if name in CAVEATS else name

    parts = [
        f"profile {named(place.profile)}",
        named(encoder),
        rows,
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(str(seed) for seed in seeds)}",
    ]
    return Markdown(f"*{'; '.join(parts)}.*")


def box(run: str, paper: str, so: str) -> Markdown:
    """Answer a notebook's question in three lines, which are made from this run's numbers.

    The texts come from `lib.paper.findings`.
    """
    return Markdown(f"> **In this run** {run}\n>\n> **In the paper** {paper}\n>\n> **So** {so}")


def answer(text: str) -> Markdown:
    """Answer one question of a notebook, below the table that it follows from."""
    return Markdown(f"**So** {text[0].lower()}{text[1:]}")


def short(so: str) -> Markdown:
    """Give the first sentence of a box's answer, for a notebook's first screen."""
    return Markdown(f"**In short:** {so.split('. ')[0].removesuffix('.')}.")


def rows(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Describe each task's rows for a caption: how many of each task, and each source once.

    results: {task: the contents of notebook 01's result.json}.
    """
    tasks: dict[str, dict[str, list[str]]] = {}  # {source: {how many rows: tasks}}
    for task, result in results.items():
        number, _, source = result["about"].partition(", from ")
        tasks.setdefault(source, {}).setdefault(number, []).append(task)
    parts = [
        "; ".join(f"{', '.join(names)}: {number}" for number, names in alike.items())
        + (f"; from {source}" if source else "")
        for source, alike in tasks.items()
    ]
    return "; ".join(parts)


def check(function: Callable, *cases: tuple[tuple, Any], hint: str = "") -> None:
    """Try a reader's function and print one line about the first case that fails. Never raises.

    cases: ((arguments, …), expected result).
    """
    name = getattr(function, "__name__", "function")
    for arguments, expected in cases:
        call = f"{name}({', '.join(_short(argument) for argument in arguments)})"
        try:
            result = function(*arguments)
        except Exception as fault:
            print(f"✗ {call} stopped with {type(fault).__name__}: {fault}")
            return
        if result is None:
            print(f"· {call} returns nothing yet. {hint}")
            return
        if not _same(result, expected):
            print(f"✗ {call} gives {_short(result)}; it should be {_short(expected)}. {hint}")
            return
    print(f"✓ {name}: all {len(cases)} cases are right")


def _same(result, expected) -> bool:
    if isinstance(expected, float | int | list | np.ndarray):
        try:
            return np.shape(result) == np.shape(expected) and np.allclose(result, expected)
        except TypeError:
            return False
    return result == expected


def _short(value) -> str:
    is_array = isinstance(value, np.ndarray)
    text = " ".join(np.array2string(value, precision=3).split()) if is_array else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
