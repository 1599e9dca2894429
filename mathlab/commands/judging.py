"""The commands that hold one thing against another: two outputs, somebody's arrays, figures against themselves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from mathlab import terminal
from mathlab.commands.options import FAIL, MATCH, TROUBLE, Cases, Chosen, Configs, Permits, Quiet, Telling
from mathlab.errors import MathlabError, Problem
from mathlab.files import note


def diff(
    a: Annotated[Path, typer.Argument(metavar="A", show_default=False, help="An output folder or a CSV.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="What A is compared with.")],
    rtol: Annotated[float, typer.Option("--rtol", min=0, help="Relative tolerance.")] = 1e-9,
    atol: Annotated[float, typer.Option("--atol", min=0, help="Absolute tolerance.")] = 1e-12,
    most: Annotated[int, typer.Option("-n", min=0, help="How many differences to show.")] = 20,
    *,
    telling: Telling,
) -> int:
    """Compare two output folders, or two CSVs."""
    from mathlab.outputs.difference import compare, renewal
    from mathlab.reports.comparisons import difference_report

    for path in (a, b):
        note(path, *path.rglob("*.csv"))
    with telling.reporting(lambda problems: difference_report(a, b, None, most, problems)):
        report = difference_report(a, b, compare(a, b, rtol, atol), most, quiet=telling.quiet)
    telling.deliver(report)
    if not report.passed:
        terminal.complain([Problem(how) for how in map(renewal, (a, b)) if how])
    return MATCH if report.passed else FAIL


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
        typer.Option("--rtol", min=0.0, max=0.5, help="How precise the arrays are, say 1e-5 for numeric gradients."),
    ] = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Try every known mistake, however long it takes.")
    ] = False,
    *,
    telling: Telling,
    permits: Permits,
) -> int:
    """Hold the arrays of somebody else's backprop against the lab's, and say why one differs.

    Arrays are matched by name: W1, and for its gradient dW1, grad_W1, W1_grad, grads['W1'], nabla_W1 or dL_dW1.
    """
    from mathlab.oracle.oracle import compare_file
    from mathlab.reports.comparisons import oracle_report

    note(arrays)
    with telling.reporting(lambda problems: oracle_report(arrays, (), problems, telling.quiet)):
        if not config:
            raise MathlabError(f"no config is named: write mathlab oracle --config FILE {arrays}")
        names = dict(map(_pair, maps or ()))
        chosen = [one for _, one in Cases(config=config, case=case).chosen(permits)]
        results = compare_file(chosen, arrays, names=names, rtol=rtol, thorough=thorough)
        report = oracle_report(arrays, results, (), telling.quiet, allow_unmatched)
    telling.deliver(report)
    if not all(result.passed for result in results):
        return FAIL
    return MATCH if report.passed else TROUBLE


def _pair(text: str) -> tuple[str, str]:
    array, equals, name = (part.strip() for part in text.rpartition("="))
    if not (array and equals and name):
        raise MathlabError(f"--map {text}: write the array's name and what it is of, as in --map nabla_w2=dW2")
    return array, name


def selftest(configs: Configs, *, quiet: Quiet = False, permits: Permits) -> int:
    """Change every figure and plant every fault, and tell what the run would not notice."""
    from mathlab.diagnosis import selftest
    from mathlab.reports import page

    results, refused = [], False
    for experiment in configs.load(permits):
        try:
            results.append(selftest.run(experiment))
        except MathlabError as error:
            terminal.complain(error.problems)
            refused = True
    if any(result.figures + result.faults for result in results):
        terminal.console().print(page.selftest(results, quiet), crop=False)
    elif not refused:
        raise MathlabError("nothing was changed: no figure and no gradient is looked at here")
    return TROUBLE if refused else MATCH if selftest.passed(results) else FAIL


def update(
    cases: Cases,
    *,
    article: Annotated[bool, typer.Option("--article", help="Put them into the articles' text as well.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the changes, and write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also where the environment says CI=true.")] = False,
    permits: Permits,
) -> int:
    """Put the computed number in the place of each printed one that fails.

    With as many digits, in the same notation; errata and everything else in the file stay as they are.
    """
    from mathlab import plan
    from mathlab.files import replace_file
    from mathlab.results import Tally
    from mathlab.update import changes, in_articles, left_over
    from mathlab.update import update as write

    if os.environ.get("CI", "").lower() not in ("", "0", "false") and not (force or dry_run):
        raise MathlabError("CI checks figures and does not change them; --force changes them all the same")
    left, trouble = Tally(), False
    for planned in plan.plans("run", cases.load(permits), cases.names):
        try:
            result = plan.judged(planned, terminal.progress)
            found, problems = changes(result)
            texts, told = in_articles(result, found) if article else ({}, [])
            if found and not dry_run:
                write(result, found)
                for path, text in texts.items():
                    replace_file(path, text)
        except MathlabError as error:
            terminal.complain(error.problems)
            trouble = True
            continue
        terminal.write("".join(f"{terminal.harmless(str(change))}\n" for change in [*found, *told]))
        terminal.complain(problems)
        left += left_over(result, found)
    return TROUBLE if trouble else MATCH if left.passed else FAIL
