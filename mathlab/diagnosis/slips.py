"""A rule's mistakes, made in the equations: in one of them, or in all that look alike.

Who forgets the derivative of an activation in one hidden unit forgets it in the next one too, and who writes W for W.T
in one time step of a recurrent net writes it in all of them; or in all but the last, which has a line of its own. What
looks alike is told by names seen from the node whose gradient is handed on: in every layer and step, `W.T @ dz` hands
dz on by the first that z's equation reads.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mathlab.diagnosis.rewrite import Names, Rule, skeleton
from mathlab.errors import ExpressionError
from mathlab.language import syntax
from mathlab.language.check import Types
from mathlab.language.derive import UPSTREAM
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Name, Num, Slice, names
from mathlab.stages.prepare import Prepared

Path = tuple[int, ...]


@dataclass(frozen=True)
class Slip:
    """One change to the equation called `name`: the part to which `path` leads becomes `part`.

    `looks` is the same for changes of one kind to parts that look alike, and `kin` for the same place in other steps;
    `rank` says how likely it is within its kind, and `common` what it shares with changes of parts that look otherwise.
    """

    name: str
    path: Path
    part: Expr
    clause: str
    looks: Hashable
    rank: float = 0
    kin: Hashable = ""
    common: Hashable = ""


@dataclass(frozen=True)
class Mutant:
    """Equations changed by a rule: `made` has the names of those that were, each with a clause that says how."""

    made: tuple[tuple[str, str], ...]
    changes: Mapping[str, Expr]
    rank: float = 0

    @property
    def broad(self) -> bool:
        """Whether the mistake is made at several places."""
        return len(self.made) > 1

    @property
    def cause(self) -> str:
        """The mistake in words, and where it is made."""
        return cause(self.made)

    def applied(self, equations: Sequence[Equation]) -> tuple[Equation, ...]:
        """The equations with the changes made."""
        return tuple(equation.saying(self.changes.get(equation.name, equation.expr)) for equation in equations)


MOST_NAMED = 4  # equations that a sentence names


def cause(made: Sequence[tuple[str, str]]) -> str:
    """A mistake in words, and the equations in which it is made."""
    places = [*dict.fromkeys(name for name, _ in made)]
    (first, clause), *rest = made
    if all(other == clause for _, other in rest):
        return f"in {_listed(places)}, {clause}"
    if len(places) == 1:
        clauses = [*dict.fromkeys(other for _, other in made)]
        more = f"; {len(clauses) - MOST_NAMED} more" if len(clauses) > MOST_NAMED else ""
        return f"in {first}, {'; '.join(clauses[:MOST_NAMED])}{more}"
    return f"in {first}, {clause}; likewise in {_listed(places[1:])}"


def _listed(places: Sequence[str]) -> str:
    shown = [*places[:MOST_NAMED], *([f"{len(places) - MOST_NAMED} more"] if len(places) > MOST_NAMED else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def known(prepared: Prepared) -> Names:
    """What the rules must know about the names of a case."""
    gradients = frozenset(prepared.gradients) | {UPSTREAM}
    forward = {equation.name: equation.expr for equation in prepared.equations}
    read = {name: names(expr) for name, expr in forward.items()}
    alike: dict[str, list[str]] = {}
    for name, expr in forward.items():
        alike.setdefault(skeleton(expr), []).append(name)
    place = {name: (looks, k) for looks, some in alike.items() for k, name in enumerate(some)}
    return Names(prepared.types, gradients, frozenset(prepared.case.parameters), forward, read, place)


def mutants(equations: Sequence[Equation], rule: Rule, known: Names) -> Iterator[Mutant]:
    """The equations with each change that the rule makes to one of them; every name keeps its shape."""
    definitions = {equation.name: equation.expr for equation in equations}
    for slip in slips(equations, rule, known):
        mutant = applied([slip], definitions)
        types = Types(known.types.names, known.types.integral)
        try:
            type_ = types.of(mutant.changes[slip.name])
        except ExpressionError:
            continue
        if type_.shape == known.types.names[slip.name].shape:
            if type_.kind != "f":  # a mask alone is a number too
                mutant = replace(mutant, changes={slip.name: Call("mul", (mutant.changes[slip.name], Num(1)))})
            yield mutant


def slips(equations: Sequence[Equation], rule: Rule, known: Names) -> Iterator[Slip]:
    """Every change that a rule makes to any part of any equation."""
    kinds: dict[tuple[str, str], Hashable] = {}
    for equation in equations:
        here = replace(known, target=equation.name)
        owners: dict[int, str] = {}  # by the term, which is the same one for all its parts
        for path, old, inner in _parts(equation.expr):
            if id(inner) not in owners:
                owners[id(inner)] = _owner(equation, inner, known)
            context = replace(here, root=not path, owner=owners[id(inner)], summand=_sum(equation.expr, path))
            if (context.owner, equation.name) not in kinds:
                kinds[context.owner, equation.name] = _kin(context)
            kin = kinds[context.owner, equation.name]
            for clause, new, *more in rule(old, context):
                looks = (rule.__name__, _canonical(old, context), _canonical(new, context), _before(old, new, context))
                rank = next((number for number in more if isinstance(number, int | float)), 0)
                yield Slip(equation.name, path, new, clause, looks, rank, kin, more[1] if len(more) > 1 else "")


def _sum(expr: Expr, path: Path) -> str:
    """The op of the sum that a part is a term of; empty where it is of none, as of the 1 - y of an activation."""
    if not path:
        return ""
    for step in path[:-1]:
        assert isinstance(expr, Call)
        expr = expr.args[step]
    assert isinstance(expr, Call)
    return expr.op if expr.op == "add" or (expr.op == "sub" and not isinstance(expr.args[0], Num)) else ""


def _before(old: Expr, new: Expr, known: Names) -> Hashable:
    """Of one name in place of another: whether it is of the next step, or of the one before; by how many steps."""
    if not (isinstance(old, Name) and isinstance(new, Name)):
        return None
    one, other = known.node(old.id), known.node(new.id)
    looks, step = known.place.get(other, ("", 0))
    mine, first = known.place.get(one, (looks, -1))  # what h1 is computed from is the step before it
    return one in known.reads(other), other in known.reads(one), step - first if looks == mine else None


def _kin(known: Names) -> Hashable:
    """What tells a place from those that look alike but are not the same one in another step, as of another gate."""
    target = known.node(known.target)
    return known.kin(known.owner), known.seen(target), known.kin(target)


def _parts(expr: Expr, path: Path = (), term: Expr | None = None) -> Iterator[tuple[Path, Expr, Expr]]:
    """Each part of an expression, the way to it, and the term of a sum that it stands in."""
    term = expr if term is None or (isinstance(term, Call) and term.op in ("add", "sub", "neg") and len(path)) else term
    yield path, expr, term
    if isinstance(expr, Call):
        opens = expr.op in ("add", "sub", "neg") and term is expr
        for position, arg in enumerate(expr.args):
            yield from _parts(arg, (*path, position), arg if opens else term)


def _owner(equation: Equation, term: Expr, known: Names) -> str:
    """The node whose gradient a term hands on; where it hands none on, the equation's own."""
    for name in names(term):
        if name in known.gradients:
            return known.node(name)
    return known.node(equation.name)


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


