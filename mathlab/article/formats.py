"""Document formats: what of a file is text, where its headings stand, and which cells its tables and matrices have.

Nothing is taken out: whatever is no prose or number is blanked, character for character, and signs that mean the same
become one sign of the same length. So every offset is one of the source.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import unescape
from itertools import pairwise
from typing import NamedTuple

from mathlab.errors import MathlabError, Place

BLANK = "\0"  # stands for what is no text, and between nothing
OPEN, ROW, CELL, CLOSE = "⟦⏎&⟧"  # begin a table or matrix, a row and a cell of it, and end it
THIN = "\u2009"

Span = tuple[int, int]


class Heading(NamedTuple):
    """A section's title, where it begins, and how deep it lies: 0 where a heading is only guessed."""

    start: int
    level: int
    title: str


Read = tuple[str, list[Heading]]

COMMANDS = r"\times \cdot \approx \le \ge \neq \pm \partial \nabla \to \rightarrow \hat \bar \tilde \delta \sigma"
SIGNS = dict(zip(COMMANDS.split(), "×·≈≤≥≠±∂∇→→ˆˆˆδσ", strict=True)) | {r"\thinspace": THIN}
SIGNS |= {"begin": OPEN, "end": CLOSE, "\\\\": ROW, "sup": "^", "sub": "_", "td": CELL, "th": CELL, "tr": ROW}
SIGNS |= {"table": OPEN, "/table": CLOSE, "mtable": OPEN, "/mtable": CLOSE, "mtr": ROW, "mtd": CELL}
LINKS_AND_TAGS = (
    r"\]\([^()\s]{0,2000}(?:\s[^()\n]{0,500})?\)|https?://[^\s)>\]]{1,2000}|www\.[^\s)>\]]+|\[\^[^\]\n]{1,40}\]"
    r"|<!--.*?(?:-->|\Z)|<(?P<hidden>script|style|svg|annotation|nav)\b.*?(?:</(?P=hidden)\s*>|\Z)"
    r"|(?P<entity>&(?:\#\d{1,7}|\#x[\da-f]{1,6}|[a-z]\w{1,30});)"
    r"|<(?P<tag>/?[a-z][\w-]*+)(?:\s++[a-z_:@][\w:.@-]*+(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s\"'<>=]++))?)*+\s*+/?>"
    r"|<[!?/][^<>]*+>"
)
LATEX = (
    r"\\begin\{(?P<picture>tikzpicture|thebibliography)\}.*?(?:\\end\{(?P=picture)\}|\Z)"
    r"|\\(?P<side>begin|end)\{(?:[bpv]?(?:small)?matrix\*?|array|tabular[xy*]?|longtable)\}(?:\{[^{}\n]{0,40}\}){0,2}"
    r"|\\(?:begin|end|label|ref|eqref|cite[a-z]*|url|includegraphics|input|documentclass|usepackage|[vh]space|c(?:mid)?rule"
    r"|cline|tag|scalebox|linespread|rule|multi(?:column|row)\{\d+\})\*?(?:\[[^\]\n]{0,200}\])?\{[^{}\n]{0,500}\}"
    r"|\\(?=(?:ln|log|exp|sqrt|sin|cos|tanh?|max|min)(?![a-z]))|\\href\{[^{}\n]{0,500}\}|\d?\.\d{1,4}\\(?:text|line|column|page)(?:width|height)"
    r"|(?P<command>\\[a-z]+)|(?P<thin>\\[,;:!]|\{,\})|(?P<row>\\\\)(?:\[-?[\d.]+ ?[a-z]{2}\])?|\\[()\[\]]"
)
ALT = re.compile(r"\salt=[\"']([^\"'\n]*)", re.IGNORECASE)
TITLE = re.compile(LINKS_AND_TAGS, re.DOTALL | re.IGNORECASE)
MARKS = re.compile(f"{LINKS_AND_TAGS}|{LATEX}", re.DOTALL | re.IGNORECASE)
# One sign for all that look like a minus, an apostrophe or a space.
ALIKE = {**dict.fromkeys(map(ord, "−–‐‑"), "-"), **dict.fromkeys(map(ord, "‘’"), "'"), ord("\u00a0"): " "}


