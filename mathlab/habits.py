"""What other tools, languages and articles write, and what is written here in its place.

The tables of words stand in `habits.txt`: functions, optimizers and their settings, layers, losses, keys, commands,
options. Messages look up what was written and could not be read; nothing is accepted by these tables.
"""

from __future__ import annotations

import ast
import difflib
import functools
import itertools
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from mathlab.signs import tables

TABLES = [dict(rows) for rows in tables(Path(__file__).with_suffix(".txt"), ": ").values()]
FUNCTIONS, HERE, COMMANDS, OPTIONS, EXAMPLES, CONSTANTS, SETS, BEYOND, INSTEAD, NUMERALS = TABLES
NOWHERE, MODULES, DERIVED = (frozenset(words.split()) for words in SETS.values())


def _turned(*tables: Mapping[str, str]) -> Mapping[str, Sequence[str]]:
    """From each word to what it may mean."""
    found: dict[str, list[str]] = {}
    for here, words in itertools.chain(*(table.items() for table in tables)):
        for word in words.split():
            found.setdefault(word, []).append(here)
    return found


CALLED = _turned(FUNCTIONS)
ELSEWHERE = _turned(FUNCTIONS, HERE)
SHORT = 2  # characters of a value's name, rather than a misspelt function's
OVER = {"\N{COMBINING CIRCUMFLEX ACCENT}": "hat", "\N{COMBINING TILDE}": "tilde", "\N{COMBINING MACRON}": "bar"}


@functools.lru_cache(10_000)
def folded(word: str) -> str:
    """A word without what tools differ in: case, '_' and '-', and the 'Loss' behind a loss."""
    path = re.sub(r"\(.*", "", word).split(".")
    plain = unicodedata.normalize("NFD", path[-1] if path[0] in MODULES else ".".join(path))
    plain = "".join(map(_spelt, re.sub(r"[\s_-]", "", plain)))
    plain = plain.casefold() if plain.isascii() else plain  # Σ is no σ
    return plain.removesuffix("loss") or plain


def _spelt(sign: str) -> str:
    """A Greek letter as its name, and what stands over a letter as people write it behind it: ŷ is yhat."""
    called = unicodedata.name(sign, "")
    return called.split()[-1].lower() if called.startswith("GREEK SMALL LETTER ") else OVER.get(sign, sign)


def here(word: str, known: Iterable[str] = ()) -> str:
    """What another tool's word is among the `known` ones; empty where nothing is known of it."""
    words, called = {*known}, folded(word)
    forms = (called, f"{called}s", called.removesuffix("s"))[: 3 if len(called) > SHORT else 1]  # or several of it
    return next((one for form in forms for one in ELSEWHERE.get(form, ()) if one in words), "")


def below(section: str, name: str, keys: Collection[str]) -> str:
    """Where a section with these keys has what is called `name`, and as what; empty where it has no place for it."""
    if name in keys:
        return f"'{section}'"
    meant = here(name, keys)
    if meant in ("", "grid"):
        return ""
    return f"'{section}', in its '{meant}'" if meant == "optimizer" else f"'{section}', as '{meant}'"


def expression(word: str) -> str:
    """What is written in the place of another tool's function, where that is no function here."""
    return next((one for one in CALLED.get(folded(word), ()) if not one.isidentifier()), "")


def function(word: str, args: Sequence[str], known: Mapping[str, Sequence[str]]) -> str:
    """A hint for a call of what is no function here; the `known` ones are given with their arguments' names."""
    if word in DERIVED and args and args[-1].isidentifier():
        return f"; the gradient of {args[-1]} is written d{args[-1]}"
    if (name := first(word)) in known and folded(name) != folded(word):
        return f"; write {name}({', '.join(known[name])})"
    instead = expression(word)
    return f"; write {instead}" if instead else ""


