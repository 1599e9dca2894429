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

import numpy as np

from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import Array
from mathlab.language import read
from mathlab.language.derive import UPSTREAM
from mathlab.language.equation import Equation, by_name
from mathlab.language.latex import latex_equation
from mathlab.language.mathml import mathml
from mathlab.language.optimizers import OPTIMIZERS
from mathlab.language.syntax import Call, Expr, Name, Num, Slice, names
from mathlab.pictures import Scene
from mathlab.pictures.graph import graph, shape_of, summed, told_of
from mathlab.pictures.svg import escape
from mathlab.results import TrainResult, tally
from mathlab.results.judged import FigureResult, Share
from mathlab.stages.prepare import Prepared, prepare
from mathlab.stages.updates import Training

Step = tuple[str, Expr, str, str]  # a name, its expression, that as text, the node that it belongs to
Json = dict[str, object]  # in which expressions stand as they are, for `tree`

PICKED = 20_000  # rows of minibatches that a page knows, where every epoch has others
SIDE = 41  # of a contour's grid, in values
EDITABLE = 4_000  # entries of inputs and parameters; a page with more of them shows what was computed
LISTED = 30  # entries of an array that such a page still shows one by one
WORK = 20_000_000  # entries that a page computes in its training, all epochs together
BOXES = 60  # of its graph, before repeated layers are folded
WIDE = 4_000.0  # pixels; a page's graph runs down only where it is wider, for it can be scrolled


def page(scene: Scene) -> str:
    """The page of a case that has run (with its training, where it has one)."""
    from mathlab.reports.page import summary  # what it needs takes a while to import

    prepared, picture, source = prepare(scene.case), graph(scene, BOXES, math.inf, WIDE), files("mathlab.pictures")
    html, *scripts = (source.joinpath(name).read_text(encoding="utf-8") for name in ("page.html", "ops.js", "page.js"))
    # without what only its authors need
    script = re.sub(r"^ +(?://.*\n)?| // .*", "", "".join(scripts), flags=re.MULTILINE)
    result, written = scene.result, by_name(scene.case.equations)
    shown = result._replace(stages={name: one for name, one in result.stages.items() if name in ("backprop", "train")})
    told = json.dumps(data(scene, prepared), separators=(",", ":"), allow_nan=False, default=tree)
    about = result.dtype if result.case == "base" else f"{result.case}, {result.dtype}"
    lines = (Equation(name, written.get(name, expr)) for name, expr, *_ in chain(*_steps(prepared)))
    maths = (mathml(latex_equation(line, prepared.end, prepared.types)) for line in lines)
    return Template(html).substitute(
        title=escape(scene.title),
        about=escape(f"{about}: {summary(tally(shown))}. {scene.experiment.source.title}"),
        styles=" ".join(map(_hash, re.findall("<style>(.*?)</style>", html + picture, re.DOTALL))),
        scripts=_hash(script),
        graph=picture,
        maths="\n".join(f'<template id="m{at}">{made}</template>' for at, made in enumerate(maths, start=1)),
        data=told.replace("<", "\\u003c"),
        script=script,
    )


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def tree(expr: Expr) -> object:
    """An expression as the page's script reads it."""
    match expr:
        case Num(found) | Name(found):
            return found
        case Slice():
            return [":", *(bound if isinstance(bound, int) else None for bound in expr.bounds)]
        case Call(op, args, attrs):
            return [op, *map(tree, args), *([dict(attrs)] if attrs else [])]
    return None


def _steps(prepared: Prepared) -> tuple[list[Step], list[Step]]:
    """Forward and backward."""
    owner = {part: name for name, parts in prepared.backward.parts.items() for part in parts}
    forward = [(one.name, one.expr, one.text, one.name) for one in prepared.equations]
    found = prepared.backward.equations
    backward: list[Step] = [(one.name, one.expr, one.text, owner.get(one.name, one.name[1:])) for one in found]
    if f"d{prepared.end}" not in (name for name, *_ in backward):
        backward.insert(0, (f"d{prepared.end}", Num(1), "1", prepared.end))
    if isinstance(upstream := prepared.case.upstream, Equation):
        backward.insert(0, (UPSTREAM, upstream.expr, upstream.text, prepared.end))
    return forward, backward


def data(scene: Scene, prepared: Prepared) -> Json:
    """What the page's script works on: expressions, the numbers they start from, and what was printed."""
    case, result, (forward, backward) = prepared.case, scene.backprop, _steps(prepared)
    fixed = sum(np.size(array) for array in prepared.env.values()) > EDITABLE
    kinds = {name: "index" for name, type_ in prepared.types.names.items() if type_.kind == "i"}
    roles = {UPSTREAM: UPSTREAM, **dict.fromkeys(case.parameters, "parameter"), **kinds}
    given = {name: array for name, array in prepared.env.items() if name not in [one[0] for one in backward]}
    made: Json = {
        "end": prepared.end,
        "single": case.dtype == "float32",
        "forward": forward,
        "backward": backward,
        "stores": [(node.name, node.stores) for node in result.nodes if node.stores],
        "figures": [row for figure in result.figures for row in _printed(figure)],
        "train": _training(prepared, scene.result.train, fixed) if scene.result.train else None,
    }
    if not fixed:
        return made | {
            "leaves": [(name, roles.get(name, "input"), *_array(one)) for name, one in given.items()],
            "shares": [(one.name, [*map(_share, result.shares(one.name))]) for one in result.nodes if one.readers],
            "contours": [*_contours(scene, prepared)],
        }
    found = result.arrays
    return made | {
        "leaves": [],
        "shares": [],
        "said": f"More than {EDITABLE} numbers could be edited here, too many for a page: it shows what was computed.",
        "small": [(name, *_array(array)) for name, array in found.items() if array.size <= LISTED],
        "fixed": [(name, f"{shape_of(one)}: {summed(one) if one.size else 'empty'}") for name, one in found.items()],
    }


