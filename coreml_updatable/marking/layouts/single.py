"""One network: the layers of the extractor, followed by those of the head.

extractor: ... -> blob -> [joint] -> features [D]          head: features [D] -> [joint] -> blob -> ...

Networks in the old mapping know no reshapeStatic; there, flatten and reshape do the same.
"""

from collections.abc import Sequence

from coreml_updatable.checking.ranks import is_rank_5
from coreml_updatable.errors import ModelError, with_article
from coreml_updatable.marking.building_blocks import flatten, new_layer, reshape_static
from coreml_updatable.marking.extractor import keep_exact_arrays
from coreml_updatable.marking.layouts.parts import Parts, handed_over, training_inputs
from coreml_updatable.marking.layouts.precision import with_bits
from coreml_updatable.marking.names import rename_blobs
from coreml_updatable.spec.features import feature_named, the_input
from coreml_updatable.spec.graph import blobs_of, consumers, free_name, layer_kind
from coreml_updatable.spec.messages import Model, NeuralNetwork, NeuralNetwork_pb2, NeuralNetworkLayer, copy_of
from coreml_updatable.spec.network import is_network, network_of
from coreml_updatable.spec.shapes import blob_shapes, element_count, input_shape

_JOINTS = ("reshapeStatic", "flatten", "reshape")


def to_vector(network: NeuralNetwork, name: str, blob: str, features: str, length: int) -> NeuralNetworkLayer:
    """Build the last layer of the extractor."""
    if is_rank_5(network):
        return flatten(name, blob, features)
    return reshape_static(name, blob, features, [length])


def from_vector(
    network: NeuralNetwork, name: str, features: str, blob: str, shape: Sequence[int]
) -> NeuralNetworkLayer:
    """Build the first layer of the head."""
    if not is_rank_5(network):
        return reshape_static(name, features, blob, shape)
    if tuple(shape[-2:]) == (1, 1):
        return flatten(name, features, blob)
    layer = new_layer(name, features, blob)
    layer.reshape.targetShape.extend(shape[-3:])
    layer.reshape.mode = NeuralNetwork_pb2.ReshapeLayerParams.CHANNEL_FIRST
    return layer


def last_joint(model: Model, features: str) -> NeuralNetworkLayer | None:
    """Return the joint that writes ``features`` and does nothing else for the extractor; None if there is none."""
    layers = network_of(model).layers
    if not layers or features in consumers(layers):
        return None
    return layers[-1] if _is_joint(layers[-1]) and list(layers[-1].output) == [features] else None


def first_joint(model: Model, features: str) -> NeuralNetworkLayer | None:
    """Return the only layer in the head that reads ``features``, if it is a joint; otherwise None."""
    layers = network_of(model).layers
    if not layers or consumers(layers).get(features) != [0] or features in (f.name for f in model.description.output):
        return None
    return layers[0] if _is_joint(layers[0]) and list(layers[0].input) == [features] else None


def _is_joint(layer: NeuralNetworkLayer) -> bool:
    return layer_kind(layer) in _JOINTS and len(layer.input) == 1 and len(layer.output) == 1


def joined_layers(front: Model, back: Model, features: str) -> list[NeuralNetworkLayer]:
    """All layers, ``front``'s first. Both models are changed: names that both have are made different.

    ``back`` reads the input ``features``, an output of ``front``. A pair of joints between them goes, where the blob
    before the one has the shape of the blob behind the other; else a reshape is put between, where it is needed.
    """
    given, read = _without_joints(front, back, features)
    between = [] if given != features else _reshape(front, back, features)
    _rename_apart(front, back, given, read)
    if between:
        free = free_name(f"{features}_joint", _blobs(front) | _blobs(back))
        between[0].output[:] = [free]
        given = free
    rename_blobs(network_of(back), {read: given})
    return [copy_of(layer) for layer in (*network_of(front).layers, *between, *network_of(back).layers)]


def _without_joints(front: Model, back: Model, features: str) -> tuple[str, str]:
    """The blob that ``front`` gives and the one that ``back`` reads; joints that undo each other are taken out."""
    last, first = last_joint(front, features), first_joint(back, features)
    if last is None or first is None:
        return features, features
    given, read = str(last.input[0]), str(first.output[0])
    shape = blob_shapes(front).get(given)
    if shape is None or None in shape or shape != blob_shapes(back).get(read):
        return features, features
    if given in {str(feature.name) for feature in front.description.input}:
        return features, features  # nothing but the joint would be left
    del network_of(front).layers[-1]
    del network_of(back).layers[0]
    return given, read


