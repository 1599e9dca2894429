"""The `layers:` shorthand -> equations.

It only expands: the equations that come out are what is derived, run and printed, as if they had been written by hand.
One table says what layers there are, one what losses.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Literal, NamedTuple

from mathlab.errors import ExpressionError, MathlabError, Place
from mathlab.language import OPS, read
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.ops import Op
from mathlab.language.shapes import Shape, Type, along_axis, broadcast, show
from mathlab.language.syntax import ALL, Call, Expr, Name, NewAxis, Num, parse, substitute, unparse

Batch = Literal["rows", "columns"]
Reduction = Literal["sum", "mean"]

BATCHES: tuple[Batch, ...] = ("rows", "columns")
REDUCTIONS: tuple[Reduction, ...] = ("sum", "mean")
INPUTS = ("x", "X")  # what the first layer reads, and
TARGETS = ("target", "y", "t", "Y", "T")  # what the loss compares with, unless the config says it
LOSS = "loss"

Arguments = Mapping[str, Type]
Text = Callable[[Batch | None], str]


class Part(NamedTuple):
    """A layer or a loss as the config says it."""

    kind: str
    given: Mapping[str, Equation] = {}  # its arguments
    name: str = ""  # of its node
    reduction: Reduction | None = None
    place: Place | None = None


class Layer(NamedTuple):
    """A kind of layer: the text of its equation over `x` and its other arguments; nodes are called `stem` and a number.

    `text` is told the arguments that are given, with their types, and how samples lie (None: there is one). Settings of
    a function stand as they are written where it has {settings}.
    """

    text: Callable[[Arguments, Batch | None], str]
    needs: tuple[str, ...] = ()  # the arguments that must be given,
    takes: tuple[str, ...] = ()  # and those that may be
    stem: str = "a"
    image: bool = False  # it is of images

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that the config may give it."""
        return (*self.needs, *self.takes, "x", "as")


class Output(NamedTuple):
    """What a loss finds."""

    y: Type  # of the network's output
    t: Type  # of the target
    samples: bool  # whether there may be several
    axis: int | tuple[int, ...] | None  # of one sample's outputs (None: a single number; several of an image)
    after: str  # the layer that made y


class Loss(NamedTuple):
    """A kind of loss: the text of its equation over `y`, `t` and, after a softmax, `z` (the logits)."""

    text: Callable[[Output, Reduction], str]
    reductions: tuple[Reduction, ...]  # how the samples may be put together, its own way first
    after: tuple[str, ...] = ()  # the layers that it can follow; all where it is empty
    needs: tuple[str, ...] = ()
    keys: tuple[str, ...] = ("target", "reduction", "as")


# --- layers -----------------------------------------------------------------------------------------------------------


def _affine(given: Arguments, batch: Batch | None) -> str:
    return _biased("x @ W" if batch == "rows" else "W @ x", given, "[:, None]" if batch == "columns" else "")


def _biased(product: str, given: Arguments, along: str) -> str:
    """With the bias, if there is one; `along` says how one of a single axis lies."""
    return product + (f" + b{along if given['b'].ndim == 1 else ''}" if "b" in given else "")


def _function(name: str, given: Arguments, batch: Batch | None) -> str:
    """A function of each entry, with what more it takes, or of a whole sample."""
    along = ["axis=0"] * (batch == "columns" and OPS[name].shape is along_axis)
    return f"{name}({', '.join(['x', *(f'{key}={key}' for key in given if key != 'x'), *along])})"


def _is_activation(op: Op) -> bool:
    """A function of one entry that has a derivative; further arguments have defaults."""
    one = op.args[:1] == ("x",) and set(op.args[1:]) == set(op.defaults) and not op.settings
    return one and op.shape is broadcast and None not in op.vjp and "(" in " ".join(op.samples)


def _convolution(given: Arguments, batch: Batch | None) -> str:
    return _biased("conv2d(x, k{settings})", given, "[:, None, None]")


def _pool(name: str) -> Layer:
    (must, *may) = OPS[name].settings
    return Layer(lambda given, batch: f"{name}(x{{settings}})", needs=(must,), takes=tuple(may), stem="m", image=True)