def grouped(found: Sequence[Slip], definitions: Mapping[str, Expr]) -> Iterator[Mutant]:
    """The changes made to all that look alike, of all equations or of one, then to all but the first or the last.

    The same is what looks the same, or is said in the same words.
    """
    groups: dict[Hashable, list[Slip]] = {}
    for slip in found:
        numbered = re.sub(r"\d+", "#", slip.clause)  # what is numbered alike is alike: heads, layers and steps
        keys = [slip.looks, slip.clause, (slip.name, slip.looks), (slip.kin, slip.looks), (numbered, slip.looks)]
        for key in [*keys, ("common", slip.common)] if slip.common else keys:
            groups.setdefault(key, []).append(slip)
    seen = set()
    for group in groups.values():
        chosen = _apart(group)
        shorter = [chosen[1:], chosen[:-1]] if len(chosen) > 2 else []
        for some in (chosen, *shorter):
            key = frozenset((slip.name, slip.path, slip.part) for slip in some)
            if len(some) > 1 and key not in seen:
                seen.add(key)
                yield applied(some, definitions)


def _apart(group: Sequence[Slip]) -> list[Slip]:
    """The changes that do not touch the same part."""
    chosen: list[Slip] = []
    taken: dict[str, list[Path]] = {}
    for slip in group:
        paths = taken.setdefault(slip.name, [])
        if not any(path[: len(slip.path)] == slip.path or slip.path[: len(path)] == path for path in paths):
            paths.append(slip.path)
            chosen.append(slip)
    return chosen


def applied(chosen: Sequence[Slip], definitions: Mapping[str, Expr]) -> Mutant:
    """The changes, made."""
    changes: dict[str, Expr] = {}
    for slip in chosen:
        changes[slip.name] = placed(changes.get(slip.name, definitions[slip.name]), slip.path, slip.part)
    made = tuple((slip.name, slip.clause) for slip in chosen)
    return Mutant(made, changes, max(slip.rank for slip in chosen))


def placed(expr: Expr, path: Path, part: Expr) -> Expr:
    """The expression with the part to which `path` leads replaced."""
    if not path:
        return part
    assert isinstance(expr, Call)
    args = [*expr.args]
    args[path[0]] = placed(args[path[0]], path[1:], part)
    return Call(expr.op, tuple(args), expr.attrs, expr.position)


def through_one_reader(found: Sequence[Slip], definitions: Mapping[str, Expr], known: Names) -> Iterator[Slip]:
    """Each change to a gradient as one of its readers alone sees it: made where it is handed on, and nowhere else."""
    readers: dict[str, list[tuple[str, Path, Expr]]] = {}
    for name, expr in definitions.items():
        for path, part, term in _parts(expr):
            if isinstance(part, Name) and part.id in definitions:
                readers.setdefault(part.id, []).append((name, path, term))
    for slip in found:
        places = readers.get(slip.name, ())
        if len({name for name, _, _ in places}) < 2:
            continue
        changed = placed(definitions[slip.name], slip.path, slip.part)
        for name, path, _ in places:
            role = replace(known, owner=known.node(slip.name)).seen(known.node(name))
            clause = f"{slip.clause} (in the {slip.name} that it reads)"
            yield Slip(name, path, changed, clause, ("through", slip.looks, role), slip.rank, slip.kin)
