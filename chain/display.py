"""What a person sees while notebooks run: a live table on a terminal, plain lines elsewhere."""

import time

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from chain.estimate import human_time
from chain.execute import Outcome


class Display:
    """A context in which jobs begin and end. expected: {job name: estimated seconds}."""

    def __init__(self, console: Console, expected: dict[str, float], workers: int):
        self.console, self.expected, self.workers = console, dict(expected), workers
        self.began: dict[str, float] = {}
        self.spent, self.estimated, self.ended = 0.0, 0.0, 0
        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self.bar = Progress(TextColumn("notebooks"), *columns, console=console)
        self.task = self.bar.add_task("", total=len(expected), left="")
        self.live = Live(
            get_renderable=self._table, console=console, refresh_per_second=2, transient=True
        )

    def __enter__(self):
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *_):
        self.live.stop()

    def begin(self, name: str) -> None:
        """Show that a worker has begun a job (again, if its first worker died)."""
        again = " again" if name in self.began else ""
        self.began[name] = time.monotonic()
        if not self.console.is_terminal:
            self.console.print(f"begins{again}  {name}")

    def end(self, outcome: Outcome) -> None:
        """Show how a job has ended."""
        self.began.pop(outcome.name, None)
        estimate = self.expected.pop(outcome.name, 0.0)
        self.ended += 1
        if outcome.state == "done":
            self.spent += outcome.seconds
            self.estimated += estimate
        colour = {"done": "green", "failed": "red", "skipped": "yellow"}[outcome.state]
        took = f" in {human_time(outcome.seconds)}" if outcome.seconds else ""
        line = Text.assemble((f"{outcome.state:7}", colour), f" {outcome.name}{took}   ")
        self.console.print(line.append(self.left()))
        self.bar.update(self.task, completed=self.ended, left=self.left())

    def left(self) -> str:
        """The time left: what is estimated for the jobs left, times how far off estimates were."""
        if not self.expected:
            return ""
        correction = self.spent / self.estimated if self.estimated else 1.0
        return f"about {human_time(correction * sum(self.expected.values()) / self.workers)} left"

    def _table(self) -> Group:
        running = Table.grid(padding=(0, 2))
        for name, since in self.began.items():
            took = human_time(time.monotonic() - since)
            running.add_row(Text("running", "cyan"), name, took)
        return Group(running, self.bar)
