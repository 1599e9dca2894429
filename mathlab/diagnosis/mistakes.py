"""The table of mistakes, and those in the equations made: likeliest first, each alone and all alike together."""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from graphlib import CycleError
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from mathlab.diagnosis import rules, slips, swaps, trials
from mathlab.diagnosis.rewrite import Names, Rule, rule_of
from mathlab.diagnosis.scene import Scene, Trial
from mathlab.diagnosis.slips import Place, Slip
from mathlab.language.equation import Equation, by_name, in_order
from mathlab.language.syntax import Call, Expr, Num, names
from mathlab.language.tables import rows
from mathlab.stages.prepare import Prepared
from mathlab.stages.shares import handed

# How far behind a kind comes a mistake that is of a less likely sort: at several places but not at all that look alike,
# at one of many alike, as one reader alone sees it, with a name from far away.
ALONE, MIDDLE, ONE_READER, FAR, BROAD = 0.25, 10.0, 0.5, 3.0, 0.01
SEEN = 2.1  # the tier up to which one reader of a gradient may see a mistake, and the others not
MANY = 3  # that look alike; of more, one in the middle alone is tried last
CROWD, CROWDED = 200, 2.6  # so many that one reader alone may see are tried after the names
LIKELY = 0.05  # how likely at least a change is that one reader alone may see
UNDER = 0.05  # how far a forward mistake under the true formulas is behind
TOGETHER = ("exchanged", "weights exchanged", "other block", "forward block")  # what is made everywhere or not at all
# of which no reader of a gradient sees another version
ONCE = (*TOGETHER, "path missing", "axis kept", "row sums")

Trials = Callable[[Scene], Iterator[Trial]]
Lines = tuple[Equation, ...]
TRIALS: Mapping[str, Trials] = vars(trials)


class Kind(NamedTuple):
    """A kind of mistake: its name, and what it is in a sentence."""

    name: str
    sentence: str
    tier: float  # how soon it is believed
    rule: Rule = lambda part, known: iter(())  # of those in the equations
    trials: Trials = lambda scene: iter(())  # of the others
    forward: bool | None = None


def _kinds() -> Iterator[Kind]:
    """Those of the table; some are made as others before them are."""
    made = {**vars(rules), **vars(swaps)}
    forward: bool | None = None
    for head, lines in rows(Path(__file__).with_name("kinds.txt")).items():
        name, *said = head.split(" | ")
        if not said:
            forward = name == "forward"
        elif forward is None:
            yield Kind(name, said[1], float(said[0]), trials=TRIALS[lines[0]])
        else:
            made[f"as {name}"] = rule = rule_of(lines, made)
            yield Kind(name, said[1], float(said[0]), rule, forward=forward)


KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _kinds()}
VARIANTS = sorted(KINDS.values(), key=lambda kind: kind.tier)


@dataclass(frozen=True)
class Mistake:
    """Something to try: what is `made` in the equations that are defined so."""

    kind: str
    definitions: Mapping[str, Expr]
    tier: float  # how soon it is believed
    made: Sequence[Slip] = ()
    later: float = 0.0  # how far behind as likely ones it is tried
    followed: bool = False  # one in the forward pass by the gradients, which are then those of the wrong equations
    also: Mapping[str, Expr] = field(default_factory=dict)  # the gradients that are changed by that

    @cached_property
    def changes(self) -> dict[str, Expr]:
        """The equations that it changes; written out only when they are asked for, for most are never tried."""
        return {**slips.applied(self.made, self.definitions), **self.also}

    @property
    def forward(self) -> bool:
        return bool(KINDS[self.kind].forward)


def all_of(prepared: Prepared, known: Names, forward: bool, most: Callable[[], float]) -> Iterator[Mistake]:
    """Every mistake in the backward or the forward equations, likeliest first; a kind's are made when it is their turn.

    What is of a tier above `most`, which may fall on the way, is left out. A forward one comes with the gradient that
    belongs to it, and under the true formulas.
    """
    rows = sorted((row.tier, n, kind) for n, (kind, row) in enumerate(KINDS.items()) if row.forward is forward)
    waiting: list[tuple[float, int, int, Mistake]] = []
    definitions = by_name(prepared.equations if forward else prepared.backward.equations)
    places = [*slips.places(definitions, known)]
    closed = [] if forward else [*slips.places(known.closed, known)]
    for (tier, n, kind), (next_tier, *_) in pairwise([*rows, (math.inf, 0, "")]):
        some = _of_kind(KINDS[kind], definitions, places, closed, known) if tier <= most() else ()
        for count, mistake in enumerate(some):
            heapq.heappush(waiting, (mistake.tier + mistake.later, n, count, mistake))
        while waiting and waiting[0][0] < next_tier:
            mistake = heapq.heappop(waiting)[-1]
            if mistake.tier <= most():
                yield mistake


