"""How many blobs a layer of each kind reads and writes, and the ranks at which it works."""

from collections.abc import Iterator

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.inner_layers import every_layer
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer

_MANY = 10**9
# fmt: off
_INPUTS: dict[str, tuple[int, int]] = {  # all others read one
    "convolution": (1, 2), "crop": (1, 2), "cropResize": (2, 2), "add": (1, _MANY), "multiply": (1, _MANY),
    "average": (1, _MANY), "max": (1, _MANY), "min": (1, _MANY), "dot": (2, 2), "loadConstant": (0, _MANY),
    "concat": (2, _MANY), "simpleRecurrent": (2, 2), "gru": (1, 2), "uniDirectionalLSTM": (1, 3),
    "biDirectionalLSTM": (1, 5), "custom": (0, _MANY), "copy": (1, 1), "branch": (1, 1), "loop": (0, 1),
    "loopBreak": (0, _MANY), "loopContinue": (0, _MANY), "rangeStatic": (0, _MANY), "rangeDynamic": (0, 3),
    "equal": (1, 2), "notEqual": (1, 2), "lessThan": (1, 2), "lessEqual": (1, 2), "greaterThan": (1, 2),
    "greaterEqual": (1, 2), "logicalOr": (2, 2), "logicalXor": (2, 2), "logicalAnd": (2, 2),
    "modBroadcastable": (2, 2), "minBroadcastable": (2, 2), "maxBroadcastable": (2, 2), "addBroadcastable": (2, 2),
    "powBroadcastable": (2, 2), "divideBroadcastable": (2, 2), "floorDivBroadcastable": (2, 2),
    "multiplyBroadcastable": (2, 2), "subtractBroadcastable": (2, 2), "tile": (1, 2), "stack": (2, _MANY),
    "gather": (2, 2), "scatter": (3, 3), "gatherND": (2, 2), "scatterND": (3, 3), "gatherAlongAxis": (2, 2),
    "scatterAlongAxis": (3, 3), "reverseSeq": (2, 2), "concatND": (2, _MANY), "sliceDynamic": (2, 7), "topK": (1, 2),
    "batchedMatmul": (1, 2), "loadConstantND": (0, _MANY), "fillStatic": (0, _MANY), "broadcastToLike": (2, 2),
    "broadcastToDynamic": (2, 2), "reshapeLike": (2, 2), "reshapeDynamic": (2, 2), "constantPad": (1, 2),
    "randomNormalStatic": (0, _MANY), "randomUniformStatic": (0, _MANY), "randomBernoulliStatic": (0, _MANY),
    "whereBroadcastable": (3, 3), "NonMaximumSuppression": (2, 5), "oneHot": (1, 2), "cumSum": (1, 2),
    "sliceBySize": (2, 2),
}
_OUTPUTS: dict[str, tuple[int, int]] = {  # all others write one
    "split": (2, _MANY), "splitND": (2, _MANY), "simpleRecurrent": (2, 2), "gru": (2, 2),
    "uniDirectionalLSTM": (3, 3), "biDirectionalLSTM": (5, 5), "custom": (0, _MANY), "branch": (0, _MANY),
    "loop": (0, _MANY), "loopBreak": (0, _MANY), "loopContinue": (0, _MANY), "topK": (2, 2),
    "NonMaximumSuppression": (4, 4), "copy": (1, 1),
}
# Rank of the first input and the first output, outside the rank-5 mode; these kinds keep it, too.
_RANKS: dict[str, tuple[int, int]] = {
    "convolution": (4, _MANY), "pooling": (4, _MANY), "innerProduct": (1, 5), "embedding": (4, _MANY),
    "batchnorm": (3, _MANY), "mvn": (3, _MANY), "l2normalize": (3, _MANY), "softmax": (3, _MANY), "lrn": (3, _MANY),
    "crop": (3, _MANY), "padding": (2, _MANY), "upsample": (3, _MANY), "resizeBilinear": (3, _MANY),
    "cropResize": (5, _MANY), "unary": (0, _MANY), "scale": (3, _MANY), "bias": (3, _MANY), "dot": (3, _MANY),
    "reshape": (5, 5), "flatten": (3, _MANY), "permute": (5, 5), "concat": (3, _MANY), "split": (3, _MANY),
    "sequenceRepeat": (5, _MANY), "reorganizeData": (3, _MANY), "simpleRecurrent": (5, 5), "gru": (5, 5),
    "uniDirectionalLSTM": (5, 5), "biDirectionalLSTM": (5, 5), "embeddingND": (2, 5), "constantPad": (0, _MANY),
    "argSort": (0, _MANY), "pooling3d": (5, _MANY), "globalPooling3d": (5, _MANY), "convolution3d": (5, _MANY),
}
# fmt: on
_BY_CHANNEL = ("PReLU", "parametricSoftplus")  # activations that have a parameter a channel


def blobs_counted(model: Model) -> Iterator[Finding]:
    """Every layer reads and writes as many blobs as its kind asks for."""
    for where, layer in every_layer(model):
        kind = layer_kind(layer)
        for verb, blobs, table in (("reads", layer.input, _INPUTS), ("writes", layer.output, _OUTPUTS)):
            least, most = table.get(kind, (1, 1))
            if kind and not least <= len(blobs) <= most:
                expected = (
                    str(least) if least == most else f"{least} or more" if most == _MANY else f"{least} to {most}"
                )
                yield Finding(where, f"is a {kind} that {verb} {len(blobs)} blobs", expected)


def ranks_of(layer: NeuralNetworkLayer) -> tuple[int, int] | None:
    """Least and most rank of what the layer reads and writes, which are the same; None where its kind asks nothing."""
    kind = layer_kind(layer)
    if kind == "activation" and layer.activation.WhichOneof("NonlinearityType") in _BY_CHANNEL:
        return 3, _MANY
    return _RANKS.get(kind)


def in_words(limits: tuple[int, int]) -> str:
    least, most = limits
    if least == most:
        return str(least)
    return f"at least {least}" if most == _MANY else f"{least} to {most}"
