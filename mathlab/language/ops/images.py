"""Convolution and pooling: all of them are made of the windows of an array, and of their adjoint."""

from __future__ import annotations

import math
from collections.abc import Mapping

from mathlab.language import windows
from mathlab.language.ops.record import AXES, PADDING, STEP, WINDOW, Op, Setting, Site, lead, settings_of
from mathlab.language.windows import Pair, of_setting

LOWEST = -3e38  # which float32 has too
PLACED = (("stride", 1), ("pad", 0), ("dilation", 1))  # what says where windows are, and what is usual


def _settings(**pairs: Pair) -> str:
    """Settings as text: without those that are as usual, one number where rows and columns are alike."""
    usual = {name: (number, number) for name, number in PLACED}
    written = {name: pair[0] if pair[0] == pair[1] else pair for name, pair in pairs.items() if pair != usual.get(name)}
    return "".join(f", {name}={value}" for name, value in written.items())


def _kernel_gradient(site: Site) -> str:
    """The correlation of the input with the upstream gradient: where one steps, the other has gaps, and vice versa."""
    (x, k), call = site.args, site.call
    stride, pad, dilation = (of_setting(call, *one) for one in PLACED)
    settings = _settings(stride=dilation, pad=pad, dilation=stride)
    channels, batch = k.ndim > 2, x.ndim - min(k.ndim, 3)
    if k.ndim == 4:  # an image for each channel, of which the samples are the channels
        sides = ("swapaxes(x, 0, 1)", "swapaxes(g, 0, 1)") if batch else ("x[:, None]", "g[:, None]")
        gradient = f"swapaxes(conv2d({', '.join(sides)}{settings}), 0, 1)"
    else:
        gradient = f"conv2d({'swapaxes(x, 0, 1)' if channels and batch else 'x'}, g{settings})"
    left_over = [rest >= gap for rest, gap in zip(_left_over(site), dilation, strict=True)]
    return f"{gradient}[{lead(k, 2)}:{k.shape[-2]}, :{k.shape[-1]}]" if any(left_over) else gradient


def _image_gradient(site: Site) -> str:
    """The upstream gradient under the flipped kernel, with zeros between its entries where the kernel makes steps."""
    (x, k), call = site.args, site.call
    stride, pads, dilation = (of_setting(call, *one) for one in PLACED)
    g = _spaced(site) if stride != (1, 1) else "g"
    flipped = "flip(k)" if k.ndim == 2 else "flip(k, axis=(-2, -1))"
    if k.ndim == 4:
        flipped = f"swapaxes({flipped}, 0, 1)"
    elif k.ndim == 3:  # each channel has a kernel of its own
        g, flipped = f"{g}[{':, ' * (x.ndim - 3)}None]", f"{flipped}[:, None]"
    reach = [(n - 1) * gap for n, gap in zip(k.shape[-2:], dilation, strict=True)]
    rows, columns = (far - pad for far, pad in zip(reach, pads, strict=True))
    settings = _settings(pad=(max(rows, 0), max(columns, 0)), dilation=dilation)
    return f"conv2d({g}, {flipped}{settings})" + _without(x.shape, (max(-rows, 0), max(-columns, 0)))


def _left_over(site: Site) -> list[int]:
    """The rows and columns at the end of the padded image that no window reaches."""
    (x, k), call = site.args, site.call
    pairs = zip(x.shape[-2:], k.shape[-2:], *(of_setting(call, *one) for one in PLACED), strict=True)
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


def _overlap_add(site: Site) -> str:
    rows, columns = site.args[0].shape[:2]
    return f"windows(g{_settings(size=(rows, columns))}{settings_of(site)})"


def _im2col(site: Site) -> str:
    x, call = site.args[0], site.call
    size, pad = of_setting(call, "size", 1), of_setting(call, "pad", 0)
    places = windows.places(x, size, call)
    stack = "".join(f"{n}, " for n in x.shape[:-2])
    v = f"reshape(g, {stack}{', '.join(map(str, (*size, *places)))})"
    if first := x.ndim - 2:
        order = (first, first + 1, *range(first), first + 2, first + 3)
        v = f"transpose({v}, {', '.join(map(str, order))})"
    settings = settings_of(site, size=None, pad=None)
    return f"overlap_add({v}, {_padded(site, 0)}{settings})" + _without(x.shape, pad)


def _padded(site: Site, around: float) -> str:
    """x as the windows of a pool see it."""
    pad = of_setting(site.call, "pad", 0)
    return f"pad(x{_settings(width=pad)}{f', value={around}' if around else ''})" if any(pad) else "x"


def _pooled(site: Site, around: float, share: str) -> str:
    """The upstream gradient shared out to every window; `share` is over the windows w."""
    size, pad = of_setting(site.call, "size", 1), of_setting(site.call, "pad", 0)
    stride = _settings(stride=of_setting(site.call, "stride", size))
    x = _padded(site, around)
    w = f"windows({x}{_settings(size=size)}{stride})"
    return f"overlap_add({share.format(w=w, n=math.prod(size))}, {x}{stride})" + _without(site.args[0].shape, pad)


