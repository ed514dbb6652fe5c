"""How a layer of the first versions narrows the lengths of its inputs and outputs, as in Apple's shape inference.

That inference is older than the format's comments and differs from them: ``innerProduct``, ``embedding`` and ``dot``
require height and width 1, and the channels of a ``batchnorm`` are not checked. Its quirks are reproduced, because its
result decides whether Apple applies the rules for updates.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from coreml_updatable.checking.ranges import Blob, ContradictionError, Range, quotient, signed, unsigned
from coreml_updatable.spec.messages import NeuralNetworkLayer

_Rule: TypeAlias = Callable[[NeuralNetworkLayer, Sequence[Blob], Sequence[Blob]], None]
_AROUND = ("sequence", "batch")
_PICTURE = ("channel", "height", "width")
_EVERY = (*_AROUND, *_PICTURE)
_MAX_SEQUENCE = 10000  # of a biDirectionalLSTM


def narrow(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    """Narrow the inputs and outputs of ``layer``; raise ContradictionError if no length is left.

    The layer reads and writes as many blobs as its kind does, and has the parameters that its kind needs.
    """
    rule = _RULES.get(layer.WhichOneof("layer") or "")
    if rule is not None:
        rule(layer, read, written)


def _alike(blob: Blob, other: Blob, *axes: str) -> None:
    """Make both know what either knows."""
    other.like(blob, *axes)
    blob.like(other, *axes)


def _same(_: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    _alike(read[0], written[0], *_EVERY)


def _sizes(values: Sequence[int], default: int) -> tuple[int, int]:
    return (signed(values[0]), signed(values[1])) if len(values) == 2 else (default, default)


def _edges(amounts: NeuralNetworkLayer) -> tuple[int, int]:
    """Return the padding above and below, and left and right."""
    edges = amounts.borderAmounts
    if len(edges) != 2:
        return 0, 0
    above, aside = (signed(edge.startEdgeSize) + signed(edge.endEdgeSize) for edge in edges)
    return above, aside


def _convolution(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    given, result, params = read[0], written[0], layer.convolution
    _alike(given, result, *_AROUND)
    groups = signed(params.nGroups or 1)
    given.fix(channel=signed(params.kernelChannels) * (1 if params.isDeconvolution else groups))
    result.fix(channel=params.outputChannels)
    if params.isDeconvolution and len(params.outputShape) == 2:
        result.fix(height=params.outputShape[0], width=params.outputShape[1])
        return
    kernel, stride, dilation = (
        _sizes(params.kernelSize, 3),
        _sizes(params.stride, 1),
        _sizes(params.dilationFactor, 1),
    )
    same = params.WhichOneof("ConvolutionPaddingType") == "same"
    pads = (0, 0) if same else _edges(params.valid.paddingAmounts)
    for axis, size, step, spread, pad in zip(("height", "width"), kernel, stride, dilation, pads, strict=True):
        reach = (size - 1) * spread + 1
        if params.isDeconvolution:
            _deconvolved(axis, given, result, None if same else reach - pad, step)
        else:
            _convolved(axis, given, result, None if same else reach - pad, step)


def _deconvolved(axis: str, given: Blob, result: Blob, reach: int | None, step: int) -> None:
    """``reach``: of the kernel beyond the padding; None with padding SAME."""
    if reach is None:
        result.narrow(axis, given[axis].times(unsigned(step)))
        return
    if step == 0:
        raise ContradictionError(f"{axis} of '{given.name}': a stride of 0")
    low = quotient(signed(result[axis].low) - reach, step) + 1
    if low > 0:
        given.at_least(axis, low)
    high = result[axis].plus(-reach).over(unsigned(step)).plus(1).high
    given.at_most(axis, high)
    result.narrow(axis, given[axis].plus(-1).times(unsigned(step)).plus(reach))


def _convolved(axis: str, given: Blob, result: Blob, reach: int | None, step: int) -> None:
    if reach is None:
        result.narrow(axis, given[axis].plus(-1).over(unsigned(step)).plus(1))
        given.at_least(axis, result[axis].low)
        given.at_most(axis, result[axis].times(unsigned(step)).high)
        return
    if reach > 0:
        given.at_least(axis, max(0, result[axis].low - 1) * unsigned(step) + reach)
        high = result[axis].plus(-1).times(unsigned(step)).plus(reach).high
        known = given[axis].high
        rounded = known is not None and (known + reach % 2) != 0  # a remainder that the division drops
        given.at_most(axis, None if high is None else high + rounded)
    result.narrow(axis, given[axis].plus(-reach).over(step).plus(1))


def _pooling(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    given, result, params = read[0], written[0], layer.pooling
    _alike(given, result, *_AROUND, "channel")
    if params.globalPooling:
        result.fix(height=1, width=1)
        return
    kernel, stride = _sizes(params.kernelSize, 3), _sizes(params.stride, 1)
    if params.WhichOneof("PoolingPaddingType") == "includeLastPixel":
        _pooled_to_the_last(given, result, kernel, stride, _sizes(params.includeLastPixel.paddingAmounts, 0))
        return
    same = params.WhichOneof("PoolingPaddingType") == "same"
    pads = (0, 0) if same else _edges(params.valid.paddingAmounts)
    for axis, size, step, pad in zip(("height", "width"), kernel, stride, pads, strict=True):
        reach = 1 if same else size - pad
        if reach > 0 and not same:
            given.at_least(axis, max(0, result[axis].low - 1) * unsigned(step) + reach)
        result.narrow(axis, given[axis].plus(-reach).over(unsigned(step)).plus(1))


def _pooled_to_the_last(
    given: Blob, result: Blob, kernel: tuple[int, int], stride: tuple[int, int], borders: tuple[int, int]
) -> None:
    for axis, size, step, border in zip(("height", "width"), kernel, stride, borders, strict=True):
        least = signed(given[axis].low)
        extra = any(borders) and least - 1 + (2 * border - size - 1) + 2 * step >= least + border
        result.narrow(
            axis, given[axis].plus(2 * border - size).over_up(unsigned(step)).plus(1).plus(-1 if extra else 0)
        )
        if size - 2 * border > 0:  # of both axes it is the height that is narrowed
            given.at_least("height", result[axis].low - 1 + size - 2 * border)


def _inner_product(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    _alike(read[0], written[0], *_AROUND)
    read[0].fix(channel=layer.innerProduct.inputChannels, height=1, width=1)
    written[0].fix(channel=layer.innerProduct.outputChannels, height=1, width=1)


def _embedding(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    _alike(read[0], written[0], *_AROUND)
    read[0].fix(channel=1, height=1, width=1)
    written[0].fix(channel=layer.embedding.outputChannels, height=1, width=1)


def _crop(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    given, result = read[0], written[0]
    _alike(given, result, *_AROUND, "channel")
    if len(read) > 1:
        result.like(read[1], "height", "width")
        return
    for axis, amount in zip(("height", "width"), _edges(layer.crop.cropAmounts), strict=True):
        result.narrow(axis, given[axis].plus(-amount))
        given.at_least(axis, amount + 1)


def _padding(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    given, result = read[0], written[0]
    _alike(given, result, *_AROUND, "channel")
    edges = layer.padding.paddingAmounts.borderAmounts
    amounts = [edge.startEdgeSize + edge.endEdgeSize for edge in edges] if len(edges) == 2 else [0, 0]
    for axis, amount in zip(("height", "width"), amounts, strict=True):
        result.narrow(axis, given[axis].plus(amount))
    for axis, amount in zip(("height", "width"), amounts, strict=True):
        given.narrow(axis, result[axis].plus(-amount))


def _upsample(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    given, result, factors = read[0], written[0], layer.upsample.scalingFactor
    _alike(given, result, *_AROUND, "channel")
    for index, axis in enumerate(("height", "width")):
        factor = int(factors[index]) or 1 if len(factors) == 2 else 1
        result.narrow(axis, given[axis].times(factor))
        given.narrow(axis, result[axis].over(factor))


def _broadcast(_: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    result = written[0]
    for axis in _AROUND:
        for given in read:
            result.like(given, axis)
    fixed = all(given[axis].is_fixed for given in read for axis in _PICTURE)
    for axis in _PICTURE:
        wide = read[0][axis]
        for given in read[1:]:
            wide = wide.either(given[axis])
        result.narrow(axis, Range(wide.high or 0, wide.high) if fixed else wide)
    for given in read:
        given.like(result, *_AROUND)
        if not all(given[axis].is_fixed for axis in _PICTURE):
            given.like(result, *_PICTURE)


def _dot(_: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    """Its output must allow length 1, but is not narrowed to it."""
    one, other = read
    for axis in _PICTURE:
        written[0][axis].both(Range(1, 1))
    for given in read:
        given.fix(height=1, width=1)
    _alike(other, one, *_EVERY)


def _reduce(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    given, result, params = read[0], written[0], layer.reduce
    _alike(given, result, *_AROUND)
    gone = {
        params.CHW: _PICTURE,
        params.HW: ("height", "width"),
        params.C: ("channel",),
        params.H: ("height",),
        params.W: ("width",),
    }.get(params.axis)
    if gone is None:
        return
    result.fix(**dict.fromkeys(gone, 1))
    for axis in _PICTURE:
        if axis not in gone:
            result.like(given, axis)
            if not (params.axis == params.C and axis == "width"):
                given.like(result, axis)


def _constant(layer: NeuralNetworkLayer, _: Sequence[Blob], written: Sequence[Blob]) -> None:
    channels, height, width = layer.loadConstant.shape
    written[0].fix(sequence=1, batch=1, channel=channels, height=height, width=width)


def _reshape(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    given, result, target = read[0], written[0], list(layer.reshape.targetShape)
    result.like(given, "batch")
    if len(target) == 3:
        result.like(given, "sequence")
    else:
        result.at_least("sequence", target[0])
    result.fix(**dict(zip(_PICTURE, target[-3:], strict=True)))


def _flatten(_: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    given, result = read[0], written[0]
    _alike(given, result, *_AROUND)
    result.narrow("channel", given["channel"].product(given["height"]).product(given["width"]))
    result.fix(height=1, width=1)


def _permute(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    given, result = read[0], written[0]
    moving, axes = ("sequence", *_PICTURE), list(layer.permute.axis)
    if max(axes) > 3:
        raise ContradictionError(f"an axis {max(axes)} of 0 to 3")
    before = [given[axis] for axis in moving]
    for axis, origin in zip(moving, axes, strict=True):
        result.narrow(axis, before[origin])
    back = dict(zip(axes, (result[axis] for axis in moving), strict=True))
    for index, axis in enumerate(moving):
        given.narrow(axis, back.get(index, Range()))
    given.like(result, "batch")


def _concat(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    result = written[0]
    along, other = ("sequence", "channel") if layer.concat.sequenceConcat else ("channel", "sequence")
    total = read[0][along]
    result.like(read[0], other, "batch", "height", "width")
    for given in read[1:]:
        total = total.together(given[along])
        _alike(given, result, other, "batch", "height", "width")
    result.narrow(along, total)


def _split(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    given, parts = read[0], signed(layer.split.nOutputs)
    for made in written:
        made.like(given, *_AROUND, "height", "width")
        made.narrow("channel", given["channel"].over(parts))
    given.like(written[0], *_AROUND, "height", "width")
    given.narrow("channel", written[0]["channel"].times(parts))


def _sequence_repeat(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    given, result = read[0], written[0]
    result.narrow("sequence", given["sequence"].times(int(layer.sequenceRepeat.nRepetitions)))
    _alike(given, result, "batch", *_PICTURE)


def _reorganize(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    given, result, block = read[0], written[0], int(layer.reorganizeData.blockSize)
    _alike(given, result, *_AROUND)
    deeper = layer.reorganizeData.mode == layer.reorganizeData.SPACE_TO_DEPTH
    area = unsigned(block * block)
    for axis, factor, grows in (("channel", area, deeper), ("height", block, not deeper), ("width", block, not deeper)):
        result.narrow(axis, given[axis].times(factor) if grows else given[axis].over(factor))
    for axis, factor, grows in (("channel", area, deeper), ("height", block, not deeper), ("width", block, not deeper)):
        given.narrow(axis, result[axis].over(factor) if grows else result[axis].times(factor))


def _slice(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    given, result, params = read[0], written[0], layer.slice
    _alike(given, result, *_AROUND)
    if params.axis not in (0, 1, 2):
        raise ContradictionError(f"an axis {params.axis} of 0 to 2")
    along = _PICTURE[params.axis]
    start, end, stride = signed(params.startIndex), signed(params.endIndex), signed(params.stride)
    if start >= 0 and end > 0:
        left: Range | int = quotient(end - 1 - start, stride) + 1
        least = end
    elif start < 0 and end <= 0:
        left = quotient(-start - 1 + end, stride) + 1
        least = -start
    else:  # one counts from the front, one from the back
        least = (start - end if end <= 0 else end - start) + 1
        left = given[along].plus(-least).over(stride).plus(1)
    for axis in _PICTURE:
        if axis != along:
            result.like(given, axis)
        elif isinstance(left, int):
            result.fix(**{axis: left})
        else:
            result.narrow(axis, left)
    for axis in _PICTURE:
        if axis == along:
            given.at_least(axis, least)
        else:
            given.like(result, axis)


def _recurrent(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    """States are considered if all of them are read."""
    kind = layer.WhichOneof("layer")
    params, given, result = getattr(layer, kind), read[0], written[0]
    kept, both_ways = int(params.outputVectorSize), kind == "biDirectionalLSTM"
    if both_ways:
        given.at_most("sequence", _MAX_SEQUENCE)
    given.fix(channel=params.inputVectorSize, height=1, width=1)
    result.fix(channel=2 * kept if both_ways else kept, height=1, width=1)
    lstm = kind in ("uniDirectionalLSTM", "biDirectionalLSTM")
    if params.params.sequenceOutput if lstm else params.sequenceOutput:
        result.like(given, "sequence")
    else:
        result.fix(sequence=1)
    if len(read) == len(written):
        for state in (*read[1:], *written[1:]):
            state.fix(sequence=1, channel=kept, height=1, width=1)


def _target(sizes: Sequence[int]) -> dict[str, int]:
    height, width = (int(size) or 1 for size in sizes) if len(sizes) == 2 else (1, 1)
    return {"height": height, "width": width}


def _resize_bilinear(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    written[0].fix(**_target(layer.resizeBilinear.targetSize))
    _alike(read[0], written[0], *_AROUND, "channel")


def _crop_resize(layer: NeuralNetworkLayer, read: Sequence[Blob], written: Sequence[Blob]) -> None:
    given, boxes = read
    result = written[0]
    result.like(boxes, "sequence")
    result.like(given, "batch", "channel")
    result.fix(**_target(layer.cropResize.targetSize))
    given.like(result, "channel")
    boxes.like(result, "sequence")
    boxes.fix(batch=1, width=1, height=1)
    boxes.narrow("channel", Range(4, 5))


_RULES: dict[str, _Rule] = {
    **dict.fromkeys(("activation", "batchnorm", "mvn", "l2normalize", "softmax", "lrn", "unary", "scale"), _same),
    **dict.fromkeys(("bias", "max", "min"), _same),
    **dict.fromkeys(("add", "multiply", "average"), _broadcast),
    **dict.fromkeys(("simpleRecurrent", "gru", "uniDirectionalLSTM", "biDirectionalLSTM"), _recurrent),
    "convolution": _convolution,
    "pooling": _pooling,
    "innerProduct": _inner_product,
    "embedding": _embedding,
    "crop": _crop,
    "padding": _padding,
    "upsample": _upsample,
    "dot": _dot,
    "reduce": _reduce,
    "loadConstant": _constant,
    "reshape": _reshape,
    "flatten": _flatten,
    "permute": _permute,
    "concat": _concat,
    "split": _split,
    "sequenceRepeat": _sequence_repeat,
    "reorganizeData": _reorganize,
    "slice": _slice,
    "resizeBilinear": _resize_bilinear,
    "cropResize": _crop_resize,
}
