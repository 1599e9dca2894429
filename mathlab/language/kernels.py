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
Pair = int | tuple[int, ...]  # one for rows and columns alike, or two
Index = tuple[int | slice | Integers | None, ...]  # along each axis; None is for a new one


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
    rows.reshape(-1, n)[np.arange(np.size(t)), np.ravel(t)] = 1
    return rows


def erf(x: Floats) -> Floats:
    """The error function.

    Of few entries it is the C library's, exact to the last bit or so, and faster. Of many it is right within some units
    in the last place: by its series near 0, and by the normal tail elsewhere.
    """
    if np.size(x) <= 256:
        return entry_by_entry(math.erf, x)
    coefficients = (
        (0.0047195054, -0.0267579443, 0.112828347, -0.376126092, 1.12837917)
        if np.result_type(x).itemsize == 4 else
        (1.4726381680017032e-06, -1.4845900896375835e-05, 0.00012053337222877719, -0.0008548297798086192,
         0.005223977373542183, -0.026866170632921085, 0.11283791670925457, -0.37612638903183476, 1.1283791670955126)
    )  # fmt: skip
    near = x * polynomial(x * x, coefficients)
    far = np.copysign(1 - 2 * lower_tail(x * math.sqrt(2)), x)
    return np.where(np.abs(x) < 0.5, near, far)


def normal_cdf(x: Floats) -> Floats:
    """The standard normal distribution function, which keeps its digits in the lower tail.

    Of few entries it is as the C library has it; of many it is right within some units in the last place of it or of x.
    """
    if np.size(x) <= 256:
        return entry_by_entry(cdf_of_entry, x)
    return np.abs((x > 0) - lower_tail(x))


def cdf_of_entry(x: float) -> float:
    """The standard normal distribution function by the C library."""
    return math.erfc(-x / math.sqrt(2)) / 2


def lower_tail(x: Floats) -> Floats:
    """The standard normal distribution function at -abs(x).

    With a = abs(x) it is exp(-a**2 / 2) times a ratio of two polynomials in a, of which all coefficients are positive,
    so that no digits are lost. They have about the least relative error, 2e-7 for float32 and 5e-17 for float64.
    """
    above, below = (
        ((5.49342684e-06, 0.398672877, 2.9630098, 9.31228907, 13.5984832),
         (1.0, 7.41322973, 24.5036106, 40.3244046, 27.1969705))
        if np.result_type(x).itemsize == 4 else
        ((0.39894228039733404, 11.023043175809773, 148.39307751045172, 1261.4589623277545, 7412.850008194503,
          31139.813621746966, 93565.05654067353, 194786.14497892122, 257625.57322021006, 168822.52833373394),
         (1.0, 27.630671695042132, 372.9662840090382, 3189.639365741323, 18951.225993428547, 81162.67752602106,
          252380.27943306384, 560262.6361538485, 846812.2154216075, 784652.9241868005, 337645.05666746787))
    )  # fmt: skip
    a = np.minimum(np.abs(x), 50.0)  # from where on it is 0
    return np.exp(np.square(x) * -0.5) * (polynomial(a, above) / polynomial(a, below))


def polynomial(x: Floats, coefficients: tuple[float, ...]) -> Floats:
    """By Horner's rule; the highest power's coefficient comes first."""
    first, second, *rest = coefficients
    y = (x if first == 1 else first * x) + second
    for coefficient in rest:
        y = y * x + coefficient
    return y


def entry_by_entry(function: Callable[[float], float], x: Floats) -> Floats:
    """A function of Python's own numbers, of each entry."""
    return np.array(np.frompyfunc(function, 1, 1)(x), np.result_type(x))


