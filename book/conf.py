"""Sphinx's settings for the book. A page fetches nothing: all that it needs is in the site."""

project = "All tickets"
author = "the All tickets contributors"
html_title = "All tickets: the book"
language = "en"
html_show_copyright = False

extensions = ["myst_nb"]
nb_execution_mode = "off"  # the notebooks come as they ran
nb_merge_streams = True  # what a cell prints is one block
nb_ipywidgets_js = {}  # no notebook has widgets, and their scripts would come from another host
nb_render_markdown_format = "myst"  # so that formulas in outputs are set, too
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
myst_dmath_double_inline = True
# headings may skip a level after a note; links to places that only a run makes stay as they are
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type"]

html_theme = "sphinx_book_theme"
html_theme_options = {
    "show_navbar_depth": 1,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navbar_persistent": [],  # the search field is in the sidebar
    "pygments_light_style": "a11y-high-contrast-light",
    "show_prev_next": True,
    "logo": {"text": "All tickets"},
}
html_context = {"default_mode": "light"}  # figures are white; book.css hides the switch
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # it fetches pages, which a browser refuses from disk
mathjax_path = "mathjax.js"
# the menu's other tools would be fetched
mathjax3_config = {"options": {"enableMenu": False}, "svg": {"fontCache": "local"}}
