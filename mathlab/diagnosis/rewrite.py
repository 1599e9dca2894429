"""The rules by which a mistake is made in an equation: each is one small change to its text.

A rule looks at one part of an expression and says what a slip of the pen may make of it. It is tried at every part of
every equation, so it needs to know nothing of the article.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from mathlab.language.check import Types
from mathlab.language.ops import ACTIVATIONS
from mathlab.language.syntax import COMPARE, Call, Expr, Name, Num, Slice, Static, names, unparse
from mathlab.language.syntax import replace as rewritten

MASKS = frozenset(COMPARE.values())
OPPOSITE = {"gt": "le", "ge": "lt", "lt": "ge", "le": "gt"}
FEW = 4  # entries of a sum that are each tried as the only one that was taken; of more, the first and the last


@dataclass(frozen=True)
class Names:
    """What a rule must know about names: their types, which are gradients, which are parameters, and the equations.

    And where it is: `target` is the equation that is changed, `owner` the node whose gradient is handed on there, and
    `root` says that the part is all of the equation.
    """

    types: Types
    gradients: frozenset[str]
    parameters: frozenset[str]
    forward: Mapping[str, Expr] = field(default_factory=dict)
    read: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by each of them, asked at every part of each
    place: Mapping[str, tuple[str, int]] = field(
        default_factory=dict
    )  # what each looks like, and the how manieth it is
    target: str = ""
    owner: str = ""
    root: bool = False
    summand: str = ""  # the sum, add or sub, of which the part is a term
    numbers: Sequence[tuple[float, str]] = ()  # by which something may be multiplied, and what each is
    rates: Sequence[float] = ()  # learning rates

    def shape(self, expr: Expr) -> tuple[int, ...]:
        return self.types.of(expr).shape

    def carries(self, expr: Expr) -> bool:
        """Whether a gradient is handed on by the expression."""
        return any(name in self.gradients for name in names(expr))

    def node(self, name: str) -> str:
        """The node that a gradient, or a part of one, is of; any other name is its own."""
        if name not in self.gradients or not name.startswith("d"):
            return name
        whole, _, part = name[1:].rpartition("_")
        known = self.types.names
        return name[1:] if name[1:] in known or not part.isdecimal() or whole not in known else whole

    def reads(self, name: str) -> Sequence[str]:
        """What a node is computed from, each once."""
        return self.read.get(name, ())

    def readers(self, name: str) -> list[str]:
        """What is computed from a node."""
        return [other for other in self.forward if name in self.reads(other)]

    def kin(self, name: str, deep: int = 2) -> frozenset[str]:
        """The parameters that a node is computed with, or what it reads: the same in every step, not in every gate."""
        if name in self.parameters or not deep:
            return frozenset({name} & self.parameters)
        return frozenset().union(
            *(self.kin(other, deep - (other not in self.parameters)) for other in self.reads(name))
        )

    def seen(self, name: str) -> str:
        """A name as it looks from the owner: itself, the first that it reads, what reads it, the gradient of one."""
        node = self.node(name)
        d = "d" if node != name else ""
        if node == self.owner:
            return f"{d}_self"
        if node in self.reads(self.owner):
            return f"{d}_in{self.reads(self.owner).index(node)}"
        if node == self.node(self.target):
            return f"{d}_target"
        if self.owner in self.reads(node):
            return f"{d}_out{self.reads(node).index(self.owner)}"
        return name if node in self.parameters or node not in self.forward else f"{d}_far{skeleton(self.forward[node])}"


@lru_cache(10_000)
def skeleton(expr: Expr) -> str:
    """The expression without its names and numbers."""
    return unparse(rewritten(expr, lambda part: Name("_") if isinstance(part, Name | Num) else None))


@dataclass(frozen=True)
class Factor:
    """One of the things that are multiplied; `under` says that it stands under a fraction line."""

    expr: Expr
    under: bool = False


# what went wrong, the part as it then reads, how likely it is, and what it has in common with changes of other parts
Change = tuple[str, Expr] | tuple[str, Expr, float] | tuple[str, Expr, float, str]
Rule = Callable[[Expr, Names], Iterator[Change]]


def without_mask(part: Expr, known: Names) -> Iterator[Change]:
    """The factor that lets no gradient pass where an activation is flat, left out."""
    match part:
        case Call("mul", (left, Call(op) as mask)) if op in MASKS:
            yield f"the mask ({unparse(mask)}) is missing", left
        case Call("mul", (Call(op) as mask, right)) if op in MASKS:
            yield f"the mask ({unparse(mask)}) is missing", right


def mask_reversed(part: Expr, known: Names) -> Iterator[Change]:
    """The factor that lets no gradient pass, letting it pass just there."""
    match part:
        case Call(op, args) if op in OPPOSITE:
            wrong = Call(OPPOSITE[op], args)
            yield f"the mask ({unparse(part)}) is the wrong way round, ({unparse(wrong)})", wrong
        case Call("where", (mask, Num() as left, Num() as right)):  # the slopes of leaky_relu
            yield f"the slope {unparse(right)} is missing", Call("where", (mask, left, Num(0)))
            wrong = Call("where", (mask, right, left))
            yield f"{unparse(wrong)} stands in place of {unparse(part)}", wrong


def without_derivative(part: Expr, known: Names) -> Iterator[Change]:
    """Factors beside the upstream gradient: all of them, then each alone."""
    if not (isinstance(part, Call) and part.op in ("mul", "div") and known.carries(part)):
        return
    chain = factors(part)
    local = [n for n, factor in enumerate(chain) if not (known.carries(factor.expr) or isinstance(factor.expr, Num))]
    if len(local) > 1:
        gone = multiplied([chain[n] for n in local])
        what = _derivative_of(known, gone)
        rest = multiplied([factor for n, factor in enumerate(chain) if n not in local])
        yield f"the factor {unparse(gone)} is missing{what}", rest, 0, what and f"derivative {known.root}"
    for n in local:
        alone = chain[n].expr
        if not (isinstance(alone, Call) and alone.op in MASKS):
            what = _derivative_of(known, alone) if len(local) == 1 else ""
            rest = multiplied([*chain[:n], *chain[n + 1 :]])
            yield (
                f"the factor {_product_text([chain[n]])} is missing{what}",
                rest,
                0,
                what and f"derivative {known.root}",
            )


def without_factor(part: Expr, known: Names) -> Iterator[Change]:
    """A factor of what a gradient is multiplied by: r * h in the gradient of U @ (r * h)."""
    if isinstance(part, Call) and part.op in ("mul", "div") and not known.root and not known.carries(part):
        chain = factors(part)
        for n, factor in enumerate(chain):
            if not isinstance(factor.expr, Num):
                yield (
                    f"the factor {_product_text([factor])} is missing in {unparse(part)}",
                    multiplied([*chain[:n], *chain[n + 1 :]]),
                )


def _derivative_of(known: Names, gone: Expr) -> str:
    """Which activation's derivative the factor is, where it is one."""
    node = Name(known.node(known.target))
    for name, expr in known.forward.items():
        match expr:
            case Call(op, (inner, *_)) if op in ACTIVATIONS and inner == node and {*names(gone)} <= {name, node.id}:
                return f" (from the derivative of {op})" if names(gone) else ""
    return ""


