"""Two files: an extractor that an app loads once, and a head of a few kilobytes, which is all that an update loads."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from coreml_updatable.checking.ranks import is_rank_5
from coreml_updatable.errors import ModelError, with_article
from coreml_updatable.marking.extractor import DESCRIPTION
from coreml_updatable.marking.layouts.parts import FEATURES, Parts, handed_over, to_pipeline
from coreml_updatable.marking.layouts.single import from_vector, to_vector
from coreml_updatable.marking.marking import LOWEST_SPECIFICATION_VERSION
from coreml_updatable.marking.soundness import expect_sound
from coreml_updatable.runtime import RunnableModel, load
from coreml_updatable.spec.features import describe_floats
from coreml_updatable.spec.graph import blobs_of, free_name, place
from coreml_updatable.spec.messages import Model, Model_pb2, NeuralNetwork, NeuralNetwork_pb2, copy_of
from coreml_updatable.spec.network import NO_PROGRAMS, is_network, network_of
from coreml_updatable.spec.shapes import blob_shapes, element_count

SEAL = "coreml_updatable.extractor"  # in the head's metadata: which extractor it was cut from
MAX_LENGTH = 2**28  # values that are handed over


def from_single(model: Model) -> Parts:
    """Split the updatable network ``model`` before its first updatable layer.

    The extractor outputs a float32 vector, ``features``; the head reads it and keeps labels, loss, parameters and
    metadata. Raises ModelError for a network that is not updatable, has no frozen layers, or whose head reads more than
    one blob of the frozen part.
    """
    kind = model.WhichOneof("Type")
    if kind == "mlProgram":
        raise ModelError(f"model: {NO_PROGRAMS}")
    if kind == "kNearestNeighborsClassifier":
        raise ModelError("model: is a k-NN without an extractor, which has one layout only; use it as it is")
    if not is_network(model):
        raise ModelError(
            f"model: is {with_article(kind)}, expected an updatable network or a pipeline; mark a classifier first"
        )
    expect_sound(model)
    network = network_of(model)
    behind = _behind_updatable(network)
    if not model.isUpdatable or not behind:
        raise ModelError(
            "model: has no updatable layer; mark it first, or, if it is the extractor of a split, pass its head as well"
        )
    blob = _crossing(model, network, behind)
    shape = blob_shapes(model).get(blob)
    length = element_count(shape) if shape is not None else None
    if shape is None or length is None or not 1 <= length <= MAX_LENGTH:
        result = "unknown" if shape is None else str(list(shape))
        raise ModelError(
            f"blob {blob!r}: its shape is {result}, expected fixed lengths; export with a fixed input shape"
        )
    described = (*model.description.input, *model.description.output, *model.description.trainingInput)
    features = free_name(FEATURES, {*blobs_of(network.layers), *(str(feature.name) for feature in described)})
    front = [layer for index, layer in enumerate(network.layers) if index not in behind]
    back = [layer for index, layer in enumerate(network.layers) if index in behind]
    extractor = _extractor(model, network, front)
    inner = extractor.neuralNetwork
    inner.layers.append(
        to_vector(network, free_name(features, {str(layer.name) for layer in front}), blob, features, length)
    )
    describe_floats(extractor.description.output.add(name=features), length, description=DESCRIPTION)
    head = _head(model, features, length)
    joint = from_vector(
        network, free_name(features, {str(layer.name) for layer in back}), features, blob, [n or 1 for n in shape]
    )
    inner = network_of(head)
    del inner.layers[:]
    inner.layers.extend([joint, *back])
    return Parts(extractor, head)


def to_files(parts: Parts) -> tuple[Model, Model]:
    """Return extractor and head as they are written; the head is sealed, so no other extractor can be joined to it."""
    handed_over(parts)
    head = copy_of(parts.head)
    head.description.metadata.userDefined[SEAL] = _digest(parts.extractor)
    return parts.extractor, head


def from_files(model: Model, other: Model) -> Parts:
    """Return the parts in two models, given in either order. Raises ModelError if they do not belong together."""
    if model.isUpdatable == other.isUpdatable:
        result = "both are updatable" if model.isUpdatable else "neither is updatable"
        raise ModelError(f"files: {result}, expected a frozen extractor and an updatable head; pass these two")
    parts = Parts(other, copy_of(model)) if model.isUpdatable else Parts(model, copy_of(other))
    handed_over(parts)
    seals = parts.head.description.metadata.userDefined
    if SEAL in seals:
        if seals[SEAL] != _digest(parts.extractor):
            raise ModelError("files: the head belongs to another extractor; use two files of the same split")
        del seals[SEAL]
        if not parts.head.description.metadata.ByteSize():
            parts.head.description.ClearField("metadata")  # it was there for the seal alone
    return parts


@dataclass(frozen=True)
class Named:
    """``head_bytes``: of the head's own file, where the model was two; it is all that an update loads and writes."""

    name: str
    model: RunnableModel
    head_bytes: int | None = None


