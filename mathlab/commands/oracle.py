"""`mathlab oracle`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mathlab.commands.common import (
    FAIL,
    MATCH,
    TROUBLE,
    Cases,
    Configs,
    Folders,
    Format,
    Large,
    Quiet,
    Target,
    allowed,
    named,
)
from mathlab.errors import MathlabError
from mathlab.files import note
from mathlab.reports.delivery import deliver, reporting

Maps = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="ARRAY=NAME", help="What an array is of, as in nabla_w2=dW2. Repeatable."),
]
Unmatched = Annotated[bool, typer.Option("--allow-unmatched", help="Arrays that nothing here matches are no trouble.")]
Precise = Annotated[
    float | None,
    typer.Option("--rtol", min=0.0, max=0.5, help="How precise the arrays are, say 1e-5 for numeric gradients."),
]
Thorough = Annotated[bool, typer.Option("--thorough", help="Try every known mistake, however long it takes.")]


def oracle(
    arrays: Annotated[
        Path,
        typer.Argument(metavar="ARRAYS", show_default=False, help="An .npz, a folder of .npy, or a CSV as nodes.csv."),
    ],
    config: Configs = None,
    case: Cases = None,
    maps: Maps = None,
    allow_unmatched: Unmatched = False,
    rtol: Precise = None,
    thorough: Thorough = False,
    quiet: Quiet = False,
    form: Format = "table",
    target: Target = None,
    allow_files: Folders = None,
    allow_large: Large = False,
) -> int:
    """Hold the arrays of somebody else's backprop against the lab's, and say why one differs.

    Arrays are matched by name: W1, and for its gradient dW1, grad_W1, W1_grad, grads['W1'], nabla_W1 or dL_dW1.
    """
    from mathlab import plan
    from mathlab.oracle.oracle import Terms, compare_file
    from mathlab.reports.report import OracleReport

    note(arrays)
    with reporting(form, target, lambda problems: OracleReport(arrays, (), problems, quiet)):
        terms = Terms(dict(map(_pair, maps or ())), rtol, thorough)
        experiments = plan.load(named((), config), allowed(allow_files, allow_large))
        results = compare_file([chosen for _, chosen in plan.chosen(experiments, case or ())], arrays, terms)
        report = OracleReport(arrays, results, (), quiet, allow_unmatched)
    deliver(report, form, target)
    if not all(result.passed for result in results):
        return FAIL
    return MATCH if report.passed else TROUBLE


def _pair(text: str) -> tuple[str, str]:
    array, equals, name = (part.strip() for part in text.rpartition("="))
    if not (array and equals and name):
        raise MathlabError(f"--map {text}: write the array's name and what it is of, as in --map nabla_w2=dW2")
    return array, name
