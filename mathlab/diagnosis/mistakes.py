"""The mistakes that are looked for in the equations: a table of rules, made into changes to try, likeliest first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from mathlab.diagnosis import amounts, rewrite, slips, slopes, swaps
from mathlab.diagnosis.rewrite import Names, Rule
from mathlab.diagnosis.slips import Mutant, Slip
from mathlab.errors import ExpressionError, MathlabError
from mathlab.language import syntax
from mathlab.language.check import Types
from mathlab.language.derive import UPSTREAM, derive
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Name, Num, names
from mathlab.stages.prepare import Prepared

# How far behind a kind comes a mistake that is of a less likely sort: at several places but not at all that look alike,
# at one of many alike, as one reader alone sees it, with a name from far away.
ALONE, MIDDLE, ONE_READER, FAR, BROAD = 0.25, 10.0, 0.5, 3.0, 0.01
SEEN = 2.1
MANY = 3  # that look alike; of more, one in the middle alone is tried last


@dataclass(frozen=True)
class Kind:
    """A kind of mistake: what it is in a sentence, its rule, and how soon it is believed."""

    sentence: str
    rule: Rule
    tier: float
    seen_by_one: bool = True  # whether one reader of a gradient may see it, and the others not; up to tier `SEEN`


BACKWARD: Mapping[str, Kind] = {
    "mask missing": Kind("a gradient passes where the activation is flat", rewrite.without_mask, 1),
    "mask reversed": Kind("a gradient passes only there", rewrite.mask_reversed, 1),
    "mask of the gradient": Kind("the mask is taken from the gradient", slopes.masks_of_gradients, 1),
    "wrong slope": Kind(
        "a local derivative at the wrong argument, of another activation, without its square, or twice",
        slopes.wrong_slopes,
        1,
    ),
    "derivative missing": Kind(
        "the activation's derivative, or another local factor, is left out", rewrite.without_derivative, 1.1
    ),
    "factor missing": Kind("a factor of what a gradient is multiplied by is left out", rewrite.without_factor, 1.35),
    "diagonal alone": Kind("of the Jacobian of softmax the diagonal", slopes.diagonal_alone, 1),
    "complement": Kind("z for 1 - z, or the other way round", slopes.complements, 1.3),
    "term missing": Kind("a term or path of a gradient is left out", rewrite.without_term, 1.2),
    "term's sign": Kind("a term is subtracted instead of added", rewrite.other_sign, 1.2),
    "path missing": Kind("nothing is handed on to a node", rewrite.without_path, 1.25, False),
    "upstream missing": Kind("a local derivative stands alone", rewrite.without_upstream, 1.4),
    "backward transposed": Kind("W stands for W.T", rewrite.transposed, 2),
    "not summed": Kind("one row of the batch, or its mean", rewrite.not_summed, 2),
    "axis kept": Kind("a gradient has the batch's axis still", rewrite.unsummed, 2, False),
    "wrong axis": Kind("a sum runs over another axis", swaps.other_axis, 2),
    "assigned": Kind("rows that are read several times are set instead of added to", swaps.assigned, 2),
    "wrong product": Kind("a matrix product for an entry-wise one, or the other way round", swaps.other_product, 2.1),
    "products throughout": Kind("matrix products for all entry-wise ones", slopes.products_throughout, 2.15),
    "row sums": Kind("a bias from the sums of a weight's gradient", swaps.row_sums, 3.2, False),
    "kernel flipped": Kind("a kernel is flipped, or is not", swaps.flipped, 2.3),
    "number missing": Kind("a constant factor is left out", rewrite.without_number, 3),
    "term scaled": Kind("a term or path times 2, 1/2, N or 1/N", amounts.scaled_term, 3.1),
    "other number": Kind("another number or power", amounts.other_number, 3.2),
    "other length": Kind("one length for another, N - 1 for N", amounts.other_length, 3.3),
    "updated weight": Kind("a gradient passes through a weight already updated", swaps.updated_weight, 2.5),
    "other name": Kind("one name stands where another should", swaps.other_name, 4),
    "labels shifted": Kind("labels or inputs of the next sample", swaps.shifted, 3.4),
    "wrong class": Kind("classes counted from 1", swaps.other_class, 3.4),
    "factor too much": Kind("a factor that does not belong there", amounts.extra_factor, 4.2),
    "factor inside": Kind("a factor that does not belong to a gradient", amounts.extra_inside, 4.4, False),
}
FORWARD: Mapping[str, Kind] = {
    "forward term": Kind("a bias or another term of the forward pass is left out", rewrite.without_term, 7),
    "forward transposed": Kind("W.T stands for W", rewrite.transposed, 7),
    "sum against mean": Kind("one stands for the other", rewrite.sum_or_mean, 7),
    "forward sign": Kind("a sign inside the forward pass", rewrite.other_sign, 7.1),
    "forward number": Kind("a number that is left out", rewrite.without_number, 7.2),
    "activation missing": Kind("an activation is left out", rewrite.without_activation, 7.2),
    "other function": Kind("another activation, another logarithm", swaps.other_function, 7.2),
    "forward axis": Kind("a sum or a softmax runs over another axis", swaps.other_axis, 7.3),
    "forward power": Kind("another number or power, another small number", amounts.other_number, 7.3),
    "forward name": Kind("one name stands where another should", swaps.other_name, 7.4),
    "forward class": Kind("classes counted from 1", swaps.other_class, 7.4),
    "forward labels": Kind("labels or inputs of the next sample", swaps.shifted, 7.4),
    "forward product": Kind("a matrix product for an entry-wise one", swaps.other_product, 7.5),
    "forward flipped": Kind("a kernel is flipped, or is not", swaps.flipped, 7.5),
}


@dataclass(frozen=True)
class Mistake:
    """Something to try: the equations that it changes, what it is in words, and how soon it is believed.

    One in the forward pass may be `followed` by the gradients, which are then those of the wrong equations. What is
    `later` is tried after what is as likely, and believed as soon.
    """

    kind: str
    changes: Mapping[str, Expr]
    tier: float
    made: tuple[tuple[str, str], ...] = ()
    forward: bool = False
    followed: bool = False
    later: float = 0.0

    @property
    def broad(self) -> bool:
        return len(self.made) > 1


def backward(prepared: Prepared, known: Names, most: Callable[[], float]) -> Iterator[Mistake]:
    """Every mistake in the backward equations, up to the tier `most`, likeliest first."""
    equations = prepared.backward.equations
    definitions = {equation.name: equation.expr for equation in equations}

    def of_kind(kind: str) -> Iterator[Mistake]:
        row = BACKWARD[kind]
        direct = _distinct(slips.slips(equations, row.rule, known), definitions)
        yield from _mistakes(kind, row.tier, direct, definitions)
        if row.seen_by_one and row.tier < SEEN:
            some = [slip for slip in direct if not slip.rank]
            one = _distinct(slips.through_one_reader(some, definitions, known), definitions)
            yield from _mistakes(kind, row.tier + ONE_READER, one, definitions)

    return _in_order(BACKWARD, of_kind, most)


def forward(prepared: Prepared, known: Names, most: Callable[[], float]) -> Iterator[Mistake]:
    """Every mistake in the forward equations: with the gradient that belongs to it, or under the true formulas."""
    definitions = {equation.name: equation.expr for equation in prepared.equations}

    def of_kind(kind: str) -> Iterator[Mistake]:
        row = FORWARD[kind]
        direct = _distinct(slips.slips(prepared.equations, row.rule, known), definitions)
        for mistake in _mistakes(kind, row.tier, direct, definitions):
            yield replace(mistake, forward=True, followed=True)
            yield replace(mistake, tier=mistake.tier + 0.05, forward=True)

    return _in_order(FORWARD, of_kind, most)


def _in_order(
    rows: Mapping[str, Kind], of_kind: Callable[[str], Iterator[Mistake]], most: Callable[[], float]
) -> Iterator[Mistake]:
    """The mistakes of all kinds, likeliest first; those of a kind are made when it is their turn.

    What is of a tier above `most`, which may fall on the way, is left out.
    """
    waiting: list[tuple[float, int, int, Mistake]] = []
    coming, kinds = sorted(rows, key=lambda kind: rows[kind].tier), [*rows]
    while waiting or coming:
        if coming and not (waiting and waiting[0][0] < rows[coming[0]].tier):
            kind = coming.pop(0)
            if rows[kind].tier <= most():
                for count, mistake in enumerate(of_kind(kind)):
                    heapq.heappush(waiting, (mistake.tier + mistake.later, kinds.index(kind), count, mistake))
        elif (mistake := heapq.heappop(waiting)[-1]).tier <= most():
            yield mistake


Places = Mapping[tuple[str, str], Slip]  # by the equation, and the clause that says what is wrong in it


def places(mistake: Mistake, known: Names, prepared: Prepared) -> Places:
    """Every mistake of the same kind in other equations, such as those of a batch, which differ in their numbers."""
    equations = prepared.equations if mistake.forward else prepared.backward.equations
    rule = (FORWARD if mistake.forward else BACKWARD)[mistake.kind].rule
    names = replace(slips.known(prepared), numbers=known.numbers, rates=known.rates)
    return {(slip.name, slip.clause): slip for slip in slips.slips(equations, rule, names)}


def again(mistake: Mistake, found: Places, prepared: Prepared) -> Prepared | None:
    """The same mistake in other equations, where it is one of those that were `found` there."""
    from mathlab.diagnosis.worlds import changed

    equations = prepared.equations if mistake.forward else prepared.backward.equations
    definitions = {equation.name: equation.expr for equation in equations}
    if any(place not in found for place in mistake.made):
        return None
    return changed(prepared, slips.applied([found[place] for place in mistake.made], definitions).changes)


def _distinct(found: Iterator[Slip], definitions: Mapping[str, Expr]) -> list[Slip]:
    """The changes that make something else of their equation than those before."""
    seen = {(name, expr) for name, expr in definitions.items()}
    kept = []
    for slip in found:
        key = slip.name, slips.placed(definitions[slip.name], slip.path, slip.part)
        if key not in seen:
            seen.add(key)
            kept.append(slip)
    return kept


def _mistakes(kind: str, tier: float, found: Sequence[Slip], definitions: Mapping[str, Expr]) -> Iterator[Mistake]:
    """The changes, each alone and all that look alike together."""
    alike: dict[object, int] = {}
    ends: dict[object, list[Slip]] = {}
    for slip in found:
        alike[slip.looks] = alike.get(slip.looks, 0) + 1
        ends[slip.looks] = [*ends.get(slip.looks, [])[:1], slip]
    for mutant in slips.grouped(found, definitions):
        yield _as_mistake(kind, tier, mutant)
    for slip in found:
        mistake = _as_mistake(kind, tier, slips.applied([slip], definitions))
        # of many that look alike, one in the middle is no likely place for a mistake
        middle = alike[slip.looks] > MANY and slip not in ends[slip.looks]
        yield replace(mistake, later=MIDDLE if middle else ALONE if alike[slip.looks] > 2 else 0)


def _as_mistake(kind: str, tier: float, mutant: Mutant) -> Mistake:
    tier += FAR * mutant.rank + (BROAD if mutant.broad else 0)
    later = BROAD / len(mutant.made) if mutant.broad else 0  # the more look alike, the sooner all of them are tried
    return Mistake(kind, mutant.changes, tier, mutant.made, later=later)


def followed(mistake: Mistake, prepared: Prepared) -> Mistake | None:
    """The mistake with what follows from it for the gradients, which an equation hands on by what it is now."""
    changes = dict(mistake.changes)
    gradients = {equation.name: equation.expr for equation in prepared.backward.equations}
    for name, wrong in mistake.changes.items():
        true = next(equation.expr for equation in prepared.equations if equation.name == name)
        upstream: Expr | None = (
            Name(f"d{name}") if f"d{name}" in gradients else Num(1) if name == prepared.end else None
        )
        if upstream is None:
            continue
        old, new = (_shares(name, expr, upstream, prepared) for expr in (true, wrong))
        if old is None or new is None:
            return None
        for gradient in {*old, *new} & gradients.keys():
            share = new.get(gradient, Num(0)), old.get(gradient, Num(0))
            changes[gradient] = Call("add", (changes.get(gradient, gradients[gradient]), Call("sub", share)))
    return replace(mistake, changes=changes)


def _shares(name: str, expr: Expr, upstream: Expr, prepared: Prepared) -> dict[str, Expr] | None:
    """What an equation alone hands to the gradients of what it reads."""
    shape = prepared.types.names[name]
    read = [other for other in names(expr) if other in prepared.types.names]
    types = Types({other: prepared.types.names[other] for other in read}, prepared.types.integral)
    wanted = [other for other in read if types.names[other].kind == "f" and f"d{other}" in prepared.types.names]
    try:
        types.names[name] = types.of(expr)
        if types.names[name].shape != shape.shape:
            return None
        if shape.shape:
            types.names[UPSTREAM] = shape
        backward = derive([Equation(name, expr)], types, wanted)
    except (ExpressionError, MathlabError):
        return None
    seed = {UPSTREAM: upstream, f"d{name}": upstream}
    shares: dict[str, Expr] = {}
    for equation in backward.equations:
        shares[equation.name] = syntax.substitute(equation.expr, {**seed, **shares})
    if not shape.shape and upstream != Num(1):
        shares = {key: Call("mul", (upstream, share)) for key, share in shares.items()}
    return shares
