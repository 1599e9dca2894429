"""A report as JUnit XML: one test case for every check, an erratum as a skipped one."""

from __future__ import annotations

from itertools import groupby
from xml.etree import ElementTree

from mathlab.errors import Place
from mathlab.reports.checks import Check, explanation, sentence
from mathlab.reports.report import Report
from mathlab.terminal import harmless


def junit(report: Report) -> str:
    """One suite for each experiment (for `diff`, each file); a problem is an error in a suite of its own."""
    suites = ElementTree.Element("testsuites", name=f"mathlab {report.command}")
    for group, of_group in groupby(report.checks, key=lambda check: check.group):
        suite = _made(suites, "testsuite", name=group)
        for check in of_group:
            _case(suite, check)
    suite = _made(suites, "testsuite", name=f"mathlab {report.command}") if report.problems else suites
    for problem in report.problems:
        case = _test(suite, problem.message, f"mathlab.{report.command}", problem.place)
        _made(case, "error", str(problem), type="problem", message=problem.message)
    for element in (*suites, suites):
        _count(element)
    ElementTree.indent(suites)
    # all of it ASCII, so that no terminal or locale can make it anything but what its first line says
    text = str(ElementTree.tostring(suites, "us-ascii"), "ascii") + "\n"
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + harmless(text, "\n", lambda sign: f"&#{ord(sign)};", None)


def _count(element: ElementTree.Element) -> None:
    """The totals that parsers show; nothing is timed, but several of them want a number there."""
    for word, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(word, str(len(list(element.iter(tag)))))
    element.set("time", "0")


def _case(suite: ElementTree.Element, check: Check) -> None:
    case = _test(
        suite, check.name, f"{check.group}.{check.case}" if check.case else check.group, check.place, check.file
    )
    if check.outcome == "failed":
        _made(case, "failure", explanation(check), type=check.verdict, message=sentence(check))
    elif check.outcome == "erratum":
        _made(case, "skipped", message=f"{sentence(check)}; erratum: {dict(check.remarks).get('erratum', '')}")


def _test(
    suite: ElementTree.Element, name: str, classname: str, place: Place | None, file: str | None = None
) -> ElementTree.Element:
    told = {"file": place.file, "line": str(place.line)} if place else {} if file is None else {"file": file}
    return _made(suite, "testcase", classname=classname, name=name, time="0", **told)


def _made(parent: ElementTree.Element, tag: str, text: str | None = None, **said: str) -> ElementTree.Element:
    """An element in what XML can hold: of what is not printable, line breaks alone."""
    made = ElementTree.SubElement(parent, tag, {word: harmless(told, kept="\n") for word, told in said.items()})
    made.text = None if text is None else harmless(text, kept="\n")
    return made