def _flattened(given: Arguments, batch: Batch | None) -> str:
    return f"reshape(x, -1, {math.prod(given['x'].shape[1:])})" if batch else "reshape(x, -1)"


BATCH_NORMS = {  # how samples lie, and the axes: what is averaged over, and how a number for each unit or channel lies
    ("rows", 2): ("0", ""),
    ("columns", 2): ("1", "[:, None]"),
    ("rows", 4): ("(0, 2, 3)", "[:, None, None]"),
    (None, 3): ("(1, 2)", "[:, None, None]"),
}


def _batch_norm(given: Arguments, batch: Batch | None) -> str:
    x = given["x"]
    if (batch, x.ndim) not in BATCH_NORMS:
        raise ExpressionError(f"batch_norm is over samples of units, or over images with channels, not {show(x.shape)}")
    return _normed(given, *BATCH_NORMS[batch, x.ndim])


def _layer_norm(given: Arguments, batch: Batch | None) -> str:
    return _normed(given, "0", "[:, None]") if batch == "columns" else _normed(given, "-1", "")


def _normed(given: Arguments, axis: str, along: str) -> str:
    mean, var = (f"{name}(x, axis={axis}, keepdims=True)" for name in ("mean", "var"))
    scaled = f"(x - {mean}) / sqrt({var} + {'eps' if 'eps' in given else 1e-5})"
    return scaled + (f" * gamma{along}" if "gamma" in given else "") + (f" + beta{along}" if "beta" in given else "")


NORMED = ("gamma", "beta", "eps")
LAYERS: Mapping[str, Layer] = {
    "affine": Layer(_affine, needs=("W",), takes=("b",), stem="z"),
    "conv2d": Layer(_convolution, needs=("k",), takes=("b", *OPS["conv2d"].settings), stem="z", image=True),
    "max_pool": _pool("max_pool"),
    "avg_pool": _pool("avg_pool"),
    "flatten": Layer(_flattened, stem="f", image=True),
    "batch_norm": Layer(_batch_norm, takes=NORMED, stem="n"),
    "layer_norm": Layer(_layer_norm, takes=NORMED, stem="n"),
    "add": Layer(lambda given, batch: "x + y", needs=("y",), stem="s"),  # what a residual block goes around
    **{
        name: Layer(partial(_function, name), takes=op.args[1:], stem="p" if name == "softmax" else "a")
        for name, op in OPS.items()
        if op.activation or _is_activation(op)
    },
}

# --- losses -----------------------------------------------------------------------------------------------------------


def _summed(each: str, out: Output, reduction: Reduction) -> str:
    """`each` summed over the outputs of a sample, and over the samples as `reduction` says."""
    if not out.y.ndim:
        return f"({each})"
    if reduction == "sum" or not out.samples:
        return f"sum({each})"
    return f"mean({each})" if out.axis is None else f"mean(sum({each}, axis={out.axis}))"


def _binary(out: Output, reduction: Reduction) -> str:
    over = reduction if out.y.ndim else ""
    if out.after != "sigmoid":  # the same from the logits, without a probability that could round to 0 or 1
        return f"{over}(softplus(y) - t * y)"
    return f"-{over}(t * log(y) + (1 - t) * log(1 - y))"


def _cross_entropy(out: Output, reduction: Reduction) -> str:
    logits = "z" if out.after == "softmax" else "y"
    rows = out.axis != 0 or not out.samples  # the op takes one sample a row
    if out.y.ndim == 2 and not out.t.ndim:  # the only sample, as a matrix of one column or row
        of_class, sample = ("t, 0", "[:, 0]") if out.axis == 0 else ("0, t", "[0]")
        return f"cross_entropy(y{sample}, t)" if out.after != "softmax" else f"-log(y[{of_class}])"
    if out.y.shape != out.t.shape:  # class indices
        if out.samples:
            return f"{reduction}(cross_entropy({logits if rows else f'{logits}.T'}, t))"
        return "cross_entropy(y, t)" if out.after != "softmax" else "-log(y[t])"
    if out.after != "softmax":
        each = "cross_entropy(y, t)" if rows else "cross_entropy(y.T, t.T)"
        return f"{reduction}({each})" if out.samples else each
    return f"-{_summed('t * log(y)', out, reduction)}"


