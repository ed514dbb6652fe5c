"""Networks whose blobs grow from layer to layer, each within what its kind allows; everything follows from a seed."""

from collections.abc import Callable
from random import Random
from typing import Any

from coreml_updatable.spec.messages import Model, Model_pb2

SHAPES = ((1,), (4,), (1, 8), (2, 3), (3, 8, 8), (1, 3, 8, 8), (2, 1, 4), (1, 1, 5, 1, 1))
FACTORS = (1, 2, 2, 3, 4, 16, 64, 1000)
LENGTHS = (0, 1, 2, 7, 64, 1000, 2**16, 2**20, 10**8, 2**31, 2**40)
Add = Callable[[Any, Random, str], list[str]]  # (the layer, the generator, what it reads) -> more inputs


def growing_model(seed: int) -> Model:
    """x -> y through one to thirty layers. Some are classifiers that can be updated, in a pipeline or not."""
    random = Random(seed)
    model = Model_pb2.Model(specificationVersion=random.choice((4, 5, 7)))
    kind = random.choice(("neuralNetwork", "neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor"))
    network = getattr(model, kind)
    network.arrayInputShapeMapping = random.choice((1, 1, 1, 0))
    array = model.description.input.add(name="x").type.multiArrayType
    array.dataType = random.choice((65568, 65568, 131104))
    array.shape.extend(random.choice(SHAPES))
    if random.random() < 0.15:
        for length in array.shape:
            array.shapeRange.sizeRanges.add(lowerBound=1, upperBound=random.choice((length, 1000, -1)))
    _layers(network, random, random.choice((1, 3, 6, 12, 30)))
    if kind == "neuralNetworkClassifier" or random.random() < 0.2:
        _head(model, network, random)
    else:
        model.description.output.add(name="y").type.multiArrayType.dataType = random.choice((65568, 131104, 65600))
        network.layers[-1].output[0] = "y"
        if kind == "neuralNetworkRegressor":
            model.description.predictedFeatureName = "y"
    return _in_pipeline(model) if random.random() < 0.15 else model


def _layers(network: Any, random: Random, count: int, read: str = "x", depth: int = 1) -> None:
    for index in range(count):
        layer = network.layers.add(name=f"layer{depth}{index}", output=[f"{read}{index}"])
        kind = random.choice(list(KINDS))
        if kind in ("loop", "branch") and not depth:
            kind = "concatND"
        before = f"{read}{index - 1}" if index and random.random() < 0.9 else read
        more = KINDS[kind](layer, random, before)
        getattr(layer, layer.WhichOneof("layer") or kind).SetInParent()
        layer.input.extend([before, *more])
        if layer.WhichOneof("layer") in ("loop", "branch"):
            del layer.input[:], layer.output[:]
            network.layers.add(
                name=f"after{depth}{index}", input=[before], output=[f"{read}{index}"]
            ).copy.SetInParent()


def _head(model: Model, network: Any, random: Random) -> None:
    """innerProduct, softmax, labels; updatable. Often the sizes do not fit, sometimes they do."""
    last = str(network.layers[-1].output[0])
    width = random.choice((1, 4, 8, 64, 512))
    product = network.layers.add(name="head", input=[last], output=["z"], isUpdatable=True)
    params = product.innerProduct
    params.inputChannels, params.outputChannels, params.hasBias = width, 2, True
    params.weights.floatValue.extend([0.1] * (2 * width))
    params.bias.floatValue.extend([0.0, 0.1])
    params.weights.isUpdatable = params.bias.isUpdatable = True
    kind = random.choice(("softmax", "softmaxND"))
    softmax = network.layers.add(name="softmax", input=["z"], output=["p"])
    getattr(softmax, kind).SetInParent()
    if kind == "softmaxND":
        softmax.softmaxND.axis = -1
    if not hasattr(network, "stringClassLabels"):
        model.description.output.add(name="p").type.multiArrayType.dataType = 65568
        return
    network.stringClassLabels.vector.extend(["a", "b"])
    network.labelProbabilityLayerName = "p"
    model.description.predictedFeatureName = "label"
    model.description.predictedProbabilitiesName = "probabilities"
    model.description.output.add(name="label").type.stringType.SetInParent()
    model.description.output.add(name="probabilities").type.dictionaryType.stringKeyType.SetInParent()
    model.isUpdatable = True
    model.description.trainingInput.add().CopyFrom(model.description.input[0])
    model.description.trainingInput.add(name="label").type.stringType.SetInParent()
    update = network.updateParams
    loss = update.lossLayers.add(name="loss").categoricalCrossEntropyLossLayer
    loss.input, loss.target = "p", "label"
    sgd = update.optimizer.sgdOptimizer
    for parameter, value in ((sgd.learningRate, 0.1), (sgd.momentum, 0.0)):
        parameter.defaultValue = value
        parameter.range.maxValue = 1.0
    for parameter, value in ((sgd.miniBatchSize, 2), (update.epochs, random.choice((1, 3, 10, 10**9)))):
        parameter.defaultValue = value
        parameter.range.minValue, parameter.range.maxValue = 1, 2**40
    update.shuffle.defaultValue = True


