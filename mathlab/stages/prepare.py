"""A case made ready to run: types checked, backward equations derived, both compiled into one program."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as with_fields
from functools import cached_property

import numpy as np

from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import Array, Case, Figure, Value
from mathlab.language.check import CONSTANTS, Types
from mathlab.language.cost import Cost, cost
from mathlab.language.derive import UPSTREAM, Backward, derive
from mathlab.language.equation import Equation
from mathlab.language.program import Program, compile_program
from mathlab.language.shapes import Type, show
from mathlab.language.simplify import stabilised
from mathlab.language.syntax import Call, Expr, Name, names, replace, walk
from mathlab.stages import limits

Env = Mapping[str, Array]
Shaker = Callable[[Array], Array]


@dataclass(frozen=True)
class Prepared:
    """A case with its equations in both directions.

    `equations` are the forward equations in the stable form that runs; `types` knows every name, gradients included;
    `env` holds the inputs and parameters (and `upstream`) in the case's dtype, and class indices as integers.
    """

    case: Case
    equations: tuple[Equation, ...]
    backward: Backward
    types: Types
    env: dict[str, Array]

    @property
    def forward_only(self) -> bool:
        """Whether nothing was derived, because the end has no gradient of its own and nobody asked for others."""
        end = self.types.names[self.end]
        return UPSTREAM not in self.types.names and bool(end.shape or end.kind != "f")

    @property
    def end(self) -> str:
        """The name that is differentiated."""
        return self.equations[-1].name

    @property
    def upstream(self) -> Array | None:
        """The gradient of an end that is not a scalar."""
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
    def cost(self) -> Cost:
        """What one run of `program` takes; the inputs and parameters are part of what is held."""
        return cost(self.both, self.types).holding(sum(array.nbytes for array in self.env.values()))

    @cached_property
    def program(self) -> Program:
        """Every node and every gradient."""
        return compile_program(self.both, self.types, (*self.nodes, *self.gradients), self.case.dtype)

    @cached_property
    def forward_program(self) -> Program:
        return compile_program(self.equations, self.types, self.nodes, self.case.dtype)

    @cached_property
    def shaken_program(self) -> Program:
        """As `program`, with a `shake` for the value of every equation."""
        return compile_program(self.both, self.types, (*self.nodes, *self.gradients), self.case.dtype, "equations")

    @cached_property
    def noisy_program(self) -> Program:
        """As `program`, with a `shake` for the value of every op."""
        return compile_program(self.both, self.types, (*self.nodes, *self.gradients), self.case.dtype, "ops")

    def run(self, parameters: Env | None = None) -> dict[str, Array]:
        """The values of every name, with some parameters (or inputs) replaced."""
        env = {**self.env, **(parameters or {})}
        return {**env, **execute(self.program, env)}

    def lean_program(self, wanted: Collection[str]) -> Program:
        """The nodes and gradients that are wanted; what they take is let go of on the way."""
        outputs = [name for name in (*self.nodes, *self.gradients) if name in wanted]
        return compile_program(self.both, self.types, outputs, self.case.dtype, thrifty=True)

    def forward(self, env: Env) -> dict[str, Array]:
        """The nodes' values alone."""
        return execute(self.forward_program, {**self.env, **env})


