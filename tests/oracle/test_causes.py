"""Mistakes planted in nets of several kinds, each written out in NumPy: the oracle must name every one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

import mathlab
from mathlab.experiment import Case
from mathlab.oracle.oracle import OracleResult, compare
from tests.build import case
from tests.planted import Floats, Values

Net = Callable[[str], tuple[Case, Values]]
RNG = np.random.default_rng


def sigmoid(z: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-z)))


# --- gates over time: a GRU whose weights are shared by three steps

GRU_WORDS: Mapping[str, str] = {
    "the next step's gradient not handed on": "the term dh3 * (1 - z3) is left out; likewise in dh1",
    "gate for what it leaves": "stands in place of",
    "this step for the one before": "h3 stands in place of h2; h2 stands in place of h1; h1 stands in place of h0",
}


def gru(bug: str) -> tuple[Case, Values]:
    rng, steps, n = RNG(1), 3, 2
    x, h0, t = rng.normal(size=(steps, n)), 0.3 * rng.normal(size=n), rng.normal(size=n)
    p = {f"{kind}{gate}": 0.6 * rng.normal(size=(n, n)) for gate in "zrc" for kind in "WU"}
    equations: dict[str, str] = {}
    h, z, r, c = [h0], [h0], [h0], [h0]
    for k in range(1, steps + 1):
        equations |= {
            f"z{k}": f"sigmoid(Wz @ x[{k - 1}] + Uz @ h{k - 1})",
            f"r{k}": f"sigmoid(Wr @ x[{k - 1}] + Ur @ h{k - 1})",
            f"c{k}": f"tanh(Wc @ x[{k - 1}] + Uc @ (r{k} * h{k - 1}))",
            f"h{k}": f"(1 - z{k}) * h{k - 1} + z{k} * c{k}",
        }
        z.append(sigmoid(p["Wz"] @ x[k - 1] + p["Uz"] @ h[-1]))
        r.append(sigmoid(p["Wr"] @ x[k - 1] + p["Ur"] @ h[-1]))
        c.append(np.tanh(p["Wc"] @ x[k - 1] + p["Uc"] @ (r[-1] * h[-1])))
        h.append((1 - z[-1]) * h[-1] + z[-1] * c[-1])
    equations["loss"] = f"0.5 * sum((h{steps} - t)**2)"
    g = {name: np.zeros((n, n)) for name in p}
    dh = h[-1] - t
    for k in range(steps, 0, -1):
        before = h[k - 1]
        dc = dh * ((1 - z[k]) if bug == "gate for what it leaves" else z[k])
        slope = {
            "square forgotten": 1 - c[k],
            "slope missing": np.ones(n),
            "another slope": c[k] * (1 - c[k]),
        }.get(bug, 1 - c[k] ** 2)
        dac, daz = dc * slope, dh * (c[k] - before) * (z[k] * (1 - z[k])) ** (2 if bug == "slope twice" else 1)
        back = (p["Uc"] if bug == "not transposed" else p["Uc"].T) @ dac
        dar = back * before * r[k] * (1 - r[k])
        for gate, da in (("z", daz), ("r", dar), ("c", dac)):
            g[f"W{gate}"] += np.outer(da, x[k - 1])
        g["Uz"] += np.outer(daz, h[k] if bug == "this step for the one before" else before)
        g["Ur"] += np.outer(dar, before)
        g["Uc"] += np.outer(dac, r[k] * before)
        direct = 0 * dh if bug == "the next step's gradient not handed on" else dh * (1 - z[k])
        dh = direct + back * r[k] + p["Uz"].T @ daz + p["Ur"].T @ dar
    made = case(equations, p, {"x": x, "h0": h0, "t": t})
    return made, {f"d{name}": value for name, value in g.items()}


# --- a residual and layer normalisation, softmax and a batch

LAYER_NORM_WORDS: Mapping[str, str] = {
    "not averaged": "the division by 5 is missing",
    "softmax differentiated twice": "the derivative of softmax stands once too often",
    "labels of the next sample": "y is shifted by one",
    "gain missing": "the factor g is missing",
    "variance's path": "the term dv * xc / 2 is left out",
    "variance's power": "the factor 1 / (v + 1e-5) is missing",
    "mean's path": "the term dmu / 4 is left out",
    "statistics constant": "the mean and the spread are taken for constants",
    "mask missing": "the mask (u > 0) is missing",
    "mask of the gradient": "the mask is taken from the gradient, (da > 0), instead of (u > 0)",
    "mask reversed": "the wrong way round",
    "residual's path": "the term ds is left out",
    "centred for normalised": "xc stands in place of xh",
    "bias averaged": "is averaged instead of summed",
    "weight not transposed": "W1 stands in place of W1.T",
    "bias before the mask": "the mask (u > 0) is missing (in the du that it reads)",
    "last sample alone": "of dz entry 4 is taken alone along axis 0",
    "slope of what is linear": "the derivative of a sigmoid, is too much",
    "slope of the logits": "sigmoid(z) * (1 - sigmoid(z)), the derivative of a sigmoid, is too much",
    "the whole Jacobian twice": "the Jacobian of softmax stands once too often",
    "mean over the batch": "the mean runs over axis 0",
    "normalised left out": "in ds, the factor xh is missing",
    "normalised twice": "in ds, the factor xh stands twice",
    "summed in one line": "in ds, sum stands in place of mean in mean(dxh * xh",
}


def layer_norm(bug: str) -> tuple[Case, Values]:
    rng = RNG(2)
    X, y = rng.normal(size=(5, 4)), rng.integers(0, 3, 5)
    p = {"W1": 0.7 * rng.normal(size=(4, 4)), "b1": 0.2 * rng.normal(size=4), "g": 1 + 0.5 * rng.normal(size=4)}
    p |= {"be": 0.2 * rng.normal(size=4), "W2": rng.normal(size=(4, 3)), "b2": 0.2 * rng.normal(size=3)}
    equations = {
        "u": "X @ W1 + b1",
        "a": "relu(u)",
        "s": "X + a",
        "mu": "mean(s, axis=1, keepdims=True)",
        "xc": "s - mu",
        "v": "mean(xc**2, axis=1, keepdims=True)",
        "xh": "xc / sqrt(v + 1e-5)",
        "o": "g * xh + be",
        "z": "o @ W2 + b2",
        "loss": "mean(cross_entropy(z, y))",
    }
    u = X @ p["W1"] + p["b1"]
    s = X + np.maximum(u, 0)
    xc = s - s.mean(1, keepdims=True)
    v = (xc**2).mean(1, keepdims=True) + 1e-5
    xh = xc / np.sqrt(v)
    o = p["g"] * xh + p["be"]
    z = o @ p["W2"] + p["b2"]
    q = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    labels = np.roll(y, 1) if bug == "labels of the next sample" else y
    dz = (q - np.eye(3)[labels]) / (1 if bug == "not averaged" else 5)
    dz = dz * q * (1 - q) if bug == "softmax differentiated twice" else dz
    dz = dz * z * (1 - z) if bug == "slope of what is linear" else dz
    dz = dz * sigmoid(z) * (1 - sigmoid(z)) if bug == "slope of the logits" else dz
    dz = q * (dz - (q * dz).sum(1, keepdims=True)) if bug == "the whole Jacobian twice" else dz
    do = dz @ p["W2"].T
    dxh = do * (1 if bug == "gain missing" else p["g"])
    dv = (dxh * xc).sum(1, keepdims=True) * -0.5 * v ** (-0.5 if bug == "variance's power" else -1.5)
    dxc = dxh / np.sqrt(v) + (0 if bug == "variance's path" else 2 * xc * dv / 4)
    ds = dxc - (0 if bug == "mean's path" else dxc.mean(0 if bug == "mean over the batch" else 1, keepdims=True))
    ds = dxh / np.sqrt(v) if bug == "statistics constant" else ds
    if bug in ("normalised left out", "normalised twice", "summed in one line"):  # as it is derived by hand
        share = (dxh * xh).sum(1, keepdims=True) / (1 if bug == "summed in one line" else 4)
        share = share * {"normalised left out": 1, "normalised twice": xh**2}.get(bug, xh)
        ds = (dxh - dxh.mean(1, keepdims=True) - share) / np.sqrt(v)
    masks = {"mask missing": np.ones((5, 4)), "mask of the gradient": ds > 0, "mask reversed": u <= 0}
    du = ds * masks.get(bug, u > 0)
    rows = slice(4, 5) if bug == "last sample alone" else slice(0, 5)
    g = {"W2": o[rows].T @ dz[rows], "b2": dz.mean(0) if bug == "bias averaged" else dz.sum(0)}
    g |= {"g": (do * (xc if bug == "centred for normalised" else xh)).sum(0), "be": do.sum(0), "W1": X.T @ du}
    g["b1"] = (ds if bug == "bias before the mask" else du).sum(0)
    through = du @ (p["W1"] if bug == "weight not transposed" else p["W1"].T)
    g["X"] = through + (0 if bug == "residual's path" else ds)
    return case(equations, p, {"X": X, "y": y}), {f"d{name}": value for name, value in g.items()}


# --- attention

ATTENTION_WORDS: Mapping[str, str] = {
    "diagonal alone": "only the diagonal of the Jacobian of softmax is taken",
    "softmax left out": "the derivative of softmax is left out",
    "other axis": "sum runs over axis 0",
    "scale missing": "the factor 1 / sqrt(3) is missing",
    "key for query": "k stands in place of q",
    "scores not transposed": "stands in place of",
    "value's path": "the term dv @ V.T is left out",
    "not transposed": "V stands in place of V.T; K stands in place of K.T; Q stands in place of Q.T",
    "half": "is half of what it should be",
    "weights not transposed": "a stands in place of a.T",
}


def attention(bug: str) -> tuple[Case, Values]:
    rng = RNG(3)
    X, t = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    p = {name: 0.7 * rng.normal(size=(3, 3)) for name in "QKVO"}
    equations = {
        "q": "X @ Q",
        "k": "X @ K",
        "v": "X @ V",
        "s": "q @ k.T / sqrt(3)",
        "a": "softmax(s, axis=1)",
        "c": "a @ v",
        "y": "c @ O",
        "loss": "mean((y - t)**2)",
    }
    q, k, v = (X @ p[name] for name in "QKV")
    e = np.exp(q @ k.T / np.sqrt(3))
    a = e / e.sum(1, keepdims=True)
    c = a @ v
    dy = (1 if bug == "half" else 2) * (c @ p["O"] - t) / 12
    dc = dy @ p["O"].T
    da, dv = dc @ v.T, (a if bug == "weights not transposed" else a.T) @ dc
    ds = a * (da - (da * a).sum(0 if bug == "other axis" else 1, keepdims=True))
    ds = {"diagonal alone": da * a * (1 - a), "softmax left out": da}.get(bug, ds)
    scale = 1 if bug == "scale missing" else np.sqrt(3)
    dq = ds @ k / scale
    dk = (ds if bug == "scores not transposed" else ds.T) @ (k if bug == "key for query" else q) / scale
    g = {"O": c.T @ dy, "Q": X.T @ dq, "K": X.T @ dk, "V": X.T @ dv}
    w = p if bug == "not transposed" else {name: value.T for name, value in p.items()}
    g["X"] = dq @ w["Q"] + dk @ w["K"] + (0 if bug == "value's path" else dv @ w["V"])
    return case(equations, p, {"X": X, "t": t}), {f"d{name}": value for name, value in g.items()}


# --- a convolution by slices, relu and the largest of two

CONVOLUTION_WORDS: Mapping[str, str] = {
    "mask missing": "the mask (z > 0) is missing",
    "kernel flipped": "w is flipped, as w[::-1]",
    "bias averaged": "is averaged instead of summed",
}


def convolution(bug: str) -> tuple[Case, Values]:
    rng = RNG(4)
    x, w, b = rng.normal(size=8), rng.normal(size=3), np.array(0.1)
    U, c, t = rng.normal(size=(2, 3)), 0.2 * rng.normal(size=2), np.array(1)
    equations = {
        "z": "w[0] * x[0:6] + w[1] * x[1:7] + w[2] * x[2:8] + b",
        "h": "relu(z)",
        "p": "maximum(h[0::2], h[1::2])",
        "s": "U @ p + c",
        "loss": "cross_entropy(s, t)",
    }
    z = sum(w[k] * x[k : k + 6] for k in range(3)) + b
    h = np.maximum(z, 0)
    first, second = h[::2], h[1::2]
    pooled = np.maximum(first, second)
    s = U @ pooled + c
    ds = np.exp(s) / np.exp(s).sum() - np.eye(2)[t]
    dp = U.T @ ds
    dh = np.zeros(6)
    dh[::2], dh[1::2] = dp * (first > second), dp * (first <= second)
    dz = dh * (1 if bug == "mask missing" else z > 0)
    kernel = w[::-1] if bug == "kernel flipped" else w
    dx = np.zeros(8)
    for k in range(3):
        dx[k : k + 6] += kernel[k] * dz
    g = {"U": np.outer(ds, pooled), "c": ds, "w": np.array([dz @ x[k : k + 6] for k in range(3)]), "x": dx}
    g["b"] = np.asarray(dz.mean() if bug == "bias averaged" else dz.sum())
    made = case(equations, {"w": w, "b": b, "U": U, "c": c}, {"x": x, "t": t})
    return made, {f"d{name}": value for name, value in g.items()}


# --- mistakes that are made at all places of a small net at once


def twins(bug: str) -> tuple[Case, Values]:
    rng = RNG(6)
    X, T, s = rng.normal(size=(4, 3)), rng.normal(size=(4, 2)), np.array([1.0, 0.0, 1.0, 0.0])
    p = {name: rng.normal(size=(3, 3)) for name in "AB"} | {name: rng.normal(size=(3, 2)) for name in "UV"}
    p["c"] = rng.normal(size=2)
    equations = {"a": "tanh(X @ A)", "b": "tanh(X @ B)", "y": "a @ U + b @ V + c", "e": "sum((y - T)**2, axis=1)"}
    equations["loss"] = "sum(s * e + (1 - s) * e**2) + 0.1 * sum(U**2)"
    a, b = np.tanh(X @ p["A"]), np.tanh(X @ p["B"])
    y = a @ p["U"] + b @ p["V"] + p["c"]
    e = ((y - T) ** 2).sum(1)
    de = 1 - s + 2 * s * e if bug == "labels the other way round" else s + 2 * (1 - s) * e
    dy = 2 * (y - T) * de[:, None]
    U, V = (p["V"], p["U"]) if bug == "heads exchanged" else (p["U"], p["V"])
    g = {"A": X.T @ (dy @ U.T * (1 - a**2)), "B": X.T @ (dy @ V.T * (1 - b**2)), "V": b.T @ dy}
    g["U"] = a.T @ dy + 0.2 * p["U"]
    g["c"] = np.full(2, dy.sum()) if bug == "one total" else dy.sum(0) + (0.2 * p["c"] if bug == "bias decayed" else 0)
    return case(equations, p, {"X": X, "T": T, "s": s}), {f"d{name}": value for name, value in g.items()}


TWINS_WORDS: Mapping[str, str] = {
    "heads exchanged": "da and db are exchanged",
    "one total": "and stands in every entry",
    "bias decayed": "the regularisation term 0.2 * c is too much",
    "labels the other way round": "1 - s stands in place of s",
}


def heads(bug: str) -> tuple[Case, Values]:
    rng = RNG(7)
    X, T = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    p = {name: rng.normal(size=(4, 4)) for name in "QKV"}
    split = {name.lower(): f"transpose(reshape(X @ {name}, 3, 2, 2), 1, 0, 2)" for name in p}
    equations = {**split, "s": "q @ k.mT", "a": "softmax(s)", "o": "a @ v"}
    equations |= {"y": "reshape(transpose(o, 1, 0, 2), 3, 4)", "loss": "0.5 * sum((y - T)**2)"}
    q, k, v = ((X @ value).reshape(3, 2, 2).transpose(1, 0, 2) for value in p.values())
    raised = np.exp(q @ k.swapaxes(1, 2))
    a = raised / raised.sum(2, keepdims=True)
    dy = (a @ v).transpose(1, 0, 2).reshape(3, 4) - T
    do = dy.reshape(3, 2, 2).transpose(1, 0, 2)
    da = do @ v.swapaxes(1, 2)
    ds = a * (da - (da * a).sum(2, keepdims=True))
    dv, dq, dk = (a if bug == "not transposed" else a.swapaxes(1, 2)) @ do, ds @ k, ds.swapaxes(1, 2) @ q
    back = {"Q": dq.transpose(1, 0, 2), "K": dk.transpose(1, 0, 2), "V": dv.transpose(1, 0, 2)}
    if bug == "heads not moved back":
        back["K"] = dk
    return case(equations, p, {"X": X, "T": T}), {f"d{name}": X.T @ d.reshape(3, 4) for name, d in back.items()}


HEADS_WORDS: Mapping[str, str] = {
    "not transposed": "a stands in place of a.mT",
    "heads not moved back": "dk is reshaped",
}


# --- gates that are parts of one array, over a graph, normalised, with weights for the samples


def graph(bug: str) -> tuple[Case, Values]:
    rng = RNG(9)
    X, T, S, c = rng.normal(size=(4, 3)), rng.normal(size=(4, 2)), rng.uniform(size=(4, 4)), rng.uniform(size=4)
    p = {"W": rng.normal(size=(3, 6)), "b": rng.normal(size=6), "V": rng.normal(size=(3, 2))}
    equations = {"a": "X @ W + b", "u": "elu(a[:, 0:3])", "v": "tanh(a[:, 3:6])", "h": "u * v"}
    equations |= {"n": "h / sqrt(sum(h**2, axis=1, keepdims=True))", "s": "S @ n", "r": "s @ V - T"}
    equations |= {"e": "sum(huber(r, 0.3), axis=1)", "loss": "sum(c * e) / sum(c)"}
    a = X @ p["W"] + p["b"]
    u, v = np.where(a[:, :3] > 0, a[:, :3], np.expm1(a[:, :3])), np.tanh(a[:, 3:])
    h = u * v
    norm = np.sqrt((h**2).sum(1, keepdims=True))
    n = h / norm
    r = S @ n @ p["V"] - T
    inside = {"square for huber": r, "delta of 1": np.clip(r, -1, 1)}
    dr = inside.get(bug, np.clip(r, -0.3, 0.3)) * (1 if bug == "weights left out" else c[:, None]) / c.sum()
    ds = dr @ p["V"].T
    dn = ds if bug == "matrix left out" else S.T @ ds
    norms = {"norm left out": 1.0, "norm twice": norm**2}
    dh = (dn - n * (n * dn).sum(1, keepdims=True)) / norms.get(bug, norm)
    du, dv = dh * v * np.where(a[:, :3] > 0, 1, u + (bug != "slope of elu")), dh * u * (1 - v**2)
    da = np.hstack([dv, du] if bug == "parts exchanged" else [du, dv])
    g = {"W": X.T @ da, "b": da.sum(0), "V": (n if bug == "weight's matrix left out" else S @ n).T @ dr}
    return case(equations, p, {"X": X, "T": T, "S": S, "c": c}), {f"d{name}": value for name, value in g.items()}


GRAPH_WORDS: Mapping[str, str] = {
    "square for huber": "that of the square everywhere",
    "delta of 1": "delta is 1",
    "weights left out": "the factor c is missing",
    "matrix left out": "the factor S.T is missing",
    "weight's matrix left out": "n stands in place of s",
    "norm left out": "the factor 1 / sqrt(sum(h**2, axis=1, keepdims=True)) is missing",
    "norm twice": "is made twice",
    "slope of elu": ", u) stands in place of where(",
    "parts exchanged": "are joined each in the other's place",
}


# --- a net in two directions: the steps of each are those of one direction


def both_ways(bug: str) -> tuple[Case, Values]:
    rng, steps, n = RNG(10), 3, 2
    x, t = rng.normal(size=(steps, n)), rng.normal(size=2 * n)
    p = {name: 0.7 * rng.normal(size=(n, n)) for name in ("W", "U", "V", "R")}
    equations: dict[str, str] = {}
    f, b = [np.zeros(n)], [np.zeros(n)]
    for k in range(1, steps + 1):
        equations |= {f"f{k}": f"tanh(W @ x[{k - 1}] + U @ f{k - 1})"}
        equations |= {f"b{k}": f"tanh(V @ x[{steps - k}] + R @ b{k - 1})"}
        f.append(np.tanh(p["W"] @ x[k - 1] + p["U"] @ f[-1]))
        b.append(np.tanh(p["V"] @ x[steps - k] + p["R"] @ b[-1]))
    equations |= {"y": f"concat([f{steps}, b{steps}])", "loss": "sum((y - t)**2) / 2"}
    g = {name: np.zeros((n, n)) for name in p}
    dy = np.concatenate([f[-1], b[-1]]) - t
    df, db = (dy[n:], dy[:n]) if bug == "halves exchanged" else (dy[:n], dy[n:])
    for k in range(steps, 0, -1):
        dzf, dzb = df * (1 - f[k] ** 2), db * (1 - b[k] ** 2)
        g["W"] += np.outer(dzf, x[k - 1])
        g["U"] += np.outer(dzf, f[k] if bug == "this step for the one before" else f[k - 1])
        g["V"] += np.outer(dzb, x[steps - k])
        g["R"] += np.outer(dzb, b[k - 1])
        df, db = p["U"].T @ dzf, p["R"].T @ dzb
    made = case(equations, p, {"x": x, "t": t, "f0": f[0], "b0": b[0]})
    return made, {f"d{name}": value for name, value in g.items()}


BOTH_WAYS_WORDS: Mapping[str, str] = {
    "halves exchanged": "db3 and df3 are exchanged",
    "this step for the one before": "f3 stands in place of f2; f2 stands in place of f1; f1 stands in place of f0",
}


# --- what a number may be read as, and what stands outside of a function instead of inside


def twofold(bug: str) -> tuple[Case, Values]:
    rng = RNG(12)
    X, T, A = rng.normal(size=(4, 3)), rng.normal(size=(4, 2)), 0.5 + rng.random(size=(4, 2))
    p = {"W": rng.normal(size=(3, 3)), "b": rng.normal(size=3), "V": 1.5 * rng.normal(size=(3, 2))}
    equations = {
        "u": "X @ W + b",
        "h": "leaky_relu(u, 0.1)",
        "r": "sqrt(mean(h**2, axis=1, keepdims=True) + eps)",
        "s": "(g * h) @ V",
        "q": "s / temp",
        "y": "minimum(q * A, clip(q, -1, 1) * A)",
        "k": "1 + s - exp(s)",
        "n": "sum(V**2)",
        "loss": "mean((y - T)**2) - 0.5 * beta * sum(k) + sum(r**2) + lam * n",
    }
    u = X @ p["W"] + (0 if bug == "bias after" else p["b"])
    h = np.where(u > 0, u, 0.1 * u) + (p["b"] if bug == "bias after" else 0)
    gate = np.array([[0.5], [2.0], [1.5], [0.7]])
    s = gate * (h @ p["V"])
    r = np.sqrt((h**2).mean(1, keepdims=True) + 0.3)
    r = np.sqrt((h**2).mean(1, keepdims=True)) + 0.3 if bug == "eps outside" else r
    q = s / 3
    y = np.minimum(q * A, np.clip(q, -1, 1) * A)
    loss = np.mean((y - T) ** 2) - 0.25 * (1 + s - np.exp(s)).sum() + (r**2).sum() + 0.1 * (p["V"] ** 2).sum()
    dy = 2 * (y - T) / (4 if bug == "rows" else 8)
    dq = dy * A * (1 if bug == "clipped" else (np.abs(q) < 1) | (q * A < np.clip(q, -1, 1) * A))
    ds = (dq * 3 if bug == "temperature" else dq / 3) - (0.5 if bug == "one half" else 0.25) * (1 - np.exp(s))
    dh = gate * (ds @ p["V"].T) + 2 * r * h / (r - 0.3 if bug == "eps outside" else r) / 3
    dh = -dh if bug == "sign" else dh
    du = dh * np.where(u > 0, 1, 0.01 if bug == "usual slope" else 0.1)
    g = {"W": X.T @ du, "b": (dh if bug == "bias after" else du).sum(0), "V": (gate * h).T @ ds + 0.2 * p["V"]}
    g["b"] = g["b"] + 0.2 * p["b"] * (bug == "bias pulled")
    inputs: Values = {"X": X, "T": T, "A": A, "g": gate}
    values: Values = {"h": h, "r": r, "s": s, "y": y, "loss": np.asarray(loss)}
    made = case(equations, p, {**inputs, "temp": 3.0, "beta": 0.5, "eps": 0.3, "lam": 0.1})
    return made, {**values, **{f"d{name}": value for name, value in g.items()}}


TWOFOLD_WORDS: Mapping[str, str] = {
    "rows": "divides by 4, not by all 8 entries",
    "clipped": "the mask of clip, (q >= -1) * (q <= 1), is missing",
    "temperature": "temp multiplies instead of dividing",
    "usual slope": "the slope is 0.01, the usual one, not 0.1",
    "one half": "the factor 0.5 is missing",
    "sign": "the other way round",
    "bias pulled": "the regularisation term 2 * dn * b is too much",
    "bias after": "b stands outside of leaky_relu instead of inside",
    "eps outside": "eps stands outside of sqrt instead of inside",
}


# --- what is gated, chosen and held to a margin


def margin(bugs: str) -> tuple[Case, Values]:
    rng = RNG(16)
    X = rng.normal(size=(4, 3))
    p = {name: rng.normal(size=(3, 3)) for name in "RUG"} | {"c": rng.normal(size=3), "b": np.array(0.3)}
    equations = {
        "r": "sigmoid(X @ R)",
        "q": "X @ U + c",
        "x1": "r * q + (1 - r) * X",
        "v": "X @ G / sqrt(2)",
        "g": "softmax(v, axis=1)",
        "y": "sum(g * x1, axis=1) + b",
        "gap": "relu(m - y)",
        "loss": "mean(gap**2) + k * sum(c**2)",
    }
    outside, carried = "bias outside" in bugs, "carry" in bugs
    r, bare = sigmoid(X @ p["R"]), X @ p["U"]
    q = bare + p["c"]
    x1 = (r * bare + p["c"] if outside else r * q) + (r if carried else 1 - r) * X
    v = X @ p["G"] / np.sqrt(2)
    g = sigmoid(v) if "sigmoid" in bugs else np.exp(v) / np.exp(v).sum(1, keepdims=True)
    y = (g * x1).sum(1) + p["b"]
    gap = 1.6 - y if "no margin" in bugs else np.maximum(1.6 - y, 0)
    dy = -(1 if "half" in bugs else 2) * gap[:, None] / 4
    dg, dx = dy * x1, dy * g
    dv = dg * g * (1 - g) if "sigmoid" in bugs else g * (dg - (dg * g).sum(1, keepdims=True))
    dv = dv if "no root" in bugs else dv / np.sqrt(2)
    dr = dx * ((bare if outside else q) + (X if carried else -X))
    dq = dx if outside else dx * r
    penalty = (0.3 if "k" in bugs.split() else 1) * 2 * 0.3 * p["c"]
    gradients = {"R": X.T @ (dr * r * (1 - r)), "U": X.T @ (dx * r), "c": dq.sum(0) + penalty, "b": dy.sum()}
    made = case(equations, p, {"X": X, "m": 1.6, "k": 0.3})
    return made, {f"d{name}": np.asarray(value) for name, value in {**gradients, "G": X.T @ dv}.items()}


MARGIN_WORDS: Mapping[str, str] = {
    "bias outside": "c stands outside of the product instead of inside, as r * (X @ U) + c",
    "carry": "in x1, r stands in place of 1 - r",
    "sigmoid": "sigmoid stands in place of softmax",
    "no margin": "in gap, the activation relu is left out",
    "half": "is half of what it should be",
    "no root": "the factor 1 / sqrt(2) is missing",
    "k": "the term 2 * k * c is 0.3 times what it should be: k",
}


# --- a dropout that scales, classes of one sample each, and a penalty in two layers


def dropout(bug: str) -> tuple[Case, Values]:
    rng = RNG(21)
    X, D, t = rng.normal(size=(4, 3)), 1.25 * (rng.random(size=(4, 4)) > 0.3), np.array([0, 2, 1, 2])
    p = {"W": rng.normal(size=(3, 4)), "V": rng.normal(size=(4, 3))}
    equations = {"h": "tanh(X @ W)", "k": "h * D", "y": "k @ V", "ce": "mean(cross_entropy(y, t))"}
    equations["loss"] = "ce + 0.1 * (sum(W**2) + sum(V**2)) / 2"
    h = np.tanh(X @ p["W"])
    k = h * ((D > 0) if bug == "unscaled forwards" else D)
    powers, hot = np.exp(k @ p["V"]), np.eye(3)[t]
    share = powers / powers.sum() if bug == "over all" else powers / powers.sum(1, keepdims=True)
    dy = {
        "own class": (share - hot) * hot,
        "columns": share - np.isin(np.arange(3), t),
        "softmax": -hot / share,
        "sign": hot - share,
    }.get(bug, share - hot)
    dy = dy if bug == "mean" else dy / 4
    dz = dy @ p["V"].T * ((D > 0) if bug == "unscaled" else D) * (1 - h**2)
    pulled = {name: np.sign(weight) if bug == "size" else weight for name, weight in p.items()}
    dW, dV = X.T @ dz + 0.1 * pulled["W"], k.T @ dy + 0.1 * pulled["V"]
    dW = np.clip(dW, -0.1, 0.1) if bug == "clipped" else dW
    short = 0.25 / np.sqrt((dW**2).sum() + (dV**2).sum()) if bug == "norm" else 1
    return case(equations, p, {"X": X, "D": D, "t": t}), {"dW": short * dW, "dV": short * dV}


DROPOUT_WORDS: Mapping[str, str] = {
    "unscaled": "in dh, D > 0 stands in place of D, which scales as well",
    "unscaled forwards": "in k, D > 0 stands in place of D",
    "over all": "the sum in softmax runs over all entries",
    "own class": "only the entry of the class t is handed on",
    "columns": "the classes of all rows stand in every row, as p[:, t] has them",
    "softmax": "the derivative of softmax is left out",
    "mean": "the division by 4 is missing",
    "size": "the sign of V stands in its place, as for a penalty of its size; likewise in dW",
    "clipped": "in dW, the gradient is clipped at 0.1",
}


# --- a loss in every step


def steps(bug: str) -> tuple[Case, Values]:
    rng, count = RNG(22), 3
    x, t, h = rng.normal(size=(count, 2)), rng.normal(size=count), [0.3 * rng.normal(size=2)]
    p = {"W": rng.normal(size=(2, 2)), "U": rng.normal(size=(2, 2)), "v": rng.normal(size=2)}
    equations: dict[str, str] = {}
    for k in range(1, count + 1):
        equations |= {f"h{k}": f"tanh(W @ x[{k - 1}] + U @ h{k - 1})", f"l{k}": f"(v @ h{k} - t[{k - 1}])**2 / 2"}
        h.append(np.tanh(p["W"] @ x[k - 1] + p["U"] @ h[-1]))
    equations["loss"] = " + ".join(f"l{k}" for k in range(1, count + 1))
    g, carry = {name: np.zeros_like(weight) for name, weight in p.items()}, np.zeros(2)
    for k in range(count, 1 if bug == "first step" else 0, -1):
        error = p["v"] @ h[k] - t[k - 1]
        if bug == "past":
            da = error * p["v"] * (1 - h[k] ** 2) + carry
        else:
            da = (error * p["v"] + carry) * (1 - h[k] ** 2)
        da = np.clip(da, -0.1, 0.1) if bug == "clipped" else da
        before = x[k - 2] if bug == "row before" else x[k - 1]  # x[-1] is the last
        kept = 0 if bug == "overwritten" else 1
        g = {"W": kept * g["W"] + np.outer(da, before), "U": kept * g["U"] + np.outer(da, h[k - 1]), "v": g["v"]}
        g["v"] = kept * g["v"] + error * h[k]
        carry = p["U"].T @ da
    made = case(equations, p, {"x": x, "t": t, "h0": h[0]})
    return made, {f"d{name}": value for name, value in g.items()}


STEPS_WORDS: Mapping[str, str] = {
    "first step": "is left out; likewise in ",
    "overwritten": "of 3 terms, ",
    "row before": "x[1] stands in place of x[2]; x[0] stands in place of x[1]; x[2] stands in place of x[0]",
    "past": "the derivative of tanh is left out for what ",
    "clipped": "the gradient is clipped at 0.1",
}


NETS: Mapping[str, tuple[Net, Mapping[str, str]]] = {
    "dropout": (dropout, DROPOUT_WORDS),
    "steps": (steps, STEPS_WORDS),
    "gates": (gru, GRU_WORDS),
    "layer norm": (layer_norm, LAYER_NORM_WORDS),
    "attention": (attention, ATTENTION_WORDS),
    "convolution": (convolution, CONVOLUTION_WORDS),
    "twins": (twins, TWINS_WORDS),
    "heads": (heads, HEADS_WORDS),
    "graph": (graph, GRAPH_WORDS),
    "both ways": (both_ways, BOTH_WAYS_WORDS),
    "twofold": (twofold, TWOFOLD_WORDS),
    "margin": (margin, MARGIN_WORDS),
}


@pytest.mark.parametrize("net", NETS)
def test_a_right_backprop_is_not_accused(net: str) -> None:
    made, arrays = NETS[net][0]("")
    assert compare(made, arrays).passed


@pytest.mark.parametrize(("net", "bug"), [(net, bug) for net, (_, words) in NETS.items() for bug in words])
@pytest.mark.one_in(6)
def test_a_planted_mistake_is_named(net: str, bug: str) -> None:
    compute, words = NETS[net]
    made, arrays = compute(bug)
    result = compare(made, arrays)
    wrong = {row.array for row in result.compared if not row.passed}
    assert wrong
    first = result.causes[0]
    assert words[bug] in " | ".join((first.cause, *first.others))
    assert {*first.explains} == wrong
    assert first.instead


NOISES: Mapping[str, Callable[[np.random.Generator, Floats], Floats]] = {
    "drawn": lambda rng, true: rng.normal(size=true.shape),
    "added": lambda rng, true: true + 0.1 * rng.normal(size=true.shape),
    "of each entry": lambda rng, true: true * (1 + 0.1 * rng.normal(size=true.shape)),
    "of one entry": lambda rng, true: true + 0.1 * (np.arange(true.size).reshape(true.shape) == 0),
    "ones": lambda rng, true: np.ones(true.shape),
    "cut short": lambda rng, true: np.round(true, 2),
    "in another order": lambda rng, true: rng.permutation(true.ravel()).reshape(true.shape),
    "squared": lambda rng, true: true**3 + true,
    "signs": lambda rng, true: true * rng.choice([-1, 1], size=true.shape),
    "zeros": lambda rng, true: true * 0,
}


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.one_in(5)
def test_of_noise_nothing_is_said(noise: str) -> None:
    made, arrays = attention("")
    rng = RNG(5)
    spoilt = {**arrays, "dK": np.asarray(NOISES[noise](rng, arrays["dK"]))}
    result = compare(made, spoilt)
    assert not result.passed
    assert not result.causes


def test_what_is_0_by_cancellation_is_no_evidence() -> None:
    made, arrays = twins("")
    tiny = 1e-18 * RNG(1).normal(size=arrays["dA"].shape)
    assert not [cause for cause in compare(made, {**arrays, "dA": tiny}).causes if "the factor" in cause.cause]


def test_of_two_mistakes_each_is_named() -> None:
    _, one = layer_norm("bias averaged")
    made, other = layer_norm("mask missing")
    result = compare(made, {**other, "db2": one["db2"]})
    causes = [why.cause for why in result.causes]
    assert any("the mask (u > 0) is missing" in cause for cause in causes)
    assert any("averaged" in cause for cause in causes)


def test_a_weight_with_a_name_that_is_left_out_is_named_before_its_number() -> None:
    rng = RNG(18)
    X, y, w = rng.normal(size=(5, 3)), np.array([1.0, 0, 1, 1, 0]), rng.normal(size=3)
    equations = {"p": "sigmoid(X @ w)", "loss": "-mean(k * y * log(p) + (1 - y) * log(1 - p))"}
    made = case(equations, {"w": w}, {"X": X, "y": y, "k": 2.5})
    (cause,) = compare(made, {"dw": X.T @ (sigmoid(X @ w) - y) / 5}).causes
    assert cause.cause == "in dp, the factor k is missing in k * y / p"


def test_gradients_that_are_scaled_down_together_are_clipped_by_their_norm() -> None:
    (cause,) = compare(*dropout("norm")).causes
    assert cause.cause.endswith("and becomes 0.25")
    assert cause.explains == ("dW", "dV")


def test_a_number_that_is_named_comes_before_one_that_happens_to_be_as_large() -> None:
    """The batch of 4 is not divided by; who divides by 2 where 2 should multiply is 4 times off as well."""
    rng = RNG(23)
    X, t, w = rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=3)
    made = case({"y": "X @ w", "loss": "mean((y - t)**2)"}, {"w": w}, {"X": X, "t": t})
    (cause,) = compare(made, {"dw": X.T @ (2 * (X @ w - t))}).causes
    assert cause.cause.endswith("is 4 times what it should be: the batch size (divide by 4)")


def test_a_weight_of_the_loss_that_is_as_large_as_a_half_is_not_named_alone() -> None:
    rng = RNG(24)
    X, t, w = rng.normal(size=(3, 2)), rng.normal(size=3), rng.normal(size=2)
    equations = {"y": "X @ w", "fit": "sum((y - t)**2)", "loss": "half * fit + sum(y)"}
    made = case(equations, {"w": w}, {"X": X, "t": t, "half": 0.5})
    (cause,) = compare(made, {"dw": X.T @ (2 * (X @ w - t) + 1)}).causes
    assert "twice what it should be" in " | ".join((cause.cause, *cause.others))


def test_a_path_that_is_gone_is_no_missing_factor_of_what_it_then_cancels() -> None:
    rng = RNG(25)
    w, x, t = rng.normal(size=(3, 4))
    equations = {"s": "w * x", "y": "s * t", "kl": "-0.5 * sum(1 + s - exp(s))", "loss": "sum(y) + k * kl"}
    made = case(equations, {"w": w}, {"x": x, "t": t, "k": 0.1})
    (cause,) = compare(made, {"dw": t * x}).causes
    assert "left out" in cause.cause
    assert not any("the factor exp(s) is missing" in words for words in (cause.cause, *cause.others))


def test_a_second_mistake_is_not_told_twice() -> None:
    rng = RNG(26)
    X, c, t = rng.normal(size=(4, 3)), np.array([0, 1, 1, 0]), rng.normal(size=4)
    p = {"W": rng.normal(size=(3, 4)), "V": rng.normal(size=(4, 2)), "u": rng.normal(size=4)}
    equations = {"h": "tanh(X @ W)", "y": "h @ V", "ce": "mean(cross_entropy(y, c))", "r": "h @ u"}
    equations |= {"mse": "mean((r - t)**2)", "loss": "0.7 * ce + 0.3 * mse"}
    h = np.tanh(X @ p["W"])
    dy = np.exp(h @ p["V"]) / np.exp(h @ p["V"]).sum(1, keepdims=True) / 4 - np.eye(2)[c] / 4
    dr = (h @ p["u"] - t) / 2
    dW = X.T @ ((dy @ p["V"].T + np.outer(dr, p["u"])) * (1 - h**2))
    causes = compare(case(equations, p, {"X": X, "c": c, "t": t}), {"dV": h.T @ dy, "du": h.T @ dr, "dW": dW}).causes
    assert len(causes) == len({cause.instead for cause in causes}) == 2


def test_a_derivative_that_is_left_out_is_not_told_again_of_the_one_term_that_it_is_left_out_for() -> None:
    rng = RNG(27)
    X, A, B = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    made = case({"a": "X @ A", "g": "sigmoid(X @ B)", "h": "a * g", "loss": "sum(h**2)"}, {"A": A, "B": B}, {"X": X})
    a, g = X @ A, sigmoid(X @ B)
    (cause,) = compare(made, {"dA": X.T @ (2 * a * g * g), "dB": X.T @ (2 * a * g * a)}).causes
    assert "the factor g * (1 - g) is missing" in cause.cause
    assert not any("left out for" in other for other in cause.others)


def test_a_change_is_not_told_again_from_inside() -> None:
    (cause,) = compare(*margin("carry")).causes
    assert cause.others == ()


def test_a_second_mistake_is_told_beside_the_first_and_not_as_if_that_were_right() -> None:
    """Half of sqrt(2) times as much is also what a division made twice gives, of a gradient that is right."""
    first, second = compare(*margin("half, no root")).causes
    assert "is half of what it should be" in first.cause
    assert second.cause.endswith("the factor 1 / sqrt(2) is missing")
    assert (second.explains, second.upon) == (("dG",), True)


def test_the_line_to_write_beside_a_first_mistake_is_right_in_that_too() -> None:
    rng = RNG(17)
    W, V, X = rng.normal(size=(3, 3, 3))
    h = np.tanh(X @ W)
    du = 2 * np.tanh(h @ V)  # without its derivative, and then through V in place of V.T
    made = case({"h": "tanh(X @ W)", "u": "tanh(h @ V)", "loss": "sum(u**2)"}, {"W": W, "V": V}, {"X": X})
    first, second = compare(made, {"dV": h.T @ du, "dW": X.T @ (du @ V * (1 - h**2))}).causes
    assert (first.instead, first.explains) == ("d(pre-activation of u) = du * (1 - u**2)", ("dV",))
    assert (second.instead, second.explains) == ("dh = du * (1 - u**2) @ V.T", ("dW",))


def test_what_need_not_be_wrong_for_what_is_explained_is_not_said_to_be() -> None:
    """Of a mixture the shares are the prior's, and the means have the wrong sign: nothing is wrong in h itself."""
    rng = RNG(14)
    p = {"W": rng.normal(size=(2, 3)), **{name: rng.normal(size=(3, 2)) for name in "PMS"}}
    X, t = rng.normal(size=(5, 2)), rng.normal(size=(5, 1))
    equations = {"h": "tanh(X @ W)", "lp": "log_softmax(h @ P, axis=1)", "q": "(t - h @ M) / exp(h @ S)"}
    equations |= {"comp": "lp - h @ S - 0.5 * q**2", "loss": "-mean(logsumexp(comp, axis=1))"}
    h = np.tanh(X @ p["W"])
    q = (t - h @ p["M"]) / np.exp(h @ p["S"])
    prior = np.exp(h @ p["P"]) / np.exp(h @ p["P"]).sum(1, keepdims=True) / 5
    dm, ds = prior * q / np.exp(h @ p["S"]), prior * (1 - q**2)
    dW = X.T @ ((dm @ p["M"].T + ds @ p["S"].T) * (1 - h**2))
    arrays = {"dP": 0 * p["P"], "dM": h.T @ dm, "dS": h.T @ ds, "dW": dW}
    first, second = compare(case(equations, p, {"X": X, "t": t}), arrays).causes
    assert first.cause == "in dcomp, lp stands in place of comp"
    assert second.cause == "in d(inside q), the sign of -dq is missing"


