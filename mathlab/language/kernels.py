"""What the ops compute that NumPy has no single expression for. `mathlab derive --format numpy` prints these functions.

Each takes and returns arrays of one dtype; none changes its arguments, but for an `out` that it is given to write to.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]


def softmax(x: Floats, axis: int = -1) -> Floats:
    """Probabilities along `axis`; shifted by the maximum, so that large logits do not overflow."""
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def log_softmax(x: Floats, axis: int = -1) -> Floats:
    """log(softmax(x)) without ever forming a probability that could round to 0."""
    shifted = x - np.max(x, axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def logsumexp(x: Floats, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Floats:
    """log(sum(exp(x))) over `axis`, shifted by the maximum."""
    top = np.max(x, axis=axis, keepdims=True)
    total = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, axis=axis)


def cross_entropy(z: Floats, t: Floats | Integers) -> Floats:
    """Minus the log-probability of the target, one number a row: t holds class indices, or rows of target weights."""
    logs = log_softmax(z)
    if np.ndim(t) == np.ndim(z):
        return -np.sum(t * logs, axis=-1)
    return -np.take_along_axis(logs, np.expand_dims(t, -1), axis=-1)[..., 0]


def one_hot(t: Integers, n: int, dtype: type[np.floating]) -> Floats:
    """Rows of the n-by-n identity matrix; an index outside -n..n-1 is an IndexError."""
    rows = np.zeros((*np.shape(t), n), dtype)
    np.put_along_axis(rows, np.expand_dims(t, -1), 1, axis=-1)
    return rows


def erf(x: Floats, out: Floats | None = None) -> Floats:
    """The error function.

    Of few entries it is the C library's, exact to the last bit or so, and faster. Of many it is right within some units
    in the last place: by its series near 0, and by the normal tail elsewhere.
    """
    if np.size(x) <= 256:
        return entry_by_entry(math.erf, x, out)
    coefficients = (
        (0.0047195054, -0.0267579443, 0.112828347, -0.376126092, 1.12837917)
        if np.result_type(x) == np.float32 else
        (1.4726381680017032e-06, -1.4845900896375835e-05, 0.00012053337222877719, -0.0008548297798086192,
         0.005223977373542183, -0.026866170632921085, 0.11283791670925457, -0.37612638903183476, 1.1283791670955126)
    )  # fmt: skip
    with in_pieces(x, out) as pieces:
        for piece, result in pieces:
            near = piece * polynomial(piece * piece, coefficients)
            size = np.abs(piece)
            far = np.copysign(1 - 2 * lower_tail(size * math.sqrt(2)), piece)
            result[...] = np.where(size < 0.5, near, far)
        return pieces.operands[1]


def normal_cdf(x: Floats, out: Floats | None = None) -> Floats:
    """The standard normal distribution function, which keeps its digits in the lower tail.

    Of few entries it is as the C library has it; of many it is right within some units in the last place of it or of x.
    """
    if np.size(x) <= 256:
        return entry_by_entry(lambda v: math.erfc(-v / math.sqrt(2)) / 2, x, out)
    with in_pieces(x, out) as pieces:
        for piece, result in pieces:
            above = (piece > 0).astype(piece.dtype)
            np.abs(above - lower_tail(np.abs(piece)), out=result)
        return pieces.operands[1]


def lower_tail(a: Floats) -> Floats:
    """The standard normal distribution function at -a, for a >= 0.

    It is exp(-a**2 / 2) / (a + 4) times a function that a polynomial in (a - 4) / (a + 4) follows for all a, as in
    Shepherd & Laframboise, Mathematics of Computation 36 (1981); here it meets it at Chebyshev's points.
    """
    coefficients = (
        (2.64787303e-06, -2.16385288e-07, -2.6946722e-05, 1.67066734e-05, 0.000202755013, -0.00043499433,
         -0.000942214645, 0.00754958103, -0.02331527, 0.0483921742, -0.0759870789, 0.0944106413)
        if a.dtype == np.float32 else
        (4.2541403858118684e-11, -1.499722753906637e-11, -4.663306352335463e-10, -7.342033456233988e-11,
         2.6784504804315443e-09, 2.230615971622677e-09, -1.0858308769997366e-08, -1.9971745177799025e-08,
         3.405787118893234e-08, 1.2809813770690967e-07, -7.872959173115461e-08, -7.402013807404972e-07,
         8.958234551493901e-08, 4.393138987854707e-06, -2.3853079392682136e-07, -2.8886877170346782e-05,
         1.666803867647907e-05, 0.00020385230842623857, -0.0004349615458809967, -0.000942523620923289,
         0.0075495718613647345, -0.023315232244954576, 0.048392175092776865, -0.07598708024648654,
         0.09441064130196894)
    )  # fmt: skip
    w = 8 / (a + 4)
    return np.exp(a * a * -0.5) * w * polynomial(1 - w, coefficients)


def polynomial(x: Floats, coefficients: tuple[float, ...]) -> Floats:
    """By Horner's rule; the highest power's coefficient comes first."""
    y = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        y *= x
        y += coefficient
    return y


def entry_by_entry(function: Callable[[float], float], x: Floats, out: Floats | None) -> Floats:
    """A function of Python's own numbers, of each entry."""
    result = np.empty_like(x) if out is None else out
    result[...] = np.frompyfunc(function, 1, 1)(x)
    return result


def in_pieces(x: Floats, out: Floats | None) -> np.nditer:
    """Pieces of x and of the result, which is `out` or new: small, so that they stay in the cache."""
    operands = [x, np.empty_like(x) if out is None else out]
    settings = ["external_loop", "buffered", "zerosize_ok"], [["readonly"], ["writeonly"]]
    size = 65536 // operands[0].itemsize
    return np.nditer(operands, *settings, buffersize=size)  # type: ignore[arg-type]  # the stubs want them flat


def norm(x: Floats, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Floats:
    """The root of the sum of squares over `axis`."""
    if axis is None and not keepdims:
        return norm_of_all(x)
    return np.sqrt(np.sum(np.square(x), axis=axis, keepdims=keepdims))


def norm_of_all(x: Floats) -> Floats:
    """The norm of all entries, without an array of their squares."""
    with np.nditer(x, ["external_loop", "buffered", "zerosize_ok"], buffersize=65536 // x.itemsize) as pieces:
        return np.sqrt(sum((np.sum(np.square(piece)) for piece in pieces), start=x.dtype.type(0)))


def normal_pdf(x: Floats) -> Floats:
    """The standard normal density."""
    return np.exp(-x * x / 2) * (1 / math.sqrt(2 * math.pi))


def scatter(g: Floats, shape: tuple[int, ...], index: object) -> Floats:
    """Zeros of `shape` with g added at `index`; an entry that is indexed twice gets both."""
    out = np.zeros(shape, np.result_type(g))
    np.add.at(out, index, g)  # type: ignore[arg-type]  # NumPy's stubs want a narrower index
    return out


# what the planned program calls as it stands, for the lines inside are not the same in every round, or have no results
WHOLE = (erf, normal_cdf, norm_of_all, one_hot, scatter)
INTO = (erf, normal_cdf)  # and what it can tell where to write, which may be over what they read
