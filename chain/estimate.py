"""How long a job will take: as long as before, or what it has to do at this machine's speed."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict

from chain.plan import Job
from chain.probe import BERT_BASE, SHAPES, Speed, probe
from chain.profiles import Profile
from lib.artefacts.store import Place
from lib.data.glue import TASKS
from lib.model import recipes
from lib.pruning.importance import ESTIMATORS

# tokens of an average row in (training, dev), special tokens included, measured with BERT's uncased
# vocabulary
TOKENS = {
    "CoLA": (11, 11), "SST-2": (13, 25), "MRPC": (53, 53), "STS-B": (28, 32), "QQP": (30, 30),
    "MNLI": (39, 39), "QNLI": (49, 50), "RTE": (70, 69), "WNLI": (37, 38),
}  # fmt: skip
OVERHEAD = 5  # seconds: a kernel, its imports, its figures
# What a notebook does, in units of what the probe times; measured with MiniLM on SST-2 and STS-B,
# averaged. Trainings of the whole model; 05: three m-subnetworks, eight smaller ones, one of them
# for six epochs, baselines.
TRAININGS = {"01": 1.3, "05": 14}
BY_ESTIMATOR = 2  # three smaller ones more for each further estimator whose choice 05 trains
# Passes of the whole model over dev; 03: per search. 02 stops after about 15 rounds if the model
# has learned something; one that answers with the majority class is pruned to its last weight,
# which takes about 160 rounds at BERT-base's size.
PASSES = {"01": 3, "02": 15, "03": 14, "05": 9}
# Notebooks that run once: as long as scoring this many tokens for each task and seed.
TOKENS_ONCE = {"04": 1_000, "06": 200, "07": 7_000, "08": 75_000, "09": 200, "10": 7_000}
# The speed without a probe: MiniLM on one core of an AMD CPU.
TYPICAL = Speed(step=0.023, trained_token=4.6e-4, scored_token=2.5e-4)
NOTES, PROBE = "seconds.json", "probe.json"


def estimates(
    jobs: Sequence[Job], profile: Profile, speed: Callable[[], Speed] = lambda: TYPICAL
) -> dict[str, float]:
    """{job name: the seconds that it will take one worker}.

    A job that ran before takes as long again. Where others of its notebook ran, it takes as long as
    they did, in proportion to what there is to train and score. Only where none ran is `speed`
    asked.
    """
    noted = _noted(jobs[0].place.profile) if jobs else {}
    found, measured = {}, None
    for job in jobs:
        ran = [name for name in noted if name.split("-")[0] == job.step]
        if job.name in noted:
            found[job.name] = noted[job.name]
        elif ran:
            usual = sum(work(job.step, _task(name), profile, TYPICAL) for name in ran)
            slower = sum(noted[name] for name in ran) / usual
            found[job.name] = slower * work(job.step, job.place.task, profile, TYPICAL)
        else:
            measured = measured or speed()
            found[job.name] = work(job.step, job.place.task, profile, measured)
    return found


def work(step: str, task: str | None, profile: Profile, speed: Speed) -> float:
    """The seconds of a notebook at this speed, from how much there is to train and score."""
    number = step[:2]
    if task is None:
        once = TOKENS_ONCE.get(number, 0) * len(profile.tasks) * len(profile.seeds)
        return OVERHEAD + once * speed.scored_token
    (train, dev), tokens = _rows(task, profile), TOKENS[task]
    recipe = recipes.recipe(profile.encoder, **profile.finetuning)
    steps = -(-train // recipe.batch_size)
    training = recipe.epochs * (steps * speed.step + train * tokens[0] * speed.trained_token)
    scoring = dev * tokens[1] * speed.scored_token
    searches = len(profile.modes) + len(profile.estimators) - 1 if number == "03" else 1
    trainings, passes = TRAININGS.get(number, 0), PASSES.get(number, 0) * searches
    passes += _study(profile) if number == "03" else 0
    trainings += BY_ESTIMATOR * len(profile.retraining.estimators) if number == "05" else 0
    return OVERHEAD + trainings * training + passes * scoring


def _study(profile: Profile) -> float:
    """How many passes of the whole model over dev the study of estimators takes, about.

    Most of it is on one half of the rows. A removal starts at its layer: half a pass on average.
    """
    layers, heads, *_ = SHAPES.get(profile.encoder, BERT_BASE)
    study, removed = profile.study, {"all": layers * (heads / 2 + 1.5), "last": heads / layers + 2}
    rankings = len(ESTIMATORS) + len(study.searches) + study.draws
    scored = study.sizes * (2 * rankings * 0.7 + 2 * len(study.searches))
    searched = PASSES["03"] * len(study.searches)
    return (removed.get(study.removal, 0) + scored + searched) / 2 + 6  # 6: gradients, token sums


def speed(name: str, profile: Profile, workers: int, cards: int) -> Speed:
    """How fast this machine is for a profile, from a probe that is kept."""
    of = {"encoder": profile.encoder, "workers": workers, "cards": cards}
    place = _place(name)
    made = place.find(PROBE, {})
    if made.get("of") == of:
        return Speed(**made["speed"])
    measured = probe(profile.encoder, workers, cards)
    if measured is None:
        return TYPICAL
    with suppress(OSError):  # a dry run needs no place to write to
        place.save(PROBE, {"of": of, "speed": asdict(measured)})
    return measured


def sizes(task: str, profile: Profile) -> tuple[str, str]:
    """(training rows, dev rows) at most, as a person reads them."""
    train, dev = _rows(task, profile)
    return f"{train:,}", f"{dev:,}"


def _rows(task: str, profile: Profile) -> tuple[int, int]:
    official = TASKS[task]
    train, dev = profile.train_rows or official.train, profile.dev_rows or official.dev
    return min(train, official.train), min(dev, official.dev)


def _task(name: str) -> str | None:
    """The task in a job's name, 01_finetune-STS-B-seed_42; None for a notebook that runs once."""
    _, _, rest = name.partition("-")
    return rest.rsplit("-seed_", 1)[0] or None


def human_time(value: float) -> str:
    """Seconds as a person reads them: 45 s, 12 min, 3.5 h."""
    if value < 90:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"


def note(profile: str, name: str, value: float) -> None:
    """Remember how long a job took, for the next estimate."""
    with suppress(OSError):  # a full disk: the estimate is all that is lost
        _place(profile).save(NOTES, {**_noted(profile), name: round(value, 1)})


def _noted(profile: str) -> dict[str, float]:
    return _place(profile).find(NOTES, {})


def _place(profile: str) -> Place:
    return Place(profile, "run_all")
