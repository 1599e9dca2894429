"""The commands that print or write a text: equations, a page of the manual, a first experiment, the schema of all."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mathlab import terminal
from mathlab.commands.options import MATCH, Cases, Every, Permits

if TYPE_CHECKING:
    from mathlab.config.jsonschema import Schema


def derive(
    cases: Cases,
    *,
    form: Annotated[
        Literal["text", "latex", "numpy"], typer.Option("--format", metavar="FORM", help="text, latex or numpy.")
    ] = "text",
    verbose: Every = False,
    permits: Permits,
) -> int:
    """Print the backward equations.

    As text, as LaTeX, or as the NumPy program that is run.
    """
    from mathlab.stages.derivation import derivation

    titles: dict[str, list[str]] = {}  # cases that differ in numbers only have one derivation
    for experiment, chosen in cases.chosen(permits):
        titles.setdefault(derivation(chosen, form, verbose).rstrip("\n"), []).append(
            f"{experiment.name}, {chosen.name}"
        )
    console = terminal.console()
    mark = "%" if form == "latex" else "#"
    for index, (text, same) in enumerate(titles.items()):
        heading = [*([""] if index else []), *(f"{mark} {title}" for title in same)] if len(titles) > 1 else []
        lines = [terminal.harmless(line, longest=None) for line in (*heading, *text.split("\n"))]
        console.out(*lines, sep="\n", highlight=False)
    return MATCH


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


def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the experiment, and so of its file.")],
    article: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="An article: its title and formulas are a start.")
    ] = None,
) -> int:
    """Write a first experiment, with comments, to NAME.yaml."""
    import shlex

    from mathlab.starter import start

    path = start(name, article)
    dashes = "-- " if str(path).startswith("-") else ""
    words = f"{path} is written; run it with: mathlab run {dashes}{shlex.quote(str(path))}"
    if article:
        words = (
            f"{path} is written; put the article's inputs and equations into it, then have its numbers found with: "
            f"mathlab article --write {shlex.quote(str(article))}"
        )
    terminal.write(f"{terminal.harmless(words)}\n")
    return MATCH


DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> int:
    """Print the JSON Schema of a config, for editors."""
    terminal.write(json.dumps(made(), indent=1) + "\n")
    return MATCH


def made() -> Schema:
    """The schema of a whole config."""
    from mathlab.config import arrays, schema, values
    from mathlab.config.jsonschema import TEXT, any_of, listed, reference
    from mathlab.language.layers import BATCHES, LAYERS, LOSSES
    from mathlab.language.optimizers import OPTIMIZERS, SETTINGS

    switches = frozenset[str]().union(*(rule.switches for rule in OPTIMIZERS.values()))
    settings = dict.fromkeys((key for keys in SETTINGS.values() for key in keys), reference("number"))
    settings |= {key: {"type": "boolean"} for key in switches}
    definitions: Schema = {
        "number": any_of({"type": "number"}, {"type": "string", "pattern": f"^(?:{values.NUMBER.pattern})$"}),
        "numbers": any_of(reference("number"), listed(reference("numbers"))),
        "value": any_of(reference("numbers"), arrays.INITIAL.schema, arrays.DATA.schema),
        "printings": schema.printings.schema,
        "layers": listed(_words({word: layer.keys for word, layer in LAYERS.items()})),
        "loss": _words({word: loss.keys for word, loss in LOSSES.items()}),
        "batch": {"enum": [*BATCHES]},
        "optimizer": {
            "type": ["object", "null"],
            "properties": {"name": {"enum": [*SETTINGS]}, **settings, "lr": any_of(reference("number"), TEXT)},
            "additionalProperties": False,
        },
        "case": schema.case_keys().schema,
    }
    return {"$schema": DIALECT, "title": "mathlab experiment", **schema.top_keys().schema, "$defs": definitions}


def _words(known: Mapping[str, tuple[str, ...]]) -> Schema:
    """One of the known words, or a mapping of one of them to its arguments."""
    from mathlab.config.jsonschema import TEXT, any_of
    from mathlab.language.layers import REDUCTIONS

    with_arguments: list[Schema] = []
    for word, keys in known.items():
        arguments = {key: {"enum": [*REDUCTIONS]} if key == "reduction" else TEXT for key in keys}
        some: Schema = {"type": ["object", "null"], "properties": arguments, "additionalProperties": False}
        inside = any_of(some, TEXT)  # of a layer the one argument that it needs
        with_arguments.append(
            {"type": "object", "properties": {word: inside}, "required": [word], "additionalProperties": False}
        )
    return any_of({"enum": [*known]}, *with_arguments)
