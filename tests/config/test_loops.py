"""Loops: what is written once is what would be written by hand, and what is wrong in one is told once."""

from __future__ import annotations

import numpy as np
import pytest

from mathlab.config import change, described
from mathlab.errors import MathlabError
from mathlab.experiment import Case, Value
from mathlab.stages import backprop, sweep
from mathlab.stages.prepare import prepare
from tests.config.test_schema import problems

HEAD = """\
inputs:
  T: 25
  x: [[1, 2], [0.5, -1], [0.1, 0.2]]
  h0: [0, 1]
parameters:
  W: [[0.1, 0.2], [0.3, 0.4]]
  U: [[1, 2], [3, 4]]
equations:
"""
LOOP = "  for t in 1..3:\n    h[t]: W @ h[t-1]\n"


def cases(equations: str, head: str = HEAD) -> tuple[Case, ...]:
    return described((head + equations).encode(), "c.yaml").cases


def written(equations: str, head: str = HEAD) -> list[str]:
    """The equations of the only case, as a person reads them."""
    (case,) = cases(equations, head)
    return [f"{equation.name} = {equation.text}" for equation in case.equations]


ALIKE = [
    (
        "  for t in 1..3:\n    z[t]: W @ h[t-1] + U @ x[t-1]\n    h[t]: tanh(z[t])\n  loss: sum(h3)\n",
        "  z1: W @ h0 + U @ x[0]\n  h1: tanh(z1)\n  z2: W @ h1 + U @ x[1]\n  h2: tanh(z2)\n"
        "  z3: W @ h2 + U @ x[2]\n  h3: tanh(z3)\n  loss: sum(h3)\n",
    ),
    # the counter is a number, and so is an input that a loop counts to
    (
        "  for k in 0..T//25:\n    s[k]: U / (k + 1) * T\n  loss: sum(s1)\n",
        "  s0: U / (0 + 1) * 25\n  s1: U / (1 + 1) * 25\n  loss: sum(s1)\n",
    ),
    # more than one step at once, and all of them; an entry of a step
    (
        "  for t in 1..2:\n    h[t]: W @ h[t-1]\n  loss: sum(h[1:]) + h[2][0] + h[2, 1]\n",
        "  h1: W @ h0\n  h2: W @ h1\n  loss: sum([h1, h2]) + h2[0] + h2[1]\n",
    ),
    # the last step, as NumPy counts from the end
    (
        "  for t in 1..2:\n    h[t]: W @ h[t-1]\n  loss: sum(h[-1]) + h[-2, -1] + sum(h[-2:])\n",
        "  h1: W @ h0\n  h2: W @ h1\n  loss: sum(h2) + h1[-1] + sum([h1, h2])\n",
    ),
    # entries by how far they lie from the end
    (
        "  for t in 1..2:\n    s[t]: sum(x[-t-1:-t]) + sum(x[-2*t:])\n  loss: s1 + s2\n",
        "  s1: sum(x[-2:-1]) + sum(x[-2:])\n  s2: sum(x[-3:-2]) + sum(x[-4:])\n  loss: s1 + s2\n",
    ),
    # all steps, joined
    (
        "  for t in 1..2:\n    h[t]: W @ h[t-1]\n  H: stack(h[1:], axis=1)\n  loss: sum(H * concat(h[:2])[:2])\n",
        "  h1: W @ h0\n  h2: W @ h1\n  H: stack(h1, h2, axis=1)\n  loss: sum(H * concat(h0, h1)[:2])\n",
    ),
    # backwards in time, by a counter that goes up; a name that ends in a digit
    (
        "  g1_4: x[0]\n  for s in 1..3:\n    g1[4-s]: W @ g1[5-s]\n  loss: sum(g1[1])\n",
        "  g1_4: x[0]\n  g1_3: W @ g1_4\n  g1_2: W @ g1_3\n  g1_1: W @ g1_2\n  loss: sum(g1_1)\n",
    ),
    # loops in loops: layers of steps, with what stands before and after them; rows and columns of the steps as lists
    (
        "  g1_0: h0\n  g2_0: x[2]\n  for t in 1..2:\n    g[0, t]: x[t-1]\n    for k in 1..2:\n"
        "      g[k, t]: W @ g[k-1, t] + U @ g[k, t-1] * k\n    s[t]: sum(g[2, t])\n"
        "  loss: sum(s[1:]) + sum(g[1:, 2]) + sum(g[:, 1:][0, 1]) + g[1, 2][0] + g[1, 2, 1]\n",
        "  g1_0: h0\n  g2_0: x[2]\n  g0_1: x[0]\n  g1_1: W @ g0_1 + U @ g1_0 * 1\n"
        "  g2_1: W @ g1_1 + U @ g2_0 * 2\n  s1: sum(g2_1)\n  g0_2: x[1]\n  g1_2: W @ g0_2 + U @ g1_1 * 1\n"
        "  g2_2: W @ g1_2 + U @ g2_1 * 2\n  s2: sum(g2_2)\n"
        "  loss: sum([s1, s2]) + sum([g1_2, g2_2]) + sum([[g0_1, g0_2], [g1_1, g1_2], [g2_1, g2_2]][0, 1]) + g1_2[0]"
        " + g1_2[1]\n",
    ),
    # an inner loop that counts to what the outer one has come to, and at first not at all; three of them
    (
        "  for i in 1..3:\n    for j in 1..i-1:\n      p[i, j]: x[i-1] * x[j-1]\n"
        "  for i in 0..T//20:\n    for j in 0..i:\n      for k in i..j:\n        q[k, j, i]: x[k] * (i + j)\n"
        "  loss: sum(p[3, 1:]) + sum(q1_1_1)\n",
        "  p2_1: x[1] * x[0]\n  p3_1: x[2] * x[0]\n  p3_2: x[2] * x[1]\n  q0_0_0: x[0] * (0 + 0)\n"
        "  q1_1_1: x[1] * (1 + 1)\n  loss: sum([p3_1, p3_2]) + sum(q1_1_1)\n",
    ),
    # bounds and sizes that count, by an input or by a loop
    (
        "  for i in 0..T//25:\n    s[i]: x[i:i+T//12][:, i] @ reshape(W, T-21, 1)[:T//12] * ones(T//25)\n"
        "  loss: sum(stack(s[:]))\n",
        "  s0: x[0:2][:, 0] @ reshape(W, 4, 1)[:2] * ones(1)\n  s1: x[1:3][:, 1] @ reshape(W, 4, 1)[:2] * ones(1)\n"
        "  loss: sum(stack(s0, s1))\n",
    ),
    # settings that count, by an input or by a loop
    (
        "  for i in 1..2:\n    s[i]: conv2d(U, W, stride=T // 25, pad=(i, 2 * i - 1), dilation=2**(i-1))\n"
        "  loss: sum(s[2]) + sum(softmax(U, axis=T - 25)) + norm(pad(U, width=1, value=T / 50))\n",
        "  s1: conv2d(U, W, pad=(1, 1))\n  s2: conv2d(U, W, pad=(2, 3), dilation=2)\n"
        "  loss: sum(s2) + sum(softmax(U, axis=0)) + norm(pad(U, width=1, value=0.5))\n",
    ),
    # two loops that count alike, next to one another and in one another
    (
        "  for t in 1..2:\n    for k in 0..1:\n      a[k, t]: x[k]\n    for k in 0..1:\n      b[k, t]: a[k, t] * t\n"
        "  for t in 1..2:\n    c[t]: b[0, t] + b[1, t]\n  loss: sum(c[2])\n",
        "  a0_1: x[0]\n  a1_1: x[1]\n  b0_1: a0_1 * 1\n  b1_1: a1_1 * 1\n  a0_2: x[0]\n  a1_2: x[1]\n"
        "  b0_2: a0_2 * 2\n  b1_2: a1_2 * 2\n  c1: b0_1 + b1_1\n  c2: b0_2 + b1_2\n  loss: sum(c2)\n",
    ),
    # parameters by the numbers of loops
    (
        "  V1: W\n  V2_1: U\n  for k in 1..1:\n    for j in 1..1:\n      g[j, k]: V[k] @ V[k+1, j] @ V[k, 1]\n"
        "  loss: sum(g[1, 1])\n",
        "  V1: W\n  V2_1: U\n  g1_1: V1 @ V2_1 @ V1[1]\n  loss: sum(g1_1)\n",
    ),
]


