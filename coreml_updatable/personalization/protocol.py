"""One model and one owner: shots in many orders, trained on at once and one by one; predict, reveal, then train."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from coreml_updatable.errors import UserError
from coreml_updatable.personalization.results import (
    Answer,
    Measurement,
    NewLabel,
    NewLabelPoint,
    Outcome,
    Reset,
    SeedResult,
    Shot,
    Shown,
    summarize,
)
from coreml_updatable.personalization.scenario import Parameters, Scenario
from coreml_updatable.runtime import FrozenRow, RunnableModel, load
from coreml_updatable.spec.io import model_bytes, parse_model
from coreml_updatable.updating import UpdateTask


@dataclass(frozen=True)
class Subject:
    """One model; ``owner``, ``held_out``, ``test`` and ``paired`` are the scenario's rows behind its fixed layers."""

    model: RunnableModel
    scenario: Scenario
    parameters: Parameters
    file: bytes  # of the base model
    owner: tuple[FrozenRow, ...]
    held_out: tuple[FrozenRow, ...]
    test: tuple[FrozenRow, ...]
    paired: tuple[FrozenRow, ...]
    extractor_ms: float  # a row


@dataclass(frozen=True)
class Updated:
    """What an update task left behind."""

    model: RunnableModel
    update_ms: float
    growth_bytes: int  # against the base's file


@dataclass(frozen=True)
class Said:
    """One row: the label, and the probability of every label the model lists (others count as 0)."""

    label: str
    probabilities: Mapping[str, float]

    def answer(self) -> Answer:
        return Answer(self.label, self.probabilities.get(self.label, 0.0))


@dataclass(frozen=True)
class Answers:
    """What a model says of the owner's first row, the held-out and the test rows."""

    first: Said
    held_out: tuple[Said, ...]
    test: tuple[Said, ...]


def run(
    model: RunnableModel, scenario: Scenario, parameters: Parameters, on_seed: Callable[[], None] = lambda: None
) -> Outcome:
    """Everything about one model. ``on_seed`` is called after each seed."""
    subject = prepare(model, scenario, parameters)
    before = _examine(subject, model, first=0)
    seeds = []
    for seed in scenario.seeds:
        seeds.append(_one_seed(subject, seed))
        on_seed()
    orders = [seed.order for seed in seeds]
    after = _examine(subject, update(subject, model, orders[0]).model, first=0)
    return Outcome(
        seeds=tuple(seeds),
        summary=summarize(seeds),
        shown=_shown(before, after),
        reset=_reset(subject, before.held_out),
        new_label=_new_label(subject, orders),
        extractor_ms=subject.extractor_ms,
        file_bytes=len(subject.file),
        engine=subject.model.engine,
    )


def prepare(model: RunnableModel, scenario: Scenario, parameters: Parameters) -> Subject:
    """Run all rows through the fixed layers of ``model``, once."""
    groups = (scenario.owner_rows, scenario.held_out_rows, scenario.test_rows)
    started = time.perf_counter()
    owner, held_out, test = (tuple(model.frozen(rows)) for rows in groups)
    elapsed_ms = (time.perf_counter() - started) * 1000
    return Subject(
        model=model,
        scenario=scenario,
        parameters=parameters,
        file=model_bytes(model.message),
        owner=owner,
        held_out=held_out,
        test=test,
        paired=tuple(model.frozen(scenario.paired)),
        extractor_ms=elapsed_ms / sum(map(len, groups)),
    )


def order_of(kinds: Sequence[str], shots: int, seed: int) -> tuple[int, ...]:
    """Indices of ``shots`` rows of each kind, in turn: one of each, then the second of each.

    More shots of one seed go on where fewer ended.
    """
    random = np.random.default_rng(seed)
    orders = []
    for kind in dict.fromkeys(kinds):
        members = [index for index, own in enumerate(kinds) if own == kind]
        orders.append([members[place] for place in random.permutation(len(members))[:shots]])
    return tuple(index for turn in zip(*orders, strict=True) for index in turn)


