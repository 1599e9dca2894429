"""Configs that mean harm: none executes anything, reads or writes where it may not, or takes the machine.

Each runs in a process that ends as soon as it tries (see `sandbox`), and must end with one sentence for each problem.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.sandbox import Ran, run_all


def equation(text: str, key: str = "loss") -> str:
    """A config with one equation, in quotes as YAML wants them."""
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\0", "\\0") + '"'
    return f"inputs: {{x: [1, 2]}}\nparameters: {{w: [1, 2]}}\nequations: {{{key}: {quoted}}}\nexpected: {{{key}: 1}}\n"


def value(text: str) -> str:
    return f"inputs: {{x: {text}}}\nparameters: {{w: 1}}\nequations: {{loss: sum(w * x)}}\nexpected: {{loss: 1}}\n"


def named(name: str, section: str = "inputs") -> str:
    extra = {"inputs": "x: 1", "parameters": "w: 1", "equations": "loss: w * x"}
    extra[section] = f"{name}: 1, {extra[section]}"
    return "".join(f"{key}: {{{text}}}\n" for key, text in extra.items()) + "expected: {loss: 1}\n"


def trained(train: str) -> str:
    return equation("sum(w * x)").replace("expected: {loss: 1}", "expected: {loss: 3}") + f"train: {{{train}}}\n"


SGD = "optimizer: {name: sgd, lr: 0.1}"
PLAIN = equation("sum(w * x)")


def _listed(text: str) -> list[str]:
    """What stands between two spaces or line breaks."""
    return re.split(r"\s{2,}", text.strip())


TAGS = {
    f"tag {text}": text if text.startswith(("%", "!")) and "\n" in text else PLAIN + f"title: {text}\n"
    for text in (
        "!!python/object/apply:os.system ['touch out']",
        "!!python/object/new:os.system ['touch out']",
        "!!python/object:object {}",
        "!!python/module:os",
        "!!python/name:os.system",
        "!!python/tuple [1, 2]",
        "!!python/object/apply:subprocess.check_output [[id]]",
        "!!python/object/apply:builtins.eval ['1+1']",
        "!!binary aGk=",
        "!!set {a, b}",
        "!custom thing",
        "%TAG ! tag:yaml.org,2002:python/\n---\ntitle: !object/apply:os.system ['touch out']\n",
        "!!map\ninputs: {x: 1}\n",
    )
}

TRICKS = {
    f"trick {text!r}": equation(text)
    for text in (
        *_listed(r"""
            x.__class__  ().__class__.__bases__[0].__subclasses__()  x.T.__class__  x.tofile('out')  x.dump('out')
            x.data  x.base  x.ctypes  np.load('c.yaml')  np.array(x)  np.lib  math.pi  dtype.__mro__  shake(x)
            program(x)
            __import__('os').system('touch out')  eval('1')  exec('1')  open('../secret.csv')  getattr(x, 'T')
            globals()
            locals()  vars(x)  dir(x)  type(x)  print(x)  input()  breakpoint()  exit()  compile('1', '', 'eval')
            help()
            memoryview(x)  __builtins__  __name__  __loader__  _1  f'{x}'  f'{open("../secret.csv").read()}'  'x'  b'x'
            ...  x[...]  1j  True  None  lambda: x  (lambda: x)()  [x for x in w]  {x for x in w}  {x: w for x in w}
            (y := x)  {x: w}  x if x else w  x and w  not x  x in w  x is w  x % 2  x // 2  x << 1  ~x  x ^ w  x | w
            sum(*w)  sum(**w)  (yield x)  (yield from x)  await x  x; w  x # w  import os  x = 1  del x  assert x
            raise x
            pass  @x  x!  x'  (x  x)  x[  ]x  \  `x`  $x  ?  ｏｐｅｎ('x')  x.__ｃlass__  х  sum(x, out=w)
            sum(x, where=w)
            sum(x)(x)  scatter(x, w[0])  array(x)  sum.__globals__  x[0].__class__  x.T.T.T.real  one_hot.x  x[::0]
        """),
        *("x\nimport os", "x\0", "\0", "x\u202e", "'\\d'", "1if x else w", "\\N{DIGIT ONE}"),
    )
}

NAMES = {
    f"name {name} in {section}": named(name, section)
    for section in ("inputs", "parameters", "equations")
    for name in _listed("class  None  lambda  __class__  __builtins__  __import__  _t  _1  a b  'x\\ny'")
}

# names that a program could stumble over, and must not
HARMLESS = {
    f"names {' '.join(names)}": f"inputs: {{{', '.join(f'{name}: 2, {name}_: 3' for name in names)}}}\n"
    "parameters: {w: 1}\n"
    f"equations: {{loss: {' + '.join(f'w * {name} + {name}_' for name in names)}}}\n"
    f"expected: {{loss: {5 * len(names)}, dw: {2 * len(names)}}}\n"
    f"gradcheck: {{}}\ntrain: {{{SGD}, epochs: 3, after: {{1: {{w: {1 - 0.2 * len(names):g}}}}}}}\n"
    for names in (
        "np math slice shake program open eval print range run measure float int len match type out self values epoch "
        "last zip step state history memory".split(),
        "dtype done".split(),  # dtype would be the gradient of type
    )
}

PATHS = {
    f"file {text}": value(f"{{file: {text}}}")
    for text in (
        *_listed(r"""
            ../secret.csv  ../../../../../../../../etc/passwd  /etc/passwd  /etc/passwd.csv  ./../secret.csv  link.csv
            linked/secret.csv  sub/../../secret.csv  circle.csv  dangling.csv  ~/secret.csv  $HOME/x.csv  ''  .
            file:///etc/passwd.csv  http://127.0.0.1:1/x.csv  //127.0.0.1/x.csv  'C:\x.csv'  s3://bucket/x.csv
            "a\0.csv"
            /dev/zero  device.csv  device.npy  device.npz  pipe.csv  pipe.npy  folder.csv  c.yaml  /proc/self/mem
            /proc/self/environ  pickle.npy  pickle.npz  header.npy  truncated.npy  bomb.npz  text.npy  text.npz
            huge.npz
            traversal.npz  empty.csv  nul.csv  words.csv  ragged.csv
            wide.csv  large.csv  many.npz  x.csv.gz  zip.csv  x.pkl  complex.npy  nan.npy
            '|id > out.csv'
        """),
        "x" * 5000 + ".csv",
    )
}

LARGE = "parameters: {w: {init: normal, shape: [300, 300]}}\n"

SIZES: Mapping[str, str] = {
    "alias bomb": "a: &a [1, 1]\n"
    + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True)),
    "alias bomb of mappings": "a: &a {x: 1}\n"
    + "".join(
        f"{b}: &{b} {{{', '.join(f'k{i}: *{a}' for i in range(9))}}}\n"
        for a, b in zip("abcdefghi", "bcdefghij", strict=True)
    ),
    "alias to itself": "inputs: &a {x: *a}\n",
    "10,000 aliases": "title: &a x\ninputs: {x: [" + ", ".join(["*a"] * 10_000) + "]}\n",
    "12,000 aliases of initial values": "parameters:\n  a: &a {init: normal, shape: [1000, 1000]}\n"
    + "".join(f"  b{i}: *a\n" for i in range(12_000)),
    "10,000 brackets": value("[" * 10_000 + "]" * 10_000),
    "10,000 braces": "{a: " * 10_000 + "}" * 10_000,
    "10,000 open brackets": "[" * 10_000,
    "10,000 levels of blocks": "".join(" " * i + "a:\n" for i in range(3_000)),
    "10,000 dashes": "- " * 10_000 + "1\n",
    "4,000 keys": PLAIN + "".join(f"k{i}: 1\n" for i in range(4_000)),
    "4,000 unknown names": "inputs:\n"
    + "".join(f"  abcdef{i}: 1\n" for i in range(2_000))
    + "equations:\n"
    + "".join(f"  z{i}: abcdeg{i}\n" for i in range(2_000)),
    "a key of 1,000,000 characters": f"{'k' * 1_000_000}: 1\n",
    "100 parentheses": equation("(" * 100 + "sum(w)" + ")" * 100),
    "9,000 parentheses": equation("(" * 9_000 + "x" + ")" * 9_000),
    "19,000 minus signs": equation("-" * 19_000 + "x"),
    "1,500 functions": equation("exp(" * 1_500 + "x" + ")" * 1_500),
    "2,000 lambdas": equation("lambda: " * 2_000 + "x"),
    "2,000 subscripts": equation("x" + "[0]" * 2_000),
    "5,000 transposes": equation("x" + ".T" * 5_000),
    "3,000 powers": equation("x" + "**2" * 3_000),
    "a sum of 1,000,000 terms": equation("+".join(["x"] * 1_000_000)),
    "a sum of 6,000 terms": equation("+".join(["w"] * 6_000)),
    "100,000 equations": "inputs: {x: 1}\nequations:\n" + "".join(f"  z{i}: x\n" for i in range(100_000)),
    "10,000 equations": "parameters: {z0: 1}\nequations:\n"
    + "".join(f"  z{i + 1}: tanh(z{i})\n" for i in range(10_000))
    + "expected: {z1: 1}\n",
    "4,000 cases": PLAIN + "cases:\n" + "".join(f"  c{i}: {{expected: {{loss: 5}}}}\n" for i in range(4_000)),
    "100,000 figures": PLAIN.replace("{loss: 1}", "{x: [" + ", ".join(["1.234567890123456789"] * 100_000) + "]}"),
    "9**9**9**9": equation("sum(w) + 9**9**9**9"),
    "10**10**10 in float": equation("sum(w) * 10.0**10**10"),
    "a product of large numbers": equation(f"sum(w) * ({'9' * 300} * {'9' * 300})"),
    "a number of 4,000 digits": equation(f"sum(w) + {'9' * 4_000}"),
    "a number of 15,000 digits": equation(f"sum(w) + {'9' * 15_000}"),
    "1e999999999 in an equation": equation("sum(w) + 1e999999999"),
    "1e999999999": value("1e999999999"),
    "-1e999999999": value("-1e999999999"),
    "1e-999999999": value("1e-999999999"),
    "1e999999999 printed": PLAIN.replace("loss: 1}", "loss: 1e999999999}"),
    "1e-999999999 printed": PLAIN.replace("loss: 1}", "loss: 1e-999999999}"),
    "0e999999999 printed": PLAIN.replace("loss: 1}", "loss: 0e999999999}"),
    "1,000,000 digits printed": PLAIN.replace("loss: 1}", f"loss: 1.{'0' * 1_000_000}}}"),
    "a range beyond float64": value("{init: uniform, shape: 3, low: -1.7e308, high: 1.7e308}"),
    "10**12 digits": PLAIN.replace("loss: 1}", "loss: {printed: 1, digits: 1000000000000, because: x}}"),
    "shape of 10**12": value("{init: normal, shape: [1000000, 1000000]}"),
    "shape of 10**400": value(f"{{init: zeros, shape: [1{'0' * 400}]}}"),
    "shape of 10**300": value(f"{{init: zeros, shape: [1{'0' * 300}]}}"),
    "shape of a million axes": value(f"{{init: zeros, shape: [{', '.join(['1'] * 90_000)}]}}"),
    "100 axes": value(f"{{init: zeros, shape: [{', '.join(['1'] * 100)}]}}"),
    "many large parameters": "parameters:\n"
    + "".join(f"  w{i}: {{init: normal, shape: [3000, 3000]}}\n" for i in range(99))
    + "equations: {loss: sum(w1)}\n",
    "zeros of 10**12": equation("sum(w) + sum(zeros(1000000, 1000000))"),
    "zeros of 10**8": equation("sum(w) + sum(zeros(10000, 10000))"),
    "zeros of 10**300": equation(f"sum(w) + sum(zeros(1{'0' * 300}))"),
    "negative zeros": equation("sum(w) + sum(zeros(-1))"),
    "arange of 10**12": equation("sum(w * arange(1000000000000)[0])"),
    "one_hot of 10**12": equation("sum(w) + sum(one_hot(1, 1000000000000))"),
    "one_hot of 10**8": equation("sum(w) + sum(one_hot(1, 100000000))"),
    "outer product of 10**10": equation("sum(w) + sum(outer(arange(100000), arange(100000)))"),
    "matrix product of 10**12": equation("sum(w) + sum(ones(9000, 9000) @ ones(9000, 9000))"),
    "broadcast to 10**12": equation("sum(w) + sum(ones(1000, 1, 1) * ones(1, 1000, 1) * ones(1, 1, 1000))"),
    "repeated by indexing": equation("sum(x[[" + ", ".join(["0"] * 2_000) + "]][[" + ", ".join(["0"] * 1_000) + "]])"),
    "concat of itself": "parameters: {z0: [1, 2]}\nequations:\n"
    + "".join(f"  z{i + 1}: concat(z{i}, z{i})\n" for i in range(40))
    + "  loss: sum(z40)\nexpected: {loss: 1}\n",
    "10**12 epochs": trained(f"{SGD}, epochs: 1000000000000"),
    "10**6 epochs": trained(f"{SGD}, epochs: 1000000"),
    "10**400 epochs": trained(f"{SGD}, epochs: 1{'0' * 400}"),
    "10**300 epochs": trained(f"{SGD}, epochs: 1{'0' * 300}"),
    "after 10**12": trained(f"{SGD}, epochs: 2, after: {{1000000000000: {{loss: 1}}}}"),
    "after 10**400": trained(f"{SGD}, epochs: 2, after: {{1{'0' * 400}: {{loss: 1}}}}"),
    "batches of 10**12": trained(f"{SGD}, epochs: 100000000, batch_size: 1000000000000, over: [x]"),
    "a sweep of 10**12": trained(f"{SGD}, epochs: 9")
    + "sweep: {sample: 1000000000000, over: {lr: {low: 0, high: 1}}}\n",
    "a sweep of 10**9": trained(f"{SGD}, epochs: 9")
    + f"sweep: {{grid: {{lr: &a [{', '.join(map(str, range(1000)))}], epochs: *a, seed: *a}}}}\n",
    "a large gradient check": LARGE + "equations: {loss: sum(w @ w)}\ngradcheck: {}\n",
    "a large Jacobian": LARGE + "equations: {z: w @ w, loss: sum(z)}\nexpected: {'jacobian(z, w)[0,0,0,0]': 1}\n",
    "two documents": PLAIN + "---\n" + PLAIN,
    "merge keys": "a: &a {x: 1}\ninputs:\n  <<: *a\n",
    "not UTF-8": "title: \udcff\n",
    "a control character": "title: a\x07b\n",
    "control characters in a key": '"\\e[2J\\e]0;x\\a": 1\n',
    "a file name as a case": PLAIN + "cases: {../../x: {expected: {loss: 5}}, /etc/x: {expected: {loss: 5}}}\n",
    "nothing": "",
    "only a comment": "# nothing\n",
}

# these are legal, and end with 0 or 1
LEGAL = {
    "100 parentheses",
    "a file name as a case",
    "repeated by indexing",
    *HARMLESS,
}

HOSTILE: Mapping[str, str] = {**TAGS, **TRICKS, **NAMES, **HARMLESS, **PATHS, **SIZES}


def lay_out(folder: Path) -> None:
    """The files that the configs above name."""
    for name in ("device.csv", "device.npy", "device.npz"):
        (folder / name).symlink_to("/dev/zero")
    for name in ("pipe.csv", "pipe.npy"):
        os.mkfifo(folder / name)
    for name, target in (("link.csv", "../secret.csv"), ("linked", ".."), ("circle.csv", "circle.csv")):
        (folder / name).symlink_to(target)
    (folder / "dangling.csv").symlink_to("nowhere.csv")
    for name in ("folder.csv", "sub"):
        (folder / name).mkdir()
    for name, content in (
        ("empty.csv", b""),
        ("nul.csv", b"a,b\n\0\0,1\n"),
        ("words.csv", b"a\n=cmd|x\n"),
        ("ragged.csv", b"a,b\n1,2,3\n"),
        ("wide.csv", b"a" + b",a" * 1_000_000 + b"\n"),
        ("large.csv", b"a\n1" + b"0" * 400 + b"\n"),
        ("text.npy", b"import os; os.system('touch out')"),
        ("text.npz", b"import os; os.system('touch out')"),
        ("header.npy", _header(10**6, 10**6)),
        ("truncated.npy", _header(100) + bytes(792)),
    ):
        (folder / name).write_bytes(content)
    np.save(folder / "pickle.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(folder / "pickle.npz", a=np.array([{"a": 1}], dtype=object))
    np.savez(folder / "many.npz", *[np.zeros(1)] * 200)
    np.save(folder / "complex.npy", np.array([1j]))
    np.save(folder / "nan.npy", np.array([np.nan]))
    for name, member, content in (
        ("bomb.npz", "a.npy", _header(8 * 10**6) + bytes(64 * 10**6)),
        ("huge.npz", "a.npy", _header(10**6, 10**6)),
        ("traversal.npz", "../../a.npy", b"x"),
        ("zip.csv", "a.csv", b"a\n1\n"),
    ):
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(member, content)


def _header(*shape: int) -> bytes:
    """What a .npy file of floats begins with."""
    text = io.BytesIO()
    np.lib.format.write_array_header_1_0(text, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return text.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the configs lie, beside a secret."""
    home = tmp_path_factory.mktemp("home")
    (home / "secret.csv").write_text("a\n42\n")
    (home / "configs").mkdir()
    (home / "configs" / "c.yaml").write_text(PLAIN)  # which PATHS name
    lay_out(home / "configs")
    return home / "configs"


