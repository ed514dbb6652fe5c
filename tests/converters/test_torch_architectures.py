"""torchvision's and timm's architectures by name, with the real libraries: `make test-vision`."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import coreml_updatable as cu
from coreml_updatable.converting.contract import ConversionRequest
from coreml_updatable.errors import SourceError

pytestmark = pytest.mark.vision

Request = Callable[..., ConversionRequest]
convert = import_module("coreml_updatable.converters.torch").convert
architectures = import_module("coreml_updatable.converters.torch.architectures")
declared = import_module("coreml_updatable.converters.torch.declared_pictures")
downloading = import_module("coreml_updatable.converters.torch.downloading")
heads = import_module("coreml_updatable.converters.torch.heads")
SIZE = 64


def saved(architecture: str, path: Path, classes: int | None = None) -> nn.Module:
    """The architecture with random weights and the statistics of real activations, saved as a file of weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: nn.Module = architectures.create(architecture, classes)
        network.eval()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.train().momentum = 1.0
        with torch.no_grad():
            brighter = torch.arange(32).view(-1, 1, 1, 1) % 2 / 3
            network((torch.rand(32, 3, SIZE, SIZE) * 2 / 3 + brighter - 0.45) / 0.225)  # as conftest's pictures are
    torch.save(network.state_dict(), path)
    return network.eval()


@pytest.mark.parametrize(
    "architecture",
    [
        "torchvision:mobilenet_v2",
        "torchvision:mobilenet_v3_small",
        "torchvision:resnet18",
        "torchvision:squeezenet1_1",
        "torchvision:efficientnet_b0",
        "torchvision:googlenet",
        "timm:mobilenetv4_conv_small",
        "timm:mobileone_s0",
        "timm:repvit_m0_9",
    ],
)
def test_a_backbone_gets_a_fresh_head_and_converts(folder: Path, request_for: Request, architecture: str) -> None:
    original = saved(architecture, folder / "weights.pth")
    request = request_for(architecture=architecture, weights="weights.pth", size=SIZE, training={"embedding": 8})
    converted = convert(request)
    answers = cu.load(converted.model).predict([{"image": pixels} for pixels in request.test.pixels])
    said = np.stack([np.ravel(answer["probabilities"]) for answer in answers])
    assert np.abs(said - converted.test_probabilities).max() < 1e-4
    assert converted.history[-1]["train_loss"] < np.log(2)  # the head has learned something from random features
    dense = [layer.innerProduct for layer in converted.model.neuralNetwork.layers if layer.HasField("innerProduct")]
    assert (dense[-1].inputChannels, dense[-1].outputChannels) == (8, 2)
    assert converted.facts["parameters"] < sum(parameter.numel() for parameter in original.parameters())


def test_a_head_for_the_same_number_of_classes_is_kept(folder: Path, request_for: Request) -> None:
    network = saved("torchvision:resnet18", folder / "mine.pth", classes=2)
    request = request_for(architecture="torchvision:resnet18", weights="mine.pth", size=SIZE)
    converted = convert(request)
    known = declared.declared_by("torchvision:resnet18")
    mean, std = known.mean, known.std
    inputs = (torch.from_numpy(request.test.pixels / 255.0) - torch.tensor(mean)) / torch.tensor(std)
    with torch.no_grad():
        expected = network(inputs.permute(0, 3, 1, 2).float()).double().softmax(1).numpy()
    assert np.abs(converted.test_probabilities - expected).max() < 1e-5
    assert converted.history == ()


def test_the_normalisation_is_that_of_the_weights() -> None:
    import timm
    from torchvision.models import MobileNet_V2_Weights

    transform = MobileNet_V2_Weights.DEFAULT.transforms()
    known = declared.declared_by("torchvision:mobilenet_v2")
    assert (known.mean, known.std) == (tuple(transform.mean), tuple(transform.std))
    assert (known.width, known.crop) == (224, 224 / 232)
    config: Any = timm.create_model("mobilenetv4_conv_small").pretrained_cfg  # typed only where timm is installed
    known = declared.declared_by("timm:mobilenetv4_conv_small")
    assert (known.mean, known.std) == (config["mean"], config["std"])
    assert (known.height, known.width, known.crop) == (*config["input_size"][1:], config["crop_pct"])