def _reshape(front: Model, back: Model, features: str) -> list[NeuralNetworkLayer]:
    """What gives the features the shape under which ``back`` sees its input; nothing where they have it."""
    feature = feature_named(back.description.input, features)
    wanted = input_shape(feature, network_of(back)) if feature is not None else None
    if wanted is None or element_count(wanted) is None:
        raise ModelError(f"head: its input {features!r} has no fixed shape, expected one; export it with a fixed shape")
    if blob_shapes(front).get(features) == wanted:
        return []
    network = network_of(front) if not is_rank_5(network_of(front)) else network_of(back)
    taken = {str(layer.name) for model in (front, back) for layer in network_of(model).layers}
    name = free_name(f"{features}_joint", taken)
    return [from_vector(network, name, features, name, [length or 1 for length in wanted])]


def _rename_apart(front: Model, back: Model, given: str, read: str) -> None:
    """Rename blobs and layers of ``front``, except its inputs, whose names ``back`` uses, too."""
    inputs = {str(feature.name) for feature in front.description.input}
    shown = {str(feature.name) for feature in (*back.description.output, *back.description.trainingInput)} - {read}
    for name in sorted(inputs & shown):
        raise ModelError(f"files: both have a feature {name!r}; rename one of them")
    theirs, taken = (_blobs(back) | shown) - {read}, _blobs(front) | _blobs(back) | shown
    renamed = {name: _fresh(name, taken) for name in sorted(theirs & _blobs(front) - inputs - {given})}
    rename_blobs(network_of(front), renamed)
    rename_blobs(network_of(back), {name: _fresh(name, taken) for name in sorted(theirs & inputs)})
    if given in theirs:
        raise ModelError(f"files: both have a blob {given!r}; rename one of them")
    names = {str(layer.name) for layer in network_of(back).layers}
    known = names | {str(layer.name) for layer in network_of(front).layers}
    for layer in network_of(front).layers:
        if layer.name in names:
            layer.name = _fresh(str(layer.name), known)


def _blobs(model: Model) -> set[str]:
    return blobs_of(network_of(model).layers) | {str(feature.name) for feature in model.description.input}


def _fresh(name: str, taken: set[str]) -> str:
    result = free_name(f"{name}_front", taken)
    taken.add(result)
    return result


def to_single(parts: Parts) -> Model:
    """Return both parts as one network of the head's type; 16-bit and quantized weights become 32-bit floats.

    The result of ``from_single`` is joined as it was before. Raises ModelError for a k-NN, which is not a layer of a
    network, for an extractor that is not a plain network, and for weights that cannot be converted to 32 bits.
    """
    _expect_networks(parts)
    features = str(handed_over(parts).name)
    front, back = with_bits(parts.extractor, 32), copy_of(parts.head)
    old = is_rank_5(network_of(front))
    if old and not is_rank_5(network_of(back)):
        _leave_old_mapping(front)
    result = copy_of(back)
    layers = joined_layers(front, back, features)
    network, changed = network_of(result), network_of(back)
    if changed.DESCRIPTOR.name == "NeuralNetworkClassifier":
        network.labelProbabilityLayerName = changed.labelProbabilityLayerName
    network.updateParams.CopyFrom(changed.updateParams)
    del network.layers[:]
    network.layers.extend(layers)
    network.preprocessing.extend(network_of(front).preprocessing)
    network.arrayInputShapeMapping = network_of(front).arrayInputShapeMapping
    network.imageInputShapeMapping = network_of(front).imageInputShapeMapping
    result.specificationVersion = max(front.specificationVersion, back.specificationVersion)
    trained = training_inputs(parts)
    del result.description.input[:]
    result.description.input.extend(front.description.input)
    del result.description.trainingInput[:]
    result.description.trainingInput.extend(trained)
    return result


def _expect_networks(parts: Parts) -> None:
    kind = parts.head.WhichOneof("Type")
    if kind == "kNearestNeighborsClassifier":
        raise ModelError("head: is a k-NN, which cannot be a layer of a network; use a pipeline or a split")
    if not is_network(parts.head):
        raise ModelError(f"head: is {with_article(kind)}, expected a network; only networks can be joined into one")
    kind = parts.extractor.WhichOneof("Type")
    if kind != "neuralNetwork":
        raise ModelError(
            f"extractor: is {with_article(kind)}, expected a plain network; only networks can be joined into one"
        )


def _leave_old_mapping(front: Model) -> None:
    """The head's layers are newer: arrays are then given the shape that the old mapping gave them."""
    if any(feature.type.WhichOneof("Type") == "multiArrayType" for feature in front.description.input):
        the_input(front)
        keep_exact_arrays(front)
