"""Convolution and pooling: all of them are made of the windows of an array, and of their adjoint."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mathlab.language.kernels import two
from mathlab.language.ops.record import Site
from mathlab.language.ops.rules import lead
from mathlab.language.shapes import Shape, ShapeError, Type
from mathlab.language.syntax import Call

Pair = tuple[int, int]  # of rows and of columns


def of_setting(call: Call, name: str, default: int | Pair) -> Pair:
    """The setting `name` for rows and columns, which is given as one number for both or as two."""
    return two(dict(call.attrs).get(name, default))  # type: ignore[arg-type]  # the table has seen to whole numbers


def stride_pad_dilation(call: Call, step: int | Pair = 1) -> tuple[Pair, Pair, Pair]:
    """The settings that say where windows are, for rows and columns; without a stride they move by `step`."""
    return of_setting(call, "stride", step), of_setting(call, "pad", 0), of_setting(call, "dilation", 1)


def places(image: Type, size: Pair, call: Call, step: int | Pair = 1, what: str = "a window") -> Pair:
    """How many places a window has along the last two axes: floor((n + 2 pad - reach) / stride) + 1."""
    image = _image(image, call)
    stride, pad, dilation = stride_pad_dilation(call, step)
    rooms = [n + 2 * pad[axis] - (size[axis] - 1) * dilation[axis] - 1 for axis, n in enumerate(image.shape[-2:])]
    if min(size) < 1:
        raise ShapeError(f"{what} of shape {size} has no entries")
    if min(rooms) < 0:
        raise ShapeError(f"{what} of shape {size} is larger than shape {image.shape}{_settings(call, step)}")
    return rooms[0] // stride[0] + 1, rooms[1] // stride[1] + 1


def _image(x: Type, call: Call) -> Type:
    """What has rows and columns."""
    if x.ndim < 2:
        made = ", of which x[None] makes a row," if x.ndim else ""
        raise ShapeError(f"{call.op} needs an array with rows and columns, not shape {x.shape}{made}")
    return x


def _settings(call: Call, step: int | Pair = 1) -> str:
    unpadded = call.op in ("windows", "overlap_add")
    known = {"stride": step, **({} if unpadded else {"pad": 0}), **dict(call.attrs)}
    return " with " + ", ".join(f"{name}={value}" for name, value in known.items() if name != "size")


def windowed(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `windows(x, size)`: a window's two axes, then x's, whose last two tell the window's place."""
    size = of_setting(call, "size", 1)
    return (*size, *types[0].shape[:-2], *places(types[0], size, call))


