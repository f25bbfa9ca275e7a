"""How fast this machine is: the work that notebooks do most, timed on all workers at once.

Models have random weights and rows have random words: neither changes how long a step takes, and
nothing is downloaded. All of it ends after a minute, however busy the machine is.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from chain.cards import of_worker
from lib.artefacts.fingerprint import ROOT

LIMIT = 60  # seconds in all, imports included
SECONDS = 12  # at most, for each of the three things that are timed
STEPS = 3  # training steps in one call of `fit`, which takes a little time to set up
# tokens per row: two lengths separate the cost of a step from the cost of a token
SHORT, LONG = 16, 64
SHAPES = {"tiny": (3, 4, 32, 64), "minilm-l6": (6, 12, 384, 1536), "e5-small": (12, 12, 384, 1536)}
BERT_BASE = (12, 12, 768, 3072)


@dataclass(frozen=True)
class Speed:
    """What one worker needs, in seconds, while the other workers are busy, too.

    step: a training step, without what depends on its tokens. trained_token: one more token in a
    training step. scored_token: one token of a row that is scored.
    """

    step: float
    trained_token: float
    scored_token: float


def probe(encoder: str, workers: int, cards: int = 0) -> Speed | None:
    """The mean speed of all workers at once; None if none timed anything in LIMIT seconds.

    A worker that has not made all three timings by then counts with those that it has made.
    """
    from chain.execute import process_environment  # needs Jupyter, which benchmarks.gpu lacks

    end = time.time() + LIMIT
    environment = os.environ | process_environment(workers)
    running = []
    for worker in range(workers):
        card = of_worker(worker, cards)
        command = [sys.executable, "-m", "chain.probe", encoder, str(end)]
        running.append(
            subprocess.Popen(
                command, env=environment | card, stdout=subprocess.PIPE, text=True, cwd=ROOT
            )
        )
    try:
        speeds = [json.loads(line) for process in running if (line := _last_line(process, end))]
    finally:
        for process in running:  # after Ctrl-C some still run
            process.kill()
    if not speeds:
        return None
    return Speed(**{name: sum(one[name] for one in speeds) / len(speeds) for name in speeds[0]})


def _last_line(process: subprocess.Popen, end: float) -> str:
    """The last line that a process prints before it ends or is killed at `end`; may be empty."""
    try:
        output, _ = process.communicate(timeout=max(0.1, end - time.time()))
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
    lines = output.splitlines()
    return lines[-1] if lines else ""


def measure(encoder: str, end: float) -> Iterator[Speed]:
    """The speed of this process, three times: rough after one timing, better after two and three.

    end: the time of day at which it must have ended; each timing takes an equal part of what is
    left.
    """
    import numpy as np
    import torch

    from lib.model import recipes, train
    from lib.model.batches import Encoded
    from lib.model.device import to_best_device

    recipe = recipes.recipe(encoder, epochs=1)
    model = to_best_device(random_model(encoder))
    vocabulary = model.encoder.config.vocab_size
    draw = np.random.default_rng(0)

    def rows(count: int, length: int) -> Encoded:
        ids = torch.from_numpy(draw.integers(1000, vocabulary, count * length))
        tokens = {"input_ids": ids, "token_type_ids": torch.zeros_like(ids)}
        return Encoded(tokens, np.full(count, length), draw.integers(2, size=count), pad_id=0)

    def scoring(length: int, seconds: float) -> float:
        data = rows(2 * recipe.batch_size, length)
        return mean_seconds(lambda: train.predict(model, data), seconds) / len(data)

    def training(length: int, seconds: float) -> float:
        data = rows(STEPS * recipe.batch_size, length)
        return mean_seconds(lambda: train.fit(model, data, recipe, 0), seconds) / STEPS

    def share(parts: int) -> float:
        return min(SECONDS, (end - time.time()) / parts)

    scored_token = scoring(LONG, share(3)) / LONG
    # a training step is a forward pass and about twice as much for the backward pass
    yield Speed(0.0, 3 * scored_token, scored_token)
    step = training(SHORT, share(2))
    yield Speed(0.0, step / SHORT / recipe.batch_size, scored_token)
    token = (training(LONG, share(1)) - step) / (LONG - SHORT) / recipe.batch_size
    token = max(0.0, token)
    yield Speed(max(0.0, step - token * SHORT * recipe.batch_size), token, scored_token)


def random_model(encoder: str) -> Any:
    """Make a classifier with two outputs and random weights, in the shape of this encoder."""
    import torch
    from transformers import BertConfig, BertModel

    from lib.model import recipes
    from lib.model.classifier import SentenceClassifier

    layers, heads, hidden, intermediate = SHAPES.get(encoder, BERT_BASE)
    config = BertConfig(
        num_hidden_layers=layers,
        num_attention_heads=heads,
        hidden_size=hidden,
        intermediate_size=intermediate,
    )
    generator, pooling = torch.Generator().manual_seed(0), recipes.recipe(encoder).pooling
    return SentenceClassifier(BertModel(config), 2, pooling, generator)


def mean_seconds(work: Callable[[], object], seconds: float) -> float:
    """The mean duration of a piece of work that is repeated for this many seconds.

    The first time is a warm-up and counts only where there is no time for a second.
    """
    start = time.perf_counter()
    work()
    warm = time.perf_counter()
    if warm - start >= seconds / 2:
        return warm - start
    count = 0
    while not count or time.perf_counter() - start < seconds:
        work()
        count += 1
    return (time.perf_counter() - warm) / count


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for run_all, which ends this process
    for speed in measure(sys.argv[1], float(sys.argv[2])):
        print(json.dumps(asdict(speed)), flush=True)
