"""Equations of a loop's steps that say the same, taken together again as the recurrence that they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import NamedTuple, TypeVar

from mathlab.language.check import Types
from mathlab.language.equation import At, Equation, Step
from mathlab.language.shapes import Type
from mathlab.language.syntax import Bound, Call, Expr, Name, NewAxis, Num, Slice, parse, slice_of
from mathlab.language.terms import terms, total

ROUNDS = 3  # steps, or terms of a sum, that are worth taking together
DOTS = Name("…")
LISTS = ("array", "stack", "concat")

T = TypeVar("T")


class Recurrence(NamedTuple):
    """Equations over `h[t]` and the like, and the first and the last step that they stand for."""

    counter: str
    first: int
    last: int
    equations: tuple[Equation | Recurrence, ...]


Counted = tuple[Equation, At]
# what stands before the name of a value, that, and what stands behind it: d, h and _1 of dh3_1, whose number is 3
Apart = tuple[str, str, str]


class Fold:
    """Folds equations, forward or backward ones, by the `steps` of names; where there are none, nothing.

    What is folded was compared: with each number put in, a recurrence is the equations that it stands for. The `steps`
    are to hold every name, also those that no loop makes.
    """

    def __init__(self, steps: Iterable[tuple[str, Step | None]]) -> None:
        known = dict(steps)
        self.names = frozenset(known)
        self.steps = {name: step for name, step in known.items() if step}
        self.series = sorted({step.series for step in self.steps.values()}, key=len, reverse=True)
        self.numbered: dict[str, tuple[Apart, tuple[int | str, ...]]] = {}  # names, taken apart, and their numbers
        self.called: dict[str, str | None] = {}  # the names in recurrences, and one that each stands for; or a counter

    def equations(self, equations: Sequence[Equation]) -> Iterator[Equation | Recurrence]:
        """The equations in order, with long sums cut short."""
        return self._folded([(one, self._at(one.name)) for one in equations]) if self.steps else iter(equations)

    def _folded(self, equations: Sequence[Counted]) -> Iterator[Equation | Recurrence]:
        blocks = [tuple(block) for _, block in groupby(equations, lambda counted: counted[1][:1])]
        at = 0
        while at < len(blocks):
            count, template = _alike(len(blocks) - at, partial(self._step_pattern, blocks, at))
            (first, *_), (last, *_) = blocks[at], blocks[at + count - 1]
            if template and count >= ROUNDS:
                (counter, number), (_, end) = first[1][0], last[1][0]
                yield Recurrence(counter, number, end, tuple(self._folded(template)))
            elif first[1]:
                count = 1
                yield from self._folded([(one, steps[1:]) for one, steps in blocks[at]])
            else:
                count = 1
                yield from (one.saying(self.cut(one.expr)) for one, _ in blocks[at])
            at += count

    def written(self, equation: str) -> str:
        """An equation's text, in which of many terms that are alike the first and the last stand."""
        if not equation or not self.steps:
            return equation
        whole = Equation("", parse(equation), equation)
        return whole.saying(self.cut(whole.expr)).text

    def cut(self, expr: Expr) -> Expr:
        """The expression with the first and the last of the terms of a sum, or of a list, that are alike."""
        if not isinstance(expr, Call) or not self.steps:
            return expr
        parts = terms(expr) if expr.op == "add" else expr.args
        if expr.op not in ("add", *LISTS) or len(parts) <= ROUNDS:
            return replace(expr, args=tuple(map(self.cut, expr.args)))
        kept: list[Expr] = []
        at = 0
        while at < len(parts):
            count = max(_alike(len(parts) - at, partial(self._term_pattern, parts, at, way))[0] for way in (1, -1))
            kept += [parts[at], DOTS, parts[at + count - 1]] if count > ROUNDS else parts[at : at + count]
            at += count
        return replace(expr, args=tuple(kept)) if expr.op in LISTS else total(*kept)

    def types(self, types: Types) -> Types:
        """The types with those of the names in recurrences."""
        known = types.names
        more = {name: known[of] if of else Type((), "i") for name, of in self.called.items() if not of or of in known}
        return Types({DOTS.id: Type(()), **known, **more}, types.integral)

    def _apart(self, name: str) -> Apart:
        """A name in parts, with the numbers in it."""
        whole, _, part = name[1:].rpartition("_")
        known = (("", name, ""), (name[:1], name[1:], ""), (name[:1], whole, f"_{part}"))
        return next((one for one in known if one[1] in self.names and one[0] in ("", "d")), known[0])

    def _at(self, name: str) -> At:
        """Where loops had counted to when the name was computed, or that which it is the gradient of."""
        step = self.steps.get(self._apart(name)[1])
        return step.at if step else ()

    def _numbers(self, name: str) -> tuple[Apart, tuple[int | str, ...]]:
        """A name and the numbers in it: none where there is none, or they would be those of entries."""
        if name not in self.numbered:
            apart, numbers = self._apart(name), tuple[int, ...]()
            found = re.fullmatch(rf"({'|'.join(map(re.escape, self.series))}|.*?[^\d_])_?(\d+(?:_\d+)*)", apart[1])
            if found and found[1] not in self.names:
                apart, numbers = (apart[0], found[1], apart[2]), tuple(map(int, found[2].split("_")))
            self.numbered[name] = apart, numbers
        return self.numbered[name]

    def _term_pattern(self, terms: Sequence[Expr], at: int, way: int, k: int) -> Expr | None:
        """What the k-th term from `at` and the next are both of, as `_anti_unifier` has it."""
        return self._anti_unifier(k * way, way, "t")(terms[at + k], terms[at + k + 1])

    def _step_pattern(self, blocks: Sequence[Sequence[Counted]], at: int, k: int) -> tuple[Counted, ...] | None:
        """What the equations of the k-th step from `at` and of the next are both of; None where they differ."""
        these, those = blocks[at + k], blocks[at + k + 1]
        (_, this_at), (_, that_at) = these[0], those[0]
        if not this_at or not that_at or this_at[0][0] != that_at[0][0] or len(these) != len(those):
            return None
        (counter, number), (_, other) = this_at[0], that_at[0]
        unified, pattern = self._anti_unifier(number, other - number, counter), list[Counted]()
        for (this, steps), (that, others) in zip(these, those, strict=True):
            name, expr = unified(Name(this.name), Name(that.name)), unified(this.expr, that.expr)
            if abs(other - number) != 1 or steps[1:] != others[1:] or not isinstance(name, Name) or expr is None:
                return None
            pattern.append((Equation(name.id, expr), steps[1:]))
        return tuple(pattern)

    def _anti_unifier(self, number: int, way: int, counter: str) -> Callable[[Expr, Expr], Expr | None]:
        """The anti-unifier of steps `number` and the next in the `way` of counting: what gives the one expression, over
        the counter, that with either number put in is the first or the second; None where there is none.
        """

        def unified(one: Expr, other: Expr) -> Expr | None:
            match one, other:
                case _ if one == other:
                    return one
                case Name(this), Name(that):
                    (apart, numbers), (same, others) = self._numbers(this), self._numbers(that)
                    counted = [_counted(*pair, number, way, counter) for pair in zip(numbers, others, strict=False)]
                    if apart != same or not len(numbers) == len(others) > 0 or "" in counted:
                        return None
                    before, series, after = apart
                    value = f"{series}[{', '.join(map(str, counted))}]"
                    text, sample = f"{before}{value}{after}", self.called.get(this) or this
                    self.numbered[text] = apart, tuple(counted)
                    self.called |= {text: sample, value: self._apart(sample)[1]}
                    return Name(text)
                case Slice(), Slice():
                    told = [*map(unified, map(_bound, one.bounds), map(_bound, other.bounds))]
                    return None if None in told else slice_of(None if bound == NewAxis() else bound for bound in told)
                case Num(int() as this), Num(int() as that):
                    if found := _counted(this, that, number, way, counter):
                        self.called |= {f"{found}": None, counter: None}
                        return Name(f"{found}")
                case Call(), Call() if (one.op, one.attrs, len(one.args)) == (other.op, other.attrs, len(other.args)):
                    args: list[Expr] = []
                    for mine, theirs in zip(one.args, other.args, strict=True):
                        arg = unified(mine, theirs)
                        if arg is None:
                            return None
                        if isinstance(arg, Name) and isinstance(mine, Num) and one.op != "index":
                            arg = parse(arg.id)  # t-1 is arithmetic, with brackets, but where it stands in an index
                        args.append(arg)
                    return replace(one, args=tuple(args))
            return None

        return unified


def _counted(a: int | str, b: int | str, number: int, way: int, counter: str) -> int | str:
    """Two numbers over the counter, which is `number` at the first of them: t-1, say, or 5-t; "" for none."""
    if isinstance(a, int) and isinstance(b, int) and b - a == way:
        return f"{counter}{a - number:+}" if a != number else counter
    if isinstance(a, int) and isinstance(b, int) and a - b == way:
        return f"{a + number}-{counter}"
    return a if a == b else ""


def _bound(bound: Bound) -> Expr:
    """What stands in a slice, also where nothing does."""
    return bound if isinstance(bound, Expr) else NewAxis() if bound is None else Num(bound)


def _alike(count: int, pattern: Callable[[int], T | None]) -> tuple[int, T | None]:
    """How many of `count` things in a row have one pattern, and that; `pattern(k)` is that of the k-th and the next."""
    first = pattern(0) if count > 1 else None
    if first is None:
        return 1, None
    return next((k + 1 for k in range(1, count - 1) if pattern(k) != first), count), first
