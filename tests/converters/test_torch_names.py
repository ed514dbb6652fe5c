"""`convert` of torchvision's and timm's names, with the real libraries: `make test-vision`."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.converting.finished import Finished, finish, probabilities
from coreml_updatable.converting.registry import find_converter, load_source_converter
from coreml_updatable.data.inputs import ArrayInput, ImageInput
from coreml_updatable.errors import SourceError
from coreml_updatable.runtime import load

pytestmark = pytest.mark.vision
architectures = import_module("coreml_updatable.converters.torch.architectures")
declared = import_module("coreml_updatable.converters.torch.declared_pictures")
named = import_module("coreml_updatable.converters.torch.source_network")
SMALL = ImageInput("image", 64, 64, "rgb")


def converted(source: Any, **options: Any) -> Finished:
    return finish(load_source_converter(find_converter("torch")), SourceRequest(source, (SMALL,), **options))


def drawn(architecture: str, classes: int) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return architectures.create(architecture, classes).eval()


@pytest.mark.parametrize("architecture", ["torchvision:resnet18", "timm:mobilenetv4_conv_small", "timm:mobileone_s0"])
def test_a_file_of_weights_beside_a_name_keeps_its_head(architecture: str, tmp_path: Path) -> None:
    """mobileone is folded on its way; what counts is the network as it was."""
    network = drawn(architecture, 3)
    path = tmp_path / "mine.safetensors"
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, path)
    result = converted(path, architecture=architecture, labels=("a", "b", "c"))
    known = declared.declared_by(architecture)
    mean, std = (torch.tensor(item).view(3, 1, 1) for item in (known.mean, known.std))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), np.uint8)
    with torch.no_grad():
        seen = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std
        expected = network(seen).double().softmax(1).numpy()
    said = probabilities(load(result.model), [{"image": item} for item in pixels], ("a", "b", "c"))
    np.testing.assert_allclose(said, expected, atol=1e-4)
    assert result.reference == f"{architecture} in torch"
    assert result.facts["weights"] == "mine.safetensors"
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert (result.facts["parameters"] < parameters) == (architecture == "timm:mobileone_s0")


def test_random_weights_are_said_loudly() -> None:
    result = converted("torchvision:squeezenet1_1", weights="random", labels=("a", "b"))
    assert result.notes[0].startswith("THE WEIGHTS ARE RANDOM")
    assert result.updatable
    assert result.agreement.difference < 1e-5


@pytest.mark.parametrize(
    ("architecture", "where", "width"),
    [
        ("torchvision:squeezenet1_1", "classifier.1", 512),
        ("torchvision:mobilenet_v3_small", "classifier.3", 1024),
        ("timm:mobilenetv4_conv_small", "classifier", 1280),
    ],
)
def test_the_head_is_found(architecture: str, where: str, width: int) -> None:
    result = converted(architecture, weights="random", labels=("a", "b"), head="new")
    assert (result.facts["cut"], result.facts["features"]) == (where, width)
    assert result.agreement.difference < 1e-5


def test_published_weights_by_their_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Put into torch's cache as a download would."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network = drawn("torchvision:squeezenet1_1", 1000)
    cached = tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth"
    cached.parent.mkdir(parents=True)
    torch.save(network.state_dict(), cached)
    result = converted("torchvision:squeezenet1_1", weights="IMAGENET1K_V1")
    labels = list(result.model.neuralNetworkClassifier.stringClassLabels.vector)
    assert (labels[0], len(set(labels))) == ("tench", 1000)
    (note,) = result.notes
    assert "less 0.485 0.456 0.406, divided by 0.229 0.224 0.225, by torchvision's settings of SqueezeNet1_1" in note


def test_what_timms_weights_call_their_classes() -> None:
    network = drawn("timm:mobilenetv4_conv_small.e2400_r224_in1k", 1000)
    labels = named._categories("timm:mobilenetv4_conv_small.e2400_r224_in1k", "", network)
    assert (labels[0], len(labels), len(set(labels))) == ("tench, Tinca tinca", 1000, 1000)


@pytest.mark.parametrize(
    ("source", "options", "sentence"),
    [
        (
            "torchvision:resnet18",
            {},
            "torchvision:resnet18: --weights is required; use --weights pretrained (downloads",
        ),
        ("torchvision:resnet1", {"weights": "random"}, "torchvision has no architecture with that name; did you mean"),
        (
            "torchvision:resnet18",
            {"weights": "IMAGENET"},
            "--weights IMAGENET: neither a file nor published weights of torchvision:resnet18 (IMAGENET1K_V1);",
        ),
        (
            "timm:mobilenetv4_conv_small",
            {"weights": "in22k"},
            "nor published weights of timm:mobilenetv4_conv_small (e",
        ),
        (
            "torchvision:resnet18",
            {"weights": "random", "inputs": (ArrayInput("x", (3,)),)},
            "input 'x': does not fit torchvision:resnet18, expected one picture; pass --input image:224x224",
        ),
        (
            "torchvision:vit_b_32",
            {"weights": "random"},
            "the source cannot take an input of shape [1, 3, 64, 64] (",
        ),
    ],
)
def test_what_is_refused(source: str, options: dict[str, Any], sentence: str) -> None:
    convert: Callable[[SourceRequest], Any] = load_source_converter(find_converter("torch"))
    with pytest.raises(SourceError) as error:
        convert(SourceRequest(source, **{"inputs": (SMALL,), **options}))
    assert sentence in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("source", "weights", "url"),
    [
        ("torchvision:resnet18", "IMAGENET1K_V1", "https://download.pytorch.org/models/resnet18-f37072fd.pth"),
        (
            "timm:mobilenetv4_conv_small",
            "e1200_r224_in1k",
            "https://huggingface.co/timm/mobilenetv4_conv_small.e1200_r224_in1k/resolve/main/model.safetensors",
        ),
    ],
)
def test_a_refusing_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, weights: str, url: str
) -> None:
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # where nobody answers
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    with pytest.raises(SourceError) as error:
        converted(source, weights=weights)
    said = str(error.value)
    assert said.startswith(f"{url} cannot be downloaded (")
    assert f"put it at {tmp_path}/hub/checkpoints/" in said
    assert "--weights file (convert)" in said
