"""Rules for blobs: how many a layer reads and writes, and their ranks, depending on the array mapping
(``NeuralNetworkMultiArrayShapeMapping``).
"""

from collections.abc import Iterator

from coreml_updatable.checking.problem import Finding
from coreml_updatable.checking.stated_axes import stated_axes
from coreml_updatable.spec.graph import every_layer, inner_networks, layer_kind, place
from coreml_updatable.spec.layer_kinds import MANY as _MANY
from coreml_updatable.spec.layer_kinds import wrong_counts
from coreml_updatable.spec.messages import (
    FeatureDescription,
    Model,
    NeuralNetwork,
    NeuralNetwork_pb2,
    NeuralNetworkLayer,
)
from coreml_updatable.spec.network import network_of

# fmt: off
# Rank of the first input and the first output, outside the rank-5 mode; these kinds keep it, too.
_RANKS: dict[str, tuple[int, int]] = {
    "convolution": (4, _MANY), "pooling": (4, _MANY), "innerProduct": (1, 5), "embedding": (4, _MANY),
    "batchnorm": (3, _MANY), "mvn": (3, _MANY), "l2normalize": (3, _MANY), "softmax": (3, _MANY), "lrn": (3, _MANY),
    "crop": (3, _MANY), "padding": (2, _MANY), "upsample": (3, _MANY), "resizeBilinear": (3, _MANY),
    "cropResize": (5, _MANY), "unary": (0, _MANY), "scale": (3, _MANY), "bias": (3, _MANY), "dot": (3, _MANY),
    "reshape": (5, 5), "flatten": (3, _MANY), "permute": (5, 5), "concat": (3, _MANY), "split": (3, _MANY),
    "sequenceRepeat": (5, _MANY), "reorganizeData": (3, _MANY), "simpleRecurrent": (5, 5), "gru": (5, 5),
    "uniDirectionalLSTM": (5, 5), "biDirectionalLSTM": (5, 5), "embeddingND": (2, 5), "constantPad": (0, _MANY),
    "argSort": (0, _MANY), "topK": (0, _MANY), "pooling3d": (5, _MANY),
    "globalPooling3d": (5, _MANY), "convolution3d": (5, _MANY),
}
# fmt: on
_BY_CHANNEL = ("PReLU", "parametricSoftplus")  # activations that have a parameter a channel


def blobs_counted(model: Model) -> Iterator[Finding]:
    """Every layer has as many inputs and outputs as its kind requires."""
    for where, layer in every_layer(model):
        for actual, expected in wrong_counts(layer):
            yield Finding(where, actual, expected)


def ranks_of(layer: NeuralNetworkLayer) -> tuple[int, int] | None:
    """Return the least and greatest rank of input and output, which are equal; None if its kind has no limit."""
    kind = layer_kind(layer)
    if kind == "activation" and layer.activation.WhichOneof("NonlinearityType") in _BY_CHANNEL:
        return 3, _MANY
    if kind == "concat" and layer.concat.sequenceConcat:
        return 5, _MANY
    if kind in ("argMax", "argMin") and not getattr(layer, kind).removeDim:
        return 0, _MANY
    return _RANKS.get(kind)


def rank_in_words(limits: tuple[int, int]) -> str:
    least, most = limits
    if least == most:
        return str(least)
    return f"at least {least}" if most == _MANY else f"{least} to {most}"


_LAST_OLD_FIELD = 500  # layer kinds up to ``custom`` existed in specification 3
_FIELDS = NeuralNetwork_pb2.NeuralNetworkLayer.DESCRIPTOR.fields_by_name
_ALIKE = ("concat", "crop", "cropResize", "dot", "split", "topK")  # all their inputs, or outputs, have one rank
_OLD_IMAGES = NeuralNetwork_pb2.RANK5_IMAGE_MAPPING


def is_old_kind(layer: NeuralNetworkLayer) -> bool:
    """Return whether specification 3 had such a layer; some old kinds got modes later."""
    kind = layer_kind(layer)
    newer = {
        "convolution": len(layer.input) != 1,  # given its weights
        "innerProduct": layer.innerProduct.int8DynamicQuantize,
        "upsample": layer.upsample.linearUpsampleMode != 0 or len(layer.upsample.fractionalScalingFactor) > 0,
        "reorganizeData": layer.reorganizeData.mode == layer.reorganizeData.PIXEL_SHUFFLE,
    }
    return bool(kind) and not newer.get(kind) and bool(_FIELDS[kind].number <= _LAST_OLD_FIELD)


def is_rank_5(network: NeuralNetwork) -> bool:
    """Rank-5 mode: both mappings are the old ones, and every layer existed in specification 3."""
    return (
        network.arrayInputShapeMapping == NeuralNetwork_pb2.RANK5_ARRAY_MAPPING
        and network.imageInputShapeMapping == _OLD_IMAGES
        and all(is_old_kind(layer) for layer in network.layers)
    )


def exact_mapping(model: Model) -> Iterator[Finding]:
    """An array input needs EXACT_ARRAY_MAPPING if a layer is newer than specification 3 or images use a new mapping."""
    network = network_of(model)
    if network.arrayInputShapeMapping != NeuralNetwork_pb2.RANK5_ARRAY_MAPPING or not _arrays(model):
        return
    where, expected = "arrayInputShapeMapping", "EXACT_ARRAY_MAPPING"
    newer = [index for index, layer in enumerate(network.layers) if not is_old_kind(layer)]
    if newer:
        layer = network.layers[newer[0]]
        yield Finding(where, f"is RANK5, with {place(newer[0], layer)}, a {layer_kind(layer) or 'new kind'}", expected)
    elif network.imageInputShapeMapping != _OLD_IMAGES:
        yield Finding(where, "is RANK5, with another mapping of images", expected)


