"""The data of the plots; and, where there is matplotlib, that each can be drawn."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mathlab import api, config, plan
from mathlab.errors import MathlabError
from mathlab.experiment import Array, Picture
from mathlab.language import read
from mathlab.language.equation import Equation
from mathlab.pictures import plots
from mathlab.pictures.plots import Drawing, Line

ROOT = Path(__file__).parents[2]


def equation(text: str) -> Equation:
    return Equation(text, read(text), text)


def asked(kind: str, *of: str, over: dict[str, tuple[float, float]] | None = None, **more: object) -> Picture:
    spans = tuple((equation(name), *ends) for name, ends in (over or {}).items())
    return Picture(kind, tuple(map(equation, of)), spans)._replace(**more)  # type: ignore[arg-type]  # by name


@cache
def trained() -> api.Result:
    (planned,) = plan.plans("train", [config.load(ROOT / "configs" / "sigmoid-2-2-2.yaml")], ())
    done = plan.judged(planned, lambda _: nullcontext())
    return api.Result(done.experiment, done.cases)


def weights() -> dict[str, Array]:
    """The parameters after the training."""
    train = trained().cases[0].train
    assert train
    return dict(train.parameters)


def drawing(picture: Picture, case: str = "training") -> Drawing:
    return plots.drawing(trained(), case, picture)


def test_loss_and_norms_are_the_columns_of_training_csv() -> None:
    frame = trained().frame("training")
    own = frame[frame["case"] == "training"]
    loss, norm = drawing(asked("loss", "loss", "norm(dV)")).lines
    assert (loss.label, norm.label) == ("loss", "norm(dV)")
    np.testing.assert_array_equal(loss.y, own["loss"])
    np.testing.assert_array_equal(norm.y, own["norm(dV)"])
    assert [line.label for line in drawing(asked("norms")).lines] == ["norm(dW)", "norm(dV)"]
    both = drawing(asked("loss", cases=("training", "one step with alpha 0.65"))).lines
    assert [line.label for line in both] == ["training: loss", "one step with alpha 0.65: loss"]


def test_weights_before_and_after() -> None:
    tables = dict(drawing(asked("weights")).tables)
    assert tables["W before"].tolist() == [[6, -3], [-2, 5]]
    np.testing.assert_array_equal(tables["V after 200 updates"], weights()["V"])


def of_config(name: str, case: str, picture: Picture) -> Drawing:
    experiment = config.load(ROOT / "configs" / f"{name}.yaml")
    (one,) = [one for one in experiment.cases if one.name == case]
    ran = plan.judged(plan.Plan(experiment, ((one, ()),)), lambda _: nullcontext())
    return plots.drawing(ran, case, picture)


def test_a_curve_with_its_derivative() -> None:
    y, slope = of_config("activations", "sigmoid", asked("curve", "h", over={"a": (-4, 4)}, derivative=True)).lines
    assert (y.label, slope.label) == ("h", "dh/da")
    np.testing.assert_allclose(y.y, 1 / (1 + np.exp(-y.x)), rtol=1e-14)
    np.testing.assert_allclose(slope.y, y.y * (1 - y.y), rtol=1e-14)
    other = of_config("activations", "sigmoid", asked("curve", "tanh(u) * 2", over={"u": (-1, 1)})).lines
    np.testing.assert_allclose(other[0].y, 2 * np.tanh(other[0].x), rtol=1e-14)


def test_a_contour_and_the_path_on_it() -> None:
    made = drawing(asked("contour", over={"W[0,0]": (-8, 8), "V[0,0]": (-4, 4)}))
    (path,) = made.lines
    assert (path.x[0], path.y[0]) == (6, 1)
    assert path.x[-1] == weights()["W"][0, 0]
    assert made.field
    x, y, z = made.field
    assert z.shape == (len(y), len(x))
    (one,) = [one for one in trained().experiment.cases if one.name == "training"]
    W = one.parameters["W"].array.copy()
    V = one.parameters["V"].array.copy()
    W[0, 0], V[0, 0] = x[7], y[11]
    hidden = 1 / (1 + np.exp(-one.inputs["X"].array @ W))
    out = 1 / (1 + np.exp(-hidden @ V))
    assert z[11, 7] == pytest.approx(np.sum((out - one.inputs["T"].array) ** 2), rel=1e-14)


def test_a_contour_of_the_entries_themselves() -> None:
    made = drawing(asked("contour", "W[0,0]**2 + V[0,0]", over={"W[0,0]": (-1, 1), "V[0,0]": (2, 3)}))
    assert made.field
    x, y, z = made.field
    np.testing.assert_allclose(z, x**2 + y[:, None], rtol=1e-14)


@pytest.mark.parametrize(("shape", "least", "most"), [((3, 20), 11, 14), ((1, 400), 11, 14), ((12, 3), 4, 8)])
def test_the_columns_of_a_heat_map_have_room_for_numbers(shape: tuple[int, int], least: float, most: float) -> None:
    content = plots.rendered(plots.Drawing("", tables=[("A", np.full(shape, -1.234))]), "png")
    assert least < int.from_bytes(content[16:20], "big") / 150 < most  # inches


def test_heat_shows_an_expression() -> None:
    ((name, table),) = of_config("sigmoid-2-2-2", "first instance", asked("heat", "dW * 2")).tables
    assert name == "dW * 2"
    assert table[0, 1] == pytest.approx(2 * 0.0014201436720081408)


@pytest.mark.parametrize(("of", "truth"), [("floor(a)", np.floor), ("sign(a)", np.sign), ("1 * (a > 0)", np.heaviside)])
def test_a_step_is_a_curve_without_a_derivative(of: str, truth: Callable[..., Array]) -> None:
    (line,) = of_config("activations", "ReLU", asked("curve", of, over={"a": (-2, 2)})).lines
    assert np.array_equal(line.y, truth(line.x, *[0] * (truth is np.heaviside)))
    with pytest.raises(MathlabError, match="is no curve over a"):
        of_config("activations", "ReLU", asked("curve", of, over={"a": (-2, 2)}, derivative=True))


def test_steps_draw_the_v() -> None:
    central, one_sided = of_config("sigmoid-2-2-2", "first instance", asked("steps", "dV[0,0]")).lines
    assert central.y.min() < 1e-9 < one_sided.y.min() < 1e-6
    assert central.y[0] > 1e-6
    assert central.y[-1] > 1e-3


@pytest.mark.parametrize("upstream", [[1, 2], "3 * x"])
def test_steps_weigh_the_end_by_its_upstream_gradient(upstream: object) -> None:
    net = {"inputs": {"x": [1, 2]}, "parameters": {"w": [0.5, -1]}, "equations": {"y": "tanh(w) * x"}}
    result = api.run({**net, "upstream": upstream}, "backprop")
    central, one_sided = plots.drawing(result, "base", asked("steps")).lines
    assert central.y.min() < 1e-9 < one_sided.y.min() < 1e-6


SPANS = (1.0, 0.0), (-np.inf, 1.0), (-1e308, 1e308), (0.0, np.nan)
WRONG: list[tuple[Callable[[], Drawing], str]] = [
    (lambda: drawing(asked("loss", "lss")), "has no column 'lss'; did you mean 'loss'?"),
    (lambda: drawing(asked("loss", cases=("second instance",))), "case 'second instance' did not run"),
    (lambda: drawing(asked("loss", cases=("trainin",))), "unknown case 'trainin'; did you mean 'training'?"),
    (lambda: of_config("sigmoid-2-2-2", "first instance", asked("loss")), "case 'first instance' has no 'train'"),
    (lambda: of_config("sigmoid-2-2-2", "first instance", asked("sweep")), "has no 'sweep'"),
    (lambda: of_config("sigmoid-2-2-2", "first instance", asked("heat", "loss")), "'loss' has shape ()"),
    (lambda: of_config("sigmoid-2-2-2", "first instance", asked("heat", "dW", rows=("a",))), "1 rows are named"),
    (lambda: of_config("sigmoid-2-2-2", "first instance", asked("steps", "loss")), "is no entry of"),
    (lambda: of_config("activations", "ReLU", asked("curve", "h")), "a curve runs over one name"),
    (
        lambda: of_config("activations", "ReLU", asked("curve", "sum(h)", over={"a": (0, 1)})),
        "'sum(h)' is no curve over a: 401 numbers together give it the shape (); a contour takes each alone",
    ),
    (
        lambda: of_config("activations", "ReLU", asked("curve", "h", over={"b": (0, 1)})),
        "'h' is no curve over b, which it does not read",
    ),
    (lambda: drawing(asked("weights", "W")), "weights takes no 'of'"),
    (lambda: drawing(asked("heat", "W", cases=("training", "training"))), "heat shows one case"),
    *((lambda ends=ends: drawing(asked("curve", over={"x": ends})), "to a larger one") for ends in SPANS),
    (lambda: drawing(asked("contour", over={"W[0,0]": (0, 1)})), "a contour runs over two entries"),
    (lambda: drawing(asked("contour", over={"W": (0, 1), "V[0,0]": (0, 1)})), "'W' is no single entry"),
    (lambda: drawing(asked("contour", "Y", over={"W[0,0]": (0, 1), "V[0,0]": (0, 1)})), "needs one number"),
]


@pytest.mark.parametrize(("make", "message"), WRONG, ids=[message for _, message in WRONG])
def test_bad_input_is_one_sentence(make: Callable[[], Drawing], message: str) -> None:
    with pytest.raises(MathlabError) as caught:
        make()
    assert message in str(caught.value)
    assert len(caught.value.problems) == 1


def test_a_contour_and_steps_are_of_a_loss_of_one_entry() -> None:
    fields = {"inputs": {"x": [1.0, 2.0]}, "parameters": {"W": [[0.5, 1.0]]}, "equations": {"L": "(W @ x)**2"}}
    result = api.run(fields, command="backprop")
    over = asked("contour", "L", over={"W[0,0]": (-1, 1), "W[0,1]": (0, 1)})
    field = plots.drawing(result, "base", over).field
    assert field
    heights = field[2]
    np.testing.assert_allclose([heights[0, 0], heights[0, -1], heights[-1, 0]], [1, 1, 1], atol=1e-12)
    assert plots.drawing(result, "base", asked("steps")).lines


@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_every_format_is_the_same_each_time(form: str) -> None:
    pytest.importorskip("matplotlib")
    made = drawing(asked("loss", log="y"))
    assert plots.rendered(made, form) == plots.rendered(made, form)


def test_every_kind_is_drawn_onto_axes() -> None:
    figure = pytest.importorskip("matplotlib.figure")
    for picture in (asked("loss", log="y"), asked("contour", over={"W[0,0]": (-8, 8), "V[0,0]": (-4, 4)})):
        made = drawing(picture)
        ax = figure.Figure().subplots()
        assert plots.onto(made, ax) is ax
        shown = ax.lines[0]
        np.testing.assert_array_equal(shown.get_xdata(), made.lines[0].x)
        np.testing.assert_array_equal(shown.get_ydata(), made.lines[0].y)
    assert b"W before" in plots.rendered(drawing(asked("weights")), "svg")
    with pytest.raises(MathlabError, match="this plot has 4 parts"):
        plots.onto(drawing(asked("weights")), None)


def test_weights_before_and_after_have_one_scale_of_colours() -> None:
    page = pytest.importorskip("matplotlib.figure").Figure()
    made = drawing(asked("weights"))
    plots.plot(made, page.subplots(1, 4).ravel().tolist())
    scales = [ax.images[0].get_clim() for ax in page.axes]
    for at, name in ((0, "W"), (2, "V")):
        both = [table for title, table in made.tables if title.startswith(f"{name} ")]
        assert scales[at] == scales[at + 1] == (np.min(both), np.max(both))


@pytest.mark.parametrize("log", ["", "xy"])
def test_what_no_axis_can_show_is_a_gap(log: str) -> None:
    """Each pair of odd numbers as a line, a contour and a table: drawn without an error or a warning."""
    figure, x = pytest.importorskip("matplotlib.figure"), np.linspace(0, 1, 3)
    odd = (np.inf, np.nan, 1.7e308, -1.7e308, 1e149, 5e-324, -1.0, 1.0)
    for pair in [(a, b) for a in odd for b in odd][:: 13 if log else 11]:
        z = np.full((3, 3), pair[0])
        z[0, 0] = pair[1]
        lines = (Line("along", x, z[0]), Line("across", z[0], x))
        for made in (
            Drawing("f", lines=lines, log=log),
            Drawing("f", field=(x, x, z)),
            Drawing("f", tables=(("f", z),)),
            Drawing("f", tables=(("f", np.nan_to_num(z, posinf=1, neginf=1).clip(-1, 1).astype(np.float32)),)),
        ):
            page = figure.Figure()
            plots.plot(made, [page.subplots()])
            page.draw_without_rendering()


@pytest.mark.parametrize("form", ["svg", "png"])
def test_texts_stand_as_they_are_and_a_lone_point_is_seen(form: str) -> None:
    figure, odd = pytest.importorskip("matplotlib.figure"), "_哈 $5 or $x_{$"
    x, y = np.arange(3.0), np.array([1.0, np.nan, np.nan])
    lines, table = (Line(odd, x, y), Line("whole", x, x)), np.eye(2)
    drawings = (
        Drawing(odd, odd, odd, lines=lines),
        Drawing(odd, tables=((odd, table),), labels=((odd, odd), ("$", "$"))),
    )
    for made in drawings:
        plots.rendered(made, form)
    ax = plots.onto(drawings[0], figure.Figure().subplots())
    legend = ax.get_legend()
    assert legend
    assert [text.get_text().strip() for text in legend.texts] == [odd.replace("$", r"\$"), "whole"]
    assert [line.get_marker() for line in ax.lines] == ["o", "None"]


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MathlabError, match="pip install 'mathlab-backprop\\[plot\\]'"):
        plots.rendered(drawing(asked("loss")), "svg")
