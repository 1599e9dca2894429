"""The markup of the pictures: the numbers of nodes.csv, well-formed, inert, and the same every time."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest

from mathlab import api, config
from mathlab.errors import MathlabError
from mathlab.experiment import Case, Experiment, Figure, Source
from mathlab.outputs.tables import tables_of
from mathlab.pictures import gallery, graph
from mathlab.pictures import layout as layout_module
from mathlab.pictures.graph import MOST
from mathlab.pictures.layout import Layout, Point
from mathlab.results import ExperimentResult
from mathlab.stages import backprop
from tests.build import case, case_result, figure
from tests.pictures.test_layout import trouble

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
SVG = "{http://www.w3.org/2000/svg}"


@cache
def ran(path: Path) -> ExperimentResult:
    experiment = config.load(path)
    with np.errstate(all="ignore"):
        cases = tuple(case_result(one.name, one.dtype, backprop.run(one, ())) for one in experiment.cases)
    return ExperimentResult(experiment, cases)


def result_of(one: Case, title: str = "") -> ExperimentResult:
    with np.errstate(all="ignore"):
        found = case_result(one.name, one.dtype, backprop.run(one, ()))
    return ExperimentResult(Experiment("net", "net.yaml", "", title, Source(), (one,)), (found,))


def drawn(result: ExperimentResult, kind: str, at: int = 0) -> str:
    return gallery.draw(result.experiment, result.cases[at], kind)


def numbers(svg: str) -> Iterator[tuple[str, str]]:
    """What each number of a picture says that it is, and its value in full."""
    for element in ET.fromstring(svg).iter(f"{SVG}text"):
        if "data-v" in element.attrib:
            yield element.attrib["data-n"], element.attrib["data-v"]


def listed(result: ExperimentResult, name: str) -> dict[str, str]:
    """Label -> value, of one case's rows in nodes.csv."""
    found: dict[str, str] = {}
    for owner, _, node, index, value, gradient in tables_of(result)["nodes.csv"].rows:
        if owner == name:
            place = f"[{index}]" if index else ""
            found |= {f"{node}{place}": value, f"d{node}{place}": gradient}
    return found


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.one_in(3)
def test_every_graph_and_network_has_the_numbers_of_nodes_csv(path: Path) -> None:
    result = ran(path)
    for at, one in enumerate(result.cases):
        known = listed(result, one.case)
        svg = drawn(result, "graph", at)
        pictures = [svg]
        with contextlib.suppress(MathlabError):
            pictures.append(drawn(result, "network", at))
        for picture in pictures:
            found = {label: value for label, value in numbers(picture) if "<" not in label}
            assert found == {label: known[label] for label in found}
        assert one.backprop
        shown = {label.partition("[")[0] for label, _ in numbers(svg)}
        assert {node.name for node in one.backprop.nodes if node.value.size <= 5} <= shown


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.one_in(3)
def test_no_box_overlaps_and_no_edge_crosses_a_box(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []
    layered = layout_module.layered

    def checked(sizes: Mapping[str, Point], edges: Sequence[tuple[str, str]]) -> Layout:
        layout = layered(sizes, edges)
        found.append(trouble(layout, sizes))
        return layout

    monkeypatch.setattr(graph, "layered", checked)
    result = ran(path)
    for one in result.cases:
        for direction in ("right", "down"):
            gallery.draw(result.experiment, one, "graph", direction=direction)
    assert {*found} == {""}


def test_ids_are_scoped_and_unique_and_there_are_no_variables() -> None:
    for path in CONFIGS:
        result = ran(path)
        for kind in ("graph", "network"):
            try:
                svg = drawn(result, kind)
            except MathlabError:
                continue
            scope = ET.fromstring(svg).attrib["id"]
            ids = re.findall(r'\bid="([^"]*)"', svg)
            assert len(ids) == len({*ids})
            assert all(name == scope or name.startswith(f"{scope}-") for name in ids)
            (style,) = re.findall("<style>(.*)</style>", svg)
            assert all(rule.startswith(f"#{scope} ") for rule in re.findall(r"(?:(?<=[{}]))([^{}@]+)(?={)", style))
            assert "var(" not in svg
            assert "<script" not in svg
            assert 'role="img"' in svg


NET = {"z": "W @ x + b", "h": "relu(z)", "loss": "sum(h * h)"}


def net(*expected: Figure) -> Case:
    return case(NET, {"W": [[1.0, 2.0], [3.0, -4.0]], "b": [0.5, 0.5]}, {"x": [1.0, 2.0]}, expected=expected)


def test_the_paths_that_meet_are_shown_and_sum() -> None:
    equations = {"c": "z - mean(z)", "v": "mean(c * c)", "loss": "sum(c / (v + 1))"}
    svg = drawn(result_of(case(equations, {"z": [1.0, 2.0, 6.0]})), "graph")
    found = dict(numbers(svg))
    for at in range(3):
        paths = [
            float(value) for label, value in found.items() if label.startswith("dc<") and label.endswith(f"[{at}]")
        ]
        assert len(paths) == 2
        assert sum(paths) == pytest.approx(float(found[f"dc[{at}]"]), abs=1e-15)


def test_what_is_fused_says_so() -> None:
    svg = drawn(result_of(case({"p": "softmax(z)", "loss": "-log(p[0])"}, {"z": [1.0, 2.0]})), "graph")
    assert "one path, through p" in svg
    assert 'data-from="z" data-to="loss"' in svg.replace('"backward" ', "")


@pytest.mark.parametrize("direction", ["right", "down"])
def test_dashes_of_edges_that_share_a_lane_fall_together(direction: str) -> None:
    one = result_of(case({"a": "x * 2", "b": "tanh(a)", "c": "b + x * 3", "loss": "sum(c * x)"}, {"x": [1.0, 2.0]}))
    svg = gallery.draw(one.experiment, one.cases[0], "graph", direction=direction)
    found = re.findall(r'data-layer="backward" data-from="x" data-to="(\w+)"><path d="([^"]*)"', svg)
    near, far, farther = (line for _, line in sorted(found))
    together = far.rpartition("C")[0]  # up to where they part
    assert farther.startswith(together)
    assert together.count("C") == 2
    assert not near.startswith(together)


@pytest.mark.parametrize(("kind", "words"), [("graph", "← backward"), ("network", "gradient ∂y/∂")])
@pytest.mark.parametrize("last", ["sum(z)", "z * 2"])
def test_the_legend_speaks_of_gradients_where_some_flow(last: str, kind: str, words: str) -> None:
    net = {"z": "W @ x", "y": last}
    one = case(net, inputs={"x": [1.0, 2.0]}, parameters={"W": [[1.0, 2.0], [3.0, 4.0]]})
    svg = drawn(result_of(replace(one, forward=True)), kind)
    assert (words in svg) == ('data-layer="backward"' in svg) == (last == "sum(z)")


def test_verdicts_are_told() -> None:
    right = result_of(net(figure("loss", "30.25"), figure("z[0]", "5.5")))
    assert drawn(right, "graph").count("✓ 1 printed figure matches") == 2
    assert "✗ 1 of 1 printed figures differs" in drawn(result_of(net(figure("loss", "31"))), "graph")


def test_a_large_array_is_norm_range_and_strip() -> None:
    rng = np.random.default_rng(0)
    big = case(
        {"y": "x @ W", "loss": "sum(y**2)"}, {"W": rng.normal(size=(400, 250))}, {"x": rng.normal(size=(1, 400))}
    )
    svg = drawn(result_of(big), "graph")
    assert len(svg) < 20_000
    (norm,) = re.findall(r'data-n="W" data-norm="([^"]*)"', svg)
    assert float(norm) == pytest.approx(float(np.linalg.norm(big.parameters["W"].array)))
    page = drawn(result_of(big), "page")
    assert "too many for a page" in page
    assert '"leaves":[]' in page
    assert len(page) < 80_000


def test_repeated_layers_are_folded() -> None:
    equations = {"h0": "tanh(W @ x)"}
    for layer in range(1, 400):
        equations[f"h{layer}"] = f"tanh(W @ h{layer - 1})"
    deep = case({**equations, "loss": "sum(h399)"}, {"W": [[0.5, 0.1], [0.2, 0.3]]}, {"x": [1.0, 2.0]})
    svg = drawn(result_of(deep), "graph")
    assert len(re.findall("data-node=", svg)) < 10
    assert "… 397 rounds: h2 … h398" in svg
    assert [*re.findall('data-hides="([^"]*)"', svg)] == [" ".join(f"h{layer}" for layer in range(2, 399))]


@pytest.mark.parametrize(("steps", "boxes", "in_page"), [(4, 10, 10), (12, 8, 18), (40, 7, 7)])
def test_a_loop_that_fits_no_screen_is_folded_unless_all_is_wanted(steps: int, boxes: int, in_page: int) -> None:
    equations = {f"h{t}": f"tanh(w * h{t - 1} + x{t % 3})" for t in range(1, steps + 1)}
    values = {"h0": 0.5, "x0": 1.0, "x1": 2.0, "x2": 3.0}
    result = result_of(case({**equations, "loss": f"h{steps} ** 2"}, {"w": 0.3}, values))
    counts = [len(re.findall("data-node=", drawn(result, kind))) for kind in ("graph", "page")]
    whole = gallery.draw(result.experiment, result.cases[0], "graph", whole=True)
    assert [*counts, len(re.findall("data-node=", whole))] == [boxes, in_page, steps + 6]


def test_of_very_many_paths_the_first_and_the_last_are_shown() -> None:
    equations = {f"h{step}": f"tanh(w * {step + 1})" for step in range(12)}
    svg = drawn(result_of(case({**equations, "loss": " + ".join(equations)}, {"w": 0.5})), "graph")
    assert sum(label.startswith("dw<") for label, _ in numbers(svg)) == 6
    assert "+ from 6 more, h8 … h3" in svg


def test_a_stack_of_small_matrices_has_brackets_each() -> None:
    one = case({"y": "x * 2", "loss": "sum(y)"}, {"x": np.arange(12.0).reshape(2, 3, 2)})
    svg = drawn(result_of(one), "graph")
    assert dict(numbers(svg))["y[1,2,1]"] == "22.0"
    assert max(path.count("h-3v") for path in re.findall('<path d="([^"]*)"', svg)) == 2


WIDE = "hidden_activation_of_the_first_layer"
NARROW: Sequence[tuple[str, Case]] = [
    (
        "network",
        case(
            {WIDE: "tanh(A @ x)", "end": "sigmoid(B @ " + WIDE + ")", "loss": "sum(end)"},
            {"A": [[9.1, 3.7], [0.1, -11.7]], "B": [[1e-9, -123456.789], [-0.99999999, 2]]},
            {"x": [1.0, 0.98]},
        ),
    ),
    (
        "network",  # of which a layer alone is drawn, with one sample, and no number on its lines
        case(
            {"z": "x @ A", "end": f"({WIDE} * z + of + the + others + that + have + names)**2", "loss": "sum(end)"},
            {"A": np.ones((7, 3)), **dict.fromkeys(f"{WIDE} of the others that have names".split(), 0.5)},
            {"x": np.ones((2, 7))},
        ),
    ),
    (
        "scan",
        case({"y": "conv2d(X, K)", "L": "sum(y)"}, {"X": -np.arange(36.0).reshape(6, 6) / 7, "K": np.eye(3) / -3}),
    ),
]


@pytest.mark.parametrize(("kind", "one"), NARROW)
def test_nothing_written_leaves_the_picture_and_no_number_covers_another(kind: str, one: Case) -> None:
    svg = ET.fromstring(drawn(result_of(one), kind))
    groups = [(group, text) for group in svg.iter(f"{SVG}g") for text in group.iter(f"{SVG}text")]
    anchors = {text: group.get("text-anchor") for group, text in groups}
    places = [(text, re.findall(r"-?[\d.]+", group.get("transform", ""))) for group, text in groups]
    moved = {text: (float(place[0]), float(place[1])) for text, place in places if place}
    rows: dict[str, list[tuple[float, float]]] = {}
    for text in svg.iter(f"{SVG}text"):
        wide = 7.3 * len((text[-1].tail if len(text) else text.text) or "")
        shift = {"middle": 0.5, "end": 1.0}.get(text.get("text-anchor") or anchors.get(text) or "", 0.0)
        along, down = moved.get(text, (0.0, 0.0))
        left = float(text.attrib["x"]) + along - shift * wide
        assert 0 <= left <= left + wide <= float(svg.attrib["width"]) + 1
        if "data-v" in text.attrib:
            rows.setdefault(f"{float(text.attrib['y']) + down:.1f}", []).append((left, left + wide))
    for row in rows.values():
        assert all(end < start for (_, end), (start, _) in pairwise(sorted(row)))


def test_a_large_graph_without_rounds_is_refused() -> None:
    rng = np.random.default_rng(0)
    equations = {"a": "x"}
    for at in range(MOST + 1):
        function, sign, name = (rng.choice(words.split()) for words in ("sin cos tanh", "+ -", "x y z"))
        equations[f"b{at}"] = f"{function}({[*equations][-1]}) {sign} {name}"
    one = case({**equations, "loss": "sum(b1)"}, {"x": [0.1], "y": [0.2], "z": [0.3]})
    result = result_of(one)
    with pytest.raises(MathlabError, match="more than 200, and no layers that repeat"):
        drawn(result, "graph")
    assert len(re.findall("data-node=", drawn(result, "page"))) == MOST + 6


HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "]]> & \" ' \x1b[31m \u202e",
    "${title} $x {0} %s",
)


