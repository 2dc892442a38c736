"""Every control of the report's page in a real browser, on a desk and on a phone in the dark: values read off curves, bars
and matrices, a threshold that is moved, trials that are sorted and filtered; and that nobody is kept out by the page.

How the page is read is told in ``fixtures/browser.py``. Where there is no Chromium the tests are skipped.
"""

import re
from dataclasses import replace

import numpy as np
import pytest
from fixtures import browser, jets_run

from automl_phys import metrics, readable, report, rundir, threshold_sweep
from automl_phys.exhibits import Axis, Evaluation, Figure, Panel, Series

pytestmark = pytest.mark.skipif(browser.BROWSER is None, reason=browser.WHY_SKIPPED)

CELLS = 20
SIZES = [(1280, 900, False), (390, 844, True)]

READER = """
  const pause = () => new Promise(done => setTimeout(done, 50));
  const all = (query, within = document) => [...within.querySelectorAll(query)];
  const lines = one => one.innerText.trim().split(/\\s*\\n\\s*/);
  const point = (plot, x, y, type = "pointermove") => {
    const box = plot.getBoundingClientRect();
    plot.dispatchEvent(new PointerEvent(type, { clientX: box.left + x * box.width, clientY: box.top + y * box.height, pointerType: "mouse", bubbles: true }));
  };
  const press = (plot, key) => plot.dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true, bubbles: true }));
  document.querySelectorAll("details").forEach(one => { one.open = true; });
  await pause();
  seen.width = [innerWidth, document.documentElement.scrollWidth];

  const place = ([left, top, right, bottom], x, y) => [left + x * (right - left), bottom - y * (bottom - top)];
  const figures = {};
  for (const figure of all("figure.readable")) {
    const plot = figure.querySelector(".plot"), tip = plot.querySelector(".tip"), said = figure.querySelector(".unseen");
    const data = JSON.parse(figure.querySelector("script").textContent), box = data.box ?? data.parts[0].box;
    const found = figures[figure.id] = { before: tip.hidden, label: plot.getAttribute("aria-label"), role: plot.querySelector("svg").getAttribute("role") };
    point(plot, ...place(box, 0.501, 0.499));
    found.pointed = lines(tip);
    const [one, other] = [tip, plot].map(each => each.getBoundingClientRect());
    found.inside = one.left >= other.left && one.right <= other.right + 0.5 && one.top >= other.top - 0.5;
    const dots = all(".dot", plot).map(dot => dot.getBoundingClientRect());
    found.dots = dots.map(dot => [(dot.left - other.left) / other.width, (dot.top - other.top) / other.height]);
    found.rules = all(".rule", plot).length;
    found.quiet = said.textContent;
    point(plot, 2, 2); found.outside = tip.hidden;
    plot.focus();
    for (const key of ["Home", "ArrowRight"]) press(plot, key);
    found.stepped = lines(tip); found.said = said.textContent;
    press(plot, "End"); found.last = lines(tip);
    press(plot, "Escape"); found.escaped = tip.hidden;
    point(plot, ...place(box, 0.5, 0.5), "pointerdown"); found.tapped = said.textContent;
    plot.blur(); found.blurred = tip.hidden;
  }
  seen.figures = figures;

  const threshold = document.querySelector(".threshold"), slider = threshold.querySelector("input[type=range]"), number = threshold.querySelector("input[type=number]");
  const told = () => Object.fromEntries(all(".live tbody tr", threshold).map(row => [row.cells[0].textContent, [...row.cells].slice(1).map(cell => cell.textContent)]));
  seen.still = getComputedStyle(threshold.querySelector(".still")).display;
  seen.start = [number.value, told()];
  slider.value = slider.max; slider.dispatchEvent(new Event("input"));
  seen.strictest = told();
  number.value = "0.5"; number.dispatchEvent(new Event("change"));
  seen.half = [number.value, told(), slider.getAttribute("aria-valuetext")];
  number.value = ""; number.dispatchEvent(new Event("change"));
  seen.emptied = number.value;
  seen.marked = {};
  for (const button of all("button", threshold)) { button.click(); seen.marked[button.textContent] = [number.value, told(), button.getAttribute("aria-pressed")]; }

  const trials = document.querySelector('[data-rows="trials"]');
  const column = k => all("tbody tr", trials).filter(row => !row.hidden).map(row => row.cells[k].textContent.trim());
  const heads = all("thead th", trials);
  const sort = k => { heads[k].querySelector("button").click(); return [heads[k].getAttribute("aria-sort"), column(k)]; };
  seen.heads = heads.map(head => head.textContent);
  seen.sorted = { value: [sort(3), sort(3), sort(3)], time: sort(5), family: sort(1) };
  const status = all("select", trials)[1], search = trials.querySelector("input[type=search]"), count = trials.querySelector("[role=status]");
  seen.count = [count.textContent];
  status.value = "pruned"; status.dispatchEvent(new Event("change"));
  seen.pruned = column(2); seen.count.push(count.textContent);
  search.value = "MLP prun"; search.dispatchEvent(new Event("input"));
  seen.found = [column(1), column(2)]; seen.count.push(count.textContent);
  search.value = "no such word"; search.dispatchEvent(new Event("input"));
  seen.count.push(count.textContent);
  search.value = status.value = ""; search.dispatchEvent(new Event("input"));
  const board = document.querySelector("#leaderboard .tabular");
  seen.board = all("thead button", board).length;

  const print = [...document.styleSheets].flatMap(sheet => [...sheet.cssRules]).filter(rule => rule.media?.mediaText === "print").flatMap(rule => [...rule.cssRules]);
  const left = print.filter(rule => rule.style.display === "none").flatMap(rule => all(rule.selectorText));
  seen.unprinted = left.filter(one => one.closest("header, .findings, table, dl, figure") && !one.closest(".plot, .live")).map(one => one.outerHTML.slice(0, 80));
  seen.printRules = print.length;

  const controls = all("a[href], button, input, select, summary, [tabindex='0']").filter(one => one.offsetParent !== null || one.classList.contains("skip"));
  seen.unreached = controls.filter(one => one.tabIndex < 0).map(one => one.outerHTML.slice(0, 80));
  seen.unseen = [];
  for (const one of controls) {
    one.focus({ focusVisible: true, preventScroll: true });
    const style = getComputedStyle(one);
    if (document.activeElement !== one || style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 1) seen.unseen.push(one.outerHTML.slice(0, 80));
  }
  seen.skip = [controls[0].className, document.querySelector(controls[0].getAttribute("href")).tagName];
  document.activeElement.blur();
""" + browser.ASK_AXE


