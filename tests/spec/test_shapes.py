"""Shapes worked out from the file against the shapes that the runtime, and so torch, really computes."""

import numpy as np
import pytest
import torch
from coremltools.models import datatypes
from coremltools.models.neural_network import NeuralNetworkBuilder
from hypothesis import given, settings
from hypothesis import strategies as st

from coreml_updatable.checking.contradictions import shapes_agree
from coreml_updatable.runtime import load
from coreml_updatable.runtime.engine.program import build_steps
from coreml_updatable.spec.layer_shapes import layer_shape
from coreml_updatable.spec.messages import NeuralNetwork_pb2
from coreml_updatable.spec.shapes import blob_shapes, element_count
from tests.broken_models import valid
from tests.marking.networks import NETWORKS, converted


@pytest.mark.parametrize("name", NETWORKS)
def test_every_blob_has_the_shape_that_is_computed(name: str) -> None:
    model = converted(name)
    blobs = load(model).predict({"image": np.ones(NETWORKS[name][1], np.float32)}, intermediate=True)
    shapes = blob_shapes(model)
    for layer in model.neuralNetwork.layers:
        for blob in layer.output:
            assert shapes[blob] == np.shape(blobs[blob]), layer.name
    assert not list(shapes_agree(model))


def test_the_old_mapping_stands_a_picture_on_rank_5() -> None:
    shapes = blob_shapes(valid.classifier())
    assert shapes["image"] == (1, 1, 3, 8, 8)
    assert shapes["flatten"] == (1, 1, 144, 1, 1)
    assert blob_shapes(valid.plain())["x"] == (1, 1, 5, 1, 1)


@settings(deadline=None)
@given(
    length=st.integers(5, 20),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    border=st.integers(0, 2),
    transposed=st.booleans(),
)
def test_convolutions_as_torch(
    length: int, kernel: int, stride: int, dilation: int, border: int, transposed: bool
) -> None:
    layer = NeuralNetwork_pb2.NeuralNetworkLayer(input=["x"], output=["y"])
    params = layer.convolution
    params.outputChannels, params.isDeconvolution = 4, transposed
    params.kernelSize[:], params.stride[:], params.dilationFactor[:] = [kernel] * 2, [stride] * 2, [dilation] * 2
    for _ in range(2):
        params.valid.paddingAmounts.borderAmounts.add(startEdgeSize=border, endEdgeSize=border)
    module = torch.nn.ConvTranspose2d if transposed else torch.nn.Conv2d
    given_rows = torch.zeros(1, 3, length, length)
    if not transposed and dilation * (kernel - 1) + 1 > length + 2 * border:
        return
    if transposed and (length - 1) * stride + dilation * (kernel - 1) + 1 - 2 * border < 1:
        return
    expected = module(3, 4, kernel, stride, padding=border, dilation=dilation)(given_rows).shape
    assert layer_shape(layer, [tuple(given_rows.shape)]) == tuple(expected)


@settings(deadline=None)
@given(length=st.integers(4, 20), kernel=st.integers(1, 4), stride=st.integers(1, 3), border=st.integers(0, 2))
def test_pooling_up_to_the_last_pixel_as_torch(length: int, kernel: int, stride: int, border: int) -> None:
    if border > kernel // 2:
        return
    layer = NeuralNetwork_pb2.NeuralNetworkLayer(input=["x"], output=["y"])
    layer.pooling.kernelSize[:], layer.pooling.stride[:] = [kernel] * 2, [stride] * 2
    layer.pooling.includeLastPixel.paddingAmounts[:] = [border] * 2
    given_rows = torch.zeros(1, 3, length, length)
    expected = torch.nn.MaxPool2d(kernel, stride, border, ceil_mode=True)(given_rows).shape
    if border == 0 and stride > kernel:
        return  # torch takes a window off that starts behind the end, the format only where there is padding
    assert layer_shape(layer, [tuple(given_rows.shape)]) == tuple(expected)