def prepare(case: Case) -> Prepared:
    """The case made ready. Raises MathlabError, at the equation, where names, shapes or derivatives do not fit."""
    shapes = {name: Type(value.array.shape) for name, value in (*case.inputs.items(), *case.parameters.items())}
    integral = [name for name, value in case.inputs.items() if value.integral]
    known = [*shapes, *(equation.name for equation in case.equations)]
    constants = {
        name: np.array(CONSTANTS[name], case.dtype) for name in _read(case) if name in CONSTANTS.keys() - known
    }
    shapes |= dict.fromkeys(constants, Type(()))
    asked = [*_asked_gradients(case, known)]
    equations = stabilised(case.equations, keep=asked)
    # a first pass finds out which inputs serve as class indices, the second types them so
    first = _typed(equations, Types(shapes, integral))
    for figure in _all_figures(case):
        _collect_indices(figure.quantity, first)
    indices, types = first.indices, first
    if indices:
        kinds = {name: Type(type_.shape, "i" if name in indices else "f") for name, type_ in shapes.items()}
        types = _typed(equations, Types(kinds, integral))
    env = {
        name: value.bound("int64" if name in indices else case.dtype)
        for name, value in (*case.inputs.items(), *case.parameters.items())
    } | constants
    end = equations[-1]
    forward_only = _forward_only(case, types.names[end.name], asked)
    if types.names[end.name].kind != "f" and not forward_only:
        raise ExpressionError(f"'{end.name}', the last equation, is not a number that can be differentiated").at(
            end.place
        )
    if case.upstream is not None:
        env[UPSTREAM] = given = _upstream(case.upstream, case, types, env)
        types.names[UPSTREAM] = Type(np.shape(given))
        if types.names[UPSTREAM].shape != types.names[end.name].shape:
            shapes_ = f"{show(np.shape(given))}, but '{end.name}' has shape {show(types.names[end.name].shape)}"
            raise MathlabError(f"upstream has shape {shapes_}", case.upstream.place)
    wanted = [name for name in known if name in case.parameters or name in asked]
    if not case.parameters:
        wanted = [name for name in known if name in asked or (name in case.inputs and name not in indices)]
    backward = Backward((), {}, {}, {}) if forward_only else derive(equations, types, wanted)
    stores = {name: tuple(one for one in kept if one not in constants) for name, kept in backward.stores.items()}
    prepared = Prepared(case, equations, with_fields(backward, stores=stores), types, env)
    runs = 10 if case.derivation else 1  # formulas are held against the gradients at several points
    limits.check(case, "running the equations", prepared.cost, runs, kept=runs, place=case.place)
    return prepared


def _upstream(given: Value | Equation, case: Case, types: Types, env: Env) -> Array:
    """The gradient of the end, as it is given or as an expression of inputs has it."""
    if isinstance(given, Value):
        return given.bound(case.dtype)
    if others := [name for name in names(given.expr) if name in types.names and name not in case.inputs]:
        raise MathlabError(f"upstream reads inputs alone, and '{others[0]}' is none", given.place)
    line = with_fields(given, name=UPSTREAM)
    computed = execute(compile_program([line], _typed([line], types), [UPSTREAM], case.dtype), env)[UPSTREAM]
    return np.asarray(computed, case.dtype)


def _forward_only(case: Case, end: Type, asked: Sequence[str]) -> bool:
    """Whether nothing but figures of the forward pass is asked of a case whose end has no gradient of its own."""
    differentiated = case.upstream is not None or case.derivation or case.gradcheck or case.train or asked
    return bool(case.expected and not differentiated and (end.shape or end.kind != "f"))


def _typed(equations: Sequence[Equation], types: Types) -> Types:
    """The types with every equation's added."""
    for equation in equations:
        try:
            types.names[equation.name] = types.of(equation.expr)
        except ExpressionError as error:
            raise ExpressionError(f"in {equation.called}: {error.message}", error.offset).at(equation.place) from None
    return types


def _collect_indices(quantity: Expr, types: Types) -> None:
    """Notice inputs that only a figure uses as class indices; what does not type yet is judged later."""
    for part in walk(quantity):
        if isinstance(part, Call) and part.op == "index":
            named = (item.args[0] if isinstance(item, Call) and item.op == "index" else item for item in part.args[1:])
            types.indices.update(item.id for item in named if isinstance(item, Name) and item.id in types.integral)


def _read(case: Case) -> list[str]:
    """The names that the expressions of a case read, each once."""
    exprs = [one.expr for one in (*case.equations, *case.derivation, *(case.sweep.report if case.sweep else ()))]
    exprs += [of.expr for picture in case.pictures for of in picture.of]
    exprs += [figure.quantity for figure in _all_figures(case)]
    return [*dict.fromkeys(name for expr in exprs for name in names(expr))]


def _all_figures(case: Case) -> Iterator[Figure]:
    yield from case.expected
    if case.gradcheck:
        yield from case.gradcheck.expected
    if case.train:
        for _, figures in case.train.after:
            yield from figures


