"""A readable program taken apart into single NumPy calls, by running it once on sample values.

The calls are those that the readable program makes, in its order, so that their results are the same to the last bit;
only the layers above them are gone (`np.sum(x)` is `np.add.reduce(x)`, a kernel's lines stand for its call).
"""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from mathlab.experiment import Array
from mathlab.language.program import KERNELS

# an operator's NumPy function, and how Python writes it between two numbers
OPERATORS: Mapping[type[ast.AST], tuple[str, str]] = {
    ast.Add: ("add", "{} + {}"),
    ast.Sub: ("subtract", "{} - {}"),
    ast.Mult: ("multiply", "{} * {}"),
    ast.Div: ("divide", "{} / {}"),
    ast.MatMult: ("matmul", "{} @ {}"),
    ast.USub: ("negative", "-{}"),
    ast.Gt: ("greater", "{} > {}"),
    ast.GtE: ("greater_equal", "{} >= {}"),
    ast.Lt: ("less", "{} < {}"),
    ast.LtE: ("less_equal", "{} <= {}"),
    ast.Eq: ("equal", "{} == {}"),
    ast.NotEq: ("not_equal", "{} != {}"),
}
REDUCTIONS = {"sum": "add", "max": "maximum", "min": "minimum"}
OUT, MEMORY = ", <memory>", "<memory>"  # how a line says that its result goes to memory given to it
GLOBALS: Mapping[str, object] = {"np": np, "math": math, **KERNELS}


@dataclass(eq=False)
class Slot:
    """One result: the name by which lines read it, and its value in the tracing run.

    `constant`: the same in every round. `base`: the slot of which this one is a view.
    """

    name: str
    sample: object
    constant: bool = False
    base: Slot | None = None

    @property
    def root(self) -> Slot:
        """The slot that has the memory."""
        return self.base.root if self.base else self

    @property
    def is_array(self) -> bool:
        return isinstance(self.sample, np.ndarray) and self.sample.ndim > 0

    @property
    def array(self) -> Array:
        return np.asarray(self.sample)


@dataclass(eq=False)
class Line:
    """`text`, with the operands' names for {0}, {1} and so on, computes `target`.

    Where it holds `MEMORY`, the result goes to memory given to it; an `elementwise` call may write over an operand of
    the same shape.
    """

    target: Slot
    operands: tuple[Slot, ...]
    text: str
    elementwise: bool = False

    @property
    def writes(self) -> bool:
        return MEMORY in self.text


