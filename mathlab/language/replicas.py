"""Equations -> the same equations for many runs at once, whose values lie on a new leading axis.

Some names are stacked: they have a value for every run. Whatever depends on one of them is stacked too; the rest is
computed once, for all runs. There is one rule for each family of ops, the families being those of `shapes`.

The result is an ordinary list of equations. It computes what the runs compute one by one, up to rounding: a sum may be
taken in another order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from mathlab.errors import ExpressionError
from mathlab.language import shapes
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.ops import OPS, Op, ShapeRule, images
from mathlab.language.shapes import Shape, Type
from mathlab.language.syntax import ALL, Call, Expr, Name, NewAxis, Num, Slice, Static, unparse
from mathlab.language.terms import full


class NotStackable(Exception):
    """An expression that no rule stacks; the runs have to be made one by one."""


class Stacked(NamedTuple):
    """The equations of `count` runs, and the names that are stacked."""

    equations: tuple[Equation, ...]
    types: Types
    names: frozenset[str]


class Operand(NamedTuple):
    """An argument for all runs: `expr` has a leading axis of runs when it is `stacked`; `type` is that in one run."""

    expr: Expr
    stacked: bool
    type: Type

    def lifted(self, rank: int) -> Expr:
        """The operand such that its axes meet those of operands with `rank` axes, as broadcasting aligns them."""
        missing = rank - self.type.ndim
        return _at(self.expr, ALL, *[NewAxis()] * missing) if self.stacked and missing > 0 else self.expr

    def expanded(self, axis: int) -> Operand:
        """The operand with a new axis of length 1 before the axis `axis` of one run."""
        shape = (*self.type.shape[:axis], 1, *self.type.shape[axis:])
        expr = _at(self.expr, *[ALL] * (axis + self.stacked), NewAxis())
        return self._replace(expr=expr, type=Type(shape, self.type.kind))

    def spread(self, count: int, result: Type) -> Operand:
        """The operand of a `result`, with an axis of runs also where all runs share it."""
        if self.stacked:
            return self
        if result.kind != "f":
            raise NotStackable("masks and whole numbers cannot be repeated for every run")
        ones = full("ones", (count, *[1] * self.type.ndim))
        return self._replace(expr=Call("mul", (ones, self.expr)), stacked=True)


def stack(equations: Sequence[Equation], types: Types, names: Collection[str], count: int) -> Stacked:
    """The equations with `names` (and all that follows from them) stacked for `count` runs.

    `types` knows every name, as one run has it. Raises NotStackable where no rule applies.
    """
    every, stacked = Types(types.names, types.integral), set[str]()
    known: dict[Expr, Operand] = {}

    def learn(name: str) -> None:
        stacked.add(name)
        every.names[name] = Type((count, *types.names[name].shape), types.names[name].kind)

    def of(expr: Expr) -> Operand:
        """The expression for all runs."""
        if not isinstance(expr, Call):
            return Operand(expr, isinstance(expr, Name) and expr.id in stacked, types.of(expr))
        if expr not in known:
            known[expr] = of_call(expr, OPS[expr.op], types.of(expr))
        return known[expr]

    def of_call(call: Call, op: Op, type_: Type) -> Operand:
        operands = [*map(of, call.args)]
        for position, operand in enumerate(operands):
            if operand.stacked and position == op.unread:  # but the shape, which is that of one run
                operands[position] = operand._replace(expr=full("zeros", operand.type.shape), stacked=False)
        if not any(operand.stacked for operand in operands):
            return Operand(replace(call, args=tuple(operand.expr for operand in operands)), False, type_)
        if op.shape not in RULES:
            raise NotStackable(f"{call.op} has no rule")
        made = RULES[op.shape](Stacking(call, type_, count), *operands)
        try:
            found = every.of(made).shape
        except ExpressionError as error:
            raise NotStackable(error.message) from None
        if found != (count, *type_.shape):
            raise NotStackable(f"'{unparse(call)}' would have the shape {found}")
        return Operand(made, True, type_)

    for name in types.names.keys() & names:
        learn(name)
    written = []
    for equation in equations:
        operand = of(equation.expr)
        if operand.stacked:
            learn(equation.name)
        elif equation.name in stacked:
            raise NotStackable(f"{equation.name} is the same in all runs")
        written.append(equation.saying(operand.expr))
    return Stacked(tuple(written), every, frozenset(stacked))


# --- the rules --------------------------------------------------------------------------------------------------------


class Stacking(NamedTuple):
    """A call that is stacked: its `type` in one run, and the number of the runs."""

    call: Call
    type: Type
    runs: int

    def of(self, *args: Expr, **settings: Static) -> Expr:
        """The call of other arguments, with some settings changed."""
        given = {**dict(self.call.attrs), **settings}
        return replace(self.call, args=args, attrs=tuple(one for one in given.items() if one[1] is not None))

    def zeros(self, x: Operand) -> Expr:
        """What has the shape of x in all runs, for those who read nothing else."""
        return full("zeros", (self.runs, *x.type.shape))


def _elementwise(of: Stacking, *operands: Operand) -> Expr:
    return of.of(*_lifted(*operands))


def _times(a: Operand, b: Operand) -> Expr:
    return Call("mul", _lifted(a, b))


def _lifted(*operands: Operand) -> tuple[Expr, ...]:
    rank = max(operand.type.ndim for operand in operands)
    return tuple(operand.lifted(rank) for operand in operands)


def _reduction(of: Stacking, x: Operand) -> Expr:
    axis = of.call.attr("axis")
    if of.call.op in ("argmax", "argmin") and axis is None:  # which count in C order, and know one axis
        return of.of(_reshaped(x.expr, (of.runs, x.type.size)), axis=1)
    axes = tuple(axis + 1 for axis in shapes.axes_of(x.type, axis))
    return of.of(x.expr, axis=axes[0] if len(axes) == 1 else axes)


def _along_axis(of: Stacking, x: Operand) -> Expr:
    axis = of.call.attr("axis")
    return of.of(x.expr, axis=axis + 1 if isinstance(axis, int) and axis >= 0 else axis)


def _product(of: Stacking, a: Operand, b: Operand) -> Expr:
    if not b.stacked and (b.type.ndim == 1 or (a.type.ndim == 1 and b.type.ndim == 2)):
        return Call("matmul", (a.expr, b.expr))  # one product for all runs,
    if not a.stacked and b.type.ndim == 1 and a.type.ndim < 3:
        return Call("matmul", (b.expr, Call("T", (a.expr,))))  # whose vectors are the rows of a matrix
    left = a.expanded(0) if a.type.ndim == 1 else a
    right = b.expanded(1) if b.type.ndim == 1 else b
    made, rank = Call("matmul", _lifted(left, right)), max(left.type.ndim, right.type.ndim)
    last = [Num(0) if x.type.ndim == 1 else ALL for x in (a, b)]
    return _at(made, *[ALL] * (rank - 1), *last) if Num(0) in last else made


def _joined(of: Stacking, *operands: Operand) -> Expr:
    parts, first = [x.spread(of.runs, of.type) for x in operands], operands[0].type
    if OPS[of.call.op].shape is shapes.stacked:
        axis = shapes.new_axis(first, of.call)
        parts = [x.expanded(axis) for x in parts]
    else:
        (axis,) = shapes.axes_of(first, of.call.attr("axis") or 0)
    return Call("concat", tuple(x.expr for x in parts), (("axis", axis + 1),), of.call.position)


def _contracted(of: Stacking, *operands: Operand) -> Expr:
    (letters, result), run = shapes.subscripts(of.call), "Z"
    while run in "".join(letters):
        run = chr(ord(run) - 1)
    of_all = [run + axes if x.stacked else axes for axes, x in zip(letters, operands, strict=True)]
    return of.of(*(x.expr for x in operands), subscripts=f"{','.join(of_all)}->{run}{result}")


def _place(count: int, items: Sequence[Operand], of_stacked: bool) -> tuple[Expr, ...]:
    """The items of an index into what has an axis of runs (`of_stacked`) or has none.

    NumPy puts the axes of arrays that serve as an index where the first of them stands if they are neighbours, and
    first otherwise; the axis of runs must come first.
    """
    at = [k for k, item in enumerate(items) if not isinstance(item.expr, Slice | NewAxis)]
    rank = max((items[k].type.ndim for k in at), default=0)
    if not any(item.stacked for item in items):
        if rank and at != [*range(at[0], at[-1] + 1)]:
            raise NotStackable("an index by arrays that are no neighbours")
        return (ALL, *(item.expr for item in items))
    if at != [*range(len(at))] and (rank or not of_stacked):
        raise NotStackable("an index by arrays that do not come first")
    runs = Operand(Call("arange", (Num(count),)), True, Type((), "i")).lifted(rank)
    own = [runs] if of_stacked else []
    return (*own, *(item.lifted(rank) if k in at else item.expr for k, item in enumerate(items)))


def _cross_entropy(of: Stacking, z: Operand, t: Operand) -> Expr:
    logs = z._replace(expr=Call("log_softmax", (z.expr,)))
    if t.type.ndim == z.type.ndim:
        terms = _times(t, logs)
    else:
        terms = Call("where", (Call("one_hot", (t.expr, Num(z.type.shape[-1]))), logs.expr, Num(0)))
    return Call("neg", (Call("sum", (terms,), (("axis", -1),)),))


def _convolved(of: Stacking, x: Operand, k: Operand) -> Expr:
    """The kernels of the runs times the windows of their images, as one product of matrices."""
    axes, rows = min(k.type.ndim, 3), k.type.shape[-2:]
    image = x if axes == 3 else x.expanded(x.type.ndim - 2)
    columns = Call("im2col", (image.expr,), (("size", rows), *of.call.attrs))
    filters = (math.prod(k.type.shape[:-3]), math.prod(k.type.shape[-3:]))
    runs = (of.runs, *[1] * (x.type.ndim - axes)) if k.stacked else ()
    made = Call("matmul", (_reshaped(k.expr, (*runs, *filters)), columns))
    return _reshaped(made, (of.runs, *of.type.shape))


RULES: Mapping[ShapeRule, Callable[..., Expr]] = {
    shapes.broadcast: _elementwise,
    shapes.triangular: _elementwise,
    shapes.class_rows: _elementwise,
    images.padded: _elementwise,
    images.pooled: _elementwise,
    shapes.reduced: _reduction,
    shapes.accumulated: _reduction,
    shapes.along_axis: _along_axis,
    shapes.permuted: lambda of, x, *_: _permuted(
        x.expr, (0, *(axis + 1 for axis in shapes.permutation(x.type, of.call)))
    ),
    shapes.matmul: _product,
    shapes.vectors: lambda of, a, b: _times(a.expanded(1), b),
    shapes.reshaped: lambda of, x, *_: _reshaped(x.expr, (of.runs, *of.type.shape)),
    shapes.concatenated: _joined,
    shapes.stacked: _joined,
    shapes.contracted: _contracted,
    shapes.indexed: lambda of, x, *items: _at(x.expr, *_place(of.runs, items, x.stacked)),
    shapes.as_second: lambda of, g, x, *items: of.of(
        g.spread(of.runs, g.type).expr, of.zeros(x), *_place(of.runs, items, True)
    ),
    shapes.per_sample: _cross_entropy,
    shapes.diagonal: lambda of, x: Call(
        "where", (Call("gt", (Call("diag", (full("ones", x.type.shape),)), Num(0))), x.expanded(1).expr, Num(0))
    ),
    # the windows of images, whatever axes stand in front of their rows and columns: the runs stand behind a window's
    images.windowed: lambda of, x: _permuted(of.of(x.expr), (2, 0, 1, *range(3, x.type.ndim + 3))),
    images.overlapping: lambda of, v, x: of.of(_permuted(v.expr, (1, 2, 0, *range(3, v.type.ndim + 1))), of.zeros(x)),
    images.in_columns: lambda of, x: of.of((x.expanded(0) if x.type.ndim == 2 else x).expr),
    images.convolved: _convolved,
}


def _at(expr: Expr, *items: Expr) -> Expr:
    return Call("index", (expr, *items))


def _permuted(x: Expr, order: Sequence[int]) -> Expr:
    return Call("transpose", (x, *map(Num, order)))


def _reshaped(expr: Expr, shape: Shape) -> Expr:
    return Call("reshape", (expr, *map(Num, shape)))
