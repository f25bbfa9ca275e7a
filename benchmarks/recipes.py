"""What the small encoders' recipe rests on: dev scores with and without each of its parts.

python -m benchmarks.recipes minilm-l6 [TASK …]     512 training and 500 dev rows, seed 1337; minutes a line
"""

import sys
from dataclasses import replace

from lib import batches, finetuned, glue, models, sources, train
from lib.models import SentenceClassifier

PARTS = {
    "the recipe": {},
    "not standardised": {"standardise": False},
    "classifier at the encoder's rate": {"head_factor": 1},
    "batch 32": {"batch_size": 32},
    "learning rate 4e-5": {"learning_rate": 4e-5},
}


def main(encoder: str, tasks: list[str]) -> None:
    """Print a line for each task and change."""
    original = SentenceClassifier.standardise
    for task in tasks:
        text = sources.text(task, ["folder", "pip"]).capped(512, 500)
        for name, change in PARTS.items():
            change = dict(change)
            SentenceClassifier.standardise = original if change.pop("standardise", True) else lambda *_: None
            recipe = replace(models.recipe(encoder), **change)
            model, tokenizer, _ = finetuned.new(encoder, ["pip", "hub"], task, 1337)
            rows, dev = (batches.encode(part, tokenizer, recipe.max_length) for part in (text.train, text.dev))
            train.fit(model, rows, recipe, 1337)
            score = glue.score(task, train.predict(model, dev), dev.labels)
            majority = glue.majority(task, dev.labels)
            print(f"{encoder}  {task:6} {name:34} {score:.3f}  (majority {majority:.3f})", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or ["SST-2", "STS-B"])
