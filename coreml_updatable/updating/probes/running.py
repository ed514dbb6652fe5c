"""Running a probe here, as the app on a device does."""

from typing import Any

import numpy as np

from coreml_updatable.runtime import load
from coreml_updatable.runtime.variants import PredictionVariants
from coreml_updatable.updating.probes.probe import Probe
from coreml_updatable.updating.task import UpdateContext, UpdateTask
from coreml_updatable.updating.variants import Variants


def run(probe: Probe, variants: Variants, prediction: PredictionVariants) -> list[float]:
    """The numbers that the probe has one read, under these variants."""
    model = load(probe.model, variants=prediction)
    losses: dict[str, list[float]] = {"mini-batch losses": [], "epoch losses": []}

    def on_event(context: UpdateContext) -> None:
        if context.event == "miniBatchEnd":
            losses["mini-batch losses"].append(context.metrics["lossValue"])
        if context.event == "epochEnd":
            losses["epoch losses"].append(context.metrics["lossValue"])
            following = probe.then.get(int(context.metrics["epochIndex"]))
            if following:
                context.task.resume(following)

    if probe.rows:
        rows = [{name: np.array(values, np.float32) for name, values in row.items()} for row in probe.rows]
        before = model
        for _ in range(probe.updates):
            model = UpdateTask(before, rows, on_event=on_event, variants=variants).resume().model
    if probe.read.what in losses:
        return losses[probe.read.what]
    assert probe.query is not None
    answer = model.predict({name: np.array(values, np.float32) for name, values in probe.query.items()})
    return _read(probe, answer[probe.read.name])


def _read(probe: Probe, value: Any) -> list[float]:
    match probe.read.what:
        case "label":
            return [float(value)]
        case "count":
            return [float(len(value))]
        case "probabilities":
            return [float(value.get(label, 0.0)) for label in probe.read.labels]
    return [float(number) for number in np.ravel(value)]
