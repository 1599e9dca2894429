"""The works: ours and the peers', each a function without arguments."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mathlab import config
from mathlab.experiment import Case, TrainSettings
from mathlab.stages import train
from mathlab.stages.prepare import prepare
from mathlab.stages.updates import Training
from tests.bench.networks import Network
from tests.bench.timing import Work, process
from tests.build import case

ROOT = Path(__file__).parent.parent.parent

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
    training = Training(prepared, lab.train)
    state = training.start()
    planned = train.planned_rounds(training, {**prepared.env, **state})

    def loop() -> None:
        state["W"][...], state["V"][...] = W, V
        planned.run(0, EPOCHS)
        planned.measure(EPOCHS)  # the last row of the history, which has one more than there are updates
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


IMPORTS, HELP_IMPORTS = "import numpy, typer, rich.table, yaml", "import typer, rich.table"


def single() -> list[Path]:
    """The shipped configs that are a single case."""
    return [file for file in sorted((ROOT / "configs").glob("*.yaml")) if len(config.load(file).cases) == 1]


def commands(*arguments: str, peer: Sequence[str]) -> dict[str, Work]:
    """Whole processes: a command of ours, and another one, or the bare imports of some `-c` code."""
    out = tempfile.mkdtemp()
    mathlab = [sys.executable, "-m", "mathlab"]
    theirs = [sys.executable, *peer] if peer[0] == "-c" else [*mathlab, *peer, "--out", out]
    ours = [*mathlab, *arguments, *(["--out", out] if len(arguments) > 1 else [])]
    return {"ours": process(ours), "theirs": process(theirs)}


def deep(layers: int) -> Callable[[], object]:
    """Deriving and compiling a network of many layers."""
    lab = Network(8, (16,) * (layers + 1), "tanh").case("float64")
    return lambda: prepare(lab).program
