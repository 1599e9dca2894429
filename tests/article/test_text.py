"""The numbers of documents: which they are, how a figure would print them, and where they stand."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from mathlab.article.text import Document, digits_of, read
from mathlab.errors import MathlabError


def document(folder: Path, name: str, text: str) -> Document:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read(path)


def decimals(found: Document) -> list[str]:
    return [number.text for number in found.numbers if number.decimal and not number.why]


WRITTEN = [
    ("the loss is 0.6931.", ["0.6931"]),
    ("a step of −0.25, then –0.5, then -0.75", ["-0.25", "-0.5", "-0.75"]),
    ("from 0.1–0.9 and 0.2-0.8", ["0.1", "0.9", "0.2", "0.8"]),
    ("so 2.5 - 0.5 is left", ["2.5", "0.5"]),
    ("x = -0.5, (-0.5), [-0.5] and {-0.5}", ["-0.5"] * 4),
    ("1.2e-3, 1.2E+3 and 1.2×10⁻³", ["1.2e-03", "1.2e+03", "1.2e-03"]),
    ("$1.2\\times10^{-3}$ and $1.2 \\cdot 10^{4}$ and $1.2 \\times 10^5$", ["1.2e-03", "1.2e+04", "1.2e+05"]),
    ("$3\\times 10^{-2}$", ["3e-02"]),
    ("$x_{0.5}$ has an index, $e^{-1.25}$ an exponent", ["-1.25"]),
    ("$\\frac{-0.16}{0.01}$ and $\\frac12$", ["-0.16", "0.01"]),
    ("42,000.5 and 1\u2009234.5 and $7{,}654.25$", ["42000.5", "1234.5", "7654.25"]),
    ("p0=0.638763 and p1=0.361237", ["0.638763", "0.361237"]),
    ("0.8xy, 0.5km, 2.5\\% and 3.5%", ["0.8", "0.5", "2.5", "3.5"]),
    ("half is .5, and -.5 its negative", ["0.5", "-0.5"]),
    ("a list: 0.1,0.2,0.3", ["0.1", "0.2", "0.3"]),
    ("$-\\ln 0.25$, $2-\\sqrt{0.5}$ and $-\\mathbf{0.75}$", ["0.25", "0.5", "-0.75"]),
    ("18&#8239;712.50 and 18&thinsp;712.25", ["18712.50", "18712.25"]),
    ("von 0,5650 auf −0,1234, also 1.234,5 mehr (0,10; 2)", ["0.5650", "-0.1234", "1234.5", "0.10"]),
    ("arange(0,10) has a step of 0.5", ["0.5"]),
    ("<img alt='it is 0.5' src='1.5.png'>", ["0.5"]),
    ("a step 0.1, part 0.5; 0.015 (vs 0.01)", ["0.1", "0.5", "0.015", "0.01"]),
    ("$\\begin{matrix}1.5\\end{matrix} - 0.25\\begin{matrix}2.5\\end{matrix}$", ["1.5", "0.25", "2.5"]),
]


@pytest.mark.parametrize(("text", "expected"), WRITTEN, ids=[text for text, _ in WRITTEN])
@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.html"])
def test_numbers_as_people_write_them(tmp_path: Path, name: str, text: str, expected: list[str]) -> None:
    found = decimals(document(tmp_path, name, text))
    assert [digits_of(text) for text in found] == [digits_of(text) for text in expected]


@pytest.mark.parametrize("text", ["57.9%", "57.9 %", "57.9\\,\\%", "57.9&#8239;%"])
def test_per_cent(tmp_path: Path, text: str) -> None:
    (number,) = document(tmp_path, "a.html", text).numbers
    assert number.meant.text == "0.579"


MATRIX = "\\begin{pmatrix} 5.25 & -3.5 \\end{pmatrix}"
FACTORS = [
    (f"$= 10^{{-2}} \\times {MATRIX}$", ["0.0525", "-0.035"]),
    (f"10⁻² · \\left({MATRIX}\\right)", ["0.0525", "-0.035"]),
    (f"${MATRIX} \\times 10^{{-3}}$", ["0.00525", "-0.0035"]),
    (f"$0.5 \\times 10^{{-2}} {MATRIX}$", ["0.5e-02", "5.25", "-3.5"]),
    ("ε = 10⁻⁸\n\n| a |\n|--|\n| 5.25 |\n\n* 10⁻³ is it", ["5.25"]),
    (f"$x^{{10^{{-2}}}} {MATRIX}$ and $10^{{2}}$", ["5.25", "-3.5"]),
]


@pytest.mark.parametrize(("text", "expected"), FACTORS)
def test_a_power_of_ten_multiplies_a_matrix(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert [one.meant.text for one in document(tmp_path, "a.md", text).numbers if one.decimal] == expected


NONE_OF_THE_ARTICLES = [
    "## 2.1 The forward pass",
    "see Section 3.2, Figure 1.4, Eq. (2.3) and Table 5.1",
    "with Python 3.11, NumPy 2.0.1 and torch==2.13 (version 1.5)",
    "on 12.03.2024 at 192.168.0.1",
    "read [the notes](http://a.org/0.5/x-1.25.html) or <https://b.org/1.5> or https://c.org/2.5",
    "![a picture](loss-0.5.png) and loss_0.25.csv",
    "<img src='0.5.png' width='1.5'>",
    "$W_{1.5}$",
    "\\begin{minipage}{0.5\\textwidth}",
    "<svg><text>0.5</text></svg>",
    "<nav><a href='/'>2.11. Batches</a></nav>",
    "<!-- 0.5 -->",
    "x<sub>0.5</sub>",
    "<p data-a='0 > 1.5'></p>",
    "[1]: http://a.org/0.5",
    "---\nversion: 1.5\n---\n\ntext",
    "+++\nweight = 1.5\n+++\n\ntext",
    "1e9999, 0.5e-9999 and 1.5e400",
    "arXiv:1412.6980, https://doi.org/10.1038/323533a0 and 10.1038/nature14539",
    "a rule of 0.4pt, and 2.5cm",
    "\\begin{tikzpicture}\\draw (0.5,1.25) -- (2.5,3.75);\\end{tikzpicture}",
]


@pytest.mark.parametrize("text", NONE_OF_THE_ARTICLES)
def test_what_is_no_number_of_the_article(tmp_path: Path, text: str) -> None:
    assert decimals(document(tmp_path, "a.md", text)) == []


ARRAYS = [
    ("a.md", "[[0.73194171 0.12303186]]", [((1, 2), ["0.73194171", "0.12303186"])]),
    ("a.md", "```\n[[ 0.1 -0.2]\n [ 0.3  0.4]]\n```", [((2, 2), ["0.1", "-0.2", "0.3", "0.4"])]),
    ("a.md", ">>> [[0.1, 0.2],\n>>>  [0.3, 0.4]]", [((2, 2), ["0.1", "0.2", "0.3", "0.4"])]),
    ("a.md", "array([0.5, 1.5, 2.5])", [((3,), ["0.5", "1.5", "2.5"])]),
    ("a.md", "the pair (0.25, -1.5)", [((2,), ["0.25", "-1.5"])]),
    ("a.md", "$\\begin{bmatrix} 0.1 & -0.2 \\\\ 0.3 & 0.4 \\end{bmatrix}$", [((2, 2), ["0.1", "-0.2", "0.3", "0.4"])]),
    ("a.tex", "\\begin{document}\n\\begin{pmatrix}0.5\\\\-1.5\\end{pmatrix}\n", [((2, 1), ["0.5", "-1.5"])]),
    ("a.md", "| w | 0.5 |\n|---|---|\n| a | 1.5 |\n| b | 2.5 |", [((3, 1), ["0.5", "1.5", "2.5"])]),
    (
        "a.html",
        "<table><tr><th>a</th><td>0.1</td><td>0.2</td></tr><tr><th>b</th><td>0.3</td><td>0.4</td></tr></table>",
        [((2, 2), ["0.1", "0.2", "0.3", "0.4"])],
    ),
    ("a.tex", "\\begin{tabular}{lr}loss & 0.5\\\\rate & 1.5\\end{tabular}", [((2, 1), ["0.5", "1.5"])]),
    ("a.md", "$\\begin{matrix}0.5&&0.1\\\\1.5&a&0.2\\end{matrix}$", [((2, 2), ["0.5", "0.1", "1.5", "0.2"])]),
    ("a.md", "a|b\n-|-\n0.5|1.5", [((1, 2), ["0.5", "1.5"])]),
    ("a.md", "| c 0 | c 1 |\n|--|--|\n| 0.5 | 1.5 |\n| 2 | 3.5 |", [((2, 2), ["0.5", "1.5", "2", "3.5"])]),
    ("a.md", "[[1.  0.5]\n [0.  2. ]]", [((2, 2), ["1", "0.5", "0", "2"])]),
    ("a.md", "h is 0.25, -0.5 and 0.75", [((3,), ["0.25", "-0.5", "0.75"])]),
    ("a.md", "tensor([[ 0.1, -0.2]], grad_fn=<AddmmBackward0>)", [((1, 2), ["0.1", "-0.2"])]),
    ("a.html", "\\(w = \\left[0.1,\\; 0.2\\right]\\)", [((2,), ["0.1", "0.2"])]),
    (
        "a.html",
        "<mtable><mtr><mtd><mn>0.5</mn></mtd></mtr><mtr><mtd>1.5</mtd></mtr></mtable>",
        [((2, 1), ["0.5", "1.5"])],
    ),
    ("a.tex", "\\begin{pmatrix}0.5\\\\[0.25em]-1.5\\end{pmatrix}", [((2, 1), ["0.5", "-1.5"])]),
    ("a.md", "print(a, b)\n-0.25 0.75", [((2,), ["-0.25", "0.75"])]),
]


@pytest.mark.parametrize(("name", "text", "expected"), ARRAYS)
def test_arrays(tmp_path: Path, name: str, text: str, expected: list[tuple[tuple[int, ...], list[str]]]) -> None:
    found = document(tmp_path, name, text)
    arrays = [(shape, [found.numbers[member].text for member in members]) for shape, members in found.groups]
    assert all(array in arrays for array in expected)


def test_a_bracket_with_words_is_no_array(tmp_path: Path) -> None:
    assert document(tmp_path, "a.md", "[0.5 is the rate] and [0.5, x, 0.25]").groups == ()


PLACES = [
    ("a.md", "one\n\ntwo is 0.25", (3, 8)),
    ("a.tex", "% 0.5\n\\begin{document}\nx is $\\approx 0.25$", (3, 15)),
    ("a.html", "<p>\n<b>x</b> &minus;0.25</p>", (2, 10)),
    ("a.txt", "a\r\nb 0.25", (2, 3)),
]


@pytest.mark.parametrize(("name", "text", "place"), PLACES)
def test_places_are_those_of_the_source(tmp_path: Path, name: str, text: str, place: tuple[int, int]) -> None:
    (number,) = (n for n in document(tmp_path, name, text).numbers if n.decimal)
    assert number.place[1:3] == place


def test_a_notebook_has_its_text_cells_and_outputs(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# One\n", "w is 0.5"]},
        {
            "cell_type": "code",
            "source": "x = 0.75",
            "outputs": [{"text": ["1.25\n", "[[0.1 0.2]]"]}, {"data": {"text/plain": "2.25"}}],
        },
    ]
    found = document(tmp_path, "a.ipynb", json.dumps({"cells": cells}))
    assert decimals(found) == ["0.5", "1.25", "0.1", "0.2", "2.25"]
    places = [number.place for number in found.numbers if number.decimal]
    assert [(place.file.rpartition(", ")[2], place.line) for place in places] == [
        ("cell 1", 2), ("cell 2", 1), ("cell 2", 2), ("cell 2", 2), ("cell 2", 1),
    ]  # fmt: skip


def test_what_stands_before_the_first_heading_is_no_number_of_it(tmp_path: Path) -> None:
    for name in ("a.md", "a.txt"):
        found = document(
            tmp_path, name, "It is 0.5 and\n\n## 2.1 Words of $x = y$\n\nthen 1.5 comes, and\n\n## More words\n"
        )
        assert decimals(found) == ["0.5", "1.5"]


def test_headings(tmp_path: Path) -> None:
    markdown = document(tmp_path, "a.md", "# One *two*\n\ntext 0.5\n\nThree\n-----\n\n0.25")
    assert [(h.level, h.title) for h in markdown.headings] == [(1, "One two"), (2, "Three")]
    displayed = document(tmp_path, "a.md", "# One\n\n$$\nx\n=\n0.5\n$$\n")
    assert [h.title for h in displayed.headings] == ["One"]
    tex = document(tmp_path, "a.tex", "\\begin{document}\\section{One}\\subsection*{Two}")
    assert [(h.level, h.title) for h in tex.headings] == [(1, "One"), (2, "Two")]
    html = document(tmp_path, "a.html", "<h1>One <i>two</i></h1><h3>Three</h3>")
    assert [(h.level, h.title) for h in html.headings] == [(1, "One two"), (3, "Three")]
    plain = document(tmp_path, "a.txt", "Words.\n\nThe forward pass\n\nIt is 0.5.\n")
    assert [h.title for h in plain.headings] == ["The forward pass"]
    lined = document(tmp_path, "a.txt", "Words.\n\n2. The forward pass\n------\nIt is 0.5.\n")
    assert [h.title for h in lined.headings] == ["2. The forward pass"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.md", b"\xff\xfe", "is no text in UTF-8"),
        ("a.pdf", b"x", "a document ends in one of"),
        ("a.ipynb", b"{", "this is no notebook"),
        ("a.ipynb", b"[1, 2]", "this is no notebook"),
        ("a.md", b"x" * 5_000_000, "are the limit of a document"),
        ("a.md", b"0.5 " * 60_000, "a document has at most"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MathlabError, match=message):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.html", "a.tex"])
@pytest.mark.parametrize(
    "text", ["[", "(", "<a", "$", "\\begin{bmatrix}", "1,", "0.", "](", "> ", "1 ", "- ", "`", "|", "&#"]
)
@pytest.mark.one_in(3)
def test_hostile_text_takes_no_time(tmp_path: Path, name: str, text: str) -> None:
    started = time.process_time()
    document(tmp_path, name, text * (10_000 // len(text)))
    assert time.process_time() - started < 2


def test_a_device_which_never_ends_is_no_document(tmp_path: Path) -> None:
    (tmp_path / "zero.md").symlink_to("/dev/zero")
    with pytest.raises(MathlabError, match=r"zero\.md is not a file"):
        read(tmp_path / "zero.md")
