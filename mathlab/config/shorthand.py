"""`layers:`, `loss:` and `batch:` -> the equations that they stand for; `optimizer:` -> its settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from mathlab import habits, signs
from mathlab.config.keys import formula, label, mapping, name
from mathlab.config.values import NUMBER, attempt, choice, flag, gather, number, one_of
from mathlab.config.yamltext import Row, Scalar, Table, Tree, kind, nothing
from mathlab.errors import ExpressionError, MathlabError, Place, Problem, did_you_mean
from mathlab.experiment import Case
from mathlab.language import OPS, shapes
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.layers import BATCHES, LAYERS, LOSSES, REDUCTIONS, Layer, Loss, Part, expand
from mathlab.language.optimizers import OPTIMIZERS, SCHEDULED, SETTINGS
from mathlab.language.shapes import Type
from mathlab.language.syntax import Call, Name, parse, walk

WORD = r"[^\W\d]{2}"
MOVING = r"\b(t|epoch)\b"  # what a learning rate reads that changes


def expanded(case: Case, tree: Table) -> Case:
    """The case with the layers of its `tree` written out before its own equations, and the loss behind them."""
    if "layers" not in tree:
        own = {"loss": "; a loss of one's own is an equation", "batch": ""}
        said = [(key, hint) for key, hint in own.items() if key in tree]
        raise MathlabError([Problem(f"'{key}' needs 'layers'{hint}", tree[key].place) for key, hint in said])
    problems: list[Problem] = []
    if not isinstance(tree["layers"], Row) or not tree["layers"]:
        message = "'layers' is a list of layers, as in [{affine: {W: W1, b: b1}}, relu]"
        raise MathlabError(message, tree["layers"].place)
    layers = attempt(partial(gather, partial(_part, LAYERS, "layer")), tree["layers"], problems)
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


def _part(known: Mapping[str, Layer] | Mapping[str, Loss], what: str, tree: Tree) -> Part:
    """A layer or a loss: its word, or a mapping of it to its arguments."""
    if isinstance(tree, Row) or (isinstance(tree, Table) and len(tree) != 1):
        example = "{affine: {W: W1}}" if what == "layer" else "{mse: {target: t}}"
        shown = f"a mapping of {len(tree)} keys" if isinstance(tree, Table) else kind(tree)
        first = next(iter(tree.items()), None) if isinstance(tree, Table) else None
        shown += f"; what belongs to '{first[0]}' is indented further than it" if first and nothing(first[1]) else ""
        message = f"a {what} is a word, or a word with its arguments, as in {example}, not {shown}"
        raise MathlabError(message, tree.place)
    (word,) = tree if isinstance(tree, Table) else (tree,)
    assert isinstance(word, Scalar)
    written = habits.expression(word)
    of_kind = choice(word, known, what, f"; another is written as equations{written and f', as in {written}'}")
    record = known[of_kind]
    given = tree[word] if isinstance(tree, Table) else Table(tree.place)
    alone = isinstance(given, Scalar) and given and not re.match(r"\w+\s*,", given)
    sole = record.needs or (record.takes if isinstance(record, Layer) and NUMBER.fullmatch(str(given)) else ())
    if isinstance(given, Scalar) and alone and len(sole) == 1:  # max_pool: 2 says its size, elu: 0.5 its alpha
        table = Table(given.place, {Scalar(sole[0], given.place): given})
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
        elif key in ("W", "k") and NUMBER.fullmatch(str(table[key])):  # which are arrays in every layer
            message = f"the {key} of {of_kind} is a parameter, which has a shape, and no number of units or channels"
            problems.append(Problem(message, table[key].place))
    node = attempt(lambda key: name(label(key).normalized()), table["as"], problems) if "as" in table else None
    reduction = attempt(one_of(REDUCTIONS, "reduction"), table["reduction"], problems) if "reduction" in table else None
    said = {key: attempt(formula, part, problems) for key, part in table.items() if key not in ("as", "reduction")}
    if problems:
        raise MathlabError(problems)
    arguments = {key: replace(one, name=key) for key, one in said.items() if one is not None}
    return Part(of_kind, arguments, str(node or ""), reduction, word.place)


def optimizer(table: Table | None, place: Place) -> tuple[str, dict[str, float], Equation | None]:
    """The optimizer's name, its settings, and its learning rate where that is no number. Raises MathlabError."""
    if table is None or "name" not in table:
        words = [str(word) for item in (table or {}).items() for word in item if isinstance(word, str)]
        named = [habits.folded(word) for word in words if habits.folded(word) in SETTINGS]
        hint = f"; write {{name: {named[0]}, lr: 0.1}}" if named else ""
        message = f"train needs an optimizer with a 'name': {', '.join(SETTINGS)}{hint}"
        raise MathlabError(message, table.place if table else place)
    rule = choice(table["name"], SETTINGS, "optimizer")
    rate, switches = _schedule(table.get("lr")), OPTIMIZERS[rule].switches
    defaults = {key: one for key, one in SETTINGS[rule].items() if key != "lr" or not rate}
    problems: list[Problem] = []
    given: dict[str, float | None] = {}
    for key, tree in table.items():
        if key in defaults:
            given[str(key)] = attempt(flag if key in switches else number, tree, problems)
            if key == "lr" and problems and re.search(WORD, str(tree)):
                problems[-1] = problems[-1].hinted("; what changes reads t and epoch, which count from 1")
        elif key not in ("name", "lr"):
            hint = f"; that is the optimizer '{key}'" if key in OPTIMIZERS else signs.pair(key, tree)
            hint = hint or did_you_mean(key, defaults) or f"; it has {', '.join(defaults)}"
            problems.append(Problem(f"{rule} has no setting '{key}'{hint}", table.key(key).place))
    unfit = {key: OPTIMIZERS[rule].unfit(key, one or 0, str(table[key])) for key, one in given.items()}
    problems += [Problem(why, table[key].place) for key, why in unfit.items() if why]
    if problems:
        raise MathlabError(problems)
    found = {key: given.get(key, default) for key, default in defaults.items()}
    settings = {key: float(one) for key, one in found.items() if one is not None and (one or key not in switches)}
    for key in OPTIMIZERS[rule].settings:
        if key in defaults and key not in settings:
            raise MathlabError(f"{rule} needs its setting '{key}'", table["name"].place)
    if "clip_eps" in settings and "clip_norm" not in settings:
        raise MathlabError("'clip_eps' needs a 'clip_norm': it is added to the norm", table.key("clip_eps").place)
    return rule, settings, replace(rate, name="lr") if rate else None


def _computed(text: str) -> bool:
    """Whether a text is, or is meant as, an expression, and is neither a number nor a word alone."""
    try:
        return isinstance(parse(text), Call)
    except ExpressionError:
        return "(" in text  # which YAML's braces cut off at its comma


def _schedule(tree: Tree | None) -> Equation | None:
    """A learning rate that changes from update to update; None for what is to be a number."""
    if not isinstance(tree, Scalar) or not (re.search(MOVING, tree) or _computed(tree)):
        return None
    rate = formula(tree)
    for part in walk(rate.expr):
        if isinstance(part, Name) and part.id not in SCHEDULED:
            message = f"unknown name '{part.id}' in the learning rate, which reads {', '.join(SCHEDULED)} alone"
            raise MathlabError(message, rate.place_of(part))
        if isinstance(part, Call) and OPS[part.op].shape is not shapes.broadcast:
            message = f"{part.op} cannot stand in the learning rate, which is one number for each t"
            raise MathlabError(message, rate.place_of(part))
    return rate
