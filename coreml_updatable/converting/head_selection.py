"""Choose the settings of a fitted head: its regularization, how far a shot moves it, and what a k-NN remembers.

Everything is chosen by cross-validation on the training rows, and on nothing else; to judge the result on other rows,
call ``choose`` on the rest only (nested cross-validation).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreml_updatable.converting.fitted_head import (
    RATE,
    Frame,
    HeadSettings,
    central,
    frame_of,
    one_thread,
    reduced,
    regression,
)
from coreml_updatable.data.folds import folds_of
from coreml_updatable.data.inputs import Float32Array, Float64Array, Int64Array
from coreml_updatable.runtime.steps.classes import softmax

DECAYS = (10.0, 30.0, 100.0)  # scikit-learn's C on embeddings of length 1: more is less regularized
STEPS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # learning rate times squared length, of one shot
SAMPLES = (6, 10, 20, 40)  # of each kind, for the k-NN
EPOCHS, SHOTS = 10, 5  # of the update that the length is chosen for
NEIGHBORS = (1, 3)  # of the k-NN
FOLDS = 5
NOTHING_FORGOTTEN = 2.0  # how much personal accuracy counts in the choice of a k-NN's samples: shots cost it little
MOST_ROWS = 2000  # that are looked at to choose; all are learned


def choose(
    features: Float32Array,
    labels: Int64Array,
    kinds: Sequence[str],
    groups: Int64Array,
    classes: int,
    seed: int,
    by_kinds: bool = False,
) -> HeadSettings:
    """Look at ``features`` float32 [n, D] with their labels and kinds; rows of one group stay in one fold.

    Frames are those of the labels, or ``by_kinds`` of the kinds.
    """
    kept = _some(labels, seed)
    names, numbers = np.unique(np.array(kinds)[kept], return_inverse=True)
    rows = _Rows(features[kept].astype(np.float64), labels[kept], numbers, len(names), by_kinds)
    with one_thread():
        return _choose(rows, groups[kept], classes, seed)


@dataclass(frozen=True)
class _Rows:
    """What is looked at: features [n, D], their labels, and which of ``count`` kinds each is."""

    values: Float64Array
    labels: Int64Array
    kinds: Int64Array
    count: int
    by_kinds: bool

    def frame(self, some: Int64Array) -> Frame:
        """Of the rows ``some``."""
        return frame_of(self.values[some], (self.kinds if self.by_kinds else self.labels)[some])


def _choose(rows: _Rows, groups: Int64Array, classes: int, seed: int) -> HeadSettings:
    labels = rows.labels
    folds = folds_of(labels, groups, FOLDS, seed)
    scores = _accuracies(rows, folds, classes)
    if not scores:
        return HeadSettings(
            why=(
                "regularization, length of the embedding and samples are the defaults: too few rows to cross-validate",
            )
        )
    best = max(scores.values())
    spread = float(np.sqrt(max(best * (1 - best), 0.25 / len(labels)) / len(labels)))
    good = [score for score in scores if scores[score] >= best - spread]
    tried = {item: owners for item in good if (owners := list(_owners(rows, folds, classes, item, seed)))}
    if not tried:
        chosen = max(good, key=lambda entry: (scores[entry], -entry))
        text = "the length of the embedding and the k-NN's samples are the defaults: too few kinds to simulate owners"
        return HeadSettings(chosen, why=(_accuracy_in_words(chosen, scores, best, spread), text))
    return _with_updates(tried, scores, best, spread, classes)


def _accuracies(looked_at: _Rows, folds: Int64Array, classes: int) -> dict[float, float]:
    """The cross-validated accuracy with each regularization."""
    values, labels = looked_at.values, looked_at.labels
    right, asked = dict.fromkeys(DECAYS, 0), 0
    for train, test in _splits(folds, labels):
        frame = looked_at.frame(train)
        basis, seen = reduced(frame.placed(values[train]))
        rows = frame.placed(values[test]) @ basis
        asked += len(test)
        for decay in DECAYS:
            weights, bias = regression(seen, labels[train], classes, decay)
            right[decay] += int(((rows @ weights.T + bias).argmax(axis=1) == labels[test]).sum())
    return {decay: count / asked for decay, count in right.items()} if asked else {}


def _accuracy_in_words(chosen: float, scores: Mapping[float, float], best: float, spread: float) -> str:
    return (
        f"regularization: C = {chosen:g}: cross-validated accuracy {scores[chosen]:.1%}, within one "
        f"standard error ({spread:.1%}) of the best of {len(scores)} settings, {best:.1%}"
    )


@dataclass(frozen=True)
class _Owner:
    """A kind of the base's that plays the owner's: a head that never saw it, the label it is to get, and rows."""

    label: int
    head: tuple[Float64Array, Float64Array]
    train: tuple[Float64Array, Int64Array, Int64Array]  # unit embeddings, labels, kinds
    shots: Float64Array
    held_out: Float64Array
    test: tuple[Float64Array, Int64Array]
    typical: dict[int, Int64Array]  # of each number a kind, the rows of ``train`` that a k-NN remembers; shared


def _owners(looked_at: _Rows, folds: Int64Array, classes: int, decay: float, seed: int) -> Iterator[_Owner]:
    """For each kind, an owner who calls it what the head takes it for, and one who calls it the second most likely."""
    values, labels, numbers = looked_at.values, looked_at.labels, looked_at.kinds
    random = np.random.default_rng(seed)
    for index in range(looked_at.count):
        own = random.permutation(np.flatnonzero(numbers == index))
        shots = min(SHOTS, len(own) // 2)
        train = np.flatnonzero((numbers != index) & (folds % 3 != 0))
        test = np.flatnonzero((numbers != index) & (folds % 3 == 0))
        if shots < 1 or len(test) < 1 or len(set(labels[train].tolist())) < 2:
            continue
        frame = looked_at.frame(train)
        basis, seen = reduced(frame.placed(values[np.concatenate([train, own])]))
        rows, mine = seen[: len(train)], seen[len(train) :]
        head = regression(rows, labels[train], classes, decay)
        said = softmax(mine @ head[0].T + head[1]).mean(axis=0)
        asked = frame.placed(values[test]) @ basis
        typical = dict[int, Int64Array]()
        order = [item for item in np.argsort(-said).tolist() if item in set(labels[train].tolist())]
        for label in order[:2]:
            yield _Owner(
                int(label),
                head,
                (rows, labels[train], numbers[train]),
                mine[:shots],
                mine[shots:],
                (asked, labels[test]),
                typical,
            )


def _with_updates(
    tried: Mapping[float, Sequence[_Owner]], scores: Mapping[float, float], best: float, spread: float, classes: int
) -> HeadSettings:
    """The regularization, step, samples and neighbors with which network and k-NN serve the simulated owners best."""
    any_owners = next(iter(tried.values()))  # a k-NN has no head: it is the same for each
    remembered = {
        (count, neighbors): np.mean([_remembered(owner, count, neighbors, classes) for owner in any_owners], axis=0)
        for count in SAMPLES
        for neighbors in NEIGHBORS
    }
    count, neighbors = max(remembered, key=lambda item: _worth(remembered[item], NOTHING_FORGOTTEN))
    updated: dict[tuple[float, float], Any] = {
        (decay, step): np.mean([_updated(owner, step) for owner in owners], axis=0)
        for decay, owners in tried.items()
        for step in STEPS
    }
    chosen, step = max(updated, key=lambda entry: _worth(updated[entry]))
    network, knn = updated[chosen, step], remembered[count, neighbors]
    return HeadSettings(
        chosen,
        step,
        count,
        neighbors,
        (
            _accuracy_in_words(chosen, scores, best, spread),
            f"length of the embedding: {np.sqrt(step / RATE):.3g}, so that one shot at the learning rate {RATE:g} "
            f"moves the head by {step:g}: over {len(any_owners)} simulated owners of the base's own kinds, personal "
            f"accuracy {network[0]:.1%} and base accuracy {network[1]:.1%} after {SHOTS} shots",
            f"the k-NN: {count} samples of each kind, of which the nearest {neighbors} answer (personal accuracy "
            f"{knn[0]:.1%}, base accuracy {knn[1]:.1%} for the same owners)",
        ),
    )


def _worth(scores: Any, personal: float = 1.0) -> float:
    return float(personal * scores[0] + scores[1])


def _updated(owner: _Owner, step: float) -> tuple[float, float]:
    """Personal and base accuracy after an update with the owner's shots, one at a time."""
    weights, bias = owner.head[0].copy(), owner.head[1].copy()
    for _ in range(EPOCHS):
        for shot in owner.shots:
            slope = softmax((weights @ shot + bias)[None])[0]
            slope[owner.label] -= 1
            weights -= step * np.outer(slope, shot)
            bias -= RATE * slope
    test, wanted = owner.test
    own = ((owner.held_out @ weights.T + bias).argmax(axis=1) == owner.label).mean()
    return float(own), float(((test @ weights.T + bias).argmax(axis=1) == wanted).mean())


