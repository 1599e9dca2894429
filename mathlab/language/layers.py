"""The `layers:` shorthand -> equations.

It only expands: the equations that come out are what is derived, run and printed, as if they had been written by hand.
`layers.txt` says what layers there are, beside the functions of one entry, and a table here what losses.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from mathlab.errors import ExpressionError, MathlabError, Place
from mathlab.language import OPS, read
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.ops import Op
from mathlab.language.shapes import Shape, Type, along_axis, broadcast
from mathlab.language.syntax import ALL, Call, Expr, Name, NewAxis, Num, parse, substitute, unparse
from mathlab.language.tables import called, table

Batch = Literal["rows", "columns"]
Reduction = Literal["sum", "mean"]

BATCHES: tuple[Batch, ...] = ("rows", "columns")
REDUCTIONS: tuple[Reduction, ...] = ("sum", "mean")
INPUTS = ("x", "X")  # what the first layer reads, and
TARGETS = ("target", "y", "t", "Y", "T")  # what the loss compares with, unless the config says it
LOSS = "loss"

Text = Callable[[Batch | None], str]


class Part(NamedTuple):
    """A layer or a loss as the config says it."""

    kind: str
    given: Mapping[str, Equation] = {}  # its arguments
    name: str = ""  # of its node
    reduction: Reduction | None = None
    place: Place | None = None


class Layer(NamedTuple):
    """A kind of layer, as `layers.txt` tells of it."""

    facts: Mapping[str, str]
    needs: tuple[str, ...] = ()  # the arguments that must be given,
    takes: tuple[str, ...] = ()  # and those that may be
    defaults: Mapping[str, Equation] = {}

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


def _is_activation(op: Op) -> bool:
    """A function of one entry that has a derivative; further arguments have defaults."""
    one = op.args[:1] == ("x",) and set(op.args[1:]) == set(op.defaults) and not op.settings
    return one and op.shape is broadcast and None not in op.vjp and "(" in " ".join(op.samples)


def _layer(row: str) -> tuple[str, Layer]:
    """The name and the record of one row."""
    name, arguments = called(row)
    may = [argument for argument, default in arguments.items() if default or argument[-1] == "?"]
    needs = tuple(argument for argument in arguments if argument not in may)
    defaults = {key: Equation(key, parse(default)) for key, default in arguments.items() if default}
    return name, Layer(ROWS[row], needs, tuple(argument.rstrip("?") for argument in may), defaults)


def _function(name: str, op: Op) -> Layer:
    """A function of each entry, with what more it takes, or of a whole sample."""
    equation = f"{name}(x{''.join(f'{{, {argument}}}' for argument in op.args[1:])})"
    columns = {"equation in columns": f"{name}(x, axis=0)"} if op.shape is along_axis else {}
    return Layer({"stem": "p" if name == "softmax" else "a", "equation": equation, **columns}, takes=op.args[1:])


ROWS = table(Path(__file__).with_suffix(".txt"))
LAYERS: Mapping[str, Layer] = {
    **dict(map(_layer, ROWS)),
    **{name: _function(name, op) for name, op in OPS.items() if op.activation or _is_activation(op)},
}


def _layer_text(layer: Part, given: Mapping[str, Equation], names: Types, batch: Batch | None) -> str:
    """The text of its equation over what is given, where samples lie so; settings stand as they are written."""
    settings = OPS[layer.kind].settings if layer.kind in OPS else {}
    types = {key: _type(argument, names) for key, argument in given.items() if key not in settings}
    facts, shape, lies = LAYERS[layer.kind].facts, types["x"].shape, f" in {batch or 'one'}"
    handed = "".join(f", {key}={given[key].text}" for key in settings if key in given)

    def fact(name: str) -> str:
        keys = (f"{name}{lies} of {len(shape)}", f"{name}{lies}", name)
        found = next((facts[key] for key in keys if key in facts), "")
        if name == "over" and not found:
            raise ExpressionError(f"{layer.kind} is over {facts['fits']}, not {shape}")
        return found

    def optional(part: re.Match[str]) -> str:
        argument = types.get(part[2])
        return "" if argument is None else part[1] + (part[3] if argument.ndim == 1 else "")

    fields = {"settings": handed, "entries": str(math.prod(shape[1:]))}
    text = re.sub(r"\{(\w+)\}", lambda field: fields.get(field[1]) or fact(field[1]), fact("equation"))
    return re.sub(r"\{(\W*(\w+))(.*?)\}", optional, text)


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
        if "image" in kind.facts and batch == "columns":
            raise MathlabError(f"{layer.kind} has samples along the first axis, not as columns", layer.place)
        depth += kind.facts["stem"] == "z"
        given = {"x": x, **kind.defaults, **layer.given}
        name = layer.name or _free_name(kind.facts["stem"], depth, [equation.name for equation in equations])
        equations.append(_equation(name, partial(_layer_text, layer, given, names), batch, given, layer, names))
        logits, x = given["x"], Equation("x", Name(name), place=layer.place)
        image = layer.kind != "flatten" and (image or "image" in kind.facts)
        if layer.kind == "flatten":
            start = _type(x, names)
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


def _free_name(stem: str, depth: int, taken: Collection[str]) -> str:
    """What a node is called: z1, a1, z2 and so on, and p the probabilities; another of the same name is a1_2."""
    name = stem if stem == "p" else f"{stem}{depth}"
    numbered = (f"{name}_{count}" for count in itertools.count(2))
    return next(free for free in itertools.chain([name], numbered) if free not in taken)


def _are_samples(layers: Sequence[Part], start: Type, names: Types) -> bool:
    """Whether the first axis is that of samples: a kernel tells how many axes an image has, and else it has two."""
    if kernel := next((layer.given["k"] for layer in layers if layer.kind == "conv2d"), None):
        return start.ndim > min(_type(kernel, names).ndim, 3)
    before = itertools.takewhile(lambda layer: layer.kind != "affine", layers)
    return start.ndim > 1 + any("image" in LAYERS[layer.kind].facts for layer in before)


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
        shapes = f"the output '{output.text}' has {y.shape}, the target '{target.text}' has {t.shape}"
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
