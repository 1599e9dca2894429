"""A case as one HTML file that steps through its equations and, without eval or a network, computes them anew."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.resources import files
from string import Template
from typing import TypeAlias

import numpy as np

from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import Array, Experiment, Picture, TrainSettings
from mathlab.language import read
from mathlab.language.check import Types
from mathlab.language.derive import UPSTREAM
from mathlab.language.equation import Equation
from mathlab.language.latex import latex_equation
from mathlab.language.mathml import mathml
from mathlab.language.optimizers import OPTIMIZERS
from mathlab.language.syntax import Call, Expr, Name, Num, Slice, names
from mathlab.pictures.graph import graph, shape_of, title_of
from mathlab.pictures.svg import escape, number
from mathlab.results import CaseResult, FigureResult, Share, tally
from mathlab.stages.prepare import Prepared, prepare
from mathlab.stages.updates import (
    Batch,
    Rows,
    at_rest,
    first_rows,
    in_all,
    rows_of,
    settled,
    state_name,
    update_equations,
    updates,
)

Json: TypeAlias = "dict[str, Json] | list[Json] | str | float | int | bool | None"

PICKED = 20_000  # rows of minibatches that a page knows, where every epoch has others
SIDE = 41  # of a contour's grid, in values
EDITABLE = 4_000  # entries of inputs and parameters; a page with more of them shows what was computed
LISTED = 30  # entries of an array that such a page still shows one by one
WORK = 20_000_000  # entries that a page computes in its training, all epochs together
WIDE = 4_000.0  # pixels; a page's graph runs down only where it is wider, for it can be scrolled


def page(experiment: Experiment, result: CaseResult, scope: str) -> str:
    """The page of a case that has run (with its training, where it has one)."""
    case = next(one for one in experiment.cases if one.name == result.case)
    prepared = prepare(case)
    picture = graph(experiment, result, scope, wide=WIDE)
    source = files("mathlab.pictures")
    script = "".join(source.joinpath(name).read_text(encoding="utf-8") for name in ("ops.js", "page.js"))
    script = re.sub(r"^ +(?://.*\n)?", "", script, flags=re.MULTILINE)  # what only its authors need
    html = source.joinpath("page.html").read_text(encoding="utf-8")
    styles = [*re.findall("<style>(.*?)</style>", html + picture, re.DOTALL)]
    shown = {name: found for name, found in result.stages.items() if name in ("backprop", "train")}
    counts = tally(replace(result, stages=shown))
    said = [f"{result.case}, {result.dtype}." if result.case != "base" else f"{result.dtype}."]
    if counts.figures:
        said.append(f"{counts.figures - counts.failed} of {counts.figures} printed figures match.")
    if counts.worked_out:
        said.append(f"{counts.worked_out_matched} of {counts.worked_out} worked-out figures match.")
    return Template(html).substitute(
        title=escape(title_of(experiment, result)),
        about=escape(" ".join([*said, experiment.source.title])),
        styles=" ".join(map(_hash, styles)),
        scripts=_hash(script),
        graph=picture,
        maths="\n".join(_maths(prepared)),
        data=json.dumps(data(experiment, prepared, result), separators=(",", ":"), allow_nan=False).replace(
            "<", "\\u003c"
        ),
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
        case Slice(start, stop, step):
            return [":", start, stop, step]
        case Call(op, args, attrs):
            settings: dict[str, Json] = {name: _setting(value) for name, value in attrs}
            return [op, *map(tree, args), *([settings] if settings else [])]
    return None


def _setting(value: object) -> Json:
    return list(value) if isinstance(value, tuple) else value if isinstance(value, int | float | str) else None


def _steps(prepared: Prepared) -> tuple[list[tuple[str, Expr, str, str]], list[tuple[str, Expr, str, str]]]:
    """Forward and backward: name, expression, text, and the node that it belongs to."""
    owner = {part: name for name, parts in prepared.backward.parts.items() for part in parts}
    texts = {equation.name: equation.text for equation in prepared.case.equations}
    forward = [(one.name, one.expr, texts[one.name], one.name) for one in prepared.equations]
    backward = [
        (one.name, one.expr, one.text, owner.get(one.name, one.name[1:])) for one in prepared.backward.equations
    ]
    end = f"d{prepared.end}"
    if all(name != end for name, *_ in backward):
        backward.insert(0, (end, Num(1), "1", prepared.end))
    return forward, backward


def _maths(prepared: Prepared) -> list[str]:
    written = {equation.name: equation.expr for equation in prepared.case.equations}
    forward, backward = _steps(prepared)
    lines = [(name, written.get(name, expr)) for name, expr, *_ in (*forward, *backward)]
    latex = [latex_equation(Equation(name, expr), prepared.end, prepared.types) for name, expr in lines]
    return [f'<template id="m{at}">{mathml(line)}</template>' for at, line in enumerate(latex, start=1)]


def data(experiment: Experiment, prepared: Prepared, result: CaseResult) -> dict[str, Json]:
    """What the page's script works on: expressions as trees, the numbers they start from, and what was printed."""
    forward, backward = _steps(prepared)
    case, backprop = prepared.case, result.backprop
    assert backprop
    fixed = sum(np.size(array) for array in prepared.env.values()) > EDITABLE
    found = {node.name: node.value for node in backprop.nodes}
    found |= {f"d{node.name}": node.gradient for node in backprop.nodes if node.gradient is not None}
    made: dict[str, Json] = {
        "end": prepared.end,
        "single": case.dtype == "float32",
        "leaves": []
        if fixed
        else [[name, _role(prepared, name), *_array(array)] for name, array in prepared.env.items()],
        "forward": [[name, tree(expr), text, owner] for name, expr, text, owner in forward],
        "backward": [[name, tree(expr), text, owner] for name, expr, text, owner in backward],
        "stores": [[node.name, list(node.stores)] for node in backprop.nodes if node.stores],
        "shares": []
        if fixed
        else [[name, [_share(share) for share in shares]] for name, shares in backprop.shares.items()],
        "figures": [row for figure in backprop.figures for row in _printed(figure)],
        "train": _training(prepared, result, fixed) if result.train else None,
        "contours": [] if fixed else [*_contours(experiment, prepared, result)],
    }
    if fixed:
        made["said"] = (
            f"More than {EDITABLE} numbers could be edited here, too many for a page: it shows what was computed."
        )
        made["small"] = [[name, *_array(array)] for name, array in found.items() if array.size <= LISTED]
        made["fixed"] = [[name, _summary(array)] for name, array in found.items()]
    return made


