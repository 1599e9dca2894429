"""The data of a plot drawn by matplotlib, which only this module imports, and only when it draws."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mathlab.errors import MathlabError
from mathlab.experiment import Array
from mathlab.pictures.plots import Drawing
from mathlab.pictures.svg import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MISSING = "plots are drawn by matplotlib, which is not installed: pip install 'mathlab-backprop[plot]'"
COLOURS = ("#0060a0", "#b34700", "#00765a", "#6a3d9a", "#444444")
DASHES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1)))
NUMBERED = 400  # cells of a heat map that are written out
UNSAID = {"svg": ("Date", "Creator"), "pdf": ("CreationDate", "Creator", "Producer"), "png": ("Software",)}  # in a file
LARGEST = 1e150  # an axis computes with squares and differences of its ends, which are numbers too up to here


def plot(made: Drawing, axes: Sequence[Axes]) -> None:
    """Draw the data: tables on an axes each, everything else on the first."""
    for ax, (name, table) in zip(axes, made.tables, strict=False):
        _table(ax, name, table, made)
    if not made.tables:
        _lines(axes[0], made)


def _lines(ax: Axes, made: Drawing) -> None:
    if made.field:
        x, y, z = made.field
        if np.isfinite(height := _drawable(z)).any():
            ax.contourf(x, y, height, levels=24, cmap="viridis", alpha=0.6)
            ax.contour(x, y, height, levels=24, colors="white", linewidths=0.4)
    log, lines = made.log, made.lines
    drawn = [(_drawable(line.x, "x" in log), _drawable(line.y, "y" in log)) for line in lines]
    if not any(np.isfinite(x + y).any() for x, y in drawn):
        log, drawn = "", [(_drawable(line.x), _drawable(line.y)) for line in lines]
    for at, (line, (x, y)) in enumerate(zip(lines, drawn, strict=True)):
        turn, colour = divmod(at, len(COLOURS))  # every turn of the colours has other dashes
        dashes, marker = DASHES[(colour + turn) % len(DASHES)], "o" if made.field else None
        ax.plot(x, y, color=COLOURS[colour], linestyle=dashes, label=line.label, marker=marker, markevery=[-1])
    scales = {f"{axis}scale": "log" if axis in log else "linear" for axis in "xy"}
    ax.set(title=made.title, xlabel=made.x, ylabel=made.y, **scales)
    if not made.field:
        ax.grid(color="#dddddd", linewidth=0.6)
    if len(lines) > 1 or not made.field:
        beside = {"loc": "upper left", "bbox_to_anchor": (1, 1)} if len(lines) > len(COLOURS) else {}
        ax.legend(frameon=False, **beside)


def _drawable(values: Array, log: bool = False) -> Array:
    """The values with a gap where an axis has no place for one: not finite, too large, not positive on a log axis."""
    fits = (values > 1 / LARGEST if log else values > -LARGEST) & (values < LARGEST)
    return np.where(fits, values, np.nan)


def _table(ax: Axes, name: str, table: Array, made: Drawing) -> None:
    table = np.atleast_2d(np.asarray(table, np.float64))
    drawn = _drawable(table)
    ax.imshow(drawn, cmap="Blues", aspect="auto" if table.shape[1] > 4 * table.shape[0] else "equal")
    coloured = drawn[np.isfinite(drawn)]
    low, high = (coloured.min(), coloured.max()) if coloured.size else (0.0, 0.0)
    for (i, j), value in np.ndenumerate(table) if table.size <= NUMBERED else ():
        colour = "white" if value > low + 0.6 * (high - low) else "black"
        ax.text(j, i, number(value), ha="center", va="center", color=colour, fontsize=8)
    ax.set_title(name if len(made.tables) > 1 else made.title)
    ax.set_xticks(range(table.shape[1]) if table.shape[1] <= 20 else [], made.columns or None)
    ax.set_yticks(range(table.shape[0]) if table.shape[0] <= 20 else [], made.rows or None)


def onto(made: Drawing, ax: Axes | None) -> Axes:
    """Draw one plot onto an axes, or onto a new one of pyplot's. Raises MathlabError for one that needs several."""
    if len(made.tables) > 1:
        raise MathlabError(
            f"this plot has {len(made.tables)} parts: name one of them with of=, or write it with mathlab plot"
        )
    try:
        from matplotlib import pyplot
    except ImportError:
        raise MathlabError(MISSING) from None
    ax = pyplot.subplots()[1] if ax is None else ax
    plot(made, [ax])
    return ax


def rendered(made: Drawing, form: str) -> bytes:
    """The plot as a file of a format that matplotlib has: svg, png, pdf. Raises MathlabError without matplotlib."""
    try:
        import matplotlib
        from matplotlib.figure import Figure as Page
    except ImportError:
        raise MathlabError(MISSING) from None
    count = max(len(made.tables), 1)
    rows, columns = -(-count // 4), min(count, 4)
    with matplotlib.rc_context({"svg.hashsalt": "mathlab", "svg.fonttype": "none", "font.size": 10}):
        page = Page(figsize=(4.2 * columns + 2.2 * (count == 1), 4.0 * rows), layout="constrained")
        buffer = io.BytesIO()
        plot(made, page.subplots(rows, columns, squeeze=False).ravel().tolist())
        page.savefig(buffer, format=form, metadata=dict.fromkeys(UNSAID[form]), dpi=150)
    return buffer.getvalue()
