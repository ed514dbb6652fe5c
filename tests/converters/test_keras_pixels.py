"""Pixels reach a Keras model as its first layers, or its user, say."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreml_updatable.converting.finished import probabilities
from coreml_updatable.runtime import load
from tests.converters.test_keras import converted

NOTE = import_module("coreml_updatable.converters.torch.pixels").NOTE
UNTOLD = import_module("coreml_updatable.converters._shared.picture_scaling").UNTOLD
pytestmark = pytest.mark.vision


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
    generator = np.random.default_rng(1)
    weights = [item for item in model.weights if item.path.rpartition("/")[2] in ("kernel", "bias")]
    for weight in weights:
        weight.assign(generator.normal(0, 0.5, weight.shape))
    return model


@pytest.mark.parametrize(
    ("kind", "scales"),
    [
        ("rescaling", True),
        ("normalization", True),
        ("inner", True),
        ("behind", True),
        ("true_divide", True),
        ("add", True),
        ("unit", False),
        ("up", False),
        ("plain", False),
        ("both", False),
    ],
)
def test_pictures_reach_a_model_as_its_first_layer_scales_them(
    keras: Any, kind: str, scales: bool, tmp_path: Path
) -> None:
    model = scaling(keras, kind)
    model.save(tmp_path / "model.keras")
    result = converted(tmp_path / "model.keras", labels=("a", "b", "c"))
    (note,) = result.notes
    if scales:
        assert "scales pixels of 0..255" in note
    else:
        assert note == UNTOLD
    pixels = np.random.default_rng(2).integers(0, 256, (4, 8, 8, 3), np.uint8)
    expected = keras.ops.convert_to_numpy(model(pixels / np.float32(1 if scales else 255), training=False))
    answers = probabilities(load(result.model), [{"image": item} for item in pixels], ("a", "b", "c"))
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_what_is_said_of_pictures_comes_before_what_the_first_layer_scales(keras: Any) -> None:
    model = scaling(keras, "rescaling")
    result = converted(model, labels=("a", "b", "c"), mean=(0.0,), std=(1.0,))
    assert result.notes == ()
    pixels = np.random.default_rng(2).integers(0, 256, (4, 8, 8, 3), np.uint8)
    expected = keras.ops.convert_to_numpy(model(pixels / np.float32(255), training=False))
    answers = probabilities(load(result.model), [{"image": item} for item in pixels], ("a", "b", "c"))
    np.testing.assert_allclose(answers, expected, atol=1e-6)


def test_of_two_pictures_each_must_be_scaled(keras: Any) -> None:
    layers, one, other = keras.layers, keras.Input((8, 8, 3), name="one"), keras.Input((8, 8, 3), name="other")
    for scales, note in (((1 / 255, 1 / 127.5), NOTE), ((1 / 255, 1), UNTOLD)):
        seen = [layers.Rescaling(scales[0], name="l0")(one), layers.Rescaling(scales[1], name="l1")(other)]
        pooled = layers.Concatenate()([layers.GlobalAveragePooling2D()(x) for x in seen])
        result = converted(keras.Model([one, other], layers.Dense(3)(pooled)), labels=("a", "b", "c"))
        assert result.notes[0].startswith(note)
        assert result.agreement.difference < 1e-5
