"""What was worked out for optimizers, attention and convolution, in decimals and from the rules as they are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal as D
from decimal import localcontext
from pathlib import Path

import numpy as np
import pytest

from mathlab import config
from mathlab.experiment import Figure

CONFIGS = Path(__file__).parent.parent / "configs"
STEMS = ("attention", "convolution", "optimizer-geometry")
LR, BETA, BETA2 = D("0.08"), D("0.9"), D("0.999")
Numbers = dict[str, list[D]]


def loss(x: D, y: D) -> D:
    return (8 * x * x + y * y) / 2 + D("0.8") * x * y


def moved(rule: str, updates: int) -> Numbers:
    """x, y and the state after so many updates from (2.2, -2)."""
    p, m, v, m_hat = [D("2.2"), D(-2)], [D(0), D(0)], [D(0), D(0)], [D(0), D(0)]
    for t in range(1, updates + 1):
        steps = [D(0), D(0)]
        for i, g in enumerate((8 * p[0] + D("0.8") * p[1], p[1] + D("0.8") * p[0])):
            m[i] = BETA * m[i] + (1 - BETA) * g
            v[i] = BETA * v[i] + g if rule == "momentum" else BETA2 * v[i] + (1 - BETA2) * g * g
            hat, root = m[i] / (1 - BETA**t), (v[i] / (1 - BETA2**t)).sqrt() if rule == "Adam" else D(0)
            step = {"gradient descent": g, "momentum": v[i], "Adam": hat / (root + D("1e-8"))}[rule]
            m_hat[i] = hat
            steps[i] = step
        p = [place - LR * step for place, step in zip(p, steps, strict=True)]
    return {"[x, y]": p, "[v_x, v_y]": v, "[m_x, m_y]": m, "[m_hat_x, m_hat_y]": m_hat, "L": [loss(*p)]}


Rows = Sequence[Sequence[D]]
Q: Rows = [[D(1), D("0.4")], [D("0.3"), D("-0.5")], [D("-0.2"), D("0.8")]]
K: Rows = [[D("0.5"), D("0.8")], [D("0.1"), D(1)], [D(1), D("0.4")]]
V: Rows = [[D(1), D(0)], [D("0.1"), D("0.9")], [D("0.8"), D("0.4")]]


def attention(q: Rows, k: Rows, v: Rows, seen: Callable[[int, int], bool]) -> tuple[list[list[D]], list[list[D]]]:
    """The weights and the context of each row of q."""
    scale = D(len(q[0])).sqrt()
    e = [
        [(sum((a * b for a, b in zip(r, s, strict=True)), D(0)) / scale).exp() * seen(i, j) for j, s in enumerate(k)]
        for i, r in enumerate(q)
    ]
    weights = [[x / sum(row) for x in row] for row in e]
    columns = list(zip(*v, strict=True))
    return weights, [[sum((a * b for a, b in zip(w, c, strict=True)), D(0)) for c in columns] for w in weights]


def flat(rows: Rows) -> list[D]:
    return [number for row in rows for number in row]


def attended(case: str) -> Numbers:
    if case == "masked":
        weights, context = attention(Q, K, V, lambda i, j: j <= i)
        return {"weights": flat(weights), "context": flat(context)}
    heads = []
    for head in (0, 1):
        q, k, v = ([[row[head]] for row in rows] for rows in (Q, K, V))
        heads.append(attention(q, k, v, lambda i, j: True))
    context = [[made[1][token][0] for made in heads] for token in range(3)]
    return {"weights[1, 2]": heads[1][0][2], "context": flat(context)}


X = [[D(digit) for digit in row] for row in ("12013", "01210", "21011", "10112", "02101")]


def convolved(case: str) -> Numbers:
    """Each place of the kernel by itself; the gradients are of half the sum of squares."""
    step, pad = (2, 1) if case == "steps of two" else (1, 0)
    side = (len(X) + 2 * pad - 3) // step + 1
    out = np.full((side, side), D(0))
    dk, dx = np.full((3, 3), D(0)), np.full((5, 5), D(0))
    meets = [
        (place, entry, (row, column))
        for place in np.ndindex(side, side)
        for entry in np.ndindex(3, 3)
        for row, column in [(place[0] * step + entry[0] - pad, place[1] * step + entry[1] - pad)]
        if 0 <= row < 5 and 0 <= column < 5
    ]
    for place, entry, (row, column) in meets:
        out[place] += X[row][column] * (1 - entry[1])
    for place, entry, (row, column) in meets:
        dk[entry] += out[place] * X[row][column]
        dx[row, column] += out[place] * (1 - entry[1])
    return {"side": [D(side)], "out": [*out.flat], "dK": [*dk.flat], "dX": [*dx.flat]}


def worked_out() -> list[tuple[str, str, int, Figure]]:
    return [
        (stem, case.name, updates, figure)
        for stem in STEMS
        for case in config.load(CONFIGS / f"{stem}.yaml").cases
        for updates, figures in ((0, case.expected), *(case.train.after if case.train else ()))
        for figure in figures
        if figure.worked_out
    ]


@pytest.mark.parametrize(("stem", "case", "updates", "figure"), worked_out())
def test_it_is_what_the_rule_gives(stem: str, case: str, updates: int, figure: Figure) -> None:
    with localcontext() as context:
        context.prec = 40
        rules = {"attention": attended, "convolution": convolved}
        exact = (rules[stem](case) if stem in rules else moved(case, updates))[figure.name]
        for number, value in zip(figure.printed, np.ravel(np.array(exact, object)), strict=True):
            assert D(number.text) == value.quantize(D(number.text)), number.place