def test_a_forward_mistake_changes_the_gradient_of_what_it_newly_reads() -> None:
    """Whose own equation stands before that of the gradient that is now handed on to it."""
    w, v, x, k = RNG(3).normal(size=(4, 3))
    made = case(
        {"p": "tanh(w * x)", "q": "tanh(v * x)", "loss": "sum(p**3) + sum(k * q)"}, {"w": w, "v": v}, {"x": x, "k": k}
    )
    q = np.tanh(v * x)
    p = np.tanh(q * x)
    dq = k + 3 * p**2 * (1 - p**2) * x
    (cause,) = compare(made, {"p": p, "dq": dq, "dv": dq * (1 - q**2) * x}).causes
    assert cause.cause == "in p, q stands in place of w"
    assert {*cause.explains} == {"p", "dq", "dv"}


def test_what_was_tried_is_said_and_a_thorough_search_tries_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mathlab.diagnosis.explain.WORK", 300_000.0)
    monkeypatch.setattr("mathlab.diagnosis.explain.EACH", 0.0)
    made, arrays = attention("")
    arrays = {**arrays, "dK": arrays["dK"] + 0.1}
    result = compare(made, arrays)
    assert 0 < result.tried < result.known
    whole = compare(made, arrays, thorough=True)
    assert whole.tried == whole.known >= result.known


