"""Threads about networks of torch: how pictures arrive, layers that do not convert, answers in other shapes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import coreml_updatable as cu
from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.converting.finished import finish
from coreml_updatable.converting.registry import find_converter, load_source_converter
from tests.field.networks import learns, probabilities, rules, save_traced, seeded

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LABELS = ("a", "b", "c")
PICTURE = cu.ImageInput("image", 12, 12, "rgb")


def converted(source: Any, **options: Any) -> Any:
    """With the options of `convert` that the function has not."""
    return finish(load_source_converter(find_converter("torch")), SourceRequest(source, **options)).model


class Photos(nn.Module):
    """A small network for photos, with a residual branch and a head of two layers."""

    def __init__(self, middle: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3, 2, bias=False), nn.Conv2d(6, 6, 3, padding=1)
        self.middle = middle()
        self.fc = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3))

    def forward(self, pictures: Tensor) -> Tensor:
        seen = self.first(pictures)
        seen = seen + self.middle(self.second(seen))
        answer: Tensor = self.fc(seen.mean((2, 3)))
        return answer


def photos(count: int = 6) -> Any:
    return np.random.default_rng(0).integers(0, 256, (count, 12, 12, 3), dtype=np.uint8)


def seen_by_torch(network: nn.Module, pictures: Any, mean: Any = MEAN, std: Any = STD) -> Any:
    """What torchvision's ToTensor and Normalize, the network and a softmax make of the pictures."""
    values = torch.from_numpy(pictures).permute(0, 3, 1, 2).double() / 255
    values = (values - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
    with torch.no_grad():
        return torch.cat([network(row[None].float()).softmax(-1) for row in values]).numpy()


@pytest.mark.field_case(
    "apple/coremltools#244", "Normalize(mean, std) of torchvision, for each channel its own", "works"
)
@pytest.mark.field_case(
    "apple/coremltools#905", "an image_scale for each of three channels, as ImageNet has it", "works"
)
@pytest.mark.field_case("apple/coremltools#1087", "1 / 0.226 for three deviations: the exact ones are written", "works")
@pytest.mark.field_case(
    "apple/coremltools#1083", "MobileNet calls a dog a fire screen: pictures not normalized", "works"
)
@pytest.mark.field_case(
    "apple/coremltools#489", "a fine-tuned ResNet50 that answers one label, with certainty", "works"
)
@pytest.mark.field_case(
    "onnx/onnx-coreml#338", "input pictures normalized by channel, on the way through ONNX", "works"
)
@pytest.mark.field_case(
    "apple/coremltools#1160", "a pixel buffer to be normalized with mean and std in the app", "works"
)
def test_pictures_are_normalized_by_the_model_channel_by_channel() -> None:
    network = seeded(Photos(lambda: nn.BatchNorm2d(6)))
    model = cu.convert(network, converter="torch", inputs=[PICTURE], labels=LABELS, mean=MEAN, std=STD)
    assert rules(model) == set()
    given = [{"image": picture} for picture in photos()]
    expected = seen_by_torch(network, photos())
    np.testing.assert_allclose(probabilities(model, given), expected, atol=1e-5)
    averaged = seen_by_torch(network, photos(), std=(0.226, 0.226, 0.226))
    assert np.abs(averaged - expected).max() > 1e-4  # what the usual workaround would have cost
    learns(model, given, "label", LABELS)


MIDDLES: dict[str, Callable[[], nn.Module]] = {
    "hardswish in place": lambda: nn.Hardswish(inplace=True),
    "statistics of the picture": lambda: nn.BatchNorm2d(6, track_running_stats=False),
    "the same without factors": lambda: nn.BatchNorm2d(6, affine=False, track_running_stats=False),
    "instances": lambda: nn.InstanceNorm2d(6, affine=True),
    "groups": lambda: nn.GroupNorm(2, 6),
    "mish in place": lambda: nn.Mish(inplace=True),
    "upsampled": lambda: nn.Sequential(nn.Upsample(scale_factor=2.0, mode="bilinear"), nn.AvgPool2d(2)),
}


@pytest.mark.field_case("apple/coremltools#1798", "hardswish_ of MobileNetV3, in place", "works")
@pytest.mark.field_case("apple/coremltools#784", "BatchNorm2d with track_running_stats=False", "works")
@pytest.mark.field_case("apple/coremltools#785", "InstanceNorm2d", "works")
@pytest.mark.field_case("apple/coremltools#814", "group_norm", "works")
@pytest.mark.field_case("apple/coremltools#1687", "mish_, in place", "works")
@pytest.mark.field_case("apple/coremltools#725", "an upsample by a float factor", "works")
@pytest.mark.parametrize("name", MIDDLES)
def test_layers_that_did_not_convert(name: str) -> None:
    network = seeded(Photos(MIDDLES[name]))
    model = cu.convert(network, converter="torch", inputs=[PICTURE], labels=LABELS, mean=MEAN, std=STD)
    assert rules(model, "error") == set()
    said = probabilities(model, [{"image": picture} for picture in photos()])
    np.testing.assert_allclose(said, seen_by_torch(network, photos()), atol=1e-5)


@pytest.mark.field_case("apple/coremltools#1747", "upsample_bicubic2d, which coremltools does not translate", "refused")
@pytest.mark.field_case("apple/coremltools#2175", "bicubic upsampling in Depth-Anything", "refused")
def test_a_layer_that_core_ml_lacks_is_named() -> None:
    """Simpler operators, as the advice says, convert: bilinear upsampling above."""
    network = seeded(Photos(lambda: nn.Sequential(nn.Upsample(scale_factor=2.0, mode="bicubic"), nn.AvgPool2d(2))))
    with pytest.raises(cu.SourceError, match="upsample_bicubic2d"):
        cu.convert(network, converter="torch", inputs=[PICTURE], labels=LABELS, mean=MEAN, std=STD)


class Steps(nn.Module):
    """An LSTM over time, and a head on its last step."""

    def __init__(self, layers: int, times: int = 1, states: bool = False) -> None:
        super().__init__()
        self.rnn = nn.LSTM(5 if times == 1 else 6, 6, layers, batch_first=True)
        self.fc, self.times, self.layers, self.states = nn.Linear(6, 3), times, layers, states

    def forward(self, x: Tensor) -> Tensor:
        state = (torch.zeros(self.layers, 1, 6), torch.ones(self.layers, 1, 6)) if self.states else None
        for _ in range(self.times):
            x, state = self.rnn(x, state)
        answer: Tensor = self.fc(x[:, -1])
        return answer


@pytest.mark.field_case("apple/coremltools#755", "an LSTM of several layers", "works")
@pytest.mark.field_case("apple/coremltools#776", "an LSTM that is given its first states", "works")
@pytest.mark.field_case("apple/coremltools#2643", "an LSTM of two layers, run twice in a loop", "works")
@pytest.mark.parametrize(("layers", "times", "states"), [(2, 1, False), (1, 1, True), (2, 2, True)])
def test_recurrent_networks(layers: int, times: int, states: bool) -> None:
    network = seeded(Steps(layers, times, states))
    width = 5 if times == 1 else 6
    model = cu.convert(network, converter="torch", inputs=[cu.ArrayInput("x", (4, width))], labels=LABELS)
    assert rules(model, "error") == set()
    values = np.random.default_rng(0).normal(size=(5, 4, width)).astype(np.float32)
    with torch.no_grad():
        expected = torch.cat([network(torch.from_numpy(row[None])).softmax(1) for row in values]).numpy()
    given = [{"x": row} for row in values]
    np.testing.assert_allclose(probabilities(model, given), expected, atol=1e-5)
    learns(model, given, "label", LABELS)


@pytest.mark.field_case("apple/coremltools#819", "BatchNorm1d, whose model computes no outputs", "works")
def test_batchnorm_of_vectors() -> None:
    layers = (nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.BatchNorm1d(6), nn.Linear(6, 3))
    network = seeded(nn.Sequential(*layers))
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d) and layer.running_mean is not None and layer.running_var is not None:
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    model = cu.convert(network, converter="torch", inputs=[cu.ArrayInput("x", (4,))], labels=LABELS)
    assert rules(model) == set()
    values = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(values)).softmax(1).numpy()
    np.testing.assert_allclose(probabilities(model, [{"x": row} for row in values]), expected, atol=1e-5)


