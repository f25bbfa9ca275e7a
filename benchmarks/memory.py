"""How much memory a run takes, and a search at the size of BERT-base.

python -m benchmarks.memory             BERT-base with random weights: 64 rows of 128 tokens, in one batch and in lib's
python -m benchmarks.memory default     the default run, all processes together, while it does what is not done yet
"""

import multiprocessing
import resource
import subprocess
import sys
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
    """GiB of a search, each in a process of its own."""
    for batch in (ROWS, evaluation_batch_size(torch.device("cpu"))):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            peak = pool.apply(peak_of_search, (batch,))
        what = f"GiB, s-pruning search, BERT-base, {ROWS} rows of {TOKENS} tokens, in batches of {batch}"
        yield Claim(what, "its process at most", peak, peak, peak)


def peak_of_search(batch: int) -> float:
    """The greatest resident size, in GiB, of this process after a joint search of few rounds; the first takes most."""
    torch.set_num_threads(1)
    importance.evaluation_batch_size = lambda _device: batch
    encoder, draw = BertModel(BertConfig()), np.random.default_rng(0)
    model = to_best_device(
        SentenceClassifier(encoder, 2, "cls", torch.Generator().manual_seed(0))
    ).eval()
    ids = torch.from_numpy(draw.integers(1000, 30000, ROWS * TOKENS))
    dev = Encoded({"input_ids": ids}, np.full(ROWS, TOKENS), draw.integers(2, size=ROWS), 0)
    few_rounds = Structured(estimator="per_batch", step=0.5, keep=1.0)
    search.search(FineTuned("SST-2", model, dev, float("nan")), few_rounds)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def peak_of(command: Sequence[str], every: float = 0.5, **options) -> float:
    """Run a command; the most memory, in GiB, that its processes took together, what they share counted once."""
    peak, over = 0, threading.Event()
    process = subprocess.Popen(command, **options)

    def watch():
        nonlocal peak
        while not over.wait(every):
            now = 0
            with suppress(psutil.Error):  # processes come and go
                for one in (
                    psutil.Process(process.pid),
                    *psutil.Process(process.pid).children(recursive=True),
                ):
                    now += one.memory_full_info().pss
            peak = max(peak, now)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        if process.wait():
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    finally:
        over.set()
        watcher.join()
    return peak / GIB


if __name__ == "__main__":
    if "default" in sys.argv:
        print(f"GiB, the default run: {peak_of([sys.executable, str(ROOT / 'run_all.py')]):.1f}")
    else:
        show(claims())
