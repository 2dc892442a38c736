"""Bases without their heads: weights as they were, inputs adapted, what cannot fit told; what is frozen."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from automl_phys import backbones, base_layers, keras_fit, pretrained
from automl_phys.errors import DataError
from automl_phys.pretrained import Found
from automl_phys.table_problem import Image, Schema, Texts

keras = keras_fit.load_keras()
layers = keras.layers
RNG = np.random.default_rng(0)


def schema(image: tuple[int, int, int] | None = None, numbers: tuple[str, ...] = (), kind: str = "uint8",
           words: tuple[str, ...] = ()) -> Schema:
    return Schema(numbers, {}, ("label",), ("a", "b"), None, None, (), "error", {}, {},
                  image=Image("image", *image, kind) if image else None, texts=Texts("text", words, 5) if words else None)


def network(model: Any, folder: Path, features: tuple[str, ...] = ()) -> Found:
    model.save(folder / "base.keras")
    return Found("keras", "keras", folder / "base.keras", "the network in base.keras", features)


def mistake(*given: Any) -> Any:
    with pytest.raises(DataError) as error:
        backbones.build(*given)
    return error.value.mistakes[0]


def said(model: Any, *inputs: Any) -> Any:
    return keras_fit.predict(model, [np.asarray(one, np.float32) for one in inputs])


@pytest.fixture
def quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights by NumPy: compiling what draws them takes longer than all else."""
    from keras.src.initializers import random_initializers

    def uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
        return keras.ops.convert_to_tensor(RNG.uniform(minval, maxval, shape).astype("float32"))

    def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
        return keras.ops.convert_to_tensor(RNG.normal(mean, stddev, shape).astype("float32"))

    monkeypatch.setattr(random_initializers.random, "uniform", uniform)
    monkeypatch.setattr(random_initializers.random, "normal", normal)
    monkeypatch.setattr(random_initializers.random, "truncated_normal", normal)


# ---------------------------------------------------------------- applications

@pytest.mark.parametrize("name", pretrained.APPLICATIONS)
def test_pixels_are_put_to_an_application_as_its_own_function_does(name: str) -> None:
    own = importlib.import_module(getattr(keras.applications, name).__module__).preprocess_input
    pixels = RNG.uniform(0, 255, (2, 3, 3, 3)).astype(np.float32)
    how, _ = pretrained.APPLICATIONS[name]
    made = keras.ops.convert_to_numpy(base_layers.Shades(how)(pixels))
    np.testing.assert_allclose(made, np.asarray(own(pixels.copy())), atol=2e-5)


def test_other_pixels_are_brought_to_0_to_255_first() -> None:
    images = RNG.uniform(-0.5, 2, (50, 4, 4, 3)).astype(np.float32)
    black, white = backbones._black_and_white(images)
    assert (black, white) == (images.min(), images.max())
    shades = keras.ops.convert_to_numpy(base_layers.Shades("none", black, white)(images))
    assert shades.min() == 0 and shades.max() == pytest.approx(255)
    assert backbones._black_and_white(images + 1)[0] == 0, "what is never dark stays bright"
    assert backbones._black_and_white(np.zeros((2, 3, 3, 1), np.float32)) == (0, 1)
    assert backbones._black_and_white(np.zeros((2, 3, 3, 1), np.uint8)) == (0, 255)


def application(name: str, weights: Path | None = None, size: int | None = None) -> Found:
    return Found("application", f"{name}:{'file' if weights else 'none'}", weights, name, size=size)


@pytest.mark.usefixtures("quick_start")
def test_small_grey_images_are_adapted_to_an_application(tmp_path: Path) -> None:
    given = RNG.integers(0, 256, (3, 24, 24, 1)).astype(np.uint8)
    backbone, notes = backbones.build(application("MobileNetV2"), schema((24, 24, 1)), given)
    assert [one.name for one in backbone.inputs] == ["images"] and backbone.output_shape == (None, 1280)
    assert "Images of 1 channel become 3" in notes[0] and "24 × 24 pixels are brought to 32 × 32" in notes[1]
    core = next(layer for layer in backbone.layers if isinstance(layer, keras.Model))
    large = keras.ops.image.resize(np.repeat(given, 3, axis=-1).astype(np.float32), (32, 32))
    own = keras.applications.mobilenet_v2.preprocess_input(np.array(large))
    np.testing.assert_allclose(said(backbone, given), said(core, own), rtol=1e-3, atol=1e-5)
    backbone.save(tmp_path / "whole.keras")
    again = keras.models.load_model(tmp_path / "whole.keras")
    assert np.array_equal(said(again, given), said(backbone, given))


