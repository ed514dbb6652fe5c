"""Builds to publish, as `coreml-updatable build` leaves them: an updatable model of a given size each, and a report."""

import hashlib
import json
from pathlib import Path

import numpy as np

from coreml_updatable.marking import describe, mark
from coreml_updatable.marking.settings import SGD, DoubleParameter, Int64Parameter, UpdateSettings
from coreml_updatable.publishing.report.json import SCHEMA
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.spec.weights import packed

SIDE, LABELS = 16, ["fast-food", "healthy"]
PIXELS = 3 * SIDE * SIDE
SETTINGS = UpdateSettings(
    SGD(DoubleParameter(0.01), Int64Parameter(1), DoubleParameter(0.0)), epochs=Int64Parameter(3), seed=1
)


def write_builds(folder: Path, names: list[str], size: int, version: str = "1.0") -> list[Path]:
    """A build for each name, with a model of about ``size`` bytes that no other name has."""
    return [_write(folder / f"{name}-{version}", name, size, version, seed) for seed, name in enumerate(names)]


def _write(folder: Path, name: str, size: int, version: str, seed: int) -> Path:
    model = describe(
        _network(size, seed), description="Tells.", author="benchmarks", license="BSD-3-Clause", version=version
    )
    content = model_bytes(model)
    file = f"{name}.mlmodel"
    report = {
        "schema": SCHEMA,
        "name": name,
        "description": "Tells.",
        "labels": LABELS,
        "input": {"name": "image", "width": SIDE, "height": SIDE, "color": "rgb"},
        "label_feature": "label",
        "data": {"origin": "drawn", "description": "", "train": dict.fromkeys(LABELS, 1)},
        "models": [{"kind": "network", "file": file}],
        "comparison": None,
        "files": {file: {"sha256": hashlib.sha256(content).hexdigest()}},
    }
    folder.mkdir(parents=True)
    (folder / file).write_bytes(content)
    (folder / "report.json").write_text(json.dumps(report))
    return folder


def _network(size: int, seed: int) -> Model:
    """Pictures to ``size`` / (4 PIXELS) features by one large layer, which is nearly all of the file; a head learns."""
    random, features = np.random.default_rng(seed), max(size // (4 * PIXELS), 1)
    model = Model_pb2.Model(specificationVersion=4)
    image = model.description.input.add(name="image").type.imageType
    image.width = image.height = SIDE
    image.colorSpace = image.RGB
    output = model.description.output.add(name="z").type.multiArrayType
    output.dataType = output.DOUBLE
    output.shape.append(len(LABELS))
    layers = model.neuralNetwork.layers
    layers.add(name="flatten", input=["image"], output=["flat"]).flatten.SetInParent()
    channels = {"front": ("flat", PIXELS, features), "head": ("seen", features, len(LABELS))}
    for name, (source, width, height) in channels.items():
        layer = layers.add(name=name, input=[source], output=["z" if name == "head" else "front"]).innerProduct
        layer.inputChannels, layer.outputChannels = width, height
        layer.weights.MergeFromString(packed(random.normal(0, 0.1, width * height).astype(np.float32)))
        if name == "front":
            layers.add(name="relu", input=["front"], output=["seen"]).activation.ReLU.SetInParent()
    return mark(model, SETTINGS, labels=tuple(LABELS), label="label", probabilities="probabilities")
