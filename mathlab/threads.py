"""How many threads a product of matrices takes: their number changes the order of its sums, and so its last bits."""

import os

VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def one() -> None:
    """One thread from here on; NumPy asks when it is imported."""
    os.environ.update(dict.fromkeys(VARIABLES, "1"))
