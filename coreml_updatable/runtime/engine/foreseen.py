"""Estimate the most memory and work that a program of usual layers can take, from the shapes of its inputs alone.

Weighing every operation (``weighing``) takes about as long as running a small network. The kinds of layers here do not
need it: the shapes of their outputs follow from those of their inputs, and internally they hold no more than a few
copies of what they read and write. So if all blobs together, without freeing any, are within the bounds, so is the run.
Every estimate is at least what weighing finds; tests/runtime/test_foreseen.py verifies this.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from coreml_updatable.runtime.engine.program import Step
from coreml_updatable.runtime.engine.weighing import OVERHEAD, PER_VALUE
from coreml_updatable.spec.layer_shapes import output_shapes
from coreml_updatable.spec.messages import NeuralNetworkLayer

COPIES = 8  # of a layer's inputs and outputs while it runs, at most
OPERATIONS, PER_INPUT = 32, 8  # torch operations in one layer, at most
BYTES = 4  # of a value
Sizes: TypeAlias = Sequence[int]

# fmt: off
PLAIN = {  # elementwise, normalizing, joining or rearranging
    "add", "addBroadcastable", "average", "batchnorm", "bias", "clampedReLU", "clip", "concat", "concatND",
    "divideBroadcastable", "erf", "expandDims", "flatten", "flattenTo2D", "gelu", "l2normalize", "loadConstant",
    "loadConstantND", "max", "maxBroadcastable", "min", "minBroadcastable", "multiply", "multiplyBroadcastable", "mvn",
    "padding", "permute", "reduceL1", "reduceL2", "reduceMax", "reduceMean", "reduceMin", "reduceSum",
    "reduceSumSquare", "reshape", "reshapeStatic", "scale", "softmax", "softmaxND", "squeeze", "subtractBroadcastable",
    "tanh", "transpose", "unary",
}
# fmt: on


@dataclass(frozen=True)
class Demand:
    """The most bytes that a run holds at once, and the most operations.

    ``peak``: bytes of the blobs that are alive together, if each is freed after its last reader.
    """

    memory: int
    work: int
    peak: int


def needs(steps: Sequence[Step], inputs: Mapping[str, Sizes], rows: int) -> Demand | None:
    """Return the most that ``steps`` need for so many rows with blobs of these shapes; None if it must be measured."""
    shapes = {name: tuple(shape) for name, shape in inputs.items()}
    values = {name: prod(shape) for name, shape in shapes.items()}
    held = 2 * sum(values.values())  # a copy, channels last
    inside = work = peak = 0
    last = {blob: position for position, step in enumerate(steps) for blob in step.layer.input}
    alive = sum(values.values())
    for index, step in enumerate(steps):
        layer = step.layer
        kind = layer.WhichOneof("layer")
        if (kind not in PLAIN and kind not in RULES) or not values.keys() >= set(layer.input):
            return None
        if kind in RULES and not (layer.input and layer.output):  # a broken file: the run reports it
            return None
        read = [shapes[blob] for blob in layer.input]
        touched = sum([values[blob] for blob in layer.input])
        for blob, shape in zip(layer.output, output_shapes(layer, read), strict=True):
            known = [length for length in shape or () if length is not None and length > 0]
            if shape is None or len(known) < len(shape):
                return None
            shapes[blob] = tuple(known)
            values[blob] = count = prod(known)
            held += count
            alive += count
            touched += count
        peak = max(peak, alive)
        alive -= sum(values[blob] for blob in {*layer.input} if last[blob] == index)
        more = products = 0
        if kind in RULES:
            result = RULES[kind](layer, read, [shapes[blob] for blob in layer.output])
            if result is None:
                return None
            more, products = result
        most = COPIES * touched + more
        inside = max(inside, most)
        work += (OPERATIONS + PER_INPUT * len(read)) * OVERHEAD + rows * (PER_VALUE * most + products)
    return Demand(BYTES * rows * (held + inside), work, BYTES * rows * peak)


def _activation(layer: NeuralNetworkLayer, read: Sequence[Sizes], result: Sequence[Sizes]) -> tuple[int, int] | None:  # noqa: ARG001
    """An activation with weights may broadcast its input."""
    weights = layer.activation.WhichOneof("NonlinearityType") in ("PReLU", "parametricSoftplus")
    return None if weights else (0, 0)


def _inner_product(layer: NeuralNetworkLayer, read: Sequence[Sizes], result: Sequence[Sizes]) -> tuple[int, int] | None:  # noqa: ARG001
    params = layer.innerProduct
    return None if params.int8DynamicQuantize else (0, prod(result[0]) * int(params.inputChannels))


def _convolution(layer: NeuralNetworkLayer, read: Sequence[Sizes], result: Sequence[Sizes]) -> tuple[int, int] | None:
    """A transposed convolution computes its complete output before it is cropped."""
    params = layer.convolution
    if params.isDeconvolution or not _flat(read[0], params.kernelSize, params.dilationFactor, params.stride):
        return None
    kernel = [int(size) for size in params.kernelSize] or [3, 3]
    dilation = [int(size) for size in params.dilationFactor] or [1, 1]
    stride = [int(size) for size in params.stride] or [1, 1]
    reach = [(size - 1) * step + 1 for size, step in zip(kernel, dilation, strict=True)]
    filters = int(params.kernelChannels) * prod(kernel)
    bordered = _bordered(read[0], result[0], reach, stride, params.valid.paddingAmounts.borderAmounts)
    return 3 * bordered + 2 * int(params.outputChannels) * filters, prod(result[0]) * filters


def _pooling(layer: NeuralNetworkLayer, read: Sequence[Sizes], result: Sequence[Sizes]) -> tuple[int, int] | None:
    params = layer.pooling
    if params.globalPooling:
        return 0, 0
    if not _flat(read[0], params.kernelSize, params.stride, params.includeLastPixel.paddingAmounts):
        return None
    kernel = [int(size) for size in params.kernelSize] or [3, 3]
    stride = [int(size) for size in params.stride] or [1, 1]
    bordered = _bordered(read[0], result[0], kernel, stride, params.valid.paddingAmounts.borderAmounts)
    around = [int(amount) for amount in params.includeLastPixel.paddingAmounts] or [0, 0]
    sides = [length + 2 * amount for length, amount in zip(read[0][-2:], around, strict=True)]
    return 4 * max(bordered, prod((*read[0][:-2], *sides))), prod(result[0]) * prod(kernel)


def _flat(read: Sizes, *settings: Sequence[int]) -> bool:
    """Return whether the input is a picture and the settings have two sides or none."""
    return len(read) >= 2 and all(len(setting) in (0, 2) for setting in settings)


def _bordered(read: Sizes, result: Sizes, reach: Sizes, stride: Sizes, borders: Sequence[NeuralNetworkLayer]) -> int:
    """Return the number of values of a picture with its borders: as stated, or as far as its windows reach."""
    stated = [*(int(border.startEdgeSize + border.endEdgeSize) for border in borders), 0, 0]
    sides = [
        max(length + border, (count - 1) * step + far)
        for length, border, count, step, far in zip(read[-2:], stated, result[-2:], stride, reach, strict=False)
    ]
    return prod((*read[:-2], *sides))


RULES: dict[str, Callable[[NeuralNetworkLayer, Sequence[Sizes], Sequence[Sizes]], tuple[int, int] | None]] = {
    "activation": _activation,
    "convolution": _convolution,
    "innerProduct": _inner_product,
    "pooling": _pooling,
}
