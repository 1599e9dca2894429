"""The `layers:` shorthand -> equations.

It only expands: the equations that come out are what is derived, run and printed, as if they had been written by hand.
One table says what layers there are, one what losses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from mathlab.errors import ExpressionError, MathlabError, Place
from mathlab.language import OPS, read
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.ops import ACTIVATIONS, Op
from mathlab.language.shapes import Shape, Type, along_axis, broadcast, show
from mathlab.language.syntax import Call, Expr, Name, NewAxis, Num, Slice, substitute

Batch = Literal["rows", "columns"]
Reduction = Literal["sum", "mean"]

BATCHES: tuple[Batch, ...] = ("rows", "columns")
REDUCTIONS: tuple[Reduction, ...] = ("sum", "mean")
INPUTS = ("x", "X")  # what the first layer reads, and
TARGETS = ("target", "y", "t", "Y", "T")  # what the loss compares with, unless the config says it
LOSS = "loss"

Arguments = Mapping[str, Type]


@dataclass(frozen=True)
class Part:
    """A layer or a loss as the config says it: `given` holds its arguments, `name` that of its node."""

    kind: str
    given: Mapping[str, Equation] = field(default_factory=dict)
    name: str = ""
    reduction: Reduction | None = None
    place: Place | None = None


@dataclass(frozen=True)
class Layer:
    """A kind of layer: the text of its equation over `x` and its other arguments; nodes are called `stem` and a number.

    `text` is told the arguments that are given, with their types, and how samples lie (None: there is one, a vector).
    `needs` are the arguments that must be given, `takes` those that may be.
    """

    text: Callable[[Arguments, Batch | None], str]
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    stem: str = "a"

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that the config may give it."""
        return (*self.needs, *self.takes, "x", "as")


@dataclass(frozen=True)
class Output:
    """What a loss finds: the types of the network's output `y` and of the target `t`.

    `samples` says whether there may be several, `axis` is that of one sample's outputs (None: a single number), `after`
    the layer that made `y`.
    """

    y: Type
    t: Type
    samples: bool
    axis: int | None
    after: str


@dataclass(frozen=True)
class Loss:
    """A kind of loss: the text of its equation over `y`, `t` and, after a softmax, `z` (the logits).

    `reductions` says how the samples may be put together, its own way first. `after` lists the layers that it can
    follow (all where it is empty).
    """

    text: Callable[[Output, Reduction], str]
    reductions: tuple[Reduction, ...]
    after: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    keys: tuple[str, ...] = ("target", "reduction", "as")


# --- layers -----------------------------------------------------------------------------------------------------------


def _affine(given: Arguments, batch: Batch | None) -> str:
    product = "x @ W" if batch == "rows" else "W @ x"
    if "b" not in given:
        return product
    # a bias of one axis is added to every column
    return f"{product} + b[:, None]" if batch == "columns" and given["b"].ndim == 1 else f"{product} + b"


def _function(name: str, given: Arguments, batch: Batch | None) -> str:
    """A function of each entry, with what more it takes, or of a whole sample."""
    along = ["axis=0"] * (batch == "columns" and OPS[name].shape is along_axis)
    return f"{name}({', '.join(['x', *(f'{key}={key}' for key in given if key != 'x'), *along])})"


def _is_activation(op: Op) -> bool:
    """A function of one entry that has a derivative; further arguments have defaults."""
    one = op.args[:1] == ("x",) and set(op.args[1:]) == set(op.defaults) and not op.settings
    return one and op.shape is broadcast and None not in op.vjp and "(" in " ".join(op.samples)


