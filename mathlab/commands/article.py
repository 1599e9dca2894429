"""`mathlab article`."""

from __future__ import annotations

from itertools import chain
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
    skip_unnamed: Annotated[
        bool, typer.Option("--skip-unnamed", help="Pass over documents that no config names as its source.")
    ] = False,
    *,
    telling: Telling,
    permits: Permits,
) -> int:
    """Account for every number of an article.

    Each is checked by a figure, given in a config, ignored for a reason, or open; and every printed figure must stand
    in the article.
    """
    from mathlab.article import check
    from mathlab.article.cover import Coverage
    from mathlab.article.suggest import suggest
    from mathlab.reports.article import article_report

    def covered(groups: check.Groups) -> list[Coverage]:
        return [check.coverage_of([*map(check.judged, some)], group, integers) for group, some in groups]

    with telling.reporting(lambda: article_report(files)):
        groups = check.groups_of(files, config or (), permits.allowed, skip_unnamed)
        known = covered(groups)
        searched = zip(known, groups, strict=True) if look or write else ()
        told = [suggest(one, experiments) for one, (_, experiments) in searched]
        found = [one for some, _ in told for one in some]
        undecided = [one for _, some in told for one in some]
        written = check.write([one for _, some in groups for one in some], found, permits.allowed) if write else []
        if found and write:
            known = covered(check.groups_of(files, config or (), permits.allowed, skip_unnamed))
        whole = Coverage(*(tuple(chain.from_iterable(parts)) for parts in zip(*known, strict=True)))
        report = article_report(files, whole, found, undecided, written)
    telling.deliver(report)
    if whole.numbers or whole.missing:
        return MATCH if report.passed else FAIL
    return TROUBLE if groups else MATCH
