"""Inputs and outputs of every type, shape flexibility, defaults: by the format's own words."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime import load
from coreml_updatable.runtime.io.arrays import DTYPES
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model_pb2

TYPES = FeatureTypes_pb2.ArrayFeatureType.ArrayDataType
NAMES = [TYPES.Name(dtype) for dtype in DTYPES]


def linear(scale: float = 1.0, offset: float = 0.0, shape: tuple[int, ...] = (3,), kind: str = "neuralNetwork") -> Any:
    """A network that answers y = scale x + offset, in float32 both."""
    spec = Model_pb2.Model(specificationVersion=4)
    for features, name in ((spec.description.input, "x"), (spec.description.output, "y")):
        array = features.add(name=name).type.multiArrayType
        array.dataType = TYPES.FLOAT32
        array.shape.extend(shape if name == "x" else ())
    network = getattr(spec, kind)
    network.arrayInputShapeMapping = 1
    activation = network.layers.add(name="scaled", input=["x"], output=["y"]).activation.linear
    activation.alpha, activation.beta = scale, offset
    return spec


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("given_as", [np.float64, np.float32, np.int32, np.int8, np.uint8, list])
def test_every_type_of_array(name: str, given_as: Any) -> None:
    spec = linear(2.0, 1.0)
    for feature in (spec.description.input[0], spec.description.output[0]):
        feature.type.multiArrayType.dataType = TYPES.Value(name)
    values = [1, 2, 40] if given_as is list else np.array([1, 2, 40], given_as)
    result = load(spec).predict({"x": values})["y"]
    assert result.dtype == DTYPES[TYPES.Value(name)]
    np.testing.assert_array_equal(result, [3, 5, 81])


def test_what_a_type_cannot_hold() -> None:
    spec = linear()
    array = spec.description.input[0].type.multiArrayType
    for name, value in (("INT32", 1.5), ("INT32", 2.0**31), ("INT8", 128), ("INT8", -129), ("INT32", np.nan)):
        array.dataType = TYPES.Value(name)
        sentence = f"row 0: feature 'x': contains a value that is not {name.lower()}, the type of the input; round it"
        with pytest.raises(DataError, match=sentence):
            load(spec).predict({"x": [0, value, 1]})
    array.dataType = TYPES.FLOAT16
    assert load(spec).predict({"x": [0.1, 1e9, 1]})["y"].tolist() == [float(np.float16(0.1)), np.inf, 1]


@pytest.mark.parametrize("name", ["INT8", "INT32"])
@pytest.mark.parametrize("given_as", [float, np.float64, int, np.int64])
def test_a_whole_type_holds_all_between_its_ends(name: str, given_as: Any) -> None:
    spec = linear()
    for feature in (spec.description.input[0], spec.description.output[0]):
        feature.type.multiArrayType.dataType = TYPES.Value(name)
    ends = np.iinfo(DTYPES[TYPES.Value(name)])
    low, high = int(ends.min), int(ends.max)
    exact = high if name == "INT8" else high - 127  # the network's float32 holds no larger one
    result = load(spec).predict({"x": np.array([low, 0, exact], given_as)})["y"]
    np.testing.assert_array_equal(result, [low, 0, exact])
    load(spec).predict({"x": np.array([low, 0, 0], given_as)})
    for beyond in (low - 1, high + 1):
        with pytest.raises(DataError, match=f"contains a value that is not {name.lower()}"):
            load(spec).predict({"x": np.array([0, beyond, 0], given_as)})


@pytest.mark.parametrize(("name", "value"), [("INT8", 200.0), ("INT32", 1e12), ("INT32", np.inf)])
def test_outputs_that_do_not_fit(name: str, value: float) -> None:
    spec = linear(1.0, value)
    spec.description.output[0].type.multiArrayType.dataType = TYPES.Value(name)
    with pytest.raises(ModelError, match=f"blob 'y': contains .* the model declares {name.lower()}; declare a wider"):
        load(spec).predict({"x": [0, 0, 0]})


@given(st.floats(-100, 100, width=32))
def test_a_fraction_is_cut_off_as_in_c(value: float) -> None:
    spec = linear()
    spec.description.output[0].type.multiArrayType.dataType = TYPES.INT32
    assert load(spec).predict({"x": [value] * 3})["y"].tolist() == [int(value)] * 3


def test_single_numbers() -> None:
    spec = linear(2.0)
    feature = spec.description.input[0].type
    feature.doubleType.SetInParent()
    spec.description.output[0].type.doubleType.SetInParent()
    model = load(spec)
    assert [model.predict({"x": value})["y"] for value in (1.5, np.float64(1.5), [1.5], np.float32(1.5))] == [3.0] * 4
    feature.int64Type.SetInParent()
    spec.description.output[0].type.int64Type.SetInParent()
    assert load(spec).predict({"x": 4})["y"] == 8
    with pytest.raises(DataError, match="int64"):
        load(spec).predict({"x": 1.5})
    with pytest.raises(DataError, match=r"row 0: feature 'x': has the shape \[2\], expected one number"):
        load(spec).predict({"x": [1, 2]})


@pytest.mark.parametrize("kind", ["stringType", "dictionaryType", "sequenceType"])
def test_what_a_network_cannot_read(kind: str) -> None:
    spec = linear()
    getattr(spec.description.input[0].type, kind).SetInParent()
    with pytest.raises(ModelError, match="model: input 'x' is neither a picture nor an array"):
        load(spec)


def test_optional_inputs() -> None:
    spec = linear(2.0)
    type_ = spec.description.input[0].type
    type_.isOptional = True
    assert load(spec).predict({})["y"].tolist() == [0, 0, 0]
    type_.multiArrayType.floatDefaultValue = 1.5
    assert load(spec).predict({})["y"].tolist() == [3, 3, 3]
    type_.multiArrayType.intDefaultValue = 4
    type_.multiArrayType.dataType = TYPES.INT32
    assert load(spec).predict([{}, {"x": [1, 2, 3]}])[0]["y"].tolist() == [8, 8, 8]
    type_.multiArrayType.ClearField("shape")
    type_.multiArrayType.enumeratedShapes.shapes.add().shape.extend([2, 1])
    assert load(spec).predict({})["y"].tolist() == [[8], [8]]
    for lower, upper in ((2, 2), (1, -1)):
        type_.multiArrayType.shapeRange.sizeRanges.add(lowerBound=lower, upperBound=upper)
    assert load(spec).predict({})["y"].tolist() == [[8], [8]]
    type_.multiArrayType.shape.extend([2**20, 2**20])
    with pytest.raises(ModelError, match="model: input 'x' has the shape"):
        load(spec).predict({})
    type_.imageType.width = type_.imageType.height = 4
    type_.imageType.colorSpace = FeatureTypes_pb2.ImageFeatureType.RGB
    with pytest.raises(DataError, match="row 0: feature 'x': is missing, and a picture has no default"):
        load(spec).predict({})


def test_enumerated_shapes() -> None:
    spec = linear(shape=(2, 3))
    shapes = spec.description.input[0].type.multiArrayType.enumeratedShapes.shapes
    for listed in ([2, 3], [4, 3]):
        shapes.add().shape.extend(listed)
    model = load(spec)
    for shape in ((2, 3), (4, 3)):
        assert model.predict({"x": np.ones(shape)})["y"].shape == shape
    expected = re.escape("row 0: feature 'x': has the shape [3, 3], but the model expects [2, 3] or [4, 3]; reshape it")
    with pytest.raises(DataError, match=expected):
        model.predict({"x": np.ones((3, 3))})
    spec.description.input[0].type.multiArrayType.ClearField("shape")
    with pytest.raises(DataError, match=expected):
        load(spec).predict({"x": np.ones((3, 3))})


@given(st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 3)))
def test_ranges_of_shapes(shape: tuple[int, int, int]) -> None:
    spec = linear(shape=(2, 5, 1))
    ranges = ((2, 4), (3, -1), (1, 1))
    for lower, upper in ranges:
        spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=lower, upperBound=upper)
    model = load(spec)
    x = np.ones(shape)
    if 2 <= shape[0] <= 4 and shape[1] >= 3 and shape[2] == 1:
        assert model.predict({"x": x})["y"].shape == shape
    else:
        sentence = f"has the shape {list(shape)}, but the model expects [2 to 4, 3 or more, 1]; reshape it"
        with pytest.raises(DataError, match=re.escape(sentence)):
            model.predict({"x": x})
        with pytest.raises(DataError, match=re.escape("the model expects [2 to 4, 3 or more, 1]")):
            model.predict({"x": np.ones((3, 3))})


def picture(space: str) -> Any:
    spec = linear()
    for feature in (spec.description.input[0], spec.description.output[0]):
        image = feature.type.imageType
        image.width, image.height = 6, 4
        image.colorSpace = FeatureTypes_pb2.ImageFeatureType.ColorSpace.Value(space)
    spec.neuralNetwork.imageInputShapeMapping = 1
    return spec


def test_sizes_of_pictures() -> None:
    spec = picture("GRAYSCALE")
    image = spec.description.input[0].type.imageType
    image.enumeratedSizes.sizes.add(width=8, height=2)
    for width, height in ((6, 4), (8, 2)):
        assert load(spec).predict({"x": np.zeros((height, width), np.uint8)})["y"].size == (width, height)
    with pytest.raises(DataError, match=r"picture is 5x5 \(width x height\), but the model expects 6x4 or 8x2; fit it"):
        load(spec).predict({"x": np.zeros((5, 5), np.uint8)})
    image.imageSizeRange.widthRange.lowerBound, image.imageSizeRange.widthRange.upperBound = 4, 9
    image.imageSizeRange.heightRange.lowerBound, image.imageSizeRange.heightRange.upperBound = 3, -1
    assert load(spec).predict({"x": np.zeros((50, 9), np.uint8)})["y"].size == (9, 50)
    expected = r"picture is 10x5 .* the model expects a width of 4 to 9 and a height of 3 or more"
    with pytest.raises(DataError, match=expected):
        load(spec).predict({"x": np.zeros((5, 10), np.uint8)})


def test_sixteen_bit_grayscale(random: Any) -> None:
    model = load(picture("GRAYSCALE_FLOAT16"))
    gray = random.normal(size=(4, 6)).astype(np.float16) * 1000
    for given_as in (gray, gray.astype(np.float32), Image.fromarray(gray.astype(np.float32))):
        answer = model.predict({"x": given_as})["y"]
        assert answer.mode == "F"
        np.testing.assert_array_equal(np.asarray(answer), gray.astype(np.float32))
    eight = random.integers(0, 256, (4, 6), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(model.predict({"x": Image.fromarray(eight)})["y"]), eight)
    with pytest.raises(
        DataError, match=r"has the mode RGB, but the model expects L or F \(floating point\); call picture"
    ):
        model.predict({"x": Image.fromarray(np.zeros((4, 6, 3), np.uint8))})
    with pytest.raises(DataError, match="array has the type uint8, expected float"):
        model.predict({"x": eight})


@pytest.mark.parametrize("space", ["RGB", "BGR"])
def test_mean_image_of_a_picture_in_colour(random: Any, space: str) -> None:
    """Channels first, in the model's order of colors."""
    spec = picture(space)
    spec.description.output[0].type.multiArrayType.dataType = TYPES.FLOAT32
    mean = random.normal(size=(3, 4, 6)).astype(np.float32) * 50
    spec.neuralNetwork.preprocessing.add(featureName="x").meanImage.meanImage.extend(mean.ravel().tolist())
    pixels = random.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    ordered = pixels if space == "RGB" else pixels[:, :, ::-1]
    result = load(spec).predict({"x": pixels})["y"]
    np.testing.assert_allclose(result, ordered.transpose(2, 0, 1)[None] - mean, rtol=1e-6)
    spec.neuralNetwork.preprocessing[0].meanImage.meanImage.append(1.0)
    with pytest.raises(ModelError, match="model: mean image has 73 values, expected 72"):
        load(spec).predict({"x": pixels})


@pytest.mark.parametrize("kind", ["multiArrayType", "doubleType"])
def test_regressors(kind: str) -> None:
    spec = linear(3.0, shape=(1,), kind="neuralNetworkRegressor")
    spec.description.predictedFeatureName = "y"
    getattr(spec.description.output[0].type, kind).SetInParent()
    answer = load(spec).predict({"x": [2.0]})
    assert answer.keys() == {"y"}
    assert float(np.ravel(answer["y"])[0]) == 6.0
