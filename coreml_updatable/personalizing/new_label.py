"""A third label on the fly: the owner gives the pictures a name that the models have never heard."""

from collections.abc import Sequence

from coreml_updatable.errors import UserError
from coreml_updatable.personalizing.answers import ask, rightly, share
from coreml_updatable.personalizing.results import NewLabel, NewLabelPoint
from coreml_updatable.personalizing.subject import Subject, learn


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
