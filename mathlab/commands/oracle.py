"""`mathlab oracle`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mathlab.commands.options import FAIL, MATCH, TROUBLE, Cases, Chosen, Permits, Telling
from mathlab.errors import MathlabError


def oracle(
    arrays: Annotated[
        Path,
        typer.Argument(metavar="ARRAYS", show_default=False, help="An .npz, a folder of .npy, or a CSV as nodes.csv."),
    ],
    config: Annotated[
        list[Path] | None, typer.Option("--config", "-c", metavar="FILE", help="The config that the arrays are of.")
    ] = None,
    case: Chosen = None,
    maps: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="ARRAY=NAME", help="What an array is of, as in nabla_w2=dW2. Repeatable."),
    ] = None,
    allow_unmatched: Annotated[
        bool, typer.Option("--allow-unmatched", help="Arrays that nothing here matches are no trouble.")
    ] = False,
    rtol: Annotated[
        float | None,
        typer.Option(metavar="N", min=0, max=0.5, help="How precise the arrays are, say 1e-5 for numeric gradients."),
    ] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Try every known mistake, however long it takes.")
    ] = False,
    *,
    telling: Telling,
    permits: Permits,
) -> int:
    """Hold somebody's arrays against the lab's; say why one differs.

    Arrays are matched by name: W1, and for its gradient dW1, grad_W1, W1_grad, grads['W1'], nabla_W1 or dL_dW1.
    """
    from mathlab.oracle.oracle import compare_file
    from mathlab.reports.comparisons import oracle_report

    with telling.reporting(lambda: oracle_report(arrays)):
        if not config:
            raise MathlabError(f"no config is named: write mathlab oracle --config FILE {arrays}")
        names = dict(map(_pair, maps or ()))
        chosen = [one for _, cases in Cases(config=config, case=case).chosen(permits) for one in cases]
        results = compare_file(chosen, arrays, names=names, rtol=rtol, thorough=thorough)
        report = oracle_report(arrays, results, allow_unmatched)
    telling.deliver(report)
    if not all(result.passed for result in results):
        return FAIL
    return MATCH if report.passed else TROUBLE


def _pair(text: str) -> tuple[str, str]:
    array, equals, name = (part.strip() for part in text.rpartition("="))
    if not (array and equals and name):
        raise MathlabError(f"--map {text}: write the array's name and what it is of, as in --map nabla_w2=dW2")
    return array, name