@pytest.mark.usefixtures("quick_start")
def test_weights_from_a_file_are_these_weights(tmp_path: Path) -> None:
    from keras.src.legacy.saving import legacy_h5_format

    how: dict[str, Any] = {"weights": None, "include_top": False, "input_shape": (32, 32, 3), "pooling": "avg"}
    trained = keras.applications.MobileNet(alpha=1.0, **how)
    trained.save_weights(tmp_path / "mine.weights.h5")
    import h5py

    with h5py.File(tmp_path / "mobilenet_notop.h5", "w") as file:  # as Keras's own weights are published
        legacy_h5_format.save_weights_to_hdf5_group(file, trained)
    for name in ("mine.weights.h5", "mobilenet_notop.h5"):
        made = backbones.application("MobileNet", (32, 32), str(tmp_path / name))
        assert all(np.array_equal(a, b) for a, b in zip(trained.get_weights(), made.get_weights(), strict=True))
    other = mistake(application("VGG16", tmp_path / "mine.weights.h5"), schema((32, 32, 3)))
    assert other.code == "weights-do-not-fit" and other.key == ("base", "weights")
    assert "not those of VGG16" in other.text and "include_top=False" in other.remedy
    other = mistake(application("VGG16", tmp_path / "mobilenet_notop.h5"), schema((32, 32, 3)))
    assert other.code == "weights-do-not-fit"
    (tmp_path / "text.h5").write_text("no weights at all")
    assert mistake(application("VGG16", tmp_path / "text.h5"), schema((32, 32, 3))).code == "weights-do-not-fit"


