"""Expressions built the way an article writes them: no factor 1, one sign, one number in front.

Every rewriting here keeps the value and the shape exactly; a test draws random expressions and holds it to that.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace as with_fields
from fractions import Fraction
from functools import reduce
from math import gcd
from typing import NamedTuple

from mathlab.errors import ExpressionError
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.shapes import Shape, Type, axes_of
from mathlab.language.syntax import ALL, Call, Expr, Name, NewAxis, Num, Static, replace, walk
from mathlab.language.terms import factors, full, is_number, product, without

LONGEST = 10**16  # integers from here on are written as floats


class Factor(NamedTuple):
    """The number in front of a term: `top / bottom`. `top` is a decimal as it was written, `bottom` a count.

    They are kept apart so that a mean over 3 reads `2 * E / 3`, and a penalty of 0.01 reads `0.02 * W`.
    """

    top: Fraction = Fraction(1)
    bottom: int = 1

    def __mul__(self, other: Factor) -> Factor:  # type: ignore[override]  # a product, and no repetition
        top, bottom = self.top * other.top, self.bottom * other.bottom
        shared = gcd(top.numerator, bottom) if top.denominator == 1 else 1
        return Factor(top / shared, bottom // shared)

    def __neg__(self) -> Factor:
        return Factor(-self.top, self.bottom)


ONE = Factor()


def as_number(value: Fraction) -> Num:
    """A number with a finite decimal expansion, as an integer where it is one and not too long to be read.

    Raises ExpressionError where it is too large for float64.
    """
    if value.denominator == 1 and abs(value) < LONGEST:
        return Num(value.numerator)
    try:
        return Num(float(value))
    except OverflowError:
        raise ExpressionError("the product of its constants is too large for float64") from None


def is_ones(expr: Expr) -> bool:
    """Whether every entry of the expression is known to be 1."""
    match expr:
        case Num(1) | Call("ones" | "ones_like"):  # a 1.0 too
            return True
    return False


def split(expr: Expr) -> tuple[Factor, Expr]:
    """The number in front of an expression, and the rest."""
    match expr:
        case Num(value):
            return Factor(Fraction(repr(value))), Num(1)  # exactly as its shortest decimal says it
        case Call("neg", (inner,)):
            factor, core = split(inner)
            return -factor, core
        case Call("mul", (left, right)):
            factor, core = split(left)
            if core != Num(1) and not isinstance(right, Num):
                return factor, Call("mul", (core, right))
            other, rest = split(right)
            return factor * other, rest if core == Num(1) else core
        case Call("div", (left, Num(value))) if value > 0 and value == int(value):
            factor, core = split(left)
            return factor * Factor(bottom=int(value)), core
        case Call("div", (left, right)):
            factor, core = split(left)
            return factor, Call("div", (core, right))
    return ONE, expr


def join(factor: Factor, core: Expr) -> Expr:
    """The inverse of `split`: the number goes to the front of a product, the count to its end."""
    match core:
        case Call("div", (above, Call("mul", (Num(int() as count), below)))) if count > 1 and factor.top % count == 0:
            return join(Factor(factor.top / count, factor.bottom), Call("div", (above, below)))
    term = _led(factor.top, core)
    return term if factor.bottom == 1 else Call("div", (term, as_number(Fraction(factor.bottom))))


def _led(top: Fraction, core: Expr) -> Expr:
    if top == 1:
        return core
    match core:
        case Num(1):
            return as_number(top)
        case Call("mul" | "div", (left, right)):
            return Call(core.op, (_led(top, left), right))
    return Call("neg", (core,)) if top == -1 else Call("mul", (as_number(top), core))


class Builder:
    """Makes simplified expressions; it needs the types because a factor of ones may carry a shape."""

    def __init__(self, types: Types) -> None:
        self.types = types

    def shape(self, expr: Expr) -> Shape:
        return self.types.of(expr).shape

    def instantiate(self, rule: Expr, values: Mapping[str, Expr]) -> Expr:
        """The rule with its names replaced, simplified from the leaves up."""
        if isinstance(rule, Call):  # what comes from the forward equations stays as the article wrote it
            return self.call(rule.op, tuple(self.instantiate(arg, values) for arg in rule.args), rule.attrs)
        return values[rule.id] if isinstance(rule, Name) else rule

    def call(self, op: str, args: tuple[Expr, ...], attrs: tuple[tuple[str, Static], ...] = ()) -> Expr:
        """`op` applied to `args`, simplified."""
        plain = Call(op, args, attrs)
        simplified = self._simplified(plain)
        # a rule may drop a factor of ones; where that would change the shape, the plain form stands
        return simplified if self.shape(simplified) == self.shape(plain) else plain

    def total(self, terms: Sequence[Expr]) -> Expr:
        """The sum of one or more terms, in which those that differ by a number alone are taken together."""
        alike: dict[Expr, Expr] = {}
        for term in terms:
            core = split(term)[1]
            alike[core] = self.call("add", (alike[core], term)) if core in alike else term
        return reduce(lambda before, term: self.call("add", (before, term)), alike.values())

    def _simplified(self, call: Call) -> Expr:
        match call:
            case Call("neg", _):
                return join(*split(call))
            case Call("mul", (left, right)):
                (f1, core1), (f2, core2) = split(left), split(right)
                return join(f1 * f2, self._bare_product(core1, core2, self.shape(call)))
            case Call("div", (left, right)):
                return self._quotient(left, right)
            case Call("add", (left, right)):
                return self._sum(left, right)
            case Call("sub", (left, right)):
                return self._sum(left, self.call("neg", (right,)))
            case Call("pow", (base, Num(1))) | Call("pow", (Call("sqrt", (base,)), Num(2))):
                return base
            case Call("scatter", (g, base, *items)):
                # only the place counts, so a name of the same shape says it as well as a computation
                return Call("scatter", (g, self.namesake(base) or base, *items))
            case Call("T", (Call("T", (inner,)),)) | Call("mT", (Call("mT", (inner,)),)):
                return inner
            case Call("T", (inner,)) if len(self.shape(inner)) < 2:
                return inner
            case Call("T" | "mT" as turn, (Call("matmul", factors),)):
                ranks = {len(self.shape(factor)) for factor in factors}
                if ranks == {2} or (turn == "mT" and min(ranks) > 1):
                    return self.call("matmul", tuple(self.call(turn, (factor,)) for factor in factors[::-1]))
            case Call("T", (Call("outer", (left, right)),)):
                return Call("outer", (right, left))
            case Call("outer" | "matmul", (left, right)):
                (f1, core1), (f2, core2) = split(left), split(right)
                bare = isinstance(core1, Num) or isinstance(core2, Num)
                return call if bare else join(f1 * f2, Call(call.op, (core1, core2)))
            case Call("index", (inner, *items)):
                factor, core = split(inner)
                if isinstance(core, Call) and core.op == "sum" and core.attr("keepdims"):
                    axis = core.attr("axis")
                    gone = axis if isinstance(axis, tuple) else (axis,)
                    if items == [Num(0) if at in gone else ALL for at in range(len(items))]:
                        return join(factor, self.call("sum", core.args, (("axis", axis),)))
                if is_ones(core):
                    return join(factor, full("ones", self.shape(call)))
            case Call("reshape", (inner, *_)) if self.shape(inner) == self.shape(call):
                return inner
            case Call("ones_like", (inner,)):
                return self.ones_like(inner)
            case Call("sum", (Call("sum", (inner,)) as sum_,)) if not (sum_.attr("keepdims") or call.attr("keepdims")):
                first = axes_of(self.types.of(inner), sum_.attr("axis"))
                kept = [axis for axis in range(len(self.shape(inner))) if axis not in first]
                axes = (*first, *(kept[at] for at in axes_of(self.types.of(sum_), call.attr("axis"))))
                return self.call("sum", (inner,), (("axis", tuple(sorted(axes))),))
            case Call("sum", (inner,)):
                factor, core = split(inner)
                over_classes = axes_of(self.types.of(inner), call.attr("axis")) == (len(self.shape(inner)) - 1,)
                if isinstance(core, Call) and core.op == "one_hot" and over_classes:
                    return join(factor, full("ones", self.shape(call)))
                if factor != ONE and not isinstance(core, Num):
                    return join(factor, Call("sum", (core,), call.attrs))
        return call

    def ones_like(self, expr: Expr) -> Expr:
        """Ones of the shape of `expr`, by way of a name of that shape where it mentions one."""
        name = self.namesake(expr)
        return Call("ones_like", (name,)) if name and self.shape(expr) else full("ones", self.shape(expr))

    def namesake(self, expr: Expr) -> Name | None:
        """A name that `expr` mentions and that has its shape."""
        wanted = Type(self.shape(expr))
        return next((part for part in walk(expr) if isinstance(part, Name) and self.types.of(part) == wanted), None)

    def _bare_product(self, left: Expr, right: Expr, shape: Shape) -> Expr:
        """`left * right` without factors of ones, and new axes in front, that the shape does not need."""
        left, right = self._unlifted(left, right), self._unlifted(right, left)
        for keep, drop in ((right, left), (left, right)):
            if is_ones(drop) and self.shape(keep) == shape:
                return keep
            match drop:
                # (g[:, None] * ones_like(x)) * E: the ones gave way to the axis that E brings
                case Call("mul", (inner, ones)) if is_ones(ones):
                    pair = (inner, keep) if drop is left else (keep, inner)
                    shorter = self._bare_product(*pair, self.shape(Call("mul", pair)))
                    if self.shape(shorter) == shape:
                        return shorter
        if isinstance(left, Call) and left.op == "div" and is_ones(left.args[0]) and not is_ones(right):
            return self._quotient(right, left.args[1])
        return Call("mul", (left, right))

    def _unlifted(self, expr: Expr, other: Expr) -> Expr:
        """`expr` without the axes that broadcasting puts in front of it, as `other` has them."""
        match expr:
            case Call("index", (base, *items)) if len(self.shape(other)) >= len(self.shape(expr)):
                new = items.count(NewAxis())
                return base if items == [NewAxis()] * new + [ALL] * (len(items) - new) else expr
        return expr

    def _spread(self, expr: Expr, other: Expr) -> Expr:
        """`expr` without the factor of ones that gives it a shape which `other` has anyway."""
        factor, core = split(expr)
        inner, ones = core.args if isinstance(core, Call) and core.op == "mul" else (Num(1), core)
        if is_ones(ones) and self.shape(expr) == self.shape(other):
            return join(factor, self._unlifted(inner, other))
        return expr

    def _quotient(self, left: Expr, right: Expr) -> Expr:
        factor, core = split(left)
        if isinstance(right, Num) and right.value > 0 and right.value == int(right.value):
            return join(factor * Factor(bottom=int(right.value)), core)
        if shared := _shared(core, right):
            part, *rest = shared
            return self.call("mul", (join(factor, self._quotient(*rest)), self.ones_like(part)))
        core = Num(1) if is_ones(core) and self.shape(right) == self.shape(Call("div", (left, right))) else core
        return join(factor, Call("div", (core, right)))

    def _sum(self, left: Expr, right: Expr) -> Expr:
        left, right = self._spread(left, right), self._spread(right, left)
        (f1, core1), (f2, core2) = split(left), split(right)
        if f1.top == 0:
            return right
        if f2.top == 0:
            return left
        if core1 == core2 and f1.bottom == f2.bottom == 1 and (f1.top + f2.top or isinstance(core1, Num)):
            return self.call("mul", (as_number(f1.top + f2.top), core1))
        if f1.bottom == f2.bottom > 1:
            factor, core = split(self._sum(join(Factor(f1.top), core1), join(Factor(f2.top), core2)))
            return join(factor * Factor(bottom=f1.bottom), core)
        if f2.top < 0:
            return Call("sub", (left, join(-f2, core2)))
        if f1.top < 0:
            return Call("sub", (right, join(-f1, core1)))
        return Call("add", (left, right))

    def fit(self, expr: Expr, like: Expr) -> Expr:
        """`expr` with broadcasting undone: summed over the axes that `like` lacks or has with length 1.

        Where `expr` has fewer axes than `like`, it is spread with ones of its shape.
        """
        own, shape = self.shape(expr), self.shape(like)
        if extra := tuple(range(len(own) - len(shape))):
            expr = self.call("sum", (expr,), () if len(extra) == len(own) else (("axis", _axis(extra)),))
            own = self.shape(expr)
        offset = len(shape) - len(own)
        if narrow := tuple(i for i, n in enumerate(own) if n != 1 and shape[i + offset] == 1):
            expr = self.call("sum", (expr,), (("axis", _axis(narrow)), ("keepdims", True)))
        if self.shape(expr) != shape:
            expr = self.call("mul", (expr, self.ones_like(like)))
        return expr


def _shared(above: Expr, below: Expr) -> tuple[Expr, Expr, Expr] | None:
    """A factor of both, and both without it. Where it is 0 the equation has no value; a root has one, and so stays."""
    over, under = factors(above), factors(below)
    match below:
        # the norm of what stands above, which is 0 where the norm is
        case Call("where", (Call("gt", (size, Num(0))), same, Call("eq", (Name() | Call() as of, Num(0))))):
            if size == same and all(part in over for part in factors(split(of)[1])):
                under = [size]
    for at, part in enumerate(over):
        for power, left in ((part, []), (Call("pow", (part, Num(2))), [part])):
            if power in under and not is_number(part) and not (isinstance(part, Call) and part.op == "sqrt"):
                gone = under.index(power)
                return part, without(over, {at}), product(*under[:gone], *left, *under[gone + 1 :])
    return None


def _axis(axes: tuple[int, ...]) -> Static:
    return axes[0] if len(axes) == 1 else axes


def stabilised(equations: Sequence[Equation], keep: Collection[str] = ()) -> tuple[Equation, ...]:
    """The equations with their logarithms of softmax and sigmoid in a form that cannot be that of 0.

    `log(softmax(z))` and `log(softmax(z)[i])` are made of log_softmax. The softmax may stand in an equation of its own;
    one whose name is in `keep` is left to be read by name, because its own gradient was asked for. A sigmoid must stand
    in the logarithm: what has a name is a step of the article's own, whose overflow is told.
    """
    softmaxes: dict[str, Call] = {}

    def stable(part: Expr) -> Expr | None:
        match part:
            case Call("log", (Call("sigmoid", (x,)),)):
                return _minus(Call("softplus", (_minus(replace(x, stable)),)))
            case Call("log", (Call("sub", (Num(1), Call("sigmoid", (x,)))),)):
                return _minus(Call("softplus", (replace(x, stable),)))
            case Call("log", (Call("index", (base, *items)),)):
                logs = log_softmax(base)
                return logs and Call("index", (logs, *items), part.attrs, part.position)
            case Call("log", (base,)):
                return log_softmax(base)
        return None

    def log_softmax(expr: Expr) -> Expr | None:
        softmax = softmaxes.get(expr.id) if isinstance(expr, Name) else expr
        if not isinstance(softmax, Call) or softmax.op != "softmax":
            return None
        return Call("log_softmax", tuple(replace(arg, stable) for arg in softmax.args), softmax.attrs, softmax.position)

    out = []
    for equation in equations:
        out.append(with_fields(equation, expr=replace(equation.expr, stable)))
        if isinstance(equation.expr, Call) and equation.expr.op == "softmax" and equation.name not in keep:
            softmaxes[equation.name] = equation.expr
    return tuple(out)


def _minus(expr: Expr) -> Expr:
    return expr.args[0] if isinstance(expr, Call) and expr.op == "neg" else Call("neg", (expr,))
