"""What happened, in sentences that are read off the numbers and claim nothing else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from coreml_updatable.personalization.results import ENOUGH, Comparison, NewLabel, Outcome, Statistics
from coreml_updatable.personalization.wording import OF_PHOTOS, Words, counted, listed, percent, points
from coreml_updatable.publishing.wording import percent_spread


@dataclass(frozen=True)
class Chapter:
    title: str
    sentences: tuple[str, ...]


def owners_kinds(comparison: Comparison) -> str:
    return listed(list(comparison.kinds))


def owners_labels(comparison: Comparison) -> str:
    """The label that the owner gives, or whose they are where there are several."""
    labels = set(comparison.kinds.values())
    return f"“{labels.pop()}”" if len(labels) == 1 else "the owner's label"


def shots_of_each(count: float, comparison: Comparison, words: Words) -> str:
    """ "5 photos", "5 photos of each kind"."""
    return counted(count, words.photo) + (" of each kind" if len(comparison.kinds) > 1 else "")


def story(comparison: Comparison, words: Words = OF_PHOTOS) -> list[Chapter]:
    """The owner's story, in its order; a sentence or two for each model."""
    both, most = comparison.outcomes(), shots_of_each(comparison.shots[-1], comparison, words)
    return [
        Chapter("Before", tuple(_before(name, outcome, comparison, words) for name, outcome in both)),
        Chapter(
            f"The first {words.picture}",
            tuple(_first_picture(name, outcome, comparison, words) for name, outcome in both),
        ),
        Chapter(f"After {most}", tuple(_after(name, outcome, comparison, words) for name, outcome in both)),
        Chapter("Forgetting", tuple(_forgetting(name, outcome) for name, outcome in both)),
        Chapter("Reset", (reset_sentence(comparison, words),)),
    ]


def headline(comparison: Comparison, words: Words = OF_PHOTOS) -> str:
    answers = comparison.network.summary.at_once[0].held_out_answers
    label, share = _by_share(answers)[0]
    after = [
        f"{percent(outcome.summary.at_once[-1].held_out_accuracy.mean)} ({name})"
        for name, outcome in comparison.outcomes()
    ]
    base = [
        f"{percent(points_at[0].test_accuracy.mean)} → {percent(points_at[-1].test_accuracy.mean)} ({name})"
        for name, points_at in ((name, outcome.summary.at_once) for name, outcome in comparison.outcomes())
    ]
    return (
        f"The network calls {percent(share)} of the owner's {owners_kinds(comparison)} “{label}”. "
        f"After {shots_of_each(comparison.shots[-1], comparison, words)}, personal accuracy is {listed(after)}. "
        f"Base accuracy: {listed(base)}."
    )


def _before(name: str, outcome: Outcome, comparison: Comparison, words: Words) -> str:
    point = outcome.summary.at_once[0]
    return (
        f"Of {counted(comparison.held_out_rows, f'held-out {words.picture}')} of {owners_kinds(comparison)}, the "
        f"{name} calls {_shares(_by_share(point.held_out_answers))}; its base accuracy on "
        f"{counted(comparison.test_rows, f'test {words.picture}')} is {percent(point.test_accuracy.mean)}."
    )


def _first_picture(name: str, outcome: Outcome, comparison: Comparison, words: Words) -> str:
    steps, flip = outcome.summary.one_by_one, outcome.summary.median_flip
    base = " or ".join(f"“{label}”" for label in sorted({seed.before.first_label for seed in outcome.seeds}))
    last = f", after {counted(steps[-1].shots, words.photo)} {percent(steps[-1].first_confidence.mean)}"
    if flip == 0:
        flipped = f"In the median order it was {owners_labels(comparison)} from the start"
    elif flip is None:
        times = sum(seed.flipped_after is not None for seed in outcome.seeds)
        orders = counted(len(outcome.seeds), "order")
        flipped = f"Its answer turns to {owners_labels(comparison)} in {times} of {orders}"
    else:
        flipped = f"Its answer turns to {owners_labels(comparison)} after {counted(flip, words.photo)} (median)"
    return (
        f"The {name} gives {base} {percent(steps[0].first_confidence.mean)} at first, after one {words.photo} "
        f"{percent(steps[1].first_confidence.mean)}{last if len(steps) > 2 else ''} (means, one task a {words.photo}). "
        f"{flipped}."
    )


