"""The k-NN variant of a classifier: the same fixed extractor, followed by a k-NN that learns by storing samples.

pipelineClassifier [ extractor: image -> embedding [D] ] [ k-NN: embedding -> label, labelProbability ]
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import ModelError
from coreml_updatable.marking.extractor import MAX_LENGTH, embedding_length, extractor, whole_extractor
from coreml_updatable.marking.marking import LOWEST_SPECIFICATION_VERSION, drop_date
from coreml_updatable.marking.parameters import write_int64
from coreml_updatable.marking.settings import KNNSettings
from coreml_updatable.spec.features import add_label_outputs, feature_named
from coreml_updatable.spec.messages import Model, Model_pb2, copy_of
from coreml_updatable.spec.samples import nearest_neighbors_of

MEMBER_NAMES = ("extractor", "nearestNeighbors")


def knn_variant(
    model: Model, settings: KNNSettings, *, label: str | None = None, probabilities: str | None = None, cut: bool = True
) -> Model:
    """Return a ``pipelineClassifier``: the extractor of ``model`` and an empty, updatable nearest-neighbors classifier.

    ``cut``: the extractor is the part of the classifier ``model`` before its head, with the output ``embedding``;
    otherwise, ``model`` is itself an extractor, a plain network that outputs a vector, and keeps its names. Features
    have the names of ``model`` if it is a classifier, otherwise ``label`` and ``labelProbability``; descriptions and
    metadata are copied. An empty k-NN predicts ``settings.default_label``, whose type is that of the labels.
    """
    description = model.description
    label = label or str(description.predictedFeatureName) or "label"
    probabilities = probabilities or str(description.predictedProbabilitiesName) or "labelProbability"
    front = extractor(model) if cut else whole_extractor(model)
    _check_names(front, label, probabilities)
    back = _nearest_neighbors(front, settings, label, probabilities)
    result = Model_pb2.Model()
    result.specificationVersion = max(front.specificationVersion, back.specificationVersion)
    result.isUpdatable = True
    result.pipelineClassifier.pipeline.models.extend([front, back])
    result.pipelineClassifier.pipeline.names.extend(MEMBER_NAMES)
    result.description.input.extend(front.description.input)
    add_label_outputs(result.description, label, probabilities, whole=isinstance(settings.default_label, int))
    for feature in result.description.output:
        known = feature_named(description.output, str(feature.name))
        feature.shortDescription = known.shortDescription if known is not None else ""
    result.description.trainingInput.extend([*result.description.input, result.description.output[0]])
    result.description.metadata.CopyFrom(description.metadata)
    drop_date(result)
    return result


def with_samples(
    knn: Model, embeddings: NDArray[np.floating], labels: Sequence[str] | Sequence[int] | NDArray[np.integer]
) -> Model:
    """Return ``knn`` with just the samples ``embeddings`` (float32 [n, D]), one label each, replacing earlier ones.

    Works on a pipeline that ends in a nearest-neighbors classifier, or on such a classifier alone. Raises ModelError
    unless the lengths match, the numbers are finite, and the labels have the type of the default label.
    """
    result = copy_of(knn)
    classifier = nearest_neighbors_of(result)
    index = classifier.nearestNeighborsIndex
    values = np.asarray(embeddings, np.float32)
    expected = (len(labels), int(index.numberOfDimensions))
    if values.shape != expected:
        raise ModelError(
            f"samples: embeddings have the shape {values.shape}, expected {expected}; give one row per label"
        )
    if not np.isfinite(values).all():
        raise ModelError("samples: an embedding contains NaN or infinite numbers, expected finite ones; remove it")
    del index.floatSamples[:]
    for row in values:
        index.floatSamples.add().vector.extend(row)
    _write_labels(result, list(labels))
    return result


def expect_label(model: Model, label: object) -> None:
    """Raise ModelError for a label that the nearest-neighbors classifier at the end of ``model`` cannot store."""
    whole = nearest_neighbors_of(model).WhichOneof("DefaultClassLabel") == "defaultInt64Label"
    kind, name = ((int, np.integer), "integers") if whole else (str, "strings")
    if not isinstance(label, kind) or isinstance(label, bool):
        raise ModelError(f"samples: the label {label!r} has another type than the default label, expected {name}")


def _write_labels(model: Model, labels: list[str] | list[int]) -> None:
    for given in labels:
        expect_label(model, given)
    classifier = nearest_neighbors_of(model)
    if classifier.WhichOneof("DefaultClassLabel") == "defaultInt64Label":
        classifier.int64ClassLabels.vector[:] = [int(given) for given in labels]
    else:
        classifier.stringClassLabels.vector[:] = [str(given) for given in labels]


def _nearest_neighbors(front: Model, settings: KNNSettings, label: str, probabilities: str) -> Model:
    result = Model_pb2.Model()
    result.specificationVersion = LOWEST_SPECIFICATION_VERSION
    result.isUpdatable = True
    classifier = result.kNearestNeighborsClassifier
    write_int64(classifier.numberOfNeighbors, settings.number_of_neighbors, "numberOfNeighbors")
    _write_index(classifier, settings, embedding_length(front))
    if settings.weighting == "uniform":
        classifier.uniformWeighting.SetInParent()
    elif settings.weighting == "inverse-distance":
        classifier.inverseDistanceWeighting.SetInParent()
    else:
        raise ModelError(f"weighting: found {settings.weighting!r}, expected 'uniform' or 'inverse-distance'")
    if not isinstance(settings.default_label, str) and not -(2**63) <= settings.default_label < 2**63:
        raise ModelError(f"default_label: {settings.default_label} needs more than 64 bits; choose a smaller number")
    if isinstance(settings.default_label, str):
        classifier.defaultStringLabel = settings.default_label
        classifier.stringClassLabels.SetInParent()
    else:
        classifier.defaultInt64Label = settings.default_label
        classifier.int64ClassLabels.SetInParent()
    result.description.input.extend(front.description.output)
    add_label_outputs(result.description, label, probabilities, whole=isinstance(settings.default_label, int))
    result.description.trainingInput.extend([*result.description.input, result.description.output[0]])
    return result


def _check_names(front: Model, label: str, probabilities: str) -> None:
    """One name for two features would make one of them unreadable."""
    names = [str(feature.name) for feature in (*front.description.input, *front.description.output)]
    for name in (label, probabilities):
        if name in names:
            raise ModelError(
                f"features: {name!r} is already a feature of the extractor; choose another name for the output"
            )
        names.append(name)


def _write_index(classifier: Model, settings: KNNSettings, dimensions: int) -> None:
    if not 1 <= dimensions <= MAX_LENGTH:
        raise ModelError(f"embedding: has {dimensions} values, expected 1 to {MAX_LENGTH}; export the network again")
    index = classifier.nearestNeighborsIndex
    index.numberOfDimensions = dimensions
    index.squaredEuclideanDistance.SetInParent()
    if settings.index == "linear":
        index.linearIndex.SetInParent()
    elif settings.index == "kd-tree":
        if not 1 <= settings.leaf_size < 2**31:  # the format's int32
            raise ModelError(f"leaf_size: found {settings.leaf_size}, expected 1 to {2**31 - 1}; 30 is usual")
        index.singleKdTreeIndex.leafSize = settings.leaf_size
    else:
        raise ModelError(f"index: found {settings.index!r}, expected 'linear' or 'kd-tree'")
