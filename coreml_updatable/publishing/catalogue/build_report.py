"""What a catalogue reads of a build's report.json."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from coreml_updatable.errors import CatalogueError
from coreml_updatable.personalizing.comparison_json import from_json
from coreml_updatable.personalizing.results import Comparison
from coreml_updatable.personalizing.slots_results import SlotsComparison
from coreml_updatable.publishing.catalogue.names import FILE, NAME, SUM
from coreml_updatable.publishing.report_json import SCHEMA

REPORT = "report.json"
MAXIMUM_BYTES = 200_000_000


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Input(_Part):
    name: str


class _Data(_Part):
    origin: Literal["drawn", "photos", "loaded"]
    description: str
    train: dict[str, int]


class _Model(_Part):
    kind: Literal["network", "k-NN"]
    file: Annotated[str, Field(pattern=FILE)]


class _Sum(_Part):
    sha256: Annotated[str, Field(pattern=SUM)]


class BuildReport(_Part):
    """The fields that a catalogue needs; a report holds more."""

    name: Annotated[str, Field(pattern=NAME)]
    description: str
    labels: tuple[str, ...]
    input: _Input
    label_feature: str
    noun: str = ""  # of a row that is no picture
    data: _Data
    models: tuple[_Model, ...]
    comparison: Any = None
    slots: Any = None
    files: dict[str, _Sum]

    def compared(self) -> Comparison | None:
        """The comparison of the twins, where the recipe names an owner."""
        return None if self.comparison is None else from_json(self.comparison)

    def slots_compared(self) -> SlotsComparison | None:
        """The same of new kinds in open slots, where the recipe has them."""
        if self.slots is None:
            return None
        try:
            return TypeAdapter(SlotsComparison).validate_python(self.slots)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise CatalogueError(f"{REPORT}: slots.{place}: {first['msg']}; build the model again") from None


def read_report(folder: Path) -> tuple[BuildReport, bytes]:
    """A build's report, and its bytes."""
    path = folder / REPORT
    if not path.is_file():
        found = "no such folder" if not folder.is_dir() else f"has no {REPORT}"
        raise CatalogueError(f"{folder}: {found}, expected what a build wrote; run `coreml-updatable build` first")
    if path.stat().st_size > MAXIMUM_BYTES:
        raise CatalogueError(f"{path}: is larger than {MAXIMUM_BYTES} bytes; build the model again")
    content = path.read_bytes()
    return parse_report(content, str(path)), content


def parse_report(content: bytes, where: str) -> BuildReport:
    try:
        value = json.loads(content)
        found = value.get("schema")
    except (ValueError, AttributeError, RecursionError):
        raise CatalogueError(f"{where}: is no report of a build; build the model again") from None
    if found != SCHEMA:
        raise CatalogueError(f"{where}: is of schema {found!r:.40}, expected {SCHEMA}; build the model again")
    try:
        return BuildReport.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CatalogueError(f"{where}: {place}: {first['msg']}; build the model again") from None
