"""Equations -> the same equations for many runs at once, whose values lie on a new leading axis.

Some names are stacked: they have a value for every run. Whatever depends on one of them is stacked too; the rest is
computed once, for all runs. There is one rule for each family of ops, the families being those of `shapes`.

The result is an ordinary list of equations. It computes what the runs compute one by one, up to rounding: a sum may be
taken in another order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from mathlab.errors import ExpressionError
from mathlab.language import shapes
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.ops import OPS, ShapeRule, images
from mathlab.language.shapes import Shape, Type
from mathlab.language.syntax import ALL, Call, Expr, Name, NewAxis, Num, Slice, Static, unparse


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

    def alike(self) -> Operand:
        """What has the shape in one run, for those who read nothing else."""
        return self._replace(expr=_filled("zeros", self.type.shape), stacked=False)

    def expanded(self, axis: int) -> Operand:
        """The operand with a new axis of length 1 before the axis `axis` of one run."""
        shape = (*self.type.shape[:axis], 1, *self.type.shape[axis:])
        return self._replace(
            expr=_at(self.expr, *[ALL] * (axis + self.stacked), NewAxis()), type=Type(shape, self.type.kind)
        )


def stack(equations: Sequence[Equation], types: Types, names: Collection[str], count: int) -> Stacked:
    """The equations with `names` (and all that follows from them) stacked for `count` runs.

    `types` knows every name, as one run has it. Raises NotStackable where no rule applies.
    """
    stacked = {name for name in names if name in types.names}
    every = {
        name: Type((count, *type_.shape), type_.kind) if name in stacked else type_
        for name, type_ in types.names.items()
    }
    written = []
    stacker = _Stacker(types, Types(every, types.integral), stacked, count)
    for equation in equations:
        operand, own = stacker.of(equation.expr), types.names[equation.name]
        if operand.stacked:
            stacked.add(equation.name)
            stacker.every.names[equation.name] = Type((count, *own.shape), own.kind)
        elif equation.name in stacked:
            raise NotStackable(f"{equation.name} is the same in all runs")
        written.append(equation.saying(operand.expr))
    return Stacked(tuple(written), stacker.every, frozenset(stacked))


@dataclass
class _Stacker:
    """`types` are those of one run, `every` those of all runs, with the names that are `stacked` so far."""

    types: Types
    every: Types
    stacked: Collection[str]
    count: int
    known: dict[Expr, Operand] = field(default_factory=dict)

    def of(self, expr: Expr) -> Operand:
        """The expression for all runs."""
        if not isinstance(expr, Call):
            return Operand(expr, isinstance(expr, Name) and expr.id in self.stacked, self.types.of(expr))
        if expr not in self.known:
            self.known[expr] = self._call(expr)
        return self.known[expr]

    def _call(self, call: Call) -> Operand:
        op, type_ = OPS[call.op], self.types.of(call)
        operands = tuple(
            operand if op.reads(position) or not operand.stacked else operand.alike()
            for position, operand in enumerate(map(self.of, call.args))
        )
        if not any(operand.stacked for operand in operands):
            return Operand(replace(call, args=tuple(operand.expr for operand in operands)), False, type_)
        if op.shape not in RULES:
            raise NotStackable(f"{call.op} has no rule")
        made = RULES[op.shape](self, call, operands)
        try:
            found = self.every.of(made).shape
        except ExpressionError as error:
            raise NotStackable(error.message) from None
        if found != (self.count, *type_.shape):
            raise NotStackable(f"'{unparse(call)}' would have the shape {found}")
        return Operand(made, True, type_)

    # --- the rules ----------------------------------------------------------------------------------------------------

    def elementwise(self, call: Call, operands: Operands) -> Expr:
        rank = max(operand.type.ndim for operand in operands)
        return replace(call, args=tuple(operand.lifted(rank) for operand in operands))

    def reduction(self, call: Call, operands: Operands) -> Expr:
        (x,) = operands
        if call.op in ("argmax", "argmin") and call.attr("axis") is None:  # which count in C order, and know one axis
            return _with(call, _reshaped(x.expr, (self.count, x.type.size)), axis=1)
        axes = tuple(axis + 1 for axis in shapes.axes_of(x.type, call.attr("axis")))
        return _with(call, x.expr, axis=axes[0] if len(axes) == 1 else axes)

    def along_axis(self, call: Call, operands: Operands) -> Expr:
        axis = call.attr("axis")
        return _with(call, operands[0].expr, axis=axis + 1 if isinstance(axis, int) and axis >= 0 else axis)

    def transposed(self, call: Call, operands: Operands) -> Expr:
        (x,) = operands
        if call.op == "T" and x.type.ndim > 2:
            raise NotStackable("the axes of each run cannot be reversed")
        return x.expr if x.type.ndim < 2 else Call("mT", (x.expr,), (), call.position)

    def permuted(self, call: Call, operands: Operands) -> Expr:
        order = shapes.permutation(operands[0].type, call)
        return _permuted(operands[0].expr, (0, *(axis + 1 for axis in order)))

    def product(self, call: Call, operands: Operands) -> Expr:
        a, b = operands
        if not b.stacked and (b.type.ndim == 1 or (a.type.ndim == 1 and b.type.ndim == 2)):
            return _matmul(a.expr, b.expr)  # one product for all runs,
        if not a.stacked and b.type.ndim == 1 and a.type.ndim < 3:
            return _matmul(b.expr, Call("T", (a.expr,)))  # whose vectors are the rows of a matrix
        left = a.expanded(0) if a.type.ndim == 1 else a
        right = b.expanded(1) if b.type.ndim == 1 else b
        rank = max(left.type.ndim, right.type.ndim)
        made = _matmul(left.lifted(rank), right.lifted(rank))
        last = [Num(0) if x.type.ndim == 1 else ALL for x in operands]
        return _at(made, *[ALL] * (rank - 1), *last) if Num(0) in last else made

    def _times(self, a: Operand, b: Operand) -> Expr:
        return self.elementwise(Call("mul", ()), (a, b))

    def outer(self, call: Call, operands: Operands) -> Expr:
        a, b = operands
        return self._times(a.expanded(1), b)

    def reshape(self, call: Call, operands: Operands) -> Expr:
        return _reshaped(operands[0].expr, (self.count, *self.types.of(call).shape))

    def concat(self, call: Call, operands: Operands) -> Expr:
        (axis,) = shapes.axes_of(operands[0].type, call.attr("axis") or 0)
        joined = tuple(self._spread(operand, self.types.of(call)) for operand in operands)
        return Call("concat", joined, (("axis", axis + 1),), call.position)

    def array(self, call: Call, operands: Operands) -> Expr:
        of_one = [
            operand._replace(expr=self._spread(operand, self.types.of(call)), stacked=True) for operand in operands
        ]
        axis = shapes.new_axis(operands[0].type, call)
        joined = tuple(operand.expanded(axis).expr for operand in of_one)
        return Call("concat", joined, (("axis", axis + 1),), call.position)

    def contracted(self, call: Call, operands: Operands) -> Expr:
        (letters, result), run = shapes.subscripts(call), "Z"
        while run in "".join(letters):
            run = chr(ord(run) - 1)
        of_all = [run * operand.stacked + axes for axes, operand in zip(letters, operands, strict=True)]
        subscripts = f"{','.join(of_all)}->{run}{result}"
        return Call("einsum", tuple(operand.expr for operand in operands), (("subscripts", subscripts),), call.position)

    def _spread(self, operand: Operand, result: Type) -> Expr:
        """The operand with an axis of runs, also where all runs share it."""
        if operand.stacked:
            return operand.expr
        if result.kind != "f":
            raise NotStackable("masks and whole numbers cannot be repeated for every run")
        return Call("mul", (_filled("ones", (self.count, *[1] * operand.type.ndim)), operand.expr))

    def index(self, call: Call, operands: Operands) -> Expr:
        x, *items = operands
        return _at(x.expr, *self._place(items, x.stacked))

    def scatter(self, call: Call, operands: Operands) -> Expr:
        g, x, *items = operands
        whole = _filled("zeros", (self.count, *x.type.shape))
        return replace(call, args=(self._spread(g, g.type), whole, *self._place(items, True)))

    def _place(self, items: Sequence[Operand], of_stacked: bool) -> tuple[Expr, ...]:
        """The items of an index into what has an axis of runs (`of_stacked`) or has none.

        NumPy puts the axes of arrays that serve as an index where the first of them stands if they are neighbours, and
        first otherwise; the axis of runs must come first.
        """
        at = [k for k, item in enumerate(items) if not isinstance(item.expr, Slice | NewAxis)]
        rank = max((items[k].type.ndim for k in at), default=0)
        neighbours = not at or at[-1] - at[0] == len(at) - 1
        if not any(item.stacked for item in items):
            if rank and not neighbours:
                raise NotStackable("an index by arrays that are no neighbours")
            return (ALL, *(item.expr for item in items))
        leading = neighbours and at[0] == 0
        if not leading and (rank or not of_stacked):
            raise NotStackable("an index by arrays that do not come first")
        own = [_at(_runs(self.count), ALL, *[NewAxis()] * rank) if rank else _runs(self.count)] if of_stacked else []
        return (*own, *(item.lifted(rank) if k in at else item.expr for k, item in enumerate(items)))

    def cross_entropy(self, call: Call, operands: Operands) -> Expr:
        z, t = operands
        logs = z._replace(expr=Call("log_softmax", (z.expr,)))
        if t.type.ndim == z.type.ndim:
            return Call("neg", (Call("sum", (self._times(t, logs),), (("axis", -1),)),))
        rows = [
            Operand(
                _at(_runs(n), ALL, *[NewAxis()] * (t.type.ndim - 1 - axis)),
                False,
                Type((n, *[1] * (t.type.ndim - 1 - axis)), "i"),
            )
            for axis, n in enumerate(t.type.shape)
        ]
        return Call("neg", (_at(logs.expr, *self._place([*rows, t], logs.stacked)),))

    def diagonal(self, call: Call, operands: Operands) -> Expr:
        (x,) = operands
        diagonal = Call("gt", (Call("diag", (_filled("ones", x.type.shape),)), Num(0)))
        return Call("where", (diagonal, x.expanded(1).expr, Num(0)))

    def spaced(self, call: Call, operands: Operands) -> Expr:
        start, stop = (operand.lifted(1) for operand in operands[:2])
        share = Call("mul", (Call("sub", (stop, start)), Call("linspace", (Num(0), Num(1), call.args[2]))))
        return Call("add", (start, share))

    # the windows of images, whatever axes stand in front of their rows and columns

    def windows(self, call: Call, operands: Operands) -> Expr:
        (x,) = operands  # the runs stand behind the axes of a window
        return _permuted(_with(call, x.expr), (2, 0, 1, *range(3, x.type.ndim + 3)))

    def overlap_add(self, call: Call, operands: Operands) -> Expr:
        v, x = operands
        whole = _filled("zeros", (self.count, *x.type.shape))
        return replace(call, args=(_permuted(v.expr, (1, 2, 0, *range(3, v.type.ndim + 1))), whole))

    def in_columns(self, call: Call, operands: Operands) -> Expr:
        (x,) = operands
        return _with(call, (x.expanded(0) if x.type.ndim == 2 else x).expr)

    def convolved(self, call: Call, operands: Operands) -> Expr:
        """The kernels of the runs times the windows of their images, as one product of matrices."""
        x, k = operands
        axes, rows = min(k.type.ndim, 3), k.type.shape[-2:]
        image = x if axes == 3 else x.expanded(x.type.ndim - 2)
        columns = Call("im2col", (image.expr,), (("size", rows), *call.attrs))
        filters = (math.prod(k.type.shape[:-3]), math.prod(k.type.shape[-3:]))
        runs = (self.count, *[1] * (x.type.ndim - axes)) if k.stacked else ()
        made = _matmul(_reshaped(k.expr, (*runs, *filters)), columns)
        return _reshaped(made, (self.count, *self.types.of(call).shape))


Operands = tuple[Operand, ...]

RULES: Mapping[ShapeRule, Callable[[_Stacker, Call, Operands], Expr]] = {
    shapes.broadcast: _Stacker.elementwise,
    shapes.reduced: _Stacker.reduction,
    shapes.deviating: _Stacker.reduction,
    shapes.permuted: _Stacker.permuted,
    shapes.triangular: _Stacker.elementwise,
    shapes.along_axis: _Stacker.along_axis,
    shapes.transposed: _Stacker.transposed,
    shapes.matmul: _Stacker.product,
    shapes.dotted: _Stacker.product,
    shapes.vectors: _Stacker.outer,
    shapes.reshaped: _Stacker.reshape,
    shapes.concatenated: _Stacker.concat,
    shapes.stacked: _Stacker.array,
    shapes.accumulated: _Stacker.reduction,
    shapes.contracted: _Stacker.contracted,
    shapes.indexed: _Stacker.index,
    shapes.as_second: _Stacker.scatter,
    shapes.class_rows: _Stacker.elementwise,
    shapes.per_sample: _Stacker.cross_entropy,
    shapes.diagonal: _Stacker.diagonal,
    shapes.spaced: _Stacker.spaced,
    images.windowed: _Stacker.windows,
    images.overlapping: _Stacker.overlap_add,
    images.padded: _Stacker.elementwise,
    images.pooled: _Stacker.elementwise,
    images.in_columns: _Stacker.in_columns,
    images.convolved: _Stacker.convolved,
}


def _at(expr: Expr, *items: Expr) -> Expr:
    return Call("index", (expr, *items))


def _with(call: Call, x: Expr, **settings: Static) -> Expr:
    given = {**dict(call.attrs), **settings}
    return replace(call, args=(x,), attrs=tuple(one for one in given.items() if one[1] is not None))


def _permuted(x: Expr, order: Sequence[int]) -> Expr:
    return Call("transpose", (x, *map(Num, order)))


def _matmul(a: Expr, b: Expr) -> Expr:
    return Call("matmul", (a, b))


def _reshaped(expr: Expr, shape: Shape) -> Expr:
    return Call("reshape", (expr, *map(Num, shape)))


def _filled(op: str, shape: Shape) -> Expr:
    """Ones or zeros of a shape; for a single number, the number."""
    return Call(op, tuple(map(Num, shape))) if shape else Num(1 if op == "ones" else 0)


def _runs(count: int) -> Expr:
    return Call("arange", (Num(count),))
