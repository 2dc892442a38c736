"""Values as a person reads them: numbers with their errors, durations, ranges, names; for the terminal and the report.

Takes facts, decisions and estimates, gives text without markup. Escaping for HTML, Markdown or a terminal, and
layout, are left to whoever shows it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from math import floor, inf, isfinite, isnan, log10

from automl_phys import kinds, measures
from automl_phys.decisions import Plan
from automl_phys.exhibits import Estimate
from automl_phys.facts import Facts, Range
from automl_phys.values import Params, Value

THIN_SPACE = "\u202f"
"""Groups the digits of large numbers (ISO 80000-1), unbreakable."""

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

ASYMMETRY = 1.3
"""Up to this ratio of the two errors one symmetric error is printed."""

MAX_CHARACTERS = 60
"""Longer lists of choices are cut in tables."""


ROUNDING = 1e-12
"""Of a value: errors as small are what sums leave over, and none."""


def estimate(found: Estimate) -> str:
    """``0.9352 ± 0.0021``, or ``14.2 +1.9 −1.1`` where the errors differ; two significant digits of the smaller error.

    Without an interval the plain value; ``> 310`` where the interval has no upper end. Very large and very small
    numbers get a common power of ten.
    """
    if isfinite(found.value) and found.high == inf:
        return f"> {rounded(found.value, 2)}"
    if not (isfinite(found.value) and isfinite(found.low) and isfinite(found.high)):
        return cell(found.value)
    up, down = (0.0 if abs(error) <= ROUNDING * abs(found.value) else error
                for error in (found.high - found.value, found.value - found.low))
    errors = [error for error in (up, down) if error > 0]
    if not errors or min(up, down) < 0:
        return cell(found.value)
    power = _power_of_ten(max(abs(found.value), *errors))
    up, down, value, smallest = (x / 10.0**power for x in (up, down, found.value, min(errors)))
    decimals = _decimals(smallest)
    if len(errors) == 2 and max(up, down) <= ASYMMETRY * min(up, down):
        text = f"{_rounded(value, decimals)} ± {_rounded((up + down) / 2, decimals)}"
    else:
        number = _rounded(value, decimals) if value else "0"
        text = f"{number} +{_error(up, decimals)} −{_error(down, decimals)}"
    return f"({text}) × 10{str(power).translate(SUPERSCRIPTS)}" if power else text


def percent(share: Estimate) -> str:
    """A share between 0 and 1 as ``4.1 ± 0.6 %``."""
    return f"{estimate(Estimate(100 * share.value, 100 * share.low, 100 * share.high))} %"


def _power_of_ten(size: float) -> int:
    """0 for sizes that are read easily as they stand."""
    return 0 if size == 0 or 1e-4 <= size < 1e7 else floor(log10(size))


def _decimals(error: float) -> int:
    """Decimals that show two significant digits of an error; negative when it is 100 or more."""
    return 1 - int(f"{error:.1e}".partition("e")[2])


def _rounded(value: float, decimals: int) -> str:
    return _grouped(f"{round(value, decimals) + 0.0:.{max(decimals, 0)}f}")


def _error(size: float, decimals: int) -> str:
    return _rounded(size, decimals) if size else "0"


def _grouped(digits: str) -> str:
    """Minus sign and groups of three digits before the decimal point, from five digits on."""
    whole, dot, fraction = digits.removeprefix("-").partition(".")
    if len(whole) > 4:
        whole = f"{int(whole):,}".replace(",", THIN_SPACE)
    return ("−" if digits.startswith("-") else "") + whole + dot + fraction


def rounded(value: float, digits: int) -> str:
    """:func:`cell` of a number to so many significant digits."""
    return cell(float(f"{value:.{digits}g}"))


def cell(value: str | float | None) -> str:
    """One value of a table: whole and large numbers in full, others with four significant digits, nothing as a dash."""
    if value is None:
        return "–"
    if isinstance(value, (str, bool)):
        return printable(str(value))
    if not isfinite(value):
        return "–" if isnan(value) else "∞" if value > 0 else "−∞"
    if isinstance(value, int) or (abs(value) < 1e7 and (value.is_integer() or abs(value) >= 1e4)):
        return _grouped(str(round(value)))
    mantissa, _, power = f"{value:.4g}".partition("e")
    return _grouped(mantissa) + (f" × 10{str(int(power)).translate(SUPERSCRIPTS)}" if power else "")


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def memory(megabytes: int) -> str:
    return f"{megabytes} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def count(number: int, noun: str) -> str:
    """``1 worker``, ``2 workers``."""
    return f"{_grouped(str(number))} {noun}{'' if number == 1 else 's'}"


def rows(facts: Facts, number: int) -> str:
    """``200 rows``, of series ``200 windows``, of an environment ``200 episodes``."""
    return count(number, _row(facts))


def parts(facts: Facts) -> str:
    """``600 train, 200 valid, 200 test rows``; ``600 rows`` where nothing is split."""
    if len(facts.rows) == 1:
        return rows(facts, next(iter(facts.rows.values())))
    return ", ".join(f"{_grouped(str(number))} {part}" for part, number in facts.rows.items()) + f" {_row(facts)}s"


def _row(facts: Facts) -> str:
    return kinds.of(facts.kind).row


def setting(value: Value) -> str:
    """One value of a hyperparameter, nearly as a recipe writes it."""
    if isinstance(value, str):
        return printable(value)
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value)


def settings(params: Params) -> str:
    """``depth 6, learning_rate 0.01``."""
    return ", ".join(f"{printable(name)} {setting(value)}" for name, value in params.items())


def values_of(allowed: Range, most: int = MAX_CHARACTERS) -> str:
    """What a parameter may be: ``0.0001 to 0.01``, ``relu | gelu``, or the one value it is pinned to. Lists of choices
    that are longer than ``most`` characters are cut."""
    if allowed.choices:
        text = " | ".join(setting(choice) for choice in allowed.choices)
        return text if len(text) <= most else text[: most - 1] + "…"
    if _is_pinned(allowed):
        return setting(allowed.high if allowed.low is None else allowed.low)
    return f"{setting(_bound(allowed, allowed.low))} to {setting(_bound(allowed, allowed.high))}"


def _bound(allowed: Range, end: float | None) -> Value:
    return int(end) if allowed.integer and end is not None else end


def _is_pinned(allowed: Range) -> bool:
    if allowed.choices:
        return len(allowed.choices) == 1
    return allowed.low is None or allowed.high is None or allowed.low == allowed.high


def scale_of(allowed: Range) -> str:
    """How the values of a parameter are searched."""
    if _is_pinned(allowed):
        return "pinned"
    if allowed.choices:
        return "choice"
    return ("logarithmic" if allowed.log else "linear") + (", whole" if allowed.integer else "")


def condition(when: Mapping[str, tuple[Value, ...]]) -> str:
    """``penalty is l1 or l2``; empty when the parameter is always there."""
    return " and ".join(f"{name} is {' or '.join(setting(v) for v in values)}" for name, values in when.items())


def metric(name: str) -> str:
    """The label of a metric; its own name where :mod:`automl_phys.measures` does not know it."""
    try:
        return measures.label(name)
    except KeyError:
        return printable(name)


def decisions(plan: Plan) -> tuple[tuple[str, str], ...]:
    """What was decided apart from families and space, as names and values."""
    minutes = "no limit in time" if plan.minutes is None else f"at most {plan.minutes:g} min"
    if plan.search_minutes is not None:
        minutes += f" ({plan.search_minutes:g} min for the search)"
    of_precision = "" if plan.precision == "float32" else f", trained in {plan.precision}"
    return (
        ("Task", plan.task),
        ("Objective", f"{metric(plan.objective)} ({plan.objective}), {plan.direction}"),
        *((("Beside it", ", ".join(f"{name}, {direction}" for name, direction in plan.others.items())),)
          if plan.others else ()),
        ("Budget", f"{count(plan.trials, 'trial')}, {minutes}"),
        ("Sampler, pruner", f"{plan.sampler}, {plan.pruner}"),
        *((("Recorded at", plan.storage),) if plan.storage else ()),
        ("Baseline", plan.baseline),
        ("Ensemble", f"of at most {count(plan.ensemble, 'trial')}" if plan.ensemble > 1 else "none"),
        ("Winners", _again(plan)),
        ("Workers", f"{count(plan.workers, 'worker')} ({plan.executor}), {count(plan.threads, 'thread')} each, "
                    f"{memory(plan.memory_mb_per_worker)} each"),
        ("Devices", devices(plan.devices)),
        (f"{kinds.of(plan.facts.kind).networks} on", plan.framework + of_precision),
        ("Seed", str(plan.seed)),
    )


def devices(names: Sequence[str]) -> str:
    """``gpu:0, gpu:1, 6 × cpu``: devices of workers, each with how many workers are on it if several are."""
    counted = Counter(names)
    return ", ".join(name if number == 1 else f"{number} × {name}" for name, number in counted.items())


def printable(text: str) -> str:
    """Text from a user's file with control characters made visible, so that it cannot steer a terminal."""
    return "".join(c if c.isprintable() or c in f"\n{THIN_SPACE}" else "\ufffd" for c in text)


def _again(plan: Plan) -> str:
    """How the models of the winners are made from their trials."""
    if plan.folds:
        return f"the mean over the {plan.folds} folds of the search"
    told = ["fitted again on train and validation"] if plan.refit else []
    told += [f"bagged over {plan.bagging} folds"] if plan.bagging > 1 else []
    told += [kinds.of(plan.facts.kind).again.format(plan.replicas)] if plan.replicas else []
    return ", ".join(told) or "as they were in the search"
