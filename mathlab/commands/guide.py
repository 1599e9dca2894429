"""`mathlab guide`."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer

from mathlab import terminal
from mathlab.commands.options import MATCH

MARK = re.compile(r"^<!-- .*? -->\n", re.MULTILINE)  # where what is shown comes from, for the tests


def guide(topic: Annotated[str | None, typer.Argument(metavar="TOPIC", help="What to read about.")] = None) -> int:
    """Show a page of the manual; without a TOPIC, what there are pages on."""
    from mathlab.guide import page, topics

    if topic is None:
        known = topics()
        width = max(map(len, known))
        terminal.write("".join(f"{name:{width}}  {title}\n" for name, title in known.items()))
        return MATCH
    shown = MARK.sub("", page(topic))
    if sys.stdout is not None and sys.stdout.isatty():
        from rich.markdown import Markdown

        terminal.console().print(Markdown(shown))
    else:
        terminal.write(shown)
    return MATCH
