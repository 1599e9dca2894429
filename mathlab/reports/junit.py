"""A report as JUnit XML: one test case for every check, an erratum as a skipped one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree

from mathlab.errors import Problem
from mathlab.reports.checks import Check, explanation, sentence
from mathlab.reports.report import Report
from mathlab.terminal import harmless


def junit(report: Report) -> str:
    """One suite for each experiment (for `diff`, each file); a problem is an error in a suite of its own."""
    suites = ElementTree.Element("testsuites", name=f"mathlab {report.command}")
    for group, of_group in groupby(report.checks, key=lambda check: check.group):
        _suite(suites, group, [_case(check) for check in of_group])
    if report.problems:
        _suite(suites, f"mathlab {report.command}", [_error(problem, report.command) for problem in report.problems])
    _count(suites)
    ElementTree.indent(suites)
    # all of it ASCII, so that no terminal or locale can make it anything but what its first line says
    text = str(ElementTree.tostring(suites, "us-ascii"), "ascii") + "\n"
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + harmless(text, "\n", _as_xml, None)


def _suite(suites: ElementTree.Element, name: str, cases: Sequence[ElementTree.Element]) -> None:
    suite = ElementTree.SubElement(suites, "testsuite", name=_legal(name))
    suite.extend(cases)
    _count(suite)


def _count(element: ElementTree.Element) -> None:
    """The totals that parsers show; nothing is timed, but several of them want a number there."""
    element.set("tests", str(len(list(element.iter("testcase")))))
    for word, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(word, str(len(list(element.iter(tag)))))
    element.set("time", "0")


def _case(check: Check) -> ElementTree.Element:
    case = _test_case(check.name, f"{check.group}.{check.case}" if check.case else check.group)
    case.set("file", _legal(check.place.file if check.place else check.file))
    if check.place:
        case.set("line", str(check.place.line))
    if check.outcome == "failed":
        failure = ElementTree.SubElement(case, "failure", type=_legal(check.verdict), message=_legal(sentence(check)))
        failure.text = _legal(explanation(check))
    elif check.outcome == "erratum":
        erratum = dict(check.remarks).get("erratum", "")
        ElementTree.SubElement(case, "skipped", message=_legal(f"{sentence(check)}; erratum: {erratum}"))
    return case


def _error(problem: Problem, command: str) -> ElementTree.Element:
    case = _test_case(problem.message, f"mathlab.{command}")
    if problem.place:
        case.set("file", _legal(problem.place.file))
        case.set("line", str(problem.place.line))
    ElementTree.SubElement(case, "error", type="problem", message=_legal(problem.message)).text = _legal(str(problem))
    return case


def _test_case(name: str, classname: str) -> ElementTree.Element:
    return ElementTree.Element("testcase", classname=_legal(classname), name=_legal(name), time="0")


def _legal(text: str) -> str:
    """What XML can hold: of what is not printable, line breaks alone."""
    return harmless(text, kept="\n")


def _as_xml(character: str) -> str:
    return f"&#{ord(character)};"