class Told(nn.Module):
    """A classifier that answers a dictionary, or two answers."""

    def __init__(self, answer: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.body, self.one, self.other, self.answer = nn.Linear(4, 6), nn.Linear(6, 3), nn.Linear(6, 2), answer

    def forward(self, x: Tensor) -> Any:
        seen = self.body(x).relu()
        return self.answer(self.one(seen), self.other(seen))


@pytest.mark.field_case("apple/coremltools#2104", "a network that answers a dictionary", "works")
@pytest.mark.field_case("apple/coremltools#1157", "dictconstruct: a traced network that answers a dictionary", "works")
def test_a_dictionary_of_one_answer() -> None:
    network = seeded(Told(lambda item, _: {"logits": item}))
    model = converted(network, inputs=(cu.ArrayInput("x", (4,)),), labels=LABELS)
    values = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(values))["logits"].softmax(1).numpy()
    np.testing.assert_allclose(probabilities(model, [{"x": row} for row in values]), expected, atol=1e-5)


@pytest.mark.field_case("apple/coremltools#1110", "a network with two heads, each with its labels", "refused")
def test_two_heads() -> None:
    """One classifier learns on a device: the answer that counts is named, and each head is a model of its own."""
    network = seeded(Told(lambda item, other: (item, other)))
    options: dict[str, Any] = {"inputs": (cu.ArrayInput("x", (4,)),)}
    with pytest.raises(cu.SourceError, match="--answer"):
        converted(network, labels=LABELS, **options)
    values = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    for index, labels in enumerate((LABELS, ("yes", "no"))):
        model = converted(network, labels=labels, answer=str(index), **options)
        with torch.no_grad():
            expected = network(torch.from_numpy(values))[index].softmax(1).numpy()
        np.testing.assert_allclose(probabilities(model, [{"x": row} for row in values]), expected, atol=1e-5)


