"""An article's numbers against its config: what each is, what is missing, and that a changed digit does not pass."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mathlab import config
from mathlab.article import check
from mathlab.article.check import sections, written
from mathlab.article.cover import Coverage, cover, regions
from mathlab.article.labels import called
from mathlab.article.pool import Quantity, quantities
from mathlab.article.suggest import Undecided, suggest
from mathlab.article.text import read
from mathlab.cli import app
from mathlab.errors import MathlabError
from mathlab.results import ExperimentResult

NET = """\
# a comment that stays
source: {article: notes.md}
inputs: {x: [1.5, -2], t: 1}
parameters:
  w: [0.3, -0.7]   # and this one
  b: 0.1
equations:
  z: w @ x + b
  y: sigmoid(z)
  loss: -(t * log(y) + (1 - t) * log(1 - y))
train: {optimizer: {name: sgd, lr: 0.25}, epochs: 20}
"""

NOTES = """\
# A neuron by hand

We start from w = (0.3, -0.7) and b = 0.1, and look at x = (1.5, -2).

## The forward pass

The pre-activation is 1.95, which the sigmoid makes y = 0.875447:

    >>> loss
    0.13302107507286723

## The backward pass

| gradient | of w1 | of w2 |
|----------|-------|-------|
| value    | -0.186830 | 0.249107 |

and $\\frac{\\partial L}{\\partial b} = -0.124553$.

## Training

With a learning rate of 0.25, the first update gives
w = [0.34670751, -0.76227668] and the loss falls to 0.107529.
After 20 updates the loss is 2.3e-2, or $2.2956\\times10^{-2}$ more precisely.
"""

FIGURES = """\
expected:
  z: {printed: 1.95, at: The forward pass}
  y: {printed: 0.875447, at: The forward pass}
  loss: {printed: 0.13302107507286723, at: The forward pass}
  dw: {printed: [-0.186830, 0.249107], at: The backward pass}
  db: {printed: -0.124553, at: "The backward pass"}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(NET, encoding="utf-8")
    Path("notes.md").write_text(NOTES, encoding="utf-8")
    return tmp_path


def covered(text: str = NOTES) -> Coverage:
    Path("notes.md").write_text(text, encoding="utf-8")
    return cover([read(Path("notes.md"))], [check.judged(config.load("net.yaml"))])


def statuses(coverage: Coverage) -> dict[str, str]:
    return {one.number.text: one.status for one in coverage.numbers}


def test_every_number_has_a_status(folder: Path) -> None:
    (folder / "net.yaml").write_text(NET + FIGURES, encoding="utf-8")
    found = statuses(covered())
    assert found["0.3"] == found["-0.7"] == found["0.25"] == found["1.5"] == "given"
    assert found["1.95"] == found["0.875447"] == found["-0.186830"] == found["-0.124553"] == "checked"
    assert found["0.107529"] == found["0.34670751"] == "open"
    told = {
        one.number.text: one.by or one.status for one in covered(f"{NOTES}\n0.0 is no batch size. It was 1.0.").numbers
    }
    assert (told["0.0"], told["1.0"]) == ("open", "t, a constant of loss")


def test_everything_is_found_again_and_written_into_the_config(folder: Path) -> None:
    experiment = config.load("net.yaml")
    before = covered()
    found, undecided = suggest(before, [experiment])
    text, left = written(NET, sections(found, experiment))
    assert left == []
    assert [line for line in NET.splitlines() if line not in text.splitlines()] == [
        "train: {optimizer: {name: sgd, lr: 0.25}, epochs: 20}"
    ]
    (folder / "net.yaml").write_text(text, encoding="utf-8")
    after = covered()
    assert after.missing == ()
    assert after.passed
    assert [one.number.text for one in after.numbers if one.status == "open"] == []
    assert undecided == []


def test_of_fifty_changed_digits_none_passes(folder: Path) -> None:
    experiment = config.load("net.yaml")
    text, _ = written(NET, sections(suggest(covered(), [experiment])[0], experiment))
    (folder / "net.yaml").write_text(text, encoding="utf-8")
    clean = covered()
    document = clean.documents[0]
    source = NOTES
    rng = random.Random(0)
    claimed = [one for one in clean.numbers if one.status == "checked"]
    noticed = 0
    for _ in range(50):
        number = rng.choice(claimed).number
        places = [at for at in range(number.start, number.end) if source[at].isdigit() and source[at - 1] != "^"]
        places = [at for at in places if "^{" not in source[at - 3 : at]]
        at = rng.choice(places)
        changed = source[:at] + rng.choice([d for d in "0123456789" if d != source[at]]) + source[at + 1 :]
        found = covered(changed)
        untouched = {one.number.start: one.status for one in found.numbers if one.number.start != number.start}
        assert untouched == {one.number.start: one.status for one in clean.numbers if one.number.start != number.start}
        touched = [one for one in found.numbers if one.number.start == number.start]
        noticed += bool(found.missing) or any(one.status == "open" for one in touched)
    assert noticed >= 49
    assert document.path == "notes.md"


