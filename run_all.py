"""Run the notebooks, in order, each with its parameters; what is already done is skipped.

python run_all.py                                    the profile quick: minutes on two cores
python run_all.py --profile laptop --dry-run         what would run, and for how long
python run_all.py --tasks SST-2 --seeds 42 --only 03
python run_all.py --scheduler tcp://host:8786        on a dask cluster whose workers share the outputs folder
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from rich.table import Table

from chain import estimate, profiles
from chain.cluster import Cluster
from chain.display import Display
from chain.execute import JobSpec, Outcome
from chain.plan import Job, parameter_names, plan, select
from chain.profiles import ConfigError, Profile
from lib.artefacts import store
from lib.artefacts.fingerprint import notebook
from lib.data import sources
from lib.paper import masks as published

# {notebook: (once for each task and seed, or once for all; the notebooks that it reads from)}; *: of all seeds
CHAIN = {
    "01_finetune": ("each", ()),
    "02_magnitude_pruning": ("each", ("01_finetune",)),
    "03_structured_pruning": ("each", ("01_finetune",)),
    "04_good_subnetworks": (
        "once",
        ("01_finetune", "02_magnitude_pruning", "03_structured_pruning"),
    ),
    "05_retrain_tickets": (
        "each",
        ("01_finetune", "02_magnitude_pruning", "03_structured_pruning*"),
    ),
    "06_all_tickets_win": ("once", ("05_retrain_tickets",)),
    "07_stability": ("once", ("01_finetune", "03_structured_pruning")),
    "08_attention_patterns": ("once", ("01_finetune", "03_structured_pruning")),
    "09_task_overlap": ("once", ("03_structured_pruning",)),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0, 1 if a notebook failed, 2 for a mistake in the profile or on the command line."""
    options = _parser().parse_args(arguments)
    console = Console()
    try:
        return run(options, console)
    except (ConfigError, LookupError) as mistake:
        Console(stderr=True).print(str(mistake), style="red", highlight=False, soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        console.print(
            "Stopped. What was finished stays; the same command goes on from there.", style="yellow"
        )
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--profile", default="quick", help=f"one of {', '.join(profiles.names())} (default: quick)")
    add("--tasks", help="only these, as CoLA,SST-2")
    add("--seeds", help="only these, as 1337,42")
    add("--only", metavar="03 | 02-04", help="only these notebooks; what they read must be there")
    add("--jobs", type=int, help="workers of the local cluster (default: one a core, or one a GPU)")
    add("--scheduler", metavar="tcp://…", help="use this dask scheduler instead of a local cluster")
    add("--force", action="store_true", help="run also what is done")
    add("--dry-run", action="store_true", help="print the plan with sizes and times, run nothing")
    add(
        "--keep-going",
        action="store_true",
        help="let notebooks that sum up go on without the runs that failed",
    )
    return parser


def run(options: argparse.Namespace, console: Console) -> int:
    """Plan, then execute what is not done yet."""
    profile = narrowed(profiles.read(options.profile), options.tasks, options.seeds)
    for variable in ("GLUE_DIR", "MASKS_DIR"):
        if os.environ.get(variable):
            os.environ[variable] = str(
                Path(os.environ[variable]).expanduser().resolve()
            )  # kernels run elsewhere
    if options.jobs is not None and options.jobs < 1:
        raise ConfigError(f"--jobs {options.jobs}: there must be at least one worker")
    try:
        chain, masks = what_to_run(profile, console)
        if masks:
            origins = {}
        elif options.dry_run:
            origins = recorded_origins(options.profile)
        else:
            with console.status("looking for the encoder and the rows"):
                origins = sources.locate(profile.encoder, profile.tasks, profile.look_in)
        wanted = select(plan(chain, options.profile, profile, origins, masks), chain, options.only)
    except ValueError as fault:  # a package with another checksum, a row with a label that is none, a mask that is none
        raise ConfigError(str(fault)) from None
    if options.dry_run:
        show_plan(console, wanted, profile, options)
        return 0
    folder = store.outputs() / options.profile
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        with lock:
            return execute(console, wanted, profile, options)
    except Timeout:
        raise ConfigError(
            f"another run is writing to {folder}; wait for it, or take another profile"
        ) from None


def what_to_run(profile: Profile, console: Console) -> tuple[dict, list[str]]:
    """(chain, masks): the whole chain; or, with published masks, the notebooks that read them, and fingerprints."""
    folder = published.masks_folder(profile.masks_dir)
    if folder is None:
        return CHAIN, []
    found = published.find("", profile.tasks, profile.seeds, folder).values()
    masks = [one.done()["fingerprint"] for one in found]
    if not masks:
        raise ConfigError(
            f"{folder} has no masks of {', '.join(profile.tasks)} with seeds {profile.seeds}"
        )
    chain = {step: ("once", ()) for step in CHAIN if "masks_dir" in parameter_names(step)}
    numbers = ", ".join(step[:2] for step in chain)
    console.print(
        f"The masks are those in {folder}: only {numbers} run.", highlight=False, soft_wrap=True
    )
    return chain, masks


def narrowed(profile: Profile, tasks: str | None, seeds: str | None) -> Profile:
    """The profile with only these tasks and seeds (comma-separated)."""
    changes: dict = {}
    if tasks:
        changes["tasks"] = [task.strip() for task in tasks.split(",")]
    if seeds:
        try:
            changes["seeds"] = [int(seed) for seed in seeds.split(",")]
        except ValueError:
            raise ConfigError(
                f"--seeds {seeds}: seeds are whole numbers with commas between them, as 1337,42"
            ) from None
    return profiles.checked({**dict(profile), **changes}, "the command line")


def recorded_origins(name: str) -> dict[str, str]:
    """The origins that finished runs have noted; a dry run must not download anything to learn them."""
    found: dict[str, str] = {}
    for place in store.places(name, "01_finetune"):
        facts = place.done().get("facts", {})
        found.update({"encoder": facts.get("encoder"), place.task: facts.get("rows")})
    return found


def show_plan(
    console: Console, jobs: list[Job], profile: Profile, options: argparse.Namespace
) -> None:
    """The plan as a table: a line for each step and task."""
    cluster = Cluster(options.scheduler, options.jobs, profile.jobs_per_card)
    todo = [job for job in jobs if options.force or not job.done]
    with console.status("timing this machine, for a minute"):
        speed = estimate.speed(options.profile, profile, cluster.workers, cluster.cards)
    expected = {job.name: estimate.seconds(job, profile, speed) for job in todo}
    table = Table("notebook", "task", "seeds", "training rows", "dev rows", "to do", "about")
    groups: dict[tuple, list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.step, job.place.task), []).append(job)
    for (step, task), group in groups.items():
        times = [expected[job.name] for job in group if job.name in expected]
        rows = estimate.sizes(task, profile) if task else ("", "")
        seeds = " ".join(str(job.place.seed) for job in group) if task else ""
        said = estimate.human_time(sum(times)) if times else ""
        table.add_row(step, task or "all", seeds, *rows, f"{len(times)} of {len(group)}", said)
    console.print(table)
    whole = sum(expected.values()) / cluster.workers
    console.print(
        f"{len(todo)} of {len(jobs)} jobs to do; about {estimate.human_time(whole)} with {cluster.workers} workers. "
        "As long as a job took before; else from how much it has to train and score, at this machine's speed.",
        highlight=False,
    )


