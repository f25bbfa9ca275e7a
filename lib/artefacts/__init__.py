"""Artefacts: what the notebooks write, where it is, and when it is out of date.

store        places: a step's folder, where artefacts are saved and loaded by name
publish      figures and tables, put where people look for them
formats      how each kind of value looks on disk
fingerprint  one hash of everything that a step's results depend on
files        write a file whole or not at all; checksums
"""
