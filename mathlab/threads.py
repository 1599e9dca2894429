"""How many threads a product of matrices takes: their number changes the order of its sums, and so its last bits."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

_taken: ContextVar[int | None] = ContextVar("threads", default=None)


def take(count: int) -> int:
    """So many threads from here on, if NumPy is not there yet, and in the processes that are started."""
    os.environ.update(dict.fromkeys(VARIABLES, str(count)))
    if "numpy" not in sys.modules:  # it asks when it is imported
        _taken.set(count)
    return count


@contextmanager
def held(count: int | None) -> Iterator[None]:
    """So many threads meanwhile, also where NumPy is imported already; None leaves them as they are.

    They are those of the process: what another of its Python threads multiplies meanwhile takes as many.
    """
    if count in (None, _taken.get()):
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(count):
        yield
