"""Three sentences on a comparison: which contender, how sure that is, and for whom it is not."""

from collections.abc import Sequence

import numpy as np

from coreml_updatable.personalization.gathering import Gathered, difference, interval
from coreml_updatable.personalization.laboratory import Lab, last_point
from coreml_updatable.personalization.measures import FORGETTING, PERSONAL, RESAMPLED
from coreml_updatable.personalization.results import Difference, EntrantResult, Interval, Point


def conclusions(gathered: Gathered, results: Sequence[EntrantResult]) -> tuple[str, ...]:
    """Three sentences: which contender, how sure that is, and for whom it is not."""
    lab = gathered.lab
    point = last_point(lab)
    shots = lab.points[point][1]
    learning = [position for position, entrant in enumerate(lab.entrants) if not entrant.is_reference]
    empty = {position for position in learning if lab.contenders[lab.entrants[position].of].is_empty}
    ranked = [position for position in learning if position not in empty] or learning
    best, *others = sorted(ranked, key=lambda entrant: -_merit(gathered, entrant, point))
    result = results[best].last(shots)
    personal, lost = result.intervals["personal_accuracy"], result.intervals["forgetting"]
    who = "this owner" if lab.world.seeds else "these owners"
    is_sure, second = _certainty(gathered, best, others)
    rank = f"serves {who} best" if is_sure else f"is slightly ahead for {who}"
    first = (
        f"{_name(lab, best)} {rank}: after one update with {shots} shots of each kind its mean personal"
        f" accuracy is {100 * personal.mean:.1f}% ({100 * personal.low:.1f} to {100 * personal.high:.1f}) "
        f"and its base accuracy {_change(lost)}, to {100 * result.measures['base_accuracy'].mean:.1f}%."
    )
    for index in sorted(empty - set(ranked)):
        own = results[index].last(shots).intervals["personal_accuracy"]
        second += (
            f" Not ranked: {_name(lab, index)}, which starts without samples and knows no row of the base (mean "
            f"personal accuracy {100 * own.mean:.1f}%, {100 * own.low:.1f} to {100 * own.high:.1f})."
        )
    output = first, second, _for_whom_not(lab, best, result, results[best])
    return tuple(f"{item[0].upper()}{item[1:]}" for item in output) if lab.world.seeds else output


def _merit(gathered: Gathered, entrant: int, point: int) -> float:
    """Return personal accuracy minus forgetting, means over the owners; a gain of base accuracy does not count."""
    personal, forgetting = (float(np.nanmean(gathered.values(entrant, point, item))) for item in (PERSONAL, FORGETTING))
    return personal - max(0.0, forgetting)


def _change(lost: Interval) -> str:
    """Return how base accuracy changes, with the interval: forgetting below 0 is a gain."""
    verb, sign = ("falls", 100) if lost.mean >= 0 else ("rises", -100)
    low, high = sorted((sign * lost.low, sign * lost.high))
    return f"{verb} by {abs(100 * lost.mean):.1f} points ({low:.1f} to {high:.1f})"


def _signed(share: float) -> str:
    """Points with their sign; what rounds to zero is +0.0."""
    return f"{round(100 * share, 1) + 0.0:+.1f}"


def _name(lab: Lab, entrant: int) -> str:
    """Of one owner's models, which are called after what they are; others have their files' names."""
    name = lab.entrants[entrant].name
    return f"the {name}" if lab.world.seeds else name


def _certainty(gathered: Gathered, best: int, others: Sequence[int]) -> tuple[bool, str]:
    """Return whether no other is as good, as far as the intervals tell, and the sentence on it."""
    if not others:
        gain = gathered.apart(best, best, last_point(gathered.lab), before=0)[0]
        low, high = np.nanpercentile(100 * gain, [2.5, 97.5])
        sure = "significantly more" if low > 0 else "not significantly more"
        return (
            True,
            f"That is {sure} than without learning: {low:+.1f} to {high:+.1f} points of personal accuracy (95%).",
        )
    paired = f"paired by {'order' if gathered.lab.world.seeds else 'owner'}"
    apart, advantage = difference(gathered, others[0], best), _advantage(gathered, others[0], best)
    return advantage.low > 0, _compared(_name(gathered.lab, others[0]), apart, advantage, paired)


def _advantage(gathered: Gathered, other: int, best: int) -> Interval:
    """Return by how much ``best`` is ahead in what the contenders are ranked by, see ``_merit``."""
    point = last_point(gathered.lab)
    personal, forgetting = (RESAMPLED.index(measure) for measure in (PERSONAL, FORGETTING))
    lost = [gathered.apart(entrant, entrant, point, before=0)[forgetting] for entrant in (other, best)]
    fewer = np.maximum(lost[0], 0) - np.maximum(lost[1], 0)
    mean = _merit(gathered, best, point) - _merit(gathered, other, point)
    return interval(mean, gathered.apart(other, best, point)[personal] + fewer)


def _compared(name: str, apart: Difference, advantage: Interval, paired: str) -> str:
    gain, lost = apart.personal_accuracy, apart.forgetting
    return (
        f"The difference is {'' if advantage.low > 0 else 'not '}significant: compared with {name}, personal "
        f"accuracy minus forgetting differs by {_signed(advantage.mean)} points ({_signed(advantage.low)} to "
        f"{_signed(advantage.high)}), personal accuracy by {_signed(gain.mean)} ({_signed(gain.low)} to "
        f"{_signed(gain.high)}) and forgetting by {_signed(lost.mean)} ({_signed(lost.low)} to {_signed(lost.high)}), "
        f"with 95% intervals, {paired}."
    )


def _for_whom_not(lab: Lab, entrant: int, output: Point, result: EntrantResult) -> str:
    name, least = _name(lab, entrant), 100 * output.measures["personal_accuracy"].p5
    if lab.world.seeds:
        orders = len(lab.world.seeds)
        return (
            f"{name} has a lower personal accuracy than the base in {round(output.harmed * orders) or 'none'} of the "
            f"{orders} orders of the owner's shots; the 5th percentile over the orders is {least:.0f}%."
        )
    text = (
        f"For {100 * output.harmed:.1f}% of the owners, {name} is worse than the base; the 5th percentile of personal "
        f"accuracy over the owners is {least:.0f}%"
    )
    if len(result.sorts) > 1:
        worst = min(result.sorts, key=lambda item: item.personal_accuracy)
        text += f"; it is lowest for owners of type {worst.sort} (mean {100 * worst.personal_accuracy:.1f}%)"
    return text + "."
