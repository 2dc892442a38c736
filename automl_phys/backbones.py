"""Networks without their heads: what is kept of a pre-trained one, adapted to the inputs of another problem.

Takes a base that was found (:mod:`automl_phys.pretrained`) and a table's schema; gives a Keras model from the table's
inputs, as float32 (tokens as int32), to features (n, k), its layers in order, and which of them come first. Training is
:mod:`automl_phys.transferring`'s work. Imports Keras: import this module inside the function that uses it.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from automl_phys import heads, image_layers, layers, pretrained, word_vectors  # the layers that files name
from automl_phys.errors import DataError, Mistake
from automl_phys.layers import PACKAGE, Fixed
from automl_phys.pretrained import KEY, Found
from automl_phys.registry import did_you_mean

if TYPE_CHECKING:
    from automl_phys.table import Schema

__all__ = ["Pooled", "application", "build", "frozen_until", "heads", "image_layers", "layers", "leaves", "untrained"]

LARGEST_SIDE = 224
"""Side that images are brought to for an application at most, unless the recipe says otherwise."""
CAFFE_MEAN = (103.939, 116.779, 123.68)
TORCH_MEAN, TORCH_WIDTH = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
VECTOR_WIDTH = 0.05
"""Standard deviation of word vectors that are not pre-trained, as Keras starts them."""


def build(found: Found, schema: Schema, largest: float = 255.0) -> tuple[Any, tuple[str, ...]]:
    """The backbone with the base's weights, and notes on how it was adapted.

    ``largest`` is the training images' largest pixel, which counts as white for an application. Raises DataError:
    ``base-does-not-fit``, ``weights-do-not-fit``, ``no-download``, ``unreadable-file``, and what
    :func:`automl_phys.word_vectors.read` raises.
    """
    if found.kind == "embeddings":
        return _of_vectors(found, schema)
    if found.kind == "application":
        return _of_application(found, schema, largest)
    return _of_network(found, schema)


def leaves(model: Any) -> list[Any]:
    """The layers that have weights of their own, those of models inside one after the other, in order; without those
    that are statistics of training rows."""
    found: list[Any] = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += leaves(layer)
        elif layer.weights and not isinstance(layer, (Fixed, keras.layers.Normalization)):
            found.append(layer)
    return found


def frozen_until(names: Sequence[str], freeze: str | float | dict[str, str]) -> int:
    """How many of the layers ``names`` are frozen, from the first on: ``all``, ``none``, so many, a share (below 1), or
    those before the first whose name is, or begins with, ``until``. Raises DataError (``no-such-layer``)."""
    if freeze == "all":
        return len(names)
    if freeze == "none":
        return 0
    if isinstance(freeze, dict):
        until = freeze["until"]
        for i, name in enumerate(names):
            if name == until or name.startswith(until):
                return i
        raise DataError(Mistake("no-such-layer", f"The base has no layer '{until}'.{did_you_mean(until, names)}",
                                f"Its layers: {', '.join(names)}.", ("freeze",)))
    if isinstance(freeze, float):
        return round(freeze * len(names))
    if int(freeze) > len(names):
        raise DataError(Mistake("no-such-layer", f"{freeze} layers cannot be frozen: the base has {len(names)}.",
                                f"Its layers: {', '.join(names)}.", ("freeze",)))
    return int(freeze)


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


# ---------------------------------------------------------------- a network that was trained before

def _of_network(found: Found, schema: Schema) -> tuple[Any, tuple[str, ...]]:
    try:
        model = keras.models.load_model(found.file, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError, AttributeError) as error:
        raise DataError(Mistake("unreadable-file", f"{found.file} cannot be read as a network of Keras: "
                                f"{' '.join(str(error).split())[:300]}",
                                "It may be damaged, or hold layers that Keras cannot load safely.", KEY)) from error
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
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        raise _unfit(found, "it is no network of layers that are known", "Save it as a functional or sequential model.")
    inputs = [keras.Input(one.shape[1:], name=one.name) for one in model.inputs]
    several = isinstance(model.input, (list, tuple))
    copy = keras.models.clone_model(model, input_tensors=inputs if several else inputs[0])
    copy.set_weights(model.get_weights())
    last = _head(copy, found)
    if not isinstance(last, keras.Model):
        return keras.Model(copy.inputs, last.input, name="base")
    core = keras.Model(last.inputs, _head(last, found).input, name=last.name)
    given = last._inbound_nodes[-1].input_tensors
    return keras.Model(copy.inputs, core(given if len(given) > 1 else given[0]), name="base")


def _head(model: Any, found: Found) -> Any:
    """The first layer of a network's head, or the model inside it that has the head."""
    trained = [layer for layer in model.layers if layer.weights and not isinstance(layer, Fixed)]
    if not trained or (len(trained) == 1 and not isinstance(trained[0], keras.Model)):
        raise _unfit(found, "it has one layer at most, so that nothing is left without its head",
                     "Transfer a deeper network.")
    convolved = [i for i, layer in enumerate(trained) if getattr(getattr(layer, "kernel", None), "ndim", 0) > 2]
    if convolved and len(model.inputs) == 1 and not isinstance(trained[-1], keras.Model):
        return next((layer for layer in trained[convolved[-1] + 1:] if isinstance(layer, keras.layers.Dense)),
                    trained[-1])
    return trained[-1]


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
    return Channels(wanted, name="channels")(images)


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
    return Columns([schema.numbers.index(name) for name in found.features], name="columns")(numbers)


