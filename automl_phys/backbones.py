"""Networks without their heads: what is kept of a pre-trained one, adapted to the inputs of another problem.

Takes a base that was found (:mod:`automl_phys.pretrained`) and a table's schema; gives a Keras model from the table's
inputs, as float32 (tokens as int32), to features (n, k), its layers in order, and which of them come first. Training is
:mod:`automl_phys.transferring`'s work. Imports Keras: import this module inside the function that uses it.
"""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from automl_phys import base_layers, pretrained, saved_networks, word_vectors
from automl_phys.errors import DataError, Mistake
from automl_phys.layers import Fixed
from automl_phys.pretrained import KEY, Found
from automl_phys.registry import did_you_mean
from automl_phys.text_tokens import Vocabulary

if TYPE_CHECKING:
    from automl_phys.table import Schema
    from automl_phys.values import Array

LARGEST_SIDE = 224
"""Side that images are brought to for an application at most, unless the recipe says otherwise."""
OF_ROOTS = frozenset(f"EfficientNetB{size}" for size in range(8))
"""Applications whose weights from ImageNet want pixels divided by the roots of the widths once more."""
MOMENTUM = 0.9
"""Of the averages in batch normalisation at most: Keras's 0.99 is slower than the training of few rows."""
LAYERS_TOLD = 40
"""Names of layers that an error lists at most."""


def build(
    found: Found, schema: Schema, images: Array | None = None, tokens: Array | None = None
) -> tuple[Any, tuple[str, ...]]:
    """The backbone with the base's weights, and notes on how it was adapted.

    ``images`` (n, h, w, c) and ``tokens`` (n, L) are those of the training rows: what counts as black and white for an
    application, and which words have no vector, is told by them. Raises DataError: ``base-does-not-fit``,
    ``weights-do-not-fit``, ``no-download``, ``unreadable-file``, and what :func:`automl_phys.word_vectors.read` raises.
    """
    if found.kind == "embeddings":
        return _of_vectors(found, schema, tokens)
    if found.kind == "application":
        return _of_application(found, schema, images)
    return _of_network(found, schema)


def leaves(model: Any) -> list[Any]:
    """The layers that have weights of their own, those of models inside one after the other, in order; without those
    that are statistics of training rows."""
    return [layer for layer in _all(model) if _has_weights(layer)]


def _has_weights(layer: Any) -> bool:
    return bool(layer.weights) and not isinstance(layer, (Fixed, keras.layers.Normalization))


def frozen(backbone: Any, freeze: str | float | dict[str, str]) -> int:
    """How many of the :func:`leaves` are frozen, from the first on: ``all``, ``none``, so many, a share (below 1), or
    those before ``until``, a layer, with or without weights, or what the names of a block's layers begin with. Raises
    DataError (``no-such-layer``)."""
    every = list(_all(backbone))
    count = sum(map(_has_weights, every))
    if freeze == "all":
        return count
    if freeze == "none":
        return 0
    names = [layer.name for layer in every if not isinstance(layer, keras.layers.InputLayer)]
    trained = [layer.name for layer in every if _has_weights(layer)]
    listed = f"Its layers with weights: {', '.join(trained[:LAYERS_TOLD])}{', …' if count > LAYERS_TOLD else ''}."
    if isinstance(freeze, dict):
        until = freeze["until"]
        first = until if until in names else next((name for name in names if name.startswith(until)), None)
        if first is None:
            raise DataError(Mistake("no-such-layer", f"The base has no layer '{until}'.{did_you_mean(until, names)}",
                                    listed, ("freeze",)))
        return sum(map(_has_weights, every[:[layer.name for layer in every].index(first)]))
    if isinstance(freeze, float):
        return round(freeze * count)
    if int(freeze) > count:
        raise DataError(Mistake("no-such-layer", f"{freeze} layers cannot be frozen: the base has {count}.", listed,
                                ("freeze",)))
    return int(freeze)


def settle(backbone: Any) -> None:
    """Let the averages of batch normalisation follow within the few steps that there are."""
    for layer in _all(backbone):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, MOMENTUM)


def untrained(backbone: Any) -> Any:
    """The same network with new random weights; statistics that its first layers scale by are kept."""
    fresh = keras.Model.from_config(backbone.get_config())
    for new, old in zip(_all(fresh), _all(backbone), strict=True):
        if isinstance(old, (Fixed, keras.layers.Normalization)):
            new.set_weights(old.get_weights())
    return fresh


