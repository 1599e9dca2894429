"""What a config may say, key by key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeAlias

from mathlab.config.arrays import upstream, value
from mathlab.config.formulas import Formulas, count, equations, label, name, name_list, quantities, quantity
from mathlab.config.keys import Keys, entries, filled, key, mapping, parsed, section, turned
from mathlab.config.values import Numbers, choice, flag, gather, number, positive, printed, text, whole
from mathlab.config.yamltext import Row, Scalar, Table, Tree
from mathlab.errors import MathlabError
from mathlab.experiment import (
    DRAWN,
    PLOTTED,
    Dtype,
    Figure,
    GradcheckSettings,
    HandFormula,
    Picture,
    Scale,
    Source,
    Value,
)
from mathlab.language.equation import Equation
from mathlab.stages.table import STAGES

Rounding = Literal["nearest", "truncate"]

DTYPES: tuple[Dtype, ...] = ("float64", "float32")
SCALES: tuple[Scale, ...] = ("x", "y", "xy")
ROUNDINGS: tuple[Rounding, ...] = ("nearest", "truncate")


def untouched(tree: Tree) -> Tree:
    """The part of the tree itself, to be read later."""
    return tree


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

    formula: Equation = key(quantity)
    at: str = key(text, "")
    erratum: str = key(text, "")


def hand_formulas(tree: Tree) -> tuple[HandFormula, ...]:
    """An expression, a mapping with `formula`, or a list of such."""

    def one(item: Tree) -> HandFormula:
        said = parsed(HandFormulaText)(item) if isinstance(item, Table) else HandFormulaText(quantity(item))
        return HandFormula(
            said.formula.name, said.formula.expr, said.formula.text, said.formula.place, said.at, said.erratum
        )

    return tuple(gather(one, tree)) if isinstance(tree, Row) and tree else (one(tree),)


Values: TypeAlias = dict[Scalar, Value]
Derivation: TypeAlias = dict[Scalar, tuple[HandFormula, ...]]
Figures: TypeAlias = tuple[Figure, ...]


def _figures(printed: Mapping[Equation, tuple[PrintingText, ...]]) -> Figures:
    return tuple(
        Figure(
            key=quantity.text,
            quantity=quantity.expr,
            printed=one.printed.texts,
            shape=one.printed.shape,
            place=quantity.place,
            rounding=one.rounding,
            digits=one.digits,
            because=one.because,
            erratum=one.erratum,
            worked_out=one.worked_out,
            at=one.at,
        )
        for quantity, printings in printed.items()
        for one in printings
    )


values = entries(name, value)
figures = turned(filled(entries(quantity, printings)), _figures)


@dataclass(frozen=True)
class SourceText(Keys):
    """Where the figures were printed: `article` are the documents, `ignore` quotes with numbers that are no figures."""

    title: str = key(text, "")
    url: str = key(text, "")
    note: str = key(text, "")
    article: tuple[Scalar, ...] = key(name_list, ())
    ignore: dict[Scalar, str] = section(filled(entries(label, text)))


def _source(text: SourceText) -> Source:
    ignored = tuple((str(quote), because, quote.place) for quote, because in text.ignore.items())
    return Source(text.title, text.url, text.note, tuple((str(name), name.place) for name in text.article), ignored)


@dataclass(frozen=True)
class GradcheckText(Keys):
    """How the gradient check is made, and what was printed for it."""

    step: float | None = key(positive, None)
    rtol: float = key(positive, GradcheckSettings.rtol)
    expected: Figures = key(figures, ())


def _gradcheck(text: GradcheckText) -> GradcheckSettings:
    return GradcheckSettings(text.step, text.rtol, text.expected)


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


@dataclass(frozen=True)
class SweepText(Keys):
    """What differs from run to run; `grid` and `over` are read when the case has inherited the rest."""

    grid: Tree | None = key(untouched, None)
    sample: int | None = key(partial(whole, least=1), None)
    seed: int | None = key(whole, None)
    over: Table | None = key(mapping, None)
    report: tuple[Equation, ...] = key(quantities, ())


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

    of: tuple[Equation, ...] = key(quantities, ())
    over: dict[Equation, tuple[float, float]] = section(filled(entries(quantity, span)))
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
    over = tuple((one, *ends) for one, ends in said.over.items())
    more = (said.cases, said.log, said.title, said.rows, said.columns, said.derivative)
    return Picture(str(kind), said.of, over, *more, tree.place)


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
    upstream: Value | Equation | None = key(upstream, None)
    derivation: Derivation = section(filled(entries(name, hand_formulas)))
    expected: Figures = key(figures, ())
    gradcheck: GradcheckSettings | None = key(turned(parsed(GradcheckText), _gradcheck), None)
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
    source: Source = key(turned(parsed(SourceText), _source), Source())
    cases: dict[Scalar, Table] | None = key(filled(entries(label, mapping)), None)
