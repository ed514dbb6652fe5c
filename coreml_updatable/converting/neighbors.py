"""A k-NN classifier filled with samples, and the proof that it does what it is for.

Its embedding is the extractor's output, its first sample finds itself, and an update adds the rows that it is given.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any, TypeAlias

import numpy as np

from coreml_updatable.checking import Problem, expect_valid
from coreml_updatable.converting.equivalence import remedy, unchanged, unrounded
from coreml_updatable.converting.spread import ALLOWED, Agreement, agreement, compared
from coreml_updatable.converting.trial_rows import trial_rows
from coreml_updatable.data.inputs import Float32Array
from coreml_updatable.data.rows.reading import named
from coreml_updatable.errors import BuildError, DataError, ModelError, UserError
from coreml_updatable.marking import embedding_length, expect_label, with_samples
from coreml_updatable.marking.extractor import with_head
from coreml_updatable.runtime import Row, load, reference
from coreml_updatable.runtime.io.row import expect_mapping
from coreml_updatable.spec.messages import Model, copy_of
from coreml_updatable.spec.network import pipeline_of
from coreml_updatable.spec.samples import nearest_neighbors_of, samples_of
from coreml_updatable.updating import UpdateTask

PlainRow: TypeAlias = Mapping[str, Any]
AT_A_TIME = 256


@reference()
def embedded(extractor: Model, rows: Iterable[Row]) -> Float32Array:
    """float32 [n, D]: the extractor's one output for each row.

    They may be written into a k-NN, so the reference makes them.
    Raises ModelError for an embedding that is not finite, and what the runtime raises for a row that does not fit.
    """
    name, runnable = str(extractor.description.output[0].name), load(extractor)
    waiting, result = iter(rows), list[Float32Array]()
    while block := list(islice(waiting, AT_A_TIME)):
        numbers = range(len(result), len(result) + len(block))
        for number, answer in zip(numbers, runnable.predict(runnable.frozen(block, numbers)), strict=True):
            vector = np.asarray(answer[name], np.float32)
            if not np.isfinite(vector).all():
                raise ModelError(f"row {number}: the extractor returned NaN or infinite numbers; check its weights")
            result.append(vector)
    return np.stack(result) if result else np.zeros((0, embedding_length(extractor)), np.float32)


@dataclass(frozen=True)
class ProvedKNN:
    """``agreement``: of its embedding and the extractor's output. ``samples_after``: an update with one row."""

    model: Model
    agreement: Agreement
    samples_after: int
    warnings: tuple[Problem, ...]


def filled_and_proved(
    source: Model, empty: Model, rows: Iterable[tuple[str, PlainRow]] | None = None, *, cut: bool
) -> ProvedKNN:
    """Return ``empty``, a k-NN on the extractor of ``source``, with a sample for each of ``rows``, checked and proved.

    ``rows`` are pairs of a name, which errors begin with, and a row with its label. ``cut``: whether the extractor is
    ``source`` before its head. Raises DataError for a row that does not fit and where there is none, ModelError for a
    broken rule, and what ``prove_knn`` raises.
    """
    warnings = expect_valid(empty, "k-NN model")
    result, names, first = empty, list[str](), None
    if rows is not None:
        target = str(empty.description.predictedFeatureName)
        labels: list[Any] = []

        def bare() -> Iterator[PlainRow]:
            for index, (name, row) in enumerate(rows):
                expect_mapping(row, index)
                names.append(name)
                if target not in row:
                    raise DataError(f"row {index}: lacks '{target}', the label; add it to the row")
                expect_label(empty, row[target])
                labels.append(row[target])
                yield {key: value for key, value in row.items() if key != target}

        waiting = bare()
        try:
            first = next(waiting, None)
            if first is None:
                raise DataError("samples: contains no rows; add at least one, or omit --samples")
            result = with_samples(empty, embedded(pipeline_of(empty).models[0], chain([first], waiting)), labels)
        except UserError as error:
            raise named(error, names) from error
        warnings = expect_valid(result, "k-NN model")
    proof, samples = prove_knn(source, result, cut=cut, first=first)
    return ProvedKNN(result, proof, samples, tuple(warnings))


ALLOWED_DIFFERENCE = 1e-5  # of the largest number in the embeddings: 32-bit sums in another order differ by less
ROWS = 4
_FAULT = "nothing was written; this is a bug in coreml_updatable, please report it"


