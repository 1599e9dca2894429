"""Picking and arranging: what never rounds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from mathlab.language import shapes
from mathlab.language.ops.record import ANY, FIRST_AXIS, Op, Site
from mathlab.language.syntax import ALL, NewAxis


def _top(site: Site) -> str:
    return r"{x:5}^{{\top}}" if site.args[0].ndim < 3 else r"\operatorname{{T}}\left({x}\right)"


def _index(site: Site) -> str:
    count = len(site.args) - 1
    if count == 1 and site.args[0].ndim == 1 and site.out.ndim == 0:
        # the gradient of picking one entry of a vector reads best as a one-hot vector
        return f"g * one_hot(i0, {site.args[0].size})"
    items = site.call.args[1:]
    if all(item in (NewAxis(), ALL) for item in items):  # new axes are taken away again
        return f"g[{', '.join('0' if item == NewAxis() else ':' for item in items)}]"
    return f"scatter(g, x[{', '.join(f'i{k}' for k in range(count))}])"


def _concat(site: Site, position: int) -> str:
    (axis,) = shapes.axes_of(site.out, site.call.attr("axis") or 0)
    start = sum(type_.shape[axis] for type_ in site.args[:position])
    return f"g[{':, ' * axis}{start}:{start + site.args[position].shape[axis]}]"


def _stacked(site: Site, position: int) -> str:
    return f"g[{':, ' * shapes.new_axis(site.args[0], site.call)}{position}]"


def _reshape(site: Site) -> str:
    if not site.args[0].shape:  # a single number has no sizes to write down, and is the one entry
        return f"g[{', '.join('0' * site.out.ndim)}]"
    return f"reshape(g, {', '.join(map(str, site.args[0].shape))})"


def _permuted(site: Site) -> str:
    order = shapes.permutation(site.args[0], site.call)
    return f"transpose(g, {', '.join(str(order.index(axis)) for axis in range(len(order)))})"


# what arranges the entries of its first argument, of whatever kind, by whole numbers; what joins several; and constants
_arranged = partial(Op, takes=(ANY, "i"), kind="same", exact=True)
_view = partial(_arranged, cheap=True)
_joined = partial(Op, vjp=(), args=("*joined",), takes=(ANY,), kind="same", exact=True)
_constant = partial(Op, vjp=(None,), takes=("i",), exact=True, cheap=True)
_like = partial(_constant, shape=lambda types, call: types[0].shape, takes=(), unread=0)


ARRAYS: Mapping[str, Op] = {
    "index": _arranged(
        "",  # lowered by the compiler, as a subscript
        (_index, None),
        ("x", "*i"),
        shapes.indexed,
        samples=(
            *("x3[1]", "x3[0:2]", "x3[:, None]", "x3[[0, 1, 0]]", "x3[t]"),
            *("x23[1, 0]", "x23[:, 1]", "x23[:, ::2]", "x23[[0, 1], t2]"),
        ),
        latex="{x:6}_{{[{i}]}}",
        binds=5,
    ),
    "T": _view("x.T", ("g.T",), shape=shapes.permuted, samples=("x23.T",), latex=_top),
    "mT": _view("x.mT", ("g.mT",), shape=shapes.permuted, samples=("x234.mT",), latex=r"{x:5}^{{\top}}"),
    "transpose": _view(
        "np.transpose(x, axes)",
        (_permuted, None),
        ("x", "*axes"),
        shapes.permuted,
        samples=("transpose(x234, 2, 0, 1)", "transpose(x23, -1, 0)"),
    ),
    "swapaxes": _view(
        "np.swapaxes(x, a, b)",
        ("swapaxes(g, a, b)", None, None),
        ("x", "a", "b"),
        shapes.permuted,
        samples=("swapaxes(x234, 0, -1)",),
    ),
    # what is on or below, or on or above, the k-th diagonal of a matrix, and 0 elsewhere
    **{
        name: Op(
            f"np.{name}(x, k)",
            (f"{name}(g, k)", None),
            ("x", "k"),
            shapes.triangular,
            takes=("f", "i"),
            defaults={"k": 0},
            samples=(f"{name}(x23)", f"{name}(x233, -1)"),
            exact=True,
        )
        for name in ("tril", "triu")
    },
    "eye": _constant("np.eye(n, dtype=dtype)", args=("n",), shape=lambda types, call: shapes.filled(types, call) * 2),
    "reshape": _arranged(
        "np.reshape(x, shape)",
        (_reshape, None),
        ("x", "*shape"),
        shapes.reshaped,
        samples=("reshape(x23, 3, 2)", "reshape(x23, -1)", "reshape(x, 1, 1)"),
    ),
    "concat": _joined(
        "np.concatenate(joined, axis=axis)",
        shape=shapes.concatenated,
        each=_concat,
        settings={"axis": FIRST_AXIS},
        samples=("concat(a2, b3)", "concat(a21, b23, axis=1)"),
    ),
    "array": _joined(
        "np.stack(x)",
        args=("*x",),
        shape=shapes.stacked,
        each=_stacked,
        samples=("[a, b]",),
        latex=r"\left[{x}\right]",
        binds=6,
        cheap=True,
    ),
    "stack": _joined(
        "np.stack(joined, axis=axis)",
        shape=shapes.stacked,
        each=_stacked,
        settings={"axis": FIRST_AXIS},
        samples=("stack(a2, b2)", "stack(a23, b23, axis=-1)"),
    ),
    "shape": Op("np.array(np.shape(x))", (None,), shape=shapes.measured, takes=(ANY,), kind="i", cheap=True, unread=0),
    "size": Op("np.array(np.size(x))", (None,), shape=shapes.measured, takes=(ANY,), kind="i", cheap=True, unread=0),
    "diag": Op(
        "np.diag(x)", ("sum(g * diag(ones_like(x)), axis=1)",), shape=shapes.diagonal, samples=("diag(x3)",), exact=True
    ),
    # the gradient of x[i]: v put back to where it was taken from
    "scatter": Op(
        "",  # lowered by the compiler, as the index is
        (lambda site: f"g[{', '.join(f'i{k}' for k in range(len(site.args) - 2))}]", "zeros_like(x)", None),
        ("v", "x", "*i"),
        shapes.as_second,
        takes=("f", ANY, "i"),
        unread=1,
        samples=("scatter(v3, x23[1])", "scatter(v4, x2[[0, 1, 0, 0]])", "scatter(v2, x3[t2])"),
    ),
    "one_hot": Op("one_hot(t, n, dtype)", (None, None), ("t", "n"), shapes.class_rows, takes=("i", "i"), exact=True),
    "ones_like": _like("np.ones_like(x)"),
    "zeros_like": _like("np.zeros_like(x)"),
    "ones": _constant("np.ones(shape, dtype)", args=("*shape",), shape=shapes.filled),
    "zeros": _constant("np.zeros(shape, dtype)", args=("*shape",), shape=shapes.filled),
    "arange": Op("np.arange(n)", (None,), ("n",), shapes.filled, takes=("i",), kind="i"),
    "linspace": Op(
        "np.linspace(start, stop, n)",
        ("sum(g * linspace(1, 0, n))", "sum(g * linspace(0, 1, n))", None),
        ("start", "stop", "n"),
        shapes.spaced,
        takes=("f", "f", "i"),
        samples=("linspace(a, b, 5)", "linspace(a, 1, 3)"),
    ),
    # what Python computes from settings alone, in float64, before it meets the program's floats
    "rounded": Op("dtype(x)", (None,), internal=True),
    "double": Op("np.float64(x)", (None,), internal=True),
}
