"""Names and expressions of a config, and the loops that make several equations of one line."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple, cast

from mathlab import signs
from mathlab.config.datafiles import current
from mathlab.config.keys import mapping
from mathlab.config.values import TEXT, Reader, Schema, any_of, attempt, gather, reader, several, text
from mathlab.config.yamltext import Scalar, Table, Tree, kind
from mathlab.errors import ExpressionError, MathlabError, Problem
from mathlab.language import OPS, read
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Name, names, walk

JACOBIAN = "jacobian"
LOOP = re.compile(r"for\s+(?P<counter>\w+)\s+in\s+(?P<first>(?:(?!\.\.)[^,])+?)\s*\.\.\s*(?P<last>[^.,][^,]*)")
UNLIKE_LOOP = "a loop is written 'for t in 1..T:', with its equations below it"
WRITTEN: Schema = any_of(TEXT, {"type": "object", "minProperties": 1})  # in a loop: a line, or another loop
NAMES = "^[^_0-9]"  # as the JSON Schema has them


def name(key: Scalar) -> Scalar:
    """A name that equations can read."""
    if not key.isidentifier():
        raise MathlabError(f"{str(key)!r} is not a name: {signs.named(key)}", key.place)
    if key.startswith("_"):
        raise MathlabError(f"a name does not begin with '_', as {str(key)!r} does", key.place)
    if keyword.iskeyword(key):
        raise MathlabError(f"{str(key)!r} is a word of Python and cannot be a name; write {key}_", key.place)
    return key


def label(key: Tree) -> Scalar:
    """A key, or a name, that is any text."""
    text(key)
    return cast(Scalar, key)


name_list = several(Reader(lambda tree: label(tree).normalized(), TEXT), "an empty list names nothing")


def _expression(quantity: bool, tree: Tree) -> Equation:
    if not isinstance(tree, Scalar):
        raise MathlabError(f"an expression is needed here, not {kind(tree)}; put it in quotes", tree.place)
    try:
        expr = read(tree)
        for call in (part for part in walk(expr) if isinstance(part, Call) and OPS[part.op].internal):
            at = call.position
            if call.op != JACOBIAN:
                raise ExpressionError(f"unknown function '{call.op}'", at)
            if not quantity:
                raise ExpressionError(f"{JACOBIAN} can be expected, but it is not a function for equations", at)
            if not all(isinstance(arg, Name) for arg in call.args):
                raise ExpressionError(f"{JACOBIAN} takes two names, as in {JACOBIAN}(z, x)", at)
    except ExpressionError as error:
        hint = "" if tree.quoted else signs.cut(error.message)
        raise ExpressionError(f"{error.message}{hint}", error.offset).at(tree.place) from None
    text = " ".join(tree.split())
    return Equation(text, expr, text, tree.place)


# an expression of the equation language, on one line, which is its name until it has another one
formula = Reader(partial(_expression, False), TEXT)
# one over nodes and gradients, in which `jacobian(z, x)` may stand too
quantity = Reader(partial(_expression, True), TEXT)
quantities = several(quantity, "an empty list reports nothing")


class Loop(NamedTuple):
    """What a loop's header says."""

    header: Scalar
    counter: str
    first: Equation
    last: Equation


@dataclass(frozen=True, kw_only=True)
class Line(Equation):
    """An equation in `loops`, outermost first. Its `target`, `h[l, t]`, is the `series` h `at` what counters say."""

    loops: tuple[Loop, ...]
    target: Scalar
    series: str
    at: tuple[Expr, ...]


def _loop(header: Scalar) -> Loop:
    found = LOOP.fullmatch(header)
    if not found:
        raise MathlabError(UNLIKE_LOOP, header.place)
    parts = {part: Scalar(found[part], header.place.shifted(found.start(part))) for part in LOOP.groupindex}
    return Loop(header, str(name(parts["counter"])), formula(parts["first"]), formula(parts["last"]))


def _equation(part: Tree, key: Scalar, *headers: Scalar) -> Equation:
    """The equation of a key, which is a name, or what a step is called in the loops of these headers."""
    if is_loop(key):
        raise MathlabError(UNLIKE_LOOP, key.place)
    problems: list[Problem] = []
    of = attempt(formula, part, problems)
    loops = tuple(current().once(_loop, header) for header in headers)
    counters = [loop.counter for loop in loops]
    if twice := next((one for one in counters if counters.count(one) > 1), None):
        raise MathlabError(f"two loops in one another cannot both count '{twice}'", loops[-1].header.place)
    target = attempt(formula if loops else name, key, problems)
    match target:
        case Scalar() if of:
            return replace(of, name=str(target), named_at=key.place)
        case Equation(_, Call("index", (Name(series), *steps))) if {*counters} <= {
            read for step in steps for read in names(step)
        }:
            name(Scalar(series, key.place))
            if of:
                about = (": ".join((*headers, key)), of.expr, of.written, of.place)
                return Line(*about, named_at=key.place, loops=loops, target=key, series=series, at=tuple(steps))
        case Equation():
            these = "this loop is named by its step" if len(loops) == 1 else "these loops is named by its steps"
            message = f"an equation in {these}, as in h[{', '.join(counters[::-1])}], not {str(key)!r}"
            problems.append(Problem(message, key.place))
    raise MathlabError(problems)


def is_loop(key: str) -> bool:
    """Whether a key begins a loop, or stands in one."""
    return key.split()[:1] == ["for"]


def lines_of(key: str, part: Tree | None) -> Table | None:
    """The lines below a key that begins a loop."""
    return part if isinstance(part, Table) and part and LOOP.match(key) else None


def written_in(table: Table, *headers: Scalar) -> Iterator[tuple[Tree, tuple[Scalar, ...]]]:
    """What stands for every equation of a section or a loop: its expression, and its key with those of its loops."""
    for word, part in table.items():
        key = cast(Scalar, word)
        if (lines := lines_of(key, part)) is None:
            yield part, (key, *headers)
        else:
            yield from written_in(lines, *headers, key)


@reader(
    {
        "type": ["object", "null"],
        "propertyNames": {"pattern": NAMES},
        "patternProperties": {r"^for\s": {"type": "object", "minProperties": 1, "additionalProperties": WRITTEN}},
        "additionalProperties": TEXT,
    }
)
def equations(tree: Tree) -> tuple[Equation, ...]:
    """Equations by their names, and loops `for t in 1..T:` of such, whose names are `h[t]`, and of loops."""
    return gather(lambda one: current().once(_equation, one[0], *one[1]), written_in(mapping(tree)))
