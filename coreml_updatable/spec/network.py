"""Finding the network inside a model, whichever of the three containers holds it."""

from coreml_updatable.errors import ModelError, with_article
from coreml_updatable.spec.messages import Model, NeuralNetwork, Pipeline

NETWORK_KINDS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")
PIPELINE_KINDS = ("pipeline", "pipelineClassifier", "pipelineRegressor")
WAY_OUT = "convert with convert_to='neuralnetwork'"  # coremltools' option, for a source that became an ML program
NO_PROGRAMS = f"is an ML program, which no device can update; {WAY_OUT}"


def is_network(model: Model) -> bool:
    return model.WhichOneof("Type") in NETWORK_KINDS


def is_pipeline(model: Model) -> bool:
    return model.WhichOneof("Type") in PIPELINE_KINDS


def holds_program(model: Model) -> bool:
    """Return whether the model, or a member of its pipeline, is an ML program."""
    if is_pipeline(model):
        return any(holds_program(member) for member in pipeline_of(model).models)
    return bool(model.WhichOneof("Type") == "mlProgram")


def network_of(model: Model) -> NeuralNetwork:
    """The NeuralNetwork, NeuralNetworkClassifier or NeuralNetworkRegressor message of ``model``."""
    kind = model.WhichOneof("Type")
    if kind == "mlProgram":
        raise ModelError(f"model: {NO_PROGRAMS}")
    if kind not in NETWORK_KINDS:
        raise ModelError(f"model: is {with_article(kind)}, expected a neural network; use a model that is one")
    return getattr(model, kind)


def pipeline_of(model: Model) -> Pipeline:
    """The inner Pipeline message (``models``, ``names``) of a pipeline, pipelineClassifier or pipelineRegressor."""
    kind = model.WhichOneof("Type")
    if kind not in PIPELINE_KINDS:
        raise ModelError(f"model: is {with_article(kind)}, expected a pipeline")
    return model.pipeline if kind == "pipeline" else getattr(model, kind).pipeline


def last_member(model: Model) -> Model:
    """The model that learns where ``model`` is updatable: of pipelines the last member, else the model itself."""
    while is_pipeline(model) and pipeline_of(model).models:
        model = pipeline_of(model).models[-1]
    return model


def class_labels(model: Model) -> tuple[str, ...] | tuple[int, ...]:
    """Class labels of a classifier or nonMaximumSuppression, in the order of its outputs; empty for any other model.

    A k-nearest-neighbors classifier has none of its own: its labels are those of its samples.
    """
    kind = model.WhichOneof("Type")
    if kind is None or kind == "kNearestNeighborsClassifier":
        return ()
    classifier = getattr(model, kind)
    if "ClassLabels" not in classifier.DESCRIPTOR.oneofs_by_name:
        return ()
    match classifier.WhichOneof("ClassLabels"):
        case "stringClassLabels":
            return tuple(str(label) for label in classifier.stringClassLabels.vector)
        case "int64ClassLabels":
            return tuple(int(label) for label in classifier.int64ClassLabels.vector)
    return ()
