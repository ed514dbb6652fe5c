"""New kinds for open slots: an owner shows a few photos of each, and asks about others.

All are learnt in one update, on the base model."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from coreml_updatable.personalization.answers import Said, ask, rightly, share
from coreml_updatable.personalization.results import Answer
from coreml_updatable.personalization.scenario import Row
from coreml_updatable.personalization.slots_results import SlotsComparison, SlotsOutcome, SlotsPoint
from coreml_updatable.personalization.summary import spread
from coreml_updatable.runtime import FrozenRow, RunnableModel
from coreml_updatable.updating import UpdateTask


@dataclass(frozen=True)
class SlotsScenario:
    """``kinds`` maps each new kind to its slot's label. The rows of ``owner`` are learnt, those of ``held_out`` never;
    those of ``test`` show what the base knows. A label for each row."""

    kinds: Mapping[str, str]
    slots: int
    owner_rows: tuple[Row, ...]
    owner_labels: tuple[str, ...]
    held_out_rows: tuple[Row, ...]
    held_out_labels: tuple[str, ...]
    test_rows: tuple[Row, ...]
    test_labels: tuple[str, ...]
    photos: tuple[int, ...]  # of each kind, rising
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class _Subject:
    """A model with the scenario's rows behind its frozen layers."""

    model: RunnableModel
    scenario: SlotsScenario
    owner: tuple[FrozenRow, ...]
    held_out: tuple[FrozenRow, ...]
    test: tuple[FrozenRow, ...]


@dataclass(frozen=True)
class _Tried:
    """One order: the answers after one update."""

    held_out: tuple[Said, ...]
    test: tuple[Said, ...]
    update_ms: float
    growth_bytes: int


def compare_slots(
    network: RunnableModel, knn: RunnableModel, scenario: SlotsScenario, on_progress: Callable[[float, str], None]
) -> SlotsComparison:
    """Both models under the same conditions; they are not changed."""
    outcomes = []
    for number, (name, model) in enumerate((("network", network), ("k-NN", knn))):
        on_progress(number / 2, name)
        outcomes.append(_outcome(model, scenario))
    return SlotsComparison(
        kinds=scenario.kinds,
        slots=scenario.slots,
        photos=scenario.photos,
        seeds=scenario.seeds,
        held_out_labels=scenario.held_out_labels,
        test_pictures=len(scenario.test_rows),
        network=outcomes[0],
        knn=outcomes[1],
    )


def chosen(labels: Sequence[str], photos: int, seed: int) -> list[int]:
    """Indices of ``photos`` rows of each label, in turn: one of each, then the second of each. More photos of one seed
    go on where fewer ended."""
    chance = np.random.default_rng(seed)
    orders = []
    for label in dict.fromkeys(labels):
        members = [number for number, own in enumerate(labels) if own == label]
        orders.append([members[place] for place in chance.permutation(len(members))[:photos]])
    return [number for turn in zip(*orders, strict=True) for number in turn]


def _outcome(model: RunnableModel, scenario: SlotsScenario) -> SlotsOutcome:
    groups = (scenario.owner_rows, scenario.held_out_rows, scenario.test_rows)
    subject = _Subject(model, scenario, *(tuple(model.frozen(rows)) for rows in groups))
    base = _Tried(ask(model, subject.held_out), ask(model, subject.test), 0.0, 0)
    points, last = [_point(scenario, 0, [base])], base
    for photos in scenario.photos:
        tried = [_tried(subject, photos, seed) for seed in scenario.seeds]
        points.append(_point(scenario, photos, tried))
        last = tried[0]
    return SlotsOutcome(tuple(points), _answers(base), _answers(last))


def _tried(subject: _Subject, photos: int, seed: int) -> _Tried:
    labels, target = subject.scenario.owner_labels, str(subject.model.message.description.predictedFeatureName)
    picked = chosen(labels, photos, seed)
    rows = [subject.owner[number].with_features(**{target: labels[number]}) for number in picked]
    started = time.perf_counter()
    learnt = UpdateTask(subject.model, rows).resume().model
    elapsed_ms = (time.perf_counter() - started) * 1000
    growth = learnt.message.ByteSize() - subject.model.message.ByteSize()
    return _Tried(ask(learnt, subject.held_out), ask(learnt, subject.test), elapsed_ms, growth)


def _point(scenario: SlotsScenario, photos: int, tried: Sequence[_Tried]) -> SlotsPoint:
    wanted, new = scenario.held_out_labels, set(scenario.kinds.values())
    right = [rightly(one.held_out, wanted) for one in tried]
    answers = Counter(said.label for one in tried for said in one.held_out)
    by_kind = {
        kind: _mean([share([good for good, own in zip(flags, wanted, strict=True) if own == label]) for flags in right])
        for kind, label in scenario.kinds.items()
    }
    return SlotsPoint(
        photos=photos,
        right=spread([share(flags) for flags in right]),
        right_by_kind=by_kind,
        held_out_answers={label: count / answers.total() for label, count in sorted(answers.items())},
        kept=spread([share(rightly(one.test, scenario.test_labels)) for one in tried]),
        called_new=_mean([share([said.label in new for said in one.test]) for one in tried]),
        update_ms=_mean([one.update_ms for one in tried]),
        growth_bytes=_mean([one.growth_bytes for one in tried]),
    )


def _answers(tried: _Tried) -> tuple[Answer, ...]:
    return tuple(said.answer() for said in tried.held_out)


def _mean(values: Sequence[float]) -> float:
    return spread(values).mean
