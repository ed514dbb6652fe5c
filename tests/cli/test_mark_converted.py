"""What coremltools makes of torch's and Keras' own networks, put through the command, the rules and an update."""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from coreml_updatable.runtime import load
from coreml_updatable.spec.io import read_model
from coreml_updatable.spec.network import network_of
from coreml_updatable.updating import UpdateTask
from tests.cli.conftest import Run
from tests.cli.test_mark_turi_create import learns

architectures = import_module("coreml_updatable.converters.torch.architectures")
keras_reading = import_module("coreml_updatable.converters.keras.reading")
pytestmark = pytest.mark.vision

LABELS = ("a", "b", "c", "d", "e")
SIDE = 64
OPTIONS = ["--learning-rate", "0.05", "--epochs", "1:1..100", "--mini-batch", "2:1,2", "--json"]


@dataclass(frozen=True)
class Case:
    """A network that answers logits, or probabilities; ``last`` layers to train, and words of the repairs for it."""

    build: Callable[[], nn.Module]
    repairs: tuple[str, ...]
    trained: tuple[str, ...]
    shape: tuple[int, ...] = (1, 3, SIDE, SIDE)


def torchvision(name: str, **options: Any) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        network: nn.Module = getattr(architectures.import_torchvision().models, name)(**options)
        return network

    return build


def keras_network(layers: Callable[[Any], list[Any]], *shape: int) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        keras = keras_reading.import_keras()
        keras.utils.set_random_seed(0)
        network: nn.Module = keras.Sequential([keras.Input(shape), *layers(keras.layers)])
        return network

    return build


