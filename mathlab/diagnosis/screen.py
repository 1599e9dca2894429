"""Which mistakes of the backward pass can explain a claim at all: told from the changed equations alone.

The backward pass is linear in each of its gradients. How a random sum of a claim's entries moves with every one of them
is therefore had once, by differentiating the pass itself; after that, what a change puts into its own equations says
where that sum ends up, and nothing behind them needs to be computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mathlab.diagnosis.claims import Claim
from mathlab.diagnosis.evaluator import Session
from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import Array
from mathlab.language.check import Types
from mathlab.language.derive import UPSTREAM, derive
from mathlab.language.equation import Equation
from mathlab.language.program import compile_program
from mathlab.language.shapes import Type
from mathlab.language.syntax import Call, Expr, Name
from mathlab.stages.prepare import Env, Prepared, execute

END = "_seen"


class Screen:
    """For each claim of a gradient: where a random sum of its entries must end up, and what moves it.

    A change that moves a right claim breaks it. One of several changes is taken to do so too: that what moves it is
    made good to rounding by the other changes of a mistake is not to be expected.
    """

    def __init__(self, prepared: Prepared, claims: Sequence[Claim], values: Env) -> None:
        self.slack = float(np.finfo(prepared.case.dtype).eps) ** 0.5
        self.window: dict[int, tuple[float, float]] = {}
        self.moves: Mapping[int, Mapping[str, Array]] = {}
        self.right = [k for k, claim in enumerate(claims) if not claim.wrong]
        known = {equation.name for equation in prepared.backward.equations}
        sought = [k for k, claim in enumerate(claims) if _name(claim) in known]
        sought = [k for k in sought if claims[k].stated[0].shape == np.shape(values[_name(claims[k])])]
        if not sought or UPSTREAM in prepared.types.names:
            return
        rng = np.random.default_rng(0)
        weights = {k: rng.uniform(0.5, 1.5, claims[k].stated[0].shape) for k in sought}
        moves = _moves(prepared, {k: _name(claims[k]) for k in sought}, weights, values)
        for k in moves:
            ends = [weights[k] * (edge[0] - values[_name(claims[k])]) for edge in (claims[k].low, claims[k].high)]
            self.window[k] = float(np.sum(np.minimum(*ends))), float(np.sum(np.maximum(*ends)))
        self.moves = moves

    def admitted(self, wrong: Sequence[int], changes: Sequence[str], session: Session) -> list[int]:
        """The claims that the changes may explain, as far as can be told."""
        if not self.moves:
            return [*wrong]
        defects: dict[str, Array] = {}
        for name in changes:
            defect = session.defect(name)
            if defect is None:
                return [*wrong]
            if not defects and not all(self._admits(k, {name: defect}) for k in self.right):
                return []
            defects[name] = defect
        return [k for k in wrong if self._admits(k, defects)]

    def _admits(self, k: int, defects: Mapping[str, Array]) -> bool:
        if k not in self.moves or not self.moves[k].keys() >= defects.keys():
            return True
        parts = [self.moves[k][name] * defect for name, defect in defects.items()]
        moved, size = sum(float(part.sum()) for part in parts), sum(float(np.abs(part).sum()) for part in parts)
        low, high = self.window[k]
        slack = self.slack * (size + abs(low) + abs(high))
        return not (moved < low - slack or moved > high + slack)


def _name(claim: Claim) -> str:
    return claim.quantity.id if isinstance(claim.quantity, Name) and len(claim.moments) == 1 else ""


def _moves(
    prepared: Prepared, claims: Mapping[int, str], weights: Mapping[int, Array], values: Env
) -> dict[int, Mapping[str, Array]]:
    """By claim and equation, how the sum of the claim's entries, so weighted, moves with each entry of the equation."""
    equations = prepared.backward.equations
    wanted = [equation.name for equation in equations]
    types = Types(prepared.types.names, prepared.types.integral)
    types.names |= {f"d{name}": types.names[name] for name in wanted}  # so that no part of another is called so
    total: Expr | None = None
    for k, name in claims.items():
        types.names[f"{END}_{k}"] = Type(weights[k].shape)
        term = Call("sum", (Call("mul", (Name(f"{END}_{k}"), Name(name))),))
        total = term if total is None else Call("add", (total, term))
    assert total is not None
    types.names[END] = Type(())
    try:
        adjoint = derive([*equations, Equation(END, total)], types, wanted)
        outputs = [f"d{name}" for name in wanted]
        program = compile_program(adjoint.equations, types, outputs, prepared.case.dtype)
        found: dict[int, Mapping[str, Array]] = {}
        for k in claims:
            chosen = {f"{END}_{j}": weights[j] if j == k else np.zeros_like(weights[j]) for j in claims}
            out = execute(program, {**values, **chosen})
            found[k] = {name: np.asarray(out[f"d{name}"], np.float64) for name in wanted}
    except (ExpressionError, MathlabError):
        return {}
    return found
