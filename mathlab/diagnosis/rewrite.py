"""How a mistake is written down: a pattern and what stands in its place; a rule makes such changes to one part.

A rule is tried at every part of every equation, so it needs to know nothing of the article.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from mathlab.errors import ExpressionError
from mathlab.language.check import Types, read
from mathlab.language.ops import ACTIVATIONS, OPS
from mathlab.language.syntax import COMPARISONS, Call, Expr, Name, Num, names, parse, unparse
from mathlab.language.terms import ARITHMETIC, factors, product, terms

MASKS = frozenset(COMPARISONS)
GATES = ("sigmoid", "softmax")
SMALL = 1e-3  # numbers below are there to keep something from being 0
FOLDED = ("add", "sub", "mul", "div")  # of numbers
INSTEAD = "`new` stands in place of `old`"
LIKE = ("sum", "mean", "max", "softmax", "concat", "avg_pool", "max_pool", "conv2d")
WHOLE, SETTINGS = "old", "settings"  # what else a pattern finds: the part itself, and the call whose settings it has

text = lru_cache(50_000)(unparse)
parsed = cache(parse)  # patterns, what may stand in their place, and words: read when they are first looked at


class Names(NamedTuple):
    """What a rule must know about names, and where it is."""

    types: Types
    gradients: frozenset[str]
    parameters: frozenset[str]
    nodes: Mapping[str, str] = {}  # that gradients, and parts of them, are of
    forward: Mapping[str, Expr] = {}
    backward: Mapping[str, Expr] = {}
    closed: Mapping[str, Expr] = {}  # gradients as they are derived by hand, in one line
    pieces: Sequence[Call] = ()  # entries of arrays, and what is made of one name, in the forward equations
    place: Mapping[str, tuple[str, int]] = {}  # what each looks like, and its number of these
    beside: Mapping[str, Sequence[str]] = {}  # what it is in the next step, and the one before
    complemented: frozenset[str] = frozenset()  # the names v that are somewhere read as 1 - v
    orders: Mapping[str, int] = {}  # in which the rows of each input may stand
    numbers: Sequence[tuple[float, str]] = ()  # by which something may be multiplied, and what each is
    rates: Sequence[float] = ()  # learning rates
    target: str = ""  # the equation that is changed
    owner: str = ""  # the node whose gradient is handed on there
    root: bool = False  # the part is all of the equation
    summand: str = ""  # the sum, add or sub, of which it is a term

    def shape(self, expr: Expr) -> tuple[int, ...]:
        """() for what a change may make of it that is nothing: 0 / 0."""
        try:
            return self.types.of(expr).shape
        except ExpressionError:
            return ()

    def single(self, factor: Expr) -> bool:
        """Whether it is one number in the equation of an array."""
        return not self.shape(factor) and self.types.names[self.target].shape > ()

    def carries(self, expr: Expr) -> bool:
        """Whether a gradient is handed on by the expression."""
        return not self.gradients.isdisjoint(names(expr))

    @property
    def mine(self) -> str:
        """The node whose equation, or whose gradient's, is changed."""
        return self.node(self.target)

    def node(self, name: str) -> str:
        """The node that a gradient, or a part of one, is of; any other name is its own."""
        return self.nodes.get(name, name)

    def reads(self, name: str) -> Sequence[str]:
        """What a node is computed from, each once."""
        return names(self.forward[name]) if name in self.forward else ()

    def made(self, name: str) -> str:
        """The op that makes a node."""
        return getattr(self.forward.get(name), "op", "")

    def readers(self, name: str) -> list[str]:
        """What is computed from a node."""
        return [other for other in self.forward if name in self.reads(other)]

    def activations(self) -> Iterator[tuple[Name, Call]]:
        """The activations of the own node: what each is called, and the op."""
        for name in self.readers(self.mine):
            match self.forward[name]:
                case Call(op, (Name(inner), *_)) as call if op in ACTIVATIONS and inner == self.mine:
                    yield Name(name), call

    def kin(self, name: str, deep: int = 2) -> frozenset[str]:
        """The parameters that a node is computed with, or what it reads: the same in every step, not in every gate."""
        if name in self.parameters or not deep:
            return frozenset({name} & self.parameters)
        some = (self.kin(other, deep - (other not in self.parameters)) for other in self.reads(name))
        return frozenset().union(*some)

    def seen(self, name: str) -> str:
        """A name as it looks from the owner: itself, the first that it reads, what reads it, the gradient of one."""
        node = self.node(name)
        d = "d" if node != name else ""
        if node == self.owner:
            return f"{d}_self"
        if node in self.reads(self.owner):
            return f"{d}_in{self.reads(self.owner).index(node)}"
        if node == self.mine:
            return f"{d}_target"
        if self.owner in self.reads(node):
            return f"{d}_out{self.reads(node).index(self.owner)}"
        return f"{d}_far{self.place[node][0]}" if node in self.place else name