@pytest.mark.parametrize(("loop", "by_hand"), ALIKE)
def test_a_loop_is_what_would_be_written_by_hand(loop: str, by_hand: str) -> None:
    assert written(loop) == [*written(by_hand)]
    (one,), (other,) = cases(loop), cases(by_hand)
    first, second = prepare(one), prepare(other)
    assert first.backward.equations == second.backward.equations
    for name, value in first.run().items():
        np.testing.assert_array_equal(value, second.run()[name])
    assert problems(HEAD + loop) == []


def test_a_case_says_how_far_it_counts_or_what_a_line_is() -> None:
    loop = "  for t in 1..T:\n    h[t]: W @ h[t-1]\n  loss: sum(h2)\n"
    loop += (
        "cases:\n  a: {inputs: {T: 2}}\n  b: {inputs: {T: 3}, equations: {for t in 1..T: {'h[t]': 'tanh(h[t-1])'}}}\n"
    )
    short, other = cases(loop)
    assert [equation.text for equation in short.equations] == ["W @ h0", "W @ h1", "sum(h2)"]
    assert [equation.text for equation in other.equations] == ["tanh(h0)", "tanh(h1)", "tanh(h2)", "sum(h2)"]
    assert "T" not in short.inputs  # nothing can change it afterwards


@pytest.mark.parametrize("header", ["for t in 1..2", "for s in 1..T"])
def test_a_header_in_other_words_replaces_nothing(header: str) -> None:
    own = f"{{{header}: {{'h[{header[4]}]': 'h0'}}}}"
    loop = f"  for t in 1..T:\n    h[t]: W @ h[t-1]\n  loss: sum(h2)\ncases:\n  a: {{equations: {own}}}\n"
    with pytest.raises(
        MathlabError, match="10 defines too; a case replaces a line of a loop below a header in the same"
    ):
        cases(loop)