def _all(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _all(layer)
        else:
            yield layer


def _raw(schema: Schema) -> list[Any]:
    """The table's inputs: images, tokens, numbers, those that there are."""
    made = []
    if schema.image:
        made.append(keras.Input(schema.image.shape, name="images"))
    if schema.texts:
        made.append(keras.Input((schema.texts.length,), dtype="int32", name="tokens"))
    if schema.numbers:
        made.append(keras.Input((len(schema.numbers),), name="numbers"))
    return made


class Still(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """A network as it is in prediction, without its dropout, also in the training of what follows it. Never saved."""

    def __init__(self, network: Any, **config: Any) -> None:
        super().__init__(**config)
        self.network = network

    def call(self, given: Any) -> Any:
        return self.network(given, training=False)


# ---------------------------------------------------------------- a network that was trained before

def _of_network(found: Found, schema: Schema) -> tuple[Any, tuple[str, ...]]:
    try:
        model = saved_networks.load(Path(str(found.file)))
    except Exception as error:  # whatever a layer's own code raises
        raise DataError(Mistake("unreadable-file", f"{found.file} cannot be read as a network of Keras: "
                                f"{' '.join(str(error).split())[:300]}",
                                "It may be damaged, or hold layers of your own: these, Lambda among them, are not "
                                "loaded, as they would run code from the file.", (*KEY, found.kind))) from error
    trunk, raw = _trunk(model, found), _raw(schema)
    notes: list[str] = []
    fed = []
    by_name = {one.name: one for one in raw}
    for wanted in trunk.inputs:
        rank = len(wanted.shape)
        if rank >= 3 and schema.image:
            fed.append(_fitting_image(by_name["images"], wanted, found, notes))
        elif rank == 2 and schema.numbers:
            fed.append(_fitting_numbers(by_name["numbers"], wanted, found, schema, notes))
        else:
            raise _unfit(found, f"it takes {_told(wanted.shape)}, and the data have "
                         f"{', '.join(f'{one.name} of {_told(one.shape)}' for one in raw) or 'neither'}",
                         "Name the columns of that kind under data: 'images', or 'features'.")
    features = trunk(fed if len(fed) > 1 else fed[0])
    if len(features.shape) > 2:
        features = keras.layers.Flatten()(features)
    taken = {one.name for tensor in fed for one in keras.utils.get_source_inputs(tensor)}
    if unused := [one.name for one in raw if one.name not in taken]:
        raise _unfit(found, f"it does not take {' and '.join(unused)}",
                     "Leave out 'features' under data." if unused == ["numbers"] else "Leave them out under data.")
    return keras.Model(raw, features, name="backbone"), tuple(notes)


def _trunk(model: Any, found: Found) -> Any:
    """A network without its head; its inputs are float32 whatever they were. The head is the last dense layer, and
    where there are convolutions and one input all dense layers behind them: what these make has been drawn together to
    the classes that the network was trained on."""
    if not isinstance(model, keras.Model) or len(getattr(model, "inputs", None) or ()) == 0:
        raise _unfit(found, "it is no network of layers that are known", "Save it as a functional or sequential model.")
    if len(model.outputs) > 1:
        raise _unfit(found, f"it has {len(model.outputs)} outputs", "Save the part with one of them as a model.")
    inputs = {one.name: keras.Input(one.shape[1:], name=one.name) for one in model.inputs}
    # a sequential model that was loaded does not know what it was called on
    given = next(iter(inputs.values())) if isinstance(model, keras.Sequential) else \
        keras.tree.map_structure(lambda one: inputs[one.name], model.input)
    copy = keras.models.clone_model(model, input_tensors=given)
    copy.set_weights(model.get_weights())
    return keras.Model(copy.inputs, _before_head(copy, found), name="base")


def _before_head(model: Any, found: Found) -> Any:
    """What a network gives to its head, which may be in the last of the models inside it, or be that."""
    trained = [layer for layer in model.layers if layer.weights and not isinstance(layer, Fixed)]
    last = trained[-1] if trained else None
    if isinstance(last, keras.Model):
        given = last._inbound_nodes[-1].input_tensors
        if len(leaves(last)) == 1 and len(trained) > 1 and len(given) == 1:
            return given[0]
        core = keras.Model(last.inputs, _before_head(last, found), name=last.name)
        return core(given if len(given) > 1 else given[0])
    if last is None or len(trained) == 1:
        raise _unfit(found, "it has one layer at most, so that nothing is left without its head",
                     "Transfer a deeper network.")
    convolved = [i for i, layer in enumerate(trained) if getattr(getattr(layer, "kernel", None), "ndim", 0) > 2]
    if convolved and len(model.inputs) == 1:
        last = next((layer for layer in trained[convolved[-1] + 1:] if isinstance(layer, keras.layers.Dense)), last)
    return last.input


def _fitting_image(images: Any, wanted: Any, found: Found, notes: list[str]) -> Any:
    """Images as a network takes them: (h, w, c) brought to its size and channels, or a series (t, f)."""
    height, width, channels = images.shape[1:]
    if len(wanted.shape) == 3:
        if channels != 1 or wanted.shape[1] not in {None, height} or wanted.shape[2] != width:
            raise _unfit(found, f"it takes a series of {_told(wanted.shape)}, the data have {_told(images.shape)}",
                         "Give arrays of that shape.")
        return keras.layers.Reshape((height, width))(images)
    if len(wanted.shape) != 4:
        raise _unfit(found, f"it takes arrays of {_told(wanted.shape)}", "Give a network of images.")
    images = _with_channels(images, int(wanted.shape[3]), notes)
    sides = [int(there or own) for there, own in zip(wanted.shape[1:3], (height, width), strict=True)]
    return _resized(images, sides, notes)


def _with_channels(images: Any, wanted: int, notes: list[str]) -> Any:
    channels = images.shape[3]
    if channels == wanted:
        return images
    notes.append(f"Images of {channels} channel{'s' * (channels > 1)} become {wanted}: "
                 + ("the same in each." if channels == 1 else "their mean" + (" in each." if wanted > 1 else ".")))
    return base_layers.Channels(wanted, name="channels")(images)


def _resized(images: Any, sides: Sequence[int], notes: list[str]) -> Any:
    if list(images.shape[1:3]) == list(sides):
        return images
    notes.append(f"Images of {images.shape[1]} × {images.shape[2]} pixels are brought to {sides[0]} × {sides[1]} "
                 "(bilinear).")
    return keras.layers.Resizing(*sides, name="resized")(images)


def _fitting_numbers(numbers: Any, wanted: Any, found: Found, schema: Schema, notes: list[str]) -> Any:
    count = int(wanted.shape[1])
    if not found.features:
        if count != len(schema.numbers):
            raise _unfit(found, f"it takes {count} numbers, the data have {len(schema.numbers)} features",
                         "Name its features, in its order, under data: features.")
        return numbers
    missing = [name for name in found.features if name not in schema.numbers]
    if missing:
        raise _unfit(found, f"it was trained on features that the data have not: {', '.join(missing)}",
                     f"The data have {', '.join(schema.numbers)}.")
    beyond = [name for name in schema.numbers if name not in found.features]
    if beyond:
        notes.append(f"Features that the base does not know are not used: {', '.join(beyond)}.")
    return base_layers.Columns([schema.numbers.index(name) for name in found.features], name="columns")(numbers)


def _unfit(found: Found, why: str, remedy: str) -> DataError:
    return DataError(Mistake("base-does-not-fit", f"The base, {found.text}, cannot be used here: {why}.", remedy, KEY))


def _alone(found: Found, schema: Schema) -> None:
    """Refuse features beside what a base takes."""
    if schema.numbers:
        raise _unfit(found, "it takes nothing beside the images or texts", "Leave out 'features' under data.")


def _told(shape: Sequence[Any]) -> str:
    return " × ".join("any" if side is None else str(side) for side in shape[1:])


# ---------------------------------------------------------------- an application of Keras

def _of_application(found: Found, schema: Schema, given: Array | None) -> tuple[Any, tuple[str, ...]]:
    if schema.image is None:
        raise _unfit(found, "it takes images, and the data name none", "Name their column: data: images.")
    _alone(found, schema)
    name, _, weights = found.name.partition(":")
    how, least = pretrained.APPLICATIONS[name]
    sides = [found.size or min(max(side, least), LARGEST_SIDE) for side in schema.image.shape[:2]]
    if min(sides) < least:
        raise _unfit(found, f"its images have sides of {least} pixels at least, not {min(sides)}",
                     "Give a larger 'size', or leave it out.")
    notes: list[str] = []
    raw = _raw(schema)
    images = _resized(_with_channels(raw[0], 3, notes), sides, notes)
    images = base_layers.Shades(how, *_black_and_white(given), name="shades")(images)
    network = application(name, sides, weights if found.file is None else str(found.file))
    return keras.Model(raw, network(images), name="backbone"), tuple(notes)


def _black_and_white(images: Array | None) -> tuple[float, float]:
    """What counts as black and white: 0 and 255 in images of 8 bits; of others the least pixel, or 0 if none is below
    it, and the largest."""
    if images is None or images.dtype == np.uint8:
        return 0.0, 255.0
    blocks = np.array_split(images, -(-len(images) // 1024))
    black = min(0.0, *(float(block.min()) for block in blocks))
    white = max(float(block.max()) for block in blocks)
    return black, white if white > black else black + 1.0


def application(name: str, sides: Sequence[int], weights: str) -> Any:
    """A network of ``keras.applications`` without its head, pooled to (n, k). ``weights`` are ``imagenet``, ``none`` or
    a file. Raises DataError: ``no-download``, ``weights-do-not-fit``, ``base-does-not-fit``."""
    make = getattr(keras.applications, name)
    settings: dict[str, Any] = {"include_top": False, "input_shape": (*sides, 3), "pooling": "avg"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`input_shape` is undefined or non-square", category=UserWarning)
        warnings.filterwarnings("error", message="Skipping nested container", category=UserWarning)
        if weights == "imagenet":
            try:
                return make(weights="imagenet", **settings)
            except Exception as error:
                if failed := re.search(r"URL fetch failure on (\S+?): ", str(error)):
                    raise _no_download(name, failed.group(1)) from error
                raise
        network = make(weights=None, **settings)
        if weights != "none":
            try:
                network.load_weights(weights)
            except (ValueError, OSError, KeyError, TypeError, UserWarning) as error:
                raise DataError(Mistake(
                    "weights-do-not-fit", f"The weights in {weights} are not those of {name} without its head: "
                    f"{' '.join(str(error).split())[:300]}", f"Give a file that {name}(include_top=False) saved: "
                    "'…_notop.h5' or '.weights.h5'.", (*KEY, "weights"))) from error
    return _with_imagenet_scale(network) if name in OF_ROOTS else network


def _with_imagenet_scale(network: Any) -> Any:
    """An EfficientNet as Keras builds it for its weights from ImageNet, if these were read from a file: there, and only
    there, what is standardised is divided by the root of the widths once more."""
    scale = next(layer for layer in network.layers if isinstance(layer, keras.layers.Normalization))
    if not np.any(keras.ops.convert_to_numpy(scale.mean)):
        return network  # never fitted: these weights began from random ones

    def call(layer: Any, *given: Any, **how: Any) -> Any:
        made = layer(*given, **how)
        roots = [1 / math.sqrt(width) for width in base_layers.TORCH_WIDTH]
        return keras.layers.Rescaling(roots)(made) if layer.name == scale.name else made

    copy = keras.models.clone_model(network, call_function=call)
    copy.set_weights(network.get_weights())
    return copy


def _no_download(name: str, address: str) -> DataError:
    """What to fetch and where to put it."""
    return DataError(Mistake(
        "no-download", f"The weights of {name} cannot be downloaded from {address}.",
        f"Fetch {address.rpartition('/')[2]} from there on a machine with a network, and put it into "
        f"{Path(os.environ.get('KERAS_HOME', '~/.keras'))}/models, or name it: "
        "base: {application: " + name + ", weights: FILE}.", (*KEY, "weights")))


# ---------------------------------------------------------------- word vectors

def _of_vectors(found: Found, schema: Schema, tokens: Array | None) -> tuple[Any, tuple[str, ...]]:
    """Words as their vectors, pooled over the text."""
    if schema.texts is None or found.file is None:
        raise _unfit(found, "there are no texts in the data", "Name their column: data: text.")
    _alone(found, schema)
    words = schema.texts.words
    vectors = word_vectors.read(found.file, words)
    if not vectors.found.any():
        raise _unfit(found, f"none of the {len(words)} words of the texts is among its {vectors.total}",
                     "Give vectors of the texts' language.")
    values = np.zeros((len(words) + 2, vectors.size), np.float32)
    values[2:] = vectors.values
    # a word without a vector, known or not, starts as the mean of those that have one
    values[1] = vectors.values[vectors.found].mean(axis=0)
    values[2:][~vectors.found] = values[1]
    raw = _raw(schema)
    embedding = keras.layers.Embedding(*values.shape, name="words")
    embedded = embedding(raw[0])
    backbone = keras.Model(raw, base_layers.Pooled(name="pooled")([embedded, raw[0]]), name="backbone")
    embedding.set_weights([values])
    notes = [f"{vectors.found.sum()} of {len(words)} words of the vocabulary have a vector ({vectors.size} numbers) "
             f"among the file's {vectors.total}: {float((~vectors.found).mean()):.1%} have none."]
    if tokens is not None:
        running, _, most = word_vectors.out_of_vocabulary(np.asarray(tokens), Vocabulary(words), vectors.found)
        listed = ", ".join(word for word, _ in most[:10])
        notes.append(f"Of the running words of the training texts {running:.1%} have no vector"
                     + (f", most often {listed}." if listed else "."))
    return backbone, tuple(notes)
