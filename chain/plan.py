"""The plan: which notebooks run with which parameters, and what each one reads."""

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any

from chain.profiles import ConfigError, Profile
from lib.artefacts import store
from lib.artefacts.fingerprint import notebook
from lib.artefacts.store import Place


@dataclass(frozen=True)
class Job:
    """One notebook with its parameters, and the jobs whose results it reads."""

    place: Place
    reads: tuple["Job", ...] = field(repr=False)

    @property
    def name(self) -> str:
        """The job's name, such as 01_finetune-SST-2-seed_42."""
        return self.place.name

    @property
    def step(self) -> str:
        """The notebook's name."""
        return self.place.step

    @property
    def parameters(self) -> dict[str, Any]:
        """The values for the notebook's parameters cell."""
        return dict(self.place.parameters)

    def upstream(self) -> list[str]:
        """The names of all jobs whose results it depends on: those that it reads, and theirs."""
        names: dict[str, None] = {}
        for read in self.reads:
            if read.name not in names:
                names |= dict.fromkeys((*read.upstream(), read.name))
        return list(names)


def plan(
    chain: Mapping[str, tuple[str, Sequence[str]]],
    name: str,
    profile: Profile,
    origins: Mapping[str, str],
    masks: Sequence[str] = (),
) -> list[Job]:
    """All jobs of a chain, each one after the jobs that it reads.

    chain: {step: (scope, steps it reads)}. Scope "each" runs once per task and seed, "once" runs
    once for all. A * after a step that is read means: its jobs of all seeds of the task, not only
    of the same seed. name: the folder of the results.
    origins: as `lib.data.sources.locate` gives them; the jobs' results depend on them.
    masks: fingerprints of published masks, which the jobs read in place of other jobs' results.
    """
    jobs: dict[tuple, Job] = {}
    for step, (scope, reads) in chain.items():
        wanted = parameter_names(step)
        pairs = (
            [(t, s) for t in profile.tasks for s in profile.seeds]
            if scope == "each"
            else [(None, None)]
        )
        for task, seed in pairs:
            values = _values(name, profile, task, seed)
            unknown = [parameter for parameter in wanted if parameter not in values]
            if unknown:
                raise ConfigError(
                    f"{notebook(step).name} has a parameter {unknown[0]!r} that no profile sets"
                )
            upstream = [job for key, job in jobs.items() if _reads(reads, key, task, seed)]
            facts = (
                {}
                if reads or masks
                else {"encoder": origins.get("encoder"), "rows": origins.get(task)}
            )
            parameters = {parameter: values[parameter] for parameter in wanted}
            read = [job.place.fingerprint for job in upstream]
            place = store.place_of(step, parameters, read or masks, facts)
            jobs[step, task, seed] = Job(place, tuple(upstream))
    return list(jobs.values())


def _reads(reads: Sequence[str], key: tuple, task: str | None, seed: int | None) -> bool:
    """True if a job of this task and seed reads the job `key`, which is (step, task, seed)."""
    step, *of = key
    return (step in reads and (task is None or of == [task, seed])) or (
        f"{step}*" in reads and of[0] == task
    )


def _values(name: str, profile: Profile, task: str | None, seed: int | None) -> dict[str, Any]:
    fields = {key: getattr(profile, key) for key in type(profile).model_fields}
    plain = {key: asdict(value) if is_dataclass(value) else value for key, value in fields.items()}
    return {**plain, "profile": name, **({} if task is None else {"task": task, "seed": seed})}


def parameter_names(step: str) -> list[str]:
    """The names in a notebook's parameters cell.

    They are checked here because papermill only warns of a name that the cell lacks.
    """
    cells = json.loads(notebook(step).read_text())["cells"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", ())]
    if len(tagged) != 1:
        raise ConfigError(
            f"{notebook(step).name} has {len(tagged)} cells tagged `parameters`; it must have one"
        )
    tree = ast.parse("".join(tagged[0]["source"]))
    return [
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]


def select(jobs: Sequence[Job], chain: Mapping, only: str | None) -> list[Job]:
    """The jobs of the notebooks in `only`: "03", or a range such as "02-04"; None means all."""
    if only is None:
        return list(jobs)
    numbers = {step[:2]: step for step in chain}
    first, dash, last = only.strip().partition("-")
    if not first or (dash and not last):
        raise ConfigError(f"--only {only!r} selects no notebook; write 03, or 02-04")
    for number in filter(None, (first, last)):
        if number not in numbers:
            raise ConfigError(
                f"--only {only}: there is no notebook {number!r}; "
                f"the notebooks are {', '.join(numbers)}"
            )
    chosen = [job for job in jobs if first <= job.step[:2] <= (last or first)]
    if not chosen:
        raise ConfigError(f"--only {only!r} selects no notebook; write 03, or 02-04")
    return chosen