def without_upstream(part: Expr, known: Names) -> Iterator[Change]:
    """Ones in place of the gradient that is handed on."""
    if isinstance(part, Name) and part.id in known.gradients:
        ones = Call("ones_like", (part,)) if known.shape(part) else Num(1)
        yield f"the upstream gradient {part.id} is missing", ones


def transposed(part: Expr, known: Names) -> Iterator[Change]:
    """A matrix of a product, or a product in a sum, as its transpose, where the shapes hide it."""
    match part:
        case Call("matmul" | "dot", (left, right)):
            for side, other in enumerate((left, right)):
                turned = _turned(other)
                if len(known.shape(other)) == 2:
                    text = f"{unparse(turned)} stands in place of {unparse(other)}"
                    args = (turned, right) if side == 0 else (left, turned)
                    yield text, Call(part.op, args)
        case Call("outer", (left, right)):
            yield "the outer product is transposed", Call("outer", (right, left))
    if isinstance(part, Call) and part.op in ("add", "sub") and known.carries(part):
        for side, inner in enumerate(part.args):  # a whole gradient's transpose is tried with its numbers
            if isinstance(inner, Call) and inner.op == "matmul" and len(known.shape(inner)) == 2:
                args = (Call("T", (inner,)), part.args[1]) if side == 0 else (part.args[0], Call("T", (inner,)))
                yield f"{unparse(inner)} is transposed", Call(part.op, args)


def not_summed(part: Expr, known: Names) -> Iterator[Change]:
    """One entry of a sum in place of all, or their mean."""
    match part:
        case Call("sum", (inner,), attrs):
            shape, axis = known.shape(inner), dict(attrs).get("axis")
            count = _length(shape, axis)
            if count > 1:
                yield f"{unparse(part)} is averaged instead of summed", Call("mean", (inner,), attrs)
            if isinstance(axis, int) or (axis is None and len(shape) == 1):
                keeps = bool(dict(attrs).get("keepdims"))
                yield from _single_entries(inner, axis if isinstance(axis, int) else 0, len(shape), count, keeps)
        case Call("matmul", (left, right)) if len(known.shape(left)) == 2 == len(known.shape(right)):
            # X.T @ dZ with a sample in each row, dZ @ X.T with one in each column; W.T @ dZ is a sum over units
            count, everything = known.shape(right)[0], Slice(None, None, None)
            turned = [_turned(side) for side in (left, right) if isinstance(side, Call) and side.op == "T"]
            if not known.carries(part) or count == 1 or not turned or known.parameters & set(names(turned[0])):
                return
            what = "row" if _turned(left) == turned[0] else "column"
            for n in _few(count):
                one = Slice(n, n + 1, None)
                args = Call("index", (left, everything, one)), Call("index", (right, one))
                text = f"{unparse(part)} is not summed over the batch: it is {what} {n} alone"
                yield text, Call("matmul", args)
            yield f"{unparse(part)} is averaged over the batch instead of summed", Call("div", (part, Num(count)))