def test_an_at_is_a_heading_or_a_quote(folder: Path) -> None:
    document = read(Path("notes.md"))
    inside = NOTES.index("-0.124553")
    (section,) = regions(document, "the backward pass")
    assert section[0] <= inside < section[1]
    assert not section[0] <= NOTES.index("0.107529") < section[1]
    assert any(start <= inside < end for start, end in regions(document, "The backward pass, gradient"))
    assert regions(document, "nowhere at all") == []


WRONG = [
    ("expected: {z: {printed: 1.95, at: No such place}}", "at: 'No such place' stands nowhere in notes.md"),
    ("source: {article: notes.md, ignore: {never said: because}}", "ignore: 'never said' fits no number"),
    ("source: {article: other.md}", "the article 'other.md' is not there"),
    ("source: {article: ../../../etc/notes.md}", "lies outside of this folder"),
]


@pytest.mark.parametrize(("line", "message"), WRONG)
def test_bad_input_is_one_sentence(folder: Path, line: str, message: str) -> None:
    text = NET.replace("source: {article: notes.md}\n", "") if line.startswith("source") else NET
    (folder / "net.yaml").write_text(text + line + "\n", encoding="utf-8")
    result = CliRunner().invoke(app, ["run", "net.yaml", "--out", "out"])
    assert result.exit_code == 2
    assert message in result.stderr
    experiment = config.load("net.yaml")
    with pytest.raises(MathlabError):
        check.coverage_of([check.judged(experiment)], check.articles_of(experiment))


def test_a_digit_copied_wrongly_is_named_with_the_nearest(folder: Path) -> None:
    (folder / "net.yaml").write_text(NET + "expected: {z: {printed: 1.95}, y: 0.875477}\n", encoding="utf-8")
    ((_, entry, nearest),) = covered().missing
    assert (entry.printed, nearest and nearest.text) == ("0.875477", "0.875447")


ORDER = """
inputs: {x: [1, -0.5], t: 1}
parameters: {W: [[0.3, -0.7], [0.25, 0.5]], w6: 0.45, w5: 0.40}
equations: {z: W @ x, p: softmax(z), m: z > 0.1, L: "-log(p[0]) * w5 / w6"}
expected:
  m: {printed: [1, 0], at: its sign}
  p: [0.65701, 0.34299]
  dW: [[-0.3049, 0.1524], [0.3049, -0.1524]]
"""
ARRAYS = "its sign is 1, 0; p = [0.65701, 0.34299], dW = [[-0.3049 0.1524]\n [0.3049 -0.1524]]"
# The numbers that are open, by what stands in the place of what.
PLACES: list[tuple[str, str, str]] = [
    ("", "", ""),
    ("0.65701, 0.34299", "0.34299, 0.65701", "0.34299 0.65701"),
    ("0.65701, 0.34299", "0.34299 0.65701", "0.34299 0.65701"),
    ("[0.65701, 0.34299]", "(0.34299, 0.65701)", "0.34299 0.65701"),
    ("[0.65701, 0.34299]", "$\\begin{pmatrix}0.34299 \\\\ 0.65701\\end{pmatrix}$", "0.34299 0.65701"),
    ("p =", "p = [0.34299, 0.65701], or", "0.34299 0.65701"),
    ("0.65701, 0.34299", "0.65701, 0.65701", "0.65701"),
    ("-0.1524]]", "0.1524]], that is -0.1524", "0.1524"),
    ("[-0.3049 0.1524]\n [0.3049 -0.1524]", "[0.3049 -0.1524]\n [-0.3049 0.1524]", "0.3049 -0.1524 -0.3049 0.1524"),
    ("[[-0.3049 0.1524]\n [0.3049 -0.1524]]", "[0.1524, -0.3049] and [0.3049, -0.1524]", "0.1524 -0.3049"),
    ("p =", "m = [0, 1], g =", "0 1"),
    ("p =", "its shape is (0, 1), g =", ""),
    # printed as separate numbers, transposed, by columns, in prose, in a table, and as others that share its numbers
    ("[0.65701, 0.34299]", "max(0.34299, 0.65701)", ""),
    ("[0.65701, 0.34299]", "(0.34299 and 0.65701)", ""),
    ("p = [0.65701, 0.34299]", "p_1 = 0.34299, p_0 = 0.65701", ""),
    ("p = [0.65701, 0.34299]", "\n\n|p1|p0|\n|-|-|\n|0.34299|0.65701|\n\n", ""),
    ("[[-0.3049 0.1524]\n [0.3049 -0.1524]]", "[[-0.3049 0.3049]\n [0.1524 -0.1524]]", ""),
    ("[[-0.3049 0.1524]\n [0.3049 -0.1524]]", "[-0.3049, 0.3049] and [0.1524, -0.1524]", ""),
    ("[[-0.3049 0.1524]\n [0.3049 -0.1524]]", "[0.3049, -0.1524] below [-0.3049, 0.1524]", ""),
    ("dW", "x = [1.0, -0.5], and dW", ""),
    ("p =", "sorted: (0.34299, 0.65701), p =", ""),
    # without brackets, where it stands nowhere else; and with a number of another array in it
    (
        "dW = [[-0.3049 0.1524]\n [0.3049 -0.1524]]",
        "\n\n|a|c|\n|-|-|\n|-0.3049|-0.1524|\n|0.3049|0.1524|\n\n",
        "-0.1524 0.1524",
    ),
    ("[[-0.3049 0.1524]\n [0.3049 -0.1524]]", "**-0.3049**, **0.3049**, **0.1524**, **-0.1524**", ""),
    ("[[-0.3049 0.1524]\n [0.3049 -0.1524]]", "**-0.3049**, **-0.1524**, **0.3049**, **0.1524**", "-0.1524 0.1524"),
    ("0.34299], dW = [[-0.3049", "-0.3049], dW = [[0.34299", "-0.3049 0.34299"),
]