def judged():
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 2, 3000)
    p = 1 / (1 + np.exp(-rng.normal(2.4 * truth - 1.2, 1)))
    return metrics.sample(truth, np.ones(3000), np.column_stack([1 - p, p]), 1)


def shown():
    rng = np.random.default_rng(6)
    steps = tuple(map(float, range(11)))
    below = Panel(Axis("ratio"), (Series("", "points", tuple(s + 0.5 for s in steps[:-1]), tuple(1 + 0.1 * s for s in steps[:-1])),))
    return (
        Figure("many", "Many classes", "matrix", Axis("predicted", categories=tuple(f"c{k}" for k in range(CELLS))), Axis("true", categories=tuple(f"t{k}" for k in range(CELLS))),
               matrix=tuple(map(tuple, rng.integers(0, 99, (CELLS, CELLS)).astype(float).tolist()))),
        Figure("panels", "Two parts", "xy", Axis("mass [GeV]", low=0, high=10), Axis("events", "log", low=1, high=1e4),
               (Series("data", "steps", steps, tuple(10.0 ** (s / 3) for s in steps[:-1])),), below=below))


def complete(folder):
    run = jets_run.write(folder, figure_names=("roc", "confusion-counts", "importance", "search-history"))
    found = rundir.read_json(run.evaluation, Evaluation)
    sample = judged()
    points = {f"{share:.0%} signal efficiency": float(np.sort(sample.probabilities[sample.target == 1, 1])[::-1][round(share * (sample.target == 1).sum()) - 1]) for share in (0.1, 0.5)}
    sweep = threshold_sweep.make(sample, ("top", "QCD"), "p(top)", {"0.5": 0.5, **points}, "0.5", 1)
    rundir.write_json(run.evaluation, replace(found, figures=(*found.figures, *shown()), sweep=sweep))
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = complete(tmp_path_factory.mktemp("run"))
    report.run(made, ("html",), (), Silent())
    return made


class Silent:
    def stage(self, title): ...
    def say(self, text): ...
    def advance(self, done, total, text=""): ...


@pytest.fixture(scope="module", params=SIZES, ids=["desk", "phone in the dark"])
def seen(request, run, tmp_path_factory):
    text = run.report("html").read_text()
    return browser.read(text, READER, tmp_path_factory.mktemp("browser"), *request.param, libraries=browser.axe())


@pytest.fixture(scope="module")
def evaluation(run):
    return rundir.read_json(run.evaluation, Evaluation)


def test_nothing_is_complained_about(seen):
    assert seen["complaints"] == []


def test_the_page_is_no_wider_than_the_window(seen):
    inner, needed = seen["width"]
    assert inner == seen["asked"]
    assert needed <= inner


def test_figures_have_names_and_can_be_pointed_at(seen):
    assert set(seen["figures"]) == {"roc", "importance", "search-history", "many", "panels"}  # a matrix of two is written out
    for found in seen["figures"].values():
        assert found["before"] and found["outside"] and found["escaped"] and found["blurred"]
        assert found["role"] == "img"
        assert "arrow keys read" in found["label"]
        assert found["inside"]
        assert found["quiet"] == ""  # a pointer does not talk