def _after(name: str, outcome: Outcome, comparison: Comparison, words: Words) -> str:
    after, needed = outcome.summary.at_once[-1], _needed(outcome.summary, words)
    others = [pair for pair in _by_share(after.held_out_answers) if pair[0] not in comparison.kinds.values()]
    rest = f", and still calls {_shares(others)}" if others else ""
    return (
        f"After one update with all of them, the {name} predicts {owners_labels(comparison)} for "
        f"{percent_spread(after.held_out_accuracy)} of the held-out {words.picture}s{rest}. {needed}"
    )


def _needed(summary: Statistics, words: Words) -> str:
    at_once, singly = summary.shots_needed_at_once, summary.shots_needed
    if at_once is None and singly is None:
        return f"In the median order it never reaches an accuracy of {percent(ENOUGH)}."
    told = [
        f"{'never' if shots is None else 'after ' + counted(shots, words.photo)} {way}"
        for shots, way in ((at_once, "at once"), (singly, "one by one"))
    ]
    return f"It reaches an accuracy of {percent(ENOUGH)} {listed(told)} (medians)."


def _forgetting(name: str, outcome: Outcome) -> str:
    before, after = outcome.summary.at_once[0], outcome.summary.at_once[-1]
    kinds = [
        f"{kind}: {percent(before.test_accuracy_by_kind[kind].mean)} → {percent(share.mean)}"
        for kind, share in after.test_accuracy_by_kind.items()
    ]
    moved = points(before.test_accuracy.mean, after.test_accuracy.mean)
    return f"The base accuracy of the {name} is {moved} ({', '.join(kinds)})."


def reset_sentence(comparison: Comparison, words: Words = OF_PHOTOS) -> str:
    resets = [(name, outcome.reset) for name, outcome in comparison.outcomes()]
    bad = [name for name, reset in resets if not (reset.bytes_equal and reset.labels_equal)]
    if bad:
        return f"The reset failed: after the updates the base of the {listed(bad)} is no longer what it was."
    worst = max(reset.max_probability_difference for _, reset in resets)
    same = "identical probabilities" if worst == 0 else f"probabilities within {worst:.1g}"
    pictures = counted(resets[0][1].rows, f"held-out {words.picture}")
    return (
        "A reset restores the base: after all updates both base models are byte for byte what they were and, "
        f"loaded again, answer {pictures} with the same labels and {same}."
    )


def new_label_sentence(name: str, result: NewLabel, comparison: Comparison, words: Words = OF_PHOTOS) -> str:
    if result.refusal is not None:
        return f"The {name} cannot learn it. The simulator reports:"
    last = result.points[-1]
    return (
        f"The {name} accepts it: after {shots_of_each(last.shots, comparison, words)} it calls "
        f"{percent(last.held_out_accuracy)} of the held-out {words.picture}s of {owners_kinds(comparison)} "
        f"“{result.label}”, has a "
        f"base accuracy of {percent(last.test_accuracy)}, and calls {percent(last.called_owners)} "
        f"of the base's test {words.picture}s “{result.label}” by mistake."
    )


def _by_share(answers: Mapping[str, float]) -> list[tuple[str, float]]:
    """The most common label first."""
    return sorted(answers.items(), key=lambda item: (-item[1], item[0]))


def _shares(pairs: Iterable[tuple[str, float]]) -> str:
    return listed([f"{percent(share)} “{label}”" for label, share in pairs])
