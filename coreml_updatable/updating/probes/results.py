"""The results of the probes on a device, as a JSON file that people send in: device, OS and numbers.

{"version": 2, "device": "iPhone15,2", "os": "iOS 18.1", "date": "2026-11-30", "results": {"gradient": [0.5, -0.5],
...}}, and, once it was read, "choices": {"gradient": "mean", ...}, null if no choice fits. docs/probes.md describes it.
The file comes from outside, so sizes are limited, texts are made short and printable, results of unknown assumptions
are ignored, and choices are never trusted but derived again.
"""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from coreml_updatable.errors import DataError, first_fault
from coreml_updatable.text import json_text
from coreml_updatable.updating.probes.outcomes import choices
from coreml_updatable.updating.probes.verdict import Verdict

VERSION: Literal[2] = 2  # 2: "choices" for what was "verdicts"; "date" was added
MAX_BYTES = 10_000_000  # a file of all probes takes some kilobytes
MAX_TEXT = 100
UNKNOWN = "unknown"
EXPECTED = '{"version": 2, "device": "...", "os": "...", "results": {"gradient": [0.5, -0.5], ...}}'
NOT_A_NUMBER = ("nan", "inf", "infinity")


def _short_text(text: str) -> str:
    """Printable, and no longer than ``MAX_TEXT``."""
    printable = "".join(character for character in text if character.isprintable()).strip()
    return printable[:MAX_TEXT] or UNKNOWN


def _number(value: Any) -> Any:
    """Parse a number; null or text such as "nan" represents a number that JSON does not have."""
    if value is None or (isinstance(value, str) and value.strip().lower().lstrip("+-") in NOT_A_NUMBER):
        return float("nan") if value is None else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected a number or null")
    return value


def _known(results: dict[str, list[float]]) -> dict[str, list[float]]:
    return {assumption: results[assumption] for assumption in choices() if assumption in results}


def _day(text: str) -> str:
    """A date as ISO 8601 writes it, 2026-11-30."""
    return date.fromisoformat(text).isoformat()


Text = Annotated[str, AfterValidator(_short_text)]
Number = Annotated[float, BeforeValidator(_number)]
Numbers = Annotated[list[Number], Field(max_length=1000)]


class DeviceResults(BaseModel):
    """The results of a device. ``results``: the numbers of each probe by assumption, in order; nan for null."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[2] = VERSION
    device: Text
    os: Text
    date: Annotated[str, Field(max_length=10), AfterValidator(_day)] | None = None
    results: Annotated[dict[str, Numbers], Field(max_length=1000), AfterValidator(_known)]
    choices: Annotated[dict[str, str | None], Field(max_length=1000)] = {}

    @property
    def source(self) -> str:
        """Return device and OS in one line."""
        return f"{self.device}, {self.os}" if self.os != UNKNOWN else self.device


def read_results(path: Path) -> DeviceResults:
    """Return the results in ``path``; DataError for anything else."""
    if not path.is_file():
        raise DataError(f"{path}: is not a file, expected the results that the app printed; check the path")
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path}: is larger than {MAX_BYTES} bytes; name the file that the app printed")
    return parse_results(path.read_bytes(), str(path))


def parse_results(given: bytes, path: str) -> DeviceResults:
    """Parse the bytes of a results file; ``path`` is for errors."""
    try:
        content = json.loads(given.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not the app's output ({type(error).__name__}); expected {EXPECTED}") from None
    version = content.get("version") if isinstance(content, dict) else None
    if isinstance(version, bool):
        raise DataError(f"{path}: is not the app's output (version: {version}); expected {EXPECTED}")
    if isinstance(version, int) and version > VERSION:
        raise DataError(f"{path}: has version {version}, expected {VERSION}; use a newer coreml_updatable")
    if isinstance(content, dict) and (version == 1 or ("version" not in content and "results" in content)):
        raise DataError(
            f'{path}: is an older file, expected version {VERSION}; set "version": {VERSION}, name "device" and "os", '
            'and rename "verdicts" to "choices"'
        )
    try:
        return DeviceResults.model_validate(content)
    except (ValidationError, OverflowError) as error:
        words = first_fault(error) if isinstance(error, ValidationError) else "a number is too large"
        raise DataError(f"{path}: is not the app's output ({words}); expected {EXPECTED}") from None


def results_bytes(given: DeviceResults, result: Sequence[Verdict]) -> bytes:
    """Return the file to send in: the results of a device and the choices they show. Ends in a newline."""
    finite = {
        assumption: [number if number == number and abs(number) != float("inf") else None for number in numbers]
        for assumption, numbers in given.results.items()
    }
    content = {
        "version": VERSION,
        "device": given.device,
        "os": given.os,
        **({"date": given.date} if given.date else {}),
        "results": finite,
        "choices": {verdict.assumption: verdict.choice for verdict in result},
    }
    return (json_text(content, indent=1) + "\n").encode()
