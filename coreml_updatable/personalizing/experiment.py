"""The owner's photos in many orders, learnt at once and one by one. The honest protocol: predict, reveal, learn."""

from collections.abc import Callable

import numpy as np

from coreml_updatable.personalizing.answers import Answers, ask, examine, measure
from coreml_updatable.personalizing.new_label import learn_new_label
from coreml_updatable.personalizing.resetting import check_reset
from coreml_updatable.personalizing.results import Measurement, Outcome, SeedResult, Shown, Step
from coreml_updatable.personalizing.scenario import Parameters, Scenario
from coreml_updatable.personalizing.subject import Subject, learn, prepare
from coreml_updatable.personalizing.summary import summarize
from coreml_updatable.runtime import RunnableModel


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
