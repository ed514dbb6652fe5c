"""A nearest-neighbours classifier, which Turi Create can not export, from the rows that it remembers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from coreml_updatable.conversion import Float64Array, Row
from coreml_updatable.errors import SourceError
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, Model_pb2

from .core_ml_layers import SPECIFICATION_VERSION
from .core_ml_neighbors import answer_features, nearest_neighbors
from .turicreate_child import REMEDY, ask
from .turicreate_reference import reference_values

NEIGHBORS = 10  # of which Turi Create's predict asks, unless told otherwise
EMBEDDING = "features"
DISTANCES = ("euclidean", "squared_euclidean")

TIE = 1e-6  # of a distance: what 32 bits may take for equal

Labels = tuple[str, ...] | tuple[int, ...]
Columns = Sequence[tuple[str, int | None]]  # a name and a length, None for a single number


@dataclass(frozen=True)
class Remembered:
    """The updatable model; its labels; the classes that they stand for, sorted; and its samples [n, numbers]."""

    model: Model
    labels: Labels
    classes: Labels
    samples: Float64Array
    columns: Columns


def neighbors_of(folder: Path, names: tuple[str, ...]) -> Remembered:
    """From a saved classifier, with the labels ``names`` if given.

    Several features are put together by a ``featureVectorizer`` in front.
    """
    values = reference_values(folder)
    if not np.isfinite(values).all():
        raise SourceError(f"{folder}: its rows have missing values; fill them, train it anew and save it")
    with TemporaryDirectory() as private:
        path = Path(private) / "values.npy"
        np.save(path, values, allow_pickle=False)
        told = ask("neighbors", {"model": str(folder), "values": str(path)}, f"{folder}: reading its rows", REMEDY)
    columns = _columns(folder, told)
    classes = tuple(sorted(set(told["labels"])))
    labels = names or classes
    if len(labels) != len(classes):
        raise SourceError(f"labels: {len(labels)} for a model with {len(classes)} classes; name one for each")
    given = [labels[classes.index(label)] for label in told["labels"]]
    samples = values.reshape(len(given), -1)
    return Remembered(_model(samples, given, columns, labels), labels, classes, samples, columns)


def untied(found: Remembered, rows: Sequence[Row]) -> tuple[Row, ...]:
    """Those of ``rows`` that are not as near to a sample which votes as to one which does not.

    Which of equally near samples vote is up to who runs the model.
    """
    kept = []
    for row in rows if len(found.samples) > NEIGHBORS else ():
        values = np.concatenate([np.atleast_1d(np.asarray(row[name], np.float64)) for name, _ in found.columns])
        distances = np.sort(np.linalg.norm(found.samples - values, axis=1))
        if distances[NEIGHBORS] - distances[NEIGHBORS - 1] > TIE * distances[NEIGHBORS]:
            kept.append(row)
    return tuple(kept) if len(found.samples) > NEIGHBORS else tuple(rows)


def _columns(folder: Path, told: Any) -> Columns:
    kinds = [kind for _, kind, _ in told["distance"]]
    if len(kinds) != 1 or kinds[0] not in DISTANCES:
        raise SourceError(
            f"{folder}: measures by {' and '.join(kinds)}, Core ML knows only the Euclidean distance; "
            "train it with distance='euclidean'"
        )
    if told["columns"] is None:
        raise SourceError(f"{folder}: remembers text or dictionaries, expected numbers and arrays; train it on these")
    return [(str(name), length) for name, length in told["columns"]]


def _model(rows: Float64Array, given: Sequence[Any], columns: Columns, labels: Labels) -> Model:
    names = [name for name, _ in columns]
    if len(columns) == 1 and columns[0][1] is not None:
        return nearest_neighbors(rows, given, names[0], NEIGHBORS)
    embedding = EMBEDDING
    while embedding in names:
        embedding += "_"
    made = Model_pb2.Model(specificationVersion=SPECIFICATION_VERSION, isUpdatable=True)
    pipeline = made.pipelineClassifier.pipeline
    front = pipeline.models.add(specificationVersion=1)
    for name, length in columns:
        front.featureVectorizer.inputList.add(inputColumn=name, inputDimensions=length or 1)
        feature = front.description.input.add(name=name)
        if length is None:
            feature.type.doubleType.SetInParent()
        else:
            _double_array(feature, length)
    _double_array(front.description.output.add(name=embedding), rows.shape[1])
    back = nearest_neighbors(rows, given, embedding, NEIGHBORS)
    back.description.input[0].CopyFrom(front.description.output[0])  # both alike: a vectorizer gives doubles
    back.description.trainingInput[0].CopyFrom(front.description.output[0])
    pipeline.models.append(back)
    pipeline.names.extend(["features", "nearestNeighbors"])
    made.description.input.extend(front.description.input)
    answer_features(made, labels)
    return made


def _double_array(feature: Any, length: int) -> None:
    feature.type.multiArrayType.shape.append(length)
    feature.type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.DOUBLE
