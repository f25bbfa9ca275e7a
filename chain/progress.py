"""What of a plan is still to do: what never ran, is out of date, or lacks what it has made.

A job is done when it was completed with its present parameters and code, and what it made is there
and whole. Large arrays that were made and not kept are no reason to make them again, unless a job
of the same task and seed has to run and would read them. A summary, which covers all tasks and
seeds, stores what it has computed from such arrays (`Place.load_or`) and mostly needs no others.
"""

from collections.abc import Sequence
from pathlib import Path

from chain.plan import Job
from lib.artefacts.store import may_lack


def to_do(jobs: Sequence[Job], verify: bool = False) -> dict[str, str]:
    """{name: why it must run} of these jobs, each of which comes after the jobs that it reads.

    verify: compare all checksums, not only those of files whose size or time has changed
    """
    found: dict[str, str] = {}
    readers: dict[str, Job] = {}
    for job in reversed(jobs):
        if reason := lack(job, verify, by=readers.get(job.name)):
            found[job.name] = reason
            # of several readers, one for a task and seed needs the most
            readers |= {read.name: job for read in job.reads if job.place.task is not None}
    return found


def lack(job: Job, verify: bool = False, by: Job | None = None) -> str | None:
    """Say why a job's results will not do, as a clause that begins with which or whose, or None.

    by: the job that would read them, if one has to run
    """
    if not job.place.is_current():
        return "which is not done"
    needs_all = by is not None and by.place.task is not None
    for name, fault in job.place.faults(verify).items():
        if needs_all or not may_lack(name, fault):
            return f"whose {name} is {fault}"
    return None


def set_aside(job: Job) -> list[Path]:
    """Move a job's damaged artefacts out of the way; return where they are now."""
    damaged = [name for name, fault in job.place.faults(True).items() if fault == "damaged"]
    return [job.place.set_aside(name) for name in damaged]