STEPS = {"stride": STEP, "pad": PADDING, "dilation": STEP}
OWN_SIZE = WINDOW._replace(
    wanted=f"{STEP.wanted}; None for the size", fits=lambda value: value is None or STEP.fits(value)
)
POOL = {"size": WINDOW, "stride": OWN_SIZE, "pad": PADDING}
NUMBER = Setting(0, "a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool))

IMAGES: Mapping[str, Op] = {
    "windows": Op(
        "windows(x, size, stride=stride, dilation=dilation)",
        (lambda site: f"overlap_add(g, x{settings_of(site, size=None)})",),
        shape=windows.windowed,
        settings={"size": WINDOW, "stride": STEP, "dilation": STEP},
        exact=True,
        samples={"windows(x, 2)": {"x": (3, 4)}, "windows(x, (1, 2), stride=2, dilation=(1, 2))": {"x": (2, 3, 5)}},
    ),
    "overlap_add": Op(
        "overlap_add(v, np.shape(x), stride=stride, dilation=dilation)",
        (_overlap_add, "zeros_like(x)"),
        ("v", "x"),
        windows.overlapping,
        settings={"stride": STEP, "dilation": STEP},
        samples={
            "overlap_add(v, x)": {"v": (2, 2, 2, 3), "x": (3, 4)},
            "overlap_add(v, x, stride=(1, 2), dilation=2)": {"v": (2, 1, 2, 2, 3), "x": (2, 4, 5)},
        },
    ),
    "pad": Op(
        "bordered(x, width, value=value)",
        (lambda site: "g" + _without(site.args[0].shape, of_setting(site.call, "width", 0)),),
        shape=windows.padded,
        settings={"width": PADDING._replace(default=None), "value": NUMBER},
        exact=True,
        samples={"pad(x, 1)": {"x": (2, 3)}, "pad(x, (0, 2), value=0.5)": {"x": (2, 2, 2)}},
    ),
    "flip": Op(
        "np.flip(x, axis=axis)",
        (lambda site: f"flip(g{settings_of(site)})",),
        shape=windows.flipped,
        settings={"axis": AXES},
        exact=True,
        cheap=True,
        samples={"flip(x)": {"x": (2, 3)}, "flip(x, axis=(0, -1))": {"x": (2, 3, 2)}},
    ),
    "im2col": Op(
        "im2col(x, size, stride=stride, pad=pad, dilation=dilation)",
        (_im2col,),
        shape=windows.in_columns,
        settings={"size": WINDOW, **STEPS},
        exact=True,
        samples={
            "im2col(x, 2)": {"x": (3, 4)},
            "im2col(x, (2, 1), stride=2, pad=1)": {"x": (2, 3, 3)},
            "im2col(x, 2, pad=(0, 1), dilation=2)": {"x": (2, 2, 3, 3)},
        },
    ),
    "conv2d": Op(
        "conv2d(x, k, stride=stride, pad=pad, dilation=dilation)",
        (_image_gradient, _kernel_gradient),
        ("x", "k"),
        windows.convolved,
        settings=STEPS,
        samples={
            "conv2d(x, k)": {"x": (4, 5), "k": (2, 3)},
            "conv2d(x, k, stride=2, pad=1)": {"x": (2, 4, 5), "k": (2, 3)},
            "conv2d(x, k, pad=(2, 0))": {"x": (2, 3, 4), "k": (2, 2, 2)},
            "conv2d(x, k, stride=(2, 1))": {"x": (2, 2, 4, 3), "k": (2, 2, 2)},
            "conv2d(x, k, dilation=(2, 1))": {"x": (2, 5, 3), "k": (3, 2, 2, 2)},
            "conv2d(x, k, stride=3, pad=2)": {"x": (2, 2, 4, 5), "k": (3, 2, 2, 2)},
        },
    ),
    "max_pool": Op(
        "max_pool(x, size, stride=stride, pad=pad)",
        # to the entries that are the largest of their window; several share it, as those of max do
        (lambda site: _pooled(site, LOWEST, "g / sum({w} == y, axis=(0, 1)) * ({w} == y)"),),
        shape=windows.pooled,
        settings=POOL,
        exact=True,
        samples={"max_pool(x, 2)": {"x": (2, 5, 4)}, "max_pool(x, (3, 2), stride=2, pad=1)": {"x": (4, 5)}},
    ),
    "avg_pool": Op(
        "avg_pool(x, size, stride=stride, pad=pad)",
        (lambda site: _pooled(site, 0, "g * ones_like({w}) / {n}"),),
        shape=windows.pooled,
        settings=POOL,
        samples={"avg_pool(x, 2)": {"x": (2, 5, 4)}, "avg_pool(x, 3, stride=(1, 2), pad=1)": {"x": (2, 4, 5)}},
    ),
}
