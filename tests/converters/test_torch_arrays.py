"""Recipes whose rows are arrays: trained, converted, marked, given a k-NN, written down as golden vectors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import coreml_updatable as cu
from converters.torch import convert
from coreml_updatable.converting.contract import ConversionRequest, Converted
from coreml_updatable.converting.neighbors import embedded
from coreml_updatable.data.inputs import ArrayInput, Examples
from coreml_updatable.errors import SourceError
from coreml_updatable.marking import extractor, knn_variant, mark, with_samples
from coreml_updatable.marking.settings import SGD, DoubleParameter, Int64Parameter, KNNSettings, UpdateSettings
from coreml_updatable.publishing.vectors.document import Array, read_vectors, to_bytes
from coreml_updatable.publishing.vectors.record import record
from coreml_updatable.publishing.vectors.replay import replay

MODEL = """
from torch import nn

def network(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, classes))
"""


def rows(count: int, seed: int) -> Examples:
    """Arrays [2, 3] of two labels: the first column higher, or lower."""
    labels = np.arange(count, dtype=np.int64) % 2
    values = np.random.default_rng(seed).normal(0, 0.5, (count, 2, 3)).astype(np.float32)
    values[:, :, 0] += np.where(labels == 1, 1, -1)[:, None]
    kinds = tuple("up" if label else ("down", "low")[index % 4 // 2] for index, label in enumerate(labels))
    return Examples(values, labels, tuple(map(str, range(count))), kinds)


def request(folder: Path, **source: Any) -> ConversionRequest:
    (folder / "model.py").write_text(MODEL)
    training = {"epochs": 6, "batch_size": 8, "extractor_learns": "kinds", "embedding": 8, **source.pop("training", {})}
    train, validation, test = (rows(count, seed) for seed, count in enumerate((48, 12, 20)))
    fields = {"factory": "model.py:network", "training": training, **source}
    return ConversionRequest(fields, folder, ArrayInput("values", (2, 3)), ("down", "up"), train, validation, test, 0)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    return convert(request(tmp_path_factory.mktemp("arrays")))


def given() -> list[dict[str, Any]]:
    return [{"values": value} for value in rows(20, 2).values]


def marked(converted: Converted) -> Any:
    rate = DoubleParameter(0.05, (0.001, 1.0))
    settings = UpdateSettings(
        SGD(rate, Int64Parameter(1, (1, 8), None), DoubleParameter(0.0, (0.0, 1.0))),
        Int64Parameter(3, (1, 9), None),
        True,
        1,
    )
    return mark(converted.model, settings, labels=("down", "up"))


def test_the_model_agrees_with_its_source_and_has_learned(converted: Converted) -> None:
    answers = cu.load(converted.model).predict(given())
    said = np.array([answer["probabilities"] for answer in answers])
    np.testing.assert_allclose(said.reshape(20, 2), converted.test_probabilities, atol=1e-6)
    assert (converted.test_probabilities.argmax(axis=1) == rows(20, 2).labels).mean() > 0.9
    assert converted.history


def test_marked_with_a_twin_it_is_fit_for_a_device_and_its_golden_vectors_hold(
    converted: Converted, tmp_path: Path
) -> None:
    network = marked(converted)
    knn = knn_variant(
        network, KNNSettings(Int64Parameter(1, (1, 5), None), "inverse-distance", "linear", 30, "unknown")
    )
    train = rows(12, 0)
    seen = embedded(extractor(network), ({"values": value} for value in train.values))
    knn = with_samples(knn, seen, [("down", "up")[label] for label in train.labels])
    for name, model in (("Rows", network), ("RowsKNN", knn)):
        assert [problem for problem in cu.check(model) if problem.severity == "error"] == []
        label = str(model.description.predictedFeatureName)
        learned = [(value, "up") for value in rows(4, 9).values]
        vectors, files = record(model, f"{name}.mlmodel", "values", label, list(rows(5, 8).values), learned)
        assert files == {}
        assert isinstance(vectors.exercises[0].asked[0]["values"], Array)
        path = tmp_path / f"{name}.vectors.json"
        path.write_bytes(to_bytes(vectors))
        stages = replay(read_vectors(path), tmp_path, model)
        assert [stage.name for stage in stages][:2] == ["before", "after"]
        assert all(stage.largest < 1e-5 and not stage.faults for stage in stages)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"mean": [0.5]}, "source.mean is for pictures, but the input 'values' is an array"),
        ({"std": [0.5]}, "source.std is for pictures, but the input 'values' is an array"),
        ({"training": {"augment": "photo"}}, "source.training.augment is 'photo', which is for pictures"),
        ({"training": {"extractor_learns": "turned kinds"}}, "extractor_learns is 'turned kinds', which is for"),
        (
            {"factory": None, "architecture": "timm:resnet18"},
            "source.architecture 'timm:resnet18' takes pictures, but the input 'values' is an array; use a factory",
        ),
    ],
)
def test_what_is_for_pictures_only(tmp_path: Path, source: dict[str, Any], expected: str) -> None:
    with pytest.raises(SourceError, match=expected):
        convert(request(tmp_path, **source))


def test_a_network_of_another_shape(tmp_path: Path) -> None:
    wrong = request(tmp_path)
    (tmp_path / "model.py").write_text(MODEL.replace("Linear(6", "Linear(7"))
    with pytest.raises(SourceError, match=r"cannot take a row of shape \[1, 2, 3\]"):
        convert(wrong)
    (tmp_path / "other").mkdir()
    other = request(tmp_path / "other")
    (tmp_path / "other" / "model.py").write_text(MODEL.replace("16, classes", "16, 5"))
    with pytest.raises(SourceError, match=r"returns \[1, 5\] for one row, expected logits of shape \[1, 2\]"):
        convert(other)
    assert torch.is_grad_enabled()
