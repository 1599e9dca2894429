"""The equations in both directions, as they are printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from mathlab.experiment import Case
from mathlab.language.equation import Equation
from mathlab.language.fold import Fold, Recurrence
from mathlab.language.latex import latex_equation
from mathlab.language.mathml import mathml
from mathlab.language.syntax import Call, Name
from mathlab.stages.prepare import prepare


def derivation(case: Case, form: Literal["text", "latex", "mathml", "numpy"], full: bool = False) -> str:
    """The case's equations in both directions as text, LaTeX or MathML, or as the NumPy program that runs.

    The steps of a loop are written as a loop where they are alike, or in `full`.
    """
    prepared = prepare(case)
    if form == "numpy":
        return prepared.program.listing()
    given = dict.fromkeys((*case.inputs, *case.parameters))
    steps = {**given, **{one.name: one.step for one in case.equations}}
    fold = Fold(() if full else steps.items())
    forward, backward = ([*fold.equations(some)] for some in (case.equations, prepared.backward.equations))
    if form in ("latex", "mathml"):
        types, loop = fold.types(prepared.types), r"&\text{{for}}\ {} = {}, \ldots, {}\text{{:}}"
        lines = _lines((*forward, *backward), loop, lambda equation: latex_equation(equation, prepared.end, types))
        if form == "mathml":
            return "".join(f"{mathml(line)}\n" for line in lines)
        return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}\n"
    stores = prepared.backward.stores.items()
    kept = [Equation(name, Call("array", tuple(map(Name, some)))) for name, some in stores if some]
    loop = "for {} in {}..{}:"
    blocks = [_lines(some, loop, lambda equation: f"{equation.name} = {equation.text}") for some in (forward, backward)]
    blocks += [_lines(fold.equations(kept), loop, lambda one: f"{one.name} stores {one.text[1:-1]}")]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _lines(equations: Iterable[Equation | Recurrence], loop: str, written: Callable[[Equation], str]) -> Iterator[str]:
    """A line for each equation, those of a loop below a line that begins it."""
    for item in equations:
        if isinstance(item, Recurrence):
            yield loop.format(item.counter, item.first, item.last)
            yield from (f"  {line}" for line in _lines(item.equations, loop, written))
        else:
            yield written(item)