@pytest.mark.parametrize(("old", "new", "expected"), PLACES)
def test_each_number_of_an_array_stands_in_its_own_place(old: str, new: str, expected: str, folder: Path) -> None:
    (folder / "net.yaml").write_text(ORDER, encoding="utf-8")
    found = covered(ARRAYS.replace(old, new, 1))
    assert " ".join(one.number.text for one in found.numbers if one.status == "open") == expected
    assert found.passed == (not expected)


def test_of_a_neighbour_copied_into_a_square_the_copy_is_open(folder: Path) -> None:
    """Turned, the square would have another number out of its place: the one that was copied."""
    (folder / "net.yaml").write_text(ORDER, encoding="utf-8")
    for copied, line in (("[[-0.3049 0.3049]\n [0.3049 -0.1524]]", 1), ("[[-0.3049 0.1524]\n [0.1524 -0.1524]]", 2)):
        found = covered(f"its sign is 1, 0; [0.65701, 0.34299], dW = {copied}")
        assert [one.number.place.line for one in found.numbers if one.status == "open"] == [line]


# With the numbers that are open where -0.7, -0.5 and 0.25 are given, and a figure of exp(0.57).
STATED = [
    ("$z_1 = 0.3 \\cdot 1 - 0.7 \\cdot (-0.5) = $", ""),
    ("\\begin{align} z &= 0.3 \\cdot 1 - 0.7 \\\\ y &= w \\cdot x - 0.5 \\end{align}", ""),
    ("z = w @ x \N{MINUS SIGN} 0.7", ""),
    ("It is between 0.3 - 0.7, or x = 1, 0.3 - 0.7, or x + the rest was 0.3 - 0.7", "0.7 0.7 0.7"),
    ("z = 0.3 + 0.7, and z = -0.25 * 0.3 + w - 0.8", "0.7 -0.25 0.8"),
    ("With exp(0.57) = 1.768 and 0.58", "0.58"),
    ("After T = 0.25 and lr = 0.9 it is (0.9, -0.45)", ""),  # which 0.9 * x.T does not call 0.9
]


@pytest.mark.parametrize(("text", "expected"), STATED)
def test_given_is_what_is_taken_away_and_what_a_figure_is_made_of(text: str, expected: str, folder: Path) -> None:
    figure = "expected: {exp(0.57): 1.768, 0.9 * x.T: [0.9, -0.45]}"
    (folder / "net.yaml").write_text(f"{ORDER.partition('expected')[0]}{figure}", encoding="utf-8")
    assert " ".join(one.number.text for one in covered(text).numbers if one.status == "open") == expected


CALLED = [
    ("w_6 = 0.45 and $w_5=0.40$", ""),
    ("w_6 = 0.40", "w6 is 0.45"),
    ("We have $w_{6} = 0.40$.", "w6 is 0.45"),
    ("The weight w6 = 0.40 is", "w6 is 0.45"),
    ("w_5=0.40, w_6=0.40", "w6 is 0.45"),
    ("$$\\begin{aligned} w_6 &= 0.40 \\end{aligned}$$", "w6 is 0.45"),
    ("$w_6^+ = 0.40$, $\\Delta w_6 = 0.40$, $\\hat{w_6} = 0.40$, new w_6 = 0.40", ""),
    ("w_6 = 0.40 * 0.3 + 0.5", ""),
    ("For $w_6 = 0.40$ it were less, and after step 2, w_6 = 0.40", ""),
    ("Epoch 2: w_6 = 0.40", ""),
    ("w_6 = 0.5", ""),  # rounded
]


@pytest.mark.parametrize(("text", "expected"), CALLED)
def test_a_given_number_is_what_the_text_calls_it(text: str, expected: str, folder: Path) -> None:
    (folder / "net.yaml").write_text(ORDER.partition("expected")[0], encoding="utf-8")
    assert " ".join(one.by for one in covered(text).numbers if one.status == "open") == expected


