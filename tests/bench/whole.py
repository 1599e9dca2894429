"""The whole command as a user waits for it: `mathlab train` on a CSV of pixels beside a script for PyTorch."""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from tests.bench.timing import Race

ROWS, PIXELS = 42_000, 784
ROUNDS = 3
TIME, MEMORY = "a script with pandas and PyTorch: time", "a script with pandas and PyTorch: memory"
DATA = {"csv": ("{file: train.csv, but: label, divide_by: 255}", "{file: train.csv, columns: label}"),
        "npy": ("{file: x.npy, divide_by: 255}", "{file: y.npy}")}  # fmt: skip
CONFIG = """\
dtype: {dtype}
inputs: {{X: {x}, y: {y}}}
parameters:
  W1: {{init: he, shape: [784, 128], seed: 0}}
  b1: {{init: zeros, shape: [128]}}
  W2: {{init: he, shape: [128, 10], seed: 1}}
  b2: {{init: zeros, shape: [10]}}
equations:
  z1: X @ W1 + b1
  h: relu(z1)
  z: h @ W2 + b2
  accuracy: mean(argmax(z, axis=1) == y)
  loss: mean(cross_entropy(z, y))
train: {{optimizer: {{name: sgd, lr: 0.1}}, epochs: 5, batch_size: 64, over: [X, y], seed: 0}}
"""
SCRIPT = """\
import sys
import numpy as np
import torch
if sys.argv[1] == "csv":
    import pandas as pd
    data = pd.read_csv("train.csv")
    y = torch.tensor(data["label"].to_numpy())
    x = torch.tensor(data.drop(columns="label").to_numpy(), dtype=torch.float32) / 255
else:
    x, y = torch.tensor(np.load("x.npy"), dtype=torch.float32) / 255, torch.tensor(np.load("y.npy"))
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
loss_of = torch.nn.CrossEntropyLoss()
for epoch in range(5):
    for rows in torch.randperm(len(x)).split(64):
        optimizer.zero_grad()
        loss_of(net(x[rows]), y[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        z = net(x)
        print(loss_of(z, y).item(), (z.argmax(1) == y).float().mean().item())
"""


def whole() -> Iterator[Race]:
    """From the file to the table, with the defaults of both."""
    if importlib.util.find_spec("torch"):
        for kind, goals in {"csv": {TIME: 0.75, MEMORY: 0.5}, "npy": {TIME: 0.5}}.items():
            for dtype in ("float64", "float32"):  # the default, and PyTorch's
                work = f"mathlab train on {ROWS:,} images of {PIXELS} pixels, 5 epochs of batches of 64, from .{kind}"
                yield Race(f"{work}, {dtype}", goals, partial(_measured, kind, dtype))


def _measured(kind: str, dtype: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, kind, dtype)
        ours = [sys.executable, "-m", "mathlab", "train", "net.yaml", "--quiet", "--out", "out"]
        theirs = [sys.executable, "script.py", kind]
        rounds = [(_taken(ours, folder), _taken(theirs, folder)) for _ in range(ROUNDS)]
    ratios = [(mine[0] / other[0], mine[1] / other[1]) for mine, other in rounds]
    return dict(zip((TIME, MEMORY), map(statistics.median, zip(*ratios, strict=True)), strict=True))


def _write(folder: Path, kind: str, dtype: str) -> None:
    """The data, in which most pixels are 0, and what is to be done with it."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (ROWS, PIXELS), np.uint8) * (rng.random((ROWS, PIXELS)) < 0.19)
    y = rng.integers(0, 10, ROWS)
    if kind == "npy":
        np.save(folder / "x.npy", x)
        np.save(folder / "y.npy", y)
    else:
        texts = [*map(str, range(256))]
        with (folder / "train.csv").open("w") as file:
            print("label", *(f"pixel{k}" for k in range(PIXELS)), sep=",", file=file)
            for label, row in zip(y.tolist(), x, strict=True):
                print(label, ",".join([texts[pixel] for pixel in row.tolist()]), sep=",", file=file)
    of_x, of_y = DATA[kind]
    (folder / "net.yaml").write_text(CONFIG.format(x=of_x, y=of_y, dtype=dtype))
    (folder / "script.py").write_text(SCRIPT)


def _taken(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """The seconds of a process, and the most memory that it held."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert not process.returncode, command
    return time.perf_counter() - start, float(usage.ru_maxrss)
