"""The index of an output folder: every experiment with its verdicts, as its CSVs have them, and its pictures."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from urllib.parse import quote

from mathlab.files import replace_file
from mathlab.outputs.csvtext import read_table
from mathlab.pictures.svg import escape

FILE = "index.html"
# file, the column of its verdicts, what it counts, and the verdicts that pass
COUNTED = (
    ("figures.csv", "figures", {"match", "rounded", "erratum confirmed"}),
    ("derivation.csv", "formulas", {"agrees", "erratum confirmed"}),
    ("gradcheck.csv", "gradient entries", {"confirmed", "inconclusive", "kink"}),
)
SHOWN = (".html", ".svg", ".png")
STYLE = """:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:auto;
padding:1rem;background:#fff;color:#1a1a1a;overflow-wrap:anywhere}a{color:#0060a0}.good{color:#00765a}.bad{color:#c00020}
section{border-top:1px solid #c3c9d0}p,ul{margin:.25rem 0}h2{font-size:1.1rem;margin:.6rem 0 .2rem}
@media(prefers-color-scheme:dark){body{background:#14171a;color:#f0f0f0}a{color:#6cb8f0}.good{color:#3fc8a0}.bad{color:#ff8095}}"""


def refresh(out: Path) -> None:
    """Write the index of a folder anew, if it has one."""
    if (out / FILE).is_file():
        write_index(out)


def write_index(out: Path) -> Path:
    """Make `out/index.html`. Raises MathlabError where it cannot be written."""
    body = "\n".join(_experiment(path.parent) for path in sorted(out.glob("*/run.json")))
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    replace_file(
        out / FILE,
        '<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Experiments</title>'
        f"<style>{STYLE}</style>\n<main><h1>Experiments</h1>\n{body or '<p>There are no results here yet.</p>'}"
        "\n</main></html>\n",
    )
    return out / FILE


def _experiment(folder: Path) -> str:
    said = [words for file, what, passing in COUNTED if (words := _verdicts(folder / file, what, passing))]
    pictures = [path for path in sorted((folder / "pictures").glob("*")) if path.suffix in SHOWN]
    links, tables = ([_link(folder, path) for path in paths] for paths in (pictures, sorted(folder.glob("*.csv"))))
    listed = f"<ul><li>{'</li><li>'.join(links)}</li></ul>" if links else ""
    said = said or ["nothing was compared"]
    return (
        f"<section><h2>{escape(folder.name)}</h2><p>{'; '.join(said)}</p>{listed}<p>{', '.join(tables)}</p></section>"
    )


def _link(folder: Path, path: Path) -> str:
    return f'<a href="{quote(str(path.relative_to(folder.parent)))}">{escape(path.name)}</a>'


def _verdicts(path: Path, what: str, passing: set[str]) -> str:
    try:
        columns, rows, _ = read_table(path)
        counts = Counter(row[columns.index("verdict")] for row in rows)
    except (OSError, ValueError):
        return ""
    failed = sum(count for verdict, count in counts.items() if verdict not in passing)
    words = f"{counts.total()} {what}, " + (f"{failed} fail" if failed else "all pass")
    return f'<span class="{"bad" if failed else "good"}">{"✗" if failed else "✓"} {words}</span>' if counts else ""
