"""Forward passes in 60-digit decimals, and slopes as difference quotients of them: a second opinion on figures.

NumPy is used for its indexing and `@` alone, over arrays of `Decimal`; nothing of mathlab is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Context, Decimal, localcontext
from itertools import count

import numpy as np
from numpy.typing import NDArray

Decimals = NDArray[np.object_]
Values = Mapping[str, Decimals]
Network = Mapping[str, Callable[[Values], Decimals]]  # node: how it is computed; the last one is the loss

CONTEXT = Context(prec=60)
# the slope from below: it is the exact one where the function is linear on that side, as left of a kink at 0
STEP = Decimal("1e-25")


def forward(network: Network, values: Values, moved: str = "", index: tuple[int, ...] = ()) -> dict[str, Decimals]:
    """Every value and node, where one entry of the value or node `moved` is less by `STEP`."""
    known = {name: np.array(value, object) for name, value in values.items()}
    with localcontext(CONTEXT):
        if moved in known:
            known[moved][index] -= STEP
        for name, compute in network.items():
            known[name] = np.array(compute(known), object)
            if name == moved:
                known[name][index] -= STEP
    return known


def gradient(network: Network, values: Values, name: str) -> Decimals:
    """The slope of the sum of the last node along every entry of a value or node."""
    here = forward(network, values)
    end = list(network)[-1]
    slopes = np.empty(here[name].shape, object)
    with localcontext(CONTEXT):
        for index in np.ndindex(slopes.shape):
            slopes[index] = np.sum(here[end] - forward(network, values, name, index)[end]) / STEP
    return slopes


def descended(network: Network, values: Values, parameters: list[str], lr: Decimal, updates: int) -> Values:
    """The values after so many steps of gradient descent."""
    for _ in range(updates):
        slopes = {name: gradient(network, values, name) for name in parameters}
        with localcontext(CONTEXT):
            values = {**values, **{name: values[name] - lr * slope for name, slope in slopes.items()}}
    return values


def each(function: Callable[[Decimal], Decimal]) -> Callable[[Decimals], Decimals]:
    """The function of single numbers, applied to every entry."""
    return np.frompyfunc(function, 1, 1)


def sigmoid(x: Decimal) -> Decimal:
    return 1 / (1 + (-x).exp())


def tanh(x: Decimal) -> Decimal:
    return 1 - 2 / ((2 * x).exp() + 1)


def normal_cdf(x: Decimal) -> Decimal:
    """1/2 + the density times x + x^3/3 + x^5/(3*5) + ..."""
    term = total = x
    for n in count(3, 2):
        term *= x * x / n
        if abs(term) < Decimal("1e-58"):
            break
        total += term
    return Decimal("0.5") + total * (-x * x / 2).exp() / (2 * pi()).sqrt()


def pi() -> Decimal:
    """Machin: 16 arctan(1/5) - 4 arctan(1/239)."""
    return 16 * _arctan_of_inverse(5) - 4 * _arctan_of_inverse(239)


def _arctan_of_inverse(n: int) -> Decimal:
    terms = (Decimal((-1) ** k) / ((2 * k + 1) * n ** (2 * k + 1)) for k in range(60))
    return sum(terms, Decimal(0))


ZERO, ONE = Decimal(0), Decimal(1)

ACTIVATIONS: Mapping[str, Callable[[Decimal], Decimal]] = {
    "ReLU": lambda x: max(x, ZERO),
    "Leaky ReLU": lambda x: x if x > 0 else x / 10,
    "ELU": lambda x: x if x > 0 else x.exp() - 1,
    "sigmoid": sigmoid,
    "GELU": lambda x: x * normal_cdf(x),
    "SiLU": lambda x: x * sigmoid(x),
    "tanh": tanh,
}

relu = each(ACTIVATIONS["ReLU"])


def softmax(s: Decimals) -> Decimals:
    powers = each(Decimal.exp)(s)
    return np.array(powers / np.sum(powers), object)


def cross_entropy(v: Values) -> Decimals:
    target = int(v["target"].item())
    return np.array(-v["p"].ravel()[target].ln(), object)


TWO_LAYERS: Network = {
    "a1": lambda v: v["W1"] @ v["x"] + v["b1"],
    "h1": lambda v: relu(v["a1"]),
    "s": lambda v: v["W2"] @ v["h1"] + v["b2"],
    "p": lambda v: softmax(v["s"]),
    "loss": cross_entropy,
}
THREE_LAYERS: Network = {
    "a1": TWO_LAYERS["a1"],
    "h1": TWO_LAYERS["h1"],
    "a2": lambda v: v["W2"] @ v["h1"] + v["b2"],
    "h2": lambda v: relu(v["a2"]),
    "s": lambda v: v["W3"] @ v["h2"] + v["b3"],
    "p": TWO_LAYERS["p"],
    "loss": cross_entropy,
}


def two_sigmoids(transposed: bool) -> Network:
    """The 2-2-1 network, with its weights as matrices that multiply from the left, or as the transposes of such."""

    def affine(W: Decimals, x: Decimals, b: Decimals) -> Decimals:
        return np.array((W.T if transposed else W) @ x + b, object)

    return {
        "z1": lambda v: affine(v["W1"], v["x"], v["b1"]),
        "a1": lambda v: each(sigmoid)(v["z1"]),
        "z2": lambda v: affine(v["W2"], v["a1"], v["b2"]),
        "a2": lambda v: each(sigmoid)(v["z2"]),
        "L": lambda v: np.sum((v["a2"] - v["y"]) ** 2) / 2,
    }


def recurrent(steps: int) -> Network:
    """The steps of a net whose state goes through tanh, and half the squared distance of the last one from y."""

    def step(t: int) -> Network:
        return {
            f"z{t}": lambda v: v["W"] @ v[f"h{t - 1}"] + v["U"] @ v["x"][t - 1] + v["b"],
            f"h{t}": lambda v: each(tanh)(v[f"z{t}"]),
        }

    network = {name: compute for t in range(1, steps + 1) for name, compute in step(t).items()}
    return {**network, "L": lambda v: np.array(np.sum((v[f"h{steps}"] - v["y"]) ** 2) / 2, object)}