def test_what_a_case_adds_to_a_loop_stands_before_the_line_that_reads_it() -> None:
    loop = "  for t in 1..2:\n    h[t]: W @ h[t-1]\n  loss: sum(h2)\n"
    added = "{for t in 1..2: {'h[t]': 'tanh(z[t])', 'z[t]': 'W @ h[t-1]'}}"
    (case,) = cases(loop + f"cases:\n  a: {{equations: {added}}}\n")
    assert [equation.name for equation in case.equations] == ["z1", "h1", "z2", "h2", "loss"]


def test_a_case_with_a_loop_still_has_its_place() -> None:
    (case,) = cases(
        "  for t in 1..2:\n    h[t]: W @ h[t-1]\n  loss: sum(h2)\ntrain: {optimizer: {name: sgd, lr: 1}, epochs: 1}\n"
    )
    assert case.train
    assert [str(place).partition(":")[0] for place in (case.place, case.train.place)] == ["c.yaml", "c.yaml"]


def test_a_net_with_a_loop_may_be_swept() -> None:
    loop = "  for t in 1..2:\n    h[t]: W @ h[t-1]\n  loss: sum(h2)\n"
    (case,) = cases(loop + "sweep: {grid: {h0: [[1, 2], [3, 4]]}, report: [loss]}\n")
    assert case.sweep
    assert [[axis.name for axis in grid] for grid in case.sweep.grids] == [["h0"]]


GATES = """\
  for t in 1..L:
    a[t]: U @ x[t-1] + W @ h[t-1]
    h[t]: a[t][:H] * a[t][H:2*H] + ones(H) / L
  loss: sum(h[L])
"""
GATES_HEAD = (
    HEAD.replace("T: 25", "L: 3\n  H: 1")
    .replace("h0: [0, 1]", "h0: [0]")
    .replace("W: [[0.1, 0.2], [0.3, 0.4]]", "W: [[1], [2]]")
)