def _unfit(found: Found, why: str, remedy: str) -> DataError:
    return DataError(Mistake("base-does-not-fit", f"The base, {found.text}, cannot be used here: {why}.", remedy, KEY))


def _alone(found: Found, schema: Schema) -> None:
    """Refuse features beside what a base takes."""
    if schema.numbers:
        raise _unfit(found, "it takes nothing beside the images or texts", "Leave out 'features' under data.")


def _told(shape: Sequence[Any]) -> str:
    return " × ".join("any" if side is None else str(side) for side in shape[1:])


# ---------------------------------------------------------------- an application of Keras

def _of_application(found: Found, schema: Schema, largest: float) -> tuple[Any, tuple[str, ...]]:
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
    images = Shades(how, largest, name="shades")(images)
    network = application(name, sides, weights if found.file is None else str(found.file))
    return keras.Model(raw, network(images), name="backbone"), tuple(notes)


def application(name: str, sides: Sequence[int], weights: str) -> Any:
    """A network of ``keras.applications`` without its head, pooled to (n, k). ``weights`` are ``imagenet``, ``none`` or
    a file. Raises DataError: ``no-download``, ``weights-do-not-fit``, ``base-does-not-fit``."""
    make = getattr(keras.applications, name)
    settings: dict[str, Any] = {"include_top": False, "input_shape": (*sides, 3), "pooling": "avg"}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`input_shape` is undefined or non-square", category=UserWarning)
        if weights == "imagenet":
            try:
                return make(weights="imagenet", **settings)
            except Exception as error:
                raise _no_download(name, error) from error
        network = make(weights=None, **settings)
    if weights != "none":
        try:
            network.load_weights(weights)
        except (ValueError, OSError, KeyError) as error:
            raise DataError(Mistake(
                "weights-do-not-fit", f"The weights in {weights} are not those of {name} without its head: "
                f"{' '.join(str(error).split())[:300]}", f"Give a file that {name}(include_top=False) saved: "
                "'…_notop.h5' or '.weights.h5'.", (*KEY, "weights"))) from error
    return network


def _no_download(name: str, error: Exception) -> Exception:
    """What to fetch and where to put it; any other error as it is."""
    found = re.search(r"URL fetch failure on (\S+?): ", str(error))
    if not found:
        return error
    address = found.group(1)
    return DataError(Mistake(
        "no-download", f"The weights of {name} cannot be downloaded from {address}.",
        f"Fetch {address.rpartition('/')[2]} from there on a machine with a network, and put it into "
        f"{Path(os.environ.get('KERAS_HOME', '~/.keras'))}/models, or name it: "
        "base: {application: " + name + ", weights: FILE}.", (*KEY, "weights")))


