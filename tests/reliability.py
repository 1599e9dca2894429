"""`python -m tests.reliability > tests/measured/reliability.md`: the long trials, and what came of them, as a table."""

from __future__ import annotations

import datetime
import platform
import subprocess
import sys

import numpy as np

TRIALS = {
    "tests.fuzz 20000": "mutated and made-up configs: exit 0, 1 or 2, one line a problem, no traceback, under 10 s and "
    "1 GB, nothing written or read elsewhere",
    "tests.kill 200": "runs killed at random moments: every CSV old or new, whole; the next run cleans up",
    "tests.programs 20000": "random programs: the derived gradient against the tape, the complex step and PyTorch",
}


def main() -> int:
    """Print the table; 1 if a trial fails."""
    print(f"{datetime.date.today()}, Python {platform.python_version()}, NumPy {np.__version__}")
    print("\n| `python -m …` | what is tried | what came of it |\n|---|---|---|", flush=True)
    failed = False
    for command, tried in TRIALS.items():
        done = subprocess.run([sys.executable, "-m", *command.split()], stdout=subprocess.PIPE, text=True, check=False)
        failed |= done.returncode != 0
        print(f"| `{command}` | {tried} | {(done.stdout.splitlines() or ['failed'])[-1]} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
