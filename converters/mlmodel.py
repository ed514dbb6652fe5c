"""Core ML itself: an .mlmodel or .mlpackage from Create ML, Turi Create, Apple or anyone."""

from pathlib import Path

from coreml_updatable.converting.contract import ConvertedSource, SourceRequest
from coreml_updatable.errors import SourceError
from coreml_updatable.spec.features import feature_named
from coreml_updatable.spec.io import read_model
from coreml_updatable.spec.messages import Model, copy_of

SPECIFICATION_VERSION = 4  # the first that knows updatable models


def convert(request: SourceRequest) -> ConvertedSource:
    """Return the model in the file. A k-NN becomes updatable; networks are left to marking.

    The predictions stay the same, within 1e-5 in probability.
    Raises SourceError for options that do not apply to a Core ML model, and ModelError for other files.
    """
    if request.inputs or request.mean or request.std:
        raise SourceError(
            "input: a Core ML model has its own input and normalization; omit --input, --pixels, --mean and --std"
        )
    source = request.source
    model: Model = read_model(source) if isinstance(source, Path) else source
    if model.WhichOneof("Type") == "kNearestNeighborsClassifier":
        if request.labels:
            raise SourceError("labels: a nearest-neighbors classifier has the labels of its samples; omit --labels")
        if request.head == "new":
            raise SourceError("--head new: a nearest-neighbors classifier has no head, expected a network; omit it")
        model = _remembering(model)
    return ConvertedSource(
        model, labels=(), answers=None, reference="the model before", tolerance=1e-5, facts={"kind": _kind(model)}
    )


def _remembering(model: Model) -> Model:
    """Return the nearest-neighbors classifier ``model`` as an updatable model; nothing else changes."""
    if model.isUpdatable:
        return model
    result = copy_of(model)
    result.isUpdatable = True
    result.specificationVersion = max(model.specificationVersion, SPECIFICATION_VERSION)
    label = feature_named(result.description.output, str(result.description.predictedFeatureName))
    del result.description.trainingInput[:]
    result.description.trainingInput.extend([*result.description.input, *([label] if label is not None else [])])
    return result


def _kind(model: Model) -> str:
    return str(model.WhichOneof("Type"))