def rank_5_inputs(model: Model) -> Iterator[Finding]:
    """An array input has rank 1 or 3 in rank-5 mode, otherwise any rank; size ranges, if any, match its rank."""
    old = is_rank_5(network_of(model))
    for feature in _arrays(model):
        array, where = feature.type.multiArrayType, f"input '{feature.name}'"
        rank, ranges = len(array.shape), len(array.shapeRange.sizeRanges)
        flexible = array.WhichOneof("ShapeFlexibility")
        if old:
            ranks = (
                {ranges} if flexible == "shapeRange" else {len(each.shape) for each in array.enumeratedShapes.shapes}
            )
            fits = rank in (1, 3) or (rank == 0 and flexible is not None and ranks <= {1, 3})
            if not fits and (rank or flexible):
                yield Finding(where, f"has rank {rank or sorted(ranks)}", "1 or 3")
        elif rank == 0 and flexible:
            yield Finding(where, "has a flexible shape and no default", "a default shape", "state its shape")
        elif flexible == "shapeRange" and ranges != rank:
            yield Finding(where, f"has {ranges} ranges at rank {rank}", str(rank), "state a range for each length")


def known_ranks(model: Model) -> Iterator[Finding]:
    """The ranks that a file states agree with each other, and its layers can work with them and keep them."""
    network = network_of(model)
    if not is_rank_5(network):
        yield from _ranks_of(network, "", described_ranks(model))


def _ranks_of(network: NeuralNetwork, inside: str, known: dict[str, int]) -> Iterator[Finding]:
    """Extend ``known``; ranks stated in a nested network are known only inside it."""
    for index, layer in enumerate(network.layers):
        where = inside + place(index, layer)
        for word, blobs, tensors in (
            ("input", layer.input, layer.inputTensor),
            ("output", layer.output, layer.outputTensor),
        ):
            if tensors and len(tensors) != len(blobs):
                yield Finding(
                    where, f"states {len(tensors)} {word} ranks for {len(blobs)} blobs", "equal numbers", "clear them"
                )
            for blob, tensor in zip(blobs, tensors, strict=False):
                if tensor.dimValue and len(tensor.dimValue) != tensor.rank:
                    result = f"states rank {tensor.rank} and {len(tensor.dimValue)} lengths of '{blob}'"
                    yield Finding(where, result, "as many lengths as the rank")
                elif known.setdefault(str(blob), int(tensor.rank)) != tensor.rank:
                    result = f"states rank {tensor.rank} for '{blob}'"
                    yield Finding(where, result, f"{known[str(blob)]}, as stated elsewhere")
        yield from _at_work(where, layer, known)
        yield from stated_axes(where, layer)
        for name, inner in inner_networks(layer):
            yield from _ranks_of(inner, f"{where}: {name}: ", dict(known))


def described_ranks(model: Model) -> dict[str, int]:
    """Return the ranks of the model's inputs and outputs, as far as its description states them."""
    network = network_of(model)
    old = network.arrayInputShapeMapping == NeuralNetwork_pb2.RANK5_ARRAY_MAPPING
    ranks = {
        str(f.name): 5 if old else len(f.type.multiArrayType.shape)
        for f in _arrays(model)
        if old or f.type.multiArrayType.shape
    }
    for feature in model.description.input:
        if feature.type.WhichOneof("Type") == "imageType":
            ranks[str(feature.name)] = 5 if network.imageInputShapeMapping == _OLD_IMAGES else 4
    for feature in model.description.output:
        if feature.type.multiArrayType.shape:
            ranks[str(feature.name)] = len(feature.type.multiArrayType.shape)
    return ranks


def _at_work(where: str, layer: NeuralNetworkLayer, known: dict[str, int]) -> Iterator[Finding]:
    limits = ranks_of(layer)
    if limits is None or not layer.input or not layer.output:
        return
    rank, result = known.get(str(layer.input[0])), known.get(str(layer.output[0]))
    for found in sorted({each for each in (rank, result) if each is not None}):
        if not limits[0] <= found <= limits[1]:
            yield Finding(
                where,
                f"is a {layer_kind(layer)} at rank {found}",
                rank_in_words(limits),
                "reshape to [1, C, 1, 1] before it" if limits[0] in (3, 4) else "",
            )
    if rank is not None and result is not None and rank != result:
        yield Finding(where, f"turns rank {rank} into {result}", "the same rank", "correct the stated ranks")
    kind = layer_kind(layer)
    alike = layer.output if kind in ("split", "topK") else layer.input[1:]
    for blob in alike if kind in _ALIKE else ():
        other = known.get(str(blob))
        if None not in (rank, other) and other != rank:
            ranks = f"has '{layer.input[0]}' of rank {rank} beside '{blob}' of rank {other}"
            yield Finding(where, ranks, "equal ranks", "correct the stated ranks")


def _arrays(model: Model) -> list[FeatureDescription]:
    return [each for each in model.description.input if each.type.WhichOneof("Type") == "multiArrayType"]
