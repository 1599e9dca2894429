"""A program recorded: the NumPy calls that a round makes, each with what it reads and what it gives.

The readable program itself runs, once, on stand-ins, and each call that meets what changes between rounds is written
down as a line. The call is made too, on zeros that lie in memory as the array does, so that dtype, shape, memory order,
and what is a view of what, are NumPy's own answers. What meets nothing that changes is computed then and there.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType

import numpy as np
from numpy.typing import NDArray

from mathlab.language.kernels import OPAQUE, WITH_OUT, copied
from mathlab.language.program import KERNELS, Program

Array = NDArray[np.floating]
Memory = NDArray[np.uint8]
Function = Callable[..., Array]  # or a number
# an operator's function for arrays, and its function between two numbers, which is faster there
BETWEEN: Mapping[Function, Function] = {
    np.add: operator.add, np.subtract: operator.sub, np.multiply: operator.mul, np.divide: operator.truediv,
    np.power: operator.pow, np.negative: operator.neg, np.equal: operator.eq, np.not_equal: operator.ne,
    np.greater: operator.gt, np.greater_equal: operator.ge, np.less: operator.lt, np.less_equal: operator.le,
}  # fmt: skip


def where_by_bits(c: Array, a: Array, b: Array, out: Array | None = None) -> Array:
    """np.where; of many entries by their bits, b ^ ((a ^ b) & mask), so that the processor need not guess of each."""
    if out is None or out.size < 1000:
        return copied(np.where(c, a, b), out)
    bits = f"i{out.itemsize}"
    a, b, made = (np.asarray(part, out.dtype).view(bits) for part in (a, b, out))
    np.bitwise_xor(a, b, made)
    made &= -np.asarray(c, bool).view(np.int8)
    made ^= b
    return out


# the ufunc that is a function without the layers above it, and of up to how many columns it goes from one to the next:
# along a short axis NumPy is slow, and up to 7 entries it adds in this order
REDUCTIONS = {np.sum: (np.add, 7), np.max: (np.maximum, 32), np.min: (np.minimum, 32)}
MEASURES = (np.ndim, np.shape, np.size, np.result_type)  # which read no entry
FILLED = (np.ones_like, np.zeros_like)  # nor do these
# functions that take an array to write to, which may not be one that they read
TAKING_OUT = (np.concatenate, np.stack, np.argmax, np.argmin, np.dot, np.einsum, where_by_bits, *WITH_OUT)
TRANSPOSED, EACH_TRANSPOSED = operator.attrgetter("T"), operator.attrgetter("mT")


@dataclass(frozen=True)
class Strided:
    """An array's shape and dtype, and the bytes from one entry to the next along each axis."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    strides: tuple[int, ...]

    @functools.cached_property  # asked again and again while memory is handed on
    def size(self) -> int:
        """The bytes from the first entry to the last."""
        reach = sum((n - 1) * abs(step) for n, step in zip(self.shape, self.strides, strict=True))
        return (reach + self.dtype.itemsize) * (math.prod(self.shape) > 0)

    def array(self, memory: Memory) -> Array:
        """An array that lies so in some memory of its size."""
        first = sum((1 - n) * step for n, step in zip(self.shape, self.strides, strict=True) if step < 0 < n)
        return np.ndarray(self.shape, self.dtype, memory, first, self.strides)


@dataclass(eq=False)
class Slot(np.lib.mixins.NDArrayOperatorsMixin):
    """What stands for an array, with its `layout`, or for a number, and is what one line gives.

    Lines read it by its `name`. `value` is that of a `constant`, the same in every round, and an example of another
    number. A line's `text` reads `operands`, and may write `over` one of them. A view has no line, but a `base`, of
    which `view` makes it. Whether two slots are the same is asked with `is`: `==` between them is one more line.
    """

    tape: Tape
    name: str
    value: object
    constant: bool = False
    operands: tuple[Slot, ...] = ()
    text: str = ""
    over: bool = False
    base: Slot | None = None
    view: Callable[[object], Array] | None = None
    __hash__ = object.__hash__

    def __post_init__(self) -> None:
        self.root: Slot = self if self.base is None else self.base.root  # the slot that has the memory
        self.layout: Strided | None = None
        if isinstance(self.value, np.ndarray) and self.value.ndim:
            self.layout = Strided(self.value.shape, self.value.dtype, self.value.strides)
            self.value = self.value if self.constant else None

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *args: object, **settings: object) -> object:
        return NotImplemented if settings or method != "__call__" else self.tape.ufunc(ufunc, args)

    def __getitem__(self, index: object) -> Slot:
        return self.tape.call(operator.getitem, (self, index))

    T = property(lambda self: self.tape.call(TRANSPOSED, (self,)))
    mT = property(lambda self: self.tape.call(EACH_TRANSPOSED, (self,)))

    def _refuse(self, *_: object) -> bool:
        raise TypeError("what changes between rounds cannot be looked at while a program is recorded")

    __bool__ = __iter__ = __len__ = __float__ = __index__ = __array__ = _refuse


