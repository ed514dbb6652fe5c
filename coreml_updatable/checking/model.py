"""Rules of every model: version, kind, and the descriptions of its features (``Model``, ``ModelDescription``)."""

from collections.abc import Iterator

from coreml_updatable.checking.problem import Finding
from coreml_updatable.spec.messages import Model
from coreml_updatable.spec.network import NETWORK_KINDS, PIPELINE_KINDS, is_network, is_pipeline

NEWEST_VERSION = 10
UPDATABLE_KINDS = (*NETWORK_KINDS, "kNearestNeighborsClassifier", *PIPELINE_KINDS)


def known_version(model: Model) -> Iterator[Finding]:
    """The specification version is 1 to 10."""
    if not 1 <= model.specificationVersion <= NEWEST_VERSION:
        yield Finding(
            "specificationVersion",
            f"is {model.specificationVersion}",
            f"1 to {NEWEST_VERSION}",
        )


def updatable_version(model: Model) -> Iterator[Finding]:
    """An updatable model has specification version 4 or higher."""
    if model.isUpdatable and 1 <= model.specificationVersion < 4:
        yield Finding("specificationVersion", f"is {model.specificationVersion}", "4 or higher for isUpdatable")


def updatable_kind(model: Model) -> Iterator[Finding]:
    """Only networks, k-nearest-neighbours classifiers and pipelines can be updatable; an ML program never."""
    kind = model.WhichOneof("Type")
    if model.isUpdatable and kind not in UPDATABLE_KINDS:
        yield Finding(
            "isUpdatable",
            f"is set on a {kind or 'model of no kind'}",
            "a neural network, k-NN or pipeline",
        )


def inputs_and_outputs(model: Model) -> Iterator[Finding]:
    """A model has at least one output and one input."""
    description = model.description
    if description.functions and model.WhichOneof("Type") == "mlProgram":
        return  # each function has its own
    if not description.output:
        yield Finding("description", "has no output", "at least one", "describe what the model answers")
    free = model.specificationVersion >= 9 and (is_network(model) or is_pipeline(model))
    if not description.input and not free:
        yield Finding("description", "has no input", "at least one", "describe what the model is given")


def optional_inputs(model: Model) -> Iterator[Finding]:
    """No output is optional; a network has an input that is not, a k-nearest-neighbours classifier no optional one."""
    inputs = model.description.input
    for feature in model.description.output:
        if feature.type.isOptional:
            yield Finding(f"output {str(feature.name)!r}", "is optional", "no optional outputs")
    optional = [str(feature.name) for feature in inputs if feature.type.isOptional]
    if is_network(model) and inputs and len(optional) == len(inputs):
        yield Finding("description", "has only optional inputs", "one that is not", "clear isOptional of an input")
    if model.WhichOneof("Type") == "kNearestNeighborsClassifier" and optional:
        yield Finding(f"input {optional[0]!r}", "is optional", "no optional input of a k-NN", "clear isOptional")
