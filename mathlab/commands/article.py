"""`mathlab article`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mathlab.commands.options import FAIL, MATCH, TROUBLE, Permits, Telling


def article(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Documents: .md, .ipynb, .tex, .html, .txt.")],
    config: Annotated[
        list[Path] | None,
        typer.Option("--config", "-c", metavar="FILE", help="A config. [those that name the document as their source]"),
    ] = None,
    look: Annotated[bool, typer.Option("--suggest", help="Say which computed values the open numbers are.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Put these figures into the configs.")] = False,
    integers: Annotated[bool, typer.Option("--integers", help="Whole numbers must be accounted for too.")] = False,
    *,
    telling: Telling,
    permits: Permits,
) -> int:
    """Account for every number of an article.

    Each is checked by a figure, given in a config, ignored for a reason, or open; and every printed figure must stand
    in the article.
    """
    from mathlab import plan
    from mathlab.article import check
    from mathlab.article.cover import cover
    from mathlab.article.suggest import suggest
    from mathlab.article.text import read
    from mathlab.reports.article import article_report

    with telling.reporting(lambda: article_report(files)):
        documents = [read(file) for file in dict.fromkeys(files)]
        experiments = check.experiments_of(files, config or (), permits.allowed)
        coverage = cover(documents, [*map(check.judged, experiments)], integers)
        found, undecided = suggest(coverage, experiments) if look or write else ([], [])
        left = check.write(experiments, found, permits.allowed) if write else []
        if found and write:
            written = plan.load([Path(experiment.path) for experiment in experiments], permits.allowed)
            coverage = cover(documents, [*map(check.judged, written)], integers)
        report = article_report(files, coverage, found, undecided, left)
    telling.deliver(report)
    return MATCH if report.passed else FAIL if coverage.numbers or coverage.missing else TROUBLE
