"""`layers:`, `loss:` and `batch:` -> the equations that they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial

from mathlab.config.formulas import Formulas, formula, name
from mathlab.config.keys import mapping
from mathlab.config.schema import CaseText
from mathlab.config.values import attempt, choice, gather
from mathlab.config.yamltext import Row, Scalar, Table, Tree, kind
from mathlab.errors import MathlabError, Problem, did_you_mean
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.layers import BATCHES, LAYERS, LOSSES, REDUCTIONS, Layer, Loss, Part, expand
from mathlab.language.shapes import Type


def expanded(case: CaseText) -> CaseText:
    """The case with its layers written out: first their equations, then the case's own, and the loss last.

    Raises MathlabError with what is wrong with the layers or the loss.
    """
    if case.layers is None:
        unused = {"loss": case.loss, "batch": case.batch}
        problems = [Problem(f"'{key}' needs 'layers'", tree.place) for key, tree in unused.items() if tree is not None]
        if problems:
            raise MathlabError(problems)
        return case
    problems = []
    layers = attempt(_layers, case.layers, problems)
    loss = None if case.loss is None else attempt(partial(_part, LOSSES, "loss"), case.loss, problems)
    batch = None if case.batch is None else attempt(partial(choice, known=BATCHES, what="batch"), case.batch, problems)
    if layers is None or problems:
        raise MathlabError(problems)
    shapes = {str(key): Type(value.array.shape) for key, value in (*case.inputs.items(), *case.parameters.items())}
    integral = [str(key) for key, value in case.inputs.items() if value.integral]
    first, last = expand(layers, loss, batch, list(map(str, case.inputs)), Types(shapes, integral))
    return replace(
        case, equations=_joined([*_written(first), *case.equations.items(), *_written([last] if last else [])])
    )


def _written(equations: Iterable[Equation]) -> Iterable[tuple[Scalar, Equation]]:
    for equation in equations:
        assert equation.place is not None  # that of the layer
        yield Scalar(equation.name, equation.place), equation


def _joined(entries: Iterable[tuple[Scalar, Equation]]) -> Formulas:
    equations: Formulas = {}
    for key, written in entries:
        if key in equations:
            raise MathlabError(f"there are two nodes called '{key}'; rename a layer's with 'as'", key.place)
        equations[key] = written
    return equations


def _layers(tree: Tree) -> list[Part]:
    if not isinstance(tree, Row) or not tree:
        raise MathlabError("'layers' is a list of layers, as in [{affine: {W: W1, b: b1}}, relu]", tree.place)
    return gather(partial(_part, LAYERS, "layer"), tree)


_reduction = partial(choice, known=REDUCTIONS, what="reduction")


def _part(known: Mapping[str, Layer] | Mapping[str, Loss], what: str, tree: Tree) -> Part:
    """A layer or a loss: its word, or a mapping of it to its arguments."""
    if isinstance(tree, Row) or (isinstance(tree, Table) and len(tree) != 1):
        raise MathlabError(f"a {what} is a word, or a word with its arguments, not {_shown(tree)}", tree.place)
    (word,) = tree if isinstance(tree, Table) else (tree,)
    assert isinstance(word, Scalar)
    of_kind = choice(word, known, what)
    record = known[of_kind]
    table = mapping(tree[word]) if isinstance(tree, Table) else Table(tree.place)
    problems = [Problem(f"{of_kind} needs its '{key}'", word.place) for key in record.needs if key not in table]
    for key in table:
        if key not in record.keys:
            hint = did_you_mean(key, record.keys) or f"; it has {', '.join(record.keys)}"
            problems.append(Problem(f"{of_kind} has no '{key}'{hint}", table.key(key).place))
    node = attempt(_name, table["as"], problems) if "as" in table else None
    reduction = attempt(_reduction, table["reduction"], problems) if "reduction" in table else None
    given = {key: attempt(formula, part, problems) for key, part in table.items() if key not in ("as", "reduction")}
    if problems:
        raise MathlabError(problems)
    arguments = {key: replace(one, name=key) for key, one in given.items() if one is not None}
    return Part(of_kind, arguments, node or "", reduction, word.place)


def _shown(tree: Tree) -> str:
    return f"a mapping of {len(tree)} keys" if isinstance(tree, Table) else kind(tree)


def _name(tree: Tree) -> str:
    if not isinstance(tree, Scalar):
        raise MathlabError(f"a name is needed here, not {kind(tree)}", tree.place)
    return str(name(tree.normalized()))
