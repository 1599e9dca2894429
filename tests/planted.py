"""Two nets in plain NumPy, as an engineer or an article's author writes them, with a bug planted on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Values = dict[str, Floats]

# --- a softmax MLP on a batch: N = 5 samples, 4 features, 4 hidden units (W1 is square), 3 classes, mean cross-entropy

_RNG = np.random.default_rng(7)
X = _RNG.normal(size=(5, 4)).round(2)
T = np.array([0, 2, 1, 1, 0])
MLP: Mapping[str, Floats] = {
    "W1": _RNG.normal(size=(4, 4)).round(2),
    "b1": _RNG.normal(size=4).round(2),
    "W2": _RNG.normal(size=(4, 3)).round(2),
    "b2": _RNG.normal(size=3).round(2),
}
MLP_EQUATIONS = {
    "Z1": "X @ W1 + b1",
    "H": "relu(Z1)",
    "S": "H @ W2 + b2",
    "L": "cross_entropy(S, T)",
    "loss": "mean(L)",
}


def softmax_mlp(
    bug: str = "",
    dtype: type = np.float64,
    lr: float = 0.1,
    weights: Mapping[str, Floats] = MLP,
    rows: slice = slice(None),
) -> Values:
    """Forward and backward on some of the samples; `bug` names what is wrong."""
    x: Floats = X[rows].astype(dtype)
    narrow: list[Floats] = [value.astype(dtype) for value in weights.values()]
    w1, b1, w2, b2 = narrow
    z1 = x @ (w1.T if bug == "forward transposed" else w1) + (0 if bug == "bias left out" else b1)
    h = np.maximum(z1, 0)
    s = h @ w2 + b2
    e = np.exp(s - s.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    n = len(x)
    losses = -np.log(p[np.arange(n), T[rows]])
    ds = (p - np.eye(3, dtype=dtype)[T[rows]]) / (1 if bug == "sum" else n)
    ds = -ds if bug == "sign" else ds
    dw2, db2 = h.T @ ds, ds.sum(axis=0)
    dh = ds @ (w2 - lr * dw2 if bug == "updated weight" else w2).T
    mask = np.ones_like(z1) if bug == "mask missing" else (z1 <= 0) if bug == "mask reversed" else (z1 > 0)
    dz1: Floats = mask.astype(dtype) * (1 if bug == "upstream missing" else dh)
    dw1, db1 = x.T @ dz1, dz1.sum(axis=0)
    if bug == "bias not summed":
        db1 = dz1
    elif bug == "bias of one sample":
        db1 = dz1[0]
    elif bug == "bias averaged":
        db1 = dz1.mean(axis=0)
    elif bug == "weight of one sample":
        dw1 = np.outer(x[0], dz1[0])
    elif bug == "transposed":
        dw1 = dw1.T
    elif bug == "bias sign":
        db1 = -db1
    elif bug == "half":
        dw1 = dw1 / 2
    elif bug == "times lr":
        dw1 = dw1 * lr
    loss = losses.sum() if bug == "sum" else losses.mean()
    named = {"Z1": z1, "H": h, "S": s, "L": losses, "loss": loss, "dS": ds, "dH": dh, "dZ1": dz1}
    named |= {"dW1": dw1, "db1": db1, "dW2": dw2, "db2": db2}
    return {name: np.asarray(value) for name, value in named.items()}


# bug -> the arrays that it spoils, and words that a diagnosis of one of them must have
MLP_BUGS: Mapping[str, tuple[str, str]] = {
    "forward transposed": ("Z1", "W1.T stands in place of W1"),
    "bias left out": ("Z1", "the bias b1 is left out"),
    "sum": ("dW1", "the batch size (divide by 5)"),
    "sign": ("dW1", "sign"),
    "updated weight": ("dW1", "W2 as already updated"),
    "mask missing": ("dW1", "the mask (Z1 > 0) is missing"),
    "mask reversed": ("dW1", "the wrong way round"),
    "upstream missing": ("dZ1", "the upstream gradient dH is missing"),
    "bias not summed": ("db1", "not summed"),
    "bias of one sample": ("db1", "entry 0 is taken alone"),
    "bias averaged": ("db1", "is averaged instead of summed"),
    "weight of one sample": ("dW1", "entry 0 is taken alone"),
    "transposed": ("dW1", "the transpose"),
    "bias sign": ("db1", "sign"),
    "half": ("dW1", "half of what it should be"),
    "times lr": ("dW1", "the learning rate"),
}


# --- a sigmoid net on one sample, 2-2-2, column vectors, biases shared by a layer, half squared error

SIGMOID_X, SIGMOID_T = np.array([0.05, 0.1]), np.array([0.01, 0.99])
SIGMOID: Mapping[str, Floats] = {
    "W1": np.array([[0.15, 0.2], [0.25, 0.3]]),
    "b1": np.array(0.35),
    "W2": np.array([[0.4, 0.45], [0.5, 0.55]]),
    "b2": np.array(0.6),
}
SIGMOID_EQUATIONS = {
    "z1": "W1 @ x + b1",
    "h": "sigmoid(z1)",
    "z2": "W2 @ h + b2",
    "y": "sigmoid(z2)",
    "loss": "0.5 * sum((y - t)**2)",
}
Activation = Callable[[Floats], Floats]


def sigmoid_net(
    bug: str = "", lr: float = 0.5, carry: Activation = lambda value: value, weights: Mapping[str, Floats] = SIGMOID
) -> Values:
    """Forward and backward; `carry` is done to each intermediate result."""
    x, t = SIGMOID_X, SIGMOID_T
    w1, b1, w2, b2 = (weights[name] for name in ("W1", "b1", "W2", "b2"))

    def sigmoid(z: Floats) -> Floats:
        return 1 / (1 + np.exp(-z))

    z1 = carry((w1.T if bug == "forward transposed" else w1) @ x + (0 if bug == "bias left out" else b1))
    h = carry(sigmoid(z1))
    z2 = carry(w2 @ h + b2)
    y = carry(sigmoid(z2))
    loss = (1 if bug == "half missing" else 0.5) * np.sum((y - t) ** 2)
    dz2 = carry((y - t) * (1 if bug == "derivative missing" else y * (1 - y)))
    dw2, db2 = carry(np.outer(dz2, h)), dz2[0] if bug == "bias not summed" else carry(dz2.sum())
    back = w2 - lr * dw2 if bug == "updated weight" else w2
    dh = carry((back if bug == "backward transposed" else back.T) @ dz2)
    dz1 = carry(dh * h * (1 - h))
    dw1, db1 = carry(np.outer(dz1, x)), carry(dz1.sum())
    dw1 = dw1.T if bug == "gradient transposed" else dw1
    named = {"z1": z1, "h": h, "z2": z2, "y": y, "loss": loss, "dz2": dz2, "dh": dh, "dz1": dz1}
    named |= {"dW1": dw1, "db1": db1, "dW2": dw2, "db2": db2}
    return {name: np.asarray(value) for name, value in named.items()}


SIGMOID_BUGS: Mapping[str, tuple[str, str]] = {
    "forward transposed": ("y", "W1.T stands in place of W1"),
    "bias left out": ("y", "the bias b1 is left out"),
    "half missing": ("loss", "a factor 2"),
    "derivative missing": ("dW2", "the factor y * (1 - y) is missing"),
    "bias not summed": ("db2", "entry 0 is taken alone"),
    "updated weight": ("dW1", "W2 as already updated"),
    "backward transposed": ("dW1", "W2 stands in place of W2.T"),
}
