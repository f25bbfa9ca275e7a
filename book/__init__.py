"""The book: one static site of the notebooks as they ran, the README, and an explorer.

    build      writes the book's source from what has run, and lets Sphinx make the site of it
    notebooks  which copy of a notebook is shown, and how it becomes a page
    explorer   the data and the charts of the page explorer.md
    pages/     the pages that are written here: the first one, the explorer
    static/    the explorer's controls, and what the site adds to the theme's style
    conf.py    Sphinx's settings

Nothing here computes a result, and lib knows nothing of it.
"""
