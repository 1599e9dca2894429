"""Equations as MathML, made of the LaTeX that they are written as: one way of writing mathematics, for paper and page.

It reads the LaTeX that `latex` and the table of ops write, which is small. A command that it does not know is an error,
which a test over every op finds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from mathlab.language.latex import LETTERS

TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|\d+(?:\.\d*)?|[^\W\d]|\S")
NAMED = (
    "ldots cdots odot cdot geq leq neq top partial lVert rVert infty lfloor rfloor lceil rceil lbrack rbrack mid to "
    "mapsto times"
)
SIGNS: Mapping[str, str] = dict(zip([*NAMED.split(), "{", "}", "|"], "…⋯⊙·≥≤≠⊤∂‖‖∞⌊⌋⌈⌉[]|→↦×{}‖", strict=True))
IDENTIFIERS: Mapping[str, str] = {
    **{word: letter for letter, word in LETTERS.items()},
    **{name: name for name in "log ln exp sin cos tan tanh max min det".split()},
    "varphi": "φ",
}
UPRIGHT = frozenset("mathrm operatorname text mathit mathbf".split())
SPACES = frozenset((r"\,", r"\ ", r"\;", r"\!", r"\quad"))


def mathml(latex: str) -> str:
    """A line of LaTeX as a `math` element; without its alignment marks. Raises ValueError for what it cannot read."""
    pending = [token for token in TOKEN.findall(latex) if token != "&"][::-1]
    return f'<math display="block">{_row(_parts(pending, ""))}</math>'


def _row(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>"


def _parts(pending: list[str], stop: str) -> list[str]:
    """The elements up to the token `stop`, which is read too, or to the end."""
    parts = []
    while pending and pending[-1] != stop:
        parts.append(_scripted(pending))
    if stop and not pending:
        raise ValueError(f"LaTeX ends without {stop!r}")
    if stop:
        pending.pop()
    return parts


def _scripted(pending: list[str]) -> str:
    """An element with what stands above and below it."""
    base, scripts = _atom(pending), dict[str, str]()
    while pending and pending[-1] in "^_":
        mark = pending.pop()
        scripts[mark] = _atom(pending)
    kind = ("sub" if "_" in scripts else "") + ("sup" if "^" in scripts else "")
    return f"<m{kind}>{base}{scripts.get('_', '')}{scripts.get('^', '')}</m{kind}>" if kind else base


def _atom(pending: list[str]) -> str:
    token = pending.pop()
    name = token[1:]
    if token == "{":
        return _row(_parts(pending, "}"))
    if token in SPACES:
        return '<mspace width="0.2em"/>'
    if token[0] != "\\":
        tag = "mn" if token[0].isdigit() else "mi" if token.isalpha() else "mo"
        return f"<{tag}>{escape('−' if token == '-' else token)}</{tag}>"
    if name in UPRIGHT:
        pending.pop()  # the brace that opens
        words = "".join(part.removeprefix("\\") for part in iter(lambda: pending.pop() if pending else "}", "}"))
        upright = ' mathvariant="normal"' if len(words) == 1 and name != "mathit" else ""
        return f"<mi{upright}>{escape(words)}</mi>"
    if name == "frac":
        gradient = ' class="gradient"' if pending[-2:-1] == [r"\partial"] else ""
        return f"<mfrac{gradient}>{_atom(pending)}{_atom(pending)}</mfrac>"
    if name == "sqrt":
        return f"<msqrt>{_atom(pending)}</msqrt>"
    if name == "left":
        opening, inside = _fence(pending), _parts(pending, r"\right")
        return f"<mrow>{opening}{''.join(inside)}{_fence(pending)}</mrow>"
    if name in IDENTIFIERS:
        return f"<mi>{IDENTIFIERS[name]}</mi>"
    if name in SIGNS:
        return f"<mo>{SIGNS[name]}</mo>"
    raise ValueError(f"LaTeX has the unknown command {token!r}")


def _fence(pending: list[str]) -> str:
    sign = pending.pop()
    return f"<mo>{escape(SIGNS.get(sign[1:], sign))}</mo>"
