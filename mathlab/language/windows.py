"""Shapes of what slides over images: windows, convolutions, pools. As in `shapes`, one function per family of ops."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mathlab.language.shapes import Shape, ShapeError, Type, axes_of, show
from mathlab.language.syntax import Call

Pair = tuple[int, int]  # of rows and of columns


def of_setting(call: Call, name: str, default: int | Pair) -> Pair:
    """The setting `name` for rows and columns, which is given as one number for both or as two."""
    value = dict(call.attrs).get(name, default)
    rows, columns = value if isinstance(value, tuple) else (value, value)
    return rows, columns  # type: ignore[return-value]  # the table of settings has seen to whole numbers


def places(image: Type, size: Pair, call: Call, step: int | Pair = 1, what: str = "a window") -> Pair:
    """How many places a window has along the last two axes: floor((n + 2 pad - reach) / stride) + 1."""
    if image.ndim < 2:
        raise ShapeError(f"{call.op} needs an array with rows and columns, not shape {show(image.shape)}")
    stride, pad, dilation = (of_setting(call, *one) for one in (("stride", step), ("pad", 0), ("dilation", 1)))
    rooms = [n + 2 * pad[axis] - (size[axis] - 1) * dilation[axis] - 1 for axis, n in enumerate(image.shape[-2:])]
    if min(size) < 1:
        raise ShapeError(f"{what} of shape {show(size)} has no entries")
    if min(rooms) < 0:
        raise ShapeError(
            f"{what} of shape {show(size)} is larger than shape {show(image.shape)}{_settings(call, step)}"
        )
    return rooms[0] // stride[0] + 1, rooms[1] // stride[1] + 1


def _settings(call: Call, step: int | Pair = 1) -> str:
    known = {"stride": step, "pad": 0, **dict(call.attrs)}
    return " with " + ", ".join(f"{name}={value}" for name, value in known.items() if name != "size")


def windowed(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `windows(x, size)`: a window's two axes, then x's, whose last two tell the window's place."""
    size = of_setting(call, "size", 1)
    places_ = places(types[0], size, call)
    return (*size, *types[0].shape[:-2], *places_)


def overlapping(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `overlap_add(v, x)`: that of x, whose windows v holds."""
    v, x = types
    if v.ndim != x.ndim + 2 or v.shape[2:] != (*x.shape[:-2], *places(x, (v.shape[0], v.shape[1]), call)):
        raise ShapeError(f"shape {show(v.shape)} is not that of windows of shape {show(x.shape)}{_settings(call)}")
    return x.shape


def in_columns(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `im2col(x, size)`: a column for each place, a row for each entry of a window, channels included."""
    shape, size = types[0].shape, of_setting(call, "size", 1)
    rows, columns = places(types[0], size, call)
    return (*shape[:-3], math.prod((*shape[-3:-2], *size)), rows * columns)


def pooled(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `max_pool(x, size)`: one number for each place of a window, which moves by its own size."""
    size, pad = of_setting(call, "size", 1), of_setting(call, "pad", 0)
    if 2 * pad[0] > size[0] or 2 * pad[1] > size[1]:
        raise ShapeError(f"pad={call.attr('pad')} is more than half of a window of shape {show(size)}")
    return (*types[0].shape[:-2], *places(types[0], size, call, step=size))


def padded(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `pad(x, width)`: with more rows and columns on every side."""
    shape, (rows, columns) = types[0].shape, of_setting(call, "width", 0)
    if len(shape) < 2:
        raise ShapeError(f"pad needs an array with rows and columns, not shape {show(shape)}")
    return (*shape[:-2], shape[-2] + 2 * rows, shape[-1] + 2 * columns)


def flipped(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `flip(x, axis)`: unchanged."""
    axes_of(types[0], call.attr("axis"))  # which must exist
    return types[0].shape


def convolved(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `conv2d(x, k)`.

    A kernel (rows, columns) slides over an image (rows, columns). One with channels in front of these sums over the
    channels of x; one with another axis in front of the channels has that many outputs. x may be a batch of images.
    """
    (x, k), axes = (type_.shape for type_ in types), min(types[1].ndim, 3)
    if not 2 <= len(k) <= 4 or not axes <= len(x) <= axes + 1:
        raise ShapeError(
            f"conv2d slides a kernel (rows, columns), (channels, rows, columns) or (outputs, channels, rows, columns) "
            f"over an image or a batch of them, not shape {show(k)} over shape {show(x)}"
        )
    if axes == 3 and x[-3] != k[-3]:
        raise ShapeError(f"shape {show(x)} has {x[-3]} channels, and the kernel of shape {show(k)} {k[-3]},")
    return (*x[:-axes], *k[:-3], *places(types[0], (k[-2], k[-1]), call, what="a kernel"))