LAYER = """
inputs: {x: [0.05, 0.10]}
parameters: {W1: [[0.15, 0.20], [0.25, 0.30]], b: 0.35}
equations: {z: W1 @ x + b, h: sigmoid(z), L: "sum(h**2)"}
expected: {z: [0.3775, 0.3925], h: [0.59327, 0.59688], dW1: [[0.01432, 0.02863], [0.01436, 0.02872]], L: 0.70824}
"""
# What the text calls numbers that are there, and those that are open.
EXCHANGED = [
    ("h_1 = 0.59327, h_2 = 0.59688", ""),
    ("h_1 = 0.59688, h_2 = 0.59327", "h1 is 0.59327; h2 is 0.59688"),
    ("h_0 = 0.59688, h_1 = 0.59327", "h0 is 0.59327; h1 is 0.59688"),
    ("h_0 = 0.59327, h_1 = 0.59688", ""),
    ("- h1: 0.59688\n- h2: 0.59327", "h1 is 0.59327; h2 is 0.59688"),
    ("The output h1 is 0.59688, and h2 is 0.59327.", "h1 is 0.59327; h2 is 0.59688"),
    ("The net input of h1 is 0.3775, that of h2 is 0.3925.", ""),
    ("$h_1 = \\sigma(0.3775) = 0.59688$ and $h_2 = \\sigma(0.3925) = 0.59327$", "h1 is 0.59327; h2 is 0.59688"),
    ("$h_1 = \\sigma(0.3775) = 0.59327$", ""),
    ("z_1 = 0.59327, L = 0.59688", "z1 is 0.3775; L is 0.70824"),
    ("with $h_1 = 0.59327$ and the total $|h|^2 = 0.70824$", ""),
    ("h_1, h_2 = 0.59327, 0.59688", ""),
    ("$h_1, h_2 = 0.59688, 0.59327$", "h1 is 0.59327; h2 is 0.59688"),
    ("$(h_1, h_2) = (0.59688, 0.59327)$", "h has 0.59327 there; h has 0.59688 there"),
    ("z1 and z2 are 0.3775 and 0.3925, h1 and h2 are 0.59688 and 0.59327.", "h1 is 0.59327; h2 is 0.59688"),
    ("z_1, z_2 = 0.59327, 0.3925", "z1 is 0.3775"),
    ("Outputs: h_1, h_2 = 0.59327, 0.59688", ""),
    ("Outputs: `h_1, h_2 = [0.59327], [0.59688]`", ""),
    ("W1_1, W1_2 = [0.01432, 0.02863], [0.01436, 0.02872] and h_1, h_2 = 0.59327", ""),
    ("$x_1$ and $x_2$ are 0.05 and 0.10, and h1 and h2 are 0.59327 and 0.59688.", ""),
    ("$x_1 = 0.10$, $x_2 = 0.05$", "x1 is 0.05; x2 is 0.1"),
    ("If h_1 = 0.59688 as well", ""),
    ("$\\begin{align} h_1 &= 0.59688 \\\\ h_2 &= 0.59327 \\end{align}$", "h1 is 0.59327; h2 is 0.59688"),
    ("| h1 | h2 |\n|--|--|\n| 0.59688 | 0.59327 |", "h1 is 0.59327; h2 is 0.59688"),
    ("| unit | z | out |\n|--|--|--|\n| h1 | 0.3775 | 0.59327 |\n| h2 | 0.3925 | 0.59688 |", ""),
    ("| unit | z | out |\n|--|--|--|\n| h2 | 0.3775 | 0.59327 |", "h2 is 0.59688"),
    ("$\\frac{\\partial L}{\\partial W^{(1)}_{12}} = 0.02863$, and $W_{21}^{(1)}$: 0.01436", ""),
    ("$\\frac{\\partial L}{\\partial W_{12}^{(1)}} = 0.01432$", "dW112 is 0.02863"),
    ("The gradients: W1_{11}: 0.02863, W1_{12}: 0.01432, W1_{21}: 0.01436", "dW111 is 0.01432; dW112 is 0.02863"),
    ("| unit | h |\n|--|--|\n| 1 | 0.59688 |\n| 2 | 0.59327 |", "h1 is 0.59327; h2 is 0.59688"),
    ("| unit | h |\n|--|--|\n| 1 | 0.59327 |\n| 2 | 0.59688 |", ""),
    ("| unit | activation h | loss L |\n|--|--|--|\n| 1 | 0.70824 | 0.59327 |", "h1 is 0.59327; L is 0.70824"),
    ("| unit | net input of h | dL/dh |\n|--|--|--|\n| 1 | 0.3775 | 0.70824 |", ""),
    (
        "| | $W^{(1)}_{11}$ | $W^{(1)}_{12}$ |\n|--|--|--|\n| grad | 0.02863 | 0.01432 |",
        "dW111 is 0.01432; dW112 is 0.02863",
    ),
    ("| a | z | x |\n|--|--|--|\n| 0.01432 | 0.02863 | 0.01436 |", "z is 0.3775, 0.3925; x is 0.05, 0.1"),
    ("$\\frac{\\partial L}{\\partial W_{11}^{(1)}} = e_1\\, x_1 = 0.01432$ und $L = 0.70824$", ""),
    ("$h_1 = 0.59327$ und wieder $y h_2 = 0.70824$", ""),
    ("z1 = 0.3775 / z2 = 0.3925 / L = 0.70824", ""),
    ("$\\delta_1 = 0.59327$ and $\\delta_2 = 0.3775$", ""),
]