# what went wrong, the part as it then reads, how much less likely that is, and what it shares with changes elsewhere
Change = tuple[str, Expr] | tuple[str, Expr, float] | tuple[str, Expr, float, str]
Rule = Callable[[Expr, Names], Iterator[Change]]
Found = Mapping[str, Expr]


# What a letter of a pattern stands for; any other stands for anything.
# A gradient: g hands one on, d is the name of one, D of one that is a single number, h all of that of a node that is no
# parameter and no single number. Numbers: l and j are any, k not 0 or 1, p none that formulas have by themselves, n
# counts something, q was written with a point, e keeps something from being 0; a is none. Masks: m is any, i that of
# the largest in windows. s is a probability or a gate, w a parameter, b an input array, f an activation, u one that is
# no softmax. v is a name, c a call, r all of an equation, M a matrix, S a stack of them.
LETTERS: Mapping[str, Callable[[Expr, Names], bool]] = {
    "g": lambda part, known: known.carries(part),
    "d": lambda part, known: isinstance(part, Name) and part.id in known.gradients and not known.single(part),
    "D": lambda part, known: isinstance(part, Name) and part.id in known.gradients and known.single(part),
    "a": lambda part, known: not isinstance(part, Num),
    "m": lambda part, known: isinstance(part, Call) and part.op in MASKS,
    "i": lambda part, known: isinstance(part, Call) and part.op == "eq" and text(part).startswith("windows("),
    "s": lambda part, known: isinstance(part, Name) and (part.id in known.complemented or known.made(part.id) in GATES),
    "v": lambda part, known: isinstance(part, Name),
    "b": lambda part, known: isinstance(part, Name) and part.id in known.orders and known.shape(part) > (),
    "w": lambda part, known: isinstance(part, Name) and part.id in known.parameters,
    "c": lambda part, known: isinstance(part, Call),
    "k": lambda part, known: isinstance(part, Num) and part.value not in (0, 1),
    "p": lambda part, known: isinstance(part, Num) and abs(part.value) not in (0, 0.5, 1, 2),
    "l": lambda part, known: isinstance(part, Num),
    "j": lambda part, known: isinstance(part, Num),
    "n": lambda part, known: isinstance(part, Num) and part.value > 1 and part.value == int(part.value),
    "q": lambda part, known: isinstance(part, Num) and isinstance(part.value, float),
    "e": lambda part, known: isinstance(part, Num) and 0 < abs(part.value) <= SMALL,
    "r": lambda part, known: known.root and not isinstance(part, Num),
    "h": lambda part, known: (
        known.root and known.mine not in (known.target, *known.parameters) and known.shape(part) > ()
    ),
    "f": lambda part, known: isinstance(part, Call) and part.op in ACTIVATIONS,
    "u": lambda part, known: isinstance(part, Call) and part.op in ACTIVATIONS and "softmax" not in part.op,
    "M": lambda part, known: len(known.shape(part)) == 2,
    "S": lambda part, known: len(known.shape(part)) > 2,
}


def rule_of(lines: Iterable[str], rules: Mapping[str, Rule] = {}) -> Rule:
    """The rule that some lines write down: the names of others, then rows that say what stands in a pattern's place.

    A row is a pattern, what may stand in its place (parted by ";"), the words for it, and how much less likely it is
    than others. What stands between `these` in the words is filled as the rest is; `new` is what now stands there,
    `old` what stood, `op` its op and `inner` what that is of, and `mine` the node whose equation it is in.

    The pattern slope(any) is the derivative of an activation, a factor beside a gradient; slope(any, tanh) that of any
    but tanh. There x is what goes into the activation, y its value, `again` that of this, s the derivative, and `at_x`,
    `at_y` and `at_again` what it is where the activation is taken of, or for, something else. Beside a gradient g, t is
    each of the terms that flow into it, and `of` the node that hands it on; with t, all of the product is replaced.
    """
    others = [rules[line] for line in lines if "|" not in line]
    written = [[*map(str.strip, line.split("|")), "", ""][:4] for line in lines if "|" in line]
    sloped = any(old.startswith("slope(") for old, *_ in written)

    @cache
    def table(op: str) -> list[tuple[Expr, list[str], str, float]]:
        """The rows that may fit what an op makes: most fit none of it."""
        rows = [row for row in written if getattr(parsed(row[0]), "op", op) in (op, "slope")]
        return [(parsed(old), new.split(" ; "), words or INSTEAD, float(rank or 0)) for old, new, words, rank in rows]

    def rule(part: Expr, known: Names) -> Iterator[Change]:
        for other in others:
            yield from other(part, known)
        op, inner = (part.op, part.args[0]) if isinstance(part, Call) and part.args else ("", part)
        if not (rows := table(op)):
            return
        whole = {WHOLE: part, "op": Name(op), "inner": inner, "mine": Name(known.mine)}
        slopes = [*_slopes(part, known)] if sloped else []
        for pattern, texts, words, rank in rows:
            ops = pattern.args if isinstance(pattern, Call) and pattern.op == "slope" else ()
            if ops:
                places = [at for at in slopes if (at["op"] in ops) != (Name("any") in ops)]
            else:
                places = [*_matches(pattern, part, whole, known)]
            news = [*map(parsed, texts)] if places else []
            flows = any("t" in names(new) for new in news)
            if flows:
                places = [some for found in places for some in _flowing(found, known)]
            for found in places:
                for new in (filled(one, found) for one in news):
                    made = product(found["g"], new) if new and ops and not flows else new
                    if new and made and made != part and new != found.get("s"):
                        said = {**found, "new": new}
                        kind, *place = re.split(r" in `old`| \(`", words)  # what is wrong so elsewhere is alike
                        yield worded(words, said), made, rank, worded(kind, said) if place else ""

    return rule


