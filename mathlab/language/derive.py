"""Equations -> backward equations, by reverse mode on the text.

The equations are read backwards. Each hands the gradient of its name, the upstream gradient, to the names it reads, by
the rules of the op table; what a name receives from several places is added. The result is a list of equations in the
same language, to be printed, checked and compiled like the article's own.

The engine knows no op: it knows names, sums, and how broadcasting is undone.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from mathlab.errors import ExpressionError, MathlabError
from mathlab.language.check import Types, read
from mathlab.language.equation import Equation
from mathlab.language.ops import OPS
from mathlab.language.shapes import Type
from mathlab.language.simplify import Builder, is_ones, split
from mathlab.language.syntax import ALL, Call, Expr, Name, Num, Slice, names, replace, unparse

WIDEST = 32  # terms of one sum
UPSTREAM = "upstream"  # the name of the gradient of an end that is not a scalar


class Backward(NamedTuple):
    """The backward equations, in the order in which they can be computed.

    `shares` holds, for each name, what every mention of it in an equation hands back: (that equation's name, the share,
    which may have yet to be fitted to the name's shape). Nothing reads the end, whose gradient comes from "".
    """

    equations: tuple[Equation, ...]  # each named `d<name>`, or `d<name>_1` for a part of one
    stores: Mapping[str, tuple[str, ...]]  # the forward values that each equation's part of the backward pass reads
    parts: Mapping[str, tuple[str, ...]]  # the pieces of each one's gradient that have names of their own
    shares: Mapping[str, tuple[tuple[str, Expr], ...]]  # which sum to its gradient


def derive(equations: Sequence[Equation], types: Types, wanted: Collection[str]) -> Backward:
    """The backward equations of the last of `equations`, for the names in `wanted`.

    `types` holds the types of every name; it learns those of the gradients. Where the last equation is not a scalar,
    its gradient is the name `upstream`, which must be among the types. A wanted name that the end does not depend on
    gets zeros; one that reaches it only through an op without a derivative raises MathlabError at its equation.
    """
    try:
        return _Derivation(equations, types, wanted).run()
    except ExpressionError as error:  # in what was derived: two constants may have a product that is no float
        raise MathlabError(f"a gradient cannot be written down: {error.message}", equations[-1].place) from None


class _Derivation:
    def __init__(self, equations: Sequence[Equation], types: Types, wanted: Collection[str]) -> None:
        self.equations = equations
        self.types = types
        self.wanted = wanted
        self.builder = Builder(types)
        self.received: dict[str, list[tuple[str, Expr]]] = {}  # with the equation that each share comes from
        self.out: list[Equation] = []
        self.written: set[str] = set()
        self.defined = {equation.name: equation for equation in equations}
        self.taken = {*types.names, *(equation.name for equation in equations)}
        self.forward = {equation.expr: Name(equation.name) for equation in reversed(equations)}
        # how many equations have yet to hand something to a name, so that its sum is written as soon as it is whole
        self.pending = Counter(name for equation in equations for name in names(equation.expr))
        self.active = {*wanted}  # the wanted names, and every name that is computed from one
        for equation in equations:
            self.active |= {equation.name} if self.active.intersection(names(equation.expr)) else set()
        self.blocked: dict[str, tuple[Call, Equation]] = {}
        self.handed: dict[str, list[Expr]] = {}
        self.parts: dict[str, list[str]] = {}

    def run(self) -> Backward:
        end = self.equations[-1]
        seed: Expr = Name(UPSTREAM) if UPSTREAM in self.types.names else Num(1)
        shape = self.types.names[end.name].shape
        if shape and seed == Num(1):
            message = f"'{end.name}', the last equation, has shape {shape}: give its gradient as 'upstream', "
            raise MathlabError(f"{message}or add an equation that makes one number of it", end.place)
        self.received[end.name] = [("", seed)]
        for equation in reversed(self.equations):
            upstream = self._total(equation.name) if equation.name in self.active else None
            if upstream is not None:
                self.hand_down(equation.expr, upstream, equation)
            for name in names(equation.expr):  # of constants and parameters, what no earlier equation reads is whole
                self.pending[name] -= 1
                if not self.pending[name] and name not in self.defined and name in self.wanted:
                    self._total(name)
        for name in self.wanted:
            self._total(name)
        forward = self.types.names.keys() - {equation.name for equation in self.out}
        stores = {name: stored(map(self._with_names, shares), forward) for name, shares in self.handed.items()}
        parts = {name: tuple(parts) for name, parts in self.parts.items()}
        return Backward(tuple(self.out), stores, parts, {name: tuple(shares) for name, shares in self.received.items()})

    def _total(self, name: str) -> Expr | None:
        """The gradient of `name` as an expression for its readers: the name of its equation, or what it simply is."""
        gradient = f"d{name}"
        if gradient in self.written:
            return Name(gradient)
        type_ = self.types.names[name]
        parts = _joined([share for _, share in self.received.get(name, ())], self.types)
        if not parts:
            if name in self.blocked and name in self.wanted:
                (call, at), end = self.blocked[name], self.equations[-1].name
                message = f"'{name}' reaches '{end}' only through '{unparse(call)}', which has no derivative"
                raise ExpressionError(message, call.position).at(at.place)
            if name not in self.wanted or type_.kind != "f":
                return None
            parts = [Call("zeros_like", (Name(name),)) if type_.shape else Num(0)]
        while len(parts) > WIDEST:  # a sum of a thousand terms would be nested a thousand deep
            sums = [self.builder.total(parts[k : k + WIDEST]) for k in range(0, len(parts), WIDEST)]
            parts = [self._name(part, name) for part in sums]
        total = self.builder.fit(self.builder.total(parts), Name(name))
        if name == self.equations[-1].name and total == Num(1) and name not in self.wanted:
            return total  # that the end's gradient is 1 needs no equation
        self._write(gradient, total)
        return total if is_ones(split(total)[1]) else Name(gradient)

    def _write(self, name: str, expr: Expr) -> None:
        expr = self._with_names(expr)
        self.types.names[name] = Type(self.types.of(expr).shape)
        self.out.append(Equation(name, expr))
        self.written.add(name)

    def _with_names(self, expr: Expr) -> Expr:
        """The expression with whatever a forward equation has already computed called by its name."""
        return replace(expr, lambda part: self.forward.get(part) if isinstance(part, Call) else None)

    def hand_down(self, expr: Expr, upstream: Expr, equation: Equation) -> None:
        """Give each name in `expr` its share of the gradient `upstream` of `expr`."""
        if isinstance(expr, Name) and expr.id in self.active:
            self.received.setdefault(expr.id, []).append((equation.name, upstream))
            self.handed.setdefault(equation.name, []).append(upstream)
        if not isinstance(expr, Call):
            return
        op, site = OPS[expr.op], self.types.site(expr)
        rules = {
            position: read(text) if (text := op.rule(position, site)) is not None else None
            for position, arg in enumerate(expr.args)
            if self.active.intersection(names(arg))
        }
        for position, rule in rules.items():
            for name in names(expr.args[position]) if rule is None else ():
                self._block(name, expr, equation)
        shares = self._shares(rules, expr, upstream, equation)
        core = split(upstream)[1]
        if not (isinstance(core, Name | Num) or is_ones(core)) and _count(core, shares.values()) > 1:
            self.handed.setdefault(equation.name, []).append(upstream)
            upstream = self._name(upstream, equation.name)
            shares = self._shares(rules, expr, upstream, equation)
        for position, share in shares.items():
            self.hand_down(expr.args[position], share, equation)

    def _shares(
        self, rules: Mapping[int, Expr | None], call: Call, upstream: Expr, equation: Equation
    ) -> dict[int, Expr]:
        """The gradient of each argument of `call`, by the rules, with broadcasting undone."""
        values: dict[str, Expr] = {"g": upstream, "y": Name(equation.name) if call == equation.expr else call}
        for position, name in enumerate(OPS[call.op].args):
            if name.startswith("*"):
                values |= {f"{name[1:]}{k}": arg for k, arg in enumerate(call.args[position:])}
            else:
                values[name] = call.args[position]
        made = {at: self.builder.instantiate(rule, values) for at, rule in rules.items() if rule is not None}
        return {at: self.builder.fit(share, call.args[at]) for at, share in made.items()}

    def _name(self, part: Expr, owner: str) -> Expr:
        """A name `d<owner>_1` for an expression that is read more than once, or that is part of a long sum."""
        name = next(free for count in itertools.count(1) if (free := f"d{owner}_{count}") not in self.taken)
        self.taken.add(name)
        self.parts.setdefault(owner, []).append(name)
        self._write(name, part)
        return Name(name)

    def _block(self, name: str, call: Call, at: Equation) -> None:
        """Remember that a name was reached through an op without a derivative, and so all that it was computed from."""
        if name in self.blocked or name not in self.active:
            return
        self.blocked[name] = (call, at)
        for inner in names(self.defined[name].expr) if name in self.defined else ():
            self._block(inner, call, at)


def _joined(parts: Sequence[Expr], types: Types) -> list[Expr]:
    """The terms of a sum; those that are put each into its own place along an axis are one where they fill it.

    So the gradient of parts is told as that of the whole: `dz = concat(di, df, do, dg)`.
    """
    places: dict[tuple[str, int, int], dict[tuple[int, int], Expr]] = defaultdict(dict)
    for part in parts:
        match part:
            case Call("scatter", (_, base, *items)):
                sizes = types.of(base).shape
                match [(axis, item) for axis, item in enumerate(items) if item != ALL]:
                    case [(axis, Num(int(at)))]:
                        places["stack", axis, sizes[axis]].setdefault((at % sizes[axis], at % sizes[axis] + 1), part)
                    case [(axis, Slice(_, _, None) as item)]:
                        start, stop, _ = item.whole.indices(sizes[axis])
                        places["concat", axis, sizes[axis]].setdefault((start, stop), part)
    whole: list[Expr] = []
    for (op, axis, size), filled in places.items():
        order = sorted(filled)
        if len(order) > 1 and [start for start, _ in order] + [size] == [0, *(stop for _, stop in order)]:
            blocks = [filled[place] for place in order]
            parts = [part for part in parts if not any(part is block for block in blocks)]
            inside = tuple(block.args[0] for block in blocks if isinstance(block, Call))
            whole.append(Call(op, inside, (("axis", axis),) if axis else ()))
    return [*whole, *parts]


def _count(core: Expr, exprs: Collection[Expr]) -> int:
    """How often `core` stands in the expressions, whatever the number in front of it."""
    inside = (expr.args if isinstance(expr, Call) else () for expr in exprs if split(expr)[1] != core)
    return sum(split(expr)[1] == core for expr in exprs) + sum(_count(core, args) for args in inside)


def stored(backward: Iterable[Expr], forward_names: Collection[str]) -> tuple[str, ...]:
    """The forward values that backward expressions read: what a node must store.

    A name of which only the shape is needed (`ones_like(x)`, `scatter(g, x[i])`) need not be stored.
    """
    found: dict[str, None] = {}
    pending = [*backward][::-1]
    while pending:
        match pending.pop():
            case Call(op, args):
                pending += [arg for position, arg in enumerate(args) if position != OPS[op].unread][::-1]
            case Name(name) if name in forward_names:
                found[name] = None
    return tuple(found)
