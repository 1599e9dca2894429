"""Text <-> expression tree. Expressions are a small part of Python's: parsed, never executed.

A tree is made of numbers, names, and calls; `a + b`, `a @ b`, `x[i]` and `A.T` are calls of `add`, `matmul`, `index`
and `T`. So the rest of the engine has one kind of node to know.
"""

from __future__ import annotations

import ast
import math
import re
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from mathlab import habits, signs
from mathlab.errors import ExpressionError

LONGEST = 20_000  # characters; keeps hostile input cheap, and no article prints a longer line
DEEPEST = 200  # levels of nesting; well inside Python's recursion limit


@dataclass(frozen=True, slots=True)
class Num:
    """A number that is written out."""

    value: int | float
    position: int = field(default=0, compare=False)
    form: str = field(init=False, repr=False)  # so that 1 and 1.0 are two, an index and none, and 0.0 and -0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "form", repr(self.value))


@dataclass(frozen=True, slots=True)
class Name:
    """A value that has a name: an input, a parameter, an equation's result, a gradient."""

    id: str
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Slice:
    """`start:stop:step` inside an index: whole numbers in what runs, for shapes do not depend on values.

    As it is written, a bound may be an expression of inputs that are such, and of what counts a loop.
    """

    start: Bound
    stop: Bound
    step: Bound
    position: int = field(default=0, compare=False)

    @property
    def bounds(self) -> tuple[Bound, Bound, Bound]:
        return self.start, self.stop, self.step

    @property
    def whole(self) -> slice:
        """The slice of Python. Raises ExpressionError where a bound is no number yet."""
        if not any(isinstance(bound, Expr) for bound in self.bounds):
            return slice(self.start, self.stop, self.step)
        raise ExpressionError("a slice's bounds are whole numbers, or inputs that are, or none: x[1:]", self.position)

    def with_bounds(self, change: Callable[[Expr], Expr]) -> Slice:
        """The slice with its bounds changed where they are expressions."""
        changed = (change(bound) if isinstance(bound, Expr) else bound for bound in self.bounds)
        return slice_of(changed, self.position)


