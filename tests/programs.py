"""Random well-typed programs in the equation language, for the tests that hold gradients against each other.

Each has inputs (among them class indices), parameters of many shapes, and equations with broadcasting, fan-out,
indexing, reductions, batches and matrix products, ending in a scalar. Piecewise ops are used only away from their ties,
where every derivative has one answer; and values stay of moderate size, so that rounding does too.

`python -m tests.programs 20000` holds the derived gradients of so many against every witness that is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mathlab.errors import ExpressionError
from mathlab.experiment import Array, Case, Dtype
from mathlab.language import read
from mathlab.language.equation import Equation
from mathlab.stages import witness
from mathlab.stages.prepare import prepare
from mathlab.witnesses.graph import evaluate, run
from mathlab.witnesses.table import WITNESSES
from tests.build import case

Floats = NDArray[np.float64]

SHAPES: tuple[tuple[int, ...], ...] = ((), (2,), (3,), (2, 3), (3, 2), (1, 3), (2, 1), (2, 2, 3))
LARGEST_VALUE = 30.0
LARGEST_SIZE = 48
CLEARANCE = 0.02  # distance kept from a tie


@dataclass(frozen=True)
class Program:
    """Equations as (name, text), over arrays."""

    inputs: Mapping[str, Array]
    parameters: Mapping[str, Array]
    texts: tuple[tuple[str, str], ...]

    @property
    def equations(self) -> tuple[Equation, ...]:
        return equations(*self.texts)

    @property
    def env(self) -> dict[str, Array]:
        return {**self.inputs, **self.parameters}

    def case(self, dtype: Dtype = "float64") -> Case:
        """The program as a config would have it."""
        return case(dict(self.texts), self.parameters, self.inputs, dtype=dtype)

    def __str__(self) -> str:
        leaves = {name: array.tolist() for name, array in self.env.items()}
        return "\n".join([str(leaves), *(f"{name} = {text}" for name, text in self.texts)])


def equations(*texts: tuple[str, str]) -> tuple[Equation, ...]:
    """Equations from pairs of a name and an expression's text."""
    return tuple(Equation(name, read(text), text) for name, text in texts)


def _small(x: Floats) -> bool:
    return bool(np.all(np.abs(x) < 3))


def _clear(x: Floats) -> bool:
    return bool(np.all(np.abs(x) > CLEARANCE))


def _inside(x: Floats) -> bool:
    return _clear(np.abs(x) - 1)


def _anywhere(x: Floats) -> bool:
    return True


# what may stand in an equation over one node, and where
UNARY: Mapping[str, Callable[[Floats], bool]] = {
    "sigmoid({x})": _anywhere,
    "tanh({x})": _anywhere,
    "softplus({x})": _anywhere,
    "silu({x})": _anywhere,
    "gelu({x})": _anywhere,
    "sin({x})": _anywhere,
    "cos({x}) * {x}": _anywhere,
    "erf({x})": _anywhere,
    "normal_cdf({x})": _anywhere,
    "normal_pdf({x})": _anywhere,
    "square({x})": _anywhere,
    "{x}**3": _small,
    "2**{x}": _small,
    "exp({x})": _small,
    "expm1(-{x})": _small,
    "log(1 + {x}**2)": _anywhere,
    "log1p(square({x}))": _anywhere,
    "sqrt(1 + square({x}))": _anywhere,
    "1 / (2 + cos({x}))": _anywhere,
    "relu({x})": _clear,
    "leaky_relu({x})": _clear,
    "leaky_relu({x}, 0.2)": _clear,
    "elu({x}, 0.5)": _clear,
    "abs({x})": _clear,
    "sign({x}) * {x}": _clear,
    "{x} * ({x} > 0)": _clear,
    "where({x} > 0, {x}**2, sin({x}))": _clear,
    "maximum({x}, 0)": _clear,
    "clip({x}, -1, 1)": _inside,
    "norm({x})": lambda x: float(np.sum(x * x)) > CLEARANCE,
    "sum({x})": _anywhere,
    "mean({x})": _anywhere,
    "[{x}, 2 * {x}]": _anywhere,
}

