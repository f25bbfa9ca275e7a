"""Write the installed versions to constraints.txt (make constraints), without build suffixes."""

import re
import subprocess
import sys
from pathlib import Path

FILE = Path(__file__).resolve().parent.parent / "constraints.txt"
HEADER = """\
# The versions that were tested together, on Linux with Python 3.11; `make` and environment.yml
# install with them: pip install --constraint constraints.txt --editable .
# Written by `make constraints`.
"""


def main() -> None:
    """Freeze the environment that this runs in, without this project and pip itself."""
    command = [sys.executable, "-m", "pip", "freeze", "--exclude-editable"]
    frozen = subprocess.run(
        [*command, "--exclude", "pip"], capture_output=True, text=True, check=True
    ).stdout
    pins = [re.sub(r"\+\w+$", "", line) for line in frozen.splitlines() if "==" in line]
    FILE.write_text(HEADER + "\n".join(pins) + "\n")


if __name__ == "__main__":
    main()
