"""The gradient of what is normalised in one line, as it is derived by hand: (g - mean(g) - n * mean(g * n)) / s.

The lab hands it on through the mean and the spread, each by an equation of its own; who takes the short form forgets
a term of that one. Whoever asks for the forms holds them against the gradient, for one of several is true.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import TYPE_CHECKING

from mathlab.diagnosis.mistakes import shares
from mathlab.diagnosis.rewrite import Names, factors, form, inverse, product, terms
from mathlab.diagnosis.slips import parts, placed
from mathlab.language.syntax import Call, Expr, Name, names

if TYPE_CHECKING:
    from mathlab.diagnosis.search import Evaluator

WHOLE = "_normalised"
FORMS = (  # of a batch or layer norm, of an RMS norm, and of a vector of length 1
    "(g - mean(g, axis={0}, keepdims=True) - n * mean(g * n, axis={0}, keepdims=True)) / s",
    "(g - n * mean(g * n, axis={0}, keepdims=True)) / s",
    "(g - n * sum(g * n, axis={0}, keepdims=True)) / s",
)


def forms(evaluator: Evaluator, known: Names) -> Iterator[tuple[str, Expr]]:
    """The gradients that may have a closed form, and what it may be."""
    for name, expr in known.forward.items():
        yield from _of_equation(name, expr, evaluator, known)


def _of_equation(name: str, expr: Expr, evaluator: Evaluator, known: Names) -> Iterator[tuple[str, Expr]]:
    for path, part, *_ in parts(expr):
        chain = factors(part) if isinstance(part, Call) and part.op in ("mul", "div") else []
        for scale, whole in ((scale, whole) for scale in chain for whole in chain if scale != whole):
            x = next(iter(names(whole)), "")
            shape, small = known.shape(whole), known.shape(scale)
            small = (1,) * (len(shape) - len(small)) + small
            axes = tuple(k for k, (a, b) in enumerate(zip(shape, small, strict=False)) if a > b == 1)
            plain = whole == Name(x) or (isinstance(whole, Call) and whole.op == "sub" and whole.args[0] == Name(x))
            if not (plain and axes and f"d{x}" in known.backward and known.shape(Name(x)) == shape):
                continue
            between = {*evaluator.named(evaluator.ahead.get(x, 0) & evaluator.behind[name])} | {name}
            if x not in names(scale) and between.isdisjoint(names(scale)):
                continue
            rest = [factor for factor in chain if factor not in (scale, whole)]
            apart = placed(expr, path, product(Name(WHOLE), *rest))
            type_ = known.types.of(whole)
            handed = shares(name, apart, evaluator.prepared, {WHOLE: type_, f"d{WHOLE}": type_}) or {}
            n = product(whole, scale) if path or rest else Name(name)
            others = [
                term
                for term in terms(known.backward[f"d{x}"])
                if between.isdisjoint(known.node(read) for read in names(term) if read in known.gradients)
            ]
            for written in FORMS if f"d{WHOLE}" in handed else ():
                axis = axes[0] if len(axes) == 1 else axes
                made = form(written.format(axis), g=handed[f"d{WHOLE}"], n=n, s=inverse(scale))
                yield f"d{x}", reduce(lambda left, right: Call("add", (left, right)), [made, *others])