def update(
    subject: Subject, model: RunnableModel, rows: Sequence[int], label: str | None = None, shots_before: int = 0
) -> Updated:
    """One MLUpdateTask on ``model`` with the owner's rows of these indices, under ``label`` or the owner's own ones.

    Each is followed by the next of the paired rows, which start over when all had their turn; ``shots_before`` shots
    had theirs already. The time is that of the task alone: the extractor's outputs are at hand. Raises UserError if the
    model cannot learn it.
    """
    scenario = subject.scenario
    target = str(model.message.description.predictedFeatureName)
    given = []
    for turn, row in enumerate(rows, start=shots_before):
        own = scenario.kinds[scenario.owner_kinds[row]] if label is None else label
        given.append(subject.owner[row].with_features(**{target: own}))
        given += [subject.paired[turn % len(subject.paired)]] if subject.paired else []
    started = time.perf_counter()
    context = UpdateTask(model, given, parameters=dict(subject.parameters)).resume()
    elapsed_ms = (time.perf_counter() - started) * 1000
    return Updated(context.model, elapsed_ms, context.model.message.ByteSize() - len(subject.file))


def _one_seed(subject: Subject, seed: int) -> SeedResult:
    scenario = subject.scenario
    order = order_of(scenario.owner_kinds, scenario.shots[-1], seed)
    base = _examine(subject, subject.model, order[0])
    before = _measure(scenario, base, base, 0)
    steps = _one_by_one(subject, order, base)
    wanted = scenario.kinds[scenario.owner_kinds[order[0]]]
    flips = [one.shots for one in (before, *(step.after for step in steps)) if one.first_label == wanted]
    return SeedResult(
        seed=seed,
        order=order,
        before=before,
        at_once=tuple(_at_once(subject, order, base, shots) for shots in scenario.shots),
        one_by_one=tuple(steps),
        flipped_after=min(flips, default=None),
    )


def _at_once(subject: Subject, order: tuple[int, ...], base: Answers, shots: int) -> Measurement:
    updated = update(subject, subject.model, order[: shots * len(subject.scenario.kinds)])
    return _measure(subject.scenario, _examine(subject, updated.model, order[0]), base, shots, updated)


def _one_by_one(subject: Subject, order: tuple[int, ...], base: Answers) -> list[Shot]:
    scenario, model, steps = subject.scenario, subject.model, []
    for shots, row in enumerate(order, start=1):
        label = scenario.kinds[scenario.owner_kinds[row]]
        said = _ask(model, [subject.owner[row]])[0]
        updated = update(subject, model, [row], shots_before=shots - 1)
        model = updated.model
        after = _measure(scenario, _examine(subject, model, order[0]), base, shots, updated)
        steps.append(Shot(row, said.label == label, said.probabilities.get(label, 0.0), after))
    return steps


def _new_label(subject: Subject, orders: Sequence[tuple[int, ...]]) -> NewLabel | None:
    """Train on it at once, for each number of shots and each order; a refusal is kept in the runtime's own words.

    The same rows under a known label were trained on before, so a UserError here is about the label.
    """
    scenario, label = subject.scenario, subject.scenario.new_label
    if label is None:
        return None
    points = []
    try:
        for shots in scenario.shots:
            tried = [_tried(subject, order[: shots * len(scenario.kinds)], label) for order in orders]
            points.append(NewLabelPoint(shots, *(sum(column) / len(tried) for column in zip(*tried, strict=True))))
    except UserError as refusal:
        return NewLabel(label, str(refusal), ())
    return NewLabel(label, None, tuple(points))


