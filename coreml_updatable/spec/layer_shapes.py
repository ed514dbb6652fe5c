"""Infer the output shape of a layer, following the comments of ``NeuralNetworkLayer`` in the format.

Kinds that are not listed give None: their output's rank is then unknown, which is never wrong.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import TypeAlias

from coreml_updatable.spec.messages import NeuralNetworkLayer

_Shape = tuple[int | None, ...]
_RANK = 5
_LSTMS = ("uniDirectionalLSTM", "biDirectionalLSTM")
RECURRENT = (*_LSTMS, "gru", "simpleRecurrent")


def reshaped(layer: NeuralNetworkLayer, shape: _Shape) -> _Shape | None:
    """``reshape``: three sizes [C, H, W], or four [Seq, C, H, W] around a batch that stays."""
    target = [int(size) for size in layer.reshape.targetShape]
    if len(shape) != _RANK or len(target) not in (3, 4):
        return None
    if len(target) == 3:
        return (*shape[:2], *inferred(target, shape[2:]))
    steps, *picture = inferred(target, (shape[0], *shape[2:]))
    return (steps, shape[1], *picture)


def inferred(target: Sequence[int], shape: _Shape | None) -> _Shape:
    """``target`` for a blob of ``shape``: its -1 worked out, or None where it cannot be known."""
    rest = prod(size for size in target if size != -1)
    known = [length for length in shape or (None,) if length is not None]
    fits = list(target).count(-1) == 1 and rest > 0 and len(known) == len(shape or (None,))
    missing = prod(known) // rest if fits and prod(known) % rest == 0 else None
    return tuple(missing if size == -1 else size for size in target)


def sliced(layer: NeuralNetworkLayer, shape: _Shape) -> _Shape | None:
    """``slice`` along C, H or W: the last three axes of any rank."""
    params = layer.slice
    if len(shape) < 3 or params.stride < 1 or params.axis > 2:
        return None
    axis = int(params.axis) - 3
    length = shape[axis]
    if length is None or length < 0:
        return None
    left = len(range(*slice(int(params.startIndex), int(params.endIndex), int(params.stride)).indices(length)))
    return tuple(left if index == axis % len(shape) else size for index, size in enumerate(shape))


def recurrent(layer: NeuralNetworkLayer, shape: _Shape) -> _Shape | None:
    """Return the shape of a recurrent layer's output, every step or the last (``recurrent_state`` has its states)."""
    kind = str(layer.WhichOneof("layer"))
    params = getattr(layer, kind)
    if len(shape) != _RANK:
        return None
    whole = params.params.sequenceOutput if kind in _LSTMS else params.sequenceOutput
    width = int(params.outputVectorSize) * (2 if kind == "biDirectionalLSTM" else 1)
    return (shape[0] if whole else 1, shape[1], width, 1, 1)


def recurrent_state(layer: NeuralNetworkLayer, shape: _Shape) -> _Shape | None:
    """Return the shape of the last state, which is every output of a recurrent layer except the first."""
    params = getattr(layer, str(layer.WhichOneof("layer")))
    return (1, shape[1], int(params.outputVectorSize), 1, 1) if len(shape) == _RANK else None


Shape: TypeAlias = tuple[int | None, ...]
InputShapes: TypeAlias = Sequence[Shape | None]
_Rule: TypeAlias = Callable[[NeuralNetworkLayer, Shape], Shape | None]

# fmt: off
_SAME_SHAPE = {
    "activation", "batchnorm", "softmax", "softmaxND", "scale", "bias", "lrn", "mvn", "l2normalize", "unary", "clip",
    "gelu", "erf", "sign", "ceil", "floor", "round", "exp2", "sin", "cos", "tan", "asin", "acos", "atan", "sinh",
    "cosh", "reverse", "tanh",
    "asinh", "acosh", "atanh", "logicalNot", "layerNormalization", "clampedReLU", "cumSum", "copy",
}
_BROADCAST = {
    "add", "multiply", "max", "min", "average", "addBroadcastable", "multiplyBroadcastable", "subtractBroadcastable",
    "divideBroadcastable", "floorDivBroadcastable", "powBroadcastable", "modBroadcastable", "maxBroadcastable",
    "minBroadcastable", "equal", "notEqual", "lessThan", "lessEqual", "greaterThan", "greaterEqual", "logicalAnd",
    "logicalOr", "logicalXor", "whereBroadcastable",
}
_REDUCE = {
    "reduceL1", "reduceL2", "reduceMax", "reduceMin", "reduceSum", "reduceProd", "reduceMean", "reduceLogSum",
    "reduceSumSquare", "reduceLogSumExp",
}
# fmt: on


