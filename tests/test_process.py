"""The command as a process: what pipes, terminals, full disks and signals do to it."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import mathlab

WIDE = """
title: A net [bold] with a λ
inputs: {x: [1, 2], t: [0.5, -0.25]}
parameters: {W: [[0.3, 0.4], [-0.5, -0.2]], λ: 0.1}
equations:
  z: W @ x
  y: tanh(z)
  loss: sum((y - t)**2) + λ * sum(W**2)
expected:
  loss: 0.36173336583124
  y: [0.80049902176063, -0.71629787019902]
"""
TRAINS = WIDE + "train: {optimizer: {name: sgd, lr: 0.01}, epochs: 5000000}\n"
ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.yaml").write_text(WIDE, encoding="utf-8")
    return tmp_path


def environment(**changes: str) -> dict[str, str]:
    """This process's, with the terminal's variables replaced by `changes`, and with this checkout to import from."""
    terminal = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "PYTHONIOENCODING")
    kept = {name: text for name, text in os.environ.items() if name not in terminal}
    return {**kept, "PYTHONPATH": str(Path(mathlab.__file__).parents[1]), **changes}


def process(folder: Path, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mathlab", *args]
    env = environment(**variables)
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, encoding="utf-8", timeout=60)


def on_a_terminal(folder: Path, *args: str, **variables: str) -> tuple[int, bytes]:
    """Exit code and screen of a run whose three streams are one terminal, 80 columns wide."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mathlab", *args]
    env = environment(COLUMNS="80", **variables)
    with subprocess.Popen(command, cwd=folder, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as running:
        os.close(theirs)
        screen = b""
        try:
            while block := os.read(ours, 65536):
                screen += block
        except OSError:  # how Linux says that the other end is closed
            pass
        os.close(ours)
    return running.returncode, screen.replace(b"\r\n", b"\n")


def test_run_on_a_terminal_tells_the_time_within_80_columns(folder: Path) -> None:
    code, screen = on_a_terminal(folder, "run", "net.yaml", TERM="xterm", NO_COLOR="1")
    shown = screen.decode().splitlines()
    assert code == 0
    assert max(map(len, shown)) <= 80
    assert shown[0].split() == ["experiment", "figures", "formulas", "entries", "time", "verdict"]
    assert re.fullmatch(r"net +3 +\d+\.\d\d s  match", shown[1])


def test_piped_lines_are_whole_and_a_terminal_has_80_columns(folder: Path) -> None:
    piped = process(folder, "backprop", "-c", "net.yaml", COLUMNS="40", TERM="dumb")
    assert (piped.returncode, piped.stderr) == (0, "")
    assert piped.stdout.startswith("net: A net [bold] with a λ\n")
    assert any(
        re.match(r"  loss +0\.36173336583124 +0\.36173336583124 .*  match$", line) for line in piped.stdout.splitlines()
    )
    assert "\x1b" not in piped.stdout
    assert sorted(path.name for path in (folder / "outputs" / "net").iterdir()) == [
        "figures.csv",
        "gradient_norms.csv",
        "nodes.csv",
        "run.json",
        "witnesses.csv",
    ]

    code, screen = on_a_terminal(folder, "backprop", "-c", "net.yaml", TERM="xterm")
    lines = ESCAPES.sub(b"", screen).decode().splitlines()
    assert code == 0
    assert max(map(len, lines)) <= 80
    assert b"\x1b[32mmatch" in screen
    numbers = re.compile(r"-?\d+\.\d+(?:e[+-]\d+)?")
    assert sorted(numbers.findall("\n".join(lines))) == sorted(numbers.findall(piped.stdout))
    code, plain = on_a_terminal(folder, "backprop", "-c", "net.yaml", TERM="xterm", NO_COLOR="1")
    assert b"\x1b[32m" not in plain
    assert ESCAPES.sub(b"", plain).decode().splitlines() == lines


def test_a_closed_pipe_is_quiet_and_keeps_the_verdict(folder: Path) -> None:
    (folder / "bad.yaml").write_text(WIDE.replace("loss: 0.3617", "loss: 9.3617"), encoding="utf-8")
    command = [sys.executable, "-m", "mathlab", "run", "net.yaml", "bad.yaml"]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout
        assert running.stderr
        running.stdout.close()
        assert running.stderr.read() == b""
    assert running.returncode == 1
    assert (folder / "outputs" / "bad" / "figures.csv").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_one_line(folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "mathlab", "run", "net.yaml"]
        done = subprocess.run(command, cwd=folder, env=environment(), stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"No space left" in done.stderr


def test_names_that_the_stream_cannot_write_do_not_end_the_run(folder: Path) -> None:
    done = process(folder, "derive", "-c", "net.yaml", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "d\\u03bb = " in done.stdout


def test_a_long_training_shows_a_bar_on_a_terminal_and_ctrl_c_is_130(folder: Path) -> None:
    (folder / "long.yaml").write_text(TRAINS, encoding="utf-8")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "mathlab", "train", "-c", "long.yaml", "--allow-large"]
    env = environment(TERM="xterm", COLUMNS="80")
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=theirs) as running:
        os.close(theirs)
        seen = b""
        while b"training base" not in seen:
            seen += os.read(ours, 65536)
        running.send_signal(signal.SIGINT)
        assert running.stdout
        assert running.stdout.read() == b""
    os.close(ours)
    assert running.returncode == 130
    assert b"Traceback" not in seen
