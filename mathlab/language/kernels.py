"""What the ops compute that NumPy has no single expression for. `mathlab derive --format numpy` prints these functions.

Each takes and returns arrays of one dtype; none changes its arguments.
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
            size = np.abs(piece)
            square = np.minimum(size, 1) ** 2
            series = polynomial(square, coefficients)
            far = np.copysign(1 - 2 * lower_tail(size * math.sqrt(2)), piece)
            result[...] = np.where(size < 0.5, piece * series, far)
        return pieces.operands[1]


def normal_cdf(x: Floats, out: Floats | None = None) -> Floats:
    """The standard normal distribution function, which in the lower tail keeps its digits; as exact as erf."""
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
    single = a.dtype == np.float32
    coefficients = (
        (2.1182985e-05, -1.7310823e-06, -0.00021557377, 0.00013365339, 0.0016220401, -0.0034799546,
         -0.0075377170, 0.060396649, -0.18652216, 0.38713738, -0.60789663, 0.75528514)
        if single else
        (3.403312308649495e-10, -1.1997782031253095e-10, -3.73064508186837e-09, -5.873626764987191e-10,
         2.1427603843452355e-08, 1.7844927772981415e-08, -8.686647015997893e-08, -1.597739614223922e-07,
         2.7246296951145873e-07, 1.0247851016552774e-06, -6.298367338492369e-07, -5.921611045923978e-06,
         7.166587641195121e-07, 3.514511190283765e-05, -1.908246351414571e-06, -0.00023109501736277426,
         0.00013334430941183256, 0.0016308184674099085, -0.0034796923670479736, -0.007540188967386312,
         0.060396574890917876, -0.1865218579596366, 0.3871374007422149, -0.6078966419718923, 0.7552851304157515)
    )  # fmt: skip
    a = np.minimum(a, 40)  # from there on it is 0, and nothing overflows
    y = polynomial((a - 4) / (a + 4), coefficients)
    ahead = a * (4097 if single else 134217729)
    half = ahead - (ahead - a)  # the leading half of a's digits, whose square is exact
    return np.exp(half * half * -0.5) * np.exp((half - a) * (half + a) * 0.5) * (y / (a + 4))


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


def normal_pdf(x: Floats) -> Floats:
    """The standard normal density."""
    return np.exp(-x * x / 2) * (1 / math.sqrt(2 * math.pi))


def scatter(g: Floats, shape: tuple[int, ...], index: object) -> Floats:
    """Zeros of `shape` with g added at `index`; an entry that is indexed twice gets both."""
    out = np.zeros(shape, np.result_type(g))
    np.add.at(out, index, g)  # type: ignore[arg-type]  # NumPy's stubs want a narrower index
    return out