def norm(x: Floats, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Floats:
    """The root of the sum of squares over `axis`."""
    if axis is None and not keepdims:
        return norm_of_all(x)
    return np.sqrt(np.sum(np.square(x), axis=axis, keepdims=keepdims))


def norm_of_all(x: Floats) -> Floats:
    """The norm of all entries, without an array of their squares."""
    with np.nditer(x, ["external_loop", "buffered", "zerosize_ok"], buffersize=65536 // x.itemsize) as pieces:
        return np.sqrt(sum((np.sum(np.square(piece)) for piece in pieces), start=x.dtype.type(0)))


def scatter(g: Floats, shape: tuple[int, ...], index: Index) -> Floats:
    """Zeros of `shape` with g added at `index`; an entry that is indexed twice gets both."""
    if all(isinstance(item, int | slice | None) for item in index):
        return added_at(g, shape, index)
    # at the entries' places along one axis, the only one for which NumPy is fast
    axes = sum(item is not None for item in index)
    rows, width = np.reshape(np.arange(math.prod(shape[:axes])), shape[:axes])[index], math.prod(shape[axes:])
    places = rows[..., None] * width + np.arange(width)
    return np.reshape(added_at(g, (math.prod(shape),), places), shape)


def added_at(g: Floats, shape: tuple[int, ...], places: Integers | Index, out: Floats | None = None) -> Floats:
    """Zeros of `shape` with g added at some places."""
    result = np.empty(shape, np.result_type(g)) if out is None else out
    result[...] = 0
    if isinstance(places, tuple):
        result[places] += np.asarray(g)
    else:
        np.add.at(result, np.ravel(places), np.ravel(g))
    return result


def two(size: Pair) -> tuple[int, int]:
    """A size for rows and columns, given as one number for both or as two."""
    rows, columns = size if isinstance(size, tuple) else (size, size)
    return rows, columns


def bordered(x: Floats, width: Pair, value: float = 0.0) -> Floats:
    """x with `value` around its last two axes."""
    (top, left), (rows, columns) = two(width), x.shape[-2:]
    if not (top or left):
        return x
    wide = np.full((*x.shape[:-2], rows + 2 * top, columns + 2 * left), value, x.dtype)
    wide[..., top : top + rows, left : left + columns] = x
    return wide


def windows(x: Floats, size: Pair, stride: Pair = 1, dilation: Pair = 1, out: Floats | None = None) -> Floats:
    """Every window of x's last two axes: the window's own axes first, and its places last.

    So the axes in between and the places line up with those of one number for each window.
    """
    return copied(window_view(x, size, stride, dilation), out)


def copied(x: Floats, out: Floats | None) -> Floats:
    """x in C order, along which NumPy is fast, whatever the order of its entries in memory."""
    result = np.empty(x.shape, x.dtype) if out is None else out
    np.copyto(result, x)
    return result


def window_view(x: Floats, size: Pair, stride: Pair = 1, dilation: Pair = 1) -> Floats:
    """The windows of x without a copy of them."""
    (rows, columns), (down, right), (far, wide) = two(size), two(stride), two(dilation)
    reach = (far * (rows - 1) + 1, wide * (columns - 1) + 1)
    view = np.lib.stride_tricks.sliding_window_view(x, reach, (-2, -1), writeable=True)
    return np.moveaxis(view[..., ::down, ::right, ::far, ::wide], (-2, -1), (0, 1))


def overlap_add(
    v: Floats, shape: tuple[int, ...], stride: Pair = 1, dilation: Pair = 1, out: Floats | None = None
) -> Floats:
    """Zeros of `shape` with v added to its windows: an entry gets what all windows have that it stands in."""
    result = np.empty(shape, v.dtype) if out is None else out
    places = window_view(result, v.shape[:2], stride, dilation)
    reaches = zip(v.shape[:2], two(stride), two(dilation), strict=True)
    apart = all(step > (n - 1) * gap for n, step, gap in reaches)
    if not apart or v.size < result.size:
        result[...] = 0
    for entry in np.ndindex(v.shape[:2]):
        if apart:
            places[entry] = v[entry]
        else:
            places[entry] += v[entry]
    return result


def im2col(x: Floats, size: Pair, stride: Pair = 1, pad: Pair = 0, dilation: Pair = 1) -> Floats:
    """The windows of x as columns, whose rows are a window's entries, channel after channel."""
    view = window_view(bordered(x, pad), size, stride, dilation)
    if x.ndim > 2:
        view = np.moveaxis(view, (0, 1), (-4, -3))
    batch, places = x.shape[:-3], view.shape[-2:]
    return view.reshape(*batch, math.prod(view.shape[len(batch) : -2]), math.prod(places))


def conv2d(
    x: Floats, k: Floats, stride: Pair = 1, pad: Pair = 0, dilation: Pair = 1, out: Floats | None = None
) -> Floats:
    """The kernel k, (rows, columns) or ([outputs], channels, rows, columns), times every window of x, summed up.

    It is a product of matrices, for which the windows are copied along whichever is longer, kernel or result, and only
    those of some images, or of some channels, at a time.
    """
    channels, axes = (k.shape[-3], 3) if k.ndim > 2 else (1, 2)
    images, kernels = (part.reshape(math.prod(part.shape[:-axes]), channels, *part.shape[-2:]) for part in (x, k))
    view = np.moveaxis(window_view(bordered(images, pad), k.shape[-2:], stride, dilation), (0, 1), (2, 3))
    count, outputs, size, shape = len(images), len(kernels), math.prod(k.shape[-2:]), view.shape[-2:]
    places = math.prod(shape)
    made = np.empty((count, outputs, places), np.result_type(x, k)) if out is None else out
    made = made.reshape(count, outputs, places)
    if places < size:
        rows, total = np.moveaxis(view, (-2, -1), (1, 2)), np.zeros((count * places, outputs), made.dtype)
        for part in in_cache(view.swapaxes(0, 1)):
            width = len(range(channels)[part]) * size
            total += rows[:, :, :, part].reshape(count * places, width) @ kernels[:, part].reshape(outputs, width).T
        np.copyto(made, total.reshape(count, places, outputs).mT)
    else:
        filters = kernels.reshape(outputs, channels * size)
        for part in in_cache(view):
            columns = view[part].reshape(len(images[part]), channels * size, places)
            np.matmul(filters, columns, made[part])
    return made.reshape(*x.shape[:-axes], *k.shape[:-3], *shape)


def in_cache(x: Floats) -> list[slice]:
    """Parts of the first axis, so small that a copy of one stays in the cache."""
    step = max(1, (1 << 18) * len(x) // max(1, x.nbytes))
    return [slice(first, first + step) for first in range(0, len(x), step)]


def max_pool(x: Floats, size: Pair, stride: Pair | None = None, pad: Pair = 0) -> Floats:
    """The largest entry of every window, which moves by its own size; its derivative reads the windows too."""
    return np.max(windows(bordered(x, pad, -math.inf), size, stride=stride or size), axis=(0, 1))


def avg_pool(x: Floats, size: Pair, stride: Pair | None = None, pad: Pair = 0) -> Floats:
    """The mean of every window, in which the zeros of the padding count too."""
    view = window_view(bordered(x, pad), size, stride or size)
    total = view[0, 0].copy()
    for entry in [*np.ndindex(view.shape[:2])][1:]:  # one after the other, for NumPy is slow along short axes
        total += view[entry]
    return total / math.prod(two(size))


# what a recorded program calls as a whole, for the lines inside are not the same in every round, or have no results
WITH_OUT = (windows, overlap_add, conv2d, added_at)  # those that take an array to write to, none that they read
OPAQUE = (*WITH_OUT, entry_by_entry, norm_of_all, one_hot, bordered, im2col, avg_pool)  # all of them
