"""Extract the frozen front of a classifier as a separate model, or use a whole network that outputs a vector."""

from collections.abc import Sequence
from itertools import takewhile
from math import prod

from coreml_updatable.errors import ModelError, with_article
from coreml_updatable.marking.building_blocks import global_average_pooling, reshape_static
from coreml_updatable.marking.marking import LOWEST_SPECIFICATION_VERSION, drop_date
from coreml_updatable.marking.names import name_layers, rename_blobs
from coreml_updatable.marking.path import HEADS, gradient_path, is_markable, softmax_of
from coreml_updatable.marking.repair import repair_tail
from coreml_updatable.marking.soundness import expect_sound
from coreml_updatable.marking.tail import find_tail, is_vector
from coreml_updatable.spec.features import describe_floats, the_input
from coreml_updatable.spec.graph import blobs_of, free_name, layer_kind, needed_layers, place, producers
from coreml_updatable.spec.messages import (
    FeatureDescription,
    Model,
    Model_pb2,
    NeuralNetwork,
    NeuralNetwork_pb2,
    NeuralNetworkLayer,
)
from coreml_updatable.spec.network import NO_PROGRAMS, is_pipeline, last_member, network_of
from coreml_updatable.spec.shapes import blob_shapes, element_count, input_shape
from coreml_updatable.spec.storage import weight_fields

EMBEDDING = "embedding"
DESCRIPTION = "The embedding of the input."
MAX_LENGTH = 2**24  # values of an embedding; a k-NN looks at all of them for every sample


def extractor(model: Model, *, embedding: str = EMBEDDING) -> Model:
    """Return the layers of the classifier ``model`` before its head as a ``neuralNetwork`` with output ``embedding``.

    The head is the last innerProduct or convolution before the softmax. Consecutive innerProducts are one linear map,
    so the head then begins with the first of them. Its input becomes a float32 array of rank 1 and shape [D], the only
    rank that a nearest-neighbors classifier accepts safely; a map with height and width is averaged over them first.
    Raises ModelError if there is no head or several inputs.
    """
    repaired, head = with_head(model)
    source = str(head.input[0])
    result = frozen_front(repaired, source)
    result.description.metadata.ClearField("shortDescription")  # it tells of the whole classifier
    keep_exact_arrays(result)
    _end_at_rank_1(result, result.neuralNetwork, head, blob_shapes(repaired).get(source), embedding)
    return result


def with_head(model: Model) -> tuple[Model, NeuralNetworkLayer]:
    """Return ``model`` repaired and with readable names, and the first layer of its head."""
    repaired = name_layers(repair_tail(model)[0])
    network = network_of(repaired)
    return repaired, _head(network, softmax_of(network, repaired))


def frozen_front(model: Model, blob: str) -> Model:
    """Return the layers on which ``blob`` depends, frozen, as a ``neuralNetwork`` that has no output yet."""
    network = network_of(model)
    result = Model_pb2.Model()
    result.specificationVersion = max(LOWEST_SPECIFICATION_VERSION, model.specificationVersion)
    result.description.input.add().CopyFrom(the_input(model))
    result.description.metadata.CopyFrom(model.description.metadata)
    drop_date(result)
    front = result.neuralNetwork
    front.arrayInputShapeMapping = network.arrayInputShapeMapping
    front.imageInputShapeMapping = network.imageInputShapeMapping
    front.preprocessing.extend(network.preprocessing)
    front.layers.extend(network.layers[index] for index in needed_layers(network.layers, [blob]))
    _freeze(front)
    return result


def embedding_length(extractor: Model) -> int:
    """Return D, the length of an extractor's embedding."""
    return int(extractor.description.output[0].type.multiArrayType.shape[0])


def _head(network: NeuralNetwork, softmax: int) -> NeuralNetworkLayer:
    layers = [network.layers[position] for position in gradient_path(network, str(network.layers[softmax].input[0]))]
    for index, layer in enumerate(layers):
        if is_markable(layer) and layer_kind(layer) in HEADS:
            return _first_in_a_row(layers[index:])
    where = place(softmax, network.layers[softmax])
    raise ModelError(
        f"{where}: has no innerProduct or convolution before it, expected the head there; use a classifier"
    )


def _first_in_a_row(layers: Sequence[NeuralNetworkLayer]) -> NeuralNetworkLayer:
    """Return the first of the consecutive innerProducts with which ``layers``, from the output backward, begin."""
    row = list(takewhile(lambda layer: layer_kind(layer) == "innerProduct", layers))
    return row[-1] if row else layers[0]


def _freeze(network: NeuralNetwork) -> None:
    for layer in network.layers:
        layer.isUpdatable = False
        for _, weights in weight_fields(layer):
            if weights.isUpdatable:
                weights.isUpdatable = False


def keep_exact_arrays(model: Model) -> None:
    """Set the exact mapping, which newer layers need, and reshape the input as the old mapping did."""
    network = network_of(model)
    feature = model.description.input[0]
    exact = NeuralNetwork_pb2.EXACT_ARRAY_MAPPING
    if feature.type.WhichOneof("Type") != "multiArrayType" or network.arrayInputShapeMapping == exact:
        network.arrayInputShapeMapping = exact
        return
    shape = input_shape(feature, network)
    if shape is None or None in shape:
        raise ModelError(f"input {str(feature.name)!r}: has no fixed shape; export the model with a fixed shape")
    network.arrayInputShapeMapping = exact
    name, blob = str(feature.name), f"{feature.name}_rank5"
    for layer in network.layers:
        layer.input[:] = [blob if read == name else read for read in layer.input]
    layers = [reshape_static("input_rank5", name, blob, [length or 1 for length in shape]), *network.layers]
    del network.layers[:]
    network.layers.extend(layers)


