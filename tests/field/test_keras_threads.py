"""Threads about Keras models: layers and heads that did not convert, and pictures that arrived otherwise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import coreml_updatable as cu
from tests.field.networks import learns, probabilities, rules

pytestmark = pytest.mark.vision


def weighted(model: Any) -> Any:
    """Weights that tell classes apart; variances stay positive."""
    random = np.random.default_rng(0)
    for weights in model.weights:
        values = random.normal(0, 0.5, weights.shape)
        weights.assign(np.abs(values) + 0.5 if "variance" in weights.name else values)
    return model


def answers(keras: Any, model: Any, values: Any) -> Any:
    """What Keras itself answers."""
    said = keras.ops.convert_to_numpy(model(values.astype(np.float32), training=False))
    return np.hstack([1 - said, said]) if said.shape[1] == 1 else said


def saved(model: Any, path: Path) -> Path:
    model.save(path)
    return path


def pictures(size: int = 16) -> Any:
    return np.random.default_rng(1).integers(0, 256, (4, size, size, 3), dtype=np.uint8)


@pytest.mark.field_case("apple/coremltools#144", "Dense(1, sigmoid) and two labels: sizes do not match", "works")
@pytest.mark.field_case("keras-team/keras#9591", "the same, asked of Keras", "works")
@pytest.mark.field_case("apple/coremltools#525", "Dense(1), then Activation('sigmoid'), for cats and dogs", "works")
@pytest.mark.parametrize("apart", [False, True])
def test_one_sigmoid_for_two_labels(keras: Any, tmp_path: Path, apart: bool) -> None:
    layers = keras.layers
    end = [layers.Dense(1), layers.Activation("sigmoid")] if apart else [layers.Dense(1, activation="sigmoid")]
    body = [layers.Conv2D(6, 3, activation="relu"), layers.MaxPooling2D(4), layers.Flatten(), layers.Dropout(0.5)]
    model = weighted(keras.Sequential([keras.Input((16, 16, 3)), layers.Rescaling(1 / 255), *body, *end]))
    result = cu.convert(saved(model, tmp_path / "model.h5"), labels=("cat", "dog"), mean=(0,), std=(1 / 255,))
    assert rules(result) == set()
    given = [{"image": picture} for picture in pictures()]
    np.testing.assert_allclose(probabilities(result, given), answers(keras, model, pictures()), atol=1e-5)
    learns(result, given, "label", ("cat", "dog"), learningRate=0.001)


RECURRENT: dict[str, Callable[[Any], list[Any]]] = {
    "one LSTM": lambda layers: [layers.LSTM(5)],
    "two LSTMs": lambda layers: [layers.LSTM(5, return_sequences=True), layers.LSTM(4)],
    "a simple one": lambda layers: [layers.SimpleRNN(5)],
}


@pytest.mark.field_case("apple/coremltools#791", "an LSTM of TensorFlow 2", "works")
@pytest.mark.field_case("apple/coremltools#1178", "a basic LSTM of Keras converts, and does not run", "works")
@pytest.mark.field_case("apple/coremltools#210", "an LSTM that returns sequences, and one behind it", "works")
@pytest.mark.field_case("apple/coremltools#536", "a recurrent network of tf.keras", "works")
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers(keras: Any, tmp_path: Path, name: str) -> None:
    layers = keras.layers
    body = RECURRENT[name](layers)
    model = weighted(keras.Sequential([keras.Input((4, 3)), *body, layers.Dense(3, activation="softmax")]))
    result = cu.convert(saved(model, tmp_path / "model.keras"), labels=("a", "b", "c"))
    assert rules(result, "error") == set()
    values = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
    (feature,) = result.inputs
    said = probabilities(result, [{feature.name: row} for row in values])
    np.testing.assert_allclose(said, answers(keras, model, values), atol=1e-5)


@pytest.mark.field_case("apple/coremltools#38", "MobileNet of Keras: DepthwiseConv2D and ReLU6", "works")
@pytest.mark.field_case("apple/coremltools#267", "a MobileNet with ReLU layers", "works")
@pytest.mark.field_case("apple/coremltools#439", "tf.keras models in .h5 files", "works")
@pytest.mark.field_case("apple/coremltools#844", "a model of the functional kind", "works")
@pytest.mark.field_case("apple/coremltools#553", "a softmax as an activation of its own", "works")
@pytest.mark.field_case("apple/coremltools#64", "featurewise mean and deviation, each channel its own", "works")
def test_a_functional_model_with_the_layers_of_mobilenet(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    given = keras.Input((16, 16, 3))
    seen = layers.ReLU(max_value=6.0)(layers.BatchNormalization()(layers.Conv2D(8, 3, 2, use_bias=False)(given)))
    seen = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, padding="same")(seen))
    seen = layers.Flatten()(layers.GlobalAveragePooling2D()(seen))
    model = weighted(keras.Model(given, layers.Activation("softmax")(layers.Dense(3)(seen))))
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    result = cu.convert(saved(model, tmp_path / "mobile.h5"), labels=("a", "b", "c"), mean=mean, std=std)
    assert rules(result) == set()
    values = (pictures() / 255 - mean) / std
    rows = [{"image": picture} for picture in pictures()]
    np.testing.assert_allclose(probabilities(result, rows), answers(keras, model, values), atol=1e-5)
    learns(result, rows, "label", ("a", "b", "c"))
