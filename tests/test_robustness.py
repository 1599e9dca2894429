"""What goes wrong around a run: killed, interrupted, several at once, no room, no permission, nobody listening."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from mathlab.stages.table import every_file
from tests import kill
from tests.sandbox import ROOT, Job, Ran, finish, run_all, start

# Some figures are wrong, and why is found at once: looking for it would take most of each of these runs.
NET = """\
inputs: {x: [1, 2], t: 1}
parameters: {W: [[0.3, 0.4], [-0.5, -0.2]], b: [0, 0.1]}
equations: {z: W @ x + b, p: softmax(z), loss: "-log(p[t])"}
expected: {loss: 2}
gradcheck: {}
train: {optimizer: {name: sgd, lr: 0.1}, epochs: 20, after: {1: {W: [[0.3, 0.4], [-0.5, -0.2]]}}}
"""


def mathlab(
    folder: Path, *arguments: str, python: str = sys.executable, **variables: str
) -> subprocess.CompletedProcess[str]:
    """The command in `folder`, with nothing of the caller's environment that could change what it does."""
    env = {key: text for key, text in os.environ.items() if key in ("PATH", "HOME", "TMPDIR")}
    return subprocess.run(
        [python, "-m", "mathlab", *arguments],
        cwd=folder,
        env={**env, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **variables},
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def files(folder: Path) -> Mapping[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.csv"))}


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A folder with one config."""
    (tmp_path / "net.yaml").write_text(NET)
    return tmp_path


# Fuzz


def test_some_random_configs_end_in_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "5"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("5 configs: ")


# Killed and interrupted


def test_what_a_killed_or_interrupted_run_leaves_is_whole(tmp_path: Path) -> None:
    old, new, seconds = kill.versions(tmp_path)
    rng = random.Random(1)
    for number in range(15):
        by = signal.SIGINT if number % 3 == 0 else signal.SIGKILL
        code = kill.killed(tmp_path, rng, seconds, by, seed=2)
        assert code in ((0, 130) if by is signal.SIGINT else (0, -by))
        kill.check(tmp_path, old, new)
    kill.ended(tmp_path, seed=1)
    assert kill.written(tmp_path) == old
    assert not [*tmp_path.rglob(kill.LEFTOVER)]


# `main` does something as soon as it has begun: until then it is Python that decides what Ctrl-C means
STARTED = """
import sys
from mathlab.__main__ import main
sys.addaudithook(lambda event, what: event == "import" and what[0] == "mathlab.cli" and {})
main()
"""


@pytest.mark.parametrize("after", [0.0, 0.03, 0.06, 0.1, 0.2])
def test_ctrl_c_while_it_starts_is_no_traceback(net: Path, after: float) -> None:
    lasting = kill.CONFIG.format(seed=1).replace("epochs: 300", "epochs: 300000")  # or it may end before
    (net / "net.yaml").write_text(lasting)
    command = [sys.executable, "-c", STARTED.format("print(flush=True)"), "run", "net.yaml", "--quiet"]
    running = subprocess.Popen(command, cwd=net, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout
    running.stdout.readline()
    time.sleep(after)
    running.send_signal(signal.SIGINT)
    _, problems = running.communicate()
    assert problems == ""
    assert running.returncode == 130


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        ("MemoryError", "there is not enough memory for this"),
        ("ImportError('x.so: failed to map segment')", "a library cannot be loaded: x.so: failed to map segment"),
    ],
)
def test_what_goes_wrong_before_a_command_begins_is_a_sentence(net: Path, raised: str, said: str) -> None:
    command = [sys.executable, "-c", STARTED.format(f"(_ for _ in ()).throw({raised})")]
    done = subprocess.run(command, cwd=net, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, f"mathlab: {said}\n")


def test_ctrl_c_while_a_class_is_made_is_one(net: Path) -> None:
    """Python 3.11 makes a RuntimeError of what comes while an attribute is told its name."""
    attribute = 'type("A", (), {"__set_name__": lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)})()'
    command = [sys.executable, "-c", STARTED.format(f'type("C", (), {{"a": {attribute}}})')]
    done = subprocess.run(command, cwd=net, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (130, b"")


# Several at once


def at_once(*jobs: tuple[Path, str]) -> list[Ran]:
    """How the commands end that are started together, each in its folder."""
    running = [start(Job(str(folder), command.split(), watched=False)) for folder, command in jobs]
    return [finish(process) for process in running]


def test_eight_runs_at_once_take_turns(tmp_path: Path) -> None:
    """Each has a config of the same name and other numbers: every file is that of one of them, and none fails."""
    folders = [tmp_path / str(number) for number in range(8)]
    for number, folder in enumerate(folders):
        folder.mkdir()
        (folder / "net.yaml").write_text(kill.CONFIG.format(seed=number))
    together = at_once(*((folder, "run net.yaml --quiet --out ../out") for folder in folders))
    assert [(ran.code, ran.err) for ran in together] == [(0, "")] * 8
    found = files(tmp_path / "out")
    assert not [*tmp_path.rglob(kill.LEFTOVER)]
    (number,) = {int(row["printed"]) for row in csv.DictReader(found["net/figures.csv"].decode().splitlines())}
    at_once((folders[number], "run net.yaml --quiet --out alone"))
    assert found == files(folders[number] / "alone"), "the files come from different runs"


def test_stages_at_once_lose_none_of_each_others_rows(net: Path) -> None:
    stages = ("backprop", "gradcheck", "train")
    runs = at_once(*((net, f"{stage} -c net.yaml") for stage in stages * 2))
    assert all(ran.code in (0, 1) for ran in runs)
    together = files(net / "outputs")
    shutil.rmtree(net / "outputs")
    at_once((net, "run net.yaml"))
    assert together == files(net / "outputs")


# No room, no permission


def test_a_full_disk_leaves_whole_files(tmp_path: Path) -> None:
    """A limit on the size of files stands for it: a write fails in the middle."""
    old, new, _ = kill.versions(tmp_path)
    (tmp_path / "net.yaml").write_text(kill.CONFIG.format(seed=2))
    largest = max(len(content) for content in new.values())
    for limit in (100, largest - 1):
        done = subprocess.run(
            [sys.executable, "-m", "mathlab", *kill.ARGUMENTS],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            preexec_fn=lambda limit=limit: _no_file_beyond(limit),  # type: ignore[misc]  # bound at once
        )
        assert done.returncode == 2
        assert re.fullmatch(r"mathlab: \S+ cannot be written: File too large\n", done.stderr)
        assert kill.written(tmp_path) == old
        assert not [*tmp_path.rglob(kill.LEFTOVER)]


def _no_file_beyond(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("megabytes", [20, 50, 110, 140])
def test_too_little_memory_is_a_sentence(net: Path, megabytes: int) -> None:
    done = subprocess.run(
        ["bash", "-c", f"ulimit -v {megabytes * 1000}; exec {sys.executable} -m mathlab run net.yaml"],
        cwd=net,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 1 and not done.stderr:
        return  # it is enough here
    if "lost sys.stderr" in done.stderr:
        return  # Python's own last words, of one in a hundred runs: not even an exception finds room
    assert done.returncode in (1, 2)
    said = r"mathlab: (there is not enough memory for this|a library cannot be loaded: .*)\n"
    last = r"(MemoryError: \n)*"  # Python's own words again, as it ends
    assert re.fullmatch(rf"({said}|OpenBLAS .*\n)+{last}", done.stderr), done.stderr


def test_memory_that_python_lost_the_error_of_is_told_too() -> None:
    script = """
from mathlab import __main__, cli

def lost() -> None:
    raise SystemError("error return without exception set")

cli.main = lost
__main__.main()
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "mathlab: there is not enough memory for this\n")


@pytest.mark.parametrize("kind", ["file", "link to a file", "file above", "device", "link out"])
def test_where_no_folder_can_be(net: Path, kind: str) -> None:
    (net / "occupied").write_text("mine")
    out = {"file": "occupied", "file above": "occupied/out", "device": "/dev/null"}.get(kind, "link")
    if kind == "link to a file":
        (net / "link").symlink_to("occupied")
    if kind == "link out":
        (net / "link").mkdir()
        (net / "elsewhere").mkdir()
        (net / "link" / "net").symlink_to("../elsewhere")
    (ran,) = at_once((net, f"run net.yaml --out {out}"))
    assert ran.code == 2
    assert re.fullmatch(r"mathlab: [^\n]*(cannot be written|leads out of)[^\n]*\n", ran.err)
    assert (net / "occupied").read_text() == "mine"
    assert not files(net)


def test_a_folder_that_may_not_be_written(net: Path) -> None:
    (net / "out").mkdir()
    (net / "out").chmod(0o500)
    command: list[str] = []
    if os.access(net / "out", os.W_OK):  # as root may
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
        if not shutil.which("setpriv") or subprocess.run([*command, "true"], check=False).returncode:
            pytest.skip("root may write everywhere, and there is no setpriv to be less than root")
    done = subprocess.run(
        [*command, sys.executable, "-m", "mathlab", "run", "net.yaml", "--out", "out"],
        cwd=net,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    (net / "out").chmod(0o700)
    assert done.returncode == 2
    assert re.fullmatch(r"mathlab: \S+ cannot be written: Permission denied\n", done.stderr)


# Nobody listens


@pytest.mark.parametrize(
    ("where", "arguments", "expected"),
    [
        *((where, "run net.yaml", 1) for where in ("closed pipe", "closed", "full")),
        ("closed", "derive -c net.yaml", 0),
        ("full", "--help", 0),
    ],
)
def test_nobody_reads_stdout(net: Path, where: str, arguments: str, expected: int) -> None:
    """A reader that is gone changes nothing; a disk that is full is trouble."""
    shell = {"closed pipe": "| true; exit ${PIPESTATUS[0]}", "closed": ">&-", "full": "> /dev/full"}[where]
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m mathlab {arguments} {shell}"],
        cwd=net,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == (2 if where == "full" else expected)
    assert done.stderr == ("mathlab: No space left on device\n" if where == "full" else "")
    if arguments.startswith("run net") and where != "full":
        assert files(net / "outputs")


def test_nobody_reads_stderr(net: Path) -> None:
    for shell in ("2>&-", "2>/dev/full", "2> >(true)", "2>/dev/full >/dev/full"):
        command = f"{sys.executable} -m mathlab run nothing.yaml {shell}"
        done = subprocess.run(
            ["bash", "-c", command], cwd=net, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
        )
        assert done.returncode == 2, shell


# Numbers that are none

NOT_FINITE = (
    ("epoch 4: loss is inf", "parameters: {w: 3}\nequations: {z: w**2, loss: z**2}\n", "epochs: 9", 10, 9),
    ("epoch 2: z is inf", "parameters: {w: 3}\nequations: {z: exp(w**2), loss: log(z)}\n", "epochs: 9", 2, 9),
    (
        "epoch 1, a batch: a[0] is inf: exp(w * X), where w * X is 4970.66 at [0]",
        "inputs: {X: [1, 2, 3, 4]}\nparameters: {w: 3}\nequations: {a: exp(w * X), loss: -sum(a)}\n",
        "epochs: 2, batch_size: 2, over: [X]",
        2,
        4,
    ),
    ("z[1] is inf", "parameters: {w: [1, 1000]}\nequations: {z: exp(w), loss: sum(log(z))}\n", "", 0, 0),
    ("z is nan", "parameters: {w: -1}\nequations: {z: sqrt(w), loss: z**2}\n", "", 0, 0),
    ("dw[0] is inf", "parameters: {w: [0, 4]}\nequations: {loss: sum(sqrt(w))}\n", "", 0, 0),
)


@pytest.mark.parametrize(("words", "net", "train", "rate", "after"), NOT_FINITE, ids=lambda value: str(value)[:20])
def test_a_number_that_is_none_is_named(
    tmp_path: Path, words: str, net: str, train: str, rate: float, after: int
) -> None:
    config = net + "expected: {loss: 1}\n"
    if train:
        config += f"train: {{optimizer: {{name: sgd, lr: {rate}}}, {train}, after: {{{after}: {{loss: 1}}}}}}\n"
    (tmp_path / "net.yaml").write_text(config)
    arguments = ["run", "net.yaml", "--out", "out"]
    for ran in run_all([(tmp_path, arguments), (tmp_path, [*arguments, "--quiet"])]):
        assert not ran.complaint()
        assert ran.code == 1
        assert re.search(f"^ *(not finite in \\w+: )?{re.escape(words)}", ran.out, re.MULTILINE), ran.out


# The same bytes

# the interpreters that are found, and those whose paths MATHLAB_PYTHONS lists
FOUND = [path for version in ("3.11", "3.12", "3.13") if (path := shutil.which(f"python{version}"))]
PYTHONS = [*FOUND, *filter(None, os.environ.get("MATHLAB_PYTHONS", "").split(os.pathsep))]
NEEDED = "import numpy, pandas, rich, typer, yaml"
WIDE = """\
inputs: {X: {init: normal, shape: [300, 784], seed: 1}}
parameters: {W: {init: he, shape: [784, 120]}, v: {init: normal, shape: [120], seed: 2}}
equations: {H: relu(X @ W), y: H @ v, loss: mean(y**2), λ: loss}
expected: {0 * loss: 0}
train: {optimizer: {name: adam, lr: 0.01}, epochs: 3, batch_size: 64, over: [X], seed: 1, after: {1: {0 * loss: 0}}}
"""


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Mapping[str, bytes]]:
    """A folder with two configs, and what a run of them writes."""
    folder = tmp_path_factory.mktemp("reference")
    (folder / "net.yaml").write_text(NET)
    (folder / "wide.yaml").write_text(WIDE, encoding="utf-8")
    done = mathlab(folder, "run", "net.yaml", "wide.yaml")
    assert (done.returncode, done.stderr) == (1, "")
    found = files(folder / "outputs")
    assert {Path(name).name for name in found} >= {*every_file()} - {"derivation.csv", "sweep.csv"}
    return folder, found


@pytest.mark.parametrize(
    "variables",
    [
        {
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "LC_ALL": "C",
            "LANG": "C",
            "PYTHONUTF8": "0",
            "PYTHONCOERCECLOCALE": "0",
        },
        {
            "OPENBLAS_NUM_THREADS": "2",
            "OMP_NUM_THREADS": "2",
            "LC_ALL": "C.UTF-8",
            "PYTHONHASHSEED": "1",
            "TZ": "Asia/Kathmandu",
            "COLUMNS": "20",
        },
    ],
    ids=lambda variables: variables["LC_ALL"],
)
def test_the_environment_changes_no_byte(
    reference: tuple[Path, Mapping[str, bytes]], variables: dict[str, str], tmp_path: Path
) -> None:
    folder, expected = reference
    mathlab(folder, "run", "net.yaml", "wide.yaml", "--out", str(tmp_path), **variables)
    assert files(tmp_path) == expected


def test_the_working_directory_changes_no_byte(reference: tuple[Path, Mapping[str, bytes]], tmp_path: Path) -> None:
    folder, expected = reference
    mathlab(tmp_path, "run", str(folder), "--out", "out")
    assert files(tmp_path / "out") == expected


@pytest.mark.parametrize("python", PYTHONS)
def test_the_version_of_python_changes_no_byte(
    reference: tuple[Path, Mapping[str, bytes]], python: str, tmp_path: Path
) -> None:
    folder, expected = reference
    if subprocess.run([python, "-c", NEEDED], capture_output=True, check=False).returncode:
        pytest.skip(f"{Path(python).name} has not got what mathlab needs")
    mathlab(folder, "run", "net.yaml", "wide.yaml", "--out", str(tmp_path), python=python)
    numpys = {
        json.loads(path.read_text())["numpy"]
        for out in (tmp_path, folder / "outputs")
        for path in out.rglob("run.json")
    }
    if len(numpys) > 1:
        pytest.skip(f"{Path(python).name} has another NumPy: {' and '.join(sorted(numpys))}")
    assert files(tmp_path) == expected
