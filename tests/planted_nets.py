"""More nets in plain NumPy with a bug planted on demand, in which a mistake is made at several places at once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.planted import Floats, Values


def sigmoid(z: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-z)))


# --- a name for every weight and every unit, as blogs write a first example: 2-2-1

UNITS: Mapping[str, float] = {"w1": 0.15, "w2": 0.2, "w3": 0.25, "w4": 0.3, "w5": 0.4, "w6": 0.45, "b": 0.35}
UNITS_INPUTS = {"i1": 0.35, "i2": -0.6, "t": 0.2}
UNITS_EQUATIONS = {
    "n1": "w1 * i1 + w2 * i2 + b * 1",
    "n2": "w3 * i1 + w4 * i2 + b * 1",
    "h1": "1 / (1 + exp(-n1))",
    "h2": "1 / (1 + exp(-n2))",
    "y": "w5 * h1 + w6 * h2",
    "loss": "1 / 2 * (t - y)**2",
}


def units(bug: str = "") -> Values:
    """Forward and backward; `bug` names what is wrong."""
    x, t = np.array([UNITS_INPUTS["i1"], UNITS_INPUTS["i2"]]), UNITS_INPUTS["t"]
    hidden, out = np.reshape([*UNITS.values()][:4], (2, 2)), np.array([UNITS["w5"], UNITS["w6"]])
    n = hidden @ x + (0 if bug == "bias left out" else UNITS["b"])
    h = sigmoid(n)
    y = out @ h
    dy = y - t
    dh = dy * (out[::-1] if bug == "weights exchanged" else out)
    dn = dh * (1 if bug == "derivative missing" else h * (1 - h))
    db = dn[1] if bug == "term missing" else dn.sum()
    named = {"n1": n[0], "n2": n[1], "h1": h[0], "h2": h[1], "y": y, "dy": dy, "dh1": dh[0], "dh2": dh[1]}
    weights = np.ravel([*np.outer(dn, x).ravel(), *dy * h])
    named |= {f"dw{k}": value for k, value in enumerate(weights, start=1)}
    return {name: np.asarray(value) for name, value in {**named, "db": db}.items()}


UNITS_BUGS: Mapping[str, tuple[str, str]] = {
    "bias left out": ("y", "in n1 and n2, the term b * 1 is left out"),
    "derivative missing": ("dw1", "is missing (from the derivative of sigmoid)"),
    "weights exchanged": ("dw1", "w5 and w6 are exchanged"),
    "term missing": ("db", "the term dn1 is left out"),
}


# --- a recurrent net over three steps, whose weights are shared by the steps

RNN: Mapping[str, Floats] = {
    "u": np.array([0.3, -0.7]),
    "W": np.array([[0.6, -0.2], [0.1, 0.5]]),
    "b": np.array([0.05, -0.1]),
    "v": np.array([0.9, -0.4]),
}
RNN_INPUTS = {"x": np.array([0.5, -1.0, 0.8]), "h0": np.array([0.2, 0.1])}
RNN_EQUATIONS = {
    "h1": "tanh(u * x[0] + W @ h0 + b)",
    "h2": "tanh(u * x[1] + W @ h1 + b)",
    "h3": "tanh(u * x[2] + W @ h2 + b)",
    "y": "v @ h3",
    "loss": "(y - 0.4)**2",
}


def rnn(bug: str = "") -> Values:
    """Forward, and backward through time; `bug` names what is wrong."""
    u, w, b, v = RNN.values()
    h = [RNN_INPUTS["h0"]]
    for x in RNN_INPUTS["x"]:
        h.append(np.tanh(u * x + (w.T if bug == "forward transposed" else w) @ h[-1] + b))
    y = v @ h[-1]
    named = {"h1": h[1], "h2": h[2], "h3": h[3], "y": y, "loss": (y - 0.4) ** 2}
    dh = 2 * (y - 0.4) * v
    du, dw, db = np.zeros(2), np.zeros((2, 2)), np.zeros(2)
    for k in (3, 2, 1):
        named[f"dh{k}"] = dh
        da = dh * (1 - h[k] ** 2)
        if k == 3 or bug != "last step alone":
            outer = np.outer(h[k - 1], da) if bug == "forward transposed" else np.outer(da, h[k - 1])
            du, dw = du + da * RNN_INPUTS["x"][k - 1], dw + outer
        if k == 3 or bug not in ("last step alone", "bias of the last step"):
            db = db + da
        dh = (w if bug in ("backward transposed", "forward transposed") else w.T) @ da
    return {name: np.asarray(value) for name, value in {**named, "du": du, "dW": dw, "db": db}.items()}


RNN_BUGS: Mapping[str, tuple[str, str]] = {
    "forward transposed": ("y", "in h1, h2 and h3, W.T stands in place of W"),
    "backward transposed": ("dW", "in dh2 and dh1, W stands in place of W.T"),
    "bias of the last step": ("db", "is taken alone"),
    "last step alone": ("db", "is taken alone"),
}


# --- samples in columns, biases as columns, the mean over the samples in the backward pass

_RNG = np.random.default_rng(3)
COLUMNS_INPUTS = {"X": _RNG.normal(size=(3, 4)).round(2), "Y": _RNG.normal(size=(2, 4)).round(2)}
COLUMNS: Mapping[str, Floats] = {
    "W1": _RNG.normal(size=(3, 3)).round(2),
    "b1": _RNG.normal(size=(3, 1)).round(2),
    "W2": _RNG.normal(size=(2, 3)).round(2),
    "b2": _RNG.normal(size=(2, 1)).round(2),
}
COLUMNS_EQUATIONS = {
    "Z": "W1 @ X + b1",
    "A": "tanh(Z)",
    "S": "W2 @ A + b2",
    "loss": "sum((S - Y)**2) / 4 + 0.05 * (sum(W1**2) + sum(W2**2))",
}


def columns(bug: str = "") -> Values:
    """Forward and backward; `bug` names what is wrong."""
    x, y = COLUMNS_INPUTS.values()
    w1, b1, w2, b2 = COLUMNS.values()
    z = w1 @ x + b1
    a = np.tanh(z)
    s = w2 @ a + b2
    loss = np.sum((s - y) ** 2) / 4 + 0.05 * (np.sum(w1**2) + np.sum(w2**2))
    ds = 2 * (s - y) / (1 if bug == "mean missing" else 4)
    decay = {"decay missing": 0.0, "decay subtracted": -0.1}.get(bug, 0.1)
    dz = w2.T @ ds * (1 - a**2)
    one = bug == "one sample"
    dw1, db1 = dz[:, : 1 if one else 4] @ x.T[: 1 if one else 4], dz.sum(axis=1, keepdims=True)
    dw1 = dw1.T if bug == "product transposed" else dw1
    named = {"Z": z, "A": a, "S": s, "loss": loss, "dS": ds, "dZ": dz, "dW1": dw1 + decay * w1}
    named |= {"db1": dz[:, :1] if bug == "bias of one sample" else db1}
    named |= {"dW2": ds @ a.T + decay * w2, "db2": ds.sum(axis=1, keepdims=True)}
    return {name: np.asarray(value) for name, value in named.items()}


COLUMNS_BUGS: Mapping[str, tuple[str, str]] = {
    "mean missing": ("dS", "the batch size (divide by 4)"),
    "decay missing": ("dW1", "the term 0.1 * W"),
    "decay subtracted": ("dW1", "is subtracted instead of added"),
    "one sample": ("dW1", "entry 0 is taken alone"),
    "bias of one sample": ("db1", "entry 0 is taken alone"),
    "product transposed": ("dW1", "dZ @ X.T is transposed"),
}
