"""Format ``keras``: the network in Keras's own file, of Keras's own layers, with what is done before it as JSON.

The network's scaling is inside; gaps, formulas and the codes of categories are the reader's, as the JSON file says. The
file is compared with the run by Keras alone, in a fresh process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from automl_phys.contracts import Networked
from automl_phys.exporting import KERAS_SCRIPT, Subject, Written, beside, preprocessing

SUFFIX = ".keras"
NEEDS = ("keras",)
TEXT = "the network, which Keras 3 loads on any framework"


def write(subject: Subject, target: Path) -> Written:
    """Write the network and the JSON file. Raises CallError where the run has no network, RunError when the file does
    not agree with the run."""
    from automl_phys import agreement, keras_fit

    member, note = subject.alone(Networked, "network")
    keras_fit.load_keras()
    networks: list[Any] = subject.models(member)
    network = averaged([one.model for one in networks])
    network.save(target)
    rows = subject.events(target.parent).rows
    given = networks[0].inputs(rows)
    names = [str(one.name) for one in network.inputs]
    wanted = sum(one.predict(rows).astype("float64") for one in networks) / len(networks)
    found = agreement.fresh(KERAS_SCRIPT, target.parent, target, dict(zip(names, given, strict=True)))["predicted"]
    schema = subject.problem.schema
    agreed = agreement.agree(agreement.joined([wanted.astype("float32")]), agreement.joined([found]),
                             bool(schema.classes))
    answer = f"(n, {len(schema.classes)}): probabilities of {', '.join(schema.classes)}" if schema.classes else \
        f"(n, {len(schema.target)}, 2): value and uncertainty of {', '.join(schema.target)}, not calibrated"
    about = {**subject.described(), "family": member.family, "trial": member.trial, "output": answer,
             "inputs": {name: list(one.shape[1:]) for name, one in zip(names, network.inputs, strict=True)},
             "preprocessing": preprocessing(subject),
             "calibration": {} if schema.classes else dict(subject.winner.calibration)}
    file = beside(target, about)
    return Written(
        (target, file), agreed, (f"the network of family '{member.family}' with its scaling",),
        (f"gaps, formulas and the codes of categories: {file.name} says how",
         *(() if schema.classes else ("the calibration of the uncertainties and the intervals",))),
        ("import keras", f'network = keras.models.load_model("{target.name}")',
         f"answer = network.predict({names[0] if len(names) == 1 else '[' + ', '.join(names) + ']'})  # {answer}"),
        (note,) if note else ())


def averaged(models: list[Any]) -> Any:
    """The networks in Keras's own layers; of several their mean."""
    import keras

    from automl_phys import plain_networks

    plain = [plain_networks.of(one) for one in models]
    if len(plain) == 1:
        return plain[0]
    inputs = [keras.Input(one.shape[1:], dtype=one.dtype, name=one.name) for one in plain[0].inputs]
    given = inputs if len(inputs) > 1 else inputs[0]
    named = [keras.Model(one.inputs, one.outputs, name=f"model_{i}") for i, one in enumerate(plain)]
    answers = [one(given) for one in named]
    return keras.Model(inputs, keras.layers.average([a[0] if isinstance(a, list) else a for a in answers]))
