"""Show: what the notebooks display. Nothing here computes a result.

plots/   the figures, a module for each group of notebooks
teach    source code, captions and exercise checks
"""
