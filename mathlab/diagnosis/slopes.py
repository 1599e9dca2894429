"""Local derivatives taken wrongly: at the wrong argument, of another activation, without a square, twice."""

from __future__ import annotations

from collections.abc import Iterator

from mathlab.diagnosis.rewrite import Change, Factor, Names, factors, multiplied
from mathlab.language.check import read
from mathlab.language.ops import ACTIVATIONS, OPS
from mathlab.language.syntax import COMPARE, Call, Expr, Name, Num, unparse
from mathlab.language.syntax import replace as rewritten

ENTRYWISE = ACTIVATIONS.keys() - {"softmax", "log_softmax"}
MASKS = frozenset(COMPARE.values())
OTHER = 0.1  # how much less likely the derivative of another activation is
COMMON = ("sigmoid", "tanh", "relu")  # whose derivatives are written for one another


def wrong_slopes(part: Expr, known: Names) -> Iterator[Change]:
    """The derivative of an activation, as a factor beside a gradient, in every way in which it is got wrong."""
    if not (isinstance(part, Call) and part.op in ("mul", "div") and known.carries(part)):
        return
    chain = factors(part)
    for name, expr in known.forward.items():
        if isinstance(expr, Call) and expr.op in ENTRYWISE and isinstance(expr.args[0], Name):
            y, u = Name(name), expr.args[0]
            true = slope(expr.op, expr, u, y, known)
            rest = _without(chain, factors(true)) if true is not None else None
            if true is not None and rest and known.node(known.target) == u.id:
                for clause, wrong, rank in _alternatives(expr, u, y, true, known):
                    yield clause, multiplied([*rest, Factor(wrong)]), rank


def slope(op: str, call: Call, x: Expr, y: Expr, known: Names) -> Expr | None:
    """The derivative of an activation at x, where it is y, as the table of ops has it."""
    text = OPS[op].rule(0, known.types.site(call))
    if text is None:
        return None
    tree = read(text)
    values: dict[str, Expr] = {"x": x, "y": y, "alpha": call.args[1] if len(call.args) > 1 else Num(1)}

    def filled(part: Expr) -> Expr | None:
        return values.get(part.id) if isinstance(part, Name) else None

    chain = [factor for factor in factors(tree) if factor.expr != Name("g")]
    return rewritten(multiplied(chain), filled)


def _without(chain: list[Factor], gone: list[Factor]) -> list[Factor] | None:
    """The factors without some; None where those are not all among them."""
    rest = [*chain]
    for factor in gone:
        if factor not in rest:
            return None
        rest.remove(factor)
    return rest


def _alternatives(call: Call, u: Name, y: Name, true: Expr, known: Names) -> Iterator[tuple[str, Expr, float]]:
    op, want = call.op, f"it wants {unparse(true)}"
    once_more = Call(op, (y, *call.args[1:]))
    at_u = slope(op, call, u, u, known)
    if at_u is not None:
        yield f"the derivative of {op} is taken at {u.id}, what goes into it, as {unparse(at_u)}; {want}", at_u, 0
    twice = slope(op, call, y, once_more, known)
    if twice is not None:
        yield (
            f"{op} is applied once more before its derivative: it is taken at {y.id} instead of {u.id}; {want}",
            twice,
            0,
        )
        at_y = slope(op, call, once_more, once_more, known)
        if at_y is not None and at_y != twice:
            yield f"{op} is applied once more before its derivative, as {unparse(at_y)}; {want}", at_y, 0
    yield f"the derivative {unparse(true)} of {op} stands twice", Call("mul", (true, true)), 0
    for other in COMMON:
        if other != op:
            for x, value in ((u, y), (u, u), (u, Call(other, (u,))), (y, y), (y, Call(other, (y,)))):
                wrong = slope(other, Call(other, (u,)), x, value, known)
                if wrong is not None:
                    yield (
                        f"the derivative of {other}, {unparse(wrong)}, stands in place of that of {op}; {want}",
                        wrong,
                        OTHER,
                    )
    for wrong in _squares(true):
        yield f"{unparse(wrong)} stands in place of {unparse(true)}, the derivative of {op}", wrong, 0
    for wrong in _negative(true):
        yield f"{unparse(wrong)} stands in place of {unparse(true)}, the derivative of {op}", wrong, 2 * OTHER
    for wrong, what in ((u, "what goes into it"), (y, "its value")):
        yield f"{unparse(wrong)}, {what}, stands in place of the derivative of {op}; {want}", wrong, 0
    yield f"the derivative {unparse(true)} of {op} divides instead of multiplying", Call("div", (Num(1), true)), 0


