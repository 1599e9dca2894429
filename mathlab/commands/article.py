"""`mathlab article`."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mathlab.commands.options import FAIL, MATCH, TROUBLE, Permits, Telling

if TYPE_CHECKING:
    from mathlab.article.cover import Coverage
    from mathlab.article.suggest import Suggestion, Undecided
    from mathlab.experiment import Experiment


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

    def covered() -> list[tuple[Coverage, list[Experiment]]]:
        groups = check.groups_of(files, config or (), permits.allowed, skip_unnamed)
        return [(check.coverage_of([*map(check.judged, some)], group, integers), some) for group, some in groups]

    with telling.reporting(lambda: article_report(files)):
        groups = covered()
        found: list[Suggestion] = []
        undecided: list[Undecided] = []
        left: list[str] = []
        for coverage, experiments in groups if look or write else ():
            decided, others = suggest(coverage, experiments)
            found, undecided = found + decided, undecided + others
        if found and write:
            left = check.write([one for _, some in groups for one in some], found, permits.allowed)
            groups = covered()
        parts = zip(*(coverage for coverage, _ in groups), strict=True)
        whole = Coverage(*(tuple(chain.from_iterable(part)) for part in parts))
        report = article_report(files, whole, found, undecided, left)
    telling.deliver(report)
    if whole.numbers or whole.missing:
        return MATCH if report.passed else FAIL
    return TROUBLE if groups else MATCH
