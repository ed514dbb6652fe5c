"""Convert a nearest-neighbors classifier, which Turi Create cannot export, from its stored rows.

The format was found by comparing files with their known contents; ``python38/neighbors.py`` verifies every row.
An .sidx file names segments. A segment ends in the length of its footer, u64 as everything here, little-endian; the
footer holds the count of columns (1) and for it the count of its blocks, and of each block six numbers: where it lies,
its length there and in memory, how many parts it has, flags (1: it is compressed as an LZ4 block), and the kind of its
content. A block holds the count of its parts; a part the count of its doubles, these, and a 0.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from coreml_updatable.converting.contract import Row
from coreml_updatable.data.inputs import Float64Array
from coreml_updatable.errors import SourceError
from coreml_updatable.spec.graph import free_name
from coreml_updatable.spec.messages import FeatureTypes_pb2, Model, Model_pb2

from .._shared.core_ml_layers import SPECIFICATION_VERSION
from .._shared.core_ml_neighbors import answer_features, nearest_neighbors
from .child import REMEDY, ask

COMPRESSED = 1
BLOCK = struct.Struct("<6Q")
WORD = 8
MOST_TIMES = 255  # as long as it is stored can an LZ4 block be in memory


def reference_values(folder: Path) -> Float64Array:
    """Return all numbers of all rows, one after the other; SourceError if the folder has another format."""
    if len(list(folder.glob("*.sidx"))) > 1:
        raise SourceError(f"{folder}: stores text or dictionaries, expected numbers and arrays; train it on these")
    try:
        return np.concatenate([part for segment in _segments(folder) for part in _parts(segment)])
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, struct.error) as error:
        raise SourceError(
            f"{folder}: its reference data cannot be read ({type(error).__name__}: {error}); "
            "train it on numbers and arrays in Turi Create 6.4.1, and save it again"
        ) from error


def _segments(folder: Path) -> Iterator[bytes]:
    (index,) = folder.glob("*.sidx")
    for _, name in sorted(json.loads(index.read_text(encoding="utf-8"))["segment_files"].items()):
        if Path(name).name != name:
            raise ValueError(f"{name} is outside the folder")
        yield (folder / name).read_bytes()


def _parts(segment: bytes) -> Iterator[Float64Array]:
    footer = segment[-WORD - int.from_bytes(segment[-WORD:], "little") : -WORD]
    columns, blocks = struct.unpack_from("<2Q", footer)
    if columns != 1 or len(footer) != 2 * WORD + blocks * BLOCK.size:
        raise ValueError("the footer has the wrong length")
    for index in range(blocks):
        start, stored, size, parts, flags, _ = BLOCK.unpack_from(footer, 2 * WORD + index * BLOCK.size)
        content = segment[start : start + stored]
        longest = MOST_TIMES * stored if flags == COMPRESSED else stored
        if len(content) != stored or flags > COMPRESSED or not stored <= size <= longest:
            raise ValueError(f"block {index} has the wrong type")
        yield from _doubles(decompressed(content, size) if flags else content, parts)


def decompressed(content: bytes, size: int) -> bytes:
    """Return an LZ4 block unpacked to exactly ``size`` bytes; a ValueError for anything else."""
    from lz4.block import LZ4BlockError, decompress

    try:
        unpacked: bytes = decompress(content, uncompressed_size=size)
    except LZ4BlockError as error:
        raise ValueError(f"is not an LZ4 block ({error})") from None
    if len(unpacked) != size:
        raise ValueError("a block unpacks to the wrong length")
    return unpacked


def _doubles(content: bytes, parts: int) -> Iterator[Float64Array]:
    if int.from_bytes(content[:WORD], "little") != parts:
        raise ValueError("a block has the wrong number of parts")
    place = WORD
    for _ in range(parts):
        count = int.from_bytes(content[place : place + WORD], "little")
        yield np.frombuffer(content, "<f8", count, place + WORD)
        place += (count + 2) * WORD
    if place != len(content):
        raise ValueError("a block has the wrong length")


NEIGHBORS = 10  # of which Turi Create's predict asks, unless told otherwise
EMBEDDING = "features"
DISTANCES = ("euclidean", "squared_euclidean")

TIE = 1e-6  # of a distance: what 32 bits may take for equal

Labels = tuple[str, ...] | tuple[int, ...]
Columns = Sequence[tuple[str, int | None]]  # a name and a length, None for a single number


@dataclass(frozen=True)
class Remembered:
    """The updatable model, its labels, their classes (sorted) and its samples [n, numbers]."""

    model: Model
    labels: Labels
    classes: Labels
    samples: Float64Array
    columns: Columns


def neighbors_of(folder: Path, names: tuple[str, ...]) -> Remembered:
    """Build it from a saved classifier, with the labels ``names`` if given.

    A ``featureVectorizer`` before it joins several features.
    """
    values = reference_values(folder)
    if not np.isfinite(values).all():
        raise SourceError(f"{folder}: its rows have missing values; fill them, train it again and save it")
    with TemporaryDirectory() as private:
        path = Path(private) / "values.npy"
        np.save(path, values, allow_pickle=False)
        answer = ask("neighbors", {"model": str(folder), "values": str(path)}, f"{folder}: reading its rows", REMEDY)
    columns = _columns(folder, answer)
    classes = tuple(sorted(set(answer["labels"])))
    labels = names or classes
    if len(labels) != len(classes):
        raise SourceError(f"labels: found {len(labels)} for a model with {len(classes)} classes; give one per class")
    given = [labels[classes.index(label)] for label in answer["labels"]]
    samples = values.reshape(len(given), -1)
    return Remembered(_model(samples, given, columns, labels), labels, classes, samples, columns)


def untied(result: Remembered, rows: Sequence[Row]) -> tuple[Row, ...]:
    """Return the ``rows`` that are not equally near to a sample that votes and to one that does not.

    Which of equally near samples vote depends on the implementation.
    """
    kept = []
    for row in rows if len(result.samples) > NEIGHBORS else ():
        values = np.concatenate([np.atleast_1d(np.asarray(row[name], np.float64)) for name, _ in result.columns])
        distances = np.sort(np.linalg.norm(result.samples - values, axis=1))
        if distances[NEIGHBORS] - distances[NEIGHBORS - 1] > TIE * distances[NEIGHBORS]:
            kept.append(row)
    return tuple(kept) if len(result.samples) > NEIGHBORS else tuple(rows)


def _columns(folder: Path, result: Any) -> Columns:
    kinds = [kind for _, kind, _ in result["distance"]]
    if len(kinds) != 1 or kinds[0] not in DISTANCES:
        raise SourceError(
            f"{folder}: measures by {' and '.join(kinds)}, but Core ML has only the Euclidean distance; train it "
            "with distance='euclidean'"
        )
    if result["columns"] is None:
        raise SourceError(f"{folder}: stores text or dictionaries, expected numbers and arrays; train it on these")
    return [(str(name), length) for name, length in result["columns"]]


def _model(rows: Float64Array, given: Sequence[Any], columns: Columns, labels: Labels) -> Model:
    names = [name for name, _ in columns]
    if len(columns) == 1 and columns[0][1] is not None:
        return nearest_neighbors(rows, given, names[0], NEIGHBORS)
    embedding = free_name(EMBEDDING, names)
    result = Model_pb2.Model(specificationVersion=SPECIFICATION_VERSION, isUpdatable=True)
    pipeline = result.pipelineClassifier.pipeline
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
    result.description.input.extend(front.description.input)
    answer_features(result, labels)
    return result


def _double_array(feature: Any, length: int) -> None:
    feature.type.multiArrayType.shape.append(length)
    feature.type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.DOUBLE
