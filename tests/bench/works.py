"""The works: ours and the peers', each a function without arguments."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mathlab.experiment import Case, Dtype, TrainSettings
from mathlab.stages import train
from mathlab.stages.prepare import prepare
from tests.bench.timing import Work, process
from tests.build import case
from tests.test_planned import mlp

ROOT = Path(__file__).parent.parent.parent
Floats = NDArray[np.floating]

NET = {
    "H_in": "X @ W",
    "H": "sigmoid(H_in)",
    "Y_in": "H @ V",
    "Y": "sigmoid(Y_in)",
    "E": "Y - T",
    "L": "sum(E**2, axis=1)",
    "loss": "sum(L)",
}
X, T = np.array([[3.0, 1.0], [-1.0, 4.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
W, V = np.array([[6.0, -3.0], [-2.0, 5.0]]), np.array([[1.0, -2.0], [0.25, 2.0]])
EPOCHS = 200


def net() -> Case:
    """Article E's network on both instances, 200 epochs."""
    return case(NET, {"W": W, "V": V}, {"X": X, "T": T}, train=TrainSettings("sgd", {"lr": 0.5}, EPOCHS))


def by_hand() -> object:
    """The same training as a person writes it in NumPy, keeping the loss, the outputs and the gradients' norms."""
    w, v = W.copy(), V.copy()
    history = []
    for _ in range(EPOCHS):
        h = 1 / (1 + np.exp(-(X @ w)))
        y = 1 / (1 + np.exp(-(h @ v)))
        e = y - T
        loss = np.sum(np.sum(e**2, axis=1))
        dy_in = 2 * e * y * (1 - y)
        dv = h.T @ dy_in
        dw = X.T @ (dy_in @ v.T * h * (1 - h))
        history.append((loss, y, np.linalg.norm(dw), np.linalg.norm(dv)))
        w = w - 0.5 * dw
        v = v - 0.5 * dv
    return history


def by_hand_bare() -> object:
    """The same without any history but the loss."""
    w, v = W.copy(), V.copy()
    losses = []
    for _ in range(EPOCHS):
        h = 1 / (1 + np.exp(-(X @ w)))
        y = 1 / (1 + np.exp(-(h @ v)))
        e = y - T
        losses.append(np.sum(e**2))
        dy_in = 2 * e * y * (1 - y)
        dv = h.T @ dy_in
        dw = X.T @ (dy_in @ v.T * h * (1 - h))
        w = w - 0.5 * dw
        v = v - 0.5 * dv
    return losses


def ours() -> tuple[Work, Work]:
    """The planned loop alone, and the whole training stage with all that it prepares."""
    lab = net()
    assert lab.train
    prepared = prepare(lab)
    trained, state = train.initial_state(prepared, lab.train)
    planned = train.planned_rounds(prepared, trained, lab.train, state)

    def loop() -> None:
        state["W"][...], state["V"][...] = W, V
        planned.functions["run"](0, EPOCHS)
        for gradient in ("dW", "dV"):
            np.sqrt(np.sum(np.square(planned.history[gradient]), axis=(1, 2)))

    return loop, lambda: train.run(lab)


def torch_net() -> Work | None:
    """The same training in PyTorch, eager, keeping the same history."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch

    x, t = torch.tensor(X), torch.tensor(T)

    def run() -> object:
        w, v = torch.tensor(W, requires_grad=True), torch.tensor(V, requires_grad=True)
        history = []
        for _ in range(EPOCHS):
            y = torch.sigmoid(torch.sigmoid(x @ w) @ v)
            loss = ((y - t) ** 2).sum(dim=1).sum()
            loss.backward()
            with torch.no_grad():
                assert w.grad is not None
                assert v.grad is not None
                history.append((loss.item(), y.detach().clone(), w.grad.norm().item(), v.grad.norm().item()))
                w -= 0.5 * w.grad
                v -= 0.5 * v.grad
            w.grad = v.grad = None
        return history

    return run


SIZES: Mapping[str, tuple[int, tuple[int, ...]]] = {
    "64 x 784-128-10": (64, (784, 128, 10)),
    "256 x 784-512-10": (256, (784, 512, 10)),
    "512 x 1024-1024-100": (512, (1024, 1024, 100)),
}


def mlp_step(size: str, dtype: Dtype) -> dict[str, Work]:
    """One training step of a dense network: ours, PyTorch's, and the five matrix products that it cannot do without."""
    samples, widths = SIZES[size]
    lab = mlp(samples, widths, dtype)
    prepared, settings = prepare(lab), TrainSettings("sgd", {"lr": 0.01}, 1_000_000)
    trained, state = train.initial_state(prepared, settings)
    planned = train.planned_rounds(prepared, trained, settings, state, record=False)
    inputs, hidden, classes = widths
    rng = np.random.default_rng(0)
    a, b, c, d, e = (
        rng.normal(size=shape).astype(dtype)
        for shape in ((samples, inputs), (inputs, hidden), (samples, hidden), (hidden, classes), (samples, classes))
    )

    def products() -> None:
        a @ b
        c @ d
        c.T @ e
        e @ d.T
        a.T @ c

    works: dict[str, Work] = {"mathlab": lambda: planned.functions["run"](0, 1), "products": products}
    if importlib.util.find_spec("torch"):
        works["PyTorch"] = torch_step(lab, dtype)
    return works


def torch_step(lab: Case, dtype: Dtype) -> Work:
    """The same step in PyTorch, eager."""
    import torch

    torch.set_num_threads(len_cpus())
    kind = torch.float32 if dtype == "float32" else torch.float64
    x = torch.tensor(lab.inputs["X"].array, dtype=kind)
    y = torch.tensor(lab.inputs["y"].array, dtype=torch.long)
    parameters = {n: torch.tensor(v.array, dtype=kind, requires_grad=True) for n, v in lab.parameters.items()}
    optimizer = torch.optim.SGD(list(parameters.values()), lr=0.01)
    p = parameters

    def run() -> None:
        loss = torch.nn.functional.cross_entropy(torch.relu(x @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return run


def len_cpus() -> int:
    """The processors that this process may use."""
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processes() -> dict[str, Work]:
    """Whole processes: ours, and the bare imports."""
    python, out = sys.executable, tempfile.mkdtemp()
    config = str(ROOT / "configs" / "softmax-mlp.yaml")
    return {
        "mathlab backprop": process([python, "-m", "mathlab", "backprop", "--config", config, "--out", out]),
        "its imports": process([python, "-c", "import numpy, typer, rich.table, yaml, pydantic"]),
        "mathlab --help": process([python, "-m", "mathlab", "--help"]),
        "typer and rich": process([python, "-c", "import typer, rich.table"]),
    }


def deep(layers: int) -> Callable[[], object]:
    """Deriving and compiling a network of many layers."""
    lab = mlp(8, (16,) * (layers + 1), "float64", "tanh")
    return lambda: prepare(lab).program


__all__ = ["SIZES", "by_hand", "by_hand_bare", "deep", "mlp_step", "ours", "processes", "torch_net"]
