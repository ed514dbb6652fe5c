"""Probes: tiny models whose results tell which variant of an undocumented choice a device has."""

from coreml_updatable.updating.probes.document import document
from coreml_updatable.updating.probes.learning import learning_probes
from coreml_updatable.updating.probes.predicting import predicting_probes
from coreml_updatable.updating.probes.probe import Probe
from coreml_updatable.updating.probes.verdict import Verdict, verdicts
from coreml_updatable.updating.probes.voting import voting_probes


def all_probes() -> list[Probe]:
    """A probe for every option of ``Variants`` and ``PredictionVariants``, in the order in which they are settled."""
    return [*learning_probes(), *predicting_probes(), *voting_probes()]


__all__ = ["Probe", "Verdict", "all_probes", "document", "verdicts"]
