"""What in the rows of `ops.txt` depends on the shapes of one use of an op: its fields, by their names.

Most are texts for a derivative, and some for LaTeX.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mathlab.language import shapes
from mathlab.language.ops.record import Site
from mathlab.language.shapes import Shape, Type
from mathlab.language.syntax import ALL, NewAxis, Num


def lead(type_: Type, without: int = 1) -> str:
    """The `:, ` that keep the leading axes of an index as they are."""
    return ":, " * (type_.ndim - without)


def settings(site: Site, *changes: str) -> str:
    """The settings of a call as text, to be handed on to another one: `, axis=1`. `size=None` leaves one out."""
    written = {**{name: str(value) for name, value in site.call.attrs}, **dict(change.split("=") for change in changes)}
    return "".join(f", {name}={value}" for name, value in written.items() if value != "None")


# --- arithmetic -------------------------------------------------------------------------------------------------------


def times(site: Site) -> str:
    """The LaTeX of a product, which of numbers has another sign."""
    return r"{a:2} \odot {b:4}" if all(of.shape for of in site.args) else r"{a:2} \cdot {b:3}"


def inner_or_product(site: Site) -> str:
    """The LaTeX of `dot`, of vectors or of matrices."""
    return r"{a:3} \cdot {b:3}" if site.args[0].ndim == site.args[1].ndim == 1 else r"{a:3} \, {b:4}"


def power_of_base(site: Site) -> str:
    """b * a**(b - 1), which for b = 0 would be 0 times infinity at a = 0, where a**0 is as flat as elsewhere."""
    match site.call.args:
        case (_, Num(0)):  # a 0.0 too
            return "zeros_like(a)"
    return "g * b * a**(b - 1)" if site.is_number(1) else "g * b * a**where(b == 0, 0, b - 1)"


def power_of_exponent(site: Site) -> str:
    """y * log(a), but for a = 0: there a**b is flat for b > 0, and jumps at b = 0. Beside a < 0 it is not real."""
    base = site.call.args[0]
    if isinstance(base, Num) and base.value > 0:
        return "g * y * log(a)"
    return "g * y * log(where((a == 0) * (b > 0), 1, a))"


def product_of_left(site: Site) -> str:
    """The gradient of the a of a @ b."""
    a, b = site.args
    if b.ndim == 1:
        return "g * b" if a.ndim == 1 else "outer(g, b)" if a.ndim == 2 else f"g[{lead(a)}None] * b"
    if a.ndim == 1:
        return "b @ g" if b.ndim == 2 else f"(b @ g[{lead(b)}None])[{lead(b)}0]"
    return "g @ b.T" if b.ndim == 2 else "g @ b.mT"


def product_of_right(site: Site) -> str:
    """The gradient of the b of a @ b."""
    a, b = site.args
    if b.ndim == 1:
        return "g * a" if a.ndim == 1 else "a.T @ g" if a.ndim == 2 else f"g[{lead(a)}None] * a"
    if a.ndim == 1:
        return "outer(a, g)" if b.ndim == 2 else f"a[:, None] * g[{lead(b, 2)}None, :]"
    return "a.T @ g" if a.ndim == 2 else "a.mT @ g"


def inner(made: Shape, read: Sequence[Shape]) -> int:
    """How many products of numbers are summed for a @ b."""
    return math.prod(made) * read[0][-1]


def summed_products(site: Site) -> str:
    """The gradient of an operand of einsum: of einsum('ij,jk->ik', x0, x1) by x0 it is einsum('ik,jk->ij', g, x1).

    An axis that no other operand and not the result has was summed over by itself: g is spread along it with ones.
    """
    subscripts, result = shapes.subscripts(site.call)
    own = subscripts.pop(site.position)
    subscripts.insert(0, result)
    factors = ["g", *(f"x{k}" for k in range(len(site.args)) if k != site.position)]
    sizes = zip(own, site.args[site.position].shape, strict=True)
    alone = {letter: str(size) for letter, size in sizes if letter not in "".join(subscripts)}
    if alone:
        subscripts.append("".join(alone))
        factors.append(f"ones({', '.join(alone.values())})")
    return f"einsum('{','.join(subscripts)}->{own}', {', '.join(factors)})"


def inner_of_einsum(made: Shape, read: Sequence[Shape]) -> int:
    """The same for einsum, as the root of all sizes multiplied, for a product of matrices has each of its axes twice.

    Of a stack of matrices it is too many.
    """
    return math.isqrt(math.prod(map(math.prod, (made, *read))))


def tie(site: Site, strict: str, counting: str) -> str:
    """The sign that gives b of maximum(a, b) its gradient: one `counting` ties, but where a is a written number.

    So maximum(0, x), which is ReLU, has no slope at 0.
    """
    return strict if site.is_number(0) else counting


# --- what picks and arranges ------------------------------------------------------------------------------------------


def turned(site: Site) -> str:
    """The LaTeX of `x.T`."""
    return r"{x:5}^{{\top}}" if site.args[0].ndim < 3 else r"\operatorname{{T}}\left({x}\right)"


def picked(site: Site) -> str:
    """The gradient of the x of x[i]."""
    count = len(site.args) - 1
    if count == 1 and site.args[0].ndim == 1 and site.out.ndim == 0:
        # the gradient of picking one entry of a vector reads best as a one-hot vector
        return f"g * one_hot(i0, {site.args[0].size})"
    items = site.call.args[1:]
    if all(item in (NewAxis(), ALL) for item in items):  # new axes are taken away again
        return f"g[{', '.join('0' if item == NewAxis() else ':' for item in items)}]"
    return f"scatter(g, x[{', '.join(f'i{k}' for k in range(count))}])"


def picked_again(site: Site) -> str:
    """The gradient of the v of scatter(v, x[i])."""
    return f"g[{', '.join(f'i{k}' for k in range(len(site.args) - 2))}]"


def part_of_joined(site: Site) -> str:
    """The gradient of what `concat` joins, where it stands in the whole."""
    (axis,) = shapes.axes_of(site.out, site.call.attr("axis") or 0)
    start = sum(type_.shape[axis] for type_ in site.args[: site.position])
    return f"g[{':, ' * axis}{start}:{start + site.args[site.position].shape[axis]}]"


def part_of_stack(site: Site) -> str:
    """The same for `stack` and lists."""
    return f"g[{':, ' * shapes.new_axis(site.args[0], site.call)}{site.position}]"


def reshaped_back(site: Site) -> str:
    """The gradient of `reshape(x, 2, 3)`."""
    if not site.args[0].shape:  # a single number has no sizes to write down, and is the one entry
        return f"g[{', '.join(['0'] * site.out.ndim)}]"
    return f"reshape(g, {', '.join(map(str, site.args[0].shape))})"


def permuted_back(site: Site) -> str:
    """The gradient of `transpose(x, 2, 0, 1)`."""
    order = shapes.permutation(site.args[0], site.call)
    return f"transpose(g, {', '.join(str(order.index(axis)) for axis in range(len(order)))})"


# --- what runs along axes ---------------------------------------------------------------------------------------------


def along(site: Site) -> str:
    """The axis of a softmax, which is kept."""
    return settings(site, f"axis={dict(site.call.attrs).get('axis', -1)}", "keepdims=True")


def count(site: Site) -> str:
    """The entries that a reduction runs over, less `ddof`."""
    x, ddof = site.args[0], site.call.attr("ddof") or 0
    assert isinstance(ddof, int)
    return str(math.prod(x.shape[axis] for axis in shapes.axes_of(x, site.call.attr("axis"))) - ddof)


def spread(site: Site, name: str) -> str:
    """`name`, which has the shape of a reduction's result, with the reduced axes put back as length 1."""
    x = site.args[0]
    axes = shapes.axes_of(x, site.call.attr("axis"))
    if site.call.attr("keepdims") or len(axes) == x.ndim:
        return name
    return f"{name}[{', '.join('None' if i in axes else ':' for i in range(x.ndim))}]"


def product_of_others(site: Site) -> str:
    """The product y / x, but where entries are 0: beside one zero it is the rest for that one, beside more nothing.

    That there is one is asked as `< 1.5`: when the noise of rounding is measured, a count of 1 is moved a little.
    """
    kept, rest = settings(site, "keepdims=True"), "where(x == 0, 1, x)"
    zeros = f"sum(x == 0{kept})"
    return f"prod({rest}{kept}) * where(x == 0, {zeros} < 1.5, ({zeros} == 0) / {rest})"


def row_of_g(site: Site) -> str:
    """`g`, a number for each sample, beside the sample's classes."""
    return f"g[{lead(site.args[0])}None]" if site.args[0].ndim > 1 else "g"


def from_target(site: Site) -> str:
    """How far the probabilities are from the target."""
    z, t = site.args
    if t.ndim == z.ndim:
        return "(softmax(z) * sum(t, axis=-1, keepdims=True) - t)"
    return f"(softmax(z) - one_hot(t, {z.shape[-1]}))"