def prove_knn(source: Model, result: Model, *, cut: bool, first: PlainRow | None = None) -> tuple[Agreement, int]:
    """Return how far embeddings agree, relative to their largest number, and the samples after an update with one row.

    ``first`` is the row of the first sample, where there are samples.

    Raises BuildError where the embeddings differ by more than 1e-5 of their largest number or 0.01 of how far rows lie
    apart, the first sample's nearest neighbor is another one, or an update with one row does not add just that;
    ModelError where an embedding is not finite.
    """
    rows = trial_rows(source, ROWS)
    front = pipeline_of(result).models[0]
    actual = embedded(front, rows)
    expected = _before_the_head(source, rows, actual.shape[1]) if cut else _answers(source, rows)
    if expected.shape != actual.shape:
        raise BuildError(f"k-NN: the embedding has the shape {actual.shape}, expected {expected.shape}; {_FAULT}")
    difference = float(np.abs(expected - actual).max() / max(1e-6, float(np.abs(expected).max())))
    by_spread = compared(np.asarray(expected, np.float64), np.asarray(actual, np.float64))
    if not difference <= ALLOWED_DIFFERENCE or by_spread.verdict == "differ":
        raise BuildError(
            f"k-NN: its embedding differs from the extractor's by {difference:.2g}, expected at most "
            f"{ALLOWED_DIFFERENCE}, and by {by_spread.relative:.2g} of the spread of the rows, expected at most "
            f"{ALLOWED:g}; {remedy(source)}"
        )
    if first is not None:
        _finds_itself(result, embedded(front, [first])[0])
    samples = _learns(result, rows[0] if first is None else first)
    found_alike = agreement(difference, expected.astype(np.float64), actual.astype(np.float64), "the embedding")
    return replace(found_alike, relative=by_spread.relative), samples


def _before_the_head(source: Model, rows: Sequence[Row], length: int) -> Float32Array:
    """What the first layer of the head reads, maps averaged over height and width; the repair itself is proved too."""
    repaired, head = with_head(source)
    unchanged(source, repaired)
    blob = str(head.input[0])
    read = [np.asarray(answer[blob]) for answer in load(repaired).predict(rows, intermediate={blob})]
    return np.stack([(item if item.size == length else item.mean(axis=(-2, -1))).ravel() for item in read])


def _answers(source: Model, rows: Sequence[Row]) -> Float32Array:
    name = str(source.description.output[0].name)
    return np.stack([np.ravel(answer[name]) for answer in load(unrounded(source)).predict(rows)]).astype(np.float32)


def _finds_itself(result: Model, vector: Float32Array) -> None:
    """With one neighbor asked for, the answer is the label of a sample that lies where the first one does."""
    samples = samples_of(result)
    distances = np.abs(samples.embeddings - vector).max(axis=1)
    near = distances <= ALLOWED_DIFFERENCE * max(1e-6, float(np.abs(vector).max()))
    if not near[0]:
        raise BuildError(f"k-NN: the first sample lies {distances[0]:.2g} away from its own row's embedding; {_FAULT}")
    alone = copy_of(pipeline_of(result).models[-1])
    neighbors = nearest_neighbors_of(alone).numberOfNeighbors
    neighbors.Clear()
    neighbors.defaultValue = 1
    answer = load(alone).predict({str(alone.description.input[0].name): vector})
    label = answer[str(alone.description.predictedFeatureName)]
    if label not in {known for known, close in zip(samples.labels, near, strict=True) if close}:
        raise BuildError(
            f"k-NN: the nearest neighbor of the first sample is a {label!r}, expected itself, a "
            f"{samples.labels[0]!r}; {_FAULT}"
        )


def _learns(result: Model, row: PlainRow) -> int:
    samples = samples_of(result)
    classifier = nearest_neighbors_of(result)
    default = getattr(classifier, str(classifier.WhichOneof("DefaultClassLabel")))
    label = samples.labels[0] if samples.labels else default
    features = {str(feature.name) for feature in result.description.input}
    training_row = {name: value for name, value in row.items() if name in features}
    training_row[str(result.description.predictedFeatureName)] = label
    learned = samples_of(UpdateTask(result, [training_row]).resume().model.message)
    kept = learned.embeddings[: len(samples.labels)].tobytes() == samples.embeddings.tobytes()
    if learned.labels != (*samples.labels, label) or not kept:
        raise BuildError(
            f"k-NN: an update with one row leaves {len(learned.labels)} samples, expected "
            f"{len(samples.labels) + 1}; {_FAULT}"
        )
    return len(learned.labels)
