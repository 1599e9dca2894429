"""The equations with a name for every activation and for what goes into it, so that layers and steps look alike.

An article writes `h2 = tanh(W @ x2 + U @ h1)` for one step and `z = ...; h = tanh(z)` for the next net; the mistakes of
their backward passes are the same, and are looked for in one form. A sigmoid that is written out is one too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import chain, count

from mathlab.diagnosis.rewrite import Names, rewrites
from mathlab.experiment import Case, Figure
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.ops import ACTIVATIONS
from mathlab.language.syntax import Call, Expr, Name, unparse
from mathlab.stages.prepare import Prepared, prepare

NOTHING = Names(Types({}), frozenset(), frozenset())
ONE_SPELLING = rewrites(
    ("1 / (1 + exp(-x))", "sigmoid(x)", "", 0),
    ("1 / (exp(-x) + 1)", "sigmoid(x)", "", 0),
    ("maximum(0, x)", "relu(x)", "", 0),
    ("maximum(x, 0)", "relu(x)", "", 0),
    ("a * a", "a**2", "", 0),
    ("square(x)", "x**2", "", 0),
)


def unfolded(case: Case) -> tuple[Case, Mapping[str, str]]:
    """The case with its activations apart, and what each name more is called: `the pre-activation of h2`."""
    taken = {*case.inputs, *case.parameters, *(equation.name for equation in case.equations)}
    out: list[Equation] = []
    called: dict[str, str] = {}

    def named(expr: Expr, stem: str, what: str) -> Name:
        name = next((equation.name for equation in out if equation.expr == expr), "")
        if not name:
            name = next(fresh for fresh in chain([stem], (f"{stem}{k}" for k in count(2))) if fresh not in taken)
            taken.add(name)
            called[name] = what
            out.append(Equation(name, expr))
        return Name(name)

    def apart(expr: Expr, equation: str, root: bool = False) -> Expr:
        """The expression with its activations, and what goes into them, read by name."""
        if not isinstance(expr, Call):
            return expr
        args = tuple(apart(arg, equation) for arg in expr.args)
        if expr.op in ACTIVATIONS and isinstance(args[0], Call):
            what = f"the pre-activation of {equation}" if root else f"what goes into {expr.op} in {equation}"
            args = named(args[0], f"{equation}_in", what), *args[1:]
        made = Call(expr.op, args, expr.attrs, expr.position)
        return named(made, f"{equation}_{expr.op}", unparse(expr)) if expr.op in ACTIVATIONS and not root else made

    for equation in case.equations:
        expr = apart(_plain(equation.expr), equation.name, root=True)
        out.append(equation.saying(expr))
    return replace(case, equations=tuple(out)), called


def _plain(expr: Expr) -> Expr:
    """The expression with what has several spellings in one: a sigmoid that is written out, a square as a product."""
    if not isinstance(expr, Call):
        return expr
    plain = Call(expr.op, tuple(map(_plain, expr.args)), expr.attrs, expr.position)
    return next((spelt for _, spelt, *_ in ONE_SPELLING(plain, NOTHING)), plain)


def told(text: str, called: Mapping[str, str], parts: Mapping[str, str]) -> str:
    """A text with the names that nobody knows said in words; `parts` are the pieces of gradients, and what they are."""
    bare = {name: what.removeprefix("the ") for name, what in called.items()}
    words = {**parts, **{f"d{name}": f"d({what})" for name, what in bare.items()}}
    words |= {name: f"({what})" if " " in what else called[name] for name, what in bare.items()}
    unknown = "|".join(sorted(map(re.escape, words), key=len, reverse=True))
    return re.sub(rf"(?<!\w)({unknown})(?!\w)", lambda found: words[found[1]], text) if words else text


def with_gradients(case: Case, quantities: Iterable[str]) -> Prepared:
    """The case made ready with every gradient among these, and without what it states itself."""
    nodes = {*case.inputs, *case.parameters, *(equation.name for equation in case.equations)}
    figures = tuple(Figure(name, Name(name), (), ()) for name in dict.fromkeys(quantities) if name not in nodes)
    train = case.train._replace(after=()) if case.train else None
    return prepare(replace(case, expected=figures, derivation=(), gradcheck=None, train=train))
