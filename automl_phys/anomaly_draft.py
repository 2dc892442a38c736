"""The draft of a recipe for anomalies: which events are normal, and how few of them may be flagged.

Takes what was seen in the columns; gives the sections ``data`` and ``anomaly``, every guess with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from automl_phys import role_guesses
from automl_phys.column_profiles import Looked
from automl_phys.drafting import Drafted, column, equals, put_cut, put_inputs, put_split, put_weight, word

VALID_SHARE = 0.18
"""Of normal events, what is surely in the validation part, on which thresholds are set."""


def draft(data: Drafted, looked: Looked, target: str | None) -> Mapping[str, Drafted]:
    """Fill in ``data``, and give ``anomaly``. Raises CallError for what cannot be guessed."""
    label = looked.columns[role_guesses.classes(looked, target).name] if target else role_guesses.class_like(looked)
    taken = [label.name] if label else []
    normal_rows = looked.rows
    expression = None
    if label:
        usual = role_guesses.of_labels(label.counts, role_guesses.NORMALS)
        normal = usual if usual is not None else next(iter(label.counts))
        why = "normal by its name" if usual is not None else "the most frequent one: is it normal?"
        expression = equals(label.name, normal)
        if expression:
            data.put("normal", word(expression), f"{why}; {role_guesses.shares(label.counts)}")
            normal_rows = label.counts[normal]
    if expression is None:
        data.put("normal", word("label == 0"), "which events are normal; no column looks as if it told: all are "
                 "trained on", off=True)
    data.put("truth", word("label == 1"), "which are anomalies, for judging only; default: what is not normal",
             off=True)
    taken += put_weight(data, looked, taken, None)
    features = put_inputs(data, looked, taken, label)
    put_cut(data, looked, label if label and label.missing else None, features, all_classes=False)
    put_split(data)
    return {"anomaly": _anomaly(normal_rows, role_guesses.masses(looked, features))}


def _anomaly(normal_rows: int, masses: Sequence[str]) -> Drafted:
    """What a flag means, at an efficiency that so many normal events can tell."""
    section = Drafted("anomaly")
    told = VALID_SHARE * normal_rows
    share = next((one for one in (0.01, 0.02, 0.05, 0.1, 0.2) if 1 / one <= told), 0.2)
    section.put("background_efficiency", str(share), "share of normal events that is flagged all the same"
                if share == 0.01 else f"share of normal events that is flagged all the same; {normal_rows} normal "
                "events tell no smaller one")
    mass = masses[0] if masses else "m_jj"
    section.put("signal_region", word(f"{column(mass) or 'm_jj'} > 3300 and {column(mass) or 'm_jj'} < 3700"),
                "where a resonance is sought, by its mass", off=True)
    section.put("method", "one-class", "one-class | unlabelled | weakly-supervised; default: by what is given",
                off=True)
    section.put("choose_by", "stand-ins", "or truth: then true anomalies choose the models", off=True)
    section.put("inject", "0.01", "with a truth and no 'normal': so many anomalies are fitted on", off=True)
    return section
