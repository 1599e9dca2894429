"""The page's script outside a browser: quickjs runs its evaluator, and is given and gives back JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files

import numpy as np
import pytest

from mathlab.experiment import Array
from mathlab.language.equation import Equation
from mathlab.pictures.page import tree

quickjs = pytest.importorskip("quickjs", reason="quickjs-ng, of the extra 'test', runs the page's script")

OPS_JS = files("mathlab.pictures").joinpath("ops.js").read_text(encoding="utf-8")
CALL = """
const said = x => Number.isFinite(x) ? x : String(x);
const computed = text => {
  const {leaves, lines, single} = JSON.parse(text);
  const env = new Map(leaves.map(([name, s, d]) => [name, {s, d: d.map(Number)}]));
  for (const [name, tree] of lines) env.set(name, lab.value(tree, env, single));
  return JSON.stringify(lines.map(([name]) => [env.get(name).s, env.get(name).d.map(said)]));
};
"""


class Script:
    """ops.js, or what has been made of it."""

    def __init__(self, source: str = OPS_JS) -> None:
        self.context = quickjs.Context()
        self.context.eval(source.replace('"use strict";', "", 1).replace("const lab =", "var lab =", 1))
        self.context.eval(CALL.replace("const said", "var said").replace("const computed", "var computed"))

    def asked(self, function: str, *arguments: object) -> object:
        """What a function of the script gives, by way of JSON."""
        given = ", ".join(json.dumps(json.dumps(argument)) for argument in arguments)
        return json.loads(self.context.eval(f"JSON.stringify({function}({given}))"))

    def run(self, equations: Sequence[Equation], env: Mapping[str, Array], dtype: str) -> dict[str, Array]:
        """The values of equations, computed by the script."""
        leaves = [
            [name, list(np.shape(x)), [str(v).replace("inf", "Infinity") for v in np.ravel(x).tolist()]]
            for name, x in env.items()
        ]
        lines = [[equation.name, tree(equation.expr)] for equation in equations]
        text = json.dumps({"leaves": leaves, "lines": lines, "single": dtype == "float32"})
        found = json.loads(self.context.eval(f"computed({json.dumps(text)})"))
        return {
            equation.name: np.array([float(v) for v in entries]).reshape(shape)
            for equation, (shape, entries) in zip(equations, found, strict=True)
        }
