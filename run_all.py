"""Run the notebooks in order, each with its parameters, and skip what is already done.

python run_all.py                                    the profile quick: minutes on two cores
python run_all.py --profile reference --dry-run      show what would run, and how long it takes
python run_all.py --tasks SST-2 --seeds 42 --only 03
python run_all.py --set structured.estimator=running --set train_rows=1000
python run_all.py --scheduler tcp://host:8786        use a dask cluster that shares outputs/
python run_all.py --book                             afterwards, build the book of this run
"""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from rich.table import Table

from book import build
from chain import energy_table, estimate, probe, profiles, progress
from chain.changes import choose
from chain.check import check_encoder
from chain.cluster import Cluster, ClusterLostError
from chain.display import Display
from chain.execute import FOLDERS, JobSpec, Outcome
from chain.plan import Job, parameter_names, plan, select
from chain.profiles import ConfigError, Profile
from lib.artefacts import store
from lib.artefacts.files import check_writable
from lib.artefacts.fingerprint import ROOT, notebook
from lib.data import sources
from lib.data.sources.unavailable import Unavailable
from lib.paper import masks as published

# {notebook: (scope, the notebooks that it reads)}. scope: "each" runs once per task and seed,
# "once" runs once for all of them. A * after a notebook means: its results of all seeds.
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
    "06_all_tickets_win": ("once", ("03_structured_pruning", "05_retrain_tickets")),
    "07_stability": ("once", ("01_finetune", "02_magnitude_pruning", "03_structured_pruning")),
    "08_attention_patterns": ("once", ("01_finetune", "03_structured_pruning")),
    "09_task_overlap": ("once", ("03_structured_pruning",)),
    "10_what_we_learned": (
        "once",
        (
            "01_finetune",
            "02_magnitude_pruning",
            "03_structured_pruning",
            "05_retrain_tickets",
            "07_stability",
            "08_attention_patterns",
        ),
    ),
}
# 00_start_here is not in the chain: it reads nothing, so it is the same page in every profile.

# Ctrl-C; what a batch system such as Slurm sends when the time is up
STOPPING = (signal.SIGINT, signal.SIGTERM)