@pytest.mark.parametrize(("text", "expected"), EXCHANGED)
def test_a_figure_is_what_the_text_calls_it(text: str, expected: str, folder: Path) -> None:
    (folder / "net.yaml").write_text(LAYER, encoding="utf-8")
    rest = " then ".join("0.3775 0.3925 0.59327 0.59688 0.01432 0.02863 0.01436 0.02872 0.70824".split())
    found = covered(f"{text}\n\n# Again\n\nIt is {rest}.")
    assert "; ".join(one.by for one in found.numbers if one.status == "open") == expected


def test_a_long_head_is_read_no_further_than_the_words_before_a_number() -> None:
    """Its words are sought by what may take the square of its length."""
    for length, names in ((9, {"h"}), (4_900, set())):
        text = f"\N{MATHEMATICAL LEFT WHITE SQUARE BRACKET}&{'_' * length} h\N{RETURN SYMBOL}&"
        assert {*called(text, len(text)).names} == names


def test_what_is_ignored_says_why(folder: Path) -> None:
    text = NET.replace("article: notes.md", "article: notes.md, ignore: {the loss falls to 0.107529: told elsewhere}")
    (folder / "net.yaml").write_text(text, encoding="utf-8")
    (one,) = (one for one in covered().numbers if one.number.text == "0.107529")
    assert (one.status, one.by) == ("ignored", "told elsewhere")


def told(text: str, integers: bool = False) -> tuple[dict[str, str], list[Undecided]]:
    """The texts of what is suggested, by key, and what is not decided."""
    Path("notes.md").write_text(text, encoding="utf-8")
    experiment = config.load("net.yaml")
    coverage = cover([read(Path("notes.md"))], [ExperimentResult(experiment, ())], integers)
    found, undecided = suggest(coverage, [experiment])
    return {one.key: " ".join(number.text for number in one.numbers) for one in found}, undecided


def test_a_round_number_is_nobodys_figure(folder: Path) -> None:
    found, undecided = told("Half of it, 0.5, and a tenth, 0.2, of 4.0, with 2.00e-01.")
    assert found == {}
    assert [(one.number.text, one.candidates, one.near, one.vague) for one in undecided] == [
        (text, (), "", True) for text in ("0.5", "0.2", "4.0", "2.00e-01")
    ]


SHORT = [
    ("The gradient is 1.0, as that of every end is.", {}),  # 1.0 is the target, and the gradient of the end
    ("It is 0.88.", {}),
    ("y = 0.88.", {"y": "0.88"}),
    ("$\\hat y = y_{} = \\sigma(1.95) = 0.88$", {"y": "0.88", "z": "1.95"}),
    ("The loss is now 0.13.", {"loss": "0.13"}),
    ("* y: 0.45 * z = 0.88", {"y": "0.88"}),  # z ends a formula,
    ("- step 2 - y = 0.88", {"y": "0.88"}),  # and nothing ends with a bullet or a dash
    ("$\\frac{\\partial L}{\\partial w_2} = 0.25$", {"dw[1]": "0.25"}),
    ("dL/dw1: -0.19, and dL/db: -0.13", {"dw[0]": "-0.19"}),
    ("z = 1.95000000.", {"z": "1.95000000"}),  # that few values are printed so
    ("z = 1.96000000.", {}),
    ("It is sure to 87.54 %.", {"y": "0.8754"}),
    ("z = 1.95, y = 0.8754 and the loss is 0.133.", {"z": "1.95", "y": "0.8754", "loss": "0.133"}),
    ("It is 0.875447, so that we are sure to 87.5 %.", {"y": "0.875"}),  # said again
    (
        "| step | loss $\\times 10^{-1}$ | y (%) |\n|--|--|--|\n| 0 | 1.33021 | 87.5447 |",
        {"loss": "0.133021", "y": "0.875447"},
    ),
    ("| of | norm of the gradient |\n|--|--|\n| w | 0.311 |", {"norm(dw)": "0.311"}),
    ("With $e^{-1.9500}$ = 0.142274.", {"-z": "-1.9500", "exp(-z)": "0.142274"}),
]


@pytest.mark.parametrize(("text", "expected"), SHORT)
def test_what_stands_around_tells_more(text: str, expected: dict[str, str], folder: Path) -> None:
    net = NET.replace("train:", "#")
    (folder / "net.yaml").write_text(net, encoding="utf-8")
    assert told(text)[0] == expected


TWICE = """
inputs: {x: [2, 3], t: 1}
parameters: {w: [0.15, 0.20], v: [0.10, 0.05], u: 0.16, o: 0.20}
equations: {h: w @ x, k: v @ x, y: h * u + k * o, L: (y - t)**2 / 2}
train: {optimizer: {name: sgd, lr: 0.05}, epochs: 1}
"""


