"""Probes: tiny models whose results tell which choice a device makes where nothing is documented."""

from coreml_updatable.updating.probes.document import document
from coreml_updatable.updating.probes.learning import learning_probes
from coreml_updatable.updating.probes.predicting import predicting_probes
from coreml_updatable.updating.probes.probe import Probe
from coreml_updatable.updating.probes.verdict import Verdict, verdicts
from coreml_updatable.updating.probes.voting import voting_probes


def all_probes() -> list[Probe]:
    """Return a probe for every assumption, in the order in which they are settled."""
    return [*learning_probes(), *predicting_probes(), *voting_probes()]


__all__ = ["Probe", "Verdict", "all_probes", "document", "verdicts"]