def test_the_head_is_the_last_layer_that_runs() -> None:
    example = torch.zeros(1, 3, 224, 224)
    for architecture, name in [
        ("torchvision:googlenet", "fc"),  # its auxiliary heads do not run in evaluation mode
        ("torchvision:squeezenet1_1", "classifier.1"),
        ("torchvision:vit_b_32", "heads.head"),
    ]:
        assert heads.last_layer(architectures.create(architecture), example) == name


WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"architecture": "torchvision:mobilenet_v3_smal"},
        "source.architecture 'torchvision:mobilenet_v3_smal': torchvision has no architecture with that name; "
        "did you mean mobilenet_v3_small",
    ),
    ({"architecture": "timm:mobilenetv4_conv_smal"}, "did you mean mobilenetv4_conv_small"),
    ({"architecture": "timm:qqqqqqqqqq"}, "timm has no architecture with that name; it has"),
    (
        {"architecture": "torchvision:resnet18", "weights": "other.pth"},
        "other.pth: tensor 'conv1.weight' has the shape [1, 2], but the network expects [64, 3, 7, 7]",
    ),
    (
        {"architecture": "torchvision:mobilenet_v2", "weights": "other.pth"},
        "other.pth: has no tensor 'features.0.0.weight' of shape [32, 3, 3, 3]",
    ),
    (
        {"architecture": "torchvision:alexnet", "weights": "other.pth"},
        "torchvision:alexnet cannot take a picture of shape [1, 3, 16, 16]",
    ),
]


@pytest.mark.parametrize(("fields", "sentence"), WRONG)
def test_what_does_not_fit_is_one_sentence(
    folder: Path, request_for: Request, fields: dict[str, Any], sentence: str
) -> None:
    torch.save({"conv1.weight": torch.zeros(1, 2)}, folder / "other.pth")
    with pytest.raises(SourceError) as caught:
        convert(request_for(**fields))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("architecture", "place"),
    [
        ("torchvision:mobilenet_v3_small", "https://download.pytorch.org/models/mobilenet_v3_small-"),
        (
            "timm:mobilenetv4_conv_small",
            "https://huggingface.co/timm/mobilenetv4_conv_small.e2400_r224_in1k/resolve/main/model.safetensors",
        ),
    ],
)
def test_weights_that_cannot_be_downloaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request_for: Request, architecture: str, place: str
) -> None:
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # where nobody answers
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    with pytest.raises(SourceError) as caught:
        convert(request_for(architecture=architecture, weights="pretrained", size=SIZE))
    assert str(caught.value).startswith(place)
    assert "cannot be downloaded" in str(caught.value)
    assert "WEIGHTS=file" in str(caught.value)


def test_an_architecture_without_weights_is_trained_from_scratch(request_for: Request) -> None:
    converted = convert(request_for(architecture="torchvision:squeezenet1_1", size=SIZE, training={"epochs": 1}))
    assert len(converted.history) == 1
    assert converted.facts["trained"] == "from scratch, 1 epoch"


@pytest.mark.parametrize("architecture", ["torchvision:squeezenet1_1", "timm:mobilenetv4_conv_small"])
def test_downloaded_weights_are_those_in_torchs_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, architecture: str
) -> None:
    """Put there as a download would; what is asked for under that name is what is read."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    state = saved(architecture, tmp_path / "own.pth").state_dict()
    names = {
        "torchvision:squeezenet1_1": "squeezenet1_1-b8a52dc0.pth",
        "timm:mobilenetv4_conv_small": "mobilenetv4_conv_small.e2400_r224_in1k-model.safetensors",
    }
    cached = tmp_path / "hub" / "checkpoints" / names[architecture]
    cached.parent.mkdir(parents=True)
    if cached.suffix == ".safetensors":
        save_file({key: value.contiguous() for key, value in state.items()}, cached)
    else:
        torch.save(state, cached)
    result = downloading.downloaded_state(architecture)
    assert result.keys() == state.keys()
    assert all(torch.equal(result[key], state[key]) for key in state)
