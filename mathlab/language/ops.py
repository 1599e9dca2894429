"""The table of ops: the one place where an op exists.

Adding an op is adding one record: what it computes (as NumPy), its derivative (in the equation language), its LaTeX,
and sample calls that the tests run it over.

In a derivative `g` is the upstream gradient, `y` the op's own result, and the other names are the op's arguments; a
result that broadcasting has made larger than the argument is summed back by the engine. None says that there is no
derivative; a function builds the text where it depends on the shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from mathlab.language import shapes
from mathlab.language.shapes import Kind, Shape, Type
from mathlab.language.syntax import Call, NewAxis, Num, Slice, Static


@dataclass(frozen=True)
class Site:
    """One use of an op: the types of its arguments and of its result, and its settings."""

    args: tuple[Type, ...]
    out: Type
    call: Call


Rule = str | Callable[[Site], str] | None
ShapeRule = Callable[[Sequence[Type], Call], Shape]
ANY = "fib"


@dataclass(frozen=True)
class Op:
    """One op.

    `numpy` is the NumPy expression, over the names of the arguments and settings and over the functions of `kernels`.
    `vjp` holds the derivative with respect to each argument (`each` makes them where there may be any number).
    `args` names the arguments; a last name such as "*shape" stands for any number of them. `takes` gives, for each, the
    kinds it accepts as they are (f floats, i integers, b masks); a mask or integer elsewhere is made a float first.
    `kind` is the result's kind, "same" meaning the first argument's. `settings` are constants with their defaults.
    `latex` is a format over the arguments, in which `{x:2}` stands in brackets unless it binds as tightly as 2; `binds`
    is how tightly the whole does: 0 a comparison, 1 a sum, 2 a product with a sign, 3 one without, 4 a power, a
    fraction or a function, 5 a name with a subscript, 6 what is a symbol or has brackets of its own.
    `samples` maps calls to the shapes of their arguments: a name beginning with p is drawn positive, one beginning with
    t is a class index. `internal` ops are for derivatives alone.
    """

    numpy: str
    vjp: tuple[Rule, ...]
    args: tuple[str, ...] = ("x",)
    shape: ShapeRule = shapes.broadcast
    takes: tuple[str, ...] = ()
    kind: Kind | Literal["same"] = "f"
    defaults: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Static] = field(default_factory=dict)
    latex: str | Callable[[Site], str] = ""
    binds: int = 4
    samples: Mapping[str, Mapping[str, Shape]] = field(default_factory=dict)
    each: Callable[[Site, int], str] | None = None
    internal: bool = False

    @property
    def unpacks(self) -> bool:
        """Whether a list in last place stands for its entries."""
        return self.variadic and self.args[-1] in ("*shape", "*joined")

    @cached_property
    def variadic(self) -> bool:
        return bool(self.args) and self.args[-1].startswith("*")

    def accepts(self, position: int) -> str:
        """The kinds that the argument at `position` takes as they are."""
        return self.takes[min(position, len(self.takes) - 1)] if self.takes else "f"

    def rule(self, position: int) -> Rule:
        """The derivative with respect to the argument at `position`."""
        return self.vjp[min(position, len(self.vjp) - 1)]


# --- texts of derivatives that depend on shapes -----------------------------------------------------------------------


def _expanded(name: str, site: Site) -> str:
    """`name`, which has the shape of a reduction's result, with the reduced axes put back as length 1."""
    x = site.args[0]
    axes = shapes.axes_of(x, site.call.attr("axis"))
    if site.call.attr("keepdims") or len(axes) == x.ndim:
        return name
    return f"{name}[{', '.join('None' if i in axes else ':' for i in range(x.ndim))}]"


def _is_constant(site: Site, position: int) -> bool:
    return isinstance(site.call.args[position], Num)


def _settings(site: Site, **more: Static) -> str:
    """The settings of a call as text, to be handed on to another one: `, axis=1`."""
    settings = {**dict(site.call.attrs), **more}
    return "".join(f", {name}={value}" for name, value in settings.items() if value is not None)


