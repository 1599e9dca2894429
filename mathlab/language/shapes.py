"""Shapes and kinds of expressions, without computing anything: one function per family of ops.

Every function takes the types of an op's arguments and the call itself, and returns the shape of the result. One that
cannot be raises `ShapeError`, with a sentence that names the shapes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mathlab.language.syntax import Call, Expr, NewAxis, Num, Slice
from mathlab.signs import out_of_bounds

Shape = tuple[int, ...]
Kind = Literal["f", "i", "b"]  # floats, integers that serve as indices, masks
MOST_AXES = 32  # of an array; half of what NumPy has, so that intermediate results fit too
LARGEST = 200_000_000  # entries; anything larger is a mistake, or meant to hurt


class ShapeError(ValueError):
    """Arguments that do not fit together; the message is a clause that names their shapes."""


class Type(NamedTuple):
    """What is known of a value before it is computed."""

    shape: Shape
    kind: Kind = "f"

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def broadcast(types: Sequence[Type], call: Call) -> Shape:
    """The shape of an elementwise op, by NumPy's broadcasting rules."""
    shapes = [type_.shape for type_ in types if type_.shape]
    if len({*shapes}) < 2:  # which is sooner told than NumPy tells it
        return shapes[0] if shapes else ()
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(f"shapes {' and '.join(map(str, shapes))} do not fit together") from None


def axes_of(type_: Type, axis: object) -> tuple[int, ...]:
    """The axes that a reduction runs over, counted from 0 and in order; all of them when `axis` is None."""
    if axis is None:
        return tuple(range(type_.ndim))
    axes: tuple[int, ...] = axis if isinstance(axis, tuple) else (axis,)
    for one in axes:
        if not -type_.ndim <= one < type_.ndim:
            raise ShapeError(f"axis {one} does not exist in shape {type_.shape}, whose axes are counted from 0")
    counted = {one % type_.ndim for one in axes}
    if len(counted) != len(axes):
        raise ShapeError("an axis is named twice")
    return tuple(sorted(counted))


def reduced(types: Sequence[Type], call: Call) -> Shape:
    """The shape after a reduction over `axis`, which stays with length 1 under `keepdims`."""
    axes, kept, ddof = axes_of(types[0], call.attr("axis")), call.attr("keepdims"), call.attr("ddof")
    count = math.prod(types[0].shape[axis] for axis in axes)
    if isinstance(ddof, int) and 0 < count <= ddof:  # the count less ddof is what it divides by
        raise ShapeError(f"{call.op} with ddof={ddof} needs more than {ddof} entries, and there are {count}")
    return tuple(1 if i in axes else n for i, n in enumerate(types[0].shape) if kept or i not in axes)


def along_axis(types: Sequence[Type], call: Call) -> Shape:
    """The shape of an op that normalises along one axis, as softmax does: unchanged."""
    axis, shape = call.attr("axis"), types[0].shape
    if not shape:
        raise ShapeError("a single number has no axis to run along")
    (counted,) = axes_of(types[0], -1 if axis is None else axis)
    if shape[counted] == 1 and axis is None:
        meant = f"say which axis is meant, as in axis=0{f'; axis={counted}, if it is the last' if counted else ''}"
        raise ShapeError(f"shape {shape} has length 1 along its last axis ({meant})")
    return shape