def _in_pipeline(model: Model) -> Model:
    whole = Model_pb2.Model(specificationVersion=model.specificationVersion, isUpdatable=model.isUpdatable)
    whole.description.CopyFrom(model.description)
    whole.pipeline.models.add().CopyFrom(model)
    return whole


def _matmul(layer: Any, random: Random, read: str) -> list[str]:
    layer.batchedMatmul.transposeA = random.random() < 0.5
    layer.batchedMatmul.transposeB = random.random() < 0.5
    return [read]


def _concat(layer: Any, random: Random, read: str) -> list[str]:
    layer.concatND.axis = random.choice((0, -1, 1, 2))
    layer.concatND.interleave = random.random() < 0.2
    return [read] * random.choice((1, 2, 5, 30))


def _constant(values: Any, random: Random, count: int) -> None:
    values.extend(random.choice(FACTORS) for _ in range(count))


def _several(field: Callable[[Any], Any], counts: tuple[int, ...] = (1, 2, 3, 4, 5)) -> Add:
    def add(layer: Any, random: Random, _: str) -> list[str]:
        _constant(field(layer), random, random.choice(counts))
        return []

    return add


def _lengths(field: Callable[[Any], Any]) -> Add:
    def add(layer: Any, random: Random, _: str) -> list[str]:
        field(layer).extend(random.choice(LENGTHS) for _ in range(random.choice((1, 1, 2, 3, 5))))
        return []

    return add


def _upsample(layer: Any, random: Random, _: str) -> list[str]:
    _constant(layer.upsample.scalingFactor, random, 2)
    layer.upsample.mode = random.randrange(2)
    return []


def _range(layer: Any, random: Random, _: str) -> list[str]:
    layer.rangeDynamic.startValue = random.choice((0.0, -1e9, 1e30))
    layer.rangeDynamic.stepSizeValue = random.choice((1.0, 1e-9, 0.0, 1e-30))
    return []


def _static_range(layer: Any, random: Random, _: str) -> list[str]:
    layer.rangeStatic.endValue = float(random.choice(LENGTHS))
    layer.rangeStatic.stepSizeValue = random.choice((1.0, 0.001))
    return []


def _pad(layer: Any, random: Random, _: str) -> list[str]:
    layer.constantPad.padAmounts.extend(
        random.choice((0, 0, 1, 100, 10**5, 10**9)) for _ in range(random.choice((2, 4, 6)))
    )
    return []


def _expand(layer: Any, random: Random, _: str) -> list[str]:
    layer.expandDims.axes.extend(random.sample(range(-4, 4), random.choice((1, 1, 2))))
    return []


def _stack(layer: Any, random: Random, read: str) -> list[str]:
    layer.stack.axis = random.choice((0, -1, 1))
    return [read] * random.choice((1, 3, 40))


def _reshape(layer: Any, random: Random, _: str) -> list[str]:
    layer.reshapeStatic.targetShape.extend(random.choice(((-1,), (1, -1), (1, 1, -1), (-1, 1), (1, 1, 1, -1), (2, -1))))
    return []


def _embedding(layer: Any, random: Random, _: str) -> list[str]:
    params = layer.embeddingND
    params.vocabSize, params.embeddingSize = 4, random.choice((1, 2, 2**20))
    params.weights.floatValue.extend([0.1] * (4 * min(params.embeddingSize, 2)))
    return []


def _lstm(layer: Any, random: Random, _: str) -> list[str]:
    params = layer.uniDirectionalLSTM
    size = random.choice((1, 2, 4))
    params.inputVectorSize, params.outputVectorSize = random.choice((1, 4, 8)), size
    params.params.sequenceOutput = random.random() < 0.7
    for _index in range(3):
        params.activations.add().sigmoid.SetInParent()
    weights = params.weightParams
    for gate in ("inputGate", "forgetGate", "blockInput", "outputGate"):
        getattr(weights, f"{gate}WeightMatrix").floatValue.extend([0.1] * size * params.inputVectorSize)
        getattr(weights, f"{gate}RecursionMatrix").floatValue.extend([0.1] * size * size)
    return []


