"""The figures of the notebooks.

style        colours, frames, legends and heat maps that all figures share
grids        02, 04: heat maps with a cell for each head and MLP
curves       01 to 03: the spread of the full model's score, and how it falls during pruning
comparison   05, 06: good, random and bad subnetworks; all: our numbers beside the paper's
importances  07: estimators of importance, by four questions
reading      07 to 09: stability, attention patterns, task overlap
schematic    00: a layer with its gates; good, random and bad
verdicts     10: a symbol for each claim
"""