def output_shapes(layer: NeuralNetworkLayer, inputs: InputShapes) -> list[Shape | None]:
    """Shape of each output of the layer; None where it is not known. All are alike, save those of recurrent layers."""
    shapes = [layer_shape(layer, inputs)] * len(layer.output)
    if layer.WhichOneof("layer") in RECURRENT and inputs and inputs[0] is not None:
        shapes[1:] = [recurrent_state(layer, inputs[0])] * len(shapes[1:])
    return shapes


def layer_shape(layer: NeuralNetworkLayer, inputs: InputShapes) -> Shape | None:
    """Shape of the layer's first output; None when it is not known."""
    kind = layer.WhichOneof("layer")
    if kind in ("loadConstant", "loadConstantND"):
        stated = tuple(int(length) for length in getattr(layer, kind).shape)
        return stated if kind == "loadConstantND" else (1, 1, *stated)
    if kind == "reshapeStatic" and not (inputs and inputs[0]):
        return _stated(layer, ())
    if kind in _BROADCAST:
        return _broadcast(inputs)
    if kind in ("concat", "concatND"):
        return _concatenate(layer, inputs)
    if not inputs or inputs[0] is None:
        return None
    first = inputs[0]
    if kind in _SAME_SHAPE:
        return first
    if kind in _REDUCE:
        return _reduce(layer, first)
    rule = _RULES.get(kind or "")
    return rule(layer, first) if rule else None


def _convolution(layer: NeuralNetworkLayer, shape: Shape) -> Shape | None:
    params = layer.convolution
    if len(shape) < 4:
        return None
    kernel, stride, dilation = _pair(params.kernelSize, 3), _pair(params.stride, 1), _pair(params.dilationFactor, 1)
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    pads = _padding(params, "ConvolutionPaddingType")
    if params.isDeconvolution:
        stated: Shape = tuple(int(length) for length in params.outputShape)
        size: Shape = stated or tuple(
            None if n is None else (n * stride[i] if pads is None else (n - 1) * stride[i] + reach[i] - pads[i])
            for i, n in enumerate(shape[-2:])
        )
    else:
        size = tuple(_slide(n, reach[i], stride[i], pads[i] if pads else None) for i, n in enumerate(shape[-2:]))
    return (*shape[:-3], int(params.outputChannels), *size)


def _pooling(layer: NeuralNetworkLayer, shape: Shape) -> Shape | None:
    params = layer.pooling
    if len(shape) < 4:
        return None
    if params.globalPooling:
        return (*shape[:-2], 1, 1)
    kernel, stride = _pair(params.kernelSize, 3), _pair(params.stride, 1)
    if params.WhichOneof("PoolingPaddingType") == "includeLastPixel":
        border = _pair(params.includeLastPixel.paddingAmounts, 0)
        size: Shape = tuple(_ceiled(n, kernel[i], stride[i], border[i]) for i, n in enumerate(shape[-2:]))
    else:
        pads = _padding(params, "PoolingPaddingType")
        size = tuple(_slide(n, kernel[i], stride[i], pads[i] if pads else None) for i, n in enumerate(shape[-2:]))
    return (*shape[:-2], *size)


