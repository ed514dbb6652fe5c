"""Keras models as files: their own answers, on torch; nothing in them runs."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.converting.finished import Finished, finish, probabilities
from coreml_updatable.converting.registry import find_converter, load_source_converter
from coreml_updatable.data.inputs import ArrayInput
from coreml_updatable.runtime import load
from coreml_updatable.updating import UpdateTask

pytestmark = pytest.mark.vision


def converted(source: Any, **options: Any) -> Finished:
    return finish(load_source_converter(find_converter("keras")), SourceRequest(source, **options))


def pictures(keras: Any) -> Any:
    """Everything that a small picture classifier is made of, its normalization with numbers that matter."""
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
    generator = np.random.default_rng(1)
    model.set_weights([generator.normal(0.0, 0.5, item.shape).astype("float32") for item in model.get_weights()])
    spread = model.layers[3]  # which has no negative variance
    spread.moving_variance.assign(generator.uniform(0.5, 2, spread.moving_variance.shape))
    return model


def flat(keras: Any, units: int, activation: str | None) -> Any:
    layers = [keras.Input((6,)), keras.layers.Dense(5, activation="tanh"), keras.layers.Dense(units, activation)]
    return keras.Sequential(layers)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_picture_classifier_in_a_file(keras: Any, ending: str, tmp_path: Path) -> None:
    model = pictures(keras)
    model.save(tmp_path / f"model{ending}")
    result = converted(tmp_path / f"model{ending}", labels=("a", "b", "c"), mean=(0.0,), std=(1 / 255,))
    assert result.agreement.difference < 1e-5
    given = result.model.description.input[0]
    assert (given.name, given.type.imageType.width, given.type.imageType.height) == ("image", 16, 12)
    pixels = np.random.default_rng(2).integers(0, 256, (4, 12, 16, 3), np.uint8)
    expected = keras.ops.convert_to_numpy(model(pixels.astype("float32"), training=False))
    rows = [{"image": item} for item in pixels]
    np.testing.assert_allclose(probabilities(load(result.model), rows, ("a", "b", "c")), expected, atol=1e-5)
    assert np.ptp(expected, axis=0).max() > 0.01
    context = UpdateTask(result.model, [{**row, "label": "b"} for row in rows], parameters={"epochs": 20}).resume()
    assert probabilities(context.model, rows, ("b",)).mean() > expected[:, 1].mean()


def test_logits_get_a_softmax_and_labels_are_numbered(keras: Any) -> None:
    model = flat(keras, 3, None)
    result = converted(model)
    assert result.notes == ("the source has no labels; they are the numbers 0 to 2",)
    rows = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(model(rows)))
    name = result.model.description.input[0].name
    said = probabilities(load(result.model), [{name: row} for row in rows], (0, 1, 2))
    np.testing.assert_allclose(said, expected, atol=1e-6)


def test_one_sigmoid_is_two_classes(keras: Any) -> None:
    model = flat(keras, 1, "sigmoid")
    result = converted(model, inputs=(ArrayInput("x", (6,)),), labels=("no", "yes"))
    rows = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    said = probabilities(load(result.model), [{"x": row} for row in rows], ("no", "yes"))
    np.testing.assert_allclose(said[:, 1], keras.ops.convert_to_numpy(model(rows))[:, 0], atol=1e-6)


def test_an_h5_of_keras_2_with_the_groups_of_its_depthwise_layers(keras: Any, tmp_path: Path) -> None:
    model, path = pictures(keras), tmp_path / "old.h5"
    model.save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        depthwise = next(item for item in config["config"]["layers"] if item["class_name"] == "DepthwiseConv2D")
        depthwise["config"]["groups"] = 1
        file.attrs["model_config"] = json.dumps(config)
    assert converted(path).agreement.difference < 1e-5