def test_what_a_loop_counts_to_may_be_set() -> None:
    (three,), (two,) = cases(GATES, GATES_HEAD), cases(GATES, GATES_HEAD.replace("L: 3", "L: 2"))
    (moved,) = change.changed([change.unjudged(three)], "x[0,1]", Value(np.array(0.25)))
    (moved,) = change.changed([moved], *change.assignment("L=2"))
    (two,) = change.changed([two], "x[0,1]", Value(np.array(0.25)))
    assert moved.equations == two.equations
    assert prepare(moved).run()["loss"] == prepare(two).run()["loss"]
    with pytest.raises(MathlabError, match="a loop counts to a whole number"):
        change.changed([three], *change.assignment("L=2.5"))


def test_a_number_that_is_set_leaves_training_as_it_is() -> None:
    """And a learning rate has a `t` of its own, whatever an input that is a size is called."""
    train = "train: {optimizer: {name: sgd, lr: 0.1 / t}, epochs: 2}\n"
    (case,) = cases("  loss: sum(W[:t])\n" + train, HEAD.replace("T: 25", "t: 2"))
    (moved,) = change.changed([case], *change.assignment("t=1"))
    assert moved.train is case.train
    assert case.train
    assert case.train.schedule
    assert case.train.schedule.text == "0.1 / t"
    assert [one.text for one in moved.equations] == ["sum(W[:1])"]


def test_a_sweep_may_change_how_far_a_loop_counts() -> None:
    swept = "sweep: {grid: {L: [1, 2, 3], h0: [[0.5], [0.25]]}, report: [loss, L, 'norm(dW[:H])']}\n"
    (case,) = cases(GATES + swept, GATES_HEAD)
    made = sweep.run(case)
    for run, (count, start) in enumerate((count, start) for count in (1, 2, 3) for start in (0.5, 0.25)):
        (alone,) = cases(GATES, GATES_HEAD.replace("L: 3", f"L: {count}").replace("h0: [0]", f"h0: [{start}]"))
        values = prepare(alone).run()
        norm = np.linalg.norm(values["dW"][:1])
        assert [made.columns[key][run] for key in made.columns] == pytest.approx([values["loss"], count, norm])
    assert made.stacked == 6


def test_a_jacobian_by_how_far_a_loop_counts_is_refused() -> None:
    (case,) = cases('  for t in 1..T:\n    h[t]: W @ h[t-1]\n  L: sum(h3)\nexpected: {"jacobian(L, T)": 1}\n')
    with pytest.raises(MathlabError, match=r"a size of a loop or of a shape has no Jacobian, nor is there one by it"):
        backprop.run(case)


def test_figures_and_formulas_may_name_how_far_a_loop_counts() -> None:
    loop = "  for t in 1..T:\n    h[t]: W @ h[t-1]\n  loss: sum(h3)\n"
    asked = "expected: {T: 3, h3 / T: [4.67, 11.33], loss: 48}\nderivation: {dh3: T * ones_like(h3) / 3}\n"
    head = HEAD.replace("T: 25", "T: 3").replace("[[0.1, 0.2], [0.3, 0.4]]", "[[1, 1], [1, 3]]")
    result = backprop.run(cases(loop + asked, head)[0])
    assert [figure.entries[0].computed for figure in result.figures] == [3, 14 / 3, 48]
    assert result.formulas[0].passed