def overlapping(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `overlap_add(v, x)`: that of x, whose windows v holds."""
    v, x = types
    if v.ndim != x.ndim + 2 or v.shape[2:] != (*x.shape[:-2], *places(x, (v.shape[0], v.shape[1]), call)):
        raise ShapeError(f"shape {v.shape} is not that of windows of shape {x.shape}{_settings(call)}")
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
        raise ShapeError(f"pad={call.attr('pad')} is more than half of a window of shape {size}")
    return (*types[0].shape[:-2], *places(types[0], size, call, step=size))


def padded(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `pad(x, width)`: with more rows and columns on every side."""
    shape, (rows, columns) = _image(types[0], call).shape, of_setting(call, "width", 0)
    return (*shape[:-2], shape[-2] + 2 * rows, shape[-1] + 2 * columns)


def convolved(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `conv2d(x, k)`.

    A kernel (rows, columns) slides over an image (rows, columns). One with channels in front of these sums over the
    channels of x; one with another axis in front of the channels has that many outputs. x may be a batch of images.
    """
    (x, k), axes = (type_.shape for type_ in types), min(types[1].ndim, 3)
    if not 2 <= len(k) <= 4 or not axes <= len(x) <= axes + 1:
        kernels = "(rows, columns), (channels, rows, columns) or (outputs, channels, rows, columns)"
        over = f"over an image or a batch of them, not shape {k} over shape {x}"
        raise ShapeError(f"conv2d slides a kernel {kernels} {over}")
    if axes == 3 and x[-3] != k[-3]:
        raise ShapeError(f"shape {x} has {x[-3]} channels, and the kernel of shape {k} {k[-3]},")
    return (*x[:-axes], *k[:-3], *places(types[0], (k[-2], k[-1]), call, what="a kernel"))


def _written(**pairs: tuple[int, ...]) -> str:
    """Settings as text: one number where rows and columns are alike."""
    return "".join(f", {name}={pair[0] if pair[0] == pair[1] else pair}" for name, pair in pairs.items())


def kernel_gradient(site: Site) -> str:
    """The correlation of the input with the upstream gradient: where one steps, the other has gaps, and vice versa."""
    (x, k), (stride, pad, dilation) = site.args, stride_pad_dilation(site.call)
    settings = _written(stride=dilation, pad=pad, dilation=stride)
    channels, batch = k.ndim > 2, x.ndim - min(k.ndim, 3)
    if k.ndim == 4:  # an image for each channel, of which the samples are the channels
        sides = ("swapaxes(x, 0, 1)", "swapaxes(g, 0, 1)") if batch else ("x[:, None]", "g[:, None]")
        gradient = f"swapaxes(conv2d({', '.join(sides)}{settings}), 0, 1)"
    else:
        gradient = f"conv2d({'swapaxes(x, 0, 1)' if channels and batch else 'x'}, g{settings})"
    too_large = any(rest >= gap for rest, gap in zip(_left_over(site), dilation, strict=True))
    return f"{gradient}[{lead(k, 2)}:{k.shape[-2]}, :{k.shape[-1]}]" if too_large else gradient


def image_gradient(site: Site) -> str:
    """The upstream gradient under the flipped kernel, with zeros between its entries where the kernel makes steps."""
    (x, k), (stride, pads, dilation) = site.args, stride_pad_dilation(site.call)
    g = _spaced(site) if stride != (1, 1) else "g"
    flipped = "flip(k)" if k.ndim == 2 else "flip(k, axis=(-2, -1))"
    if k.ndim == 4:
        flipped = f"swapaxes({flipped}, 0, 1)"
    elif k.ndim == 3:  # each channel has a kernel of its own
        g, flipped = f"{g}[{':, ' * (x.ndim - 3)}None]", f"{flipped}[:, None]"
    reach = [(n - 1) * gap for n, gap in zip(k.shape[-2:], dilation, strict=True)]
    rows, columns = (far - pad for far, pad in zip(reach, pads, strict=True))
    settings = _written(pad=(max(rows, 0), max(columns, 0)), dilation=dilation)
    return f"conv2d({g}, {flipped}{settings})" + _without(x.shape, (max(-rows, 0), max(-columns, 0)))


def _left_over(site: Site) -> list[int]:
    """The rows and columns at the end of the padded image that no window reaches."""
    x, k = site.args
    pairs = zip(x.shape[-2:], k.shape[-2:], *stride_pad_dilation(site.call), strict=True)
    return [(n + 2 * pad - (size - 1) * gap - 1) % step for n, size, step, pad, gap in pairs]


def _spaced(site: Site) -> str:
    """The upstream gradient with zeros between its entries, and behind them where the last step led nowhere."""
    out, stride = site.out, of_setting(site.call, "stride", 1)
    pairs = zip(out.shape[-2:], stride, _left_over(site), strict=True)
    shape = ", ".join(map(str, (*out.shape[:-2], *((n - 1) * step + 1 + over for n, step, over in pairs))))
    steps = ", ".join(f"::{step}" if step > 1 else ":" for step in stride)
    return f"scatter(g, zeros({shape})[{lead(out, 2)}{steps}])"


def _without(shape: tuple[int, ...], width: Pair) -> str:
    """An index that takes so many rows and columns away on every side, from what has `shape` afterwards."""
    sides = [f"{by}:{by + n}" if by else ":" for by, n in zip(width, shape[-2:], strict=True)]
    return f"[{':, ' * (len(shape) - 2)}{', '.join(sides)}]" if any(width) else ""


def unpadded(site: Site, setting: str) -> str:
    """The same for the rows and columns that a setting has put around."""
    return _without(site.args[0].shape, of_setting(site.call, setting, 0))


def under_kernel(made: Shape, read: Sequence[Shape]) -> int:
    """How many products of numbers are summed for a convolution."""
    return math.prod(made) * math.prod(read[1][-3:])


def size_of_windows(site: Site) -> str:
    """The size of the windows that `overlap_add` is given."""
    return _written(size=site.args[0].shape[:2])


def windows_of_columns(site: Site) -> str:
    """The gradient of the result of `im2col` as that of windows."""
    x, size = site.args[0], of_setting(site.call, "size", 1)
    v = f"reshape(g, {', '.join(map(str, (*x.shape[:-2], *size, *places(x, size, site.call))))})"
    if first := x.ndim - 2:
        order = (first, first + 1, *range(first), first + 2, first + 3)
        v = f"transpose({v}, {', '.join(map(str, order))})"
    return v


def padded_with(site: Site, around: str) -> str:
    """x as its windows see it."""
    pad = of_setting(site.call, "pad", 0)
    return f"pad(x{_written(width=pad)}{f', value={around}' if around != '0' else ''})" if any(pad) else "x"


def pool(site: Site, around: str) -> str:
    """The windows of a pool."""
    return f"windows({padded_with(site, around)}{_written(size=of_setting(site.call, 'size', 1))}{moved(site)})"


def moved(site: Site) -> str:
    """How far the windows of a pool are apart."""
    return _written(stride=of_setting(site.call, "stride", of_setting(site.call, "size", 1)))


def entries(site: Site) -> str:
    """How many entries a window of a pool has."""
    return str(math.prod(of_setting(site.call, "size", 1)))
