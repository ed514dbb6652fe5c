"""Golden vectors bite: each mistake of an app, made on purpose, fails; what Apple leaves open does not."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from coreml_updatable.marking import knn_variant, with_samples
from coreml_updatable.marking.settings import Int64Parameter, KNNSettings
from coreml_updatable.publishing.vectors.document import Exercise, Photo, Update, Vectors, to_bytes
from coreml_updatable.publishing.vectors.record import record
from coreml_updatable.publishing.vectors.replay import replay
from coreml_updatable.spec.features import CROP_KEY
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.samples import nearest_neighbors_of
from coreml_updatable.updating import Assumptions
from tests.publishing.catalogue.conftest import network

RANDOM = np.random.default_rng(8)
PICTURES = list(RANDOM.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8))
LEARNED = list(zip(PICTURES[:4], ["healthy", "fast-food", "healthy", "healthy"], strict=True))
Recorded = tuple[Model, Vectors, Path]


def sgd() -> Model:
    """With ten epochs of a rate that an app would take, so that one epoch less is one of ten."""
    model = network(3)
    update = network_of(model).updateParams
    update.epochs.defaultValue = 10
    update.epochs.set.values[:] = [9, 10]
    rate, batch = update.optimizer.sgdOptimizer.learningRate, update.optimizer.sgdOptimizer.miniBatchSize
    rate.defaultValue, rate.range.minValue, rate.range.maxValue = 0.05, 0.0001, 1.0
    batch.set.values[:] = [1, 2, 4]
    momentum = update.optimizer.sgdOptimizer.momentum
    momentum.range.minValue, momentum.range.maxValue = 0.0, 1.0
    return model


def adam() -> Model:
    model = sgd()
    update = network_of(model).updateParams
    sgd_optimizer = update.optimizer.sgdOptimizer
    rate, batch = type(sgd_optimizer.learningRate)(), type(sgd_optimizer.miniBatchSize)()
    rate.CopyFrom(sgd_optimizer.learningRate)
    batch.CopyFrom(sgd_optimizer.miniBatchSize)
    optimizer = update.optimizer.adamOptimizer
    optimizer.learningRate.CopyFrom(rate)
    optimizer.miniBatchSize.CopyFrom(batch)
    for parameter, value in ((optimizer.beta1, 0.9), (optimizer.beta2, 0.999), (optimizer.eps, 1e-8)):
        parameter.defaultValue, parameter.range.minValue, parameter.range.maxValue = value, 0.0, 1.0
    return model


def knn() -> Model:
    """With samples of both labels, so that what the owner adds must win against some."""
    model = knn_variant(network(3), KNNSettings(Int64Parameter(3, (1, 15)), default_label="unknown"))
    dimensions = nearest_neighbors_of(model).nearestNeighborsIndex.numberOfDimensions
    samples = np.abs(np.random.default_rng(2).normal(0, 1.0, (8, dimensions))).astype(np.float32)
    return with_samples(model, samples, ["fast-food", "healthy"] * 4)


MODELS: dict[str, Callable[[], Model]] = {"SGD": sgd, "Adam": adam, "k-NN": knn}


@pytest.fixture(scope="module", params=MODELS)
def recorded(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    model = MODELS[request.param]()
    vectors, files = record(model, "M.mlmodel", "image", "label", PICTURES[4:8], LEARNED, PICTURES[8:])
    folder = tmp_path_factory.mktemp("vectors")
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return model, vectors, folder


def mistakes(update: Update) -> Iterator[tuple[str, Update]]:
    """By hand, not by the recorder's own list."""
    parameters, rows = update.parameters, update.rows

    def other(**changed: bool | int | float) -> Update:
        return Update(parameters={**parameters, **changed}, rows=rows)

    if "epochs" in parameters:
        yield "9 epochs instead of 10", other(epochs=9)
        yield "a rate 10% higher", other(learningRate=float(parameters["learningRate"]) * 1.1)
        yield "a rate 10% lower", other(learningRate=float(parameters["learningRate"]) * 0.9)
        yield "another order", Update(parameters=parameters, rows=(rows[1], rows[0], *rows[2:]))
    if "momentum" in parameters:
        yield "momentum 0.1", other(momentum=0.1)
    if "beta1" in parameters:
        yield "beta1 0.8", other(beta1=0.8)
    for index in range(len(rows)):
        yield f"row {index} forgotten", Update(parameters=parameters, rows=rows[:index] + rows[index + 1 :])


def with_update(vectors: Vectors, name: str, update: Update) -> Vectors:
    exercises = [
        exercise.model_copy(update={"update": update}) if exercise.name == name else exercise
        for exercise in vectors.exercises
    ]
    return vectors.model_copy(update={"exercises": tuple(exercises)})


def test_every_mistake_fails(recorded: Recorded) -> None:
    model, vectors, folder = recorded
    assert vectors.unnoticed == ()
    assert all(not stage.faults for stage in replay(vectors, folder, model))
    caught: dict[str, bool] = {}
    for exercise in vectors.exercises:
        for name, update in mistakes(exercise.update) if exercise.update else ():
            stages = replay(with_update(vectors, exercise.name, update), folder, model)
            caught[name] = caught.get(name, False) or any(stage.faults for stage in stages)
    assert len(caught) >= 4
    assert [name for name, is_caught in caught.items() if not is_caught] == []


def learning(vectors: Vectors) -> list[Exercise]:
    return [exercise for exercise in vectors.exercises if exercise.update is not None]


