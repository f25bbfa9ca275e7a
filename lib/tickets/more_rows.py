"""Are few training rows the reason? Train stored subnetworks again, on more rows than they had.

The reference run had 1,500 training rows of a task, the paper all of GLUE's. A subnetwork that
learns little on 1,500 rows may need more rows, or only more steps: with more rows, an epoch has
more of them. So the bad one is also trained on the old rows for as many steps as the new ones take.

The masks are those of notebook 05, whose search saw models that were tuned on the old rows. Ours;
the paper trains on all rows only.

Planned before anything was trained. What is compared is the share of what the full model learns
that bad learns, (bad − majority) / (full − majority), of means over seeds, on tasks whose full
model beats the majority class on few rows and on more.
1. More rows: the share on more rows minus the share on few. An interval over tasks that lies above
   0 makes few rows a part of the reason; one that lies below 0 speaks against it. Only if the
   share's own interval over tasks holds the paper's .68 could they be all of it.
2. Rows or steps: bad on more rows minus bad on few rows for as many steps, in the same share (of
   the full model's lead on more rows). Above 0: the rows; holding 0: it may be the steps.
"""

from dataclasses import dataclass, replace

from lib.artefacts.store import Place
from lib.data import sources
from lib.model import recipes
from lib.model.batches import Encoded, encode
from lib.pruning import gates
from lib.pruning.masks import Mask
from lib.tickets import retrain
from lib.tickets.finetuned import FineTuned, pretrained

FULL = "full model"


@dataclass(frozen=True)
class Training:
    """One training: what is trained, where, and on how much.

    system: "full model", or "good", "random" or "bad" for the s-pruned subnetworks
    rows: training rows at most
    epochs: None for those of the recipe
    """

    task: str
    seed: int
    system: str
    rows: int
    epochs: int | None = None


def planned(tasks: list[str], seeds: list[int], few: int, rows: dict[str, int]) -> list[Training]:
    """List the trainings, the most important first.

    1. the full model and the bad subnetwork on more rows: how much of it does bad learn now?
    2. bad on few rows, for as many steps: is it the rows, or the steps?
    3. the full model and bad on few rows: does this device give what the reference run has?
    4. the good and the random subnetwork on more rows
    few: the training rows that the reference run had
    rows: {task: training rows now}
    """
    at = [(task, seed) for seed in seeds for task in sorted(tasks, key=rows.__getitem__)[::-1]]
    epochs = recipes.recipe("e5-small").epochs
    longer = {task: round(epochs * rows[task] / few) for task in tasks}
    return [
        *(Training(*one, system, rows[one[0]]) for one in at for system in (FULL, "bad")),
        *(Training(*one, "bad", few, longer[one[0]]) for one in at),
        *(Training(*one, system, few) for one in at for system in (FULL, "bad")),
        *(Training(*one, system, rows[one[0]]) for one in at for system in ("good", "random")),
    ]


def train(one: Training, profile: str) -> retrain.Trained:
    """Train it as notebooks 01 and 05 do, and score it on the same dev rows.

    profile: the run whose masks are trained
    Raises ValueError if the encoder or the rows are not the ones that the run had.
    """
    source = Place(profile, "01_finetune", one.task, one.seed)
    made = source.load("result.json")
    start, tokenizer = pretrained(source)
    recipe = recipes.Recipe(**made["recipe"])
    recipe = replace(recipe, epochs=one.epochs or recipe.epochs)
    kept = made["parameters"]["dev_rows"]
    train_rows, dev = _encoded(
        one.task, tuple(made["parameters"]["look_in"]), one.rows, kept, tokenizer, made["rows"]
    )
    subject = FineTuned(one.task, start, dev, float("nan"), train_rows)
    return retrain.subnetwork(subject, start, _mask(one, profile, start), recipe, one.seed)


def _mask(one: Training, profile: str, start) -> Mask:
    if one.system == FULL:
        return Mask.full(*gates.shape(start))
    drawn, _ = Place(profile, "05_retrain_tickets", one.task, one.seed).load("masks.safetensors")
    return Mask(*(drawn[f"s-pruning_{one.system}_{part}"] for part in ("heads", "mlps")))


_CACHE: dict[tuple, tuple[Encoded, Encoded]] = {}


def _encoded(task, look_in, count, kept, tokenizer, origin) -> tuple[Encoded, Encoded]:
    key = task, count
    if key not in _CACHE:
        rows = sources.rows(task, look_in)
        if rows.origin != origin:
            raise ValueError(
                f"the rows of {task} ({rows.origin}) are not those of the run ({origin}); "
                "set GLUE_DIR to the folder that it had"
            )
        rows = rows.capped(count, kept)
        max_length = recipes.recipe("e5-small").max_length
        _CACHE[key] = tuple(encode(part, tokenizer, max_length) for part in (rows.train, rows.dev))
    return _CACHE[key]
