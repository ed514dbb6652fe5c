"""`convert` on torch's own files and modules: the answers are torch's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from coreml_updatable.converting.finished import Finished, probabilities
from coreml_updatable.data.inputs import ArrayInput
from coreml_updatable.runtime import load
from tests.converters.torch_modules import (
    FACTORY,
    LABELS,
    PICTURE,
    Branching,
    Convolutional,
    Net,
    Words,
    converted,
    drawn,
    saved,
    tracing,
)


def agrees(made: Finished, network: nn.Module, scale: Callable[[Tensor], Tensor] = lambda pixels: pixels / 255) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3), np.uint8)
    seen = scale(torch.from_numpy(pixels).float()).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = network(seen).double().softmax(1).numpy()
    assert np.ptp(expected, axis=0).max() > 1e-3
    said = probabilities(load(made.model), [{"image": item} for item in pixels], LABELS)
    np.testing.assert_allclose(said, expected, atol=1e-5)


def test_a_traced_torchscript_file_answers_as_its_module_does(tmp_path: Path) -> None:
    network = drawn(Net)
    result = converted(
        saved(tmp_path / "net.pt", network),
        PICTURE,
        labels=LABELS,
        mean=(0.5, 0.4, 0.3),
        std=(0.2, 0.3, 0.4),
        trust_code=True,
    )
    mean, std = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.3, 0.4])
    agrees(result, network, lambda pixels: (pixels / 255 - mean) / std)
    assert result.reference == "the TorchScript module"
    assert result.notes == ()
    assert result.updatable == ("fc2",)


def test_a_scripted_module_with_branches_and_loops(tmp_path: Path) -> None:
    network = drawn(Branching)
    with tracing.quiet():
        script: Any = torch.jit.script(network)
        script.save(tmp_path / "net.torchscript")
        answers = [script(torch.zeros(1, 3, 12, 12)), network(torch.zeros(1, 3, 12, 12))]
    assert torch.equal(*answers)
    result = converted(tmp_path / "net.torchscript", PICTURE, labels=LABELS, trust_code=True)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 3), np.uint8)
    with torch.no_grad():
        seen = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255)[:, None]
        expected = torch.cat([network(item) for item in seen]).double().softmax(1).numpy()
    assert np.ptp(expected, axis=0).max() > 1e-3
    said = probabilities(load(result.model), [{"image": item} for item in pixels], LABELS)
    np.testing.assert_allclose(said, expected, atol=1e-5)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert result.facts == {"parameters": parameters}
    assert converted(script, PICTURE, labels=LABELS).model == result.model


def test_a_module_says_how_its_pictures_arrive() -> None:
    network = drawn(Net)
    result = converted(network, PICTURE, labels=LABELS)
    agrees(result, network)
    assert result.notes == (
        "pixels are passed as 0..1; use --pixels, or --mean and --std, if it expects something else",
    )


def test_token_ids_and_a_mask() -> None:
    network = drawn(Words)
    inputs = (ArrayInput("ids", (7,), whole=True), ArrayInput("mask", (7,)))
    result = converted(network, *inputs, labels=LABELS)
    ids = np.random.default_rng(0).integers(0, 20, (3, 7)).astype(np.int32)
    mask = np.tril(np.ones((3, 7), np.float32), 4)
    rows = [{"ids": item, "mask": other} for item, other in zip(ids, mask, strict=True)]
    with torch.no_grad():
        expected = network(torch.from_numpy(ids).long(), torch.from_numpy(mask)).double().softmax(1).numpy()
    np.testing.assert_allclose(probabilities(load(result.model), rows, LABELS), expected, atol=1e-5)


def test_weights_beside_a_function(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(FACTORY)
    reference = f"{tmp_path}/nets.py:make"
    network = drawn(
        lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    )
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    torch.save(network.state_dict(), tmp_path / "w.pt")
    for result in (
        converted(reference, PICTURE, labels=LABELS, weights=str(tmp_path / "w.safetensors"), trust_code=True),
        converted(tmp_path / "w.pt", PICTURE, labels=LABELS, architecture=reference, trust_code=True),
    ):
        agrees(result, network)
    result = converted(reference, PICTURE, labels=LABELS, trust_code=True)
    assert result.notes[0].startswith("the weights are those from make;")


@pytest.mark.parametrize(
    ("make", "cut", "where", "width"),
    [
        (Net, "", "classifier.3", 16),  # of a head of two layers the last
        (Net, "classifier", "classifier", 8),
        (Net, "pool", "pool", 8),
        (Convolutional, "", "last", 8),
    ],
)
def test_a_new_head_behind_the_extractor(make: Callable[[], nn.Module], cut: str, where: str, width: int) -> None:
    result = converted(drawn(make), PICTURE, labels=("x", "y"), head="new", cut=cut)
    assert (result.facts["cut"], result.facts["features"]) == (where, width)
    assert result.reference == "the torch module with a new head"
    assert result.agreement.difference < 1e-5
    (dense,) = (
        layer.innerProduct for layer in result.model.neuralNetworkClassifier.layers if layer.name == result.updatable[0]
    )
    assert (dense.inputChannels, dense.outputChannels) == (width, 2)
    assert (
        f"the head is new, after the {width} features before {where!r}; its predictions are random until it is trained"
        in result.notes
    )


def test_the_extractor_in_front_of_a_new_head_is_the_old_one() -> None:
    network: Any = drawn(Net)
    result = converted(network, PICTURE, labels=("x", "y"), head="new", cut="classifier")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3), np.uint8)
    (row,) = (layer for layer in result.model.neuralNetworkClassifier.layers if layer.name == result.updatable[0])
    said = load(result.model).predict([{"image": item} for item in pixels], intermediate=True)
    with torch.no_grad():
        seen = network.pool(network.body(torch.from_numpy(pixels / np.float32(255)).permute(0, 3, 1, 2))).flatten(1)
    np.testing.assert_allclose(np.stack([np.ravel(item[row.input[0]]) for item in said]), seen, atol=1e-5)
