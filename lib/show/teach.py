"""What the notebooks show and check. IPython only; nothing here computes a result."""

import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from IPython.display import Markdown

from lib.artefacts.store import Place

TUNED = "not BERT-base: a small sentence encoder that was tuned on pairs, NLI and Quora questions among them"
CAVEATS = {
    "tiny": "a random encoder on made-up sentences: the numbers mean nothing",
    "minilm-l6": TUNED,
    "e5-small": TUNED,
}


def show_source(*functions: Callable) -> Markdown:
    """The source of functions of lib, so that a reader need not leave the notebook."""
    code = "\n\n".join(
        textwrap.dedent(inspect.getsource(function)).strip() for function in functions
    )
    return Markdown(f"```python\n{code}\n```")


def caption(place: Place, encoder: str, rows: str, seeds: Sequence[int]) -> Markdown:
    """What a figure rests on: profile, model, data, seeds, and a warning where the model is not the paper's."""
    seeds_said = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(str(seed) for seed in seeds)}"
    caveat = CAVEATS.get(encoder)
    parts = [
        f"profile {place.profile}",
        encoder + (f" ({caveat})" if caveat else ""),
        rows,
        seeds_said,
    ]
    return Markdown(f"*{'; '.join(parts)}.*")


def rows(results: Mapping[str, Mapping[str, Any]]) -> str:
    """What each task's rows are, for a caption; tasks of which the same is said together.

    results: {task: what notebook 01 left as result.json}.
    """
    tasks: dict[str, list[str]] = {}
    for task, result in results.items():
        tasks.setdefault(result["about"], []).append(task)
    return "; ".join(f"{', '.join(names)}: {about}" for about, names in tasks.items())


def check(function: Callable, *cases: tuple[tuple, Any], hint: str = "") -> None:
    """Try a reader's function on cases ((arguments…), expected) and say, in one line, what happened. Never raises."""
    for arguments, expected in cases:
        said = ", ".join(_short(argument) for argument in arguments)
        try:
            got = function(*arguments)
        except Exception as fault:
            print(f"✗ {function.__name__}({said}) stopped with {type(fault).__name__}: {fault}")
            return
        if got is None:
            print(f"· {function.__name__}({said}) returns nothing yet. {hint}")
            return
        if not _same(got, expected):
            print(
                f"✗ {function.__name__}({said}) gives {_short(got)}; right would be {_short(expected)}. {hint}"
            )
            return
    print(f"✓ {function.__name__}: all {len(cases)} cases are right")


def _same(got, expected) -> bool:
    if isinstance(expected, float | int | list | np.ndarray):
        try:
            return np.shape(got) == np.shape(expected) and np.allclose(got, expected)
        except TypeError:
            return False
    return got == expected


def _short(value) -> str:
    text = (
        " ".join(np.array2string(value, precision=3).split())
        if isinstance(value, np.ndarray)
        else str(value)
    )
    return text if len(text) <= 60 else text[:57] + "…"
