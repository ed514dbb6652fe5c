"""Probes: tiny models whose results show which choice a device makes where Apple documents none."""

from coreml_updatable.updating.probes.asking import all_probes, read_probes, write_probes
from coreml_updatable.updating.probes.document import document
from coreml_updatable.updating.probes.probe import Probe
from coreml_updatable.updating.probes.verdict import Verdict, verdicts

__all__ = ["Probe", "Verdict", "all_probes", "document", "read_probes", "verdicts", "write_probes"]
