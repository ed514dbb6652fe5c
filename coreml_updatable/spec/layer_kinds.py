"""Facts about layer kinds: how many blobs each reads and writes, and through which Core ML can train."""

from collections.abc import Iterator

from coreml_updatable.errors import with_article
from coreml_updatable.spec.graph import layer_kind
from coreml_updatable.spec.messages import NeuralNetworkLayer

MANY = 10**9
# fmt: off
_INPUTS: dict[str, tuple[int, int]] = {  # all others read one
    "convolution": (1, 2), "crop": (1, 2), "cropResize": (2, 2), "add": (1, MANY), "multiply": (1, MANY),
    "average": (1, MANY), "max": (1, MANY), "min": (1, MANY), "dot": (2, 2), "loadConstant": (0, MANY),
    "concat": (2, MANY), "simpleRecurrent": (2, 2), "gru": (1, 2), "uniDirectionalLSTM": (1, 3),
    "biDirectionalLSTM": (1, 5), "custom": (1, MANY), "copy": (1, 1), "branch": (1, 1), "loop": (0, 1),
    "loopBreak": (0, MANY), "loopContinue": (0, MANY), "rangeStatic": (0, MANY), "rangeDynamic": (0, 3),
    "equal": (1, 2), "notEqual": (1, 2), "lessThan": (1, 2), "lessEqual": (1, 2), "greaterThan": (1, 2),
    "greaterEqual": (1, 2), "logicalOr": (2, 2), "logicalXor": (2, 2), "logicalAnd": (2, 2),
    "modBroadcastable": (2, 2), "minBroadcastable": (2, 2), "maxBroadcastable": (2, 2), "addBroadcastable": (2, 2),
    "powBroadcastable": (2, 2), "divideBroadcastable": (2, 2), "floorDivBroadcastable": (2, 2),
    "multiplyBroadcastable": (2, 2), "subtractBroadcastable": (2, 2), "tile": (1, 2), "stack": (2, MANY),
    "gather": (2, 2), "scatter": (3, 3), "gatherND": (2, 2), "scatterND": (3, 3), "gatherAlongAxis": (2, 2),
    "scatterAlongAxis": (3, 3), "reverseSeq": (2, 2), "concatND": (2, MANY), "sliceDynamic": (2, 7), "topK": (1, 2),
    "batchedMatmul": (1, 2), "loadConstantND": (0, MANY), "fillStatic": (0, MANY), "broadcastToLike": (2, 2),
    "broadcastToDynamic": (2, 2), "reshapeLike": (2, 2), "reshapeDynamic": (2, 2), "constantPad": (1, 2),
    "randomNormalStatic": (0, MANY), "randomUniformStatic": (0, MANY), "randomBernoulliStatic": (0, MANY),
    "whereBroadcastable": (3, 3), "NonMaximumSuppression": (2, 5), "oneHot": (1, 2), "cumSum": (1, 2),
    "sliceBySize": (2, 2),
}
_OUTPUTS: dict[str, tuple[int, int]] = {  # all others write one
    "split": (2, MANY), "splitND": (2, MANY), "simpleRecurrent": (2, 2), "gru": (2, 2),
    "uniDirectionalLSTM": (3, 3), "biDirectionalLSTM": (5, 5), "custom": (1, MANY), "branch": (0, MANY),
    "loop": (0, MANY), "loopBreak": (0, MANY), "loopContinue": (0, MANY), "topK": (2, 2),
    "NonMaximumSuppression": (4, 4), "copy": (1, 1),
}
# fmt: on


def input_counts(kind: str) -> tuple[int, int]:
    """Return the least and the highest number of blobs that a layer of ``kind`` reads; ``MANY`` is no limit."""
    return _INPUTS.get(kind, (1, 1))


def wrong_counts(layer: NeuralNetworkLayer) -> Iterator[tuple[str, str]]:
    """Yield found and expected counts if ``layer`` has the wrong number of inputs or outputs for its kind."""
    kind = layer_kind(layer)
    for verb, blobs, table in (("reads", layer.input, _INPUTS), ("writes", layer.output, _OUTPUTS)):
        least, most = table.get(kind, (1, 1))
        if kind and not least <= len(blobs) <= most:
            expected = str(least) if least == most else f"{least} or more" if most == MANY else f"{least} to {most}"
            yield f"is {with_article(kind)} that {verb} {len(blobs)} blobs", expected


UPDATABLE_KINDS = ("convolution", "innerProduct", "uniDirectionalLSTM")
_PASSING_KINDS = (*UPDATABLE_KINDS, "flatten", "pooling", "batchnorm")
_PASSING_ACTIVATIONS = ("ReLU", "sigmoid", "tanh")


def passes_gradients(layer: NeuralNetworkLayer) -> bool:
    """Return whether the gradient passes ``layer``; callers must themselves allow the softmax before the loss."""
    kind = layer_kind(layer)
    if kind == "activation":
        return layer.activation.WhichOneof("NonlinearityType") in _PASSING_ACTIVATIONS
    return kind in _PASSING_KINDS


def can_be_updatable(layer: NeuralNetworkLayer) -> bool:
    """Return whether a device trains layers of this kind: Apple's validator refuses the flag on any other."""
    return layer_kind(layer) in UPDATABLE_KINDS
