"""Pictures: preprocessing by the format's formulas, and what is refused."""

import warnings
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from coremltools.models import MLModel, datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder
    from coremltools.models.neural_network.utils import make_image_input

from coreml_updatable.data.fitting import center_crop, scale_to_fit, stretch
from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime import load
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, Model_pb2

WIDTH, HEIGHT = 6, 4


def picture_model(space: str, rank4: bool = True) -> Any:
    """A network that answers its preprocessed picture."""
    spec = Model_pb2.Model(specificationVersion=4)
    feature = spec.description.input.add(name="image")
    feature.type.imageType.width, feature.type.imageType.height = WIDTH, HEIGHT
    feature.type.imageType.colorSpace = FeatureTypes_pb2.ImageFeatureType.ColorSpace.Value(space)
    spec.description.output.add(name="y").type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    network = spec.neuralNetwork
    network.imageInputShapeMapping = int(rank4)
    network.arrayInputShapeMapping = 1
    layer = network.layers.add(name="same", input=["image"], output=["y"])
    layer.activation.linear.alpha = 1
    return spec


@pytest.fixture
def rgb(random: Any) -> Any:
    return random.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.mark.parametrize("space", ["RGB", "BGR"])
@pytest.mark.parametrize("rank4", [False, True])
def test_scale_and_bias_a_channel(rgb: Any, space: str, rank4: bool) -> None:
    spec = picture_model(space, rank4)
    scaler = spec.neuralNetwork.preprocessing.add(featureName="image").scaler
    scaler.channelScale, scaler.redBias, scaler.greenBias, scaler.blueBias, scaler.grayBias = 0.5, 1, 2, 3, 9
    expected = (rgb * 0.5 + np.array([1, 2, 3])).transpose(2, 0, 1)
    if space == "BGR":
        expected = expected[::-1]
    for given in (rgb, Image.fromarray(rgb)):
        actual = load(spec).predict({"image": given})["y"]
        np.testing.assert_array_equal(actual, expected[None] if rank4 else expected[None, None])


@pytest.mark.parametrize("scale", [None, 0.0])
@pytest.mark.parametrize("space", ["RGB", "BGR", "GRAYSCALE"])
def test_a_scale_that_is_not_set_is_1(rgb: Any, space: str, scale: float | None) -> None:
    """Biases alone leave the pixels as they are but for them; a scale of 0 would erase every picture."""
    pixels = rgb[:, :, 0] if space == "GRAYSCALE" else rgb
    spec = picture_model(space)
    scaler = spec.neuralNetwork.preprocessing.add().scaler
    plain = load(spec).predict({"image": pixels})["y"]
    if scale is not None:
        scaler.channelScale = scale
    scaler.redBias, scaler.grayBias = -3, 5
    actual = load(spec).predict({"image": pixels})["y"] - plain
    expected = {"RGB": [-3, 0, 0], "BGR": [0, 0, -3], "GRAYSCALE": [5]}[space]
    np.testing.assert_array_equal(actual, np.broadcast_to(np.reshape(expected, (-1, 1, 1)), actual.shape))
    assert plain.max() == pixels.max()


def test_grayscale_and_mean_image(random: Any) -> None:
    gray = random.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    mean = random.normal(size=HEIGHT * WIDTH).astype(np.float32)
    spec = picture_model("GRAYSCALE")
    scaler = spec.neuralNetwork.preprocessing.add(featureName="image").scaler
    scaler.channelScale, scaler.grayBias = 2, -1
    spec.neuralNetwork.preprocessing.add(featureName="image").meanImage.meanImage.extend(mean.tolist())
    expected = (2 * gray.astype(np.float32) - 1) - mean.reshape(HEIGHT, WIDTH)
    for given in (gray, gray[:, :, None], Image.fromarray(gray)):
        np.testing.assert_allclose(load(spec).predict({"image": given})["y"][0, 0], expected, rtol=1e-6)


def test_conversions_that_lose_nothing(rgb: Any) -> None:
    model = load(picture_model("RGB"))
    opaque = Image.fromarray(rgb).convert("RGBA")
    np.testing.assert_array_equal(model.predict({"image": opaque})["y"][0], rgb.transpose(2, 0, 1))
    gray = Image.fromarray(rgb[:, :, 0])
    np.testing.assert_array_equal(model.predict({"image": gray})["y"][0], np.stack([rgb[:, :, 0]] * 3))
    palette = Image.fromarray(rgb).quantize(64)
    expected = np.asarray(palette.convert("RGB")).transpose(2, 0, 1)
    np.testing.assert_array_equal(model.predict({"image": palette})["y"][0], expected)


