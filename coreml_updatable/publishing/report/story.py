"""What happened to one owner, in sentences that are derived from the numbers."""

from coreml_updatable.personalization.results import Comparison
from coreml_updatable.personalization.wording import OF_PHOTOS, Words, counted, listed, percent


def owners_kinds(comparison: Comparison) -> str:
    return listed([item.kind for item in comparison.entrants[0].of_owner()])


def owners_labels(comparison: Comparison) -> str:
    """Return the label that the owner gives, or "the owner's label" if there are several."""
    labels = {item.label for item in comparison.entrants[0].of_owner()}
    return f"“{labels.pop()}”" if len(labels) == 1 else "the owner's label"


def shots_of_each(count: float, comparison: Comparison, words: Words = OF_PHOTOS) -> str:
    """ "5 photos", "5 photos of each kind"."""
    return counted(count, words.photo) + (" of each kind" if comparison.kinds_per_owner > 1 else "")


def headline(comparison: Comparison) -> str:
    """Return what the base model takes the owner's kinds for."""
    calls: dict[str, float] = {}
    for item in comparison.entrants[0].of_owner():
        for label, share in item.before.labels.items():
            calls[label] = calls.get(label, 0.0) + share
    label = max(sorted(calls), key=lambda name: calls[name])
    return f"Before any update, the network mostly predicts “{label}” for the owner's {owners_kinds(comparison)}."


def mistakes(comparison: Comparison, words: Words = OF_PHOTOS) -> list[str]:
    """A sentence for each model: what it still takes the owner's rows for."""
    sentences = []
    for entrant in comparison.entrants:
        wrong = [
            f"“{label}” for {percent(share)} of the held-out {words.picture}s of {item.kind}"
            for item in entrant.of_owner()
            for label, share in sorted(item.after.labels.items(), key=lambda pair: (-pair[1], pair[0]))
            if label != item.label
        ]
        always = f"always predicts {owners_labels(comparison)} for the owner's held-out {words.picture}s"
        sentences.append(f"The {entrant.name} {'still predicts ' + listed(wrong) if wrong else always}.")
    return sentences
