"""`layers:`, `loss:` and `batch:` -> the equations that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from mathlab.config.formulas import formula, label, name
from mathlab.config.keys import mapping
from mathlab.config.values import NUMBER, attempt, choice, gather, one_of
from mathlab.config.yamltext import Row, Scalar, Table, Tree, kind
from mathlab.errors import MathlabError, Problem, did_you_mean
from mathlab.experiment import Case
from mathlab.language.check import Types
from mathlab.language.layers import BATCHES, LAYERS, LOSSES, REDUCTIONS, Layer, Loss, Part, expand
from mathlab.language.shapes import Type


def expanded(case: Case, tree: Table) -> Case:
    """The case with the layers of its `tree` written out before its own equations, and the loss behind them."""
    if "layers" not in tree:
        own = {"loss": "; a loss of one's own is an equation", "batch": ""}
        raise MathlabError(
            [Problem(f"'{key}' needs 'layers'{hint}", tree[key].place) for key, hint in own.items() if key in tree]
        )
    problems: list[Problem] = []
    layers = attempt(_layers, tree["layers"], problems)
    loss = attempt(partial(_part, LOSSES, "loss"), tree["loss"], problems) if "loss" in tree else None
    batch = attempt(one_of([*BATCHES], "batch"), tree["batch"], problems) if "batch" in tree else None
    if layers is None or problems:
        raise MathlabError(problems)
    shapes = {name: Type(value.array.shape) for name, value in {**case.inputs, **case.parameters}.items()}
    integral = [name for name, value in case.inputs.items() if value.integral]
    first, last = expand(layers, loss, batch, [*case.inputs], Types(shapes, integral))
    written = [*first, *case.equations, *([last] if last else [])]
    names: set[str] = set()
    for one in written:
        if one.name in names:
            raise MathlabError(f"there are two nodes called '{one.name}'; rename a layer's with 'as'", one.named_at)
        names.add(one.name)
    return replace(case, equations=tuple(written))


def _layers(tree: Tree) -> list[Part]:
    if not isinstance(tree, Row) or not tree:
        raise MathlabError("'layers' is a list of layers, as in [{affine: {W: W1, b: b1}}, relu]", tree.place)
    return gather(partial(_part, LAYERS, "layer"), tree)


WEIGHTS = ("W", "k")  # arguments that are arrays in every layer
_reduction = one_of(REDUCTIONS, "reduction")


def _part(known: Mapping[str, Layer] | Mapping[str, Loss], what: str, tree: Tree) -> Part:
    """A layer or a loss: its word, or a mapping of it to its arguments."""
    if isinstance(tree, Row) or (isinstance(tree, Table) and len(tree) != 1):
        wanted = "a word, or a word with its arguments, as in {affine: {W: W1}}"
        shown = f"a mapping of {len(tree)} keys" if isinstance(tree, Table) else kind(tree)
        raise MathlabError(f"a {what} is {wanted}, not {shown}", tree.place)
    (word,) = tree if isinstance(tree, Table) else (tree,)
    assert isinstance(word, Scalar)
    of_kind = choice(word, known, what, "; another is written as equations")
    record = known[of_kind]
    given = tree[word] if isinstance(tree, Table) else Table(tree.place)
    if isinstance(given, Scalar) and given and len(record.needs) == 1:  # max_pool: 2 says its size
        table = Table(given.place, {Scalar(record.needs[0], given.place): given})
    elif isinstance(given, Table) or given == "":
        table = mapping(given)
    else:
        wanted = f"by name ({', '.join(record.keys)}), as in {{{of_kind}: {{{record.keys[0]}: ...}}}}"
        raise MathlabError(f"{of_kind} takes what it needs {wanted}, not {kind(given)}", given.place)
    problems = [Problem(f"{of_kind} needs its '{key}'", word.place) for key in record.needs if key not in table]
    for key in table:
        if key not in record.keys:
            hint = did_you_mean(key, record.keys) or f"; it has {', '.join(record.keys)}"
            problems.append(Problem(f"{of_kind} has no '{key}'{hint}", table.key(key).place))
        elif key in WEIGHTS and NUMBER.fullmatch(str(table[key])):
            message = f"the {key} of {of_kind} is a parameter, which has a shape, and no number of units or channels"
            problems.append(Problem(message, table[key].place))
    node = attempt(lambda key: name(label(key).normalized()), table["as"], problems) if "as" in table else None
    reduction = attempt(_reduction, table["reduction"], problems) if "reduction" in table else None
    said = {key: attempt(formula, part, problems) for key, part in table.items() if key not in ("as", "reduction")}
    if problems:
        raise MathlabError(problems)
    arguments = {key: replace(one, name=key) for key, one in said.items() if one is not None}
    return Part(of_kind, arguments, str(node or ""), reduction, word.place)
