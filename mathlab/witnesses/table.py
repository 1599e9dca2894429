"""The table of witnesses, what `--witness` may name; those that are only asked by their names are imported then."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mathlab.experiment import Array
from mathlab.language.equation import Equation
from mathlab.witnesses.graph import seen_from
from mathlab.witnesses.pytorch import NO_TORCH, torch_gradient
from mathlab.witnesses.reference import Floats, numbers
from mathlab.witnesses.tape import tape

Equations = Sequence[Equation]
Env = Mapping[str, Array]
Measure = Callable[[Equations, Env, str, Array | None], tuple[Floats, Floats]]


class Witness(NamedTuple):
    """A way to a gradient that shares no code with the derivation.

    `measure` takes the equations, the values of what they read, the name whose gradient is wanted, and the gradient of
    the end where that is no scalar; it returns the gradient and its own resolution (0 where it is exact but for
    rounding), both in the shape of that name. `seconds` guesses roughly what that takes, from the gradient's entries
    and the operations on scalars in a forward pass. `package` is what has to be installed for it, `install` says how.
    """

    measure: Measure
    seconds: Callable[[int, int], float]
    package: str = "mathlab"
    install: str = ""

    def installed(self) -> bool:
        """Whether it can be asked."""
        return importlib.util.find_spec(self.package) is not None


def _exact(gradient: Callable[[Equations, Env, str, Array | None], Floats]) -> Measure:
    """The measure of a witness that is exact but for rounding."""
    return lambda *asked: (found := gradient(*asked), np.zeros_like(found))


def _complex(equations: Equations, env: Env, wrt: str, seed: Array | None) -> Floats:
    """The slope to the right of a kink; nan where the end has no finite value."""
    from mathlab.witnesses.steps import ComplexStep

    return ComplexStep(seen_from(wrt, equations, env, seed), (wrt,)).both_sides(wrt)[1]


def _central(equations: Equations, env: Env, wrt: str, seed: Array | None) -> tuple[Floats, Floats]:
    """The central difference of the reference definitions' forward pass, in float64."""
    from mathlab.witnesses.central import central_difference
    from mathlab.witnesses.steps import end_noise

    graph = seen_from(wrt, equations, env, seed)

    def weighted_end(moved: Env) -> float:
        return float(np.sum(graph.seed * graph.rerun(numbers(moved[wrt])).real))

    values = {name: array.real for name, array in graph.values.items()}
    noise = end_noise(graph.moving, values, graph.seed) if graph.moving else 0.0
    return central_difference(weighted_end, values, wrt, noise=noise)


WITNESSES: Mapping[str, Witness] = {
    "tape": Witness(_exact(tape), lambda entries, operations: 1e-3 + 4e-6 * operations),
    "complex": Witness(_exact(_complex), lambda entries, operations: entries * (2e-4 + 2e-8 * operations)),
    "central": Witness(_central, lambda entries, operations: entries * (8e-4 + 8e-8 * operations)),
    "torch": Witness(_exact(torch_gradient), lambda entries, operations: 1e-2 + 1e-9 * operations, "torch", NO_TORCH),
}
