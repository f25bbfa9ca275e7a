"""How long a job will take: what it took before, or else what it has to do, at this machine's speed."""

from dataclasses import asdict

from chain.plan import Job
from chain.probe import Speed, probe
from chain.profiles import Profile
from lib.artefacts.store import Place
from lib.data.glue import TASKS
from lib.model import recipes

# tokens of an average row, special tokens counted, in (training, dev) rows; measured with BERT's uncased vocabulary
TOKENS = {
    "CoLA": (11, 11), "SST-2": (13, 25), "MRPC": (53, 53), "STS-B": (28, 32), "QQP": (30, 30),
    "MNLI": (39, 39), "QNLI": (49, 50), "RTE": (70, 69), "WNLI": (37, 38),
}  # fmt: skip
OVERHEAD = 5  # seconds: a kernel, its imports, its figures
# what a notebook comes to, on average over what was measured with MiniLM on SST-2 and STS-B, in what the probe times:
# trainings of the whole model (05: three m-subnetworks, eight smaller ones, one of these for six epochs, baselines) …
TRAININGS = {"01": 1.3, "05": 14}
# … and passes of the whole model over dev; 03: for each search
PASSES = {"01": 3, "02": 15, "03": 14, "05": 9}
# what is done once for all, for each task and seed: as long as scoring so many tokens takes
TOKENS_ONCE = {"04": 1_000, "06": 200, "07": 7_000, "08": 75_000, "09": 200}
# where no probe has been made: MiniLM on one core of an AMD CPU
TYPICAL = Speed(step=0.023, trained_token=4.6e-4, scored_token=2.5e-4)
NOTES, PROBE = "seconds.json", "probe.json"


def seconds(job: Job, profile: Profile, speed: Speed = TYPICAL) -> float:
    """The seconds that a job will take one worker: as the last time, else from how much there is to train and score."""
    before = _noted(job.place.profile).get(job.name)
    if before:
        return before
    number = job.step[:2]
    if job.place.task is None:
        once = TOKENS_ONCE.get(number, 0) * len(profile.tasks) * len(profile.seeds)
        return OVERHEAD + once * speed.scored_token
    (train, dev), tokens = _rows(job.place.task, profile), TOKENS[job.place.task]
    recipe = recipes.recipe(profile.encoder, **profile.finetuning)
    training = recipe.epochs * (
        -(-train // recipe.batch_size) * speed.step + train * tokens[0] * speed.trained_token
    )
    scoring = dev * tokens[1] * speed.scored_token
    searches = len(profile.modes) + len(profile.estimators) - 1 if number == "03" else 1
    return (
        OVERHEAD + TRAININGS.get(number, 0) * training + PASSES.get(number, 0) * searches * scoring
    )


def speed(name: str, profile: Profile, workers: int, cards: int) -> Speed:
    """How fast this machine is, for a profile: from a probe, which is made once and takes a minute."""
    what, place = {"encoder": profile.encoder, "workers": workers, "cards": cards}, _place(name)
    made = place.load(PROBE) if place.provenance(PROBE) else {}
    if made.get("of") != what:
        made = {"of": what, "speed": asdict(probe(profile.encoder, workers, cards))}
        place.save(PROBE, made)
    return Speed(**made["speed"])


def sizes(task: str, profile: Profile) -> tuple[str, str]:
    """(training rows, dev rows) at most, for people."""
    return tuple(f"{rows:,}" for rows in _rows(task, profile))


def _rows(task: str, profile: Profile) -> tuple[int, int]:
    official = TASKS[task]
    return min(profile.train_rows or official.train, official.train), min(
        profile.dev_rows or official.dev, official.dev
    )


def human_time(value: float) -> str:
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