@dataclass(frozen=True, slots=True)
class NewAxis:
    """`None` inside an index: an axis of length 1."""

    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """An op applied to expressions, with its static settings (`axis=1`) as (name, value) pairs."""

    op: str
    args: tuple[Expr, ...]
    attrs: tuple[tuple[str, Static], ...] = ()
    position: int = field(default=0, compare=False)
    _hash: int = field(default=0, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # taken once: the tables of what is typed and computed already would hash a deep tree at each of its levels
        object.__setattr__(self, "_hash", hash((self.op, self.args, self.attrs)))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[object, ...]:
        """The call as another process gets it, where texts have other hashes."""
        return Call, (self.op, self.args, self.attrs, self.position)

    def attr(self, name: str) -> Static:
        """The setting `name`; None when it is not given."""
        return dict(self.attrs).get(name)


def slice_of(bounds: Iterable[Bound], position: int = 0) -> Slice:
    """The slice of three bounds, of which one that is a whole number stands as that, and not as an expression."""
    start, stop, step = (one.value if isinstance(one, Num) and isinstance(one.value, int) else one for one in bounds)
    return Slice(start, stop, step, position)


ALL = Slice(None, None, None)
Expr = Num | Name | Slice | NewAxis | Call
Bound = int | Num | Name | Slice | NewAxis | Call | None
Static = int | float | bool | str | tuple[float, ...] | None | Num | Name | Slice | NewAxis | Call

_KINDS = (ast.Add(), ast.Sub(), ast.Mult(), ast.Div(), ast.Pow(), ast.MatMult(), ast.FloorDiv(), ast.Mod())
OPERATORS = dict(zip("add sub mul div pow matmul floordiv mod".split(), _KINDS, strict=True))
COMPARISONS = {"gt": ast.Gt(), "ge": ast.GtE(), "lt": ast.Lt(), "le": ast.LtE(), "eq": ast.Eq(), "ne": ast.NotEq()}
BINARY = {type(kind): op for op, kind in (*OPERATORS.items(), *COMPARISONS.items())}
TRANSPOSES = ("T", "mT")
NO_NUMBER = {
    str: "; only einsum reads a text, before its arrays",
    type(...): "; an axis is a ':' of its own",
    bool: "; a setting has its name before it, as in keepdims=True",
}


def parse(text: str) -> Expr:
    """The tree of one expression.

    Raises ExpressionError, with the offset of the offending character, for anything outside the language.
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"an expression of {len(text)} characters is too long (the limit is {LONGEST})")
    source = unicodedata.normalize("NFKC", text).replace("\n", " ")
    lead = len(source) - len(source.lstrip())
    source = source.strip()
    if not source:
        raise ExpressionError("an expression is missing")
    if "#" in source:
        raise ExpressionError("'#' is not part of the equation language", lead + source.index("#"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python only frowns at ('1if') is judged here all the same
            tree = ast.parse(source, mode="eval").body
    except SyntaxError as error:
        offset = min(max((error.offset or 1) - 1, 0), len(source) - 1)
        why = signs.blamed(text, source, offset, error.msg or "")
        raise ExpressionError(f"not an expression: {why}", lead + offset) from None
    except (RecursionError, MemoryError):
        raise ExpressionError("an expression is nested too deeply; split it into several equations") from None
    except ValueError as error:  # a NUL byte, or an integer of thousands of digits
        raise ExpressionError(f"not an expression: {error}") from None
    match tree:
        case ast.Tuple(elts=[first, _, *_], col_offset=begin) if begin == first.col_offset:  # 0,5 has no bracket
            point = "a decimal point is written '.'" if re.search(r"\d,\d", source) else "several have a line each"
            raise ExpressionError(f"{point}, and a list stands in brackets", lead + source.index(","))
    for pattern, sentence in signs.MISREAD:
        if found := re.search(pattern, source):
            raise ExpressionError(sentence, lead + found.start())
    return _Reader(source, lead).read(tree, 0)


class _Reader(NamedTuple):
    source: str
    lead: int  # characters before it

    def offset_of(self, node: ast.expr) -> int:
        # ast counts in UTF-8 bytes; a user counts characters
        return self.lead + len(self.source.encode()[: node.col_offset].decode(errors="ignore"))

    def read(self, node: ast.expr, depth: int) -> Expr:
        at, deeper = self.offset_of(node), depth + 1
        if depth > DEEPEST:
            message = f"an expression is nested more than {DEEPEST} levels deep; split it into several equations"
            raise ExpressionError(message, at)
        match node:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                if abs(value) == math.inf or (isinstance(value, int) and abs(value) >= 1 << 1023):
                    raise ExpressionError("a number is too large for float64", at)
                return Num(value, at)
            case ast.Name(id=name):
                return Name(name, at)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.read(operand, deeper)
                return Num(-inner.value, at) if isinstance(inner, Num) else Call("neg", (inner,), (), at)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.read(operand, deeper)
            case (
                ast.BinOp(left=left, op=operator, right=right)
                | ast.Compare(left=left, ops=[operator], comparators=[right])
            ) if type(operator) in BINARY:
                return Call(BINARY[type(operator)], (self.read(left, deeper), self.read(right, deeper)), (), at)
            case ast.Attribute(value=value, attr=attr) if attr in TRANSPOSES:
                return Call(attr, (self.read(value, deeper),), (), at)
            case ast.Subscript(value=value, slice=index):
                items = index.elts if isinstance(index, ast.Tuple) else [index]
                base = self.read(value, deeper)
                return Call("index", (base, *(self.item(item, deeper) for item in items)), (), at)
            case ast.List(elts=elements) | ast.Tuple(elts=elements) if elements:
                return Call("array", tuple(self.read(element, deeper) for element in elements), (), at)
            case ast.Call(func=ast.Name(id=op), args=args, keywords=keywords):
                return self.call(op, args, keywords, at, deeper)
        raise self.refused(node)

    def refused(self, node: ast.expr) -> ExpressionError:
        """What is said of a part that is outside the language, with what to write in its place."""
        shown, hint = self.shown(node), ""
        match node:
            case ast.Constant(value=value):
                why = f"{shown} is not a number{NO_NUMBER.get(type(value), '')}"
            case ast.List() | ast.Tuple():
                why = "an empty list has no shape"
            case ast.Compare(ops=[_, _, *_]):
                why = "a chained comparison is not in the language; write (a < b) * (b < c)"
            case ast.Attribute(value=value, attr=attr):
                why = f"'.{attr}' is not in the equation language; {habits.attribute(self.shown(value), attr)}"
            case (
                ast.Call(func=ast.Attribute(value=value, attr=op), args=args, keywords=keywords)
                | ast.Call(func=ast.Call(func=ast.Attribute(value=value, attr=op)), args=args, keywords=keywords)
            ):  # np.exp(x), and nn.ReLU()(x)
                hint = habits.unbound(value, self.shown(value), op, bool(args or keywords))
            case ast.Call(func=ast.Call(func=ast.Name(id=op))):  # ReLU()(x)
                hint = habits.bare(op)
            case ast.Call(func=ast.BinOp() | ast.Constant()):
                why = f"a product is written with '*' in '{shown}'"
            case _:
                kind = type(getattr(node, "op", node)).__name__  # Or of a BoolOp
                why = f"'{shown}' is not in the equation language{habits.INSTEAD.get(kind, '')}"
        why = f"'{shown}' is not in the equation language; write {hint}" if hint else why
        return ExpressionError(why, self.offset_of(node), hint.partition("(")[0])

    def shown(self, node: ast.expr) -> str:
        """The part of the text that a node was read from; Python's own way back to text would recurse into it."""
        return shortened(ast.get_source_segment(self.source, node) or "")

    def call(self, op: str, args: list[ast.expr], keywords: list[ast.keyword], at: int, deeper: int) -> Expr:
        attrs: dict[str, Static] = {}
        for keyword in keywords:
            if keyword.arg is None:
                raise ExpressionError("'**' arguments are not in the equation language", at)
            if keyword.arg in attrs:
                raise ExpressionError(f"{op} is given {keyword.arg} twice", at)
            attrs[keyword.arg] = self.setting(keyword.value, deeper)
        if op == "einsum" and args and isinstance(args[0], ast.Constant) and isinstance(args[0].value, str):
            attrs["subscripts"], args = args[0].value, args[1:]
        read = tuple(self.read(arg, deeper) for arg in args)
        if op == "transpose" and len(read) == 1:
            return Call("T", read, (), at)
        if op == "scatter" and len(read) == 2 and isinstance(read[1], Call) and read[1].op == "index":
            read = (read[0], *read[1].args)  # scatter(g, x[i]) is about the place x[i], not its value
        return Call(op, read, tuple(attrs.items()), at)

    def setting(self, node: ast.expr, depth: int) -> Static:
        """A keyword's value: True, False, None, integers and texts stay as they are; anything else is an expression."""
        if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool | str)):
            return node.value
        return self.read(node, depth)

    def item(self, node: ast.expr, depth: int) -> Expr:
        at = self.offset_of(node)
        match node:
            case ast.Constant(value=None):
                return NewAxis(at)
            case ast.Slice(lower=lower, upper=upper, step=step):
                bounds = (None if bound is None else self.read(bound, depth) for bound in (lower, upper, step))
                return slice_of(bounds, at)
            case _:
                return self.read(node, depth)


