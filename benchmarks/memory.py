"""Measure the memory that a search at the size of BERT-base takes, or the default run.

python -m benchmarks.memory             BERT-base with random weights: 64 rows of 128 tokens, in one
                                        batch, then in batches of lib's size
python -m benchmarks.memory default     run_all from the beginning, all its processes together
"""

import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np
import psutil
import torch
from transformers import BertConfig, BertModel

from benchmarks import search
from benchmarks.sides import Claim, show
from lib.artefacts.fingerprint import ROOT
from lib.model.batches import Encoded
from lib.model.classifier import SentenceClassifier
from lib.model.device import evaluation_batch_size, to_best_device
from lib.pruning import importance
from lib.pruning.search import Structured
from lib.tickets.finetuned import FineTuned

ROWS, TOKENS = 64, 128
GIB = 2**30


def claims() -> Iterator[Claim]:
    """Measure the peak of a search in GiB, in a new process for each batch size."""
    for batch in (ROWS, evaluation_batch_size(torch.device("cpu"))):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            peak = pool.apply(peak_of_search, (batch,))
        yield Claim(
            f"GiB, s-pruning search, BERT-base, {ROWS} rows of {TOKENS} tokens, "
            f"in batches of {batch}",
            "its process at most",
            peak,
            peak,
            peak,
        )


def peak_of_search(batch: int) -> float:
    """Run a joint search in this process; return the peak of its resident memory in GiB.

    The search has few rounds, since the first one needs the most memory.
    """
    torch.set_num_threads(1)
    importance.evaluation_batch_size = lambda _device: batch
    encoder, draw = BertModel(BertConfig()), np.random.default_rng(0)
    model = to_best_device(
        SentenceClassifier(encoder, 2, "cls", torch.Generator().manual_seed(0))
    ).eval()
    ids = torch.from_numpy(draw.integers(1000, 30000, ROWS * TOKENS))
    dev = Encoded({"input_ids": ids}, np.full(ROWS, TOKENS), draw.integers(2, size=ROWS), 0)
    few_rounds = Structured(estimator="batch", step=0.5, keep=1.0)
    search.search(FineTuned("SST-2", model, dev, float("nan")), few_rounds)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def peak_of(command: Sequence[str], every: float = 0.5, **options) -> float:
    """Run a command; return the peak memory of all its processes together, in GiB.

    Memory that processes share counts once.
    every: seconds between two measurements
    options: passed to subprocess.Popen
    Raises RuntimeError if the command fails.
    """
    peak, ended = 0, threading.Event()
    process = subprocess.Popen(command, **options)

    def watch():
        nonlocal peak
        while not ended.wait(every):
            now = 0
            with suppress(psutil.Error):  # a process may end while it is measured
                parent = psutil.Process(process.pid)
                for member in (parent, *parent.children(recursive=True)):
                    now += member.memory_full_info().pss
            peak = max(peak, now)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        if process.wait():
            raise RuntimeError(f"{' '.join(command)} ended with exit status {process.returncode}")
    finally:
        ended.set()
        watcher.join()
    return peak / GIB


if __name__ == "__main__":
    if "default" in sys.argv:
        with tempfile.TemporaryDirectory() as outputs:
            command = [sys.executable, str(ROOT / "run_all.py")]
            peak = peak_of(command, env={**os.environ, "OUTPUTS_DIR": outputs})
        print(f"GiB, the default run: {peak:.1f}")
    else:
        show(claims())
