"""What a config may say, key by key."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, NamedTuple, TypeAlias

from mathlab.config.arrays import value
from mathlab.config.keys import Keys, Partly, entries, filled, key, mapping, parsed, section
from mathlab.config.values import Numbers, choice, flag, gather, number, positive, printed, text, whole
from mathlab.config.yamltext import Row, Scalar, Table, Tree, kind
from mathlab.errors import ExpressionError, MathlabError, Place, Problem
from mathlab.experiment import DRAWN, PLOTTED, Dtype, Picture, Scale, Value
from mathlab.language import OPS, read
from mathlab.language.equation import Equation, Step
from mathlab.language.syntax import Call, Expr, Name, names, walk
from mathlab.stages.table import STAGES

Rounding = Literal["nearest", "truncate"]

DTYPES: tuple[Dtype, ...] = ("float64", "float32")
SCALES: tuple[Scale, ...] = ("x", "y", "xy")
ROUNDINGS: tuple[Rounding, ...] = ("nearest", "truncate")
JACOBIAN = "jacobian"
LOOP = re.compile(r"for\s+(?P<counter>\w+)\s+in\s+(?P<first>.+?)\s*\.\.\s*(?P<last>.+)")


@dataclass(frozen=True)
class Formula:
    """An expression as the config says it, on one line, and where its first character stands."""

    text: str
    expr: Expr
    place: Place
    step: Step | None = None


def name(key: Scalar) -> Scalar:
    """A name that equations can read."""
    if not key.isidentifier():
        raise MathlabError(f"{str(key)!r} is not a name: letters, digits and '_', beginning with a letter", key.place)
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


def untouched(tree: Tree) -> Tree:
    """The part of the tree itself, to be read later."""
    return tree


def formula(tree: Tree) -> Formula:
    """An expression of the equation language."""
    return _formula(tree, _no_jacobian)


def quantity(tree: Tree) -> Formula:
    """An expression over nodes and gradients, in which `jacobian(z, x)` may stand too."""
    return _formula(tree, _jacobian_of_names)


def _formula(tree: Tree, check_jacobian: Callable[[Call], None]) -> Formula:
    if not isinstance(tree, Scalar):
        raise MathlabError(f"an expression is needed here, not {kind(tree)}; put it in quotes", tree.place)
    try:
        expr = read(tree)
        for call in (part for part in walk(expr) if isinstance(part, Call) and OPS[part.op].internal):
            if call.op != JACOBIAN:
                raise ExpressionError(f"unknown function '{call.op}'", call.position)
            check_jacobian(call)
    except ExpressionError as error:
        cut = "was never closed" in error.message and not tree.quoted
        hint = "; inside braces an expression with a comma stands in quotes" if cut else ""
        raise ExpressionError(f"{error.message}{hint}", error.offset).at(tree.place) from None
    return Formula(" ".join(tree.split()), expr, tree.place)


def _no_jacobian(call: Call) -> None:
    raise ExpressionError(f"{JACOBIAN} can be expected, but it is not a function for equations", call.position)


def _jacobian_of_names(call: Call) -> None:
    if not all(isinstance(arg, Name) for arg in call.args):
        raise ExpressionError(f"{JACOBIAN} takes two names, as in {JACOBIAN}(z, x)", call.position)


@dataclass(frozen=True)
class PrintingText(Keys):
    """What an article printed for a quantity, once."""

    printed: Numbers = key(printed)
    rounding: Rounding = key(partial(choice, known=ROUNDINGS, what="rounding"), "nearest")
    digits: int | None = key(partial(whole, least=1), None)
    because: str = key(text, "")
    erratum: str = key(text, "")
    at: str = key(text, "")
    worked_out: bool = key(flag, False)


def printings(tree: Tree) -> tuple[PrintingText, ...]:
    """A number, a nested list of numbers, a mapping with `printed`, or a list of such mappings."""
    if isinstance(tree, Row) and any(isinstance(item, Table) for item in tree):
        return tuple(gather(_printing, tree))
    return (_printing(tree) if isinstance(tree, Table) else PrintingText(printed(tree)),)


def _printing(tree: Tree) -> PrintingText:
    printing = parsed(PrintingText)(tree)
    if printing.worked_out and printing.erratum and isinstance(tree, Table):
        raise MathlabError("an erratum is of what was printed; these numbers are worked out", tree["erratum"].place)
    if printing.digits is not None and isinstance(tree, Table):
        if printing.digits > 17:
            raise MathlabError("float64 has no more than 17 digits to compare", tree["digits"].place)
        if not printing.because:
            raise MathlabError("'digits' needs a 'because' that says why fewer are compared", tree["digits"].place)
    return printing


@dataclass(frozen=True)
class HandFormulaText(Keys):
    """A gradient as an article derives it by hand, in one of the ways that it writes it."""

    formula: Formula = key(quantity)
    at: str = key(text, "")
    erratum: str = key(text, "")


def hand_formulas(tree: Tree) -> tuple[HandFormulaText, ...]:
    """An expression, a mapping with `formula`, or a list of such."""

    def one(item: Tree) -> HandFormulaText:
        return parsed(HandFormulaText)(item) if isinstance(item, Table) else HandFormulaText(quantity(item))

    return tuple(gather(one, tree)) if isinstance(tree, Row) and tree else (one(tree),)


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
    first: Formula
    last: Formula


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


Values: TypeAlias = dict[Scalar, Value]
Formulas: TypeAlias = dict[Scalar, Formula]
Derivation: TypeAlias = dict[Scalar, tuple[HandFormulaText, ...]]
Figures: TypeAlias = dict[Formula, tuple[PrintingText, ...]]

values = entries(name, value)
figures = filled(entries(quantity, printings))


@dataclass(frozen=True)
class SourceText(Keys):
    """Where the figures were printed: `article` are the documents, `ignore` quotes with numbers that are no figures."""

    title: str = key(text, "")
    url: str = key(text, "")
    note: str = key(text, "")
    article: tuple[Scalar, ...] = key(name_list, ())
    ignore: dict[Scalar, str] | None = key(filled(entries(label, text)), None)


@dataclass(frozen=True)
class GradcheckText(Keys):
    """How the gradient check is made, and what was printed for it."""

    step: float | None = key(positive, None)
    rtol: float | None = key(positive, None)
    expected: Figures | None = key(figures, None)


@dataclass(frozen=True)
class TrainText(Keys):
    """How parameters are trained. Everything is optional, for a case inherits what it does not say."""

    optimizer: Table | None = key(mapping, None)  # read when the case has inherited the rest
    epochs: int | None = key(whole, None)
    batch_size: int | None = key(partial(whole, least=1), None)
    over: tuple[Scalar, ...] | None = key(name_list, None)
    freeze: tuple[Scalar, ...] | None = key(name_list, None)
    seed: int | None = key(whole, None)
    start: Values | None = key(filled(values), None)
    after: dict[Scalar, Figures] | None = key(filled(entries(count, figures)), None)


def quantities(tree: Tree) -> tuple[Formula, ...]:
    """One quantity, or a list of them."""
    found = tuple(gather(quantity, tree if isinstance(tree, Row) else [tree]))
    if not found:
        raise MathlabError("an empty list reports nothing", tree.place)
    return found


@dataclass(frozen=True)
class SweepText(Keys):
    """What differs from run to run; `grid` and `over` are read when the case has inherited the rest."""

    grid: Tree | None = key(untouched, None)
    sample: int | None = key(partial(whole, least=1), None)
    seed: int | None = key(whole, None)
    over: Table | None = key(mapping, None)
    report: tuple[Formula, ...] | None = key(quantities, None)


def span(tree: Tree) -> tuple[float, float]:
    """Two numbers, the smaller one first."""
    ends = [number(item) for item in tree] if isinstance(tree, Row) else []
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise MathlabError("two numbers are needed here, the smaller one first, as in [-3, 3]", tree.place)
    return ends[0], ends[1]


def labels(tree: Tree) -> tuple[str, ...]:
    """A list of texts."""
    return tuple(map(str, gather(text, tree if isinstance(tree, Row) else [tree])))


@dataclass(frozen=True)
class PictureText(Keys):
    """What a plot shows: quantities, what they are drawn over, and the cases that it compares."""

    of: tuple[Formula, ...] = key(quantities, ())
    over: dict[Formula, tuple[float, float]] = section(filled(entries(quantity, span)))
    cases: tuple[str, ...] = key(labels, ())
    log: Scale = key(partial(choice, known=SCALES, what="log"), "")
    title: str = key(text, "")
    rows: tuple[str, ...] = key(labels, ())
    columns: tuple[str, ...] = key(labels, ())
    derivative: bool = key(flag, False)


def pictures(tree: Tree) -> tuple[Picture, ...]:
    """A kind of picture, or a list of kinds, each of which may say more: `loss: {log: y}`."""
    return tuple(gather(_picture, tree if isinstance(tree, Row) else [tree]))


def _picture(tree: Tree) -> Picture:
    if not isinstance(tree, Table):
        return Picture(choice(tree, known=(*DRAWN, *PLOTTED), what="picture"), place=tree.place)
    if len(tree) != 1:
        raise MathlabError("a picture is one kind, as in loss: {log: y}", tree.place)
    ((kind, about),) = tree.items()
    choice(tree.key(kind), known=PLOTTED, what="plot")
    said = parsed(PictureText)(about)
    of = tuple(Equation(one.text, one.expr, one.text, one.place) for one in said.of)
    over = tuple((Equation(one.text, one.expr, one.text, one.place), *ends) for one, ends in said.over.items())
    more = (said.cases, said.log, said.title, said.rows, said.columns, said.derivative)
    return Picture(str(kind), of, over, *more, tree.place)


@dataclass(frozen=True)
class CaseText(Keys):
    """What a case may say, and the top level too; None where it says nothing."""

    dtype: Dtype | None = key(partial(choice, known=DTYPES, what="dtype"), None)
    inputs: Values = section(values)
    parameters: Values = section(values)
    layers: Tree | None = key(untouched, None)  # these three are read when the case has inherited the rest
    loss: Tree | None = key(untouched, None)
    batch: Tree | None = key(untouched, None)
    equations: Formulas = section(equations)
    upstream: Value | None = key(value, None)
    derivation: Derivation | None = key(filled(entries(name, hand_formulas)), None)
    expected: Figures | None = key(figures, None)
    gradcheck: GradcheckText | None = key(parsed(GradcheckText), None)
    train: TrainText | None = key(parsed(TrainText), None)
    sweep: SweepText | None = key(parsed(SweepText), None)
    pictures: tuple[Picture, ...] | None = key(pictures, None)
    sections: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def further(cls) -> Mapping[str, Callable[[Tree], object]]:
        """The sections of the stages that bring a reader of their own."""
        return {stage.name: stage.section for stage in STAGES.values() if stage.section}


@dataclass(frozen=True)
class ConfigText(CaseText):
    """A whole config. The cases stay trees, so that each is read for itself."""

    title: str = key(text, "")
    source: SourceText = key(parsed(SourceText), SourceText())
    cases: dict[Scalar, Table] | None = key(filled(entries(label, mapping)), None)
