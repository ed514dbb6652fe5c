"""Parameters that a layer requires."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.graph import every_layer, layer_kind
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer, WeightParams
from coreml_updatable.spec.storage import filled_fields, storage

_Fits: TypeAlias = Callable[[NeuralNetworkLayer], bool]
_RECURRENT = ("linear", "sigmoid", "tanh", "scaledTanh", "sigmoidHard", "ReLU")
_TARGET: tuple[str, _Fits] = ("a target shape", lambda params: bool(params.targetShape))
_OUTPUT: tuple[str, _Fits] = ("an output shape", lambda params: bool(params.outputShape))
_BOUNDS: tuple[str, _Fits] = ("a minVal that is at most maxVal", lambda params: not params.minVal > params.maxVal)
_CHANCE: tuple[str, _Fits] = ("a prob of 0 to 1", lambda params: not (params.prob < 0 or params.prob > 1))
_SIZE: tuple[str, _Fits] = ("a targetSize of 2 lengths or none", lambda params: len(params.targetSize) in (0, 2))
_SIDES = ("Front", "Back", "Top", "Bottom", "Left", "Right")


def _shape_of(field: str) -> tuple[str, _Fits]:
    return f"a {field} of 1 or 3 lengths", lambda params: len(getattr(params, field)) in (1, 3)


def _positive(*fields: str) -> list[tuple[str, _Fits]]:
    return [(f"a {field} of 1 or more", partial(_above_zero, field)) for field in fields]


def _above_zero(field: str, params: NeuralNetworkLayer) -> bool:
    return bool(getattr(params, field) > 0)


def _is_set(field: str, params: NeuralNetworkLayer) -> bool:
    return bool(getattr(params, field))


def _recurrent(activation: NeuralNetworkLayer) -> bool:
    return activation.WhichOneof("NonlinearityType") in _RECURRENT


def _activations(field: str) -> list[tuple[str, _Fits]]:
    return [
        (f"three {field}", lambda params: len(getattr(params, field)) == 3),
        (
            f"{field} among {', '.join(_RECURRENT)}",
            lambda params: all(_recurrent(each) for each in getattr(params, field)),
        ),
    ]


def _held_once(params: NeuralNetworkLayer) -> bool:
    softplus = params.parametricSoftplus
    return all(len(filled_fields(weights)) < 2 for weights in (params.PReLU.alpha, softplus.alpha, softplus.beta))


def _softplus_alike(params: NeuralNetworkLayer) -> bool:
    softplus = params.parametricSoftplus
    alike = _stored(softplus.alpha) == _stored(softplus.beta)
    return params.WhichOneof("NonlinearityType") != "parametricSoftplus" or alike


def _stored(weights: WeightParams) -> str:
    """Like ``storage``, but packed numbers without quantization parameters do not count."""
    kind = storage(weights)
    return kind if kind not in ("raw", "int8") or weights.HasField("quantization") else "empty"


def _parts(layer: NeuralNetworkLayer) -> bool:
    """``splitND``: one output per part."""
    params = layer.splitND
    asked = len(params.splitSizes) or int(params.numSplits)
    return asked in (0, len(layer.output))


def _padding_amounts(layer: NeuralNetworkLayer) -> bool:
    """``constantPad``: two amounts per axis, unless a second input brings them."""
    amounts = len(layer.constantPad.padAmounts)
    return len(layer.input) > 1 or (amounts % 2 == 0 and amounts > 0)


def _padded_on_one_side(layer: NeuralNetworkLayer) -> bool:
    """``constantPad`` to a given size: on one side of an axis."""
    params = layer.constantPad
    pairs = zip(params.padAmounts[::2], params.padAmounts[1::2], strict=False)
    return len(layer.input) > 1 or not params.padToGivenOutputSizeMode or not any(a > 0 and b > 0 for a, b in pairs)


def _given_plainly(layer: NeuralNetworkLayer) -> bool:
    """``convolution`` with weights from an input: neither dilated nor a deconvolution."""
    params = layer.convolution
    return len(layer.input) < 2 or not (params.isDeconvolution or any(each > 1 for each in params.dilationFactor[:2]))


def _dynamically_quantized(params: NeuralNetworkLayer) -> bool:
    """8-bit numbers with one scale, if the layer also quantizes its input."""
    weights = params.weights
    linear = weights.quantization.linearQuantization
    return not params.int8DynamicQuantize or (
        filled_fields(weights) == ["int8RawValue"]
        and weights.quantization.numberOfBits == 8
        and weights.quantization.HasField("linearQuantization")
        and len(linear.scale) == 1
        and not linear.bias
    )


def _scaled(params: NeuralNetworkLayer) -> bool:
    whole, fraction = len(params.scalingFactor), len(params.fractionalScalingFactor)
    return (whole, fraction) in ((0, 0), (0, 2), (2, 0))


def _scaled_in_its_mode(params: NeuralNetworkLayer) -> bool:
    """Fractions need a linear mode that defines its corners, and only a linear mode defines them."""
    nearest, plain = params.mode == params.NN, params.linearUpsampleMode == params.DEFAULT
    return not (nearest and not plain) and not (len(params.fractionalScalingFactor) == 2 and (nearest or plain))


def _forward_slice(params: NeuralNetworkLayer) -> bool:
    start, end = params.startIndex, params.endIndex
    return not (0 < end < start or end < start < 0)


def _pads(params: NeuralNetworkLayer) -> list[int]:
    return [int(getattr(params, f"customPadding{side}")) for side in _SIDES]


def _pads_of_pooling(params: NeuralNetworkLayer) -> bool:
    return min(_pads(params)) >= 0 if params.paddingType == params.CUSTOM else not any(_pads(params))


def _shape_of_deconvolution(params: NeuralNetworkLayer) -> bool:
    return not params.outputShape or (params.isDeconvolution and len(params.outputShape) == 3)


def _not_packed(params: NeuralNetworkLayer) -> bool:
    used = [params.weights, params.bias] if params.hasBias else [params.weights]
    return all(_stored(weights) not in ("raw", "int8") for weights in used)


def _ends(layer: NeuralNetworkLayer) -> bool:
    params = layer.loop
    return bool(params.conditionNetwork.layers or params.maxLoopIterations or len(layer.input))


def _pooling_3d() -> list[tuple[str, _Fits]]:
    axes = ("Depth", "Height", "Width")
    return _positive(*(f"kernel{axis}" for axis in axes), *(f"stride{axis}" for axis in axes))


_OF_LAYERS: dict[str, list[tuple[str, _Fits]]] = {
    "splitND": [("one output per part", _parts)],
    "constantPad": [("two amounts per axis", _padding_amounts), ("amounts on one side only", _padded_on_one_side)],
    "crop": [
        ("two cropAmounts", lambda layer: len(layer.input) > 1 or len(layer.crop.cropAmounts.borderAmounts) == 2),
        ("two offsets for its second input", lambda layer: len(layer.input) < 2 or len(layer.crop.offset) == 2),
    ],
    "convolution": [("neither dilation nor isDeconvolution with weights from an input", _given_plainly)],
    "batchedMatmul": [
        (
            "neither bias nor int8DynamicQuantize with two inputs",
            lambda one: len(one.input) < 2 or not (one.batchedMatmul.hasBias or one.batchedMatmul.int8DynamicQuantize),
        )
    ],
    "loop": [("a condition, a number of iterations or an input that ends it", _ends)],
    "copy": [("an output that is not its input", lambda layer: list(layer.input) != list(layer.output))],
}
_NEEDS: dict[str, list[tuple[str, _Fits]]] = {
    "convolution": [("a padding type", lambda p: p.WhichOneof("ConvolutionPaddingType") is not None)],
    "convolution3d": [
        *_positive("inputChannels", "outputChannels", "nGroups", "dilationDepth", "dilationHeight", "dilationWidth"),
        *_pooling_3d(),
        ("paddings of 0 or more", lambda p: min(_pads(p)) >= 0),
        ("an outputShape of 3 lengths, and only as a deconvolution", _shape_of_deconvolution),
        ("weights that are not quantized", _not_packed),
    ],
    "innerProduct": [("8-bit weights with one scale, as int8DynamicQuantize asks for", _dynamically_quantized)],
    "batchedMatmul": [("8-bit weights with one scale, as int8DynamicQuantize asks for", _dynamically_quantized)],
    "pooling": [("a padding type", lambda p: p.WhichOneof("PoolingPaddingType") is not None)],
    "pooling3d": [*_pooling_3d(), ("paddings of 0 or more, and only with CUSTOM padding", _pads_of_pooling)],
    "padding": [
        ("a padding type", lambda p: p.WhichOneof("PaddingType") is not None),
        ("none or two amounts", lambda p: len(p.paddingAmounts.borderAmounts) in (0, 2)),
    ],
    "activation": [
        ("a function", lambda p: p.WhichOneof("NonlinearityType") is not None),
        ("alpha and beta stored alike", _softplus_alike),
        ("one storage field of its weights", _held_once),
    ],
    "lrn": [("k of 0 or more", lambda p: not p.k < 0)],
    "scale": [
        _shape_of("shapeScale"),
        ("a shapeBias of 1 or 3 lengths", lambda p: not p.hasBias or len(p.shapeBias) in (1, 3)),
    ],
    "bias": [_shape_of("shape")],
    "loadConstant": [("a shape of 3 lengths", lambda p: len(p.shape) == 3)],
    "loadConstantND": [("a shape of 1 to 5 lengths", lambda p: 1 <= len(p.shape) <= 5)],
    "reshape": [("a target shape of 3 or 4 lengths", lambda p: len(p.targetShape) in (3, 4))],
    "permute": [("4 axes", lambda p: len(p.axis) == 4)],
    "reorganizeData": [("blocks of 2 or more", lambda p: 2 <= p.blockSize < 2**31)],
    "upsample": [
        ("two whole or two fractional scaling factors, or none", _scaled),
        ("a mode that fits its factors", _scaled_in_its_mode),
    ],
    "resizeBilinear": [_SIZE],
    "cropResize": [_SIZE],
    "slice": [("a stride of 1 or more", lambda p: 1 <= p.stride < 2**31), ("an end after its start", _forward_slice)],
    "simpleRecurrent": [("a recurrent activation", lambda p: _recurrent(p.activation))],
    "gru": [("recurrent activations", lambda p: all(map(_recurrent, p.activations)))],
    "uniDirectionalLSTM": _activations("activations"),
    "biDirectionalLSTM": [
        *_activations("activationsForwardLSTM"),
        *_activations("activationsBackwardLSTM"),
        ("weights of both directions", lambda p: len(p.weightParams) == 2),
    ],
    "argSort": [("an axis of 0 or more", lambda p: p.axis >= 0)],
    "custom": [
        ("a class name", lambda p: bool(p.className)),
        ("one storage field for each weight", lambda p: all(len(filled_fields(w)) == 1 for w in p.weights)),
    ],
    "transpose": [("axes", lambda p: bool(p.axes))],
    "squeeze": [("axes, each once", lambda p: p.squeezeAll or 0 < len(p.axes) == len(set(p.axes)))],
    "expandDims": [("axes, each once", lambda p: 0 < len(p.axes) == len(set(p.axes)))],
    "reshapeStatic": [_TARGET],
    "rankPreservingReshape": [_TARGET],
    "fillStatic": [_TARGET],
    "broadcastToStatic": [_TARGET],
    "randomNormalStatic": [_OUTPUT],
    "randomUniformStatic": [_OUTPUT, _BOUNDS],
    "randomUniformLike": [_BOUNDS],
    "randomUniformDynamic": [_BOUNDS],
    "randomBernoulliStatic": [_OUTPUT, _CHANCE],
    "randomBernoulliLike": [_CHANCE],
    "randomBernoulliDynamic": [_CHANCE],
    "clip": [_BOUNDS],
    "layerNormalization": [
        ("a normalized shape", lambda p: bool(p.normalizedShape)),
        ("gamma and beta", lambda p: p.HasField("gamma") and p.HasField("beta")),
        ("a gamma that is not quantized", lambda p: not p.gamma.HasField("quantization")),
    ],
    "splitND": [("a number or the sizes of its parts", lambda p: bool(p.numSplits or p.splitSizes))],
    "sliceStatic": [
        (f"its {field}", partial(_is_set, field))
        for field in ("beginIds", "endIds", "strides", "beginMasks", "endMasks")
    ],
    "branch": [("layers in its ifBranch", lambda p: bool(p.ifBranch.layers))],
    "loop": [
        ("layers in its bodyNetwork", lambda p: bool(p.bodyNetwork.layers)),
        (
            "a conditionVar with its conditionNetwork, and neither alone",
            lambda p: bool(p.conditionVar) == bool(p.conditionNetwork.layers),
        ),
    ],
}


def parameters_given(model: Model) -> Iterator[Finding]:
    """Every layer has a type, and the parameters that this type requires."""
    for where, layer in every_layer(model):
        kind = layer_kind(layer)
        if not kind:
            yield Finding(where, "is a layer without a type", "one")
            continue
        wanted = [expected for expected, fits in _NEEDS.get(kind, ()) if not fits(getattr(layer, kind))]
        wanted += [expected for expected, fits in _OF_LAYERS.get(kind, ()) if not fits(layer)]
        for expected in wanted:
            yield Finding(where, f"is an incomplete {kind}", expected)
