"""The table of ops: the one place where an op exists, a module for each family.

Adding an op is adding one record: what it computes (as NumPy), its derivative (in the equation language), its LaTeX,
and sample calls that the tests run it over (a function of one array that has none gets the usual ones).

In a derivative `g` is the upstream gradient, `y` the op's own result, and the other names are the op's arguments; a
result that broadcasting has made larger than the argument is summed back by the engine. None says that there is no
derivative; a function builds the text where it depends on the shapes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from mathlab.language.ops.activations import ACTIVATIONS
from mathlab.language.ops.arithmetic import ARITHMETIC
from mathlab.language.ops.arrays import ARRAYS
from mathlab.language.ops.elementwise import ELEMENTWISE
from mathlab.language.ops.images import IMAGES
from mathlab.language.ops.record import Op, Rule, Setting, ShapeRule, Site
from mathlab.language.ops.reductions import REDUCTIONS

__all__ = ["ACTIVATIONS", "EXACT", "OPS", "Op", "Rule", "Setting", "ShapeRule", "Site"]


def _whole(name: str, op: Op) -> Op:
    """The record with what its fields leave out: how NumPy's function is called, and the usual samples."""
    if re.fullmatch(r"(np\.)?\w+", op.numpy):
        op = replace(op, numpy=f"{op.numpy}({', '.join([*op.args, *(f'{one}={one}' for one in op.settings)])})")
    if op.samples or op.args != ("x",) or op.vjp == (None,):
        return op
    over_axes = ("(x23, axis=0)", "(x23, axis=-1, keepdims=True)", "(x232, axis=(0, 2))") * ("keepdims" in op.settings)
    calls = ("(x23)", *over_axes, *["(x23, axis=1, ddof=1)"] * ("ddof" in op.settings))
    return replace(op, samples=tuple(f"{name}{call}" for call in calls))


OPS: Mapping[str, Op] = {
    name: _whole(name, op)
    for name, op in {**ARITHMETIC, **ARRAYS, **ELEMENTWISE, **ACTIVATIONS, **REDUCTIONS, **IMAGES}.items()
}
EXACT = frozenset(name for name, op in OPS.items() if op.exact or op.kind in ("i", "b"))