def written(folder: Path) -> Mapping[Path, int]:
    """When everything in the folder and beside it, but for `out`, was written."""
    every = [path for path in folder.parent.rglob("*") if folder / "out" not in (path, *path.parents)]
    return {path: path.lstat().st_mtime_ns for path in every if path != folder}


def test_there_are_many() -> None:
    assert len(HOSTILE) - len(LEGAL) >= 100


def run_hostile(folder: Path, texts: Sequence[str]) -> Ran:
    """How a run of the configs ends, which are called `h0.yaml`, `h1.yaml` and so on."""
    for number, text in enumerate(texts):
        (folder / f"h{number}.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    before = written(folder)
    (ran,) = run_all([(folder, ["run", *(f"h{number}.yaml" for number in range(len(texts))), "--out", "out"])])
    assert not ran.complaint(), ran.complaint()
    assert ran.busy < 5, "what grows as the square of a config's length"
    assert len(ran.err) < 200_000
    assert "\x1b" not in ran.err + ran.out
    assert written(folder) == before, "something was written outside of --out"
    return ran


def ends_as_it_must(folder: Path, name: str) -> None:
    ran = run_hostile(folder, [HOSTILE[name]])
    assert ran.code in ((0, 1) if name in LEGAL else (2,)), ran.out


@pytest.mark.parametrize("name", SIZES)
def test_it_does_no_harm(folder: Path, name: str) -> None:
    ends_as_it_must(folder, name)


AT_ONCE = 15  # small ones, which a run reads one after the other; it names no more than a hundred problems
SMALL = sorted((name for name in HOSTILE if name not in SIZES), key=LEGAL.__contains__)


@pytest.mark.parametrize("start", range(0, len(SMALL), AT_ONCE))
def test_several_do_no_harm(folder: Path, start: int) -> None:
    """Most are refused as they are read, in one run; the others, and those with no word of their own, run alone."""
    names = SMALL[start : start + AT_ONCE]
    ran = run_hostile(folder, [HOSTILE[name] for name in names])
    refused = [name for number, name in enumerate(names) if f"h{number}.yaml:" in ran.err]
    assert not LEGAL.intersection(refused), ran.err
    assert ran.code == 2 or LEGAL.issuperset(names)
    for name in names if ran.code == 2 else ():
        if name not in refused:
            ends_as_it_must(folder, name)


def test_the_watch_notices(tmp_path: Path) -> None:
    """What must not happen is seen when it does."""
    (tmp_path / "in").mkdir()
    (tmp_path / "c.yaml").write_text(PLAIN)
    (read,) = run_all([(tmp_path / "in", ["run", "../c.yaml", "--out", "out"])])
    (tmp_path / "in" / "c.yaml").write_text(PLAIN)
    (wrote,) = run_all([(tmp_path / "in", ["run", "c.yaml", "--out", "../out"])])
    assert (read.code, wrote.code) == (97, 97)


ALLOWED = """\
inputs: {x: {file: ../data/x.csv}}
parameters: {w: 1}
equations: {loss: sum(w * x)}
expected: {loss: 3}
"""


def test_a_folder_can_be_allowed(tmp_path: Path) -> None:
    for name in ("configs", "data", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "configs" / "c.yaml").write_text(ALLOWED)
    (tmp_path / "data" / "x.csv").write_text("a\n1\n2\n")
    arguments = ["run", "configs/c.yaml", "--out", "out"]
    more: tuple[list[str], ...] = (
        [],
        ["--allow-files", "other"],
        ["--allow-files", "data"],
        ["--allow-files", "other", "--allow-files", "data"],
    )
    assert [ran.code for ran in run_all((tmp_path, [*arguments, *options]) for options in more)] == [2, 2, 0, 0]


# of twenty cases, each may take a twentieth of what one alone may
LONG = "parameters: {w: 1}\nequations: {loss: w**2}\ncases:\n" + "".join(
    f"  c{number}: {{train: {{optimizer: {{name: sgd, lr: 0}}, epochs: {epochs}}}}}\n"
    for number, epochs in enumerate((30_000, *[1] * 19))
)


def test_what_takes_long_can_be_allowed(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(LONG)
    arguments = ["train", "-c", "c.yaml", "--out", "out", "--quiet"]
    refused, allowed = run_all([(tmp_path, arguments), (tmp_path, [*arguments, "--allow-large"])])
    assert refused.code == 2
    assert re.fullmatch(
        r"c\.yaml:4:8: training takes about 0\.\d seconds, as one of 20 cases; --allow-large permits it\n", refused.err
    )
    assert allowed.code == 0
