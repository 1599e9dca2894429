"""A case made ready to run: types checked, backward equations derived, both compiled into one program."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as with_fields
from functools import cache, cached_property, lru_cache

import numpy as np

from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import Array, Case, Figure, Value
from mathlab.language.check import CONSTANTS, Types
from mathlab.language.derive import UPSTREAM, Backward, derive
from mathlab.language.equation import Equation
from mathlab.language.program import Program, compile_program
from mathlab.language.shapes import Type
from mathlab.language.simplify import stabilised
from mathlab.language.syntax import Call, Expr, Name, names, replace, walk
from mathlab.signs import out_of_bounds
from mathlab.stages import limits
from mathlab.stages.limits import Cost, cost

Env = Mapping[str, Array]
Shaker = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A case with its equations in both directions.

    `equations` are the forward equations in the stable form that runs; `types` knows every name, gradients included;
    `env` holds the inputs and parameters (and `upstream`) in the case's dtype, and class indices as integers. Nothing
    is derived of what is `forward_only`: the end has no gradient of its own, and nobody asked for others.
    """

    case: Case
    equations: tuple[Equation, ...]
    backward: Backward
    types: Types
    env: dict[str, Array]
    forward_only: bool

    @property
    def end(self) -> str:
        """The name that is differentiated."""
        return self.equations[-1].name

    @property
    def upstream(self) -> Array | None:
        """The gradient of an end that has more entries than one."""
        return self.env.get(UPSTREAM)

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        return tuple(equation.name for equation in self.equations)

    @cached_property
    def gradients(self) -> tuple[str, ...]:
        return tuple(equation.name for equation in self.backward.equations)

    @property
    def both(self) -> tuple[Equation, ...]:
        """The forward equations, then the backward ones."""
        return (*self.equations, *self.backward.equations)

    @cached_property
    def fused(self) -> Mapping[str, tuple[str, ...]]:
        """By an equation's name those that the stable form takes together with it, so that they hand nothing back."""
        pairs = zip(self.case.equations, self.equations, strict=True)
        return {run.name: tuple(one for one in names(own.expr) if one not in names(run.expr)) for own, run in pairs}

    @cached_property
    def cost(self) -> Cost:
        """What one run of `program` takes; the inputs and parameters are part of what is held."""
        once = cost(self.both, self.types)
        return once._replace(held=once.held + sum(array.nbytes for array in self.env.values()))

    @cached_property
    def program(self) -> Program:
        """Every node and every gradient."""
        return self.compiled()

    @cached_property
    def compiled(self) -> Callable[..., Program]:
        """What makes the program of some nodes and gradients, or of all, once, as `compile_program` has it."""
        both, types, dtype, every = self.both, self.types, self.case.dtype, (*self.nodes, *self.gradients)
        return cache(lambda outputs=every, shaken=False: compile_program(both, types, outputs, dtype, shaken))

    def run(self, parameters: Env | None = None) -> dict[str, Array]:
        """The values of every name, with some parameters (or inputs) replaced."""
        env = {**self.env, **(parameters or {})}
        return {**env, **execute(self.program, env)}

    def forward(self, env: Env) -> dict[str, Array]:
        """The nodes' values alone."""
        return execute(self.compiled(self.nodes), {**self.env, **env})


