"""Put figures and tables where people look for them: figures/ and tables/ of the profile."""

from dataclasses import replace
from io import StringIO

import pandas as pd

from lib.artefacts.store import Place


def publish(place: Place, name: str, thing) -> None:
    """Save a figure as PNG and SVG, or a table as CSV and Markdown.

    Each file's provenance has the place's fingerprint and parameters, and its name as `made_by`.
    place: the place of the step that made the thing
    name: the file name without suffix
    thing: a matplotlib figure, or a pandas table, whose index becomes the first columns
    """
    if hasattr(thing, "savefig"):
        folder, files = "figures", {"png": thing, "svg": thing}
    else:
        # an unescaped | would begin another cell
        flat = thing.reset_index().rename(columns=in_a_cell).map(in_a_cell)
        # disable_numparse: otherwise the text 0.80 would become 0.8
        markdown = flat.to_markdown(index=False, disable_numparse=True)
        folder, files = "tables", {"csv": thing.to_csv(), "md": markdown + "\n"}
    shared = replace(place, step=folder, task=None, seed=None)
    for suffix, value in files.items():
        shared.save(f"{name}.{suffix}", value, made_by=place.name)


def published_table(profile: str, name: str) -> pd.DataFrame | None:
    """Read a table that a run has published; None if it has not.

    profile: a profile, or "reference/…" for a run that is kept beside the reference run
    name: as in `publish`; the index has become the first columns
    """
    found = Place(profile, "tables").find(f"{name}.csv", None)
    return None if found is None else pd.read_csv(StringIO(found))


def in_a_cell(cell):
    """Escape what would end a cell of a Markdown table."""
    return cell.replace("|", "\\|") if isinstance(cell, str) else cell
