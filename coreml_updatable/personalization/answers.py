"""What a model says of pictures, and those answers as numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coreml_updatable.personalization.results import Answer, Measurement
from coreml_updatable.personalization.scenario import Scenario
from coreml_updatable.personalization.subject import Learnt, Subject
from coreml_updatable.runtime import RunnableModel


@dataclass(frozen=True)
class Said:
    """One picture: the label, and the probability of every label the model lists (others count as 0)."""

    label: str
    probabilities: Mapping[str, float]

    def answer(self) -> Answer:
        return Answer(self.label, self.probabilities.get(self.label, 0.0))


@dataclass(frozen=True)
class Answers:
    """What a model says of the owner's first picture, the held-out and the test pictures."""

    first: Said
    held_out: tuple[Said, ...]
    test: tuple[Said, ...]


def ask(model: RunnableModel, rows: Sequence[Any]) -> tuple[Said, ...]:
    """The answers to ``rows``, in one batch. Labels become text, for int64 labels too."""
    description = model.message.description
    label, probabilities = str(description.predictedFeatureName), str(description.predictedProbabilitiesName)
    return tuple(
        Said(str(row[label]), {str(name): float(share) for name, share in row[probabilities].items()})
        for row in model.predict(list(rows))
    )


def examine(subject: Subject, model: RunnableModel, first: int) -> Answers:
    """Ask ``model`` about the owner's picture number ``first``, the held-out and the test pictures."""
    said = ask(model, [subject.owner[first], *subject.held_out, *subject.test])
    split = 1 + len(subject.held_out)
    return Answers(said[0], said[1:split], said[split:])


def measure(scenario: Scenario, now: Answers, base: Answers, photos: int, learnt: Learnt | None = None) -> Measurement:
    """Numbers from answers; ``base`` is what the model said before anything was learnt."""
    counts = Counter(said.label for said in now.held_out)
    right = rightly(now.test, scenario.test_labels)
    lost = [was and not still for was, still in zip(rightly(base.test, scenario.test_labels), right, strict=True)]
    by_kind = {
        kind: share([good for good, of in zip(right, scenario.test_kinds, strict=True) if of == kind])
        for kind in sorted(set(scenario.test_kinds))
    }
    return Measurement(
        photos=photos,
        held_out_accuracy=counts[scenario.label] / len(now.held_out),
        held_out_answers={label: count / len(now.held_out) for label, count in sorted(counts.items())},
        test_accuracy=share(right),
        test_accuracy_by_kind=by_kind,
        forgotten=share(lost),
        first_label=now.first.label,
        first_confidence=now.first.probabilities.get(base.first.label, 0.0),
        update_ms=learnt.update_ms if learnt else 0.0,
        growth_bytes=learnt.growth_bytes if learnt else 0,
    )


def rightly(said: Sequence[Said], labels: Sequence[str]) -> list[bool]:
    return [one.label == label for one, label in zip(said, labels, strict=True)]


def share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)
