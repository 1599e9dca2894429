"""Trees -> arrays: written out, drawn from a seeded generator, or read from a file beside the config."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mathlab.config import datafiles
from mathlab.config import values as read
from mathlab.config.keys import Keys, current, formula
from mathlab.config.values import TEXT, any_of, reader, reference, several
from mathlab.config.yamltext import Scalar, Table, Tree
from mathlab.errors import MathlabError, Place
from mathlab.experiment import Recipe, Value
from mathlab.language.equation import Equation
from mathlab.language.shapes import MOST_AXES, Shape
from mathlab.language.syntax import Num

Settings = Mapping[str, float]
Drawn = NDArray[np.float64]

DEFAULTS: Settings = {"low": 0.0, "high": 1.0, "mean": 0.0, "std": 1.0}


class Init(NamedTuple):
    """A way to draw an array. `settings` names what it may be told; one that has no default must be given."""

    settings: tuple[str, ...]
    draw: Callable[[np.random.Generator, Shape, Settings], Drawn]


INITS: Mapping[str, Init] = {
    # He et al. 2015, eq. 10
    "he": Init(("fan_in",), lambda rng, shape, given: rng.normal(0.0, math.sqrt(2 / given["fan_in"]), shape)),
    # Glorot & Bengio 2010, eq. 16: uniform, so that the variance is 2 / (fan_in + fan_out)
    "xavier": Init(
        ("fan_in", "fan_out"),
        lambda rng, shape, given: math.sqrt(6 / (given["fan_in"] + given["fan_out"])) * rng.uniform(-1.0, 1.0, shape),
    ),
    "normal": Init(("mean", "std"), lambda rng, shape, given: rng.normal(given["mean"], given["std"], shape)),
    "uniform": Init(("low", "high"), lambda rng, shape, given: rng.uniform(given["low"], given["high"], shape)),
    "zeros": Init((), lambda rng, shape, given: np.zeros(shape)),
    "ones": Init((), lambda rng, shape, given: np.ones(shape)),
    "constant": Init(("value",), lambda rng, shape, given: np.full(shape, given["value"])),
}


@reader(reference("value"))
def value(tree: Tree) -> Value:
    """A number, a nested list, initial values, or a data file."""
    if not isinstance(tree, Table):
        return read.array(tree)
    if "init" in tree:
        return INITIAL(tree, tree=tree)
    if "file" in tree:
        return DATA(tree, tree=tree)
    read.in_order(tree)
    example = "as in {init: normal, shape: [2, 3], seed: 0} and {file: w.csv}"
    raise MathlabError(f"a mapping that is a value says either 'init' or 'file', {example}", tree.place)


lengths_of = several(read.counted, "a shape has at least one axis")


@reader(lengths_of.schema)
def axes(tree: Tree) -> Shape:
    """The length of each axis; that of the only one may stand for itself."""
    lengths = lengths_of(tree)
    if len(lengths) > MOST_AXES:
        raise MathlabError(f"an array has at most {MOST_AXES} axes, not {len(lengths)}", tree.place)
    if math.prod(lengths) > datafiles.LARGEST:
        raise MathlabError(f"an array of {math.prod(lengths)} entries is too large", tree.place)
    return lengths


def _initial(*, tree: Table, init: str, shape: Shape, seed: int = 0, scale: float = 1.0, **given: float) -> Value:
    """The array that is drawn, with defaults for settings that are not given.

    fan_in is the first axis and fan_out the last, as for rows of samples (`X @ W`, W of shape (in, out)); where the
    article has columns (`W @ x`, W of shape (out, in)) the config says `fan_in` itself.
    """
    known = {**DEFAULTS, "fan_in": shape[0], "fan_out": shape[-1], **given}
    allowed = INITS[init].settings
    for setting in given:
        if setting not in allowed:
            has = f"; it has {', '.join(allowed)}" if allowed else ""
            raise MathlabError(f"{init} has no setting '{setting}'{has}", tree.key(setting).place)
    for setting in allowed:
        if setting not in known:
            raise MathlabError(f"{init} needs its setting '{setting}'", tree.place)
    recipe = Recipe(init, shape, seed, scale, {name: known[name] for name in allowed})
    (permits := current()).drawn += math.prod(shape)
    if permits.drawn > (most := datafiles.LARGEST_DRAWN) and not permits.allowed.large:
        problem = f"initial values of {permits.drawn} entries are too large ({most} are the limit)"
        raise MathlabError(f"{problem}; --allow-large permits them", tree.place)
    return Value(drawn(recipe, tree.place), tree.place, recipe=recipe)


INITIAL = Keys(
    "`{init: he, shape: [784, 128], seed: 0}`: initial values that are drawn.",
    _initial,
    {
        "init": read.one_of([*INITS], "init"),
        "shape": axes,
        "seed": read.whole,
        **dict.fromkeys(("scale", "low", "high", "mean"), read.number),
        "std": read.positive,
        "value": read.number,
        **dict.fromkeys(("fan_in", "fan_out"), read.positive),
    },
    needed=("init", "shape"),
)


def drawn(recipe: Recipe, place: Place | None) -> Drawn:
    """The array that a recipe draws, equal for equal seeds. Raises MathlabError, at `place`, where it cannot."""
    low, high = (recipe.settings.get(bound, 0.0) for bound in ("low", "high"))
    if low > high:
        raise MathlabError(f"low ({low:g}) is above high ({high:g})", place)
    if math.isinf(high - low):
        raise MathlabError("from low to high is further than float64 can say", place)
    with np.errstate(all="ignore"):
        rng = np.random.default_rng(recipe.seed)
        array = recipe.scale * INITS[recipe.init].draw(rng, recipe.shape, recipe.settings)
    if not np.isfinite(array).all():
        raise MathlabError("these initial values are not finite", place)
    return array


KEYS_OF_FILES = {".csv": ("columns", "but", "header"), ".txt": (), ".npy": (), ".npz": ("array",)}
OTHER_FILES = {
    ".xls .xlsx .ods .numbers": "a sheet is saved as CSV",
    ".pt .pth .pkl .pickle .mat .h5 .hdf5 .json .safetensors .parquet .rds": "numpy.savez('w.npz', ...) writes one",
}


def _data(
    *,
    tree: Table,
    file: str,
    array: str | None = None,
    columns: Sequence[str] | None = None,
    but: Sequence[str] = (),
    header: bool | None = None,
    divide_by: float = 1.0,
) -> Value:
    """What is wanted of a file; a CSV file is read once for all values of the config."""
    suffix = Path(file).suffix.lower()
    if suffix not in KEYS_OF_FILES:
        hint = next((f"; {how}" for suffixes, how in OTHER_FILES.items() if suffix in suffixes.split()), "")
        raise MathlabError(f"a data file is a .csv, .txt, .npy or .npz file{hint}", tree["file"].place)
    for unused in tree.keys() - {"file", "divide_by", *KEYS_OF_FILES[suffix]}:
        raise MathlabError(f"'{unused}' has no meaning for a {suffix} file", tree.key(unused).place)
    try:
        path = datafiles.beside(current().folder, file, current().allowed.files)
        if suffix in (".csv", ".txt"):
            sheet = current().sheet(path, header if suffix == ".csv" else False)
            entries = datafiles.select(sheet, columns, but)
            entries = entries.squeeze() if suffix == ".txt" else entries
        else:
            entries = datafiles.read_numpy(path, array)
    except MathlabError as error:
        raise MathlabError(str(error), tree["file"].place) from None
    return Value(entries, tree.place, divide_by == 1 and entries.dtype.kind in "iu", divide_by, from_file=True)


DATA = Keys(
    "`{file: digits.csv, columns: pixel0..pixel783, divide_by: 255}`: numbers of a file beside the config.",
    _data,
    {
        **dict.fromkeys(("file", "array"), read.text),
        **dict.fromkeys(("columns", "but"), several(read.text, "no column is named")),
        "header": read.flag,
        "divide_by": read.positive,
    },
    needed=("file",),
)


@reader(any_of(reference("value"), TEXT))
def upstream(tree: Tree) -> Value | Equation:
    """The gradient of the end: a value, or an expression of inputs."""
    if isinstance(tree, Scalar) and any(letter.isalpha() for letter in tree):
        with suppress(MathlabError):
            if not isinstance((found := formula(tree)).expr, Num):
                return found
    return value(tree)