@pytest.mark.usefixtures("quick_start")
def test_an_efficientnet_from_a_file_is_what_keras_makes_of_its_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With weights from ImageNet, and only with these, Keras scales pixels once more."""
    from keras.src.applications import efficientnet

    how: dict[str, Any] = {"include_top": False, "input_shape": (32, 32, 3), "pooling": "avg"}
    plain = keras.applications.EfficientNetB0(weights=None, **how)
    plain.save_weights(tmp_path / "plain.weights.h5")
    scale = next(layer for layer in plain.layers if isinstance(layer, layers.Normalization))
    scale.set_weights([np.array(base_layers.TORCH_MEAN), np.array(base_layers.TORCH_WIDTH), np.array(1)])
    plain.save_weights(tmp_path / "fitted.weights.h5")
    monkeypatch.setattr(efficientnet.file_utils, "get_file", lambda *_, **__: str(tmp_path / "fitted.weights.h5"))
    downloaded = keras.applications.EfficientNetB0(weights="imagenet", **how)
    pixels = RNG.uniform(0, 255, (2, 32, 32, 3))
    made = backbones.application("EfficientNetB0", (32, 32), str(tmp_path / "fitted.weights.h5"))
    np.testing.assert_allclose(said(made, pixels), said(downloaded, pixels), rtol=1e-5, atol=1e-7)
    scratch = backbones.application("EfficientNetB0", (32, 32), str(tmp_path / "plain.weights.h5"))
    assert len(scratch.layers) == len(made.layers) - 1


def test_without_a_network_it_is_said_what_to_fetch_and_where_to_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "https://storage.example.org/vgg16/vgg16_notop.h5"

    def offline(**_: Any) -> None:
        raise Exception(f"URL fetch failure on {address}: None -- [Errno -2] Name or service not known")

    monkeypatch.setattr(keras.applications, "VGG16", offline)
    monkeypatch.delenv("KERAS_HOME", raising=False)
    base = Found("application", "VGG16:imagenet", None, "VGG16")
    said = mistake(base, schema((32, 32, 3)))
    assert said.code == "no-download" and said.key == ("base", "weights") and address in said.text
    assert "vgg16_notop.h5" in said.remedy and "~/.keras/models" in said.remedy
    assert "{application: VGG16, weights: FILE}" in said.remedy

    def broken(**_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(keras.applications, "VGG16", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        backbones.build(base, schema((32, 32, 3)))


def test_an_application_wants_images_and_nothing_beside() -> None:
    assert "takes images" in mistake(application("VGG16"), schema(numbers=("pt",))).text
    assert "nothing beside" in mistake(application("VGG16"), schema((32, 32, 1), ("pt",))).text
    small = mistake(application("Xception", size=64), schema((90, 90, 3)))
    assert small.code == "base-does-not-fit" and "71 pixels at least, not 64" in small.text


# ---------------------------------------------------------------- networks that were trained before

def dense(count: int = 4) -> Any:
    given = keras.Input((count,), name="numbers")
    hidden = layers.Dense(6, "relu", name="one")(given)
    return keras.Model(given, layers.Dense(2, name="out")(layers.Dense(3, "relu", name="two")(hidden)))


def convolved(shape: tuple[int, ...] = (8, 8, 1)) -> Any:
    return keras.Sequential([keras.Input(shape, dtype="uint8"), layers.Rescaling(1 / 255), layers.Conv2D(2, 3, name="first"),
                             layers.BatchNormalization(name="norm"), layers.Flatten(name="flat"),
                             layers.Dense(5, "relu", name="hidden"), layers.Dense(3, name="last")])


def test_the_last_layer_of_a_network_is_its_head(tmp_path: Path) -> None:
    model, rows = dense(), RNG.normal(size=(5, 4))
    backbone, notes = backbones.build(network(model, tmp_path), schema(numbers=("a", "b", "c", "d")))
    np.testing.assert_allclose(said(backbone, rows), said(keras.Model(model.inputs, model.get_layer("two").output), rows),
                               rtol=1e-5)
    assert notes == () and [layer.name for layer in backbones.leaves(backbone)] == ["one", "two"]


def test_of_a_network_with_convolutions_all_dense_layers_behind_them_are(tmp_path: Path) -> None:
    model, rows = convolved(), RNG.integers(0, 256, (5, 8, 8, 1))
    backbone, _ = backbones.build(network(model, tmp_path), schema((8, 8, 1)))
    own = keras.Model(model.inputs, model.get_layer("flat").output)
    np.testing.assert_allclose(said(backbone, rows), own.predict(rows.astype(np.uint8), verbose=0), rtol=1e-5)
    assert [layer.name for layer in backbones.leaves(backbone)] == ["first", "norm"]


def test_images_of_other_sizes_and_channels_are_adapted(tmp_path: Path) -> None:
    base = network(convolved(), tmp_path)
    backbone, notes = backbones.build(base, schema((12, 10, 3)))
    rows = RNG.uniform(0, 255, (2, 12, 10, 3))
    assert np.isfinite(said(backbone, rows)).all()
    assert "Images of 3 channels become 1: their mean." in notes and any("12 × 10 pixels are brought to 8 × 8" in n
                                                                          for n in notes)


def test_features_are_matched_by_their_names(tmp_path: Path) -> None:
    model = dense()
    base = network(model, tmp_path, ("pt", "eta", "phi", "mass"))
    backbone, notes = backbones.build(base, schema(numbers=("mass", "charge", "phi", "eta", "pt")))
    rows = RNG.normal(size=(5, 5))
    own = keras.Model(model.inputs, model.get_layer("two").output)
    np.testing.assert_allclose(said(backbone, rows), said(own, rows[:, [4, 3, 2, 0]]), rtol=1e-5)
    assert notes == ("Features that the base does not know are not used: charge.",)
    wrong = mistake(base, schema(numbers=("pt", "eta", "m")))
    assert wrong.code == "base-does-not-fit" and "have not: phi, mass" in wrong.text and "pt, eta, m" in wrong.remedy


def test_numbers_without_names_must_be_as_many(tmp_path: Path) -> None:
    wrong = mistake(network(dense(), tmp_path), schema(numbers=("a", "b")))
    assert wrong.key == ("base",) and "takes 4 numbers, the data have 2 features" in wrong.text


def test_a_network_with_features_beside_its_images(tmp_path: Path) -> None:
    images, numbers = keras.Input((8, 8, 1), name="images"), keras.Input((2,), name="numbers")
    inside = [keras.Input((8, 8, 1)), keras.Input((2,))]
    joined = layers.concatenate([layers.Flatten()(layers.Conv2D(2, 3, name="first")(inside[0])), inside[1]])
    core = keras.Model(inside, layers.Dense(2, name="last")(layers.Dense(4, name="hidden")(joined)), name="core")
    base = network(keras.Model([images, numbers], layers.Softmax()(core([images, numbers]))), tmp_path)
    backbone, _ = backbones.build(base, schema((8, 8, 1), ("a", "b")))
    assert [one.name for one in backbone.inputs] == ["images", "numbers"] and backbone.output_shape == (None, 4)
    assert [layer.name for layer in backbones.leaves(backbone)] == ["first", "hidden"]
    without = mistake(base, schema((8, 8, 1)))
    assert "it takes 2, and the data have images of 8 × 8 × 1" in without.text and "features" in without.remedy


def test_what_a_network_does_not_take_is_told(tmp_path: Path) -> None:
    unused = mistake(network(convolved(), tmp_path), schema((8, 8, 1), ("pt",)))
    assert "does not take numbers" in unused.text and "'features'" in unused.remedy


def test_a_series_is_given_as_arrays(tmp_path: Path) -> None:
    base = network(keras.Sequential([keras.Input((20, 3)), layers.Conv1D(4, 3, name="first"), layers.GlobalMaxPooling1D(),
                                     layers.Dense(2)]), tmp_path)
    backbone, _ = backbones.build(base, schema((20, 3, 1), kind="float32"))
    assert backbone.output_shape == (None, 4) and np.isfinite(said(backbone, RNG.normal(size=(2, 20, 3, 1)))).all()
    assert "series of 20 × 3, the data have 19 × 3 × 1" in mistake(base, schema((19, 3, 1))).text


def test_a_transferred_network_is_a_base_again(tmp_path: Path) -> None:
    """Its head is a model of its own, of which one layer may be all that is trained."""
    given = keras.Input((4,), name="numbers")
    bone = keras.Model(given, layers.Dense(6, "relu", name="one")(given), name="backbone")
    features = keras.Input((6,), name="features")
    head = keras.Model(features, layers.Dense(2, name="outputs")(layers.Dropout(0.2)(features)), name="head")
    raw = keras.Input((4,), name="numbers")
    model = keras.Model(raw, layers.Softmax()(head(bone(raw))))
    rows = RNG.normal(size=(5, 4))
    backbone, _ = backbones.build(network(model, tmp_path), schema(numbers=tuple("abcd")))
    np.testing.assert_allclose(said(backbone, rows), said(bone, rows), rtol=1e-5)


def networks_that_cannot_be_used() -> Iterator[Any]:
    yield keras.Sequential([keras.Input((4,)), layers.Dense(2)]), "one layer at most"
    yield keras.Sequential([keras.Input((4,)), layers.Activation("relu")]), "one layer at most"
    given = keras.Input((4,))
    hidden = layers.Dense(3)(given)
    yield keras.Model(given, [layers.Dense(2)(hidden), layers.Dense(1)(hidden)]), "2 outputs"


@pytest.mark.parametrize(("model", "text"), list(networks_that_cannot_be_used()))
def test_a_network_that_leaves_nothing_is_refused(tmp_path: Path, model: Any, text: str) -> None:
    wrong = mistake(network(model, tmp_path), schema(numbers=tuple("abcd")))
    assert wrong.code == "base-does-not-fit" and text in wrong.text


def test_code_in_a_file_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = tmp_path / "ran"
    evil = layers.Lambda(lambda x: (__import__("pathlib").Path("ran").touch(), x)[1])
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), evil, layers.Dense(2)])
    base = network(model, tmp_path)
    ran.unlink(missing_ok=True)
    wrong = mistake(base, schema(numbers=tuple("abcd")))
    assert wrong.code == "unreadable-file" and wrong.key == ("base", "keras") and "Lambda" in wrong.text + wrong.remedy
    assert not ran.exists()


# ---------------------------------------------------------------- what is frozen

@pytest.fixture(scope="module")
def blocks() -> Any:
    given = keras.Input((4,))
    hidden = given
    for i in range(4):
        hidden = layers.Dense(3, name=f"block{i // 2}_dense{i % 2}")(hidden)
        if i % 2:
            hidden = layers.Activation("relu", name=f"block{i // 2}_relu")(hidden)
    return keras.Model(given, layers.BatchNormalization(name="block")(hidden))


@pytest.mark.parametrize(("freeze", "count"), [
    ("all", 5), ("none", 0), (0, 0), (3, 3), (5, 5), (0.5, 2), (0.79, 4), ({"until": "block1_dense0"}, 2), ({"until": "block1"}, 2),
    ({"until": "block0_relu"}, 2), ({"until": "block"}, 4)])
def test_how_much_is_frozen(blocks: Any, freeze: Any, count: int) -> None:
    """A layer may be named that has no weights; a name as it is goes before those that begin with it."""
    assert backbones.frozen(blocks, freeze) == count


@pytest.mark.parametrize(("freeze", "text"), [
    ({"until": "block1_dens0"}, "no layer 'block1_dens0'. Did you mean 'block1_dense0'?"),
    (6, "6 layers cannot be frozen: the base has 5.")])
def test_a_layer_that_is_not_there(blocks: Any, freeze: Any, text: str) -> None:
    with pytest.raises(DataError) as error:
        backbones.frozen(blocks, freeze)
    found = error.value.mistakes[0]
    assert found.code == "no-such-layer" and text in found.text and found.key == ("freeze",)
    assert "block0_dense0, block0_dense1" in found.remedy


def test_from_scratch_nothing_is_kept_but_statistics(tmp_path: Path) -> None:
    scale = layers.Normalization(name="scale")
    scale.adapt(RNG.normal(3, 2, (50, 4)))
    model = keras.Sequential([keras.Input((4,)), scale, layers.Dense(3, name="one"), layers.Dense(2)])
    backbone, _ = backbones.build(network(model, tmp_path), schema(numbers=tuple("abcd")))
    fresh = backbones.untrained(backbone)
    old, new = ({layer.name: layer.get_weights() for layer in backbones._all(one)} for one in (backbone, fresh))
    assert np.array_equal(old["scale"][0], new["scale"][0]) and not np.array_equal(old["one"][0], new["one"][0])


# ---------------------------------------------------------------- word vectors

def test_words_become_their_vectors(tmp_path: Path) -> None:
    (tmp_path / "v.vec").write_text("higgs 1 2\nboson 3 6\nother 9 9\n")
    base = Found("embeddings", "embeddings", tmp_path / "v.vec", "the word vectors in v.vec")
    tokens = np.array([[2, 3, 0, 0, 0], [2, 4, 4, 1, 0], [0, 0, 0, 0, 0]], np.int32)
    backbone, notes = backbones.build(base, schema(words=("higgs", "boson", "zzz")), None, tokens)
    made = keras_fit.predict(backbone, [tokens])
    assert np.allclose(made[0], [2, 4, 3, 6])
    assert np.allclose(made[1], [1.75, 3.5, 2, 4]), "a word without a vector is the mean of those with one"
    assert not made[2].any()
    assert "2 of 3 words of the vocabulary have a vector (2 numbers) among the file's 3: 33.3% have none." in notes
    assert "Of the running words of the training texts 50.0% have no vector, most often zzz." in notes


def test_vectors_of_another_language_are_refused(tmp_path: Path) -> None:
    (tmp_path / "v.vec").write_text("und 1 2\noder 3 6\n")
    base = Found("embeddings", "embeddings", tmp_path / "v.vec", "the word vectors in v.vec")
    assert "none of the 2 words" in mistake(base, schema(words=("higgs", "boson"))).text
