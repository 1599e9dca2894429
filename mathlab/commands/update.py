"""`mathlab update`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from mathlab import terminal
from mathlab.commands.options import FAIL, MATCH, TROUBLE, Cases, Permits
from mathlab.errors import MathlabError


def update(
    cases: Cases,
    *,
    article: Annotated[bool, typer.Option("--article", help="Put them into the articles' text as well.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the changes, and write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also where the environment says CI=true.")] = False,
    permits: Permits,
) -> int:
    """Put the computed number in place of each figure that fails.

    With as many digits, in the same notation; errata and everything else in the file stay as they are.
    """
    from mathlab import plan
    from mathlab.files import replace_file
    from mathlab.update import changes, in_articles, passed
    from mathlab.update import update as write

    if os.environ.get("CI", "").lower() not in ("", "0", "false") and not (force or dry_run):
        raise MathlabError("CI checks figures and does not change them; --force changes them all the same")
    right, trouble = True, False
    for planned in plan.plans("run", cases.load(permits), cases.case or ()):
        try:
            result = plan.judged(planned, terminal.progress)
            found, problems = changes(result)
            texts, told = in_articles(result, found) if article else ({}, [])
            if found and not dry_run:
                write(result, found)
                for path, text in texts.items():
                    replace_file(path, text, mended=True)
        except MathlabError as error:
            terminal.complain(error.problems)
            trouble = True
            continue
        terminal.write("".join(f"{terminal.harmless(str(change))}\n" for change in [*found, *told]))
        terminal.complain(problems)
        right &= passed(result, found)
    return TROUBLE if trouble else MATCH if right else FAIL
