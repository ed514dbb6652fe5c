"""Training: early stopping, what the extractor learns, decorrelated features, the head against scikit-learn's."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from torch import nn

import coreml_updatable as cu
from coreml_updatable.converting.contract import Checkpoint, ConversionRequest
from coreml_updatable.data.inputs import silent
from coreml_updatable.errors import SourceError

Request = Callable[..., ConversionRequest]
convert = import_module("coreml_updatable.converters.torch").convert
augmenting = import_module("coreml_updatable.converters.torch.training")
decorrelating = import_module("coreml_updatable.converters.torch.training")
fitting = import_module("coreml_updatable.converters.torch.fitting")
heads = import_module("coreml_updatable.converters.torch.heads")
head_fitting = import_module("coreml_updatable.converters.torch.fitting")
source = import_module("coreml_updatable.converters.torch.source")


def silently(_fraction: float, _detail: str) -> None:
    """Nobody watches."""


def labelled(count: int, width: int, classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    centres = torch.randn(classes, width, generator=torch.Generator().manual_seed(99))
    return centres[labels] + torch.randn(count, width, generator=generator), labels


def test_the_head_is_scikit_learns_logistic_regression() -> None:
    train, validation = labelled(120, 6, 3, seed=0), labelled(40, 6, 3, seed=1)
    head = nn.Linear(6, 3)
    history = head_fitting.fit_head(head, train, validation, 0.02, silently)
    reference = LogisticRegression(C=1 / (0.02 * 120), tol=1e-10, max_iter=10_000).fit(
        train[0].double().numpy(), train[1].numpy()
    )
    with torch.no_grad():
        said = head(validation[0]).softmax(1).numpy()
    assert np.abs(said - reference.predict_proba(validation[0].double().numpy())).max() < 1e-5
    assert history[-1]["validation_accuracy"] == reference.score(validation[0].double().numpy(), validation[1].numpy())


def test_decorrelated_features_are_scikit_learns_principal_components() -> None:
    values = torch.randn(200, 5, generator=torch.Generator().manual_seed(0)) @ torch.diag(
        torch.tensor([3.0, 1.0, 0.1, 2.0, 0.5])
    ) + torch.arange(5)
    layer = decorrelating.decorrelating(values, 3)
    reference = PCA(3).fit(values.double().numpy())
    noise = decorrelating.SHRINKAGE * values.double().var(dim=0).mean().item()
    expected = reference.transform(values.double().numpy()) / np.sqrt(reference.explained_variance_ + noise)
    assert np.abs(np.abs(layer(values).numpy()) - np.abs(expected)).max() < 1e-4
    assert not any(parameter.requires_grad for parameter in layer.parameters())
    assert decorrelating.decorrelating(values, 100).out_features == 5


def test_fewer_pictures_than_features() -> None:
    values = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(decorrelating.decorrelating(values, 50)(values)).all()


def test_training_stops_early_and_keeps_the_best_epoch() -> None:
    train = labelled(40, 30, 2, seed=0)
    validation = (torch.randn(40, 30, generator=torch.Generator().manual_seed(5)), torch.arange(40) % 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Linear(30, 2)
    settings = source.TorchTraining(epochs=200, batch_size=8, learning_rate=0.1, patience=3)
    history = fitting.fit(module, train, validation, settings, None, 0, silently)
    losses = [entry["validation_loss"] for entry in history]
    best = int(np.argmin(losses))
    assert len(history) == best + 1 + 3 < 200
    assert fitting.score(module, validation)["validation_loss"] == losses[best]


@given(
    turns=st.sampled_from([2, 4]),
    by=st.lists(st.integers(0, 3), min_size=1, max_size=5),
    channels=st.sampled_from([1, 3]),
)
def test_turning_is_numpys(turns: int, by: list[int], channels: int) -> None:
    quarters = np.array(by) % turns
    pictures = np.random.default_rng(len(by)).random((len(by), channels, 4, 4), dtype=np.float32)
    turned, labels = augmenting.turned(
        torch.from_numpy(pictures), torch.arange(len(by)) * turns, torch.from_numpy(quarters), turns
    )
    expected = [
        np.rot90(picture, quarter * 4 // turns, (1, 2)) for picture, quarter in zip(pictures, quarters, strict=True)
    ]
    assert np.array_equal(turned.numpy(), np.stack(expected))
    assert labels.tolist() == (np.arange(len(by)) * turns + quarters).tolist()


@given(seed=st.integers(0, 1000), channels=st.sampled_from([1, 3]))
def test_a_varied_photo_is_still_a_picture(seed: int, channels: int) -> None:
    pictures = torch.rand(3, channels, 6, 5, generator=torch.Generator().manual_seed(seed))
    once, again = (augmenting.photo(pictures, torch.Generator().manual_seed(seed)) for _ in range(2))
    assert torch.equal(once, again)
    assert once.shape == pictures.shape
    assert float(once.min()) >= 0
    assert float(once.max()) <= 1
    assert not torch.equal(once, pictures)


def test_features_are_what_the_head_sees_and_every_picture_runs_once() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).eval()
    runs: list[int] = []
    network[0].register_forward_hook(lambda _module, inputs, _output: runs.append(len(inputs[0])))
    pixels = np.random.default_rng(0).integers(0, 256, (150, 8, 8, 3), dtype=np.uint8)
    actual = heads.features(network, network[3], pixels, silent, "train")
    assert sum(runs) == 150
    with torch.no_grad():
        expected = network[:3](torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255)
    assert torch.allclose(actual, expected, atol=1e-6)


def test_a_head_that_is_not_the_last_step_is_refused() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 2), nn.Tanh())
    with pytest.raises(SourceError, match="head is not its last step"):
        heads.features(network, network[1], np.full((2, 2, 2, 3), 200, np.uint8), silent, "train")


@pytest.mark.parametrize("learns", ["kinds", "turned kinds"])
def test_the_extractor_learns_and_the_head_follows(request_for: Request, learns: str) -> None:
    training: dict[str, Any] = {"epochs": 4, "batch_size": 8, "learning_rate": 0.02, "patience": 9}
    request = request_for(factory="model.py:tiny", training={**training, "extractor_learns": learns, "embedding": 5})
    converted = convert(request)
    dense = [layer.innerProduct for layer in converted.model.neuralNetwork.layers if layer.HasField("innerProduct")]
    assert [(layer.inputChannels, layer.outputChannels) for layer in dense] == [(8, 5), (5, 2)]
    assert (converted.test_probabilities.argmax(axis=1) == request.test.labels).mean() >= 0.95
    said = cu.load(converted.model).predict([{"image": pixels} for pixels in request.test.pixels])
    difference = np.stack([np.ravel(answer["probabilities"]) for answer in said]) - converted.test_probabilities
    assert np.abs(difference).max() < 1e-5
    assert [entry["epoch"] for entry in converted.history] == [1, 2, 3, 4]


@pytest.mark.parametrize("learns", ["labels", "kinds"])
@pytest.mark.parametrize("after", [1, 3])
def test_an_interrupted_training_goes_on_to_the_same_bytes(
    tmp_path: Path, folder: Path, request_for: Request, learns: str, after: int
) -> None:
    """Ctrl-C in the middle: what is drawn at random afterwards (dropout, order, changes to pictures) is drawn again."""
    (folder / "dropping.py").write_text(
        "from torch import nn\n"
        "def make(classes):\n"
        "    body = [nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3), nn.AdaptiveAvgPool2d(1)]\n"
        "    return nn.Sequential(*body, nn.Flatten(), nn.Linear(8, classes))\n"
    )
    training: dict[str, Any] = {"epochs": 5, "batch_size": 8, "learning_rate": 0.02, "extractor_learns": learns}
    request = request_for(factory="dropping.py:make", training=training)
    whole = convert(request)
    epochs: list[str] = []

    def stop(stage: str, fraction: float, detail: str) -> None:
        epochs.append(detail)
        if stage == "train" and fraction >= (after + 1) / 5:
            raise KeyboardInterrupt

    kept = Checkpoint(tmp_path / "training.pt", "this build")
    with pytest.raises(KeyboardInterrupt):
        convert(replace(request, checkpoint=kept, on_progress=stop))
    assert kept.file.is_file()
    assert any("s left" in detail for detail in epochs)
    went_on: list[str] = []
    again = convert(
        replace(request, checkpoint=kept, on_progress=lambda stage, _, detail: went_on.append(f"{stage} {detail}"))
    )
    assert again.model.SerializeToString(deterministic=True) == whole.model.SerializeToString(deterministic=True)
    assert again.history == whole.history
    assert not any(line.startswith("train epoch 1 ") for line in went_on)


@pytest.mark.parametrize("damage", ["another build", "cut", "not a checkpoint"])
def test_what_is_no_checkpoint_of_this_build_is_not_used(tmp_path: Path, request_for: Request, damage: str) -> None:
    request = request_for(factory="model.py:tiny")
    whole = convert(request)
    kept = Checkpoint(tmp_path / "training.pt", "this build")
    convert(replace(request, checkpoint=replace(kept, key="another" if damage == "another build" else kept.key)))
    content = kept.file.read_bytes()
    if damage != "another build":
        kept.file.write_bytes(content[: len(content) // 2] if damage == "cut" else b"\x80\x04.")
    again = convert(replace(request, checkpoint=kept))
    assert again.model.SerializeToString(deterministic=True) == whole.model.SerializeToString(deterministic=True)


def test_a_pretrained_factory_brings_a_frozen_network_and_a_new_head(folder: Path, request_for: Request) -> None:
    """Its head is chosen and fitted as that of a pretrained architecture; by kinds, its frame is that of the kinds."""
    (folder / "known.py").write_text(
        "from torch import nn\n"
        "def make(classes):\n"
        "    network = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), "
        "nn.Linear(8, classes))\n"
        "    network[0].requires_grad_(False)\n"
        "    return network\n"
        "def loose(classes):\n"
        "    return make(classes).requires_grad_(True)\n"
    )
    source = {"weights": "pretrained", "training": {"extractor_learns": "kinds"}}
    request = request_for(factory="known.py:make", **source)
    result = convert(request)
    assert len(result.tails) == 1
    learned = result.features["learned"].astype(np.float64)
    kinds = np.unique((*request.train.kinds, *request.validation.kinds), return_inverse=True)[1]
    names = [layer.name for layer in result.model.neuralNetwork.layers if layer.WhichOneof("layer") == "innerProduct"]
    assert len(names) == 3  # along the directions, back, and the head
    along = next(layer for layer in result.model.neuralNetwork.layers if layer.name == names[0]).innerProduct
    output = np.array(along.weights.floatValue).reshape(along.outputChannels, along.inputChannels)
    rest = learned - np.stack([learned[kinds == kind].mean(axis=0) for kind in kinds])
    directions = PCA(len(output)).fit(rest).components_
    np.testing.assert_allclose(np.abs((output * directions).sum(axis=1))[:3], 1, atol=1e-3)
    with pytest.raises(SourceError, match="frozen except for one"):
        convert(request_for(factory="known.py:loose", **source))


def test_the_extractor_needs_a_linear_head(folder: Path, request_for: Request) -> None:
    (folder / "convolutional.py").write_text(
        "from torch import nn\n"
        "def make(classes):\n"
        "    return nn.Sequential(nn.Conv2d(3, classes, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())\n"
    )
    training = {"extractor_learns": "kinds"}
    with pytest.raises(SourceError, match=r"last layer 'network.0' is a Conv2d, expected a Linear head"):
        convert(request_for(factory="convolutional.py:make", training=training))
    converted = convert(request_for(factory="convolutional.py:make", training={"epochs": 1}))
    assert len(converted.history) == 1
