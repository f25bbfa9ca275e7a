"""Time the scheduling alone: the plan of the profile `paper` with notebooks that only wait.

python -m benchmarks.scheduling     186 jobs on four workers: about four minutes

Each job waits as long as the real one would take, but scaled so that all of them together take
`SECONDS`. The jobs' own times and the plan decide how long a perfect scheduler would need; what the
run took beyond that is scheduling. A real job takes minutes to hours, so its share is smaller.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from pathlib import Path

import nbformat

import run_all
from benchmarks.sides import Claim, show
from chain import estimate, plan, profiles
from chain.cluster import Cluster
from chain.execute import JobSpec

PROFILE, WORKERS, SECONDS = "paper", 4, 900.0


def claims() -> Iterator[Claim]:
    """Run the plan with notebooks that wait, and compare its time with a perfect scheduler's."""
    with tempfile.TemporaryDirectory() as folder:
        specs = waiting_jobs(Path(folder))
        with Cluster(None, WORKERS, 1) as cluster:
            start = time.perf_counter()
            outcomes = list(cluster.run(specs, lambda _: None))
            whole = time.perf_counter() - start
    failed = [outcome for outcome in outcomes if outcome.state != "done"]
    assert not failed, failed[0]
    seconds = {outcome.name: outcome.seconds for outcome in outcomes}
    ideal = perfect([(spec.name, after) for spec, after in specs], seconds, WORKERS)
    yield Claim.of(
        f"scheduling the {len(specs)} jobs of `{PROFILE}`, {whole / len(specs) * WORKERS:.0f} s "
        f"each, on {WORKERS} workers",
        "their wall time, in per cent",
        [100 * (whole - ideal) / whole],
        wanted=1,
        at_most=True,
    )


def waiting_jobs(folder: Path) -> list[tuple[JobSpec, list[str]]]:
    """What `Cluster.run` gets from run_all for PROFILE, with a notebook that waits in each job."""
    profile = profiles.read(PROFILE)
    jobs = plan.plan(run_all.CHAIN, PROFILE, profile, {})
    expected = estimate.estimates(jobs, profile)
    path = run_all.critical_path(jobs, expected)
    scale = SECONDS / sum(expected.values())
    waits = folder / "waits.ipynb"
    cells = ["seconds = 0", "import time\n\ntime.sleep(seconds)"]
    content = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    content.cells[0].metadata.tags = ["parameters"]
    kernel = {"name": "python3", "language": "python", "display_name": "Python 3"}
    content.metadata.kernelspec = kernel  # papermill reads the language there
    nbformat.write(content, waits)
    specs = []
    for job in sorted(jobs, key=lambda job: -path[job.name]):
        parameters = {"seconds": scale * expected[job.name]}
        target = str(folder / f"{job.name}.ipynb")
        specs.append((JobSpec(job.name, str(waits), target, parameters, WORKERS), job.upstream()))
    return specs


def perfect(
    jobs: Sequence[tuple[str, Sequence[str]]], seconds: dict[str, float], workers: int
) -> float:
    """The time that these jobs take if a free worker begins at once with the first one ready.

    jobs: (name, names of the jobs that must end first), the most urgent first
    """
    waiting, ended, running, now = list(jobs), set(), [], 0.0
    while waiting or running:
        for job in [job for job in waiting if ended.issuperset(job[1])][: workers - len(running)]:
            waiting.remove(job)
            heappush(running, (now + seconds[job[0]], job[0]))
        now, name = heappop(running)
        ended.add(name)
    return now


if __name__ == "__main__":
    show(claims())
