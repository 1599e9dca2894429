"""Arithmetic, products of matrices, and comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mathlab.language import shapes
from mathlab.language.ops.record import AB, ANY, SUBSCRIPTS, Op, Site, lead
from mathlab.language.syntax import Num


def _power_base(site: Site) -> str:
    """b * a**(b - 1), which for b = 0 would be 0 times infinity at a = 0, where a**0 is as flat as elsewhere."""
    if site.is_number(1):
        return "zeros_like(a)" if site.call.args[1] == Num(0) else "g * b * a**(b - 1)"
    return "g * b * a**where(b == 0, 0, b - 1)"


def _power_exponent(site: Site) -> str:
    """y * log(a), but for a = 0: there a**b is flat for b > 0, and jumps at b = 0. Beside a < 0 it is not real."""
    base = site.call.args[0]
    if isinstance(base, Num) and base.value > 0:
        return "g * y * log(a)"
    return "g * y * log(where((a == 0) * (b > 0), 1, a))"


def _matmul_left(site: Site) -> str:
    a, b = site.args
    if b.ndim == 1:
        return "g * b" if a.ndim == 1 else "outer(g, b)" if a.ndim == 2 else f"g[{lead(a)}None] * b"
    if a.ndim == 1:
        return "b @ g" if b.ndim == 2 else f"(b @ g[{lead(b)}None])[{lead(b)}0]"
    return "g @ b.T" if b.ndim == 2 else "g @ b.mT"


def _matmul_right(site: Site) -> str:
    a, b = site.args
    if b.ndim == 1:
        return "g * a" if a.ndim == 1 else "a.T @ g" if a.ndim == 2 else f"g[{lead(a)}None] * a"
    if a.ndim == 1:
        return "outer(a, g)" if b.ndim == 2 else f"a[:, None] * g[{lead(b, 2)}None, :]"
    return "a.T @ g" if a.ndim == 2 else "a.mT @ g"


def _inner(made: shapes.Shape, read: Sequence[shapes.Shape]) -> int:
    return math.prod(made) * read[0][-1]


def _einsum(site: Site, position: int) -> str:
    """The same sum of products with the upstream gradient in the operand's place, spread over what it summed alone."""
    operands, result = shapes.subscripts(site.call)
    own = operands.pop(position)
    alone = "".join(letter for letter in own if letter not in result.join(operands) + result)
    letters = [result, *operands, *([alone] if alone else [])]
    factors = ["g", *(f"x{k}" for k in range(len(site.args)) if k != position)]
    sizes = [str(size) for letter, size in zip(own, site.args[position].shape, strict=True) if letter in alone]
    factors += [f"ones({', '.join(sizes)})"] if alone else []
    return f"einsum('{','.join(letters)}->{own}', {', '.join(factors)})"


ARITHMETIC: Mapping[str, Op] = {
    "add": Op("a + b", ("g", "g"), AB, samples=("a23 + b3", "b3 + a23", "a23 + 1"), latex="{a:1} + {b:2}", binds=1),
    "sub": Op("a - b", ("g", "-g"), AB, samples=("a23 - b3", "b3 - a23"), latex="{a:1} - {b:2}", binds=1),
    "mul": Op(
        "a * b",
        ("g * b", "g * a"),
        AB,
        takes=("fb", "fb"),
        samples=("a23 * b3", "b3 * a21"),
        latex=lambda site: r"{a:2} \odot {b:4}" if all(of.shape for of in site.args) else r"{a:2} \cdot {b:3}",
        binds=2,
    ),
    "div": Op("a / b", ("g / b", "-g * a / b**2"), AB, samples=("a23 / p21",), latex=r"\frac{{{a}}}{{{b}}}"),
    "pow": Op(
        "a ** b",
        (_power_base, _power_exponent),
        AB,
        samples=("x3**2", "p23**b3", "p2**-1.5", "x23**3"),
        latex="{a:5}^{{{b}}}",
    ),
    "floordiv": Op(
        "a // b", (None, None), AB, latex=r"\left\lfloor \frac{{{a}}}{{{b}}} \right\rfloor", binds=6, exact=True
    ),
    "mod": Op("a % b", ("g", "-g * floor(a / b)"), AB, samples=("a63 % p3",)),
    "neg": Op("-x", ("-g",), samples=("-x3",), latex="-{x:2}", binds=1, exact=True, cheap=True),
    "matmul": Op(
        "a @ b",
        (_matmul_left, _matmul_right),
        AB,
        shapes.matmul,
        products=_inner,
        samples=(
            *("a23 @ b3", "b3 @ a32", "x42 @ w23", "u3 @ v3", "s243 @ w32"),
            *("w24 @ s342", "s243 @ q232", "s243 @ b3", "c4 @ s243"),
        ),
        latex=r"{a:3} \, {b:4}",
        binds=3,
    ),
    "dot": Op(
        "np.dot(a, b)",
        (_matmul_left, _matmul_right),
        AB,
        shapes.matmul,
        products=_inner,
        samples=("dot(u3, v3)", "dot(a23, b32)"),
        latex=lambda site: r"{a:3} \cdot {b:3}" if site.args[0].ndim == site.args[1].ndim == 1 else r"{a:3} \, {b:4}",
        binds=2,
    ),
    "einsum": Op(
        "np.einsum(subscripts, *x, optimize=True)",
        (),
        ("*x",),
        shapes.contracted,
        # right for a product of matrices, and too many for a stack of them
        products=lambda made, read: math.isqrt(math.prod(map(math.prod, (made, *read)))),
        each=_einsum,
        settings={"subscripts": SUBSCRIPTS},
        samples=("einsum('bhqd,bhkd->bhqk', q2132, k2122)", "einsum('ijk->ki', x232)", "einsum('i,ij->j', u2, x23)"),
    ),
    "outer": Op(
        "np.outer(a, b)",
        ("g @ b", "a @ g"),
        AB,
        shapes.vectors,
        samples=("outer(u2, v3)",),
        latex=r"{a:3} \, {b:5}^{{\top}}",
        binds=3,
    ),
    # masks, flat wherever they are not broken, so without a derivative
    **{
        name: Op(f"a {sign} b", (None, None), AB, takes=(ANY, ANY), kind="b", latex=f"{{a:1}} {tex} {{b:1}}", binds=0)
        for name, sign, tex in (
            *(("gt", ">", ">"), ("ge", ">=", r"\geq"), ("lt", "<", "<")),
            *(("le", "<=", r"\leq"), ("eq", "==", "="), ("ne", "!=", r"\neq")),
        )
    },
}
