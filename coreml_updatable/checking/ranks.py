"""Rules of the shape mappings and ranks (``NeuralNetworkMultiArrayShapeMapping``)."""

from collections.abc import Iterator

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.graph import layer_kind, place
from coreml_updatable.spec.messages import Model, NeuralNetwork, NeuralNetwork_pb2, NeuralNetworkLayer
from coreml_updatable.spec.network import network_of

_LAST_OLD_FIELD = 500  # layer kinds up to ``custom`` existed in specification 3
_FIELDS = NeuralNetwork_pb2.NeuralNetworkLayer.DESCRIPTOR.fields_by_name
_LEAST_RANK = {"softmax": 3, "flatten": 3, "batchnorm": 3, "convolution": 4, "pooling": 4, "innerProduct": 1}
_MOST_RANK = {"innerProduct": 5}


def is_old_kind(layer: NeuralNetworkLayer) -> bool:
    """Whether the layer's kind existed in specification 3."""
    kind = layer_kind(layer)
    return not kind or bool(_FIELDS[kind].number <= _LAST_OLD_FIELD)


def is_rank_5(network: NeuralNetwork) -> bool:
    """Rank-5 mode: both mappings are the old ones, and every layer existed in specification 3."""
    return (
        network.arrayInputShapeMapping == NeuralNetwork_pb2.RANK5_ARRAY_MAPPING
        and network.imageInputShapeMapping == NeuralNetwork_pb2.RANK5_IMAGE_MAPPING
        and all(is_old_kind(layer) for layer in network.layers)
    )


def exact_mapping(model: Model) -> Iterator[Finding]:
    """An array input together with a layer newer than specification 3 needs EXACT_ARRAY_MAPPING."""
    network = network_of(model)
    arrays = [f for f in model.description.input if f.type.WhichOneof("Type") == "multiArrayType"]
    newer = [number for number, layer in enumerate(network.layers) if not is_old_kind(layer)]
    if arrays and newer and network.arrayInputShapeMapping != NeuralNetwork_pb2.EXACT_ARRAY_MAPPING:
        layer = network.layers[newer[0]]
        yield Finding(
            "arrayInputShapeMapping",
            f"is RANK5 beside {place(newer[0], layer)}, a {layer_kind(layer)}",
            "EXACT_ARRAY_MAPPING",
        )


def rank_5_inputs(model: Model) -> Iterator[Finding]:
    """In rank-5 mode an array input has rank 1 or 3."""
    if not is_rank_5(network_of(model)):
        return
    for feature in model.description.input:
        rank = len(feature.type.multiArrayType.shape)
        if feature.type.WhichOneof("Type") == "multiArrayType" and rank not in (0, 1, 3):
            yield Finding(f"input {str(feature.name)!r}", f"has rank {rank}", "1 or 3")


def known_ranks(model: Model) -> Iterator[Finding]:
    """Declared ranks are at least 3 at softmax, flatten and batchnorm, 4 at convolution and pooling, and are kept."""
    network = network_of(model)
    if is_rank_5(network):
        return
    declared = declared_ranks(model)
    for number, layer in enumerate(network.layers):
        kind = layer_kind(layer)
        if kind not in _LEAST_RANK or not layer.input or not layer.output:
            continue
        rank, result = declared.get(str(layer.input[0])), declared.get(str(layer.output[0]))
        for found in sorted({rank, result} - {None}, key=str):
            if found is not None and not _LEAST_RANK[kind] <= found <= _MOST_RANK.get(kind, found):
                expected = (
                    f"{_LEAST_RANK[kind]} to {_MOST_RANK[kind]}"
                    if kind in _MOST_RANK
                    else f"at least {_LEAST_RANK[kind]}"
                )
                yield Finding(
                    place(number, layer), f"is a {kind} at rank {found}", expected, "reshape to [1, C, 1, 1] before it"
                )
        if None not in (rank, result) and rank != result:
            yield Finding(
                place(number, layer), f"turns rank {rank} into {result}", "the same rank", "mend the declared ranks"
            )


def declared_ranks(model: Model) -> dict[str, int]:
    """Ranks that the file states: of inputs and outputs of the model, and of the tensors listed in layers."""
    network = network_of(model)
    ranks: dict[str, int] = {}
    old_images = network.imageInputShapeMapping == NeuralNetwork_pb2.RANK5_IMAGE_MAPPING
    for feature in (*model.description.input, *model.description.output):
        kind = feature.type.WhichOneof("Type")
        if kind == "imageType":
            ranks[str(feature.name)] = 5 if old_images else 4
        elif kind == "multiArrayType" and feature.type.multiArrayType.shape:
            ranks[str(feature.name)] = len(feature.type.multiArrayType.shape)
    for layer in network.layers:
        for blobs, tensors in ((layer.input, layer.inputTensor), (layer.output, layer.outputTensor)):
            ranks.update(
                {str(blob): int(tensor.rank) for blob, tensor in zip(blobs, tensors, strict=False) if tensor.rank}
            )
    return ranks
