"""Compare the network and its k-NN with one owner under the same conditions, and say which of the two suits."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from coreml_updatable.personalization.protocol import run
from coreml_updatable.personalization.results import ENOUGH, Comparison, Outcome
from coreml_updatable.personalization.scenario import Scenario
from coreml_updatable.personalization.wording import OF_PHOTOS, Words, counted, listed, percent
from coreml_updatable.runtime import RunnableModel

MOST_LOST = 0.05  # of the base's test accuracy, for a model that suits
NETWORK, KNN = "the network", "the k-NN"


@dataclass(frozen=True)
class _Case:
    """One model after the most shots at once: means over the seeds."""

    name: str
    personal: float  # accuracy on the owner's held-out rows
    before: float  # accuracy on the base's test rows
    after: float
    shots_needed: float
    growth_bytes: float

    @property
    def lost(self) -> float:
        return max(self.before - self.after, 0.0)

    @property
    def suits(self) -> bool:
        return self.personal >= ENOUGH and self.lost <= MOST_LOST + 1e-9


def advise(kinds: Collection[str], shots: int, network: Outcome, knn: Outcome, words: Words = OF_PHOTOS) -> str:
    """Return which model suits the owner after ``shots`` shots of each kind at once.

    A model suits with a personal accuracy of at least 90% and at most 5 points of base accuracy lost. The figures stand
    in tables beside the advice, so it does not repeat them.
    """
    cases = [_case(NETWORK, network), _case(KNN, knn)]
    each = "each of" if len(kinds) > 1 else "of"
    return (
        f"{_choice(cases, words)} A model suits if, after one update with {counted(shots, words.photo)} {each} "
        f"{listed(list(kinds))}, its personal accuracy is at least {percent(ENOUGH)} and its base accuracy has "
        f"fallen by at most {100 * MOST_LOST:g} points.{_on_new_labels(network, knn)}"
    )


def _choice(cases: list[_Case], words: Words) -> str:
    fit = [case for case in cases if case.suits]
    if not fit:
        return "Neither model suits this owner."
    if len(fit) == 1:
        return f"{fit[0].name[0].upper()}{fit[0].name[1:]} suits this owner; the other model does not."
    first, second = sorted(fit, key=lambda case: (case.shots_needed, case.lost, case.growth_bytes))
    if first.shots_needed < second.shots_needed:
        why = f"it needs fewer {words.photo}s"
    elif first.lost < second.lost:
        why = f"it needs as many {words.photo}s and forgets less"
    elif first.growth_bytes < second.growth_bytes:
        why = f"it needs as many {words.photo}s and forgets as much, but its file grows less"
    else:
        return "Both models suit this owner equally well."
    return f"Both models suit this owner, {first.name} better: {why}."


def _on_new_labels(network: Outcome, knn: Outcome) -> str:
    """Return a sentence about a new label, if it was tried and only one model could learn it."""
    tried = [(name, one.new_label) for name, one in ((NETWORK, network), (KNN, knn)) if one.new_label is not None]
    learners = [name for name, result in tried if result.points]
    return f" Only {learners[0]} accepts a new label from the owner." if len(learners) == 1 else ""


def _case(name: str, outcome: Outcome) -> _Case:
    points_at, needed = outcome.summary.at_once, outcome.summary.shots_needed_at_once
    return _Case(
        name=name,
        personal=points_at[-1].held_out_accuracy.mean,
        before=points_at[0].test_accuracy.mean,
        after=points_at[-1].test_accuracy.mean,
        shots_needed=math.inf if needed is None else needed,
        growth_bytes=points_at[-1].growth_bytes.mean,
    )


def compare(
    network: RunnableModel,
    knn: RunnableModel,
    scenario: Scenario,
    on_progress: Callable[[float, str], None] | None = None,
) -> Comparison:
    """``on_progress`` gets the fraction done in 0..1 and a short detail. The models are not changed."""
    total, done = 2 * len(scenario.seeds), 0

    def count(name: str) -> None:
        nonlocal done
        done += 1
        if on_progress:
            on_progress(done / total, f"{name}, {done} of {total} orders")

    network_outcome = run(network, scenario, scenario.network_parameters, lambda: count("network"))
    knn_outcome = run(knn, scenario, scenario.knn_parameters, lambda: count("k-NN"))
    return Comparison(
        kinds=scenario.kinds,
        shots=scenario.shots,
        seeds=scenario.seeds,
        owner_rows=len(scenario.owner_rows),
        held_out_rows=len(scenario.held_out_rows),
        test_rows=len(scenario.test_rows),
        test_kinds=dict(sorted(zip(scenario.test_kinds, scenario.test_labels, strict=True))),
        network_parameters={name: float(value) for name, value in scenario.network_parameters.items()},
        knn_parameters={name: float(value) for name, value in scenario.knn_parameters.items()},
        network=network_outcome,
        knn=knn_outcome,
        advice=advise(scenario.kinds, scenario.shots[-1], network_outcome, knn_outcome, scenario.words),
    )
