"""What a replay set costs and saves: updates without one, and with one of each choice, for the same owners."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np

from coreml_updatable.data.inputs import Int64Array
from coreml_updatable.personalization.compare import run
from coreml_updatable.personalization.laboratory import Entrant, Lab
from coreml_updatable.personalization.preparing import Prepared, Settings
from coreml_updatable.personalization.replay_sets import Choice, chosen
from coreml_updatable.personalization.results import Comparison, Difference, Interval
from coreml_updatable.personalization.wording import Words, counted

OWNERS, OWNERS_OF_TASKS = 64, 8  # those that only UpdateTask trains are fewer
NONE = "none"  # of updates without a set


@dataclass(frozen=True)
class ReplayEffect:
    """``comparison``: of updates with none, and with a set of each choice, of which ``choice`` is the better one.

    ``helps``: it surely forgets less, and saves more than it costs. ``files``: those written, with their bytes.
    """

    choice: Choice
    per_class: int
    rows: int
    comparison: Comparison
    helps: bool
    files: Mapping[str, int] = field(default_factory=dict)

    @property
    def apart(self) -> Difference:
        """What the set adds."""
        result = self.comparison.differences
        return next(item for item in result if (item.one, item.other) == (NONE, self.choice))

    def sentence(self, words: Words) -> str:
        """What it saves and costs, and whether it was written."""
        saved, gained = _negative(self.apart.forgetting), self.apart.personal_accuracy
        what = (
            f"A replay set of {self.per_class} {words.picture}s of each label ({self.choice}), mixed into an update "
            f"with {counted(self.apart.shots, words.photo)} of each kind, saves {_points(saved)} of base accuracy and "
            f"{'adds' if gained.mean >= 0 else 'costs'} "
            f"{_points(gained if gained.mean >= 0 else _negative(gained))} of personal accuracy"
        )
        if self.helps:
            return f"{what}: it helps, and is written."
        return f"{what}: it does not help enough{', but is written' if self.files else ', and is not written'}."


def effect(lab: Lab, per_class: int) -> tuple[ReplayEffect, Int64Array]:
    """Compare the one contender of ``lab``, at the most shots, with itself plus a replay set; the set's rows, too."""
    one = lab.contenders[0]
    sets = {choice: chosen(lab.embeddings[0][0], lab.world, per_class, choice) for choice in get_args(Choice)}
    contenders = (one, *(replace(one, replay=rows) for rows in sets.values()))
    names = (NONE, *sets)
    whole = replace(
        lab,
        contenders=contenders,
        embeddings=lab.embeddings * len(names),
        frozen=lab.frozen * len(names),
        entrants=tuple(Entrant(name, index) for index, name in enumerate(names)),
        shots=lab.shots[-1:],
        protocols=("at_once",),
        memory={},
    )
    owners = OWNERS_OF_TASKS if one.engine == "task" else OWNERS
    compared = run(Prepared(whole, (), {}), Settings(owners=owners, shots=(0, *whole.shots), workers=1))
    apart = [difference for difference in compared.differences if difference.one == NONE]
    best = max(apart, key=lambda item: item.personal_accuracy.mean - item.forgetting.mean)
    choice = next(choice for choice in sets if choice == best.other)
    return ReplayEffect(choice, per_class, len(sets[choice]), compared, helps(best)), sets[choice]


def helps(apart: Difference) -> bool:
    """Whether the second of two contenders surely forgets less, and by more than it loses of personal accuracy."""
    saved, cost = -apart.forgetting.mean, -apart.personal_accuracy.mean
    return apart.forgetting.high < 0 and saved > cost


def _negative(interval: Interval) -> Interval:
    return Interval(-interval.mean, -interval.high, -interval.low)


def _points(interval: Interval) -> str:
    low, mean, high = (np.round(100 * value, 1) + 0.0 for value in (interval.low, interval.mean, interval.high))
    return f"{mean:.1f} points ({low:.1f} to {high:.1f})"
