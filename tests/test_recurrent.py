"""Recurrent nets written once: their numbers are PyTorch's, and what is shown of them is what is computed."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mathlab.cli import app
from mathlab.config import described
from mathlab.experiment import Case
from mathlab.stages.derivation import derivation
from mathlab.stages.prepare import prepare

STEPS, BATCH, IN, HIDDEN = 25, 4, 3, 5

# the gates in PyTorch's order, and the lines of a step; G[t] is what the gate G is a function of
NETS: Mapping[str, tuple[str, str]] = {
    "RNN": ("h", "h[t]: tanh(Gh)"),
    "LSTM": (
        "ifgo",
        "i[t]: sigmoid(Gi)\n    f[t]: sigmoid(Gf)\n    g[t]: tanh(Gg)\n    o[t]: sigmoid(Go)\n"
        "    c[t]: f[t] * c[t-1] + i[t] * g[t]\n    h[t]: o[t] * tanh(c[t])",
    ),
    "GRU": (
        "rzn",
        "r[t]: sigmoid(Gr)\n    z[t]: sigmoid(Gz)\n    n[t]: tanh(x[t-1] @ Wn.T + bn + r[t] * (h[t-1] @ Un.T + cn))\n"
        "    h[t]: (1 - z[t]) * n[t] + z[t] * h[t-1]",
    ),
}


def text(net: str, steps: int = STEPS) -> str:
    """A config of a net; the loss reads every step."""
    gates, body = NETS[net]
    body = re.sub(r"G(\w)", r"x[t-1] @ W\1.T + b\1 + h[t-1] @ U\1.T + c\1", body)
    shapes = {
        f"{kind}{gate}": shape
        for gate in gates
        for kind, shape in (("W", [HIDDEN, IN]), ("U", [HIDDEN, HIDDEN]), ("b", [HIDDEN]), ("c", [HIDDEN]))
    }
    inputs = {"x": [steps, BATCH, IN], "h0": [BATCH, HIDDEN], **({"c0": [BATCH, HIDDEN]} if net == "LSTM" else {})}
    drawn = {
        name: f"  {name}: {{init: normal, scale: 0.4, shape: {shape}, seed: {seed}}}"
        for seed, (name, shape) in enumerate({**inputs, **shapes}.items())
    }
    return "\n".join(
        [
            f"inputs:\n  T: {steps}",
            *(drawn[name] for name in inputs),
            "parameters:",
            *(drawn[name] for name in shapes),
            f"equations:\n  for t in 1..T:\n    {body}\n  loss: sum(h[1:]**2) / T",
        ]
    )


def case(net: str, steps: int = STEPS) -> Case:
    (only,) = described(text(net, steps).encode(), f"{net}.yaml").cases
    return only


@pytest.mark.parametrize("net", NETS)
def test_forward_and_backward_are_those_of_pytorch(net: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the witness here")
    ours = prepare(case(net)).run()
    gates = NETS[net][0]
    theirs = getattr(torch.nn, net)(IN, HIDDEN, dtype=torch.float64)
    weights = {"W": "weight_ih_l0", "U": "weight_hh_l0", "b": "bias_ih_l0", "c": "bias_hh_l0"}
    for kind, name in weights.items():
        values = np.concatenate([ours[f"{kind}{gate}"] for gate in gates])
        getattr(theirs, name).data[:] = torch.from_numpy(values)
    start = [torch.from_numpy(np.array(ours[name]))[None] for name in ("h0", "c0") if name in ours]
    out, _ = theirs(torch.from_numpy(np.array(ours["x"])), tuple(start) if len(start) > 1 else start[0])
    (out.square().sum() / STEPS).backward()
    for step in range(1, STEPS + 1):
        np.testing.assert_allclose(ours[f"h{step}"], out[step - 1].detach().numpy(), rtol=1e-12, atol=1e-14)
    for kind, name in weights.items():
        found = np.concatenate([ours[f"d{kind}{gate}"] for gate in gates])
        np.testing.assert_allclose(found, getattr(theirs, name).grad.numpy(), rtol=1e-11, atol=1e-13)


def unfolded(lines: list[str]) -> list[str]:
    """What a folded derivation says, with every loop in it written out."""
    found: list[str] = []
    while lines:
        line = lines.pop(0)
        loop = re.fullmatch(r"for t in (\d+)\.\.(\d+):", line)
        if not loop:
            found.append(line)
            continue
        body: list[str] = []
        while lines and lines[0].startswith("  "):
            body.append(lines.pop(0)[2:])
        first, last = int(loop[1]), int(loop[2])
        way = 1 if last > first else -1
        found += [_at(line, step) for step in range(first, last + way, way) for line in body]
    return found


def _at(line: str, step: int) -> str:
    def name(match: re.Match[str]) -> str:
        number = step + int(match[2] or 0)
        return f"{match[1]}{number}" if match[1].removeprefix("d") in "ifgocrznh" else f"{match[1]}[{number}]"

    return re.sub(r"(\w+)\[t([+-]\d+)?\]", name, line)


@pytest.mark.parametrize("net", NETS)
def test_a_folded_derivation_is_the_full_one(net: str) -> None:
    short, full = derivation(case(net), "text"), derivation(case(net), "text", full=True)
    assert short.count("\n") < full.count("\n") / 4
    for said, whole in zip(unfolded(short.split("\n")), full.split("\n"), strict=True):
        ends = said.split("…")
        assert whole.startswith(ends[0])
        assert whole.endswith(ends[-1])


def test_a_recurrence_reads_like_the_articles() -> None:
    config = """\