def test_figures_and_formulas_read_steps_in_brackets() -> None:
    """A gradient has steps too, what stands before the first one is one, and entries stay what they are."""
    loop = "  for t in 1..T:\n    h[t]: W @ h[t-1]\n  loss: sum(h[3])\n"
    figures = "'h[T - 1]': [4, 10], 'h[:2]': [[0, 1], [1, 3]], 'dh[2]': [2, 4], 'x[2]': [0.1, 0.2], 'dW[0, 1]': 22"
    formulas = "dW: 'dh[1:].T @ h[:3]', dh2: 'W.T @ dh[3]'"
    asked = f"expected: {{{figures}}}\nderivation: {{{formulas}}}\n"
    result = backprop.run(
        cases(loop + asked, HEAD.replace("25", "3").replace("[[0.1, 0.2], [0.3, 0.4]]", "[[1, 1], [1, 3]]"))[0]
    )
    assert all(figure.passed for figure in result.figures), result.figures
    assert all(formula.passed for formula in result.formulas)


WRITTEN = "a loop is written 'for t in 1..T:', with its equations below it"
COUNTS = "a loop counts to a whole number, or to an input that is one"

# what is wrong, and the one sentence with its place
WRONG = [
    ("  for t in 3..1:\n    h[t]: h0\n", "9:3: a loop counts up, and this one never runs"),
    ("  for t in 1..0:\n    h[t]: h0\n", "9:3: a loop counts up, and this one never runs"),
    (
        "  for t in 1..Q:\n    h[t]: h0\n",
        f"9:15: {COUNTS}, and 'Q' is none",
    ),
    (
        "  for t in 1..x:\n    h[t]: h0\n",
        f"9:15: {COUNTS}, and 'x' is none",
    ),
    ("  for t in 1..2.5:\n    h[t]: h0\n", "9:15: '2.5' is no whole number"),
    ("  for t in 1..10**300:\n    h[t]: h0\n", "9:3: this loop would make more than 10,000 equations"),
    ("  for t in 1..9**9**9:\n    h[t]: h0\n", "9:15: '9**9**9' is too large for float64"),
    ("  for t in 1...3:\n    h[t]: h0\n", f"9:3: {WRITTEN}"),
    ("  for t in 1 to 3:\n    h[t]: h0\n", "9:3: a loop is written 'for t in 1..T:', with its equations below it"),
    (
        "  for t in 1..2, s in 1..3:\n    h[s, t]: h0\n",
        "9:3: a loop is written 'for t in 1..T:', with its equations below it",
    ),
    (
        LOOP + "  loss: sum(h)\n",
        "11:13: unknown name 'h' in 'loss'; there are h0, h1 and more: one is told by its number",
    ),
    ("  for t in 1..3: h0\n", "9:3: a loop is written 'for t in 1..T:', with its equations below it"),
    ("  for t in 1..3:\n", "9:3: a loop is written 'for t in 1..T:', with its equations below it"),
    (
        "  for t in 1..3:\n    for s in 1..2:\n      h[t]: h0\n",
        "11:7: an equation in these loops is named by its steps, as in h[s, t], not 'h[t]'",
    ),
    (
        "  for t in 1..3:\n    for t in 1..2:\n      h[t]: h0\n",
        "10:5: two loops in one another cannot both count 't'",
    ),
    (
        "  for t in 1..3:\n    for s in 2..1:\n      h[s, t]: h0\n",
        "10:5: a loop counts up, and this one never runs",
    ),
    ("  for t in 1..3:\n    for s in t+1..t:\n      h[s, t]: h0\n", "10:5: a loop counts up, and this one never runs"),
    ("  for t in 1..3:\n    for s in 1..Q:\n      h[s, t]: h0\n", f"10:17: {COUNTS}, and 'Q' is none"),
    ("  for t in 1..3:\n    for s:\n      h[s, t]: h0\n", f"10:5: {WRITTEN}"),
    ("  for t in 1..3:\n    for s in 1..2: h0\n", f"10:5: {WRITTEN}"),
    (
        "  for t in 1..101:\n    for s in 1..101:\n      g[s, t]: h0\n",
        "9:3: this loop would make more than 10,000 equations",
    ),
    (
        "  for t in 1..3:\n    for x in 1..2:\n      g[x, t]: h0\n",
        "10:5: 'x' is defined already, on line 3, and it cannot count the steps of a loop",
    ),
    (
        "  for t in 1..2:\n    for s in 1..2:\n      g[s+t, 1]: h0\n",
        "11:7: 'g[s+t, 1]' at t = 2, s = 1 is 'g3_1', which line 11 defines too",
    ),
    (
        "  for t in 1..2:\n    g[t]: h0\n    for s in 1..2:\n      g[s, t]: h0\n",
        "12:7: 'g[s, t]' at t = 1, s = 1 is told by 2 numbers, and 'g1' is a step of 'g' too",
    ),
    (
        "  for t in 1..2:\n    for s in 1..2:\n      g[s, t]: W @ g[s, t-1]\n",
        "11:20: unknown name 'g1_0' in 'g1_1' at t = 1, s = 1; what it stands for is given in inputs or parameters",
    ),
    (
        "  for t in 0..2:\n    for s in 1..2:\n      g[s, t]: W @ g[s, t-1]\n",
        "11:20: 'g[s, t - 1]' at t = 0, s = 1 is step -1, and steps are counted from 0",
    ),
    (
        "  for t in 1..2:\n    for s in 1..2:\n      g[s, t]: x[0]\n  loss: sum(g[1])\n",
        "12:13: 'g[1]' reads a step, and a step is told by its 2 numbers",
    ),
    (LOOP + "  loss: sum(h[5:])\n", "11:13: 'h[5:]' holds no step"),
    (LOOP + "  loss: sum(h[-9])\n", "11:13: 'h[-9]' holds no step"),
    ("  for t in 1..3:\n    h[t]: W @ h[-1]\n", "10:15: 'h1' at t = 1 reads 'h3', which is defined later, on line 10"),
    (LOOP + "  loss: sum(h[1.5])\n", "11:15: '1.5' is no whole number"),
    (
        "  for t in 1..3:\n    h[t] = (h0 == h0) * W @ h[t-1]\n",
        "10:5: a mapping is needed here, not 'h[t] = (h0 == h0) * W @ h[t-1]'",
    ),
    ("  for t in 1..3:\n    h: h0\n", "10:5: an equation in this loop is named by its step, as in h[t], not 'h'"),
    ("  for t in 1..3:\n    h[1]: h0\n", "10:5: an equation in this loop is named by its step, as in h[t], not 'h[1]'"),
    ("  for t in 1..3:\n    h[t/2]: h0\n", "10:5: '1 / 2' is no whole number"),
    ("  for t in 1..3:\n    h[t-2]: h0\n", "10:5: 'h[t-2]' at t = 1 is step -1, and steps are counted from 0"),
    # a step that is not computed yet, or never
    ("  for t in 1..3:\n    h[t]: W @ h[t+1]\n", "10:15: 'h1' at t = 1 reads 'h2', which is defined later, on line 10"),
    (
        "  for t in 1..3:\n    h[t]: z[t]\n    z[t]: W @ h[t-1]\n",
        "10:11: 'h1' at t = 1 reads 'z1', which is defined later, on line 11",
    ),
    (
        "  for t in 1..3:\n    g[t]: W @ g[t-1]\n",
        "10:15: unknown name 'g0' in 'g1' at t = 1; what it stands for is given in inputs or parameters",
    ),
    ("  for t in 0..3:\n    g[t]: W @ g[t-1]\n", "10:15: 'g[t - 1]' at t = 0 is step -1, and steps are counted from 0"),
    ("  for t in 1..3:\n    h[t]: W @ h[t]\n", "10:15: 'h1' at t = 1 reads itself"),
    ("  for t in 0..3:\n    g[t]: x[t-1]\n", "10:11: 'x[t - 1]' at t = 0 counts from the end, and a step cannot"),
    (
        "  for t in 1..3:\n    g[t]: sum(x[t-2:t])\n",
        "10:15: 'x[t - 2:t]' at t = 1 counts from the end, and a step cannot",
    ),
    (
        LOOP + "  loss: sum(h3[:q])\n",
        "11:17: unknown name 'q' in 'loss'; what it stands for is given in inputs or parameters",
    ),
    (
        LOOP + "  loss: sum(h3[:W])\n",
        "11:16: in loss: a slice's bounds are whole numbers, or inputs that are, or none: x[1:]",
    ),
    (LOOP + "  loss: sum(h3[:T/2])\n", "11:17: '25 / 2' is no whole number"),
    ("  for t in 1..3:\n    h[t]: h[U]\n", "10:11: 'h[U]' at t = 1 reads a step, and a step is told by its number"),
    (LOOP + "  loss: sum(h[5])\n", "11:13: unknown name 'h5' in 'loss'; there are h0 to h3"),
    (
        "  for t in 1..3:\n    h[t]: max_pool(W, t - 1)\n",
        "10:11: size of max_pool must be a whole number of at least 1, or two of them, for rows and columns, not 0",
    ),
    (
        LOOP + "  loss: sum(conv2d(W, U, stride=h0))\n",
        "11:13: in loss: stride of conv2d must be a whole number of at least 1, or two of them, for rows and columns, "
        "not 'h0'",
    ),
    (
        LOOP + "  loss: sum(W, axis=q)\n",
        "11:21: unknown name 'q' in 'loss'; what it stands for is given in inputs or parameters",
    ),
    # what does not fit, at the step where it does not
    (
        "  for t in 1..T:\n    h[t]: W @ x[t]\n",
        "10:15: in h3 at t = 3: shape (3, 2) cannot be indexed so: index 3 is out of bounds for axis 0 "
        "with size 3, which counts from 0 to 2 "
        "in 'x[3]'",
    ),
    (
        "  for t in 1..T:\n    h[t]: W @ h[t-1] + x\n",
        "10:11: in h2 at t = 2: shapes (2, 2) and (3, 2) do not fit: the inner sizes 2 and 3 differ in 'W @ h1'",
    ),
    (
        "  for t in 1..T:\n    h[t]: W @ h[t-1] + q\n",
        "10:24: unknown name 'q' in 'h1' at t = 1; what it stands for is given in inputs or parameters",
    ),
    ("  for t in 1..T:\n    h[t]: W @ tanx(h[t-1])\n", "10:15: unknown function 'tanx'; did you mean 'tan' or 'tanh'?"),
    # names that clash
    (
        "  for x in 1..3:\n    h[x]: h0\n",
        "9:3: 'x' is defined already, on line 3, and it cannot count the steps of a loop",
    ),
    (
        "  for t in 1..3:\n    x[t]: h0\n",
        "10:5: 'x' is defined already, on line 3, and 'x[t]' would be an entry of it; give the steps another name",
    ),
    ("  for t in 0..3:\n    h[t]: x[0]\n", "10:5: 'h[t]' at t = 0 is 'h0', which line 4 defines too"),
    (LOOP + "  h2: x[0]\n", "10:5: 'h[t]' at t = 2 is 'h2', which line 11 defines too"),
    (LOOP + "  for s in 3..4:\n    h[s]: h0\n", "12:5: 'h[s]' at s = 3 is 'h3', which line 10 defines too"),
    (LOOP + "    dh[t]: h0\n", "11:5: 'dh1' is reserved: it means the gradient of 'h1'"),
]