LOGITS = ("affine", "flatten", "add")  # what may end in them
LOSSES: Mapping[str, Loss] = {
    "cross_entropy": Loss(_cross_entropy, ("mean", "sum"), after=("softmax", *LOGITS)),
    "half_sse": Loss(lambda out, over: f"{_summed('(y - t)**2', out, over)} / 2", ("sum", "mean")),
    "sse": Loss(lambda out, over: _summed("(y - t)**2", out, over), ("sum", "mean")),
    "mse": Loss(lambda out, over: "mean((y - t)**2)" if out.y.ndim else "(y - t)**2", ("mean",)),
    "bce": Loss(_binary, ("mean", "sum"), after=("sigmoid", *LOGITS)),
}

# --- expansion --------------------------------------------------------------------------------------------------------


def expand(
    layers: Sequence[Part], loss: Part | None, batch: Batch | None, inputs: Collection[str], names: Types
) -> tuple[tuple[Equation, ...], Equation | None]:
    """The equations of the layers (at least one) in order, and that of the loss, where there is one.

    A layer reads the node of the one before it, the first the input called x or X. A vector is one sample (`W @ x +
    b`), a matrix has one sample a row (`X @ W + b`), or with `batch` "columns" one a column (`W @ X + b`). Images are
    along the first axis. `inputs` are the names of the config's inputs; `names` holds the types of all names, and
    learns those of the layers' nodes.

    Raises MathlabError at the layer, or at its argument, for what is missing, unknown or does not fit.
    """
    x = _argument(layers[0], "x", INPUTS, inputs)
    start, image, depth = _type(x, names), False, 0
    batch = batch or ("rows" if _are_samples(layers, start, names) else None)
    equations: list[Equation] = []
    for layer in layers:
        kind = LAYERS[layer.kind]
        if kind.image and batch == "columns":
            raise MathlabError(f"{layer.kind} has samples along the first axis, not as columns", layer.place)
        depth += kind.stem == "z"
        given = {"x": x, **layer.given}
        settings = OPS[layer.kind].settings if layer.kind in OPS else {}
        handed = "".join(f", {key}={given[key].text}" for key in settings if key in given)
        types = {key: _type(argument, names) for key, argument in given.items() if key not in settings}
        stem = kind.stem if kind.stem == "p" else f"{kind.stem}{depth}"
        others, taken = (f"{stem}_{count}" for count in itertools.count(2)), [equation.name for equation in equations]
        name = layer.name or next(free for free in itertools.chain([stem], others) if free not in taken)
        text = partial(_layer_text, kind, types, handed)
        equations.append(_equation(name, text, batch, given, layer, names))
        logits, x = given["x"], Equation("x", Name(name), place=layer.place)
        flat = layer.kind == "flatten"
        start, image = (_type(x, names), False) if flat else (start, image or kind.image)
    if loss is None:
        return tuple(equations), None
    target = _argument(loss, "target", TARGETS, inputs)
    if loss.kind == "bce":
        target = _beside(x, target, names)
    ndim = _type(x, names).ndim
    of_sample = (0,) if batch == "columns" else tuple(range(1 if image else ndim - 1, ndim))
    axes = of_sample if ndim >= max(start.ndim, 1) else ()
    said = _loss_text(loss, layers[-1], x, target, axes, batch is not None and start.ndim > 1, names)
    values = {"y": x, "t": target, "z": logits}
    return tuple(equations), _equation(loss.name or LOSS, lambda _: said, batch, values, loss, names)


def _layer_text(kind: Layer, types: Arguments, settings: str, batch: Batch | None) -> str:
    return kind.text(types, batch).format(settings=settings)


