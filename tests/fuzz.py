"""Configs that nobody would write: shipped ones with parts of them changed, and ones made up of all that there is.

`python -m tests.fuzz 20000` runs that many, and prints how they ended. The first one that ends badly is made as small
as Hypothesis can make it, and shown.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: a fork must not miss the threads of its parent

import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from mathlab.config.arrays import INITS
from mathlab.language import OPS
from mathlab.language.optimizers import SETTINGS
from tests.readme import PAGES, blocks
from tests.sandbox import Job, Ran, run, warm

ROOT = Path(__file__).parent.parent
SHIPPED = sorted((ROOT / "configs").glob("*.yaml"))
SEEDS = [
    *(path.read_text(encoding="utf-8") for path in SHIPPED if path.stat().st_size < 10_000),
    *(
        block.text
        for page in PAGES
        if page.stem != "engine"  # whose configs need the op and the stage that it adds
        for block in blocks(page.read_text(encoding="utf-8"))
        if block.language == "yaml"
    ),
]

NUMBERS = (
    *("0", "1", "-1", "2", "3", "7", "0.5", "-0.0", "1e-3", "1e3", "1e308", "-1e308", "1e-320", "5e-324", "1e400"),
    *(".inf", "-.inf", ".nan", "nan", "1e999999999", "9" * 30, "9" * 400, "0x10", "1_000", "012", "1:30", "1e", "--1"),
    *("100000", "1000000000000", "-5", "1.", ".5", "+1", "1e-999999999", "0e-9999", "1.00000000000000000000000"),
)
WORDS = (
    *("x", "w", "y", "loss", "dx", "dloss", "ddx", "d", "upstream", "np", "math", "dtype", "shake", "program", "_t"),
    *("__class__", "lambda", "None", "True", "λ", "é", "t", "base", "sgd", "adam", "momentum", "he", "xavier", "file"),
    *("inputs", "parameters", "equations", "expected", "derivation", "gradcheck", "train", "cases", "after", "init"),
)
TREES = (
    *("", "true", "null", "~", "''", '""', "[]", "{}", "[[]]", "[1, [2]]", "[[1, 2], [3, 4]]", "[1, 2, 3]", "[true]"),
    *("{printed: 1}", "{printed: 1, erratum: e}", "{printed: 1, digits: 99}", "{printed: [1, 2], rounding: truncate}"),
    *("{init: normal, shape: [3, 2]}", "{init: he, shape: 3, std: 1}", "{file: a.csv}", "{file: ../../etc/passwd}"),
    *("!!python/object/apply:os.system ['true']", "!!binary aGk=", "&a [*a]", "*a", "&a 1", "<<: *a", "|", ">-", "? x"),
    *("{name: sgd, lr: 1e300}", "{name: adam, lr: 0.1, beta1: 1}", "{1: {w: 1}}", "{0: {loss: 1}}", "- 1", "# x", "--"),
)
FORMULAS = (
    *("x.T", "x[0]", "x[99]", "x[-1]", "x[::0]", "x[None]", "x[1:]", "x[[0, 0]]", "x[x]", "x @ x", "x**x", "x / 0"),
    *("1 / 0", "0**-1", "9**9**9", "(-8)**0.5", "1 > 2", "x > x", "x == x", "(x > 0) * (x > 1)", "2 * (x > 0)", "[x]"),
    *("sum(x, axis=7)", "sum(x, axis=(0, 0))", "ones(100000, 100000)", "jacobian(loss, x)", "jacobian(x, loss)", "(x"),
    *("x.__class__", "lambda: x", "x if x else x", "x or x", "f'{x}'", "x := 1", "x; x", "import os", "open('/')"),
    *(
        "central_w",
        "complex_w",
        "norm(dw)",
        "log(x - x)",
        "exp(1000 * x)",
        "sqrt(-abs(x))",
        "x - x",
        "0 * x",
        "x * 1e99",
    ),
)
ODD = (
    *("axis=0", "axis=-1", "axis=1", "axis=7", "axis=None", "axis=(0, 1)", "axis=(0, 0)", "axis=0.5", "axis=True"),
    *("keepdims=True", "keepdims=None", "keepdims=1", "keepdims=x", "alpha=0.5", "x=x", "a=1", "q=1", "axis=[0]"),
)
CHARACTERS = "\n \t:-[]{},'\"#&*!|>%@`?()0123456789.eE+_xyzdw\\~=<^/$\x00\x07\x85\u2028\ufeff𝕏"


@st.composite
def expression(draw: st.DrawFn, depth: int = 3) -> str:
    """Any op on anything: most do not fit, and all must end in a sentence."""
    leaf = depth == 0 or draw(st.integers(0, 3)) == 0
    if leaf:
        return draw(
            st.sampled_from((*NUMBERS[:12], *WORDS[:8], "[1, 2]", "[[1, 2], [3, 4]]", "w[1:0]", "w[None]", "t"))
        )
    part = expression(depth - 1)
    kind = draw(st.integers(0, 4))
    if kind == 0:
        operator = draw(st.sampled_from(("+", "-", "*", "/", "**", "@", ">", "<=", "==", "%", "//")))
        return f"({draw(part)} {operator} {draw(part)})"
    if kind == 1:
        item = draw(st.sampled_from(("0", "-1", ":", "1:", "::-1", "None", "0, 1", ":, 0", "t", "[0]", "...", "0.5")))
        return f"{draw(part)}[{item}]" if draw(st.booleans()) else f"({draw(part)}).T"
    if kind == 2:
        return draw(st.sampled_from(FORMULAS))
    op = draw(st.sampled_from([*OPS]))
    arguments = [draw(part) for _ in range(draw(st.integers(0, 3)))]
    settings = draw(st.lists(st.sampled_from(ODD), max_size=2)) if draw(st.booleans()) else []
    return f"{op}({', '.join([*arguments, *settings])})"


@st.composite
def value(draw: st.DrawFn) -> str:
    """A number, a small array, or one of many things that are none."""
    return draw(
        st.one_of(
            st.sampled_from(NUMBERS),
            st.sampled_from(TREES),
            st.lists(st.sampled_from(NUMBERS[:12]), min_size=1, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
            st.sampled_from([*INITS]).map(lambda init: f"{{init: {init}, shape: [2, 3], seed: 1}}"),
        )
    )


@st.composite
def made_up(draw: st.DrawFn) -> str:
    """A config that has what a config may have, and little sense."""
    lines = [f"inputs: {{x: {draw(value())}, t: 1}}", f"parameters: {{w: {draw(value())}}}", "equations:"]
    lines += [f"  {name}: {_quoted(draw(expression()))}" for name in ("y", "z")[: draw(st.integers(0, 2))]]
    lines.append(f"  loss: {_quoted(draw(st.sampled_from(('sum({})', '{}', 'norm({})'))).format(draw(expression())))}")
    if draw(st.booleans()):
        lines.append(f"upstream: {draw(value())}")
    lines += ["expected:", f"  {_quoted(draw(expression(2)))}: {draw(value())}", f"  loss: {draw(value())}"]
    if draw(st.booleans()):
        lines.append(f"derivation: {{dw: {_quoted(draw(expression(2)))}}}")
    if draw(st.booleans()):
        lines.append("gradcheck: {}")
    if draw(st.booleans()):
        rate, name = draw(st.sampled_from(NUMBERS)), draw(st.sampled_from([*SETTINGS]))
        epochs = draw(st.sampled_from(NUMBERS))
        lines.append(f"train: {{optimizer: {{name: {name}, lr: {rate}}}, epochs: {epochs}, after: {{1: {{w: 1}}}}}}")
    if draw(st.booleans()):
        lines.append(f"dtype: {draw(st.sampled_from(('float32', 'float64', 'int8')))}")
    return "\n".join(lines) + "\n"


def _quoted(expression: str) -> str:
    return "'" + expression.replace("'", "''") + "'"


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A shipped config after a few accidents."""
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3, 5)))):
        accident = draw(st.integers(0, 7))
        if accident == 0:
            text = _replaced(draw, text, r"(?<![\w.])[-+]?\d[\d.]*(?:e[-+]?\d+)?", (*NUMBERS, *TREES))
        elif accident == 1:
            text = _replaced(draw, text, r"\b[A-Za-z_]\w*", (*WORDS, *re.findall(r"\b[A-Za-z_]\w*", text)))
        elif accident == 2:
            text = _replaced(draw, text, r"(?<=: ).+", (*TREES, *NUMBERS, *FORMULAS))
        elif accident == 3:
            text = _replaced(draw, text, r"(?<=: )[^\n{\[]+$", (*FORMULAS, draw(expression())))
        elif accident == 4:
            text = _replaced(draw, text, r"(?m)^.*\n", ("", "\n", "  x: 1\n", "cases:\n", "x\n"))
        elif accident == 5:
            lines = text.splitlines(keepends=True) or [""]
            first, second = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
            lines[first] = lines[second] if draw(st.booleans()) else "  " + lines[first]
            text = "".join(lines)
        elif accident == 6:
            at = draw(st.integers(0, len(text)))
            text = text[:at] + draw(st.text(CHARACTERS, max_size=3)) + text[at + draw(st.integers(0, 2)) :]
        else:
            other = draw(st.sampled_from(SEEDS))
            text = text[: draw(st.integers(0, len(text)))] + other[draw(st.integers(0, len(other))) :]
    return text


