"""What happened, in sentences that are derived from the numbers; what the tables show is not repeated."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from coreml_updatable.personalization.results import Comparison, NewLabel, Outcome
from coreml_updatable.personalization.wording import OF_PHOTOS, Words, counted, listed, percent


@dataclass(frozen=True)
class Chapter:
    title: str
    sentences: tuple[str, ...]


def owners_kinds(comparison: Comparison) -> str:
    return listed(list(comparison.kinds))


def owners_labels(comparison: Comparison) -> str:
    """Return the label that the owner gives, or "the owner's label" if there are several."""
    labels = set(comparison.kinds.values())
    return f"“{labels.pop()}”" if len(labels) == 1 else "the owner's label"


def shots_of_each(count: float, comparison: Comparison, words: Words) -> str:
    """ "5 photos", "5 photos of each kind"."""
    return counted(count, words.photo) + (" of each kind" if len(comparison.kinds) > 1 else "")


def story(comparison: Comparison, words: Words = OF_PHOTOS) -> list[Chapter]:
    """Return the owner's story in its order, with a sentence or two for each model."""
    both, most = comparison.outcomes(), shots_of_each(comparison.shots[-1], comparison, words)
    return [
        Chapter(
            f"The first {words.picture}",
            tuple(_first_picture(name, outcome, comparison, words) for name, outcome in both),
        ),
        Chapter(f"Mistakes after {most}", tuple(_mistakes(name, outcome, comparison, words) for name, outcome in both)),
        Chapter("Reset", (reset_sentence(comparison, words),)),
    ]


def headline(comparison: Comparison) -> str:
    """Return what the base model takes the owner's kinds for."""
    label, _ = _by_share(comparison.network.summary.at_once[0].held_out_answers)[0]
    return f"Before any update, the network mostly predicts “{label}” for the owner's {owners_kinds(comparison)}."


def _first_picture(name: str, outcome: Outcome, comparison: Comparison, words: Words) -> str:
    steps, flip = outcome.summary.one_by_one, outcome.summary.median_flip
    base = " or ".join(f"“{label}”" for label in sorted({seed.before.first_label for seed in outcome.seeds}))
    later = [
        f"{percent(step.first_confidence.mean)} after {counted(step.shots, words.photo)}"
        for step in (steps[1], *steps[2:][-1:])
    ]
    if flip == 0:
        flipped = f"In the median order, it predicts {owners_labels(comparison)} from the start"
    elif flip is None:
        times = sum(seed.flipped_after is not None for seed in outcome.seeds)
        orders = counted(len(outcome.seeds), "order")
        flipped = f"Its prediction changes to {owners_labels(comparison)} in {times} of {orders}"
    else:
        flipped = f"Its prediction changes to {owners_labels(comparison)} after {counted(flip, words.photo)} (median)"
    return (
        f"The {name} gives {base} a probability of {percent(steps[0].first_confidence.mean)} at first, and "
        f"{listed(later)} (means, one task per {words.photo}). {flipped}."
    )


def _mistakes(name: str, outcome: Outcome, comparison: Comparison, words: Words) -> str:
    answers = outcome.summary.at_once[-1].held_out_answers
    others = [pair for pair in _by_share(answers) if pair[0] not in comparison.kinds.values()]
    if not others:
        return f"The {name} predicts {owners_labels(comparison)} for every held-out {words.picture}."
    return f"The {name} still predicts {_shares(others, words)}."


def reset_sentence(comparison: Comparison, words: Words = OF_PHOTOS) -> str:
    resets = [(name, outcome.reset) for name, outcome in comparison.outcomes()]
    bad = [name for name, reset in resets if not (reset.bytes_equal and reset.labels_equal)]
    if bad:
        return f"The reset failed: after the updates, the base model of the {listed(bad)} has changed."
    worst = max(reset.max_probability_difference for _, reset in resets)
    same = "identical probabilities" if worst == 0 else f"probabilities within {worst:.1g}"
    pictures = counted(resets[0][1].rows, f"held-out {words.picture}")
    return (
        "A reset restores the base: after all updates, both base models are unchanged byte for byte. Loaded again, "
        f"they predict the same labels for {pictures}, with {same}."
    )


def new_label_sentence(name: str, result: NewLabel) -> str:
    if result.refusal is not None:
        return f"The {name} cannot learn it. The simulator reports:"
    return f"The {name} accepts it:"


def _by_share(answers: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return labels and shares, the most common label first."""
    return sorted(answers.items(), key=lambda item: (-item[1], item[0]))


def _shares(pairs: Iterable[tuple[str, float]], words: Words) -> str:
    return listed([f"“{label}” for {percent(share)} of the held-out {words.picture}s" for label, share in pairs])