def test_a_whole_number_among_decimals_is_meant_to_their_digits(folder: Path) -> None:
    """NumPy prints what is 0 as 0., and not what is rounded to it."""
    net = "inputs: {x: [0.3917, -0.1303, 0.1856, 0.35]}\nequations: {z: x * 2, a: relu(z), L: sum(a**2)}\n"
    (folder / "net.yaml").write_text(net, encoding="utf-8")
    found = told("[ 0.7834 -0.2606  0.3712  0.7   ] and then [0.7834 0.     0.3712 0.7   ]")[0]
    assert found == {"z": "0.7834 -0.2606 0.3712 0.7", "a": "0.7834 0 0.3712 0.7"}


def test_of_equal_values_it_is_what_the_text_calls_it(folder: Path) -> None:
    """The first moment of Adam, corrected, is the first gradient."""
    (folder / "net.yaml").write_text(NET.replace("{name: sgd, lr: 0.25}", "{name: adam, lr: 0.25}"), encoding="utf-8")
    assert "db" in told("After 1 update w = [0.54999999, -0.94999999].\n\nIt began with $db = -0.124553$.")[0]


def test_of_equal_values_the_words_before_it_decide(folder: Path) -> None:
    """The gradient of a sum is that of the bias in it, and the length of an array with one entry is that entry."""
    net = """
    inputs: {x: [0.35, -0.8], t: [0.2, 0.9]}
    parameters: {W1: [[0.21, -0.37], [0.48, 0.16]], b1: [0.11, -0.07], W2: [[0.55, -0.29], [0.32, 0.44]], b2: [0.03, 0]}
    equations: {z1: W1 @ x + b1, h: sigmoid(z1), z2: W2 @ h + b2, y: sigmoid(z2), L: sum((t - y)**2)}
    """
    (folder / "net.yaml").write_text(net, encoding="utf-8")
    db1, db2 = ([f"{value:.6f}" for value in quantity.value] for quantity in gradients("b1", "b2"))
    arrays = f"[{', '.join(db1)}], [{', '.join(db2)}]"
    assert [*told(f"Gradients: `db1, db2 = {arrays}`")[0]] == ["db1", "db2"]
    assert [*told(f"They are {arrays}.")[0]] == ["dz1", "dz2"]
    assert [*told(f"The gradient of the first hidden bias is {db1[0]}.")[0]] == ["db1[0]"]
    (folder / "net.yaml").write_text("inputs: {w: [0, -0.56667]}\nequations: {L: sum(w**3)}\n", encoding="utf-8")
    assert [*told("The gradient is (0.0000, 0.9633), its norm 0.9633.")[0]] == ["dw", "norm(dw)"]


def gradients(*names: str) -> list[Quantity]:
    found = {one.key: one for one in quantities(config.load("net.yaml"))}
    return [found[f"d{name}"] for name in names]


def test_what_is_said_again_is_what_it_was(folder: Path) -> None:
    """y is 0.214 before the update that makes o 0.213755."""
    (folder / "net.yaml").write_text(TWICE, encoding="utf-8")
    text = (
        f"y = h * u + k * o = 0.214.\n{' ' * 2000}\nu goes to 0.19537, and y was 0.214, or [0.214]. Now o is 0.213755."
    )
    assert told(text)[0] == {"y": "0.214", "u": "0.19537", "o": "0.213755"}
    assert len(told(f"y = 0.21.\n{' ' * 2000}\nIt is 0.21.")[1]) == 1


def test_nobody_turns_the_sign_of_a_weight(folder: Path) -> None:
    (folder / "net.yaml").write_text(NET.replace("-0.7]", "-0.712345]"), encoding="utf-8")
    assert told("It is 0.712345.")[0] == {}


def test_a_run_in_which_less_is_computed_is_no_likelier(folder: Path) -> None:
    """Numbers that are those of the run before an update as well do not speak of the run behind it."""
    net = """
    inputs: {x: [[1, 4, 5]], t: [[0.1, 0.05]]}
    parameters: {W: [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], b: [0.5, 0.5], V: [[0.7, 0.8], [0.9, 0.1]], c: [0.5, 0.5]}
    equations: {z: x @ W + b, h: sigmoid(z), o: h @ V + c, y: sigmoid(o), L: sum((y - t)**2) / 2}
    train: {optimizer: {name: sgd, lr: 0.01}, epochs: 1}
    """
    (folder / "net.yaml").write_text(net, encoding="utf-8")
    text = "[3.8 4.8] and then [4.3 5.3]\n\nof which it makes [0.9866 0.9950]"
    Path("notes.md").write_text(text, encoding="utf-8")
    experiment = config.load("net.yaml")
    found, _ = suggest(cover([read(Path("notes.md"))], [ExperimentResult(experiment, ())]), [experiment])
    assert {one.state.updates for one in found} == {0}


