"""Rules for every model: version, type, and the descriptions of its features (``Model``, ``ModelDescription``)."""

from collections.abc import Iterator
from math import prod

from coreml_updatable.checking.problem import Finding
from coreml_updatable.errors import with_article
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import NETWORK_KINDS, PIPELINE_KINDS, WAY_OUT, is_network, is_pipeline
from coreml_updatable.spec.shapes import MAX_AXES

NEWEST_VERSION = 10
MAX_NUMBERS = 2**31  # in one feature
_OPTIONAL = (  # kinds, networks aside, that may have optional inputs
    "imputer", "serializedModel", "mlProgram", "treeEnsembleRegressor", "treeEnsembleClassifier", *PIPELINE_KINDS,
    "itemSimilarityRecommender", "identity",
)  # fmt: skip
UPDATABLE_MODELS = (*NETWORK_KINDS, "kNearestNeighborsClassifier", *PIPELINE_KINDS)


def known_version(model: Model) -> Iterator[Finding]:
    """The specification version is 1 to 10."""
    if not 1 <= model.specificationVersion <= NEWEST_VERSION:
        yield Finding("specificationVersion", f"is {model.specificationVersion}", f"1 to {NEWEST_VERSION}")


def updatable_version(model: Model) -> Iterator[Finding]:
    """An updatable model has specification version 4 or higher."""
    if model.isUpdatable and 1 <= model.specificationVersion < 4:
        yield Finding("specificationVersion", f"is {model.specificationVersion}", "4 or higher for isUpdatable")


def updatable_kind(model: Model) -> Iterator[Finding]:
    """Only networks, k-nearest-neighbors classifiers and pipelines can be updatable; an ML program never."""
    kind = model.WhichOneof("Type")
    if model.isUpdatable and kind not in UPDATABLE_MODELS:
        yield Finding(
            "isUpdatable", f"is set on a {kind or 'model without a type'}", "a neural network, k-NN or pipeline"
        )


def some_kind(model: Model) -> Iterator[Finding]:
    """A model has a type."""
    if model.WhichOneof("Type") is None:
        yield Finding("model", "is of no kind", "a network, a classifier, a pipeline or another kind")


def no_program(model: Model) -> Iterator[Finding]:
    """No device can update an ML program, and `check` does not validate its operations."""
    if model.WhichOneof("Type") == "mlProgram":
        yield Finding(
            "model", "is an ML program, which no device can update", "a network, a k-NN or a pipeline", WAY_OUT
        )


def one_function(model: Model) -> Iterator[Finding]:
    """Only an ML program has several functions or a default function."""
    if model.WhichOneof("Type") == "mlProgram":
        return
    if model.description.functions or model.description.defaultFunctionName:
        yield Finding("description", "describes functions of an ML program", "the features of one model")


def inputs_and_outputs(model: Model) -> Iterator[Finding]:
    """A model has at least one output and one input."""
    description = model.description
    if description.functions and model.WhichOneof("Type") == "mlProgram":
        return  # each function has its own
    if not description.output:
        yield Finding("description", "has no output", "at least one", "describe the outputs of the model")
    free = model.specificationVersion >= 9 and (is_network(model) or is_pipeline(model))
    if not description.input and not free:
        yield Finding("description", "has no input", "at least one", "describe the inputs of the model")


def sizes_possible(model: Model) -> Iterator[Finding]:
    """No feature is declared with 2^31 or more values, which no device can hold."""
    for side, features in (("input", model.description.input), ("output", model.description.output)):
        for feature in features:
            picture, shape = feature.type.imageType, feature.type.multiArrayType.shape
            if feature.type.WhichOneof("Type") == "imageType":
                count = int(picture.width * picture.height)
            else:
                count = prod(abs(int(length)) for length in shape[:MAX_AXES]) if shape else 0
            if count >= MAX_NUMBERS:
                yield Finding(f"{side} '{feature.name}'", f"contains {count} numbers", f"fewer than {MAX_NUMBERS}")


def optional_inputs(model: Model) -> Iterator[Finding]:
    """No output is optional; a network has a required input; only a few types, such as trees, allow optional ones."""
    inputs, kind = model.description.input, model.WhichOneof("Type")
    for feature in inputs:
        array = feature.type.multiArrayType
        if not feature.type.isOptional or array.WhichOneof("defaultOptionalValue") is None:
            continue
        where, expected = f"input '{feature.name}'", "a default in a network only, from version 5 on"
        if not is_network(model) and kind not in ("mlProgram", "serializedModel"):
            yield Finding(where, "has a default for a missing value", expected, "clear it")
        elif model.specificationVersion < 5:
            actual = f"has a default for a missing value at version {model.specificationVersion}"
            yield Finding(where, actual, expected, "set the version to 5")
    for feature in model.description.output:
        if feature.type.isOptional:
            yield Finding(f"output '{feature.name}'", "is optional", "no optional outputs")
    optional = [str(feature.name) for feature in inputs if feature.type.isOptional]
    asked = [feature for feature in inputs if not feature.type.isOptional or feature.type.HasField("stateType")]
    if is_network(model) and inputs and not asked:
        yield Finding(
            "description", "has only optional inputs", "at least one required input", "clear isOptional of an input"
        )
    if not is_network(model) and kind not in _OPTIONAL and kind is not None and optional:
        yield Finding(
            f"input '{optional[0]}'",
            "is optional",
            f"a required input, as this is {with_article(kind)}",
            "clear isOptional",
        )