def execute(
    console: Console, wanted: list[Job], profile: Profile, options: argparse.Namespace
) -> int:
    """Submit what is not done, in the order of the plan, and show how each job ends."""
    todo = [job for job in wanted if options.force or not job.done]
    if not todo:
        console.print(
            f"All {len(wanted)} jobs are done already; --force runs them again.", highlight=False
        )
        return 0
    names = {job.name for job in todo}
    if options.force:
        for job in todo:
            job.place.clear()
    for job in todo:
        missing = [read.name for read in job.reads if read.name not in names and not read.done]
        if missing and not (allow_partial(job, options) and len(missing) < len(job.reads)):
            raise ConfigError(
                f"{job.name} reads {missing[0]}, which is not done; run it too, or leave out --only"
            )
    with Cluster(options.scheduler, options.jobs, profile.jobs_per_card) as cluster:
        console.print(
            f"profile {options.profile}: {len(todo)} of {len(wanted)} jobs to do, {cluster.workers} workers"
            + (f", {cluster.cards} GPU(s)" if cluster.cards else ""),
            highlight=False,
        )
        expected = {job.name: estimate.seconds(job, profile) for job in todo}
        # the longest way to the end first, so that no long job is left over when the other workers have nothing to do
        ways = critical_path(todo, expected)
        todo.sort(key=lambda job: -ways[job.name])
        orders = [order_of(job, names, cluster, options) for job in todo]
        outcomes = []
        with Display(console, expected, cluster.workers) as display:
            for outcome in cluster.run(orders, display.begin):
                display.end(outcome)
                if outcome.state == "failed":
                    show_failure(console, outcome, {job.name: job for job in todo}[outcome.name])
                if outcome.state == "done":
                    estimate.note(options.profile, outcome.name, outcome.seconds)
                outcomes.append(outcome)
    return summary(console, outcomes)


def critical_path(jobs: Sequence[Job], expected: dict[str, float]) -> dict[str, float]:
    """{job name: the seconds of the job and of the longest line of jobs that wait for it, one for another}.

    jobs: each after those that it reads.
    """
    ways = {job.name: expected[job.name] for job in jobs}
    for job in reversed(jobs):
        for read in job.reads:
            if read.name in ways:
                ways[read.name] = max(ways[read.name], expected[read.name] + ways[job.name])
    return ways


def order_of(
    job: Job, running: set[str], cluster: Cluster, options: argparse.Namespace
) -> tuple[JobSpec, list[str]]:
    """(what a worker needs to know, the names of the jobs of this run that must end before)."""
    place = job.place
    target = store.executed_notebook(place.profile, place.step, place.task, place.seed)
    order = JobSpec(
        job.name,
        str(notebook(job.step)),
        str(target),
        job.parameters,
        cluster.per_host,
        cluster.cards,
        allow_partial(job, options),
    )
    return order, [read.name for read in job.reads if read.name in running]


def allow_partial(job: Job, options: argparse.Namespace) -> bool:
    """May the job go on without some of what it reads? Only those that sum up can."""
    return options.keep_going and job.place.task is None


def show_failure(console: Console, outcome: Outcome, job: Job) -> None:
    """The error's last lines, and where to read the rest."""
    place = job.place
    for line in outcome.message.splitlines():
        console.print(f"        {line}", style="red", highlight=False, markup=False)
    executed = store.executed_notebook(place.profile, place.step, place.task, place.seed)
    console.print(
        f"        the notebook as far as it came: {executed}", highlight=False, soft_wrap=True
    )


def summary(console: Console, outcomes: list[Outcome]) -> int:
    """One line on how it went; the exit status."""
    count = {
        state: sum(o.state == state for o in outcomes) for state in ("done", "failed", "skipped")
    }
    skipped = [f"        {o.name}: {o.message}" for o in outcomes if o.state == "skipped"]
    for line in skipped:
        console.print(line, highlight=False, soft_wrap=True)
    console.print(
        ", ".join(f"{number} {state}" for state, number in count.items() if number), highlight=False
    )
    return 0 if count["done"] == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
