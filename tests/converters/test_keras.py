"""Keras models as files: their own answers, on torch; nothing in them runs."""

import io
import json
import warnings
import zipfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from coreml_updatable.building.converter import find_converter, load_source_converter
from coreml_updatable.building.finished import Finished, finish, probabilities
from coreml_updatable.conversion import ArrayInput, ImageInput, SourceRequest
from coreml_updatable.errors import SourceError
from coreml_updatable.runtime import load
from coreml_updatable.updating import UpdateTask

reading = import_module("coreml_updatable.converters.keras_reading")
UNTOLD = import_module("coreml_updatable.converters.picture_scaling").UNTOLD
pytestmark = pytest.mark.vision


@pytest.fixture(autouse=True)
def quiet_keras() -> Iterator[None]:
    """Its warnings about HDF5 being the older format, and NumPy's about Keras."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture
def keras() -> Any:
    keras = reading.import_keras()
    keras.utils.set_random_seed(0)
    return keras


def converted(source: Any, **options: Any) -> Finished:
    return finish(load_source_converter(find_converter("keras")), SourceRequest(source, **options))


def pictures(keras: Any) -> Any:
    """Everything that a small picture classifier is made of, its normalisation with numbers that matter."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((12, 16, 3), name="photo"),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(6, 3, activation="relu", padding="same"),
            layers.DepthwiseConv2D(3),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.5),
            layers.Dense(5, activation="relu"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    chance = np.random.default_rng(1)
    model.set_weights([chance.normal(0.0, 0.5, one.shape).astype("float32") for one in model.get_weights()])
    spread = model.layers[3]  # which has no negative variance
    spread.moving_variance.assign(chance.uniform(0.5, 2, spread.moving_variance.shape))
    return model


def flat(keras: Any, units: int, activation: str | None) -> Any:
    layers = [keras.Input((6,)), keras.layers.Dense(5, activation="tanh"), keras.layers.Dense(units, activation)]
    return keras.Sequential(layers)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_picture_classifier_in_a_file(keras: Any, ending: str, tmp_path: Path) -> None:
    model = pictures(keras)
    model.save(tmp_path / f"model{ending}")
    made = converted(tmp_path / f"model{ending}", labels=("a", "b", "c"), mean=(0.0,), std=(1 / 255,))
    assert made.difference < 1e-5
    given = made.model.description.input[0]
    assert (given.name, given.type.imageType.width, given.type.imageType.height) == ("image", 16, 12)
    pixels = np.random.default_rng(2).integers(0, 256, (4, 12, 16, 3), np.uint8)
    expected = keras.ops.convert_to_numpy(model(pixels.astype("float32"), training=False))
    rows = [{"image": one} for one in pixels]
    np.testing.assert_allclose(probabilities(load(made.model), rows, ("a", "b", "c")), expected, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.01
    context = UpdateTask(made.model, [{**row, "label": "b"} for row in rows], parameters={"epochs": 20}).resume()
    assert probabilities(context.model, rows, ("b",)).mean() > expected[:, 1].mean()


def scaling(keras: Any, kind: str) -> Any:
    """A small classifier behind the ``kind`` of scaling, with answers that hang on it."""
    layers, given = keras.layers, keras.Input((8, 8, 3))
    seen = {
        "rescaling": lambda: layers.Rescaling(1 / 255)(given),
        "normalization": lambda: layers.Normalization(mean=[120.0, 110, 100], variance=[3364.0, 3300, 3200])(given),
        "unit": lambda: layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.04, 0.09, 0.06])(given),
        "up": lambda: keras.applications.mobilenet_v2.preprocess_input(layers.Rescaling(255)(given)),
        "plain": lambda: given,
        "both": lambda: layers.Concatenate()([layers.Rescaling(1 / 255)(given), layers.Dropout(0.1)(given)]),
        "inner": lambda: keras.Sequential([layers.Dropout(0.1), layers.Rescaling(1 / 127.5, offset=-1)])(given),
        "behind": lambda: layers.Rescaling(1 / 255, name="own")(keras.Sequential([layers.RandomFlip()])(given)),
        "true_divide": lambda: keras.applications.mobilenet_v2.preprocess_input(given),
        "add": lambda: keras.applications.resnet50.preprocess_input(given),
    }[kind]()
    front = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="tanh")(seen))
    model = keras.Model(given, layers.Dense(3, activation="softmax")(front))
    chance = np.random.default_rng(1)
    weights = [one for one in model.weights if one.path.rpartition("/")[2] in ("kernel", "bias")]
    for one in weights:
        one.assign(chance.normal(0, 0.5, one.shape))
    return model


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("rescaling", "layer 'rescaling"),
        ("normalization", "layer 'normalization"),
        ("inner", "layer 'rescaling"),
        ("behind", "layer 'own' takes"),
        ("true_divide", "layer 'true_divide"),
        ("add", "layer 'add"),
        ("unit", ""),
        ("up", ""),
        ("plain", ""),
        ("both", ""),
    ],
)
def test_pictures_reach_a_model_as_its_first_layer_scales_them(
    keras: Any, kind: str, said: str, tmp_path: Path
) -> None:
    model = scaling(keras, kind)
    model.save(tmp_path / "model.keras")
    made = converted(tmp_path / "model.keras", labels=("a", "b", "c"))
    (note,) = made.notes
    if said:
        assert note.startswith(said)
        assert note.endswith(" pixels of 0..255, so they reach it as such; say --pixels if it expects them otherwise")
    else:
        assert note == UNTOLD
    pixels = np.random.default_rng(2).integers(0, 256, (4, 8, 8, 3), np.uint8)
    expected = keras.ops.convert_to_numpy(model(pixels / np.float32(1 if said else 255), training=False))
    answers = probabilities(load(made.model), [{"image": one} for one in pixels], ("a", "b", "c"))
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_what_is_said_of_pictures_comes_before_what_the_first_layer_scales(keras: Any) -> None:
    model = scaling(keras, "rescaling")
    made = converted(model, labels=("a", "b", "c"), mean=(0.0,), std=(1.0,))
    assert made.notes == ()
    pixels = np.random.default_rng(2).integers(0, 256, (4, 8, 8, 3), np.uint8)
    expected = keras.ops.convert_to_numpy(model(pixels / np.float32(255), training=False))
    answers = probabilities(load(made.model), [{"image": one} for one in pixels], ("a", "b", "c"))
    np.testing.assert_allclose(answers, expected, atol=1e-6)


