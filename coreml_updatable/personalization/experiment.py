"""The owner's photos in many orders, learned at once and one by one: predict, reveal the label, then learn."""

from collections.abc import Callable, Sequence

import numpy as np

from coreml_updatable.errors import UserError
from coreml_updatable.personalization.answers import Answers, Said, ask, examine, measure, rightly, share
from coreml_updatable.personalization.results import (
    Measurement,
    NewLabel,
    NewLabelPoint,
    Outcome,
    Reset,
    SeedResult,
    Shown,
    Step,
)
from coreml_updatable.personalization.scenario import Parameters, Scenario
from coreml_updatable.personalization.subject import Subject, learn, prepare
from coreml_updatable.personalization.summary import summarize
from coreml_updatable.runtime import RunnableModel, load
from coreml_updatable.spec.io import model_bytes, parse_model


def learn_new_label(subject: Subject, orders: Sequence[tuple[int, ...]]) -> NewLabel | None:
    """Learn it at once, for each number of photos and each order; a refusal is kept in the runtime's own words.

    The same rows under a known label were learnt before, so a UserError here is about the label.
    """
    scenario = subject.scenario
    if scenario.new_label is None:
        return None
    try:
        points = tuple(_point(subject, orders, photos, scenario.new_label) for photos in scenario.photos)
    except UserError as refusal:
        return NewLabel(scenario.new_label, str(refusal), ())
    return NewLabel(scenario.new_label, None, points)


def _point(subject: Subject, orders: Sequence[tuple[int, ...]], photos: int, label: str) -> NewLabelPoint:
    tried = [_tried(subject, order[:photos], label) for order in orders]
    found, kept, wrongly, growth = (sum(column) / len(tried) for column in zip(*tried, strict=True))
    return NewLabelPoint(photos, found, kept, wrongly, growth)


def _tried(subject: Subject, photos: tuple[int, ...], label: str) -> tuple[float, float, float, float]:
    learnt = learn(subject, subject.model, photos, label)
    held_out, test = ask(learnt.model, subject.held_out), ask(learnt.model, subject.test)
    return (
        share([said.label == label for said in held_out]),
        share(rightly(test, subject.scenario.test_labels)),
        share([said.label == label for said in test]),
        float(learnt.growth_bytes),
    )


def check_reset(subject: Subject, before: Sequence[Said]) -> Reset:
    """After all updates, load the base again and compare what it says of the held-out pictures with ``before``.

    The fresh model gets whole pictures, not the extractor's remembered outputs; so this also judges the remembering.
    """
    file = model_bytes(subject.model.message)
    again = ask(load(parse_model(file, "the base model")), subject.scenario.held_out_rows)
    differences = [
        abs(one.probabilities.get(label, 0.0) - other.probabilities.get(label, 0.0))
        for one, other in zip(before, again, strict=True)
        for label in {*one.probabilities, *other.probabilities}
    ]
    return Reset(
        pictures=len(again),
        bytes_equal=file == subject.file,
        labels_equal=all(one.label == other.label for one, other in zip(before, again, strict=True)),
        max_probability_difference=max(differences, default=0.0),
    )


def shuffled(scenario: Scenario, seed: int) -> tuple[int, ...]:
    """Indices of the photos the owner takes, in order: the first ``most_photos`` of a permutation of all pictures."""
    order = np.random.default_rng(seed).permutation(len(scenario.owner_rows))
    return tuple(int(index) for index in order[: scenario.most_photos])


def run(
    model: RunnableModel, scenario: Scenario, parameters: Parameters, on_seed: Callable[[], None] = lambda: None
) -> Outcome:
    """Everything about one model. ``on_seed`` is called after each seed."""
    subject = prepare(model, scenario, parameters)
    before = examine(subject, model, first=0)
    seeds = []
    for seed in scenario.seeds:
        seeds.append(_one_seed(subject, seed))
        on_seed()
    orders = [seed.order for seed in seeds]
    after = examine(subject, learn(subject, model, orders[0], scenario.label).model, first=0)
    return Outcome(
        seeds=tuple(seeds),
        summary=summarize(seeds, scenario.label),
        shown=_shown(before, after),
        reset=check_reset(subject, before.held_out),
        new_label=learn_new_label(subject, orders),
        extractor_ms=subject.extractor_ms,
        file_bytes=len(subject.file),
    )


def _one_seed(subject: Subject, seed: int) -> SeedResult:
    scenario = subject.scenario
    order = shuffled(scenario, seed)
    base = examine(subject, subject.model, order[0])
    before = measure(scenario, base, base, photos=0)
    steps = _one_by_one(subject, order, base)
    flips = [at.photos for at in (before, *(step.after for step in steps)) if at.first_label == scenario.label]
    return SeedResult(
        seed=seed,
        order=order,
        before=before,
        at_once=tuple(_at_once(subject, order, base, photos) for photos in scenario.photos),
        one_by_one=tuple(steps),
        flipped_after=min(flips, default=None),
    )


def _at_once(subject: Subject, order: tuple[int, ...], base: Answers, photos: int) -> Measurement:
    learnt = learn(subject, subject.model, order[:photos], subject.scenario.label)
    return measure(subject.scenario, examine(subject, learnt.model, order[0]), base, photos, learnt)


def _one_by_one(subject: Subject, order: tuple[int, ...], base: Answers) -> list[Step]:
    label, model, steps = subject.scenario.label, subject.model, []
    for photos, photo in enumerate(order, start=1):
        said = ask(model, [subject.owner[photo]])[0]
        learnt = learn(subject, model, [photo], label, learnt_before=photos - 1)
        model = learnt.model
        after = measure(subject.scenario, examine(subject, model, order[0]), base, photos, learnt)
        steps.append(Step(photo, said.label == label, said.probabilities.get(label, 0.0), after))
    return steps


def _shown(before: Answers, after: Answers) -> Shown:
    return Shown(
        held_out_before=tuple(said.answer() for said in before.held_out),
        held_out_after=tuple(said.answer() for said in after.held_out),
        test_before=tuple(said.answer() for said in before.test),
        test_after=tuple(said.answer() for said in after.test),
    )
