"""A runnable k-nearest-neighbors classifier. NumPy only.

The nearest samples vote for a label and its probabilities, with ``UniformWeighting`` or ``InverseDistanceWeighting``.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from coreml_updatable.errors import DataError, ModelError
from coreml_updatable.runtime.assumptions import OF_NEIGHBORS, PredictionAssumptions
from coreml_updatable.runtime.io.arrays import DTYPES, numbers
from coreml_updatable.runtime.io.row import FrozenRow, Row, expect_features, expect_mapping, expect_part
from coreml_updatable.runtime.model import Intermediate, Prediction, RunnableModel, numbered
from coreml_updatable.runtime.neighbors.search import nearest, squared_norms
from coreml_updatable.runtime.part import Part
from coreml_updatable.spec.messages import Model, copy_of
from coreml_updatable.spec.weights import packed, packed_floats

EPSILON = 1e-7


def weights(distances: NDArray[np.float64], uniform: bool, assumptions: PredictionAssumptions) -> NDArray[np.float64]:
    """Return a vote for each neighbor from its squared distance."""
    if uniform:
        return np.ones(len(distances))
    measured: NDArray[np.float64] = distances if assumptions.inverse_of == "squared distance" else np.sqrt(distances)
    equal: NDArray[np.float64] = (measured == 0).astype(np.float64)
    if assumptions.zero_distance == "epsilon":
        measured = measured + EPSILON
    elif equal.any():
        return equal
    unit = (
        measured.min() if assumptions.probabilities == "share" else 1.0
    )  # keeps 1 / distance finite, changes no share
    votes: NDArray[np.float64] = unit / measured
    return votes


def vote(
    labels: Sequence[int], votes: Sequence[float], known: int, assumptions: PredictionAssumptions
) -> tuple[int, dict[int, float]]:
    """Return the winner and each label's probability. ``labels``: the neighbors', below ``known``, nearest first."""
    totals: dict[int, float] = {}
    for label, share in zip(labels, votes, strict=True):
        totals[label] = totals.get(label, 0.0) + share
    most = max(totals.values())
    first = iter(totals) if assumptions.tied_labels == "nearest" else iter(sorted(totals))
    winner = next(label for label in first if totals[label] == most)
    unit = sum(totals.values()) if assumptions.probabilities == "share" else 1.0
    listed = range(known) if assumptions.listed == "all" else sorted(totals)
    return winner, {label: totals.get(label, 0.0) / unit for label in listed}


Label: TypeAlias = str | int


class NearestNeighborsModel(RunnableModel):
    """A k-NN created by ``load``; see RunnableModel. Models that come from an update share its samples."""

    assumed = OF_NEIGHBORS

    def __init__(self, message: Model, assumptions: PredictionAssumptions | None = None) -> None:
        super().__init__(message, assumptions)
        classifier = message.kNearestNeighborsClassifier
        inputs = message.description.input
        if len(inputs) != 1:
            raise ModelError(
                f"model: is a k-NN classifier with {len(inputs)} inputs, expected 1; export the model again"
            )
        self._input = inputs[0]
        training = [feature.name for feature in message.description.trainingInput]
        self._known = [self._input.name, *training, message.description.predictedFeatureName]
        self.dimensions = int(classifier.nearestNeighborsIndex.numberOfDimensions)
        self.samples = _samples(classifier.nearestNeighborsIndex, self.dimensions)
        self._norms = squared_norms(self.samples)
        self.sample_labels: list[Label] = _labels(classifier)
        if len(self.sample_labels) != len(self.samples):
            raise ModelError(
                f"model: {len(self.samples)} samples and {len(self.sample_labels)} labels, expected one label per "
                "sample; export the model again"
            )
        self.neighbors = int(classifier.numberOfNeighbors.defaultValue)
        if self.neighbors < 1:
            raise ModelError(
                f"model: numberOfNeighbors is {self.neighbors}, expected at least 1; export the model again"
            )
        self._uniform = classifier.WhichOneof("WeightingScheme") != "inverseDistanceWeighting"
        self._kept = len(self.samples)
        self.part = Part(lambda: [self._input, str(self.dimensions)])
        self._number_labels()

    @property
    def string_labels(self) -> bool:
        classifier = self.base.kNearestNeighborsClassifier
        return str(classifier.WhichOneof("ClassLabels")) != "int64ClassLabels"

    def updated(
        self, samples: NDArray[np.float32], labels: Sequence[Label], neighbors: int | None = None
    ) -> "NearestNeighborsModel":
        """Return the same model with the samples [n, D] and their labels added."""
        model = self._changed(
            samples=np.concatenate([self.samples, samples]),
            _norms=np.concatenate([self._norms, squared_norms(samples)]),
            sample_labels=[*self.sample_labels, *labels],
            neighbors=neighbors or self.neighbors,
        )
        model._number_labels()
        return model

    def _predict(self, rows: list[Row], intermediate: Intermediate) -> list[Prediction]:
        vectors = self._vectors(rows)
        answers = self._answers(vectors)
        if not intermediate:
            return answers
        return [{self._input.name: vector, **answer} for vector, answer in zip(vectors, answers, strict=True)]

    def frozen(self, rows: Sequence[Row], numbers: Sequence[int] | None = None) -> list[FrozenRow]:
        """Return the rows with their vectors checked; a k-NN classifier has no layers to run."""
        result = []
        for index, row in numbered(rows, numbers):
            vector = self._vector(row, index)
            known = row.features if isinstance(row, FrozenRow) else row
            features = {name: value for name, value in known.items() if name != self._input.name}
            result.append(FrozenRow({self._input.name: vector}, features, self.part))
        return result

    def _vectors(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        """[rows, D]; whole rows that are alike are checked together."""
        together = self._alike(rows)
        if together is not None and np.isfinite(together).all():
            return together
        one_by_one = [self._vector(row, index) for index, row in enumerate(rows)]
        return np.stack(one_by_one) if rows else np.zeros((0, self.dimensions), np.float32)

    def _alike(self, rows: Sequence[Row]) -> NDArray[np.float32] | None:
        """The vectors, not yet known to be finite, of rows that all hold such an array as the input is declared."""
        name, declared = self._input.name, self._input.type.multiArrayType.dataType
        plain = [row for row in rows if isinstance(row, dict)]
        values: list[Any] = [row.get(name) for row in plain]
        if not values or len(values) != len(rows) or DTYPES.get(declared) is not np.float32:
            return None
        first = values[0]
        if any(
            type(value) is not np.ndarray or value.dtype != np.float32 or value.shape != first.shape for value in values
        ):
            return None
        self._vector(plain[0], 0)  # its shape, and its size
        for index, row in enumerate(plain):
            expect_features(row, [name], self._known, index)
        return np.stack(values).reshape(len(rows), -1)

    def _vector(self, row: Row, index: int) -> NDArray[np.float32]:
        if isinstance(row, FrozenRow):
            expect_part(row, self.part, index)
            kept: NDArray[np.float32] = row.values[self._input.name]
            return kept
        expect_mapping(row, index)
        name = self._input.name
        expect_features(row, [name], self._known, index)
        where = f"row {index}: feature '{name}'"
        vector = numbers(self._input, row[name], where).ravel()
        if len(vector) != self.dimensions:
            raise ModelError(
                f"{where}: has {len(vector)} values, but the index has {self.dimensions} dimensions; check the model"
            )
        if not np.isfinite(vector).all():
            raise DataError(f"{where}: contains NaN or infinite numbers, so it has no distances; remove the row")
        return vector

    def _answers(self, queries: NDArray[np.float32]) -> list[Prediction]:
        if not len(self.samples):
            default = self._default_label()
            return [self._answer(default, {default: 1.0}) for _ in queries]
        return [
            self._voted(indices, distances)
            for indices, distances in nearest(
                self.samples, queries, self.neighbors, self.assumptions.tied_samples, self._norms
            )
        ]

    def _voted(self, indices: NDArray[np.int64], distances: NDArray[np.float64]) -> Prediction:
        votes = weights(distances, self._uniform, self.assumptions)
        numbered = [self._numbers[index] for index in indices.tolist()]
        winner, shares = vote(numbered, votes.tolist(), len(self._distinct), self.assumptions)
        named = {self._distinct[index]: share for index, share in shares.items()}
        return self._answer(self._distinct[winner], named)

    def _answer(self, label: Label, shares: dict[Label, float]) -> Prediction:
        description = self.base.description
        answer: Prediction = {description.predictedFeatureName: label}
        if description.predictedProbabilitiesName:
            answer[description.predictedProbabilitiesName] = shares
        return answer

    def _default_label(self) -> Label:
        classifier = self.base.kNearestNeighborsClassifier
        if classifier.WhichOneof("DefaultClassLabel") is None:
            raise ModelError("model: has no samples and no default label; add samples or set a default label")
        return classifier.defaultStringLabel if self.string_labels else int(classifier.defaultInt64Label)

    def _number_labels(self) -> None:
        """Distinct labels in the order of their first sample, and each sample's number among them."""
        order = {label: index for index, label in enumerate(dict.fromkeys(self.sample_labels))}
        self._distinct = list(order)
        self._numbers = [order[label] for label in self.sample_labels]

    def _written_back(self) -> Model:
        """A copy of the message with the new samples and labels appended, and nothing else changed."""
        message = copy_of(self.base)
        classifier = message.kNearestNeighborsClassifier
        for sample in self.samples[self._kept :]:
            classifier.nearestNeighborsIndex.floatSamples.add().MergeFromString(packed(sample))
        field = classifier.stringClassLabels if self.string_labels else classifier.int64ClassLabels
        field.vector.extend(self.sample_labels[self._kept :])
        return message


def _samples(index: Any, dimensions: int) -> NDArray[np.float32]:
    vectors = [packed_floats(sample) for sample in index.floatSamples]
    for position, vector in enumerate(vectors):
        if len(vector) != dimensions:
            raise ModelError(
                f"model: sample {position} has {len(vector)} values, but the index has {dimensions} dimensions; build "
                "the k-NN again"
            )
        if not np.isfinite(vector).all():
            raise ModelError(f"model: sample {position} contains NaN or infinite numbers; remove it")
    return np.stack(vectors) if vectors else np.zeros((0, max(0, min(dimensions, 2**24))), np.float32)


def _labels(classifier: Any) -> list[Label]:
    match classifier.WhichOneof("ClassLabels"):
        case "stringClassLabels":
            return [str(label) for label in classifier.stringClassLabels.vector]
        case "int64ClassLabels":
            return [int(label) for label in classifier.int64ClassLabels.vector]
    return []
