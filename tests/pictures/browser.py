"""The pages in a browser, under their own policy: every step, edits, training, a phone's width, keyboard, axe.

`pytest tests/pictures/browser.py` runs it where playwright and a Chromium are there; the suite itself does not.
"""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mathlab import api
from mathlab.pictures import gallery

if TYPE_CHECKING:
    from playwright.sync_api import Browser

playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python judges the pages")
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
NUMBERS = "[...document.querySelectorAll('#graph [data-v]')].map(t => [t.dataset.n, +t.dataset.v])"

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here")


class Visit:
    """A page that is open, and what it has complained of or asked for."""

    def __init__(self, browser: Browser, path: Path, **settings: object) -> None:
        self.context = browser.new_context(**settings)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "request", lambda asked: self.complaints.append(asked.url) if not asked.url.startswith("file:") else None
        )
        self.page.goto(path.as_uri())

    def steps(self) -> int:
        return int(self.page.get_attribute("#step", "max"))

    def go(self, step: int) -> None:
        self.page.eval_on_selector("#step", "(s, k) => { s.value = k; s.dispatchEvent(new Event('input')); }", step)

    def close(self) -> None:
        self.context.close()
        assert self.complaints == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with playwright.sync_playwright() as running:
        started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """A page for every case of every config."""
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for config in CONFIGS:
        experiment = api.load(config)
        result = api.run(experiment, "run")
        for name, slug in gallery.names(experiment).items():
            path = folder / f"{config.stem}.{slug}.html"
            path.write_text(result.draw("page", name), encoding="utf-8")
            made[config.stem, name] = path
    return made


E = "sigmoid-2-2-2"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_step_of_every_page(browser: Browser, pages: dict[tuple[str, str], Path], path: Path) -> None:
    for (stem, _), file in pages.items():
        if stem != path.stem:
            continue
        visit = Visit(browser, file)
        before = dict(visit.page.evaluate(NUMBERS))
        for step in range(1, visit.steps() + 1):
            visit.go(step)
            title = visit.page.inner_text("#card h2")
            assert title.startswith(("Forward: ", "Backward: "))
            assert visit.page.inner_text("#count") == f"{step} / {visit.steps()}"
            assert visit.page.query_selector("#card math")
        assert not visit.page.query_selector("#graph .absent:not([data-layer=verdict])")
        after = dict(visit.page.evaluate(NUMBERS))
        assert before.keys() == after.keys()
        source = dict(_numbers(file))
        for name, value in after.items():
            assert np.isclose(value, source[name], rtol=1e-6, atol=1e-13, equal_nan=True), (file.name, name)
        assert "cannot be computed" not in visit.page.inner_text("#edit")
        visit.close()


def _numbers(file: Path) -> Iterator[tuple[str, float]]:
    for name, value in re.findall(r'data-n="([^"]*)" data-v="([^"]*)"', file.read_text(encoding="utf-8")):
        yield html.unescape(name), float(value)


LARGE = """\
inputs: {X: {init: normal, shape: [20, 100], seed: 1}, t: {init: normal, shape: [20, 5], seed: 2}}
parameters: {W: {init: he, shape: [100, 60], seed: 0}, V: {init: he, shape: [60, 5], seed: 3}}
equations: {z: X @ W, h: relu(z), y: h @ V, loss: mean((y - t)**2)}
train: {optimizer: {name: sgd, lr: 0.05}, epochs: 30}
"""


