"""The shape of every blob of a network, as far as the format fixes it.

A shape is a tuple of lengths, a length that is not fixed is None, and a blob whose rank is not known is left out. In
the old (rank 5) mapping a vector of C stands as [1, 1, C, 1, 1] and a picture as [1, 1, C, H, W]; else a picture is
[1, C, H, W] (``NeuralNetworkMultiArrayShapeMapping`` and ``NeuralNetworkImageShapeMapping`` of the format).
"""

from math import prod

from coreml_updatable.spec.features import COLOR_SPACES
from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.layer_shapes import Shape, output_shapes
from coreml_updatable.spec.messages import (
    FeatureDescription,
    Model,
    NeuralNetwork,
    NeuralNetwork_pb2,
    NeuralNetworkLayer,
)
from coreml_updatable.spec.network import network_of

_RANK5_ARRAYS = NeuralNetwork_pb2.RANK5_ARRAY_MAPPING
_RANK5_IMAGES = NeuralNetwork_pb2.RANK5_IMAGE_MAPPING
MAX_AXES = 64  # that an array of NumPy or a tensor of torch has
_MAX_LENGTH = 2**64


def blob_shapes(model: Model) -> dict[str, Shape]:
    """Shapes of the inputs and of every layer's outputs in the network of ``model``."""
    network = network_of(model)
    shapes: dict[str, Shape] = {}
    for feature in model.description.input:
        shape = input_shape(feature, network)
        if shape is not None:
            shapes[str(feature.name)] = shape
    for layer in network.layers:
        given = [shapes.get(str(blob)) for blob in layer.input]
        for blob, shape in zip(layer.output, output_shapes(layer, given), strict=True):
            if shape is not None and _is_bounded(shape):
                shapes[str(blob)] = shape
    return shapes


def _is_bounded(shape: Shape) -> bool:
    """Hostile layers could double a length or add an axis each: the sums would outgrow the file."""
    return len(shape) <= MAX_AXES and all(length is None or abs(length) <= _MAX_LENGTH for length in shape)


def input_shape(feature: FeatureDescription, network: NeuralNetwork) -> Shape | None:
    """The shape under which the layers see the input ``feature``."""
    kind = feature.type.WhichOneof("Type")
    if kind == "imageType":
        image = feature.type.imageType
        flexible = image.WhichOneof("SizeFlexibility") is not None
        size: Shape = (None, None) if flexible else (int(image.height) or None, int(image.width) or None)
        channels = COLOR_SPACES.get(image.colorSpace, ("", None))[1]
        front: Shape = (1, 1) if network.imageInputShapeMapping == _RANK5_IMAGES else (1,)
        return (*front, channels, *size)
    if kind != "multiArrayType":
        return None
    array = feature.type.multiArrayType
    shape: Shape = tuple(int(length) for length in array.shape)
    if array.WhichOneof("ShapeFlexibility"):
        shape = (None,) * len(shape)
    if network.arrayInputShapeMapping != _RANK5_ARRAYS:
        return shape or None
    if len(shape) == 1:
        return (1, 1, shape[0], 1, 1)
    return (1, 1, *shape) if len(shape) == 3 else None


def element_count(shape: Shape) -> int | None:
    """How many numbers a blob of this shape holds; None when a length is not fixed."""
    known = [length for length in shape if length is not None]
    return prod(known) if len(known) == len(shape) else None


def given_and_expected(layer: NeuralNetworkLayer, shape: Shape | None) -> tuple[int | None, int | None]:
    """Channels of an input of ``shape``, and those that the layer expects; None where it is not known."""
    kind = layer_kind(layer)
    if not shape or kind not in ("convolution", "innerProduct", "batchnorm"):
        return None, None
    if kind == "innerProduct" and len(shape) < 4:
        return shape[-1], int(layer.innerProduct.inputChannels)
    if len(shape) < 3:
        return None, None
    if kind == "innerProduct":
        return element_count(shape[-3:]), int(layer.innerProduct.inputChannels)
    if kind == "batchnorm":
        return shape[-3], int(layer.batchnorm.channels)
    params = layer.convolution
    groups = 1 if params.isDeconvolution else max(1, int(params.nGroups))
    return shape[-3], int(params.kernelChannels) * groups
