"""Equations as MathML, made of the LaTeX that they are written as: one way of writing mathematics, for paper and page.

It reads the LaTeX that `latex` and the table of ops write, which is small. A command that it does not know is an error,
which a test over every op finds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import escape

TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|\d+(?:\.\d*)?|[^\W\d]|\S")
SIGNS: Mapping[str, str] = {
    **dict(
        zip(
            "odot cdot geq leq neq top partial lVert rVert infty lfloor rfloor lceil rceil".split(),
            "⊙·≥≤≠⊤∂‖‖∞⌊⌋⌈⌉",
            strict=True,
        )
    ),
    "lbrack": "[",
    "rbrack": "]",
    "{": "{",
    "}": "}",
    "|": "‖",
    "mid": "|",
    "to": "→",
    "mapsto": "↦",
    "times": "×",
}
LETTERS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho".split()
GREEK: Mapping[str, str] = {
    **{name: chr(0x3B1 + at) for at, name in enumerate(LETTERS)},
    **{name: chr(0x3C3 + at) for at, name in enumerate("sigma tau upsilon phi chi psi omega".split())},
    "varphi": "φ",
}
FUNCTIONS = frozenset("log ln exp sin cos tan tanh max min det".split())
UPRIGHT = frozenset("mathrm operatorname text mathit mathbf".split())
SPACES = frozenset((r"\,", r"\ ", r"\;", r"\!", r"\quad"))


def mathml(latex: str) -> str:
    """A line of LaTeX as a `math` element; without its alignment marks. Raises ValueError for what it cannot read."""
    tokens = [token for token in TOKEN.findall(latex) if token != "&"]
    reader = _Reader(tokens[::-1])
    whole = reader.row(None)
    return f'<math display="block">{whole}</math>'


class _Reader:
    def __init__(self, pending: list[str]) -> None:
        self.pending = pending

    def row(self, stop: str | None) -> str:
        """The elements up to the token `stop`, which is read too, or to the end."""
        parts = []
        while True:
            if not self.pending:
                if stop is not None:
                    raise ValueError(f"LaTeX ends without {stop!r}")
                break
            if self.pending[-1] == stop:
                self.pending.pop()
                break
            parts.append(self.scripted())
        return parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>"

    def scripted(self) -> str:
        """An element with what stands above and below it."""
        base, scripts = self.atom(), dict[str, str]()
        while self.pending and self.pending[-1] in "^_":
            mark = self.pending.pop()
            scripts[mark] = self.atom()
        match scripts:
            case {"_": below, "^": above}:
                return f"<msubsup>{base}{below}{above}</msubsup>"
            case {"_": below}:
                return f"<msub>{base}{below}</msub>"
            case {"^": above}:
                return f"<msup>{base}{above}</msup>"
        return base

    def atom(self) -> str:
        token = self.pending.pop()
        name = token[1:]
        if token == "{":
            return self.row("}")
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token in SPACES:
            return '<mspace width="0.2em"/>'
        if token[0] != "\\":
            return f"<mi>{escape(token)}</mi>" if token.isalpha() else f"<mo>{escape(MINUS.get(token, token))}</mo>"
        if name in UPRIGHT:
            words = self.raw()
            return f"<mi{' mathvariant=' + NORMAL if len(words) == 1 and name != 'mathit' else ''}>{escape(words)}</mi>"
        if name in ("frac", "sqrt", "left"):
            made: Callable[[], str] = getattr(self, name)
            return made()
        if name.lower() in GREEK:
            return f"<mi>{GREEK[name] if name in GREEK else GREEK[name.lower()].upper()}</mi>"
        if name in FUNCTIONS:
            return f"<mi>{name}</mi>"
        if name in SIGNS:
            return f"<mo>{SIGNS[name]}</mo>"
        raise ValueError(f"LaTeX has the unknown command {token!r}")

    def raw(self) -> str:
        """The text of a group in braces."""
        words, token = [], self.pending.pop()
        while self.pending and (token := self.pending.pop()) != "}":
            words.append(token.removeprefix("\\"))
        return "".join(words)

    def frac(self) -> str:
        partial = self.pending[-2:-1] == [r"\partial"]
        return f"<mfrac{' class=' + GRADIENT if partial else ''}>{self.atom()}{self.atom()}</mfrac>"

    def sqrt(self) -> str:
        return f"<msqrt>{self.atom()}</msqrt>"

    def left(self) -> str:
        opening = self.fence()
        inside = []
        while self.pending[-1:] != [r"\right"]:
            if not self.pending:
                raise ValueError("LaTeX ends without '\\right'")
            inside.append(self.scripted())
        self.pending.pop()
        closing = self.fence()
        return f"<mrow>{opening}{''.join(inside)}{closing}</mrow>"

    def fence(self) -> str:
        sign = self.pending.pop()
        return f"<mo>{escape(SIGNS.get(sign[1:], sign) if sign[0] == chr(92) else sign)}</mo>"


MINUS: Mapping[str, str] = {"-": "−"}
NORMAL, GRADIENT = '"normal"', '"gradient"'
