"""The command: start the measuring, end it in time, write the json, print the table.

python -m benchmarks.gpu --minutes 9              on the first GPU, or on the CPU if there is none
python -m benchmarks.gpu --minutes 1 --rehearse   a tiny model, to see that the script works there
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.gpu import hours
from benchmarks.gpu.report import Report, failed, measure, write
from benchmarks.gpu.results import Result

MARGIN = 3, 0.05  # seconds, and share of the time, to start and to write the table


def main(arguments: Sequence[str] | None = None, age: float = 0.0) -> int:
    """Return the exit status: 0, 1 if a measurement failed or float32 is not equal, 130 if stopped.

    age: the seconds that have passed of the time before this call
    SystemExit with status 2, as argparse has it, if an option is wrong.
    """
    start = time.time() - age
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, required=True, help="the time for everything")
    parser.add_argument("--to", type=Path, default=Path("gpu.json"), help="the json to write")
    parser.add_argument("--rehearse", action="store_true", help="measure a tiny model instead")
    options = parser.parse_args(arguments)
    if not 0 < options.minutes < 24 * 60:
        parser.error(f"--minutes {options.minutes}: give minutes of a day, such as 9")
    report = Report(options.minutes, options.rehearse)
    try:
        write(options.to, report)
    except OSError as fault:
        parser.error(f"--to {options.to} cannot be written ({fault.strerror}); name another file")
    seconds, share = MARGIN
    end = start + 60 * options.minutes - max(seconds, share * 60 * options.minutes)
    try:
        measure(report, end, options.to)
    except KeyboardInterrupt:
        report.end("it was interrupted")
        return_code = 130
    else:
        return_code = int(failed(report))
    for line in [] if options.rehearse else hours.lines(report.results):
        report.results[line.work] = Result(line.work, "measured", lines=[line])
    write(options.to, report)
    print(report, flush=True)
    return return_code


def age_of_this_process() -> float:
    """The seconds since this process started; 0 where the system does not say, as only Linux does.

    Where a machine is busy or its disk is slow, imports alone take longer than the margin.
    """
    try:
        _, _, after_name = Path("/proc/self/stat").read_text().rpartition(")")
        up = float(Path("/proc/uptime").read_text().split()[0])
        started = int(after_name.split()[19]) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0
    return max(0.0, up - started)


if __name__ == "__main__":
    sys.exit(main(age=age_of_this_process()))
