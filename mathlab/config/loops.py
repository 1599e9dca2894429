"""`equations:` -> equations; those of a loop, `for t in 1..25:`, as they would be written by hand, step by step.

`h[t]` is called h1, h2, and so on, and h[2, 1] is h2_1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import groupby
from typing import NamedTuple, cast

from mathlab.config.keys import NAMES, current, formula, mapping
from mathlab.config.keys import name as as_name
from mathlab.config.values import TEXT, Reader, Schema, any_of, attempt, gather
from mathlab.config.yamltext import Row, Scalar, Table, Tree
from mathlab.errors import ExpressionError, MathlabError, Place, Problem
from mathlab.experiment import Case, HandFormula, TrainSettings
from mathlab.habits import misplaced
from mathlab.language.check import folded, settled
from mathlab.language.equation import At, Equation, Step
from mathlab.language.ops import OPS
from mathlab.language.syntax import ALL, Bound, Call, Expr, Name, Num, Slice, names, slice_of, substitute, unparse, walk
from mathlab.language.syntax import replace as rewritten

MOST = 10_000  # equations of a loop
LOOP = r"for\s+(?P<counter>\w+)\s+in\s+(?P<first>(?:(?!\.\.)[^,])+?)\s*\.\.\s*(?P<last>[^.,][^,]*)"

Values = Mapping[str, Num]  # what counters stand for, and inputs that loops count to
Numbers = tuple[int, ...]  # in brackets: h[2, 1]


# --- as they are written


class Loop(NamedTuple):
    """What a loop's header says."""

    header: Scalar
    counter: str
    first: Equation
    last: Equation


@dataclass(frozen=True, kw_only=True)
class Line(Equation):
    """What is said `of` a step in `loops`, outermost first: `target`, h[l, t], is `series` h `at` what they count."""

    of: Equation
    loops: tuple[Loop, ...]
    target: Scalar
    series: str
    at: tuple[Expr, ...]


def _loop(header: Scalar) -> Loop:
    found = cast("re.Match[str]", re.fullmatch(LOOP, header))  # of what has lines
    parts = {part: Scalar(found[part], header.place.shifted(found.start(part))) for part in found.groupdict()}
    return Loop(header, str(as_name(parts["counter"])), formula(parts["first"]), formula(parts["last"]))


def _line(said: Callable[..., Equation | None], hand: bool, part: Tree, key: Scalar, *headers: Scalar) -> Equation:
    """What is `said` of a key, which is a name, or what a step is called in loops; by `hand`, outside of them too."""
    if is_loop(key):
        if re.fullmatch(LOOP, key) and (isinstance(part, Row) or re.search("=|<-", str(part))):
            mapping(part)  # of which it says how it is written
        raise MathlabError("a loop is written 'for t in 1..T:', with its equations below it", key.place)
    if isinstance(part, Table) and (why := misplaced(key)):
        raise MathlabError(why, key.place)
    problems: list[Problem] = []
    of = attempt(partial(said, key), part, problems)
    loops = tuple(current().once(_loop, header) for header in headers)
    counters = [loop.counter for loop in loops]
    if twice := next((one for one in counters if counters.count(one) > 1), None):
        raise MathlabError(f"two loops in one another cannot both count '{twice}'", loops[-1].header.place)
    target = attempt(formula if loops or (hand and "[" in key) else as_name, key, problems)
    match target:
        case Scalar() if of:
            return replace(of, name=str(target), named_at=key.place)
        case Equation(_, Call("index", (Name(series), *steps))) if {*counters} <= {
            read for step in steps for read in names(step)
        }:
            as_name(Scalar(series, key.place))
            if of:
                about = (": ".join((*headers, key)), of.expr, of.written, of.place)
                return Line(*about, of=of, named_at=key.place, loops=loops, target=key, series=series, at=tuple(steps))
        case Equation():
            these = "this loop is named by its step" if len(loops) == 1 else "these loops is named by its steps"
            step = f"{'dh' if hand else 'h'}[{', '.join(counters[::-1])}]"
            problems.append(Problem(f"an equation in {these}, as in {step}, not {str(key)!r}", key.place))
    raise MathlabError(problems)


