"""The built site in a browser that is installed already: nothing is fetched, all of it can be used.

It is opened from disk, at two widths. Where there is no Chromium these tests skip, and say so.
"""

import os
import re
import shutil

import pytest

pytest.importorskip("sphinx", reason="THE BOOK WAS NOT BUILT: the extra `book` is not installed")
pytest.importorskip("playwright", reason="THE BOOK WAS NOT OPENED: playwright is not installed")

from axe_playwright_python.sync_playwright import Axe

import run_all
from book import build
from lib.artefacts.store import Place
from lib.paper import authors

from .test_explorer import searched

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
WIDTHS = (1280, 390)
# preload would fetch style sheets, which a browser refuses from disk
OPTIONS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "preload": False}
LARGEST = 60e6  # bytes


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    if CHROMIUM is None:
        pytest.skip(
            "NO CHROMIUM: the book was not opened in a browser; install one (on Debian: "
            "apt-get install chromium), or name its program in the variable CHROMIUM"
        )
    args = [
        "--disable-gpu",
        *(["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []),
    ]
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": args}


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Build the book of a small run: (its folder)."""
    outputs = tmp_path_factory.mktemp("outputs")
    before = os.environ.get("OUTPUTS_DIR")
    os.environ["OUTPUTS_DIR"] = str(outputs)
    try:
        for seed in (42, 86):
            place = Place("mine", "03_structured_pruning", "SST-2", seed, "f", {"structured": {}})
            for name in ("joint", "heads", "running"):
                found = searched(seed + len(name))
                place.save(f"{name}_trail.safetensors", found.to_tensors())
                place.save(f"{name}_head_mask.npy", found.good.mask.heads)
                place.save(f"{name}_mlp_mask.npy", found.good.mask.mlps)
            place.finish()
            full = Place("mine", "01_finetune", "SST-2", seed, "f")
            full.save("result.json", {"parameters": {"encoder": "tiny"}})
        return build.build("mine").parent
    finally:
        if before is None:
            del os.environ["OUTPUTS_DIR"]
        else:
            os.environ["OUTPUTS_DIR"] = before


@pytest.fixture()
def opened(page, site):
    """A function that opens a page of the site, and fails if it fetches or complains."""
    faults = []
    page.set_default_timeout(120_000)  # milliseconds; on a busy machine a page takes long
    page.on("console", lambda m: faults.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("file:", "data:", "blob:"))
            else faults.append(request.url)
        ),
    )
    page.on(
        "requestfailed",
        lambda request: (
            None  # what a page still asked for when the next one was opened
            if request.failure == "net::ERR_ABORTED"
            else faults.append(f"{request.failure}: {request.url}")
        ),
    )

    def open_page(name, width=WIDTHS[0]):
        page.set_viewport_size({"width": width, "height": 900})
        file, _, query = name.partition("?")
        page.goto((site / file).as_uri() + (f"?{query}" if query else ""))
        return page

    yield open_page
    assert faults == []


def pages(site):
    names = [path.relative_to(site).as_posix() for path in sorted(site.rglob("*.html"))]
    # the theme leaves its templates in _static
    others = ("genindex.html", "search.html")
    return [name for name in names if name not in others and not name.startswith("_static/")]


def test_the_site_has_every_notebook_and_is_small(site):
    assert {f"notebooks/{step}.html" for step in run_all.CHAIN} <= set(pages(site))
    assert {"index.html", "README.html", "explorer.html"} <= set(pages(site))
    assert sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) < LARGEST
    published = (site / "published" / "04_good_subnetworks.html").read_text()
    assert "the paper’s authors published" in published or "the paper's authors" in published


def test_every_page_opens_from_disk_with_formulas_and_pictures(opened, site):
    formulas = 0
    for name in pages(site):
        page = opened(name)
        page.wait_for_function(
            "!document.querySelector('.math') || window.MathJax?.startup?.promise"
        )
        page.evaluate("window.MathJax?.startup?.promise")
        found = page.evaluate(
            """() => ({
                formulas: document.querySelectorAll('.math').length,
                unset: [...document.querySelectorAll('.math')]
                    .filter((m) => !m.querySelector('mjx-container')).length,
                wrong: document.querySelectorAll('mjx-merror, [data-mjx-error]').length,
                pictures: [...document.querySelectorAll('main img')]
                    .filter((i) => !i.complete || !i.naturalWidth).map((i) => i.src),
                unnamed: [...document.querySelectorAll('main img')]
                    .filter((i) => !i.alt.trim() || /\\.(png|svg)$/.test(i.alt)).map((i) => i.src),
            })"""
        )
        formulas += found.pop("formulas")
        assert found == {"unset": 0, "wrong": 0, "pictures": [], "unnamed": []}, name
    assert formulas > 20


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_passes_axe_and_is_no_wider_than_the_screen(opened, site, width):
    """On the wide screen, 07 stands for all notebooks: what is new there is the same sidebars."""
    names = pages(site)
    if width == max(WIDTHS):
        names = [name for name in names if not name.startswith("notebooks/") or "07" in name]
    faults = {}
    for name in names:
        page = opened(name, width)
        page.evaluate("window.MathJax?.startup?.promise.then(() => null)")  # formulas are set
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        result = Axe().run(page, options=OPTIONS)
        found = [
            f"{violation['id']}: {node['html'][:150]}"
            for violation in result.response["violations"]
            for node in violation["nodes"]
        ]
        if found or wide > 0:
            faults[name] = [*found, *([f"{wide} pixels too wide"] if wide > 0 else [])]
    assert faults == {}


def test_the_search_works_from_disk(opened):
    page = opened("search.html?q=super-survivor")
    page.wait_for_selector("#search-results li a")
    hits = page.locator("#search-results li a").all_inner_texts()
    assert any("Where do the survivors live" in hit for hit in hits) and len(hits) > 2


def cells(page, chart):
    """The texts of a chart's cells, row by row: "" for a unit that is kept."""
    return page.locator(f"#explorer-{chart} .mark-text text").all_text_contents()


def ready(page):
    page.wait_for_selector("#explorer[data-ready=true]")
    page.wait_for_selector("#explorer-ours .mark-text text", state="attached")
    return page


@pytest.mark.parametrize("width", WIDTHS)
def test_the_explorer_is_used_with_the_keyboard(opened, width):
    page = ready(opened("explorer.html", width))
    assert cells(page, "ours").count("×") == 0
    status = page.locator("#explorer-status")
    assert "12 of 12 heads and 3 of 3 MLPs are left" in status.inner_text()
    rounds = searched(42 + len("joint")).rounds
    page.focus("#explorer-round")
    for number, one in enumerate(rounds[1:], 1):
        page.keyboard.press("ArrowRight")
        gone = 12 - one.mask.n_heads + 3 - one.mask.n_mlps
        page.wait_for_function(
            "n => [...document.querySelectorAll('#explorer-ours .mark-text text')]"
            ".filter((t) => t.textContent === '×').length === n",
            arg=gone,
        )
        text = status.inner_text()
        assert f"Round {number} of {len(rounds) - 1}" in text and f"Score {one.score:.3f}" in text
        assert ("Below the floor" in text) == (not one.accepted)


def test_each_choice_changes_what_the_explorer_shows(opened):
    page = ready(opened("explorer.html"))
    theirs = cells(page, "theirs")
    page.select_option("#explorer-mode", "heads")
    options = page.locator("#explorer-estimator option").all_inner_texts()
    assert len(options) == 1 and "paper" in options[0]
    page.wait_for_timeout(500)
    assert cells(page, "theirs") != theirs
    page.select_option("#explorer-mode", "joint")
    page.wait_for_timeout(200)
    before = cells(page, "ours-seeds")
    page.select_option("#explorer-estimator", "running")
    page.wait_for_timeout(200)
    assert cells(page, "ours-seeds") != before
    page.select_option("#explorer-seed", "86")
    page.wait_for_timeout(200)
    assert "seed 86" in page.locator("#explorer-theirs-title").inner_text()


def test_a_unit_is_described_when_it_is_chosen_or_pointed_at(opened):
    page = ready(opened("explorer.html"))
    page.select_option("#explorer-layer", "1")
    page.select_option("#explorer-column", "MLP")
    said = page.locator("#explorer-unit").inner_text()
    assert re.search(r"This run: kept, importance [\d.]+, good in \d of 2 seeds", said)
    assert f"of {len(authors.seeds())} seeds" in said.split("Authors: ")[1]
    page.hover("#explorer-ours .mark-rect path >> nth=0", force=True)  # its × may lie above
    page.wait_for_selector("#vg-tooltip-element.visible")
    text = page.locator("#vg-tooltip-element").inner_text()
    assert "layer 0, head 0" in text and "seeds" in text
