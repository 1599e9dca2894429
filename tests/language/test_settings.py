"""Every op with every odd setting, on every odd shape: a value and a gradient, or one sentence with its place."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from mathlab.config import load
from mathlab.errors import MathlabError
from mathlab.experiment import Case
from mathlab.language import OPS
from mathlab.language.ops import Setting
from mathlab.stages.prepare import prepare

AXES = ("None", "0", "-1", "1", "-2", "31", "10**30", "(0, 1)", "(-1, 0)", "(0, 0)", "(0, -1)", "[0]")
NO_AXES = ("7", "0.0", "1e300", "True", "False", "x", "-x", "(0.5, 1)", "(True, 0)", "(x, 0)", "[[0]]", "(0, 1e300)")
KEPT = ("None", "True", "False", "0", "1", "2.0", "(0, 1)", "x")
ODD: Mapping[str, Sequence[object]] = {
    "axis": AXES,
    "ddof": (0, 1, 2, 6, 7, -1, 0.5, True, "None", "x"),
    **dict.fromkeys(
        ("size", "stride", "pad", "dilation", "width", "value"),
        ("1", "2", "(1, 2)", "3", "0", "-1", "(2, 0)", "(1, 2, 3)", "2.0", "True", "None", "x", "10**30", "1e300"),
    ),
}
LETTERS = (
    "''",
    "'i'",
    "'->'",
    "'i->'",
    "'i->i'",
    "'ij->ji'",
    "'ii->i'",
    "'i,i->i'",
    "'ij,jk->ik'",
    "'i->j'",
    "'ia->a1'",
)
EMPTY = ("x[1:0]", "M[1:0]", "M[:, 1:0]", "S[:, :, 1:0]")
SHAPES = ("s", "x", "M", "S", "M[:1, :1]", f"x[{'None, ' * 31}:]", *EMPTY)
CONFIG = """\
inputs: {t: 1, ts: [0, 1]}
parameters: {s: 0.5, x: [0.25, 0.5], M: [[0.5, 0.25], [0.125, 0.75]], S: [[[1, 2, 3]], [[4, 5, 6]]]}
cases:
"""
CASE = '  {}: {{equations: {{loss: "sum({})"}}}}\n'
PLACED = re.compile(r".*/c\.yaml:\d+:\d+: [^\n]{10,999}")
AT_ONCE = 50  # cases of a config, which names no more than a hundred problems


def refusals(folder: Path, texts: Sequence[str]) -> dict[str, str]:
    """The sentences that refuse expressions; the others have been computed with their gradients."""
    found: dict[str, str] = {}

    def refuse(error: MathlabError, texts: Sequence[str]) -> None:
        for problem in error.problems:
            assert PLACED.fullmatch(str(problem)), problem
            assert problem.place
            text = texts[problem.place.line - CONFIG.count("\n") - 1]
            assert text not in found, (text, problem, found[text])
            found[text] = str(problem)

    def cases(texts: Sequence[str]) -> tuple[Sequence[str], Sequence[Case]]:
        path = folder / "c.yaml"
        path.write_text(CONFIG + "".join(map(CASE.format, range(len(texts)), texts)), encoding="utf-8")
        try:
            return texts, load(path).cases
        except MathlabError as error:
            refuse(error, texts)
            left = [text for text in texts if text not in found]
            return cases(left) if left else ([], [])

    for start in range(0, len(texts), AT_ONCE):
        left, loaded = cases(texts[start : start + AT_ONCE])
        for text, case in zip(left, loaded, strict=True):
            try:
                assert np.ndim(prepare(case).run()["loss"]) == 0, text
            except MathlabError as error:
                refuse(error, left)
                assert text in found
    return found


def ends_well(folder: Path, text: str) -> str:
    """The sentence that refuses an expression, or nothing where it has been computed with its gradients."""
    return refusals(folder, [text]).get(text, "")


def shapes_for(setting: Setting, value: object) -> Sequence[str]:
    """Every shape where the value can be a setting; one where it is refused, whatever the shape."""
    try:
        return SHAPES if setting.fits(ast.literal_eval(str(value))) else ("M",)
    except ValueError:  # it has to be computed, or is a name
        return ("M", "x")


def calls(op: str) -> list[str]:
    """The op with as many arguments as it may take, of every shape, with every odd setting."""
    record = OPS[op]
    fixed = [name for name in record.args if not name.startswith("*")]
    counts = range(len(fixed) + 3) if record.variadic else (max(len(fixed) - len(record.defaults), 0), len(fixed))
    texts = []
    for shape in SHAPES:
        texts += [f"{op}({', '.join([shape] * count)})" for count in {*counts}]
        others = {"t", "2", "-1", "x[1:0]"} if len(record.args) > 1 else ()
        texts += [f"{op}({', '.join([shape, *[other] * max(len(fixed) - 1, 1)])})" for other in sorted(others)]
        arguments = ", ".join([shape] * max(len(fixed), 1))
        texts += [f"{op}({letters}, {arguments})" for letters in LETTERS if "subscripts" in record.settings]
        if "keepdims" in record.settings:
            texts += [f"{op}({arguments}, axis={axis}, keepdims=True)" for axis in ("None", "0", "(0, 1)")]
    for name in record.settings.keys() & ODD.keys():
        rest = ", size=1" if "size" in record.settings and name != "size" else ""
        for value in ODD[name]:
            for shape in shapes_for(record.settings[name], value):
                texts.append(f"{op}({', '.join([shape] * max(len(fixed), 1))}{rest}, {name}={value})")
    for name, argument, values in (("axis", "x", NO_AXES), ("keepdims", "M", KEPT)):
        # an op without the setting refuses it, whatever its value
        texts += [f"{op}({argument}, {name}={value})" for value in values[: None if name in record.settings else 1]]
    return [*dict.fromkeys(texts)]


@pytest.mark.parametrize("op", sorted(OPS))
@pytest.mark.one_in(5)
def test_every_op_with_every_odd_setting(op: str, tmp_path: Path) -> None:
    assert refusals(tmp_path, calls(op))  # some setting or shape fits nothing


REFUSED = [
    ("mean(concat(M, M, axis=None))", "axis of concat must be a whole number, not None"),
    ("softmax(M, axis=(0, 1))", "axis of softmax must be a whole number, not (0, 1)"),
    ("log_softmax(M, axis=None)", "axis of log_softmax must be a whole number, not None"),
    ("x[argmax(M, axis=(0, 1))]", "axis of argmax must be a whole number, or None for all axes, not (0, 1)"),
    ("x[argmin(x, axis=0.0)]", "axis of argmin must be a whole number, or None for all axes, not 0.0"),
    ("mean(M, axis=True)", "axis of mean must be a whole number, several in brackets, or None for all axes, not True"),
    ("max(M, axis=(0, 0.5))", "or None for all axes, not (0, 0.5)"),
    ("norm(M, axis=(0, -2))", "an axis is named twice in 'norm(M, axis=(0, -2))'"),
    ("sum(M, keepdims=None)", "keepdims of sum must be True or False, not None"),
    ("sum(M, axis=2)", "axis 2 does not exist in shape (2, 2), whose axes are counted from 0 in 'sum(M, axis=2)'"),
    *(
        (f"{op}(x[1:0])", f"{op} has no value where there is nothing to run along, as in shape (0,), in '{op}(x[1:0])'")
        for op in ("max", "min", "mean", "logsumexp", "softmax", "log_softmax")
    ),
    ("cross_entropy(M[:, 1:0], ts)", "cross_entropy has no value where there is nothing to run along"),
    ("einsum('ij,jk->ik', M, x)", "'jk' does not name each axis of shape (2,) once in"),
    ("einsum('ij,jk->ik', M, S[0])", "axis j of einsum has 2 entries, and 1 in another place, in"),
    ("einsum('ij->ik', M)", "'ik' does not name axes of einsum's arrays, each once, in"),
    ("einsum(M, M)", "einsum needs its setting 'subscripts', a text with '->', as in einsum('ij,jk->ik', a, b)"),
    ("cumsum(M)", "cumsum of shape (2, 2) needs an axis, as in axis=0, in 'cumsum(M)'"),
    ("linspace(0, M, 3)", "linspace takes a first number, a last one, and how many there are in"),
    ("shape(s)", "a single number has no axes in 'shape(s)'"),
    ("reshape(M, 4, x=x)", "reshape has no argument 'x'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "sentence"), REFUSED)
def test_what_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    assert sentence in ends_well(tmp_path, text)


@pytest.mark.parametrize("text", ["sum(x[1:0])", "sum(M[:, 1:0], axis=0)", "norm(x[1:0])", "max(M[1:0], axis=1)"])
def test_what_has_a_value_though_there_is_nothing(text: str, tmp_path: Path) -> None:
    assert ends_well(tmp_path, text) == ""
