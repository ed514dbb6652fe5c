"""The tail of a network: the chain of layers between its feature maps and its output.

features -> (flatten, reshape, squeeze ...) -> innerProduct -> activation -> innerProduct -> softmax -> output

Converters write it with rank 2 and ``softmaxND``; an update needs rank 4 and ``softmax``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.graph import RESHAPES, consumers, layer_kind, place, producers
from coreml_updatable.spec.layer_shapes import Shape
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.shapes import blob_shapes, element_count

SOFTMAXES = ("softmax", "softmaxND")
_DENSE = ("innerProduct", "batchedMatmul")
_ELEMENTWISE = ("activation", "clip", "clampedReLU")  # the same at any rank
_PER_CHANNEL = ("PReLU", "parametricSoftplus")  # activations that are not
SPATIAL_RANKS = (4, 5)


@dataclass(frozen=True)
class Tail:
    """The indices of the layers, first to last, and which of them is the softmax, if any."""

    layers: tuple[int, ...]
    softmax: int | None
    source: str  # the blob on which the first of them works
    answer: str  # the blob with probabilities or logits


def answer_blob(model: Model) -> str:
    """The blob with the answer: a classifier's probabilities, else the one output of the network."""
    network = network_of(model)
    written = producers(network.layers)
    if model.WhichOneof("Type") == "neuralNetworkClassifier":
        for name in (network.labelProbabilityLayerName, model.description.predictedProbabilitiesName):
            if name in written:
                return str(name)
        if network.layers and network.layers[-1].output:
            return str(network.layers[-1].output[0])
    outputs = [str(feature.name) for feature in model.description.output if feature.name in written]
    if len(outputs) != 1:
        names = ", ".join(map(repr, outputs)) or "none"
        raise ModelError(
            f"network: {len(outputs)} outputs come from layers ({names}), expected 1; keep only the prediction"
        )
    return outputs[0]


def find_tail(model: Model) -> Tail:
    """Walk back from the output to a layer that works on feature maps, joins branches or is shared."""
    layers = network_of(model).layers
    written, read = producers(layers), consumers(layers)
    shapes = blob_shapes(model)
    shown = {str(feature.name) for feature in model.description.output}
    blob = answer = answer_blob(model)
    chain: list[int] = []
    softmax: int | None = None
    while blob in written:
        index = written[blob]
        if chain and (len(read.get(blob, [])) > 1 or blob in shown):
            break  # somebody else needs this blob as it is
        layer = layers[index]
        if not _belongs(layer_kind(layer), layer, shapes, above_softmax=softmax is None):
            break
        if layer_kind(layer) == "reduceMean" and len(shapes.get(str(layer.input[0])) or ()) not in SPATIAL_RANKS:
            break  # the mean over a sequence of vectors, which comes from no picture
        chain.append(index)
        if layer_kind(layer) in SOFTMAXES:
            if softmax is not None:
                raise ModelError(f"{place(index, layer)}: is a second softmax; remove it")
            softmax = index
        blob = str(layer.input[0])
    return Tail(tuple(reversed(chain)), softmax, blob, answer)


def _belongs(kind: str, layer: Model, shapes: Mapping[str, Shape], *, above_softmax: bool) -> bool:
    if len(layer.input) != 1 or len(layer.output) != 1:
        return False
    output = shapes.get(str(layer.output[0]))
    if is_reshape(layer, shapes):
        return output is not None and is_vector(output)
    if kind == "unary" and above_softmax and layer.unary.type == layer.unary.LOG:
        return True
    if kind == "reduceMean":
        return output is not None and is_vector(output)
    return kind in SOFTMAXES or kind in _DENSE or is_elementwise(layer)


def is_reshape(layer: NeuralNetworkLayer, shapes: Mapping[str, Shape]) -> bool:
    """Return whether ``layer`` only reshapes its one input; slices that drop nothing count, such as ``x[0]``."""
    kind = layer_kind(layer)
    if kind == "sliceStatic":
        before, after = (shapes.get(str(blobs[0])) for blobs in (layer.input, layer.output))
        counts = [element_count(shape) if shape is not None else None for shape in (before, after)]
        return counts[0] is not None and counts[0] == counts[1] and all(step > 0 for step in layer.sliceStatic.strides)
    return kind in RESHAPES or kind == "copy"


def is_elementwise(layer: NeuralNetworkLayer) -> bool:
    """Return whether ``layer`` applies the same function to every number, whatever the shape."""
    kind = layer_kind(layer)
    if kind == "unary":
        return layer.unary.type in (layer.unary.THRESHOLD, layer.unary.ABS)
    if kind in ("add", "multiply"):
        return len(layer.input) == 1
    if kind == "activation":
        return layer.activation.WhichOneof("NonlinearityType") not in _PER_CHANNEL
    return kind in _ELEMENTWISE


def is_vector(shape: Shape) -> bool:
    """At most one length is not 1, so that order is all that matters."""
    return None not in shape and sum(length != 1 for length in shape) <= 1


def channels_of(shape: Shape) -> int:
    """How many numbers a vector-like shape holds."""
    return max((length for length in shape if length is not None), default=1)