BROUGHT_ALONG = "run.json"  # beside results that the project brings along; `tools.reference`
FIRST_FIGURE = ROOT / "outputs" / "reference" / "published" / "figures" / "figure_01_MNLI.png"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0, 1 if the run failed, 2 for a mistake in the settings.

    It is 130 after Ctrl-C and 143 after SIGTERM, as shells have it.
    """
    options = _parser().parse_args(arguments)
    console = _console()
    for number in STOPPING:
        signal.signal(number, _stop)
    try:
        return run(options, console)
    except (Exception, KeyboardInterrupt) as end:
        if stop := _stop_behind(end):
            said = "Stopped. Finished work is kept; the same command continues from there."
            console.print(said, style="yellow")
            return 128 + (stop.args[0] if stop.args else signal.SIGINT)
        if isinstance(end, ConfigError):
            _console(stderr=True).print(str(end), style="red", soft_wrap=True)
            return 2
        if isinstance(end, ClusterLostError | OSError):
            _console(stderr=True).print(_sentence(end), style="red", soft_wrap=True)
            return 1
        raise
    finally:
        _ignore_stopping()


def _stop_behind(end: BaseException | None) -> KeyboardInterrupt | None:
    """The stop that ended a run, if one did: what it interrupts may fail while it closes."""
    while end is not None and not isinstance(end, KeyboardInterrupt):
        end = end.__context__
    return end


def _console(**options) -> Console:
    """A console that shows text as it is: names and messages may hold brackets and colons."""
    return Console(markup=False, emoji=False, highlight=False, **options)


def _sentence(fault: Exception) -> str:
    """What went wrong: a file's name and the reason, or the error's own words."""
    if isinstance(fault, OSError) and fault.strerror:
        return f"{fault.filename or 'a file'}: {fault.strerror}; finished work is kept"
    return str(fault)


def _stop(number: int, _) -> None:
    """Stop at the first signal; what follows takes a few seconds, and another must not break it."""
    _ignore_stopping()
    logging.disable()  # what dask drops while it closes is no news
    raise KeyboardInterrupt(number)


def _ignore_stopping() -> None:
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--profile",
        default="quick",
        help=f"one of {', '.join(profiles.names())}, or the path of a .yaml file (default: quick)",
    )
    add(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a key of the profile, as in structured.step=0.2; may be given several times",
    )
    add("--as", dest="name", help="the folder under outputs/ for the results of a changed profile")
    add("--tasks", help="run only these tasks, as in CoLA,SST-2")
    add("--seeds", help="run only these seeds, as in 1337,42")
    add("--only", metavar="03 | 02-04", help="run only these notebooks; what they read must exist")
    add("--jobs", type=int, help="workers of the local cluster (default: one per core or GPU)")
    add("--scheduler", metavar="tcp://…", help="use this dask scheduler instead of a local cluster")
    add(
        "--energy",
        metavar="COUNTRY",
        help="measure each job's energy and emissions, with the electricity of this country (three "
        "letters, as FRA), without a network; needs: pip install -e '.[energy]'",
    )
    add("--force", action="store_true", help="also run what is already done")
    add(
        "--book",
        action="store_true",
        help="when the run is done, build its book, one static site (needs the extra `book`)",
    )
    add(
        "--verify",
        action="store_true",
        help="compare the checksums of all artefacts, even if their sizes and times are right",
    )
    add("--dry-run", action="store_true", help="print the plan with sizes and times; run nothing")
    add("--fetch", action="store_true", help="download and check encoder and rows; run nothing")
    add(
        "--keep-going",
        action="store_true",
        help="let summary notebooks continue without failed runs",
    )
    return parser


def run(options: argparse.Namespace, console: Console) -> int:
    """Plan, then execute what is not done yet."""
    if options.book:
        build.require()  # before hours of work, not after
    for variable in FOLDERS:
        if os.environ.get(variable):  # absolute, since kernels run in another folder
            try:
                os.environ[variable] = profiles.absolute(os.environ[variable])
            except ValueError as mistake:
                raise ConfigError(f"{variable}: {mistake}") from None
    chosen = choose(options.profile, options.set, options.name)
    profile = narrowed(chosen.profile, options.tasks, options.seeds)
    if options.jobs is not None and options.jobs < 1:
        raise ConfigError(f"--jobs {options.jobs}: there must be at least one worker")
    if options.energy is not None:
        energy_table.check_country(options.energy)
    folder = store.outputs() / chosen.name
    try:
        if not (options.dry_run or options.fetch):
            check_writable(folder)
    except OSError as fault:
        raise ConfigError(
            f"{folder} cannot be written to ({fault.strerror}); free space or permit it there, or "
            "name another folder for all outputs in the variable OUTPUTS_DIR"
        ) from None
    if options.scheduler and options.jobs:
        raise ConfigError(
            f"--jobs {options.jobs}: the workers of a scheduler are those that you started there; "
            "leave out --jobs"
        )
    try:
        chain, masks = what_to_run(profile, console)
        if masks:
            origins = {}
        elif options.dry_run:
            origins = recorded_origins(chosen.name)
        else:
            with console.status("looking for the encoder and the rows"):
                where = (profile.encoder, profile.tasks, profile.look_in, profile.revision)
                origins = sources.locate(*where)
        jobs = plan(chain, chosen.name, profile, origins, masks)
        wanted = select(jobs, chain, options.only)
    # a wrong checksum, an unknown label, a broken mask file; an encoder or rows that nobody has
    except (ValueError, Unavailable) as fault:
        raise ConfigError(str(fault)) from None
    if options.dry_run:
        show_plan(console, wanted, chosen.name, profile, options)
        return 0
    if not options.fetch:
        spare_what_is_brought_along(folder, wanted)
    if origins and (options.fetch or options.force or progress.to_do(wanted, options.verify)):
        with console.status("trying the encoder"):
            check_encoder(profile, origins["encoder"])
    if options.fetch:
        return show_fetched(console, origins)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        with lock:
            chosen.remember()
            status = execute(console, wanted, chosen.name, profile, options)
            if options.book and not status:
                make_book(console, chosen.name)
            return status
    except Timeout:
        raise ConfigError(
            f"another run is writing to {folder}; wait for it, or choose another profile"
        ) from None


def spare_what_is_brought_along(folder: Path, wanted: Sequence[Job]) -> None:
    """Refuse to replace results of the reference run, which took many hours, in the checkout."""
    brought = folder.parent == ROOT / "outputs" and (folder / BROUGHT_ALONG).exists()
    if brought and any(job.place.task is not None for job in wanted):
        raise ConfigError(
            f"{folder} holds results that the project brings along, and this run would replace "
            f"them; give yours another folder, as with --as my-{folder.name}"
        )


def what_to_run(profile: Profile, console: Console) -> tuple[dict, list[str]]:
    """(chain, masks): the whole chain without masks, or what runs on published masks.

    The latter is the notebooks that can read them, with the fingerprints of the masks.
    """
    folder = published.masks_folder(profile.masks_dir)
    if folder is None:
        return CHAIN, []
    found = published.find("", profile.tasks, profile.seeds, folder).values()
    masks = [record["fingerprint"] for place in found if (record := place.done())]
    if not masks:
        raise ConfigError(
            f"{folder} has no masks of {', '.join(profile.tasks)} with seeds {profile.seeds}; name "
            "others with --tasks and --seeds"
        )
    chain = {step: ("once", ()) for step in CHAIN if "masks_dir" in parameter_names(step)}
    numbers = ", ".join(step[:2] for step in chain)
    where = "the paper's authors'" if folder == published.AUTHORS else f"those in {folder}"
    console.print(f"The masks are {where}: only {numbers} run.", soft_wrap=True)
    return chain, masks


def narrowed(profile: Profile, tasks: str | None, seeds: str | None) -> Profile:
    """The profile with only these tasks and seeds (comma-separated)."""
    changes: dict = {}
    if tasks is not None:
        changes["tasks"] = [task.strip() for task in tasks.split(",")]
    if seeds is not None:
        try:
            changes["seeds"] = [int(seed) for seed in seeds.split(",")]
        except ValueError:
            raise ConfigError(
                f"--seeds {seeds}: seeds are whole numbers with commas between them, as 1337,42"
            ) from None
    return profiles.checked({**dict(profile), **changes}, "the command line")


def recorded_origins(name: str) -> dict[str, str]:
    """The origins that finished runs have noted; a dry run downloads nothing to find them."""
    found: dict[str, str] = {}
    for place in store.places(name, "01_finetune"):
        facts = (place.done() or {}).get("facts", {})
        found |= {"encoder": facts.get("encoder"), str(place.task): facts.get("rows")}
    return found


def show_fetched(console: Console, origins: dict[str, str]) -> int:
    """Print what is in the caches now, a line for the encoder and each task's rows."""
    for what, origin in origins.items():
        console.print(f"{what:8} {origin}", soft_wrap=True)
    ready = (
        "All of it is here and whole" if origins else "This profile needs no encoder and no rows"
    )
    console.print(f"{ready}: it can run without a network.")
    return 0


