"""The scatter of the report in a real browser: drawn, recoloured, hidden, zoomed, read; on a desk and on a phone.

How the page is read is told in ``fixtures/browser.py``. Where there is no Chromium the tests are skipped.
"""

import re
from dataclasses import replace

import numpy as np
import pytest
from fixtures import browser, jets_run

from automl_phys import report, rundir, scatter
from automl_phys.exhibits import Axis, Evaluation, Figure

pytestmark = pytest.mark.skipif(browser.BROWSER is None, reason=browser.WHY_SKIPPED)

POINTS = 5000
HOSTILE = "<img src=x onerror=alert(1)>"

READER = """
  const figure = document.querySelector("figure.scatter"), canvas = figure.querySelector("canvas");
  const pause = () => new Promise(done => setTimeout(done, 100));
  const hash = () => { let sum = 0; for (const byte of pixels()) sum = (sum * 31 + byte) % 1000003; return sum; };
  const pixels = () => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const near = (data, at, colour) => Math.abs(data[at] - colour[0]) + Math.abs(data[at + 1] - colour[1]) + Math.abs(data[at + 2] - colour[2]) < 90;
  const count = colour => { const data = pixels(); let n = 0; for (let at = 0; at < data.length; at += 4) n += near(data, at, colour); return n; };
  const button = name => [...figure.querySelectorAll("button")].find(one => one.textContent.startsWith(name));
  const press = async name => { button(name).click(); await pause(); };
  const choose = async which => { const select = figure.querySelector("select"); select.value = which; select.dispatchEvent(new Event("change")); await pause(); };
  const point = async (type, x, y, more = {}) => {
    const box = canvas.getBoundingClientRect();
    canvas.dispatchEvent(new (type === "wheel" ? WheelEvent : PointerEvent)(type, { clientX: box.left + x, clientY: box.top + y, pointerType: "mouse", pointerId: 1, cancelable: true, ...more }));
    await pause();
  };
  const key = async (name) => { canvas.dispatchEvent(new KeyboardEvent("keydown", { key: name, cancelable: true })); await pause(); };
  canvas.setPointerCapture = () => {};  // there is no real pointer to capture
  await pause();
  seen.width = [innerWidth, document.documentElement.scrollWidth];
  seen.ratio = canvas.width / canvas.clientWidth / devicePixelRatio;
  seen.shades = new Set(new Uint32Array(pixels().buffer)).size;
  seen.label = canvas.getAttribute("aria-label");
  seen.still = getComputedStyle(figure.querySelector(":scope > svg")).display;
  seen.paper = [...pixels().slice(0, 3)];
  seen.buttons = [...figure.querySelectorAll(".legend button")].map(one => one.textContent);
  seen.images = figure.querySelectorAll("img").length;
  const home = hash();
  seen.blue = [count([63, 144, 218])];
  await press("left");
  seen.blue.push(count([63, 144, 218]));
  seen.pressed = button("left").getAttribute("aria-pressed");
  seen.orange = count([255, 169, 14]);
  await press("left");
  seen.blue.push(count([63, 144, 218]));
  seen.changed = [hash() !== home];
  const see = () => seen.changed.push(hash() !== home);
  await choose(1); see(); seen.ends = figure.querySelector(".legend").textContent; seen.coloured = canvas.getAttribute("aria-label");
  await choose(0); see();
  await press("+"); see();
  await press("Reset"); see();
  await press("+"); await press("−"); see();
  await key("+"); await key("ArrowLeft"); see();
  await key("0"); see();
  await point("wheel", 200, 150, { deltaY: -300 }); see();
  canvas.focus(); await point("wheel", 200, 150, { deltaY: -300 }); see();
  const zoomed = hash();
  await point("pointerdown", 200, 150); await point("pointermove", 230, 170); await point("pointerup", 230, 170);
  seen.dragged = hash() !== zoomed;
  await press("Reset"); see();
  const spot = at => [canvas.clientWidth * at, canvas.clientHeight * at];
  const tip = figure.querySelector(".tip");
  await point("pointermove", 52, 12); seen.nothing = tip.hidden;
  const inner = { width: canvas.clientWidth - 60, height: canvas.clientHeight - 54 };
  await point("pointermove", 50 + inner.width * WHERE_X, 10 + inner.height * WHERE_Y);
  const box = tip.getBoundingClientRect(), plot = figure.querySelector(".plot").getBoundingClientRect();
  seen.tip = tip.innerText.trim().split(/\\s*\\n\\s*/);
  seen.inside = box.left >= plot.left && box.right <= plot.right + 0.5 && box.top >= plot.top && box.bottom <= plot.bottom + 0.5;
  await key("Escape"); seen.escaped = tip.hidden;
"""


