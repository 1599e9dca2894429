"""A report as text, for people and in the formats that other programs read: JSON, JUnit, GitHub's commands, Markdown.

Nothing here prints; a new format is one line of `FORMATS`. A command that is to have all of them describes what it
found in a `Report`.
"""

from __future__ import annotations

import io
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from rich.console import Console, RenderableType

from mathlab.errors import Place
from mathlab.reports import data
from mathlab.reports.checks import SIDES, Check, Report, explanation, sentence
from mathlab.terminal import ENDLESS, harmless

MOST = 10  # annotations; GitHub shows no more of one step
COUNTED = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}  # the totals of JUnit


def github(report: Report) -> str:
    """At most `MOST` annotations, then how many more there are, then the summary."""
    annotations = [_annotation(problem.message, problem.place) for problem in report.problems]
    for check in report.failed:
        told = f"{', case '.join(check.owner)}: {sentence(check)}{f'; {check.said}' if check.said else ''}"
        annotations.append(_annotation(told, check.place))
    more = [f"and {len(annotations) - MOST} more"] if len(annotations) > MOST else []
    return "\n".join([*annotations[:MOST], *more, harmless(report.summary)]) + "\n"


def _annotation(message: str, place: Place | None) -> str:
    where = {"file": _in_workspace(place.file)} if place else {}
    where |= {"line": str(place.line), "col": str(place.column)} if place and place.line else {}
    said = ",".join(f"{word}={_data(told).replace(':', '%3A').replace(',', '%2C')}" for word, told in where.items())
    return f"::error {said}::{_data(message)}" if said else f"::error::{_data(message)}"


def _in_workspace(file: str) -> str:
    """The path from the repository's root, which is what GitHub looks it up by."""
    root, path = os.environ.get("GITHUB_WORKSPACE"), os.path.abspath(file)
    if root and os.path.commonpath([os.path.abspath(root), path]) == os.path.abspath(root):
        return os.path.relpath(path, root)
    return file


def _data(text: str) -> str:
    """Escaped as GitHub's runner unescapes it."""
    return harmless(text, kept="\r\n").replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def junit(report: Report) -> str:
    """One suite for each experiment (for `diff`, each file); a problem is an error in a suite of its own."""
    suites = Element("testsuites", name=f"mathlab {report.command}")
    for group, of_group in groupby(report.checks, key=lambda check: check.group):
        suite = _made(suites, "testsuite", name=group)
        for check in of_group:
            case = _test(suite, check.name, ".".join(check.owner), check.place)
            if check.outcome == "failed":
                _made(case, "failure", explanation(check), type=check.verdict, message=sentence(check))
            elif check.outcome == "erratum":
                erratum = dict(check.remarks).get("erratum", "")
                _made(case, "skipped", message=f"{sentence(check)}; erratum: {erratum}")
    suite = _made(suites, "testsuite", name=f"mathlab {report.command}") if report.problems else suites
    for problem in report.problems:
        case = _test(suite, problem.message, f"mathlab.{report.command}", problem.place)
        _made(case, "error", str(problem), type="problem", message=problem.message)
    for element in (*suites, suites):  # nothing is timed, but several parsers want a number there
        totals = {word: str(len([*element.iter(tag)])) for word, tag in COUNTED.items()}
        element.attrib.update(totals, time="0")
    indent(suites)
    # all of it ASCII, so that no terminal or locale can make it anything but what its first line says
    text = str(tostring(suites, "us-ascii"), "ascii") + "\n"
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + harmless(text, "\n", lambda sign: f"&#{ord(sign)};", None)


def _test(suite: Element, name: str, classname: str, place: Place | None) -> Element:
    told = {"file": place.file} if place else {}
    told |= {"line": str(place.line)} if place and place.line else {}
    return _made(suite, "testcase", classname=classname, name=name, time="0", **told)


def _made(parent: Element, tag: str, text: str | None = None, **said: str) -> Element:
    """An element in what XML can hold: of what is not printable, line breaks alone."""
    made = SubElement(parent, tag, {word: harmless(told, kept="\n") for word, told in said.items()})
    made.text = None if text is None else harmless(text, kept="\n")
    return made


MOST_ROWS = 500  # rows of failures; a job's summary may have 1 MB

SPECIAL = re.compile(r"([\\`*_\[\]<>|~$&#])")
BLOCK = re.compile(r"^(\d*)([-+=.)])")  # what may begin a list, or underline a heading
MENTION = re.compile(r"(?<!\w)@(?=\w)")  # GitHub would tell somebody of that name


def markdown(report: Report) -> str:
    """The overview; then, unless the report is quiet, everything that passes."""
    rest = [check for check in report.checks if check.outcome != "failed"]
    passes = ["### What passes", _table(rest)] if rest and not report.quiet else []
    return "\n\n".join([overview(report).rstrip("\n"), *passes]) + "\n"


def overview(report: Report) -> str:
    """The counts of every group, and what fails."""
    blocks = [f"## mathlab {report.command}: {'passed' if report.passed else 'failed'}", _begun(report.summary)]
    if report.problems:
        blocks.append("\n".join(f"- {_begun(str(problem))}" for problem in report.problems))
    if report.checks:
        rows = []
        for group, of_group in groupby(report.checks, key=lambda check: check.group):
            outcomes = Counter(check.outcome for check in of_group)
            rows.append((group, *(str(outcomes[outcome]) for outcome in ("passed", "erratum", "failed"))))
        blocks.append(_rows(("", "passed", "errata", "failed"), rows))
    if report.failed:
        blocks += ["### What fails", _table(report.failed[:MOST_ROWS])]
        blocks += [f"and {len(report.failed) - MOST_ROWS} more"] if len(report.failed) > MOST_ROWS else []
    return "\n\n".join(blocks) + "\n"


def escape(text: str) -> str:
    """Data as it is read, in a table's cell too: no character of it is markup, and a line break is a space."""
    line = SPECIAL.sub(r"\\\1", harmless(" ".join(text.split())))
    return MENTION.sub("@<!-- -->", line)


def _begun(text: str) -> str:
    """The same where a line begins, and a few more characters would be markup."""
    return BLOCK.sub(r"\1\\\2", escape(text))


def _table(checks: Sequence[Check]) -> str:
    """The columns are named by the kinds of check that have two sides."""
    kinds = dict.fromkeys(check.kind for check in checks if check.expected or check.computed)
    sides = [" / ".join(dict.fromkeys(SIDES[kind][side] for kind in kinds)) for side in (0, 1)]
    rows = [
        (", ".join(c.owner), c.name, c.expected, c.computed, c.error, c.tolerance, c.verdict, str(c.place), c.said)
        for c in checks
    ]
    return _rows(("", "check", *sides, "error", "tolerance", "verdict", "where", "remarks"), rows)


def _rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([escape(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(page: RenderableType) -> str:
    """Tables without colour, in lines as long as they need to be, so that they are the same everywhere."""
    text = io.StringIO()
    out = Console(file=text, color_system=None, force_jupyter=False, highlight=False, width=ENDLESS, height=ENDLESS)
    out.print(page, crop=False)
    return text.getvalue()


FORMATS: Mapping[str, Callable[[Report], str]] = {
    # on a terminal the command prints the page itself, as wide as the terminal is and in colour
    **dict.fromkeys(("table", "plain"), lambda report: plain(report.page())),
    "json": lambda report: data.text(data.of_report(report)),
    "junit": junit,
    "github": github,
    "markdown": markdown,
}
