"""Document formats: which parts of a file are text, where its headings stand, and which cells its tables have.

Nothing is taken out: whatever is no prose or number is blanked, character for character, and signs that mean the same
become one sign of the same length. So every offset is one of the source.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from html import unescape
from html.parser import HTMLParser

from mathlab.errors import MathlabError, Place

BLANK = "\0"  # stands for what is no text, and between nothing

Span = tuple[int, int]


@dataclass(frozen=True)
class Heading:
    """A section's title, where it begins, and how deep it lies: 0 where a heading is only guessed."""

    start: int
    level: int
    title: str


# Signs and commands -> one character, blanks behind or before it. The same length, always.

COMMANDS = {
    "times": "×",
    "cdot": "·",
    "approx": "≈",
    "le": "≤",
    "ge": "≥",
    "neq": "≠",
    "pm": "±",
    "thinspace": "\u2009",
}
LATEX = re.compile(
    r"\\(?:begin|end)\{(?P<matrix>[bpvBVs]?(?:small)?matrix|array|tabular)\}(?:\{[^{}\n]{0,40}\})?"
    r"|\\(?:label|ref|eqref|cite[a-z]*|url|includegraphics|input|documentclass|usepackage|[vh]space|cline|tag)\*?"
    r"(?:\[[^\]\n]{0,200}\])?\{[^{}\n]{0,500}\}"
    r"|\\href\{[^{}\n]{0,500}\}"
    r"|\\(?P<command>[A-Za-z]+)|\\(?P<thin>[,;:!])|\{(?P<comma>,)\}|\\(?P<row>\\)"
)


def _same(found: re.Match[str], sign: str, before: bool = False) -> str:
    """A sign, made as long as what it stands for."""
    fill = BLANK * (len(found.group()) - len(sign))
    return fill + sign if before else sign + fill


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", BLANK, found.group())


def _latex(found: re.Match[str]) -> str:
    if found["matrix"]:
        return _same(found, "⟦") if found.group().startswith(r"\begin") else _same(found, "⟧", before=True)
    if found["command"]:
        return _same(found, COMMANDS.get(found["command"], " "))
    if found["thin"] or found["comma"]:
        return "\u2009" * len(found.group())
    return _same(found, "⏎") if found["row"] else _blank(found)


SIGNS = {**dict.fromkeys(map(ord, "−–‐‑"), "-"), **dict.fromkeys(map(ord, "‘’"), "'"), ord("\u00a0"): " "}


def signs(text: str) -> str:
    """One sign for all that look like a minus, an apostrophe or a space."""
    return text.translate(SIGNS)


# Formats: the text with blanks, headings, tables (rows of cells), and lines' origin


@dataclass
class Draft:
    """A source with blanks, its headings, and its tables as rows of cells."""

    text: str
    headings: list[Heading] = field(default_factory=list)
    tables: list[list[list[Span]]] = field(default_factory=list)


INLINE = re.compile(
    r"\]\([^()\s]{0,2000}(?:\s[^()\n]{0,500})?\)|<(?:[a-zA-Z/!])[^<>\n]{0,2000}>|https?://[^\s)>\]]{1,2000}|www\.[^\s)>\]]+"
    r"|\[\^[^\]\n]{1,40}\]|^\s*\[[^\]\n]{1,200}\]:[^\n]*",
    re.MULTILINE,
)
FRONT = re.compile(r"\A---[ \t]*\n.*?\n(?:---|\.\.\.)[ \t]*\n", re.DOTALL)


def _markdown(source: str) -> Draft:
    from markdown_it import MarkdownIt

    front = FRONT.match(source)
    source = (_blank(front) + source[front.end() :]) if front else source
    starts = line_starts(source)
    draft = Draft(source)
    parts: list[str] = []
    done = 0
    tokens = MarkdownIt("commonmark").enable("table").disable("inline").parse(source.replace(BLANK, " "))
    table: list[list[Span]] = []
    for token, after in itertools.pairwise([*tokens, None]):
        if token is None or token.map is None:
            continue
        first, last = (starts[min(line, len(starts) - 1)] for line in token.map)
        if token.type == "heading_open" and after:
            draft.headings.append(Heading(first, int(token.tag[1]), _title(after.content)))
        elif token.type in ("fence", "code_block"):
            code = source[first:last]
            if token.type == "fence":  # its first line names a language
                code = re.sub(r"\A[^\n]*", lambda found: BLANK * len(found.group()), code)
            parts += [_prose(source[done:first]), code]
            done = last
        elif token.type == "table_open":
            draft.tables.append(table := [])
        elif token.type == "tr_open":
            table.append(_cells(source, first))
    draft.text = "".join([*parts, _prose(source[done:])])
    return draft


def _cells(source: str, start: int) -> list[Span]:
    line = source[start:].partition("\n")[0] if start else source.partition("\n")[0]
    bars = [-1, *(found.start() for found in re.finditer(r"(?<!\\)\|", line)), len(line)]
    return [(start + a + 1, start + b) for a, b in itertools.pairwise(bars)]


def _prose(text: str) -> str:
    return LATEX.sub(_latex, INLINE.sub(_blank, text))


def _title(text: str) -> str:
    return " ".join(re.sub(r"[*`$\\{}\0]", "", INLINE.sub("", text)).split())


