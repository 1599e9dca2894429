"""What is the same for all tests of a process."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections import Counter

import pytest
from hypothesis import settings

from mathlab import threads

threads.take(1)  # before NumPy is imported: the tests run in as many processes as there are cores
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # in a shell's background; what the tests start is interrupted all the same
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Machines say of themselves what Python, the command and its libraries obey: whoever tests that says it again. Streams
# are flushed last when Python ends, and modules are compiled once, as users have them.
OBEYED = (
    *("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONIOENCODING", "PYTHONUTF8", "PYTHONWARNINGS"),
    *("LC_ALL", "LC_CTYPE", "LANG", "PYTHONCOERCECLOCALE"),  # without them Python's streams are UTF-8
    *("COLUMNS", "LINES", "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"),
    *("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "GITHUB_OUTPUT"),
    *("MPLBACKEND", "PYTEST_ADDOPTS"),
)
for name in OBEYED:
    os.environ.pop(name, None)
sys.dont_write_bytecode = False

# Thousands of collected tests and large libraries live as long as the process: a fifth of the time went into looking
# through them for garbage, again and again.
gc.set_threshold(100_000, 20, 50)

# The same examples on every machine and in every run: a red one is the work of a change. New ones are for the commands
# that try 20,000, and for `pytest --hypothesis-profile default`.
# a slow machine is no failure
settings.register_profile("same", derandomize=True, database=None, deadline=None, max_examples=25)
settings.load_profile("same")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a test that is marked `one_in(n)` every nth set of values is tried each time, the others with what is slow."""
    counts = Counter[str]()
    for item in items:
        name = item.nodeid.partition("[")[0]
        if mark := item.get_closest_marker("one_in"):
            if counts[name] % mark.args[0]:
                item.add_marker(pytest.mark.slow)
            counts[name] += 1


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What is there by now stays: the garbage collector need not look at it any more."""
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """What is left is looked through once, and not five times by pytest and once more by Python as it ends."""
    gc.collect()
    gc.freeze()
