"""Arithmetic, products of matrices, and comparisons."""

from __future__ import annotations

from collections.abc import Mapping

from mathlab.language import einsum, shapes
from mathlab.language.ops.record import AB, ANY, PAIR, SUBSCRIPTS, X3, X23, Op, Site, lead
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


def _einsum(site: Site, position: int) -> str:
    """The same sum of products with the upstream gradient in the operand's place, spread over what it summed alone."""
    operands, result = einsum.subscripts(site.call)
    own = operands.pop(position)
    alone = "".join(letter for letter in own if letter not in result.join(operands) + result)
    letters = [result, *operands, *([alone] if alone else [])]
    factors = ["g", *(f"x{k}" for k in range(len(site.args)) if k != position)]
    sizes = [str(size) for letter, size in zip(own, site.args[position].shape, strict=True) if letter in alone]
    factors += [f"ones({', '.join(sizes)})"] if alone else []
    return f"einsum('{','.join(letters)}->{own}', {', '.join(factors)})"


def _comparison(symbol: str, latex: str) -> Op:
    form = f"{{a:1}} {latex} {{b:1}}"
    return Op(f"a {symbol} b", (None, None), AB, takes=(ANY, ANY), kind="b", latex=form, binds=0)


ARITHMETIC: Mapping[str, Op] = {
    "add": Op(
        "a + b", ("g", "g"), AB, latex="{a:1} + {b:2}", binds=1, samples={"a + b": PAIR, "b + a": PAIR, "a + 1": PAIR}
    ),
    "sub": Op("a - b", ("g", "-g"), AB, latex="{a:1} - {b:2}", binds=1, samples={"a - b": PAIR, "b - a": PAIR}),
    "mul": Op(
        "a * b",
        ("g * b", "g * a"),
        AB,
        takes=("fb", "fb"),
        latex=lambda site: r"{a:2} \odot {b:4}" if all(of.shape for of in site.args) else r"{a:2} \cdot {b:3}",
        binds=2,
        samples={"a * b": PAIR, "b * a": {"a": (2, 1), "b": (3,)}},
    ),
    "div": Op(
        "a / b",
        ("g / b", "-g * a / b**2"),
        AB,
        latex=r"\frac{{{a}}}{{{b}}}",
        samples={"a / p": {"a": (2, 3), "p": (2, 1)}},
    ),
    "pow": Op(
        "a ** b",
        (_power_base, _power_exponent),
        AB,
        latex="{a:5}^{{{b}}}",
        samples={"x**2": X3, "p**b": {"p": (2, 3), "b": (3,)}, "p**-1.5": {"p": (2,)}, "x**3": X23},
    ),
    "floordiv": Op(
        "a // b", (None, None), AB, latex=r"\left\lfloor \frac{{{a}}}{{{b}}} \right\rfloor", binds=6, exact=True
    ),
    "mod": Op("a % b", ("g", "-g * floor(a / b)"), AB, samples={"a % p": {"a": (6, 3), "p": (3,)}}),
    "neg": Op("-x", ("-g",), latex="-{x:2}", binds=1, exact=True, cheap=True, samples={"-x": X3}),
    "matmul": Op(
        "a @ b",
        (_matmul_left, _matmul_right),
        AB,
        shapes.matmul,
        latex=r"{a:3} \, {b:4}",
        binds=3,
        samples={
            "a @ b": {"a": (2, 3), "b": (3,)},
            "b @ a": {"a": (3, 2), "b": (3,)},
            "x @ w": {"x": (4, 2), "w": (2, 3)},
            "u @ v": {"u": (3,), "v": (3,)},
            "s @ w": {"s": (2, 4, 3), "w": (3, 2)},
            "w @ s": {"w": (2, 4), "s": (3, 4, 2)},
            "s @ q": {"s": (2, 4, 3), "q": (2, 3, 2)},
            "s @ b": {"s": (2, 4, 3), "b": (3,)},
            "c @ s": {"c": (4,), "s": (2, 4, 3)},
        },
    ),
    "dot": Op(
        "np.dot(a, b)",
        (_matmul_left, _matmul_right),
        AB,
        shapes.dotted,
        latex=lambda site: r"{a:3} \cdot {b:3}" if site.args[0].ndim == site.args[1].ndim == 1 else r"{a:3} \, {b:4}",
        binds=2,
        samples={"dot(u, v)": {"u": (3,), "v": (3,)}, "dot(a, b)": {"a": (2, 3), "b": (3, 2)}},
    ),
    "einsum": Op(
        "np.einsum(subscripts, *x, optimize=True)",
        (),
        ("*x",),
        einsum.contracted,
        each=_einsum,
        settings={"subscripts": SUBSCRIPTS},
        samples={
            "einsum('bhqd,bhkd->bhqk', q, k)": {"q": (2, 1, 3, 2), "k": (2, 1, 2, 2)},
            "einsum('ijk->ki', x)": {"x": (2, 3, 2)},
            "einsum('i,ij->j', u, x)": {"u": (2,), "x": (2, 3)},
        },
    ),
    "outer": Op(
        "np.outer(a, b)",
        ("g @ b", "a @ g"),
        AB,
        shapes.vectors,
        latex=r"{a:3} \, {b:5}^{{\top}}",
        binds=3,
        samples={"outer(u, v)": {"u": (2,), "v": (3,)}},
    ),
    # masks, flat wherever they are not broken, so without a derivative
    "gt": _comparison(">", ">"),
    "ge": _comparison(">=", r"\geq"),
    "lt": _comparison("<", "<"),
    "le": _comparison("<=", r"\leq"),
    "eq": _comparison("==", "="),
    "ne": _comparison("!=", r"\neq"),
}