@pytest.mark.parametrize(("equations", "sentence"), WRONG)
def test_what_is_wrong_in_a_loop_is_told_once(equations: str, sentence: str) -> None:
    with pytest.raises(MathlabError) as caught:
        prepare(cases(equations + ("" if "loss" in equations else "  loss: sum(h0)\n"))[0])
    assert str(caught.value) == f"c.yaml:{sentence}"


@pytest.mark.parametrize(
    "equations", ["  for t in 1..3: h0\n", "  for t in 1..3: {}\n", "  for t in 1..3: {'h[t]': [1]}\n"]
)
def test_an_editor_underlines_what_is_no_loop(equations: str) -> None:
    assert problems(HEAD + equations)


def test_cost_grows_with_the_steps_alone() -> None:
    def equations(steps: int) -> int:
        (case,) = cases(f"  for t in 1..{steps}:\n    h[t]: tanh(W @ h[t-1])\n  loss: sum(h{steps})\n")
        return sum(len(equation.text) for equation in prepare(case).both)

    few, many = equations(50), equations(100)
    assert many < 2.2 * few


def test_a_case_changes_a_line_of_a_loop_in_a_loop() -> None:
    loop = "  for t in 1..2:\n    for s in 1..1:\n      g[s, t]: W @ x[t]\n  loss: sum(g[1, 2])\n"
    own = "{for t in 1..2: {for s in 1..1: {'g[s, t]': 'f[s, t]', 'f[s, t]': 'U @ x[t]'}}}"
    (case,) = cases(loop + f"cases:\n  a: {{equations: {own}}}\n")
    assert [one.text for one in case.equations] == ["U @ x[1]", "f1_1", "U @ x[2]", "f1_2", "sum(g1_2)"]