def show_plan(
    console: Console, jobs: list[Job], name: str, profile: Profile, options: argparse.Namespace
) -> None:
    """Print the plan as a table, a line for each notebook and task."""
    cluster = Cluster(options.scheduler, options.jobs, profile.jobs_per_card)
    due = progress.to_do(jobs, options.verify)
    todo = [job for job in jobs if options.force or job.name in due]
    with console.status(f"timing this machine, for at most {probe.LIMIT} s"):
        expected = estimate.estimates(
            todo, profile, lambda: estimate.speed(name, profile, cluster.workers, cluster.cards)
        )
    table = Table("notebook", "task", "seeds", "training rows", "dev rows", "to do", "about")
    groups: dict[tuple, list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.step, job.place.task), []).append(job)
    for (step, task), group in groups.items():
        times = [expected[job.name] for job in group if job.name in expected]
        rows = estimate.sizes(task, profile) if task else ("", "")
        seeds = " ".join(str(job.place.seed) for job in group) if task else ""
        about = estimate.human_time(sum(times)) if times else ""
        table.add_row(step, task or "all", seeds, *rows, f"{len(times)} of {len(group)}", about)
    console.print(table)
    whole = estimate.human_time(sum(expected.values()) / cluster.workers)
    console.print(
        f"{len(todo)} of {len(jobs)} jobs to do; about {whole} with {cluster.workers} workers"
        f"{' of this machine; the scheduler is not asked' if options.scheduler else ''}. "
        "A job that ran before counts with the time it took, any other with what it trains and "
        "scores, at the speed of jobs like it or of this machine.",
    )