def _squares(true: Expr) -> Iterator[Expr]:
    """The slope with its square forgotten, or around all of it, or with a minus that became a plus."""
    match true:
        case Call("sub", (Num(1), Call("pow", (inner, Num(2))))):
            yield Call("sub", (Num(1), inner))
            yield Call("pow", (Call("sub", (Num(1), inner)), Num(2)))
            yield Call("sub", (Num(1), Call("mul", (Num(2), inner))))
            yield Call("pow", (inner, Num(2)))
            yield Call("add", (Num(1), Call("pow", (inner, Num(2)))))
        case Call("mul", (value, Call("sub", (Num(1), same)))) if value == same:
            yield Call("mul", (value, Call("add", (Num(1), value))))
            yield Call("sub", (Num(1), Call("pow", (value, Num(2)))))
            yield Call("pow", (Call("sub", (Num(1), value)), Num(2)))
            yield Call("pow", (value, Num(2)))


def products_throughout(part: Expr, known: Names) -> Iterator[Change]:
    """Matrix products for all entry-wise ones of a slope: dA @ (1 - A.T @ A) for dA * (1 - A**2)."""
    match part:
        case Call("mul", (g, Call("sub", (Num(1), Call("pow", (y, Num(2))))))) if known.carries(g):
            turned = Call("T", (y,))
            for a, b in ((turned, y), (y, turned), (y, y)):
                wrong = Call("sub", (Num(1), Call("matmul", (a, b))))
                for new in (Call("matmul", (g, wrong)), Call("matmul", (wrong, g)), Call("mul", (g, wrong))):
                    yield f"matrix products stand in place of entry-wise ones: {unparse(new)} for {unparse(part)}", new
        case Call("mul", (Call("mul", (g, y)), Call("sub", (Num(1), same)) as rest)) if y == same and known.carries(g):
            for a in (y, Call("T", (y,))):
                for b in (rest, Call("T", (rest,))):
                    for new in (
                        Call("matmul", (Call("matmul", (g, a)), b)),
                        Call("matmul", (g, Call("matmul", (a, b)))),
                        Call("mul", (g, Call("matmul", (a, b)))),
                    ):
                        text = f"matrix products stand in place of entry-wise ones: {unparse(new)} for {unparse(part)}"
                        yield text, new


def _negative(true: Expr) -> Iterator[Expr]:
    """The slope with its difference the wrong way round."""
    match true:
        case Call("sub", (Num(1), square)):
            yield Call("sub", (square, Num(1)))
        case Call("mul", (value, Call("sub", (Num(1), same)))) if value == same:
            yield Call("mul", (value, Call("sub", (value, Num(1)))))


def complements(part: Expr, known: Names) -> Iterator[Change]:
    """A gate for what it leaves, or the other way round: z for 1 - z."""
    match part:
        case Call("sub", (Num(1), Name(name))):
            yield f"{name} stands in place of 1 - {name}", Name(name)
        case Name(name) if isinstance(gate := known.forward.get(name), Call) and gate.op in ("sigmoid", "softmax"):
            yield f"1 - {name} stands in place of {name}", Call("sub", (Num(1), part))


def masks_of_gradients(part: Expr, known: Names) -> Iterator[Change]:
    """A mask taken from the gradient instead of the activation: relu(dA) for dA * (z > 0)."""
    if not (isinstance(part, Call) and part.op == "mul" and known.carries(part)):
        return
    chain = factors(part)
    upstream = [factor.expr for factor in chain if known.carries(factor.expr)]
    for n, factor in enumerate(chain):
        match factor.expr:
            case Call(op, (_, limit)) if op in MASKS and len(upstream) == 1:
                wrong = Call(op, (upstream[0], limit))
                text = f"the mask is taken from the gradient, ({unparse(wrong)}), instead of ({unparse(factor.expr)})"
                yield text, multiplied([*chain[:n], Factor(wrong), *chain[n + 1 :]])


def diagonal_alone(part: Expr, known: Names) -> Iterator[Change]:
    """The Jacobian of softmax with its diagonal alone."""
    match part:
        case Call("mul", (y, Call("sub", (g, Call("sum", (Call("mul", (left, right)),)))))) if {left, right} == {g, y}:
            slope = Call("mul", (y, Call("sub", (Num(1), y))))
            yield "only the diagonal of the Jacobian of softmax is taken", Call("mul", (g, slope))
            yield (
                f"the sum over the classes in the derivative of softmax is left out: {unparse(part)}",
                Call("mul", (y, g)),
            )
            yield "the derivative of softmax is left out", g
            yield "the derivative of softmax stands once too often", Call("mul", (part, slope))
        case Call("sub", (Call("softmax") as p, rest)):
            slope = Call("mul", (p, Call("sub", (Num(1), p))))
            text = f"the derivative of softmax stands once too often: {unparse(part)} has it already"
            yield text, Call("mul", (part, slope))
            yield f"{unparse(rest)} is not subtracted", p