# the same over a node with axes; {k} is one of them
ALONG: Mapping[str, Callable[[Floats, int], bool]] = {
    "softmax({x}, axis={k})": lambda x, k: x.shape[k] > 1,
    "log_softmax({x}, axis={k})": lambda x, k: x.shape[k] > 1,
    "logsumexp({x}, axis={k})": lambda x, k: True,
    "logsumexp({x}, axis={k}, keepdims=True)": lambda x, k: True,
    "sum({x}, axis={k})": lambda x, k: True,
    "{x} - mean({x}, axis={k}, keepdims=True)": lambda x, k: True,
    "max({x}, axis={k})": lambda x, k: _untied(x, k),
    "{x} * ({x} == max({x}, axis={k}, keepdims=True))": lambda x, k: _untied(x, k),
    "min({x}, axis={k}, keepdims=True)": lambda x, k: _untied(x, k),
    "norm({x}, axis={k})": lambda x, k: bool(np.all(np.sum(x * x, axis=k) > CLEARANCE)),
    "{x}.T": lambda x, k: True,
    "{x}.mT": lambda x, k: x.ndim > 1,
    "reshape({x}, -1)": lambda x, k: True,
    "{x}[0]": lambda x, k: True,
    "{x}[-1:]": lambda x, k: True,
    "{x}[None]": lambda x, k: x.ndim < 3,
    "{x}[[0, 0, -1]]": lambda x, k: True,
    "concat({x}, square({x}), axis={k})": lambda x, k: True,
    "{x}[t]": lambda x, k: x.shape[0] > 1,
    "diag({x})": lambda x, k: x.ndim == 1,
    "log_softmax({x})[t]": lambda x, k: x.ndim == 1 and len(x) > 1,
    "cross_entropy({x}, t)": lambda x, k: x.ndim == 1 and len(x) > 1,
    "cross_entropy({x}, ts)": lambda x, k: x.ndim == 2 and len(x) == 2 and x.shape[1] > 1,
    "{x}[[0, 1], ts]": lambda x, k: x.ndim == 2 and len(x) == 2 and x.shape[1] > 1,
    "cross_entropy({x}, softmax(2 * {x}))": lambda x, k: x.ndim < 3 and x.shape[-1] > 1,
}

# the same over two nodes; those whose shapes do not fit are not used
BINARY: Mapping[str, Callable[[Floats, Floats], bool]] = {
    "{a} + {b}": lambda a, b: True,
    "{a} - {b}": lambda a, b: True,
    "{a} * {b}": lambda a, b: True,
    "{a} / (1 + square({b}))": lambda a, b: True,
    "(1 + square({a}))**sin({b})": lambda a, b: True,
    "maximum({a}, {b})": lambda a, b: _clear(a - b),
    "minimum({a}, sin({b}))": lambda a, b: _clear(a - np.sin(b)),
    "where({a} > {b}, {a} * {b}, {b})": lambda a, b: _clear(a - b),
    "{a} @ {b}": lambda a, b: True,
    "{a}.T @ {b}": lambda a, b: a.ndim == 2,
    "{a} @ {b}.T": lambda a, b: b.ndim == 2,
    "outer({a}, {b})": lambda a, b: a.ndim == b.ndim == 1,
    "dot({a}, {b})": lambda a, b: a.ndim < 3 and b.ndim < 3,
}


def _untied(x: Floats, axis: int) -> bool:
    ordered = np.sort(x, axis=axis)
    return x.shape[axis] == 1 or bool(np.all(np.diff(ordered, axis=axis) > CLEARANCE))


@dataclass
class _Draft:
    """A program while it is being written: the equations so far and the values of all its names."""

    values: dict[str, Floats]
    texts: list[tuple[str, str]] = field(default_factory=list)

    def nodes(self) -> list[str]:
        return [name for name in self.values if name not in ("t", "ts")]

    def tried(self, text: str) -> Floats | None:
        """The value of an expression, or None where it does not fit or is too large."""
        try:
            with np.errstate(all="ignore"):
                computed = evaluate(read(text), run((), self.values)).real.astype(np.float64)
        except (ExpressionError, ValueError):
            return None
        return computed if computed.size <= LARGEST_SIZE and np.all(np.isfinite(computed)) else None

    def add(self, text: str) -> None:
        computed = self.tried(text)
        if computed is None:
            return
        if np.max(np.abs(computed), initial=0.0) > LARGEST_VALUE:
            text = f"tanh(({text}) / 10)"
            computed = self.tried(text)
            assert computed is not None
        name = f"v{len(self.texts)}"
        self.texts.append((name, text))
        self.values[name] = computed