def _replaced(draw: st.DrawFn, text: str, pattern: str, by: tuple[str, ...]) -> str:
    found = [*re.finditer(pattern, text)]
    if not found:
        return text
    chosen = draw(st.sampled_from(found))
    return text[: chosen.start()] + draw(st.sampled_from(by)) + text[chosen.end() :]


configs = st.one_of(mutated(), made_up())


def ended(text: str) -> Ran:
    """How `mathlab run` ends on the config. Raises AssertionError where it ends badly, or writes elsewhere."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "c.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
        ran = run(Job(name, ["run", "c.yaml", "--out", "out"]))
        assert not ran.complaint(), ran.complaint()
        assert {path.name for path in folder.iterdir()} <= {"c.yaml", "out"}
        assert not [*folder.glob("out/*/.*")], "leftovers"
    return ran


def main() -> None:
    """Run as many configs as the first argument says, from the seed that the second one gives."""
    count, start = (int(word) for word in [*sys.argv[1:], "0"][:2])
    codes: Counter[int] = Counter()
    slowest = largest = 0.0
    last = ""

    @seed(start)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(configs)
    def each(text: str) -> None:
        nonlocal slowest, largest, last
        last = text
        ran = ended(text)
        codes[ran.code] += 1
        slowest, largest = max(slowest, ran.seconds), max(largest, ran.megabytes)

    warm()
    try:
        each()
    except AssertionError as error:
        sys.exit(f"{last}\n{error}")
    ends = ", ".join(f"{number} with {code}" for code, number in sorted(codes.items()))
    print(f"{codes.total()} configs: {ends}; the slowest took {slowest:.1f} s, the largest {largest:.0f} MB")


if __name__ == "__main__":
    main()