def _plain(source: str) -> Draft:
    """Text with no marks: a heading is a short line with nothing around it that ends like no sentence."""
    draft = Draft(_prose(source))
    for found in re.finditer(r"(?:\A|(?<=\n\n))([^\n]{2,80})\n(?=\n)", source):
        title = found[1].strip()
        sentence = title.endswith((".", ",", ":", ";", "?", "!", "…"))
        if re.match(r"[A-Z\d(]", title) and " " in title and not sentence and not re.search(r"[=_{}\\$|>]", title):
            draft.headings.append(Heading(found.start(1), 0, _title(title)))
    return draft


def _tex(source: str) -> Draft:
    draft = Draft(re.sub(r"(?<!\\)%[^\n]*", _blank, source))
    begin = draft.text.find(r"\begin{document}")
    for found in re.finditer(r"\\((?:sub)*)(?:section|paragraph|chapter)\*?\{([^{}\n]{1,200})\}", draft.text):
        draft.headings.append(Heading(found.start(), len(found[1]) // 3 + 1, _title(found[2])))
    preamble = re.sub(r"[^\n]", BLANK, draft.text[: max(begin, 0)])
    draft.text = preamble + LATEX.sub(_latex, draft.text[len(preamble) :])
    return draft


class _Page(HTMLParser):
    """A page's text with blanks for its tags, its headings and its tables."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=False)
        self.source, self.starts = source, line_starts(source)
        self.kept: list[str] = []
        self.done = 0
        self.hidden = self.heading = self.cell = 0
        self.headings: list[tuple[int, int, int]] = []
        self.tables: list[list[list[Span]]] = []
        self.feed(_closed(source))
        self.close()
        self.keep(len(source), "", 0)

    def draft(self) -> Draft:
        text = "".join(self.kept)
        titles = [Heading(start, level, _title(text[start:end])) for start, level, end in self.headings]
        return Draft(LATEX.sub(_latex, text), titles, self.tables)

    @property
    def here(self) -> int:
        line, column = self.getpos()
        return self.starts[line - 1] + column

    def keep(self, start: int, shown: str, length: int) -> None:
        self.kept += [re.sub(r"[^\n]", BLANK, self.source[self.done : start]), shown.ljust(length, BLANK)]
        self.done = start + length

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.keep(self.here, data, len(data))

    def handle_entityref(self, name: str) -> None:
        self.handle_sign(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_sign(f"&#{name};")

    def handle_sign(self, written: str) -> None:
        written = written if self.source.startswith(written, self.here) else written[:-1]
        self.keep(self.here, signs(unescape(written))[:1] or BLANK, len(written))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        end = self.here + len(self.get_starttag_text() or "")
        if tag in ("script", "style"):
            self.hidden += 1
        elif tag == "sup":
            self.keep(self.here, "^", 1)
        elif re.fullmatch("h[1-6]", tag):
            self.heading = end
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.cell = end

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self.hidden = max(self.hidden - 1, 0)
        elif re.fullmatch("h[1-6]", tag) and self.heading:
            self.headings.append((self.heading, int(tag[1]), self.here))
        elif tag in ("td", "th") and self.tables and self.tables[-1]:
            self.tables[-1][-1].append((self.cell, self.here))


def _closed(source: str) -> str:
    """The page without comments and without tags that never end, over which the parser would take its time."""
    parts, start = [], 0
    while (begin := source.find("<!--", start)) >= 0 and (end := source.find("-->", begin)) >= 0:
        parts += [source[start:begin], re.sub(r"[^\n]", " ", source[begin : end + 3])]
        start = end + 3
    return re.sub(r"<(?=[^<>]*(?:<|\Z))", " ", "".join([*parts, source[start:]]))


def notebook(source: str, path: str) -> tuple[Draft, list[tuple[int, str]]]:
    """The text cells and the outputs, one after another, and where each begins."""
    try:
        cells = [(str(cell["cell_type"]), cell) for cell in json.loads(source)["cells"]]
        parts = [
            (f"{path}, cell {count}", kind, text)
            for count, (kind, cell) in enumerate(cells, start=1)
            for text in ([_joined(cell["source"])] if kind == "markdown" else map(_joined, _outputs(cell)))
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise MathlabError("this is no notebook: it is not JSON, or has no cells", Place(path, 1, 1)) from None
    draft, origins = Draft(""), []
    for name, kind, text in parts:
        read = _markdown(text) if kind == "markdown" else Draft(text)
        start = len(draft.text)
        origins.append((start, name))
        draft.headings += [replace(heading, start=heading.start + start) for heading in read.headings]
        draft.tables += [[[(a + start, b + start) for a, b in row] for row in table] for table in read.tables]
        draft.text += read.text + "\n"
    return draft, origins


def _outputs(cell: Mapping[str, object]) -> Iterator[object]:
    for output in cell.get("outputs", []) if cell["cell_type"] == "code" else []:  # type: ignore[attr-defined]
        yield output.get("text", "") or output.get("data", {}).get("text/plain", "")


def _joined(text: object) -> str:
    return "".join(map(str, text)) if isinstance(text, list) else str(text)


READERS: Mapping[str, Callable[[str], Draft]] = {
    **dict.fromkeys((".md", ".qmd", ".rmd", ".markdown"), _markdown),
    ".txt": _plain,
    ".tex": _tex,
    **dict.fromkeys((".html", ".htm"), lambda source: _Page(source).draft()),
}
KINDS = (*READERS, ".ipynb")


def line_starts(text: str) -> list[int]:
    """The offset of each line."""
    return [0, *(found.end() for found in re.finditer("\n", text))]