def is_loop(key: str) -> bool:
    """Whether a key begins a loop, or stands in one."""
    return bool(re.match(r"for$|(?i:for|while)\s", key))


def lines_of(key: str, part: Tree | None) -> Table | None:
    """The lines below a key that begins a loop."""
    return part if isinstance(part, Table) and part and re.fullmatch(LOOP, key) else None


def written_in(table: Table, *headers: Scalar) -> Iterator[tuple[Tree, tuple[Scalar, ...]]]:
    """What stands for every equation of a section or a loop: its expression, and its key with those of its loops."""
    for word, part in table.items():
        key = cast(Scalar, word)
        if (lines := lines_of(key, part)) is None:
            yield part, (key, *headers)
        else:
            yield from written_in(lines, *headers, key)


def in_loops(said: Callable[..., Equation | None], one: Schema, hand: bool = False) -> Reader[tuple[Equation, ...]]:
    """The reader of what is `said` by names, and in loops `for t in 1..T:` by names as `h[t]`, and in loops of such."""
    line = partial(_line, said, hand)

    def read(tree: Tree) -> tuple[Equation, ...]:
        each: list[tuple[Tree, tuple[Scalar, ...]]] = []
        for part, keys in written_in(mapping(tree, filled=hand)):
            each += ((way, keys) for way in (part if hand and isinstance(part, Row) and part else [part]))
        return gather(lambda one: current().once(line, one[0], *one[1]), each)

    inside: Schema = {"type": "object", "minProperties": 1, "additionalProperties": any_of(one, {"type": "object"})}
    schema: Schema = {
        "type": "object" if hand else ["object", "null"],
        "minProperties": int(hand),
        "propertyNames": {"pattern": NAMES},
        "patternProperties": {r"^for\s": inside},
        "additionalProperties": one,
    }
    return Reader(read, schema)


equations = in_loops(lambda key, tree: formula(tree), TEXT)


# --- written out


def unrolled(case: Case, places: Mapping[str, Place]) -> Case:
    """The case with its loops written out.

    An input that a loop counts to, or that is a size or the bound of a slice, is a number in the equations, and no
    node. `places` says where its inputs and parameters are defined. Raises MathlabError, once for each place: for a
    loop that never runs, for names that clash, and for a step that cannot be told.
    """
    whole = {name: Num(int(one.array)) for name, one in case.inputs.items() if one.integral and not one.array.ndim}
    lines = [one for one in (*case.equations, *case.derivation) if isinstance(one, Line)]
    every = (*case.mentioned, *case.derivation, *case.figures)
    counted_to = [bound.expr for line in lines for loop in line.loops for bound in (loop.first, loop.last)]
    sizes = [*counted_to, *(size for one in every for size in _sizes(one.expr))]
    numbers = {name: number for name, number in whole.items() if any(name in names(size) for size in sizes)}
    if not lines and not numbers:
        return case
    written, by_hand = ([*_written_out(some, whole)] for some in (case.equations, case.derivation))
    plain = {one.name: one.named_at for one in case.equations if not isinstance(one, Line) and one.named_at}
    steps, problems = _Steps({**places, **plain}, numbers, {}, case.place), list[Problem]()
    for line in lines:
        entry = f"'{line.target}' would be an entry of it; give the steps another name"
        called = [(loop.counter, loop.header.place, "it cannot count the steps of a loop") for loop in line.loops]
        for name, place, why in (*called, (line.series, line.target.place, entry)):
            if name in steps.places:
                message = f"'{name}' is defined already, on line {steps.places[name].line}, and {why}"
                problems.append(Problem(message, place))
        if not any(one is line for one, _ in (*written, *by_hand)):
            problems.append(Problem("a loop counts up, and this one never runs", line.loops[-1].header.place))
    named = [(one, at, attempt(partial(steps.name, one), at, problems)) for one, at in (*written, *by_hand)]
    for series, of in steps.of.items():  # what stands before the first step is one too
        named_so = re.compile(_called(series, ()) + "_".join([r"(\d+)"] * len(next(iter(of)))))
        of |= {tuple(map(int, told.groups())): name for name in steps.places if (told := named_so.fullmatch(name))}
    steps.of.update({f"d{series}": {n: f"d{name}" for n, name in of.items()} for series, of in steps.of.items()})
    steps.places.update({f"d{name}": place for name, place in steps.places.items()})
    made = [attempt(partial(steps.equation, one, name), at, problems) for one, at, name in named if name]
    if problems:
        raise MathlabError([*{problem.place: problem for problem in problems[::-1]}.values()])
    inputs = {name: value for name, value in case.inputs.items() if name not in numbers}
    read = partial(_numbered, numbers, indexed=partial(steps.indexed, ""))
    counted = cast(Case, _with(replace(case, inputs=inputs, equations=(), derivation=()), read))
    equations, formulas = (tuple(filter(None, some)) for some in (made[: len(written)], made[len(written) :]))
    return replace(counted, equations=equations, derivation=formulas, rolled=(case, places))  # type: ignore[arg-type]