def derivative(word: str) -> str:
    """The function whose derivative is meant by `tanh_prime` or `drelu`; empty for other words."""
    found = re.fullmatch(r"d(\w+)|(\w+?)(?:prime|deriv(?:ative)?|grad(?:ient)?|backward)", folded(word))
    return first(found[1] or found[2]) if found else ""


def value(word: str, args: Sequence[str]) -> str:
    """A hint for who calls what could be a value, which has a short name: for an entry of it, or for a product."""
    if not re.fullmatch(rf"\w{{1,{SHORT}}}|d\w\d", word) or not args:
        return ""
    if all(re.fullmatch(r"-?\d+", arg) for arg in args):
        return f"; an entry is written {word}[{', '.join(args)}]"
    if len(args) > 1:
        return ""
    entry = f", an entry {word}[{args[0]}]" if re.fullmatch(r"[^\W\d]\w*( [-+] \d+)?", args[0]) else ""
    return f"; a product is written {word} * ({args[0] if entry else '...'}){entry}"


def misplaced(key: str) -> str:
    """What is wrong with a section, or a loop, that stands inside another one, where there is room for none."""
    if re.match("(?i:for|while) ", key):
        return "loops stand in 'equations' and 'derivation'; elsewhere a step is named, as h3 and dh3 are"
    return f"'{key}' is a section of its own, and no part of the one that it is indented under" * (key in EXAMPLES)


def attribute(owner: str, name: str) -> str:
    """What is said of `owner.name`."""
    if name == "grad" and owner.isidentifier():
        return f"the gradient of {owner} is d{owner}"
    instead = name if owner in ("self", "this") else CONSTANTS.get(name) or expression(name)
    return f"write {instead}" if instead else "of attributes only .T and .mT are"


def first(word: str) -> str:
    """What another tool's function is called here, or the word itself."""
    return next(iter(CALLED.get(folded(word), ())), word)


def bare(function: str) -> str:
    """What to write in the place of a function of a module, or of a layer that is made before it is called."""
    function = folded(function) if function[0].isupper() else function  # nn.ReLU
    return expression(function) or f"{first(function)}(...), with nothing before it"


def unbound(owner: ast.expr, shown: str, function: str, more: bool) -> str:
    """What to write in the place of a module's function, or of a method; the owner is `shown`, and may take `more`."""
    root = owner
    while isinstance(root, ast.Attribute):
        root = root.value
    if isinstance(root, ast.Name) and root.id in MODULES:
        return bare(function)
    if function in ("t", "transpose", "T") and not more:
        return f"{shown}.T"
    return expression(function) or f"{first(function)}({shown}{', ...' if more else ''})"


def command(word: str, known: Iterable[str]) -> str:
    """What to write for a command that is none of the `known` ones; empty where nothing is known of it."""
    meant = (here for here, words in COMMANDS.items() if folded(word) in words.split())
    return next((one for one in known if one == folded(word)), "") or next(meant, "")


def option(word: str, known: Iterable[str], commands: Iterable[str]) -> str:
    """A hint for an option that a command, whose `known` ones these are, does not have."""
    options, name = {one for one in known if one.startswith("-")}, folded(word)
    if name in known:
        return f"; it stands without {word}"
    if name in commands:
        return f"; that is a command: mathlab {name}"
    checks = ("step", "rtol") if "--config" in options and "--rtol" not in options else ()
    settings = ("lr", "epochs", "batch_size", "seed", "momentum", "dtype", *checks)
    if setting := next((one for one in settings if folded(one) == name), here(name, settings)):
        target = setting if setting == "dtype" else f"train.{setting}"
        settable = "--set" in options and setting not in checks
        return f"; write --set {target}=VALUE" if settable else f"; {setting} stands in the config"
    there = (one for one in OPTIONS if one.split()[0] in options or not one.startswith("-"))
    written = (one for one in there if name in OPTIONS[one].split())
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.75)
    return next((f"; write {one}" for one in (*written, *close)), "")