class Trace:
    """The lines of a program. `slots` maps the names of the program to their results, `space` holds what lines call."""

    def __init__(self, program: str, dtype: str, inputs: Mapping[str, Slot]) -> None:
        self.space: dict[str, object] = {"dtype": getattr(np, dtype), **GLOBALS}
        self.lines: list[Line] = []
        self.count = 0
        self.slots = {name: self.constant(slot.sample) if slot.constant else slot for name, slot in inputs.items()}
        (function,) = ast.parse(program).body
        assert isinstance(function, ast.FunctionDef)
        for statement in function.body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                self.slots[statement.targets[0].id] = self.trace(statement.value, self.slots)

    def fresh(self, kind: str) -> str:
        """A name that the program does not have: its own begin with a letter, or with `_` and a digit or a word."""
        self.count += 1
        return f"__{kind}{self.count}"

    def constant(self, value: object) -> Slot:
        """A slot for what never changes; plain numbers are written out."""
        if value is None or (type(value) in (int, bool)) or (type(value) is float and math.isfinite(value)):
            return Slot(f"({value!r})", value, constant=True)
        slot = Slot(self.fresh("c"), value, constant=True)
        self.space[slot.name] = value
        return slot

    def trace(self, node: ast.expr, scope: Mapping[str, Slot]) -> Slot:
        """The slot of an expression whose names stand for the slots in `scope`."""
        match node:
            case ast.Name(id=name):
                return scope[name] if name in scope else self.constant(self.space[name])
            case ast.Constant(value=value):
                return self.constant(value)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                base, exponent = self.trace(left, scope), self.trace(right, scope)
                if exponent.is_array:
                    return self.function("power", base, exponent)
                if base.is_array and type(exponent.sample) in (int, float) and exponent.sample == 2:
                    return self.function("square", base)  # which is what an array's x**2 is
                return self.emit("{0} ** {1}", base, exponent)
            case ast.BinOp(left=left, op=operator, right=right):
                return self.operator(operator, self.trace(left, scope), self.trace(right, scope))
            case ast.UnaryOp(op=operator, operand=operand):
                return self.operator(operator, self.trace(operand, scope))
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return self.operator(operator, self.trace(left, scope), self.trace(right, scope))
            case ast.Attribute(value=ast.Name(id="math"), attr=name):
                return self.constant(getattr(math, name))
            case ast.Attribute(value=value, attr=attr):
                return self.emit(f"{{0}}.{attr}", self.trace(value, scope))
            case ast.Subscript(value=value, slice=index) if all(map(_is_basic, _items(index))):
                return self.emit(ast.unparse(ast.Subscript(ast.Name("{0}"), index)), self.trace(value, scope))
            case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr=name), args=args, keywords=keywords):
                slots = [self.trace(arg, scope) for arg in args]
                found = self.numpy(name, slots, {k.arg: self.trace(k.value, scope).sample for k in keywords})
                if found is not None:
                    return found
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if body := straight(name):
                inner = dict(zip(body.parameters, (self.trace(arg, scope) for arg in args), strict=False))
                return self.inline(body, inner | {k.arg: self.trace(k.value, scope) for k in keywords if k.arg})
        return self.whole(node, scope)

    def operator(self, operator: ast.AST, *operands: Slot) -> Slot:
        """A NumPy call for arrays; what is between numbers is left to Python, which is faster for one of them."""
        name, form = OPERATORS[type(operator)]
        if any(operand.is_array for operand in operands):
            return self.function(name, *operands)
        return self.emit(form.format(*(f"{{{k}}}" for k in range(len(operands)))), *operands)

    def numpy(self, name: str, slots: list[Slot], settings: Mapping[str | None, object]) -> Slot | None:
        """A call of a NumPy function that can be told where to write, or that is one in other words."""
        if isinstance(getattr(np, name, None), np.ufunc) and not settings:
            return self.function(name, *slots)
        if name in REDUCTIONS:
            return self.reduction(REDUCTIONS[name], slots[0], settings)
        if name == "mean":
            total = self.reduction("add", slots[0], settings)
            count = self.constant(slots[0].array.size // max(total.array.size, 1))
            return self.operator(ast.Div(), total, count)
        if name == "outer" and all(slot.array.ndim == 1 for slot in slots):
            return self.function("multiply", self.emit("{0}[:, None]", slots[0]), self.emit("{0}[None, :]", slots[1]))
        return None

    def function(self, name: str, *operands: Slot) -> Slot:
        """A NumPy function of arrays, entry by entry or a matrix product."""
        function = getattr(np, name)
        self.space[f"__{name}"] = function
        operands = self._unboxed(operands)
        arguments = ", ".join(f"{{{k}}}" for k in range(len(operands)))
        sample = function(*(operand.sample for operand in operands))
        # maximum and minimum want their third argument by name
        out = OUT.replace(" ", " out=") if name in ("maximum", "minimum") else OUT
        return self.add(sample, f"__{name}({arguments}{out})", *operands, elementwise=name != "matmul")

    def _unboxed(self, operands: tuple[Slot, ...]) -> tuple[Slot, ...]:
        """The operands with constant numbers as arrays of the others' dtype, which NumPy reads faster than Python's."""
        dtypes = [slot.array.dtype for slot in operands if slot.is_array]
        if not dtypes or not np.issubdtype(dtypes[0], np.floating):
            return operands
        return tuple(
            self.constant(np.array(slot.sample, dtypes[0]))
            if type(slot.sample) in (int, float) and slot.constant
            else slot
            for slot in operands
        )

    def reduction(self, name: str, operand: Slot, settings: Mapping[str | None, object]) -> Slot:
        """A reduction, without the layers that `np.sum` has above it."""
        function = getattr(np, name).reduce
        self.space[f"__{name}_reduce"] = function
        axis, keepdims = settings.get("axis"), bool(settings.get("keepdims"))
        sample = function(operand.sample, axis, None, None, keepdims)
        result = f", None{OUT}, {keepdims}" if np.ndim(sample) else ""
        return self.add(sample, f"__{name}_reduce({{0}}, {axis!r}{result})", operand)

    def inline(self, body: Straight, given: Mapping[str, Slot]) -> Slot:
        """A kernel that is a list of assignments, as if it stood in the program."""
        scope = {name: self.constant(value) for name, value in body.defaults.items()} | dict(given)
        for name, value in body.statements.items():
            scope[name] = self.trace(value, scope)
        return self.trace(body.result, scope)

    def whole(self, node: ast.expr, scope: Mapping[str, Slot]) -> Slot:
        """Anything else, as one line whose result is new memory in each round."""
        read = [part.id for part in ast.walk(node) if isinstance(part, ast.Name) and part.id in scope]
        places = {name: f"{{{k}}}" for k, name in enumerate(dict.fromkeys(read))}
        renamed = _Renamed(places).visit(ast.parse(ast.unparse(node), mode="eval"))
        return self.emit(ast.unparse(renamed), *(scope[name] for name in places))

    def emit(self, text: str, *operands: Slot) -> Slot:
        """A line for an expression that makes its own result."""
        samples = {f"_{k}": operand.sample for k, operand in enumerate(operands)}
        return self.add(eval(text.format(*samples), {**self.space, **samples}), text, *operands)

    def add(self, sample: object, text: str, *operands: Slot, elementwise: bool = False) -> Slot:
        """A line whose result is known; or a constant, where all that it reads is constant."""
        if all(operand.constant for operand in operands):
            return self.constant(sample)
        if not np.ndim(np.asarray(sample)):
            text = text.replace(OUT, "").replace(OUT.replace(" ", " out="), "")
        slot = Slot(self.fresh("x"), sample, base=None if MEMORY in text else _base(sample, operands))
        self.lines.append(Line(slot, operands, text, elementwise))
        return slot


def _base(sample: object, operands: tuple[Slot, ...]) -> Slot | None:
    """The operand whose memory a result is a view of."""
    if not isinstance(sample, np.ndarray):
        return None
    shared = (slot for slot in operands if slot.is_array and np.may_share_memory(sample, slot.array))
    return next(shared, None)


class _Renamed(ast.NodeTransformer):
    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self.names.get(node.id, node.id))


