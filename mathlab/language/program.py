"""Equations -> one NumPy function. What this module compiles is what runs, and what `mathlab derive` prints.

Each equation becomes a line. A subexpression that is needed twice is computed once; an equation that no output needs is
left out; a mask or an integer that meets float arithmetic is made a float of the program's dtype first, so that nothing
is promoted in silence.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from traceback import walk_tb
from types import CodeType
from typing import TypeVar

import numpy as np

from mathlab.language import kernels, shapes
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.ops import EXACT, OPS
from mathlab.language.syntax import OPERATORS, Call, Expr, Name, NewAxis, Num, Slice, names, to_python

FUNCTION = "program"
SHORT = 13  # binary places: a written number that needs no more is exact in float32 too
FILE = "<the compiled program>"
KERNELS = {name: value for name, value in vars(kernels).items() if inspect.isfunction(value)}
PYTHON = {*OPERATORS, "neg"}  # what Python itself computes of written numbers
RESERVED = {"np", "math", "dtype", "slice", "shake", FUNCTION, *KERNELS}

Function = Callable[..., tuple[np.ndarray, ...]]
Line = tuple[str, ast.expr, Equation]  # name = value, and what it is a part of
Made = TypeVar("Made")


@dataclass(frozen=True)
class Program:
    """A compiled list of equations: call it with the values of `inputs`, in order, for those of `outputs`.

    `text` is the function's source; `lines` maps its line numbers to the equations they come from.
    """

    text: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    lines: Mapping[int, Equation]
    dtype: str

    @cached_property
    def function(self) -> Function:
        """The compiled function, over the inputs in order."""
        return self.bound({"np": np, "dtype": getattr(np, self.dtype), **KERNELS})

    def bound(self, namespace: Mapping[str, object]) -> Function:
        """The function with `np`, `dtype` and the kernels as in `namespace`."""
        space = dict(namespace)
        exec(_code(self.text), space)
        return space[FUNCTION]  # type: ignore[return-value]  # what exec has made

    def listing(self) -> str:
        """A module that runs on its own: the imports, the kernels that the program calls, and the program."""
        kernels = [_source(name) for name in _kernels_in(self.text)]
        maths = "import math\n\n" if any("math." in kernel for kernel in kernels) else ""
        imports = f"{maths}import numpy as np\n"
        return "\n\n".join([imports, f"dtype = np.{self.dtype}\n", *(f"{kernel}\n" for kernel in kernels), self.text])

    def equation_at(self, error: BaseException) -> Equation | None:
        """The equation whose line raised `error`."""
        at = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == FILE]
        return self.lines.get(at[-1]) if at else None


def compile_program(
    equations: Sequence[Equation], types: Types, outputs: Sequence[str], dtype: str, shaken: bool = False
) -> Program:
    """The function that computes `outputs` from the names that the equations read but do not define.

    With `shaken`, the function takes one more argument in front, `shake`, and passes the value of every op and written
    number through it where it rounds: so the noise of rounding can be made visible.
    """
    defined = {*leading_to(outputs, {equation.name: names(equation.expr) for equation in equations})}
    needed = [equation for equation in equations if equation.name in defined]
    writer = _Writer(needed, types, shaken)
    for equation in needed:
        writer.write(equation)
    read = dict.fromkeys((*(name for equation in needed for name in names(equation.expr)), *outputs))
    inputs = tuple(name for name in read if name not in defined)
    arguments, results = map(python_name, inputs), ", ".join(map(python_name, outputs))
    text = [f"def {FUNCTION}({', '.join(['shake', *arguments] if shaken else arguments)}):"]
    text += [f"{name} = {ast.unparse(value)}" for name, value, _ in writer.lines]
    text.append(f"return ({results},)" if len(outputs) == 1 else f"return ({results})")
    lines = {number: equation for number, (_, _, equation) in enumerate(writer.lines, start=2)}  # below the head
    return Program("\n    ".join(text) + "\n", inputs, tuple(outputs), lines, dtype)


def _called(function: str, *args: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(function), [*args], [])


@lru_cache(256)
def _code(source: str) -> CodeType:
    return compile(source, FILE, "exec")


def leading_to(ends: Iterable[Made], reads: Mapping[Made, Iterable[Made]]) -> list[Made]:
    """What some ends depend on, in order, given what each thing that is made reads."""
    wanted, kept = {*ends}, []
    for made in reversed([*reads]):
        if made in wanted:
            kept.append(made)
            wanted.update(reads[made])
    return kept[::-1]


def python_name(name: str) -> str:
    """A name that cannot hide NumPy or a kernel inside the program."""
    return f"{name}_" if name.rstrip("_") in RESERVED else name  # np is np_, and np_ then np__


class _Writer:
    """Lowers expressions to Python, one equation after the other, remembering what is already computed."""

    def __init__(self, equations: Sequence[Equation], types: Types, shaken: bool) -> None:
        self.types = types
        self.shaken = shaken
        self.shared = _shared(equations)
        self.computed: dict[Expr, str] = {}
        self.lines: list[Line] = []
        self.count = 0

    def write(self, equation: Equation) -> None:
        """Add the lines of an equation."""
        expr, name = equation.expr, python_name(equation.name)
        self.equation = equation
        value = self.lower(expr, name)
        known = self.types.names.get(equation.name)
        # the gradient of sum(relu(x)) is a mask, and is to be floats as every gradient
        masked = known is not None and known.kind == "f" and self.types.of(expr).kind != "f"
        if masked or _is_written(expr):  # nor is a node ever one of Python's own numbers
            value = _called("dtype", value)
        self.lines.append((name, value, equation))

    def lower(self, expr: Expr, root: str = "") -> ast.expr:
        """The Python expression for `expr`; `root` is the name that it is about to be given."""
        if isinstance(expr, Call) and expr in self.computed:
            return ast.Name(self.computed[expr])
        if isinstance(expr, Name):
            return ast.Name(python_name(expr.id))
        value = self._call(expr) if isinstance(expr, Call) else to_python(expr)
        endless = isinstance(expr, Num) and expr.value * 2**SHORT % 1 != 0  # as 0.1 is in binary
        rounded = isinstance(expr, Call) and expr.op not in EXACT and self.types.of(expr).kind == "f"
        if self.shaken and (endless or rounded):
            value = _called("shake", value)
        if isinstance(expr, Call) and root:
            self.computed.setdefault(expr, root)
        elif expr in self.shared:
            return self._temporary(value, expr)
        return value

    def _temporary(self, value: ast.expr, expr: Expr) -> ast.expr:
        self.count += 1
        self.computed[expr] = name = f"_{self.count}"
        self.lines.append((name, value, self.equation))
        return ast.Name(name)

    def _call(self, call: Call) -> ast.expr:
        op, args = OPS[call.op], self._arguments(call)
        if call.op == "index":
            items = args[1:]
            return ast.Subscript(args[0], items[0] if len(items) == 1 else ast.Tuple(items))
        if call.op == "scatter":
            shape = ast.Tuple([ast.Constant(n) for n in self.types.of(call.args[1]).shape])
            return _called("scatter", args[0], shape, ast.Tuple([*map(_as_slice_call, args[2:])]))
        if call.op in OPERATORS:
            return ast.BinOp(args[0], OPERATORS[call.op], args[1])
        if call.op == "array" and all(isinstance(arg, Num) for arg in call.args):
            kind = [ast.Name("dtype")] if self.types.of(call).kind == "f" else []
            return ast.Call(ast.Attribute(ast.Name("np"), "array"), [ast.List(args), *kind], [])
        given = dict(call.attrs)
        values = {name: ast.parse(repr(value), mode="eval").body for name, value in given.items()}
        for position, name in enumerate(op.args):
            if name.startswith("*"):
                values[name[1:]] = ast.Tuple(args[position:])
                continue
            values[name] = arg = args[position]
            if not isinstance(arg, ast.Name | ast.Constant) and len(re.findall(rf"\b{name}\b", op.numpy)) > 1:
                values[name] = self._temporary(arg, call.args[position])
        template = op.numpy
        for name in op.settings.keys() - given:  # what is at its default is left away
            template = re.sub(rf", \w+={name}\b", "", template)
        return _Filling(values).visit(ast.parse(template, mode="eval").body)  # type: ignore[no-any-return]

    def _arguments(self, call: Call) -> list[ast.expr]:
        """The arguments as Python, with masks and integers made floats where the op computes with floats."""
        op, kinds = OPS[call.op], [self.types.of(arg).kind for arg in call.args]
        some_floats = any(kind == "f" and not _is_written(arg) for arg, kind in zip(call.args, kinds, strict=True))
        joins = call.op in ("array", "concat", "stack")
        lowered = []
        for position, (arg, kind) in enumerate(zip(call.args, kinds, strict=True)):
            if joins:
                fits = kind == self.types.of(call).kind and not (kind == "f" and _is_written(arg))
            elif _is_written(arg):  # operators leave Python's own numbers weak; functions do not
                weak = some_floats or call.op in PYTHON or isinstance(arg, Slice | NewAxis)
                fits = weak or "f" not in op.accepts(position)
            else:  # a mask times a mask, or times 2, would leave the floats
                fits = kind in op.accepts(position) and (call.op != "mul" or kind != "b" or some_floats)
            value = self.lower(arg)
            lowered.append(value if fits else _called("dtype", value))
        return lowered


@lru_cache(maxsize=10_000)  # asked at every level of an expression
def _is_written(expr: Expr) -> bool:
    """Whether Python itself computes an expression: a number, a slice, or arithmetic on written numbers alone."""
    if isinstance(expr, Call):
        return expr.op in PYTHON and all(_is_written(arg) for arg in expr.args)
    return isinstance(expr, Num | Slice | NewAxis)


def _shared(equations: Sequence[Equation]) -> frozenset[Expr]:
    """The calls that stand in the equations more than once, counting a repeated one's inside only once."""
    counts: Counter[Call] = Counter()
    pending: list[Expr] = [equation.expr for equation in equations]
    while pending:
        if isinstance(expr := pending.pop(), Call):
            counts[expr] += 1
            if counts[expr] == 1:
                pending.extend(expr.args)
    return frozenset(expr for expr, count in counts.items() if count > 1 and not OPS[expr.op].cheap)