def test_what_stands_between_the_lines_of_a_pass_is_found(folder: Path) -> None:
    """The terms of a sum, and the derivative of an activation alone."""
    net = """
    inputs: {x: [0.37, -1.21], t: 0.3}
    parameters: {W: [[0.31, -0.42], [0.17, 0.53]], v: [0.61, -0.28]}
    equations: {z: W @ x, h: sigmoid(z), o: v @ h, L: (o - t)**2 / 2}
    """
    (folder / "net.yaml").write_text(net, encoding="utf-8")
    expected = {"(W * x)[0,1]": "0.508200", "(v * h)[1]": "-0.100604", "(h * (1 - h))[1]": "0.230204"}
    assert told(", then ".join(expected.values()))[0] == expected


NO_GRADIENT = [
    "inputs: {x: [0.37, -1.21]}\nparameters: {w: [0.31, -0.42]}\nequations: {z: x * w, y: sigmoid(z)}\n",
    "inputs: {x: [0.37, -1.21], p: 2.5}\nparameters: {w: [0.31, -0.42]}\n"
    "equations: {z: x * w, y: sigmoid(z), L: sum(y) * floor(p / 2)}\n",
]


@pytest.mark.parametrize("net", NO_GRADIENT, ids=["of the end", "of an input"])
def test_where_there_are_no_gradients_the_values_are_found(net: str, folder: Path) -> None:
    (folder / "net.yaml").write_text(net, encoding="utf-8")
    assert told("They are 0.114700 and 0.508200, which makes 0.62438442 of the second.")[0] == {
        "z": "0.114700 0.508200",
        "y[1]": "0.62438442",
    }


def test_of_equal_values_it_is_that_of_the_case_of_its_section(folder: Path) -> None:
    cases = (
        "{one: {train: {epochs: 2}}, two: {train: {epochs: 2, optimizer: {name: momentum, lr: 0.25, momentum: 0.9}}}}"
    )
    lines = [line for line in NET.splitlines() if not line.startswith("train")]
    train = "train: {optimizer: {name: sgd, lr: 0.25}, epochs: 2}"
    (folder / "net.yaml").write_text("\n".join([*lines, train, f"cases: {cases}"]), encoding="utf-8")
    experiment = config.load("net.yaml")
    pool = {(one.state.case, one.state.updates, one.key): one.value for one in quantities(experiment)}
    rows = {case: [f"{float(pool[case, count, 'loss']):.8f}" for count in (1, 2)] for case in ("one", "two")}
    assert rows["one"][0] == rows["two"][0]
    text = "\n\n".join(f"## {case}\n\n{', then '.join(losses)}" for case, losses in rows.items())
    (folder / "notes.md").write_text(text, encoding="utf-8")
    found, _ = suggest(cover([read(Path("notes.md"))], [ExperimentResult(experiment, ())]), [experiment])
    assert [(one.state.case, one.state.updates) for one in found] == [("one", 1), ("one", 2), ("two", 1), ("two", 2)]


KINDS = {
    "a.html": "<p>\\(y = 0.875447\\)</p><pre>tensor([-0.1868, <b>0.2491</b>], grad_fn=<AddBackward0>)</pre>"
    "<math><mi>L</mi><mo>=</mo><mn>0.13302</mn></math>, or 1.3302&nbsp;&times;&nbsp;10<sup>&minus;1</sup>",
    "a.tex": "\\begin{align} y &= 0.875447 \\\\ \\nabla_w L &= \\begin{pmatrix} -0.1868 \\\\[1ex] 0.2491 \\end{pmatrix}"
    "\\end{align}\\begin{tabular}{lS} \\toprule loss & $0.13302$ \\\\ \\end{tabular} or $1.3302 \\times 10^{-1}$",
    "a.txt": "y = 0.875447, dw = [-0.1868 0.2491], the loss 0.13302, or 1.3302 x 10^-1",
    "a.ipynb": '{"cells": [{"cell_type": "markdown", "source": "$y = 0.875447$"}, {"cell_type": "code", "outputs": ['
    '{"text": ["[-0.1868  0.2491]\\\\n", "loss 0.13302\\\\n"]}, {"data": {"text/plain": "1.3302e-01"}}]}]}',
}


@pytest.mark.parametrize("name", KINDS)
def test_figures_are_found_in_documents_of_every_kind(name: str, folder: Path) -> None:
    (folder / name).write_text(KINDS[name], encoding="utf-8")
    experiment = config.load("net.yaml")
    found, undecided = suggest(cover([read(Path(name))], [ExperimentResult(experiment, ())]), [experiment])
    texts = {one.key: [number.text for number in one.numbers] for one in found}
    assert texts == {"y": ["0.875447"], "dw": ["-0.1868", "0.2491"], "loss": ["1.3302e-01"]}
    assert (len(found), undecided) == (4, [])


LOGS = [
    "epoch {}, loss {:.3f}, w = [{:.3f} {:.3f}]",
    "| {} | {:.3f} | {:.3f} | {:.3f} |",
    "A loss of {1:.4f} after {0} epochs, and w = [{2:.4f} {3:.4f}].",
]