def _of_kind(
    row: Kind, definitions: Mapping[str, Expr], places: Sequence[Place], closed: Sequence[Place], known: Names
) -> Iterator[Mistake]:
    kind, short = row.name, slips.slips(closed, row.rule)
    yield from _mistakes(kind, row.tier + BROAD, [*short], {**definitions, **known.closed})
    direct = [*slips.slips(places, row.rule)]
    for mistake in _mistakes(kind, row.tier, direct, definitions):
        if row.forward:
            yield replace(mistake, followed=True)
        yield replace(mistake, tier=mistake.tier + UNDER) if row.forward else mistake
    if not row.forward and kind not in ONCE and row.tier < SEEN:
        likely = [slip for slip in direct if slip.rank < LIKELY]
        seen = [*slips.through_one_reader(likely, definitions, known)]
        for mistake in _mistakes(kind, row.tier + ONE_READER, seen, definitions):
            yield replace(mistake, later=mistake.later + CROWDED) if len(seen) > CROWD else mistake


def _mistakes(kind: str, tier: float, found: Sequence[Slip], definitions: Mapping[str, Expr]) -> Iterator[Mistake]:
    """The changes, each alone and all that look alike together: the more look alike, the sooner all are tried."""
    if kind in TOGETHER:
        both: dict[str, list[Slip]] = {}
        for slip in found:
            for said in dict.fromkeys((slip.clause, re.sub(r"\d+", "#", slip.clause))):  # in all steps too
                both.setdefault(said, []).append(slip)
        for some in both.values():
            if len({slip.part for slip in some}) > 1:
                yield Mistake(kind, definitions, tier + FAR * some[0].rank, slips.apart(some))
        return
    for some in slips.grouped(found):
        believed = tier + FAR * max(slip.rank for slip in some) + BROAD
        yield Mistake(kind, definitions, believed, some, BROAD / len(some))
    alike = Counter(slip.looks for slip in found)
    first, last = ({slip.looks: slip for slip in some} for some in (found[::-1], found))
    for slip in found:
        # of many that look alike, one in the middle is no likely place for a mistake
        middle = alike[slip.looks] > MANY and slip not in (first[slip.looks], last[slip.looks])
        later = MIDDLE if middle else ALONE if alike[slip.looks] > 2 else 0
        yield Mistake(kind, definitions, tier + FAR * slip.rank, [slip], later)


def followed(mistake: Mistake, prepared: Prepared) -> Mistake | None:
    """The mistake with what follows from it for the gradients, which an equation hands on by what it is now.

    To each gradient that a changed equation hands something to comes what it hands on now, less what it handed on.
    """
    gradients, changes = by_name(prepared.backward.equations), dict(mistake.changes)
    read = {name for expr in gradients.values() for name in names(expr)}
    was, now = mistake.definitions, {**mistake.definitions, **changes}
    known = [name for name in changes if f"d{name}" in read]
    pairs: list[tuple[Lines, Lines]] = [((Equation(one, was[one]),), (Equation(one, now[one]),)) for one in known]
    if len(pairs) < len(changes):
        try:
            pairs.append((_unread(was, read, prepared.end), _unread(now, read, prepared.end)))
        except CycleError:
            return None
    for before, after in filter(all, pairs):  # what leads nowhere hands nothing on
        old, new = handed(before, prepared), handed(after, prepared)
        if old is None or new is None:
            return None
        for gradient in {*old, *new} & gradients.keys():
            more, less = new.get(gradient, Num(0)), old.get(gradient, Num(0))
            whole = changes.get(gradient, gradients[gradient])
            changes[gradient] = Call("add", (whole, Call("sub", (more, less))))
    return replace(mistake, also=changes)


def _unread(definitions: Mapping[str, Expr], read: Collection[str], end: str) -> Lines:
    """The end, and the equations before it whose gradient is a number: it is not among the names that others `read`.

    So what each hands on does not say whose it is, and is derived for all of them together.
    """
    found, needed = list[Equation](), {end}
    for line in reversed(in_order(map(Equation, definitions.keys(), definitions.values()))):
        if line.name in needed and f"d{line.name}" not in read:
            found.append(line)
            needed.update(names(line.expr))
    return tuple(reversed(found))
