"""Every fact that is told of an op is what the op does, and every place that must know an op knows it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
import pytest

from mathlab.experiment import Array
from mathlab.language import OPS, read, shapes
from mathlab.language.check import Types
from mathlab.language.equation import Equation
from mathlab.language.layers import LAYERS
from mathlab.language.ops import EXACT, ROWS, Op
from mathlab.language.program import compile_program
from mathlab.language.shapes import Type
from mathlab.language.syntax import Call, walk
from mathlab.language.tables import called
from mathlab.stages.prepare import execute
from mathlab.witnesses.graph import COMPOSED
from mathlab.witnesses.reference import REFERENCE
from tests.build import sampled
from tests.language.test_ops import drawn
from tests.language.test_settings import ODD

PUBLIC = sorted(name for name, op in OPS.items() if not op.internal)
# calls of ops that have no samples, being flat, or none in which they stand alone
ALONE = {
    "where": "where(c3, a3, b3)",
    **{name: f"{name}(x3)" for name in ("sign", "floor", "ceil", "round", "ones_like", "zeros_like")},
    "floordiv": "a3 // p3",
    "eye": "eye(3)",
    "one_hot": "one_hot(t2, 3)",
    "ones": "ones(2, 3)",
    "zeros": "zeros(2)",
}


def calls(op: str) -> list[str]:
    """The sample calls in which no other op computes."""
    alone, samples = {"index", "array", op}, (*OPS[op].samples, *([ALONE[op]] if op in ALONE else []))
    return [text for text in samples if all(part.op in alone for part in walk(read(text)) if isinstance(part, Call))]


def value(text: str, env: Mapping[str, Array], dtype: str) -> np.ndarray:
    indices = {name for name in env if name.startswith("t")}
    types = Types({name: Type(array.shape, "i" if name in indices else "f") for name, array in env.items()})
    program = compile_program([Equation("result", read(text), text)], types, ["result"], dtype)
    return execute(program, {name: array.astype(int if name in indices else dtype) for name, array in env.items()})[
        "result"
    ]


@pytest.mark.parametrize("op", [name for name in PUBLIC if OPS[name].kind in ("f", "same")])
def test_whether_it_rounds(op: str) -> None:
    """What never rounds is the same in both precisions, of numbers that both have."""
    assert calls(op), f"{op}: a derivative is needed, or, where it is flat, a call of it in ALONE"
    rounded = []
    for text in calls(op):
        rng = np.random.default_rng(zlib.crc32(text.encode()))
        env = {name: drawn(name, shape, rng).astype(np.float32).astype(float) for name, shape in sampled(text).items()}
        rounded.append(not np.array_equal(value(text, env, "float32"), value(text, env, "float64")))
    assert any(rounded) is (op not in EXACT), f"{op}: is it exact?"


@pytest.mark.parametrize("op", PUBLIC)
def test_it_is_defined_for_the_witnesses(op: str) -> None:
    assert op in {*REFERENCE, *COMPOSED, "index", "scatter"}, f"{op}: a definition in witnesses/reference.py or ops.txt"
    of = called(COMPOSED[op])[1] if op in COMPOSED and op not in REFERENCE else OPS[op].args
    assert len(of) == len(OPS[op].args), f"{op}({', '.join(OPS[op].args)}): witnesses/ops.txt has other arguments"


@pytest.mark.parametrize("op", PUBLIC)
@pytest.mark.one_in(4)
def test_it_is_defined_in_pytorch(op: str) -> None:
    pytest.importorskip("torch")
    from mathlab.witnesses.pytorch import _ops

    assert op in {*_ops(), *COMPOSED, "index", "scatter"}, f"{op}: a definition in witnesses/pytorch.py"


@pytest.mark.parametrize("row", ROWS)
def test_nothing_is_told_that_no_op_has(row: str) -> None:
    args = OPS[row.partition("(")[0]].args if "(" in row else ("a", "b")
    known = {"like", *Op._fields, *(f"d{arg.lstrip('*')}" for arg in args)}
    assert ROWS[row].keys() <= known - {"numpy", "vjp", "args", "defaults"}
    assert ROWS[row].get("like", row) in ROWS
    flags = {fact for fact, text in ROWS[row].items() if not text}
    assert flags <= {"needs_entries", "exact", "cheap", "activation", "internal"}


# functions of one entry that stand between no layers
PLAIN = set("exp expm1 log log1p log2 log10 sqrt square sin cos tan abs erf normal_cdf normal_pdf huber".split())


@pytest.mark.parametrize("op", [name for name, layer in LAYERS.items() if name in OPS and layer.facts["stem"] in "ap"])
def test_whether_it_is_an_activation(op: str) -> None:
    assert OPS[op].activation or op in PLAIN, f"{op}: is it an activation, or a plain function?"


@pytest.mark.parametrize("op", PUBLIC)
def test_its_facts_fit_together(op: str) -> None:
    record = OPS[op]
    settings = set(record.settings)
    assert settings <= {"axis", "ddof", "keepdims", "subscripts", *ODD}, (
        f"{op}: the walk over odd settings knows no others"
    )
    assert all(one.fits(one.default) or one.default is None for one in record.settings.values()), f"{op}: a default"
    assert set(record.defaults) <= set(record.args), f"{op}: a default"
    assert not record.cheap or op in EXACT, f"{op}: a view or a constant never rounds"
    made_of_sizes = record.unread == 0 or (record.shape in (shapes.filled, shapes.permuted) and record.kind != "i")
    assert record.cheap or not made_of_sizes, f"{op}: a view or a constant is cheap"
    assert len(record.vjp) == len(record.args), f"{op}: a derivative for each argument"
    assert record.labels < 0 or "i" in record.accepts(record.labels), f"{op}: labels"
    assert all(isinstance(part, str) for part in record.args[:-1]), f"{op}: arguments"
    assert not any(name.startswith("*") for name in record.args[:-1]), f"{op}: only the last may be many"
