"""`for t in 1..25:` -> the equations of every step, as they would be written by hand: h1, h2 and so on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from typing import cast

from mathlab.config.formulas import Line
from mathlab.errors import ExpressionError, MathlabError, Place, Problem
from mathlab.experiment import Case, Figure, GradcheckSettings, Picture, SweepSettings, TrainSettings
from mathlab.language.check import constant_value
from mathlab.language.equation import Equation, Step
from mathlab.language.ops import OPS
from mathlab.language.syntax import Call, Expr, Name, Num, Slice, names, substitute, unparse
from mathlab.language.syntax import replace as rewritten

MOST = 10_000  # equations of a loop

Numbers = Mapping[str, Num]  # what counters stand for, and inputs that loops count to


@dataclass(frozen=True)
class Loop:
    """A loop's lines, the numbers that its counter goes through, and the inputs that say how far it counts."""

    counter: str
    steps: range
    bounds: tuple[str, ...]
    lines: Sequence[Line]


def unrolled(case: Case, places: Mapping[str, Place]) -> Case:
    """The case with its loops written out. An input that a loop counts to is a number in the equations, and no node.

    `places` says where its inputs and parameters are defined. Raises MathlabError, once for each loop or line of it:
    where it never runs, where a name clashes, and where a step reads what is not computed before it.
    """
    whole = {
        name: Num(int(value.array)) for name, value in case.inputs.items() if value.integral and not value.array.ndim
    }
    parts: list[Loop | Equation] = []
    for _, group in groupby(case.equations, lambda one: getattr(one, "header", "")):
        equations = [*group]
        lines = [one for one in equations if isinstance(one, Line)]
        parts += [_loop(lines, whole)] if lines else equations
    plain = {one.name: one.named_at for one in parts if isinstance(one, Equation) and one.named_at}
    loops = [part for part in parts if isinstance(part, Loop)]
    bounds = {name: whole[name] for loop in loops for name in loop.bounds}
    inputs = {name: value for name, value in case.inputs.items() if name not in bounds}
    writer = _Writer({**places, **plain}, bounds, loops, {*inputs, *case.parameters})
    for part in parts:
        if isinstance(part, Loop):
            writer.loop(part)
        else:
            writer.write(part, part.name, None)
    if writer.problems:
        raise MathlabError(list(writer.problems.values()))
    counted = cast(Case, _counting(replace(case, inputs=inputs, equations=()), bounds))
    return replace(counted, equations=tuple(writer.equations))


def _counting(part: object, numbers: Numbers) -> object:
    """A part of a case with the inputs that loops count to as numbers, whatever asks for them: figures and formulas."""
    match part:
        case Place():  # which is a tuple as well
            return part
        case Equation():
            return replace(part, expr=substitute(part.expr, numbers))
        case Figure():
            return replace(part, quantity=substitute(part.quantity, numbers))
        case tuple():
            return tuple(_counting(one, numbers) for one in part)
        case Case() | GradcheckSettings() | TrainSettings() | SweepSettings() | Picture():
            parts = {one.name: _counting(getattr(part, one.name), numbers) for one in fields(part)}
            return replace(part, **parts)  # type: ignore[arg-type]  # each is what it was, with other expressions
    return part


def _loop(lines: Sequence[Line], whole: Numbers) -> Loop:
    header, (counter, *written) = lines[0].header, lines[0].loop
    first, last = (_bound(bound, whole) for bound in written)
    if last < first:
        raise MathlabError(f"a loop counts up, and from {first} to {last} it never runs", header.place)
    if (last - first + 1) * len(lines) > MOST:
        raise MathlabError(f"this loop would make more than {MOST:,} equations", header.place)
    bounds = tuple(name for bound in written for name in names(bound.expr))
    return Loop(counter, range(first, last + 1), bounds, lines)


def _bound(bound: Equation, whole: Numbers) -> int:
    for name in names(bound.expr):
        if name not in whole:
            message = f"a loop counts to a whole number, or to an input that is one, and '{name}' is none"
            raise MathlabError(message, bound.place)
    try:
        return _number(substitute(bound.expr, whole))
    except ExpressionError as error:
        raise error.at(bound.place) from None


def _number(expr: Expr) -> int:
    """The whole number that arithmetic on numbers gives."""
    value = constant_value(expr)
    if value is None or value != int(value):
        raise ExpressionError(f"'{unparse(expr)}' is no whole number", getattr(expr, "position", 0))
    return int(value)


def _named(series: str, step: int) -> str:
    """The name of a step: h3, and h1_3 of what is called h1."""
    return f"{series}_{step}" if series[-1].isdigit() else f"{series}{step}"


