"""The command line as a shell runs it, and small models made with coremltools' builders."""

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from PIL import Image

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from coremltools.models import datatypes
    from coremltools.models.nearest_neighbors import KNearestNeighborsClassifierBuilder
    from coremltools.models.neural_network import NeuralNetworkBuilder, SgdParams

from coreml_updatable.cli.app import main
from coreml_updatable.spec.io import write_model

LABELS = ("blue", "green", "red")
SIDE = 8


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


Run: TypeAlias = Callable[..., Ran]


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without stored assumptions."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """run("predict", model, ...): exit status, standard output and standard error."""

    def call(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["coreml-updatable", *(str(argument) for argument in arguments)])
        capsys.readouterr()
        status = 0
        try:
            main()
        except SystemExit as left:
            status = int(left.code or 0)
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err)

    return call


def _weights(seed: int, outputs: int, inputs: int) -> Any:
    return np.random.default_rng(seed).normal(0, 0.1, (outputs, inputs)).astype(np.float32)


def _trainable(builder: Any, rate: float) -> None:
    builder.make_updatable(["head"])
    builder.set_categorical_cross_entropy_loss("loss", "probabilities")
    builder.set_sgd_optimizer(SgdParams(lr=rate, batch=2, momentum=0.0))
    builder.spec.neuralNetworkClassifier.updateParams.optimizer.sgdOptimizer.miniBatchSize.set.values.extend([1, 4])
    builder.set_epochs(2, [1, 2, 3, 10])


def classifier(labels: list[str], *, image: bool, size: int) -> Any:
    """A flat head on a picture "image" [3, size, size], or on "x" [size]; "label" and "labelProbability"."""
    shape, name = ((3, size, size), "image") if image else ((size,), "x")
    builder = NeuralNetworkBuilder(
        [(name, datatypes.Array(*shape))], [("probabilities", datatypes.Array(len(labels)))], mode="classifier"
    )
    count = int(np.prod(shape))
    weights = _weights(1, len(labels), count)
    builder.add_flatten("flatten", 0, name, "flat")
    builder.add_inner_product("head", weights, np.zeros(len(labels), np.float32), count, len(labels), True, "flat", "z")
    builder.add_softmax("softmax", "z", "probabilities")
    if image:
        builder.set_pre_processing_parameters(image_input_names=["image"], image_scale=1 / 255)
    builder.set_class_labels(labels, predicted_feature_name="label", prediction_blob="probabilities")
    _trainable(builder, 0.1 if image else 0.5)
    return builder.spec


def neighbors(size: int) -> Any:
    builder = KNearestNeighborsClassifierBuilder(
        input_name="x",
        output_name="label",
        number_of_dimensions=size,
        default_class_label="none",
        number_of_neighbors=3,
    )
    builder.add_samples(np.eye(size, dtype=np.float32), [f"axis {index}" for index in range(size)])
    return builder.spec


@pytest.fixture
def picture_model(tmp_path: Path) -> Path:
    write_model(classifier(list(LABELS), image=True, size=SIDE), tmp_path / "pictures.mlmodel")
    return tmp_path / "pictures.mlmodel"


@pytest.fixture
def vector_model(tmp_path: Path) -> Path:
    write_model(classifier(["no", "yes"], image=False, size=4), tmp_path / "vectors.mlmodel")
    return tmp_path / "vectors.mlmodel"


@pytest.fixture
def neighbor_model(tmp_path: Path) -> Path:
    write_model(neighbors(4), tmp_path / "neighbors.mlmodel")
    return tmp_path / "neighbors.mlmodel"


def noise(seed: int, width: int = SIDE, height: int = SIDE) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Class folders with pictures of the model's own size: two blue, one green, two red."""
    folder = tmp_path / "photos"
    for index, name in enumerate(("blue/a", "blue/b", "green/c", "red/d", "red/e")):
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(index).save(path)
    (folder / ".hidden").mkdir()
    noise(99).save(folder / ".hidden" / "thumbnail.png")
    return folder
