"""Arrays of three kinds: floats, complex numbers, nodes of the tape.

In a complex array `a + ib` the tiny b carries a slope. NumPy orders complex numbers by their real parts, and by the
imaginary parts where the real parts tie: so at a kink +ih takes the branch to its right, and -ih that to its left.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

# Stands for all three kinds: complex is the one whose type allows what the definitions do.
Numbers = NDArray[np.complex128]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Axis = int | tuple[int, ...] | None


def numbers(x: object) -> Numbers:
    """Any array or number as one of the three kinds."""
    return cast(Numbers, np.asarray(x))


def values(x: Numbers) -> Floats:
    """The plain numbers behind an array of any kind: real parts, or the values of nodes."""
    x = np.asarray(x)  # NumPy makes a bare node of an array that has no axes
    return x.real if np.iscomplexobj(x) else x.astype(np.float64)


def complex_of(real: Floats, imaginary: Floats) -> Numbers:
    """`real` + i `imaginary`, whose shapes broadcast."""
    # real + 1j * imaginary would turn an infinite imaginary part into nan
    out = np.empty(np.broadcast_shapes(real.shape, imaginary.shape), dtype=np.complex128)
    out.real, out.imag = real, imaginary
    return out


def as_index(x: Numbers) -> NDArray[np.intp]:
    """An index as integers. Raises ValueError for anything but whole numbers."""
    if not np.issubdtype(x.dtype, np.integer) and (x.dtype != np.float64 or not np.array_equal(x, np.round(x))):
        raise ValueError("an index must be a whole number")
    return x.astype(np.intp)