BACKWARD = """\
  for t in 1..3:
    z[t]: W @ h[t-1] + U @ x[t-1]
    h[t]: tanh(z[t])
  loss: sum(h[3]**2)
derivation:
  dh[3]: 2 * h3
  for t in 1..3:
    dz[t]: dh[t] * (1 - h[t]**2)
  for t in 1..2:
    dh[t]:
      - {formula: "W.T @ dz[t+1]", at: page 2}
      - {formula: "W @ dz[t+1]", erratum: the transpose is missing}
  dW: outer(dz3, h2) + outer(dz2, h1) + outer(dz[1], h0)
"""


def test_a_derivation_has_loops_too() -> None:
    (one,) = cases(BACKWARD)
    assert [f"{formula.name} = {formula.text}" for formula in one.derivation] == [
        "dh3 = 2 * h3",
        *(f"dz{t} = dh{t} * (1 - h{t}**2)" for t in (1, 2, 3)),
        *(f"dh{t} = {W} @ dz{t + 1}" for t in (1, 2) for W in ("W.T", "W")),
        "dW = outer(dz3, h2) + outer(dz2, h1) + outer(dz1, h0)",
    ]
    found = backprop.run(one).formulas
    assert all(formula.passed for formula in found)
    assert [(formula.at, formula.erratum) for formula in found[4:6]] == [
        ("page 2", ""),
        ("", "the transpose is missing"),
    ]
    assert problems(HEAD + BACKWARD) == []