class Tags(HTMLParser):
    """Every tag of a page, with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, Mapping[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("title", HOSTILE)
def test_hostile_titles_and_names_are_inert(title: str) -> None:
    one = replace(
        case(
            {"constructor": "__proto_ * toString", "hasOwnProperty": "sum(constructor)"},
            {"__proto_": [1.0, 2.0], "toString": [2.0, 3.0]},
        ),
        name=title,
        expected=(replace(figure("hasOwnProperty", "8"), at=title),),
    )
    result = result_of(one, title)
    ET.fromstring(drawn(result, "graph"))
    tags = Tags()
    tags.feed(drawn(result, "page"))
    assert sum(tag == "script" for tag, _ in tags.found) == 2
    assert not any(tag == "img" for tag, _ in tags.found)
    assert not any(name.startswith("on") for _, attributes in tags.found for name in attributes)
    for name in gallery.names(result.experiment).values():
        assert re.fullmatch(r"[a-z0-9-]+", name)


def test_pages_load_nothing_and_hold_to_their_policy() -> None:
    page = drawn(ran(ROOT / "configs" / "sigmoid-2-2-2.yaml"), "page")
    assert len(page.encode()) < 80_000
    assert "default-src 'none'" in page
    assert "unsafe" not in page
    assert "eval(" not in page
    assert not re.findall(r"""(?:src|href)=|url\(|@import|https?://(?!www\.w3\.org)""", page)


def test_names_of_cases_become_names_of_files() -> None:
    cases = tuple(replace(net(), name=name) for name in ("A b", "a-b", "(x + y)z", "×", "../../etc", "a-b-2"))
    names = gallery.names(Experiment("e", "e.yaml", "", "", Source(), cases))
    assert [*names.values()] == ["a-b", "a-b-2", "x-y-z", "case", "etc", "a-b-2-2"]


def test_the_same_bytes_under_other_hash_seeds() -> None:
    code = (
        "import hashlib; from mathlab import load, run;"
        "result = run(load('configs/computational-graphs.yaml'), 'backprop');"
        "texts = [result.draw(kind, one.case) for one in result.cases[:3] for kind in ('graph', 'page', 'mermaid')];"
        "print(hashlib.sha256(''.join(texts).encode()).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(seen) == 1


def test_what_a_notebook_shows() -> None:
    result = api.run(api.load(ROOT / "configs" / "one-weight.yaml"), "backprop")
    picture = result.draw("graph")
    assert picture._repr_svg_() == str(picture)
    assert picture._repr_html_() is None
    shown = result._repr_html_()
    assert shown.count('sandbox="allow-scripts"') == len(result.cases)
    assert "<script" not in shown  # it is inside an attribute
    with pytest.raises(MathlabError, match="unknown picture 'grap'"):
        result.draw("grap")
    with pytest.raises(MathlabError, match="unknown case"):
        result.draw("graph", "nobody")
    net = api.load(ROOT / "configs" / "sigmoid-2-2-2.yaml")
    with pytest.raises(MathlabError, match="case 'training' did not run"):
        api.run(net, "backprop", cases=["first instance"]).draw("graph", "training")


SQUARE, PAIR = {"W": np.eye(2)}, {"x": [1.0, 2.0], "v": [3.0, 4.0]}


def test_words_keep_the_rows_of_a_matrix() -> None:
    result = result_of(case({"z": "W @ x", "loss": "sum(z)"}, SQUARE, PAIR))
    words = ("W 2×2, parameter; [[1, 0], [0, 1]];", "z 2; = W @ x; [1, 2];", "loss scalar; = sum(z); 3;")
    assert all(said in drawn(result, "graph") for said in words)
    assert "#91;#91;1, 0#93;, #91;0, 1#93;#93;" in drawn(result, "mermaid")


@pytest.mark.parametrize(
    ("one", "message"),
    [
        (case({"loss": "x * x"}, {"x": 1.0}), "has no network to draw"),
        (
            case({"z": "X @ w", "loss": "sum(z)"}, {"w": [1.0, 2.0]}, {"X": np.eye(2)}),
            r"and \[\[0.5\], \[-1\]\] in x @ W$",
        ),
        (
            case({"z": "x @ W", "loss": "sum(z)"}, {"W": np.ones((20, 2))}, {"x": np.ones(20)}),
            "a layer of 20 units, more than 12",
        ),
        (
            case({"h1": "W @ x", **{f"h{n}": f"W @ h{n - 1}" for n in range(2, 22)}, "loss": "sum(h21)"}, SQUARE, PAIR),
            "has 21 layers, more than 20",
        ),
    ],
)
def test_a_case_without_a_network_is_told(one: Case, message: str) -> None:
    with pytest.raises(MathlabError, match=message):
        drawn(result_of(one), "network")


@pytest.mark.parametrize(
    ("equations", "units"),
    [
        ({"z": "W @ x", "loss": "norm(z)"}, 2),
        ({"z": "W @ x", "loss": "logsumexp(z)"}, 2),
        ({"z": "W @ x", "loss": "max(z) * 2", "h": "relu(z)", "end": "sum(h) + loss"}, 2),
        ({"loss": "norm(W @ x)"}, 0),
        ({"loss": "sum(W @ x)"}, 0),
        ({"z": "(W @ x)[0:1]", "loss": "sum(z)"}, 0),
    ],
)
def test_what_brings_units_together_is_no_activation(equations: Mapping[str, str], units: int) -> None:
    one = result_of(case(equations, {"W": [[1.0, 2.0], [3.0, -4.0]]}, {"x": [1.0, 2.0]}))
    if units:
        assert {label for label, _ in numbers(drawn(one, "network"))} >= {f"z[{at}]" for at in range(units)}
    else:
        with pytest.raises(MathlabError, match="has no network to draw"):
            drawn(one, "network")


@pytest.mark.parametrize("settings", ["", ", stride=2, pad=1", ", pad=(0, 2), dilation=(2, 1)"])
def test_a_scan_has_the_numbers_and_stops_at_every_place(settings: str) -> None:
    rng = np.random.default_rng(0)
    values = {"X": rng.normal(size=(5, 6)), "K": rng.normal(size=(3, 2))}
    result = result_of(case({"out": f"conv2d(X, K{settings})", "L": "sum(out)"}, values))
    svg = drawn(result, "scan")
    assert result.cases[0].backprop
    nodes = {node.name: node.value for node in result.cases[0].backprop.nodes}
    expected = {f"{n}[{i},{j}]": str(v) for n in ("X", "K", "out") for (i, j), v in np.ndenumerate(nodes[n])}
    assert dict(numbers(svg)) == expected
    stops = re.search(r"@keyframes net-base-scan-moving\{(.*?\})\}", svg)
    assert stops
    assert stops[1].count("translate(") == svg.count("@keyframes net-base-scan-c") == nodes["out"].size
    sums = ["".join(part.itertext()) for part in ET.fromstring(svg).iter(f"{SVG}g") if part.get("opacity")]
    for words, value in zip(sums, nodes["out"].flat, strict=True):
        terms = re.findall(r"\(?(-?[\d.e-]+)\)?·\(?(-?[\d.e-]+)\)?", words)
        assert sum(float(a) * float(b) for a, b in terms) == pytest.approx(float(value), abs=0.02)
    assert "prefers-reduced-motion" in svg


@pytest.mark.parametrize(
    ("text", "shape", "message"),
    [
        ("sum(X)", (3, 3), "has no convolution to scan, as in y: conv2d(x, k); no equation is one"),
        ("sum(conv2d(X, K))", (3, 3), "none stands alone, over one image and one kernel"),
        ("conv2d(X, K)", (20, 3), "an image of (20, 3) and 38 places, more than 16 rows or columns, or 100 places"),
    ],
)
def test_what_cannot_be_scanned_is_told(text: str, shape: tuple[int, ...], message: str) -> None:
    one = case({"out": text, "L": "sum(out * K[0, 0])"}, {"X": np.ones(shape), "K": np.ones((2, 2))})
    with pytest.raises(MathlabError, match=re.escape(message)):
        drawn(result_of(one), "scan")


@pytest.mark.parametrize(("wide", "high"), [(m, n) for m in range(1, 11) for n in range(1, 11) if m * n <= 20])
def test_no_label_of_a_network_covers_another(wide: int, high: int) -> None:
    rng = np.random.default_rng(0)
    values = {"W": rng.normal(size=(wide, high))}
    svg = drawn(
        result_of(case({"z": "x @ W", "loss": "sum(tanh(z))"}, values, {"x": rng.normal(size=wide)})), "network"
    )
    labels = [box for box in ET.fromstring(svg).iter(f"{SVG}rect") if "fill-opacity" in box.attrib]
    assert len(labels) == wide * high
    sides = [[float(box.attrib[side]) for side in ("x", "y", "width", "height")] for box in labels]
    for (x, y, width, height), (a, b, other, tall) in combinations(sides, 2):
        assert min(x + width, a + other) - max(x, a) < 4 or min(y + height, b + tall) - max(y, b) < 2


@pytest.mark.parametrize("bias", ["b", "b[None, :]", "b[None]"])
def test_a_bias_may_have_axes_of_its_own(bias: str) -> None:
    values = {"W": np.array([[1.0, 2.0], [3.0, -4.0]]), "b": np.array([0.5, 0.25])}
    rows = case({"z": f"x @ W + {bias}", "loss": "sum(relu(z))"}, values, {"x": [[1.0, 2.0], [3.0, 4.0]]})
    columns = case({"z": "W @ x + b[:, None]", "loss": "sum(relu(z))"}, values, {"x": [[1.0, 2.0], [3.0, 4.0]]})
    for one in (rows, columns):
        found = dict(numbers(drawn(result_of(one), "network")))
        assert (found["b[0]"], found["b[1]"]) == ("0.5", "0.25")


def test_a_network_says_what_it_does_not_show() -> None:
    svg = drawn(result_of(NARROW[1][1]), "network")
    assert "sample 0 of 2" in svg
    assert "of more than 20 lines between two layers the numbers are not written" in svg
    assert f"what is not in these layers is not drawn: {WIDE}, of" in svg
    assert "not drawn" not in drawn(result_of(NARROW[0][1]), "network")
    twice = drawn(result_of(case({"a": "W @ x", "b": "W @ v", "loss": "sum(a * b)"}, SQUARE, PAIR)), "network")
    assert "read more than once, so that its gradient is a sum: W" in twice
    assert "read more than once" not in svg


def test_the_parts_of_a_step_back_that_other_boxes_read_are_defined() -> None:
    one = case({"s": "(a @ b) / sqrt(3)", "loss": "sum(s**2)"}, {"a": [[1.0, 2.0]], "b": [[3.0], [4.0]]})
    svg = drawn(result_of(one), "graph")
    assert "da = ds_1 @ b.T" in svg
    assert "ds_1 = ds / sqrt(3)" in svg


def test_a_sample_that_is_not_there_is_told() -> None:
    one = case({"z": "x @ W", "loss": "sum(z)"}, {"W": [[1.0], [2.0]]}, {"x": [[1.0, 2.0], [3.0, 4.0]]})
    result = result_of(one)
    second = gallery.draw(result.experiment, result.cases[0], "network", sample=1)
    assert dict(numbers(second))["z[1,0]"] == "11.0"
    for sample in (2, "a"):
        with pytest.raises(MathlabError, match=f"there is no sample {sample}"):
            gallery.draw(result.experiment, result.cases[0], "network", sample=sample)  # type: ignore[arg-type]


def test_pictures_are_the_same_up_to_rounding() -> None:
    svg = drawn(result_of(net()), "graph")
    assert gallery.same(svg, svg.replace('data-v="30.25"', 'data-v="30.250000000000004"'))
    assert not gallery.same(svg, svg.replace('data-v="30.25"', 'data-v="30.26"'))
    assert not gallery.same(svg, svg.replace("relu", "tanh"))
    data = json.loads(re.findall(r'id="data">(.*?)</script>', drawn(result_of(net()), "page"))[0])
    assert data["end"] == "loss"
