"""A picture's file gives the source's own answer: channels first or last, red or blue first, 0..1, 0..255 or bytes.

The judges are torch itself, ONNX's reference evaluator and Keras, each given the picture as its own input wants it.
"""

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from coreml_updatable.building.overrides import with_backbone
from coreml_updatable.converting.contract import SourceRequest
from coreml_updatable.converting.finished import Finished, finish
from coreml_updatable.converting.registry import find_converter, load_source_converter
from coreml_updatable.data.inputs import ArrayInput, ImageInput
from coreml_updatable.errors import SourceError
from coreml_updatable.recipes.file import read_recipe
from coreml_updatable.recipes.recipe import ImageSection
from coreml_updatable.runtime import load

architectures = import_module("coreml_updatable.converters.torch.architectures")
pytestmark = pytest.mark.vision
LABELS = ("a", "b", "c")
SAMPLES = Path(__file__).parents[2] / "sample_models"
Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
HEIGHT, WIDTH = 10, 14


def photos(folder: Path, height: int = HEIGHT, width: int = WIDTH, gray: bool = False) -> list[Path]:
    """Pictures in files without loss, whose channels and halves differ."""
    random, paths = np.random.default_rng(0), []
    for index in range(4):
        pixels = random.integers(0, 256, (height, width, 3), np.uint8)
        pixels[:, : width // 2, index % 3] //= 4
        image = Image.fromarray(pixels)
        paths.append(folder / f"{index}.png")
        (image.convert("L") if gray else image).save(paths[-1])
    return paths


def answers(made: Finished, paths: list[Path]) -> Floats:
    model = load(made.model)
    (feature,) = made.model.description.input
    name = str(made.model.description.predictedProbabilitiesName)
    said = [model.predict({str(feature.name): Image.open(path)})[name] for path in paths]
    return np.array([[item[label] for label in LABELS] for item in said], np.float32)


def softmax(logits: Any) -> Floats:
    powers = np.exp(np.asarray(logits, np.float64) - np.max(logits, axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def network_nodes(channels: int = 3) -> tuple[list[Any], dict[str, Any]]:
    """From "scaled" [n, channels, height, width] to logits "y"."""
    random = np.random.default_rng(1)
    weights = {
        "kernel": random.normal(size=(6, channels, 3, 3)).astype(np.float32),
        "head": random.normal(size=(6, 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["scaled", "kernel"], ["c"]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "head"], ["y"]),
    ]
    return nodes, weights


def onnx_model(
    front: list[Any], shape: list[Any], kind: int, *, version: int = 17, channels: int = 3, **more: Any
) -> Any:
    nodes, weights = network_nodes(channels)
    constants = [numpy_helper.from_array(np.asarray(value), name) for name, value in {**weights, **more}.items()]
    graph = helper.make_graph(
        [*front, *nodes],
        "graph",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 3])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=8)
    onnx.checker.check_model(model)
    return model


FIRST = [1, 3, HEIGHT, WIDTH]
LAST = [1, HEIGHT, WIDTH, 3]
CAST = helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT)
TURN = helper.make_node("Transpose", ["x"], ["turned"], perm=[0, 3, 1, 2])
BYTE = np.float32(255)
MEAN = np.array([123.7, 116.3, 103.5], np.float32)[:, None, None]
STD = np.array([58.4, 57.1, 57.4], np.float32)[:, None, None]
ONNX: dict[str, tuple[list[Any], list[Any], int, dict[str, Any]]] = {
    "bytes that are cast and scaled": (
        [CAST, helper.make_node("Div", ["float", "byte"], ["scaled"])], FIRST, TensorProto.UINT8, {"byte": BYTE},
    ),
    "bytes, channels last": (
        [
            CAST,
            helper.make_node("Transpose", ["float"], ["turned"], perm=[0, 3, 1, 2]),
            helper.make_node("Div", ["turned", "byte"], ["scaled"]),
        ],
        LAST, TensorProto.UINT8, {"byte": BYTE},
    ),
    "integers in 32 bits": (
        [CAST, helper.make_node("Mul", ["float", "byte"], ["scaled"])], FIRST, TensorProto.INT32, {"byte": 1 / BYTE},
    ),
    "floats of 0..255 less a mean": (
        [helper.make_node("Sub", ["x", "mean"], ["s"]), helper.make_node("Div", ["s", "std"], ["scaled"])],
        FIRST, TensorProto.FLOAT, {"mean": MEAN, "std": STD},
    ),
    "floats of 0..255, channels last": (
        [TURN, helper.make_node("Mul", ["turned", "m"], ["s"]), helper.make_node("Add", ["s", "a"], ["scaled"])],
        LAST, TensorProto.FLOAT, {"m": np.float32(1 / 127.5), "a": np.float32(-1)},
    ),
    "a size that may change": (
        [helper.make_node("Div", ["x", "byte"], ["scaled"])], ["n", 3, "h", "w"], TensorProto.FLOAT, {"byte": BYTE},
    ),
    "a size that may change, channels last": (
        [TURN, helper.make_node("Div", ["turned", "byte"], ["scaled"])],
        ["n", "h", "w", 3], TensorProto.FLOAT, {"byte": BYTE},
    ),
    "floats of 0..255 through a batch normalization": (
        [helper.make_node("BatchNormalization", ["x", "one", "none", "mean", "var"], ["scaled"])],
        FIRST, TensorProto.FLOAT,
        {
            "one": np.ones(3, np.float32), "none": np.zeros(3, np.float32),
            "mean": MEAN.ravel(), "var": STD.ravel() ** 2,
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("version", [13, 17, 19])
@pytest.mark.parametrize("name", ONNX)
@pytest.mark.filterwarnings("ignore")
def test_an_onnx_graph_that_scales_pixels_itself(name: str, version: int, tmp_path: Path) -> None:
    front, shape, kind, more = ONNX[name]
    if "batch" in name:
        version = max(version, 15)  # before that ONNX's evaluator normalizes as in training
    model = onnx_model(front, shape, kind, version=version, **more)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    inputs = (ImageInput("image", WIDTH, HEIGHT, "rgb"),) if "n" in shape else ()
    result = finish(load_source_converter(find_converter("onnx")), SourceRequest(path, inputs=inputs, labels=LABELS))
    reference: Any = ReferenceEvaluator(model)
    files, expected = photos(tmp_path), []
    for file in files:
        pixels = np.asarray(Image.open(file))[None]
        given = pixels if shape[3] == 3 else pixels.transpose(0, 3, 1, 2)
        expected.append(reference.run(None, {"x": given.astype(helper.tensor_dtype_to_np_dtype(kind))})[0][0])
    assert np.ptp(softmax(expected), axis=0).max() > 1e-2
    np.testing.assert_allclose(answers(result, files), softmax(expected), atol=1e-4)
    assert any("0..255" in note for note in result.notes)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
@pytest.mark.filterwarnings("ignore")
def test_an_onnx_graph_with_weights_of_16_or_64_bits(dtype: torch.dtype, tmp_path: Path) -> None:
    network = drawn(Unit).to(dtype)
    path = tmp_path / "model.onnx"
    torch.onnx.export(network, (torch.rand(1, 3, HEIGHT, WIDTH).to(dtype),), path, dynamo=False)
    result = finish(load_source_converter(find_converter("onnx")), SourceRequest(path, labels=LABELS))
    files = photos(tmp_path)
    seen = np.stack([np.asarray(Image.open(file)).transpose(2, 0, 1) / 255 for file in files])
    with torch.no_grad():
        expected = network.float()(torch.from_numpy(seen).float()).numpy()
    assert np.ptp(softmax(expected), axis=0).max() > 1e-2
    np.testing.assert_allclose(answers(result, files), softmax(expected), atol=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_what_an_onnx_graph_declares_of_its_pictures(tmp_path: Path) -> None:
    model = onnx_model([helper.make_node("Identity", ["x"], ["scaled"])], FIRST, TensorProto.FLOAT)
    helper.set_model_props(model, {"Image.BitmapPixelFormat": "Bgr8", "Image.NominalPixelRange": "Normalized_1_1"})
    onnx.save(model, tmp_path / "model.onnx")
    convert = load_source_converter(find_converter("onnx"))
    result = finish(convert, SourceRequest(tmp_path / "model.onnx", labels=LABELS))
    reference: Any = ReferenceEvaluator(model)
    files = photos(tmp_path)
    seen = [np.asarray(Image.open(file))[..., ::-1].transpose(2, 0, 1)[None] for file in files]
    expected = [reference.run(None, {"x": (item / 127.5 - 1).astype(np.float32)})[0][0] for item in seen]
    np.testing.assert_allclose(answers(result, files), softmax(expected), atol=1e-4)
    # What somebody types wins over it.
    said = SourceRequest(
        tmp_path / "model.onnx", (ImageInput("image", WIDTH, HEIGHT, "rgb"),), LABELS, mean=(0.0,), std=(1.0,)
    )
    seen = [np.asarray(Image.open(file)).transpose(2, 0, 1)[None] for file in files]
    expected = [reference.run(None, {"x": (item / 255).astype(np.float32)})[0][0] for item in seen]
    np.testing.assert_allclose(answers(finish(convert, said), files), softmax(expected), atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "given", "advice"),
    [
        (LAST, ImageInput("image", HEIGHT, WIDTH, "rgb"), f"--input image:{WIDTH}x{HEIGHT}"),
        (FIRST, ImageInput("photo", 8, 8, "grayscale"), f"--input photo:{WIDTH}x{HEIGHT}"),
        ([1, 1, HEIGHT, WIDTH], ArrayInput("x", (4,)), f"--input x:{WIDTH}x{HEIGHT}:grayscale"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_an_input_that_does_not_fit_is_told_what_does(shape: list[int], given: Any, advice: str) -> None:
    front = [TURN, helper.make_node("Identity", ["turned"], ["scaled"])] if shape[3] == 3 else []
    front = front or [helper.make_node("Identity", ["x"], ["scaled"])]
    model = onnx_model(front, shape, TensorProto.FLOAT, channels=1 if shape[1] == 1 else 3)
    convert = load_source_converter(find_converter("onnx"))
    with pytest.raises(SourceError) as refusal:
        finish(convert, SourceRequest(model, inputs=(given,), labels=LABELS))
    said = str(refusal.value).rpartition("pass ")[2]
    assert said == advice
    from coreml_updatable.cli.text import input_of

    assert finish(convert, SourceRequest(model, inputs=(input_of(said.removeprefix("--input ")),), labels=LABELS))


class Last(nn.Module):
    """Pictures with the channels last, as those who come from TensorFlow write them."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 3)

    def forward(self, pictures: Tensor) -> Tensor:
        answer: Tensor = self.fc(torch.relu(self.body(pictures.permute(0, 3, 1, 2))).mean(dim=(2, 3)))
        return answer


class Bytes(Last):
    """Scales by itself."""

    def forward(self, pictures: Tensor) -> Tensor:
        return super().forward(((pictures - 127.5) / 127.5).permute(0, 2, 3, 1))


class BytesInPlace(Last):
    def forward(self, pictures: Tensor) -> Tensor:
        scaled = pictures.float().clone()
        scaled.div_(255).sub_(torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)).div_(0.2)
        return super().forward(nn.functional.pad(scaled, (1, 1, 1, 1), value=0.5).permute(0, 2, 3, 1))


class Unit(Last):
    """Scales pixels of 0..1 by itself."""

    def forward(self, pictures: Tensor) -> Tensor:
        return super().forward(((pictures - 0.45) / 0.225).permute(0, 2, 3, 1))


def drawn(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = make().eval()
        for weights in network.parameters():
            nn.init.normal_(weights, 0, 0.5)
    return network


@pytest.mark.parametrize("script", [False, True])
@pytest.mark.parametrize(
    ("make", "last", "scale"), [(Last, True, 255), (Bytes, False, 1), (BytesInPlace, False, 1), (Unit, False, 255)]
)
def test_a_torch_network_is_given_what_it_takes(
    make: Callable[[], nn.Module], last: bool, scale: int, script: bool, tmp_path: Path
) -> None:
    network: Any = drawn(make)
    source: Any = network
    if script:
        with import_module("coreml_updatable.converters.torch.tracing").quiet():
            shape = (1, HEIGHT, WIDTH, 3) if last else (1, 3, HEIGHT, WIDTH)
            source = torch.jit.trace(network, torch.rand(shape))
    convert = load_source_converter(find_converter("torch"))
    result = finish(convert, SourceRequest(source, (ImageInput("image", WIDTH, HEIGHT, "rgb"),), LABELS))
    files, expected = photos(tmp_path), []
    for file in files:
        pixels = torch.from_numpy(np.array(Image.open(file)))[None].float() / scale
        with torch.no_grad():
            expected.append(network(pixels if last else pixels.permute(0, 3, 1, 2))[0].numpy())
    assert np.ptp(softmax(expected), axis=0).max() > 1e-2
    np.testing.assert_allclose(answers(result, files), softmax(expected), atol=1e-4)
    assert any("0..255" in note for note in result.notes) == (scale == 1)


def test_a_new_head_behind_channels_that_come_last(tmp_path: Path) -> None:
    convert = load_source_converter(find_converter("torch"))
    network = drawn(Last)
    request = SourceRequest(network, (ImageInput("image", WIDTH, HEIGHT, "rgb"),), LABELS, head="new", cut="fc")
    assert answers(finish(convert, request), photos(tmp_path)).shape == (4, 3)


def test_blue_first_is_said_with_the_input(tmp_path: Path) -> None:
    from coreml_updatable.cli.text import input_of

    network = drawn(Unit)
    convert = load_source_converter(find_converter("torch"))
    result = finish(convert, SourceRequest(network, (input_of(f"image:{WIDTH}x{HEIGHT}:bgr"),), LABELS))
    files = photos(tmp_path)
    seen = [np.asarray(Image.open(file))[..., ::-1].transpose(2, 0, 1) / 255 for file in files]
    with torch.no_grad():
        expected = network(torch.from_numpy(np.stack(seen)).float()).numpy()
    np.testing.assert_allclose(answers(result, files), softmax(expected), atol=1e-4)


def test_a_keras_model_with_the_channels_first(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((3, HEIGHT, WIDTH)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(6, 3, activation="relu", data_format="channels_first"),
            layers.GlobalAveragePooling2D(data_format="channels_first"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.save(tmp_path / "model.keras")
    convert = load_source_converter(find_converter("keras"))
    result = finish(convert, SourceRequest(tmp_path / "model.keras", labels=LABELS))
    files = photos(tmp_path)
    seen = np.stack([np.asarray(Image.open(file)) for file in files]).transpose(0, 3, 1, 2).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(seen), training=False).cpu().numpy()
    np.testing.assert_allclose(answers(result, files), expected, atol=1e-4)


def test_a_backbone_brings_its_own_pixels_and_size(tmp_path: Path) -> None:
    """timm's own settings of these weights, not ImageNet's mean: Inception's weights are of 0.5 and 299 pixels."""
    import timm

    recipe = read_recipe(SAMPLES / "healthy_luncher" / "recipe.toml")
    for name in ("tf_efficientnet_lite0", "inception_v3"):
        config: Any = timm.get_pretrained_cfg(name)
        changed = with_backbone(recipe, f"timm:{name}", tmp_path / "w.safetensors")
        assert isinstance(changed.input, ImageSection)
        assert (changed.input.height, changed.input.width) == config.input_size[1:]
        assert not {"mean", "std"} & set(changed.source.options())
    with_own = recipe.model_copy(
        update={"source": recipe.source.model_validate({"converter": "torch", "factory": "a.py:b", "mean": [0.1]})}
    )
    assert "mean" not in with_backbone(with_own, "timm:resnet18", None).source.options()


def test_settings_beside_the_weights_win_over_the_architectures_own(
    tmp_path: Path, request_for: Callable[..., Any]
) -> None:
    from dataclasses import replace

    own = {"input_size": [3, 64, 64], "mean": [0.3, 0.2, 0.1], "std": [0.7, 0.6, 0.5], "crop_pct": 0.9}
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet18", "pretrained_cfg": own}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = architectures.create("timm:tf_efficientnet_lite0", 2).eval()
    weights = tmp_path / "model.safetensors"
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, weights)
    files = photos(tmp_path, 64, 64)
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    scaled = (torch.from_numpy(pixels) / 255 - torch.tensor(own["mean"])) / torch.tensor(own["std"])
    with torch.no_grad():
        expected = network(scaled.permute(0, 3, 1, 2).float()).double().softmax(1).numpy()
    convert = load_source_converter(find_converter("torch"))
    result = finish(convert, SourceRequest(weights, labels=("a", "b"), architecture="timm:tf_efficientnet_lite0"))
    image = result.model.description.input[0].type.imageType
    assert (image.width, image.height) == (64, 64)
    model = load(result.model)
    said = [list(model.predict({"image": Image.open(file)})["labelProbability"].values()) for file in files]
    np.testing.assert_allclose(said, expected, atol=1e-4)
    assert any("less 0.3 0.2 0.1, divided by 0.7 0.6 0.5" in note for note in result.notes)
    # The same weights in a recipe: what its report says is what was used.
    request = request_for(architecture="timm:tf_efficientnet_lite0", weights="model.safetensors", size=64)
    recipe: Any = import_module("coreml_updatable.converters.torch").convert(replace(request, folder=tmp_path))
    seen = (torch.from_numpy(request.test.pixels) / 255 - torch.tensor(own["mean"])) / torch.tensor(own["std"])
    with torch.no_grad():
        expected = network(seen.permute(0, 3, 1, 2).float()).double().softmax(1).numpy()
    np.testing.assert_allclose(recipe.test_probabilities, expected, atol=1e-4)
    assert "less 0.3 0.2 0.1, divided by 0.7 0.6 0.5" in recipe.facts["pictures"]
    assert "0.9 of the shorter side" in recipe.facts["photos"]