def _single_entries(inner: Expr, axis: int, ndim: int, count: int, keeps: bool) -> Iterator[Change]:
    everything = Slice(None, None, None)
    for entry in _few(count):
        items = [everything] * (axis % ndim) + [Slice(entry, entry + 1, None) if keeps else Num(entry)]
        text = f"{unparse(inner)} is not summed: entry {entry} is taken alone"
        yield text, Call("index", (inner, *items))


def unsummed(part: Expr, known: Names) -> Iterator[Change]:
    """What a sum sums, in its place."""
    match part:
        case Call("sum", (inner,)):
            yield f"{unparse(inner)} is not summed", inner


def without_term(part: Expr, known: Names) -> Iterator[Change]:
    """A term of a sum left out; of a longer sum, all but one."""
    if known.summand and not isinstance(part, Num):
        bias = isinstance(part, Name) and part.id in known.parameters
        yield f"the {'bias' if bias else 'term'} {unparse(part)} is left out", Num(0)
    terms = _terms(part)
    if len(terms) > 2 and not known.summand:
        for n, term in enumerate(terms):
            of = "a parameter" if known.node(known.target) in known.parameters else "a node"
            yield f"of {len(terms)} terms, {unparse(term)} is taken alone", term, 0, f"{n} of {len(terms)} of {of}"


def without_path(part: Expr, known: Names) -> Iterator[Change]:
    """All that is handed on to a node: the gradient of the step after it."""
    node = known.node(known.target)
    if known.root and node not in (known.target, *known.parameters) and known.shape(part):
        yield f"nothing is handed on to {node}", Call("zeros_like", (part,))


def _terms(expr: Expr) -> list[Expr]:
    match expr:
        case Call("add", (left, right)):
            return [*_terms(left), *_terms(right)]
    return [expr]


def other_sign(part: Expr, known: Names) -> Iterator[Change]:
    """A minus for a plus, or none for a minus."""
    match part:
        case Call("add", (left, right)):
            yield f"{unparse(right)} is subtracted instead of added", Call("sub", (left, right))
            yield f"{unparse(left)} is subtracted instead of added", Call("sub", (right, left))
        case Call("sub", (left, right)):
            yield f"{unparse(right)} is added instead of subtracted", Call("add", (left, right))
        case Call("neg", (inner,)):
            yield f"the sign of {unparse(part)} is missing", inner


def sum_or_mean(part: Expr, known: Names) -> Iterator[Change]:
    """One for the other."""
    match part:
        case Call("sum" | "mean" as op, args, attrs) if _length(known.shape(args[0]), dict(attrs).get("axis")) > 1:
            other = Call("mean" if op == "sum" else "sum", args, attrs)
            yield f"{unparse(other)} stands in place of {unparse(part)}", other


def without_number(part: Expr, known: Names) -> Iterator[Change]:
    """A constant factor left out: the 1/2 of a half squared error, the N of a mean."""
    match part:
        case Call("mul", (Num(value), rest)) | Call("mul", (rest, Num(value))) if value != 1:
            yield f"the factor {value} is missing", rest
        case Call("div", (rest, Num(value))) if value != 1:
            yield f"the division by {value} is missing", rest


def without_activation(part: Expr, known: Names) -> Iterator[Change]:
    """What goes into an activation, in its place."""
    match part:
        case Call(op, (inner, *_)) if op in ACTIVATIONS:
            yield f"the activation {op} is left out", inner


def factors(expr: Expr) -> list[Factor]:
    """What is multiplied, and what it is divided by."""
    match expr:
        case Call("mul", (left, right)):
            return [*factors(left), *factors(right)]
        case Call("div", (left, right)):
            return [*factors(left), *(Factor(factor.expr, not factor.under) for factor in factors(right))]
    return [Factor(expr)]


def multiplied(chain: Sequence[Factor]) -> Expr:
    """The product of factors."""
    product: Expr | None = None
    for factor in chain:
        if factor.under:
            product = Call("div", (product or Num(1), factor.expr))
        else:
            product = Call("mul", (product, factor.expr)) if product else factor.expr
    return product or Num(1)


def _product_text(chain: Sequence[Factor]) -> str:
    return unparse(multiplied(chain))


def _turned(expr: Expr) -> Expr:
    match expr:
        case Call("T", (inner,)):
            return inner
    return Call("T", (expr,))


def _length(shape: tuple[int, ...], axis: Static) -> int:
    """How many entries a reduction takes together."""
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    count = 1
    for one in axes:
        count *= shape[one] if isinstance(one, int) else 1
    return count


def _few(count: int) -> Sequence[int]:
    return range(count) if count <= FEW else (0, count - 1)