def _product(layer: Any, random: Random, _: str) -> list[str]:
    """innerProduct with weights of 1 to 8 bits."""
    params = layer.innerProduct
    params.inputChannels, params.outputChannels = random.choice((1, 4, 8, 64)), random.choice((1, 8, 4096))
    bits = random.choice((1, 2, 4, 8))
    params.weights.rawValue = bytes((params.inputChannels * params.outputChannels * bits + 7) // 8)
    params.weights.quantization.numberOfBits = bits
    params.weights.quantization.linearQuantization.scale.append(0.1)
    params.weights.quantization.linearQuantization.bias.append(0.1)
    return []


def _convolution(layer: Any, random: Random, _: str) -> list[str]:
    params = layer.convolution
    params.kernelChannels, params.outputChannels = random.choice((1, 3, 8)), random.choice((1, 3, 64))
    params.nGroups = 1
    params.kernelSize.extend(random.choice(((1, 1), (3, 3), (1, 7))))
    params.stride.extend(random.choice(((1, 1), (2, 2), (100, 100))))
    params.isDeconvolution = random.random() < 0.4
    if random.random() < 0.3:
        for _axis in range(2):
            params.valid.paddingAmounts.borderAmounts.add(startEdgeSize=random.choice((0, 5, 5000)), endEdgeSize=3)
    else:
        params.same.SetInParent()
    count = params.kernelChannels * params.outputChannels * params.kernelSize[0] * params.kernelSize[1]
    params.weights.floatValue.extend([0.01] * count)
    return []


def _loop(layer: Any, random: Random, read: str) -> list[str]:
    layer.loop.maxLoopIterations = random.choice((0, 1, 5, 60, 10**6, 2**63))
    body = layer.loop.bodyNetwork
    kind = random.choice(("concatND", "batchedMatmul", "unary", "tile"))
    inner = body.layers.add(name="inner", input=[read], output=[f"{read}_in"])
    inner.input.extend(KINDS[kind](inner, random, read))
    getattr(inner, inner.WhichOneof("layer") or kind).SetInParent()
    body.layers.add(name="again", input=[f"{read}_in"], output=[read]).copy.SetInParent()
    return []


def _branch(layer: Any, random: Random, read: str) -> list[str]:
    inner = layer.branch.ifBranch.layers.add(name="inner", input=[read], output=[f"{read}_if"])
    inner.input.extend(_concat(inner, random, read))
    return []


def _plain(kind: str, **fields: Any) -> Add:
    def add(layer: Any, random: Random, read: str) -> list[str]:
        message = getattr(layer, kind)
        message.SetInParent()
        for name, choices in fields.items():
            setattr(message, name, random.choice(choices))
        return [read] if kind in ("addBroadcastable", "scatterND", "gather", "whereBroadcastable") else []

    return add


def _windows(layer: Any, random: Random, _: str) -> list[str]:
    layer.slidingWindows.axis, layer.slidingWindows.windowSize, layer.slidingWindows.step = (
        -1,
        random.choice(FACTORS),
        1,
    )
    return []


def _broadcast(layer: Any, random: Random, _: str) -> list[str]:
    layer.broadcastToStatic.targetShape.extend(random.choice(LENGTHS) for _ in range(random.choice((1, 2, 3))))
    return []


def _resize(layer: Any, random: Random, _: str) -> list[str]:
    layer.resizeBilinear.targetSize.extend(random.choice((1, 8, 1000, 2**15)) for _ in range(2))
    return []


def _transpose(layer: Any, random: Random, _: str) -> list[str]:
    layer.transpose.axes.extend(random.choice(((1, 0), (0, 2, 1), (3, 2, 1, 0))))
    return []


def _reduce(layer: Any, random: Random, _: str) -> list[str]:
    layer.reduceSum.axes.append(random.choice((0, -1)))
    return []


KINDS: dict[str, Add] = {
    "batchedMatmul": _matmul,
    "concatND": _concat,
    "tile": _several(lambda layer: layer.tile.reps),
    "upsample": _upsample,
    "fillStatic": _lengths(lambda layer: layer.fillStatic.targetShape),
    "fillDynamic": _plain("fillDynamic", value=(0.0, 5.0, 1e9)),
    "fillLike": _plain("fillLike", value=(0.0, 5.0, 1e9)),
    "rangeDynamic": _range,
    "rangeStatic": _static_range,
    "constantPad": _pad,
    "expandDims": _expand,
    "stack": _stack,
    "reshapeStatic": _reshape,
    "embeddingND": _embedding,
    "uniDirectionalLSTM": _lstm,
    "innerProduct": _product,
    "convolution": _convolution,
    "loop": _loop,
    "branch": _branch,
    "addBroadcastable": _plain("addBroadcastable"),
    "oneHot": _plain("oneHot", oneHotVectorSize=(1, 10, 2**20, 2**40), axis=(-1, 0)),
    "sequenceRepeat": _plain("sequenceRepeat", nRepetitions=(1, 100, 2**40)),
    "slidingWindows": _windows,
    "broadcastToStatic": _broadcast,
    "resizeBilinear": _resize,
    "unary": _plain("unary", type=(1, 2, 4, 6)),
    "flattenTo2D": _plain("flattenTo2D", axis=(1, -1)),
    "topK": _plain("topK", K=(1, 5, 2**40), axis=(-1, 0)),
    "argSort": _plain("argSort", axis=(-1, 0)),
    "getShape": _plain("getShape"),
    "gather": _plain("gather", axis=(0, -1)),
    "whereNonZero": _plain("whereNonZero"),
    "randomNormalLike": _plain("randomNormalLike", stdDev=(1.0,)),
    "cumSum": _plain("cumSum", axis=(0, -1)),
    "matrixBandPart": _plain("matrixBandPart", numLower=(-1, 3)),
    "layerNormalization": _plain("layerNormalization"),
    "transpose": _transpose,
    "reduceSum": _reduce,
}
