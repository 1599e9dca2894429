"""The same computation with something done otherwise: with other values, or by other equations."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache, reduce
from graphlib import CycleError
from operator import or_

import numpy as np

from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import Array
from mathlab.language import kernels
from mathlab.language.check import Types
from mathlab.language.equation import Equation, Graph, by_name, in_order
from mathlab.language.program import Program, compile_program, one_op
from mathlab.language.shapes import Type
from mathlab.language.syntax import Call, Expr, Name, NewAxis, Num, Slice, names, walk
from mathlab.stages.prepare import Env, Prepared

OVERHEAD = 500  # work is counted in entries computed, and an op, or an equation, costs so many more
COMPILED = 0.2  # of that it costs where it is compiled
RESULT = "_result"  # the name of an expression that is compiled alone
# what equations raise that do not fit together, or are longer sums than Python is deep
UNFIT = (MathlabError, ExpressionError, ArithmeticError, ValueError, IndexError, TypeError, RecursionError)

Compute = Callable[[Env], Env]  # all values, from those of the parameters


def program(expr: Expr, types: Types, result: Type, dtype: str) -> Program:
    """One expression compiled: worlds differ in few of theirs, so that each is compiled once for all of them."""
    read = tuple((name, types.names[name]) for name in names(expr))
    return _compiled(expr, result, read, types.integral, dtype)


@lru_cache(5_000)
def _compiled(
    expr: Expr, result: Type, read: Sequence[tuple[str, Type]], integral: frozenset[str], dtype: str
) -> Program:
    types = Types({**dict(read), RESULT: result}, integral)
    return compile_program([Equation(RESULT, expr)], types, [RESULT], dtype)


def computing(
    prepared: Prepared, rounded: Callable[[Array], Array] = lambda value: value, given: Mapping[str, Array] = {}
) -> Compute:
    """What computes all values, each from others as they are `rounded`, or `given`."""
    types, dtype = prepared.types, prepared.case.dtype

    @cache
    def lines() -> list[tuple[str, Program]]:  # which raises where a changed equation does not fit the others
        each = (line for line in prepared.both if line.name not in given)
        return [(line.name, program(line.expr, types, types.names[line.name], dtype)) for line in each]

    def compute(parameters: Env) -> Env:
        values = {**prepared.env, **parameters, **given}
        read = dict(values)
        for name, made in lines():
            (values[name],) = made.function(*[read[other] for other in made.inputs])
            read[name] = rounded(values[name]) if values[name].dtype.kind == "f" else values[name]
        return values

    return compute


def changed(prepared: Prepared, changes: Mapping[str, Expr]) -> Prepared | None:
    """The case with some equations changed, the others as they were derived; None where they do not fit together."""
    types = Types(prepared.types.names, prepared.types.integral)
    try:
        types.names |= {name: types.of(expr) for name, expr in changes.items()}
        equations, backward = (
            in_order(equation.saying(changes.get(equation.name, equation.expr)) for equation in some)
            for some in (prepared.equations, prepared.backward.equations)
        )
    except (ExpressionError, CycleError):
        return None
    return replace(prepared, equations=equations, backward=prepared.backward._replace(equations=backward), types=types)


class Evaluator(Graph):
    """The values of a case's names at each of some points, and what has been computed of them."""

    def __init__(self, prepared: Prepared, points: Sequence[Mapping[str, Array]]) -> None:
        super().__init__(prepared.env, prepared.both)
        self.prepared = prepared
        self.definitions = by_name(prepared.both)
        self.base = [prepared.run(point) for point in points]
        self.known: list[dict[Expr, object]] = [{} for _ in points]
        self.program, self.reads = cache(self._program), cache(self.sources)
        self.work = 0.0  # entries computed: the same on every machine

    def _program(self, name: str) -> tuple[Program, float]:
        """An equation as it stands, compiled, and its work."""
        expr, type_ = self.definitions[name], self.prepared.types.names[name]
        calls = sum(isinstance(part, Call) for part in walk(expr))
        made = program(expr, self.prepared.types, type_, self.prepared.case.dtype)
        return made, COMPILED * OVERHEAD + calls * (COMPILED * OVERHEAD + type_.size)


class World:
    """The equations with some changed; what it has computed it keeps."""

    def __init__(self, whole: Evaluator, changes: Mapping[str, Expr]) -> None:
        self.whole, self.changes = whole, changes
        self.reached, self.done = whole.reach(changes), 0
        self.points = [(dict(base), known) for base, known in zip(whole.base, whole.known, strict=True)]
        # what a changed equation did not read before, and a change reaches too: it may come after that equation
        newly = ((name, whole.sources(expr) & self.reached & ~whole.behind[name]) for name, expr in changes.items())
        self.newly = {name: bits for name, bits in newly if bits}

    def values(self, quantity: Expr) -> list[Array]:
        """A quantity's value at every point; none where the changed equations do not fit together, or go round."""
        due = self.reached & self.whole.sources(quantity)
        for _ in self.newly:
            due = reduce(or_, (bits for name, bits in self.newly.items() if due & self.whole.bit[name]), due)
        due &= ~self.done
        try:
            with np.errstate(all="ignore"):
                ordered = [*self.whole.named(due)]
                if self.newly:  # each after those that its equation reads as it is changed
                    lines = {**self.whole.definitions, **self.changes}
                    ordered = [line.name for line in in_order(Equation(name, lines[name]) for name in ordered)]
                for name in ordered:
                    for values, known in self.points:
                        values[name] = self._equation(name, values, known)
                self.done |= due
                return [np.asarray(self._value(quantity, *point), np.float64) for point in self.points]
        except UNFIT:
            return []

    def _equation(self, name: str, values: dict[str, Array], known: dict[Expr, object]) -> Array:
        if name in self.changes:
            found = np.asarray(self._value(self.changes[name], values, known))
        else:
            made, work = self.whole.program(name)
            self.whole.work += work
            found = np.asarray(made.function(*[values[read] for read in made.inputs])[0])
        return found.astype(values[name].dtype, copy=False)

    def _value(self, expr: Expr, values: Mapping[str, Array], known: dict[Expr, object]) -> object:
        """A value; that of a call which no change here reaches is remembered, for others have it too."""
        match expr:
            case Name(name):
                return values[name]
            case Num(value):
                return value if abs(value) < 2**63 else float(value)
            case Slice():
                return expr.whole
            case NewAxis():
                return None
        fixed = not self.reached & self.whole.reads(expr)
        if fixed and expr in known:
            return known[expr]
        found = _called(expr, [self._value(arg, values, known) for arg in expr.args])
        self.whole.work += OVERHEAD + np.asarray(found).size
        if fixed:
            known[expr] = found
        return found


def _called(call: Call, args: list[object]) -> object:
    if call.op == "index":
        return operator.getitem(np.asarray(args[0]), tuple(map(_whole, args[1:])))  # type: ignore[misc]  # an index may be anything
    if call.op == "scatter":
        return kernels.scatter(np.asarray(args[0]), np.asarray(args[1]).shape, tuple(map(_whole, args[2:])))  # type: ignore[arg-type]  # too
    if args and not any(isinstance(arg, np.ndarray | np.generic) for arg in args):
        args[0] = np.asarray(args[0])  # Python's own numbers are no arrays, and raise where NumPy gives inf
    return one_op(call.op)(*args, **dict(call.attrs))


def _whole(item: object) -> object:
    """An index as integers: what was computed as floats is cast."""
    return item if item is None or isinstance(item, slice | int) else np.asarray(item).astype(np.int64)