def test_what_is_refused(rgb: Any) -> None:
    model = load(picture_model("RGB"))
    clear = Image.fromarray(rgb).convert("RGBA")
    clear.putalpha(100)
    for given, message in (
        (clear, "partly transparent"),
        (Image.fromarray(rgb).convert("CMYK"), "has the mode CMYK, but the model expects RGB"),
        (Image.fromarray(rgb).resize((5, 4)), "picture is 5x4 .* the model expects 6x4; fit it with center_crop"),
        (rgb.astype(np.float32), "array has the type float32, expected uint8"),
        (rgb[:, :, :2], r"array has the shape \[4, 6, 2\], expected \[height, width, 3\]"),
        ("x.jpg", "is a str, expected a PIL picture"),
    ):
        with pytest.raises(DataError, match=f"row 0: feature 'image': .*{message}|row 0: feature 'image': {message}"):
            model.predict({"image": given})
    with pytest.raises(DataError, match="has the mode RGB, but the model expects L"):
        load(picture_model("GRAYSCALE")).predict({"image": Image.fromarray(rgb)})


@pytest.mark.parametrize("fit", [center_crop, scale_to_fit, stretch])
def test_fitting_gives_the_wanted_size(rgb: Any, fit: Any) -> None:
    big = Image.fromarray(rgb).resize((50, 20))
    assert fit(big, WIDTH, HEIGHT).size == (WIDTH, HEIGHT)
    load(picture_model("RGB")).predict({"image": fit(big, WIDTH, HEIGHT)})


@pytest.mark.parametrize("size", [(90, 40), (40, 90), (20, 10)])
def test_center_crop_is_the_middle_as_pillow_cuts_it(rgb: Any, size: Any) -> None:
    picture = Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR)
    expected = ImageOps.fit(picture, (WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    difference = np.asarray(center_crop(picture, WIDTH, HEIGHT)).astype(int) - np.asarray(expected).astype(int)
    assert abs(difference).mean() < 3  # reducing first blurs a little


def test_flexible_sizes() -> None:
    spec = picture_model("RGB")
    image = spec.description.input[0].type.imageType
    size = image.enumeratedSizes.sizes.add()
    size.width, size.height = 8, 8
    model = load(spec)
    for height, width in ((4, 6), (8, 8)):
        assert model.predict({"image": np.zeros((height, width, 3), np.uint8)})["y"].shape == (1, 3, height, width)
    ends = image.imageSizeRange
    ends.widthRange.lowerBound, ends.widthRange.upperBound = 2, 9
    ends.heightRange.lowerBound, ends.heightRange.upperBound = 2, -1
    rows = [{"image": np.zeros((high, 3, 3), np.uint8)} for high in (2, 30, 30, 2)]
    assert [answer["y"].shape[2] for answer in load(spec).predict(rows)] == [2, 30, 30, 2]


def with_a_picture(image_format: str, shape: tuple[int, ...], add: Any) -> Model:
    """A network that read an array of ``shape``, made to read a picture by coremltools."""
    builder = NeuralNetworkBuilder(
        [("data", datatypes.Array(*shape))], [("out", datatypes.Array(*shape))], disable_rank5_shape_mapping=True
    )
    add(builder)
    result = make_image_input(MLModel(builder.spec, skip_model_load=True), "data", scale=2.0, image_format=image_format)
    return result.get_spec()


@pytest.mark.parametrize("image_format", ["NCHW", "NHWC"])
def test_a_picture_in_the_place_of_an_array_is_answered_in_the_declared_shape(image_format: str) -> None:
    """As coremltools' own tests of make_image_input expect on a Mac: the batch of the picture is not answered."""
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    expected = 2.0 * (pixels.transpose(2, 0, 1) if image_format == "NCHW" else pixels)
    model = with_a_picture(
        image_format, expected.shape, lambda builder: builder.add_activation("same", "LINEAR", "data", "out")
    )
    actual = load(model).predict({"data": pixels})["out"]
    assert actual.shape == expected.shape
    np.testing.assert_array_equal(actual, expected)


def test_a_transpose_of_a_picture_that_is_taken_out_leaves_the_declared_shape() -> None:
    def add(builder: Any) -> None:
        builder.add_transpose("turned", [2, 0, 1], "data", "turned")
        builder.add_activation("same", "LINEAR", "turned", "out")

    model = with_a_picture("NHWC", (1, 1, 3), add)
    assert [layer.WhichOneof("layer") for layer in model.neuralNetwork.layers] == ["activation"]
    result = load(model).predict({"data": np.array([[[1, 2, 3]]], np.uint8)})["out"]
    np.testing.assert_array_equal(result, [[[2.0, 4.0, 6.0]]])


def test_an_axis_less_is_left_out_of_a_single_picture_only() -> None:
    model = with_a_picture("NHWC", (4, 5, 3), lambda b: b.add_activation("same", "LINEAR", "data", "out"))
    image = model.description.input[0].type
    image.multiArrayType.shape.extend((2, 3, 4, 5))
    image.multiArrayType.dataType = 65568
    del model.neuralNetwork.preprocessing[:]
    with pytest.raises(ModelError, match="layer 'data_to_nhwc': cannot take 'data'"):
        load(model).predict({"data": np.ones((2, 3, 4, 5), np.float32)})
