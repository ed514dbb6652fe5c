"""The layers of two networks put one behind the other, so that the second reads what the first gives."""

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.building_blocks import copied
from coreml_updatable.marking.layout.joints import first_joint, from_vector, in_old_mapping, last_joint
from coreml_updatable.marking.names import rename_blobs
from coreml_updatable.spec.features import feature_named
from coreml_updatable.spec.messages import Model, NeuralNetworkLayer
from coreml_updatable.spec.network import network_of
from coreml_updatable.spec.shapes import blob_shapes, element_count, input_shape


def joined_layers(front: Model, back: Model, features: str) -> list[NeuralNetworkLayer]:
    """All layers, ``front``'s first. Both models are changed: names that both have are made different.

    ``back`` reads the input ``features``, an output of ``front``. A pair of joints between them goes, where the blob
    before the one has the shape of the blob behind the other; else a reshape is put between, where it is needed.
    """
    given, read = _without_joints(front, back, features)
    between = [] if given != features else _reshape(front, back, features)
    _rename_apart(front, back, given, read)
    if between:
        free = _free(f"{features}_joint", _blobs(front) | _blobs(back))
        between[0].output[:] = [free]
        given = free
    rename_blobs(network_of(back), {read: given})
    return [copied(layer) for layer in (*network_of(front).layers, *between, *network_of(back).layers)]


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
    network = network_of(front) if not in_old_mapping(network_of(front)) else network_of(back)
    taken = {str(layer.name) for model in (front, back) for layer in network_of(model).layers}
    name = _free(f"{features}_joint", taken)
    return [from_vector(network, name, features, name, [length or 1 for length in wanted])]


def _rename_apart(front: Model, back: Model, given: str, read: str) -> None:
    """Blobs and layers that have one name in both: ``front``'s are renamed, but for its inputs."""
    inputs = {str(feature.name) for feature in front.description.input}
    shown = {str(feature.name) for feature in (*back.description.output, *back.description.trainingInput)} - {read}
    for name in sorted(inputs & shown):
        raise ModelError(f"files: both have a feature {name!r}, expected different names; rename one of them")
    theirs, taken = (_blobs(back) | shown) - {read}, _blobs(front) | _blobs(back) | shown
    renamed = {name: _fresh(name, taken) for name in sorted(theirs & _blobs(front) - inputs - {given})}
    rename_blobs(network_of(front), renamed)
    rename_blobs(network_of(back), {name: _fresh(name, taken) for name in sorted(theirs & inputs)})
    if given in theirs:
        raise ModelError(f"files: both have a blob {given!r}, expected different names; rename one of them")
    names = {str(layer.name) for layer in network_of(back).layers}
    known = names | {str(layer.name) for layer in network_of(front).layers}
    for layer in network_of(front).layers:
        if layer.name in names:
            layer.name = _fresh(str(layer.name), known)


def _blobs(model: Model) -> set[str]:
    layers = network_of(model).layers
    inputs = {str(feature.name) for feature in model.description.input}
    return inputs | {str(blob) for layer in layers for blob in (*layer.input, *layer.output)}


def _fresh(name: str, taken: set[str]) -> str:
    found = _free(f"{name}_front", taken)
    taken.add(found)
    return found


def _free(wanted: str, taken: set[str]) -> str:
    while wanted in taken:
        wanted += "_"
    return wanted