def test_a_curve_is_read_where_it_is_drawn(seen, evaluation):
    found, figure = seen["figures"]["roc"], next(f for f in evaluation.figures if f.name == "roc")
    label, x = found["pointed"][0].split(": ")
    assert label == figure.x.label
    first = figure.series[0]
    near = min(first.x, key=lambda value: abs(value - float(x)))
    assert float(x) == pytest.approx(near, rel=2e-4)
    k = first.x.index(near)
    assert first.name in found["pointed"]
    said = found["pointed"][found["pointed"].index(first.name) + 1]
    value, low, high = map(float, re.match(r"([\d.]+) \(([\d.]+) to ([\d.]+)\)", said).groups())
    assert (value, low, high) == pytest.approx((first.y[k], first.low[k], first.high[k]), rel=1e-3)
    assert "chance" in found["pointed"]
    assert found["rules"] == 1 and len(found["dots"]) >= 2
    assert found["said"].startswith(f"{figure.x.label}: ") and found["tapped"]
    assert found["stepped"] != found["last"]


def test_parts_of_a_figure_are_read_together(seen):
    found = seen["figures"]["panels"]
    assert found["pointed"][0] == "mass [GeV]: 5 to 6"
    assert dict(zip(found["pointed"][1::2], found["pointed"][2::2], strict=True)) == {"data": readable.cell(round(10 ** (5 / 3), 2)), "ratio (ratio)": "1.5 at 5.5"}
    assert found["rules"] == 2
    assert found["dots"][0][1] < found["dots"][1][1]


def test_bars_that_lie_are_read_by_category(seen, evaluation):
    found, figure = seen["figures"]["importance"], next(f for f in evaluation.figures if f.name == "importance")
    assert found["pointed"][0] in figure.x.categories
    assert found["stepped"][0] == figure.x.categories[-2]  # one up from the lowest
    assert found["last"][0] == figure.x.categories[0]


def test_cells_are_read_where_they_are_not_written_out(seen, evaluation):
    found, figure = seen["figures"]["many"], next(f for f in evaluation.figures if f.name == "many")
    assert found["pointed"] == [readable.cell(figure.matrix[10][10]), "row", "true t10", "column", "predicted c10"]
    assert found["last"][1:] == ["row", "true t0", "column", f"predicted c{CELLS - 1}"]


def test_the_threshold_is_moved(seen, evaluation):
    sweep = evaluation.sweep
    assert seen["still"] == "none"
    assert float(seen["start"][0]) == 0.5
    assert seen["half"][0] == "0.5" == seen["emptied"] and seen["half"][2].startswith("0.5: Signal efficiency ")
    assert seen["half"][1] == seen["start"][1]
    sample = judged()
    passes = sample.probabilities[:, 1] >= 0.5
    for code, name in ((1, "top"), (0, "QCD")):
        kept = int((passes & (sample.target == code)).sum())
        share, weight, _, rest = seen["half"][1][name]
        assert share == f"{100 * kept / (sample.target == code).sum():.1f} %"
        assert weight.startswith(f"{kept} ± ") and rest.startswith(f"{(sample.target == code).sum() - kept} ± ")
    assert seen["strictest"]["Signal efficiency"] != seen["half"][1]["Signal efficiency"]
    assert list(seen["marked"]) == list(sweep.marks)
    for name, (value, told, pressed) in seen["marked"].items():
        place = sweep.marks[name]
        assert float(value) == pytest.approx(sweep.thresholds[place], rel=1e-3)
        assert float(re.match(r"[\d.]+", told["Signal efficiency"][0])[0]) == pytest.approx(sweep.measured[0].values[place], rel=0.02)
        assert pressed == "true"


def test_trials_are_sorted(seen):
    number = lambda text: float(text.replace("−", "-"))  # noqa: E731
    up, down, back = seen["sorted"]["value"]
    assert [state for state, _ in (up, down, back)] == ["ascending", "descending", None]
    values = [number(text) for text in up[1] if text != "–"]
    assert values == sorted(values) and len(values) > 3
    assert [number(text) for text in down[1] if text != "–"] == values[::-1]
    assert up[1][len(values):] == down[1][len(values):] == ["–"] * (len(up[1]) - len(values))  # "–" is last, always
    assert back[1] != up[1]
    assert seen["sorted"]["family"][1] == sorted(seen["sorted"]["family"][1])
    assert seen["board"] == 5


def test_trials_are_filtered_and_counted(seen):
    assert seen["count"][0] == "24 of 24 trials shown"
    assert set(seen["pruned"]) == {"pruned"}
    assert seen["count"][1] == f"{len(seen['pruned'])} of 24 trials shown"
    assert set(seen["found"][0]) <= {"mlp"} and set(seen["found"][1]) <= {"pruned"}
    assert seen["count"][3] == "0 of 24 trials shown"


def test_print_leaves_out_controls_alone(seen):
    assert seen["printRules"] > 5
    assert seen["unprinted"] == []


def test_every_control_is_reached_by_keyboard_and_seen_to_be(seen):
    assert seen["unreached"] == []
    assert seen["unseen"] == []
    assert seen["skip"] == ["skip", "MAIN"]


@pytest.mark.skipif(not browser.axe(), reason="axe-core-python is not installed")
def test_axe_finds_nothing_serious(seen):
    assert seen["axe"] > 20
    assert seen["violations"] == []
