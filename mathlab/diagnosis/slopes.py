"""Local derivatives taken wrongly: at the wrong argument, of another activation, without a square, twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mathlab.diagnosis.rewrite import Change, Factor, Names, factors, filled, multiplied, product, text
from mathlab.language.check import read
from mathlab.language.ops import ACTIVATIONS, OPS
from mathlab.language.syntax import Call, Expr, Name, parse

ENTRYWISE = ACTIVATIONS.keys() - {"softmax", "log_softmax"}
OTHER = 0.1  # how much less likely the derivative of another activation is
# the slopes that are written for one another, in what goes in, x, and what comes out, y
OFTEN = {"sigmoid": parse("y * (1 - y)"), "tanh": parse("1 - y**2"), "relu": parse("x > 0")}
# how they are got wrong, in the slope s as well
SLOPES = (
    "1 - y",
    "(1 - y)**2",
    "y**2",
    "1 - 2 * y",
    "1 - y**2",
    "1 + y**2",
    "y * (1 + y)",
    "y * (1 - y**2)",
    "y**2 - 1",
    "y * (y - 1)",
)
WRONG_SLOPES: Sequence[tuple[str, str, float]] = (
    ("s * s", "the derivative {s} of {op} stands twice", 0),
    ("x", "{x}, what goes into it, stands in place of the derivative of {op}; it wants {s}", 0),
    ("y", "{y}, its value, stands in place of the derivative of {op}; it wants {s}", 0),
    ("1 / s", "the derivative {s} of {op} divides instead of multiplying", 0),
)


def wrong_slopes(part: Expr, known: Names) -> Iterator[Change]:
    """The derivative of an activation, as a factor beside a gradient, in every way in which it is got wrong."""
    if not (isinstance(part, Call) and part.op in ("mul", "div") and known.carries(part)):
        return
    chain = factors(part)
    node = known.node(known.target)
    for name in known.readers(node):
        expr = known.forward[name]
        if isinstance(expr, Call) and expr.op in ENTRYWISE and expr.args[0] == Name(node):
            true = _slope(expr, expr.args[0], Name(name), known)
            rest = _without(chain, factors(true)) if true else None
            if true and rest:
                for clause, wrong, rank in _alternatives(expr, Name(name), true, known):
                    yield clause, product(multiplied(rest), wrong), rank


def _slope(call: Call, x: Expr, y: Expr, known: Names) -> Expr | None:
    """The derivative of an activation at x, where it is y, as the table of ops has it."""
    rule = OPS[call.op].rule(0, known.types.site(call))
    if rule is None:
        return None
    chain = [factor for factor in factors(read(rule)) if factor.expr != Name("g")]
    return filled(multiplied(chain), {"x": x, "y": y, "alpha": call.args[-1]})


def _without(chain: list[Factor], gone: list[Factor]) -> list[Factor] | None:
    """The factors without some; None where those are not all among them."""
    rest = [*chain]
    for factor in gone:
        if factor not in rest:
            return None
        rest.remove(factor)
    return rest


def _alternatives(call: Call, y: Expr, true: Expr, known: Names) -> Iterator[tuple[str, Expr, float]]:
    op, x, want = call.op, call.args[0], f"it wants {text(true)}"
    again = Call(op, (y, *call.args[1:]))
    places = (
        (x, x, f"the derivative of {op} is taken at {text(x)}, what goes into it, as {{}}"),
        (y, again, f"{op} is applied once more before its derivative: it is taken at {text(y)} instead of {text(x)}"),
        (again, again, f"{op} is applied once more before its derivative, as {{}}"),
    )
    for a, b, words in places:
        if wrong := _slope(call, a, b, known):
            yield f"{words.format(text(wrong))}; {want}", wrong, 0
    yield f"{text(again)} stands in place of the derivative of {op}; {want}", again, 0
    found = {"x": x, "y": y, "s": true}
    for form, words, rank in WRONG_SLOPES:
        if wrong := filled(parse(form), found):
            yield words.format(op=op, **{name: text(value) for name, value in found.items()}), wrong, rank
    for other in OFTEN.keys() - {op}:
        for a, b in ((x, y), (x, x), (x, Call(other, (x,))), (y, y), (y, Call(other, (y,)))):
            if wrong := filled(OFTEN[other], {"x": a, "y": b}):
                words = f"the derivative of {other}, {text(wrong)}, stands in place of that of {op}; {want}"
                yield words, wrong, OTHER
    for form in SLOPES if op in ("sigmoid", "tanh") else ():
        wrong = filled(parse(form), found)
        if wrong and wrong != true:
            minus = 2 * OTHER if form in SLOPES[-2:] else 0
            yield f"{text(wrong)} stands in place of {text(true)}, the derivative of {op}", wrong, minus
