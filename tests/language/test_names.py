"""What is derived is in the language, and the language keeps no names to itself: a function is told by its call."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from mathlab.config import load
from mathlab.language import OPS, read
from mathlab.stages import backprop, gradcheck
from mathlab.stages.prepare import prepare
from tests.build import case
from tests.language.test_ops import SAMPLES, prepared_sample
from tests.programs import Program, programs

NAMES = sorted({*OPS, "e", "pi", "inf", "var", "std", "shape", "size", "abs", "range", "len", "np", "g", "y", "i0"})


CASES = """\
gradcheck: {}
cases:
  input: {inputs: {NAME: [1, 2]}, parameters: {w: [3, 4]}, equations: {L: "sum(w * NAME)"}}
  parameter: {parameters: {NAME: [3, 4]}, equations: {L: "sum(NAME * [1, 2])"}}
  node: {parameters: {w: [3, 4]}, equations: {NAME: "-w", L: "-dot(NAME, [1, 2])"}}
"""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.one_in(4)
def test_every_name_can_be_a_value(name: str, tmp_path: Path) -> None:
    """As an input, a parameter and a node, beside the function of that name."""
    (tmp_path / "c.yaml").write_text(CASES.replace("NAME", name), encoding="utf-8")
    for each in load(tmp_path / "c.yaml").cases:
        values = prepare(each).run()
        assert values["L"] == 11
        (parameter,) = each.parameters
        np.testing.assert_array_equal(values[f"d{parameter}"], [1, 2])
        assert {entry.verdict for entry in gradcheck.run(each).entries} == {"confirmed"}


@pytest.mark.parametrize(("op", "text"), SAMPLES)
@pytest.mark.one_in(2)
def test_what_is_derived_reads_back(op: str, text: str) -> None:
    for equation in prepared_sample(op, text).backward.equations:
        assert read(equation.text) == equation.expr


@settings(max_examples=20)
@given(programs())
def test_what_is_derived_of_programs_is_accepted_as_a_derivation(program: Program) -> None:
    whole = program.case()
    derived = {equation.name: equation.text for equation in prepare(whole).backward.equations}
    formulas = {name: text for name, text in derived.items() if name[1:] in {*program.env, *dict(program.texts)}}
    again = case(dict(program.texts), program.parameters, program.inputs, derivation=formulas)
    assert all(line.passed for line in backprop.run(again).formulas)


def test_a_scatter_is_a_formula_and_an_equation(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        "inputs: {i: [0, 2, 0], y: [1, 0, 2]}\n"
        "parameters: {E: [0.5, -1, 2]}\n"
        "equations: {e: 'E[i]', loss: sum((e - y)**2)}\n"
        "derivation: {dE: 'scatter(2 * (e - y), E[i])'}\n",
        encoding="utf-8",
    )
    (whole,) = load(tmp_path / "c.yaml").cases
    values = prepare(whole).run()
    np.testing.assert_array_equal(values["dE"], [2 * (0.5 - 1) + 2 * (0.5 - 2), 0, 4])
    assert all(line.passed for line in backprop.run(whole).formulas)
