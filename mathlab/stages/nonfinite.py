"""Where numbers stop being finite, and why: the first value that is not, and the operation that made it so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mathlab.experiment import Array
from mathlab.language import shapes
from mathlab.language.check import Types
from mathlab.language.equation import Equation, by_name
from mathlab.language.ops import OPS
from mathlab.language.syntax import Call, Expr, Name, names, shortened, substitute, unparse, walk
from mathlab.stages.prepare import Env, Prepared, computed

Index = tuple[int, ...]


def is_finite(values: Iterable[Array]) -> bool:
    """Whether every entry of every array is a finite number."""
    return all(bool(np.all(np.isfinite(value))) for value in values)


def first_nonfinite(prepared: Prepared, values: Env) -> str:
    """What `first_of` says of a case's inputs, parameters, nodes and gradients; an empty text where all are finite."""
    case, infinite = prepared.case, bool(np.all(prepared.env.get("inf", np.zeros(())) == np.inf))
    given = [*case.inputs, *case.parameters]
    # infinite because its equation says `inf`, as a mask before a softmax does
    meant = {line.name for line in case.equations if infinite and "inf" in names(line.expr)}
    nodes = [node for node in prepared.nodes if node not in meant or np.isnan(values[node]).any()]
    said = first_of([*given, *nodes, *prepared.gradients], prepared.both, values, prepared.types)
    lost = [name for name in given if not is_finite([values[name]])]
    return f"{said}: the number is too large for {case.dtype}" if lost else said


def first_of(
    order: Iterable[str], equations: Sequence[Equation], values: Env, types: Types, called: Mapping[str, str] = {}
) -> str:
    """The first of the values of `order`, in which they were computed, that is not finite, and what made it so.

    As in `cost is nan: log(1 - a) is -inf, where 1 - a is 0`. An empty text where all are finite. `called` are the
    names that a reader knows, where they are others.
    """
    made_by = by_name(equations)
    for name in order:
        wrong = ~np.asarray(np.isfinite(values[name]))
        if wrong.any():
            at = _first(wrong)
            value, _, where = _entry(values[name], at).partition(" at ")
            said = f"{called.get(name, name)}{where} is {value}"
            why = _cause(made_by[name], at, values, types, called) if name in made_by else ""
            return f"{said}: {why}" if why else said
    return ""


def _cause(root: Expr, at: Index, values: Env, types: Types, called: Mapping[str, str]) -> str:
    """The operation inside `root` whose operands are all finite where its result, which the entry `at` reads, is not.

    Empty where none is to be found: the program need not compute an expression part by part as it is written.
    """
    parts = dict.fromkeys(part for part in walk(root) if isinstance(part, Name | Call))
    lines = [Equation(f"_part_{count}", part) for count, part in enumerate(parts) if isinstance(part, Call)]
    dtype = next((value.dtype.name for value in values.values() if value.dtype.kind == "f"), "float64")
    found = computed(lines, types, values, dtype)
    inside: dict[Expr, Array] = {part: np.asarray(values[part.id]) for part in parts if isinstance(part, Name)}
    inside |= {line.expr: np.asarray(value) for line, value in zip(lines, found, strict=True)}

    def text(part: Expr) -> str:
        return shortened(unparse(substitute(part, {name: Name(known) for name, known in called.items()})))

    def why(expr: Call, at: Index) -> str:
        told = inside.get(expr.args[0]) if expr.op == "where" else None  # which reads one of its branches
        read = expr.args if told is None else (expr.args[1] if told[_place(told, at)] else expr.args[2],)
        operands = {part: inside[part] for part in read if part in inside}
        pointwise = OPS[expr.op].shape is shapes.broadcast
        places = {part: _place(value, at) for part, value in operands.items()} if pointwise else {}
        for part, value in operands.items():
            wrong = ~np.isfinite(value)
            if wrong[places.get(part, ...)].any():
                return why(part, places.get(part) or _first(wrong)) if isinstance(part, Call) else ""
        if is_finite([inside[expr][at]]):
            return ""
        words = " and ".join(f"{text(part)} is {_entry(operands[part], here)}" for part, here in places.items())
        result = "" if expr is root else f" is {_entry(inside[expr], at)}"
        return f"{text(expr)}{result}" + (f", where {words}" if words else "")

    return why(root, at) if isinstance(root, Call) else ""


def _place(value: Array, at: Index) -> Index:
    """Where the entry stands that broadcasting brings to `at`."""
    lengths = zip(value.shape, at[len(at) - value.ndim :], strict=True)
    return tuple(0 if length == 1 else place for length, place in lengths)


def _first(wrong: Array) -> Index:
    return tuple(map(int, np.argwhere(wrong)[0]))


def _entry(value: Array, at: Index) -> str:
    """`0 at [1]`."""
    return f"{float(np.asarray(value)[at]):.6g}" + (f" at [{','.join(map(str, at))}]" if at else "")
