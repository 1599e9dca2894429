"""A case as one HTML file that steps through its equations and, without eval or a network, computes them anew."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import math
import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from itertools import chain
from string import Template
from typing import TypeAlias

import numpy as np

from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import Array, Picture, TrainSettings
from mathlab.language import read
from mathlab.language.check import Types
from mathlab.language.derive import UPSTREAM
from mathlab.language.equation import Equation
from mathlab.language.latex import latex_equation
from mathlab.language.mathml import mathml
from mathlab.language.optimizers import OPTIMIZERS
from mathlab.language.syntax import Call, Expr, Name, Num, Slice, names
from mathlab.pictures import Scene
from mathlab.pictures.graph import graph, shape_of, summed
from mathlab.pictures.svg import entry, escape
from mathlab.results import FigureResult, Share, TrainResult, tally
from mathlab.stages import updates as moves
from mathlab.stages.prepare import Prepared, prepare

Step: TypeAlias = tuple[str, Expr, str, str]  # a name, its expression, that as text, the node that it belongs to
Json: TypeAlias = "dict[str, Json] | list[Json] | str | float | int | bool | None"

PICKED = 20_000  # rows of minibatches that a page knows, where every epoch has others
SIDE = 41  # of a contour's grid, in values
EDITABLE = 4_000  # entries of inputs and parameters; a page with more of them shows what was computed
LISTED = 30  # entries of an array that such a page still shows one by one
WORK = 20_000_000  # entries that a page computes in its training, all epochs together
BOXES = 60  # of its graph, before repeated layers are folded
WIDE = 4_000.0  # pixels; a page's graph runs down only where it is wider, for it can be scrolled


def page(scene: Scene) -> str:
    """The page of a case that has run (with its training, where it has one)."""
    prepared, picture, source = prepare(scene.case), graph(scene, BOXES, math.inf, WIDE), files("mathlab.pictures")
    html, *scripts = (source.joinpath(name).read_text(encoding="utf-8") for name in ("page.html", "ops.js", "page.js"))
    script = re.sub(r"^ +(?://.*\n)?", "", "".join(scripts), flags=re.MULTILINE)  # without what only its authors need
    result = scene.result
    stages = {name: found for name, found in result.stages.items() if name in ("backprop", "train")}
    counts = tally(result._replace(stages=stages))
    said = [f"{result.case}, {result.dtype}." if result.case != "base" else f"{result.dtype}."]
    printed = (counts.figures - counts.failed, counts.figures, "printed")
    for matched, total, what in (printed, (counts.worked_out_matched, counts.worked_out, "worked-out")):
        said += [f"{matched} of {total} {what} figures match."] if total else []
    told = json.dumps(data(scene, prepared), separators=(",", ":"), allow_nan=False)
    written = {equation.name: equation.expr for equation in scene.case.equations}
    lines = [Equation(name, written.get(name, expr)) for name, expr, *_ in chain(*_steps(prepared))]
    maths = (mathml(latex_equation(line, prepared.end, prepared.types)) for line in lines)
    return Template(html).substitute(
        title=escape(scene.title),
        about=escape(" ".join([*said, scene.experiment.source.title])),
        styles=" ".join(map(_hash, re.findall("<style>(.*?)</style>", html + picture, re.DOTALL))),
        scripts=_hash(script),
        graph=picture,
        maths="\n".join(f'<template id="m{at}">{made}</template>' for at, made in enumerate(maths, start=1)),
        data=told.replace("<", "\\u003c"),
        script=script,
    )


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def tree(expr: Expr) -> Json:
    """An expression as the page's script reads it."""
    match expr:
        case Num(value):
            return value
        case Name(name):
            return name
        case Slice():
            return [":", *(bound if isinstance(bound, int) else None for bound in expr.bounds)]
        case Call(op, args, attrs):
            settings: dict[str, Json] = {name: _setting(value) for name, value in attrs}
            return [op, *map(tree, args), *([settings] if settings else [])]
    return None


def _setting(value: object) -> Json:
    return list(value) if isinstance(value, tuple) else value if isinstance(value, int | float | str) else None


