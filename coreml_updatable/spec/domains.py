"""Which numbers an input of a network may hold: rows of a table, indices, sizes, logarithms' arguments, or any.

A layer that looks its input up, or is not defined everywhere, bounds what may come in. What lies between it and the
input only moves numbers about. Where several layers read an input, it has to suit them all.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeAlias

from coreml_updatable.spec.layer_shapes import Shape
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer
from coreml_updatable.spec.network import is_network, network_of
from coreml_updatable.spec.shapes import blob_shapes


@dataclass(frozen=True)
class Domain:
    """Numbers from ``low`` to ``high``, both included; ``whole`` ones only."""

    low: float
    high: float
    whole: bool = False

    def within(self, other: "Domain") -> "Domain":
        """Return the intersection; ``other`` if it is empty."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Domain(low, high, self.whole or other.whole) if low <= high else other


Shapes: TypeAlias = Sequence[Shape | None]
POSITIVE = Domain(0.1, 1.0)
AT_LEAST_ONE = Domain(1.0, 2.0)
WITHIN_ONE = Domain(-0.9, 0.9)
SIZE = Domain(1, 2, whole=True)  # of a shape that is given as numbers
TRUTH = Domain(0, 1, whole=True)
_MOVES = {
    "copy", "expandDims", "flatten", "flattenTo2D", "permute", "rankPreservingReshape", "reshape", "reshapeLike",
    "reshapeStatic", "reshapeDynamic", "slice", "sliceBySize", "sliceDynamic", "sliceStatic", "split", "splitND",
    "squeeze", "transpose", "round", "floor", "ceil", "reverse", "reverseSeq", "sequenceRepeat", "tile", "concat",
    "concatND", "stack", "broadcastToLike", "broadcastToStatic", "broadcastToDynamic", "padding", "crop",
}  # fmt: skip


def input_domains(model: Model) -> dict[str, Domain]:
    """By the input's name; an input that may hold any number is left out."""
    if not is_network(model):
        return {}
    layers, shapes = network_of(model).layers, blob_shapes(model)
    result: dict[str, Domain] = {}
    for layer in reversed(layers):
        given = [shapes.get(str(blob)) for blob in layer.input]
        for blob, domain in zip(layer.input, _of_inputs(layer, given, result), strict=True):
            if domain is not None:
                before = result.get(str(blob))
                result[str(blob)] = domain if before is None else before.within(domain)
    return {
        str(feature.name): result[str(feature.name)] for feature in model.description.input if feature.name in result
    }


def _of_inputs(layer: NeuralNetworkLayer, shapes: Shapes, behind: Mapping[str, Domain]) -> list[Domain | None]:
    """Return the domain of each input of the layer."""
    kind = str(layer.WhichOneof("layer"))
    known: Sequence[Domain | None] = _RULES[kind](layer, shapes) if kind in _RULES else ()
    domains = [own for own, _ in zip_longest(known[: len(layer.input)], layer.input)]
    if kind in _MOVES:
        wanted = [behind[str(blob)] for blob in layer.output if str(blob) in behind]
        joined = kind in ("concat", "concatND", "stack")
        for index in range(len(domains) if joined else min(1, len(domains))):
            for domain in wanted:
                domains[index] = domain
    return domains


def _indices(count: int | None) -> Domain:
    return Domain(0, max(0, (count or 1) - 1), whole=True)


def _axis(shape: Shape | None, axis: int) -> int | None:
    return shape[axis] if shape is not None and -len(shape) <= axis < len(shape) else None


def _along(field: str) -> Callable[[NeuralNetworkLayer, Shapes], Sequence[Domain | None]]:
    """Indices, the second input, along an axis of the first."""

    def rule(layer: NeuralNetworkLayer, shapes: Shapes) -> Sequence[Domain | None]:
        return None, _indices(_axis(shapes[0], int(getattr(layer, field).axis)) if shapes else None)

    return rule


def _nd(_: NeuralNetworkLayer, shapes: Shapes) -> Sequence[Domain | None]:
    """Indices of several axes at once: the shortest decides."""
    lengths = [length for length in shapes[0] or () if length is not None] if shapes else []
    return None, _indices(min(lengths, default=1))


def _one_hot(layer: NeuralNetworkLayer, _: Shapes) -> Sequence[Domain | None]:
    return (_indices(int(layer.oneHot.oneHotVectorSize)),) if len(layer.input) == 1 else (_indices(2), SIZE)


def _unary(layer: NeuralNetworkLayer, _: Shapes) -> Sequence[Domain | None]:
    """Of ``scale`` x + ``shift``, which both have defaults: 1 and 0."""
    params = layer.unary
    domain, scale = _UNARY.get(int(params.type)), float(params.scale) or 1.0
    if domain is None:
        return (None,)
    ends = sorted((end - float(params.shift)) / scale for end in (domain.low, domain.high))
    return (Domain(ends[0], ends[1]),)


def _all(*domains: Domain | None) -> Callable[[NeuralNetworkLayer, Shapes], Sequence[Domain | None]]:
    return lambda _layer, _shapes: domains


_UNARY = {0: POSITIVE, 1: POSITIVE, 2: POSITIVE, 3: POSITIVE, 5: POSITIVE}  # sqrt, rsqrt, inverse, power, log
_RULES: dict[str, Callable[[Any, Shapes], Sequence[Domain | None]]] = {
    "embedding": lambda layer, _: (_indices(int(layer.embedding.inputDim)),),
    "embeddingND": lambda layer, _: (_indices(int(layer.embeddingND.vocabSize)),),
    "oneHot": _one_hot,
    "gather": _along("gather"),
    "gatherAlongAxis": _along("gatherAlongAxis"),
    "scatter": _along("scatter"),
    "scatterAlongAxis": _along("scatterAlongAxis"),
    "gatherND": _nd,
    "scatterND": _nd,
    "unary": _unary,
    "acos": _all(WITHIN_ONE),
    "asin": _all(WITHIN_ONE),
    "atanh": _all(WITHIN_ONE),
    "acosh": _all(AT_LEAST_ONE),
    "powBroadcastable": _all(POSITIVE),
    "divideBroadcastable": _all(None, POSITIVE),
    "floorDivBroadcastable": _all(None, POSITIVE),
    "modBroadcastable": _all(None, POSITIVE),
    "reduceLogSum": _all(POSITIVE),
    "branch": _all(TRUTH),
    "loop": _all(SIZE),
    "fillDynamic": _all(SIZE),
    "randomNormalDynamic": _all(SIZE),
    "randomUniformDynamic": _all(SIZE),
    "randomBernoulliDynamic": _all(SIZE),
    "rangeDynamic": _all(SIZE, TRUTH, SIZE),
    "reshapeDynamic": _all(None, SIZE),
    "broadcastToDynamic": _all(None, SIZE),
    "tile": _all(None, SIZE),
    "topK": _all(None, Domain(1, 1, whole=True)),
    "sliceDynamic": _all(None, Domain(0, 0, whole=True), SIZE),
    "sliceBySize": _all(None, Domain(0, 0, whole=True)),
    "reverseSeq": _all(None, SIZE),
    "categoricalDistribution": _all(POSITIVE),
    "cropResize": _all(None, Domain(0, 0, whole=True)),
}
