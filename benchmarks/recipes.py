"""What the recipes of the small encoders and of the baselines rest on: dev scores with and without each of their parts.

python -m benchmarks.recipes minilm-l6 [TASK …]     512 training and 500 dev rows, seed 1337; minutes a line
"""

import sys
from dataclasses import replace

from lib.data import glue, sources
from lib.model import baselines, batches, recipes, train
from lib.model.vocabulary import word_embeddings
from lib.tickets import finetuned

PARTS = {
    "the recipe": {},
    "not standardised": {"standardise": False},
    "classifier at the encoder's rate": {"head_factor": 1},
    "batch 32": {"batch_size": 32},
    "learning rate 4e-5": {"learning_rate": 4e-5},
}
OF_BASELINES = {
    "the recipe": {},
    "learning rate 1e-3": {"learning_rate": 1e-3},
    "20 epochs": {"epochs": 20},
}


def main(encoder: str, tasks: list[str]) -> None:
    """Print a line for each task and change."""
    for task in tasks:
        text = sources.rows(task, ["folder", "pip"]).capped(512, 500)
        for name, change in PARTS.items():
            change = dict(change)
            standardise = change.pop("standardise", True)
            recipe = replace(recipes.recipe(encoder), **change)
            model, tokenizer, _ = finetuned.new(encoder, ["pip", "hub"], task, 1337)
            rows, dev = (
                batches.encode(part, tokenizer, recipe.max_length)
                for part in (text.train, text.dev)
            )
            if standardise:
                model.standardise(rows)
            _fit_and_say(f"{encoder}  {task:6} {name:34}", task, model, rows, dev, recipe)
        table, of = word_embeddings(model), glue.TASKS[task]
        for kind in baselines.KINDS:
            for learned in (False, True):
                for name, change in OF_BASELINES.items():
                    recipe = replace(baselines.RECIPE, **change)
                    model = baselines.Baseline(
                        kind, table, learned, of.pair, tokenizer.sep_token_id, of.outputs, 1337
                    )
                    said = f"{kind}{', learned embeddings' * learned}: {name}"
                    _fit_and_say(f"{encoder}  {task:6} {said:42}", task, model, rows, dev, recipe)


def _fit_and_say(said: str, task: str, model, rows, dev, recipe) -> None:
    train.fit(model, rows, recipe, 1337)
    score = glue.score(task, train.predict(model, dev), dev.labels)
    print(f"{said} {score:.3f}  (majority {glue.majority(task, dev.labels):.3f})", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or ["SST-2", "STS-B"])
