"""A first experiment, to be changed into somebody's own."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mathlab.errors import MathlabError
from mathlab.files import replace_file

TEMPLATE = Path(__file__).with_suffix(".yaml")
FROM = """\
title: {title}
source: {{title: {title}, article: {article}}}
{formulas}
inputs: {{x: 1.0}}
parameters: {{w: 1.0}}
equations:
  y: w * x
"""
FORMULAS = 40  # that are copied
# What an article says is its title, where that is no heading: of LaTeX, and in front matter.
TITLE = re.compile(
    r"^[^%\n]{0,200}\\title\{(?P<latex>[^{}\\]{1,300})\}"
    r"|\A---\n(?:(?!---).{0,300}\n){0,40}?title: *[\"']?(?P<front>[^\n\"']{1,300})",
    re.MULTILINE,
)


def start(name: str, article: Path | None = None) -> Path:
    """Write a first experiment to NAME.yaml (NAME may say so itself), of an article if one is given; the path.

    Raises MathlabError when there is one already, where it cannot be written, and for an article that cannot be read.
    """
    if not Path(name).name.removesuffix(".yaml").strip(". ") or not name.isprintable():
        raise MathlabError(f"an experiment needs a name, and {name!r} is none")
    path = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    text = TEMPLATE.read_text(encoding="utf-8").replace("NAME.yaml", str(path)).replace("NAME", path.stem)
    if article:
        text = _of(article, path)
    if os.path.lexists(path):
        raise MathlabError(f"{path} exists already, and is left as it is")
    replace_file(path, text)
    return path


def _of(article: Path, config: Path) -> str:
    """A config whose source is the article, with its title, and its formulas as comments."""
    from mathlab.article.check import QUOTED
    from mathlab.article.formats import parts
    from mathlab.article.text import read

    document, text = read(article), article.read_text(encoding="utf-8-sig")
    source = "\n".join(part for _, part, _ in parts(text, str(article), article.suffix.lower()))
    stated = TITLE.search(source)
    heading = document.headings[0].title if document.headings else article.stem
    title = " ".join((stated["latex"] or stated["front"]).split()) if stated else heading
    found = re.findall(r"\$([^$\n]{1,200}=[^$\n]{1,200})\$|^[ \t>]*(\w{1,40} = [^\n=]{1,200})$", source, re.MULTILINE)
    lines = dict.fromkeys(" ".join(maths.split() or code.split()) for maths, code in found)
    first = ["", "# What the article states, to be edited into the sections below:"] if lines else []
    shown = [*first, *(f"#   {''.join(filter(str.isprintable, line))}" for line in [*lines][:FORMULAS])]
    title, path = "".join(filter(str.isprintable, title)), os.path.relpath(article, config.parent)
    return FROM.format(title=QUOTED(title), article=QUOTED(path), formulas="\n".join(shown))
