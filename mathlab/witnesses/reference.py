"""Every op once more, as a plain definition: what the witnesses evaluate. Shares nothing with the derivation.

The definitions know no derivatives, and hold for floats, complex numbers and nodes of the tape alike.

In a complex array `a + ib` the tiny b carries a slope. NumPy orders complex numbers by their real parts, and by the
imaginary parts where the real parts tie: so at a kink +ih takes the branch to its right, and -ih that to its left.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

# Stands for all three kinds: complex is the one whose type allows what the definitions do.
Numbers = NDArray[np.complex128]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Axis = int | tuple[int, ...] | None
Function = Callable[[Floats], Floats]


# --- arrays of the three kinds ----------------------------------------------------------------------------------------


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


# --- functions that have to know of what kind their arrays are --------------------------------------------------------


def _smooth(function: Function, slope: Function) -> Callable[[Numbers], Numbers]:
    """A function and its derivative, side by side: of floats, of nodes, and of complex numbers.

    f(a + ib) = f(a) + i b f'(a) leaves out terms of b**2, which vanish beside the first two; and where NumPy has a
    complex version, it cuts some along the negative axis, where they must stay nan.
    """

    def one(element: object) -> object:
        of = getattr(element, "of", None)  # a constant may stand among nodes
        return of(function, slope) if of else function(np.asarray(element, np.float64))

    def apply(x: Numbers) -> Numbers:
        x = numbers(x)
        if x.dtype == object:
            return np.asarray(np.frompyfunc(one, 1, 1)(x), dtype=object)
        result = function(values(x))
        return complex_of(result, _moved(slope(x.real), x.imag)) if np.iscomplexobj(x) else numbers(result)

    return apply


def _moved(slope: Floats, step: Floats) -> Floats:
    """`slope * step`; 0 where nothing moves, even if the slope is infinite there."""
    return np.where(step == 0, 0.0, slope * step)


def _each_float(function: Callable[[float], float], x: Floats) -> Floats:
    """A function of the C library, entry by entry; a loop over Python's own floats is the fastest there is."""
    return np.fromiter(map(function, x.ravel().tolist()), np.float64, x.size).reshape(x.shape)


