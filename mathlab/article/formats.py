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

Span = tuple[int, int]


class Heading(NamedTuple):
    """A section's title, where it begins, and how deep it lies: 0 where a heading is only guessed."""

    start: int
    level: int
    title: str


Read = tuple[str, list[Heading]]

COMMANDS = dict(zip("times cdot approx le ge neq pm partial nabla to".split(), "×·≈≤≥≠±∂∇→", strict=True))
COMMANDS |= {"thinspace": "\u2009", "rightarrow": "→"}
LATEX = re.compile(
    r"\\begin\{(?P<picture>tikzpicture|thebibliography)\}.*?(?:\\end\{(?P=picture)\}|\Z)"
    r"|\\(?P<side>begin|end)\{(?:[bpvBV]?(?:small)?matrix\*?|array|tabular[xy*]?|longtable)\}(?:\{[^{}\n]{0,40}\}){0,2}"
    r"|\\(?:label|ref|eqref|cite[a-z]*|url|includegraphics|input|documentclass|usepackage|[vh]space|c(?:mid)?rule|cline"
    r"|tag|scalebox|linespread|rule|multi(?:column|row)\{\d+\})\*?(?:\[[^\]\n]{0,200}\])?\{[^{}\n]{0,500}\}"
    r"|\\href\{[^{}\n]{0,500}\}|\d?\.\d{1,4}\\(?:text|line|column|page)(?:width|height)"
    r"|\\(?P<command>[A-Za-z]+)|(?P<thin>\\[,;:!]|\{,\})|(?P<row>\\\\)(?:\[-?[\d.]+ ?[a-z]{2}\])?|\\[()\[\]]",
    re.DOTALL,
)
TAGS = {"sup": "^", "sub": "_", "table": OPEN, "/table": CLOSE, "tr": ROW, "td": CELL, "th": CELL}
TAGS |= {"mtable": OPEN, "/mtable": CLOSE, "mtr": ROW, "mtd": CELL}
HTML = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|svg|annotation)\b.*?(?:</\1\s*>|\Z)"
    r"|(?P<sign>&(?:\#\d{1,7}|\#x[\da-f]{1,6}|[a-z]\w{1,30});?)"
    r"|<(?P<tag>/?[a-z][\w-]*+)(?:\s++[a-z_:@][\w:.@-]*+(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s\"'<>=]++))?)*+\s*+/?>"
    r"|<[!?/][^<>]*+>",
    re.DOTALL | re.IGNORECASE,
)
LINKS = re.compile(
    r"\]\([^()\s]{0,2000}(?:\s[^()\n]{0,500})?\)|https?://[^\s)>\]]{1,2000}|www\.[^\s)>\]]+"
    r"|\[\^[^\]\n]{1,40}\]|^ {0,3}\[[^\]\n]{1,200}\]:[^\n]*",
    re.MULTILINE,
)
ALIKE = {**dict.fromkeys(map(ord, "−–‐‑"), "-"), **dict.fromkeys(map(ord, "‘’"), "'"), ord("\u00a0"): " "}


def signs(text: str) -> str:
    """One sign for all that look like a minus, an apostrophe or a space."""
    return text.translate(ALIKE)


def _blank(found: re.Match[str], sign: str = "") -> str:
    """Blanks, or a sign and blanks, as long as what they stand for."""
    return sign + re.sub(r"[^\n]", BLANK, found.group()[len(sign) :])


def _latex(found: re.Match[str]) -> str:
    if found["thin"]:
        return "\u2009" * len(found.group())
    if found["command"]:
        return _blank(found, COMMANDS.get(found["command"], " "))
    return _blank(found, {"begin": OPEN, "end": CLOSE}.get(found["side"], "") or ROW * bool(found["row"]))


def _tag(found: re.Match[str]) -> str:
    if found["sign"]:
        return _blank(found, signs(unescape(found["sign"]))[:1])
    return _blank(found, TAGS.get((found["tag"] or "").lower(), ""))


def _prose(text: str) -> str:
    return LATEX.sub(_latex, HTML.sub(_tag, LINKS.sub(_blank, text)))


def _title(text: str) -> str:
    return " ".join(re.sub(r"[*`$\\{}\[\0]", "", text).split())


FRONT = re.compile(r"\A---[ \t]*\n.*?\n(?:---|\.\.\.)[ \t]*\n", re.DOTALL)
DISPLAYED = re.compile(r"\$\$(?:[^$`\n]|\n(?!\s*\n)){1,5000}\$\$")


def _markdown(source: str) -> Read:
    """CommonMark with tables. What is displayed as maths hides from the parser: a line of `=` there is no heading."""
    from markdown_it import MarkdownIt

    source = FRONT.sub(_blank, source)
    starts = [*line_starts(source), len(source)]
    plain = DISPLAYED.sub(lambda found: re.sub(".", "x", found.group()), source)
    headings, parts, done = [], [], 0
    for token, after in pairwise(MarkdownIt("commonmark").enable("table").disable("inline").parse(plain)):
        if token.map is None:
            continue
        first, last = (starts[min(line, len(starts) - 1)] for line in token.map)
        if token.type == "heading_open":
            headings.append(Heading(first, int(token.tag[1]), _title(LINKS.sub("", after.content))))
        elif token.type in READ_APART:
            first = max(first - 1, done)  # the end of the line before has room for a sign
            parts += [_prose(source[done:first]), READ_APART[token.type](source[first:last])]
            done = last
    return "".join([*parts, _prose(source[done:])]), headings


