"""What the paper says, and our results beside it.

intervals   95 % intervals of means and deviations
numbers     the paper's numbers, and a comparison of ours with them
statements  the paper's statements in words, and whether a run agrees
tables      our scores as tables, beside the paper's
findings    what a run has found, in three lines a notebook
masks       published masks in a folder, read as if notebook 03 had made them
authors     the masks that the paper's authors published, in this package
"""