def _end_at_rank_1(
    model: Model, network: NeuralNetwork, head: NeuralNetworkLayer, shape: tuple[int | None, ...] | None, embedding: str
) -> None:
    source = str(head.input[0])
    if embedding in blobs_of(network.layers):
        raise ModelError(f"embedding: a blob is already named {embedding!r}; choose another name")
    if not network.layers:
        source = str(model.description.input[0].name)
    if layer_kind(head) == "innerProduct":
        length = int(head.innerProduct.inputChannels)
    else:
        length = int(head.convolution.kernelChannels) * max(1, int(head.convolution.nGroups))
        if shape is None or None in shape or prod(n for n in shape[-2:] if n is not None) != 1:
            network.layers.append(global_average_pooling("embedding_pool", source, "embedding_pool"))
            source = "embedding_pool"
    network.layers.append(reshape_static(embedding, source, embedding, [length]))
    describe_floats(model.description.output.add(name=embedding), length, description=DESCRIPTION)


def has_head(model: Model) -> bool:
    """Return whether ``model`` ends in a removable head: a classifier, or a plain network that ends in a softmax."""
    kind = model.WhichOneof("Type")
    if kind != "neuralNetwork":
        return bool(kind == "neuralNetworkClassifier")
    expect_sound(model)
    return find_tail(model).softmax is not None


def whole_extractor(model: Model) -> Model:
    """Return the plain network ``model``, frozen, with its only output as a float32 array of shape [D]; names stay.

    An output of another shape, such as [1, D] or [D, 1, 1], is reshaped. Raises ModelError for another kind of model,
    several inputs or outputs, and an output that is not a vector of known length.
    """
    kind = model.WhichOneof("Type")
    if kind == "neuralNetworkClassifier":
        raise ModelError(
            "extractor: is a classifier, expected a network that outputs a vector; cut it before its head, with --cut"
        )
    if kind == "mlProgram":
        raise ModelError(f"extractor: {NO_PROGRAMS}")
    last = last_member(model) if is_pipeline(model) else model
    if last.WhichOneof("Type") == "kNearestNeighborsClassifier":
        raise ModelError("extractor: ends in a k-NN already; update it, or give the network that it was made from")
    if kind != "neuralNetwork":
        raise ModelError(
            f"extractor: is {with_article(kind)}, expected a plain network or a classifier network; export the "
            "network alone"
        )
    expect_sound(model)
    output = _the_output(model)
    name, shape = str(output.name), blob_shapes(model).get(str(output.name))
    length = _length(output, shape)
    result = frozen_front(model, name)
    if shape == (length,):
        result.description.output.add().CopyFrom(output)
        result.description.output[0].type.multiArrayType.Clear()
        describe_floats(result.description.output[0], length)
        return result
    network = network_of(result)
    free = free_name(f"{name}_blob", blobs_of(network.layers))
    rename_blobs(network, {name: free})
    keep_exact_arrays(result)
    layer_name = free_name(f"{name}_vector", {str(layer.name) for layer in network.layers})
    network.layers.append(reshape_static(layer_name, free, name, [length]))
    description = str(output.shortDescription) or DESCRIPTION
    describe_floats(result.description.output.add(name=name), length, description=description)
    return result


def _the_output(model: Model) -> FeatureDescription:
    outputs = model.description.output
    if len(outputs) != 1:
        names = ", ".join(repr(str(feature.name)) for feature in outputs) or "none"
        raise ModelError(f"extractor: has {len(outputs)} outputs ({names}), expected 1; keep only the features")
    kind = outputs[0].type.WhichOneof("Type")
    if kind != "multiArrayType":
        raise ModelError(
            f"output {str(outputs[0].name)!r}: is {with_article(kind)}, expected an array; export the features"
        )
    if outputs[0].name not in producers(network_of(model).layers):
        raise ModelError(f"output {str(outputs[0].name)!r}: is not written by any layer; export the network again")
    return outputs[0]


def _length(output: FeatureDescription, shape: tuple[int | None, ...] | None) -> int:
    """Return D; if the layers do not determine the shape, the description must."""
    name, array = str(output.name), output.type.multiArrayType
    declared = tuple(int(length) for length in array.shape)
    if shape is None or None in shape:
        if not declared or array.WhichOneof("ShapeFlexibility"):
            raise ModelError(f"output {name!r}: has no fixed shape, expected a vector; export with a fixed input shape")
        shape = declared
    length = element_count(shape)
    if length is None or not is_vector(shape) or length < 1 or length > MAX_LENGTH:
        raise ModelError(
            f"output {name!r}: has the shape {list(shape)}, expected a vector; end the network in a global pooling"
        )
    if declared and element_count(declared) != length:
        raise ModelError(
            f"output {name!r}: is declared as {list(declared)}, but the layers compute {list(shape)}; export it again"
        )
    return length