@pytest.mark.parametrize("line", LOGS)
@pytest.mark.parametrize("before", [0, 1])
def test_a_log_is_read_by_its_epochs(line: str, before: int, folder: Path) -> None:
    """Some count a loss with the update that follows it."""
    (folder / "net.yaml").write_text(NET.replace("epochs: 20", "epochs: 80"), encoding="utf-8")
    counted = [7, 30, 37, 60, 64]
    whole = [count - before for count in counted]
    found = quantities(config.load("net.yaml"), whole)
    known = {(one.state.updates, one.key): one.value for one in found if one.key in ("loss", "w")}
    rows = [line.format(count + before, known[count, "loss"], *known[count, "w"]) for count in whole]
    head = "| epoch | loss | $w_1$ | $w_2$ |\n|--|--|--|--|\n" if line.startswith("|") else ""
    (folder / "notes.md").write_text(head + "\n".join(rows), encoding="utf-8")
    experiment = config.load("net.yaml")
    suggested, _ = suggest(cover([read(Path("notes.md"))], [ExperimentResult(experiment, ())]), [experiment])
    assert {one.state.updates for one in suggested} == {*whole}
    assert sum(len(one.numbers) for one in suggested) >= 14


def test_a_log_is_read_by_its_epochs_whatever_else_it_tells(folder: Path) -> None:
    (folder / "net.yaml").write_text(NET.replace("epochs: 20", "epochs: 80"), encoding="utf-8")
    counts = [7, 30, 37, 60]
    found = quantities(config.load("net.yaml"), counts)
    losses = {one.state.updates: float(one.value) for one in found if one.key == "loss"}
    rows = [f"Epoch [{at}/80] | loss: {losses[at]:.4f} | 0.0{at % 7}s | 12.{at} MB | 87.{at}/s" for at in counts]
    (folder / "notes.md").write_text("\n".join(rows), encoding="utf-8")
    experiment = config.load("net.yaml")
    suggested, _ = suggest(cover([read(Path("notes.md"))], [ExperimentResult(experiment, ())]), [experiment])
    assert [(one.key, one.state.updates) for one in suggested] == [("loss", at) for at in counts]


def test_inputs_that_are_printed_rounded_are_figures_and_a_node_goes_before_what_is_added_to_it(folder: Path) -> None:
    net = """
    inputs: {X: [[0.123456, -0.654321], [1.234567, 0.765432]]}
    equations: {v: "mean(X**2, axis=0)", s: sqrt(v + 1e-5), L: sum(X / s)}
    """
    (folder / "net.yaml").write_text(net, encoding="utf-8")
    text = "X is [[0.1235 -0.6543]\n [1.2346 0.7654]]; the variances are 0.7697 and 0.5070."
    assert told(text)[0] == {"X": "0.1235 -0.6543 1.2346 0.7654", "v": "0.7697 0.5070"}


def test_an_array_is_what_it_is_called_and_goes_before_its_entries(folder: Path) -> None:
    """After one update the velocity is the gradient before it; a number and its negative are one that is known."""
    momentum = NET.replace("name: sgd", "name: momentum, momentum: 0.9").replace("epochs: 20", "epochs: 1")
    (folder / "net.yaml").write_text(momentum, encoding="utf-8")
    rest = "\n\nAfter 1 update w = [0.34670751, -0.76227668]."
    assert told("dw = [-0.1868300, 0.2491067]." + rest)[0]["dw"] == "-0.1868300 0.2491067"
    assert told("v_w = [-0.1868300, 0.2491067]." + rest)[0]["v_w"] == "-0.1868300 0.2491067"
    net = 'inputs: {x: [0.5, 0.3]}\nequations: {p: softmax(x), dz: "p - [0, 1]", L: sum(dz * x)}\n'
    (folder / "net.yaml").write_text(net, encoding="utf-8")
    assert told("p = (0.549834, 0.450166), and (0.549834, -0.549834).")[0]["dz"] == "0.549834 -0.549834"


def test_a_search_has_a_limit(folder: Path) -> None:
    with pytest.raises(MathlabError, match="5000 are the limit of a search"):
        told("0.4321 " * 5_001)
    assert len(told("0.4321 " * 300)[1]) == 300
    assert len(told(f"Epoch {'9' * 5_000}, 0.4321")[1]) == 1


def test_arrays_of_whole_numbers_count_where_they_are_asked_for(folder: Path) -> None:
    net = "inputs: {x: [5, 6], g: [10, -1]}\nparameters: {W: [[1, 2], [3, 4]]}\nequations: {z: W @ x, L: sum(z * g)}\n"
    (folder / "net.yaml").write_text(net, encoding="utf-8")
    text = "The gradient is [[50. 60.]\n [-5. -6.]]."
    assert told(text) == ({}, [])
    assert told(text, integers=True)[0] == {"dW": "50 60 -5 -6"}
    assert told("It has 12345.", integers=True)[0] == {}