def _asked_gradients(case: Case, known: Iterable[str]) -> Iterator[str]:
    """The names whose gradient a figure or a formula mentions."""
    gradients = {f"d{name}": name for name in known}
    mentioned = [figure.quantity for figure in _all_figures(case)]
    mentioned += [formula.expr for formula in case.derivation]
    for formula in case.derivation:
        if formula.name in gradients:
            yield gradients[formula.name]
    for expr in mentioned:
        yield from (gradients[name] for name in names(expr) if name in gradients and name not in known)


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
        raise MathlabError(f"in {equation.called if equation else 'a figure'}: {error}", place) from None
    return dict(zip(program.outputs, values, strict=True))


def evaluate(quantities: Sequence[Figure | Equation], prepared: Prepared, values: Env) -> list[Array]:
    """The values of figures' quantities (or of formulas), given those of all names.

    Raises MathlabError, at the quantity, where it does not fit the shapes.
    """
    return evaluator(quantities, prepared, values)(values)


def evaluator(
    quantities: Sequence[Figure | Equation], prepared: Prepared, known: Env, shake: Shaker | None = None
) -> Callable[[Env], list[Array]]:
    """The function that gives the quantities' values at a point: at the same names as `known`, with the same shapes.

    With `shake`, the value of every op goes through it. Raises MathlabError, at the quantity, where it does not fit.
    """
    types = Types({**prepared.types.names}, prepared.types.integral)
    for name, value in known.items():
        if name not in types.names:
            types.names[name] = Type(np.shape(value))
    lines = []
    jacobians: dict[str, Callable[[Env], Array]] = {}
    for count, quantity in enumerate(quantities):
        written = quantity.equation if isinstance(quantity, Figure) else quantity
        try:
            for part in walk(written.expr):
                if isinstance(part, Call) and part.op == "jacobian":
                    name = _jacobian_name(part)
                    jacobians[name], types.names[name] = jacobian(prepared, part, shake)
            line = Equation(f"_quantity_{count}", replace(written.expr, _jacobian_by_name), written.text, written.place)
            types.names[line.name] = types.of(line.expr)
        except ExpressionError as error:
            raise error.at(written.place) from None
        lines.append(line)
    program = compile_program(
        lines, types, [line.name for line in lines], prepared.case.dtype, "ops" if shake else None
    )

    def values_at(values: Env) -> list[Array]:
        env = {**values, **{name: compute(values) for name, compute in jacobians.items()}}
        computed = execute(program, env, shake)
        return [np.asarray(computed[line.name]) for line in lines]

    return values_at


def _jacobian_name(call: Call) -> str:
    z, x = call.args
    if not (isinstance(z, Name) and isinstance(x, Name)):
        raise ExpressionError("jacobian(z, x) takes two names", call.position)
    return f"_jacobian_{z.id}_{x.id}"


def _jacobian_by_name(part: Expr) -> Expr | None:
    return Name(_jacobian_name(part)) if isinstance(part, Call) and part.op == "jacobian" else None


def jacobian(prepared: Prepared, call: Call, shake: Shaker | None = None) -> tuple[Callable[[Env], Array], Type]:
    """The derivative of every entry of z by every entry of x, from the values of all names; and its type.

    It has shape (*z.shape, *x.shape), and takes one backward pass for each entry of z.
    """
    z, x = (arg.id for arg in call.args if isinstance(arg, Name))
    nodes = list(prepared.nodes)
    if z not in nodes:
        raise ExpressionError(f"'{z}' is not an equation, so it has no Jacobian", call.position)
    equations = prepared.equations[: nodes.index(z) + 1]
    if x not in prepared.types.names:
        raise ExpressionError(f"unknown name '{x}'", call.position)
    forward = {equation.name for equation in prepared.equations} | set(prepared.env)
    types = Types({name: t for name, t in prepared.types.names.items() if name in forward}, prepared.types.integral)
    shape = types.names[z].shape
    types.names[UPSTREAM] = Type(shape)
    backward = derive(equations, types, [x])
    both = (*equations, *backward.equations)
    program = compile_program(both, types, [f"d{x}"], prepared.case.dtype, "ops" if shake else None)
    count = max(int(np.prod(shape)), 1)
    limits.check(
        prepared.case,
        f"jacobian({z}, {x})",
        cost(both, types),
        count,
        1,
        prepared.case.place,
        each=types.names[x].size * 24,
    )
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
