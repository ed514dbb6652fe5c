"""Each of the owner's rows learnt together with one of the base's: the same task as when an app pairs them itself."""

import dataclasses
from typing import Any

import numpy as np

from coreml_updatable.personalizing.scenario import Scenario
from coreml_updatable.personalizing.subject import learn, prepare
from coreml_updatable.runtime import load
from coreml_updatable.updating import UpdateTask


def test_rows_and_their_partners_in_turn(scenario: Scenario, network_message: Any) -> None:
    model = load(network_message)
    description = model.message.description
    target = str(description.predictedFeatureName)
    others = [label for label in sorted(set(scenario.test_labels)) if label != scenario.label]
    paired = tuple({**row, target: others[0]} for row in scenario.test_rows[:2])
    subject = prepare(model, dataclasses.replace(scenario, paired=paired), {})
    learnt = learn(subject, model, [2, 0, 1], scenario.label)
    rows: list[dict[str, Any]] = []
    for photo in (2, 0, 1):
        rows += [{**scenario.owner_rows[photo], target: scenario.label}, dict(paired[photo % 2])]
    expected = UpdateTask(model, rows).resume().model
    alone = learn(prepare(model, scenario, {}), model, [2, 0, 1], scenario.label)
    name = str(description.predictedProbabilitiesName)
    without, together, by_hand = (
        np.array([answer[name][others[0]] for answer in one.predict(list(scenario.test_rows))])
        for one in (alone.model, learnt.model, expected)
    )
    np.testing.assert_allclose(together, by_hand, atol=1e-6)
    assert without.mean() < together.mean()
