"""`{file: x.npy}`: arrays from files beside the config (`csvfiles` reads CSV), and what a config may do."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from mathlab.config.yamltext import Tree
from mathlab.errors import MathlabError, did_you_mean
from mathlab.experiment import Allowed
from mathlab.files import near, note

if TYPE_CHECKING:
    from numpy.lib.npyio import NpzFile

    from mathlab.config.csvfiles import Sheet

T = TypeVar("T")

LARGEST = 10**8  # entries of one array: 800 MB of float64
LARGEST_DRAWN = 35_000_000  # entries that one config draws: 280 MB
LISTED = 10  # arrays of a file that are named
LARGEST_PACKED = 50_000_000  # bytes that any archive may unpack to; from there on
MOST_PACKED = 100  # bytes for each of its own, which data does not come near and a bomb goes beyond

Numbers = NDArray[np.floating | np.integer]


class DataError(Exception):
    """A data file that cannot be used, in one sentence."""


@dataclass
class Permits:
    """`folder` is the config's own. `drawn` counts entries: a thousand small arrays are as large as one.

    What is read is `kept`, for all cases that inherit it, and so are the `sheets` of CSV files.
    """

    folder: Path
    allowed: Allowed
    drawn: int = 0
    sheets: dict[tuple[Path, bool | None], Sheet] = field(default_factory=dict)
    kept: dict[tuple[object, ...], tuple[tuple[Tree, ...], object]] = field(default_factory=dict)

    def once(self, read: Callable[..., T], *parts: Tree) -> T:
        """What `read` makes of parts of the tree."""
        key = read, *map(id, parts)
        if key not in self.kept:
            try:
                found: object = read(*parts)
            except MathlabError as error:
                found = error
            self.kept[key] = parts, found  # with the parts, so that nothing else gets their ids
        _, found = self.kept[key]
        if isinstance(found, MathlabError):
            raise found
        return cast(T, found)


_current: ContextVar[Permits | None] = ContextVar("permits", default=None)


@contextmanager
def permits(folder: Path, allowed: Allowed) -> Iterator[None]:
    """While a config is read: the readers of its parts know that part alone, and ask `current` for the rest."""
    token = _current.set(Permits(folder, allowed))
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Permits:
    """The permits of the config that is being read; outside of one, nothing is allowed."""
    return _current.get() or Permits(Path(), Allowed())


def beside(folder: Path, name: str, allowed: Sequence[Path] = ()) -> Path:
    """The file `name`, below the config's `folder` or those `allowed`, links followed. Raises DataError."""
    if Path(name).is_absolute() and not allowed:
        raise DataError(f"a data file is named relative to the config, not as {name!r}")
    try:
        path = (folder / name).resolve()
        inside = any(path.is_relative_to(home.resolve()) for home in (folder, *allowed))
        there = inside and path.is_file()
    except (OSError, ValueError, RuntimeError):  # a NUL character, a name too long, a circle of links
        raise DataError(f"{name!r} cannot be the name of a file") from None
    if not inside:
        raise DataError(f"{name!r} lies outside the folder of the config; --allow-files permits another one")
    if not there:
        raise DataError(f"the file {name!r} does not exist{near(path, (path.suffix,))}")
    note(path)
    return path


def read_numpy(path: Path, array: str | None) -> Numbers:
    """The array of a .npy file, or that `array` of a .npz file, floats as float64 at most. Raises DataError."""
    (entries,) = load_numpy(path, lambda names: [_only(names, array, path.name)]).values()
    if not isinstance(entries, np.ndarray) or entries.dtype.kind not in "iuf":
        raise DataError(f"{path.name} does not hold an array of real numbers")
    if not 0 < entries.size <= LARGEST:
        raise DataError(f"{path.name} holds {entries.size} entries; 1 to {LARGEST} can be used")
    kept = entries.dtype.newbyteorder("=") if entries.dtype.itemsize <= 8 else np.dtype(np.float64)
    values = np.array(entries, dtype=kept, order="C")
    if not (np.isfinite(values.min()) and np.isfinite(values.max())):  # nan is both
        raise DataError(f"{path.name} holds a number that is not finite")
    return values


def load_numpy(path: Path, choose: Callable[[Sequence[str]], Sequence[str]] = list) -> dict[str, NDArray[np.generic]]:
    """A .npz file's arrays, as chosen by their names, or that of a .npy file. Raises DataError, also for pickles."""
    try:
        if path.suffix.lower() != ".npz":  # mapped, so that a file that is too large is refused before it is read
            return {path.stem: np.load(path, mmap_mode="r", allow_pickle=False)}
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[_unpackable(archive, name)] for name in choose(archive.files)}
    except (DataError, MemoryError):
        raise
    except Exception as error:  # NumPy and zipfile stumble over a broken or hostile file in a dozen ways
        pickled = "; it holds pickled objects, which are not read" if "object arrays" in str(error).casefold() else ""
        raise DataError(f"{path.name} is not a NumPy file of numbers{pickled}") from None


def read_text(path: Path) -> Numbers:
    """The numbers of a text file, parted by blanks or commas; whole numbers where all are. Raises DataError."""
    if path.stat().st_size > 32 * LARGEST:
        raise DataError(f"{path.name} is too large; {LARGEST} entries can be used")
    with path.open("rb") as file:
        commas = any(b"," in line.partition(b"#")[0] for line in file.read(1 << 16).splitlines())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there are none is told below
            values = np.loadtxt(path, delimiter="," if commas else None, encoding="utf-8")
    except ValueError as error:
        why = str(error).split(";")[0].rstrip(".")
        raise DataError(f"{path.name} is no table of numbers: {why}") from None
    if not values.size or not np.isfinite(values).all():
        raise DataError(f"{path.name} holds {'a number that is not finite' if values.size else 'no numbers'}")
    whole = bool(np.all(values == np.round(values)) and np.abs(values).max() < 1 << 53)
    return values.astype(np.int64) if whole else values


def _unpackable(archive: NpzFile, name: str) -> str:
    """`name`, when the archive packs that array no tighter than data can be. Raises DataError for a bomb."""
    assert archive.zip is not None  # as long as it is open
    packed = next(info for info in archive.zip.infolist() if info.filename in (name, f"{name}.npy"))
    if packed.file_size > max(LARGEST_PACKED, MOST_PACKED * packed.compress_size):
        raise DataError(f"the array {name!r} would unpack to {packed.file_size} bytes, which is too large")
    return name


def _only(names: Sequence[str], wanted: str | None, file: str) -> str:
    if wanted in names:
        return str(wanted)
    if wanted is not None:
        raise DataError(f"{file} has no array {wanted!r}{did_you_mean(wanted, names)}")
    if len(names) != 1:
        listed = ", ".join([*names[:LISTED], *(["..."] if len(names) > LISTED else [])])
        raise DataError(f"{file} holds {len(names)} arrays ({listed}); choose one with 'array'")
    return names[0]