def test_of_two_pictures_each_must_be_scaled(keras: Any) -> None:
    layers, one, other = keras.layers, keras.Input((8, 8, 3), name="one"), keras.Input((8, 8, 3), name="other")
    for scales, said in (((1 / 255, 1 / 127.5), "layers 'l0' and 'l1' take pixels of 0..255"), ((1 / 255, 1), UNTOLD)):
        seen = [layers.Rescaling(scales[0], name="l0")(one), layers.Rescaling(scales[1], name="l1")(other)]
        pooled = layers.Concatenate()([layers.GlobalAveragePooling2D()(x) for x in seen])
        made = converted(keras.Model([one, other], layers.Dense(3)(pooled)), labels=("a", "b", "c"))
        assert made.notes[0].startswith(said)
        assert made.difference < 1e-5


def test_logits_get_a_softmax_and_labels_are_numbered(keras: Any) -> None:
    model = flat(keras, 3, None)
    made = converted(model)
    assert made.notes == ("the source names no labels: they are the numbers 0 to 2",)
    rows = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(model(rows)))
    name = made.model.description.input[0].name
    said = probabilities(load(made.model), [{name: row} for row in rows], (0, 1, 2))
    np.testing.assert_allclose(said, expected, atol=1e-6)


def test_one_sigmoid_is_two_classes(keras: Any) -> None:
    model = flat(keras, 1, "sigmoid")
    made = converted(model, inputs=(ArrayInput("x", (6,)),), labels=("no", "yes"))
    rows = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    said = probabilities(load(made.model), [{"x": row} for row in rows], ("no", "yes"))
    np.testing.assert_allclose(said[:, 1], keras.ops.convert_to_numpy(model(rows))[:, 0], atol=1e-6)


def test_an_h5_of_keras_2_with_the_groups_of_its_depthwise_layers(keras: Any, tmp_path: Path) -> None:
    model, path = pictures(keras), tmp_path / "old.h5"
    model.save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        depthwise = next(one for one in config["config"]["layers"] if one["class_name"] == "DepthwiseConv2D")
        depthwise["config"]["groups"] = 1
        file.attrs["model_config"] = json.dumps(config)
    assert converted(path).difference < 1e-5


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_lambda_is_refused_before_anything_runs(keras: Any, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{ending}"
    twice = keras.layers.Lambda(lambda x: x * 2, name="twice")
    keras.Sequential([keras.Input((6,)), twice, keras.layers.Dense(3)]).save(path)
    with pytest.raises(SourceError, match=r"layer 'twice' is a Lambda, which runs as code when it is read; replace it"):
        converted(path)


def test_a_part_from_elsewhere_is_refused(keras: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    flat(keras, 3, None).save(path)
    rewrite(path, lambda config: config["config"]["layers"][1].update(module="os", class_name="system"))
    with pytest.raises(SourceError, match=r"'system' comes from 'os', expected nothing but parts of Keras; replace it"):
        converted(path)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mine.keras", "layer 'mine' is of the class 'Mine', which is none of Keras's own; build the model"),
        (
            "mine.h5",
            "layer 'mine' is of the class 'Mine', which is none of Keras's own; build the model",
        ),
        (
            "known.keras",
            "layer 'known' is of the class 'Known', which is none of Keras's own; build the model",
        ),
        ("known.h5", "layer 'known' is of the class 'Known', which is none of Keras's own; build the model"),
        ("whole.keras", "the model is of the class 'Whole', which is none of Keras's own; build the model"),
        ("ruled.keras", "a part is of the class 'Ruled', which is none of Keras's own; build the model"),
        ("twice.keras", "the function 'twice' is none of Keras's own; replace it by one, such as relu, and save"),
        ("twice.h5", "the function 'twice' is none of Keras's own; replace it by one, such as relu, and save"),
    ],
)
def test_a_part_that_somebody_wrote_is_named(keras: Any, name: str, sentence: str, tmp_path: Path) -> None:
    own_parts(keras)[name.partition(".")[0]]().save(tmp_path / name)
    registered = keras.saving.get_custom_objects()
    for known in [one for one in registered if one.startswith("here>")]:
        del registered[known]  # as in a process that has not seen them
    with pytest.raises(SourceError) as error:
        converted(tmp_path / name)
    assert str(error.value).startswith(f"{tmp_path / name}: {sentence}")
    assert len(str(error.value).splitlines()) == 1