@keras.saving.register_keras_serializable(package=PACKAGE)
class Shades(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """Pixels of 0 … ``largest`` as an application wants them: what its ``preprocess_input`` does to pixels of 0 … 255.
    ``how`` is one of ``pretrained``'s words."""

    def __init__(self, how: str, largest: float, **config: Any) -> None:
        super().__init__(**config)
        self.how, self.largest = how, largest

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "how": self.how, "largest": self.largest}

    def call(self, images: Any) -> Any:
        images = images * (255.0 / self.largest)
        if self.how == pretrained.CAFFE:
            return ops.flip(images, axis=-1) - ops.convert_to_tensor(CAFFE_MEAN, images.dtype)
        if self.how == pretrained.TENSORFLOW:
            return images / 127.5 - 1.0
        if self.how == pretrained.TORCH:
            mean, width = (ops.convert_to_tensor(values, images.dtype) for values in (TORCH_MEAN, TORCH_WIDTH))
            return (images / 255.0 - mean) / width
        return images

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape


@keras.saving.register_keras_serializable(package=PACKAGE)
class Channels(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """Images with another number of channels: the mean of those that there are, in each."""

    def __init__(self, count: int, **config: Any) -> None:
        super().__init__(**config)
        self.count = count

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "count": self.count}

    def call(self, images: Any) -> Any:
        return ops.repeat(ops.mean(images, axis=-1, keepdims=True), self.count, axis=-1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return *shape[:-1], self.count


@keras.saving.register_keras_serializable(package=PACKAGE)
class Columns(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """Some of the numbers (n, d), by their positions."""

    def __init__(self, positions: Sequence[int], **config: Any) -> None:
        super().__init__(**config)
        self.positions = list(positions)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "positions": self.positions}

    def call(self, numbers: Any) -> Any:
        return ops.take(numbers, np.array(self.positions, np.int32), axis=1)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape[0], len(self.positions)


# ---------------------------------------------------------------- word vectors

def _of_vectors(found: Found, schema: Schema) -> tuple[Any, tuple[str, ...]]:
    """Words as their vectors, pooled over the text."""
    if schema.texts is None or found.file is None:
        raise _unfit(found, "there are no texts in the data", "Name their column: data: text.")
    _alone(found, schema)
    vectors = word_vectors.read(found.file, schema.texts.words)
    values = np.zeros((len(schema.texts.words) + 2, vectors.size), np.float32)
    values[2:] = vectors.values
    known = values[2:][vectors.found]
    if len(known):
        # a word without a vector, known or not, starts as the mean of those that have one
        values[1] = known.mean(axis=0)
        values[2:][~vectors.found] = known.mean(axis=0)
    raw = _raw(schema)
    embedding = keras.layers.Embedding(*values.shape, name="words")
    words = embedding(raw[0])
    backbone = keras.Model(raw, Pooled(name="pooled")([words, raw[0]]), name="backbone")
    embedding.set_weights([values])
    share = float((~vectors.found).mean())
    notes = (f"{vectors.found.sum()} of {len(vectors.found)} words of the vocabulary have a vector ({vectors.size} "
             f"numbers) among the file's {vectors.total}: {share:.1%} have none.",)
    return backbone, notes


@keras.saving.register_keras_serializable(package=PACKAGE)
class Pooled(keras.layers.Layer):  # type: ignore[misc]  # keras is not typed
    """Vectors (n, L, d) of the words of a text as one (n, 2 d): their mean and their maximum, without what fills up."""

    def call(self, given: Any) -> Any:
        vectors, tokens = given
        there = ops.cast(tokens > 0, vectors.dtype)[..., None]
        count = ops.maximum(ops.sum(there, axis=1), 1.0)
        mean = ops.sum(vectors * there, axis=1) / count
        largest = ops.max(vectors * there - 1e6 * (1 - there), axis=1)
        largest = ops.where(ops.sum(there, axis=1) > 0, largest, 0.0)
        return ops.concatenate([mean, largest], axis=-1)

    def compute_output_shape(self, shapes: Any) -> tuple[int | None, ...]:
        return shapes[0][0], 2 * shapes[0][2]