def _remembered(owner: _Owner, count: int, neighbors: int, classes: int) -> tuple[float, float]:
    """The same of a k-NN that remembers ``count`` rows of each kind, and the shots."""
    rows, labels, kinds = owner.train
    if count not in owner.typical:
        owner.typical[count] = np.concatenate(
            [central(rows, np.flatnonzero(kinds == kind), count) for kind in sorted(set(kinds.tolist()))]
        )
    chosen = owner.typical[count]
    known = np.concatenate([rows[chosen], owner.shots])
    named = np.concatenate([labels[chosen], np.full(len(owner.shots), owner.label)])
    test, wanted = owner.test
    own = (_nearest(known, named, owner.held_out, neighbors, classes) == owner.label).mean()
    return float(own), float((_nearest(known, named, test, neighbors, classes) == wanted).mean())


def _nearest(known: Float64Array, labels: Int64Array, asked: Float64Array, neighbors: int, classes: int) -> Int64Array:
    """The label by the inverse distances of the nearest, as Core ML weights them."""
    distances = np.maximum(2 - 2 * asked @ known.T, 1e-9)
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :neighbors]
    votes = np.zeros((len(asked), classes))
    for place in range(nearest.shape[1]):
        column = nearest[:, place]
        np.add.at(votes, (np.arange(len(asked)), labels[column]), 1 / distances[np.arange(len(asked)), column])
    return np.asarray(votes.argmax(axis=1))


def _splits(folds: Int64Array, labels: Int64Array) -> Iterator[tuple[Int64Array, Int64Array]]:
    for fold in range(FOLDS):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        if len(test) and len(np.unique(labels[train])) == len(np.unique(labels)):
            yield train, test


def _some(labels: Int64Array, seed: int) -> Int64Array:
    """At most ``MOST_ROWS`` rows, of each label its share."""
    if len(labels) <= MOST_ROWS:
        return np.arange(len(labels))
    order = np.random.default_rng(seed).permutation(len(labels))
    share = MOST_ROWS / len(labels)
    chosen = [order[labels[order] == label] for label in np.unique(labels)]
    return np.sort(np.concatenate([rows[: max(10, round(len(rows) * share))] for rows in chosen]))
