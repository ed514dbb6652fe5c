"""Outputs whose declared type cannot hold what their layer gives: fractions in integers, 0..1 in a picture."""

from collections.abc import Iterator
from dataclasses import dataclass

from coreml_updatable.spec.graph import RESHAPES, layer_kind, place, producers
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, NeuralNetworkLayer
from coreml_updatable.spec.network import is_network, is_pipeline, network_of, pipeline_of

_ARRAY = FeatureTypes_pb2.ArrayFeatureType
_WHOLE = {_ARRAY.INT32: "Int32", _ARRAY.INT8: "Int8"}
_SHARES = ("softmax", "softmaxND")
_BOUNDED = ("sigmoid", "tanh", "sigmoidHard", "softsign")  # activations that give at most 1
_FRACTIONS = (  # kinds whose numbers are no whole ones, but for rare weights
    *_SHARES, "innerProduct", "convolution", "convolution3d", "batchedMatmul", "batchnorm", "lrn", "mvn", "l2normalize",
    "layerNormalization", "simpleRecurrent", "gru", "uniDirectionalLSTM", "biDirectionalLSTM", "average", "reduceMean",
    "gelu", "erf", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh",
    "divideBroadcastable", "embedding", "embeddingND",
)  # fmt: skip
_KEEPS = (*RESHAPES, "copy", "slice", "sliceStatic", "sliceDynamic", "splitND", "split", "reverse", "tile", "concat",
          "concatND", "crop", "clip", "clampedReLU")  # fmt: skip


@dataclass(frozen=True)
class CutOutput:
    """The output ``name`` is declared ``declared`` and is written by the layer at ``writer``, which gives ``gives``."""

    name: str
    declared: str
    writer: str
    gives: str

    def __str__(self) -> str:
        return (
            f"output '{self.name}': is declared as {self.declared}, but {self.writer} computes {self.gives}, which "
            "are lost"
        )


def cut_outputs(model: Model) -> Iterator[CutOutput]:
    """The outputs of a network that lose what their layer gives; nothing where that cannot be told."""
    if not is_network(model):
        return
    layers = network_of(model).layers
    written = producers(layers)
    for feature in model.description.output:
        kind = feature.type.WhichOneof("Type")
        whole = _WHOLE.get(feature.type.multiArrayType.dataType) if kind == "multiArrayType" else None
        blob, walked = str(feature.name), 0
        while blob in written and layer_kind(layers[written[blob]]) in _KEEPS and walked <= len(layers):
            blob, walked = str(layers[written[blob]].input[0]) if layers[written[blob]].input else "", walked + 1
        index = written.get(blob)
        if index is None:
            continue
        bounded, fractional = _at_most_1(layers[index]), _gives_fractions(layers[index])
        where = f"{place(index, layers[index])} ({layer_kind(layers[index])})"
        if whole is not None and (bounded or fractional):
            yield CutOutput(str(feature.name), whole, where, "numbers up to 1" if bounded else "fractions")
        elif kind == "imageType" and bounded:
            yield CutOutput(str(feature.name), "an image of 0 to 255", where, "numbers up to 1")


def all_cut_outputs(model: Model) -> Iterator[CutOutput]:
    """Those of the model, and of the members of its pipelines."""
    waiting = [model]
    while waiting:
        each = waiting.pop()
        yield from cut_outputs(each)
        if is_pipeline(each):
            waiting.extend(reversed(pipeline_of(each).models))


def _at_most_1(layer: NeuralNetworkLayer) -> bool:
    kind = layer_kind(layer)
    return kind in _SHARES or kind == "tanh" or _activation(layer) in _BOUNDED


def _gives_fractions(layer: NeuralNetworkLayer) -> bool:
    return layer_kind(layer) in _FRACTIONS or _activation(layer) in (*_BOUNDED, "ELU", "softplus", "scaledTanh")


def _activation(layer: NeuralNetworkLayer) -> str:
    return str(layer.activation.WhichOneof("NonlinearityType")) if layer_kind(layer) == "activation" else ""