def _sum(site: Site) -> str:
    return f"{_expanded('g', site)} * ones_like(x)"


def _mean(site: Site) -> str:
    count = site.args[0].size // max(site.out.size, 1)
    return f"{_expanded('g', site)} * ones_like(x) / {count}"


def _extreme(site: Site) -> str:
    chosen = f"(x == {_expanded('y', site)})"
    return f"{_expanded('g', site)} * {chosen} / sum({chosen}{_settings(site, keepdims=True)})"


def _logsumexp(site: Site) -> str:
    return f"{_expanded('g', site)} * exp(x - {_expanded('y', site)})"


def _norm(site: Site) -> str:
    y = _expanded("y", site)
    return f"{_expanded('g', site)} * x / where({y} > 0, {y}, 1)"  # 0 at the origin, as PyTorch has it


def _softmax(site: Site) -> str:
    return f"y * (g - sum(g * y{_settings(site, axis=_axis(site), keepdims=True)}))"


def _log_softmax(site: Site) -> str:
    return f"g - softmax(x{_settings(site)}) * sum(g{_settings(site, axis=_axis(site), keepdims=True)})"


def _axis(site: Site) -> Static:
    axis = site.call.attr("axis")
    return -1 if axis is None else axis


def _matmul_left(site: Site) -> str:
    a, b = site.args
    if b.ndim == 1:
        return "g * b" if a.ndim == 1 else "outer(g, b)" if a.ndim == 2 else f"g[{_lead(a)}None] * b"
    if a.ndim == 1:
        return "b @ g" if b.ndim == 2 else f"(b @ g[{_lead(b)}None])[{_lead(b)}0]"
    return "g @ b.T" if b.ndim == 2 else "g @ b.mT"


def _matmul_right(site: Site) -> str:
    a, b = site.args
    if b.ndim == 1:
        return "g * a" if a.ndim == 1 else "a.T @ g" if a.ndim == 2 else f"g[{_lead(a)}None] * a"
    if a.ndim == 1:
        return "outer(a, g)" if b.ndim == 2 else f"a[:, None] * g[{_lead(b, 2)}None, :]"
    return "a.T @ g" if a.ndim == 2 else "a.mT @ g"


def _lead(type_: Type, without: int = 1) -> str:
    """The `:, ` that keep the leading axes of an index as they are."""
    return ":, " * (type_.ndim - without)


def _index(site: Site) -> str:
    count = len(site.args) - 1
    if count == 1 and site.args[0].ndim == 1 and site.out.ndim == 0:
        # the gradient of picking one entry of a vector reads best as a one-hot vector
        return f"g * one_hot(i0, {site.args[0].size})"
    items = site.call.args[1:]
    if all(item in (NewAxis(), Slice(None, None, None)) for item in items):  # new axes are taken away again
        return f"g[{', '.join('0' if item == NewAxis() else ':' for item in items)}]"
    return f"scatter(g, x[{', '.join(f'i{k}' for k in range(count))}])"


def _concat(site: Site, position: int) -> str:
    (axis,) = shapes.axes_of(site.out, site.call.attr("axis") or 0)
    start = sum(type_.shape[axis] for type_ in site.args[:position])
    return f"g[{':, ' * axis}{start}:{start + site.args[position].shape[axis]}]"


def _array(site: Site, position: int) -> str:
    return f"g[{position}]"


def _reshape(site: Site) -> str:
    if not site.args[0].shape:  # a single number has no sizes to write down, and is the one entry
        return f"g[{', '.join('0' * site.out.ndim)}]"
    return f"reshape(g, {', '.join(map(str, site.args[0].shape))})"


def _cross_entropy(site: Site) -> str:
    z, t = site.args
    g = f"g[{_lead(z)}None]" if z.ndim > 1 else "g"
    if t.ndim == z.ndim:
        return f"{g} * (softmax(z) * sum(t, axis=-1, keepdims=True) - t)"
    return f"{g} * (softmax(z) - one_hot(t, {z.shape[-1]}))"


