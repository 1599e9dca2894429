"""The graph downstream of one array, run for many perturbed copies of that array at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from mathlab.language.equation import Equation
from mathlab.language.ops import EXACT
from mathlab.language.syntax import Call, Expr, Name, NewAxis, Num, Slice, names, unparse
from mathlab.witnesses.arrays import Numbers, whole
from mathlab.witnesses.evaluation import LARGEST_EXACT, Rounding
from mathlab.witnesses.stack import (
    Function,
    Operand,
    Positions,
    Stack,
    along,
    elementwise,
    joined,
    permuted,
    plain,
    product,
    rearranged,
    squeezed,
    total,
)


class NotStacked(Exception):
    """Some op has no rule for stacks; whoever asked runs the copies one by one."""


@dataclass(frozen=True, slots=True)
class Site:
    """An op's `function` on arrays where it meets stacks: the operands, at least one of them a stack, and settings.

    `base` is that of the result, if it is known already.
    """

    function: Function
    operands: Sequence[Operand]
    settings: Mapping[str, object]
    base: Numbers | None

    @property
    def stack(self) -> Stack:
        """The first operand, which must be the only stack."""
        first, *others = self.operands
        if not isinstance(first, Stack) or any(isinstance(other, Stack) for other in others):
            raise NotStacked
        return first

    def axes(self, ndim: int) -> tuple[int, ...]:
        """The axes that are meant, counted from 0."""
        axis = self.settings.get("axis")
        if axis is None:
            return tuple(range(ndim))
        return tuple(int(one) % ndim for one in (axis if isinstance(axis, tuple) else (axis,)))


# --- what the ops do to stacks ----------------------------------------------------------------------------------------


def _elementwise(site: Site) -> Stack:
    return elementwise(site.function, site.operands, site.base)


def _product(site: Site) -> Stack:
    return product(site.operands[0], site.operands[1], site.base)


def _reduction(site: Site) -> Stack:
    axes = site.axes(site.stack.ndim)
    result = along(lambda x, k: site.function(x, axis=k, keepdims=True), site.stack, axes)
    return result if site.settings.get("keepdims") else squeezed(result, axes)


def _sum(site: Site) -> Stack:
    axes = site.axes(site.stack.ndim)
    result = total(site.stack, axes)
    return result if site.settings.get("keepdims") else squeezed(result, axes)


def _mean(site: Site) -> Stack:
    count = math.prod(site.stack.base.shape[axis] for axis in site.axes(site.stack.ndim))
    result = _sum(site)
    return replace(result, base=result.base / count, new=result.new / count)


def _normalised(site: Site) -> Stack:
    return along(lambda x, k: site.function(x, axis=k[0]), site.stack, site.axes(site.stack.ndim))


def _transposed(site: Site) -> Stack:
    return permuted(site.stack, range(site.stack.ndim)[::-1])


def _matrix_transposed(site: Site) -> Stack:
    *lead, rows, columns = range(site.stack.ndim)
    return permuted(site.stack, [*lead, columns, rows])


def _reshaped(site: Site) -> Stack:
    x = site.stack
    shape = np.reshape(x.base, [int(whole(plain(size))) for size in site.operands[1:]]).shape
    return rearranged(lambda array: array.reshape(*shape, *array.shape[x.ndim :]), x)


def _concatenated(site: Site) -> Stack:
    (axis,) = replace(site, settings={"axis": site.settings.get("axis", 0)}).axes(plain(site.operands[0]).ndim)
    return joined(lambda parts: np.concatenate(parts, axis=axis), site.operands)


def _listed(site: Site) -> Stack:
    return joined(np.stack, site.operands)


def _constant(site: Site) -> Numbers:
    return np.asarray(site.function(plain(site.operands[0])))


RULES: Mapping[str, Callable[[Site], Operand]] = {
    **dict.fromkeys("add sub mul div pow neg gt lt ge le eq ne".split(), _elementwise),
    **dict.fromkeys("exp expm1 log log1p sqrt sin cos abs sign square erf normal_cdf normal_pdf".split(), _elementwise),
    **dict.fromkeys("maximum minimum clip where relu leaky_relu elu".split(), _elementwise),
    **dict.fromkeys("sigmoid tanh softplus silu gelu".split(), _elementwise),
    **dict.fromkeys(("max", "min", "logsumexp", "norm"), _reduction),
    **dict.fromkeys(("softmax", "log_softmax"), _normalised),
    **dict.fromkeys(("matmul", "dot"), _product),
    **dict.fromkeys(("ones_like", "zeros_like"), _constant),
    "sum": _sum,
    "mean": _mean,
    "T": _transposed,
    "mT": _matrix_transposed,
    "reshape": _reshaped,
    "concat": _concatenated,
    "array": _listed,
}


# --- ops that are other ops in disguise; `first` is the first operand -------------------------------------------------

EVERYTHING = Slice(None, None, None)


def _outer(args: Sequence[Expr], first: Operand) -> Expr:
    a, b = args
    return Call("mul", (Call("index", (a, EVERYTHING, NewAxis())), b))


def _diagonal(args: Sequence[Expr], first: Operand) -> Expr:
    size = Num(len(plain(first)))
    return Call("where", (Call("one_hot", (Call("arange", (size,)), size)), args[0], Num(0)))


def _class_loss(args: Sequence[Expr], first: Operand) -> Expr:
    """Minus the logarithm of the target's probability; where one sample alone moves, a mask keeps it alone."""
    z, t = args
    logs, shape = Call("log_softmax", (z,)), plain(first).shape
    if len(shape) == 2 and isinstance(first, Stack) and 0 not in first.at:
        return Call("neg", (Call("index", (logs, Call("arange", (Num(shape[0]),)), t)),))
    picked = Call("where", (Call("one_hot", (t, Num(shape[-1]))), logs, Num(0)))
    return Call("neg", (Call("sum", (picked,), (("axis", -1),)),))


