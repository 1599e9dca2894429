"""Every rule of the backward pass, planted in eight nets: it is named, or what says the same of any numbers is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, cached_property
from itertools import islice

import numpy as np
import pytest
from numpy.typing import ArrayLike

from mathlab.diagnosis import mistakes, slips
from mathlab.diagnosis.evidence import best
from mathlab.diagnosis.mistakes import KINDS, Mistake
from mathlab.diagnosis.scene import Scene, of_arrays
from mathlab.diagnosis.search import Search
from mathlab.diagnosis.worlds import Evaluator, World, changed, computing
from mathlab.errors import ExpressionError, MathlabError
from mathlab.experiment import Array, Case
from mathlab.language.check import read
from mathlab.language.syntax import Name
from mathlab.stages.prepare import prepare
from tests.build import case
from tests.planted import Floats

Drawn = Callable[..., Floats]


def drawing(seed: int) -> Drawn:
    """What draws an array of a shape: each net has a generator of its own."""
    rng = np.random.default_rng(seed)
    return lambda *shape: np.asarray(rng.normal(size=shape).round(2))


def dense(drawn: Drawn) -> Case:
    equations = {"z": "X @ W + b", "h": "tanh(z)", "u": "h @ V + c", "a": "relu(u)", "e": "a - T"}
    equations["loss"] = "0.5 * mean(sum(e**2, axis=1)) + 0.1 * sum(W**2)"
    parameters = {"W": drawn(2, 2), "b": drawn(2), "V": drawn(2, 3), "c": drawn(3)}
    return case(equations, parameters, {"X": drawn(4, 2), "T": drawn(4, 3)})


def convolution(drawn: Drawn) -> Case:
    equations = {"z": "w[0] * x[0:4] + w[1] * x[1:5] + b", "h": "relu(z)", "s": "U @ h", "loss": "cross_entropy(s, t)"}
    return case(equations, {"w": drawn(2), "b": 0.1, "U": drawn(3, 4)}, {"x": drawn(5), "t": 1})


def batch_norm(drawn: Drawn) -> Case:
    equations = {"u": "X @ W", "c": "u - mean(u, axis=0)", "v": "mean(c**2, axis=0)", "n": "c / sqrt(v + 1e-5)"}
    equations |= {"s": "gamma * n + beta", "h": "sigmoid(s)", "loss": "mean(cross_entropy(h, t))"}
    parameters = {"W": drawn(2, 3), "gamma": 1 + drawn(3), "beta": drawn(3)}
    return case(equations, parameters, {"X": drawn(5, 2), "t": [0, 2, 1, 1, 0]})


def lstm(drawn: Drawn) -> Case:
    equations: dict[str, str] = {}
    for k in (1, 2):
        gates = {gate: f"W{gate} @ x[{k - 1}] + U{gate} @ h{k - 1}" for gate in "ifog"}
        equations |= {f"{gate}{k}": f"{'tanh' if gate == 'g' else 'sigmoid'}({text})" for gate, text in gates.items()}
        equations |= {f"c{k}": f"f{k} * c{k - 1} + i{k} * g{k}", f"h{k}": f"o{k} * tanh(c{k})"}
    equations["loss"] = "0.5 * sum((h2 - t)**2)"
    parameters = {f"{kind}{gate}": drawn(2, 2) for gate in "ifog" for kind in "WU"}
    return case(equations, parameters, {"x": drawn(2, 2), "t": drawn(2), "h0": drawn(2), "c0": drawn(2)})


def attention(drawn: Drawn) -> Case:
    equations = {"q": "X @ Q", "k": "X @ K", "v": "X @ V", "a": "softmax(q @ k.T / sqrt(2), axis=1)"}
    equations |= {"c": "a @ v", "loss": "mean((c @ O - t)**2)"}
    return case(equations, {name: drawn(2, 2) for name in "QKVO"}, {"X": drawn(3, 2), "t": drawn(3, 2)})


def embedding(drawn: Drawn) -> Case:
    equations = {"e": "E[words]", "m": "mean(e, axis=0)", "s": "m @ U + e[0] @ U + e[1] @ (U * U) + c"}
    equations["loss"] = "cross_entropy(s, t) + sum(U**2) + sum(abs(U))"
    parameters = {"E": drawn(3, 2), "U": drawn(2, 3), "c": drawn(3)}
    return case(equations, parameters, {"words": [0, 2, 0], "t": 1})


def pooling(drawn: Drawn) -> Case:
    equations = {"z": "conv2d(x, k)", "h": "max_pool(z, 2)", "f": "reshape(h, 6)", "s": "U @ f"}
    equations["loss"] = "cross_entropy(s, t)"
    return case(equations, {"k": drawn(2, 2), "U": drawn(3, 6)}, {"x": drawn(5, 7), "t": 1})


def two_readers(drawn: Drawn) -> Case:
    equations = {"h": "sigmoid(X @ W + b)", "r": "h @ U - T", "loss": "mean(r**2) + 0.5 * mean(h**2)"}
    parameters = {"W": drawn(2, 3), "b": drawn(3), "U": drawn(3, 2)}
    return case(equations, parameters, {"X": drawn(4, 2), "T": drawn(4, 2)})


NETS: Mapping[str, Case] = {
    "pooling": pooling(drawing(8)),
    "embedding": embedding(drawing(8)),
    "dense": dense(drawing(8)),
    "convolution": convolution(drawing(9)),
    "batch norm": batch_norm(drawing(8)),
    "lstm": lstm(drawing(8)),
    "attention": attention(drawing(8)),
    "two readers": two_readers(drawing(8)),
}


def policy(drawn: Drawn) -> Case:
    equations = {
        "z": "S @ W + b",
        "lp": "log_softmax(z)",
        "p": "softmax(z)",
        "picked": "sum(lp * one_hot(a, 3), axis=1)",
    }
    equations |= {"gain": "mean(exp(picked - old) * adv)", "ent": "-sum(p * lp, axis=1)"}
    equations["loss"] = "-gain - 0.1 * mean(ent)"
    inputs: dict[str, ArrayLike] = {"S": drawn(4, 2), "a": [0, 2, 1, 2], "old": drawn(4), "adv": drawn(4)}
    return case(equations, {"W": drawn(2, 3), "b": drawn(3)}, inputs)


def weighted(drawn: Drawn) -> Case:
    equations = {"p": "sigmoid(X @ w + b)", "pos": "t * log(p)", "neg": "(1 - t) * log(1 - p)"}
    equations["loss"] = "-sum(cw * (pos + neg)) / 5"
    return case(equations, {"w": drawn(2), "b": 0.1}, {"X": drawn(5, 2), "t": [0.0, 1, 1, 0, 1], "cw": 2 + drawn(5)})


def factored(drawn: Drawn) -> Case:
    equations = {"p": "P[ui]", "q": "Q[ii]", "err": "sum(p * q, axis=1) - R"}
    equations["loss"] = "mean(err**2) + 0.1 * sum(P**2) + 0.1 * sum(Q**2)"
    inputs: dict[str, ArrayLike] = {"ui": [0, 1, 2, 0, 1], "ii": [2, 2, 1, 0, 1], "R": drawn(5)}
    return case(equations, {"P": drawn(3, 2), "Q": drawn(3, 2)}, inputs)


def smoothed(drawn: Drawn) -> Case:
    equations = {"h": "tanh(V @ X)", "z": "W @ h", "p": "softmax(z.T)", "logp": "log(p)"}
    equations |= {"target": "0.9 * one_hot(y, 2) + 0.1 / 2", "loss": "-sum(target * logp) + 0.1 * sum(V**2)"}
    return case(equations, {"V": drawn(4, 2), "W": drawn(2, 4)}, {"X": drawn(2, 5), "y": [0, 1, 1, 0, 1]})


def joined(drawn: Drawn) -> Case:
    equations = {"a": "x @ W", "i": "sigmoid(a[:, :2])", "f": "sigmoid(a[:, 2:4])", "g": "tanh(a[:, 4:])"}
    equations |= {"c": "f * x + i * g", "s": "c @ U + B[u]", "loss": "mean(cross_entropy(s, t))"}
    return case(
        equations,
        {"W": drawn(2, 6), "U": drawn(2, 2), "B": drawn(2, 2)},
        {"x": drawn(4, 2), "t": [0, 1, 1, 0], "u": [0, 0, 0, 1]},
    )


def images(drawn: Drawn) -> Case:
    equations = {"a": "tanh(conv2d(x, k))", "p": "max_pool(a, 2)", "u": "conv2d(p, m, stride=2, pad=1)", "h": "tanh(u)"}
    equations |= {"s": "reshape(h, 2, 12) @ W", "loss": "mean(cross_entropy(s, t))"}
    parameters = {"k": drawn(2, 1, 2, 2), "m": drawn(3, 2, 3, 3), "W": drawn(12, 3)}
    return case(equations, parameters, {"x": drawn(2, 1, 7, 7), "t": [0, 2]})


def layer_norm(drawn: Drawn) -> Case:
    equations = {"x": "X @ V", "c": "x - mean(x, axis=1, keepdims=True)", "v": "mean(c**2, axis=1, keepdims=True)"}
    equations |= {"n": "c / sqrt(v + 1e-5)", "r": "n * gamma + x", "p": "softmax(r @ W)", "loss": "-mean(t * log(p))"}
    parameters = {"V": drawn(3, 4), "gamma": drawn(4), "W": drawn(4, 3)}
    return case(equations, parameters, {"X": drawn(5, 3), "t": np.abs(drawn(5, 3))})


def ending(drawn: Drawn) -> Case:
    """A net most of whose nodes have a number for their gradient, and stand by name in those before them."""
    equations = {"z": "X @ W + b", "q": "tanh(z)", "r": "exp(z)", "s": "exp(z)", "m": "mean(q) - sum(r)"}
    return case({**equations, "loss": "m + 2 * mean(s)"}, {"W": drawn(2, 3), "b": drawn(3)}, {"X": drawn(4, 2)})


# what a rule makes beside its first mistake, in nets that have a place for it
ELSEWHERE: Mapping[str, tuple[Case, Sequence[str]]] = {
    "policy": (
        policy(drawing(8)),
        (
            "in dz, the sum over the classes is left out for what picked hands on",
            "in dz, the sum over the classes is left out for what ent hands on",
            "in dz, the derivative of softmax is left out for what ent hands on",
        ),
    ),
    "weighted": (
        weighted(drawing(8)),
        ("in dp and d(pre-activation of p), the decision p > 0.5 stands in place of p",),
    ),
    "factored": (factored(drawing(8)), ("in dp, Q[ui] stands in place of q", "in dq, P[ii] stands in place of p")),
    "smoothed": (smoothed(drawing(8)), ("one_hot(y, 2) stands in place of target", "W.T stands in place of V")),
    "joined": (
        joined(drawing(8)),
        (
            "d(pre-activation of i) and d(pre-activation of g) are joined each in the other's place",
            "u stands in place of t",
            "the class numbers t stand in place of one_hot(t, 2)",
        ),
    ),
    "ending": (ending(drawing(8)), ()),
}
BACKWARD = [kind.name for kind in KINDS.values() if kind.forward is False]


class Planted:
    """A net with its mistakes, the first of each kind that changes a gradient."""

    def __init__(self, net: str) -> None:
        self.prepared = prepare(NETS[net] if net in NETS else ELSEWHERE[net][0])
        self.gradients = [f"d{name}" for name in self.prepared.case.parameters]
        rng = np.random.default_rng(1)
        moved: dict[str, Array] = {}
        for name, value in self.prepared.case.parameters.items():
            moved[name] = np.asarray(value.array + 0.3 * rng.normal(size=value.array.shape), np.float64)
        true = self.prepared.run()
        claims = [
            of_arrays(name, Name(name), [true[name]], [1e-9 * np.abs(true[name])], False) for name in self.gradients
        ]
        self.search = Search(Scene(self.prepared, claims, ({},)))
        self.there = Search(Scene(self.prepared, claims, (moved,)))
        self.true = true

    def every(self) -> Iterator[Mistake]:
        return mistakes.all_of(self.search.prepared, self.search.names, False, lambda: math.inf)

    @cached_property
    def first(self) -> dict[str, Mistake]:
        found: dict[str, Mistake] = {}
        for mistake in self.every():
            if mistake.kind not in found and self.spoilt(mistake):
                found[mistake.kind] = mistake
        return found

    def values(self, mistake: Mistake, search: Search) -> dict[str, Array | None]:
        world = World(search.evaluator, mistake.changes)
        return {name: next(iter(world.values(Name(name))), None) for name in self.gradients}

    def spoilt(self, mistake: Mistake) -> bool:
        if self.search.evaluator.circular(mistake.changes.items()):
            return False
        values = self.values(mistake, self.search)
        pairs = [(value, self.true[name]) for name, value in values.items() if value is not None]
        if len(pairs) < len(values) or any(value.shape != true.shape for value, true in pairs):
            return False
        differs = any(not np.allclose(value, true, rtol=1e-6) for value, true in pairs)
        return differs and all(np.all(np.isfinite(value)) for value, _ in pairs)


planted = cache(Planted)


# what has a place in the large net has one in another one too
SMALL = [net for net in NETS if net != "lstm"]


def test_every_rule_has_a_place_somewhere() -> None:
    assert {kind for net in SMALL for kind in planted(net).first} == {*BACKWARD}


@pytest.mark.parametrize("kind", BACKWARD)
def test_a_rule_that_is_planted_is_named(kind: str) -> None:
    """In one of the nets that have a place for it: in each, only for whoever has changed it."""
    first = BACKWARD.index(kind) % len(SMALL)
    lab = next(lab for net in SMALL[first:] + SMALL[:first] if kind in (lab := planted(net)).first)
    assert_named(lab, lab.first[kind])


@pytest.mark.slow
@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("kind", BACKWARD)
def test_every_rule_in_every_net_is_named(net: str, kind: str) -> None:
    lab = planted(net)
    mistake = lab.first.get(kind)
    if mistake is None:
        pytest.skip("this net has no place for it")
    assert_named(lab, mistake)


@pytest.mark.parametrize(("net", "cause"), [(net, cause) for net, (_, causes) in ELSEWHERE.items() for cause in causes])
def test_a_mistake_in_a_place_of_its_own_is_named(net: str, cause: str) -> None:
    lab = planted(net)
    assert_named(lab, next(one for one in lab.every() if cause in lab.search.worded(one) and lab.spoilt(one)))


def assert_named(lab: Planted, mistake: Mistake) -> None:
    """It is named, or what says the same at other parameters too."""
    given = lab.values(mistake, lab.search)
    claims = []
    for name, value in given.items():
        assert value is not None
        wrong = not np.allclose(value, lab.true[name], rtol=1e-9, atol=1e-12)
        claims.append(of_arrays(name, Name(name), [value], [1e-9 * np.abs(value) + 1e-13], wrong))
    scene = Scene(lab.prepared, claims)
    trials, tried, _ = Search(scene).run()
    found = best(scene, trials, tried)
    assert [*found] == scene.wrong
    named = found[scene.wrong[0]]
    assert {*named.explains} == {*scene.wrong}
    assert named.mistake
    if lab.search.worded(mistake) not in (named.cause, *(other.cause for other in named.others)):
        # what comes first says the same: at other parameters too
        mine, theirs = (lab.values(one, lab.there) for one in (mistake, named.mistake))
        for name, value in mine.items():
            other = theirs[name]
            assert value is not None
            assert other is not None
            assert np.allclose(value, other, rtol=1e-6, atol=1e-9), named.cause


CHAIN = {"a": "tanh(w * x)", "b": "tanh(v * x)", "c": "u * b", "loss": "sum(a**3) + sum(c * x)"}


@pytest.mark.parametrize(
    "changes",
    [
        {"a": "b * x", "b": "v * w"},  # a reads what is changed too, and comes after it
        {"a": "c + x", "b": "x"},  # and what a changed one reaches
        {"db": "dc * a + da", "da": "a**2"},
        {"a": "tanh(b)", "b": "tanh(a)"},  # which go round
    ],
)
def test_a_changed_equation_reads_the_changed_values_of_what_it_did_not_read_before(changes: dict[str, str]) -> None:
    drawn = drawing(3)
    prepared = prepare(case(CHAIN, {name: drawn(3) for name in "wvu"}, {"x": drawn(3)}))
    slips = {name: read(text) for name, text in changes.items()}
    exact = changed(prepared, slips)
    for name in ("a", "da", "dv", "loss"):
        found = World(Evaluator(prepared, [{}]), slips).values(Name(name))
        assert len(found) == (exact is not None)
        assert exact is None or np.allclose(found[0], computing(exact)({})[name], rtol=1e-12)


@pytest.mark.parametrize("net", ["attention", "embedding", "ending"])
def test_what_a_forward_mistake_hands_on_is_what_its_equations_derive(net: str) -> None:
    lab = planted(net)
    search, compared = lab.search, 0
    every = mistakes.all_of(search.prepared, search.names, True, lambda: math.inf)
    for mistake in islice((mistake for mistake in every if mistake.followed), 0, None, 9):
        whole = mistakes.followed(mistake, search.prepared)
        equations = tuple(
            replace(line, expr=mistake.changes.get(line.name, line.expr)) for line in search.prepared.equations
        )
        with suppress(ExpressionError, MathlabError):  # of what does not fit together
            anew = prepare(replace(search.prepared.case, equations=equations)).run()
            for name, value in lab.values(whole, search).items() if whole else ():
                assert value is not None
                assert np.allclose(value, anew[name], rtol=1e-9, atol=1e-12, equal_nan=True), search.worded(mistake)
                compared += 1
    assert compared > 20


@pytest.mark.parametrize("one", ["1", "1.0"])
def test_a_gate_is_told_by_its_other_half_however_the_one_is_written(one: str) -> None:
    equations = {"g": "w * x", "y": f"g * w + ({one} - g) * x", "loss": "sum(y**2)"}
    prepared = prepare(case(equations, {"w": [0.5, -0.25]}, {"x": [1.5, 2.0]}))
    assert slips.known(prepared).complemented == {"g"}
