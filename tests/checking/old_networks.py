"""Random updatable networks in rank-5 mode, of the kinds of layers that specification 3 had; a seed is a network.

Their parameters mostly follow from the true shapes, so about half of the networks contradict nothing. The optimizer is
missing: Apple's validator rejects exactly those in which it meets no contradiction of shapes.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from coreml_updatable.spec.messages import Model, Model_pb2

Shape = tuple[int, int, int, int]  # sequence, channels, height, width
FLOAT32 = 65568


def old_network(seed: int) -> Model:
    """Two to seven random layers, flatten, an updatable innerProduct, softmax, cross entropy, no optimizer."""
    random = Random(seed)
    model = Model_pb2.Model(specificationVersion=4, isUpdatable=True)
    kind = random.choice(("neuralNetwork", "neuralNetwork", "neuralNetworkClassifier"))
    network = getattr(model, kind)
    blobs: dict[str, Shape] = {}
    for name in ("x", "w")[: random.choice((1, 1, 1, 2))]:
        blobs[name] = _input(model.description.input.add(name=name), random)
    for index in range(random.randrange(2, 8)):
        read = random.choice(list(blobs)[-2:])
        add = random.choice(_LAYERS)
        layer = network.layers.add(name=f"layer{index}", input=[read], output=[f"b{index}"])
        blobs |= add(layer, blobs, random)
    last = list(blobs)[-1]
    _seq, channels, height, width = blobs[last]
    network.layers.add(name="flatten", input=[last], output=["flat"]).flatten.SetInParent()
    product = network.layers.add(name="fc", input=["flat"], output=["z"], isUpdatable=True)
    _product(product.innerProduct, max(1, channels * height * width), 3)
    product.innerProduct.weights.isUpdatable = True
    network.layers.add(name="softmax", input=["z"], output=["p"]).softmax.SetInParent()
    _answers(model, network, blobs, random)
    loss = network.updateParams.lossLayers.add(name="loss").categoricalCrossEntropyLossLayer
    loss.input, loss.target = "p", "t"
    network.updateParams.epochs.defaultValue = 1
    model.description.trainingInput.add().CopyFrom(model.description.input[0])
    _array(model.description.trainingInput.add(name="t"), [1])
    return model


def _answers(model: Model, network: Any, blobs: dict[str, Shape], random: Random) -> None:
    if model.WhichOneof("Type") == "neuralNetworkClassifier":
        network.stringClassLabels.vector.extend("abc")
        network.labelProbabilityLayerName = "p"
        model.description.output.add(name="label").type.stringType.SetInParent()
        model.description.predictedFeatureName = "label"
    else:
        _array(model.description.output.add(name="p"), random.choice(([], [3], [3], [3, 1, 1], [4], [1, 1, 3])))
    written = [str(blob) for layer in network.layers[:-3] for blob in layer.output]
    if random.random() < 0.3:
        blob = random.choice(written)
        feature = model.description.output.add(name=blob)
        if random.random() < 0.2:
            image = feature.type.imageType
            image.colorSpace, image.height, image.width = random.choice((10, 20)), *blobs[blob][2:]
        else:
            _array(feature, random.choice((list(blobs[blob][1:]), [2], [], [2, 2])))


def _input(feature: Any, random: Random) -> Shape:
    if random.random() < 0.15:
        image = feature.type.imageType
        image.colorSpace, image.height, image.width = random.choice((10, 20)), 6, 6
        if random.random() < 0.3:
            image.imageSizeRange.heightRange.lowerBound, image.imageSizeRange.heightRange.upperBound = 4, 6
            image.imageSizeRange.widthRange.lowerBound, image.imageSizeRange.widthRange.upperBound = 6, -1
        elif random.random() < 0.3:
            for size in (6, 8):
                image.enumeratedSizes.sizes.add(height=size, width=size)
        return 1, 1 if image.colorSpace == 10 else 3, 6, 6
    shape = random.choice(([4], [1], [2, 4, 4], [4, 6, 6], [3, 5, 4], [1, 1, 1], [4, 1, 1]))
    _array(feature, shape)
    array = feature.type.multiArrayType
    match random.randrange(8):
        case 0:
            for length in shape:
                array.shapeRange.sizeRanges.add(lowerBound=length, upperBound=random.choice((length, length + 2, -1)))
        case 1:
            for extra in (0, 2)[: random.choice((0, 1, 2))]:
                array.enumeratedShapes.shapes.add(shape=[length + extra for length in shape])
            array.enumeratedShapes.SetInParent()
    return (1, *shape, 1, 1) if len(shape) == 1 else (1, *shape)  # type: ignore[return-value]


def _array(feature: Any, shape: list[int]) -> None:
    feature.type.multiArrayType.shape.extend(shape)
    feature.type.multiArrayType.dataType = FLOAT32


def _off(random: Random, value: int) -> int:
    """``value``, seldom another."""
    return max(0, value + random.choice((-1, 1, 2))) if random.random() < 0.06 else value


def _product(params: Any, read: int, written: int) -> None:
    params.inputChannels, params.outputChannels = read, written
    params.weights.floatValue.extend([0.5] * (read * written))


def _edges(amounts: Any, random: Random, most: int) -> tuple[int, int]:
    if random.random() < 0.4:
        return 0, 0
    sums = []
    for _ in range(2):
        start, end = random.randrange(most + 1), random.randrange(most + 1)
        amounts.borderAmounts.add(startEdgeSize=start, endEdgeSize=end)
        sums.append(start + end)
    return sums[0], sums[1]


def _convolution(layer: Any, blobs: dict[str, Shape], random: Random) -> dict[str, Shape]:
    seq, channels, height, width = blobs[layer.input[0]]
    params = layer.convolution
    params.kernelChannels, params.outputChannels = max(1, _off(random, channels)), random.choice((2, 4))
    params.isDeconvolution = random.random() < 0.25
    if not params.isDeconvolution and channels % 2 == 0 and random.random() < 0.3:
        params.nGroups, params.kernelChannels = 2, max(1, channels // 2)
    kernel = [random.choice((1, 2, 3)), random.choice((1, 2, 3))]
    stride, dilation = [random.choice((1, 1, 2)) for _ in range(2)], [random.choice((1, 1, 1, 2, 3)) for _ in range(2)]
    params.kernelSize.extend(kernel)
    params.stride.extend(stride)
    params.dilationFactor.extend(dilation)
    pads = (0, 0)
    if random.random() < 0.4:
        params.same.SetInParent()
        sizes = [
            size * s if params.isDeconvolution else -(-size // s)
            for size, s in zip((height, width), stride, strict=True)
        ]
    else:
        params.valid.SetInParent()
        pads = _edges(params.valid.paddingAmounts, random, 2)
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        sizes = [
            (size - 1) * s + r - p if params.isDeconvolution else (size + p - r) // s + 1
            for size, s, r, p in zip((height, width), stride, reach, pads, strict=True)
        ]
    if params.isDeconvolution and random.random() < 0.2:
        params.outputShape.extend(sizes := [5, 5])
    groups = max(1, params.nGroups)
    outer = params.outputChannels // groups if params.isDeconvolution else params.outputChannels
    params.weights.floatValue.extend([0.1] * (params.kernelChannels * outer * kernel[0] * kernel[1]))
    return {str(layer.output[0]): (seq, int(params.outputChannels), max(0, sizes[0]), max(0, sizes[1]))}


def _pooling(layer: Any, blobs: dict[str, Shape], random: Random) -> dict[str, Shape]:
    seq, channels, height, width = blobs[layer.input[0]]
    params, size = layer.pooling, (height, width)
    params.globalPooling = random.random() < 0.15
    kernel, stride = [random.choice((1, 2, 3)) for _ in range(2)], [random.choice((1, 2, 3)) for _ in range(2)]
    if random.random() < 0.9:
        params.kernelSize.extend(kernel)
    else:
        kernel = [3, 3]
    params.stride.extend(stride)
    match random.randrange(3):
        case 0:
            params.same.SetInParent()
            out = [-(-n // s) for n, s in zip(size, stride, strict=True)]
        case 1:
            params.valid.SetInParent()
            pads = _edges(params.valid.paddingAmounts, random, 1)
            out = [(n + p - k) // s + 1 for n, s, k, p in zip(size, stride, kernel, pads, strict=True)]
        case _:
            params.includeLastPixel.SetInParent()
            pads = random.choice(((0, 0), (0, 0), (1, 1), (1, 0)))
            params.includeLastPixel.paddingAmounts.extend(pads)
            out = [-(-(n + 2 * p - k) // s) + 1 for n, s, k, p in zip(size, stride, kernel, pads, strict=True)]
    if params.globalPooling:
        out = [1, 1]
    return {str(layer.output[0]): (seq, channels, max(0, out[0]), max(0, out[1]))}


def _same(layer: Any, blobs: dict[str, Shape], random: Random) -> dict[str, Shape]:
    seq, channels, height, width = blobs[layer.input[0]]
    match random.choice(("activation", "softmax", "batchnorm", "lrn", "mvn", "l2normalize", "unary", "scale", "bias")):
        case "activation":
            layer.activation.ReLU.SetInParent()
        case "batchnorm":
            layer.batchnorm.channels = max(1, _off(random, channels))
            for name in ("gamma", "beta", "mean", "variance"):
                getattr(layer.batchnorm, name).floatValue.extend([1.0] * layer.batchnorm.channels)
        case "scale":
            layer.scale.shapeScale.append(1)
            layer.scale.scale.floatValue.append(2.0)
        case "bias":
            layer.bias.shape.extend([1, height + 1, 1])
            layer.bias.bias.floatValue.extend([2.0] * (height + 1))
        case kind:
            getattr(layer, kind).SetInParent()
    return {str(layer.output[0]): (seq, channels, height, width)}


def _inner_product(layer: Any, blobs: dict[str, Shape], random: Random) -> dict[str, Shape]:
    seq, channels, height, width = blobs[layer.input[0]]
    read = channels if random.random() < 0.5 else channels * height * width
    _product(layer.innerProduct, max(1, _off(random, read)), random.choice((1, 3, 4)))
    return {str(layer.output[0]): (seq, int(layer.innerProduct.outputChannels), 1, 1)}


def _embedding(layer: Any, blobs: dict[str, Shape], _: Random) -> dict[str, Shape]:
    params = layer.embedding
    params.inputDim, params.outputChannels = 5, 4
    params.weights.floatValue.extend([0.5] * 20)
    return {str(layer.output[0]): (blobs[layer.input[0]][0], 4, 1, 1)}


def _crop(layer: Any, blobs: dict[str, Shape], random: Random) -> dict[str, Shape]:
    seq, channels, height, width = blobs[layer.input[0]]
    if random.random() < 0.3:
        other = random.choice(list(blobs))
        layer.input.append(other)
        layer.crop.offset.extend([0, 0])
        return {str(layer.output[0]): (seq, channels, *blobs[other][2:])}
    sums = (0, 0)
    while sums == (0, 0):
        sums = _edges(layer.crop.cropAmounts, random, 2)
    return {str(layer.output[0]): (seq, channels, max(0, height - sums[0]), max(0, width - sums[1]))}


def _padding(layer: Any, blobs: dict[str, Shape], random: Random) -> dict[str, Shape]:
    seq, channels, height, width = blobs[layer.input[0]]
    layer.padding.constant.SetInParent()
    up, across = _edges(layer.padding.paddingAmounts, random, 2)
    return {str(layer.output[0]): (seq, channels, height + up, width + across)}


def _upsample(layer: Any, blobs: dict[str, Shape], random: Random) -> dict[str, Shape]:
    seq, channels, height, width = blobs[layer.input[0]]
    factors = [random.choice((1, 2, 3)) for _ in range(2)]
    layer.upsample.scalingFactor.extend(factors)
    return {str(layer.output[0]): (seq, channels, height * factors[0], width * factors[1])}


def _resized(layer: Any, blobs: dict[str, Shape], random: Random) -> dict[str, Shape]:
    seq, channels, _height, _width = blobs[layer.input[0]]
    kind = random.choice(("resizeBilinear", "cropResize"))
    getattr(layer, kind).SetInParent()
    target = random.choice(([], [3, 4], [0, 2]))
    getattr(layer, kind).targetSize.extend(target)
    if kind == "cropResize":
        layer.input.append(random.choice(list(blobs)))
        seq = blobs[layer.input[1]][0]
    size = [max(1, n) for n in target] or [1, 1]
    return {str(layer.output[0]): (seq, channels, size[0], size[1])}


def _combined(layer: Any, blobs: dict[str, Shape], random: Random) -> dict[str, Shape]:
    mine = blobs[layer.input[0]]
    alike = [name for name, shape in blobs.items() if shape == mine]
    layer.input.append(random.choice(alike if random.random() < 0.7 else list(blobs)))
    kind = random.choice(("add", "multiply", "average", "max", "min", "dot"))
    getattr(layer, kind).SetInParent()
    both = zip(mine, blobs[layer.input[1]], strict=True)
    seq, channels, height, width = (max(pair) for pair in both)
    return {str(layer.output[0]): (seq, 1, 1, 1) if kind == "dot" else (seq, channels, height, width)}


def _concat(layer: Any, blobs: dict[str, Shape], random: Random) -> dict[str, Shape]:
    mine = blobs[layer.input[0]]
    alike = [name for name, shape in blobs.items() if shape[2:] == mine[2:]]
    layer.input.append(random.choice(alike if random.random() < 0.7 else list(blobs)))
    layer.concat.sequenceConcat = random.random() < 0.2
    other = blobs[layer.input[1]]
    if layer.concat.sequenceConcat:
        return {str(layer.output[0]): (mine[0] + other[0], *mine[1:])}
    return {str(layer.output[0]): (mine[0], mine[1] + other[1], *mine[2:])}


def _split(layer: Any, blobs: dict[str, Shape], random: Random) -> dict[str, Shape]:
    seq, channels, height, width = blobs[layer.input[0]]
    parts = random.choice((2, 2, 3))
    layer.output.extend(f"{layer.output[0]}_{index}" for index in range(1, parts))
    layer.split.nOutputs = _off(random, parts)
    return {str(blob): (seq, channels // parts, height, width) for blob in layer.output}


def _rearranged(layer: Any, blobs: dict[str, Shape], random: Random) -> dict[str, Shape]:
    seq, channels, height, width = shape = blobs[layer.input[0]]
    match random.choice(("flatten", "reshape", "permute", "reorganizeData", "sequenceRepeat")):
        case "flatten":
            layer.flatten.SetInParent()
            out = (seq, channels * height * width, 1, 1)
        case "reshape":
            target = random.choice(([height, channels, width], [channels * height * width, 1, 1], [2, 2, 2]))
            layer.reshape.targetShape.extend(target if random.random() < 0.7 else [seq, *target])
            out = (seq, target[0], target[1], target[2])
        case "permute":
            axes = random.choice(([0, 1, 2, 3], [0, 3, 1, 2], [0, 2, 1, 3], [1, 0, 2, 3], [3, 1, 2, 0], [0, 0, 1, 2]))
            layer.permute.axis.extend(axes)
            out = (shape[axes[0]], shape[axes[1]], shape[axes[2]], shape[axes[3]])
        case "reorganizeData":
            block = random.choice((2, 2, 3))
            layer.reorganizeData.blockSize = block
            layer.reorganizeData.mode = random.randrange(2)
            if layer.reorganizeData.mode == 0:
                out = (seq, channels * block * block, height // block, width // block)
            else:
                out = (seq, int(channels // block**2), height * block, width * block)
        case _:
            layer.sequenceRepeat.nRepetitions = random.choice((0, 1, 2))
            out = (seq * max(1, layer.sequenceRepeat.nRepetitions), channels, height, width)
    return {str(layer.output[0]): out}


def _slice(layer: Any, blobs: dict[str, Shape], random: Random) -> dict[str, Shape]:
    shape = list(blobs[layer.input[0]])
    axis = random.randrange(3)
    start, end = random.choice(((0, 1), (0, 2), (1, 3), (0, -1), (1, -1), (-2, -1), (-1, 0), (-3, 2), (0, 9), (2, 1)))
    params = layer.slice
    params.axis, params.startIndex, params.endIndex, params.stride = axis, start, end, random.choice((1, 1, 2))
    stop = None if end == 0 else end
    shape[axis + 1] = len(range(*slice(start, stop, int(params.stride)).indices(shape[axis + 1])))
    return {str(layer.output[0]): tuple(shape)}  # type: ignore[dict-item]


def _reduce(layer: Any, blobs: dict[str, Shape], random: Random) -> dict[str, Shape]:
    seq, *rest = blobs[layer.input[0]]
    layer.reduce.axis = axis = random.randrange(5)
    gone = {0: (0, 1, 2), 1: (1, 2), 2: (0,), 3: (1,), 4: (2,)}[axis]
    out = [1 if index in gone else length for index, length in enumerate(rest)]
    return {str(layer.output[0]): (seq, out[0], out[1], out[2])}


def _constant(layer: Any, blobs: dict[str, Shape], random: Random) -> dict[str, Shape]:
    shape = random.choice(([2, 1, 1], list(blobs[layer.input[0]][1:])))
    del layer.input[:]
    layer.loadConstant.shape.extend(shape)
    layer.loadConstant.data.floatValue.extend([1.0] * (shape[0] * shape[1] * shape[2]))
    return {str(layer.output[0]): (1, shape[0], shape[1], shape[2])}


def _recurrent(layer: Any, blobs: dict[str, Shape], random: Random) -> dict[str, Shape]:
    seq, channels, _height, _width = blobs[layer.input[0]]
    read, kept = max(1, _off(random, channels)), 2
    kind = random.choice(("simpleRecurrent", "gru", "uniDirectionalLSTM", "biDirectionalLSTM"))
    params = getattr(layer, kind)
    params.inputVectorSize, params.outputVectorSize = read, kept
    states = {"simpleRecurrent": 1, "gru": 1, "uniDirectionalLSTM": 2, "biDirectionalLSTM": 4}[kind]
    layer.output.extend(f"{layer.output[0]}_{index}" for index in range(states))
    if kind == "simpleRecurrent" or random.random() < 0.3:
        layer.input.extend(random.choice(list(blobs)) for _ in range(states))
    whole = random.random() < 0.5
    if kind in ("simpleRecurrent", "gru"):
        params.sequenceOutput = whole
    else:
        params.params.sequenceOutput = whole
    _recurrent_weights(kind, params, read, kept)
    width = 2 * kept if kind == "biDirectionalLSTM" else kept
    first: Shape = (seq if whole else 1, width, 1, 1)
    return {str(blob): first if index == 0 else (1, kept, 1, 1) for index, blob in enumerate(layer.output)}


def _recurrent_weights(kind: str, params: Any, read: int, kept: int) -> None:
    if kind == "simpleRecurrent":
        params.activation.tanh.SetInParent()
        params.weightMatrix.floatValue.extend([0.1] * (read * kept))
        params.recursionMatrix.floatValue.extend([0.1] * (kept * kept))
        return
    gates = ("updateGate", "resetGate", "outputGate")
    holders = [params]
    if kind != "gru":
        gates = ("inputGate", "forgetGate", "blockInput", "outputGate")  # type: ignore[assignment]
        holders = [params.weightParams]
        if kind == "biDirectionalLSTM":
            holders = [params.weightParams.add(), params.weightParams.add()]
    for holder in holders:
        for gate in gates:
            getattr(holder, f"{gate}WeightMatrix").floatValue.extend([0.1] * (read * kept))
            getattr(holder, f"{gate}RecursionMatrix").floatValue.extend([0.1] * (kept * kept))
    fields = {"biDirectionalLSTM": ("activationsForwardLSTM", "activationsBackwardLSTM")}.get(kind, ("activations",))
    for field in fields:
        for _ in range(2 if kind == "gru" else 3):
            getattr(params, field).add().tanh.SetInParent()


def _custom(layer: Any, blobs: dict[str, Shape], _: Random) -> dict[str, Shape]:
    layer.custom.className = "C"
    return {str(layer.output[0]): blobs[layer.input[0]]}


_LAYERS: tuple[Callable[[Any, dict[str, Shape], Random], dict[str, Shape]], ...] = (
    _convolution, _convolution, _convolution, _pooling, _pooling, _same, _same, _same, _inner_product, _embedding,
    _crop, _padding, _upsample, _resized, _combined, _combined, _concat, _split, _rearranged, _rearranged, _rearranged,
    _slice, _slice, _reduce, _constant, _recurrent, _custom,
)  # fmt: skip
