"""How long a job will take: what it took before, or else the arithmetic it has to do."""

from chain.plan import Job
from chain.profiles import Profile
from lib.glue import TASKS
from lib.store import Place

# tokens of an average row, special tokens counted, in (training, dev) rows; measured with BERT's uncased vocabulary
TOKENS = {
    "CoLA": (11, 11), "SST-2": (13, 25), "MRPC": (53, 53), "STS-B": (28, 32), "QQP": (30, 30),
    "MNLI": (39, 39), "QNLI": (49, 50), "RTE": (70, 69), "WNLI": (37, 38),
}  # fmt: skip
LINEAR_WEIGHTS = {"tiny": 2.5e4, "minilm-l6": 10.6e6, "e5-small": 21.2e6}
BERT_BASE = 85e6
FLOPS = 6e10  # a second and worker, on the CPU this was measured on; the figure is there to tell minutes from days
OVERHEAD = 9  # seconds: a kernel, its imports, its figures
EPOCHS = 3
# trainings of the whole model; 05: three m-subnetworks, and eight smaller ones, one of them for six epochs
TRAININGS = {"01": 1, "05": 7}
# passes of the whole model over dev: m-pruning's rounds; what a search of s-pruning comes to; the subnetworks of 05
PASSES = {"02": 9, "03": 9, "05": 9}
ONCE = {"07": 2, "08": 8}  # seconds for each task and seed, of the notebooks that run once for all
NOTES = "seconds.json"


def seconds(job: Job, profile: Profile) -> float:
    """The seconds that a job will take one worker: as the last time, else roughly, from its arithmetic."""
    before = _noted(job.place.profile).get(job.name)
    if before:
        return before
    if job.place.task is None:
        return OVERHEAD + ONCE.get(job.step[:2], 0) * len(profile.tasks) * len(profile.seeds)
    (train, dev), tokens = _rows(job.place.task, profile), TOKENS[job.place.task]
    forward = 2 * LINEAR_WEIGHTS.get(profile.encoder, BERT_BASE) / FLOPS
    number = job.step[:2]
    trainings = TRAININGS.get(number, 0)
    searches = len(profile.modes) + len(profile.estimators) - 1
    passes = PASSES.get(number, 1) * (searches if number == "03" else 1)
    return OVERHEAD + forward * (trainings * EPOCHS * 3 * train * tokens[0] + passes * dev * tokens[1])


def sizes(task: str, profile: Profile) -> tuple[str, str]:
    """(training rows, dev rows) at most, for people."""
    return tuple(f"{rows:,}" for rows in _rows(task, profile))


def _rows(task: str, profile: Profile) -> tuple[int, int]:
    official = TASKS[task]
    return min(profile.train_rows or official.train, official.train), min(
        profile.dev_rows or official.dev, official.dev
    )


def said(value: float) -> str:
    """Seconds for people: 45 s, 12 min, 3.5 h."""
    if value < 90:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"


def note(profile: str, name: str, value: float) -> None:
    """Remember how long a job took, for the next estimate."""
    _place(profile).save(NOTES, {**_noted(profile), name: round(value, 1)})


def _noted(profile: str) -> dict[str, float]:
    place = _place(profile)
    return place.load(NOTES) if place.provenance(NOTES) else {}


def _place(profile: str) -> Place:
    return Place(profile, "run_all")
