"""`mathlab diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mathlab import terminal
from mathlab.commands.options import FAIL, MATCH, Telling
from mathlab.errors import Problem


def diff(
    a: Annotated[Path, typer.Argument(metavar="A", show_default=False, help="An output folder or a CSV.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="What A is compared with.")],
    rtol: Annotated[float, typer.Option("--rtol", metavar="N", min=0, help="Relative tolerance.")] = 1e-9,
    atol: Annotated[float, typer.Option("--atol", metavar="N", min=0, help="Absolute tolerance.")] = 1e-12,
    most: Annotated[int, typer.Option("-n", metavar="N", min=0, help="How many differences to show.")] = 20,
    *,
    telling: Telling,
) -> int:
    """Compare two output folders, or two CSVs."""
    from mathlab.outputs.difference import compare, renewal
    from mathlab.reports.comparisons import difference_report

    with telling.reporting(lambda: difference_report(a, b, None, most)):
        report = difference_report(a, b, compare(a, b, rtol, atol), most)
    telling.deliver(report)
    if not report.passed:
        terminal.complain([Problem(how) for how in map(renewal, (a, b)) if how])
    return MATCH if report.passed else FAIL
