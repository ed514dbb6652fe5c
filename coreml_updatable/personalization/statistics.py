"""How good the base model is, with the uncertainty of few rows: intervals, confusion, what to do next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from coreml_updatable.data.inputs import Float64Array, Int64Array

BoolArray: TypeAlias = npt.NDArray[np.bool_]

NORMAL = 1.959963984540054  # the two-sided 95% point of the normal distribution
DRAWS = 2000  # of the bootstrap


@dataclass(frozen=True)
class MeasuredAccuracy:
    """A share of rows, how many they are, and its 95% interval."""

    share: float
    rows: int
    low: float
    high: float


@dataclass(frozen=True)
class OfLabel:
    """One label: its number of rows, its recall, and its precision (None where nothing is predicted as it)."""

    label: str
    rows: int
    recall: MeasuredAccuracy
    precision: MeasuredAccuracy | None


@dataclass(frozen=True)
class Mistake:
    """A row that was called something else: its index, its label, what it was called, and how surely."""

    row: int
    label: str
    called: str
    confidence: float
    own: float  # the probability of its own label


@dataclass(frozen=True)
class BaseStatistics:
    """The base model on rows that the model which judged them never learned."""

    accuracy: MeasuredAccuracy
    folds: int  # 0: on rows held out once
    confusion: tuple[tuple[int, ...], ...]  # [label, called]
    labels: tuple[OfLabel, ...]
    mistakes: tuple[Mistake, ...]  # the surest first
    advice: tuple[str, ...]


def wilson(right: float, rows: int) -> MeasuredAccuracy:
    """The share ``right / rows`` with Wilson's score interval of 95% (Wilson 1927).

    ``right`` is a mean where the same rows were judged several times: the interval is that of one judgment.
    """
    if rows == 0:
        return MeasuredAccuracy(0.0, 0, 0.0, 1.0)
    share, square = right / rows, NORMAL * NORMAL
    middle = (share + square / (2 * rows)) / (1 + square / rows)
    half = NORMAL / (1 + square / rows) * sqrt(share * (1 - share) / rows + square / (4 * rows * rows))
    return MeasuredAccuracy(share, rows, max(0.0, middle - half), min(1.0, middle + half))


def difference(item: Sequence[bool], other: Sequence[bool], seed: int = 0) -> tuple[float, float, float]:
    """How much more often ``other`` is right than ``one`` on the same rows, and its 95% bootstrap interval."""
    gains = np.asarray(other, np.float64) - np.asarray(item, np.float64)
    if len(gains) == 0:
        return 0.0, 0.0, 0.0
    chosen = np.random.default_rng(seed).integers(0, len(gains), (DRAWS, len(gains)))
    low, high = np.percentile(gains[chosen].mean(axis=1), [2.5, 97.5])
    return float(gains.mean()), float(low), float(high)


def base_statistics(
    probabilities: Float64Array,
    wanted: Int64Array,
    labels: Sequence[str],
    *,
    folds: int = 0,
    on_half: Float64Array | None = None,
    groups: Int64Array | None = None,
    counts: Mapping[str, int] | None = None,
) -> BaseStatistics:
    """From ``probabilities`` [n, labels] and the indices ``wanted`` [n] of the right labels.

    ``on_half`` are the same of models that learned half of the rows of each label: a learning curve of two points.
    ``groups`` (rows that are nearly the same) are for the advice, ``counts`` the rows of each label that were learned.
    The advice names no row: whoever may see the rows finds them in ``mistakes``.
    """
    called = probabilities.argmax(axis=1)
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (wanted, called), 1)
    right = confusion.diagonal()
    of_labels = tuple(
        OfLabel(
            label,
            int(confusion[index].sum()),
            wilson(int(right[index]), int(confusion[index].sum())),
            wilson(int(right[index]), int(confusion[:, index].sum())) if confusion[:, index].any() else None,
        )
        for index, label in enumerate(labels)
    )
    wrong = np.flatnonzero(called != wanted)
    sure = probabilities[wrong, called[wrong]]
    mistakes = tuple(
        Mistake(
            int(row),
            labels[wanted[row]],
            labels[called[row]],
            float(probabilities[row, called[row]]),
            float(probabilities[row, wanted[row]]),
        )
        for row in wrong[np.argsort(-sure, kind="stable")]
    )
    accuracy = wilson(int(right.sum()), len(wanted))
    advice = tuple(_advice(accuracy, of_labels, confusion, mistakes, groups, counts or {}))
    if on_half is not None and accuracy.share < GOOD_ENOUGH:
        advice += (_of_more(called == wanted, on_half.argmax(axis=1) == wanted, wanted, labels),)
    table = tuple(tuple(map(int, row)) for row in confusion)
    return BaseStatistics(accuracy, folds, table, of_labels, mistakes, advice)


GOOD = 0.95
GOOD_ENOUGH = 0.99  # to ask for nothing more
SURE = 0.9  # of another label: the row's own may be wrong
FEW_ROWS = 10  # of a label, of which nothing is said
CONFUSED = 0.1  # of a label's rows that are called one other label


def _of_more(right: BoolArray, on_half: BoolArray, wanted: Int64Array, labels: Sequence[str]) -> str:
    """Whether more examples would help, by what the second half of them brought."""
    gain, low, high = difference(on_half.tolist(), right.tolist())
    shares = f"{on_half.mean():.1%} with half of the examples, {right.mean():.1%} with all"
    between = f"{100 * gain:+.1f} points, 95% interval {100 * low:+.1f} to {100 * high:+.1f}"
    if low <= 0:
        return f"The learning curve is flat as far as can be told: {shares} ({between})."
    gains = {label: float(right[rows].mean() - on_half[rows].mean()) for label, rows in _rows_of(wanted, labels)}
    most = max(gains, key=lambda label: gains[label])
    return (
        f"More examples help: {shares} ({between}); most of all those of {most!r}, whose recall rose by "
        f"{100 * gains[most]:.0f} points."
    )


def _rows_of(wanted: Int64Array, labels: Sequence[str]) -> list[tuple[str, Int64Array]]:
    return [(label, rows) for index, label in enumerate(labels) if len(rows := np.flatnonzero(wanted == index))]


def _advice(
    accuracy: MeasuredAccuracy,
    of_labels: Sequence[OfLabel],
    confusion: Int64Array,
    mistakes: Sequence[Mistake],
    groups: Int64Array | None,
    counts: Mapping[str, int],
) -> list[str]:
    """What to do next, each a sentence with its evidence; most useful first."""
    sentences = []
    suspects = [mistake for mistake in mistakes if mistake.confidence >= SURE]
    if suspects:
        they = "One example is" if len(suspects) == 1 else f"{len(suspects)} examples are"
        sentences.append(
            f"{they} predicted as another label with a probability of {SURE:.0%} or more. Look at the worst mistakes "
            "first: an example may be in the wrong folder, or show something else."
        )
    worst = min(of_labels, key=lambda item: item.recall.share)
    if worst.recall.share < GOOD:
        learned = counts.get(worst.label, worst.rows)
        sentences.append(
            f"Add examples of {worst.label!r}: it has the lowest recall ({worst.recall.share:.0%} of {worst.rows}), "
            f"with {learned} training examples."
        )
    for index, of_label in enumerate(of_labels):
        others = confusion[index].copy()
        others[index] = 0
        place = int(others.argmax())
        back = int(confusion[place, index])
        many = of_label.rows >= FEW_ROWS and others[place] / of_label.rows >= CONFUSED
        if many and index < place and back / max(1, of_labels[place].rows) >= CONFUSED:  # each pair once
            sentences.append(
                f"{of_label.label!r} and {of_labels[place].label!r} are confused with each other ({int(others[place])} "
                f"and {back} times): add examples that differ in nothing else, or merge the two labels."
            )
    if accuracy.high - accuracy.low > 0.1:
        sentences.append(
            f"The accuracy is uncertain ({accuracy.low:.0%} to {accuracy.high:.0%}): {accuracy.rows} examples are few."
        )
    if groups is not None and len(groups):
        alike = len(groups) - len(np.unique(groups))
        if alike / len(groups) > 0.1:
            sentences.append(
                f"{alike} of {len(groups)} pictures are near-duplicates of another and add little: vary them."
            )
    return sentences