def own_parts(keras: Any) -> dict[str, Any]:
    """Models with parts of a script's own, by name, as Keras writes them from such."""

    class Mine(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    @keras.saving.register_keras_serializable("here")
    class Known(Mine):
        pass

    @keras.saving.register_keras_serializable("here")
    class Whole(keras.Model):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    @keras.saving.register_keras_serializable("here")
    class Ruled(keras.regularizers.Regularizer):  # type: ignore[misc]
        def __call__(self, x: Any) -> Any:
            return keras.ops.sum(x)

        def get_config(self) -> dict[str, Any]:
            return {}

    def twice(x: Any) -> Any:
        return x * 2

    for one in (Mine, Known, Whole, Ruled):
        one.__module__ = "__main__"

    def network(*front: Any, **options: Any) -> Any:
        return keras.Sequential([keras.Input((6,)), *front, keras.layers.Dense(3, **options)])

    def whole() -> Any:
        model = Whole()
        model(np.ones((1, 6), np.float32))
        return model

    return {
        "mine": lambda: network(Mine(name="mine")),
        "known": lambda: network(Known(name="known")),
        "whole": whole,
        "ruled": lambda: network(kernel_regularizer=Ruled()),
        "twice": lambda: network(activation=twice),
    }


def rewrite(path: Path, change: Any) -> None:
    """The configuration inside a .keras file, changed."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(contents["config.json"])
    change(config)
    contents["config.json"] = json.dumps(config).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    path.write_bytes(buffer.getvalue())


def test_files_that_hold_no_model(keras: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"nothing")
    with pytest.raises(SourceError, match=r"no Keras model \(File is not a zip file\); save it with model.save"):
        converted(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other", "")
    with pytest.raises(SourceError, match=r"an archive without a config.json, expected a .keras file"):
        converted(path)
    flat(keras, 3, None).save(path)
    rewrite(path, lambda config: config["config"]["layers"][1]["config"].update(units=7))
    with pytest.raises(SourceError, match=r"Keras can not read it \(\w+: .*; save it anew with model.save"):
        converted(path)
    monkeypatch.setattr(reading, "MOST_BYTES", 100)
    with pytest.raises(SourceError, match="expected at most 100; use a smaller model"):
        converted(path)
    model = flat(keras, 3, None)
    model.save_weights(tmp_path / "some.weights.h5")
    with pytest.raises(SourceError, match="holds weights without a model, expected both; save the whole model"):
        converted(tmp_path / "some.weights.h5")


def test_sources_and_inputs_that_do_not_fit(keras: Any) -> None:
    with pytest.raises(SourceError, match=r"source: is a str, expected a keras.Model"):
        converted("text")
    with pytest.raises(SourceError, match="has not been built, expected known inputs; call it once"):
        converted(keras.Sequential([keras.layers.Dense(3)]))
    model = flat(keras, 3, None)
    with pytest.raises(SourceError, match=r"input 'x': has the shape \[5\], the model expects \[6\]; name it"):
        converted(model, inputs=(ArrayInput("x", (5,)),))
    with pytest.raises(SourceError, match=r"input: 2 given, the model has 1 \('.*'\); say --input once for each"):
        converted(model, inputs=(ArrayInput("x", (6,)), ArrayInput("y", (6,))))
    open_size = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()]
    )
    with pytest.raises(SourceError, match=r"has no fixed shape \(\[None, None, 3\]\), expected one; say it"):
        converted(open_size)
    assert converted(open_size, inputs=(ImageInput("image", 12, 12, "rgb"),)).difference < 1e-5


def test_answers_and_labels_that_do_not_fit(keras: Any) -> None:
    with pytest.raises(SourceError, match="labels: 2 for a network with 3 outputs; name one for each"):
        converted(flat(keras, 3, None), labels=("a", "b"))
    with pytest.raises(SourceError, match=r"the source answers \[1, 1\] for one input of shape \[1, 6\], expected"):
        converted(flat(keras, 1, None))


def test_keras_on_another_backend(keras: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(SourceError, match="keras: runs on jax in this process, expected torch; set"):
        reading.import_keras()