def shown():
    rng = np.random.default_rng(4)
    codes = rng.integers(-1, 2, POINTS)
    place = np.array([[0.0, 0.0], [-10.0, 3.0], [10.0, -3.0]])[codes + 1] + rng.normal(size=(POINTS, 2)) * np.array([[4.0], [1.0], [1.0]])[codes + 1]
    place[0], codes[0] = (0.0, 10.0), 1  # alone, to be pointed at
    mass = rng.exponential(50, POINTS)
    mass[0] = 125.4
    colours = [scatter.colouring("cluster", codes, ("left", f"right {HOSTILE}")), scatter.colouring("mass [GeV]", mass)]
    points = scatter.points(*place.T, colours, [f"row {k}" for k in range(POINTS)])
    return Figure("embedding", "Embedding", "scatter", Axis("x", low=-20, high=20), Axis("y", low=-15, high=15), points=points, section="Structure")


class Silent:
    def stage(self, title): ...
    def say(self, text): ...
    def advance(self, done, total, text=""): ...


@pytest.fixture(scope="module")
def report_page(tmp_path_factory):
    run = jets_run.write(tmp_path_factory.mktemp("run"), figure_names=())
    rundir.write_json(run.evaluation, replace(rundir.read_json(run.evaluation, Evaluation), figures=(shown(),)))
    return report.run(run, ("html",), (), Silent())


@pytest.fixture(scope="module", params=[(1280, 900, False), (390, 844, True)], ids=["desk", "phone in the dark"])
def seen(request, report_page, tmp_path_factory):
    does = READER.replace("WHERE_X", str(0.5)).replace("WHERE_Y", str(5 / 30))
    return browser.read(report_page.read_text(), does, tmp_path_factory.mktemp("browser"), *request.param)


def test_nothing_is_complained_about(seen):
    assert seen["complaints"] == []


def test_the_page_fits_the_window(seen):
    inner, needed = seen["width"]
    assert inner == seen["asked"], seen
    assert needed <= inner
    assert seen["ratio"] == pytest.approx(1, abs=0.01)


def test_points_are_drawn_in_place_of_the_still_picture(seen):
    assert seen["shades"] > 50
    assert seen["still"] == "none"
    assert seen["label"] == "Embedding: 5000 points, coloured by cluster"
    assert (max(seen["paper"]) < 64) is seen["dark"]


def test_a_category_can_be_hidden_and_shown_again(seen):
    before, without, after = seen["blue"]
    assert before > 200
    assert without == 0
    assert after == before
    assert seen["pressed"] == "false"
    assert seen["orange"] > 200


def test_another_quantity_can_be_chosen(seen):
    assert seen["coloured"].endswith("coloured by mass [GeV]")
    low, high = re.match(r"≤ ([\d.]+)≥ ([\d.]+)", seen["ends"]).groups()
    assert float(low) == pytest.approx(0.5, abs=0.2)
    assert float(high) == pytest.approx(230, abs=25)


def test_every_control_moves_the_view_and_back(seen):
    assert seen["changed"] == [
        False,         # hidden and shown again
        True, False,   # another colour and back
        True, False,   # zoomed and reset
        False,         # zoomed in and out
        True, False,   # by keys
        False, True,   # the wheel scrolls the page until the plot was clicked
        False]
    assert seen["dragged"]


def test_a_point_is_read(seen):
    assert seen["nothing"]
    assert seen["tip"][0] == "row 0"
    assert [said for said in seen["tip"][1:] if said] == ["cluster", f"right {HOSTILE}", "mass [GeV]", "125.4"]
    assert seen["inside"]
    assert seen["escaped"]


def test_text_is_never_markup(seen):
    assert seen["images"] == 0
    assert any(HOSTILE in text for text in seen["buttons"])
