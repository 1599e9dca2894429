"""`mathlab oracle`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mathlab.commands.common import FAIL, MATCH, Cases, Configs, Folders, Format, Large, Quiet, Target, allowed, named
from mathlab.files import note
from mathlab.reports.delivery import deliver, reporting


def oracle(
    arrays: Annotated[
        Path, typer.Argument(metavar="ARRAYS", show_default=False, help="An .npz, or a CSV as nodes.csv.")
    ],
    config: Configs = None,
    case: Cases = None,
    quiet: Quiet = False,
    form: Format = "table",
    target: Target = None,
    allow_files: Folders = None,
    allow_large: Large = False,
) -> int:
    """Hold the arrays of somebody else's backprop against the lab's, and say why one differs.

    Arrays are matched by name: W1, and for its gradient dW1, grad_W1, W1_grad, W1.grad or dL_dW1.
    """
    from mathlab import plan
    from mathlab.oracle.oracle import compare_file
    from mathlab.reports.report import OracleReport

    note(arrays)
    with reporting(form, target, lambda problems: OracleReport(arrays, (), problems, quiet)):
        experiments = plan.load(named((), config), allowed(allow_files, allow_large))
        results = compare_file([chosen for _, chosen in plan.chosen(experiments, case or ())], arrays)
        report = OracleReport(arrays, results, (), quiet)
    deliver(report, form, target)
    return MATCH if report.passed else FAIL
