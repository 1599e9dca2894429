"""The record of one op: all that is known of it, and of one use of it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from mathlab.language import einsum, shapes, windows
from mathlab.language.shapes import Kind, Shape, Type
from mathlab.language.syntax import Call, Expr, Num, Static


class Site(NamedTuple):
    """One use of an op: the types of its arguments and of its result, and its settings."""

    args: tuple[Type, ...]
    out: Type
    call: Call

    def is_number(self, position: int) -> bool:
        """Whether the argument at `position` is a number that is written out."""
        return isinstance(self.call.args[position], Num)


class Setting(NamedTuple):
    """A constant that an op takes beside its arguments: its default, and what it can be, in words and as a test."""

    default: Static
    wanted: str
    fits: Callable[[Static], bool]


Rule = str | Callable[[Site], str] | None
ShapeRule = Callable[[Sequence[Type], Call], Shape]
ANY = "fib"
UNPACKED = ("*shape", "*joined", "*axes")  # arguments that NumPy has as one list
SIZES = ("n", "*shape", "*axes")
OF_SHAPES: Mapping[ShapeRule, int] = {
    shapes.same: 0,
    shapes.as_second: 1,
    windows.overlapping: 1,
    shapes.measured: 0,
}  # the argument of which nothing but the shape is read


@dataclass(frozen=True)
class Op:
    """One op.

    `numpy` is the NumPy expression, over the names of the arguments and settings and over the functions of `kernels`.
    `vjp` holds the derivative with respect to each argument (`each` makes them where there may be any number).
    `args` names the arguments; a last name such as "*shape" stands for any number of them. `takes` gives, for each, the
    kinds it accepts as they are (f floats, i integers, b masks); a mask or integer elsewhere is made a float first.
    `labels` is the position of the argument that holds class indices where it has fewer axes than the first one.
    `kind` is the result's kind, "same" meaning the first argument's. `settings` are constants that are written out.
    With `needs_entries`, there is no value where the axes that the op runs along are empty.
    `exact` says that it picks or arranges numbers, and so never rounds; `cheap` that it is a view or a constant, which
    is sooner made again than kept.
    `latex` is a format over the arguments, in which `{x:2}` stands in brackets unless it binds as tightly as 2; `binds`
    is how tightly the whole does: 0 a comparison, 1 a sum, 2 a product with a sign, 3 one without, 4 a power, a
    fraction or a function, 5 a name with a subscript, 6 what is a symbol or has brackets of its own.
    `samples` maps calls to the shapes of their arguments: a name beginning with p is drawn positive, one beginning with
    t is a class index. `internal` ops are not for equations.
    """

    numpy: str
    vjp: tuple[Rule, ...]
    args: tuple[str, ...] = ("x",)
    shape: ShapeRule = shapes.broadcast
    takes: tuple[str, ...] = ()
    kind: Kind | Literal["same"] = "f"
    defaults: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Setting] = field(default_factory=dict)
    labels: int | None = None
    needs_entries: bool = False
    exact: bool = False
    cheap: bool = False
    latex: str | Callable[[Site], str] = ""
    binds: int = 4
    samples: Mapping[str, Mapping[str, Shape]] = field(default_factory=dict)
    each: Callable[[Site, int], str] | None = None
    internal: bool = False

    def unpacked(self, args: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """The arguments, with the entries of a list in last place: reshape(x, (2, 3)) and concat([a, b])."""
        match args:
            case (*before, Call("array", entries)) if len(args) == len(self.args) and self.args[-1] in UNPACKED:
                return (*before, *entries)
        return args

    @cached_property
    def variadic(self) -> bool:
        return bool(self.args) and self.args[-1].startswith("*")

    def products(self, made: Shape, read: Sequence[Shape]) -> int:
        """The products of numbers that a matrix product, or a convolution, takes; 0 for other ops."""
        if self.shape is windows.convolved:
            return math.prod(made) * math.prod(read[1][-3:])
        if self.shape is einsum.contracted:  # right for a product of matrices, and too many for a stack of them
            return math.isqrt(math.prod(map(math.prod, (made, *read))))
        return math.prod(made) * read[0][-1] if self.shape in (shapes.matmul, shapes.dotted) else 0

    def accepts(self, position: int) -> str:
        """The kinds that the argument at `position` takes as they are."""
        return self.takes[min(position, len(self.takes) - 1)] if self.takes else "f"

    def is_size(self, position: int) -> bool:
        """Whether the shape of the result depends on the argument at `position`, which no value may do."""
        return self.args[min(position, len(self.args) - 1)] in SIZES

    def reads(self, position: int) -> bool:
        """Whether the entries of the argument at `position` count, and not its shape alone."""
        return OF_SHAPES.get(self.shape) != position

    def rule(self, position: int, site: Site) -> str | None:
        """The derivative with respect to the argument at `position`, as text."""
        if self.each is not None:
            return self.each(site, position)
        rule = self.vjp[min(position, len(self.vjp) - 1)]
        return rule(site) if callable(rule) else rule


# --- what the records of several families are made of -----------------------------------------------------------------

AB = ("a", "b")
X3: Mapping[str, Shape] = {"x": (3,)}
X23: Mapping[str, Shape] = {"x": (2, 3)}
PAIR: Mapping[str, Shape] = {"a": (2, 3), "b": (3,)}


def _is_whole(value: Static) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


LAST_AXIS = Setting(-1, "a whole number", _is_whole)
FIRST_AXIS = Setting(0, "a whole number", _is_whole)
ONE_AXIS_OR_ALL = Setting(None, "a whole number, or None for all axes", lambda value: value is None or _is_whole(value))
AXES = Setting(
    None,
    "a whole number, several in brackets, or None for all axes",
    lambda value: all(map(_is_whole, value)) if isinstance(value, tuple) else value is None or _is_whole(value),
)
DDOF = Setting(0, "a whole number of at least 0", lambda value: _is_whole(value) and value >= 0)  # type: ignore[operator]
KEEPDIMS = Setting(False, "True or False", lambda value: isinstance(value, bool))


def _are_sizes(least: int) -> Callable[[Static], bool]:
    def fits(value: Static) -> bool:
        pair = value if isinstance(value, tuple) else (value, value)
        return len(pair) == 2 and all(_is_whole(size) and size >= least for size in pair)  # type: ignore[operator]

    return fits


TWO = "a whole number of at least {}, or two of them, for rows and columns"
SUBSCRIPTS = Setting(
    None,
    "a text in front, as in einsum('ij,jk->ik', a, b)",
    lambda value: isinstance(value, str) and re.fullmatch(r"[a-zA-Z, ]*->[a-zA-Z ]*", value) is not None,
)
WINDOW = Setting(None, TWO.format(1), _are_sizes(1))  # must be given
STEP = Setting(1, TWO.format(1), _are_sizes(1))
PADDING = Setting(0, TWO.format(0), _are_sizes(0))


def lead(type_: Type, without: int = 1) -> str:
    """The `:, ` that keep the leading axes of an index as they are."""
    return ":, " * (type_.ndim - without)


def settings_of(site: Site, **more: Static) -> str:
    """The settings of a call as text, to be handed on to another one: `, axis=1`."""
    settings = {**dict(site.call.attrs), **more}
    return "".join(f", {name}={value}" for name, value in settings.items() if value is not None)


def expanded(name: str, site: Site) -> str:
    """`name`, which has the shape of a reduction's result, with the reduced axes put back as length 1."""
    x = site.args[0]
    axes = shapes.axes_of(x, site.call.attr("axis"))
    if site.call.attr("keepdims") or len(axes) == x.ndim:
        return name
    return f"{name}[{', '.join('None' if i in axes else ':' for i in range(x.ndim))}]"
