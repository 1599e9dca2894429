"""From a tree as parsed to one whose ops exist, whose arguments are counted, and whose shapes fit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from mathlab import habits
from mathlab.errors import ExpressionError, ShapeMismatch, did_you_mean
from mathlab.language.equation import Equation
from mathlab.language.ops import OPS, Op, Site
from mathlab.language.shapes import LARGEST, MOST_AXES, Kind, ShapeError, Type, axes_of
from mathlab.language.syntax import Call, Expr, Name, NewAxis, Num, Slice, Static, names, parse, unparse
from mathlab.language.terms import constant_value, written_value

CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e, "inf": math.inf}  # unless something has that name
UNFIT = "{} of {} must be {}, not '{}'"


@lru_cache(maxsize=1_000)  # an optimizer's lines are read for every parameter, of every world that is tried
def read(text: str) -> Expr:
    """The tree of an expression of the equation language.

    Raises ExpressionError where the text is not an expression, an op does not exist, or its arguments do not fit it.
    """
    try:
        return resolve(parse(text))
    except ExpressionError as error:
        if error.function.isidentifier() and error.function not in OPS:
            said, hint = error.message.partition(";")[0], did_you_mean(error.function, OPS)
            message = f"{said}, and nothing here is called '{error.function}'{hint}"
            raise ExpressionError(message, error.offset) from None
        raise


def resolve(expr: Expr) -> Expr:
    """The tree with every call's arguments counted, in order and complete, and its settings checked."""
    if isinstance(expr, Slice):
        return expr.with_bounds(lambda bound: folded(resolve(bound)))
    if not isinstance(expr, Call):
        return expr
    op = OPS.get(expr.op)
    if op is None:
        raise ExpressionError(f"unknown function '{expr.op}'{meant(expr)}", expr.position)
    args, attrs = _bind(expr, op, op.unpacked(tuple(map(resolve, expr.args))))
    return settled(Call(expr.op, args, tuple(attrs.items()), expr.position))


def folded(expr: Expr) -> Expr:
    """The whole number that arithmetic on written ones comes to, or ExpressionError; anything else as it stands."""
    if not isinstance(expr, Call) or (value := constant_value(expr)) is None:
        return expr
    if not value.is_integer():
        raise ExpressionError(f"'{unparse(expr)}' is no whole number", expr.position)
    return Num(int(value), expr.position)


def settled(call: Call) -> Call:
    """The call with whole numbers folded, and its settings as numbers, in order, without those at their default.

    What reads names waits.
    """
    op, attrs, settings = OPS[call.op], dict(call.attrs), []
    args = tuple(folded(arg) if op.accepts(at) == "i" else arg for at, arg in enumerate(call.args))
    for name, setting in op.settings.items():
        value = _constant(attrs[name], call, name) if name in attrs else setting.default
        if not isinstance(value, Expr) and not setting.fits(value):
            why = f"{name} of {call.op} must be {setting.wanted}, not {value!r}"
            if name not in attrs:
                why = f"{call.op} needs its setting '{name}', {setting.wanted}"
            raise ExpressionError(why, call.position)
        if value != setting.default:
            settings.append((name, value))
    return Call(call.op, args, tuple(settings), call.position)


def meant(call: Call) -> str:
    """A hint for who calls what is no function here."""
    known = {name: record.args for name, record in OPS.items() if not record.internal}
    args = [*map(unparse, call.args)]
    of = habits.derivative(call.op)
    rule = OPS[of].vjp[0] if of in known else None
    if isinstance(rule, str) and "{" not in rule:
        local = rule.removeprefix("g * ") if rule.startswith("g * ") else re.sub(r"\bg\b", "1", rule)
        return f"; the derivative of y = {of}({OPS[of].args[0]}) is written {local}"
    hint = habits.function(call.op, args, known) or did_you_mean(call.op, known) or habits.value(call.op, args)
    return hint or "; mathlab guide language lists what there is"


def _bind(call: Call, op: Op, args: tuple[Expr, ...]) -> tuple[tuple[Expr, ...], dict[str, Static]]:
    """The arguments in the op's order, with its defaults, and the settings, which may be given by place or by name."""
    attrs = dict(call.attrs)
    fixed = [name for name in op.args if not name.startswith("*")]
    named = [*op.settings] if op.variadic else [*fixed, *op.settings]
    # what stands beyond the arguments are settings, as in sum(x, 1); max(x, 0) and norm(x, 1) may mean another value
    order = fixed if call.op in ("max", "min", "norm") else named
    beyond = habits.BEYOND.get(call.op, "")
    for name in attrs:
        if name not in named:
            known = f"; it has {', '.join(named)}" if named else ""
            hint = did_you_mean(name, named) or beyond or known
            raise ExpressionError(f"{call.op} has no argument '{name}'{hint}", call.position)
    if op.variadic:
        if len(args) <= len(fixed) and op.args != ("*shape",):  # the shape of a single number has no sizes
            raise ExpressionError(f"{call.op} needs more than {len(args)} arguments", call.position)
        return args, attrs
    if len(args) > len(order):
        most = f"{len(order)} argument{'' if len(order) == 1 else 's'} ({', '.join(order)})"
        raise ExpressionError(f"{call.op} takes at most {most}, not {len(args)}{beyond}", call.position)
    given: dict[str, Static] = dict(zip(order, args, strict=False))
    for name, value in attrs.items():
        if name in given:
            raise ExpressionError(f"{call.op} is given {name} twice", call.position)
        given[name] = resolve(value) if isinstance(value, Expr) else value
    given = {**{name: Num(value, call.position) for name, value in op.defaults.items()}, **given}
    bound: list[Expr] = []
    for name in fixed:
        argument = given.get(name)
        if not isinstance(argument, Expr):
            wrong = f" as an expression, not as {argument!r}" if name in given else ""
            raise ExpressionError(f"{call.op} needs its argument '{name}'{wrong}", call.position)
        bound.append(argument)
    return tuple(bound), {name: value for name, value in given.items() if name in op.settings}