def _steps(prepared: Prepared) -> tuple[list[Step], list[Step]]:
    """Forward and backward."""
    owner = {part: name for name, parts in prepared.backward.parts.items() for part in parts}
    texts = {equation.name: equation.text for equation in prepared.case.equations}
    forward = [(one.name, one.expr, texts[one.name], one.name) for one in prepared.equations]
    found = prepared.backward.equations
    backward = [(one.name, one.expr, one.text, owner.get(one.name, one.name[1:])) for one in found]
    if f"d{prepared.end}" not in (name for name, *_ in backward):
        backward.insert(0, (f"d{prepared.end}", Num(1), "1", prepared.end))
    return forward, backward


def data(scene: Scene, prepared: Prepared) -> dict[str, Json]:
    """What the page's script works on: expressions as trees, the numbers they start from, and what was printed."""
    forward, backward = ([[name, tree(expr), *said] for name, expr, *said in steps] for steps in _steps(prepared))
    case, result = prepared.case, scene.backprop
    fixed = sum(np.size(array) for array in prepared.env.values()) > EDITABLE
    leaves = {} if fixed else prepared.env
    kinds = {name: "index" for name, type_ in prepared.types.names.items() if type_.kind == "i"}
    roles = {UPSTREAM: UPSTREAM, **dict.fromkeys(case.parameters, "parameter"), **kinds}
    made: dict[str, Json] = {
        "end": prepared.end,
        "single": case.dtype == "float32",
        "leaves": [[name, roles.get(name, "input"), *_array(array)] for name, array in leaves.items()],
        "forward": [*forward],
        "backward": [*backward],
        "stores": [[node.name, [*node.stores]] for node in result.nodes if node.stores],
        "shares": [] if fixed else [[name, [*map(_share, shares)]] for name, shares in result.shares.items()],
        "figures": [*chain(*map(_printed, result.figures))],
        "train": _training(prepared, scene.result.train, fixed) if scene.result.train else None,
        "contours": [] if fixed else [*_contours(scene, prepared)],
    }
    if fixed:
        made["said"] = (
            f"More than {EDITABLE} numbers could be edited here, too many for a page: it shows what was computed."
        )
        found = {node.name: node.value for node in result.nodes}
        found |= {f"d{node.name}": node.gradient for node in result.nodes if node.gradient is not None}
        made["small"] = [[name, *_array(array)] for name, array in found.items() if array.size <= LISTED]
        made["fixed"] = [
            [name, f"{shape_of(array)}: {summed(array) if array.size else 'empty'}"] for name, array in found.items()
        ]
    return made


def _array(array: Array) -> tuple[Json, Json]:
    """Shape and entries, in C order; what JSON has no number for, as a text."""
    flat = np.asarray(array).ravel().tolist()
    return [*np.shape(array)], [v if math.isfinite(v) else str(v).replace("inf", "Infinity") for v in flat]


def _share(share: Share) -> Json:
    factors = [tree(read(factor.equation)) for factor in share.factors] or [None, None]
    return [share.reader, share.equation, tree(read(share.equation)), *factors, [*share.fused]]


def _printed(figure: FigureResult) -> Iterator[list[Json]]:
    """A row for each printed number: the name that it is about first."""
    about = next(iter(names(read(figure.key))), "")
    for place, one in zip(np.ndindex(figure.shape), figure.entries, strict=True):
        verdict = one.verdict
        yield [about, entry(figure.key, place), one.printed, one.shown, verdict.label, verdict.passed, figure.at]