def test_a_flexible_length_stays_open() -> None:
    model = converted("convolutional head")
    array = model.description.input[0].type.multiArrayType
    array.shapeRange.sizeRanges.add(lowerBound=1, upperBound=1)
    shapes = blob_shapes(model)
    assert shapes["image"] == (None,) * 4
    assert element_count(shapes["image"]) is None
    assert shapes[str(model.description.output[0].name)][-2:] == (1, 1)


@pytest.mark.parametrize("mode", [0, 1], ids=["channels first", "channels last"])
@pytest.mark.parametrize("target", [[2, 3, 4], [1, 4, 3, 2], [2, 3, 2, 2], [2, -1, 4], [-1, 3, 2, 2], [2, 3, 2, -1]])
def test_layers_of_the_first_versions_as_they_run(mode: int, target: list[int]) -> None:
    builder = NeuralNetworkBuilder([("x", datatypes.Array(6, 2, 2))], [("y", None)])
    builder.add_reshape("reshape", "x", "reshaped", target, mode)
    builder.add_slice("slice", "reshaped", "y", "height", 1, 2, 1)
    blobs = load(builder.spec).predict({"x": np.ones((6, 2, 2), np.float32)}, intermediate=True)
    shapes = blob_shapes(builder.spec)
    assert shapes["reshaped"] == np.shape(blobs["reshaped"])
    assert np.size(blobs["y"]) == element_count(shapes["y"])


@pytest.mark.parametrize("kind", ["reshape", "reshapeStatic"])
def test_a_length_that_cannot_be_inferred_stays_open(kind: str) -> None:
    """It was carried on as the number -1: "would write -64000000 numbers", of a network that onnx-coreml exported."""
    layer = NeuralNetwork_pb2.NeuralNetworkLayer(name="reshape", input=["x"], output=["y"])
    params = getattr(layer, kind)
    for given_shape, target, expected in (
        ((None, 1, 3, 8, 8), [64, -1, 1], (64, None, 1)),
        ((1, 1, 3, 8, 8), [-1, -1, 8], (None, None, 8)),
        ((1, 1, 3, 8, 8), [5, -1, 1], (5, None, 1)),
        ((1, 1, 3, 8, 8), [64, -1, 1], (64, 3, 1)),
    ):
        params.targetShape[:] = target
        wanted = (*given_shape[:2], *expected) if kind == "reshape" else expected
        if kind == "reshape" and given_shape[0] is None:
            wanted = (None, 1, 64, 3, 1)
        assert layer_shape(layer, [given_shape]) == wanted


def test_a_reshape_before_a_flatten_has_no_fault() -> None:
    builder = NeuralNetworkBuilder([("x", datatypes.Array(6, 2, 2))], [("y", None)])
    builder.add_reshape("reshape", "x", "reshaped", [-1, 6, 2, 2], 0)
    builder.add_flatten("flat", 0, "reshaped", "y")
    builder.spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=1, upperBound=-1)
    assert not list(shapes_agree(builder.spec))


@settings(deadline=None)
@given(data=st.data(), shape=st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_sliced_statically_as_the_runtime_slices(data: st.DataObject, shape: list[int]) -> None:
    def each(values: st.SearchStrategy[int]) -> list[int]:
        return data.draw(st.lists(values, min_size=len(shape), max_size=len(shape)))

    layer = NeuralNetwork_pb2.NeuralNetworkLayer(name="cut", input=["x"], output=["y"])
    params = layer.sliceStatic
    params.beginIds[:] = [data.draw(st.integers(0, length - 1)) for length in shape]
    params.endIds[:] = [data.draw(st.integers(begin + 1, n)) for begin, n in zip(params.beginIds, shape, strict=True)]
    params.strides[:] = each(st.integers(1, 3))
    for mask in (params.beginMasks, params.endMasks, params.squeezeMasks):
        mask[:] = [bool(item) for item in each(st.integers(0, 1))]
    (step,) = build_steps([layer])
    assert layer_shape(layer, [tuple(shape)]) == tuple(step.module(torch.zeros(shape)).shape) or not shape
