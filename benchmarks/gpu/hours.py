"""How long profiles take at the speed that was measured, by the arithmetic of run_all's estimate.

That arithmetic needs packages which a machine with a GPU may lack. But it is linear: the seconds of
a profile are a fixed number, plus its training steps, trained tokens and scored tokens, each times
what one takes. So these four numbers are computed where everything is installed, and kept in
work.json. A test compares them with the estimate.

python -m benchmarks.gpu.hours     writes work.json again, after a profile or the estimate changed
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

from benchmarks.gpu.results import Line, Result
from chain.probe import Speed

WORK = Path(__file__).with_name("work.json")
PROFILES = ("paper", "reference")
STANDING_STILL = Speed(0.0, 0.0, 0.0)


def works() -> dict[str, dict]:
    """Read work.json: {profile: {"encoder", "jobs", "fixed", and a number for each of Speed's}}."""
    return json.loads(WORK.read_text())


def work_of(profile: str) -> dict:
    """Compute what a profile has to do; needs all that run_all needs."""
    import run_all
    from chain import estimate, plan, profiles

    settings = profiles.read(profile)
    jobs = plan.plan(run_all.CHAIN, profile, settings, {})

    def seconds(speed: Speed) -> float:
        return sum(estimate.work(job.step, job.place.task, settings, speed) for job in jobs)

    fixed = seconds(STANDING_STILL)
    numbers = {
        field.name: round(seconds(replace(STANDING_STILL, **{field.name: 1.0})) - fixed)
        for field in fields(Speed)
    }
    return {"encoder": settings.encoder, "jobs": len(jobs), "fixed": fixed, **numbers}


def seconds_of(work: Mapping, speed: Speed) -> float:
    """The seconds of a profile, one notebook at a time."""
    return work["fixed"] + sum(
        work[field.name] * getattr(speed, field.name) for field in fields(Speed)
    )


def speed_of(steps: Sequence[tuple[float, float]], scored_token: float) -> Speed:
    """Fit a line to steps of several lengths: what a step takes, and what each token adds.

    steps: (tokens of a step, its seconds), of at least two lengths, else LookupError. Neither part
        is negative
    """
    if len(steps) < 2:
        raise LookupError(f"{len(steps)} steps were measured; a line needs two")
    tokens = [x for x, _ in steps]
    mean_tokens, mean = sum(tokens) / len(steps), sum(y for _, y in steps) / len(steps)
    spread = sum((x - mean_tokens) ** 2 for x in tokens)
    token = sum((x - mean_tokens) * (y - mean) for x, y in steps) / spread
    token = min(max(0.0, token), mean / mean_tokens)
    return Speed(mean - token * mean_tokens, token, scored_token)


def lines(results: Mapping[str, Result]) -> list[Line]:
    """The hours of each profile, from the results by key; or why they are not known."""
    gains = results["jobs"].values.get("gains", {}) if "jobs" in results else {}
    return [_line(profile, work, results, gains) for profile, work in works().items()]


def _line(profile: str, work: Mapping, results: Mapping[str, Result], gains: Mapping) -> Line:
    try:
        speed = SPEEDS[profile](results)
    except LookupError:
        return Line(
            f"hours of `{profile}`", "", "unknown", "its steps or scoring were not measured"
        )
    alone = seconds_of(work, speed) / 3600
    note = f"{work['jobs']} notebooks of {work['encoder']}, one at a time"
    best = max(gains, key=gains.get, default=None)
    if best is not None and gains[best] > 1:
        note += f"; {alone / gains[best]:.1f} with {best} jobs at once"
    return Line(f"hours of `{profile}`", "", f"{alone:.1f}", note)


def _of_paper(results: Mapping[str, Result]) -> Speed:
    """BERT's speed, from the steps in the precision that its recipe has on this device."""
    found = [value for r in results.values() for value in r.values.get("finetuning", {}).values()]
    steps = [(one["tokens"], one["seconds"][list(one["seconds"])[-1]]) for one in found]
    return speed_of(steps, results["scoring"].values["scored_token"])


def _of_reference(results: Mapping[str, Result]) -> Speed:
    values = results["reference"].values
    return speed_of(values["steps"], values["scored_token"])


SPEEDS = {"paper": _of_paper, "reference": _of_reference}


if __name__ == "__main__":
    found = {profile: work_of(profile) for profile in PROFILES}
    WORK.write_text(json.dumps(found, indent=1) + "\n")