def test_events_are_counted_and_one_exercise_has_no_order(recorded: Recorded) -> None:
    _, vectors, _ = recorded
    if "epochs" not in learning(vectors)[0].update.parameters:  # type: ignore[union-attr]
        assert all(outcome.losses is None for item in learning(vectors) for outcome in item.outcomes)
        return
    single, together = (item.outcomes[0].losses or {} for item in learning(vectors))
    assert {event: len(losses) for event, losses in single.items()} == {"miniBatchEnd": 40, "epochEnd": 10}
    assert {event: len(losses) for event, losses in together.items()} == {"miniBatchEnd": 10, "epochEnd": 10}
    assert together["miniBatchEnd"] == together["epochEnd"]


OPEN = {
    "SGD": ("epoch_loss", "momentum", "last_mini_batch"),
    "Adam": ("adam_bias", "adam_eps"),
    "k-NN": ("inverse_of", "zero_distance", "tied_labels", "probabilities", "listed"),
}
CHOICES = {
    "epoch_loss": ("mean over rows", "mean over batches", "last batch"),
    "momentum": ("accumulate", "velocity"),
    "last_mini_batch": ("keep", "drop"),
    "adam_bias": ("corrected", "uncorrected"),
    "adam_eps": ("outside", "inside", "scaled"),
    "inverse_of": ("squared distance", "distance"),
    "zero_distance": ("decides", "epsilon"),
    "tied_labels": ("nearest", "first"),
    "probabilities": ("share", "votes"),
    "listed": ("all", "neighbors"),
}


def test_no_device_that_chooses_otherwise_fails_and_the_stage_says_which(recorded: Recorded, request: Any) -> None:
    model, vectors, folder = recorded
    names = OPEN[request.node.callspec.params["recorded"]]
    result = set()
    for combination in product(*(CHOICES[name] for name in names)):
        device = Assumptions(**dict(zip(names, combination, strict=True)))  # type: ignore[arg-type]
        stages = replay(vectors, folder, model, device)
        assert [fault for stage in stages for fault in stage.faults] == [], device
        for stage in stages:
            result |= set(stage.outcome.items())
            assert all(asdict(device)[name] == choice or name == "epoch_loss" for name, choice in stage.outcome.items())
    assert result


def test_a_settled_choice_is_no_outcome(recorded: Recorded) -> None:
    _, vectors, _ = recorded
    assert not any(
        {"gradient", "first_epoch"} & set(outcome.assumptions)
        for each in vectors.exercises
        for outcome in each.outcomes
    )


def test_a_device_that_rounds_does_not_fail(recorded: Recorded) -> None:
    """Half precision rounds by up to 0.05%; here every weight of the extractor is off by 0.2% on average."""
    model, vectors, folder = recorded
    random = np.random.default_rng(4)
    for _ in range(3):
        other = type(model)()
        other.CopyFrom(model)
        part = (
            other if other.WhichOneof("Type") != "pipelineClassifier" else other.pipelineClassifier.pipeline.models[0]
        )
        front = next(layer for layer in network_of(part).layers if layer.name == "front").innerProduct.weights
        weights = np.array(front.floatValue)
        front.floatValue[:] = weights * (1 + 0.002 * random.standard_normal(weights.shape))
        assert [fault for stage in replay(vectors, folder, other) for fault in stage.faults] == []


@pytest.fixture(params=["centerCrop", "scaleFill"])
def photographed(request: Any, tmp_path: Path) -> Recorded:
    model = network(3)
    model.description.metadata.userDefined[CROP_KEY] = request.param
    vectors, files = record(model, "M.mlmodel", "image", "label", PICTURES[4:8], LEARNED)
    for name, content in {**files, "M.vectors.json": to_bytes(vectors)}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return model, vectors, tmp_path


def photo_faults(vectors: Vectors, folder: Path, model: Model) -> list[str]:
    return [fault for stage in replay(vectors, folder, model) if stage.name == "photos" for fault in stage.faults]


def test_a_photo_is_not_square_and_one_is_turned(photographed: Recorded) -> None:
    model, vectors, folder = photographed
    asked = vectors.exercise("photos").asked  # type: ignore[union-attr]
    sizes, orientations = [], []
    for row in asked:
        assert isinstance(row["image"], Photo)
        with Image.open(folder / row["image"].photo) as photo:
            sizes.append(photo.size)
            orientations.append(photo.getexif().get(0x0112, 1))
    assert sizes == [(32, 16), (16, 32)]
    assert orientations == [1, 6]
    assert photo_faults(vectors, folder, model) == []


def test_the_models_of_a_build_do_not_share_their_photos() -> None:
    """They lie in one folder, and are chosen for each model."""
    one, other = (record(make(), "M.mlmodel", "image", "label", PICTURES[4:8], LEARNED)[1] for make in (sgd, knn))
    assert all(one[name] == other[name] for name in set(one) & set(other))


def test_another_crop_fails(photographed: Recorded) -> None:
    model, vectors, folder = photographed
    defined = model.description.metadata.userDefined
    defined[CROP_KEY] = "scaleFill" if defined[CROP_KEY] == "centerCrop" else "centerCrop"
    assert "another crop" not in vectors.unnoticed
    assert photo_faults(vectors, folder, model)


def test_an_orientation_that_is_ignored_fails(photographed: Recorded) -> None:
    model, vectors, folder = photographed
    (turned,) = (folder / "vectors").glob("turned-*.jpg")
    with Image.open(turned) as photo:
        pixels = photo.copy()
    pixels.info.clear()
    pixels.save(turned, quality=95, subsampling=0)
    assert "an EXIF orientation ignored" not in vectors.unnoticed
    assert photo_faults(vectors, folder, model)