def _table(text: str) -> str:
    rows = re.sub(r"\n[ >]*\|?", lambda row: _blank(row, ROW), _prose(text))
    cells = re.sub(r"(?<!\\)\|", CELL, rows)
    begun = re.sub(rf"\A[{CELL}{ROW}\s]|{ROW}", OPEN, cells, count=1)
    return re.sub(rf"[{ROW}{CELL}]\s*\Z", lambda found: _blank(found, CLOSE), begun)


READ_APART: Mapping[str, Callable[[str], str]] = {
    "table_open": _table,
    "fence": lambda text: re.sub(r"\A\n?[^\n]*", _blank, text),  # it names a language
    "code_block": lambda text: text,
}


def _plain(source: str) -> Read:
    """Text with no marks: a heading is a short line with nothing around it that ends like no sentence."""
    headings = []
    for found in re.finditer(r"(?:\A|(?<=\n\n))([^\n]{2,80})\n(?=\n)", source):
        title = found[1].strip("# \t")
        sentence = title.endswith((".", ",", ":", ";", "?", "!", "…")) or re.search(r"[=_{}\\$|>]", title)
        if found[1].startswith("#") or (re.match(r"[A-Z\d(]", title) and " " in title and not sentence):
            headings.append(Heading(found.start(1), 0, _title(title)))
    return _prose(source), headings


SECTION = re.compile(r"\\((?:sub)*)(?:section|paragraph|chapter)\*?\{([^{}\n]{1,200})\}")


def _tex(source: str) -> Read:
    text = re.sub(r"(?<!\\)%.*", _blank, source)
    body = max(text.find(r"\begin{document}"), 0)
    titles = SECTION.finditer(text, body)
    headings = [Heading(one.start(), len(one[1]) // 3 + 1, _title(one[2])) for one in titles]
    return BLANK * body + LATEX.sub(_latex, text[body:]), headings


def _html(source: str) -> Read:
    text = LATEX.sub(_latex, HTML.sub(_tag, source))
    titles = re.finditer(r"<h([1-6])\b[^<>]*+>(?:[^<]|<(?!/?h[1-6]\b))*+", source, re.IGNORECASE)
    return text, [Heading(one.start(), int(one[1]), _title(text[slice(*one.span())])) for one in titles]


READERS: Mapping[str, Callable[[str], Read]] = {
    **dict.fromkeys((".md", ".qmd", ".rmd", ".markdown"), _markdown),
    ".txt": _plain,
    ".tex": _tex,
    **dict.fromkeys((".html", ".htm"), _html),
}
KINDS = (*READERS, ".ipynb")
PROMPT = re.compile(r"^[ \t#]*(?:>>>|\.\.\.(?=\s))", re.MULTILINE)


def parts(source: str, path: str, kind: str) -> Iterator[tuple[str, str, Read]]:
    """The parts of a document of a kind, a notebook's text cells and outputs: name, text as it is, text and headings.

    A line of the text as it is ends in a line feed alone.
    """
    cells = _cells(source, path) if kind == ".ipynb" else [(path, source.replace("\r\n", "\n"), READERS[kind])]
    for name, part, reader in cells:
        text, headings = reader(signs(part).replace(BLANK, " "))
        yield name, part, (PROMPT.sub(_blank, text), headings)


def rebuilt(source: str, path: str, kind: str, texts: Sequence[str]) -> str:
    """The document with these texts in the place of those of its parts, and all else as it was.

    Raises MathlabError for a notebook that no program lays out so.
    """
    if kind != ".ipynb":
        ends = [*re.findall(r"\r?\n", source), ""]
        return "".join(line + end for line, end in zip(texts[0].split("\n"), ends, strict=True))
    tree, held = _held(source)
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


def _held(source: str) -> tuple[object, list[tuple[int, Holder, str]]]:
    """A notebook, and where its texts stand in it: each with the count of its cell."""
    tree = json.loads(source)
    held = []
    for count, cell in enumerate(tree["cells"], start=1):
        kind = cell["cell_type"]
        places = [(cell, "source")] if kind == "markdown" else []
        for output in cell.get("outputs", ()) if kind == "code" else ():
            places.append((output, "text") if output.get("text") else (output.get("data", {}), "text/plain"))
        held += [(count, holder, key) for holder, key in places if holder.get(key)]
    return tree, held


def _cells(source: str, path: str) -> Iterator[tuple[str, str, Callable[[str], Read]]]:
    try:
        for count, holder, key in _held(source)[1]:
            reader = _markdown if key == "source" else lambda output: (output, [])
            yield f"{path}, cell {count}", "".join(map(str, holder[key])), reader
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise MathlabError("this is no notebook: it is not JSON, or has no cells", Place(path, 1, 1)) from None


def line_starts(text: str) -> list[int]:
    """The offset of each line."""
    return [0, *(found.end() for found in re.finditer("\n", text))]
