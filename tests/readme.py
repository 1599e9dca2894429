"""The README's blocks, and the guide's: what they show is generated from here, and a test holds them to that.

A block stands between `<!-- run: COMMAND -->` and the end of the fenced code under it; for `<!-- file: NAME -->` the
fenced code is a file that the commands after it can use. Between `<!-- copy: FILE -->` and `<!-- end -->` stands what
a command that takes long has left in the project; for `<!-- copy: FILE, rows of A; B -->`, of its table only the rows
that have A or B. `python -m tests.readme` rewrites the outputs in place.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from typer.core import TyperCommand, TyperOption
from typer.testing import CliRunner

from mathlab import cli
from mathlab.cli import app
from mathlab.config import arrays
from mathlab.diagnosis import VARIANTS
from mathlab.language import OPS
from mathlab.language.layers import LAYERS
from mathlab.language.optimizers import OPTIMIZERS
from mathlab.stages.table import every_file

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "mathlab" / "guide").glob("*.md")))
COMMANDS: Mapping[str, TyperCommand] = {name: cli.command_of(name) for name in cli.COMMANDS}
MANY = 5  # commands that take an option: it is then one of all
BLOCK = re.compile(
    r"<!-- (?P<kind>run|file|table): (?P<what>.+?) -->\n```(?P<language>\w*)\n(?P<text>.*?)```\n", re.DOTALL
)
COPY = re.compile(r"(<!-- copy: (\S+?)(?:, rows of (.+?))? -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block and the line above it that says where it comes from."""

    kind: str
    what: str
    language: str
    text: str
    start: int
    end: int


def blocks(readme: str) -> Iterator[Block]:
    """The marked blocks, in order."""
    for found in BLOCK.finditer(readme):
        kind, what, language, text = found.group("kind", "what", "language", "text")
        yield Block(kind, what, language, text, found.start("text"), found.end("text"))


def output(command: str, folder: Path) -> str:
    """What a command prints, piped, in a folder that holds the configs and the README's own files.

    `A && B` is understood (A prints nothing), and `| head -N`; `[exit N]` is added when it does not exit with 0.
    """
    before, _, command = command.rpartition(" && ")
    if before:
        assert output(before, folder) == "\n", before
    words, _, cut = command.partition(" | head -")
    program, *arguments = shlex.split(words)
    printed, code = (called if program == "mathlab" else interpreted)(arguments, folder)
    lines = [*printed.rstrip("\n").split("\n"), *([f"[exit {code}]"] * bool(code))]
    if cut:
        lines = [*lines[: int(cut)], "…"]
    return "\n".join(line.rstrip() for line in lines) + "\n"


ENVIRONMENT = {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "PYTHONUTF8": "1", "CI": ""}


def called(arguments: list[str], folder: Path) -> tuple[str, int]:
    """What `mathlab` prints in the folder, and its exit code, without a process of its own, which takes longer."""
    with contextlib.chdir(folder):
        done = CliRunner().invoke(app, arguments, env=ENVIRONMENT)
    return done.stdout + done.stderr, done.exit_code


