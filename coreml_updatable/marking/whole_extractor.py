"""A plain network that answers a vector, taken as an extractor as it is: no head is cut off."""

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.building_blocks import reshape_static
from coreml_updatable.marking.extractor import LONGEST, add_vector_output, frozen_front, keep_exact_arrays
from coreml_updatable.marking.names import rename_blobs
from coreml_updatable.marking.soundness import expect_sound
from coreml_updatable.marking.tail import find_tail, is_vector
from coreml_updatable.spec.graph import producers
from coreml_updatable.spec.messages import FeatureDescription, FeatureTypes_pb2, Model
from coreml_updatable.spec.network import NO_PROGRAMS, network_of
from coreml_updatable.spec.shapes import blob_shapes, element_count

_FLOAT32 = FeatureTypes_pb2.ArrayFeatureType.FLOAT32


def has_head(model: Model) -> bool:
    """Whether ``model`` ends in a head that can be cut off: a classifier, or a plain network that ends in a softmax."""
    kind = model.WhichOneof("Type")
    if kind != "neuralNetwork":
        return bool(kind == "neuralNetworkClassifier")
    expect_sound(model)
    return find_tail(model).softmax is not None


def whole_extractor(model: Model) -> Model:
    """The plain network ``model``, frozen, with its one output as a float32 array of shape [D]; names stay.

    An output of another shape, such as [1, D] or [D, 1, 1], is reshaped. Raises ModelError for another kind of model,
    several inputs or outputs, and for an output that is no vector of known length.
    """
    kind = model.WhichOneof("Type")
    if kind == "neuralNetworkClassifier":
        raise ModelError("extractor: is a classifier, expected a network that answers a vector; cut it before its head")
    if kind == "mlProgram":
        raise ModelError(f"extractor: {NO_PROGRAMS}")
    if kind != "neuralNetwork":
        raise ModelError(
            f"extractor: is a {kind}, expected a plain network or a classifier network; export the network alone"
        )
    expect_sound(model)
    output = _the_output(model)
    name, shape = str(output.name), blob_shapes(model).get(str(output.name))
    length = _length(output, shape)
    made = frozen_front(model, name)
    if shape == (length,):
        made.description.output.add().CopyFrom(output)
        array = made.description.output[0].type.multiArrayType
        array.Clear()
        array.shape.append(length)
        array.dataType = _FLOAT32
        return made
    network = network_of(made)
    free = f"{name}_blob"
    while any(free in (*layer.input, *layer.output) for layer in network.layers):
        free += "_"
    rename_blobs(network, {name: free})
    keep_exact_arrays(made)
    network.layers.append(reshape_static(_layer_name(made, f"{name}_vector"), free, name, [length]))
    add_vector_output(made, name, length)
    if output.shortDescription:
        made.description.output[0].shortDescription = output.shortDescription
    return made


def _the_output(model: Model) -> FeatureDescription:
    outputs = model.description.output
    if len(outputs) != 1:
        names = ", ".join(repr(str(feature.name)) for feature in outputs) or "none"
        raise ModelError(f"extractor: has {len(outputs)} outputs ({names}), expected one; keep only the features")
    kind = outputs[0].type.WhichOneof("Type")
    if kind != "multiArrayType":
        raise ModelError(f"output {str(outputs[0].name)!r}: is a {kind}, expected an array; export the features")
    if outputs[0].name not in producers(network_of(model).layers):
        raise ModelError(f"output {str(outputs[0].name)!r}: no layer writes it, expected one; export the network again")
    return outputs[0]


def _length(output: FeatureDescription, shape: tuple[int | None, ...] | None) -> int:
    """D; where the layers do not fix the shape, the description has to."""
    name, array = str(output.name), output.type.multiArrayType
    declared = tuple(int(length) for length in array.shape)
    if shape is None or None in shape:
        if not declared or array.WhichOneof("ShapeFlexibility"):
            raise ModelError(f"output {name!r}: has no fixed shape, expected a vector; export with a fixed input shape")
        shape = declared
    length = element_count(shape)
    if length is None or not is_vector(shape) or length < 1 or length > LONGEST:
        raise ModelError(
            f"output {name!r}: has the shape {list(shape)}, expected a vector; let the network end in a global pooling"
        )
    if declared and element_count(declared) != length:
        raise ModelError(
            f"output {name!r}: is declared as {list(declared)}, the layers give {list(shape)}; export it again"
        )
    return length


def _layer_name(model: Model, wanted: str) -> str:
    taken = {str(layer.name) for layer in network_of(model).layers}
    while wanted in taken:
        wanted += "_"
    return wanted
