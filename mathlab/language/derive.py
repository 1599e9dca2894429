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
from mathlab.language.shapes import Shape, Type
from mathlab.language.simplify import Builder, is_ones, split
from mathlab.language.syntax import ALL, Call, Expr, Name, Num, Slice, names, replace, unparse

WIDEST = 32  # terms of one sum
UPSTREAM = "upstream"  # the name of the gradient of an end that has several entries


class Backward(NamedTuple):
    """The backward equations, in the order in which they can be computed.

    `shares` holds, for each name, its gradient's terms before they are added: a pair for every mention of the name, of
    the equation that mentions it and of what that hands back (broadcasting may have yet to be undone). No equation
    mentions the end, whose own gradient comes from "".
    """

    equations: tuple[Equation, ...]  # each named `d<name>`, or `d<name>_1` for a part of one
    stores: Mapping[str, tuple[str, ...]]  # the forward values that each equation's part of the backward pass reads
    parts: Mapping[str, Sequence[str]]  # the pieces of each one's gradient that have names of their own
    shares: Mapping[str, Sequence[tuple[str, Expr]]]  # which sum to its gradient


def derive(equations: Sequence[Equation], types: Types, wanted: Collection[str]) -> Backward:
    """The backward equations of the last of `equations`, for the names in `wanted`.

    `types` holds the types of every name; it learns those of the gradients. Where the last equation has several
    entries, its gradient is the name `upstream`, which must be among the types. A wanted name that the end does not
    depend on gets zeros; one that reaches it only through an op without a derivative raises MathlabError at its place.
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
        self.received: dict[str, list[tuple[str, Expr]]] = {}  # the shares, as in `Backward`
        self.backward: dict[str, Equation] = {}
        self.defined = {equation.name: equation for equation in equations}
        self.taken = {*types.names, *(equation.name for equation in equations)}
        self.forward = {equation.expr: Name(equation.name) for equation in reversed(equations)}
        # how many equations have yet to hand something to a name, so that its sum is written as soon as it is whole
        self.pending = Counter(name for equation in equations for name in names(equation.expr))
        self.active = {*wanted}  # the wanted names, and every name that is computed from one
        for equation in equations:
            if self.active.intersection(names(equation.expr)):
                self.active.add(equation.name)
        self.blocked: dict[str, tuple[Call, Equation]] = {}  # names behind a call without a derivative, in an equation
        self.handed: dict[str, list[Expr]] = {}  # what each equation hands back
        self.parts: dict[str, list[str]] = {}

    def run(self) -> Backward:
        end, types = self.equations[-1], self.types.names
        seed: Expr = Name(UPSTREAM) if UPSTREAM in types else Num(1)
        if types[end.name].size != 1 and seed == Num(1):
            message = f"'{end.name}', the last equation, has shape {types[end.name].shape}: give its gradient as"
            raise MathlabError(f"{message} 'upstream', or add an equation that makes one number of it", end.place)
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
        forward = self.types.names.keys() - self.backward.keys()
        stores = {name: stored(map(self._with_names, shares), forward) for name, shares in self.handed.items()}
        return Backward(tuple(self.backward.values()), stores, self.parts, self.received)

    def _total(self, name: str) -> Expr | None:
        """The gradient of `name` as an expression for its readers: the name of its equation, or what it simply is."""
        gradient = f"d{name}"
        if gradient in self.backward:
            return Name(gradient)
        type_ = self.types.names[name]
        parts = _joined([share for _, share in self.received.get(name, ())], self.types)
        if not parts:
            if name in self.blocked and name in self.wanted:
                call, equation = self.blocked[name]
                end = self.equations[-1].name
                message = f"'{name}' reaches '{end}' only through '{unparse(call)}', which has no derivative"
                raise ExpressionError(message, call.position).at(equation.place)
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
        self.backward[name] = Equation(name, expr)

    def _with_names(self, expr: Expr) -> Expr:
        """The expression with whatever a forward equation has already computed called by its name."""
        return replace(expr, lambda part: self.forward.get(part) if isinstance(part, Call) else None)

    def hand_down(self, expr: Expr, upstream: Expr, equation: Equation) -> None:
        """Give each name in `expr` its share of the gradient `upstream` of `expr`, a part of the equation."""
        if isinstance(expr, Name) and expr.id in self.active:
            self.received.setdefault(expr.id, []).append((equation.name, upstream))
            self.handed.setdefault(equation.name, []).append(upstream)
        if not isinstance(expr, Call):
            return
        op, site = OPS[expr.op], self.types.site(expr)
        rules: dict[int, Expr] = {}
        for position, arg in enumerate(expr.args):
            if self.active.isdisjoint(names(arg)):
                continue
            text = op.rule(position, site)
            if text is not None:
                rules[position] = read(text)
                continue
            for name in names(arg):
                self._block(name, expr, equation)
        shares = self._shares(rules, expr, upstream, equation)
        core = split(upstream)[1]
        if not (isinstance(core, Name | Num) or is_ones(core)) and _count(core, shares.values()) > 1:
            self.handed.setdefault(equation.name, []).append(upstream)
            upstream = self._name(upstream, equation.name)
            shares = self._shares(rules, expr, upstream, equation)
        for position, share in shares.items():
            self.hand_down(expr.args[position], share, equation)

    def _shares(self, rules: Mapping[int, Expr], call: Call, upstream: Expr, equation: Equation) -> dict[int, Expr]:
        """The gradient of each argument of `call`, by the rules, with broadcasting undone."""
        values: dict[str, Expr] = {"g": upstream, "y": Name(equation.name) if call == equation.expr else call}
        for position, name in enumerate(OPS[call.op].args):
            if name.startswith("*"):
                values |= {f"{name[1:]}{k}": arg for k, arg in enumerate(call.args[position:])}
            else:
                values[name] = call.args[position]
        return {
            position: self.builder.fit(self.builder.instantiate(rule, values), call.args[position])
            for position, rule in rules.items()
        }

    def _name(self, part: Expr, owner: str) -> Expr:
        """A name `d<owner>_1` for an expression that is read more than once, or that is part of a long sum."""
        numbered = (f"d{owner}_{count}" for count in itertools.count(1))
        name = next(name for name in numbered if name not in self.taken)
        self.taken.add(name)
        self.parts.setdefault(owner, []).append(name)
        self._write(name, part)
        return Name(name)

    def _block(self, name: str, call: Call, equation: Equation) -> None:
        """Remember that a name was reached through an op without a derivative, and so all that it was computed from."""
        if name in self.blocked or name not in self.active:
            return
        self.blocked[name] = call, equation
        if name in self.defined:
            for inner in names(self.defined[name].expr):
                self._block(inner, call, equation)


def _joined(parts: Sequence[Expr], types: Types) -> list[Expr]:
    """The terms of a sum; those that are put each into its own place along an axis are one where they fill it.

    So the gradient of parts is told as that of the whole: `dz = concat(di, df, do, dg)`.
    """
    places: dict[tuple[str, int, int], dict[tuple[int, int], Call]] = defaultdict(dict)
    for part in parts:
        match part:
            case Call("scatter", (_, base, *items)):
                if block := _block(items, types.of(base).shape):
                    joined, extent = block
                    places[joined].setdefault(extent, part)
    whole: list[Expr] = []
    for (op, axis, size), filled in places.items():
        order = sorted(filled)
        starts, stops = [start for start, _ in order], [stop for _, stop in order]
        if len(order) > 1 and [*starts, size] == [0, *stops]:
            blocks = [filled[place] for place in order]
            parts = [part for part in parts if not any(part is block for block in blocks)]
            whole.append(Call(op, tuple(block.args[0] for block in blocks), (("axis", axis),) if axis else ()))
    return [*whole, *parts]


def _block(items: Sequence[Expr], shape: Shape) -> tuple[tuple[str, int, int], tuple[int, int]] | None:
    """What joins blocks like `x[items]` to x (op, axis, and the axis' size), and from where to where this one reaches.

    None for a part that is no such block.
    """
    match [(axis, item) for axis, item in enumerate(items) if item != ALL]:
        case [(axis, Num(int(at)))]:
            start = at % shape[axis]
            return ("stack", axis, shape[axis]), (start, start + 1)
        case [(axis, Slice(_, _, None) as item)]:
            start, stop, _ = item.whole.indices(shape[axis])
            return ("concat", axis, shape[axis]), (start, stop)
    return None


def _count(core: Expr, exprs: Iterable[Expr]) -> int:
    """How often `core` stands in the expressions, whatever the number in front of it."""
    count = 0
    for expr in exprs:
        if split(expr)[1] == core:
            count += 1
        elif isinstance(expr, Call):
            count += _count(core, expr.args)
    return count


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
