"""The report: everything is on the page, nothing needs the network, a user's text stays text, twice the same bytes."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from fixtures import jets_run

from automl_phys import pages, report, rundir, scatter
from automl_phys.errors import CallError
from automl_phys.exhibits import Axis, Estimate, Evaluation, Figure, Finding, Table
from automl_phys.readable import estimate

SHOWN = ("roc", "confusion-counts", "search-history")
HOSTILE = "<script>alert(1)</script> | *jets* `x`"
VOID = {"meta", "br", "link", "img", "input"}


class Silent:
    def begin(self, plan, folder): ...
    def stage(self, title): ...
    def say(self, text): ...
    def advance(self, done, total, text=""): ...
    def trial(self, event): ...


class Page(HTMLParser):
    """What a reader or a screen reader finds: headings, links, ids, images, text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.headings, self.ids, self.links, self.fetched, self.scripts, self.tables, self.said = [], [], [], [], [], 0, [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"]] if tag == "a" else []
        self.fetched += [attributes[a] for a in ("src", "href", "xlink:href", "srcset", "data") if a in attributes and tag != "a"]
        self.scripts += tag == "script"
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        if tag == "table":
            self.tables.append([])
        elif self.tables and tag in ("caption", "th"):
            self.tables[-1].append((tag, attributes.get("scope")))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        if tag not in VOID:
            self.handle_starttag(tag, attributes)
            self.open.pop()
        else:
            self.handle_starttag(tag, attributes)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.said.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.said).split())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    made = jets_run.write(tmp_path_factory.mktemp("run"), HOSTILE, SHOWN)
    path = report.run(made, ("html", "markdown"), ("png",), Silent())
    assert path == made.report("html")
    return made


@pytest.fixture(scope="module")
def html(run):
    return run.report("html").read_text()


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_a_recipes_name_stays_text(page, run):
    assert HOSTILE in page.text
    assert page.scripts == 3  # data of two curves, the page's own
    assert "<script" not in run.report("md").read_text()


def test_the_page_needs_nothing_else(html, page):
    assert all(address.startswith(("#", "data:")) for address in page.fetched)
    assert not re.findall(r"@import|@font-face|url\((?!#)", html)


def test_headings_are_in_order_and_links_arrive(page):
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_tables_have_captions_and_scopes(page):
    assert len(page.tables) > 8
    for cells in page.tables:
        assert cells[0] == ("caption", None)
        assert {scope for tag, scope in cells if tag == "th"} <= {"col", "row"}


@pytest.mark.parametrize("said", [
    "0.4552 ± 0.0041", "43 standard deviations", "212 +53 −31", "no interval: it depends on the sum of weights",
    "Remove duplicates from the file", "FloatingPointError: the loss became NaN at epoch 3", "60 000 rows are too many for it",
    "two to four times as fast as TensorFlow", "split: {train: 0.6, valid: 0.2, test: 0.2}", "5f1e" * 16, "boosted_trees, trial 1",
    "embedding is periodic", "Bands are 68 % intervals", "1a2b3c4"])
def test_nothing_is_left_out(page, run, said):
    assert said in page.text
    markdown = re.sub(r"\\([^\w\s])", r"\1", run.report("md").read_text())
    assert said in " ".join(markdown.split())


def test_a_run_without_thresholds_has_no_section_of_them_and_markdown_never(page):
    assert "threshold" not in page.ids
    assert "sweep" not in pages.template("report.md.j2")


@pytest.mark.parametrize(("notes", "head", "rows", "note"), [
    (["bootstrap"] * 3 + ["Wilson"], 3, ["", "", "", "Wilson"], "Intervals cover 68 %; where there is no note: bootstrap."),
    (["bootstrap"] * 4, 2, None, "Intervals cover 68 %: bootstrap."),
    (["a", "a", "b", "c"], 3, ["a", "a", "b", "c"], "Intervals cover 68 %."), (["", ""], 2, None, "Intervals cover 68 %.")])
def test_a_note_that_most_metrics_have_is_said_once(notes, head, rows, note):
    made = report._metrics("Metrics", {f"m{i}": Estimate(1.0, 0.9, 1.1, one) for i, one in enumerate(notes)})
    assert len(made.head) == head and made.note == note
    assert rows is None or [row[2] for row in made.rows] == rows


