"""Recurrent nets written once: their numbers are PyTorch's, and what is shown of them is what is computed."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

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


# several layers, one of which reads the next; and one that reads the other way
STACKED = """\
equations:
  for l in 1..L:
    h[l, 0]: start * l
    c[l, 0]: start / l
  for t in 1..T:
    h[0, t]: x[t-1]
    for l in 1..L:
      z[l, t]: h[l-1, t] @ W[l].T + b[l] + h[l, t-1] @ U[l].T + a[l]
      c[l, t]: sigmoid(z[l, t][:, 5:10]) * c[l, t-1] + sigmoid(z[l, t][:, :5]) * tanh(z[l, t][:, 10:15])
      h[l, t]: sigmoid(z[l, t][:, 15:]) * tanh(c[l, t])
  g0: start
  for k in 1..T:
    g[k]: tanh(h[L, T+1-k] + g[k-1] @ V)
  loss: (sum(h[L, 1:]**2) + sum(g[1:]**2)) / T
"""


def of_layers(layers: int, steps: int = STEPS) -> str:
    """A config of an LSTM of several layers, and a net that reads its steps backwards."""
    shapes = {"x": [steps, BATCH, IN], "start": [BATCH, HIDDEN], "V": [HIDDEN, HIDDEN]}
    for layer in range(1, layers + 1):
        wide = 4 * HIDDEN
        shapes |= {f"W{layer}": [wide, HIDDEN if layer > 1 else IN], f"U{layer}": [wide, HIDDEN]}
        shapes |= {f"b{layer}": [wide], f"a{layer}": [wide]}
    drawn = [
        f"  {name}: {{init: normal, scale: 0.4, shape: {shape}, seed: {seed}}}"
        for seed, (name, shape) in enumerate(shapes.items())
    ]
    return "\n".join(["inputs:", f"  T: {steps}", f"  L: {layers}", *drawn[:2], "parameters:", *drawn[2:], STACKED])


def text(net: str, steps: int = STEPS) -> str:
    """A config of a net; the loss reads every step."""
    if net in LAYERS:
        return of_layers(LAYERS[net], steps)
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


LAYERS = {"LSTM of two layers": 2, "LSTM of four layers": 4}


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
        loop = re.fullmatch(r"for (\w) in (\d+)\.\.(\d+):", line)
        if not loop:
            found.append(re.sub(r"\b(\w+)\[([-+\d, ]+)\]", _named, line))
            continue
        body: list[str] = []
        while lines and lines[0].startswith("  "):
            body.append(lines.pop(0)[2:])
        first, last = int(loop[2]), int(loop[3])
        way = 1 if last > first else -1
        for step in range(first, last + way, way):
            found += unfolded([re.sub(rf"\b{loop[1]}\b", str(step), line) for line in body])
    return found


def _named(match: re.Match[str]) -> str:
    """h[2, 4-1] is h2_3, and x[4-1] is an entry."""
    numbers = [str(sum(map(int, re.findall(r"[+-]?\d+", part)))) for part in match[2].split(",")]
    series = match[1].removeprefix("d") in [*"ifgocrznhWUba"]
    return f"{match[1]}{'_'.join(numbers)}" if series else f"{match[1]}[{', '.join(numbers)}]"


def test_layers_and_the_way_back_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is the witness here")
    ours = prepare(case("LSTM of two layers")).run()
    theirs = torch.nn.LSTM(IN, HIDDEN, num_layers=2, dtype=torch.float64)
    named = {"W": "weight_ih_l", "U": "weight_hh_l", "b": "bias_ih_l", "a": "bias_hh_l"}
    weights = {f"{kind}{layer + 1}": f"{name}{layer}" for kind, name in named.items() for layer in range(2)}
    for name, weight in weights.items():
        getattr(theirs, weight).data[:] = torch.from_numpy(np.array(ours[name]))
    start, v = (torch.from_numpy(np.array(ours[name])) for name in ("start", "V"))
    v.requires_grad_()
    hidden, cell = torch.stack([start, 2 * start]), torch.stack([start, start / 2])
    out, _ = theirs(torch.from_numpy(np.array(ours["x"])), (hidden, cell))
    back, g = [], start
    for step in reversed(range(STEPS)):
        g = torch.tanh(out[step] + g @ v)
        back.append(g)
    ((out.square().sum() + torch.stack(back).square().sum()) / STEPS).backward()
    np.testing.assert_allclose(ours["h2_3"], out[2].detach().numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(ours["dV"], v.grad.numpy(), rtol=1e-11, atol=1e-13)
    for name, weight in weights.items():
        np.testing.assert_allclose(ours[f"d{name}"], getattr(theirs, weight).grad.numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("net", [*NETS, *LAYERS])
@pytest.mark.one_in(2)
def test_a_folded_derivation_is_the_full_one(net: str) -> None:
    made = case(net, STEPS if net in NETS else 14)
    short, full = derivation(made, "text"), derivation(made, "text", full=True)
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
    assert r"&\text{for}\ t = 5, \ldots, 1\text{:}" in latex
    assert r"{\partial h_{t}} &= \frac{\partial \mathrm{loss}}{\partial z_{t+1}} \cdot w" in latex
    lines = [ET.fromstring(line) for line in derivation(only, "mathml").splitlines()]
    assert "fort=5,…,1:" in ["".join(line.itertext()) for line in lines]
    assert len(lines) == latex.count("\n") - 2  # without what begins and ends them


def test_loops_in_loops_and_both_ways_of_counting_are_folded() -> None:
    config = """\