class _Writer:
    """Writes the equations out in order.

    `places` says where the names stand that no loop makes, `numbers` what bounds are, `made` what has been computed so
    far; `steps` holds what the loops make, by what stands before the bracket and the number in it.
    """

    def __init__(self, places: Mapping[str, Place], numbers: Numbers, loops: Sequence[Loop], made: set[str]) -> None:
        self.places = places
        self.numbers = numbers
        self.made = made
        self.equations: list[Equation] = []
        self.problems: dict[str, Problem] = {}  # the first of each line
        self.steps: dict[str, dict[int, str]] = {}
        self.of_loops: set[str] = set()
        for loop in loops:
            for line in loop.lines:
                self.announce(line, loop)

    def complain(self, line: str, place: Place | None, message: str) -> None:
        """Of each line only once, whatever the step."""
        self.problems.setdefault(line, Problem(message, place))

    def announce(self, line: Line, loop: Loop) -> None:
        """Notice all names that a line makes."""
        target = str(line.target)
        for key, place, name, why in (
            (line.header, line.header.place, loop.counter, "it cannot count the steps of a loop"),
            (line.name, line.named_at, line.series, f"'{target}' would be an entry of it; give the steps another name"),
        ):
            if name in self.places:
                self.complain(key, place, f"'{name}' is defined already, on line {self.places[name].line}, and {why}")
        for number in loop.steps:
            at, where = self.number_of(line, number), f"'{target}' at {loop.counter} = {number}"
            if at is None:
                continue
            name = _named(line.series, at)
            if at < 0:
                wrong = f"step {at}, and steps are counted from 0"
            elif name in self.places:
                wrong = f"'{name}', which line {self.places[name].line} defines too"
            else:
                wrong = f"'{name}', which a loop has made already" if name in self.of_loops else ""
            if wrong:
                self.complain(line.name, line.named_at, f"{where} is {wrong}")
            self.steps.setdefault(line.series, {})[at] = name
            self.of_loops.add(name)

    def number_of(self, line: Line, number: int) -> int | None:
        """The step that a line makes where the counter has come to this number."""
        try:
            return _number(substitute(line.at, {line.loop.counter: Num(number), **self.numbers}))
        except ExpressionError as error:
            self.complain(line.name, line.named_at, error.message)
            return None

    def loop(self, loop: Loop) -> None:
        """All steps of a loop."""
        for number in loop.steps:
            for line in loop.lines:
                if (at := self.number_of(line, number)) is not None:
                    self.write(line, _named(line.series, at), Step(loop.counter, number, line.series))

    def write(self, line: Equation, name: str, step: Step | None) -> None:
        """The equation of a name."""
        values = {**self.numbers, step.counter: Num(step.number)} if step else self.numbers

        def rewrite(part: Expr) -> Expr | None:
            match part:
                case Name(id, position) if id in values:
                    return replace(values[id], position=position)
                case Call("index", (base, *items)):
                    return self.indexed(part, rewritten(base, rewrite), [_item(i, rewrite) for i in items], name, step)
                case Call(op, (*_, Call("index")) as args):  # stack(h[1:])
                    return replace(part, args=OPS[op].unpacked(tuple(rewritten(arg, rewrite) for arg in args)))
            return None

        try:
            expr = rewritten(line.expr, rewrite)
        except ExpressionError as error:
            (problem,) = error.at(line.place).problems
            self.problems.setdefault(line.name, problem)
            return
        finally:
            self.made.add(name)
        written = line.written if expr == line.expr else ""
        self.equations.append(Equation(name, expr, written, line.place, step=step, named_at=line.named_at))

    def indexed(self, call: Call, base: Expr, items: Sequence[Expr], own: str, step: Step | None) -> Expr:
        """`x[t]` in a step: an entry of x, or the name of a step where x is not defined itself."""
        where = f"'{unparse(call)}'{f' at {step}' if step else ''}"
        head, *rest = items
        if isinstance(base, Name) and base.id not in self.places:
            series = base.id
            numbers = self.steps.get(series, {})
            if isinstance(head, Slice) and numbers:
                asked = range(max(numbers) + 1)[head.start : head.stop : head.step]
                every = [self.computed(series, number, own, where, call) for number in asked if number in numbers]
                base = Call("array", tuple(every), (), call.position)
                return Call("index", (base, Slice(None, None, None), *rest), (), call.position) if rest else base
            if isinstance(head, Num) and (numbers or _named(series, int(head.value)) in self.places):
                base = self.computed(series, int(head.value), own, where, call)
                return Call("index", (base, *rest), (), call.position) if rest else base
            if numbers:
                raise ExpressionError(f"{where} reads a step, and a step is told by its number", call.position)
        counted = [item for item, written in zip(items, call.args[1:], strict=True) if names(written)]
        if any(isinstance(item, Num) and item.value < 0 for item in counted):
            raise ExpressionError(f"{where} counts from the end, and a step cannot", call.position)
        return Call("index", (base, *items), (), call.position)

    def computed(self, series: str, number: int, own: str, where: str, call: Call) -> Name:
        """The name of a step that has been computed before."""
        name = self.steps.get(series, {}).get(number) or _named(series, number)
        if name not in self.made and name != own:  # which is told as of any equation
            known = name in self.places or name in self.of_loops
            why = "which is computed later" if known else "which nothing defines"
            raise ExpressionError(f"{where} is {repr(name) if number >= 0 else f'step {number}'}, {why}", call.position)
        return Name(name, call.position)


def _item(item: Expr, rewrite: Callable[[Expr], Expr | None]) -> Expr:
    """What stands in an index, in a step: a number where it was arithmetic on the counter."""
    written = rewritten(item, rewrite)
    if isinstance(written, Call) and constant_value(written) is not None:
        return Num(_number(written), written.position)
    return written