def _weighted_loss(args: Sequence[Expr], first: Operand) -> Expr:
    z, t = args
    return Call("neg", (Call("sum", (Call("mul", (t, Call("log_softmax", (z,)))),), (("axis", -1),)),))


SPELT_OUT = ("outer", "diag", "cross_entropy")
CONSTANTS = ("one_hot", "ones", "zeros", "arange")
STACKED = frozenset({*RULES, *SPELT_OUT, *CONSTANTS, "index"})  # the ops that a graph may have, if only numbers move


@dataclass
class Stacker:
    """Evaluates equations for stacks.

    `definitions` are the ops on arrays, the references of the witnesses or the program's own; `values` are those of all
    names where nothing moves; `rounded` is applied to what is new in every result that rounds. What does not move is
    computed once, and kept in `still`, like the `bases` of what moves. `moved` are the entries that each op made for
    every copy.
    """

    definitions: Mapping[str, Function]
    values: Mapping[str, Numbers]
    rounded: Rounding | None = None
    still: dict[Expr, Numbers] = field(default_factory=dict)
    bases: dict[Expr, Numbers] = field(default_factory=dict)
    moved: dict[Call, int] = field(default_factory=dict)

    def run(self, equations: Sequence[Equation], moved: Mapping[str, Operand]) -> Mapping[str, Operand]:
        """The values of all names; `equations` are those that move with `moved`, in order."""
        env: dict[str, Operand] = dict(moved)
        with np.errstate(all="ignore"):
            for equation in equations:
                env[equation.name] = self.evaluate(equation.expr, env)
        return {**self.values, **env}

    def evaluate(self, expr: Expr, env: Mapping[str, Operand]) -> Operand:
        """The value of an expression; `env` has what moves. Raises NotStacked where an op has no rule for that."""
        match expr:
            case Num(value):
                return np.asarray(value if abs(value) < LARGEST_EXACT else float(value))
            case Name(name):
                return env[name] if name in env else self.values[name]
            case Call():
                return self._remembered(expr, env)
            case _:
                raise NotStacked

    def _remembered(self, call: Call, env: Mapping[str, Operand]) -> Operand:
        if call in self.still:
            return self.still[call]
        result = self._call(call, env)
        if isinstance(result, Stack):
            self.bases[call] = result.base
            self.moved[call] = result.new.size // result.new.shape[-1]
            return replace(result, new=self.rounded(result.new)) if self.rounded and call.op not in EXACT else result
        if not any(name in env for name in names(call)):
            self.still[call] = result
        return result

    def _call(self, call: Call, env: Mapping[str, Operand]) -> Operand:
        if call.op == "index":
            array = self.evaluate(call.args[0], env)
            items = tuple(self._item(item, env) for item in call.args[1:])
            return rearranged(lambda x: x[items], array) if isinstance(array, Stack) else array[items]
        operands = [self.evaluate(arg, env) for arg in call.args]
        moving = any(isinstance(operand, Stack) for operand in operands)
        if moving and call.op in SPELT_OUT:
            return self._spelt_out(call, operands, env)
        rule, function = RULES.get(call.op), self.definitions.get(call.op)
        if function is None or (moving and rule is None):
            raise NotStacked
        if rule is _elementwise:
            operands = [operand if isinstance(operand, Stack) else _floats(operand) for operand in operands]
        if call.op in ("maximum", "minimum") and isinstance(call.args[0], Num):
            operands.reverse()  # the second argument takes a tie, and a number takes it from either side
        settings = dict(call.attrs)
        if rule is _normalised:
            settings.setdefault("axis", -1)
        if not moving or rule is None:
            return np.asarray(function(*operands, **settings))
        return rule(Site(function, operands, settings, self.bases.get(call)))

    def _spelt_out(self, call: Call, operands: Sequence[Operand], env: Mapping[str, Operand]) -> Operand:
        """An op by other ops, over names for what moves."""
        args, moved = list(call.args), dict(env)
        for position, operand in enumerate(operands):
            if isinstance(operand, Stack):
                name = unparse(args[position])
                args[position], moved[name] = Name(name), operand
        first, *others = map(plain, operands)
        if call.op == "cross_entropy":
            spelt = _weighted_loss if others[0].ndim == first.ndim else _class_loss
        else:
            spelt = _outer if call.op == "outer" else _diagonal
        return self.evaluate(spelt(args, operands[0]), moved)

    def _item(self, item: Expr, env: Mapping[str, Operand]) -> slice | Positions | None:
        match item:
            case Slice(start, stop, step):
                return slice(start, stop, step)
            case NewAxis():
                return None
            case _:
                index = self.evaluate(item, env)
                if isinstance(index, Stack):
                    raise NotStacked
                return whole(index)


def _floats(operand: Numbers) -> Numbers:
    """Whole numbers as floats: an integer has no negative powers."""
    return operand.astype(np.float64) if np.issubdtype(operand.dtype, np.integer) else operand


def with_values(
    definitions: Mapping[str, Function], equations: Sequence[Equation], values: Mapping[str, Numbers]
) -> dict[str, Numbers]:
    """`values` with those of the equations that have none, by the `definitions`."""
    known = dict(values)
    stacker = Stacker(definitions, known)
    for name, value in stacker.run([equation for equation in equations if equation.name not in known], {}).items():
        known[name] = plain(value)
    return known