def _are_samples(layers: Sequence[Part], start: Type, names: Types) -> bool:
    """Whether the first axis is that of samples: a kernel tells how many axes an image has, and else it has two."""
    if kernel := next((layer.given["k"] for layer in layers if layer.kind == "conv2d"), None):
        return start.ndim > min(_type(kernel, names).ndim, 3)
    before = itertools.takewhile(lambda layer: layer.kind != "affine", layers)
    return start.ndim > 1 + any(LAYERS[layer.kind].image for layer in before)


def _argument(part: Part, key: str, usual: Sequence[str], inputs: Collection[str]) -> Equation:
    """The argument as it is given, or the one input that has a usual name."""
    if key in part.given:
        return part.given[key]
    found = [name for name in usual if name in inputs]
    if len(found) == 1:
        return Equation(key, Name(found[0]), place=part.place)
    why = f"there are {' and '.join(found)}" if found else f"no input is called {', '.join(usual[:-1])} or {usual[-1]}"
    raise MathlabError(f"say what {part.kind} reads, as in {part.kind}: {{{key}: NAME}}; {why}", part.place)


def _beside(output: Equation, target: Equation, names: Types) -> Equation:
    """The target in the output's shape, where one is a vector and the other a single column or row of such."""
    y, t = _type(output, names).shape, _type(target, names).shape
    items: dict[Shape, tuple[Expr, ...]] = {
        (*t, 1): (*[ALL] * len(t), NewAxis()),
        (1, *t): (NewAxis(),),
        t[:-1] if t[-1:] == (1,) else t: (*[ALL] * (len(t) - 1), Num(0)),
        t: (),
    }
    return replace(target, expr=Call("index", (target.expr, *items[y]))) if items.get(y) else target


def _loss_text(
    loss: Part, last: Part, output: Equation, target: Equation, axes: tuple[int, ...], several: bool, names: Types
) -> str:
    """The text of the loss, of an output of which one sample has these axes."""
    kind, y, t = LOSSES[loss.kind], _type(output, names), _type(target, names)
    if kind.after and last.kind not in kind.after:
        *others, other = kind.after
        after = f"{', '.join(others)} or {other}"
        raise MathlabError(f"{loss.kind} comes after {after}, not after {last.kind}", loss.place)
    reduction = loss.reduction or kind.reductions[0]
    if reduction not in kind.reductions:
        raise MathlabError(f"{loss.kind} has the reduction {' or '.join(kind.reductions)} only", loss.place)
    axis = axes if len(axes) > 1 else axes[0] if axes else None
    samples = tuple(size for position, size in enumerate(y.shape) if position not in axes)
    classes = loss.kind == "cross_entropy" and axis is not None
    if t.shape != y.shape and not (classes and (t.shape == samples or (samples == (1,) and not t.ndim))):
        shapes = f"the output '{output.text}' has {show(y.shape)}, the target '{target.text}' has {show(t.shape)}"
        raise MathlabError(f"the shapes that {loss.kind} compares do not fit: {shapes}", loss.place)
    return kind.text(Output(y, t, several, axis, last.kind), reduction)


def _type(argument: Equation, names: Types) -> Type:
    try:
        return names.of(argument.expr)
    except ExpressionError as error:
        raise error.at(argument.place) from None


def _equation(
    name: str, text: Text, batch: Batch | None, given: Mapping[str, Equation], part: Part, names: Types
) -> Equation:
    """The equation `text` over what is given; where it does not fit and that of columns would, the message says so."""
    values = {key: argument.expr for key, argument in given.items()}

    def typed(batch: Batch | None) -> Expr:
        expr = substitute(read(text(batch)), values)
        names.names[name] = names.of(expr)
        return expr

    quoted = ""
    try:
        quoted = f"{name} = {unparse(substitute(parse(text(batch)), values))}: "
        return Equation(name, typed(batch), place=part.place, named_at=part.place)
    except ExpressionError as error:
        hint = ""
        with suppress(ExpressionError):
            hint = "; where samples are columns, say 'batch: columns'" if batch == "rows" and typed("columns") else ""
        # the equation is quoted, for it does not stand in the config
        raise MathlabError(f"{quoted}{error.message}{hint}", part.place) from None