def _constant(value: Static, call: Call, name: str) -> Static:
    """The value of a setting; as it stands, where it reads what may yet turn out to be a whole number."""
    if not isinstance(value, Expr):
        return value
    if (written := written_value(value)) is not None:
        return written
    text = unparse(value)
    hint = f"; write {text.capitalize()}" if text.lower() in ("true", "false", "none") else ""
    if names(value) and not hint:
        return value
    raise ExpressionError(UNFIT.format(name, call.op, OPS[call.op].settings[name].wanted, text) + hint, call.position)


class Types:
    """The types of expressions over given names.

    `integral` are the names that may serve as class indices because all their entries are whole numbers; those that do
    are collected in `indices`.
    """

    def __init__(self, names: Mapping[str, Type], integral: Iterable[str] = ()) -> None:
        self.names = dict(names)
        self.integral = frozenset(integral)
        self.indices: set[str] = set()
        self._known: dict[Expr, Type] = {}

    def learning(self, equations: Iterable[Equation]) -> Types:
        """Types that know these names and what the equations define.

        Raises MathlabError, at the equation, where one does not fit; it is named unless its name is the engine's own,
        which begins with _.
        """
        types = Types(self.names, self.integral)
        types._known |= self._known
        for equation in equations:
            try:
                types.names[equation.name] = types.of(equation.expr)
            except ExpressionError as error:
                where = "" if equation.name.startswith("_") else f"in {equation.called}: "
                raise ExpressionError(f"{where}{error.message}", error.offset).at(equation.place) from None
        return types

    def of(self, expr: Expr) -> Type:
        """The type of `expr`. Raises ExpressionError, at the smallest part that does not fit."""
        if isinstance(expr, Call):
            known = self._known.get(expr)
            if known is None:
                known = self._known[expr] = self._call(expr)
            return known
        if isinstance(expr, Name):
            if expr.id not in self.names:
                raise ExpressionError(f"unknown name '{expr.id}'{did_you_mean(expr.id, self.names)}", expr.position)
            return self.names[expr.id]
        return Type((), "i" if isinstance(expr, Num) and isinstance(expr.value, int) else "f")

    def site(self, call: Call) -> Site:
        """The types around one call, for the rules of its derivative."""
        return Site(tuple(self.of(arg) for arg in call.args), self.of(call), call)

    def _call(self, call: Call) -> Type:
        op = OPS[call.op]
        constant_value(call)  # raises where arithmetic on written numbers comes to none
        for name, value in call.attrs:
            if isinstance(value, Expr):
                wanted = op.settings[name].wanted
                raise ExpressionError(UNFIT.format(name, call.op, wanted, unparse(value)), call.position)
        types = [self.of(arg) for arg in call.args]
        for position, (arg, type_) in enumerate(zip(call.args, types, strict=True)):
            classes = op.labels == position and type_.ndim < types[0].ndim
            if op.accepts(position) == "i" or classes:  # which must hold whole numbers
                self._use_as_index(arg, type_)
        try:
            shape = op.shape(types, call)
            default = op.settings["axis"].default if "axis" in op.settings else -1
            along = axes_of(types[0], dict(call.attrs).get("axis", default)) if op.needs_entries else ()
            if any(types[0].shape[axis] == 0 for axis in along):
                nothing = f"where there is nothing to run along, as in shape {types[0].shape},"
                raise ShapeError(f"{call.op} has no value {nothing}")
            arranged = types if op.args[0].startswith("*") else types[:1]
            kinds = {type_.kind for type_ in arranged}
            kind: Kind = op.kind if op.kind != "same" else kinds.pop() if len(kinds) == 1 else "f"
            if len(shape) > MOST_AXES:
                raise ShapeError(f"the result would have {len(shape)} axes, more than {MOST_AXES},")
            if math.prod(shape) > LARGEST:
                raise ShapeError(f"the result would have shape {shape}, more than {LARGEST:,} entries")
            return Type(shape, kind)
        except ShapeError as error:
            raise ShapeMismatch(f"{error} in '{unparse(call)}'", call.position) from None

    def _use_as_index(self, arg: Expr, type_: Type) -> None:
        if isinstance(arg, Slice | NewAxis) or type_.kind == "i":
            return
        named = arg.args[0] if isinstance(arg, Call) and arg.op == "index" else arg  # t, or t[0]
        if isinstance(named, Name) and named.id in self.integral:
            self.indices.add(named.id)
            return
        what = "none" if isinstance(arg, Name) else "computed"
        why = f", not {arg.value}" if isinstance(arg, Num) else f", and '{unparse(arg)}' is {what}"
        why += "; what a mask picks is written x * (x > 0)" if type_.kind == "b" else ""
        raise ExpressionError(f"an index must be a whole number{why}", arg.position)
