"""The record of one op: all that is known of it, and of one use of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from mathlab.language import shapes
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


@dataclass(frozen=True)
class Op:
    """One op. A kind is f (floats), i (integers) or b (masks).

    How tightly what is written binds: 0 a comparison, 1 a sum, 2 a product with a sign, 3 one without, 4 a power, a
    fraction or a function, 5 a name with a subscript, 6 what is a symbol or has brackets of its own.
    """

    numpy: str  # over the names of arguments and settings and the functions of `kernels`; one alone is called with all
    vjp: tuple[Rule, ...]  # the derivative with respect to each argument
    args: tuple[str, ...] = ("x",)  # a last name such as "*shape" stands for any number of them
    shape: ShapeRule = shapes.broadcast
    takes: tuple[str, ...] = ()  # for each, the kinds it accepts as they are; another is made a float first
    kind: Kind | Literal["same"] = "f"  # of the result; "same" as the first argument
    defaults: Mapping[str, float] = field(default_factory=dict)
    settings: Mapping[str, Setting] = field(default_factory=dict)  # constants that are written out
    labels: int | None = None  # the argument that holds class indices where it has fewer axes than the first one
    needs_entries: bool = False  # there is no value where the axes that it runs along are empty
    exact: bool = False  # it picks or arranges numbers, and so never rounds
    cheap: bool = False  # it is a view or a constant, which is sooner made again than kept
    latex: str | Callable[[Site], str] = ""  # over the arguments; {x:2} has brackets unless it binds as tightly as 2
    binds: int = 4
    samples: tuple[str, ...] = ()  # for the tests: x23 has two rows and three columns, p3 is positive, t4 are classes
    each: Callable[[Site, int], str] | None = None  # makes the derivatives, where there may be any number of them
    products: Callable[[Shape, Sequence[Shape]], int] = lambda made, read: 0  # of numbers, that are summed
    unread: int | None = None  # the argument of which nothing but the shape is read
    internal: bool = False  # it is not for equations

    def unpacked(self, args: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """The arguments, with the entries of a list in last place: reshape(x, (2, 3)) and concat([a, b])."""
        match args:
            case (*before, Call("array", entries)) if len(args) == len(self.args) and self.args[-1] in UNPACKED:
                return (*before, *entries)
        return args

    @cached_property
    def variadic(self) -> bool:
        return bool(self.args) and self.args[-1].startswith("*")

    def accepts(self, position: int) -> str:
        """The kinds that the argument at `position` takes as they are."""
        return self.takes[min(position, len(self.takes) - 1)] if self.takes else "f"

    def is_size(self, position: int) -> bool:
        """Whether the shape of the result depends on the argument at `position`, which no value may do."""
        return self.args[min(position, len(self.args) - 1)] in SIZES

    def reads(self, position: int) -> bool:
        """Whether the entries of the argument at `position` count, and not its shape alone."""
        return self.unread != position

    def rule(self, position: int, site: Site) -> str | None:
        """The derivative with respect to the argument at `position`, as text."""
        if self.each is not None:
            return self.each(site, position)
        rule = self.vjp[min(position, len(self.vjp) - 1)]
        return rule(site) if callable(rule) else rule


# --- what the records of several families are made of -----------------------------------------------------------------

AB = ("a", "b")


def _is_whole(value: Static) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def sizes(default: Static, least: int) -> Setting:
    """A setting of two sizes."""

    def fits(value: Static) -> bool:
        pair = value if isinstance(value, tuple) else (value, value)
        return len(pair) == 2 and all(_is_whole(size) and size >= least for size in pair)  # type: ignore[operator]

    return Setting(default, f"a whole number of at least {least}, or two of them, for rows and columns", fits)


LAST_AXIS, FIRST_AXIS = (Setting(axis, "a whole number", _is_whole) for axis in (-1, 0))
ONE_AXIS_OR_ALL = Setting(None, "a whole number, or None for all axes", lambda value: value is None or _is_whole(value))
AXES = Setting(
    None,
    "a whole number, several in brackets, or None for all axes",
    lambda value: value is None or all(map(_is_whole, value if isinstance(value, tuple) else (value,))),
)
DDOF = Setting(0, "a whole number of at least 0", lambda value: _is_whole(value) and value >= 0)  # type: ignore[operator]
KEEPDIMS = Setting(False, "True or False", lambda value: isinstance(value, bool))
SUBSCRIPTS = Setting(
    None,
    "a text in front, as in einsum('ij,jk->ik', a, b)",
    lambda value: isinstance(value, str) and re.fullmatch(r"[a-zA-Z, ]*->[a-zA-Z ]*", value) is not None,
)
WINDOW, STEP, PADDING = sizes(None, 1), sizes(1, 1), sizes(0, 0)  # a window must be given


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
