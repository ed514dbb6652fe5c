"""probes.json: everything that an app needs to run the probes, and the expected result of each choice."""

from collections.abc import Sequence
from typing import Any

from coreml_updatable.spec.network import is_network, network_of
from coreml_updatable.updating.parameters import of_network, unset_of_network
from coreml_updatable.updating.probes.outcomes import outcomes, tolerance
from coreml_updatable.updating.probes.probe import Probe

VERSION = 3  # 3: "assumption" and "choices" for what was "option" and "variants"


def document(probes: Sequence[Probe]) -> dict[str, Any]:
    """Return plain values for JSON; docs/probes.md explains the keys."""
    return {"version": VERSION, "probes": [_entry(probe) for probe in probes]}


def file_name(probe: Probe) -> str:
    return f"{probe.assumption}.mlmodel"


def _entry(probe: Probe) -> dict[str, Any]:
    expected = outcomes(probe)
    return {
        "assumption": probe.assumption,
        "says": probe.says,
        "model": file_name(probe),
        "rows": list(probe.rows),
        "updates": probe.updates,
        "parameters": _parameters(probe),
        "atEpochEnd": [{"epoch": epoch, "parameters": dict(values)} for epoch, values in probe.then.items()],
        "query": probe.query,
        "read": {"what": probe.read.what, "name": probe.read.name, "labels": list(probe.read.labels)},
        "digest": probe.digest,
        "expected": [{"choices": outcome.choices, "values": outcome.values} for outcome in expected],
        "tolerance": tolerance(expected),
    }


def _parameters(probe: Probe) -> dict[str, Any]:
    """Return the model's default parameters, with which the probe runs; none if it only predicts."""
    if not probe.model.isUpdatable:
        return {}
    if not is_network(probe.model):
        return {"numberOfNeighbors": probe.model.kNearestNeighborsClassifier.numberOfNeighbors.defaultValue}
    update = network_of(probe.model).updateParams
    unset = unset_of_network(update)
    return {key: message.defaultValue for key, message in of_network(update).items() if key not in unset}
