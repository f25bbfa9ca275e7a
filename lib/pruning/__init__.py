"""Pruning: the paper's method (§3.2, §3.3).

masks       what a subnetwork is: which heads and MLPs, or which single weights, are kept
gates       run a model as a subnetwork, with hooks that are gone afterwards
compact     the same subnetwork as a smaller model, its masked units removed
importance  how much each head and MLP matters, by seven estimators: gradients of the loss by gates
removal     what removing each head and MLP alone does to the loss
search      the two pruning loops: by magnitude (m-pruning) and by importance (s-pruning)
"""
