"""Equations evaluated anew where a change reaches, and remembered where it does not."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Array
from mathlab.language import kernels
from mathlab.language.program import one_op
from mathlab.language.syntax import Call, Expr, Name, NewAxis, Num, Slice, names
from mathlab.stages.prepare import Prepared

LAST = {"axis": -1}
OVERHEAD = 500  # what an op costs beside its entries, counted in entries


class Evaluator:
    """The values of a case's names, with some of its equations changed, at each of some points.

    `work` counts entries computed: the same on every machine.
    """

    def __init__(self, prepared: Prepared, points: Sequence[Mapping[str, Array]]) -> None:
        self.definitions = {equation.name: equation.expr for equation in prepared.both}
        self.order = [*self.definitions]
        self.place = {name: k for k, name in enumerate(self.order)}
        self.base = [prepared.run(point) for point in points]
        self.known: list[dict[Expr, object]] = [{} for _ in points]
        self.read: dict[Expr, frozenset[str]] = {}
        self.behind: dict[str, int] = {}  # bits: the equations that each name is computed from, itself included
        for name, expr in self.definitions.items():
            bits = 1 << self.place[name]
            for other in names(expr):
                bits |= self.behind.get(other, 0)
            self.behind[name] = bits
        self.ahead = dict.fromkeys(self.order, 0)
        for name, bits in self.behind.items():
            for other in self._named(bits):
                self.ahead[other] |= 1 << self.place[name]
        self.work = 0.0

    def _named(self, bits: int) -> Iterator[str]:
        """The equations of some bits, in order."""
        while bits:
            low = bits & -bits
            yield self.order[low.bit_length() - 1]
            bits ^= low

    def reach(self, changed: Sequence[str] | Mapping[str, Expr]) -> int:
        """The equations that a change of some reaches, as bits."""
        bits = 0
        for name in changed:
            bits |= self.ahead[name]
        return bits

    def ordered(self, changed: Mapping[str, Expr]) -> list[str]:
        """The changed equations in the order in which they are computed."""
        return sorted(changed, key=self.place.__getitem__)

    def circular(self, changes: Mapping[str, Expr]) -> bool:
        """Whether a changed equation reads what is computed from it."""
        return any(
            self.ahead[name] >> self.place[other] & 1
            for name, expr in changes.items()
            for other in self.reads(expr)
            if other in self.place
        )

    def sources(self, quantity: Expr) -> int:
        """The equations that a quantity is computed from, as bits."""
        bits = 0
        for name in names(quantity):
            bits |= self.behind.get(name, 0)
        return bits

    def session(self, changes: Mapping[str, Expr], point: int = 0) -> Session:
        """The values with some equations changed."""
        return Session(self, changes, point)

    def reads(self, expr: Expr) -> frozenset[str]:
        found = self.read.get(expr)
        if found is None:
            found = self.read[expr] = frozenset(names(expr))
        return found


class Session:
    """One set of changes at one point; what it has computed it keeps."""

    def __init__(self, whole: Evaluator, changes: Mapping[str, Expr], point: int) -> None:
        self.whole, self.changes = whole, changes
        self.base, self.known = whole.base[point], whole.known[point]
        self.reached = whole.reach(changes)
        self.touched = frozenset(whole._named(self.reached))
        self.env: dict[str, Array] = {}

    def value(self, quantity: Expr) -> Array | None:
        """A quantity's value; None where the changed equations do not fit together."""
        try:
            with np.errstate(all="ignore"):
                for name in self.whole._named(self.reached & self.whole.sources(quantity)):
                    if name not in self.env:
                        self.env[name] = self._equation(name)
                return np.asarray(self._value(quantity), np.float64)
        except (ValueError, IndexError, TypeError, MathlabError, np.linalg.LinAlgError):
            return None

    def defect(self, name: str) -> Array | None:
        """By how much a changed equation's value is off from what the true one makes of the same; None: not known."""
        wrong = self.value(Name(name))
        if wrong is None:
            return None
        expr = self.whole.definitions[name]
        true = self.base[name] if self.touched.isdisjoint(self.whole.reads(expr)) else self.value(expr)
        if true is None or np.shape(true) != wrong.shape or not np.all(np.isfinite(wrong)):
            return None
        return np.asarray(wrong - true)

    def _equation(self, name: str) -> Array:
        true = self.base[name]
        expr = self.changes.get(name)
        found = np.asarray(self._value(self.whole.definitions[name] if expr is None else expr))
        if found.shape != np.shape(true) and any(
            name in self.whole.reads(self.whole.definitions[other]) for other in self.touched
        ):
            raise ValueError(name)
        return found.astype(true.dtype, copy=False)

    def _value(self, expr: Expr) -> object:
        if isinstance(expr, Name):
            return self.env[expr.id] if expr.id in self.touched and expr.id in self.env else self.base[expr.id]
        if isinstance(expr, Num):
            return expr.value if abs(expr.value) < 2**63 else float(expr.value)
        if not isinstance(expr, Call):
            return _place(expr)
        fixed = self.touched.isdisjoint(self.whole.reads(expr))
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


def _place(expr: Expr) -> object:
    match expr:
        case Slice(start, stop, step):
            return slice(start, stop, step)
        case NewAxis():
            return None
    raise TypeError(expr)


def _whole(item: object) -> object:
    """An index as integers: what was computed as floats is cast."""
    return item if item is None or isinstance(item, slice | int) else np.asarray(item).astype(np.int64)