class _Filling(ast.NodeTransformer):
    """A template with values put in."""

    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node)


def _as_slice_call(item: ast.expr) -> ast.expr:
    """A slice as it must be written outside of square brackets."""
    if not isinstance(item, ast.Slice):
        return item
    return _called("slice", *(bound or ast.Constant(None) for bound in (item.lower, item.upper, item.step)))


def _kernels_in(text: str) -> list[str]:
    """The kernels that a program calls, and those that they call, callees first."""
    found: dict[str, None] = {}
    for name in KERNELS:
        if re.search(rf"\b{name}[(,]", text) and f"def {name}(" not in text:
            found |= dict.fromkeys([*_kernels_in(_source(name)), name])
    return [*found]


@cache
def _source(name: str) -> str:
    """A kernel's source without its annotations, which need this package to make sense."""
    tree = ast.parse(inspect.getsource(KERNELS[name])).body[0]
    assert isinstance(tree, ast.FunctionDef)
    tree.returns = None
    for argument in tree.args.args:
        argument.annotation = None
    return ast.unparse(tree)


@cache
def one_op(name: str) -> Callable[..., np.ndarray]:
    """An op as a function of its arguments and settings: what the program does, one op at a time."""
    op = OPS[name]
    last = op.shape is shapes.along_axis  # without an axis it is the last one, as the kernels have it
    defaults = {key: -1 if last and key == "axis" else setting.default for key, setting in op.settings.items()}
    settings = [f"{key}={default!r}" for key, default in defaults.items()]
    namespace: dict[str, object] = {"np": np, "dtype": np.float64, **KERNELS}
    made: Callable[..., np.ndarray] = eval(f"lambda {', '.join((*op.args, *settings))}: {op.numpy}", namespace)
    # a mask is made a float, as the program does where it meets floats
    return (lambda *args: np.asarray(made(*args), np.float64)) if op.kind == "b" else made
