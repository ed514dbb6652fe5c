"""What the file alone shows: where it contradicts itself, and what else is worth knowing, in sentences.

A 32-bit float is not finite where all bits of its exponent are set: the low seven bits of its highest byte and the
highest bit of the next (IEEE 754); a 16-bit float where bits 2 to 6 of its higher byte are set.

The rules of updating are ``checking``'s; here is only what makes the rest of a summary doubtful.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from math import isfinite

from coreml_updatable.spec.availability import AVAILABILITY, UPDATABLE_SINCE, newer_contents, systems
from coreml_updatable.spec.declared_weights import expected_weights, held_and_needed
from coreml_updatable.spec.graph import all_layers, circle, consumers, layer_kind, place, producers
from coreml_updatable.spec.messages import FeatureDescription, FloatVector, Model, WeightParams
from coreml_updatable.spec.network import WAY_OUT, is_network, network_of
from coreml_updatable.spec.parameters import network_parameters, parameter
from coreml_updatable.spec.shapes import blob_shapes, element_count, given_and_expected
from coreml_updatable.spec.storage import float_bytes, storage, weight_fields

_HIGHEST = bytes(int(byte & 0x7F == 0x7F) for byte in range(256))
_NEXT = bytes(int(byte >= 0x80) for byte in range(256))
_OF_HALVES = bytes(int(byte & 0x7C == 0x7C) for byte in range(256))


def not_finite_weights(weights: WeightParams) -> int:
    """Of the stored floats, or of the scales, biases and table entries of quantized weights."""
    kind = storage(weights)
    if kind == "float32":
        return not_finite_floats(weights)
    if kind == "float16":
        halves: bytes = weights.float16Value
        return halves[1::2].translate(_OF_HALVES).count(1)
    linear = weights.quantization.linearQuantization
    table = weights.quantization.lookupTableQuantization
    return not_finite((*linear.scale, *linear.bias, *table.floatValue))


def not_finite_floats(message: WeightParams | FloatVector) -> int:
    content = float_bytes(message)
    highest = bytes(content[3::4]).translate(_HIGHEST)
    if 1 not in highest:  # as in nearly every file
        return 0
    following = bytes(content[2::4]).translate(_NEXT)
    return (int.from_bytes(highest, "little") & int.from_bytes(following, "little")).bit_count()


def not_finite(values: Iterable[float]) -> int:
    return sum(1 for value in values if not isfinite(value))


_SHOWN = 3  # sentences of one kind; a broken file has hundreds
_ABSURD = 2**31  # numbers in one array: more than any device holds


def remarks(model: Model) -> tuple[str, ...]:
    """What is worth knowing of a model that may be sound all the same."""
    stated = int(model.specificationVersion)
    known = f"specification version {stated} is not known; known are 1 to {max(AVAILABILITY)}"
    program = f"an ML program can never be updatable; {WAY_OUT}"
    found = {known: stated not in AVAILABILITY, program: model.WhichOneof("Type") == "mlProgram"}
    said = (sentence for sentence, applies in found.items() if applies)
    return (*said, *_first(_newer(model)))


def faults(model: Model) -> tuple[str, ...]:
    """Where the model contradicts itself; the members of a pipeline have their own."""
    kinds: list[Callable[[Model], Iterator[str]]] = [_version, _sizes]
    if is_network(model):
        kinds += [_wires, _weight_counts, _shapes, _weights_finite]
    if model.WhichOneof("Type") == "kNearestNeighborsClassifier":
        kinds.append(_sample_lengths)
    return tuple(sentence for kind in (*kinds, _parameters_finite) for sentence in _first(kind(model)))


def _first(sentences: Iterator[str]) -> Iterator[str]:
    yield from islice(sentences, _SHOWN)
    more = sum(1 for _ in sentences)
    if more:
        yield f"… and {more} more of this kind"


def _version(model: Model) -> Iterator[str]:
    stated = int(model.specificationVersion)
    if model.isUpdatable and stated < UPDATABLE_SINCE:
        yield f"being updatable needs specification version {UPDATABLE_SINCE}, the file states {stated}"


def _newer(model: Model) -> Iterator[str]:
    for what, version in newer_contents(model):
        stated = int(model.specificationVersion)
        yield f"{what} needs specification version {version} ({systems(version)}), the file states {stated}"


def _sizes(model: Model) -> Iterator[str]:
    for side, features in (("input", model.description.input), ("output", model.description.output)):
        for feature in features:
            count = _declared(feature)
            if count is not None and count >= _ABSURD:
                yield f"{side} '{feature.name}': is declared to hold {count} numbers, more than any device can"


def _declared(feature: FeatureDescription) -> int | None:
    if feature.type.WhichOneof("Type") == "imageType":
        return int(feature.type.imageType.width * feature.type.imageType.height)
    lengths = list(feature.type.multiArrayType.shape)[:64]
    return element_count(tuple(abs(int(length)) for length in lengths)) if lengths else None


def _wires(model: Model) -> Iterator[str]:
    layers = network_of(model).layers
    if not layers:
        yield "the network has no layers"
    inputs = {str(feature.name) for feature in model.description.input}
    found = circle(layers, inputs)
    if found:
        names = [repr(str(layers[number].name)) for number in found]
        shown = [*names[:_SHOWN], "…"] if len(names) > _SHOWN else names
        yield (
            f"{len(found)} layers feed each other in a circle, which no device can run: "
            f"{' → '.join([*shown, names[0]])}"
        )
    writers = producers(layers)
    known = inputs | {str(blob) for _, layer in all_layers(network_of(model)) for blob in layer.output}
    for blob, readers in consumers(layers).items():
        if blob not in known:
            yield f"{place(readers[0], layers[readers[0]])}: reads '{blob}', which nothing writes"
        elif not found and blob in writers and blob not in inputs and readers[0] <= writers[blob]:
            yield f"{place(readers[0], layers[readers[0]])}: reads '{blob}', which only a later layer writes"


def _weight_counts(model: Model) -> Iterator[str]:
    for name, layer in all_layers(network_of(model)):
        for field, weights, declared in expected_weights(layer):
            held, needed = held_and_needed(weights, declared)
            if held != needed:
                yield f"layer '{name}': {field}: holds {held} values, its settings ask for {needed}"


def _shapes(model: Model) -> Iterator[str]:
    shapes = blob_shapes(model)
    for number, layer in enumerate(network_of(model).layers):
        given, expected = given_and_expected(layer, shapes.get(str(layer.input[0])) if layer.input else None)
        if given is not None and expected is not None and given != expected:
            yield f"{place(number, layer)}: is given {given} channels, it expects {expected}"
        for blob in layer.output:
            shape = shapes.get(str(blob), (None,))
            count = element_count(shape)
            if any(length is not None and length < 1 for length in shape):
                yield f"{place(number, layer)}: would write a blob of the shape {list(shape)}, which no device can"
            elif count is not None and count >= _ABSURD:
                yield f"{place(number, layer)}: would write {count} numbers, which no device can"


def _weights_finite(model: Model) -> Iterator[str]:
    for name, layer in all_layers(network_of(model)):
        for field, weights in weight_fields(layer):
            count = not_finite_weights(weights)
            if count:
                yield f"layer '{name}' ({layer_kind(layer)}): {field}: {_counted(count)}"


def _sample_lengths(model: Model) -> Iterator[str]:
    index = model.kNearestNeighborsClassifier.nearestNeighborsIndex
    for number, sample in enumerate(index.floatSamples):
        if len(sample.vector) != index.numberOfDimensions:
            yield f"sample {number}: holds {len(sample.vector)} values, its settings ask for {index.numberOfDimensions}"


def _parameters_finite(model: Model) -> Iterator[str]:
    if is_network(model):
        found = network_parameters(network_of(model))
    elif model.WhichOneof("Type") == "kNearestNeighborsClassifier":
        classifier = model.kNearestNeighborsClassifier
        found = (parameter("numberOfNeighbors", classifier.numberOfNeighbors),)
        count = sum(map(not_finite_floats, classifier.nearestNeighborsIndex.floatSamples))
        if count:
            yield f"samples: {_counted(count)}"
    else:
        found = ()
    for one in found:
        if not_finite((one.default, *(one.range or ()))):
            yield f"parameter {one.name}: its default or its range is NaN or infinite"


def _counted(count: int) -> str:
    return f"{count} of its numbers are NaN or infinite" if count > 1 else "one of its numbers is NaN or infinite"