def _array(array: Array) -> tuple[Json, Json]:
    """Shape and entries, in C order; what JSON has no number for, as a text."""
    flat = np.asarray(array).ravel()
    return list(np.shape(array)), [v if math.isfinite(v) else str(v).replace("inf", "Infinity") for v in flat.tolist()]


def _role(prepared: Prepared, name: str) -> str:
    if prepared.types.names[name].kind == "i":
        return "index"
    return "parameter" if name in prepared.case.parameters else UPSTREAM if name == UPSTREAM else "input"


def _summary(array: Array) -> str:
    with np.errstate(all="ignore"):
        norm = float(np.linalg.norm(np.asarray(array, np.float64).ravel()))
    low, high = (number(array.min()), number(array.max())) if array.size else ("", "")
    return f"{shape_of(array)}: norm {number(norm)}, {low} … {high}"


def _share(share: Share) -> Json:
    up, local = (tree(read(factor.equation)) for factor in share.factors) if share.factors else (None, None)
    return [share.reader, share.equation, tree(read(share.equation)), up, local, list(share.fused)]


def _printed(figure: FigureResult) -> list[list[Json]]:
    """A row for each printed number: the name that it is about first."""
    about = next(iter(names(read(figure.key))), "")
    rows: list[list[Json]] = []
    for place, entry in zip(np.ndindex(figure.shape), figure.entries, strict=True):
        quantity = f"{figure.key}[{','.join(map(str, place))}]" if place else figure.key
        verdict = entry.verdict
        rows.append([about, quantity, entry.printed, entry.shown, verdict.label, verdict.passed, figure.at])
    return rows


