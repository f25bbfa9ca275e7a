"""What run_all.py runs notebooks with; no experiment logic.

profiles   what a run can vary, read from params/ and checked
changes    a profile as the command line changes it, and the folder of its results
check      whether notebooks can work with the encoder
plan       which notebooks run with which parameters, and what each one reads
progress   which of them are done, and what they lack
estimate   how long a job will take; probe: how fast the machine is
energy     what a job takes of it; energy_table: the sums of a run
cluster    where jobs run; execute: one notebook in a worker; cards: which card it has
warm       kernels forked with all imports done; nursery: the process they come from
display    what a person sees while notebooks run
"""
