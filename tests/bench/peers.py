"""The 2-2-2 training in HIPS autograd and in micrograd, with the same history as ours."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from tests.bench import works
from tests.bench.timing import Race, Work, beside, interleaved

RATE = 0.5


def in_autograd() -> Work:
    """HIPS autograd: arrays, with a gradient function of the whole loss."""
    import autograd.numpy as anp
    from autograd import value_and_grad

    def loss(parameters: tuple[object, object]) -> object:
        w, v = parameters
        h = 1 / (1 + anp.exp(-anp.dot(works.X, w)))
        y = 1 / (1 + anp.exp(-anp.dot(h, v)))
        outputs.append(y)
        total: object = anp.sum(anp.sum((y - works.T) ** 2, axis=1))
        return total

    outputs: list[object] = []
    gradient = value_and_grad(loss)

    def run() -> object:
        w, v = works.W.copy(), works.V.copy()
        history = []
        for _ in range(works.EPOCHS):
            value, (dw, dv) = gradient((w, v))
            history.append((value, outputs.pop(), np.linalg.norm(dw), np.linalg.norm(dv)))
            w, v = w - RATE * dw, v - RATE * dv
        return history

    return run


def in_micrograd() -> Work:
    """micrograd: scalars, with the exponential that its author adds in his lecture."""
    from micrograd.engine import Value

    def exp(x: Value) -> Value:
        out = Value(math.exp(x.data), (x,), "exp")

        def backward() -> None:
            x.grad += out.data * out.grad

        out._backward = backward
        return out

    def layer(rows: list[list[Value]], weights: list[list[Value]]) -> list[list[Value]]:
        sums = [
            [sum(x * w for x, w in zip(row, column, strict=True)) for column in zip(*weights, strict=True)]
            for row in rows
        ]
        return [[(1 + exp(-s)) ** -1 for s in row] for row in sums]

    def run() -> object:
        w, v = ([[Value(x) for x in row] for row in array.tolist()] for array in (works.W, works.V))
        parameters = [[x for row in array for x in row] for array in (w, v)]
        history = []
        for _ in range(works.EPOCHS):
            y = layer(layer(works.X.tolist(), w), v)
            loss = sum(
                (a - b) ** 2
                for row, target in zip(y, works.T.tolist(), strict=True)
                for a, b in zip(row, target, strict=True)
            )
            for parameter in (*parameters[0], *parameters[1]):
                parameter.grad = 0
            loss.backward()
            norms = [math.sqrt(sum(p.grad**2 for p in array)) for array in parameters]
            history.append((loss.data, [[x.data for x in row] for row in y], *norms))
            for parameter in (*parameters[0], *parameters[1]):
                parameter.data -= RATE * parameter.grad
        return history

    return run


PEERS = {"autograd": ("HIPS autograd", in_autograd, 0.05), "micrograd": ("micrograd", in_micrograd, 0.12)}


def peers() -> Iterator[Race]:
    """Beside those that are installed."""
    for package, (name, work, goal) in PEERS.items():
        if importlib.util.find_spec(package):
            yield Race("2-2-2 net, 200 epochs, with history", {name: goal}, partial(_race, name, work))


def _race(name: str, work: Callable[[], Work]) -> dict[str, float]:
    loop, _ = works.ours()
    return beside("ours", interleaved({"ours": loop, name: work()}, 5))
