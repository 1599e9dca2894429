"""A readable program taken apart into single NumPy calls, without the memory that running it would take.

The calls are those that the readable program makes, in its order, so that their results are the same to the last bit;
only the layers above them are gone (`np.sum(x)` is `np.add.reduce(x)`, a kernel's lines stand for its call). Of an
array that changes only its layout is known; what never changes is computed.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mathlab.language.layout import Layout, of_elementwise, of_product, of_reduction
from mathlab.language.program import KERNELS
from mathlab.language.straight import Straight, parameters, straight

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
    """One result: the name by which lines read it, and what is known of it.

    `layout` is that of an array. `value` is that of what is `constant`, the same in every round, and an example for a
    single number. `base`: the slot of which this one is a view.
    """

    name: str
    value: object = None
    layout: Layout | None = None
    constant: bool = False
    base: Slot | None = None

    @classmethod
    def of(cls, name: str, value: object, constant: bool = False) -> Slot:
        """The slot for what is like `value`."""
        layout = Layout.of(value) if isinstance(value, np.ndarray) and value.ndim else None
        return cls(name, value if constant or layout is None else None, layout, constant)

    @property
    def root(self) -> Slot:
        """The slot that has the memory."""
        return self.base.root if self.base else self

    @property
    def shape(self) -> tuple[int, ...]:
        return self.layout.shape if self.layout else ()

    @property
    def example(self) -> object:
        """The value, or zeros of the same layout."""
        return self.layout.zeros() if self.layout and not self.constant else self.value

    @property
    def miniature(self) -> object:
        """As `example`, with an array's axes cut short."""
        return self.layout.miniature() if self.layout else self.value


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
        self.known: dict[tuple[str, tuple[Slot, ...]], Slot] = {}  # what a line computes is not computed again
        self.count = 0
        self.slots = {name: self.constant(slot.value) if slot.constant else slot for name, slot in inputs.items()}
        (function,) = ast.parse(program).body
        assert isinstance(function, ast.FunctionDef)
        with np.errstate(all="ignore"):
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
            return Slot.of(f"({value!r})", value, constant=True)
        slot = Slot.of(self.fresh("c"), value, constant=True)
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
                if exponent.layout:
                    return self.function("power", base, exponent)
                if base.layout and exponent.constant and type(exponent.value) in (int, float) and exponent.value == 2:
                    return self.function("square", base)  # which is what an array's x**2 is
                return self.emit("{0} ** {1}", base, exponent)
            case ast.BinOp(left=left, op=operator, right=right):
                return self.operator(operator, self.trace(left, scope), self.trace(right, scope))
            case ast.UnaryOp(op=operator, operand=operand):
                return self.operator(operator, self.trace(operand, scope))
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return self.operator(operator, self.trace(left, scope), self.trace(right, scope))
            case ast.IfExp(test=test, body=then, orelse=otherwise):
                return self.trace(then if self.holds(test, scope) else otherwise, scope)
            case ast.Attribute(value=ast.Name(id="math"), attr=name):
                return self.constant(getattr(math, name))
            case ast.Attribute(value=value, attr=attr):
                return self.emit(f"{{0}}.{attr}", self.trace(value, scope))
            case ast.Subscript(value=value, slice=index) if all(map(_is_basic, _items(index))):
                return self.emit(ast.unparse(ast.Subscript(ast.Name("{0}"), index)), self.trace(value, scope))
            case ast.Call(func=ast.Attribute(value=ast.Name(id="np"), attr=name), args=args, keywords=keywords):
                slots = [self.trace(arg, scope) for arg in args]
                found = self.numpy(name, slots, {k.arg: self.trace(k.value, scope).value for k in keywords})
                if found is not None:
                    return found
            case ast.Call(func=ast.Name(id=name), args=[arg]) if "out" in parameters(name):
                return self.kernel(name, self.trace(arg, scope))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if body := straight(name):
                inner = dict(zip(body.parameters, (self.trace(arg, scope) for arg in args), strict=False))
                return self.inline(body, inner | {k.arg: self.trace(k.value, scope) for k in keywords if k.arg})
        return self.whole(node, scope)

    def operator(self, operator: ast.AST, *operands: Slot) -> Slot:
        """A NumPy call for arrays; what is between numbers is left to Python, which is faster for one of them."""
        name, form = OPERATORS[type(operator)]
        if any(operand.layout for operand in operands):
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
            count = self.constant(math.prod(slots[0].shape) // max(math.prod(total.shape), 1))
            return self.operator(ast.Div(), total, count)
        if name == "ndim":
            return self.constant(len(slots[0].shape))
        if name == "outer" and all(len(slot.shape) == 1 for slot in slots):
            return self.function("multiply", self.emit("{0}[:, None]", slots[0]), self.emit("{0}[None, :]", slots[1]))
        return None

    def function(self, name: str, *operands: Slot) -> Slot:
        """A NumPy function of arrays, entry by entry or a matrix product."""
        function = getattr(np, name)
        self.space[f"__{name}"] = function
        operands = self._unboxed(operands)
        arguments = ", ".join(f"{{{k}}}" for k in range(len(operands)))
        # maximum and minimum want their third argument by name
        out = OUT.replace(" ", " out=") if name in ("maximum", "minimum") else OUT
        if all(operand.constant for operand in operands):
            return self.constant(function(*(operand.value for operand in operands)))
        shapes, small = [operand.shape for operand in operands], function(*(operand.miniature for operand in operands))
        layout = of_product(small, *shapes) if name == "matmul" else of_elementwise(small, *shapes)
        return self.add(small, layout, f"__{name}({arguments}{out})", *operands, elementwise=name != "matmul")

    def kernel(self, name: str, operand: Slot) -> Slot:
        """A kernel that computes entry by entry and can be told where to write."""
        function = KERNELS[name]
        if operand.constant:
            return self.constant(function(operand.value))
        small = function(operand.miniature)
        return self.add(small, of_elementwise(small, operand.shape), f"{name}({{0}}{OUT})", operand, elementwise=True)

    def _unboxed(self, operands: tuple[Slot, ...]) -> tuple[Slot, ...]:
        """The operands with constant numbers as arrays of the others' dtype, which NumPy reads faster than Python's."""
        dtypes = [slot.layout.dtype for slot in operands if slot.layout]
        if not dtypes or not np.issubdtype(dtypes[0], np.floating):
            return operands
        return tuple(
            self.constant(np.array(slot.value, dtypes[0]))
            if type(slot.value) in (int, float) and slot.constant
            else slot
            for slot in operands
        )

    def reduction(self, name: str, operand: Slot, settings: Mapping[str | None, object]) -> Slot:
        """A reduction, without the layers that `np.sum` has above it."""
        function = getattr(np, name).reduce
        self.space[f"__{name}_reduce"] = function
        axis, keepdims = settings.get("axis"), bool(settings.get("keepdims"))
        if operand.constant:
            return self.constant(function(operand.value, axis, None, None, keepdims))
        small = function(operand.miniature, axis, None, None, keepdims)
        result = f", None{OUT}, {keepdims}" if np.ndim(small) else ""
        layout = of_reduction(small, operand.shape, axis, keepdims)
        return self.add(small, layout, f"__{name}_reduce({{0}}, {axis!r}{result})", operand)

    def inline(self, body: Straight, given: Mapping[str, Slot]) -> Slot:
        """A kernel that is a list of assignments, as if it stood in the program."""
        scope = {name: self.constant(value) for name, value in body.defaults.items()} | dict(given)
        pending = list(body.statements)
        while True:
            match pending.pop(0):
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    scope[name] = self.trace(value, scope)
                case ast.If(test=test, body=then, orelse=otherwise):
                    pending[:0] = then if self.holds(test, scope) else otherwise
                case ast.Return(value=ast.expr() as value):
                    return self.trace(value, scope)

    def holds(self, test: ast.expr, scope: Mapping[str, Slot]) -> bool:
        """Whether a kernel's condition holds, which depends on shapes and settings alone."""
        slot = self.trace(test, scope)
        assert slot.constant
        return bool(slot.value)

    def whole(self, node: ast.expr, scope: Mapping[str, Slot]) -> Slot:
        """Anything else, as one line whose result is new memory in each round."""
        read = [part.id for part in ast.walk(node) if isinstance(part, ast.Name) and part.id in scope]
        places = {name: f"{{{k}}}" for k, name in enumerate(dict.fromkeys(read))}
        renamed = _Renamed(places).visit(ast.parse(ast.unparse(node), mode="eval"))
        return self.emit(ast.unparse(renamed), *(scope[name] for name in places))

    def emit(self, text: str, *operands: Slot) -> Slot:
        """A line for an expression that makes its own result, or a view of an operand."""
        examples = {f"_{k}": operand.example for k, operand in enumerate(operands)}
        example = eval(text.format(*examples), {**self.space, **examples})
        if all(operand.constant for operand in operands):
            return self.constant(example)
        made = Slot.of("", example)
        base = _base(example, dict(zip(operands, examples.values(), strict=True)))
        return self.add(made.value, made.layout, text, *operands, base=base)

    def add(
        self,
        value: object,
        layout: Layout | None,
        text: str,
        *operands: Slot,
        elementwise: bool = False,
        base: Slot | None = None,
    ) -> Slot:
        """A line whose result is an array of `layout`, or a number like `value`."""
        if layout is None:
            text = text.replace(OUT, "").replace(OUT.replace(" ", " out="), "")
        known = self.known.get((text, operands))
        if known is not None:
            return known
        slot = Slot(self.fresh("x"), None if layout else value, layout, base=base)
        self.known[text, operands] = slot
        self.lines.append(Line(slot, operands, text, elementwise))
        return slot


def _base(example: object, operands: Mapping[Slot, object]) -> Slot | None:
    """The operand whose memory a result is a view of."""
    if not isinstance(example, np.ndarray):
        return None
    arrays = ((slot, value) for slot, value in operands.items() if isinstance(value, np.ndarray) and slot.layout)
    return next((slot for slot, value in arrays if np.may_share_memory(example, value)), None)


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