TO_FLATTEN, TO_SOFTMAX, LOGITS = "reshapeStatic became flatten", "softmaxND became softmax", "computes logits"
MOBILENET = torchvision("mobilenet_v2", num_classes=5)
CASES = {
    "mobilenet_v2": Case(MOBILENET, (TO_FLATTEN, LOGITS), ("fc",)),
    "mobilenet_v2, its last convolution too": Case(
        MOBILENET,
        (TO_FLATTEN, LOGITS, "clip became ReLU between fixed 1x1 convolutions"),
        ("conv52", "fc"),
    ),
    "squeezenet1_1": Case(torchvision("squeezenet1_1", num_classes=5), (TO_FLATTEN, LOGITS), ("conv26",)),
    "resnet18": Case(torchvision("resnet18", num_classes=5), (TO_FLATTEN, LOGITS), ("fc",)),
    "a vision transformer": Case(
        torchvision(
            "VisionTransformer",
            image_size=SIDE,
            patch_size=16,
            num_layers=2,
            num_heads=2,
            hidden_dim=32,
            mlp_dim=64,
            num_classes=5,
        ),
        ("its input is reshaped to [1, 32, 1, 1]", LOGITS, "expandDims to rank 5 became reshapeStatic"),
        ("fc9",),
    ),
    "Keras, average and Dense": Case(
        keras_network(
            lambda layers: [
                layers.Conv2D(8, 3, strides=2),
                layers.BatchNormalization(),
                layers.ReLU(6.0),
                layers.Conv2D(8, 1),
                layers.ReLU(6.0),
                layers.GlobalAveragePooling2D(),
                layers.Dense(5, activation="softmax"),
            ],
            16,
            16,
            3,
        ),
        (
            "transpose was removed",
            "the mean over height and width",
            TO_SOFTMAX,
            "linear became a fixed 1x1 convolution",
            "unary became ReLU between",
            "linear was folded into",
        ),
        ("conv2", "fc"),
        (1, 16, 16, 3),
    ),
    "Keras, flattened, two Dense": Case(
        keras_network(
            lambda layers: [
                layers.Conv2D(8, 3, strides=2, activation="relu"),
                layers.MaxPooling2D(),
                layers.Flatten(),
                layers.Dense(8, activation="relu"),
                layers.Dense(5, activation="softmax"),
            ],
            16,
            16,
            3,
        ),
        ("transpose was removed: the weights of innerProduct", TO_FLATTEN, TO_SOFTMAX),
        ("fc1", "fc2"),
        (1, 16, 16, 3),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_converted_network_is_repaired_marked_checked_and_learns(run: Run, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    given, out = tmp_path / "given.mlmodel", tmp_path / "out.mlmodel"
    network, content = source(case.build, case.shape)
    given.write_bytes(content)
    ran = run("mark", given, "-o", out, "--labels", ",".join(LABELS), "--last", len(case.trained), *OPTIONS)
    assert ran.status == 0, ran.err
    output = json.loads(ran.out)
    assert output["largest_difference"] <= 1e-5
    assert (tuple(output["updatable"]), output["warnings"]) == (case.trained, [])
    repairs = [note for note in output["repairs"] if not note.startswith("layers have readable names: ")]
    assert len(repairs) == len(case.repairs)
    for note, words in zip(repairs, case.repairs, strict=True):
        assert words in note
    checked = run("check", out)
    assert (checked.status, "no problems" in checked.out) == (0, True)
    rows = torch.rand(5, *case.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        answers = torch.cat([network(row) for row in rows])
    expected = answers if "Keras" in name else answers.softmax(1)
    assert float((expected.max(0).values - expected.min(0).values).max()) > 1e-3  # the rows are not all alike
    features = [{"x": row.numpy()} for row in rows]
    said = [[answer["labelProbability"][label] for label in LABELS] for answer in load(out).predict(features)]
    np.testing.assert_allclose(said, expected, atol=2e-5)
    learns(out, [{**row, "label": label} for row, label in zip(features, LABELS, strict=True)], list(case.trained), 10)


def test_a_keras_regressor(run: Run, tmp_path: Path) -> None:
    build = keras_network(lambda layers: [layers.Dense(8, activation="tanh"), layers.Dense(1)], 5)
    given, out = tmp_path / "given.mlmodel", tmp_path / "out.mlmodel"
    given.write_bytes(converted(build(), (1, 5)))
    ran = run("mark", given, "-o", out, "--last", 2, *OPTIONS)
    assert ran.status == 0, ran.err
    result = json.loads(ran.out)
    assert result["updatable"] == ["fc1", "fc2"]
    (warning,) = result["warnings"]
    assert "squared error reads" in warning
    assert run("check", out).status == 0
    model = read_model(out)
    output = str(model.description.output[0].name)
    assert network_of(model).updateParams.lossLayers[0].meanSquaredErrorLossLayer.input == output
    random = np.random.default_rng(0)
    given_rows = random.normal(size=(8, 1, 5)).astype(np.float32)
    rows = [{"x": row, f"{output}_true": row[:, :1] ** 2} for row in given_rows]
    losses = [UpdateTask(out, rows, {"epochs": n}).resume().metrics["lossValue"] for n in (1, 30)]
    assert losses[1] < losses[0]


@cache
def source(build: Callable[[], nn.Module], shape: tuple[int, ...]) -> tuple[nn.Module, bytes]:
    """The network and its file."""
    torch.manual_seed(0)
    network = lively(build(), shape)
    return network, converted(network, shape)


def lively(network: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """With statistics of its own in every batchnorm, and no layer of zeros: all answers would be alike."""
    for module in network.modules():
        if isinstance(module, nn.Linear) and not module.weight.any():
            nn.init.normal_(module.weight)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in norms:
        module.momentum = None
    if norms:
        with torch.no_grad():
            network.train()(torch.rand(8, *shape[1:], generator=torch.Generator().manual_seed(0)))
    return network.eval()


def converted(network: nn.Module, shape: tuple[int, ...]) -> bytes:
    """The file that coremltools writes, as anybody converts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import coremltools

        torch.backends.mha.set_fastpath_enabled(False)
        with torch.no_grad():
            sample: Tensor = torch.rand(shape)
            network(sample)
            traced = torch.jit.trace(network.eval(), sample, check_trace=False)
        inputs = [coremltools.TensorType(name="x", shape=shape)]
        model = coremltools.convert(traced, inputs=inputs, convert_to="neuralnetwork")
        return bytes(model.get_spec().SerializeToString())
