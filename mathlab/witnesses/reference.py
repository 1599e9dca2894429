"""Every op once more, as a plain definition: what the witnesses evaluate. Shares nothing with the derivation.

The definitions know no derivatives, and hold for floats, complex numbers and nodes of the tape alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from mathlab.witnesses.arrays import (
    Axis,
    Numbers,
    as_index,
    complex_of,
    cos,
    equal,
    erf,
    exp,
    expm1,
    greater,
    less,
    log,
    log1p,
    normal_cdf,
    numbers,
    power,
    product,
    select,
    sin,
    sqrt,
    tanh,
    values,
)


def _clip(x: Numbers, low: Numbers, high: Numbers) -> Numbers:
    raised = select(less(x, low), low, x)
    return select(greater(raised, high), high, raised)


def _absolute(x: Numbers) -> Numbers:
    return select(greater(x, 0), x, select(less(x, 0), -x, 0))


def _below_zero(x: Numbers) -> Numbers:
    """-|x|, analytic on either side: it keeps the exponentials below from overflowing."""
    return select(greater(x, 0), -x, x)


def _relu(x: Numbers) -> Numbers:
    return select(greater(x, 0), x, 0)


def _elu(x: Numbers, alpha: Numbers) -> Numbers:
    positive = greater(x, 0)
    return select(positive, x, alpha * expm1(select(positive, 0, x)))


def _sigmoid(x: Numbers) -> Numbers:
    e = exp(_below_zero(x))
    return select(greater(x, 0), 1, e) / (1 + e)


def _total(x: Numbers, axis: Axis = None, keepdims: bool = False) -> Numbers:
    return numbers(np.sum(x, axis=axis, keepdims=keepdims))


def _mean(x: Numbers, axis: Axis = None, keepdims: bool = False) -> Numbers:
    return _total(x, axis, keepdims) / _total(np.ones_like(x, dtype=np.float64), axis, keepdims)


def _squeezed(x: Numbers, axis: Axis, keepdims: bool) -> Numbers:
    return x if keepdims else np.squeeze(x, axis)


def _largest(x: Numbers, axis: Axis = None, keepdims: bool = False) -> Numbers:
    """The maximum; entries that tie share it equally."""
    best = equal(x, numbers(np.max(x, axis=axis, keepdims=True)))
    top = np.max(values(x), axis=axis, keepdims=True)
    # what is shared is 0 but for its slope, so that the value is an entry to the last bit
    share = _total(select(best, x - top, 0), axis, keepdims=True) / _total(best, axis, keepdims=True)
    return _squeezed(top + share, axis, keepdims)


def _log_sum(x: Numbers, axis: Axis) -> tuple[Numbers, Numbers]:
    """(top, rest) with log(sum(exp(x))) = top + log1p(rest) over `axis`, which is kept.

    The largest term is taken out of the sum, so that a probability near 1 keeps the digits of its distance from 1.
    """
    top = _largest(x, axis, keepdims=True)
    best = equal(numbers(values(x)), numbers(values(top)))
    shifted = x - top
    rest = select(best, expm1(select(best, shifted, 0)), exp(shifted))
    return top, _total(rest, axis, keepdims=True) + _total(best, axis, keepdims=True) - 1


def _logsumexp(x: Numbers, axis: Axis = None, keepdims: bool = False) -> Numbers:
    top, rest = _log_sum(x, axis)
    return _squeezed(top + log1p(rest), axis, keepdims)


def _log_softmax(x: Numbers, axis: int | None = None) -> Numbers:
    top, rest = _log_sum(x, -1 if axis is None else axis)
    return x - top - log1p(rest)


def _softmax(x: Numbers, axis: int | None = None) -> Numbers:
    top, rest = _log_sum(x, -1 if axis is None else axis)
    return exp(x - top) / (1 + rest)


def _cross_entropy(z: Numbers, t: Numbers) -> Numbers:
    """Minus the log-probability of the target: `t` holds class indices, or weights in the shape of `z`."""
    logs = _log_softmax(z)
    if t.ndim == z.ndim:
        return -_total(t * logs, -1)
    return -np.take_along_axis(logs, as_index(t)[..., None], -1)[..., 0]


def _norm(x: Numbers, axis: Axis = None, keepdims: bool = False) -> Numbers:
    """The Euclidean norm. At the origin, where it is a cone, a node has slope 0 and a complex step its length."""
    squares = _total(x * x, axis, keepdims)
    off_origin = greater(_total(numbers(values(x)) ** 2, axis, keepdims), 0)
    result = select(off_origin, sqrt(select(off_origin, squares, 1)), 0)
    if not np.iscomplexobj(x):
        return result
    # the step is divided by its size before it is squared, which would underflow
    size = np.maximum(np.max(np.abs(x.imag), axis=axis, keepdims=True), np.finfo(np.float64).tiny)
    along = np.sqrt(np.sum((x.imag / size) ** 2, axis=axis, keepdims=keepdims)) * np.reshape(size, result.shape)
    return complex_of(result.real, np.where(values(off_origin) != 0, result.imag, along))


def _huber(x: Numbers, delta: Numbers) -> Numbers:
    size = _absolute(x)
    return select(greater(size, delta), delta * (size - delta / 2), x * x / 2)


def _deviation(x: Numbers, axis: Axis, ddof: int, keepdims: bool) -> tuple[Numbers, Numbers]:
    """The distance from the mean, and the number of entries less `ddof`."""
    return x - _mean(x, axis, keepdims=True), _total(np.ones_like(x, dtype=np.float64), axis, keepdims) - ddof


def _var(x: Numbers, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Numbers:
    away, count = _deviation(x, axis, ddof, keepdims)
    return _total(away * away, axis, keepdims) / count


def _std(x: Numbers, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Numbers:
    away, count = _deviation(x, axis, ddof, keepdims)
    return _norm(away, axis, keepdims) / sqrt(count)


Pair = int | tuple[int, int]


def _pair(size: Pair) -> tuple[int, int]:
    return size if isinstance(size, tuple) else (size, size)


def _bordered(x: Numbers, width: Pair, value: float = 0) -> Numbers:
    rows, columns = _pair(width)
    return np.pad(x, (*[(0, 0)] * (x.ndim - 2), (rows, rows), (columns, columns)), constant_values=value)


def _places(x: Numbers, size: Pair, stride: Pair, dilation: Pair) -> dict[tuple[int, int], tuple[slice, slice]]:
    """For each entry of a window, the rows and columns of x that it meets."""
    sizes, steps, gaps, shape = _pair(size), _pair(stride), _pair(dilation), x.shape[-2:]
    counts = [(n - (k - 1) * gap - 1) // step + 1 for n, k, gap, step in zip(shape, sizes, gaps, steps, strict=True)]

    def met(axis: int, entry: int) -> slice:
        first = entry * gaps[axis]
        return slice(first, first + (counts[axis] - 1) * steps[axis] + 1, steps[axis])

    return {(a, b): (met(0, a), met(1, b)) for a, b in np.ndindex(sizes)}


def _windows(x: Numbers, size: Pair, stride: Pair = 1, dilation: Pair = 1) -> Numbers:
    met = [x[..., rows, columns] for rows, columns in _places(x, size, stride, dilation).values()]
    return np.reshape(np.stack(met), (*_pair(size), *met[0].shape))


def _overlap_add(v: Numbers, x: Numbers, stride: Pair = 1, dilation: Pair = 1) -> Numbers:
    total = np.zeros(x.shape, v.dtype)
    for entry, (rows, columns) in _places(x, v.shape[:2], stride, dilation).items():
        total[..., rows, columns] += v[entry]
    return total


def _im2col(x: Numbers, size: Pair, stride: Pair = 1, pad: Pair = 0, dilation: Pair = 1) -> Numbers:
    view = _windows(_bordered(x, pad), size, stride, dilation)
    stack = range(2, x.ndim)
    ordered = view.transpose(*stack, 0, 1, x.ndim, x.ndim + 1)
    entries = math.prod(ordered.shape[max(x.ndim - 3, 0) : -2])
    return ordered.reshape(*x.shape[:-3], entries, math.prod(ordered.shape[-2:]))


def _conv2d(x: Numbers, k: Numbers, stride: Pair = 1, pad: Pair = 0, dilation: Pair = 1) -> Numbers:
    """One entry of the kernel after the other, over the whole image."""
    image, kernel = (x[..., None, :, :], k[None]) if k.ndim == 2 else (x, k)
    bordered, total = _bordered(image, pad), numbers(0.0)
    for entry, (rows, columns) in _places(bordered, kernel.shape[-2:], stride, dilation).items():
        met = bordered[..., rows, columns]
        flat = met.reshape(*met.shape[:-2], -1)
        shape = (*met.shape[:-3], *kernel.shape[:-3], *met.shape[-2:])
        total = total + product(kernel[(..., *entry)], flat).reshape(shape)
    return total


def _max_pool(x: Numbers, size: Pair, stride: Pair | None = None, pad: Pair = 0) -> Numbers:
    return _largest(_windows(_bordered(x, pad, -1e300), size, stride or size), (0, 1))


def _avg_pool(x: Numbers, size: Pair, stride: Pair | None = None, pad: Pair = 0) -> Numbers:
    return _mean(_windows(_bordered(x, pad), size, stride or size), (0, 1))


def _size(x: Numbers) -> int:
    return int(as_index(x))


def _filled(value: float) -> Callable[..., Numbers]:
    return lambda *shape: numbers(np.full([_size(n) for n in shape], value))


def _constant(value: float) -> Callable[[Numbers], Numbers]:
    return lambda x: numbers(np.full(x.shape, value))


# `index` is not here: its items need not be arrays.
REFERENCE: Mapping[str, Callable[..., Numbers]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": power,
    "floordiv": lambda a, b: numbers(np.floor(values(a) / values(b))),
    "mod": lambda a, b: a - b * np.floor(values(a) / values(b)),
    "neg": lambda x: -x,
    "matmul": product,
    "dot": product,
    "outer": lambda a, b: a[:, None] * b,
    "gt": greater,
    "lt": less,
    "ge": lambda a, b: 1 - less(a, b),
    "le": lambda a, b: 1 - greater(a, b),
    "eq": equal,
    "ne": lambda a, b: 1 - equal(a, b),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "transpose": lambda x, *axes: x.transpose([_size(axis) for axis in axes]),
    "swapaxes": lambda x, a, b: x.swapaxes(_size(a), _size(b)),
    "tril": lambda x, k: select(numbers(np.tril(np.ones(x.shape), _size(k))), x, 0),
    "triu": lambda x, k: select(numbers(np.triu(np.ones(x.shape), _size(k))), x, 0),
    "eye": lambda n: numbers(np.eye(_size(n))),
    "reshape": lambda x, *shape: x.reshape([_size(n) for n in shape]),
    "concat": lambda *x, axis=0: np.concatenate(x, axis=axis),
    "array": lambda *x: np.stack(x),
    "stack": lambda *x, axis=0: np.stack(x, axis),
    "shape": lambda x: numbers(x.shape),
    "size": lambda x: numbers(x.size),
    "einsum": lambda *x, subscripts: numbers(np.einsum(subscripts, *x)),
    "cumsum": lambda x, axis=None: np.cumsum(x, axis),
    "linspace": lambda a, b, n: a + (b - a) * numbers(np.arange(_size(n))) / max(_size(n) - 1, 1),
    "diag": lambda x: select(np.eye(len(x), dtype=np.complex128), x, 0),
    "exp": exp,
    "expm1": expm1,
    "log": log,
    "log1p": log1p,
    "sqrt": sqrt,
    "sin": sin,
    "cos": cos,
    "tan": lambda x: sin(x) / cos(x),
    "log2": lambda x: log(x) / math.log(2),
    "log10": lambda x: log(x) / math.log(10),
    "huber": _huber,
    "abs": _absolute,
    "sign": lambda x: greater(x, 0) - less(x, 0),
    "floor": lambda x: numbers(np.floor(values(x))),
    "ceil": lambda x: numbers(np.ceil(values(x))),
    "round": lambda x: numbers(np.round(values(x))),
    "square": lambda x: x * x,
    "erf": erf,
    "normal_cdf": normal_cdf,
    "normal_pdf": lambda x: exp(-x * x / 2) / math.sqrt(2 * math.pi),
    "maximum": lambda a, b: select(greater(a, b), a, b),
    "minimum": lambda a, b: select(less(a, b), a, b),
    "clip": _clip,
    "where": select,
    "relu": _relu,
    "leaky_relu": lambda x, alpha: select(greater(x, 0), x, alpha * x),
    "elu": _elu,
    "sigmoid": _sigmoid,
    "tanh": tanh,
    "softplus": lambda x: _relu(x) + log1p(exp(_below_zero(x))),
    "silu": lambda x: x * _sigmoid(x),
    "gelu": lambda x: x * normal_cdf(x),
    "sum": _total,
    "mean": _mean,
    "max": _largest,
    "min": lambda x, axis=None, keepdims=False: -_largest(-x, axis, keepdims),
    "logsumexp": _logsumexp,
    "norm": _norm,
    "var": _var,
    "std": _std,
    "prod": lambda x, axis=None, keepdims=False: numbers(np.prod(x, axis=axis, keepdims=keepdims)),
    "argmax": lambda x, axis=None: numbers(np.argmax(x, axis=axis)),
    "argmin": lambda x, axis=None: numbers(np.argmin(x, axis=axis)),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "cross_entropy": _cross_entropy,
    "one_hot": lambda t, n: numbers(np.eye(_size(n))[as_index(t)]),
    "ones_like": _constant(1.0),
    "zeros_like": _constant(0.0),
    "ones": _filled(1.0),
    "zeros": _filled(0.0),
    "arange": lambda n: numbers(np.arange(_size(n))),
    "windows": _windows,
    "overlap_add": _overlap_add,
    "pad": _bordered,
    "flip": lambda x, axis=None: np.flip(x, axis),
    "im2col": _im2col,
    "conv2d": _conv2d,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
}
