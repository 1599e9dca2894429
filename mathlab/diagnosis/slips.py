"""A rule's mistakes, made in the equations: in one of them, or in all that look alike.

Who forgets the derivative of an activation in one hidden unit forgets it in the next one too, and who writes W for W.T
in one time step of a recurrent net writes it in all of them; or in all but the last, which has a line of its own. What
looks alike is told by names seen from the node whose gradient is handed on: in every layer and step, `W.T @ dz` hands
dz on by the first that z's equation reads.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from mathlab.diagnosis.rewrite import Names, Rule, form
from mathlab.errors import listed
from mathlab.experiment import Array
from mathlab.language import syntax
from mathlab.language.derive import UPSTREAM
from mathlab.language.equation import by_name
from mathlab.language.syntax import Call, Expr, Name, Num, Slice, names, walk
from mathlab.language.terms import Path, factors, grafted, parts, skeleton
from mathlab.stages.prepare import Prepared

MOST_NAMED = 4  # equations that a sentence names
MOST_ENTRIES = 512  # along any axis of what may be shifted
IN_A_MASK = 0.6  # how much less likely a change is that moves no more than what is compared


class Slip(NamedTuple):
    """One change to the equation called `name`: the part to which `path` leads, `old`, becomes `part`."""

    name: str
    path: Path
    old: Expr
    part: Expr
    clause: str
    looks: Hashable  # the same for changes of one kind to parts that look alike
    rank: float = 0  # how likely it is within its kind
    kin: Hashable = ""  # the same in other steps
    common: Hashable = ""  # what it shares with changes of parts that look otherwise


Place = tuple[Slip, Names]


def cause(made: Sequence[Slip], shown: Mapping[str, str] = {}) -> str:
    """A mistake in words, and the equations in which it is made, as they are `shown`."""
    places = [*dict.fromkeys(shown.get(slip.name, slip.name) for slip in made)]
    clauses = [*dict.fromkeys(slip.clause for slip in made)]
    if len(clauses) == 1:
        return f"in {listed(places, MOST_NAMED)}, {clauses[0]}"
    if len(places) == 1:
        more = f"; {len(clauses) - MOST_NAMED} more" if len(clauses) > MOST_NAMED else ""
        return f"in {places[0]}, {'; '.join(clauses[:MOST_NAMED])}{more}"
    return f"in {places[0]}, {clauses[0]}; likewise in {listed(places[1:], MOST_NAMED)}"


def known(prepared: Prepared) -> Names:
    """What the rules must know about the names of a case."""
    forward, backward = by_name(prepared.equations), by_name(prepared.backward.equations)
    ahead, back = ([part for expr in some.values() for part in walk(expr)] for some in (forward, backward))
    calls = [part for part in ahead if isinstance(part, Call)]
    differences = (part.args for part in (*ahead, *back) if isinstance(part, Call) and part.op == "sub")
    of_ones = (other for one, other in differences if isinstance(one, Num) and one.value == 1)
    gradients = frozenset(prepared.gradients) | {UPSTREAM}
    whole = {f"d{name}": name for name in prepared.types.names if f"d{name}" in gradients}
    nodes = whole | {part: name for name, some in prepared.backward.parts.items() for part in some}
    bare = Names(prepared.types, gradients, frozenset(prepared.case.parameters), nodes, forward, backward)
    place, beside = _steps(prepared.case.inputs, bare)
    return bare._replace(
        pieces=[*dict.fromkeys(call for call in calls if call.op == "index" or len(names(call)) == 1)],
        place=place,
        beside=beside,
        complemented=frozenset(other.id for other in of_ones if isinstance(other, Name)),
        orders={name: _orders(np.asarray(value.array, np.float64)) for name, value in prepared.case.inputs.items()},
    )


def _steps(inputs: Iterable[str], known: Names) -> tuple[dict[str, tuple[str, int]], dict[str, list[str]]]:
    """Which step, or layer, a name is of: what it looks like, its number among those; and its like in those beside."""
    alike: dict[str, list[str]] = {}
    for name, expr in known.forward.items():
        alike.setdefault(skeleton(expr), []).append(name)
    families = [(looks, family) for looks, some in alike.items() for family in _families(some, known)]
    place = {name: (looks, k) for looks, family in families for k, name in enumerate(family)}
    like = {name: family for _, family in families for name in family}
    beside: dict[str, list[str]] = {}
    for _, family in families:
        beside |= {name: [*family[k + 1 : k + 2], *family[:k][-1:]] for k, name in enumerate(family)}
    for name in (*inputs, *known.forward):  # h0 stands before h1 where in the next step h1 does
        readers = ((reader, known.reads(reader).index(name)) for reader in known.readers(name))
        there = (known.reads(other)[at : at + 1] for reader, at in readers for other in like[reader])
        states = [state for some in there for state in some if state in known.forward and state != name]
        if states and not any(place[state][0] == place.get(name, ("", 0))[0] for state in states):
            place[name] = place[states[0]][0], -1
            beside[name], beside[states[0]] = [states[0]], [*beside[states[0]], name]
    return place, beside


def _families(alike: Sequence[str], known: Names) -> list[list[str]]:
    """What looks alike: the steps of one direction, of one gate, apart from those of another; layers together."""
    kin = [known.kin(name) for name in alike]
    common = [its for its in dict.fromkeys(kin) if kin.count(its) > 1]  # to which the first step belongs as well
    families: dict[frozenset[str], list[str]] = {}
    for name, its in zip(alike, kin, strict=True):
        likest = max(common, key=lambda other: (other == its, len(other & its)), default=frozenset())
        families.setdefault(likest if likest & its else frozenset(), []).append(name)
    return [*families.values()]


def _orders(array: Array) -> int:
    """In how many ways the rows of an array may be put, of which some may be the same; 1 for a large one."""
    rows = [row.tobytes() for row in array] if array.ndim and max(array.shape) <= MOST_ENTRIES else []
    return math.factorial(len(rows)) // math.prod(map(math.factorial, Counter(rows).values()))


def places(definitions: Mapping[str, Expr], known: Names) -> Iterator[Place]:
    """Every part of every equation, as rules are shown it: with a slip that changes nothing yet."""

    @cache
    def kin(owner: str, target: str) -> Hashable:
        """What tells a place from those that look alike but are not the same one in another step: of another gate."""
        node, there = known.node(target), known._replace(owner=owner, target=target)
        return known.kin(owner), there.seen(node), known.kin(node)

    for name, expr in definitions.items():
        here = known._replace(target=name)
        mask: Path = (-1,)  # of none yet
        for path, old, term, summand in parts(expr):
            # the node whose gradient a term hands on; where it hands none on, the equation's own
            owner = known.node(next((read for read in names(term) if read in known.gradients), name))
            context, unlikely = here._replace(root=not path, owner=owner, summand=summand), path[: len(mask)] == mask
            looks, rank = _canonical(old, context), IN_A_MASK * unlikely
            yield Slip(name, path, old, old, "", looks, rank, kin(owner, name)), context
            mask = path if isinstance(old, Call) and old.op in syntax.COMPARISONS else mask


def slips(places: Iterable[Place], rule: Rule) -> Iterator[Slip]:
    """Every change that a rule makes at some places."""
    for place, known in places:
        old, backward, tried = place.old, place.name in known.gradients, {place.old}
        for clause, new, *more in rule(old, known):
            less = backward and len(factors(old)) > 1 and {*factors(new)} < {*factors(old)}
            wider = less and known.shape(new) != known.shape(old)  # it had its shape from a factor
            for made in (new, form("x * ones_like(y)", x=new, y=old)) if wider else (new,):
                if made not in tried:
                    tried.add(made)
                    looks = place.looks, _canonical(made, known), _before(old, made, known)
                    rank, common = (*more, 0, "")[:2] if more else (0, "")
                    yield place._replace(part=made, clause=clause, looks=looks, rank=place.rank + rank, common=common)


def _before(old: Expr, new: Expr, known: Names) -> Hashable:
    """Of one name in place of another: whether it is of the next step, or of the one before; by how many steps."""
    if not (isinstance(old, Name) and isinstance(new, Name)):
        return None
    one, other = known.node(old.id), known.node(new.id)
    looks, step = known.place.get(other, ("", 0))
    mine, first = known.place.get(one, (looks, -1))  # what h1 is computed from is the step before it
    return one in known.reads(other), other in known.reads(one), step - first if looks == mine else None


def _canonical(expr: Expr, known: Names) -> Expr:
    """The expression with its names as they look from its owner, and without the numbers of indices."""

    def token(part: Expr) -> Expr | None:
        match part:
            case Name(name):
                return Name(known.seen(name))
            case Call("index", (base, *items)):
                base = syntax.replace(base, token)
                return Call("index", (base, *(Num(0) if isinstance(item, Num | Slice) else item for item in items)))
        return None

    return syntax.replace(expr, token)


def grouped(found: Sequence[Slip]) -> Iterator[list[Slip]]:
    """The changes to all that look, or read, alike, of all equations or of one, then to all but the first or last."""
    groups: dict[Hashable, list[Slip]] = {}
    for slip in found:
        numbered = re.sub(r"\d+", "#", slip.clause)  # what is numbered alike is alike: heads, layers and steps
        keys = [slip.looks, slip.clause, (slip.name, slip.looks), (slip.kin, slip.looks), (numbered, slip.looks)]
        for key in [*keys, ("common", slip.common), ("common", slip.common, slip.name)] if slip.common else keys:
            groups.setdefault(key, []).append(slip)
    seen = set()
    for group in groups.values():
        chosen = apart(group)
        for some in (chosen, chosen[1:], chosen[:-1]) if len(chosen) > 2 else (chosen,):
            key = frozenset((slip.name, slip.path, slip.part) for slip in some)
            if len(some) > 1 and key not in seen:
                seen.add(key)
                yield some


def apart(group: Sequence[Slip]) -> list[Slip]:
    """The changes that do not touch the same part."""
    chosen: list[Slip] = []
    taken: dict[str, list[Path]] = {}
    for slip in group:
        paths = taken.setdefault(slip.name, [])
        if not any(path[: len(slip.path)] == slip.path or slip.path[: len(path)] == path for path in paths):
            paths.append(slip.path)
            chosen.append(slip)
    return chosen


def applied(chosen: Iterable[Slip], definitions: Mapping[str, Expr]) -> dict[str, Expr]:
    """The equations that are changed, changed."""
    changes: dict[str, Expr] = {}
    for slip in chosen:
        changes[slip.name] = grafted(changes.get(slip.name, definitions[slip.name]), slip.path, slip.part)
    return changes


def through_one_reader(found: Iterable[Slip], definitions: Mapping[str, Expr], known: Names) -> Iterator[Slip]:
    """Each change to a gradient as one of its readers, or one of two places in it, alone sees it: made there alone."""
    readers: dict[str, list[tuple[str, Path]]] = {}
    for name, expr in definitions.items():
        for path, part, *_ in parts(expr):
            if isinstance(part, Name) and part.id in definitions:
                readers.setdefault(part.id, []).append((name, path))
    for slip in found:
        places = readers.get(slip.name, ())
        inside = len({name for name, _ in places}) == 1
        changed = grafted(definitions[slip.name], slip.path, slip.part) if len(places) > 1 else slip.part
        for n, (name, path) in enumerate(places if len(places) > 1 else ()):
            role = known._replace(owner=known.node(slip.name)).seen(known.node(name)), n * inside
            which = ("other " if n else "first ") * inside
            clause = f"{slip.clause} (in the {which}{slip.name} that it reads)"
            looks = "through", slip.looks, role
            yield Slip(name, path, Name(slip.name), changed, clause, looks, slip.rank, slip.kin)
