"""Parameters without which a layer means nothing."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.inner_layers import every_layer
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer
from coreml_updatable.spec.weights import storage

_Fits: TypeAlias = Callable[[NeuralNetworkLayer], bool]
_RECURRENT = ("linear", "sigmoid", "tanh", "scaledTanh", "sigmoidHard", "ReLU")
_TARGET: tuple[str, _Fits] = ("a target shape", lambda params: bool(params.targetShape))


def _shape_of(field: str) -> tuple[str, _Fits]:
    return f"a {field} of 1 or 3 lengths", lambda params: len(getattr(params, field)) in (1, 3)


def _recurrent(activation: NeuralNetworkLayer) -> bool:
    return activation.WhichOneof("NonlinearityType") in _RECURRENT


def _known_activation(params: NeuralNetworkLayer) -> bool:
    return params.WhichOneof("NonlinearityType") is not None


def _softplus_alike(params: NeuralNetworkLayer) -> bool:
    softplus = params.parametricSoftplus
    alike = storage(softplus.alpha) == storage(softplus.beta)
    return params.WhichOneof("NonlinearityType") != "parametricSoftplus" or alike


def _parts(layer: NeuralNetworkLayer) -> bool:
    """``splitND``: as many outputs as parts are asked for."""
    asked = int(layer.splitND.numSplits) or len(layer.splitND.splitSizes)
    return layer_kind(layer) != "splitND" or asked in (0, len(layer.output))


def _padding_amounts(layer: NeuralNetworkLayer) -> bool:
    """``constantPad``: two amounts an axis; they may be missing where a second input brings them."""
    amounts = len(layer.constantPad.padAmounts)
    return layer_kind(layer) != "constantPad" or (amounts % 2 == 0 and (amounts > 0 or len(layer.input) > 1))


_OF_LAYERS = (("as many outputs as parts", _parts), ("two amounts an axis", _padding_amounts))
_NEEDS: dict[str, list[tuple[str, _Fits]]] = {
    "convolution": [("a kind of padding", lambda p: p.WhichOneof("ConvolutionPaddingType") is not None)],
    "pooling": [("a kind of padding", lambda p: p.WhichOneof("PoolingPaddingType") is not None)],
    "padding": [
        ("a kind of padding", lambda p: p.WhichOneof("PaddingType") is not None),
        ("none or two amounts", lambda p: len(p.paddingAmounts.borderAmounts) in (0, 2)),
    ],
    "activation": [("a function", _known_activation), ("alpha and beta stored alike", _softplus_alike)],
    "lrn": [("a k of 0 or more", lambda p: p.k >= 0)],
    "scale": [
        _shape_of("shapeScale"),
        ("a shapeBias of 1 or 3 lengths", lambda p: not p.hasBias or len(p.shapeBias) in (1, 3)),
    ],
    "bias": [_shape_of("shape")],
    "loadConstant": [("a shape of 3 lengths", lambda p: len(p.shape) == 3)],
    "loadConstantND": [("a shape", lambda p: bool(p.shape))],
    "reshape": [("a target shape of 3 or 4 lengths", lambda p: len(p.targetShape) in (3, 4))],
    "permute": [("4 axes", lambda p: len(p.axis) == 4)],
    "reorganizeData": [("blocks of 2 or more", lambda p: p.blockSize >= 2)],
    "slice": [("a stride of 1 or more", lambda p: p.stride >= 1)],
    "simpleRecurrent": [("a recurrent activation", lambda p: _recurrent(p.activation))],
    "gru": [("recurrent activations", lambda p: all(map(_recurrent, p.activations)))],
    "uniDirectionalLSTM": [("three activations", lambda p: len(p.activations) == 3)],
    "biDirectionalLSTM": [
        ("three activations forward", lambda p: len(p.activationsForwardLSTM) == 3),
        ("three activations backward", lambda p: len(p.activationsBackwardLSTM) == 3),
        ("weights of both directions", lambda p: len(p.weightParams) == 2),
    ],
    "argSort": [("an axis from 0 on", lambda p: p.axis >= 0)],
    "custom": [("a class name", lambda p: bool(p.className))],
    "transpose": [("axes", lambda p: bool(p.axes))],
    "squeeze": [("axes, each once", lambda p: p.squeezeAll or 0 < len(p.axes) == len(set(p.axes)))],
    "expandDims": [("axes, each once", lambda p: 0 < len(p.axes) == len(set(p.axes)))],
    "reshapeStatic": [_TARGET],
    "fillStatic": [_TARGET],
    "broadcastToStatic": [_TARGET],
    "layerNormalization": [("a normalized shape", lambda p: bool(p.normalizedShape))],
    "splitND": [("a number or the sizes of its parts", lambda p: bool(p.numSplits or p.splitSizes))],
    "sliceStatic": [("where it begins and ends", lambda p: bool(p.beginIds) and bool(p.endIds))],
}


def parameters_given(model: Model) -> Iterator[Finding]:
    """Every layer is of a kind, and has the parameters without which that kind means nothing."""
    for where, layer in every_layer(model):
        kind = layer_kind(layer)
        if not kind:
            yield Finding(where, "is a layer of no kind", "one")
            continue
        wanted = [expected for expected, fits in _NEEDS.get(kind, ()) if not fits(getattr(layer, kind))]
        wanted += [expected for expected, fits in _OF_LAYERS if not fits(layer)]
        for expected in wanted:
            yield Finding(where, f"is a {kind} that lacks something it needs", expected)