def _items(index: ast.expr) -> list[ast.expr]:
    return index.elts if isinstance(index, ast.Tuple) else [index]


def _is_basic(item: ast.expr) -> bool:
    """Whether an index item is written out, so that indexing makes a view."""
    return isinstance(item, ast.Slice | ast.Constant) or (
        isinstance(item, ast.UnaryOp) and isinstance(item.operand, ast.Constant)
    )


@dataclass(frozen=True)
class Straight:
    """The body of a kernel without branches."""

    parameters: tuple[str, ...]
    defaults: Mapping[str, object]
    statements: Mapping[str, ast.expr]
    result: ast.expr


@cache
def straight(name: str) -> Straight | None:
    """The body of the kernel `name`, when it is a list of assignments and a result."""
    if name not in KERNELS:
        return None
    definition = ast.parse(inspect.getsource(KERNELS[name])).body[0]
    assert isinstance(definition, ast.FunctionDef)
    statements = definition.body[1:]  # after the docstring
    branches = (ast.IfExp, ast.If, ast.Lambda, ast.For)
    if any(isinstance(part, branches) for part in ast.walk(definition)) or not isinstance(statements[-1], ast.Return):
        return None
    result = statements.pop()
    assert isinstance(result, ast.Return)
    assert result.value
    assigned = {}
    for statement in statements:
        if not (isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)):
            return None
        assigned[statement.targets[0].id] = statement.value
    parameters = tuple(inspect.signature(KERNELS[name]).parameters.values())
    defaults = {p.name: p.default for p in parameters if p.default is not inspect.Parameter.empty}
    return Straight(tuple(p.name for p in parameters), defaults, assigned, result.value)