def _candidates(draft: _Draft, a: str, b: str, axis: int) -> list[str]:
    """Every text that may stand over the nodes `a` and `b`."""
    x, other = draft.values[a], draft.values[b]
    texts = [text.format(x=a) for text, fits in UNARY.items() if fits(x)]
    if x.ndim:
        k = axis % x.ndim
        texts += [text.format(x=a, k=k) for text, fits in ALONG.items() if fits(x, k)]
    for text, fits in BINARY.items():
        written = text.format(a=a, b=b)
        if draft.tried(written) is not None and fits(x, other):
            texts.append(written)
    return texts


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Programs of three to nine equations."""
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    shapes = st.sampled_from(SHAPES)

    def leaves(prefix: str, count: int) -> dict[str, Floats]:
        drawn = [rng.normal(size=draw(shapes)) for _ in range(count)]
        return {f"{prefix}{i}": np.asarray(np.round(array, 2)) for i, array in enumerate(drawn)}

    parameters, inputs = leaves("p", draw(st.integers(1, 3))), leaves("x", draw(st.integers(1, 2)))
    # class indices: the one kind of array that holds whole numbers
    indices = {"t": cast(Floats, np.asarray(rng.integers(0, 2))), "ts": cast(Floats, rng.integers(0, 2, 2))}
    draft = _Draft({**parameters, **inputs, **indices})
    for _ in range(draw(st.integers(2, 8))):
        nodes = st.sampled_from(draft.nodes())
        a, b = draw(nodes), draw(nodes)
        draft.add(draw(st.sampled_from(_candidates(draft, a, b, draw(st.integers(0, 2))))))
    # the end reads every node that nothing else reads, and every parameter
    read_by = " ".join(text for _, text in draft.texts)
    unread = [name for name in draft.nodes() if name not in inputs and name not in read_by]
    end = " + ".join(f"mean(square({name}))" for name in unread) or f"sum({draft.nodes()[-1]})"
    used = {name: index for name, index in indices.items() if f"{name})" in read_by or f"{name}]" in read_by}
    return Program({**inputs, **used}, parameters, (*draft.texts, ("loss", end)))


def disagreements(program: Program, witnesses: Sequence[str]) -> list[str]:
    """What the witnesses contradict of the program's derived gradients, a line for each."""
    prepared = prepare(program.case())
    found = witness.run(prepared, prepared.run(), witnesses)
    return [
        f"d{result.name}: {result.witness} {result.verdict}, relative {result.relative}"
        for result in found
        if result.verdict != "agrees"
    ]


def check(count: int, first: int = 0, *, phases: Sequence[Phase] = (Phase.generate, Phase.shrink)) -> int:
    """Hold `count` random programs, drawn from the seed `first`, against the witnesses; how many were held.

    Raises AssertionError with the smallest program that fails, or with any where it is not made smaller.
    """
    exact = [name for name, record in WITNESSES.items() if name != "central" and record.installed()]
    tried = 0

    @seed(first)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
    @given(programs())
    def agree(program: Program) -> None:
        nonlocal tried
        tried += 1
        wrong = disagreements(program, exact)
        assert not wrong, "\n".join([str(program), *wrong])
        if sys.stderr.isatty() and tried % 100 == 0:
            print(f"\r{tried} of {count}", end="", file=sys.stderr)

    agree()
    return tried


def main() -> int:
    """`python -m tests.programs COUNT [SEED]`: exit 1, with the smallest program found, where a gradient differs."""
    given_numbers = [int(word) for word in sys.argv[1:]]
    try:
        tried = check(*(given_numbers or [20_000]))
    except AssertionError as error:
        print(error)
        return 1
    print(f"{tried} programs: every derived gradient agrees with every witness")
    return 0


if __name__ == "__main__":
    sys.exit(main())