def _training(prepared: Prepared, result: TrainResult, fixed: bool) -> Json:
    case = prepared.case
    assert case.train
    settings, batched = moves.settled(prepared, case.train), case.train.batch_size is not None
    trained = settings.trained(case.parameters)
    work = sum(type_.size for type_ in prepared.types.names.values()) * (1 + batched)
    able = not fixed and settings.epochs * work <= WORK
    batches = _batches(prepared, settings) if batched and able else None
    free = settings.settings.keys() - OPTIMIZERS[settings.optimizer].switches
    made: dict[str, Json] = {
        "optimizer": settings.optimizer,
        "settings": [[name, value] for name, value in settings.settings.items() if name in free],
        "epochs": settings.epochs,
        "most": settings.epochs if batched and settings.seed is not None else max(settings.epochs, WORK // work),
        "trained": [*trained],
        "figures": [
            [f"after {figure.updates}: {row[1]}", *row[2:]] for figure in result.figures for row in _printed(figure)
        ],
    }
    if not able or (batched and not batches):
        losses = _array(next(iter(result.columns.values())))[1]
        said = "This is what mathlab ran: a page trains anew only where that does not take long."
        return made | {"said": said, "losses": losses}
    types = Types(prepared.types.names, prepared.types.integral)
    equations, moved = moves.update_equations(trained, settings, types, free=free)
    rest = moves.at_rest(trained, settings, prepared.env)
    states = [(moves.state_name(part, name), name) for name in trained for part in settings.rule.state]
    return made | {
        "said": "Every setting can be changed: the page trains anew.",
        "updates": [[equation.name, tree(equation.expr)] for equation in equations],
        "moved": [[old, new] for old, new in moved.items()],
        "state": [[own, name, _array(rest[own])[1] if settings.start else None] for own, name in states],
        "batches": batches,
    }


def _batches(prepared: Prepared, settings: TrainSettings) -> Json:
    """The rows of every update, of one epoch where all have the same; and the equations where they are a batch's own.

    None where there are too many of them.
    """
    count, (each, _), picked = moves.rows_of(prepared, settings), moves.in_all(prepared, settings), list[list[Json]]()
    epochs = 1 if settings.seed is None else settings.epochs
    if epochs * count > PICKED:
        return None

    def note(rows: Sequence[moves.Rows]) -> moves.Batch:
        picked.append(np.arange(count)[rows[0]].tolist())
        return {}

    list(moves.updates(prepared, settings._replace(epochs=epochs), lambda *_: lambda *_: None, batch_of=note))
    lines = {
        size: _lines(prepare(moves.first_rows(prepared.case, settings, size))) for size in sorted({*map(len, picked)})
    }
    own: dict[str, Json] = {str(size): made for size, made in lines.items() if made != _lines(prepared)}
    return {"over": [*settings.over], "each": each, "rows": [*picked], "lines": own}


def _lines(prepared: Prepared) -> list[Json]:
    return [[name, tree(expr)] for name, expr, *_ in chain(*_steps(prepared))]


def _contours(scene: Scene, prepared: Prepared) -> Iterator[Json]:
    """The contours that the case declares, over entries of its own, and the ways of other cases on them."""
    work = SIDE**2 * sum(prepared.types.names[name].size for name in prepared.nodes)
    for picture in prepared.case.pictures if work <= WORK // 20 else ():
        if picture.kind == "contour" and len(picture.over) == 2:
            with contextlib.suppress(MathlabError, ExpressionError):  # its plot says what is wrong with it
                yield from _contour(scene, prepared, picture)


def _contour(scene: Scene, prepared: Prepared, picture: Picture) -> Iterator[Json]:
    from mathlab.pictures import plots  # what it needs takes a while to import

    about = plots.Subject(picture, ((prepared.case, scene.result),))
    of, entries, over, paths = about.of(prepared.case)[0], [one for one, *_ in picture.over], list[Json](), list[Json]()
    for wanted, low, high in picture.over:
        name, place = plots.entry_of(about, wanted)
        type_ = prepared.types.names[name]
        if type_.kind != "f":
            return
        over.append([name, int(np.arange(type_.size).reshape(type_.shape)[place]), low, high])
    if not {*names(of.expr)} <= {*prepared.env, *prepared.nodes} or prepared.types.of(of.expr).shape:
        return
    for other in scene.experiment.cases:
        if other.name in picture.cases and other.train and other.name != prepared.case.name:
            way = plots.path_of(other, entries)
            points = np.stack([way.x, way.y], axis=1)
            points = points[np.isfinite(points).all(axis=1)]
            paths += [[way.label, points.tolist()]] if len(points) else []
    x, y = entries
    yield {"text": of.text, "x": x.text, "y": y.text, "of": tree(of.expr), "over": over, "paths": paths}
