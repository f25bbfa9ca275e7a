"""Measure on a GPU what docs/speed.md says, in the few minutes that a GPU is at hand.

    python -m benchmarks.gpu --minutes 9              BERT-base and e5-small, on the first GPU
    python -m benchmarks.gpu --minutes 1 --rehearse   a tiny model, to see that it works there

It needs torch (2.11 or newer), transformers, numpy, safetensors, tokenizers and this checkout, and
downloads nothing: weights are random, and rows are made up, as long as GLUE's. Without a GPU it
measures the CPU, and says so.

__main__   the command, and its options
report     lets a process measure for so long and no longer, and keeps what it has sent
results    what was measured, skipped, stopped or failed; and the table
run        the measurements in their order, each within its share of the time
equality   float32 on the GPU against float32 on the CPU
speed      fine-tuning, scoring, and rounds of both searches, against the authors' algorithm
jobs       how much more a card does with several processes on it
hours      what profiles have to do (work.json), and how long that takes at the speed measured
card       what a card can do at most, and how much there is to do
rows       made-up rows with GLUE's lengths
bare       imports lib on a machine that lacks most of what lib needs
"""

from benchmarks.gpu import bare

bare.import_recipes()  # before anything that imports lib.model
