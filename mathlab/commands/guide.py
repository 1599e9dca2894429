"""`mathlab guide`."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mathlab import terminal
from mathlab.commands.options import MATCH

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

MARK = re.compile(r"^<!-- .*? -->\n", re.MULTILINE)  # where what is shown comes from, for the tests


def guide(topic: Annotated[str | None, typer.Argument(metavar="TOPIC", help="What to read about.")] = None) -> int:
    """Show a page of the manual; without a TOPIC, list its pages."""
    from mathlab.guide import page, topics

    if topic is None:
        known = topics()
        width = max(map(len, known))
        terminal.write("".join(f"{name:{width}}  {title}\n" for name, title in known.items()))
        return MATCH
    shown = MARK.sub("", page(topic))
    if sys.stdout is not None and sys.stdout.isatty():
        terminal.console().print(_rendered(shown), crop=False)
    else:
        terminal.write(shown)
    return MATCH


def _rendered(text: str) -> RenderableType:
    """A page, whose code is not folded by words where it is as wide as the terminal, but stands as it is."""
    from rich.markdown import CodeBlock, Markdown
    from rich.syntax import Syntax

    class Code(CodeBlock):
        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            code = Syntax("", self.lexer_name, theme="ansi_dark").highlight(str(self.text).rstrip())
            code.no_wrap, code.overflow = True, "ignore"
            yield code

    shown = Markdown(text)
    vars(shown)["elements"] = {**Markdown.elements, "fence": Code, "code_block": Code}
    return shown
