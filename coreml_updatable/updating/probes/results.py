"""What a device answered to the probes, as a file that people send in: a JSON of device, OS and numbers.

{"version": 1, "device": "iPhone15,2", "os": "iOS 18.1", "results": {"gradient": [0.5, -0.5], ...}}, and where it was
read before also "verdicts": {"gradient": "mean", ...}, null for what fits no variant. docs/probes.md describes it. The
file comes from outside: sizes are bounded, texts are made short and printable, results of options that are not known
are left out, and verdicts are never believed but found again.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from coreml_updatable.errors import DataError
from coreml_updatable.text import json_text
from coreml_updatable.updating.probes.outcomes import choices
from coreml_updatable.updating.probes.verdict import Verdict

VERSION: Literal[1] = 1
MAXIMUM_BYTES = 10_000_000  # a file of all probes takes some kilobytes
MAXIMUM_TEXT = 100
UNKNOWN = "unknown"
EXPECTED = '{"version": 1, "device": "...", "os": "...", "results": {"gradient": [0.5, -0.5], ...}}'
NOT_A_NUMBER = ("nan", "inf", "infinity")


def _short_text(text: str) -> str:
    """Printable, and no longer than ``MAXIMUM_TEXT``."""
    printable = "".join(character for character in text if character.isprintable()).strip()
    return printable[:MAXIMUM_TEXT] or UNKNOWN


def _number(value: Any) -> Any:
    """null stands for a number that JSON does not have; text such as "nan" does too."""
    if value is None or (isinstance(value, str) and value.strip().lower().lstrip("+-") in NOT_A_NUMBER):
        return float("nan") if value is None else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected a number or null")
    return value


def _known(results: dict[str, list[float]]) -> dict[str, list[float]]:
    return {option: results[option] for option in choices() if option in results}


Text = Annotated[str, AfterValidator(_short_text)]
Number = Annotated[float, BeforeValidator(_number)]
Numbers = Annotated[list[Number], Field(max_length=1000)]


class DeviceResults(BaseModel):
    """``results``: each probe's numbers by option, in the order in which the app read them; nan for null."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = VERSION
    device: Text
    os: Text
    results: Annotated[dict[str, Numbers], Field(max_length=1000), AfterValidator(_known)]
    verdicts: Annotated[dict[str, str | None], Field(max_length=1000)] = {}

    @property
    def source(self) -> str:
        """Device and OS in a line."""
        return f"{self.device}, {self.os}" if self.os != UNKNOWN else self.device


def read_results(path: Path) -> DeviceResults:
    """The results in ``path``; DataError for anything else. A file of before there were versions has no OS."""
    if not path.is_file():
        raise DataError(f"{path}: is not a file, expected the results that the app printed; check the path")
    if path.stat().st_size > MAXIMUM_BYTES:
        raise DataError(f"{path}: is larger than {MAXIMUM_BYTES} bytes; name the file that the app printed")
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not the app's output ({type(error).__name__}); expected {EXPECTED}") from None
    version = content.get("version") if isinstance(content, dict) else None
    if isinstance(content, dict) and version is None and "os" not in content:
        content = {"version": VERSION, "device": "a device", **content, "os": UNKNOWN}
    elif isinstance(version, bool):
        raise DataError(f"{path}: is not the app's output (version: {version}); expected {EXPECTED}")
    elif isinstance(version, int) and version > VERSION:
        raise DataError(f"{path}: is of version {version}, expected {VERSION}; use a newer coreml_updatable")
    try:
        return DeviceResults.model_validate(content)
    except (ValidationError, OverflowError) as error:
        words = "a number is too large"
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part)[:40] for part in first["loc"]) or "as a whole"
            words = f"{place}: {first['msg']}"
        raise DataError(f"{path}: is not the app's output ({words}); expected {EXPECTED}") from None


def results_bytes(given: DeviceResults, found: Sequence[Verdict]) -> bytes:
    """The file to send in: what the device answered, and what each answer shows. Ends in a newline."""
    finite = {
        option: [number if number == number and abs(number) != float("inf") else None for number in numbers]
        for option, numbers in given.results.items()
    }
    content = {
        "version": VERSION,
        "device": given.device,
        "os": given.os,
        "results": finite,
        "verdicts": {verdict.option: verdict.variant for verdict in found},
    }
    return (json_text(content, indent=1) + "\n").encode()
