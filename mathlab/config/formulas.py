"""Names and expressions of a config, and the loops that make several equations of one line."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from mathlab import habits
from mathlab.config.keys import Partly, entries, mapping
from mathlab.config.values import gather, text, whole
from mathlab.config.yamltext import Row, Scalar, Table, Tree, kind
from mathlab.errors import ExpressionError, MathlabError, Problem
from mathlab.language import OPS, read
from mathlab.language.equation import Equation
from mathlab.language.syntax import Call, Expr, Name, names, walk

JACOBIAN = "jacobian"
LOOP = re.compile(r"for\s+(?P<counter>\w+)\s+in\s+(?P<first>.+?)\s*\.\.\s*(?P<last>.+)")

Formulas: TypeAlias = dict[Scalar, Equation]


def name(key: Scalar) -> Scalar:
    """A name that equations can read."""
    if not key.isidentifier():
        raise MathlabError(f"{str(key)!r} is not a name: {habits.named(key)}", key.place)
    if key.startswith("_"):
        raise MathlabError(f"a name does not begin with '_', as {str(key)!r} does", key.place)
    if keyword.iskeyword(key):
        raise MathlabError(f"{str(key)!r} is a word of Python and cannot be a name", key.place)
    return key


def name_list(tree: Tree) -> tuple[Scalar, ...]:
    """One name, or a list of them."""
    items: list[Tree] = tree if isinstance(tree, Row) else [tree]
    gather(text, items)
    names = tuple(item.normalized() for item in items if isinstance(item, Scalar))
    if not names:
        raise MathlabError("an empty list names nothing", tree.place)
    return names


def label(key: Scalar) -> Scalar:
    """A key that is any text."""
    text(key)
    return key


def count(key: Scalar) -> Scalar:
    """The text of a whole number."""
    whole(key)
    return key


def formula(tree: Tree) -> Equation:
    """An expression of the equation language, on one line, which is its name until it has another one."""
    return _formula(tree, _no_jacobian)


def quantity(tree: Tree) -> Equation:
    """An expression over nodes and gradients, in which `jacobian(z, x)` may stand too."""
    return _formula(tree, _jacobian_of_names)


def _formula(tree: Tree, check_jacobian: Callable[[Call], None]) -> Equation:
    if not isinstance(tree, Scalar):
        raise MathlabError(f"an expression is needed here, not {kind(tree)}; put it in quotes", tree.place)
    try:
        expr = read(tree)
        for call in (part for part in walk(expr) if isinstance(part, Call) and OPS[part.op].internal):
            if call.op != JACOBIAN:
                raise ExpressionError(f"unknown function '{call.op}'", call.position)
            check_jacobian(call)
    except ExpressionError as error:
        hint = "" if tree.quoted else habits.cut(error.message)
        raise ExpressionError(f"{error.message}{hint}", error.offset).at(tree.place) from None
    text = " ".join(tree.split())
    return Equation(text, expr, text, tree.place)


def _no_jacobian(call: Call) -> None:
    raise ExpressionError(f"{JACOBIAN} can be expected, but it is not a function for equations", call.position)


def _jacobian_of_names(call: Call) -> None:
    if not all(isinstance(arg, Name) for arg in call.args):
        raise ExpressionError(f"{JACOBIAN} takes two names, as in {JACOBIAN}(z, x)", call.position)


def quantities(tree: Tree) -> tuple[Equation, ...]:
    """One quantity, or a list of them."""
    found = tuple(gather(quantity, tree if isinstance(tree, Row) else [tree]))
    if not found:
        raise MathlabError("an empty list reports nothing", tree.place)
    return found


class Line(Scalar):
    """The key of an equation in a loop, `for t in 1..9: h[t]`, which no other loop has; `header` is the loop's."""

    __slots__ = ("header", "written")
    header: Scalar
    written: Scalar

    @classmethod
    def of(cls, header: Scalar, written: Scalar) -> Line:
        """The key of what is `written` below a loop's header."""
        line = cls(f"{header}: {written}", written.place)
        line.header, line.written = header, written
        return line


class Target(NamedTuple):
    """What a line of a loop makes: of `h[t]` the name before the bracket, and the step."""

    series: str
    step: Expr


class Range(NamedTuple):
    """What a loop's header says."""

    counter: str
    first: Equation
    last: Equation


def loop_range(header: Scalar) -> Range:
    """The header of a loop, read."""
    found = LOOP.fullmatch(header)
    if not found:
        raise MathlabError("a loop is written 'for t in 1..T:', with its equations below it", header.place)
    parts = {part: Scalar(found[part], header.place.shifted(found.start(part))) for part in LOOP.groupindex}
    return Range(name(parts["counter"]), formula(parts["first"]), formula(parts["last"]))


def target(line: Line) -> Target:
    """The key of a line, read."""
    counter = loop_range(line.header).counter
    match formula(line.written).expr:
        case Call("index", (Name(series), step)) if counter in names(step):
            name(Scalar(series, line.place))
            return Target(series, step)
    message = f"an equation in this loop is named by its step, as in h[{counter}], not {str(line.written)!r}"
    raise MathlabError(message, line.place)


def lines(table: Table) -> Table:
    """The equations with those in loops among them."""
    flat = Table(table.place)
    for word, part in table.items():
        if isinstance(part, Table) and part and LOOP.match(word):
            flat.update({Line.of(table.key(word), part.key(inner)): body for inner, body in part.items()})
        else:
            flat[word] = part
    return flat


def equation_name(key: Scalar) -> Scalar:
    """The name of an equation, or what a line of a loop makes."""
    if isinstance(key, Line):
        target(key)
        return key
    return name(key)


def is_loop(key: str) -> bool:
    """Whether a key begins a loop, or stands in one."""
    return key.split()[:1] == ["for"]


def equations(tree: Tree) -> Formulas:
    """Equations by their names, and loops `for t in 1..T:` of such, whose names are `h[t]`."""
    table, problems = lines(mapping(tree)), []
    for word in [*table]:
        if isinstance(word, Line) and is_loop(word.written):
            problems.append(Problem("a loop cannot stand in another", word.place))
        elif is_loop(word) and not isinstance(word, Line):
            message = "a loop is written 'for t in 1..T:', with its equations below it"
            problems.append(Problem(message, table.key(word).place))
        else:
            continue
        del table[word]
    try:
        read = entries(equation_name, formula)(table)
    except Partly as error:
        raise Partly([*problems, *error.problems], error.rest) from None
    if problems:
        raise Partly(problems, read)
    return read