LAYERS = """\
inputs: {x: [1, 2]}
parameters: {W1: [[1, 2], [3, 4]], W2: [[1, 0.5], [0, 1]]}
equations: {z1: W1 @ x, z2: W2 @ z1, loss: sum(z2**2)}
derivation:
  dz2: 2 * z2
  for l in 1..1:
    dz[l]: W[l+1].T @ dz[l+1]
"""


def test_a_loop_of_a_derivation_counts_what_is_written_by_hand() -> None:
    (one,) = cases(LAYERS, "")
    assert [formula.text for formula in one.derivation] == ["2 * z2", "W2.T @ dz2"]
    assert all(formula.passed for formula in backprop.run(one).formulas)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "  for t in 1..9:\n    dz[t]: 1\n",
            "a derivation gives the gradient d<name> of a name, and 'dz4' is none",
        ),
        ("  for t in 3..1:\n    dz[t]: dh[t]\n", "a loop counts up, and this one never runs"),
        ("  for t in 1..3:\n    dz[t]: dq[t]\n", "unknown name 'dq' in 'dq[1]'"),
        ("  for t in 1..3:\n    dW: dh[t]\n", "an equation in this loop is named by its step, as in dh[t], not 'dW'"),
        ("  dh[-1]: dz3\n", "a derivation gives the gradient d<name> of a name, and 'dh-1' is none"),
    ],
)
def test_what_is_wrong_with_a_loop_of_a_derivation_is_told_once(written: str, message: str) -> None:
    with pytest.raises(MathlabError) as error:
        cases(BACKWARD.partition("  dh[3]")[0] + written)
    (problem,) = error.value.problems
    assert problem.message.startswith(message)
