"""Write the probes to a folder, and read the results of a device."""

from os import PathLike
from pathlib import Path

from coreml_updatable.files import write_atomically
from coreml_updatable.spec.io import write_model
from coreml_updatable.text import json_text
from coreml_updatable.updating.assumptions import Assumptions
from coreml_updatable.updating.probes.document import document
from coreml_updatable.updating.probes.learning import learning_probes
from coreml_updatable.updating.probes.outcomes import assuming
from coreml_updatable.updating.probes.predicting import predicting_probes
from coreml_updatable.updating.probes.probe import Probe
from coreml_updatable.updating.probes.results import DeviceResults, read_results, results_bytes
from coreml_updatable.updating.probes.verdict import Verdict, verdicts
from coreml_updatable.updating.probes.voting import voting_probes


def all_probes() -> list[Probe]:
    """Return a probe for every assumption, in the order in which they are settled."""
    return [*learning_probes(), *predicting_probes(), *voting_probes()]


def write_probes(folder: str | PathLike[str]) -> list[Probe]:
    """Write a model for each probe, and probes.json, which says how an app runs them; return the probes."""
    result, out = all_probes(), Path(folder)
    content = document(result)
    for probe, entry in zip(result, content["probes"], strict=True):
        write_model(probe.model, out / entry["model"])
    write_atomically(out / "probes.json", (json_text(content, indent=1) + "\n").encode())
    return result


def read_verdicts(path: Path, out: Path | None = None) -> tuple[DeviceResults, list[Verdict]]:
    """Return what the results in ``path`` show; with ``out``, also write the file to send in."""
    given = read_results(path)
    result = verdicts(all_probes(), given.results)
    if out is not None:
        write_atomically(out, results_bytes(given, result))
    return given, result


def read_probes(
    path: str | PathLike[str], *, save: str | PathLike[str] | None = None
) -> tuple[Assumptions, list[Verdict]]:
    """Return the assumptions that match a device's results, and a verdict for each probe.

    ``path``: what the app printed. ``save``: where to write a file with device, OS, results and choices, to send in.
    Raises DataError for any other file.
    """
    _, result = read_verdicts(Path(path), None if save is None else Path(save))
    return assuming({item.assumption: item.choice for item in result if item.choice is not None}), result