inputs: {x: [1, 2, 3, 4], h1_0: 0, h2_0: 0, h3_0: 0, h4_0: 0, g0: 0}
parameters: {w1: 0.5, w2: 0.1, w3: 0.3, w4: 0.2}
equations:
  for t in 1..4:
    h[0, t]: x[t-1]
    for l in 1..4:
      h[l, t]: w[l] * h[l-1, t] + h[l, t-1] * (t - l + 10)
  for k in 1..4:
    g[k]: h[4, 5-k] * g[k-1] * x[4-k]
  loss: g4
"""
    (only,) = described(config.encode(), "c.yaml").cases
    assert derivation(only, "text").startswith("""\
for t in 1..4:
  h[0, t] = x[t-1]
  for l in 1..4:
    h[l, t] = w[l] * h[l-1, t] + h[l, t-1] * (t - l + 10)
for k in 1..4:
  g[k] = h[4, 5-k] * g[k-1] * x[4-k]
loss = g4

""")


def shown(path: Path, *options: str) -> str:
    result = CliRunner().invoke(app, [*options, str(path), "--out", str(path.parent / "out")])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_page_shows_the_first_step_and_the_last_or_all(tmp_path: Path) -> None:
    path = tmp_path / "lstm.yaml"
    path.write_text(text("LSTM", 9))
    page = shown(path, "backprop", "--witness", "none")
    assert re.findall(r"^  (?:d)?h(\d+) = ", page, re.MULTILINE) == ["1", "9", "9", "1"]
    assert "… i2 to h8, the steps between; -v shows them" in page
    every = shown(path, "backprop", "-v", "--witness", "none")
    assert len(re.findall(r"^  h\d+ = ", every, re.MULTILINE)) == 9
    assert "…" not in every
    assert "for t in" not in CliRunner().invoke(app, ["derive", "-v", str(path)]).stdout


@pytest.mark.parametrize("net", NETS)
@pytest.mark.one_in(2)
def test_two_hundred_steps_need_no_permission(net: str) -> None:
    assert len(case(net, 200).equations) == 200 * NETS[net][1].count("[t]: ") + 1


def test_two_hundred_steps_compile_in_two_seconds() -> None:
    def seconds() -> float:
        began = time.process_time()
        prepare(case("RNN", 200)).program  # noqa: B018  # compiled when it is asked for
        return time.process_time() - began

    assert any(seconds() < 2 for _ in range(2))
