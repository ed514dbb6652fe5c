"""Builds as a build writes them: two small models, their report, and a page."""

import dataclasses
import hashlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder, SgdParams

from coreml_updatable.marking import describe, knn_variant
from coreml_updatable.marking.settings import Int64Parameter, KNNSettings
from coreml_updatable.publishing.report.json import report_object
from coreml_updatable.publishing.report.model_facts import model_facts
from coreml_updatable.publishing.report.values import Report
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model
from tests.cli.conftest import run

__all__ = ["run"]

LABELS = ["fast-food", "healthy"]
MakeBuild: TypeAlias = Callable[..., Path]


def network(seed: int, size: int = 8) -> Model:
    random = np.random.default_rng(seed)
    builder = NeuralNetworkBuilder(
        [("image", datatypes.Array(3, size, size))], [("probabilities", datatypes.Array(2))], mode="classifier"
    )
    builder.add_flatten("flatten", 0, "image", "flat")
    count = 3 * size * size
    builder.add_inner_product("front", random.normal(0, 0.1, (4, count)), np.zeros(4), count, 4, True, "flat", "front")
    builder.add_activation("relu", "RELU", "front", "seen")
    builder.add_inner_product("head", random.normal(0, 0.1, (2, 4)), np.zeros(2), 4, 2, True, "seen", "z")
    builder.add_softmax("softmax", "z", "probabilities")
    builder.set_pre_processing_parameters(image_input_names=["image"], image_scale=1 / 255)
    builder.make_updatable(["head"])
    builder.set_class_labels(LABELS, predicted_feature_name="label", prediction_blob="probabilities")
    builder.set_categorical_cross_entropy_loss("loss", "probabilities")
    builder.set_sgd_optimizer(SgdParams(lr=0.5, batch=1, momentum=0.0))
    builder.set_epochs(3, [1, 2, 3, 10])
    return builder.spec


@pytest.fixture
def make_build(report: Report, tmp_path: Path) -> MakeBuild:
    """make_build("Luncher", "1.0", seed=1): the folder that a build of that model and version wrote."""

    def make(name: str, version: str = "1.0", seed: int = 1, *, change: Any = None, more: Any = None) -> Path:
        single = described(network(seed), version)
        neighbors = described(
            knn_variant(single, KNNSettings(Int64Parameter(3, (1, 15)), default_label="unknown")), version
        )
        models = {f"{name}.mlmodel": single, f"{name}KNN.mlmodel": neighbors}
        if change is not None:
            change(models)
        facts = tuple(
            model_facts(file, "k-NN" if "KNN" in file else "network", models[file])
            for file in (f"{name}.mlmodel", f"{name}KNN.mlmodel")
        )
        contents = {file: model_bytes(model) for file, model in models.items()}
        contents["report.html"] = b"<!DOCTYPE html><title>report</title>"
        contents |= more or {}
        sums = {file: {"sha256": hashlib.sha256(content).hexdigest()} for file, content in contents.items()}
        table = {**report_object(dataclasses.replace(report, name=name, models=facts)), "files": sums}
        contents["report.json"] = json.dumps(table).encode()
        folder = tmp_path / "builds" / f"{name}-{version}-{seed}"
        for file, content in contents.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content)
        return folder

    return make


def described(model: Model, version: str) -> Model:
    return describe(model, description="Tells.", author="tests", license="BSD-3-Clause", version=version)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site"