def shortened(text: str) -> str:
    """As much of an expression's text as a sentence has room for."""
    return text if len(text) <= 40 else text[:37] + "..."


def walk(expr: Expr) -> Iterator[Expr]:
    """The expression and everything inside it, outermost first, left to right (settings included)."""
    pending: list[Expr] = [expr]
    while pending:
        current = pending.pop()
        yield current
        if isinstance(current, Slice):
            pending += [bound for bound in current.bounds[::-1] if isinstance(bound, Expr)]
        if isinstance(current, Call):
            pending += [value for _, value in reversed(current.attrs) if isinstance(value, Expr)]
            pending += current.args[::-1]


@lru_cache(20_000)  # asked of every equation again and again, and a loop makes thousands
def names(expr: Expr) -> tuple[str, ...]:
    """The names an expression reads, each once, in the order of their first mention."""
    return tuple(dict.fromkeys(part.id for part in walk(expr) if isinstance(part, Name)))


def replace(expr: Expr, rewrite: Callable[[Expr], Expr | None]) -> Expr:
    """The expression with every part for which `rewrite` returns something replaced by it, outermost first."""
    if (new := rewrite(expr)) is not None:
        return new
    if not isinstance(expr, Call):
        return expr
    args = tuple(replace(arg, rewrite) for arg in expr.args)
    return expr if [*map(id, args)] == [*map(id, expr.args)] else Call(expr.op, args, expr.attrs, expr.position)