def test_verdict_metrics_figures_findings_leaderboard_come_in_this_order(page):
    ids = [one for one in page.ids if one in ("main", "metrics", "figures-performance", "checks", "leaderboard", "numbers", "search", "recipe", "provenance")]
    assert ids == ["main", "metrics", "figures-performance", "checks", "leaderboard", "numbers", "search", "recipe", "provenance"]


def test_what_is_found_says_how_to_learn_more(page, run):
    told = [f for f in rundir.read_json(run.findings, tuple[Finding, ...]) if f.outcome in ("issue", "tip")]
    assert told
    for finding in told:
        assert f"automl-phys explain {finding.code}" in page.text


def test_issues_come_first(page):
    assert page.text.index("Leakage") < page.text.index("Best value at the edge of the space") < page.text.index("Overfitting")


def test_markdown_shows_every_figure_and_whole_tables(run):
    text = run.report("md").read_text()
    linked = re.findall(r"!\[[^\]]+\]\((figures/[^)]+)\)", text)
    assert linked == [f"figures/{name}.png" for name in SHOWN]
    assert all((run.path / link).exists() for link in linked)
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_rendering_again_gives_the_same_bytes(run):
    files = [run.report("html"), run.report("md"), *sorted(run.figures.iterdir())]
    before = [file.read_bytes() for file in files]
    report.run(run, ("html", "markdown"), ("png",), Silent())
    assert [file.read_bytes() for file in files] == before


def test_a_recipe_with_a_fence_does_not_end_its_block():
    assert pages.fenced("a: ````", "yaml") == "`````yaml\na: ````\n`````"


def test_a_trial_that_was_cut_off_is_left_out(tmp_path):
    run = jets_run.write(tmp_path, figure_names=())
    (run.trial(3) / "result.json").unlink()
    assert [t.job.number for t in report.read_trials(run)] == [n for n in range(24) if n != 3]


def test_a_run_without_findings_says_so(tmp_path):
    run = jets_run.write(tmp_path, figure_names=())
    rundir.write_json(run.findings, (Finding("overfit", "Overfitting", "passed"),))
    report.run(run, ("html",), (), Silent())
    assert "No issues, no tips." in Page(run.report("html").read_text()).text


def test_what_is_no_run_is_told(tmp_path):
    with pytest.raises(CallError, match=r"plan\.json"):
        report.run(rundir.RunDir(tmp_path), ("html",), (), Silent())


def test_scatters_share_one_script_and_no_text_of_theirs_is_markup(tmp_path):
    run = jets_run.write(tmp_path, figure_names=())
    colour = scatter.colouring("</script><h1>", np.array([0, 1, -1]), ("<b>", HOSTILE))
    shown = Figure("first", HOSTILE, "scatter", Axis("x"), Axis("y"), points=scatter.points(np.arange(3), np.arange(3), [colour]))
    evaluation = rundir.read_json(run.evaluation, Evaluation)
    rundir.write_json(run.evaluation, replace(evaluation, figures=(shown, replace(shown, name="second"))))
    report.run(run, ("html",), (), Silent())
    html = run.report("html").read_text()
    page = Page(html)
    assert page.scripts == 3  # two of data, the page's own
    assert html.count('matchMedia("(prefers-color-scheme: dark)")') == 1
    assert page.headings.count(1) == 1
    assert {"first", "second"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert all(address.startswith(("#", "data:")) for address in page.fetched)


@pytest.mark.parametrize("found", [Estimate(0.9354, 0.9340, 0.9368), Estimate(212.4, 181.0, 265.0), Estimate(-3.2e-6, -3.4e-6, -2.9e-6)])
def test_an_estimate_breaks_between_value_and_errors_only(found):
    whole = pages.whole(estimate(found))
    assert " ".join(whole.split()) == estimate(found)
    assert len(whole.split(" ")) <= 2 + 2 * ("×" in whole)
    assert not re.search("± |\\+[0-9.]+ −", whole)


def test_words_are_left_as_they_are():
    assert pages.whole("trees + mlp − 2") == "trees + mlp − 2"
    table = Table("t", ("a", "b"), ((0.12345678, "x"), (1e-7, "y")))
    assert [pages.is_numeric(table, k) for k in (0, 1)] == [True, False]
