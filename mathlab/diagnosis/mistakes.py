"""The mistakes of the table, made in the equations of a case: likeliest first, each alone and all alike together."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from mathlab.diagnosis import slips
from mathlab.diagnosis.kinds import BACKWARD, FORWARD, TOGETHER
from mathlab.diagnosis.rewrite import Names, read_by
from mathlab.diagnosis.slips import Slip
from mathlab.errors import ExpressionError, MathlabError
from mathlab.language.check import Types
from mathlab.language.derive import UPSTREAM, derive
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Name, Num, substitute
from mathlab.stages.prepare import Prepared, prepare

# How far behind a kind comes a mistake that is of a less likely sort: at several places but not at all that look alike,
# at one of many alike, as one reader alone sees it, with a name from far away.
ALONE, MIDDLE, ONE_READER, FAR, BROAD = 0.25, 10.0, 0.5, 3.0, 0.01
SEEN = 2.1  # the tier up to which one reader of a gradient may see a mistake, and the others not
MANY = 3  # that look alike; of more, one in the middle alone is tried last
CROWD, CROWDED = 500, 2.6  # so many that one reader alone may see are tried after the names
UNDER = 0.05  # how far a forward mistake under the true formulas is behind


@dataclass(frozen=True)
class Mistake:
    """Something to try: what is `made` in the equations that are defined so, and how soon it is believed.

    One in the forward pass may be `followed` by the gradients, which are then those of the wrong equations: they are
    `also` changed. What is `later` is tried after what is as likely, and believed as soon.
    """

    kind: str
    definitions: Mapping[str, Expr]
    tier: float
    made: Sequence[Slip] = ()
    later: float = 0.0
    forward: bool = False
    followed: bool = False
    also: Mapping[str, Expr] = field(default_factory=dict)

    @cached_property
    def changes(self) -> dict[str, Expr]:
        """The equations that it changes; written out only when they are asked for, for most are never tried."""
        return {**slips.applied(self.made, self.definitions), **self.also}

    @property
    def broad(self) -> bool:
        return len(self.made) > 1


def all_of(prepared: Prepared, known: Names, forward: bool, most: Callable[[], float]) -> Iterator[Mistake]:
    """Every mistake in the backward or the forward equations, likeliest first; a kind's are made when it is their turn.

    What is of a tier above `most`, which may fall on the way, is left out. A forward one comes with the gradient that
    belongs to it, and under the true formulas.
    """
    rows = FORWARD if forward else BACKWARD
    waiting: list[tuple[float, int, int, Mistake]] = []
    coming, kinds = sorted(rows, key=lambda kind: rows[kind].tier), [*rows]
    while waiting or coming:
        if coming and not (waiting and waiting[0][0] < rows[coming[0]].tier):
            kind = coming.pop(0)
            if rows[kind].tier <= most():
                for count, mistake in enumerate(_of_kind(kind, prepared, known, forward)):
                    heapq.heappush(waiting, (mistake.tier + mistake.later, kinds.index(kind), count, mistake))
        elif (mistake := heapq.heappop(waiting)[-1]).tier <= most():
            yield mistake


def _of_kind(kind: str, prepared: Prepared, known: Names, forward: bool) -> Iterator[Mistake]:
    row = (FORWARD if forward else BACKWARD)[kind]
    equations = _equations(prepared, forward)
    definitions = {equation.name: equation.expr for equation in equations}
    direct = _distinct(slips.slips(equations, row.rule, known))
    for mistake in _mistakes(kind, row.tier, direct, definitions):
        if forward:
            yield replace(mistake, forward=True, followed=True)
            yield replace(mistake, forward=True, tier=mistake.tier + UNDER)
        else:
            yield mistake
    if not forward and row.seen_by_one and row.tier < SEEN:
        likely = [slip for slip in direct if not slip.rank]
        seen = _distinct(slips.through_one_reader(likely, definitions, known))
        for mistake in _mistakes(kind, row.tier + ONE_READER, seen, definitions):
            yield replace(mistake, later=mistake.later + CROWDED) if len(seen) > CROWD else mistake


def _equations(prepared: Prepared, forward: bool) -> Sequence[Equation]:
    return prepared.equations if forward else prepared.backward.equations


def again(mistake: Mistake, prepared: Prepared, like: Names) -> Mapping[str, Expr] | None:
    """The same mistake in other equations, such as those of a batch, where it is one there."""
    equations = [equation for equation in _equations(prepared, mistake.forward) if equation.name in mistake.changes]
    rule = (FORWARD if mistake.forward else BACKWARD)[mistake.kind].rule
    known = replace(slips.known(prepared), numbers=like.numbers, rates=like.rates)
    there = {(slip.name, slip.clause): slip for slip in slips.slips(equations, rule, known)}
    found = [there.get((slip.name, slip.clause)) for slip in mistake.made]
    definitions = {equation.name: equation.expr for equation in equations}
    return None if None in found else slips.applied(filter(None, found), definitions)


def _distinct(found: Iterable[Slip]) -> list[Slip]:
    """The changes that make something else of a part than those before."""
    kept: dict[object, Slip] = {}
    for slip in found:
        kept.setdefault((slip.name, slip.path, slip.part), slip)
    return [*kept.values()]


def _mistakes(kind: str, tier: float, found: Sequence[Slip], definitions: Mapping[str, Expr]) -> Iterator[Mistake]:
    """The changes, each alone and all that look alike together: the more look alike, the sooner all are tried."""
    if kind in TOGETHER:
        both: dict[str, list[Slip]] = {}
        for slip in found:
            both.setdefault(slip.clause, []).append(slip)
        for some in both.values():
            if len({slip.part for slip in some}) > 1:
                yield Mistake(kind, definitions, tier + FAR * some[0].rank, slips.apart(some))
        return
    for some in slips.grouped(found):
        believed = tier + FAR * max(slip.rank for slip in some) + BROAD
        yield Mistake(kind, definitions, believed, some, BROAD / len(some))
    alike: dict[object, list[Slip]] = {}
    for slip in found:
        alike.setdefault(slip.looks, []).append(slip)
    for slip in found:
        # of many that look alike, one in the middle is no likely place for a mistake
        like = alike[slip.looks]
        middle = len(like) > MANY and slip not in (like[0], like[-1])
        later = MIDDLE if middle else ALONE if len(like) > 2 else 0
        yield Mistake(kind, definitions, tier + FAR * slip.rank, [slip], later)


def followed(mistake: Mistake, prepared: Prepared) -> Mistake | None:
    """The mistake with what follows from it for the gradients, which an equation hands on by what it is now."""
    if prepared.end in mistake.changes:  # whose gradient may be written into those before it
        return _derived_anew(mistake, prepared)
    changes = dict(mistake.changes)
    gradients = {equation.name: equation.expr for equation in prepared.backward.equations}
    for name, wrong in mistake.changes.items():
        handed = f"d{name}" in gradients
        if not handed and name != prepared.end:
            continue
        upstream: Expr = Name(f"d{name}") if handed else Num(1)
        true = next(equation.expr for equation in prepared.equations if equation.name == name)
        old, new = (_shares(name, expr, upstream, prepared) for expr in (true, wrong))
        if old is None or new is None:
            return None
        for gradient in {*old, *new} & gradients.keys():
            share = new.get(gradient, Num(0)), old.get(gradient, Num(0))
            changes[gradient] = Call("add", (changes.get(gradient, gradients[gradient]), Call("sub", share)))
    return replace(mistake, also=changes)


def _derived_anew(mistake: Mistake, prepared: Prepared) -> Mistake | None:
    """The mistake with all that is derived from the equations as they are with it."""
    equations = tuple(replace(line, expr=mistake.changes.get(line.name, line.expr)) for line in prepared.equations)
    try:
        made = prepare(replace(prepared.case, equations=equations))
    except (ExpressionError, MathlabError):
        return None
    old = {equation.name: equation.expr for equation in prepared.backward.equations}
    parts: dict[str, Expr] = {}  # those that have no name in the true equations
    also: dict[str, Expr] = {}
    for equation in made.backward.equations:
        expr = substitute(equation.expr, parts)
        (also if equation.name in old else parts)[equation.name] = expr
    return replace(mistake, also={name: expr for name, expr in also.items() if expr != old[name]})


def _shares(name: str, expr: Expr, upstream: Expr, prepared: Prepared) -> dict[str, Expr] | None:
    """What an equation alone hands to the gradients of what it reads; not the parts of it that have names."""
    known = prepared.types.names
    types = Types({other: known[other] for other in read_by(expr) if other in known}, prepared.types.integral)
    wanted = [other for other in types.names if types.names[other].kind == "f" and f"d{other}" in known]
    shape = known[name].shape
    try:
        types.names[name] = types.of(expr)
        if types.names[name].shape != shape:
            return None
        if shape:
            types.names[UPSTREAM] = known[name]
        backward = derive([Equation(name, expr)], types, wanted)
    except (ExpressionError, MathlabError):
        return None
    seed = {UPSTREAM: upstream, f"d{name}": upstream}
    shares: dict[str, Expr] = {}
    for equation in backward.equations:
        shares[equation.name] = substitute(equation.expr, {**seed, **shares})
    if not shape and upstream != Num(1):
        shares = {key: Call("mul", (upstream, share)) for key, share in shares.items()}
    return {f"d{other}": shares[f"d{other}"] for other in wanted if f"d{other}" in shares}
