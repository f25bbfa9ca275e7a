"""Data: the GLUE tasks, and where their rows and the encoders come from.

glue       the nine tasks: labels, metrics, official sizes, the majority baseline
sources/   rows and encoders from a folder, from packages, from the hub, or made in memory
"""
