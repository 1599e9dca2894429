"""Equations evaluated anew where a change reaches, and remembered where it does not."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce

import numpy as np

from mathlab.diagnosis.rewrite import by_name
from mathlab.diagnosis.worlds import OVERHEAD, UNFIT, program
from mathlab.experiment import Array
from mathlab.language import kernels
from mathlab.language.ops import OPS
from mathlab.language.program import Program, one_op
from mathlab.language.shapes import broadcast
from mathlab.language.syntax import Call, Expr, Name, NewAxis, Num, Slice, names, walk
from mathlab.stages.prepare import Prepared

MOVES = ("index", "reshape", "T", "mT", "transpose", "swapaxes")  # entries, and computes nothing
COMPILED = 0.2  # of what an op costs beside its entries it costs, and an equation too, where it is compiled


class Evaluator:
    """The values of a case's names at each of some points, and what of them a change reaches: bits, one an equation."""

    def __init__(self, prepared: Prepared, points: Sequence[Mapping[str, Array]]) -> None:
        self.prepared = prepared
        self.definitions = by_name(prepared.both)
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
        self.work = 0.0  # entries computed: the same on every machine

    def program(self, name: str) -> Program:
        """An equation as it stands, compiled; its work is counted."""
        if name not in self.programs:
            expr, type_ = self.definitions[name], self.prepared.types.names[name]
            calls = sum(isinstance(part, Call) for part in walk(expr))
            made = program(expr, self.prepared.types, type_, self.prepared.case.dtype)
            self.programs[name] = made, COMPILED * OVERHEAD + calls * (COMPILED * OVERHEAD + type_.size)
        made, work = self.programs[name]
        self.work += work
        return made

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
        return reduce(operator.or_, (self.behind.get(name, 0) for name in names(quantity)), 0)

    def smaller(self, expr: Expr, name: str) -> bool:
        """Whether an expression that reads less than the whole shape of a name has less than its own.

        Raises ValueError where that is summed, for a sum of less is another.
        """
        if not isinstance(expr, Call):
            return isinstance(expr, Name) and expr.id == name
        less = [arg for arg in expr.args if self.smaller(arg, name)]
        if not less or expr.op in MOVES:
            return bool(less)
        if OPS[expr.op].shape is not broadcast:
            raise ValueError(name)
        of = self.prepared.types.of
        return all(of(arg).shape != of(expr).shape for arg in expr.args if arg not in less)

    def circular(self, changes: Mapping[str, Expr]) -> bool:
        """Whether a changed equation reads what is computed from it."""
        reads = ((name, other) for name, expr in changes.items() for other in names(expr) if other in self.place)
        return any(self.ahead[name] >> self.place[other] & 1 for name, other in reads)


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
        except UNFIT:
            return None

    def _equation(self, name: str) -> Array:
        if name in self.changes:
            found = np.asarray(self._value(self.changes[name]))
        else:
            made = self.whole.program(name)
            found = np.asarray(made.function(*[self.env.get(read, self.base[read]) for read in made.inputs])[0])
        true, definitions = self.base[name], self.whole.definitions
        if found.shape != np.shape(true):
            readers = [definitions[other] for other in self.touched if name in names(definitions[other])]
            if any(self.whole.smaller(reader, name) for reader in readers):
                raise ValueError(name)
            found = np.broadcast_to(found, np.shape(true)) if readers else found  # raises ValueError too
        return found.astype(true.dtype, copy=False)

    def _value(self, expr: Expr) -> object:
        match expr:
            case Name(name):
                return self.env.get(name, self.base[name])
            case Num(value):
                return value if abs(value) < 2**63 else float(value)
            case Slice():
                return expr.whole
            case NewAxis():
                return None
        fixed = self.touched.isdisjoint(names(expr))
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
        return one_op(call.op)(*args, **dict(call.attrs))


def _whole(item: object) -> object:
    """An index as integers: what was computed as floats is cast."""
    return item if item is None or isinstance(item, slice | int) else np.asarray(item).astype(np.int64)