def _slopes(part: Expr, known: Names) -> Iterator[Found]:
    """The derivatives of activations in a product, and the rest of it, the gradient g."""
    chain = factors(part)
    for y, call in known.activations() if len(chain) > 1 and known.carries(part) else ():
        x, *settings = call.args
        again = Call(call.op, (y, *settings))
        at = {"s": (x, y), "at_x": (x, x), "at_y": (y, again), "at_again": (again, again)}
        found = {name: made for name, place in at.items() if (made := slope(call, *place, known))}
        rest, true = [*chain], factors(found.get("s", Name("none")))
        for factor in true:
            if factor in rest:
                rest.remove(factor)
        if len(rest) == len(chain) - len(true):
            yield {**found, "x": x, "y": y, "again": again, "op": Name(call.op), "g": product(*rest)}


def _flowing(found: Found, known: Names) -> Iterator[Found]:
    """What is found beside each term `t` of the gradient g, and the node `of` that hands it on."""
    g = found["g"]
    whole = known.backward.get(g.id, g) if isinstance(g, Name) else g
    for term in terms(whole):
        read = [known.node(name) for name in names(term) if name in known.gradients]
        # a gradient that is a number is not read by name
        free = [node for node in known.readers(known.node(text(g))) if f"d{node}" not in names(whole)]
        yield {**found, "t": term, "of": Name([*read, *free, known.mine][0])}


def slope(call: Call, x: Expr, y: Expr, known: Names) -> Expr | None:
    """The derivative of an activation at x, where it is y, as the table of ops has it; None for a softmax."""
    rule = OPS[call.op].rule(0, known.types.site(call)) if "softmax" not in call.op else None
    chain = [factor for factor in factors(read(rule)) if factor != Name("g")] if rule else []
    return filled(product(*chain), {"x": x, "y": y, "alpha": call.args[-1]}) if chain else None


def worded(words: str, found: Found) -> str:
    """The words with what stands between `these` filled."""
    return re.sub(r"`(.*?)`", lambda some: text(filled(parsed(some[1]), found) or Num(0)), words)


def _matches(pattern: Expr, part: Expr, found: Found, known: Names) -> Iterator[Found]:
    """What the letters of a pattern may stand for in a part; the factors of a product may stand in either order."""
    if isinstance(pattern, Name):
        if pattern.id in found:
            if found[pattern.id] == part:
                yield found
        elif pattern.id not in LETTERS or LETTERS[pattern.id](part, known):
            yield {**found, pattern.id: part}
    elif isinstance(pattern, Call):
        if isinstance(part, Call) and part.op == pattern.op and len(part.args) == len(pattern.args):
            found = {**found, SETTINGS: part} if part.attrs else found
            for args in (part.args, part.args[::-1]) if part.op == "mul" else (part.args,):
                some = [found]
                for inner, arg in zip(pattern.args, args, strict=True):
                    some = [more for one in some for more in _matches(inner, arg, one, known)]
                yield from some
    elif pattern == part:
        yield found


def filled(template: Expr, found: Found) -> Expr | None:
    """A template with its letters replaced, and what can be computed of it computed; None for what no float holds."""
    if isinstance(template, Name):
        return found.get(template.id, template)
    if not isinstance(template, Call):
        return template
    args = [filled(arg, found) for arg in template.args]
    match template.op, args:
        case _ if None in args:
            return None
        case op, [Num(a), Num(b)] if op in FOLDED:
            value = ARITHMETIC[op](a, b) if b or op != "div" else math.inf
            return Num(value) if abs(value) <= sys.float_info.max else None
        case ("T", [Call("T", (inner,))]) | ("mT", [Call("mT", (inner,))]) | ("neg", [Call("neg", (inner,))]):
            return inner
        case ("mul", [Num(1), inner]) | ("div" | "pow", [inner, Num(1)]):
            return inner
    # what has settings has those of the one that was found
    like = found.get(SETTINGS) if template.op in LIKE else None
    attrs = like.attrs if isinstance(like, Call) else template.attrs
    return Call(template.op, tuple(arg for arg in args if arg is not None), attrs)


def form(written: str, **found: Expr) -> Expr:
    """An expression as it is written, with what some of its names stand for."""
    return filled(read(written), found) or Num(0)