COMMA = re.compile(r"(?<![\d.,])((?:\d{1,3}\.)?(?:\d{3}\.)*\d+),(\d+)(?![.,]?\d)")


def _pointed(text: str) -> str:
    """The text with decimal points where it has commas, if there are more of these in it: 0,5650, and 1.234,5."""
    if len(re.findall(r"(?<![\d.,])0,\d\d+(?![.,]?\d)", text)) <= len(re.findall(r"(?<![\d.,])0\.\d", text)):
        return text
    return COMMA.sub(lambda found: f"{found[1].replace('.', THIN)}.{found[2]}", text)


def _blank(found: re.Match[str], sign: str = "") -> str:
    """Blanks, or a sign and blanks, as long as what they stand for."""
    return sign + re.sub(r"[^\n]", BLANK, found.group()[len(sign) :])


def _mark(found: re.Match[str]) -> str:
    """What a link, tag, entity or command is read as."""
    kind, said = found.lastgroup, found[found.lastgroup or 0]
    if kind == "thin":
        return THIN * len(said)
    if said.lower() == "img" and (alt := ALT.search(found[0])):
        return BLANK * alt.start(1) + alt[1] + BLANK * (len(found[0]) - alt.end(1))
    if kind == "entity":
        return _blank(found, unescape(said).translate(ALIKE)[:1])
    return _blank(found, SIGNS.get(said.lower(), " " if kind == "command" else ""))


def _heading(start: int, level: int, title: str) -> Heading:
    return Heading(start, level, " ".join(re.sub(r"[*`$\\{}\[\0]", "", TITLE.sub(_mark, title)).split()).strip("# "))


DISPLAYED = re.compile(r"\$\$(?:[^$`\n]|\n(?!\s*\n)){1,5000}\$\$")


def _markdown(source: str) -> Read:
    """CommonMark with tables. What is displayed as maths hides from the parser: a line of `=` there is no heading."""
    from markdown_it import MarkdownIt

    # without the front matter
    source = re.sub(r"\A(---|\+\+\+)[ \t]*\n.*?\n(?:\1|\.\.\.)[ \t]*\n", _blank, source, flags=re.DOTALL)
    starts = [*line_starts(source), len(source)]
    plain = DISPLAYED.sub(lambda found: re.sub(".", "x", found.group()), source)
    headings, parts, done = [], [], 0
    for token, after in pairwise(MarkdownIt("commonmark").enable("table").disable("inline").parse(plain)):
        first, last = (starts[min(line, len(starts) - 1)] for line in token.map or (0, 0))
        if token.type == "heading_open":
            headings.append(_heading(first, int(token.tag[1]), after.content))
        elif token.type in READ_APART:
            first = max(first - 1, done)  # the end of the line before has room for a sign
            parts += [MARKS.sub(_mark, source[done:first]), READ_APART[token.type](source[first:last])]
            done = last
    return "".join([*parts, MARKS.sub(_mark, source[done:])]), headings


def _table(text: str) -> str:
    rows = re.sub(r"\n[ >]*\|?", lambda row: _blank(row, ROW), MARKS.sub(_mark, text))
    cells = re.sub(r"(?<!\\)\|", CELL, rows)
    begun = re.sub(rf"\A[{CELL}{ROW}\s]|{ROW}", OPEN, cells, count=1)
    return re.sub(rf"[{ROW}{CELL}]\s*\Z", lambda found: _blank(found, CLOSE), begun)


READ_APART: Mapping[str, Callable[[str], str]] = {
    "table_open": _table,
    "fence": lambda text: re.sub(r"\A\n?[^\n]*", _blank, text),  # it names a language
    "code_block": str,
}


def _by_titles(title: str, level: Callable[[str], int], no_text: str = r"\Z") -> Callable[[str], Read]:
    """The reader of documents whose headings look so: what tells their level, and the title."""

    def read(source: str) -> Read:
        text = re.sub(no_text, _blank, source, flags=re.DOTALL)
        titles = re.finditer(title, text, re.IGNORECASE)
        return MARKS.sub(_mark, text), [_heading(one.start(), level(one[1]), one[2]) for one in titles]

    return read