def rolled(case: Case, change: Callable[[Case], Case]) -> Case:
    """The case with a change made to it as it was written, before its loops were written out."""
    return unrolled(change(case.rolled[0]), case.rolled[1]) if case.rolled else change(case)


def _with(part: object, change: Callable[[Expr], Expr]) -> object:
    """A part of a case with every expression in it changed: equations, figures, formulas, whatever asks for one."""
    match part:
        case Equation():
            try:
                return replace(part, expr=change(part.expr))
            except ExpressionError as error:
                raise error.at(part.place) from None
        case TrainSettings():  # whose learning rate has a t of its own
            after = _with(part.after, change)
            return part if after == part.after else part._replace(after=after)  # type: ignore[arg-type]  # as it was
        case tuple():
            parts = [_with(one, change) for one in part]
            return part._make(parts) if hasattr(part, "_make") else tuple(parts)  # a record, or any other
        case Case():
            changed = {one.name: _with(getattr(part, one.name), change) for one in fields(part)}
            return replace(part, **changed)  # type: ignore[arg-type]  # each is what it was, with other expressions
    return part


def _sizes(expr: Expr) -> Iterator[Expr]:
    """What shapes depend on in an expression: its slices and settings, and where ops say so."""
    for part in walk(expr):
        match part:
            case Slice():
                yield part
            case Call(op, args, attrs):
                yield from (arg for at, arg in enumerate(args) if OPS[op].is_size(at))
                yield from (value for _, value in attrs if isinstance(value, Expr))


def _numbered(numbers: Values, expr: Expr, indexed: Callable[..., Expr]) -> Expr:
    """The expression with numbers for names, a size, bound or index as one; `indexed` says what an index comes to."""

    def fixed(part: Expr) -> Expr:
        return folded(rewritten(part, rewrite))

    def rewrite(part: Expr) -> Expr | None:
        match part:
            case Name(id, position) if id in numbers:
                return replace(numbers[id], position=position)
            case Slice():
                return part.with_bounds(fixed)
            case Call("index", (base, *items)):
                return indexed(part, rewritten(base, rewrite), *map(fixed, items))
            case Call(op, args, attrs):
                made = tuple(rewritten(arg, rewrite) for arg in args)
                listed = isinstance(args[-1], Call) and args[-1].op == "index" if args else False  # stack(h[1:])
                told = tuple((key, rewritten(one, rewrite) if isinstance(one, Expr) else one) for key, one in attrs)
                return settled(replace(part, args=OPS[op].unpacked(made) if listed else made, attrs=told))
        return None

    return rewritten(expr, rewrite)