def _cross_entropy_target(site: Site) -> str:
    z = site.args[0]
    g = f"g[{_lead(z)}None]" if z.ndim > 1 else "g"
    return f"-{g} * log_softmax(z)"


# --- the table --------------------------------------------------------------------------------------------------------

AB = ("a", "b")
X3, X23 = {"x": (3,)}, {"x": (2, 3)}
PAIR = {"a": (2, 3), "b": (3,)}
AXIS: Mapping[str, Static] = {"axis": None, "keepdims": False}
REDUCTION: Mapping[str, Mapping[str, Shape]] = {
    "{}(x)": X23,
    "{}(x, axis=0)": X23,
    "{}(x, axis=-1, keepdims=True)": X23,
    "{}(x, axis=(0, 2))": {"x": (2, 3, 2)},
}


def _over(name: str) -> Mapping[str, Mapping[str, Shape]]:
    return {text.format(name): arguments for text, arguments in REDUCTION.items()}


def _comparison(symbol: str, latex: str) -> Op:
    form = f"{{a:1}} {latex} {{b:1}}"
    return Op(f"a {symbol} b", (None, None), AB, takes=(ANY, ANY), kind="b", latex=form, binds=0)


def _times(site: Site) -> str:
    return r"{a:2} \odot {b:4}" if all(type_.shape for type_ in site.args) else r"{a:2} \cdot {b:3}"


def _dot(site: Site) -> str:
    return r"{a:3} \cdot {b:3}" if site.args[0].ndim == site.args[1].ndim == 1 else r"{a:3} \, {b:4}"


def _top(site: Site) -> str:
    return r"{x:5}^{{\top}}" if site.args[0].ndim < 3 else r"\operatorname{{T}}\left({x}\right)"