def _training(prepared: Prepared, result: CaseResult, fixed: bool) -> Json:
    case = prepared.case
    assert case.train
    assert result.train
    settings = settled(prepared, case.train)
    trained = settings.trained(case.parameters)
    batched = settings.batch_size is not None
    work = sum(type_.size for type_ in prepared.types.names.values()) * (1 + batched)
    batches = _batches(prepared, settings) if batched and not fixed and settings.epochs * work <= WORK else None
    rows = [
        [f"after {figure.updates}: {row[1]}", *row[2:]] for figure in result.train.figures for row in _printed(figure)
    ]
    free = settings.settings.keys() - OPTIMIZERS[settings.optimizer].switches
    made: dict[str, Json] = {
        "optimizer": settings.optimizer,
        "settings": [[name, value] for name, value in settings.settings.items() if name in free],
        "epochs": settings.epochs,
        "most": settings.epochs if batched and settings.seed is not None else max(settings.epochs, WORK // work),
        "trained": list[Json](trained),
        "figures": [*rows],
        "said": "Every setting can be changed: the page trains anew.",
    }
    if not fixed and settings.epochs * work <= WORK and (batches or not batched):
        types = Types(prepared.types.names, prepared.types.integral)
        equations, moved = update_equations(trained, settings, types, free=free)
        rest = at_rest(trained, settings, prepared.env)
        made["updates"] = [[equation.name, tree(equation.expr)] for equation in equations]
        made["moved"] = [[old, new] for old, new in moved.items()]
        made["state"] = [
            [own, name, _array(rest[own])[1] if settings.start else None]
            for name in trained
            for part in settings.rule.state
            for own in [state_name(part, name)]
        ]
        made["batches"] = batches
    else:
        made["said"] = "This is what mathlab ran: a page trains anew only where that does not take long."
        made["losses"] = _array(next(iter(result.train.columns.values())))[1]
    return made


def _batches(prepared: Prepared, settings: TrainSettings) -> Json:
    """The rows of every update, of one epoch where all have the same; and the equations where they are a batch's own.

    None where there are too many of them.
    """
    picked: list[Rows] = []
    count, (each, _) = rows_of(prepared, settings), in_all(prepared, settings)
    epochs = 1 if settings.seed is None else settings.epochs
    if epochs * count > PICKED:
        return None

    def note(rows: Sequence[Rows]) -> Batch:
        picked.append(rows[0])
        return {}

    for _ in updates(prepared, replace(settings, epochs=epochs), lambda *_: lambda *_: None, batch_of=note):
        pass
    rows = [np.arange(count)[part].tolist() for part in picked]
    sizes = {len(part) for part in rows}
    lines = {size: _lines(prepare(first_rows(prepared.case, settings, size))) for size in sorted(sizes)}
    own: dict[str, Json] = {str(size): made for size, made in lines.items() if made != _lines(prepared)}
    return {"over": [*settings.over], "each": each, "rows": [*rows], "lines": own}


def _lines(prepared: Prepared) -> list[Json]:
    forward, backward = _steps(prepared)
    return [[name, tree(expr)] for name, expr, *_ in (*forward, *backward)]


def _contours(experiment: Experiment, prepared: Prepared, result: CaseResult) -> Iterator[Json]:
    """The contours that the case declares, over entries of its own, and the ways of other cases on them."""
    declared = [one for one in prepared.case.pictures if one.kind == "contour" and len(one.over) == 2]
    if SIDE**2 * sum(prepared.types.names[name].size for name in prepared.nodes) > WORK // 20:
        return
    for picture in declared:
        with contextlib.suppress(MathlabError, ExpressionError):  # its plot says what is wrong with it
            yield from _contour(experiment, prepared, result, picture)


def _contour(experiment: Experiment, prepared: Prepared, result: CaseResult, picture: Picture) -> Iterator[Json]:
    from mathlab.pictures import plots  # what it needs takes a while to import

    about = plots.Subject(picture, ((prepared.case, result),))
    of = (picture.of or (plots.end_of(prepared.case),))[0]
    entries = [wanted for wanted, *_ in picture.over]
    over: list[Json] = []
    for wanted, low, high in picture.over:
        name, place = plots.entry_of(about, wanted)
        type_ = prepared.types.names[name]
        if type_.kind != "f":
            return
        over.append([name, int(np.arange(type_.size).reshape(type_.shape)[place]), low, high])
    if not {*names(of.expr)} <= {*prepared.env, *prepared.nodes} or prepared.types.of(of.expr).shape:
        return
    paths: list[Json] = []
    for other in experiment.cases:
        if other.name in picture.cases and other.train and other.name != prepared.case.name:
            way = plots.path_of(other, entries)
            points = np.stack([way.x, way.y], axis=1)
            points = points[np.isfinite(points).all(axis=1)]
            paths += [[way.label, points.tolist()]] if len(points) else []
    x, y = (entry.text for entry in entries)
    yield {"text": of.text, "x": x, "y": y, "of": tree(of.expr), "over": over, "paths": paths}