def test_a_mistake_is_work_in_every_equation_that_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mathlab.diagnosis.search.WRITTEN", np.inf)
    made, arrays = attention("")
    assert not compare(made, {**arrays, "dK": arrays["dK"] + 0.1}).tried


# --- from Python


CONFIG = """
inputs: {x: [1.0, 2.0], t: 1.0}
parameters: {w: [0.5, -0.3]}
equations: {z: w @ x, y: sigmoid(z), loss: 0.5 * (y - t)**2}
"""


def gradients() -> tuple[Floats, Floats]:
    x, w = np.array([1.0, 2.0]), np.array([0.5, -0.3])
    y = sigmoid(np.asarray(w @ x))
    return (y - 1) * y * (1 - y) * x, (y - 1) * x


def test_the_assertion_is_a_fixture(assert_gradients: Callable[..., None], tmp_path: Path) -> None:
    config = tmp_path / "net.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    right, wrong = gradients()
    assert_gradients(config, {"dw": right})
    with pytest.raises(AssertionError, match="cause: in dz"):
        assert_gradients(config, {"dw": wrong})


def test_an_assertion_says_the_cause(tmp_path: object) -> None:
    config = Path(str(tmp_path)) / "net.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    right, wrong = gradients()
    lab: Callable[..., OracleResult] = getattr(mathlab, "oracle")  # noqa: B009  # a package that can be called
    mathlab.assert_gradients(config, {"dw": right})
    with pytest.raises(AssertionError, match=r"cause: in dz, the factor y \* \(1 - y\) is missing") as error:
        mathlab.assert_gradients(config, {"grads['w']": wrong})
    assert "write: dz = dy * y * (1 - y)" in str(error.value)
    with pytest.raises(AssertionError, match="not compared: mine"):
        mathlab.assert_gradients(config, {"dw": right, "mine": right})
    mathlab.assert_gradients(config, {"dw": right, "mine": right}, names={"mine": "dw"})
    for _ in range(2):  # the package of this name is imported by then
        result = lab(config, {"dw": wrong})
        assert not result.passed
    with pytest.raises(mathlab.MathlabError, match="unknown case 'other'"):
        lab(config, {"dw": wrong}, case="other")
    with pytest.raises(mathlab.MathlabError, match="does not hold real numbers"):
        lab(config, {"dw": np.array(["a"])})
    with pytest.raises(mathlab.MathlabError, match="the array 'dw' is masked"):
        lab(config, {"dw": np.ma.masked_less(right, 0)})
    with pytest.raises(mathlab.MathlabError, match="names says what arrays are of"):
        lab(config, {"dw": right}, names=["dw"])