def substitute(expr: Expr, values: Mapping[str, Expr]) -> Expr:
    """The expression with names replaced by expressions, all at once (so nothing is captured)."""
    return replace(expr, lambda part: values.get(part.id) if isinstance(part, Name) else None)


def to_python(expr: Expr) -> ast.expr:
    """The expression as Python syntax, from which `unparse` and the compiler both start."""
    match expr:
        case Num(value):
            # a negative constant must stand in parentheses as the base of a power, so it is spelt as a unary minus
            if math.copysign(1, value) < 0:
                return ast.UnaryOp(ast.USub(), ast.Constant(-value))
            return ast.Constant(value)
        case Name(name):
            return ast.Name(name)
        case NewAxis():
            return ast.Constant(None)
        case Slice():
            written = [Num(bound) if isinstance(bound, int) else bound for bound in expr.bounds]
            return ast.Slice(*(None if bound is None else to_python(bound) for bound in written))
        case Call("neg", (operand,)):
            return ast.UnaryOp(ast.USub(), to_python(operand))
        case Call(op, (left, right)) if op in OPERATORS:
            return ast.BinOp(to_python(left), OPERATORS[op], to_python(right))
        case Call(op, (left, right)) if op in COMPARISONS:
            return ast.Compare(to_python(left), [COMPARISONS[op]], [to_python(right)])
        case Call(op, (operand,)) if op in TRANSPOSES:
            return ast.Attribute(to_python(operand), op)
        case Call("index", (base, *items)):
            inside = [to_python(item) for item in items]
            return ast.Subscript(to_python(base), inside[0] if len(inside) == 1 else ast.Tuple(inside))
        case Call("scatter", (g, *place)):
            return ast.Call(ast.Name(expr.op), [to_python(g), to_python(Call("index", tuple(place)))], [])
        case Call("array", elements):
            return ast.List([to_python(element) for element in elements])
        case Call("einsum", args, ((_, subscripts),)):
            return ast.Call(ast.Name("einsum"), [_setting(subscripts), *map(to_python, args)], [])
        case Call(op, args, attrs):
            keywords = [ast.keyword(name, _setting(value)) for name, value in attrs]
            return ast.Call(ast.Name(op), [to_python(arg) for arg in args], keywords)


def _setting(value: Static) -> ast.expr:
    return to_python(value) if isinstance(value, Expr) else ast.parse(repr(value), mode="eval").body


def unparse(expr: Expr) -> str:
    """The expression as text that `parse` reads back to the same tree: `dW1 = outer(dz1, x)` without the `dW1 =`."""
    text = ast.unparse(to_python(expr)).replace(" ** ", "**")
    # Python's 1e-05, 1e+22 and 1000000.0 are 1e-5, 1e22 and 1e6 everywhere else
    text = re.sub(r"(?<=\de)(?:\+|(-)0*)(?=\d)", r"\1", text)
    return re.sub(r"(?<![\w.])(\d+?)(0{6,})\.0\b", lambda found: f"{found[1]}e{len(found[2])}", text)