def interpreted(arguments: list[str], folder: Path) -> tuple[str, int]:
    """What `python` prints in the folder, and its exit code."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **ENVIRONMENT},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return done.stdout + done.stderr, done.returncode


def ops() -> str:
    """The functions of the equation language as they are called, wrapped."""
    written = []
    for name, op in OPS.items():
        if op.internal:
            continue
        arguments = [f"{arg}={op.defaults[arg]}" if arg in op.defaults else arg for arg in op.args]
        arguments += [f"{key}={of.default}" if of.fits(of.default) else key for key, of in op.settings.items()]
        written.append(f"{name}({', '.join(arguments)})".replace("x, *i)", "x[i])" if name == "scatter" else "x, *i)"))
    return wrapped(written)


def wrapped(words: Iterable[str], indent: str = "") -> str:
    """Words two spaces apart, in lines as wide as a terminal is."""
    lines = [indent]
    for word in words:
        if lines[-1] != indent and len(lines[-1]) + len(word) > 80:
            lines.append(indent)
        lines[-1] += f"{word}  "
    return "".join(f"{line.rstrip()}\n" for line in lines)


def aligned(rows: Iterable[tuple[str, str]]) -> str:
    """Two columns, the first as wide as its widest; what is longer than a line goes on below."""
    rows = [*rows]
    width = max(len(first) for first, _ in rows) + 2
    return "".join(
        textwrap.fill(f"{first:{width}}{second}", 80, subsequent_indent=" " * width, break_on_hyphens=False).rstrip()
        + "\n"
        for first, second in rows
    )


def inits() -> str:
    """The ways to draw initial values, each with its settings."""
    defaults = {name: f"={value:g}" for name, value in arrays.DEFAULTS.items()}
    return aligned(
        (name, ", ".join(f"{setting}{defaults.get(setting, '')}" for setting in init.settings))
        for name, init in arrays.INITS.items()
    )


def optimizers() -> str:
    """The optimizers, each with its own settings and their defaults."""
    return aligned(
        (name, ", ".join(f"{key}={value:g}" if value is not None else key for key, value in rule.settings.items()))
        for name, rule in OPTIMIZERS.items()
    )


def layers() -> str:
    """The layers, each with its arguments."""
    return wrapped(
        f"{name}({', '.join([*layer.needs, *(f'[{argument}]' for argument in layer.takes)])})"
        for name, layer in LAYERS.items()
    )


def columns() -> str:
    """The columns of every CSV file of a stage, with the types of those that are no texts."""
    listed = {
        file: [f"{name} {layout.kinds[name]}" if name in layout.kinds else name for name in layout.columns]
        for file, layout in every_file().items()
    }
    return "\n".join(f"{file}\n{wrapped(names, '  ')}" for file, names in listed.items())


def commands() -> str:
    """The commands, each with the first lines of its help."""
    return aligned((name, " ".join(str(command.help).split("\n\n")[0].split())) for name, command in COMMANDS.items())


def options() -> str:
    """Every option, what it does, and the commands that take it."""
    takers: dict[tuple[str, str], list[str]] = {}
    for command in COMMANDS.values():
        for option in command.params:
            if isinstance(option, TyperOption):
                choices = "|".join(getattr(option.type, "choices", ())) or "N"
                takes = "" if option.is_flag else f" {option.metavar or choices}"
                written = f"{', '.join(sorted(option.opts, key=len, reverse=True))}{takes}", str(option.help)
                takers.setdefault(written, []).append(str(command.name))
    return aligned(
        (name, text if len(names) >= MANY else f"{text} ({', '.join(names)})")
        for (name, text), names in sorted(takers.items())
    )


def record(name: str) -> str:
    """The row of one op."""
    rows = (ROOT / "mathlab" / "language" / "ops" / "ops.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{name}\(.*\n(?: .*\n)+", rows, re.MULTILINE)
    assert found, name
    return found[0]


def variants() -> str:
    """The mistakes that a diagnosis tries."""
    return aligned((variant.name, variant.sentence) for variant in VARIANTS)


TABLES = {table.__name__: table for table in (ops, variants, inits, optimizers, layers, columns, commands, options)}


def made(block: Block, folder: Path) -> str:
    """The text that a block should have."""
    if block.kind == "run":
        return f"$ {block.what}\n{output(block.what, folder)}"
    return TABLES[block.what]() if block.what in TABLES else record(block.what)


def copied(file: str, rows: str | None) -> str:
    """What stands in a file of the project; of its table only those rows in which one of the texts `rows` stands."""
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines(keepends=True)
    head = next((at for at, line in enumerate(lines) if line.startswith("|---")), 0)
    wanted = (rows or "").split("; ")
    return "".join([*lines[: head + 1], *(line for line in lines[head + 1 :] if any(text in line for text in wanted))])


def regenerated(readme: str) -> str:
    """The README with every output made afresh."""
    readme = COPY.sub(lambda found: f"{found[1]}{copied(found[2], found[3])}{found[4]}", readme)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "configs").symlink_to(ROOT / "configs")
        pieces, position = [], 0
        for block in blocks(readme):
            if block.kind == "file":
                (folder / block.what).parent.mkdir(parents=True, exist_ok=True)
                (folder / block.what).write_text(block.text, encoding="utf-8")
                continue
            pieces += [readme[position : block.start], made(block, folder)]
            position = block.end
        return "".join([*pieces, readme[position:]])


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(regenerated(page.read_text(encoding="utf-8")), encoding="utf-8")
