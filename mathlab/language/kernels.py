"""What the ops compute that NumPy has no single expression for. `mathlab derive --format numpy` prints these functions.

Each takes and returns arrays of one dtype; none changes its arguments.
"""

from __future__ import annotations

import math

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


def erf(x: Floats) -> Floats:
    """The error function, exact to the last bit or so: the C library's, entry by entry."""
    return np.asarray(np.frompyfunc(math.erf, 1, 1)(x)).astype(np.result_type(x))


def normal_cdf(x: Floats) -> Floats:
    """The standard normal distribution function; by erfc, so that the lower tail keeps its digits."""
    return np.asarray(np.frompyfunc(lambda v: math.erfc(-v / math.sqrt(2)) / 2, 1, 1)(x)).astype(np.result_type(x))


def normal_pdf(x: Floats) -> Floats:
    """The standard normal density."""
    return np.exp(-x * x / 2) * (1 / math.sqrt(2 * math.pi))


def scatter(g: Floats, shape: tuple[int, ...], index: object) -> Floats:
    """Zeros of `shape` with g added at `index`; an entry that is indexed twice gets both."""
    out = np.zeros(shape, np.result_type(g))
    np.add.at(out, index, g)  # type: ignore[arg-type]  # NumPy's stubs want a narrower index
    return out
