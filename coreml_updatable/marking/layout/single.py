"""One network: the extractor's layers, and behind them the head's."""

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.building_blocks import copied
from coreml_updatable.marking.extractor import keep_exact_arrays
from coreml_updatable.marking.layout.joining import joined_layers
from coreml_updatable.marking.layout.joints import in_old_mapping
from coreml_updatable.marking.layout.parts import Parts, copy_of, handed_over, training_inputs
from coreml_updatable.marking.layout.precision import with_bits
from coreml_updatable.spec.features import the_input
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import is_network, network_of


def to_single(parts: Parts) -> Model:
    """Both parts as one network of the head's kind; 16-bit and quantized weights become 32-bit floats.

    What ``from_single`` cut is put together as it was. Raises ModelError for a k-NN, which is no layer of a network,
    for an extractor that is no plain network, and for weights that can not be made 32-bit.
    """
    _expect_networks(parts)
    features = str(handed_over(parts).name)
    front, back = with_bits(parts.extractor, 32), copy_of(parts.head)
    old = in_old_mapping(network_of(front))
    if old and not in_old_mapping(network_of(back)):
        _leave_old_mapping(front)
    made = copy_of(back)
    layers = joined_layers(front, back, features)
    network, changed = network_of(made), network_of(back)
    if changed.DESCRIPTOR.name == "NeuralNetworkClassifier":
        network.labelProbabilityLayerName = changed.labelProbabilityLayerName
    network.updateParams.CopyFrom(changed.updateParams)
    del network.layers[:]
    network.layers.extend(copied(layer) for layer in layers)
    network.preprocessing.extend(network_of(front).preprocessing)
    network.arrayInputShapeMapping = network_of(front).arrayInputShapeMapping
    network.imageInputShapeMapping = network_of(front).imageInputShapeMapping
    made.specificationVersion = max(front.specificationVersion, back.specificationVersion)
    trained = training_inputs(parts)
    del made.description.input[:]
    made.description.input.extend(front.description.input)
    del made.description.trainingInput[:]
    made.description.trainingInput.extend(trained)
    return made


def _expect_networks(parts: Parts) -> None:
    kind = parts.head.WhichOneof("Type")
    if kind == "kNearestNeighborsClassifier":
        raise ModelError(
            "head: is a k-NN, which is no layer of a network, expected a network; keep it as a pipeline, or split it"
        )
    if not is_network(parts.head):
        raise ModelError(f"head: is a {kind}, expected a network; only networks can become one network")
    kind = parts.extractor.WhichOneof("Type")
    if kind != "neuralNetwork":
        raise ModelError(f"extractor: is a {kind}, expected a plain network; only networks can become one network")


def _leave_old_mapping(front: Model) -> None:
    """The head's layers are newer: arrays are then given the shape that the old mapping gave them."""
    if any(feature.type.WhichOneof("Type") == "multiArrayType" for feature in front.description.input):
        the_input(front)
        keep_exact_arrays(front)