@dataclass(frozen=True)
class Recorded:
    """A function that is written down where the program calls it; or NumPy, all of whose functions are."""

    tape: Tape
    function: Function

    def __call__(self, *args: object, **named: object) -> object:
        return self.tape.function(self.function, args, named)

    def __getattr__(self, name: str) -> Recorded:
        return Recorded(self.tape, getattr(self.function, name))


class Tape:
    """The `lines` of a program, and the `functions` that they call, by the names that these have in them."""

    def __init__(self) -> None:
        self.lines: list[Slot] = []
        self.functions: dict[str, Function] = {}
        self.names: dict[Function, str] = {}
        self.known: dict[object, Slot] = {}  # what is computed is not computed again
        self.zeros = np.zeros(0, np.uint8)  # the memory of all examples
        self.space: dict[str, object] = {"np": Recorded(self, np), "math": math}  # type: ignore[arg-type]  # as said
        for name, kernel in KERNELS.items():  # played, as the program is, or called whole
            played = FunctionType(kernel.__code__, self.space, name, kernel.__defaults__)
            self.space[name] = Recorded(self, kernel) if kernel in OPAQUE else played

    def play(self, program: Program, inputs: Mapping[str, Slot]) -> dict[str, Slot]:
        """Run the program on its inputs' slots; those of its outputs."""
        run = program.bound({**self.space, "dtype": Recorded(self, getattr(np, program.dtype))})
        with np.errstate(all="ignore"):
            values = run(*(inputs[name] for name in program.inputs))
        self.zeros = np.zeros(0, np.uint8)
        return dict(zip(program.outputs, _slots(values), strict=True))

    def slot(self, value: object, constant: bool = False, key: object = None) -> Slot:
        """The slot of an input that is, or is like, a value; the same for the same `key`."""
        key = len(self.known) if key is None else key
        return self.known.setdefault(key, Slot(self, f"i{len(self.known)}", value, constant))

    def ufunc(self, ufunc: np.ufunc, args: Sequence[object]) -> Slot:
        """A ufunc of arrays or numbers."""
        layouts = [arg.layout for arg in args if isinstance(arg, Slot) and arg.layout]
        shapes = [*map(_shape, args)]
        if ufunc is np.matmul and min(map(len, shapes)) > 1 and shapes[0][-1] == 1:  # one product for each entry
            if max(map(len, shapes)) == 2 and min(shapes[0][0], shapes[1][1]) > 1:
                return self.call(np.dot, args, out=", out={}", over=False)  # which is faster here
            return self.ufunc(np.add, (self.ufunc(np.multiply, args), 0))  # as in a sum no -0
        by_number = ufunc is np.power and not shapes[1]  # which an array has shorter ways for
        if by_number and layouts and type(args[1]) in (int, float) and args[1] == 2:
            return self.ufunc(np.square, args[:1])
        if by_number or (not layouts and ufunc in BETWEEN):
            return self.call(BETWEEN[ufunc], args)
        if layouts and np.issubdtype(dtype := layouts[0].dtype, np.floating):
            args = [  # for NumPy reads an array faster than Python's number
                self.slot(np.array(arg, dtype), True, (repr(arg), dtype)) if type(arg) in (int, float) else arg
                for arg in args
            ]
        # maximum and minimum want their third argument by name
        out = ", out={}" if ufunc in (np.maximum, np.minimum) else ", {}"
        return self.call(ufunc, args, out=out, over=ufunc is not np.matmul)

    def function(self, function: Function, args: Sequence[object], named: Mapping[str, object]) -> object:
        """Any function: in calls of ufuncs, if it is one in other words."""
        if function in MEASURES:
            return function(*map(self.example, args))
        if isinstance(function, np.ufunc) and not named:
            return self.ufunc(function, args)
        if function is np.outer and all(len(_shape(arg)) == 1 for arg in args):
            a, b = _slots(args)
            return self.ufunc(np.matmul, (a[:, None], b[None, :]))
        if function in (np.mean, np.var, np.std):  # by lines of their own, which the program may have already
            (of,), ddof = _slots(args), named.get("ddof", 0)
            along = {name: value for name, value in named.items() if name != "ddof"}
            if function is not np.mean:
                of = self.ufunc(np.square, [of - self.function(np.mean, [of], {**along, "keepdims": True})])
            total = self.function(np.sum, [of], along)
            count = math.prod(_shape(of)) // max(math.prod(_shape(total)), 1)
            made = self.ufunc(np.divide, (total, count - ddof))  # type: ignore[operator]  # a whole number
            return self.ufunc(np.sqrt, [made]) if function is np.std else made
        if function in REDUCTIONS:
            (ufunc, few), (of,) = REDUCTIONS[function], _slots(args)
            *rows, columns = _shape(of) or (0,)
            if named.get("axis") in (-1, len(rows)) and 0 < columns <= min(few, math.prod(rows) // 32):
                total = functools.reduce(lambda a, b: self.ufunc(ufunc, (a, b)), (of[..., k] for k in range(columns)))
                return total[..., None] if named.get("keepdims") else total
            return self.call(ufunc.reduce, args, {"axis": None, **named}, out=", out={}", over=False)
        function = where_by_bits if function is np.where else function
        out = ", out={}" if function in (np.clip, *TAKING_OUT) else ""
        return self.call(function, args, named, out=out, over=function not in TAKING_OUT)

    def call(
        self,
        function: Function,
        args: Sequence[object],
        named: Mapping[str, object] = {},
        out: str = "",
        over: bool = True,
    ) -> Slot:
        """What a line gives that calls `function`.

        `out` is how the function is told where to write, if it can be told; `over` says whether that may be an operand.
        """
        given = [*map(self.text, args), *(f"{name}={self.text(value)}" for name, value in named.items())]
        text = f"{self.text(function)}({', '.join(given)})"
        if text not in self.known:
            self.known[text] = made = self._result(function, args, named)
            if made.constant or made.base is not None:
                return made
            made.over = over
            if not made.layout:
                copy = ".copy()" if isinstance(made.value, np.ndarray) else ""
                made.text = f"{made.name} = {text}{copy}"
            elif out:
                made.text = f"{text[:-1]}{out.format(made.name)})"
            else:  # a type converts, which NumPy does on the way
                made.text = f"copyto({made.name}, {given[0] if isinstance(function, type) else text})"
            self.lines.append(made)
        return self.known[text]

    def _result(self, function: Function, args: Sequence[object], named: Mapping[str, object]) -> Slot:
        """The slot of what a call gives: a constant, a view, or what still needs its line."""
        name, operands, values = f"x{len(self.known)}", tuple(dict.fromkeys(_slots(args))), [*map(self.example, args)]
        settings = {key: self.example(value) for key, value in named.items()}
        if function in FILLED or all(operand.constant for operand in operands):
            return Slot(self, name, function(*values, **settings), constant=True)
        if function is np.matmul:  # what it gives lies as it does with one product for each entry
            a, b = map(np.asarray, values)
            values = [a[..., :1], b[:1] if b.ndim == 1 else b[..., :1, :]]
        result = function(*values, **settings)
        changing, rest = [operand for operand in operands if not operand.constant], values[1:]
        shared = isinstance(result, np.ndarray) and result.ndim and np.may_share_memory(result, self.zeros)
        if shared and len(changing) == 1:  # of what is a view, that is the first argument
            return Slot(self, name, result, base=changing[0], view=lambda base: function(base, *rest, **settings))
        return Slot(self, name, result, operands=operands)

    def text(self, value: object) -> str:
        """How a line reads a value, or calls a function."""
        if isinstance(value, Slot):
            return value.name
        if isinstance(value, list | tuple):
            return f"({''.join(f'{self.text(part)}, ' for part in value)})"
        if isinstance(value, float) and not math.isfinite(value):
            return f"float('{value}')"
        if not callable(value):
            return f"({value!r})"
        function = value.function if isinstance(value, Recorded) else value
        name = self.names.setdefault(function, f"{getattr(function, '__name__', 'part')}_{len(self.names)}")
        self.functions[name] = function
        return name

    def example(self, value: object) -> object:
        """What to compute with in place of a slot: a constant's value, or zeros, which share their memory."""
        if isinstance(value, list | tuple):
            return type(value)(map(self.example, value))
        if isinstance(value, Recorded):
            return value.function
        if not isinstance(value, Slot):
            return value
        if value.constant or not value.layout:
            return value.value
        if value.base is not None and value.view:
            return value.view(self.example(value.base))
        if value.layout.size > self.zeros.nbytes:
            self.zeros = np.zeros(value.layout.size, np.uint8)
        return value.layout.array(self.zeros)


def _shape(value: object) -> tuple[int, ...]:
    return value.layout.shape if isinstance(value, Slot) and value.layout else ()


def _slots(values: Sequence[object]) -> Iterator[Slot]:
    """The slots among some values, and in lists of them."""
    for value in values:
        if isinstance(value, Slot):
            yield value
        elif isinstance(value, list | tuple):
            yield from _slots(value)