@pytest.mark.field_case("apple/coremltools#1948", "class labels that are not as many as the outputs", "refused")
def test_labels_that_are_not_as_many() -> None:
    network = seeded(Photos())
    with pytest.raises(cu.SourceError, match="labels") as excinfo:
        cu.convert(network, converter="torch", inputs=[PICTURE], labels=("a", "b"), mean=MEAN, std=STD)
    assert "2" in str(excinfo.value)
    assert "3" in str(excinfo.value)


FACTORY = """
from torch import nn

def network(classes):
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, classes))
"""


@pytest.mark.field_case("apple/coremltools#1403", "a .ckpt file, which is a dictionary of weights", "refused")
@pytest.mark.field_case("qfgaohao/pytorch-ssd#36", "a .pth file that holds an OrderedDict and no model", "refused")
@pytest.mark.parametrize("wrap", [lambda weights: weights, lambda weights: {"epoch": 3, "state_dict": weights}])
@pytest.mark.parametrize("ending", [".pth", ".ckpt"])
def test_a_file_of_weights(tmp_path: Path, ending: str, wrap: Callable[[Any], Any]) -> None:
    """Without the network that they belong to, weights are no classifier; with it they are."""
    network = seeded(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)))
    path = tmp_path / f"best{ending}"
    torch.save(wrap(network.state_dict()), path)
    (tmp_path / "net.py").write_text(FACTORY)
    options: dict[str, Any] = {"inputs": [cu.ArrayInput("x", (4,))], "labels": LABELS, "converter": "torch"}
    with pytest.raises(cu.SourceError, match="architecture"):
        cu.convert(path, **options)
    model = cu.convert(path, architecture=f"{tmp_path / 'net.py'}:network", trust_code=True, **options)
    values = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(values)).softmax(1).numpy()
    np.testing.assert_allclose(probabilities(model, [{"x": row} for row in values]), expected, atol=1e-5)


@pytest.mark.field_case("apple/coremltools#917", "a traced model whose file is called .pth and not .pt", "works")
def test_a_traced_model_in_a_file_of_another_ending(tmp_path: Path) -> None:
    network = seeded(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)))
    save_traced(network, tmp_path / "model.pth")
    options: dict[str, Any] = {"inputs": [cu.ArrayInput("x", (4,))], "labels": LABELS}
    with pytest.raises(cu.SourceError, match="trust"):
        cu.convert(tmp_path / "model.pth", **options)
    model = cu.convert(tmp_path / "model.pth", trust_code=True, **options)
    values = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(values)).softmax(1).numpy()
    np.testing.assert_allclose(probabilities(model, [{"x": row} for row in values]), expected, atol=1e-5)
