"""Build the book of a run: write its source from what is there, and let Sphinx make the site.

    outputs/book/<profile>/index.html

The notebooks are those of the run, or else as they stand in notebooks/; beside them are all runs in
outputs/reference that have executed notebooks. The site needs no network and no server.
"""

import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from book import notebooks
from lib.artefacts import store
from lib.artefacts.fingerprint import ROOT

PROFILE = "reference"
REFERENCE = ROOT / "outputs" / "reference"
HERE = Path(__file__).parent
NEEDS = ("sphinx", "myst_nb", "sphinx_book_theme", "altair", "vl_convert", "sphinx-mathjax-offline")
ABOUT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
OTHER_RUNS = {
    "published": "The authors' own masks",
    "study": "The study of importance",
}


def require() -> None:
    """Raise LookupError if the optional extra `book` is not installed."""
    missing = [name for name in NEEDS if importlib.util.find_spec(name) is None]
    if missing:
        raise LookupError(
            f"the book needs {missing[0]}, which is not installed; "
            "install it with: pip install --constraint constraints.txt --editable '.[book]'"
        )


def build(profile: str = PROFILE, target: Path | None = None) -> Path:
    """Build the book of a profile's run, and return its first page.

    target: the folder of the site; it is replaced
    Raises LookupError if the extra `book` is not installed, ValueError if Sphinx refuses a page.
    """
    require()
    target = target or store.outputs() / "book" / profile
    with tempfile.TemporaryDirectory(prefix="book-") as folder:
        source = Path(folder) / "source"
        write_source(profile, source)
        site = Path(folder) / "site"
        command = [sys.executable, "-m", "sphinx", "--builder", "html", "--quiet"]
        command += ["--fail-on-warning", "--keep-going", f"--doctree-dir={folder}/doctrees"]
        command += [f"--define=release={importlib.metadata.version('all-tickets')}"]
        done = subprocess.run([*command, source, site], capture_output=True, text=True)
        if done.returncode:
            raise ValueError(f"Sphinx refuses the book: {done.stderr.strip()[-2000:]}")
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(site, target, ignore=shutil.ignore_patterns(".buildinfo", "objects.inv"))
    return target / "index.html"


def report(first: Path) -> str:
    """Say where the book is, how many pages it has and how large it is."""
    size = sum(file.stat().st_size for file in first.parent.rglob("*") if file.is_file())
    pages = sum("_static" not in path.parts for path in first.parent.rglob("*.html"))
    return f"The book: {first} ({pages} pages, {size / 1e6:.0f} MB). Open it in a browser."


# --- the source -----------------------------------------------------------------------------------


def write_source(profile: str, source: Path) -> None:
    """Write everything that Sphinx reads: pages, notebooks, pictures, scripts."""
    from book import explorer  # here, because it needs the optional extra

    shutil.copytree(HERE / "pages", source)
    shutil.copy(HERE / "conf.py", source)
    static = source / "_static"
    shutil.copytree(HERE / "static", static)
    shutil.copy(_mathjax(), static / "mathjax.js")
    explorer.write(profile, static)
    for name in ABOUT:
        _write_text(source, Path(name), (ROOT / name).read_text())
    for file in sorted((ROOT / "docs").glob("*.md")):
        _write_text(source, Path("docs") / file.name, file.read_text())
    parts = {"notebooks": _own(profile)}
    for name in OTHER_RUNS:
        if name != profile and (found := notebooks.copies(REFERENCE / name)):
            parts[name] = found
    for part, found in parts.items():
        for step, file in found.items():
            _write_notebook(source, Path(part) / f"{step}.ipynb", file, set(found))
    first = source / "index.md"
    first.write_text(first.read_text().replace("<!-- contents -->", _contents(source, parts)))


def _own(profile: str) -> dict[str, Path]:
    """{notebook: file} of all notebooks: the run's executed copies, or else as they stand."""
    standing = {path.stem: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
    ran = notebooks.copies(store.outputs() / profile)
    return {step: ran.get(step, path) for step, path in standing.items()}


def _contents(source: Path, parts: dict[str, dict[str, Path]]) -> str:
    captions = {"notebooks": "The notebooks", **OTHER_RUNS}
    trees = {captions[part]: [f"{part}/{step}" for step in found] for part, found in parts.items()}
    documents = [f"docs/{path.stem}" for path in sorted((source / "docs").glob("*.md"))]
    trees = {"Start": ["explorer"], **trees}
    trees["The project"] = [*(Path(name).stem for name in ABOUT), *documents]
    lines = []
    for caption, pages in trees.items():
        lines += ["```{toctree}", f":caption: {caption}", ":hidden:", "", *pages, "```", ""]
    return "\n".join(lines)


def _write_notebook(source: Path, name: Path, file: Path, beside: set[str]) -> None:
    """beside: the notebooks of the same run, which links lead to."""

    def lead(link: str) -> str:
        same = Path(link).suffix == ".ipynb" and Path(link).stem in beside
        return Path(link).name if same else _led(source, Path("notebooks"), link)

    content = notebooks.page(json.loads(file.read_text()), lead)
    target = source / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(content, ensure_ascii=False))


def _write_text(source: Path, name: Path, text: str) -> None:
    target = source / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(notebooks.relinked(text, lambda link: _led(source, name.parent, link)))


def _led(source: Path, folder: Path, link: str) -> str:
    """Where a link of a page is to lead: to a page of the book, or to a file that is copied along.

    folder: where the page is in the checkout
    """
    file = (ROOT / folder / link).resolve()
    if not file.is_file() or not file.is_relative_to(ROOT):
        return link
    where = file.relative_to(ROOT)
    if file.suffix not in (".md", ".ipynb"):
        (source / where).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, source / where)
    return f"/{where.as_posix()}"


def _mathjax() -> Path:
    """The file of MathJax that draws formulas as SVG: it needs no fonts, and is one file."""
    found = importlib.util.find_spec(NEEDS[-1])
    assert found is not None and found.origin is not None
    return Path(found.origin).parent / "static" / "mathjax" / "tex-svg.js"
