"""What MLUpdateTask left behind in public repositories, replayed: which assumptions it rules out.

The only such models found whose training data is known in full are in JacopoMangiavacchi/S4TF_CoreML_Test. The app
trains one innerProduct 1 -> 1 on a Mac (January 2020), squared error, SGD, shuffled, no seed, and gives each value as
input and as target: rows are x = t = 2 i / 100 + 1.5 + noise, i = 0 to 99, noise even in [-0.05, 0.05), new each time.
"""

from typing import Any

import numpy as np
import pytest

from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, Model_pb2
from coreml_updatable.updating import Assumptions, UpdateTask

FLOAT32 = FeatureTypes_pb2.ArrayFeatureType.FLOAT32
ROWS = 100
# Models/s4tf_model_retrained.mlmodelc at 63a6de3 and ecc156b: 2 epochs, mini-batches of 5, rate 0.01.
FEW_STEPS = [(0.6699368954, 0.9098566771), (0.6694103479, 0.9095404148)]
# The same file at 214f744, 459d741 and 1aaa4de: 100 epochs, one row a mini-batch, rate 0.03. One weight, three biases.
MANY_STEPS_WEIGHT = 0.9999999403953552
MANY_STEPS_BIASES = [1.724856702e-07, 1.746382736e-07, 1.785878112e-07]


def _model(weight: float, bias: float, rate: float, batch: int, epochs: int, shuffle: bool = True) -> Model:
    model = Model_pb2.Model(specificationVersion=4, isUpdatable=True)
    description = model.description
    for features, name in (
        (description.input, "dense_input"),
        (description.output, "output"),
        (description.trainingInput, "dense_input"),
        (description.trainingInput, "output_true"),
    ):
        array = features.add(name=name).type.multiArrayType
        array.shape.append(1)
        array.dataType = FLOAT32
    network = model.neuralNetwork
    layer = network.layers.add(name="dense", input=["dense_input"], output=["output"], isUpdatable=True)
    product = layer.innerProduct
    product.inputChannels = product.outputChannels = 1
    product.hasBias = True
    for held, value in ((product.weights, weight), (product.bias, bias)):
        held.floatValue.append(value)
        held.isUpdatable = True
    update = network.updateParams
    update.lossLayers.add(name="loss").meanSquaredErrorLossLayer.input = "output"
    update.lossLayers[0].meanSquaredErrorLossLayer.target = "output_true"
    optimizer = update.optimizer.sgdOptimizer
    optimizer.learningRate.defaultValue = rate
    optimizer.miniBatchSize.defaultValue = batch
    update.epochs.defaultValue = epochs
    update.shuffle.defaultValue = shuffle
    return model


def _updated(model: Model, seed: int, **choices: Any) -> tuple[float, float]:
    """Weight and bias after an update on rows whose noise and order are drawn from ``seed``."""
    noise = np.random.default_rng(seed).uniform(-0.05, 0.05, ROWS)
    values = (2 * np.arange(ROWS) / 100 + 1.5 + noise).astype(np.float32)
    rows = [{"dense_input": value[None], "output_true": value[None]} for value in values]
    task = UpdateTask(model, rows, {"seed": seed}, assumptions=Assumptions(**choices))
    product = task.resume().model.message.neuralNetwork.layers[0].innerProduct
    return product.weights.floatValue[0], product.bias.floatValue[0]


@pytest.mark.parametrize(
    ("seed", "choices"),
    [
        (0, {}),
        *(
            pytest.param(seed, choices, marks=pytest.mark.slow)
            for seed, choices in ((1, {}), (0, {"shuffled": "mini-batches"}), (0, {"squared_error": "sum"}))
        ),
    ],
)
def test_many_steps_end_where_the_mac_did(seed: int, choices: dict[str, Any]) -> None:
    model = _model(0.8645877242088318, 2.045891284942627, rate=0.03, batch=1, epochs=100)
    weight, bias = _updated(model, seed, **choices)
    assert weight == MANY_STEPS_WEIGHT
    assert 1.65e-7 < bias < 1.85e-7
    assert all(1.65e-7 < many_steps_biase < 1.85e-7 for many_steps_biase in MANY_STEPS_BIASES)


@pytest.mark.slow
def test_with_half_the_error_many_steps_do_not_end_there() -> None:
    model = _model(0.8645877242088318, 2.045891284942627, rate=0.03, batch=1, epochs=100)
    assert _updated(model, 0, squared_error="half")[1] > 2e-6


def _deviations(shuffle: bool = True, **choices: Any) -> float:
    """How many standard deviations of our own updates the Mac's lie from their mean, the larger of weight and bias."""
    model = _model(1.9828945398330688, 1.458587884902954, rate=0.01, batch=5, epochs=2, shuffle=shuffle)
    with np.errstate(all="ignore"):
        ours = np.array([_updated(model, seed, **choices) for seed in range(30)])
    spread = ours.std(0, ddof=1)
    return float((abs(np.array(FEW_STEPS) - ours.mean(0)) / spread).max())


@pytest.mark.parametrize("choices", [{}, {"shuffled": "mini-batches"}, {"squared_error": "sum"}])
def test_few_steps_lie_among_ours(choices: dict[str, Any]) -> None:
    assert _deviations(**choices) < 4


@pytest.mark.parametrize(
    "choices",
    [
        {"squared_error": "half"},
        {"gradient": "sum"},
        {"first_epoch": "in order"},
        {"first_epoch": "in order", "shuffled": "mini-batches"},
        {"squared_error": "half", "shuffled": "mini-batches"},
    ],
)
def test_what_few_steps_rule_out(choices: dict[str, Any]) -> None:
    assert _deviations(**choices) > 4


def test_the_macs_rows_were_shuffled() -> None:
    assert _deviations(shuffle=False) > 90