LAYERS: Mapping[str, Layer] = {
    "affine": Layer(_affine, needs=("W",), takes=("b",), stem="z"),
    **{
        name: Layer(partial(_function, name), takes=op.args[1:], stem="p" if name == "softmax" else "a")
        for name, op in OPS.items()
        if _is_activation(op) or (name in ACTIVATIONS and op.shape is along_axis)
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
    if out.after == "affine":  # the same from the logits, without a probability that could round to 0 or 1
        return f"{over}(softplus(y) - t * y)"
    return f"-{over}(t * log(y) + (1 - t) * log(1 - y))"


def _cross_entropy(out: Output, reduction: Reduction) -> str:
    logits = "y" if out.after == "affine" else "z"
    rows = out.axis != 0 or not out.samples  # the op takes one sample a row
    if out.y.ndim == 2 and not out.t.ndim:  # the only sample, as a matrix of one column or row
        of_class, sample = ("t, 0", "[:, 0]") if out.axis == 0 else ("0, t", "[0]")
        return f"cross_entropy(y{sample}, t)" if out.after == "affine" else f"-log(y[{of_class}])"
    if out.y.shape != out.t.shape:  # class indices
        if out.samples:
            return f"{reduction}(cross_entropy({logits if rows else f'{logits}.T'}, t))"
        return "cross_entropy(y, t)" if out.after == "affine" else "-log(y[t])"
    if out.after == "affine":
        each = "cross_entropy(y, t)" if rows else "cross_entropy(y.T, t.T)"
        return f"{reduction}({each})" if out.samples else each
    return f"-{_summed('t * log(y)', out, reduction)}"


LOSSES: Mapping[str, Loss] = {
    "cross_entropy": Loss(_cross_entropy, ("mean", "sum"), after=("softmax", "affine")),
    "half_sse": Loss(lambda out, over: f"{_summed('(y - t)**2', out, over)} / 2", ("sum", "mean")),
    "sse": Loss(lambda out, over: _summed("(y - t)**2", out, over), ("sum", "mean")),
    "mse": Loss(lambda out, over: "mean((y - t)**2)" if out.y.ndim else "(y - t)**2", ("mean",)),
    "bce": Loss(_binary, ("mean", "sum"), after=("sigmoid", "affine")),
}

# --- expansion --------------------------------------------------------------------------------------------------------


def expand(
    layers: Sequence[Part], loss: Part | None, batch: Batch | None, inputs: Collection[str], names: Types
) -> tuple[tuple[Equation, ...], Equation | None]:
    """The equations of the layers (at least one) in order, and that of the loss, where there is one.

    A layer reads the node of the one before it, the first the input called x or X. A vector is one sample (`W @ x +
    b`), a matrix has one sample a row (`X @ W + b`), or with `batch` "columns" one a column (`W @ X + b`). `inputs` are
    the names of the config's inputs; `names` holds the types of all names, and learns those of the layers' nodes.

    Raises MathlabError at the layer, or at its argument, for what is missing, unknown or does not fit.
    """
    x = _argument(layers[0], "x", INPUTS, inputs)
    start = _type(x, names)
    batch = batch or ("rows" if start.ndim > 1 else None)
    equations: list[Equation] = []
    depth = 0
    for layer in layers:
        kind = LAYERS[layer.kind]
        depth += layer.kind == "affine"
        given = {"x": x, **layer.given}
        types = {key: _type(argument, names) for key, argument in given.items()}
        text = kind.text(types, batch)
        stem = kind.stem if kind.stem == "p" else f"{kind.stem}{depth}"
        taken = {equation.name for equation in equations}
        others = (stem, *(f"{stem}_{count}" for count in range(2, len(taken) + 3)))
        name = layer.name or next(free for free in others if free not in taken)
        values = {key: argument.expr for key, argument in given.items()}
        by_columns = kind.text(types, "columns") if batch == "rows" else ""
        equations.append(_equation(name, text, values, layer, names, by_columns))
        logits, x = given["x"], Equation("x", Name(name), place=layer.place)
    if loss is None:
        return tuple(equations), None
    target = _argument(loss, "target", TARGETS, inputs)
    if loss.kind == "bce":
        target = _beside(x, target, names)
    text = _loss_text(loss, layers[-1], x, target, batch, start, names)
    values = {"y": x.expr, "t": target.expr, "z": logits.expr}
    return tuple(equations), _equation(loss.name or LOSS, text, values, loss, names)


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
    whole = Slice(None, None, None)
    items: dict[Shape, tuple[Expr, ...]] = {
        (*t, 1): (*[whole] * len(t), NewAxis()),
        (1, *t): (NewAxis(),),
        t[:-1] if t[-1:] == (1,) else t: (*[whole] * (len(t) - 1), Num(0)),
        t: (),
    }
    return replace(target, expr=Call("index", (target.expr, *items[y]))) if items.get(y) else target


def _loss_text(
    loss: Part, last: Part, output: Equation, target: Equation, batch: Batch | None, start: Type, names: Types
) -> str:
    kind, y, t = LOSSES[loss.kind], _type(output, names), _type(target, names)
    if kind.after and last.kind not in kind.after:
        raise MathlabError(f"{loss.kind} comes after {' or '.join(kind.after)}, not after {last.kind}", loss.place)
    reduction = loss.reduction or kind.reductions[0]
    if reduction not in kind.reductions:
        raise MathlabError(f"{loss.kind} has the reduction {' or '.join(kind.reductions)} only", loss.place)
    axis = None if y.ndim < max(start.ndim, 1) else 0 if batch == "columns" else y.ndim - 1
    samples = tuple(size for position, size in enumerate(y.shape) if position != axis)
    classes = loss.kind == "cross_entropy" and axis is not None
    if t.shape != y.shape and not (classes and (t.shape == samples or (samples == (1,) and not t.ndim))):
        shapes = f"the output '{output.text}' has {show(y.shape)}, the target '{target.text}' has {show(t.shape)}"
        raise MathlabError(f"the shapes that {loss.kind} compares do not fit: {shapes}", loss.place)
    return kind.text(Output(y, t, start.ndim > 1, axis, last.kind), reduction)


def _type(argument: Equation, names: Types) -> Type:
    try:
        return names.of(argument.expr)
    except ExpressionError as error:
        raise error.at(argument.place) from None


def _equation(
    name: str, text: str, values: Mapping[str, Expr], part: Part, names: Types, by_columns: str = ""
) -> Equation:
    """The equation `text` over `values`; where it does not fit and `by_columns` would, the message says so."""
    expr = substitute(read(text), values)
    equation = Equation(name, expr, place=part.place, named_at=part.place)
    try:
        names.names[name] = names.of(expr)
    except ExpressionError as error:
        fits = by_columns and _fits(substitute(read(by_columns), values), names)
        hint = "; where samples are columns, say 'batch: columns'" if fits else ""
        # the equation is quoted, for it does not stand in the config
        raise MathlabError(f"{name} = {equation.text}: {error.message}{hint}", part.place) from None
    return equation


def _fits(expr: Expr, names: Types) -> bool:
    with suppress(ExpressionError):
        names.of(expr)
        return True
    return False
