"""Each of the owner's rows learned together with one of the base's: the same task as when an app pairs them itself."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from coreml_updatable.personalization import protocol
from coreml_updatable.personalization.protocol import prepare, run, update
from coreml_updatable.personalization.scenario import Scenario
from coreml_updatable.runtime import load
from coreml_updatable.updating import UpdateTask

PARTNERS = 3


@pytest.fixture
def paired(scenario: Scenario, network_message: Any) -> Scenario:
    """Partners of the label that is not the owner's."""
    target = str(network_message.description.predictedFeatureName)
    other = next(label for label in sorted(set(scenario.test_labels)) if label != "calm")
    partners = tuple({**row, target: other} for row in scenario.test_rows[:PARTNERS])
    return dataclasses.replace(scenario, paired=partners)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Any]]:
    """The rows of every update task, which runs as ever."""
    seen: list[Sequence[Any]] = []

    def told(model: Any, rows: Sequence[Any], **more: Any) -> UpdateTask:
        seen.append(rows)
        return UpdateTask(model, rows, **more)

    monkeypatch.setattr(protocol, "UpdateTask", told)
    return seen


def in_turn(partners: Sequence[Any]) -> bool:
    """None comes a second time before every other came once, nor a third before all came twice, and so on."""
    counts: Counter[int] = Counter()
    for partner in partners:
        counts[id(partner)] += 1
        if max(counts.values()) > 1 + (min(counts.values()) if len(counts) == PARTNERS else 0):
            return False
    return True


def test_every_partner_comes_before_any_comes_twice(
    paired: Scenario, network_message: Any, tasks: list[Sequence[Any]]
) -> None:
    """``photos`` are places of one remainder, and so would meet one partner if their places chose it."""
    model = load(network_message)
    photos = [PARTNERS * place for place in range(len(paired.owner_rows) // PARTNERS)]
    assert len(photos) > 1
    update(prepare(model, paired, {}), model, photos)
    (rows,) = tasks
    assert in_turn(rows[1::2])
    assert len({id(row) for row in rows[1::2]}) == min(PARTNERS, len(photos))


def test_they_come_in_turn_one_by_one_too(paired: Scenario, network_message: Any, tasks: list[Sequence[Any]]) -> None:
    one_order = dataclasses.replace(paired, seeds=(1,), new_label=None)
    run(load(network_message), one_order, {})
    singly = [rows[1] for rows in tasks if len(rows) == 2][: one_order.shots[-1]]
    assert len(singly) == one_order.shots[-1] > PARTNERS
    assert in_turn(singly)


def test_it_is_the_task_with_both(paired: Scenario, scenario: Scenario, network_message: Any) -> None:
    model = load(network_message)
    description = model.message.description
    target = str(description.predictedFeatureName)
    photos = [2, 0, 1]
    rows: list[Mapping[str, Any]] = []
    for photo, partner in zip(photos, paired.paired, strict=True):
        rows += [{**scenario.owner_rows[photo], target: "calm"}, partner]
    learnt = update(prepare(model, paired, {}), model, photos)
    alone = update(prepare(model, scenario, {}), model, photos)
    name, other = str(description.predictedProbabilitiesName), paired.paired[0][target]
    without, together, by_hand = (
        np.array([answer[name][other] for answer in one.predict(list(scenario.test_rows))])
        for one in (alone.model, learnt.model, UpdateTask(model, rows).resume().model)
    )
    np.testing.assert_allclose(together, by_hand, atol=1e-6)
    assert without.mean() < together.mean()