def matmul(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `a @ b`: vectors, matrices, and, but for `dot`, stacks of matrices whose leading axes broadcast."""
    a, b = (type_.shape for type_ in types)
    if call.op == "dot" and max(len(a), len(b)) > 2:
        raise ShapeError("dot takes vectors and matrices; write @ for stacks of them")
    if not a or not b:
        raise ShapeError(f"@ needs vectors or matrices, not shapes {a} and {b}; a number is multiplied with *")
    inner_a, inner_b = a[-1], b[-2] if len(b) > 1 else b[0]
    if inner_a != inner_b:
        all_products = " (of two vectors, outer(a, b) is the matrix of all products)" * (len(a) == len(b) == 1)
        raise ShapeError(f"shapes {a} and {b} do not fit: the inner sizes {inner_a} and {inner_b} differ{all_products}")
    try:
        stack = np.broadcast_shapes(a[:-2], b[:-2])
    except ValueError:
        raise ShapeError(f"shapes {a} and {b} do not fit: their leading axes differ") from None
    return (*stack, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))


def vectors(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `outer(a, b)`."""
    a, b = (type_.shape for type_ in types)
    if len(a) != 1 or len(b) != 1:
        raise ShapeError(f"outer takes two vectors, not shapes {a} and {b}")
    return (*a, *b)


def permutation(type_: Type, call: Call) -> tuple[int, ...]:
    """The order of axes, counted from 0, of `x.T`, `x.mT`, `transpose(x, 0, 2, 1)` and `swapaxes(x, 1, 2)`.

    It is what NumPy makes of the shape (0, 1, 2).
    """
    axes, counted = [integer(expr, "an axis") for expr in call.args[1:]], np.empty(range(type_.ndim), "V0")
    try:
        if call.op in ("T", "mT"):
            return (counted.T if call.op == "T" else counted.mT).shape
        return (np.swapaxes(counted, *axes) if call.op == "swapaxes" else np.transpose(counted, axes)).shape
    except ValueError as error:
        raise ShapeError(f"shape {type_.shape} cannot be turned so: {error}") from None


def permuted(types: Sequence[Type], call: Call) -> Shape:
    """The shape with its axes in another order."""
    return tuple(types[0].shape[axis] for axis in permutation(types[0], call))


def triangular(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `tril(x)`: that of a matrix, or of a stack of them."""
    x, k = (type_.shape for type_ in types)
    if len(x) < 2 or k:
        raise ShapeError(f"{call.op} takes a matrix and one whole number, not shapes {x} and {k}")
    return x


def integer(expr: Expr, what: str) -> int:
    """The whole number that `expr` spells out."""
    if isinstance(expr, Num) and isinstance(expr.value, int):
        return expr.value
    raise ShapeError(f"{what} must be a whole number that is written out, or an input that is one,")


def reshaped(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `reshape(x, 2, 3)`; one size may be -1."""
    shape, size = tuple(integer(expr, "a size") for expr in call.args[1:]), types[0].size
    known = math.prod(n for n in shape if n != -1)
    made = tuple(size // known if n == -1 else n for n in shape) if known and shape.count(-1) == 1 else shape
    if math.prod(made) != size or any(n < 0 for n in made):
        raise ShapeError(f"shape {types[0].shape} with {size} entries cannot become {shape}")
    return made


def filled(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `ones(2, 3)`, and of `eye(3)`."""
    shape = tuple(integer(expr, "a size") for expr in call.args)
    if any(n < 0 for n in shape):
        raise ShapeError(f"shape {shape} has a negative size")
    return shape * 2 if call.op == "eye" else shape


def each_by_each(types: Sequence[Type], call: Call) -> Shape:
    """The shape of a Jacobian: an entry of the one by an entry of the other."""
    return types[0].shape + types[1].shape


def class_rows(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `one_hot(t, n)`: t's shape with a last axis of n classes."""
    n = integer(call.args[1], "the number of classes")
    if n < 1:
        raise ShapeError(f"one_hot needs at least one class, not {n}")
    return (*types[0].shape, n)


def per_sample(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `cross_entropy(z, t)`: one number for each row of logits."""
    z, t = (type_.shape for type_ in types)
    if not z:
        raise ShapeError("cross_entropy needs logits with an axis of classes, not a single number")
    if t not in (z, z[:-1]):
        wanted = f"neither as class indices {z[:-1]} nor as one-hot rows {z}"
        swapped = "; the logits stand first" if z in (t, t[:-1]) else ""
        raise ShapeError(f"targets of shape {t} fit logits of shape {z} {wanted}{swapped}")
    return z[:-1]


def stacked(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `[a, b, c]` and `stack(a, b, c, axis=0)`: equal shapes on a new axis."""
    shapes = {type_.shape for type_ in types}
    if len(shapes) > 1:
        raise ShapeError(f"a list needs entries of one shape, not {' and '.join(map(str, sorted(shapes)))}")
    axis, shape = new_axis(types[0], call), types[0].shape
    return (*shape[:axis], len(types), *shape[axis:])


def new_axis(entry: Type, call: Call) -> int:
    """Where the axis stands that entries are stacked along."""
    (axis,) = axes_of(Type((*entry.shape, 1)), call.attr("axis") or 0)
    return axis


def concatenated(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `concat(a, b, axis=0)`."""
    (axis,) = axes_of(types[0], call.attr("axis") or 0)
    shapes = [type_.shape for type_ in types]
    if len({(len(shape), shape[:axis], shape[axis + 1 :]) for shape in shapes}) > 1:
        joined = " and ".join(dict.fromkeys(map(str, shapes)))
        raise ShapeError(f"shapes {joined} cannot be joined along axis {axis}")
    return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])


def indexed(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `x[items]`, from NumPy itself on an array that takes no memory."""
    base = np.broadcast_to(np.empty((), np.bool_), types[0].shape)
    items: list[int | slice | NDArray[np.intp] | None] = []
    for expr, type_ in zip(call.args[1:], types[1:], strict=True):
        match expr:
            case NewAxis():
                items.append(None)
            case Slice(step=0):
                raise ShapeError("a slice's step cannot be 0")
            case Slice():
                items.append(expr.whole)
            case Num(int() as value):
                items.append(value)
            case _:
                # an index that only the run knows: 0 is as good as any for the shape, unless the axis is empty
                items.append(np.zeros(type_.shape, np.intp))
    try:
        return base[tuple(items)].shape
    except IndexError as error:
        raise ShapeError(f"shape {types[0].shape} cannot be indexed so: {out_of_bounds(error)}") from None


def diagonal(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `diag(v)`: a square matrix from a vector."""
    if types[0].ndim != 1:
        raise ShapeError(f"diag takes a vector, not shape {types[0].shape}")
    return types[0].shape * 2


def as_second(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `scatter(g, x[i])`: that of x, which a gradient of x[i] is put back into."""
    g, place = types[0].shape, indexed(types[1:], Call("index", call.args[1:]))
    if g != place:
        raise ShapeError(f"shape {g} cannot be put back into the place of shape {place}")
    return types[1].shape


def measured(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `shape(x)`, a number for each axis, and of `size(x)`, a single one."""
    if call.op == "size":
        return ()
    if not types[0].ndim:
        raise ShapeError("a single number has no axes")
    return (types[0].ndim,)


def accumulated(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `cumsum(x, axis)` and `flip(x, axis)`: unchanged."""
    if call.op == "cumsum" and call.attr("axis") is None and types[0].ndim != 1:
        raise ShapeError(f"{call.op} of shape {types[0].shape} needs an axis, as in axis=0,")
    axes_of(types[0], call.attr("axis"))  # which must exist
    return types[0].shape


def spaced(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `linspace(start, stop, n)`, from one number to another."""
    n = integer(call.args[2], "the number of points")
    if types[0].shape or types[1].shape or n < 1:
        raise ShapeError("linspace takes a first number, a last one, and how many there are")
    return (n,)


def subscripts(call: Call) -> tuple[list[str], str]:
    """The letters of each operand's axes, and of the result's, of `einsum("ij,jk->ik", a, b)`."""
    left, _, right = str(call.attr("subscripts")).replace(" ", "").partition("->")
    return left.split(","), right


def contracted(types: Sequence[Type], call: Call) -> Shape:
    """The shape of `einsum("ij,jk->ik", a, b)`: every letter is one size, and what the result lacks is summed over."""
    operands, result = subscripts(call)
    sizes: dict[str, int] = {}
    if len(operands) != len(types):
        raise ShapeError(f"einsum has subscripts for {len(operands)} arrays, not for {len(types)},")
    for letters, type_ in zip(operands, types, strict=True):
        if len(letters) != type_.ndim or len({*letters}) != len(letters):
            raise ShapeError(f"'{letters}' does not name each axis of shape {type_.shape} once")
        for letter, size in zip(letters, type_.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise ShapeError(f"axis {letter} of einsum has {sizes[letter]} entries, and {size} in another place,")
    if len({*result}) != len(result) or not {*result} <= sizes.keys():
        raise ShapeError(f"'{result}' does not name axes of einsum's arrays, each once,")
    return tuple(sizes[letter] for letter in result)