@lru_cache(maxsize=1)
def prepare(case: Case) -> Prepared:
    """The case made ready, once for all stages. Raises MathlabError where names, shapes or derivatives do not fit."""
    given = {**case.inputs, **case.parameters}
    known, judged = [*given, *(equation.name for equation in case.equations)], case.judged
    asked = {name for name in known if f"d{name}" in judged}  # whose gradients somebody looks at
    read = judged.union(*(names(line.expr) for line in case.mentioned)) - {*known}
    constants = {name: np.array(value, case.dtype) for name, value in CONSTANTS.items() if name in read}
    equations = stabilised(case.equations, keep=asked)
    types, indices = _typed(case, equations, constants)
    for name in sorted(asked & indices):
        reading = (figure.place for figure in case.figures if f"d{name}" in names(figure.expr))
        raise MathlabError(f"'{name}' holds class indices, and so has no gradient", next(reading, case.place))
    env = {name: value.bound("int64" if name in indices else case.dtype) for name, value in given.items()} | constants
    end, type_ = equations[-1], types.names[equations[-1].name]
    # a case that shows values alone need not have a gradient: its end may be an array, or whole numbers
    differentiated = case.upstream is not None or case.derivation or case.gradcheck or case.train or asked
    unasked = bool((case.expected or case.forward) and not differentiated)
    forward_only = unasked and (type_.size != 1 or type_.kind != "f")
    if type_.kind != "f" and not forward_only:
        raise MathlabError(f"'{end.name}', the last equation, is not a number that can be differentiated", end.place)
    if case.upstream is not None:
        env[UPSTREAM] = _upstream(case.upstream, case, types, env)
        types.names[UPSTREAM] = own = Type(np.shape(env[UPSTREAM]))
        if own.shape != type_.shape:
            message = f"upstream has shape {own.shape}, but '{end.name}' has shape {type_.shape}"
            raise MathlabError(message, case.upstream.place)
    usual = case.parameters or case.inputs.keys() - indices
    wanted = [name for name in known if name in usual or name in asked]
    backward, forward = Backward((), {}, {}, {}), {**types.names}
    try:
        backward = backward if forward_only else derive(equations, types, wanted)
    except MathlabError:
        if not unasked or (case.parameters and not case.forward and not type_.shape):
            raise
        types, forward_only = Types(forward, types.integral), True  # an accuracy, say, or predictions
    # of a softmax that is read in another way too, the stable form would leave out a part of the gradient
    derived = [name for name in known if f"d{name}" in types.names]
    if stabilised(case.equations, keep=asked.union(derived)) != equations:
        return prepare(with_fields(case, shown=case.shown.union(f"d{name}" for name in derived)))
    stores = {name: tuple(one for one in kept if one not in constants) for name, kept in backward.stores.items()}
    prepared = Prepared(case, equations, backward._replace(stores=stores), types, env, forward_only)
    runs = 10 if case.derivation else 1  # formulas are held against the gradients at several points
    limits.check(case, "running the equations", prepared.cost, runs, kept=runs, place=case.place)
    return prepared


def _typed(case: Case, equations: Sequence[Equation], constants: Iterable[str]) -> tuple[Types, set[str]]:
    """The types of all names but gradients, and the inputs that serve as class indices, in an equation or a figure."""
    shapes = {name: value.array.shape for name, value in (*case.inputs.items(), *case.parameters.items())}
    shapes |= dict.fromkeys(constants, ())
    integral = [name for name, value in case.inputs.items() if value.integral]
    types = Types({name: Type(shape) for name, shape in shapes.items()}, integral).learning(equations)
    indices = types.indices | {name for figure in case.figures for name in _indices(figure.expr) if name in integral}
    if indices:  # which have been taken for floats so far
        kinds = {name: Type(shape, "i" if name in indices else "f") for name, shape in shapes.items()}
        types = Types(kinds, integral).learning(equations)
    return types, indices


def with_gradients(case: Case, quantities: Iterable[str]) -> Prepared:
    """The case made ready with every gradient among these, and without what it states itself."""
    nodes = {*case.inputs, *case.parameters, *(equation.name for equation in case.equations)}
    figures = tuple(Figure(name, Name(name)) for name in dict.fromkeys(quantities) if name not in nodes)
    train = case.train._replace(after=()) if case.train else None
    return prepare(case.bare(figures, train))


def _upstream(given: Value | Equation, case: Case, types: Types, env: Env) -> Array:
    """The gradient of the end, as it is given or as an expression of inputs has it."""
    if isinstance(given, Value):
        return given.bound(case.dtype)
    moving = {*case.parameters, *(equation.name for equation in case.equations)}
    if others := [name for name in names(given.expr) if name in moving]:
        raise MathlabError(f"upstream reads inputs alone, and '{others[0]}' is none", given.place)
    line = with_fields(given, name=UPSTREAM)
    return np.asarray(computed([line], types, env, case.dtype)[0], case.dtype)


def _indices(quantity: Expr) -> Iterator[str]:
    """The names that a figure uses as class indices, though no equation may: t of x[t] and of x[t[0]]."""
    for part in walk(quantity):
        if isinstance(part, Call) and part.op == "index":
            for item in part.args[1:]:
                match item:
                    case Name(name) | Call("index", (Name(name), *_)):
                        yield name