def execute(
    console: Console, wanted: list[Job], name: str, profile: Profile, options: argparse.Namespace
) -> int:
    """Submit what is not done, longest remaining path first, and show how each job ends."""
    due = progress.to_do(wanted, options.verify)
    todo = [job for job in wanted if options.force or job.name in due]
    if not todo:
        console.print(f"All {len(wanted)} jobs are done already; --force runs them again.")
        return 0
    names = {job.name for job in todo}
    for job in todo:
        others = [read for read in job.reads if read.name not in names]
        lacks = [(read, progress.lack(read, options.verify, by=job)) for read in others]
        lacks = [(read, reason) for read, reason in lacks if reason]
        if lacks and not (allow_partial(job, options) and len(lacks) < len(job.reads)):
            read, reason = lacks[0]
            raise ConfigError(
                f"{job.name} reads {read.name}, {reason}; run it too, or leave out --only"
            )
    for job in todo:
        for path in progress.set_aside(job):
            console.print(f"damaged, so made again by {job.name}: {path}", soft_wrap=True)
        if options.force:
            job.place.clear()
    with Cluster(
        options.scheduler, options.jobs, profile.jobs_per_card, profile.threads
    ) as cluster:
        cards = f", {cluster.cards} GPU(s)" if cluster.cards else ""
        console.print(
            f"profile {name}: {len(todo)} of {len(wanted)} jobs to do, "
            f"{cluster.workers} workers{cards}",
        )
        if FIRST_FIGURE.exists():
            console.print(
                f"To look at meanwhile, the heads that the authors' BERT-base kept: {FIRST_FIGURE}",
                soft_wrap=True,
            )
        expected = estimate.estimates(todo, profile)
        # longest remaining path first, so that no long job is left at the end for one worker alone
        remaining = critical_path(todo, expected)
        todo.sort(key=lambda job: -remaining[job.name])
        specs = [job_spec(job, names, cluster, options) for job in todo]
        outcomes = []
        with Display(console, expected, cluster.workers) as display:
            for outcome in cluster.run(specs, display.begin):
                display.end(outcome)
                if outcome.state == "failed":
                    show_failure(console, outcome, {job.name: job for job in todo}[outcome.name])
                if outcome.state == "done":
                    estimate.note(name, outcome.name, outcome.seconds)
                if outcome.energy:
                    energy_table.note(name, outcome.name, outcome.seconds, outcome.energy)
                outcomes.append(outcome)
    if options.energy and (sums := energy_table.publish_table(name)) is not None:
        total = sums.loc["all"]
        console.print(
            f"{total['kWh']} kWh, {total['g CO2eq']} g CO2eq ({total['energy is']}); see "
            "tables/energy",
        )
    return summary(console, outcomes)


def critical_path(jobs: Sequence[Job], expected: dict[str, float]) -> dict[str, float]:
    """{job name: seconds of the job plus those of the longest chain of jobs that wait for it}.

    jobs: each one after the jobs that it reads.
    """
    path = {job.name: expected[job.name] for job in jobs}
    for job in reversed(jobs):
        for read in job.reads:
            if read.name in path:
                path[read.name] = max(path[read.name], expected[read.name] + path[job.name])
    return path


def job_spec(
    job: Job, running: set[str], cluster: Cluster, options: argparse.Namespace
) -> tuple[JobSpec, list[str]]:
    """(what a worker needs to know, the names of the jobs of this run that must end first)."""
    place = job.place
    target = store.executed_notebook(place.profile, place.step, place.task, place.seed)
    spec = JobSpec(
        job.name,
        str(notebook(job.step)),
        str(target),
        job.parameters,
        cluster.per_host,
        cluster.cards,
        allow_partial(job, options),
        cluster.threads,
        options.energy,
        {name: os.environ[name] for name in FOLDERS if os.environ.get(name)},
    )
    return spec, [name for name in job.upstream() if name in running]


def allow_partial(job: Job, options: argparse.Namespace) -> bool:
    """True if the job may run although some of what it reads has failed. Only summaries may."""
    return options.keep_going and job.place.task is None


def show_failure(console: Console, outcome: Outcome, job: Job) -> None:
    """Print the last lines of the error, and where to read the rest."""
    place = job.place
    for line in outcome.message.splitlines():
        console.print(f"        {line}", style="red", soft_wrap=True)
    executed = store.executed_notebook(place.profile, place.step, place.task, place.seed)
    console.print(f"        the notebook up to the error: {executed}", soft_wrap=True)


def make_book(console: Console, name: str) -> None:
    """Build the book of this run, and say where it is."""
    try:
        with console.status("building the book"):
            first = build.build(name)
    except ValueError as fault:
        raise ConfigError(str(fault)) from None
    console.print(build.report(first), soft_wrap=True)


def summary(console: Console, outcomes: list[Outcome]) -> int:
    """Print one line on how the run went; return the exit status."""
    states = ("done", "failed", "skipped")
    count = {state: sum(o.state == state for o in outcomes) for state in states}
    for outcome in outcomes:
        if outcome.state == "skipped":
            line = f"        {outcome.name}: {outcome.message}"
            console.print(line, soft_wrap=True)
    console.print(", ".join(f"{number} {state}" for state, number in count.items() if number))
    return 0 if count["done"] == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
