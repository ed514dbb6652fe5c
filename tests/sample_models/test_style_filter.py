"""The style filter: its layers, its training that goes on after a break, and what a user may set."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from coreml_updatable.converting.contract import Checkpoint, SourceRequest
from coreml_updatable.data.inputs import ImageInput
from coreml_updatable.data.sample_code import load_function
from coreml_updatable.errors import DataError, SourceError
from coreml_updatable.runtime import load

FOLDER = Path(__file__).parents[2] / "sample_models" / "style_filter"
OPTIONS = {"style": "woodcut", "strength": 5, "density": 64, "epochs": 4}
SIDE = 32


def module(name: str) -> ModuleType:
    package = load_function(FOLDER, "model.py:make").__module__.rpartition(".")[0]
    return sys.modules[f"{package}.{name}"]


class Features(nn.Module):
    """Stands for the pretrained network, which is not everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(channels, 4, 3, padding=1) for channels in (3, 4, 4, 4)])
        self.requires_grad_(False)

    def forward(self, values: torch.Tensor) -> list[torch.Tensor]:
        result = []
        for layer in self.layers:
            values = torch.relu(layer(values))
            result.append(values)
        return result


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The sample, so small that it trains at once, and its pictures are drawn small too."""
    model = module("model")
    monkeypatch.setattr(module("training"), "Features", Features)
    for name, value in {"SIDE": SIDE, "DRAWN": 2, "STEPS": 2, "BATCH": 1, "PIECE": 16}.items():
        monkeypatch.setattr(model, name, value)
    return model


def request(**changes: Any) -> SourceRequest:
    inputs = (ImageInput("image", SIDE, SIDE, "rgb"),)
    return replace(SourceRequest(FOLDER, inputs, seed=1, options=OPTIONS, snapshots=2), **changes)


def test_a_break_changes_no_byte(small: ModuleType, tmp_path: Path) -> None:
    whole = small.make(request())
    kept = Checkpoint(tmp_path / "training.pt", "key")

    def stop(_stage: str, fraction: float, detail: str) -> None:
        assert "left" in detail
        if fraction == 0.75:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small.make(request(checkpoint=kept, on_progress=stop))
    epochs: list[float] = []
    resumed = small.make(
        request(checkpoint=kept, on_progress=lambda _stage, fraction, _detail: epochs.append(fraction))
    )
    assert epochs == [0.75, 1.0]
    assert resumed.model.SerializeToString(deterministic=True) == whole.model.SerializeToString(deterministic=True)
    assert resumed.history == whole.history
    assert [item.title for item in whole.snapshots] == ["epoch 2", "epoch 4"]
    for snapshot, other in zip(whole.snapshots, resumed.snapshots, strict=True):
        np.testing.assert_array_equal(snapshot.pixels, other.pixels)


def test_it_is_of_core_mls_own_layers_and_agrees_with_torch(small: ModuleType) -> None:
    result = small.make(request())
    layers = result.model.neuralNetwork.layers
    of_kind = {layer.WhichOneof("layer"): layer for layer in layers}
    assert of_kind.keys() == {"padding", "convolution", "batchnorm", "activation", "add", "upsample", "multiply"}
    assert of_kind["padding"].padding.WhichOneof("PaddingType") == "reflection"
    assert of_kind["batchnorm"].batchnorm.instanceNormalization
    assert of_kind["batchnorm"].batchnorm.computeMeanVar
    (output,) = result.model.description.output
    ours = np.stack([answer[output.name] for answer in load(result.model).predict(result.rows)])
    expected = result.answers(result.rows)
    np.testing.assert_allclose(ours.reshape(expected.shape), expected, atol=1e-4 * np.ptp(expected))


def test_the_stronger_the_style_the_more_it_counts(small: ModuleType) -> None:
    """Strength 5 is the middle; density is the size at which the style's picture is looked at."""
    plans = [small.settings(request(options={**OPTIONS, "strength": strength}))[1].strength for strength in (1, 5, 10)]
    assert plans == sorted(plans)
    assert plans[1] == small.WEIGHT
    assert small.settings(request(options={**OPTIONS, "density": 96}))[0].size == (96, 96)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"strength": 11}, "source.options.strength is 11, expected an integer from 1 to 10"),
        ({"density": 63.5}, "source.options.density is 63.5, expected an integer from 64 to 1024"),
        ({"style": "gone.png"}, "'gone.png'"),
        ({"stile": 3}, "source.options: found"),
    ],
)
def test_a_mistake_is_one_sentence(small: ModuleType, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(SourceError, match=expected):
        small.make(request(options={**OPTIONS, **changes}))


def test_photos_take_the_place_of_drawings(small: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no readable photo"):
        small.content_pictures(request(photos=tmp_path))
    module("drawing").scene(1, 40).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    result, left_out = small.content_pictures(request(photos=tmp_path))
    assert [pixels.shape for pixels in result] == [(SIDE, SIDE, 3)]
    assert len(left_out) == 1
    assert "b.jpg" in left_out[0]
