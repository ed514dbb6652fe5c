"""What devices answered to the probes, as a catalogue shows it: validated, written again, under names of our own."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from coreml_updatable.errors import CatalogueError
from coreml_updatable.publishing.catalogue.index import MAX_DEVICE_BYTES, Device
from coreml_updatable.runtime.assumptions import choices_of
from coreml_updatable.updating.assumptions import Assumptions


def read_devices(paths: Sequence[Path]) -> list[tuple[Device, bytes]]:
    """Return each file's entry in the index and the bytes to publish; the same results twice are one.

    Nothing of a file is copied as it came: what was read is written again, and the choices are found again. DataError
    for a file that ``probes --read`` refuses, CatalogueError for one that settles nothing.
    """
    from coreml_updatable.updating.probes import all_probes, verdicts
    from coreml_updatable.updating.probes.results import read_results, results_bytes

    result: dict[str, tuple[Device, bytes]] = {}
    for path in paths:
        given = read_results(path)
        answers = verdicts(all_probes(), given.results)
        if all(answer.choice is None for answer in answers):
            raise CatalogueError(
                f"{path}: settles no assumption, expected results of probes; run the probes on the device"
            )
        content = results_bytes(given, answers)
        if len(content) > MAX_DEVICE_BYTES:
            raise CatalogueError(
                f"{path}: has {len(content)} bytes, expected at most {MAX_DEVICE_BYTES}; run the probes again"
            )
        total = hashlib.sha256(content).hexdigest()
        file = f"{_words(given.device)}-{_words(given.os)}-{total[:12]}.json"
        device = Device(
            file=file,
            url="",
            bytes=len(content),
            sha256=total,
            device=given.device,
            os=given.os,
            date=given.date,
            choices={answer.assumption: answer.choice for answer in answers},
        )
        result[file] = (device, content)
    return list(result.values())


def _words(text: str) -> str:
    """At most five words of a file name: ASCII, lower case."""
    return "-".join(word[:20] for word in re.findall("[a-z0-9]+", text.lower())[:5]) or "unknown"


def device_table(devices: Sequence[Device]) -> Mapping[str, Any] | None:
    """Return what the page shows: a row for each assumption that a device settled; None where there are no devices."""
    if not devices:
        return None
    shown = sorted(devices, key=lambda device: (device.device.casefold(), device.os.casefold(), device.date or ""))
    return {
        "devices": shown,
        "rows": [
            {"assumption": name, "default": known[0], "choices": [device.choices.get(name) for device in shown]}
            for name, known in choices_of(Assumptions).items()
            if any(device.choices.get(name) for device in shown)
        ],
    }
