"""Golden vectors: recorded, replayed, and worked out by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from coreml_updatable.errors import DataError
from coreml_updatable.marking import knn_variant
from coreml_updatable.marking.settings import Int64Parameter, KNNSettings
from coreml_updatable.publishing.vectors.document import Vectors, read_vectors, to_bytes
from coreml_updatable.publishing.vectors.record import record
from coreml_updatable.publishing.vectors.replay import is_of, replay
from coreml_updatable.spec.io import model_bytes
from coreml_updatable.spec.messages import Model, Model_pb2
from coreml_updatable.spec.network import is_network, network_of
from tests.publishing.catalogue.conftest import LABELS, network

RANDOM = np.random.default_rng(5)
PICTURES = [RANDOM.integers(0, 256, (8, 8, 3), dtype=np.uint8) for _ in range(4)]
LEARNED = [(RANDOM.integers(0, 256, (8, 8, 3), dtype=np.uint8), label) for label in ("healthy", "fast-food", "healthy")]
Recorded = tuple[Model, Vectors, Path]


def knn() -> Model:
    return knn_variant(network(3), KNNSettings(Int64Parameter(3, (1, 15)), default_label="unknown"))


@pytest.fixture(params=[lambda: network(3), knn], ids=["network", "k-NN"])
def recorded(request: Any, tmp_path: Path) -> Recorded:
    model = request.param()
    vectors, files = record(model, "M.mlmodel", "image", "label", PICTURES, LEARNED)
    for name, content in {**files, "M.vectors.json": to_bytes(vectors)}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return model, vectors, tmp_path


def test_what_was_recorded_is_replayed(recorded: Recorded) -> None:
    model, vectors, folder = recorded
    read = read_vectors(folder / "M.vectors.json")
    assert read == vectors
    stages = {stage.name: stage for stage in replay(read, folder, model)}
    assert (stages["before"].rows, stages["after"].rows, stages["photos"].rows) == (4, 4, 2)
    assert [stage.faults for stage in stages.values()] == [()] * len(stages)
    assert max(stage.largest for stage in stages.values()) <= 1e-6
    assert is_of(read, model_bytes(model))
    assert not is_of(read, model_bytes(network(4)))


def test_the_pictures_lose_nothing(recorded: Recorded) -> None:
    *_, folder = recorded
    for index, pixels in enumerate(PICTURES, start=1):
        assert (np.asarray(Image.open(folder / f"vectors/picture-{index:02}.png")) == pixels).all()


def head(model: Model) -> tuple[NDArray[np.float64], NDArray[np.float64], Callable[[NDArray[np.uint8]], Any]]:
    """Weights and bias of the head, and the embedding of a picture."""
    layers = {layer.name: layer.innerProduct for layer in network_of(model).layers if layer.HasField("innerProduct")}
    front = np.array(layers["front"].weights.floatValue).reshape(4, -1)
    weights = np.array(layers["head"].weights.floatValue).reshape(2, 4)

    def embedding(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.maximum(front @ (picture.transpose(2, 0, 1).ravel() / 255), 0)

    return weights, np.array(layers["head"].bias.floatValue), embedding


def softmax(z: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(z - z.max())
    share: NDArray[np.float64] = powers / powers.sum()
    return share


def test_the_update_worked_out_by_hand() -> None:
    """Plain SGD on softmax and cross entropy, a row at a time, in order: w -= rate (p - target) x."""
    model = network(3)
    vectors, _ = record(model, "M.mlmodel", "image", "label", PICTURES, LEARNED)
    after = vectors.exercise("after")
    assert after is not None
    assert after.update is not None
    parameters, outcome = after.update.parameters, after.outcomes[0]
    assert parameters["shuffle"] is False
    assert parameters["miniBatchSize"] == 1
    losses = []
    weights, bias, embedding = head(model)
    for _ in range(int(parameters["epochs"])):
        for picture, label in LEARNED:
            x = embedding(picture)
            share = softmax(weights @ x + bias)
            losses.append(-np.log(share[LABELS.index(label)]))
            slope = share - np.eye(2)[LABELS.index(label)]
            weights = weights - float(parameters["learningRate"]) * np.outer(slope, x)
            bias = bias - float(parameters["learningRate"]) * slope
    assert outcome.losses is not None
    assert outcome.losses["miniBatchEnd"] == pytest.approx(losses, abs=1e-5)
    for picture, said in zip(PICTURES, outcome.answers, strict=True):
        expected = dict(zip(LABELS, softmax(weights @ embedding(picture) + bias), strict=True))
        assert said["probabilities"] == pytest.approx(expected, abs=1e-5)


def test_another_model_is_found_out(recorded: Recorded) -> None:
    model, vectors, folder = recorded
    other = Model_pb2.Model.FromString(model_bytes(model))
    part = other if is_network(other) else other.pipelineClassifier.pipeline.models[0]
    front = next(layer for layer in network_of(part).layers if layer.HasField("innerProduct")).innerProduct.weights
    front.floatValue[:] = front.floatValue[::-1]
    stages = replay(vectors, folder, other)
    assert any(stage.faults for stage in stages)
    assert "allowed)" in next(fault for stage in stages for fault in stage.faults)


def test_swapped_colours_are_found_out(recorded: Recorded) -> None:
    model, vectors, folder = recorded
    for path in (folder / "vectors").glob("picture-*.png"):
        Image.fromarray(np.asarray(Image.open(path))[:, :, ::-1].copy()).save(path)
    assert any(stage.faults for stage in replay(vectors, folder, model))


def of_schema_2(vectors: Vectors) -> dict[str, Any]:
    """As a build wrote them before there were exercises."""
    value = json.loads(to_bytes(vectors))
    before, after = value["exercises"][:2]
    return {
        "schema": 2,
        **{name: value[name] for name in ("model", "sha256", "assumptions")},
        "tolerances": {"before": before["tolerance"], "after": after["tolerance"]},
        "rows": before["asked"],
        "before": before["outcomes"][0]["answers"],
        "update": {**after["update"], "after": after["outcomes"][0]["answers"], "sensitive": []},
    }


def test_vectors_of_schema_2_are_read_and_replayed(recorded: Recorded) -> None:
    model, vectors, folder = recorded
    (folder / "old.vectors.json").write_text(json.dumps(of_schema_2(vectors)))
    old = read_vectors(folder / "old.vectors.json")
    assert [(stage.name, stage.rows, stage.faults) for stage in replay(old, folder, model)] == [
        ("before", 4, ()),
        ("after", 4, ()),
    ]
    assert old.exercises[0].outcomes[0].answers == vectors.exercises[0].outcomes[0].answers


def rewritten(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    path = folder / "M.vectors.json"
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda value: value.update(schema=1), "has the schema 1, expected 3; build the model again"),
        (lambda value: value.update(schema=2), "rows: Field required; fetch it again"),
        (lambda value: value.pop("schema"), "is not valid JSON of golden vectors; fetch it again"),
        (lambda value: value.pop("exercises"), "exercises: Field required; fetch it again"),
        (
            lambda value: value["exercises"][0]["outcomes"][0]["answers"].pop(),
            r"before: has 4 rows, \[3.*\] predictions",
        ),
        (
            lambda value: value["exercises"][0]["asked"][0]["image"].update(png="../x.png"),
            r"asked\.0\.image\..*; fetch",
        ),
        (
            lambda value: value["exercises"][-1]["asked"][0]["image"].update(photo="/x.jpg"),
            r"asked\.0\.image\..*; fetch",
        ),
    ],
)
def test_bad_vectors_are_one_sentence(recorded: Recorded, change: Any, sentence: str) -> None:
    path = rewritten(recorded[2], change)
    with pytest.raises(DataError, match=sentence):
        read_vectors(path)


def test_bad_pictures_are_one_sentence(recorded: Recorded) -> None:
    model, vectors, folder = recorded
    (folder / "vectors/picture-01.png").write_bytes(b"GIF89a")
    with pytest.raises(DataError, match=r"picture-01\.png: is not a PNG picture; fetch it again"):
        replay(vectors, folder, model)
    Image.new("1", (5000, 5000)).save(folder / "vectors/picture-01.png")
    with pytest.raises(DataError, match="has 5000x5000 pixels; too large for any model"):
        replay(vectors, folder, model)
    with pytest.raises(DataError, match=r"is not a file of golden vectors, expected NAME\.vectors\.json"):
        read_vectors(folder / "nowhere")
