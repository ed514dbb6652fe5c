"""The samples that a nearest-neighbors classifier remembers."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from coreml_updatable.errors import ModelError
from coreml_updatable.spec.messages import KNearestNeighborsClassifier, Model
from coreml_updatable.spec.network import last_member

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Samples:
    """``embeddings`` float32 [n, D] and ``labels``, one a sample (all strings or all integers)."""

    embeddings: "NDArray[np.float32]"
    labels: tuple[str, ...] | tuple[int, ...]


def nearest_neighbors_of(model: Model) -> KNearestNeighborsClassifier:
    """The classifier message in ``model``: its own, or that of the last member of a pipeline. Else a ModelError."""
    model = last_member(model)
    kind = model.WhichOneof("Type")
    if kind != "kNearestNeighborsClassifier":
        raise ModelError(
            f"model: is a {kind}, expected a k-nearest-neighbors classifier; make one with `coreml-updatable knn`"
        )
    return model.kNearestNeighborsClassifier


def sample_labels(classifier: KNearestNeighborsClassifier) -> tuple[str, ...] | tuple[int, ...]:
    """One label a sample."""
    if classifier.WhichOneof("ClassLabels") == "int64ClassLabels":
        return tuple(int(label) for label in classifier.int64ClassLabels.vector)
    return tuple(str(label) for label in classifier.stringClassLabels.vector)


def samples_of(model: Model) -> Samples:
    """Return the samples of ``model``; ModelError unless each has ``numberOfDimensions`` values."""
    import numpy as np  # here, for counting samples needs none of it

    classifier = nearest_neighbors_of(model)
    index = classifier.nearestNeighborsIndex
    for position, sample in enumerate(index.floatSamples):
        if len(sample.vector) != index.numberOfDimensions:
            raise ModelError(
                f"sample {position}: has {len(sample.vector)} values, expected {index.numberOfDimensions}; "
                "build it again"
            )
    length = max(0, int(index.numberOfDimensions)) if index.floatSamples else 0
    rows = [np.array(sample.vector, np.float32) for sample in index.floatSamples]
    embeddings = np.stack(rows) if rows else np.zeros((0, length), np.float32)
    return Samples(embeddings, sample_labels(classifier))


def sample_counts(model: Model) -> dict[str | int, int]:
    """How many samples of each label there are, in the order in which the labels first appear."""
    return dict(Counter[str | int](sample_labels(nearest_neighbors_of(model))))
