"""`mathlab update`: failing figures get the computed number, and nothing else in the file changes."""

from __future__ import annotations

import difflib
import re
import stat
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from mathlab import config, plan
from mathlab.cli import app
from mathlab.errors import MathlabError, Place
from mathlab.results import ExperimentResult, tally
from mathlab.update import Change, rewritten
from tests.test_configs import SHIPPED, figures

NET = """\
# a comment, with é and 𝕏
inputs: {x: [2, -1]}   # another
parameters: {w: [0.3, -0.7], b: 0.1}
equations:
  s: w @ x + b
  p: sigmoid(s)
expected:
  p: PRINTED
  s: 1.4     # fits
"""


def ran(path: Path) -> ExperimentResult:
    (planned,) = plan.plans("run", [config.load(path)], ())
    return plan.judged(planned, lambda _: nullcontext())


def invoke(*args: object, ci: str = "") -> Result:
    return CliRunner().invoke(app, ["update", *map(str, args)], env={"CI": ci})


@pytest.fixture(autouse=True)
def not_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.8032", "0.8022"),
        ("0.9", "0.8"),
        ("5", "1"),
        ("8.1e-1", "8.0e-1"),
        ("8.1E-01", "8.0E-01"),
        ("8.1e+2", "8.0e-1"),
        ("0.80218388855858", "0.80218388855858"),
        ("0.802183888558", "0.802183888559"),
        ("-0.80", "0.80"),
        ("0.80218388855850000000", "0.80218388855858169251"),
        ("{printed: 0.8032, at: here}  # why", "{printed: 0.8022, at: here}  # why"),
        ("{printed: 0.8032, worked_out: true}", "{printed: 0.8022, worked_out: true}"),
        ("{printed: 0.8022, rounding: truncate}", "{printed: 0.8021, rounding: truncate}"),
        ("[{printed: 0.7},   {printed: 0.80}]", "[{printed: 0.8},   {printed: 0.80}]"),
        ("{printed: 0.7, erratum: the article is wrong}", "{printed: 0.7, erratum: the article is wrong}"),
        (
            "\n    - printed: 0.7   # in a block\n    - {printed: 0.8}",
            "\n    - printed: 0.8   # in a block\n    - {printed: 0.8}",
        ),
    ],
)
def test_a_number_is_written_as_it_was_printed(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(NET.replace("PRINTED", old), encoding="utf-8")
    done = invoke(path)
    assert (done.exit_code, done.stderr) == (0, "")
    assert path.read_text(encoding="utf-8") == NET.replace("PRINTED", new)
    assert tally(ran(path)).passed


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_the_mark_at_the_start_stay(tmp_path: Path, newline: str, mark: str) -> None:
    path = tmp_path / "net.yaml"
    text = mark + NET.replace("\n", newline)
    path.write_bytes(text.replace("PRINTED", "0.8032").encode())
    path.chmod(0o640)
    assert invoke(path).stdout == f"{path}:8:6: 0.8032 -> 0.8022 (p)\n"
    assert path.read_bytes() == text.replace("PRINTED", "0.8022").encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [*tmp_path.iterdir()] == [path]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "net.yaml").write_text(NET.replace("PRINTED", "0.7"), encoding="utf-8")
    (tmp_path / "link.yaml").symlink_to("real/net.yaml")
    assert invoke(tmp_path / "link.yaml").exit_code == 0
    assert (tmp_path / "link.yaml").is_symlink()
    assert "p: 0.8\n" in (tmp_path / "real" / "net.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("value", ["true", "1", "yes", "True"])
def test_ci_does_not_change_figures_unless_forced(tmp_path: Path, value: str) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(NET.replace("PRINTED", "0.7"), encoding="utf-8")
    refused = invoke(path, ci=value)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.startswith("mathlab: CI checks figures and does not change them")
    assert "p: 0.7" in path.read_text(encoding="utf-8")
    assert invoke(path, "--force", ci=value).exit_code == 0
    assert invoke(path, ci="false").exit_code == 0


ANCHOR = """\
inputs: {x: 3}
parameters: {w: 2}
equations: {loss: w * x}
cases:
  a: {expected: {loss: &l 5}}
  b: {inputs: {x: X}, expected: {loss: *l}}
"""


def test_one_number_for_two_figures(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(ANCHOR.replace("X", "3"))
    assert invoke(path).exit_code == 0
    assert "&l 6}" in path.read_text()
    path.write_text(ANCHOR.replace("X", "4"))
    done = invoke(path)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"{path}:5:27: loss would have to be 6 and 8\n"
    assert path.read_text() == ANCHOR.replace("X", "4")


def test_what_cannot_be_printed_still_fails(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    text = "inputs: {x: 0}\nparameters: {w: 2}\nequations: {z: w / x, loss: w}\nexpected: {z: 1, loss: 1}\n"
    path.write_text(text)
    done = invoke(path)
    assert (done.exit_code, done.stdout) == (1, f"{path}:4:24: 1 -> 2 (loss)\n")
    assert done.stderr == f"{path}:4:15: z is computed as inf, which is not written as 1 is\n"
    assert path.read_text() == text.replace("loss: 1", "loss: 2")


def test_what_is_no_figure_still_fails(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(NET.replace("PRINTED", "0.8") + "derivation: {ds: 2 * p}\n", encoding="utf-8")
    assert invoke(path).exit_code == 1


def test_a_case_alone(tmp_path: Path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(ANCHOR.replace("X", "4").replace("*l", "5").replace("&l ", ""))
    assert invoke(path, "--case", "b").stdout == f"{path}:6:40: 5 -> 8 (loss)\n"
    assert "a: {expected: {loss: 5}}" in path.read_text()


def test_a_file_that_changed_meanwhile_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(NET.replace("PRINTED", "0.7"), encoding="utf-8")
    judged = plan.judged

    def slow(*args: object) -> ExperimentResult:
        path.write_text("# somebody else's\n")
        return judged(*args)  # type: ignore[arg-type]  # handed on as they are

    monkeypatch.setattr(plan, "judged", slow)
    done = invoke(path)
    assert (done.exit_code, done.stderr) == (2, f"mathlab: {path} has changed since it was run; run it again\n")
    assert path.read_text() == "# somebody else's\n"


def test_a_number_that_does_not_stand_there_is_no_guess() -> None:
    with pytest.raises(MathlabError, match=r"a\.yaml:1:4: 12 does not stand here"):
        rewritten("a: 13\n", [Change(Place("a.yaml", 1, 4), "a", "12", "14")])


@given(
    st.lists(st.tuples(st.integers(0, 999), st.integers(0, 10**6)), min_size=1, max_size=5),
    st.sampled_from("\n\r\x85\u2028"),
)
def test_several_numbers_on_a_line(numbers: list[tuple[int, int]], newline: str) -> None:
    """Longer and shorter ones, whatever ends the lines."""
    text, wanted, found = f"# 𝕏{newline}[", f"# 𝕏{newline}[", []
    for old, new in numbers:
        place = Place("a.yaml", 2, len(text) - text.index("[") + 1)
        found.append(Change(place, "a", str(old), str(new)))
        text, wanted = f"{text}{old}, ", f"{wanted}{new}, "
    assert rewritten(text, found) == wanted


def moved(text: str) -> str:
    """The text with a late digit changed, in the same width; not so late that a saturated value is lost in rounding."""
    mantissa, e, exponent = text.partition("e")
    at = [place for place, character in enumerate(mantissa) if character.isdigit()][:8][-1]
    return f"{mantissa[:at]}{(int(mantissa[at]) + 4) % 10}{mantissa[at + 1 :]}{e}{exponent}"


@pytest.mark.parametrize("path", SHIPPED)
@pytest.mark.one_in(2)
def test_a_shipped_config_whose_figures_were_changed_comes_back(path: Path, tmp_path: Path) -> None:
    """Every figure that can be changed in its last digit is, and every line without one stays as it was."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    changed = list(lines)
    for figure in figures(config.load(path)):
        if figure.erratum or figure.digits:
            continue
        for number in figure.printed:
            assert number.place
            row, column = number.place.line - 1, number.place.column - 1
            line = changed[row]
            changed[row] = line[:column] + moved(number.text) + line[column + len(number.text) :]
    copy = tmp_path / path.name
    copy.write_text("".join(changed), encoding="utf-8")
    done = invoke(copy)
    assert (done.exit_code, done.stderr) == (0, "")
    touched = {int(row) - 1 for row in re.findall(rf"^{re.escape(str(copy))}:(\d+):", done.stdout, re.MULTILINE)}
    assert touched
    assert tally(ran(copy)).passed
    after = copy.read_text(encoding="utf-8").splitlines(keepends=True)
    assert [line for row, line in enumerate(after) if row not in touched] == [
        line for row, line in enumerate(lines) if row not in touched
    ]
    for before, now in zip(lines, after, strict=True):
        assert re.sub(r"[-+\d.e]+", "0", before) == re.sub(r"[-+\d.e]+", "0", now), "".join(
            difflib.ndiff([before], [now])
        )


@pytest.mark.parametrize(
    "text",
    [
        "inputs: {x: &v 0.5}\nequations: {y: 2 * x}\nexpected: {y: *v}\n",
        "inputs: {x: 0.5}\nequations: {y: 2 * x}\nexpected: {y: [{printed: &v 0.7}, {printed: *v, erratum: a slip}]}\n",
    ],
)
def test_what_stands_for_something_else_too_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    done = invoke(path)
    assert (done.exit_code, path.read_text()) == (2, text)
    assert re.search(r"c\.yaml:\d:\d+: 0\.[57] has an alias that is no figure, and would change with it$", done.stderr)
