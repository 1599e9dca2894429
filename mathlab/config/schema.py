"""What a config may say, key by key, and the records that it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from mathlab import experiment
from mathlab.config import values as read
from mathlab.config.arrays import upstream, value
from mathlab.config.change import SWEEP
from mathlab.config.keys import NAMES, Keys, entries, label, mapping, name, name_list, quantities, quantity
from mathlab.config.loops import equations, in_loops
from mathlab.config.values import TEXT, Partly, Reader, Schema, any_of, gather, listed, reader, reference
from mathlab.config.yamltext import Row, Scalar, Table, Tree
from mathlab.errors import MathlabError, Place, Problem
from mathlab.language.equation import Equation
from mathlab.language.syntax import Num
from mathlab.stages.table import STAGES, named

SCALES: tuple[experiment.Scale, ...] = ("x", "y", "xy")
ROUNDINGS: tuple[Literal["nearest", "truncate"], ...] = ("nearest", "truncate")


def _figure(printed: tuple[object, object], tree: Tree, **said: object) -> experiment.Figure:
    """The figure of a quantity that is not known yet."""
    make: Callable[..., experiment.Figure] = experiment.Figure
    numbers, shape = printed
    made = make("", Num(0), printed=numbers, shape=shape, **said)
    if made.erratum and made.worked_out:
        message = "an erratum is of what was printed; these numbers are worked out"
        raise MathlabError(message, mapping(tree)["erratum"].place)
    if (made.digits or 0) > 17:
        raise MathlabError("float64 has no more than 17 digits to compare", mapping(tree)["digits"].place)
    if made.digits and not made.because:
        message = "'digits' needs a 'because' that says why fewer are compared"
        raise MathlabError(message, mapping(tree)["digits"].place)
    return made


PRINTING = Keys(
    "What an article printed for a quantity, once.",
    _figure,
    {
        "printed": read.printed,
        "rounding": read.one_of(ROUNDINGS, "rounding"),
        "digits": read.counted,
        **dict.fromkeys(("because", "erratum", "at"), read.text),
        "worked_out": read.flag,
    },
    needed=("printed",),
)


@reader(any_of(reference("printed"), PRINTING.schema, listed(PRINTING.schema)))
def printings(tree: Tree) -> Sequence[experiment.Figure]:
    """A number, a nested list of numbers, a mapping with `printed`, or a list of such mappings."""
    read.in_order(tree)
    if isinstance(tree, Row) and any(isinstance(item, Table) for item in tree):
        return gather(lambda item: PRINTING(item, tree=item), tree)
    return [PRINTING(tree, tree=tree) if isinstance(tree, Table) else _figure(read.printed(tree), tree)]


figures = entries(
    quantity,
    Reader(printings, reference("printings"), PRINTING.readers),
    lambda printed: tuple(
        replace(one, name=of.text, expr=of.expr, written=of.text, place=of.place)
        for of, some in printed.items()
        for one in some
    ),
)


def _by_name(values: Mapping[Scalar, experiment.Value]) -> Mapping[str, experiment.Value]:
    return {str(key): value for key, value in values.items()}


values = entries(name, value, _by_name, NAMES, filled=False)


def _hand_formula(formula: Equation, at: str = "", erratum: str = "") -> experiment.HandFormula:
    return experiment.HandFormula(formula.name, formula.expr, formula.written, formula.place, at, erratum)


HAND_FORMULA = Keys(
    "A gradient as an article derives it by hand, in one of the ways that it writes it.",
    _hand_formula,
    {"formula": quantity, "at": read.text, "erratum": read.text},
    needed=("formula",),
)


_formula = any_of(TEXT, HAND_FORMULA.schema)
hand_formula = Reader(
    lambda tree: HAND_FORMULA(tree) if isinstance(tree, Table) else _hand_formula(quantity(tree)),
    any_of(_formula, listed(_formula)),
    HAND_FORMULA.readers,
)
by_hand = entries(label, hand_formula, lambda said: next(iter(said.values()), None))


SOURCE = Keys(
    "Where the figures were printed: `article` are the documents, `ignore` quotes with numbers that are no figures.",
    experiment.Source,
    {
        **dict.fromkeys(("title", "url", "note"), read.text),
        "article": Reader(lambda tree: tuple((str(one), one.place) for one in name_list(tree)), name_list.schema),
        "ignore": entries(label, read.text, lambda said: tuple((str(one), said[one], one.place) for one in said)),
    },
)
GRADCHECK = Keys(
    "How the gradient check is made, and what was printed for it.",
    experiment.GradcheckSettings,
    {"step": read.positive, "rtol": read.positive, "expected": figures},
)


def _train(
    place: Place, optimizer: Table | None = None, epochs: int | None = None, **more: object
) -> experiment.TrainSettings:
    """The training that begins at a place. Raises `Partly` where something is missing."""
    from mathlab.config.shorthand import optimizer as chosen

    make: Callable[..., experiment.TrainSettings] = experiment.TrainSettings
    problems = [Problem("train needs its 'epochs'", place)] if epochs is None else []
    try:
        name, settings, rate = chosen(optimizer, place)
    except MathlabError as error:
        name = str(optimizer["name"]) if optimizer and "name" in optimizer else ""
        settings, rate = {str(key): 1.0 for key in optimizer or ()}, None  # of which its state can be told
        problems += error.problems
    made = make(name, settings, epochs or 0, **more, place=place, schedule=rate)
    if problems:
        raise Partly(problems, made)
    return made


updates = read.at_least(0, "; figures stand below a number of updates, as in 'after: {1: {w: 0.5}}'")
TRAIN = Keys(
    "How parameters are trained. Everything is optional, for a case inherits what it does not say.",
    _train,
    {
        "optimizer": Reader(mapping, reference("optimizer")),
        "epochs": read.whole,
        "batch_size": read.counted,
        **dict.fromkeys(("over", "freeze"), Reader(lambda tree: tuple(map(str, name_list(tree))), name_list.schema)),
        "seed": read.whole,
        "start": entries(name, value, _by_name, NAMES),
        "after": entries(updates, figures, lambda after: tuple(after.items()), "^[0-9]+$"),
    },
)


@reader({"type": "array", "minItems": 2, "maxItems": 2, "items": read.number.schema})
def span(tree: Tree) -> tuple[float, float]:
    """Two numbers, the smaller one first."""
    ends = [read.number(item) for item in tree] if isinstance(tree, Row) else []
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise MathlabError("two numbers are needed here, the smaller one first, as in [-3, 3]", tree.place)
    return ends[0], ends[1]


PICTURE = Keys(
    "What a plot shows: quantities, what they are drawn over, and the cases that it compares.",
    experiment.Picture,
    {
        "of": quantities,
        "over": entries(quantity, span, lambda over: tuple((one, *ends) for one, ends in over.items())),
        **dict.fromkeys(("cases", "rows", "columns"), read.several(read.text)),
        "log": read.one_of(SCALES, "log"),
        "title": read.text,
        "derivative": read.flag,
    },
)
_kind = read.one_of((*experiment.DRAWN, *experiment.PLOTTED), "picture", "; several are a list, as in [graph, loss]")
_more: Schema = {"type": "object", "additionalProperties": PICTURE.schema, "minProperties": 1, "maxProperties": 1}


@reader(any_of(_kind.schema, _more))
def picture(tree: Tree) -> experiment.Picture:
    """A kind of picture, which may say more: `loss: {log: y}`."""
    if not isinstance(tree, Table):
        return experiment.Picture(_kind(tree), place=tree.place)
    if len(tree) != 1:
        raise MathlabError("a picture is one kind, as in loss: {log: y}; several are a list", tree.place)
    ((kind, about),) = tree.items()
    if kind in experiment.DRAWN:
        raise MathlabError(f"'{kind}' has no settings: it stands alone, as in pictures: [{kind}]", tree.key(kind).place)
    read.choice(tree.key(kind), known=experiment.PLOTTED, what="plot")
    if about and not isinstance(about, Table):
        raise MathlabError("what a picture shows is named, as in heat: {of: W}, or loss: {log: y}", about.place)
    return PICTURE(about, kind=str(kind), place=tree.place)


SHORTHAND = ("layers", "loss", "batch")  # what is read when the case has inherited the rest


def _case(**said: object) -> experiment.Case:
    make: Callable[..., experiment.Case] = experiment.Case
    stages = {name: said.pop(name) for name in _sections() if name in said}
    return make(**said, sections=stages)


def _sections() -> dict[str, Callable[[Tree], object]]:
    """The sections of the stages that bring a reader of their own."""
    return {name: named(stage.section) for name, stage in STAGES.items() if stage.section}


CASE: Mapping[str, Callable[[Tree], object]] = {
    "dtype": read.one_of(experiment.DTYPES, "dtype"),
    "inputs": values,
    "parameters": values,
    **{key: Reader(lambda tree: None, reference(key)) for key in SHORTHAND},
    "equations": equations,
    "upstream": upstream,
    "derivation": in_loops(lambda key, tree: by_hand(Table(key.place, {key: tree})), hand_formula.schema, hand=True),
    "expected": figures,
    "gradcheck": GRADCHECK,
    "train": Reader(lambda tree: TRAIN(tree, place=tree.place), TRAIN.schema, TRAIN.readers),
    "sweep": SWEEP,
    "pictures": read.several(picture),
}
CASES = entries(label, mapping, dict)
TOP: Mapping[str, Callable[[Tree], object]] = {
    "title": read.text,
    "source": SOURCE,
    "cases": Reader(CASES, {**CASES.schema, "additionalProperties": reference("case")}),
}


def case_keys() -> Keys[experiment.Case]:
    """What a case may say. What it lacks of a training is told with the rest (`Partly`)."""
    about = "What a case may say, and the top level too; None where it says nothing."
    return Keys(about, _case, {**CASE, **_sections()})


def top_keys() -> Keys[dict[str, object]]:
    """What the top level may say; it may lack what the cases have, which inherit it."""
    train: Keys[dict[str, object]] = Keys(TRAIN.about, dict, TRAIN.readers)
    return Keys("A whole config.", dict, {**CASE, "train": train, **TOP, **_sections()})
