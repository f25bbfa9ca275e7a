"""Are few training rows the reason? Train stored subnetworks again, on more rows than they had.

The reference run had 1,500 training rows of a task, the paper all of GLUE's. A subnetwork that
learns little on 1,500 rows may need more rows, or only more steps: with more rows, an epoch has
more of them. So the bad one is also trained on the old rows for about as many steps.

The masks are those of notebook 05, whose search saw models that were tuned on the old rows. Ours;
the paper trains on all rows only. `lib.analysis.few_rows` says what was planned to be compared.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any

import pandas as pd

from lib.artefacts.store import Place, environment
from lib.data import sources
from lib.model import recipes
from lib.model.batches import encode
from lib.model.classifier import SentenceClassifier
from lib.pruning import gates
from lib.pruning.masks import Mask
from lib.tickets import retrain
from lib.tickets.finetuned import FineTuned, pretrained

STEP, TRAININGS = "more_rows", "trainings.csv"  # where a run keeps them
FULL = "full model"
BY_THE_RECIPE, AS_MANY_STEPS = "the recipe's", "as many steps as more rows take"


@dataclass(frozen=True)
class Training:
    """One training: what is trained, where, and on how much.

    system: "full model", or "good", "random" or "bad" for the s-pruned subnetworks
    rows: the number of training rows
    length: the number of epochs is "the recipe's"; or it gives "as many steps as more rows take"
    epochs: that number
    """

    task: str
    seed: int
    system: str
    rows: int
    length: str
    epochs: int


def planned(
    tasks: Sequence[str], seeds: Sequence[int], few: int, rows: Mapping[str, int], epochs: int
) -> list[Training]:
    """List the trainings, the most important first.

    1. the full model and the bad subnetwork on more rows: how much of it does bad learn now?
    2. bad on few rows, for about as many steps (whole epochs): is it the rows, or the steps?
    3. the full model and bad on few rows: does this device give what the run has?
    4. the good and the random subnetwork on more rows
    few: the training rows that the run had; epochs: those of its recipe
    rows: {task: training rows now}; a task that has no more than few is left out
    """
    tasks = [task for task in tasks if rows[task] > few]
    at = [(task, seed) for seed in seeds for task in sorted(tasks, key=lambda task: -rows[task])]
    usual = (BY_THE_RECIPE, epochs)
    return [
        *(Training(*one, system, rows[one[0]], *usual) for one in at for system in (FULL, "bad")),
        *(
            Training(*one, "bad", few, AS_MANY_STEPS, round(epochs * rows[one[0]] / few))
            for one in at
        ),
        *(Training(*one, system, few, *usual) for one in at for system in (FULL, "bad")),
        *(
            Training(*one, system, rows[one[0]], *usual)
            for one in at
            for system in ("good", "random")
        ),
    ]


def rows_of(task: str, made: Mapping[str, Any]) -> sources.Rows:
    """Get all rows of a task from where notebook 01 had some of them.

    made: its result.json
    Raises ValueError if they are others now.
    """
    rows = sources.rows(task, made["parameters"]["look_in"])
    if rows.origin != made["rows"]:
        raise ValueError(
            f"the rows of {task} ({rows.origin}) are not those that the run had ({made['rows']}); "
            "set GLUE_DIR to the folder that it had"
        )
    return rows


def train(one: Training, profile: str) -> dict[str, Any]:
    """Train it as notebooks 01 and 05 do, in float32, and score it on the run's dev rows.

    profile: the run whose masks are trained
    Returns the training, its score, its seconds, and what it ran on.
    Raises ValueError if the encoder or the rows are not those that the run had.
    """
    start = time.time()
    source = Place(profile, "01_finetune", one.task, one.seed)
    made = source.load("result.json")
    model, tokenizer = pretrained(source)
    # in float32, which is the same on every device; the reference run itself had bf16
    recipe = replace(recipes.Recipe(**made["recipe"]), epochs=one.epochs, precision="float32")
    rows = rows_of(one.task, made).capped(one.rows, made["parameters"]["dev_rows"])
    training, dev = (encode(part, tokenizer, recipe.max_length) for part in (rows.train, rows.dev))
    subject = FineTuned(one.task, model, dev, float("nan"), training)
    trained = retrain.subnetwork(subject, model, _mask(one, profile, model), recipe, one.seed)
    ran = environment()
    return {
        **vars(one),
        "score": trained.score,
        "seconds": round(time.time() - start, 1),
        "device": ran["device"],
        "torch": ran["versions"]["torch"],
    }


def trained(profile: str) -> pd.DataFrame | None:
    """Read what was trained for a run, a row for each training; None if nothing was."""
    found = Place(profile, STEP).find(TRAININGS, None)
    return None if found is None else pd.read_csv(StringIO(found))


def _mask(one: Training, profile: str, model: SentenceClassifier) -> Mask:
    if one.system == FULL:
        return Mask.full(*gates.shape(model))
    drawn, _ = Place(profile, "05_retrain_tickets", one.task, one.seed).load("masks.safetensors")
    return Mask(*(drawn[f"s-pruning_{one.system}_{part}"] for part in ("heads", "mlps")))
