"""`mathlab derive`."""

from __future__ import annotations

from mathlab import terminal
from mathlab.commands.common import MATCH, Cases, Configs, Files, Folders, Form, Large, allowed, named


def derive(
    files: Files = None,
    config: Configs = None,
    form: Form = "text",
    case: Cases = None,
    allow_files: Folders = None,
    allow_large: Large = False,
) -> int:
    """Print the backward equations.

    As text, as LaTeX, or as the NumPy program that is run.
    """
    from mathlab import plan
    from mathlab.stages.backprop import derivation

    titles: dict[str, list[str]] = {}  # cases that differ in numbers only have one derivation
    for experiment, chosen in plan.chosen(
        plan.load(named(files, config), allowed(allow_files, allow_large)), case or ()
    ):
        titles.setdefault(derivation(chosen, form).rstrip("\n"), []).append(f"{experiment.name}, {chosen.name}")
    console = terminal.console()
    mark = "%" if form == "latex" else "#"
    for index, (text, cases) in enumerate(titles.items()):
        heading = [*([""] if index else []), *(f"{mark} {title}" for title in cases)] if len(titles) > 1 else []
        lines = [terminal.harmless(line, longest=None) for line in (*heading, *text.split("\n"))]
        console.out(*lines, sep="\n", highlight=False)
    return MATCH
