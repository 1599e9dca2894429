"""Picking and arranging: what never rounds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from mathlab.language import shapes
from mathlab.language.ops.record import ANY, FIRST_AXIS, X3, X23, Op, Site
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
_joined = partial(Op, vjp=(), args=("*joined",), takes=(ANY,), kind="same", exact=True)
_constant = partial(Op, vjp=(None,), takes=("i",), exact=True, cheap=True)


def _triangle(name: str) -> Op:
    """What is on or below, or on or above, the k-th diagonal of a matrix, and 0 elsewhere."""
    samples: Mapping[str, Mapping[str, shapes.Shape]] = {f"{name}(x)": X23, f"{name}(x, -1)": {"x": (2, 3, 3)}}
    return Op(
        f"np.{name}(x, k)",
        (f"{name}(g, k)", None),
        ("x", "k"),
        shapes.triangular,
        takes=("f", "i"),
        defaults={"k": 0},
        exact=True,
        samples=samples,
    )


ARRAYS: Mapping[str, Op] = {
    "index": _arranged(
        "",  # lowered by the compiler, as a subscript
        (_index, None),
        ("x", "*i"),
        shapes.indexed,
        latex="{x:6}_{{[{i}]}}",
        binds=5,
        samples=dict.fromkeys(("x[1]", "x[0:2]", "x[:, None]", "x[[0, 1, 0]]"), X3)
        | dict.fromkeys(("x[1, 0]", "x[:, 1]", "x[:, ::2]"), X23)
        | {"x[t]": {"x": (3,), "t": ()}, "x[[0, 1], t]": {"x": (2, 3), "t": (2,)}},
    ),
    "T": _arranged("x.T", ("g.T",), shape=shapes.transposed, latex=_top, cheap=True, samples={"x.T": X23}),
    "mT": _arranged(
        "x.mT",
        ("g.mT",),
        shape=shapes.transposed,
        latex=r"{x:5}^{{\top}}",
        cheap=True,
        samples={"x.mT": {"x": (2, 3, 4)}},
    ),
    "transpose": _arranged(
        "np.transpose(x, axes)",
        (_permuted, None),
        ("x", "*axes"),
        shapes.permuted,
        cheap=True,
        samples={"transpose(x, 2, 0, 1)": {"x": (2, 3, 4)}, "transpose(x, -1, 0)": X23},
    ),
    "swapaxes": _arranged(
        "np.swapaxes(x, a, b)",
        ("swapaxes(g, a, b)", None, None),
        ("x", "a", "b"),
        shapes.permuted,
        cheap=True,
        samples={"swapaxes(x, 0, -1)": {"x": (2, 3, 4)}},
    ),
    "tril": _triangle("tril"),
    "triu": _triangle("triu"),
    "eye": _constant("np.eye(n, dtype=dtype)", args=("n",), shape=shapes.square),
    "reshape": _arranged(
        "np.reshape(x, shape)",
        (_reshape, None),
        ("x", "*shape"),
        shapes.reshaped,
        samples={"reshape(x, 3, 2)": X23, "reshape(x, -1)": X23, "reshape(x, 1, 1)": {"x": ()}},
    ),
    "concat": _joined(
        "np.concatenate(joined, axis=axis)",
        shape=shapes.concatenated,
        each=_concat,
        settings={"axis": FIRST_AXIS},
        samples={"concat(a, b)": {"a": (2,), "b": (3,)}, "concat(a, b, axis=1)": {"a": (2, 1), "b": (2, 3)}},
    ),
    "array": _joined(
        "np.stack(x)",
        args=("*x",),
        shape=shapes.stacked,
        each=_stacked,
        latex=r"\left[{x}\right]",
        binds=6,
        cheap=True,
        samples={"[a, b]": {"a": (), "b": ()}},
    ),
    "stack": _joined(
        "np.stack(joined, axis=axis)",
        shape=shapes.stacked,
        each=_stacked,
        settings={"axis": FIRST_AXIS},
        samples={"stack(a, b)": {"a": (2,), "b": (2,)}, "stack(a, b, axis=-1)": {"a": (2, 3), "b": (2, 3)}},
    ),
    "shape": Op("np.array(np.shape(x))", (None,), shape=shapes.measured, takes=(ANY,), kind="i", cheap=True),
    "size": Op("np.array(np.size(x))", (None,), shape=shapes.measured, takes=(ANY,), kind="i", cheap=True),
    "diag": Op(
        "np.diag(x)",
        ("sum(g * diag(ones_like(x)), axis=1)",),
        shape=shapes.diagonal,
        exact=True,
        samples={"diag(x)": X3},
    ),
    # the gradient of x[i]: v put back to where it was taken from
    "scatter": Op(
        "",  # lowered by the compiler, as the index is
        (lambda site: f"g[{', '.join(f'i{k}' for k in range(len(site.args) - 2))}]", "zeros_like(x)", None),
        ("v", "x", "*i"),
        shapes.as_second,
        takes=("f", ANY, "i"),
        samples={
            "scatter(v, x[1])": {"v": (3,), "x": (2, 3)},
            "scatter(v, x[[0, 1, 0]])": {"v": (3,), "x": (2,)},
            "scatter(v, x[t])": {"v": (2,), "x": (3,), "t": (2,)},
        },
    ),
    "one_hot": Op("one_hot(t, n, dtype)", (None, None), ("t", "n"), shapes.class_rows, takes=("i", "i"), exact=True),
    "ones_like": _constant("np.ones_like(x)", shape=shapes.same, takes=()),
    "zeros_like": _constant("np.zeros_like(x)", shape=shapes.same, takes=()),
    "ones": _constant("np.ones(shape, dtype)", args=("*shape",), shape=shapes.filled),
    "zeros": _constant("np.zeros(shape, dtype)", args=("*shape",), shape=shapes.filled),
    "arange": Op("np.arange(n)", (None,), ("n",), shapes.filled, takes=("i",), kind="i"),
    "linspace": Op(
        "np.linspace(start, stop, n)",
        ("sum(g * linspace(1, 0, n))", "sum(g * linspace(0, 1, n))", None),
        ("start", "stop", "n"),
        shapes.spaced,
        takes=("f", "f", "i"),
        samples={"linspace(a, b, 5)": {"a": (), "b": ()}, "linspace(a, 1, 3)": {"a": ()}},
    ),
    # what Python computes from settings alone, in float64, before it meets the program's floats
    "rounded": Op("dtype(x)", (None,), internal=True),
    "double": Op("np.float64(x)", (None,), internal=True),
}
