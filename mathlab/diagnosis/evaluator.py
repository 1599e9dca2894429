"""Equations evaluated anew where a change reaches, and remembered where it does not."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce

import numpy as np

from mathlab.diagnosis.rewrite import read_by
from mathlab.errors import MathlabError
from mathlab.experiment import Array
from mathlab.language import kernels
from mathlab.language.equation import Equation
from mathlab.language.program import Program, compile_program, one_op
from mathlab.language.syntax import Call, Expr, Name, NewAxis, Num, Slice, walk
from mathlab.stages.prepare import Prepared

LAST = {"axis": -1}
OVERHEAD = 500  # what an op costs beside its entries, counted in entries
COMPILED = 0.2  # of which it costs, and an equation too, where it is compiled


class Evaluator:
    """The values of a case's names, with some of its equations changed, at each of some points.

    `work` counts entries computed: the same on every machine. Equations are told by bits, in their order.
    """

    def __init__(self, prepared: Prepared, points: Sequence[Mapping[str, Array]]) -> None:
        self.prepared = prepared
        self.definitions = {equation.name: equation.expr for equation in prepared.both}
        self.order = [*self.definitions]
        self.place = {name: k for k, name in enumerate(self.order)}
        self.base = [prepared.run(point) for point in points]
        self.known: list[dict[Expr, object]] = [{} for _ in points]
        self.behind: dict[str, int] = {}  # the equations that each name is computed from, itself included
        for name, expr in self.definitions.items():
            self.behind[name] = self.sources(expr) | 1 << self.place[name]
        self.ahead = dict.fromkeys(self.order, 0)  # and those that are computed from it
        for name, bits in self.behind.items():
            for other in self.named(bits):
                self.ahead[other] |= 1 << self.place[name]
        self.programs: dict[str, tuple[Program, float]] = {}
        self.work = 0.0

    def program(self, name: str) -> Program:
        """An equation as it stands, compiled; its work is counted."""
        if name not in self.programs:
            expr, types = self.definitions[name], self.prepared.types
            calls = sum(isinstance(part, Call) for part in walk(expr))
            compiled = compile_program([Equation(name, expr)], types, [name], self.prepared.case.dtype)
            self.programs[name] = compiled, COMPILED * OVERHEAD + calls * (COMPILED * OVERHEAD + types.names[name].size)
        program, work = self.programs[name]
        self.work += work
        return program

    def named(self, bits: int) -> Iterator[str]:
        """The equations of some bits, in order."""
        while bits:
            low = bits & -bits
            yield self.order[low.bit_length() - 1]
            bits ^= low

    def reach(self, changed: Iterable[str]) -> int:
        """The equations that a change of some reaches."""
        return reduce(operator.or_, (self.ahead[name] for name in changed), 0)

    def sources(self, quantity: Expr) -> int:
        """The equations that a quantity is computed from."""
        return reduce(operator.or_, (self.behind.get(name, 0) for name in read_by(quantity)), 0)

    def circular(self, changes: Mapping[str, Expr]) -> bool:
        """Whether a changed equation reads what is computed from it."""
        return any(
            self.ahead[name] >> self.place[other] & 1
            for name, expr in changes.items()
            for other in read_by(expr)
            if other in self.place
        )


class Session:
    """One set of changes at one point; what it has computed it keeps."""

    def __init__(self, whole: Evaluator, changes: Mapping[str, Expr], point: int = 0) -> None:
        self.whole, self.changes = whole, changes
        self.base, self.known = whole.base[point], whole.known[point]
        self.reached = whole.reach(changes)
        self.touched = frozenset(whole.named(self.reached))
        self.env: dict[str, Array] = {}

    def value(self, quantity: Expr) -> Array | None:
        """A quantity's value; None where the changed equations do not fit together."""
        try:
            with np.errstate(all="ignore"):
                for name in self.whole.named(self.reached & self.whole.sources(quantity)):
                    if name not in self.env:
                        self.env[name] = self._equation(name)
                return np.asarray(self._value(quantity), np.float64)
        except (ValueError, IndexError, TypeError, MathlabError, np.linalg.LinAlgError):
            return None

    def _equation(self, name: str) -> Array:
        true, expr = self.base[name], self.changes.get(name)
        if expr is None:
            program = self.whole.program(name)
            made: object = program.function(*[self.env.get(read, self.base[read]) for read in program.inputs])[0]
        else:
            made = self._value(expr)
        found = np.asarray(made)
        if found.shape != np.shape(true) and any(
            name in read_by(self.whole.definitions[other]) for other in self.touched
        ):
            raise ValueError(name)
        return found.astype(true.dtype, copy=False)

    def _value(self, expr: Expr) -> object:
        match expr:
            case Name(name):
                return self.env[name] if name in self.touched and name in self.env else self.base[name]
            case Num(value):
                return value if abs(value) < 2**63 else float(value)
            case Slice(start, stop, step):
                return slice(start, stop, step)
            case NewAxis():
                return None
        fixed = self.touched.isdisjoint(read_by(expr))
        if fixed and expr in self.known:
            return self.known[expr]
        found = self._called(expr)
        self.whole.work += OVERHEAD + np.asarray(found).size
        if fixed:
            self.known[expr] = found
        return found

    def _called(self, call: Call) -> object:
        args = [self._value(arg) for arg in call.args]
        if call.op == "index":
            return operator.getitem(np.asarray(args[0]), tuple(map(_whole, args[1:])))  # type: ignore[misc]  # an index may be anything
        if call.op == "scatter":
            return kernels.scatter(np.asarray(args[0]), np.asarray(args[1]).shape, tuple(map(_whole, args[2:])))
        if args and not any(isinstance(arg, np.ndarray | np.generic) for arg in args):
            args[0] = np.asarray(args[0])  # Python's own numbers are no arrays, and raise where NumPy gives inf
        settings = {**LAST, **dict(call.attrs)} if call.op in ("softmax", "log_softmax") else dict(call.attrs)
        return one_op(call.op)(*args, **settings)


def _whole(item: object) -> object:
    """An index as integers: what was computed as floats is cast."""
    return item if item is None or isinstance(item, slice | int) else np.asarray(item).astype(np.int64)
