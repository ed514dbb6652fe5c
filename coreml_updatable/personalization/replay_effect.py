"""What a replay set costs and saves: updates without one, and with one of each choice, for the same owners."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np

from coreml_updatable.data.inputs import Int64Array
from coreml_updatable.personalization.blocks import Entrant, Lab, run_block
from coreml_updatable.personalization.lab_results import Difference, Gathered, Interval, difference, points_of
from coreml_updatable.personalization.replay_sets import Choice, chosen
from coreml_updatable.personalization.wording import Words, counted

OWNERS, OWNERS_OF_TASKS = 64, 8  # those that only UpdateTask trains are fewer


@dataclass(frozen=True)
class Tried:
    """The owners at the most shots in one update; ``choice``: of the set, "" without one."""

    choice: str
    personal_accuracy: Interval
    base_accuracy: Interval
    forgetting: Interval


@dataclass(frozen=True)
class ReplayEffect:
    """``personal_accuracy`` and ``forgetting``: how much higher they are with the set of ``choice`` than without one.

    ``helps``: it surely forgets less, and saves more than it costs. ``files``: those written, with their bytes.
    """

    choice: Choice
    per_class: int
    rows: int
    shots: int
    owners: int
    test_rows: int
    tried: tuple[Tried, ...]
    personal_accuracy: Interval
    forgetting: Interval
    helps: bool
    files: Mapping[str, int] = field(default_factory=dict)

    def sentence(self, words: Words) -> str:
        """What it saves and costs, and whether it was written."""
        saved, gained = _negative(self.forgetting), self.personal_accuracy
        what = (
            f"A replay set of {self.per_class} {words.picture}s of each label ({self.choice}), mixed into an update "
            f"with {counted(self.shots, words.photo)} of each kind, saves {_points(saved)} of base accuracy and "
            f"{'adds' if gained.mean >= 0 else 'costs'} "
            f"{_points(gained if gained.mean >= 0 else _negative(gained))} of personal accuracy"
        )
        if self.helps:
            return f"{what}: it helps, and is written."
        return f"{what}: it does not help enough{', but is written' if self.files else ', and is not written'}."


def effect(lab: Lab, per_class: int) -> tuple[ReplayEffect, Int64Array]:
    """Compare the one contender of ``lab`` with itself plus a replay set; the set's rows of the data, too."""
    one = lab.contenders[0]
    sets = {choice: chosen(lab.embeddings[0][0], lab.world, per_class, choice) for choice in get_args(Choice)}
    contenders = (one, *(replace(one, replay=rows) for rows in sets.values()))
    names = ("", *sets)
    whole = replace(
        lab,
        contenders=contenders,
        embeddings=lab.embeddings * len(names),
        frozen=lab.frozen * len(names),
        entrants=tuple(Entrant(name, number) for number, name in enumerate(names)),
        protocols=("at_once",),
        memory={},
    )
    owners = OWNERS_OF_TASKS if one.engine == "task" else OWNERS
    gathered = Gathered(whole, owners)
    gathered.add(run_block(whole, 0, owners))
    tried = tuple(_tried(gathered, number, name) for number, name in enumerate(names))
    best = max(range(1, len(names)), key=lambda n: tried[n].personal_accuracy.mean - tried[n].forgetting.mean)
    apart = difference(gathered, 0, best)
    choice = tuple(sets)[best - 1]
    found = ReplayEffect(
        choice,
        per_class,
        len(sets[choice]),
        lab.shots[-1],
        owners,
        len(lab.world.split.test),
        tried,
        apart.personal_accuracy,
        apart.forgetting,
        helps(apart),
    )
    return found, sets[choice]


def helps(apart: Difference) -> bool:
    """Whether the second of two contenders surely forgets less, and by more than it loses of personal accuracy."""
    saved, cost = -apart.forgetting.mean, -apart.personal_accuracy.mean
    return apart.forgetting.high < 0 and saved > cost


def _tried(gathered: Gathered, number: int, name: str) -> Tried:
    last = points_of(gathered, number)[-1].intervals
    return Tried(name, last["personal_accuracy"], last["base_accuracy"], last["forgetting"])


def _negative(one: Interval) -> Interval:
    return Interval(-one.mean, -one.high, -one.low)


def _points(one: Interval) -> str:
    low, mean, high = (np.round(100 * value, 1) + 0.0 for value in (one.low, one.mean, one.high))
    return f"{mean:.1f} points ({low:.1f} to {high:.1f})"