# Where nothing marks a heading, it is a short line with nothing around it that ends like no sentence.
SHORT_LINE = (
    r"(?:\A|(?<=\n\n))[ \t]*()(#[^\n]{1,79}"
    r"|(?=\S+ +\S)(?-i:[A-Z\d(])[^\n=_{}\\$|>]{0,78}[^\n=_{}\\$|>.,:;?!…\s])[ \t]*\n(?=\n|[-=~]{3})"
)
READERS: Mapping[str, Callable[[str], Read]] = {
    **dict.fromkeys((".md", ".qmd", ".rmd", ".markdown"), _markdown),
    ".txt": _by_titles(SHORT_LINE, lambda _: 0),
    ".tex": _by_titles(
        r"\\((?:sub)*)(?:section|paragraph|chapter)\*?\{([^{}\n]{1,200})\}",
        level=lambda subs: len(subs) // 3 + 1,
        no_text=r"\A(?:(?!\\begin\{document\}).)*+(?=\\begin\{document\})|(?<!\\)%[^\n]*",
    ),
    **dict.fromkeys((".html", ".htm"), _by_titles(r"<h([1-6])\b[^<>]*+>((?:[^<]|<(?!/?h[1-6]\b))*+)", level=int)),
}
KINDS = (*READERS, ".ipynb")
PROMPT = re.compile(r"^[ \t#]*(?:>>>|\.\.\.(?=\s))", re.MULTILINE)


def parts(source: str, path: str, kind: str) -> Iterator[tuple[str, str, Read]]:
    """The parts of a document of a kind, a notebook's text cells and outputs: name, text as it is, text and headings.

    A line of the text as it is ends in a line feed alone. Raises MathlabError for what is no notebook.
    """
    cells: list[tuple[str, str, Callable[[str], Read]]] = []
    if kind != ".ipynb":
        cells = [(path, source.replace("\r\n", "\n"), READERS[kind])]
    for count, holder, key in _held(source, path)[1] if not cells else ():
        read = _markdown if key == "source" else lambda text: (text, [])
        cells.append((f"{path}, cell {count}", "".join(holder[key]), read))
    for name, part, reader in cells:
        text, headings = reader(part.translate(ALIKE).replace(BLANK, " "))
        yield name, part, (PROMPT.sub(_blank, _pointed(text)), headings)


def rebuilt(source: str, path: str, kind: str, texts: Sequence[str]) -> str:
    """The document with these texts in the place of those of its parts, and all else as it was.

    Raises MathlabError for a notebook that no program lays out so.
    """
    if kind != ".ipynb":
        ends = [*re.findall(r"\r?\n", source), ""]
        return "".join(line + end for line, end in zip(texts[0].split("\n"), ends, strict=True))
    tree, held = _held(source, path)
    forms = [(indent, ascii) for indent in (1, None, 2, 4) for ascii in (False, True)]
    shown = (form for form in forms if json.dumps(tree, indent=form[0], ensure_ascii=form[1]) == source.strip())
    if (form := next(shown, None)) is None:
        message = "no program lays out a notebook so: save it with one, and it can be changed"
        raise MathlabError(message, Place(path, 1, 1))
    for (_, holder, key), text in zip(held, texts, strict=True):
        if "".join(holder[key]) != text:
            holder[key] = re.findall(r"[^\n]*\n|[^\n]+", text) if isinstance(holder[key], list) else text
    return source.replace(source.strip(), json.dumps(tree, indent=form[0], ensure_ascii=form[1]))


Holder = dict[str, str | list[str]]  # of a text of a notebook: all of it, or its lines


def _held(source: str, path: str) -> tuple[object, list[tuple[int, Holder, str]]]:
    """A notebook, and where its texts stand in it: each with the count of its cell."""
    held = []
    try:
        tree = json.loads(source)
        for count, cell in enumerate(tree["cells"], start=1):
            places = [(cell, "source")] if cell["cell_type"] == "markdown" else []
            for output in cell.get("outputs", ()) if cell["cell_type"] == "code" else ():
                places.append((output, "text") if output.get("text") else (output.get("data", {}), "text/plain"))
            held += [(count, holder, key) for holder, key in places if "".join(holder.get(key) or "")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise MathlabError("this is no notebook: it is not JSON, or has no cells", Place(path, 1, 1)) from None
    return tree, held


def line_starts(text: str) -> list[int]:
    """The offset of each line."""
    return [0, *(found.end() for found in re.finditer("\n", text))]
