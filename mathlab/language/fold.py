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
from mathlab.language.syntax import Bound, Call, Expr, Name, NewAxis, Num, Slice, parse
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
            count, template = _alike(len(blocks) - at, partial(self._both, blocks, at))
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
            count = max(_alike(len(parts) - at, partial(self._term, parts, at, way))[0] for way in (1, -1))
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

    def _term(self, terms: Sequence[Expr], at: int, way: int, k: int) -> Expr | None:
        """What the k-th term from `at` and the next say."""
        return self._said(k * way, way, "t")(terms[at + k], terms[at + k + 1])

    def _both(self, blocks: Sequence[Sequence[Counted]], at: int, k: int) -> tuple[Counted, ...] | None:
        """What the equations of the k-th step from `at` and of the next say, where they say the same."""
        these, those = blocks[at + k], blocks[at + k + 1]
        (_, this_at), (_, that_at) = these[0], those[0]
        if not this_at or not that_at or this_at[0][0] != that_at[0][0] or len(these) != len(those):
            return None
        (counter, number), (_, other) = this_at[0], that_at[0]
        said_of, said = self._said(number, other - number, counter), list[Counted]()
        for (this, steps), (that, others) in zip(these, those, strict=True):
            name, expr = said_of(Name(this.name), Name(that.name)), said_of(this.expr, that.expr)
            if abs(other - number) != 1 or steps[1:] != others[1:] or not isinstance(name, Name) or expr is None:
                return None
            said.append((Equation(name.id, expr), steps[1:]))
        return tuple(said)

    def _said(self, number: int, way: int, counter: str) -> Callable[[Expr, Expr], Expr | None]:
        """Of two expressions what they say of their steps, which are `number` and the next in the `way` of counting."""

        def said(one: Expr, other: Expr) -> Expr | None:
            match one, other:
                case _ if one == other:
                    return one
                case Name(this), Name(that):
                    (apart, numbers), (same, others) = self._numbers(this), self._numbers(that)
                    counted = [_same(*pair, number, way, counter) for pair in zip(numbers, others, strict=False)]
                    if apart != same or not len(numbers) == len(others) > 0 or "" in counted:
                        return None
                    before, series, after = apart
                    value = f"{series}[{', '.join(map(str, counted))}]"
                    text, sample = f"{before}{value}{after}", self.called.get(this) or this
                    self.numbered[text] = apart, tuple(counted)
                    self.called |= {text: sample, value: self._apart(sample)[1]}
                    return Name(text)
                case Slice(), Slice():
                    told = [*map(said, map(_bound, one.bounds), map(_bound, other.bounds))]
                    start, stop, step = (None if bound == NewAxis() else bound for bound in told)
                    return None if None in told else Slice(start, stop, step).with_bounds(lambda bound: bound)
                case Num(int() as this), Num(int() as that) if same_number := _same(this, that, number, way, counter):
                    self.called |= {f"{same_number}": None, counter: None}
                    return Name(f"{same_number}")
                case Call(), Call() if (one.op, one.attrs, len(one.args)) == (other.op, other.attrs, len(other.args)):
                    args = [*map(said, one.args, other.args)]
                    if one.op != "index":  # where t-1 stands as it is, and elsewhere as arithmetic, with its brackets
                        args = [
                            parse(arg.id) if isinstance(arg, Name) and isinstance(of, Num) else arg
                            for of, arg in zip(one.args, args, strict=True)
                        ]
                    if None not in args:
                        return replace(one, args=tuple(arg for arg in args if arg is not None))
            return None

        return said


def _same(a: int | str, b: int | str, number: int, way: int, counter: str) -> int | str:
    """What two numbers say of the counter, which is `number` at the first of them; "" where they do not agree."""
    if isinstance(a, int) and isinstance(b, int) and b - a == way:
        return f"{counter}{a - number:+}" if a != number else counter
    if isinstance(a, int) and isinstance(b, int) and a - b == way:
        return f"{a + number}-{counter}"
    return a if a == b else ""


def _bound(bound: Bound) -> Expr:
    """What stands in a slice, also where nothing does."""
    return bound if isinstance(bound, Expr) else NewAxis() if bound is None else Num(bound)


def _alike(count: int, said: Callable[[int], T | None]) -> tuple[int, T | None]:
    """How many of `count` things in a row are alike, and what `said` tells of each of them and the next."""
    first = said(0) if count > 1 else None
    if first is None:
        return 1, None
    return next((k + 1 for k in range(1, count - 1) if said(k) != first), count), first
