"""Arrays of three kinds, and the few functions that have to know which: floats, complex numbers, nodes of the tape.

In a complex array `a + ib` the tiny b carries a slope. NumPy orders complex numbers by their real parts, and by the
imaginary parts where the real parts tie: so at a kink +ih takes the branch to its right, and -ih that to its left.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray

# Stands for all three kinds: complex is the one whose type allows what the definitions do.
Numbers = NDArray[np.complex128]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Axis = int | tuple[int, ...] | None
Function = Callable[[Floats], Floats]


def numbers(x: object) -> Numbers:
    """Any array or number as one of the three kinds."""
    return cast(Numbers, np.asarray(x))


def values(x: Numbers) -> Floats:
    """The plain numbers behind an array of any kind: real parts, or the values of nodes."""
    x = np.asarray(x)  # NumPy makes a bare node of an array that has no axes
    return x.real if np.iscomplexobj(x) else x.astype(np.float64)


def _each(name: str, x: Numbers, plain: Function) -> Numbers:
    """The function `name` of every node; a constant that stands among nodes goes through `plain`."""

    def one(element: object) -> object:
        of = getattr(element, "of", None)
        return of(name) if of else plain(np.asarray(element, dtype=np.float64))

    return np.asarray(np.frompyfunc(one, 1, 1)(x), dtype=object)


def _entire(name: str) -> Callable[[Numbers], Numbers]:
    """A function that NumPy computes for complex numbers, without a branch cut."""
    function = getattr(np, name)

    def apply(x: Numbers) -> Numbers:
        x = numbers(x)
        return _each(name, x, function) if x.dtype == object else function(x)

    return apply


def _continued(name: str, function: Function, slope: Function) -> Callable[[Numbers], Numbers]:
    """A function whose complex version NumPy has not, or cuts along the negative axis (where it must stay nan).

    f(a + ib) = f(a) + i b f'(a) leaves out terms of b**2, which vanish beside the first two.
    """

    def apply(x: Numbers) -> Numbers:
        x = numbers(x)
        if x.dtype == object:
            return _each(name, x, function)
        if not np.iscomplexobj(x):
            return numbers(function(x.astype(np.float64)))
        return complex_of(function(x.real), _moved(slope(x.real), x.imag))

    return apply


def complex_of(real: Floats, imaginary: Floats) -> Numbers:
    """`real` + i `imaginary`, whose shapes broadcast."""
    # real + 1j * imaginary would turn an infinite imaginary part into nan
    out = np.empty(np.broadcast_shapes(real.shape, imaginary.shape), dtype=np.complex128)
    out.real, out.imag = real, imaginary
    return out


def _moved(slope: Floats, step: Floats) -> Floats:
    """`slope * step`; 0 where nothing moves, even if the slope is infinite there."""
    return np.where(step == 0, 0.0, slope * step)


def _each_float(function: Callable[[float], float], x: Floats) -> Floats:
    """A function of the C library, entry by entry; a loop over Python's own floats is the fastest there is."""
    x = np.asarray(x, np.float64)
    return np.fromiter(map(function, x.ravel().tolist()), np.float64, x.size).reshape(x.shape)


def _density(x: Floats) -> Floats:
    return np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def plain_erf(x: Floats) -> Floats:
    """The error function."""
    return _each_float(math.erf, x)


def plain_normal_cdf(x: Floats) -> Floats:
    """The standard normal distribution function; by erfc, which keeps the digits of the lower tail."""
    return _each_float(math.erfc, np.asarray(x) / -math.sqrt(2)) / 2


exp, expm1, sin, cos, tanh = map(_entire, ("exp", "expm1", "sin", "cos", "tanh"))
log = _continued("log", np.log, lambda x: 1 / x)
log1p = _continued("log1p", np.log1p, lambda x: 1 / (1 + x))
sqrt = _continued("sqrt", np.sqrt, lambda x: 0.5 / np.sqrt(x))
erf = _continued("erf", plain_erf, lambda x: 2 / math.sqrt(math.pi) * np.exp(-x * x))
normal_cdf = _continued("normal_cdf", plain_normal_cdf, _density)


def power(a: Numbers, b: Numbers) -> Numbers:
    """`a ** b`; NumPy's complex power would take negative bases through a logarithm."""
    a, b = numbers(a), numbers(b)
    if a.dtype == object or b.dtype == object:
        return np.asarray(a**b, dtype=object)
    base, exponent = values(a), values(b)
    result = np.power(base, exponent)
    if not (np.iscomplexobj(a) or np.iscomplexobj(b)):
        return numbers(result)
    in_base = np.where(exponent == 0, 0.0, exponent * np.power(base, exponent - 1))
    in_exponent = np.where((base == 0) & (exponent > 0), 0.0, np.log(base) * result)
    return complex_of(result, _moved(in_base, a.imag) + _moved(in_exponent, b.imag))


def product(a: Numbers, b: Numbers) -> Numbers:
    """`a @ b`. A float meets the two parts of a complex number one by one, not as a complex number itself."""
    if {a.dtype.kind, b.dtype.kind} != {"c", "f"}:
        return a @ b
    return complex_of(a.real @ b.real, a.imag @ b.real if np.iscomplexobj(a) else a.real @ b.imag)


def select(condition: Numbers, a: Numbers | float, b: Numbers | float) -> Numbers:
    """`a` where the condition is not 0, else `b`."""
    return numbers(np.where(values(condition) != 0, a, b))


def greater(a: Numbers, b: Numbers | float) -> Numbers:
    """1 where `a > b`, else 0."""
    return numbers(np.greater(a, b).astype(np.float64))


def less(a: Numbers, b: Numbers | float) -> Numbers:
    """1 where `a < b`, else 0."""
    return numbers(np.less(a, b).astype(np.float64))


def equal(a: Numbers, b: Numbers | float) -> Numbers:
    """1 where `a == b`, else 0."""
    return numbers(np.equal(a, b).astype(np.float64))


def as_index(x: Numbers) -> NDArray[np.intp]:
    """An index as integers. Raises ValueError for anything but whole numbers."""
    if np.issubdtype(x.dtype, np.integer):
        return x.astype(np.intp)
    if x.dtype != np.float64 or not np.array_equal(x, np.round(x)):
        raise ValueError("an index must be a whole number")
    return x.astype(np.intp)