def _written_out(equations: Sequence[Equation], numbers: Values, at: At = ()) -> Iterator[tuple[Equation, At]]:
    """Every equation in order, as often as the loops around it say, with what has been counted there."""

    def around(one: Equation) -> Loop | None:
        return one.loops[len(at)] if isinstance(one, Line) and len(one.loops) > len(at) else None

    for loop, group in groupby(equations, around):
        inside, made = [*group], 0
        if loop is None:
            yield from ((one, at) for one in inside)
            continue
        first, last = (_bound(bound, numbers) for bound in (loop.first, loop.last))
        for number in range(first, last + 1):
            for written in _written_out(inside, {**numbers, loop.counter: Num(number)}, (*at, (loop.counter, number))):
                made += 1
                yield written
            if made > MOST or number - first >= MOST:
                raise MathlabError(f"this loop would make more than {MOST:,} equations", loop.header.place)


def _bound(bound: Equation, known: Values) -> int:
    for name in names(bound.expr):
        if name not in known:
            message = f"a loop counts to a whole number, or to an input that is one, and '{name}' is none"
            raise MathlabError(message, bound.place)
    try:
        return _number(substitute(bound.expr, known))
    except ExpressionError as error:
        raise error.at(bound.place) from None


def _number(expr: Expr) -> int:
    """The whole number that arithmetic on numbers gives."""
    match folded(expr):
        case Num(int() as whole):
            return whole
    raise ExpressionError(f"'{unparse(expr)}' is no whole number", getattr(expr, "position", 0))


def _ends(item: Expr) -> tuple[Bound, Bound]:
    """From where to where an item of an index reaches."""
    index = item if isinstance(item, Slice) else slice_of((item, item, None))
    return index.start, index.stop


def _is_counted(end: Bound) -> bool:
    """Whether an end of an index changes with a counter or a size, and is not said to count from the end: -t - 1 is."""
    first = end
    while isinstance(first, Call) and first.op in ("sub", "mul"):
        first = first.args[0]
    from_end = first.value < 0 if isinstance(first, Num) else isinstance(first, Call) and first.op == "neg"
    return isinstance(end, Expr) and bool(names(end)) and not from_end


def _called(series: str, numbers: Numbers) -> str:
    """The name of a step: h3, h2_3 of h[2, 3], and h1_3 of what is called h1."""
    return f"{series}{'_' * series[-1].isdigit()}{'_'.join(map(str, numbers))}"