def execute(program: Program, env: Env, shake: Shaker | None = None) -> dict[str, Array]:
    """The program's outputs as arrays, without a word from NumPy about overflow; `shake` is for a shaken program.

    Raises MathlabError, at the equation, where an index lies outside of its array.
    """
    shaken = [] if shake is None else [shake]
    try:
        with np.errstate(all="ignore"):
            values = program.function(*shaken, *(env[name] for name in program.inputs))
    except IndexError as error:
        equation = program.equation_at(error)
        place = equation.place if equation else None
        raise MathlabError(f"in {equation.called if equation else 'a figure'}: {out_of_bounds(error)}", place) from None
    return dict(zip(program.outputs, values, strict=True))


def computed(lines: Sequence[Equation], types: Types, env: Env, dtype: str) -> list[Array]:
    """The values of equations that are computed for themselves."""
    outputs = [line.name for line in lines]
    return [*execute(compile_program(lines, types.learning(lines), outputs, dtype), env).values()]


def evaluate(quantities: Sequence[Equation], prepared: Prepared, values: Env) -> list[Array]:
    """The values of figures' quantities (or of formulas), given those of all names; raises as `evaluator` does."""
    return evaluator(quantities, prepared, values)(values)


def evaluator(
    quantities: Sequence[Equation], prepared: Prepared, known: Env, shake: Shaker | None = None
) -> Callable[[Env], list[Array]]:
    """The function that gives the quantities' values at a point: at the same names as `known`, with the same shapes.

    With `shake`, the value of every op goes through it. Raises MathlabError, at the quantity, where it does not fit.
    """
    more = {name: Type(np.shape(known[name])) for name in known.keys() - prepared.types.names}
    types = Types(prepared.types.names | more, prepared.types.integral)
    jacobians: dict[Expr, tuple[Name, Callable[[Env], Array]]] = {}

    def by_name(part: Expr) -> Expr | None:
        if not (isinstance(part, Call) and part.op == "jacobian"):
            return None
        if part not in jacobians:
            name = Name(f"_jacobian_{len(jacobians)}")
            compute, types.names[name.id] = jacobian(prepared, part, shake)
            jacobians[part] = name, compute
        return jacobians[part][0]

    lines: list[Equation] = []
    for quantity in quantities:
        try:
            expr = replace(quantity.expr, by_name)
        except ExpressionError as error:
            raise error.at(quantity.place) from None
        lines.append(with_fields(quantity, name=f"_quantity_{len(lines)}", expr=expr))
    outputs = [line.name for line in lines]
    program = compile_program(lines, types.learning(lines), outputs, prepared.case.dtype, bool(shake))

    def values_at(values: Env) -> list[Array]:
        env = {**values, **{name.id: compute(values) for name, compute in jacobians.values()}}
        return [np.asarray(value) for value in execute(program, env, shake).values()]

    return values_at


def jacobian(prepared: Prepared, call: Call, shake: Shaker | None = None) -> tuple[Callable[[Env], Array], Type]:
    """The derivative of every entry of z by every entry of x, from the values of all names; and its type.

    It has shape (*z.shape, *x.shape), and takes one backward pass for each entry of z.
    """
    z, x = (arg.id if isinstance(arg, Name) else "" for arg in call.args)
    if not (z and x):
        raise ExpressionError("a size of a loop or of a shape has no Jacobian, nor is there one by it", call.position)
    if z not in prepared.nodes:
        raise ExpressionError(f"'{z}' is not an equation, so it has no Jacobian", call.position)
    if x not in prepared.types.names:
        raise ExpressionError(f"unknown name '{x}'", call.position)
    equations = prepared.equations[: prepared.nodes.index(z) + 1]
    forward = {equation.name for equation in prepared.equations} | set(prepared.env)
    types = Types({name: t for name, t in prepared.types.names.items() if name in forward}, prepared.types.integral)
    shape = types.names[z].shape
    types.names[UPSTREAM] = Type(shape)
    both = (*equations, *derive(equations, types, [x]).equations)
    program = compile_program(both, types, [f"d{x}"], prepared.case.dtype, bool(shake))
    case, count, each = prepared.case, max(math.prod(shape), 1), types.names[x].size * 24
    limits.check(case, f"jacobian({z}, {x})", cost(both, types), count, 1, case.place, each)
    result = Type(shape + types.names[x].shape)

    def compute(values: Env) -> Array:
        units = np.eye(count, dtype=prepared.case.dtype)
        rows = [execute(program, {**values, UPSTREAM: unit.reshape(shape)[()]}, shake)[f"d{x}"] for unit in units]
        return np.asarray(rows).reshape(result.shape)

    return compute, result


def sealed(array: Array) -> Array:
    """The array as a record holds it: a view that cannot be written to, for it may be the experiment's own."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view
