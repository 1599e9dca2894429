"""The mathematics of a page: well-formed MathML for every op, and an error for LaTeX that it cannot read."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from mathlab.language.latex import latex_equation
from mathlab.language.mathml import mathml
from tests.language.test_ops import SAMPLES, prepared_sample


@pytest.mark.parametrize(("op", "text"), SAMPLES)
def test_every_op_forward_and_backward(op: str, text: str) -> None:
    prepared = prepared_sample(op, text)
    for equation in prepared.both:
        latex = latex_equation(equation, prepared.end, prepared.types)
        root = ET.fromstring(mathml(latex))
        assert root.tag == "math"
        for element in root.iter():
            assert {"mfrac": 2, "msup": 2, "msub": 2, "msubsup": 3}.get(element.tag, len(element)) == len(element), (
                latex
            )
        words = "".join(root.itertext())
        assert not set("\\{}$") & set(words), latex
        assert "=" in words


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        (r"x_1^{2}", "<msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup>"),
        (r"\mathrm{my\_name}", "<mi>my_name</mi>"),
        (r"\frac{\partial L}{\partial w}", '<mfrac class="gradient">'),
        (r"a < b", "<mo>&lt;</mo>"),
        (r"\lambda", "<mi>λ</mi>"),
        (r"\Omega", "<mi>Ω</mi>"),
        (r"\left\lVert x \right\rVert", "<mrow><mo>‖</mo><mi>x</mi><mo>‖</mo></mrow>"),
    ],
)
def test_what_it_becomes(latex: str, expected: str) -> None:
    assert expected in mathml(latex)


@pytest.mark.parametrize("latex", [r"\boxed{x}", r"\left( x", r"{x"])
def test_what_cannot_be_read_is_named(latex: str) -> None:
    with pytest.raises(ValueError, match="LaTeX"):
        mathml(latex)