def test_a_page_over_its_limits_still_steps(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_text(LARGE, encoding="utf-8")
    path = tmp_path / "large.html"
    result = api.run(api.load(tmp_path / "large.yaml"))
    path.write_text(result.draw("page"), encoding="utf-8")
    visit = Visit(browser, path)
    for step in range(1, visit.steps() + 1):
        visit.go(step)
        assert "norm" in visit.page.inner_text("#card") or "loss" in visit.page.inner_text("#card h2")
    assert "too many for a page" in visit.page.inner_text("#edit")
    assert visit.page.query_selector("#curve")
    visit.close()


LONG = """\
inputs: {h0: 0.5, x: 1.0}
parameters: {w: 0.3}
equations: {for t in 1..40: {"h[t]": "tanh(w * h[t-1] + x)"}, loss: "h40**2"}
"""


def test_a_fold_is_marked_while_the_page_steps_through_it(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text(LONG, encoding="utf-8")
    path = tmp_path / "long.html"
    path.write_text(api.run(api.load(tmp_path / "long.yaml"), "backprop").draw("page"), encoding="utf-8")
    visit = Visit(browser, path)
    marked = "[...document.querySelectorAll('#graph g.now[data-node]')].map(box => box.textContent.slice(0, 11))"
    for step, words in ((1, "h1scalar"), (2, "… 38 rounds"), (39, "… 38 rounds"), (40, "h40scalar")):
        visit.go(step)
        (said,) = visit.page.evaluate(marked)
        assert said.startswith(words)
        assert visit.page.inner_text("#card h2").startswith(f"Forward: h{step}")
    visit.close()


def test_a_gradient_that_is_not_computed_yet_is_absent(browser: Browser, pages: dict[tuple[str, str], Path]) -> None:
    visit = Visit(browser, pages[E, "first instance"])
    seen = (
        "[...document.querySelectorAll('#graph [data-v]')]"
        ".filter(t => getComputedStyle(t).visibility === 'visible').map(t => t.dataset.n)"
    )
    assert not [name for name in visit.page.evaluate(seen) if name.startswith("d")]
    visit.go(visit.steps())
    assert "dW[0,0]" in visit.page.evaluate(seen)
    visit.close()


def test_an_edit_shows_at_once_and_can_be_taken_back(browser: Browser, pages: dict[tuple[str, str], Path]) -> None:
    visit = Visit(browser, pages[E, "first instance"])
    visit.go(12)
    before = dict(visit.page.evaluate(NUMBERS))
    assert visit.page.query_selector("#card .good")
    took = visit.page.evaluate(
        "() => { const f = document.querySelector('[aria-label=\"V[0,0]\"]');"
        "return Math.min(...['3', '1', '4', '2'].map(text => { const t = performance.now();"
        "f.value = text; f.dispatchEvent(new Event('input')); return performance.now() - t; })); }"
    )
    assert took < 50  # the quickest: the machine may have other things to do
    assert "V[0,0]" in visit.page.inner_text("#state")
    assert visit.page.inner_text("#set") == '--set "V[0,0]=2"'
    assert not visit.page.query_selector("#card .good")
    after = dict(visit.page.evaluate(NUMBERS))
    result = _with(2.0)
    for name, value in after.items():
        assert value == pytest.approx(result[name], rel=1e-9, abs=1e-15), name
    visit.page.click("#reset")
    assert dict(visit.page.evaluate(NUMBERS)) == pytest.approx(before, rel=1e-12)
    assert visit.page.query_selector("#card .good")
    visit.page.fill("[aria-label='V[0,0]']", "0.123456789")
    visit.page.focus("#reset")
    assert visit.page.input_value("[aria-label='V[0,0]']") == "0.1235"
    visit.page.focus("[aria-label='V[0,0]']")
    assert visit.page.input_value("[aria-label='V[0,0]']") == "0.123456789"
    visit.page.click("#reset")
    visit.page.fill("[aria-label='V[0,0]']", "2x")
    assert visit.page.get_attribute("[aria-label='V[0,0]']", "aria-invalid") == "true"
    assert dict(visit.page.evaluate(NUMBERS)) == pytest.approx(before, rel=1e-12)
    visit.close()


def _with(weight: float) -> dict[str, float]:
    """What NumPy makes of the net with another weight."""
    text = (ROOT / "configs" / f"{E}.yaml").read_text(encoding="utf-8").replace("V: [[1, -2]", f"V: [[{weight}, -2]")
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{E}.yaml"
        path.write_text(text, encoding="utf-8")
        frame = api.run(api.load(path), "backprop", cases=["first instance"]).frame("nodes")
    found: dict[str, float] = {}
    for row in frame.to_dict("records"):
        place = f"[{row['index']}]" if row["index"] else ""
        found |= {f"{row['name']}{place}": row["value"], f"d{row['name']}{place}": row["gradient"]}
    return found


def test_training_in_the_page_is_the_lab_s(browser: Browser, pages: dict[tuple[str, str], Path]) -> None:
    visit = Visit(browser, pages[E, "training"])
    visit.page.wait_for_selector("#curve")
    losses = [float(x) for x in visit.page.get_attribute("#curves", "data-losses").split()]
    result = api.run(api.load(ROOT / "configs" / f"{E}.yaml"), "train", cases=["training"])
    train = result.cases[0].train
    assert train
    np.testing.assert_allclose(losses, train.columns["loss"], rtol=1e-12)
    visit.page.eval_on_selector("#curves input", "s => { s.value = 200; s.dispatchEvent(new Event('input')); }")
    assert "after 200 epochs" in visit.page.inner_text("#state")
    shown = dict(visit.page.evaluate(NUMBERS))
    assert shown["W[0,0]"] == pytest.approx(train.parameters["W"][0, 0], rel=1e-12)
    took = visit.page.evaluate(
        "() => { const labels = [...document.querySelectorAll('#train label')];"
        "const f = labels.find(l => l.textContent === 'lr').querySelector('input'), t = performance.now();"
        "f.value = '0.65'; f.dispatchEvent(new Event('input')); return performance.now() - t; }"
    )
    assert took < 1000
    other = [float(x) for x in visit.page.get_attribute("#curves", "data-losses").split()]
    assert other[0] == losses[0]
    assert other[1] != losses[1]
    assert visit.page.inner_text("#set") == '--set "train.lr=0.65"'
    epochs = visit.page.locator("#train label input").last
    for text, wrong in (("2.5", "true"), ("-1", "true"), ("20", "false")):
        epochs.fill(text)
        assert epochs.get_attribute("aria-invalid") == wrong
    assert len(visit.page.get_attribute("#curves", "data-losses").split()) == 21
    epochs.fill("200000")  # more than a page makes within the time in which its reader waits
    assert "stopped there" in visit.page.inner_text("#curves p")
    visit.page.click("#reset")
    assert visit.page.inner_text("#set") == ""
    visit.page.wait_for_function(
        f"document.querySelector('#curves')?.dataset.losses === '{' '.join(map(str, losses))}'"
    )
    visit.close()


EDITED = """\
dtype: float32
inputs: {k: 1, t: 3}
parameters: {E: [[0.5, -1], [2, 0.25]], w: [1, -2]}
equations: {e: "E[k]", loss: "sum((w * e - t)**2)"}
train: {optimizer: {name: averaged_momentum, lr: 0.01}, epochs: 5}
pictures: [page, {contour: {over: {"w[0]": [-2, 2], "w[1]": [-4, 4]}, cases: [base, away]}}]
cases:
  base: {}
  away: {pictures: [], train: {optimizer: {name: sgd, lr: 0.2}}}
"""


def test_what_cannot_be_computed_is_not_taken_and_what_is_offered_can_be_set(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "edited.yaml").write_text(EDITED, encoding="utf-8")
    experiment = api.load(tmp_path / "edited.yaml")
    path = tmp_path / "edited.html"
    path.write_text(api.run(experiment, "train", cases=["base"]).draw("page"), encoding="utf-8")
    visit = Visit(browser, path)
    visit.page.wait_for_selector("#curve")
    before = dict(visit.page.evaluate(NUMBERS))
    for field, text in (("k", "2"), ("k", "0.5"), ("w[0]", "1e200"), ("t", ""), ("t", "-"), ("t", "0,5")):
        visit.page.fill(f"[aria-label='{field}']", text)
        assert visit.page.get_attribute(f"[aria-label='{field}']", "aria-invalid") == "true"
        assert visit.page.get_attribute(f"[aria-label='{field}']", "title") or "outside" in visit.page.inner_text(
            "#state"
        )
        assert dict(visit.page.evaluate(NUMBERS)) == before
        assert visit.page.inner_text("#set") == ""
    share = visit.page.locator("#train label", has_text="momentum").locator("input")
    for text, wrong in (("1", "true"), ("0.9", "false")):
        share.fill(text)
        assert share.get_attribute("aria-invalid") == wrong
    for rate in (
        "1e300",
        "0.02",
    ):  # the first, a float64 as settings are, leads out of every picture
        visit.page.locator("#train label input").first.fill(rate)
        assert visit.page.locator("#train label input").first.get_attribute("aria-invalid") == "false"
    assert visit.page.inner_text("#set") == '--set "train.lr=0.02"'
    visit.page.eval_on_selector("#curves input", "s => { s.value = 3; s.dispatchEvent(new Event('input')); }")
    whole, rate = re.findall('--set "(.*?)"', visit.page.inner_text("#set"))[1:]
    assert whole.startswith("w=[")
    assert rate == "train.lr=0.02"
    assert visit.page.locator(".contour > text", has_text="away").count() == 1
    visit.close()


def test_the_entries_that_an_op_moves_are_put_in(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "moved.yaml").write_text(MOVED, encoding="utf-8")
    path = tmp_path / "moved.html"
    path.write_text(api.run(api.load(tmp_path / "moved.yaml"), "backprop").draw("page"), encoding="utf-8")
    visit = Visit(browser, path)
    for step, said in enumerate(PUT, start=1):
        visit.go(step)
        visit.page.locator(".entry").last.click()
        assert visit.page.inner_text("#put") == said
    visit.close()


MOVED = """\
inputs: {x: [[1, 2], [3, 4]]}
parameters: {W: [[5, 6, 7, 8], [9, 10, 11, 12]]}
equations:
  heads: transpose(reshape(x @ W, 2, 2, 2), 1, 0, 2)
  both: "concat(heads[0] * 2, x.T, axis=1)"
  last: "[x[0, ::-1], flip(x)[1]]"
  deep: log(1 + (x + (1 - (x - (2 - (x - 3))))))
  loss: sum(heads) + sum(both) + sum(last) + sum(deep)
"""
PUT = (
    "heads[1,1,1] = 3 · 8 + 4 · 12 = 72",
    "both[1,3] = 4",
    "last[1,1] = 1",
    "deep[1,1] = log(1 + (4 + (1 − (4 − (2 − (4 − 3)))))) = 1.099",
)


def test_a_phone_needs_no_sideways_scroll(browser: Browser, pages: dict[tuple[str, str], Path]) -> None:
    for file in pages.values():
        visit = Visit(browser, file, viewport={"width": 390, "height": 800})
        for step in (1, visit.steps()):
            visit.go(step)
            assert visit.page.evaluate("document.documentElement.scrollWidth") <= 390, file.name
        cut = (
            "[...document.querySelectorAll('.row input')].filter(f => f.scrollWidth > f.clientWidth).map(f => f.value)"
        )
        assert visit.page.evaluate(cut) == [], file.name
        letters = (
            "[...document.querySelectorAll('#curve text, .contour text')].map(t => t.getBoundingClientRect().height)"
        )
        assert min(visit.page.evaluate(letters), default=12) > 9, file.name
        visit.close()


def test_the_keyboard_is_enough(browser: Browser, pages: dict[tuple[str, str], Path]) -> None:
    visit = Visit(browser, pages[E, "training"])
    keys = visit.page.keyboard
    for key, step in (("ArrowRight", 2), ("ArrowRight", 3), ("ArrowLeft", 2), ("End", visit.steps()), ("Home", 1)):
        keys.press(key)
        assert visit.page.inner_text("#count") == f"{step} / {visit.steps()}"
    reached = set()
    for _ in range(60):
        keys.press("Tab")
        reached.add(
            visit.page.evaluate("document.activeElement.id || document.activeElement.getAttribute('aria-label')")
        )
    assert {"next", "step", "zoom", "W[0,0]", "reset", "Epoch whose weights are shown"} <= reached
    visit.page.locator("#graph [data-node]").nth(2).click()  # after which the arrows go on from there
    before = int(visit.page.inner_text("#count").split()[0])
    keys.press("ArrowLeft")
    assert visit.page.inner_text("#count") == f"{before - 1} / {visit.steps()}"
    keys.press("Home")
    visit.page.focus("[aria-label='W[0,0]']")
    keys.press("ArrowRight")
    assert visit.page.inner_text("#count") == f"1 / {visit.steps()}"  # the field has the keys
    assert "#step=1" in visit.page.url
    visit.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, pages: dict[tuple[str, str], Path], scheme: str) -> None:
    for file in [*pages.values()]:
        visit = Visit(browser, file, color_scheme=scheme, bypass_csp=True)
        visit.go(visit.steps())
        visit.page.wait_for_timeout(50)
        found = axe.Axe().run(visit.page)
        assert found.violations_count == 0, f"{file.name}: {found.generate_report()}"
        visit.close()
