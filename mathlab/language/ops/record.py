"""The record of one op: all that is known of it, and of one use of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

from mathlab.language.shapes import Kind, Shape, Type
from mathlab.language.syntax import Call, Expr, Num, Static


class Site(NamedTuple):
    """One use of an op: the types of its arguments and of its result, its settings, and which argument is asked for."""

    args: tuple[Type, ...]
    out: Type
    call: Call
    position: int = 0

    def is_number(self, position: int) -> bool:
        """Whether the argument at `position` is a number that is written out."""
        return isinstance(self.call.args[position], Num)


class Setting(NamedTuple):
    """A constant that an op takes beside its arguments: its default, and what it can be, in words and as a pattern."""

    default: Static
    wanted: str
    pattern: str

    def fits(self, value: Static) -> bool:
        """Whether it can have this value."""
        return re.fullmatch(self.pattern, repr(value)) is not None


Rule = str | Callable[[Site], str] | None
ShapeRule = Callable[[Sequence[Type], Call], Shape]
UNPACKED = ("*shape", "*joined", "*axes")  # arguments that NumPy has as one list
SIZES = ("n", "*shape", "*axes")


class Op(NamedTuple):
    """One op, as a row of `ops.txt` tells of it. A kind is f (floats), i (integers) or b (masks).

    In a derivative `g` is the upstream gradient, `y` the op's own result, and the other names are the op's arguments; a
    result that broadcasting has made larger than the argument is summed back by the engine. None says that there is no
    derivative; a function builds the text where it depends on the shapes.

    How tightly what is written binds: 0 a comparison, 1 a sum, 2 a product with a sign, 3 one without, 4 a power, a
    fraction or a function, 5 a name with a subscript, 6 what is a symbol or has brackets of its own.
    """

    numpy: str  # over the names of arguments and settings and the functions of `kernels`; one alone is called with all
    vjp: tuple[Rule, ...]  # the derivative with respect to each argument
    args: tuple[str, ...]  # a last name such as "*shape" stands for any number of them
    defaults: Mapping[str, float]
    shape: ShapeRule
    takes: tuple[str, ...]  # for each, the kinds it accepts as they are; another is made a float first
    kind: Kind | Literal["same"]  # of the result; "same" as the first argument
    settings: Mapping[str, Setting]  # constants that are written out
    labels: int  # the argument that holds class indices where it has fewer axes than the first one; -1: none
    unread: int  # the argument of which nothing but the shape is read; -1: none
    products: Callable[[Shape, Sequence[Shape]], int]  # of numbers, that are summed
    latex: str | Callable[[Site], str]  # over the arguments; {x:2} has brackets unless it binds as tightly as 2
    binds: int
    samples: tuple[str, ...]  # for the tests: x23 has two rows and three columns, p3 is positive, t4 are classes
    needs_entries: bool  # there is no value where the axes that it runs along are empty
    exact: bool  # it picks or arranges numbers, and so never rounds
    cheap: bool  # it is a view or a constant, which is sooner made again than kept
    activation: bool  # it stands between the layers of a network
    internal: bool  # it is not for equations

    def unpacked(self, args: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """The arguments, with the entries of a list in last place: reshape(x, (2, 3)) and concat([a, b])."""
        match args:
            case (*before, Call("array", entries)) if len(args) == len(self.args) and self.args[-1] in UNPACKED:
                return (*before, *entries)
        return args

    @property
    def variadic(self) -> bool:
        return self.args[-1].startswith("*")

    def accepts(self, position: int) -> str:
        """The kinds that the argument at `position` takes as they are."""
        return self.takes[min(position, len(self.takes) - 1)] if self.takes else "f"

    def is_size(self, position: int) -> bool:
        """Whether the argument at `position` is a whole number, as a size is: no shape may depend on a value."""
        name = self.args[min(position, len(self.args) - 1)]
        return name in SIZES or (name in self.defaults and self.accepts(position) == "i")

    def rule(self, position: int, site: Site) -> str | None:
        """The derivative with respect to the argument at `position`, as text."""
        rule = self.vjp[min(position, len(self.vjp) - 1)]
        return rule(site._replace(position=position)) if callable(rule) else rule


# --- the settings -----------------------------------------------------------------------------------------------------

WHOLE, SIZE, NATURAL = r"-?\d+", r"[1-9]\d*", r"\d+"
TWO = "a whole number of at least {}, or two of them, for rows and columns"
STEP = Setting(1, TWO.format(1), rf"{SIZE}|\({SIZE}, {SIZE}\)")
WIDTH = Setting(0, TWO.format(0), rf"{NATURAL}|\({NATURAL}, {NATURAL}\)")
SETTINGS: Mapping[str, Setting] = {
    "last_axis": Setting(-1, "a whole number", WHOLE),
    "first_axis": Setting(0, "a whole number", WHOLE),
    "axis": Setting(None, "a whole number, or None for all axes", f"None|{WHOLE}"),
    "axes": Setting(
        None, "a whole number, several in brackets, or None for all axes", rf"None|{WHOLE}|\({WHOLE},?(, {WHOLE})*\)"
    ),
    "ddof": Setting(0, "a whole number of at least 0", NATURAL),
    "keepdims": Setting(False, "True or False", "True|False"),
    "subscripts": Setting(None, "a text with '->', as in einsum('ij,jk->ik', a, b)", "'[a-zA-Z, ]*->[a-zA-Z ]*'"),
    # these two must be given: their patterns do not take the default
    "size": STEP._replace(default=None),
    "width": WIDTH._replace(default=None),
    **dict.fromkeys(("stride", "dilation"), STEP),
    "pad": WIDTH,
    "own_size": Setting(None, f"{STEP.wanted}; None for the size", f"None|{STEP.pattern}"),
    "value": Setting(0, "a number", r"-?(\d.*|inf)"),
}