def with_splits_joined(models: Sequence[tuple[str, RunnableModel]]) -> list[Named]:
    """The models, with the two of a split as the pipeline that computes the same.

    A frozen model and an updatable one whose only input it outputs are a split; several heads may share an extractor.
    Raises ModelError for a head that was cut from another extractor.
    """
    fronts = {name: model for name, model in models if not model.is_updatable}
    result, used = list[Named](), set[str]()
    for name, model in models:
        inputs = {str(feature.name) for feature in model.message.description.input}
        is_head = name not in fronts and len(inputs) == 1
        front = next((item for item in fronts if is_head and inputs <= _made_by(fronts[item])), "")
        if not front:
            result.append(Named(name, model))
            continue
        used.add(front)
        joined = to_pipeline(from_files(fronts[front].message, model.message))
        whole = load(joined, assumptions=model.assumptions)
        result.append(Named(f"{front} + {name}", whole, model.message.ByteSize()))
    return [item for item in result if item.name not in used]


def _made_by(front: RunnableModel) -> set[str]:
    """What ``front`` outputs and does not read itself."""
    description = front.message.description
    return {str(item.name) for item in description.output} - {str(item.name) for item in description.input}


def _behind_updatable(network: NeuralNetwork) -> set[int]:
    """Numbers of the updatable layers, and of those that read what they make."""
    changing, numbers = set[str](), set[int]()
    for index, layer in enumerate(network.layers):
        if layer.isUpdatable or changing & set(layer.input):
            numbers.add(index)
            changing |= set(layer.output)
    return numbers


def _crossing(model: Model, network: NeuralNetwork, behind: set[int]) -> str:
    """Return the only blob of the frozen part that the head reads."""
    frozen = {str(blob) for index, layer in enumerate(network.layers) if index not in behind for blob in layer.output}
    shown = [str(feature.name) for feature in model.description.output if feature.name in frozen]
    if shown:
        raise ModelError(
            f"output {shown[0]!r}: comes from a frozen layer, expected only outputs of the head; remove it"
        )
    result = {str(blob) for index in behind for blob in network.layers[index].output}
    read = sorted({str(blob) for index in behind for blob in network.layers[index].input} - result)
    if len(read) != 1:
        names = ", ".join(map(repr, read)) or "none"
        raise ModelError(
            f"head: reads {len(read)} blobs of the frozen part ({names}), expected 1; mark only layers after the "
            "point where the branches meet"
        )
    if read[0] not in frozen:
        first = min(behind)
        raise ModelError(
            f"{place(first, network.layers[first])}: reads the input {read[0]!r} directly, expected frozen layers "
            "before it; such a network is already a head"
        )
    return read[0]


def _extractor(model: Model, network: NeuralNetwork, layers: Sequence[Model]) -> Model:
    result = Model_pb2.Model()
    result.specificationVersion = max(LOWEST_SPECIFICATION_VERSION, model.specificationVersion)
    result.description.input.extend(model.description.input)
    if model.description.HasField("metadata"):
        result.description.metadata.CopyFrom(model.description.metadata)
        result.description.metadata.ClearField("shortDescription")  # it tells of the whole
    front = result.neuralNetwork
    front.layers.extend(layers)
    front.preprocessing.extend(network.preprocessing)
    front.arrayInputShapeMapping = network.arrayInputShapeMapping
    front.imageInputShapeMapping = network.imageInputShapeMapping
    return result


def _head(model: Model, features: str, length: int) -> Model:
    """Return a copy of the model whose input is the vector; its layers are chosen later."""
    result = copy_of(model)
    network, description = network_of(result), result.description
    network.ClearField("preprocessing")
    if not is_rank_5(network_of(model)):
        network.arrayInputShapeMapping = NeuralNetwork_pb2.EXACT_ARRAY_MAPPING
    inputs = {str(feature.name) for feature in description.input}
    others = [feature for feature in model.description.trainingInput if feature.name not in inputs]
    first = bool(model.description.trainingInput) and model.description.trainingInput[0].name in inputs
    del description.input[:]
    describe_floats(description.input.add(name=features), length, description=DESCRIPTION)
    del description.trainingInput[:]
    vector = [description.input[0]]
    description.trainingInput.extend([*vector, *others] if first else [*others, *vector])
    return result


def _digest(extractor: Model) -> str:
    """Return a digest of what the extractor computes: its layers, but not its descriptions."""
    kind = str(extractor.WhichOneof("Type"))
    content = getattr(extractor, kind).SerializeToString(deterministic=True)
    return hashlib.sha256(kind.encode() + content).hexdigest()[:32]
