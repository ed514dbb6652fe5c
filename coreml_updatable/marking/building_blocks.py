"""The few layers that marking itself adds to a network."""

from collections.abc import Sequence

from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.messages import NeuralNetwork_pb2, NeuralNetworkLayer, copy_of

_POOLING = NeuralNetwork_pb2.PoolingLayerParams


def new_layer(name: str, source: str, result: str) -> NeuralNetworkLayer:
    layer = NeuralNetwork_pb2.NeuralNetworkLayer()
    layer.name = name
    layer.input.append(source)
    layer.output.append(result)
    return layer


def flatten(name: str, source: str, result: str) -> NeuralNetworkLayer:
    """Build [N, C, H, W] -> [N, C * H * W, 1, 1], in the order of the channels."""
    layer = new_layer(name, source, result)
    layer.flatten.mode = NeuralNetwork_pb2.FlattenLayerParams.CHANNEL_FIRST
    return layer


def reshape_static(name: str, source: str, result: str, shape: Sequence[int]) -> NeuralNetworkLayer:
    layer = new_layer(name, source, result)
    layer.reshapeStatic.targetShape.extend(shape)
    return layer


def softmax(name: str, source: str, result: str) -> NeuralNetworkLayer:
    """Build a softmax over axis -3."""
    layer = new_layer(name, source, result)
    layer.softmax.SetInParent()
    return layer


def global_average_pooling(name: str, source: str, result: str) -> NeuralNetworkLayer:
    """Build [N, C, H, W] -> [N, C, 1, 1]."""
    layer = new_layer(name, source, result)
    pooling = layer.pooling
    pooling.type = _POOLING.AVERAGE
    pooling.globalPooling = True
    pooling.avgPoolExcludePadding = True
    pooling.valid.SetInParent()
    return layer


def as_inner_product(layer: NeuralNetworkLayer) -> NeuralNetworkLayer:
    """y = x W + b with W kept as [out, in], as ``innerProduct`` keeps it too (``BatchedMatMulLayerParams``)."""
    params = layer.batchedMatmul
    new = copy_of(layer)
    new.innerProduct.inputChannels = params.weightMatrixFirstDimension
    new.innerProduct.outputChannels = params.weightMatrixSecondDimension
    new.innerProduct.hasBias = params.hasBias
    new.innerProduct.weights.CopyFrom(params.weights)
    if params.hasBias:
        new.innerProduct.bias.CopyFrom(params.bias)
    return new


def output_channels(layer: NeuralNetworkLayer) -> int:
    """Return how many outputs a convolution, an innerProduct or a batchedMatmul has."""
    if layer_kind(layer) == "batchedMatmul":
        return int(layer.batchedMatmul.weightMatrixSecondDimension)
    return int(getattr(layer, layer_kind(layer)).outputChannels)


def drop_rank_hints(layers: Sequence[NeuralNetworkLayer], blobs: set[str]) -> None:
    """Remove the ranks that a converter stored in the layers, which no longer apply to the rewritten blobs."""
    for layer in layers:
        if blobs & set(layer.output):
            del layer.outputTensor[:]
        if blobs & (set(layer.input) | set(layer.output)):
            del layer.inputTensor[:]
