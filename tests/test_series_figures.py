"""Figures and tables of forecasts: they say what the numbers say, and can be drawn."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from fixtures import made_series as fake

from automl_phys import figures, peak, rundir, series_calibration, series_exhibits, series_scores
from automl_phys import series_figures as draw
from automl_phys.contracts import Candidate
from automl_phys.exhibits import Figure, Score, Table
from automl_phys.series_figures import Outlook
from automl_phys.series_parts import decomposition
from automl_phys.series_time import Calendar

COVERAGES = [0.68, 0.95]


def waves(count: int, length: int, targets: int = 1, season: int = 24) -> np.ndarray:
    noise = np.random.default_rng(4).normal(size=(count, length, targets))
    return 30 + 10 * np.sin(2 * np.pi * np.arange(length) / season)[None, :, None] + noise.cumsum(axis=1) / 4


CASES = {
    "one": {"values": (1, 500, 1), "horizon": 24, "season": 24},
    "long": {"values": (1, 700, 1), "horizon": 60, "season": 24, "windows": 12, "stride": 5},
    "one step": {"values": (1, 300, 1), "horizon": 1, "season": 1, "windows": 30},
    "one window": {"values": (1, 200, 1), "horizon": 12, "season": 1, "windows": 1},
    "chaos": {"values": (1, 600, 3), "horizon": 40, "season": 1, "windows": 6, "calendar": Calendar("number", 0.02),
              "settings": {"lyapunov_time": 0.5}},
    "many": {"values": (9, 200, 1), "horizon": 12, "season": 24, "windows": 2},
}


def prepared(folder, values, **more):
    made = waves(*values)
    made[0, 40:44, 0] = np.nan
    made[0, -3, 0] = np.nan
    return fake.make(folder, made, **more)


def shown(problem):
    def forecast(windows):
        return fake.walk(windows, 0.4)

    valid = forecast(problem.valid)
    made = series_calibration.fit(problem.valid, valid, None, COVERAGES)
    calibration = {**made.to_plain(), "rho": peak.correlation(problem.valid.target, valid)}
    lyapunov = problem.schema.settings["lyapunov_time"] / problem.schema.calendar.count
    raw = forecast(problem.test)
    factors = made.along(problem.test, raw, problem.schema.stride)
    judged = {
        "walk": replace(series_scores.judge(problem.test, factors.quantiles(raw), lyapunov),
                        intervals={coverage: factors.interval(raw, coverage) for coverage in COVERAGES}),
        "naive": series_scores.judge(problem.test, fake.walk(problem.test, 3.0), lyapunov)}
    names = series_scores.names(problem.schema.season, lyapunov > 0)
    scores = tuple(Score(name, role, series_scores.estimates(names, judged[name]), gain) for name, role, gain in (
        ("walk", "winner", series_scores.gain("mase", judged["walk"], judged["naive"])), ("naive", "baseline", None)))
    winner = Candidate("walk", "winner", {"test": raw}, forecast)
    return series_exhibits.show(problem, winner, judged, scores, calibration, "mase", 7)


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    problem = prepared(tmp_path_factory.mktemp("case"), **CASES[request.param])
    return request.param, problem, shown(problem)


def test_everything_can_be_drawn_and_stored(case, tmp_path):
    name, _, made = case
    names = [figure.name for figure in made.figures]
    assert len(set(names)) == len(names)
    for figure in made.figures[::2] if name == "one" else made.figures[:2] + made.figures[-1:]:
        assert all(path.stat().st_size > 2000 for path in figures.draw(figure, tmp_path, ("png",)))
    rundir.write_json(tmp_path / "figures.json", made.figures)
    assert rundir.read_json(tmp_path / "figures.json", tuple[Figure, ...])[0].name == names[0]
    rundir.write_json(tmp_path / "tables.json", made.tables)
    assert len(rundir.read_json(tmp_path / "tables.json", tuple[Table, ...])) == len(made.tables)


def test_tables_are_whole_and_short(case):
    _, problem, made = case
    titles = [table.title for table in made.tables]
    assert titles[0] == "Leaderboard"
    assert "(|y| + |f|)" in made.tables[0].note  # there is more than one sMAPE
    assert ("By series" in titles) == (len(problem.stored.lengths) > 1)
    assert ("By target" in titles) == (len(problem.schema.target) > 1)
    for table in made.tables:
        assert 0 < len(table.rows) <= 24
        assert all(len(row) == len(table.head) for row in table.rows), table.title


def test_sections_stand_in_order(case):
    _, _, made = case
    sections = list(dict.fromkeys(figure.section for figure in made.figures))
    order = ["Forecast", "Performance", "Intervals", "Residuals", "Decomposition"]
    assert sections == [section for section in order if section in sections]
    assert sum(figure.section == "Forecast" for figure in made.figures) <= 8


def test_a_verdict_tells_how_intervals_held(case):
    name, _, made = case
    assert made.sentences[0].startswith("95 % intervals held ")
    assert any("Lyapunov" in one for one in made.sentences) == (name == "chaos")


def test_the_same_again_is_the_same(tmp_path):
    problem = prepared(tmp_path, **CASES["one"])
    assert rundir.as_json(shown(problem).tables) == rundir.as_json(shown(problem).tables)


def test_a_forecast_begins_at_the_last_value_and_gaps_stay_gaps(tmp_path):
    problem = prepared(tmp_path, **CASES["one"])
    quantiles = fake.walk(problem.future, 1.0)
    outlook = Outlook(problem.future, quantiles, {0.68: quantiles[..., [3, 7]], 0.95: quantiles[..., [0, 10]]})
    figure = draw.history_and_forecast(problem, outlook, 0, 0)
    median, outer, observed = figure.series
    last = problem.panel.values(0)[-1, 0]
    assert median.y[0] == median.low[0] == median.high[0] == outer.high[0] == last
    assert median.y[1:25] == pytest.approx(quantiles[0, :, 0, 5])
    assert outer.low[1:25] == pytest.approx(quantiles[0, :, 0, 0])
    assert median.x[0] == observed.x[-1]
    assert np.isnan(observed.y[-3])
    assert np.isfinite(observed.y[-1])


def test_a_window_stands_over_the_times_that_it_was_forecast_for(tmp_path):
    problem = prepared(tmp_path, **CASES["one"])
    quantiles = fake.walk(problem.test, 1.0)
    figure = draw.test_windows(problem, Outlook(problem.test, quantiles, {0.68: quantiles[..., [3, 7]]}), 0, 0)
    median, observed, origins = figure.series
    x = np.array(median.x).reshape(5, 26)
    calendar = problem.schema.calendar
    for i, origin in enumerate(problem.test.origin):
        assert x[i, 1] == calendar.axis(np.array([origin]))[0]
        assert x[i, 0] < origins.x[3 * i] < x[i, 1]
    assert observed.x[-1] == x[-1, 24]
    many = prepared(tmp_path / "many", **CASES["long"])
    quantiles = fake.walk(many.test, 1.0)
    figure = draw.test_windows(many, Outlook(many.test, quantiles, {0.68: quantiles[..., [3, 7]]}), 0, 0)
    assert figure.caption.startswith("2 of 12 test windows")  # 5 apart, 60 long: the first and the last


def test_errors_by_horizon_are_those_of_mase(tmp_path):
    problem = prepared(tmp_path, **CASES["one"])
    judged = series_scores.judge(problem.test, fake.walk(problem.test, 1.0))
    (figure,) = draw.error_by_horizon("walk", judged, 24, problem.schema.calendar)
    assert [one.name for one in figure.series] == ["walk", "last value repeated", "last season repeated"]
    assert figure.series[0].y == pytest.approx(figure.series[1].y)  # the median is the last value
    errors = np.abs(judged.residual) / judged.scale[:, None]
    assert figure.series[0].y == pytest.approx(np.nanmean(errors, axis=(0, 2)))
    assert len(draw.error_by_horizon("walk", replace(judged, lyapunov_steps=5.0), 1, problem.schema.calendar)) == 2


def test_coverage_is_the_share_inside(tmp_path):
    problem = prepared(tmp_path, **CASES["one"])
    judged = series_scores.judge(problem.test, fake.walk(problem.test, 1.0))
    judged = replace(judged, intervals={0.99: judged.quantiles[..., [5, 5]]})  # next to nothing is inside
    figure = draw.coverage(judged)
    points = dict(zip(figure.series[1].x, figure.series[1].y, strict=True))
    assert points[0.99] == pytest.approx(0, abs=0.01)
    assert set(points) == {0.5, 0.68, 0.8, 0.9, 0.95, 0.99}
    ends, target = judged.quantiles[..., [4, 6]], judged.target
    seen = np.isfinite(target)
    inside = (target >= ends[..., 0]) & (target <= ends[..., 1])
    assert points[0.5] == pytest.approx(inside[seen].mean())


def test_white_noise_stays_in_its_band_and_a_wave_does_not():
    noise = np.random.default_rng(1).normal(size=800)
    wave = noise + np.sin(np.arange(800) / 3)
    wave[5] = np.nan
    for residuals, outside in ((noise, 0.12), (wave, 1.0)):
        band, _, bars = draw.residual_autocorrelation(residuals, 1, "y").series
        share = np.mean(np.abs(bars.y) > band.y[0])
        assert share < outside if outside < 1 else share > 0.6
        assert len(bars.x) == 60
    assert draw.residual_autocorrelation(np.zeros(100), 1, "y") is None
    assert draw.residual_autocorrelation(np.full(100, np.nan), 1, "y") is None
    assert draw.residual_autocorrelation(noise[:10], 1, "y") is None


@pytest.mark.parametrize("season", [1, 24])
def test_parts_add_up_to_the_series(tmp_path, season):
    problem = fake.make(tmp_path, waves(1, 400), horizon=12, season=season)
    made = decomposition(problem, 0, 0)
    assert [figure.name.split("-")[0] for figure in made] == ["trend", *(["season"] if season > 1 else []), "remainder"]
    values, trend, rest = (np.array(one.y) for one in (*made[0].series, made[-1].series[1]))
    cycle = values - trend - rest
    if season == 1:
        assert cycle == pytest.approx(0, abs=1e-9)
    else:
        assert cycle[-120:] == pytest.approx(made[1].series[1].y)
        assert cycle.std() == pytest.approx(10 / 2**0.5, rel=0.1)
    assert rest.std() < values.std()


def test_a_long_series_is_thinned(tmp_path):
    problem = fake.make(tmp_path, waves(1, 9000)[0, :, 0], horizon=12, season=24)
    assert all(len(one.x) <= 2000 for figure in decomposition(problem, 0, 0) for one in figure.series)


def test_bins_cover_the_horizon():
    for horizon in (1, 2, 7, 24, 25, 132, 10_000):
        parts = draw.bins(horizon)
        assert parts[0][0] == 0
        assert parts[-1][1] == horizon
        assert all(one[1] == other[0] for one, other in pairwise(parts))
        assert len(parts) == min(horizon, 24)