class _Steps(NamedTuple):
    """What names and brackets stand for: `places` says where names stand.

    `of` holds those that loops make, by what stands before the bracket and the numbers in it.
    """

    places: dict[str, Place]
    values: Values
    of: dict[str, dict[Numbers, str]]
    case: Place | None  # where it begins, behind what it inherits

    def name(self, line: Equation, at: At) -> str:
        """The name of an equation where so much has been counted, of which notice is taken."""
        if not isinstance(line, Line):
            return line.name
        try:
            counted = {counter: Num(number) for counter, number in at}
            numbers = tuple(_number(substitute(part, {**self.values, **counted})) for part in line.at)
        except ExpressionError as error:
            hint = "" if line.loops else "; steps stand below a loop, as in 'for t in 1..3:'"
            raise MathlabError(f"{error.message}{hint}", line.named_at) from None
        name = _called(line.series, numbers)
        if isinstance(line.of, HandFormula):  # of a gradient, which has that name
            return name
        others = self.of.setdefault(line.series, {})
        wrong = ""
        if min(numbers) < 0:
            wrong = f"step {min(numbers)}, and steps are counted from 0"
        elif len(numbers) != len(next(iter(others), numbers)):
            several = f"told by {len(numbers)} number{'s' * (len(numbers) > 1)}"
            wrong = f"{several}, and '{next(iter(others.values()))}' is a step of '{line.series}' too"
        elif name in self.places:
            wrong = f"'{name}', which line {self.places[name].line} defines too"
            if numbers in others and self.case and (self.places[name] < self.case) != (line.target.place < self.case):
                wrong += "; a case replaces a line of a loop below a header in the same words"
        if wrong:
            raise MathlabError(f"'{line.target}' at {Step(at, line.series)} is {wrong}", line.named_at)
        others[numbers], self.places[name] = name, line.target.place
        return name

    def equation(self, line: Equation, name: str, at: At) -> Equation:
        """The equation of a name, which may read what is not computed before it."""
        step = Step(at, line.series) if isinstance(line, Line) and at else None
        where = f" at {step}" if step else ""
        try:
            counted = {counter: Num(number) for counter, number in at}
            expr = _numbered({**self.values, **counted}, line.expr, partial(self.indexed, where))
        except ExpressionError as error:
            raise error.at(line.place) from None
        written = line.written if expr == line.expr else ""
        of = line.of if isinstance(line, Line) else line
        return replace(of, name=name, expr=expr, written=written, step=step, named_at=line.named_at)

    def indexed(self, where: str, call: Call, base: Expr, *items: Expr) -> Expr:
        """`x[t]` in a step: an entry of x, or the name of a step where x is not defined itself."""
        what = f"'{unparse(call)}'{where}"

        def picked(series: str, items: Sequence[Expr], numbers: Numbers = ()) -> Expr:
            """A step, or a list of those that a slice asks for; one below 0 is counted from the end."""
            if not items:
                return Name(_called(series, numbers), call.position)
            head, *rest = items
            if isinstance(head, Num) and _number(head) >= 0:
                return picked(series, rest, (*numbers, _number(head)))
            known = {one[len(numbers)] for one in self.of[series] if one[: len(numbers)] == numbers}
            every = range(max(known, default=-1) + 1)
            wanted = every[head.whole] if isinstance(head, Slice) else [len(every) + _number(head)]
            asked = [picked(series, rest, (*numbers, n)) for n in wanted if n in known]
            if not asked:
                raise ExpressionError(f"{what} holds no step", call.position)
            return Call("array", tuple(asked), (), call.position) if isinstance(head, Slice) else asked[0]

        pairs = zip(map(_ends, items), map(_ends, call.args[1:]), strict=True)
        counted = [end for ends, written in pairs for end, said in zip(ends, written, strict=True) if _is_counted(said)]
        below = [number for number in counted if isinstance(number, int) and number < 0]
        if isinstance(base, Name) and (count := self.counted(base.id, items)):
            told, rest = items[:count], items[count:]
            if len(told) < count or not all(isinstance(item, Num | Slice) for item in told):
                numbers = "its number" if count == 1 else f"its {count} numbers"
                raise ExpressionError(f"{what} reads a step, and a step is told by {numbers}", call.position)
            if below:
                raise ExpressionError(f"{what} is step {min(below)}, and steps are counted from 0", call.position)
            found = picked(base.id, told)
            whole = [ALL] * sum(isinstance(item, Slice) for item in told)
            return Call("index", (found, *whole, *rest), (), call.position) if rest else found
        if below:
            raise ExpressionError(f"{what} counts from the end, and a step cannot", call.position)
        return Call("index", (base, *items), (), call.position)

    def counted(self, series: str, items: Sequence[Expr]) -> int:
        """How many of the items in brackets are the numbers of a step; 0 where they are about an entry."""
        if found := self.of.get(series):
            return len(next(iter(found)))
        numbers = tuple(one.value if isinstance(one, Num) and isinstance(one.value, int) else -1 for one in items)
        known = (count for count in range(len(items), 0, -1) if _called(series, numbers[:count]) in self.places)
        return 0 if series in self.places else next(known, 0)
