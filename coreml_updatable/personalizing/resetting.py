"""Resetting: the app throws the personal file away and loads the base again. Is the base still what it was?"""

from collections.abc import Sequence

from coreml_updatable.personalizing.answers import Said, ask
from coreml_updatable.personalizing.results import Reset
from coreml_updatable.personalizing.subject import Subject
from coreml_updatable.runtime import load
from coreml_updatable.spec.reading import parse_model
from coreml_updatable.spec.writing import model_bytes


def check_reset(subject: Subject, before: Sequence[Said]) -> Reset:
    """After all updates, load the base anew and compare what it says of the held-out pictures with ``before``.

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
