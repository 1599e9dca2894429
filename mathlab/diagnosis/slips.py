"""A rule's mistakes, made in the equations: in one of them, or in all that look alike.

Who forgets the derivative of an activation in one hidden unit forgets it in the next one too, and who writes W for W.T
in one time step of a recurrent net writes it in all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from mathlab.diagnosis.rewrite import Names, Rule
from mathlab.errors import ExpressionError
from mathlab.language import syntax
from mathlab.language.check import Types
from mathlab.language.derive import UPSTREAM
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Name, Num, names, unparse
from mathlab.stages.prepare import Prepared


@dataclass(frozen=True)
class Mutant:
    """Equations changed by a rule: `made` has the names of those that were, each with a clause that says how."""

    made: tuple[tuple[str, str], ...]
    equations: tuple[Equation, ...]

    @property
    def broad(self) -> bool:
        """Whether the mistake is made at several places."""
        return len(self.made) > 1

    @property
    def cause(self) -> str:
        """The mistake in words, and where it is made."""
        (first, clause), *rest = self.made
        if not rest:
            return f"in {first}, {clause}"
        others = [name for name, _ in rest]
        if all(other == clause for _, other in rest):
            return f"in {', '.join([first, *others[:-1]])} and {others[-1]}, {clause}"
        return f"in {first}, {clause}; likewise in {' and '.join(others)}"


@dataclass(frozen=True)
class _Slip:
    """One change to the equation at `position`, made at the part to which `path` leads."""

    position: int
    path: tuple[int, ...]
    clause: str
    equation: Equation


def known(prepared: Prepared) -> Names:
    """What the rules must know about the names of a case."""
    gradients = frozenset(prepared.gradients) | {UPSTREAM}
    return Names(prepared.types, gradients, frozenset(prepared.case.parameters))


def every(equations: Sequence[Equation], rule: Rule, known: Names) -> Iterator[Mutant]:
    """The equations with each change that the rule makes to one of them, then to several."""
    yield from mutants(equations, rule, known)
    yield from repeated(equations, rule, known)


def mutants(equations: Sequence[Equation], rule: Rule, known: Names, free: Collection[str] = ()) -> Iterator[Mutant]:
    """The equations with each change that the rule makes to one of them.

    Every name keeps its shape, but for those in `free`, which no other equation reads.
    """
    for slip in _slips(equations, rule, known, free):
        yield _with(equations, [slip])


def repeated(equations: Sequence[Equation], rule: Rule, known: Names) -> Iterator[Mutant]:
    """The equations with the same change made to several of them, and every name's shape kept.

    The same is what is said in the same words, or is done to the same part of equations that differ in their names
    only: in those that stand equally far from the start (the units of a layer), and in all (the layers).
    """
    slips = [*_slips(equations, rule, known)]
    levels = _levels(equations)
    skeletons = [_skeleton(equation.expr) for equation in equations]
    groups: dict[Hashable, dict[int, _Slip]] = {}
    for slip in slips:
        looks = (skeletons[slip.position], slip.path, _skeleton(slip.equation.expr))
        level = levels[equations[slip.position].name]
        for key in (slip.clause, (level, *looks), looks):
            groups.setdefault(key, {}).setdefault(slip.position, slip)
    seen = set()
    for group in groups.values():
        chosen = tuple(group.values())
        if len(chosen) > 1 and chosen not in seen:
            seen.add(chosen)
            yield _with(equations, chosen)


def again(made: Sequence[tuple[str, str]], equations: Sequence[Equation], rule: Rule, known: Names) -> Mutant | None:
    """The mutant of other equations, as those of a batch are, in which the same was done; None where it cannot be."""
    wanted = dict(made)
    found: dict[str, _Slip] = {}
    for position, equation in enumerate(equations):
        if equation.name in wanted:
            slips = _slips_of(position, equation, rule, known)
            same = next((slip for slip in slips if slip.clause == wanted[equation.name]), None)
            if same:
                found[equation.name] = same
    return _with(equations, [found[name] for name in wanted]) if len(found) == len(wanted) else None


def _with(equations: Sequence[Equation], slips: Sequence[_Slip]) -> Mutant:
    changed = {slip.position: slip.equation for slip in slips}
    made = tuple((slip.equation.name, slip.clause) for slip in slips)
    return Mutant(made, tuple(changed.get(position, equation) for position, equation in enumerate(equations)))


def _slips(equations: Sequence[Equation], rule: Rule, known: Names, free: Collection[str] = ()) -> Iterator[_Slip]:
    for position, equation in enumerate(equations):
        yield from _slips_of(position, equation, rule, known, free)


def _slips_of(
    position: int, equation: Equation, rule: Rule, known: Names, free: Collection[str] = ()
) -> Iterator[_Slip]:
    types = Types(known.types.names, known.types.integral)
    for path, clause, expr in _changed(equation.expr, rule, known):
        try:
            type_ = types.of(expr)
        except ExpressionError:
            continue
        if type_.kind != "f":
            expr = Call("mul", (expr, Num(1)))  # a mask alone is a number too
        if type_.shape == known.types.names[equation.name].shape or equation.name in free:
            yield _Slip(position, path, clause, replace(equation, expr=expr, text=unparse(expr)))


def _changed(expr: Expr, rule: Rule, known: Names) -> Iterator[tuple[tuple[int, ...], str, Expr]]:
    """The expression with one of its parts, or itself, changed by the rule: the way to the part, and what was done."""
    for clause, new in rule(expr, known):
        yield (), clause, new
    if isinstance(expr, Call):
        for position, arg in enumerate(expr.args):
            for path, clause, new in _changed(arg, rule, known):
                args = (*expr.args[:position], new, *expr.args[position + 1 :])
                yield (position, *path), clause, Call(expr.op, args, expr.attrs, expr.position)


def _skeleton(expr: Expr) -> Expr:
    """The expression without its names and numbers."""
    return syntax.replace(expr, lambda part: Name("_") if isinstance(part, Name | Num) else None)


def _levels(equations: Sequence[Equation]) -> dict[str, int]:
    """How many equations, at most, lead from what is given to each name."""
    levels: dict[str, int] = {}
    for equation in equations:
        levels[equation.name] = 1 + max((levels.get(name, 0) for name in names(equation.expr)), default=0)
    return levels