def _array(array: Array) -> tuple[object, object]:
    """Shape and entries, in C order; what JSON has no number for, as a text."""
    flat = np.asarray(array).ravel().tolist()
    return np.shape(array), [v if math.isfinite(v) else str(v).replace("inf", "Infinity") for v in flat]


def _share(share: Share) -> Sequence[object]:
    up, near = (read(factor.equation) for factor in share.factors) if share.factors else (None, None)
    return share.reader, share.equation, read(share.equation), up, near, share.fused


def _printed(figure: FigureResult) -> Iterator[Sequence[object]]:
    """A row for each printed number: the name that it is about first."""
    from mathlab.reports.layout import indexed  # what it needs takes a while to import

    for place, one in zip(np.ndindex(figure.shape), figure.entries, strict=True):
        yield told_of(figure), indexed(figure.key, place), one.printed, one.shown, *one.verdict, figure.at


def _training(prepared: Prepared, ran: TrainResult, fixed: bool) -> Json:
    case = prepared.case
    assert case.train
    training = Training(prepared, case.train).settled()
    settings, batched, trained = training.settings, case.train.batch_size is not None, training.trained
    work = sum(type_.size for type_ in prepared.types.names.values()) * (1 + batched)
    picked = training.rows * (1 if settings.seed is None else settings.epochs) if batched else 0
    able = not fixed and settings.epochs * work <= WORK and picked <= PICKED
    rule = OPTIMIZERS[settings.optimizer]
    free = settings.settings.keys() - rule.switches
    which = f"The lr of update t is {case.train.schedule.text}; every other" if case.train.schedule else "Every"
    made: Json = {
        "optimizer": settings.optimizer,
        "settings": [(name, value) for name, value in settings.settings.items() if name in free],
        "rates": sorted(name for name in free if rule.unfit(name, 1.0, "1")),  # which are less than 1
        "epochs": settings.epochs,
        "most": settings.epochs if batched and settings.seed is not None else max(settings.epochs, WORK // work),
        "trained": trained,
        "figures": [(f"after {one.updates}: {what}", *row) for one in ran.figures for _, what, *row in _printed(one)],
    }
    if not able:
        losses = _array(next(iter(ran.columns.values())))[1]
        said = "This is what mathlab ran: a page trains anew only where that does not take long."
        return made | {"said": said, "losses": losses}
    moving, rest = training._replace(free=[*free]).moving(prepared), training.at_rest(prepared.env)
    updates = moving.backward.equations[len(prepared.gradients) :]
    return made | {
        "said": f"{which} setting can be changed: the page trains anew.",
        "updates": [(equation.name, equation.expr) for equation in updates],
        "moved": [*training.moved.items()],
        "state": [(own, own.split("_", 2)[2], _array(at)[1] if settings.start else None) for own, at in rest.items()],
        "batches": _batches(training) if batched else None,
    }


def _batches(training: Training) -> Json:
    """The rows of every update, of one epoch where all have the same; and equations where they are a batch's own."""
    prepared, settings, numbers = training.prepared, training.settings, np.arange(float(training.rows))
    shown = training._replace(settings=settings._replace(epochs=1)) if settings.seed is None else training
    steps = shown.steps(batch_of=lambda rows: {"rows": numbers[rows[0]]})
    picked = [[*map(int, step.batch["rows"])] for step in steps]
    sizes = sorted({*map(len, picked)})
    both = (chain(*_steps(one)) for one in (prepared, *map(training.cut, sizes)))
    usual, *lines = ([(name, expr) for name, expr, *_ in steps if name != UPSTREAM] for steps in both)
    own = {f"{size}": found for size, found in zip(sizes, lines, strict=True) if found != usual}
    return {"over": settings.over, "each": training.each, "rows": picked, "lines": own}


def _contours(scene: Scene, prepared: Prepared) -> Iterator[Json]:
    """The contours that the case declares, over entries of its own, and the ways of other cases on them."""
    types, others = prepared.types, [one for one in scene.experiment.cases if one.name != prepared.case.name]
    flat = {name: np.arange(array.size).reshape(array.shape) for name, array in prepared.env.items()}
    light = SIDE**2 * sum(types.names[name].size for name in prepared.nodes) <= WORK // 20
    for picture in (one for one in prepared.case.pictures if light and one.kind == "contour"):
        from mathlab.pictures import plots  # what it needs takes a while to import

        about = plots.Subject(picture, prepared.case, ())
        of = about.of(prepared.case)[0]
        with contextlib.suppress(MathlabError, ExpressionError):  # its plot says what is wrong with it
            spans = plots.spans(about, prepared)
            if not {*names(of.expr)} <= {*prepared.env, *prepared.nodes} or types.of(of.expr).shape:
                continue
            ways = (plots.path_of(about, one) for one in others if one.name in picture.cases and one.train)
            drawn = ((label, np.stack(both, axis=1)) for label, *both in ways)
            paths = [(label, points[np.isfinite(points).all(axis=1)].tolist()) for label, points in drawn]
            over = [(name, int(flat[name][place]), *ends) for _, (name, place), *ends in spans]
            x, y = (one.text for one, *_ in spans)
            yield {"text": of.text, "x": x, "y": y, "of": of.expr, "over": over, "paths": paths}