SMOOTH: Mapping[str, Callable[[Numbers], Numbers]] = {
    "exp": _smooth(np.exp, np.exp),
    "expm1": _smooth(np.expm1, np.exp),
    "log": _smooth(np.log, lambda x: 1 / x),
    "log1p": _smooth(np.log1p, lambda x: 1 / (1 + x)),
    "sqrt": _smooth(np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    "sin": _smooth(np.sin, np.cos),
    "cos": _smooth(np.cos, lambda x: -np.sin(x)),
    "tanh": _smooth(np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "erf": _smooth(lambda x: _each_float(math.erf, x), lambda x: 2 / math.sqrt(math.pi) * np.exp(-x * x)),
    # by erfc, which keeps the digits of the lower tail
    "normal_cdf": _smooth(
        lambda x: _each_float(math.erfc, x / -math.sqrt(2)) / 2, lambda x: np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    ),
}
exp, expm1, log1p, sqrt = map(SMOOTH.__getitem__, ("exp", "expm1", "log1p", "sqrt"))


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


def _relation(holds: np.ufunc) -> Callable[[Numbers, Numbers | float], Numbers]:
    """1 where a comparison holds, else 0."""
    return lambda a, b: numbers(holds(a, b).astype(np.float64))


greater, less, equal = map(_relation, (np.greater, np.less, np.equal))


def _floor(x: Numbers) -> Numbers:
    """The whole number at or below x; where x steps down from one, that is the one before."""
    below = numbers(np.floor(values(x)))
    return below - less(x, below)


def _round(x: Numbers) -> Numbers:
    """The nearest whole number; of a tie from which x steps, the one on that side, and else the even one."""
    tie = numbers(np.floor(values(x)) + 0.5)
    side = greater(x, tie) - less(x, tie)
    return select(equal(numbers(values(x)), tie) * side, tie + side / 2, numbers(np.round(values(x))))


# --- the ops ----------------------------------------------------------------------------------------------------------


def _size(x: Numbers) -> int:
    return int(as_index(x))


def _place(items: Sequence[Numbers | slice | None]) -> tuple[NDArray[np.intp] | slice | None, ...]:
    return tuple(item if item is None or isinstance(item, slice) else as_index(item) for item in items)


def _put(v: Numbers, x: Numbers, of: Callable[[Numbers], Numbers]) -> Numbers:
    """Zeros like x with v added to those `of` its entries; one that is named twice gets both."""
    made = np.zeros(x.size, v.dtype)
    np.add.at(made, as_index(of(numbers(np.arange(x.size)).reshape(x.shape))).ravel(), v.ravel())
    return made.reshape(x.shape)


def _total(x: Numbers, axis: Axis = None, keepdims: bool = False) -> Numbers:
    return numbers(np.sum(x, axis=axis, keepdims=keepdims))


def _mean(x: Numbers, axis: Axis = None, keepdims: bool = False) -> Numbers:
    return _total(x, axis, keepdims) / _total(np.ones_like(x, dtype=np.float64), axis, keepdims)


def _largest(x: Numbers, axis: Axis = None, keepdims: bool = False) -> Numbers:
    """The maximum; entries that tie share it equally."""
    best = equal(x, numbers(np.max(x, axis=axis, keepdims=True)))
    top = np.max(values(x), axis=axis, keepdims=True)
    # what is shared is 0 but for its slope, so that the value is an entry to the last bit
    share = _total(select(best, x - top, 0), axis, keepdims=True) / _total(best, axis, keepdims=True)
    whole = numbers(top + share)
    return whole if keepdims else np.squeeze(whole, axis)


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
    return top + log1p(rest) if keepdims else np.squeeze(top + log1p(rest), axis)


def _log_softmax(x: Numbers, axis: int = -1) -> Numbers:
    top, rest = _log_sum(x, axis)
    return x - top - log1p(rest)


def _softmax(x: Numbers, axis: int = -1) -> Numbers:
    top, rest = _log_sum(x, axis)
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


def _deviation(x: Numbers, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Numbers:
    count = _total(np.ones_like(x, dtype=np.float64), axis, keepdims) - ddof
    return _norm(x - _mean(x, axis, keepdims=True), axis, keepdims) / sqrt(count)


Pair = int | tuple[int, int]


def pair(size: Pair) -> tuple[int, int]:
    """A size for rows and columns, given as one number for both or as two."""
    return size if isinstance(size, tuple) else (size, size)


def _bordered(x: Numbers, width: Pair, value: float = 0) -> Numbers:
    rows, columns = pair(width)
    return np.pad(x, (*[(0, 0)] * (x.ndim - 2), (rows, rows), (columns, columns)), constant_values=value)


def _places(x: Numbers, size: Pair, stride: Pair, dilation: Pair) -> dict[tuple[int, int], tuple[slice, slice]]:
    """For each entry of a window, the rows and columns of x that it meets."""
    both = zip(x.shape[-2:], pair(size), pair(dilation), pair(stride), strict=True)
    met = [[slice(k * gap, n - (count - 1 - k) * gap, step) for k in range(count)] for n, count, gap, step in both]
    return {(a, b): (met[0][a], met[1][b]) for a, b in np.ndindex(pair(size))}


def _windows(x: Numbers, size: Pair, stride: Pair = 1, dilation: Pair = 1) -> Numbers:
    met = [x[..., rows, columns] for rows, columns in _places(x, size, stride, dilation).values()]
    return np.reshape(np.stack(met), (*pair(size), *met[0].shape))


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


REFERENCE: Mapping[str, Callable[..., Numbers]] = {
    **SMOOTH,
    "index": lambda x, *items: x[_place(items)],
    "scatter": lambda v, x, *items: _put(v, x, lambda entries: entries[_place(items)]),
    **{name: getattr(operator, name) for name in ("add", "sub", "mul", "neg")},
    "div": operator.truediv,
    "pow": power,
    "matmul": product,
    "gt": greater,
    "lt": less,
    "eq": equal,
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
    "diag": lambda x: select(np.eye(len(x), dtype=np.complex128), x, 0),
    "floor": _floor,
    "round": _round,
    "where": select,
    "sum": _total,
    "mean": _mean,
    "max": _largest,
    "min": lambda x, axis=None, keepdims=False: -_largest(-x, axis, keepdims),
    "logsumexp": _logsumexp,
    "norm": _norm,
    "var": lambda x, **settings: _deviation(x, **settings) ** 2,
    "std": _deviation,
    "prod": lambda x, axis=None, keepdims=False: numbers(np.prod(x, axis=axis, keepdims=keepdims)),
    "argmax": lambda x, axis=None: numbers(np.argmax(x, axis=axis)),
    "argmin": lambda x, axis=None: numbers(np.argmin(x, axis=axis)),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "cross_entropy": _cross_entropy,
    "ones_like": lambda x: numbers(np.ones(x.shape)),
    "zeros_like": lambda x: numbers(np.zeros(x.shape)),
    "ones": lambda *shape: numbers(np.ones([*map(_size, shape)])),
    "zeros": lambda *shape: numbers(np.zeros([*map(_size, shape)])),
    "arange": lambda n: numbers(np.arange(_size(n))),
    "windows": _windows,
    "overlap_add": lambda v, x, **settings: _put(v, x, lambda entries: _windows(entries, v.shape[:2], **settings)),
    "pad": _bordered,
    "flip": lambda x, axis=None: np.flip(x, axis),
    "im2col": _im2col,
    "conv2d": _conv2d,
    "max_pool": lambda x, size, stride=None, pad=0: _largest(
        _windows(_bordered(x, pad, -1e300), size, stride or size), (0, 1)
    ),
    "avg_pool": lambda x, size, stride=None, pad=0: _mean(_windows(_bordered(x, pad), size, stride or size), (0, 1)),
}