def _slide(length: int | None, reach: int, stride: int, pad: int | None) -> int | None:
    """One spatial length under a sliding window; ``pad`` None means padding SAME."""
    if length is None:
        return None
    return -(-length // stride) if pad is None else (length + pad - reach) // stride + 1


def _ceiled(length: int | None, reach: int, stride: int, border: int) -> int | None:
    if length is None:
        return None
    out = -(-(length + 2 * border - reach) // stride) + 1
    return out - 1 if border and (out - 1) * stride >= length + border else out


def _padding(params: NeuralNetworkLayer, group: str) -> list[int] | None:
    """Both edges together, for height and width; None for padding SAME."""
    if params.WhichOneof(group) == "same":
        return None
    edges = params.valid.paddingAmounts.borderAmounts
    return [int(edge.startEdgeSize + edge.endEdgeSize) for edge in edges] if len(edges) == 2 else [0, 0]


def _pair(values: Sequence[int], default: int) -> tuple[int, int]:
    """Height and width; zeros (as global pooling has them) and missing values are the default."""
    return (int(values[0]) or default, int(values[1]) or default) if len(values) == 2 else (default, default)


def _inner_product(layer: NeuralNetworkLayer, shape: Shape) -> Shape | None:
    channels = int(layer.innerProduct.outputChannels)
    return (*shape[:-3], channels, 1, 1) if len(shape) >= 4 else (*shape[:-1], channels)


def _batched_matmul(layer: NeuralNetworkLayer, shape: Shape) -> Shape | None:
    params = layer.batchedMatmul
    return (*shape[:-1], int(params.weightMatrixSecondDimension)) if len(layer.input) == 1 else None


def _flatten(_: NeuralNetworkLayer, shape: Shape) -> Shape | None:
    return (*shape[:-3], _product(shape[-3:]), 1, 1) if len(shape) >= 4 else None


def _flatten_to_2d(layer: NeuralNetworkLayer, shape: Shape) -> Shape:
    stated = int(layer.flattenTo2D.axis)
    axis = stated % len(shape) if stated < 0 else stated
    return (_product(shape[:axis]), _product(shape[axis:]))


def _stated(layer: NeuralNetworkLayer, shape: Shape) -> Shape | None:
    """``reshapeStatic``: the target shape, its one -1 worked out."""
    target = [int(length) for length in layer.reshapeStatic.targetShape]
    return inferred(target, shape or None) or None


def _squeeze(layer: NeuralNetworkLayer, shape: Shape) -> Shape | None:
    params = layer.squeeze
    if params.squeezeAll:
        return tuple(n for n in shape if n != 1) or (1,) if None not in shape else None
    gone = {int(axis) % len(shape) for axis in params.axes}
    return tuple(n for axis, n in enumerate(shape) if axis not in gone) or (1,)


def _expand_dims(layer: NeuralNetworkLayer, shape: Shape) -> Shape:
    rank = len(shape) + len(layer.expandDims.axes)
    new = {int(axis) % rank for axis in layer.expandDims.axes}
    rest = iter(shape)
    return tuple(1 if axis in new else next(rest, None) for axis in range(rank))


def _transpose(layer: NeuralNetworkLayer, shape: Shape) -> Shape | None:
    axes = [int(axis) for axis in layer.transpose.axes]
    return tuple(shape[axis] for axis in axes) if sorted(axes) == list(range(len(shape))) else None


def _permute(layer: NeuralNetworkLayer, shape: Shape) -> Shape | None:
    """The old ``permute``: [Seq, C, H, W], the batch axis aside."""
    axes = [int(axis) for axis in layer.permute.axis]
    if len(shape) != 5 or sorted(axes) != [0, 1, 2, 3]:
        return None
    moving = (shape[0], *shape[2:])
    seq, *rest = (moving[axis] for axis in axes)
    return (seq, shape[1], *rest)


def _reduce(layer: NeuralNetworkLayer, shape: Shape) -> Shape | None:
    params = getattr(layer, layer.WhichOneof("layer"))
    every = params.reduceAll or not len(params.axes)
    axes = set(range(len(shape))) if every else {int(axis) % len(shape) for axis in params.axes}
    if params.keepDims:
        return tuple(1 if axis in axes else n for axis, n in enumerate(shape))
    return tuple(n for axis, n in enumerate(shape) if axis not in axes) or (1,)


def _padding_layer(layer: NeuralNetworkLayer, shape: Shape) -> Shape | None:
    edges = layer.padding.paddingAmounts.borderAmounts
    if len(shape) < 4 or len(edges) != 2:
        return shape if len(edges) == 0 else None
    size = (
        None if n is None else n + int(e.startEdgeSize + e.endEdgeSize) for n, e in zip(shape[-2:], edges, strict=True)
    )
    return (*shape[:-2], *size)


def _upsample(layer: NeuralNetworkLayer, shape: Shape) -> Shape | None:
    factors = layer.upsample.scalingFactor
    if len(shape) < 4 or len(factors) != 2:
        return None
    return (*shape[:-2], *(None if n is None else n * int(f) for n, f in zip(shape[-2:], factors, strict=True)))


def _slice_static(layer: NeuralNetworkLayer, shape: Shape) -> Shape | None:
    """As NumPy slices; a squeeze mask takes the axis away."""
    params = layer.sliceStatic
    rank = len(shape)
    masks = [list(mask) or [False] * rank for mask in (params.beginMasks, params.endMasks, params.squeezeMasks)]
    columns = [list(params.beginIds), list(params.endIds), list(params.strides) or [1] * rank, *masks]
    if any(len(column) != rank for column in columns):
        return None
    left: list[int | None] = []
    for length, begin, end, stride, from_start, to_end, squeezed in zip(shape, *columns, strict=True):
        if squeezed:
            continue
        if length is None or length < 0 or not stride:
            left.append(None)
            continue
        piece = slice(None if from_start else int(begin), None if to_end else int(end), int(stride))
        left.append(len(range(*piece.indices(length))))
    return tuple(left) or (1,)


def _crop(layer: NeuralNetworkLayer, shape: Shape) -> Shape | None:
    """By its amounts; with a second input it is as high and wide as that, which stays open here."""
    edges = layer.crop.cropAmounts.borderAmounts
    if len(shape) < 4 or len(layer.input) != 1 or len(edges) != 2:
        return None
    pairs = zip(shape[-2:], edges, strict=True)
    return (*shape[:-2], *(None if n is None else n - int(e.startEdgeSize + e.endEdgeSize) for n, e in pairs))


def _reorganized(layer: NeuralNetworkLayer, shape: Shape) -> Shape | None:
    """Blocks of height and width become channels, or channels blocks; None where they do not divide."""
    params = layer.reorganizeData
    block, lengths = int(params.blockSize), shape[-3:]
    if len(shape) < 4 or block < 1:
        return None
    channels, height, width = (0 if n is None else n for n in lengths)
    if params.mode == params.SPACE_TO_DEPTH:
        if height % block or width % block:
            return None
        result: tuple[int, ...] = (channels * block * block, height // block, width // block)
    elif channels % (block * block):
        return None
    else:
        result = (channels // (block * block), height * block, width * block)
    return (*shape[:-3], *(None if n is None else size for n, size in zip(lengths, result, strict=True)))


def _embedding(layer: NeuralNetworkLayer, shape: Shape) -> Shape | None:
    """[Seq, B, 1, 1, 1] -> [Seq, B, C, 1, 1]."""
    return (*shape[:-3], int(layer.embedding.outputChannels), 1, 1) if len(shape) >= 4 else None


def _embedding_nd(layer: NeuralNetworkLayer, shape: Shape) -> Shape:
    return (*shape[:-1], int(layer.embeddingND.embeddingSize))


def _split_nd(layer: NeuralNetworkLayer, shape: Shape) -> Shape | None:
    """Where the parts are not alike, their length along the axis is left open."""
    params = layer.splitND
    axis = int(params.axis) % len(shape)
    length, sizes = shape[axis], {int(size) for size in params.splitSizes}
    count = int(params.numSplits) if not sizes else 0
    part = length // count if length and count and length % count == 0 else None
    return (*shape[:axis], sizes.pop() if len(sizes) == 1 else part, *shape[axis + 1 :])


def _concatenate(layer: NeuralNetworkLayer, inputs: InputShapes) -> Shape | None:
    known = [shape for shape in inputs if shape is not None]
    if not known or len(known) != len(inputs) or len({len(shape) for shape in known}) != 1:
        return None
    first = known[0]
    if layer.WhichOneof("layer") == "concatND":
        axis = int(layer.concatND.axis) % len(first)
    else:
        axis = len(first) - 3 if len(first) >= 4 and not layer.concat.sequenceConcat else 0
    lengths = [shape[axis] for shape in known]
    total = sum(n for n in lengths if n is not None) if None not in lengths else None
    return (*first[:axis], total, *first[axis + 1 :])


def _broadcast(inputs: InputShapes) -> Shape | None:
    known = [shape for shape in inputs if shape is not None]
    if not known or len(known) != len(inputs):
        return None
    rank = max(len(shape) for shape in known)
    columns = zip(*((1,) * (rank - len(shape)) + shape for shape in known), strict=True)
    return tuple(next((n for n in column if n != 1), 1) for column in columns)


def _product(lengths: Shape) -> int | None:
    return None if None in lengths else prod(n for n in lengths if n is not None)


_RULES: dict[str, _Rule] = {
    "convolution": _convolution,
    "pooling": _pooling,
    "innerProduct": _inner_product,
    "batchedMatmul": _batched_matmul,
    "flatten": _flatten,
    "flattenTo2D": _flatten_to_2d,
    "reshapeStatic": _stated,
    "squeeze": _squeeze,
    "expandDims": _expand_dims,
    "transpose": _transpose,
    "permute": _permute,
    "padding": _padding_layer,
    "upsample": _upsample,
    "sliceStatic": _slice_static,
    "crop": _crop,
    "reorganizeData": _reorganized,
    "embedding": _embedding,
    "embeddingND": _embedding_nd,
    "splitND": _split_nd,
    "reshape": reshaped,
    "slice": sliced,
    **dict.fromkeys(RECURRENT, recurrent),
}