def _tried(subject: Subject, rows: tuple[int, ...], label: str) -> tuple[float, float, float, float]:
    updated = update(subject, subject.model, rows, label)
    held_out, test = _ask(updated.model, subject.held_out), _ask(updated.model, subject.test)
    return (
        _share([said.label == label for said in held_out]),
        _share(_right(test, subject.scenario.test_labels)),
        _share([said.label == label for said in test]),
        float(updated.growth_bytes),
    )


def _reset(subject: Subject, before: Sequence[Said]) -> Reset:
    """After all updates, load the base again and compare what it says of the held-out rows with ``before``.

    The fresh model gets whole rows, not the extractor's remembered outputs; so this also judges the remembering.
    """
    file = model_bytes(subject.model.message)
    again = _ask(load(parse_model(file, "the base model")), subject.scenario.held_out_rows)
    differences = [
        abs(one.probabilities.get(label, 0.0) - other.probabilities.get(label, 0.0))
        for one, other in zip(before, again, strict=True)
        for label in {*one.probabilities, *other.probabilities}
    ]
    return Reset(
        rows=len(again),
        bytes_equal=file == subject.file,
        labels_equal=all(one.label == other.label for one, other in zip(before, again, strict=True)),
        max_probability_difference=max(differences, default=0.0),
    )


def _ask(model: RunnableModel, rows: Sequence[Any]) -> tuple[Said, ...]:
    """The answers to ``rows``, in one batch. Labels become text, for int64 labels too."""
    description = model.message.description
    label, probabilities = str(description.predictedFeatureName), str(description.predictedProbabilitiesName)
    return tuple(
        Said(str(row[label]), {str(name): float(share) for name, share in row[probabilities].items()})
        for row in model.predict(list(rows))
    )


def _examine(subject: Subject, model: RunnableModel, first: int) -> Answers:
    """Ask ``model`` about the owner's row number ``first``, the held-out and the test rows."""
    said = _ask(model, [subject.owner[first], *subject.held_out, *subject.test])
    split = 1 + len(subject.held_out)
    return Answers(said[0], said[1:split], said[split:])


def _measure(
    scenario: Scenario, now: Answers, base: Answers, shots: int, updated: Updated | None = None
) -> Measurement:
    """Numbers from answers; ``base`` is what the model said before any update."""
    answers = Counter(said.label for said in now.held_out)
    personal = _right(now.held_out, scenario.held_out_labels)
    right = _right(now.test, scenario.test_labels)
    lost = [was and not still for was, still in zip(_right(base.test, scenario.test_labels), right, strict=True)]
    owners = set(scenario.kinds.values())
    return Measurement(
        shots=shots,
        held_out_accuracy=_share(personal),
        held_out_accuracy_by_kind=_by_kind(personal, scenario.held_out_kinds),
        held_out_answers={label: count / len(now.held_out) for label, count in sorted(answers.items())},
        test_accuracy=_share(right),
        test_accuracy_by_kind=_by_kind(right, scenario.test_kinds),
        forgotten=_share(lost),
        called_owners=_share([said.label in owners and not good for said, good in zip(now.test, right, strict=True)]),
        first_label=now.first.label,
        first_confidence=now.first.probabilities.get(base.first.label, 0.0),
        update_ms=updated.update_ms if updated else 0.0,
        growth_bytes=updated.growth_bytes if updated else 0,
    )


def _by_kind(right: Sequence[bool], kinds: Sequence[str]) -> dict[str, float]:
    return {
        kind: _share([good for good, own in zip(right, kinds, strict=True) if own == kind])
        for kind in sorted(set(kinds))
    }


def _right(said: Sequence[Said], labels: Sequence[str]) -> list[bool]:
    return [one.label == label for one, label in zip(said, labels, strict=True)]


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)


def _shown(before: Answers, after: Answers) -> Shown:
    return Shown(
        held_out_before=tuple(said.answer() for said in before.held_out),
        held_out_after=tuple(said.answer() for said in after.held_out),
        test_before=tuple(said.answer() for said in before.test),
        test_after=tuple(said.answer() for said in after.test),
    )
