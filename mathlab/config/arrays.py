"""Trees -> arrays: written out, drawn from a seeded generator, or read from a file beside the config."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mathlab.config import datafiles, initial
from mathlab.config.formulas import formula
from mathlab.config.keys import Keys, key, parsed
from mathlab.config.permits import current
from mathlab.config.values import array, choice, flag, gather, number, positive, text, whole
from mathlab.config.yamltext import Row, Scalar, Table, Tree
from mathlab.errors import MathlabError, Place
from mathlab.experiment import Recipe, Value
from mathlab.language.equation import Equation
from mathlab.language.shapes import MOST_AXES
from mathlab.language.syntax import names


def value(tree: Tree) -> Value:
    """A number, a nested list, initial values, or a data file."""
    if not isinstance(tree, Table):
        return array(tree)
    if "init" in tree:
        return _initial(tree)
    if "file" in tree:
        return _data(tree)
    raise MathlabError("a mapping that is a value says either 'init' or 'file'", tree.place)


def axes(tree: Tree) -> tuple[int, ...]:
    """The length of each axis; that of the only one may stand for itself."""
    lengths = gather(partial(whole, least=1), tree if isinstance(tree, Row) else [tree])
    if not lengths:
        raise MathlabError("a shape has at least one axis", tree.place)
    if len(lengths) > MOST_AXES:
        raise MathlabError(f"an array has at most {MOST_AXES} axes, not {len(lengths)}", tree.place)
    if math.prod(lengths) > datafiles.LARGEST:
        raise MathlabError(f"an array of {math.prod(lengths)} entries is too large", tree.place)
    return tuple(lengths)


@dataclass(frozen=True)
class InitText(Keys):
    """`{init: he, shape: [784, 128], seed: 0}`; see `initial.settings_of` for the settings and their defaults."""

    init: str = key(partial(choice, known=initial.INITS, what="init"))
    shape: tuple[int, ...] = key(axes)
    seed: int = key(whole, 0)
    scale: float = key(number, 1.0)
    low: float | None = key(number, None)
    high: float | None = key(number, None)
    mean: float | None = key(number, None)
    std: float | None = key(positive, None)
    value: float | None = key(number, None)
    fan_in: float | None = key(positive, None)
    fan_out: float | None = key(positive, None)


def _initial(tree: Table) -> Value:
    spec = parsed(InitText)(tree)
    allowed = initial.INITS[spec.init].settings
    optional = ("low", "high", "mean", "std", "value", "fan_in", "fan_out")
    given = {name: number for name in optional if (number := getattr(spec, name)) is not None}
    for setting in given.keys() - set(allowed):
        has = f"; it has {', '.join(allowed)}" if allowed else ""
        raise MathlabError(f"{spec.init} has no setting '{setting}'{has}", tree.key(setting).place)
    settings = initial.settings_of(spec.init, spec.shape, given)
    for setting in allowed:
        if setting not in settings:
            raise MathlabError(f"{spec.init} needs its setting '{setting}'", tree.place)
    recipe = Recipe(spec.init, spec.shape, spec.seed, spec.scale, settings)
    current().draw(math.prod(spec.shape), tree.place)
    return Value(drawn(recipe, tree.place), tree.place, recipe=recipe)


def drawn(recipe: Recipe, place: Place | None) -> initial.Drawn:
    """The array that a recipe draws. Raises MathlabError, at `place`, where its numbers do not fit or are too large."""
    low, high = (recipe.settings.get(bound, 0.0) for bound in ("low", "high"))
    if low > high:
        raise MathlabError(f"low ({low:g}) is above high ({high:g})", place)
    if math.isinf(high - low):
        raise MathlabError("from low to high is further than float64 can say", place)
    with np.errstate(all="ignore"):
        array = initial.draw(recipe.init, recipe.shape, recipe.seed, recipe.scale, recipe.settings)
    if not np.isfinite(array).all():
        raise MathlabError("these initial values are not finite", place)
    return array


def column_names(tree: Tree) -> tuple[str, ...]:
    """One column, or a list of them."""
    if not isinstance(tree, Row):
        return (text(tree),)
    if not tree:
        raise MathlabError("no column is named", tree.place)
    return tuple(gather(text, tree))


@dataclass(frozen=True)
class DataText(Keys):
    """`{file: digits.csv, columns: pixel0..pixel783, divide_by: 255}`; see `datafiles`."""

    file: str = key(text)
    array: str | None = key(text, None)
    columns: tuple[str, ...] | None = key(column_names, None)
    but: tuple[str, ...] = key(column_names, ())
    header: bool | None = key(flag, None)
    divide_by: float = key(positive, 1.0)


KEYS_OF_FILES = {
    ".csv": {"file", "divide_by", "columns", "but", "header"},
    ".txt": {"file", "divide_by"},
    ".npy": {"file", "divide_by"},
    ".npz": {"file", "divide_by", "array"},
}


def _columns(path: Path, spec: DataText) -> datafiles.Numbers:
    """The columns of a CSV file; those that other values of the config name are read along."""
    from mathlab.config.csvfiles import Columns, read_csv  # only here: few configs have one

    read, own = current().read, Columns(spec.columns, spec.but)
    found = read.get((path, spec.header), {})
    if own not in found:
        alike = (other for other in _specs(current().tree) if (other.file, other.header) == (spec.file, spec.header))
        others = [Columns(other.columns, other.but) for other in alike]
        found = read[path, spec.header] = read_csv(path, [own, *others], spec.header)
    if isinstance(entries := found[own], datafiles.DataError):
        raise entries
    return entries


def _specs(tree: Tree | None) -> Iterator[DataText]:
    """The data files that a config names, as far as they can be read."""
    parts: Iterable[Tree] = tree.values() if isinstance(tree, Table) else tree if isinstance(tree, Row) else ()
    if isinstance(tree, Table) and "file" in tree:
        with suppress(MathlabError):
            yield parsed(DataText)(tree)
    for part in parts:
        yield from _specs(part)


def _data(tree: Table) -> Value:
    spec = parsed(DataText)(tree)
    suffix = Path(spec.file).suffix.lower()
    if suffix not in KEYS_OF_FILES:
        raise MathlabError("a data file is a .csv, .txt, .npy or .npz file", tree["file"].place)
    for unused in tree.keys() - KEYS_OF_FILES[suffix]:
        raise MathlabError(f"'{unused}' has no meaning for a {suffix} file", tree.key(unused).place)
    try:
        path = datafiles.beside(current().folder, spec.file, current().allowed.files)
        if suffix == ".csv":
            entries = _columns(path, spec)
        else:
            entries = datafiles.read_text(path) if suffix == ".txt" else datafiles.read_numpy(path, spec.array)
    except datafiles.DataError as error:
        raise MathlabError(str(error), tree["file"].place) from None
    integral = spec.divide_by == 1 and entries.dtype.kind in "iu"
    return Value(entries, tree.place, integral, spec.divide_by, from_file=True)


def upstream(tree: Tree) -> Value | Equation:
    """The gradient of the end: a value, or an expression in which an input is named."""
    if isinstance(tree, Scalar) and any(letter.isalpha() for letter in tree):
        with suppress(MathlabError):
            if names((found := formula(tree)).expr):
                return found
    return value(tree)
