"""Format ``hls4ml``: a small dense network for FPGAs, and a configuration to start from.

Writes the trained part of the network, from scaled numbers to outputs, in the layers that hls4ml knows, and a YAML file
with precision and reuse of each layer: integer bits that hold what its weights and outputs are on the run's events.
How far fewer bits will do is yours to find out. The scaling before it is in the JSON file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from automl_phys.contracts import Networked
from automl_phys.errors import CallError, Mistake
from automl_phys.exporting import KERAS_SCRIPT, Subject, Written, beside, preprocessing

SUFFIX = ".yml"
NEEDS = ("keras",)
TEXT = "a small dense network for FPGAs, with a configuration for hls4ml to start from"

PART = "xcvu13p-flga2577-2-e"
"""hls4ml's own default."""


def write(subject: Subject, target: Path) -> Written:
    """Write the configuration, the network and the JSON file. Raises CallError where the run has no network of dense
    layers alone, RunError when the network does not agree with the run."""
    import numpy as np
    import yaml

    from automl_phys import agreement, keras_fit

    member, note = subject.alone(Networked, "network")
    keras_fit.load_keras()
    from automl_phys import fpga_networks

    models: list[Any] = subject.models(member)
    if len(models) > 1:
        raise CallError(Mistake("not-exportable", f"The network is the mean of {len(models)}, which an FPGA has no "
                                "room for.", "Fit one model: without 'bagging' in the recipe."))
    network, scale, end = fpga_networks.dense(models[0].model)
    file = target.with_suffix(".keras")
    network.save(file)
    rows = subject.events(target.parent).rows
    scaled = np.asarray(keras_fit.predict(_of_layer(scale, rows.numbers.shape[1]), (rows.numbers,)))
    found = agreement.fresh(KERAS_SCRIPT, target.parent, file, {"scaled": scaled})["predicted"]
    wanted = models[0].predict(rows)
    ending: dict[str, Any] = {}
    if end is not None:
        centre, width = (np.asarray(keras_fit.load_keras().ops.convert_to_numpy(v)) for v in (end.centre, end.width))
        ending = {"formula": "value = centre + width * output", "centre": centre.tolist(), "width": width.tolist()}
        found = (centre + width * found[:, :: found.shape[1] // len(centre)]).astype(np.float32)
        wanted = wanted[..., 0]
    agreed = agreement.agree(wanted, found, end is None)
    layers = fpga_networks.configuration(network, scaled)
    content = {
        "Backend": "Vitis", "ProjectName": "network", "OutputDir": f"{target.stem}-hls4ml", "Part": PART,
        "ClockPeriod": 5, "IOType": "io_parallel", "KerasModel": file.name,
        "HLSConfig": {"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1, "Strategy": "Latency"},
                      "LayerName": layers}}
    target.write_text(f"# {subject.plan.name}: a start for hls4ml; fewer bits and more reuse are yours to try.\n"
                      + yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    about = {**subject.described(), "family": member.family, "trial": member.trial,
             "preprocessing": {**preprocessing(subject), "scaling": fpga_networks.scaling(scale)}, "ending": ending}
    side = beside(target, about)
    return Written(
        (target, file, side), agreed, ("the dense layers, in floating point: hls4ml makes them fixed point",),
        (f"the scaling of the inputs and all before it: {side.name} has the numbers",
         "how the fixed-point network compares with this one: hls4ml's 'predict' tells"),
        ("import hls4ml, keras, yaml", f'config = yaml.safe_load(open("{target.name}"))',
         "project = hls4ml.converters.convert_from_keras_model(keras.models.load_model(config[\"KerasModel\"]), "
         "hls_config=config[\"HLSConfig\"], backend=config[\"Backend\"], output_dir=config[\"OutputDir\"], "
         "part=config[\"Part\"], clock_period=config[\"ClockPeriod\"], io_type=config[\"IOType\"])"),
        (note,) if note else ())


def _of_layer(layer: Any, width: int) -> Any:
    import keras

    inputs = keras.Input((width,))
    return keras.Model(inputs, layer(inputs))
