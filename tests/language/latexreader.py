"""A reader of LaTeX: mathematics as it is printed -> an expression, by the precedence that every reader of it assumes.

It knows nothing of how the lab writes LaTeX but the names of functions. `\\,` is a product of matrices, `\\cdot` one of
numbers or of two vectors, and `\\top` on a vector in second place makes it an outer one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mathlab.language.check import Types, resolve
from mathlab.language.syntax import Call, Expr, Name, NewAxis, Num, Slice, parse

TOKEN = re.compile(
    r"\s*(\\left(?:[(|\[]|\\lVert|\\lfloor)|\\right(?:[)|\]]|\\rVert|\\rfloor)|\\[a-zA-Z]+|\\[,_]|\d+(?:\.\d+)?|[a-zA-Z]|\S)"
)
SIGNS = {">": "gt", r"\geq": "ge", "<": "lt", r"\leq": "le", "=": "eq", r"\neq": "ne"}
UPRIGHT = ("log", "sin", "cos", "tan", "tanh")
FUNCTIONS = {rf"\{name}": name for name in UPRIGHT} | {
    r"\sigma": "sigmoid",
    r"\Phi": "normal_cdf",
    r"\varphi": "normal_pdf",
    r"\max": "maximum",
    r"\min": "minimum",
    "ReLU": "relu",
    "SiLU": "silu",
    "GELU": "gelu",
}


class Reader:
    """Reads one expression; `types` holds the names that may stand in it."""

    def __init__(self, text: str, types: Types) -> None:
        self.types = types
        self.tokens = [*TOKEN.findall(text), ""]

    def read(self) -> Expr:
        """The whole text."""
        expr = self.relation()
        assert self.tokens == [""], self.tokens
        return resolve(expr)

    def take(self, *wanted: str) -> str:
        """The next token, if it is among those wanted; nothing otherwise."""
        return self.tokens.pop(0) if self.tokens[0] and self.tokens[0] in wanted else ""

    def need(self, wanted: str) -> None:
        assert self.take(wanted), (wanted, self.tokens[:9])

    def relation(self) -> Expr:
        left = self.sum()
        sign = self.take(*SIGNS)
        return Call(SIGNS[sign], (left, self.sum())) if sign else left

    def sum(self) -> Expr:
        negative = self.take("-")
        total = self.product()
        if negative:
            total = Num(-total.value) if isinstance(total, Num) else Call("neg", (total,))
        while sign := self.take("+", "-"):
            total = Call("add" if sign == "+" else "sub", (total, self.product()))
        return total

    def product(self) -> Expr:
        left = self.matrices()
        while sign := self.take(r"\cdot", r"\odot"):
            right = self.matrices()
            vectors = self.types.of(resolve(left)).ndim == self.types.of(resolve(right)).ndim == 1
            left = Call("dot" if sign == r"\cdot" and vectors else "mul", (left, right))
        return left

    def matrices(self) -> Expr:
        left = self.power()
        while self.take(r"\,"):
            right = self.power()
            match right:
                case Call("T", (vector,)) if self.types.of(resolve(vector)).ndim == 1:
                    left = Call("outer", (left, vector))
                case _:
                    left = Call("matmul", (left, right))
        return left

    def power(self) -> Expr:
        expr = self.atom()
        if self.take("_"):
            self.need("{")
            if isinstance(expr, Name) and not self.take("["):  # a part of a gradient
                expr = Name(f"{expr.id}_{self.tokens.pop(0)}")
                self.need("}")
                return expr
            if not isinstance(expr, Name):
                self.need("[")
            expr = Call("index", (expr, *self.listed(self.item, "]")))
            self.need("}")
        if self.take("^"):
            self.need("{")
            if self.take(r"\top"):
                expr = Call("T" if self.types.of(resolve(expr)).ndim < 3 else "mT", (expr,))
            else:
                expr = Call("pow", (expr, self.relation()))
            self.need("}")
        assert self.tokens[0] not in ("_", "^"), "a second subscript or superscript"
        return expr

    def listed(self, one: Callable[[], Expr], end: str) -> list[Expr]:
        items = [one()]
        while self.take(","):
            items.append(one())
        self.need(end)
        return items

    def item(self) -> Expr:
        """What stands in an index."""
        if self.take(r"\cdot"):
            return NewAxis()
        text = ""
        while self.tokens[0] in ("-", ":") or self.tokens[0].isdigit():
            text += self.tokens.pop(0)
        if not text:
            return self.relation()
        first, second, third = (int(part) if part else None for part in f"{text}::".split(":")[:3])
        return Slice(first, second, third) if ":" in text else Num(int(text))

    def group(self) -> Expr:
        self.need("{")
        expr = self.relation()
        self.need("}")
        return expr

    def word(self) -> str:
        """A name in braces, letter by letter."""
        self.need("{")
        text = ""
        while not self.take("}"):
            text += self.tokens.pop(0).removeprefix("\\")
        return text

    def atom(self) -> Expr:
        token = self.tokens.pop(0)
        if token == r"\frac":
            if self.tokens[1] == r"\partial":
                return self.gradient()
            return Call("div", (self.group(), self.group()))
        if token == r"\sqrt":
            return Call("sqrt", (self.group(),))
        if token == "e" and self.take("^"):
            return Call("exp", (self.group(),))
        if token in (r"\left(", r"\left|", r"\left\lVert"):
            expr = self.relation()
            self.need(token.replace("left", "right").replace("(", ")").replace("lV", "rV"))
            return {"|": Call("abs", (expr,)), "t": Call("norm", (expr,))}.get(token[-1], expr)
        if token == r"\left\lfloor":
            expr = self.relation()
            self.need(r"\right\rfloor")
            return Call("floor", (expr,))
        if token == r"\left[":
            return Call("array", tuple(self.listed(self.relation, r"\right]")))
        if token[0].isdigit():
            return Num(float(token) if "." in token else int(token))
        name = self.word() if token == r"\operatorname" else token
        if name == "einsum":
            for token in ("_", "{", r"\mathrm"):
                self.need(token)
            left = self.word()
            for token in (r"\to", r"\mathrm"):
                self.need(token)
            subscripts = f"{left}->{self.word()}"
            self.need("}")
            return Call("einsum", self.function(name).args, (("subscripts", subscripts),))
        if self.tokens[0] == r"\left(":
            return self.function(FUNCTIONS.get(name, name))
        return Name(self.name(token))

    def function(self, name: str) -> Call:
        self.need(r"\left(")
        args, settings = [], ""
        while True:
            if self.tokens[0] == r"\mathrm" and "=" in self.tokens[: self.tokens.index("}") + 2]:
                settings += self.setting() + ", "
            else:
                args.append(self.relation())
            if not self.take(","):
                break
        self.need(r"\right)")
        written = parse(f"f({settings})")
        assert isinstance(written, Call)
        if name == "scatter" and isinstance(args[1], Call):
            args[1:] = args[1].args
        return Call(name, tuple(args), written.attrs)

    def setting(self) -> str:
        """`axis=0`, or a list in round brackets, or a word."""
        text = self.name(self.tokens.pop(0)) + "="
        self.need("=")
        if self.tokens[0] == r"\mathrm":
            return text + self.name(self.tokens.pop(0))
        end = r"\right)" if self.tokens[0] == r"\left(" else ""
        while self.tokens[0] not in ((end,) if end else (",", r"\right)")):
            text += self.tokens.pop(0).removeprefix(r"\left")
        return text + self.take(end).removeprefix(r"\right") if end else text

    def gradient(self) -> Expr:
        for token in ("{", r"\partial"):
            self.need(token)
        self.name(self.tokens.pop(0))
        for token in ("}", "{", r"\partial"):
            self.need(token)
        name = self.name(self.tokens.pop(0))
        self.need("}")
        return Name(f"d{name}")

    def name(self, token: str) -> str:
        """A name whose first token is taken, with the subscript that belongs to it."""
        stem = self.word() if token in (r"\mathrm", r"\mathit") else token.removeprefix("\\")
        if self.tokens[:2] == ["_", "{"] and self.tokens[2] != "[":
            self.tokens.pop(0)
            below = self.word()
            return f"{stem}{below}" if f"{stem}{below}" in self.types.names else f"{stem}_{below}"
        return stem