OPS: Mapping[str, Op] = {
    # arithmetic
    "add": Op(
        "a + b", ("g", "g"), AB, latex="{a:1} + {b:2}", binds=1, samples={"a + b": PAIR, "b + a": PAIR, "a + 1": PAIR}
    ),
    "sub": Op("a - b", ("g", "-g"), AB, latex="{a:1} - {b:2}", binds=1, samples={"a - b": PAIR, "b - a": PAIR}),
    "mul": Op(
        "a * b",
        ("g * b", "g * a"),
        AB,
        takes=("fb", "fb"),
        latex=_times,
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
        # the logarithm is taken only where it exists: 0**b is flat in b for every b > 0
        ("g * b * a**(b - 1)", "g * y * log(where(a > 0, a, 1))"),
        AB,
        latex="{a:5}^{{{b}}}",
        samples={"x**2": X3, "p**b": {"p": (2, 3), "b": (3,)}, "p**-1.5": {"p": (2,)}, "x**3": X23},
    ),
    "neg": Op("-x", ("-g",), latex="-{x:2}", binds=1, samples={"-x": X3}),
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
        latex=_dot,
        binds=2,
        samples={"dot(u, v)": {"u": (3,), "v": (3,)}, "dot(a, b)": {"a": (2, 3), "b": (3, 2)}},
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
    # comparisons: masks, flat wherever they are not broken, so without a derivative
    "gt": _comparison(">", ">"),
    "ge": _comparison(">=", r"\geq"),
    "lt": _comparison("<", "<"),
    "le": _comparison("<=", r"\leq"),
    "eq": _comparison("==", "="),
    "ne": _comparison("!=", r"\neq"),
    # picking and arranging
    "index": Op(
        "",  # lowered by the compiler, as a subscript
        (_index, None),
        ("x", "*i"),
        shapes.indexed,
        takes=(ANY, "i"),
        kind="same",
        latex="{x:6}_{{[{i}]}}",
        binds=5,
        samples={
            "x[1]": X3,
            "x[1, 0]": X23,
            "x[t]": {"x": (3,), "t": ()},
            "x[:, 1]": X23,
            "x[0:2]": X3,
            "x[:, ::2]": X23,
            "x[:, None]": X3,
            "x[[0, 1, 0]]": X3,
            "x[[0, 1], t]": {"x": (2, 3), "t": (2,)},
        },
    ),
    "T": Op("x.T", ("g.T",), shape=shapes.transposed, takes=(ANY,), kind="same", latex=_top, samples={"x.T": X23}),
    "mT": Op(
        "x.mT",
        ("g.mT",),
        shape=shapes.transposed,
        takes=(ANY,),
        kind="same",
        latex=r"{x:5}^{{\top}}",
        samples={"x.mT": {"x": (2, 3, 4)}},
    ),
    "reshape": Op(
        "np.reshape(x, shape)",
        (_reshape, None),
        ("x", "*shape"),
        shapes.reshaped,
        takes=(ANY, "i"),
        kind="same",
        samples={"reshape(x, 3, 2)": X23, "reshape(x, -1)": X23, "reshape(x, 1, 1)": {"x": ()}},
    ),
    "concat": Op(
        "np.concatenate(joined, axis=axis)",
        (),
        ("*joined",),
        shapes.concatenated,
        takes=(ANY,),
        kind="same",
        each=_concat,
        settings={"axis": 0},
        samples={"concat(a, b)": {"a": (2,), "b": (3,)}, "concat(a, b, axis=1)": {"a": (2, 1), "b": (2, 3)}},
    ),
    "array": Op(
        "np.stack(x)",
        (),
        ("*x",),
        shapes.stacked,
        takes=(ANY,),
        kind="same",
        each=_array,
        latex=r"\left[{x}\right]",
        binds=6,
        samples={"[a, b]": {"a": (), "b": ()}},
    ),
    "diag": Op(
        "np.diag(x)",
        ("sum(g * diag(ones_like(x)), axis=1)",),
        shape=shapes.diagonal,
        samples={"diag(x)": X3},
    ),
    # elementwise functions
    "exp": Op("np.exp(x)", ("g * y",), latex="e^{{{x}}}", samples={"exp(x)": X3}),
    "expm1": Op("np.expm1(x)", ("g * (y + 1)",), latex="e^{{{x}}} - 1", binds=1, samples={"expm1(x)": X3}),
    "log": Op("np.log(x)", ("g / x",), latex=r"\log\left({x}\right)", samples={"log(p)": {"p": (3,)}}),
    "log1p": Op(
        "np.log1p(x)", ("g / (1 + x)",), latex=r"\log\left(1 + {x:2}\right)", samples={"log1p(p)": {"p": (3,)}}
    ),
    "sqrt": Op("np.sqrt(x)", ("g / (2 * y)",), latex=r"\sqrt{{{x}}}", binds=6, samples={"sqrt(p)": {"p": (3,)}}),
    "sin": Op("np.sin(x)", ("g * cos(x)",), latex=r"\sin\left({x}\right)", samples={"sin(x)": X3}),
    "cos": Op("np.cos(x)", ("-g * sin(x)",), latex=r"\cos\left({x}\right)", samples={"cos(x)": X3}),
    "abs": Op("np.abs(x)", ("g * sign(x)",), latex=r"\left|{x}\right|", samples={"abs(x)": X3}),
    "sign": Op("np.sign(x)", (None,)),
    "square": Op("np.square(x)", ("g * 2 * x",), latex="{x:5}^{{2}}", samples={"square(x)": X3}),
    "erf": Op("erf(x)", ("g * 1.1283791670955126 * exp(-x**2)",), samples={"erf(x)": X3}),
    "normal_cdf": Op(
        "normal_cdf(x)", ("g * normal_pdf(x)",), latex=r"\Phi\left({x}\right)", samples={"normal_cdf(x)": X3}
    ),
    "normal_pdf": Op("normal_pdf(x)", ("-g * x * y",), latex=r"\varphi\left({x}\right)", samples={"normal_pdf(x)": X3}),
    # piecewise: at a tie the derivative is the one that the articles choose, b's; but max(0, x) is ReLU too, so that a
    # number that is written out takes the tie from either side
    "maximum": Op(
        "np.maximum(a, b)",
        ("g * (a > b)", lambda site: f"g * (a {'<' if _is_constant(site, 0) else '<='} b)"),
        AB,
        latex=r"\max\left({a}, {b}\right)",
        samples={"maximum(a, b)": PAIR, "maximum(0, x)": X23},
    ),
    "minimum": Op(
        "np.minimum(a, b)",
        ("g * (a < b)", lambda site: f"g * (a {'>' if _is_constant(site, 0) else '>='} b)"),
        AB,
        latex=r"\min\left({a}, {b}\right)",
        samples={"minimum(a, b)": PAIR, "minimum(0.5, x)": X23},
    ),
    "clip": Op(
        "np.clip(x, low, high)",
        ("g * (x >= low) * (x <= high)", "g * (x < low)", "g * (x > high)"),
        ("x", "low", "high"),
        samples={"clip(x, -0.5, 0.5)": X23, "clip(x, -p / 4, p / 4)": {"x": (4, 3), "p": (3,)}},
    ),
    "where": Op(
        "np.where(c, a, b)",
        (None, "where(c, g, 0)", "where(c, 0, g)"),
        ("c", "a", "b"),
        takes=(ANY, "f", "f"),
        samples={"where(a > b, a * b, b)": PAIR},
    ),
    # activations
    "relu": Op(
        "np.maximum(x, 0)", ("g * (x > 0)",), latex=r"\operatorname{{ReLU}}\left({x}\right)", samples={"relu(x)": X23}
    ),
    "leaky_relu": Op(
        "np.where(x > 0, x, alpha * x)",
        ("g * where(x > 0, 1, alpha)", "g * minimum(x, 0)"),
        ("x", "alpha"),
        defaults={"alpha": 0.01},
        samples={"leaky_relu(x)": X23, "leaky_relu(x, 0.1)": X23, "leaky_relu(x, a)": {"x": (2, 3), "a": ()}},
    ),
    "elu": Op(
        "np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))",
        ("g * where(x > 0, 1, alpha * exp(minimum(x, 0)))", "g * expm1(minimum(x, 0))"),
        ("x", "alpha"),
        defaults={"alpha": 1.0},
        samples={"elu(x)": X23, "elu(x, 0.5)": X23, "elu(x, a)": {"x": (2, 3), "a": ()}},
    ),
    "sigmoid": Op(
        "1 / (1 + np.exp(-x))", ("g * y * (1 - y)",), latex=r"\sigma\left({x}\right)", samples={"sigmoid(x)": X23}
    ),
    "tanh": Op("np.tanh(x)", ("g * (1 - y**2)",), latex=r"\tanh\left({x}\right)", samples={"tanh(x)": X23}),
    "softplus": Op("np.logaddexp(0, x)", ("g * sigmoid(x)",), samples={"softplus(x)": X23}),
    "silu": Op(
        "x / (1 + np.exp(-x))",
        ("g * (sigmoid(x) + y * (1 - sigmoid(x)))",),
        latex=r"\operatorname{{SiLU}}\left({x}\right)",
        samples={"silu(x)": X23},
    ),
    "gelu": Op(
        "x * normal_cdf(x)",  # the exact form, not the tanh approximation
        ("g * (normal_cdf(x) + x * normal_pdf(x))",),
        latex=r"\operatorname{{GELU}}\left({x}\right)",
        samples={"gelu(x)": X23},
    ),
    # reductions
    "sum": Op(
        "np.sum(x, axis=axis, keepdims=keepdims)", (_sum,), shape=shapes.reduced, settings=AXIS, samples=_over("sum")
    ),
    "mean": Op(
        "np.mean(x, axis=axis, keepdims=keepdims)", (_mean,), shape=shapes.reduced, settings=AXIS, samples=_over("mean")
    ),
    "max": Op(
        "np.max(x, axis=axis, keepdims=keepdims)",
        (_extreme,),
        shape=shapes.reduced,
        settings=AXIS,
        samples=_over("max"),
    ),
    "min": Op(
        "np.min(x, axis=axis, keepdims=keepdims)",
        (_extreme,),
        shape=shapes.reduced,
        settings=AXIS,
        samples=_over("min"),
    ),
    "logsumexp": Op(
        "logsumexp(x, axis=axis, keepdims=keepdims)",
        (_logsumexp,),
        shape=shapes.reduced,
        settings=AXIS,
        samples=_over("logsumexp"),
    ),
    "norm": Op(
        "norm(x, axis=axis, keepdims=keepdims)",
        (_norm,),
        shape=shapes.reduced,
        settings=AXIS,
        latex=r"\left\lVert {x} \right\rVert",
        binds=6,
        samples=_over("norm"),
    ),
    "argmax": Op("np.argmax(x, axis=axis)", (None,), shape=shapes.reduced, kind="i", settings={"axis": None}),
    "argmin": Op("np.argmin(x, axis=axis)", (None,), shape=shapes.reduced, kind="i", settings={"axis": None}),
    # probabilities and losses
    "softmax": Op(
        "softmax(x, axis=axis)",
        (_softmax,),
        shape=shapes.along_axis,
        settings={"axis": None},
        samples={"softmax(x)": X3, "softmax(x, axis=0)": X23},
    ),
    "log_softmax": Op(
        "log_softmax(x, axis=axis)",
        (_log_softmax,),
        shape=shapes.along_axis,
        settings={"axis": None},
        samples={"log_softmax(x)": X23, "log_softmax(x, axis=0)": X23},
    ),
    # per sample, so that the factor of a batch (sum or mean) stands in the equation
    "cross_entropy": Op(
        "cross_entropy(z, t)",
        (_cross_entropy, _cross_entropy_target),
        ("z", "t"),
        shapes.per_sample,
        takes=("f", "fi"),
        samples={
            "cross_entropy(z, t)": {"z": (3,), "t": ()},
            "cross_entropy(x, t)": {"x": (4, 3), "t": (4,)},
            "cross_entropy(x, softmax(w))": {"x": (2, 3), "w": (2, 3)},
        },
    ),
    "one_hot": Op("one_hot(t, n, dtype)", (None, None), ("t", "n"), shapes.class_rows, takes=("i", "i")),
    # constants
    "ones_like": Op("np.ones_like(x)", (None,), shape=shapes.same),
    "zeros_like": Op("np.zeros_like(x)", (None,), shape=shapes.same),
    "ones": Op("np.ones(shape, dtype)", (None,), ("*shape",), shapes.filled, takes=("i",)),
    "zeros": Op("np.zeros(shape, dtype)", (None,), ("*shape",), shapes.filled, takes=("i",)),
    "arange": Op("np.arange(n)", (None,), ("n",), shapes.filled, takes=("i",), kind="i"),
    # what Python computes from settings alone, in float64, before it meets the program's floats
    "rounded": Op("dtype(x)", (None,), internal=True),
    # a quantity for figures only: computed by one backward pass for each entry of z
    "jacobian": Op("", (None, None), ("z", "x"), shapes.every_pair, internal=True),
    # the gradient of x[i]: g put back to where it was taken from
    "scatter": Op("", (None, None, None), ("g", "x", "*i"), shapes.as_second, takes=("f", ANY, "i"), internal=True),
}

# the ops that pick or arrange numbers, and so never round
EXACT = frozenset(
    "neg T mT index reshape concat array diag maximum minimum clip where relu max min abs sign gt ge lt le eq ne "
    "argmax argmin one_hot ones_like zeros_like ones zeros arange".split()
)