inputs: {T: 6, x: [1, 2, 3, 4, 5, 6], h0: 0, y: 1}
parameters: {w: 0.5, u: 0.1}
equations:
  for t in 1..T:
    z[t]: w * h[t-1] + u * x[t-1]
    h[t]: tanh(z[t])
  loss: (h6 - y)**2
"""
    (only,) = described(config.encode(), "c.yaml").cases
    assert (
        derivation(only, "text")
        == """\
for t in 1..6:
  z[t] = w * h[t-1] + u * x[t-1]
  h[t] = tanh(z[t])
loss = (h6 - y)**2

dh6 = 2 * (h6 - y)
dz6 = dh6 * (1 - h6**2)
for t in 5..1:
  dh[t] = dz[t+1] * w
  dz[t] = dh[t] * (1 - h[t]**2)
dw = dz6 * h5 + … + dz1 * h0
du = dz6 * x[5] + … + dz1 * x[0]

loss stores h6, y
for t in 6..2:
  h[t] stores h[t]
  z[t] stores h[t-1], w, x
h1 stores h1
z1 stores h0, x
"""
    )
    latex = derivation(only, "latex")
    assert r"&\text{for } t = 5, \ldots, 1\text{:}" in latex
    assert r"{\partial h_{t}} &= \frac{\partial \mathrm{loss}}{\partial z_{t+1}} \cdot w" in latex


def shown(path: Path, *options: str) -> str:
    result = CliRunner().invoke(app, [*options, str(path), "--out", str(path.parent / "out")])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_page_shows_the_first_step_and_the_last_or_all(tmp_path: Path) -> None:
    path = tmp_path / "lstm.yaml"
    path.write_text(text("LSTM"))
    page = shown(path, "backprop", "--witness", "none")
    assert re.findall(r"^  (?:d)?h(\d+) = ", page, re.MULTILINE) == ["1", "25", "25", "1"]
    assert "… i2 to h24, the steps between; -v shows them" in page
    every = shown(path, "backprop", "-v", "--witness", "none")
    assert len(re.findall(r"^  h\d+ = ", every, re.MULTILINE)) == 25
    assert "…" not in every
    assert "for t in" not in CliRunner().invoke(app, ["derive", "-v", str(path)]).stdout


@pytest.mark.parametrize("net", NETS)
def test_two_hundred_steps_need_no_permission(net: str) -> None:
    assert len(case(net, 200).equations) == 200 * NETS[net][1].count("[t]: ") + 1


def test_two_hundred_steps_compile_in_two_seconds() -> None:
    def seconds() -> float:
        began = time.process_time()
        prepare(case("RNN", 200)).program  # noqa: B018  # compiled when it is asked for
        return time.process_time() - began

    assert min(seconds() for _ in range(2)) < 2
