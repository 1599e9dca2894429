"""`mathlab guide`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from mathlab import terminal
from mathlab.commands.options import MATCH


def guide(topic: Annotated[str | None, typer.Argument(metavar="TOPIC", help="What to read about.")] = None) -> int:
    """Show a page of the manual; without a TOPIC, what there are pages on."""
    from mathlab.guide import page, topics

    if topic is None:
        known = topics()
        width = max(map(len, known))
        terminal.write("".join(f"{name:{width}}  {title}\n" for name, title in known.items()))
    elif sys.stdout is not None and sys.stdout.isatty():
        from rich.markdown import Markdown

        terminal.console().print(Markdown(page(topic)))
    else:
        terminal.write(page(topic))
    return MATCH
