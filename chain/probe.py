"""How fast this machine is: for a minute, what notebooks do most, on as many workers at once as there will be.

Models have random weights and rows random words: neither changes how long a step takes, and nothing is downloaded.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from chain.execute import process_environment
from lib.artefacts.fingerprint import ROOT

SECONDS = 12  # for each of the three things that are timed
STEPS = 3  # of a training, which costs something to set up
SHORT, LONG = 16, 64  # tokens in a row: two lengths tell what a step costs from what a token costs
SHAPES = {"tiny": (3, 4, 32, 64), "minilm-l6": (6, 12, 384, 1536), "e5-small": (12, 12, 384, 1536)}
BERT_BASE = (12, 12, 768, 3072)


@dataclass(frozen=True)
class Speed:
    """Seconds, of one worker among as many as there were: for a training step, whatever is in it, for each token that
    it holds, and for each token that is scored."""

    step: float
    trained_token: float
    scored_token: float


def probe(encoder: str, workers: int, cards: int = 0) -> Speed:
    """The mean speed of so many workers at once."""
    environment = os.environ | process_environment(workers)
    running = []
    for worker in range(workers):
        card = {"CUDA_VISIBLE_DEVICES": str(worker % cards)} if cards else {}
        command = [sys.executable, "-m", "chain.probe", encoder]
        running.append(
            subprocess.Popen(
                command, env=environment | card, stdout=subprocess.PIPE, text=True, cwd=ROOT
            )
        )
    found = [json.loads(process.communicate()[0].splitlines()[-1]) for process in running]
    return Speed(**{name: sum(one[name] for one in found) / workers for name in found[0]})


def measure(encoder: str) -> Speed:
    """The speed of this process."""
    import numpy as np
    import torch
    from transformers import BertConfig, BertModel

    from lib.model import recipes, train
    from lib.model.batches import Encoded
    from lib.model.classifier import SentenceClassifier
    from lib.model.device import to_best_device

    layers, heads, hidden, intermediate = SHAPES.get(encoder, BERT_BASE)
    config = BertConfig(
        num_hidden_layers=layers,
        num_attention_heads=heads,
        hidden_size=hidden,
        intermediate_size=intermediate,
    )
    recipe = recipes.recipe(encoder, epochs=1)
    model = to_best_device(
        SentenceClassifier(BertModel(config), 2, recipe.pooling, torch.Generator().manual_seed(0))
    )
    draw = np.random.default_rng(0)

    def rows(count: int, length: int) -> Encoded:
        ids = torch.from_numpy(draw.integers(1000, config.vocab_size, count * length))
        tokens = {"input_ids": ids, "token_type_ids": torch.zeros_like(ids)}
        return Encoded(tokens, np.full(count, length), draw.integers(2, size=count), pad_id=0)

    def scored(length: int) -> float:
        data = rows(2 * recipe.batch_size, length)
        return mean_seconds(lambda: train.predict(model, data)) / len(data)

    def trained(length: int) -> float:
        data = rows(STEPS * recipe.batch_size, length)
        return mean_seconds(lambda: train.fit(model, data, recipe, 0)) / STEPS

    step, longer_step = trained(SHORT), trained(LONG)
    token = (longer_step - step) / (LONG - SHORT) / recipe.batch_size
    return Speed(max(0.0, step - token * SHORT * recipe.batch_size), token, scored(LONG) / LONG)


def mean_seconds(work: Callable[[], object]) -> float:
    """The seconds of a piece of work, on average over a few, after one to warm up."""
    work()
    start, count = time.perf_counter(), 0
    while not count or time.perf_counter() - start < SECONDS:
        work()
        count += 1
    return (time.perf_counter() - start) / count


if __name__ == "__main__":
    print(json.dumps(asdict(measure(sys.argv[1]))))
