"""What a catalogue reads of a build's report.json."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from coreml_updatable.errors import CatalogueError, DataError, first_fault, wrong_schema
from coreml_updatable.personalization.results import Comparison, read_comparison
from coreml_updatable.publishing.catalogue.names import FILE, NAME, SUM
from coreml_updatable.publishing.report.json import SCHEMA

REPORT = "report.json"
MAXIMUM_BYTES = 200_000_000
BUILD_AGAIN = "build the model again"
OLDER = (1, 2, 3)  # of published reports, which stay as they came; their comparisons are not shown


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class InputPart(_Part):
    name: str


class _Data(_Part):
    origin: Literal["drawn", "photos", "loaded"]
    description: str
    train: dict[str, int]


class ModelPart(_Part):
    kind: Literal["network", "k-NN"]
    file: Annotated[str, Field(pattern=FILE)]


class SharePart(_Part):
    """An accuracy with its 95% interval."""

    share: float
    rows: int
    low: float
    high: float


class LabelPart(_Part):
    label: str
    recall: SharePart


class BasePart(_Part):
    accuracy: SharePart
    folds: int
    labels: tuple[LabelPart, ...]


class _Sum(_Part):
    sha256: Annotated[str, Field(pattern=SUM)]


class BuildReport(_Part):
    """The fields that a catalogue needs; a report holds more."""

    name: Annotated[str, Field(pattern=NAME)]
    description: str
    labels: tuple[str, ...]
    input: InputPart
    label_feature: str
    noun: str = ""  # of a row that is not a picture
    data: _Data
    models: tuple[ModelPart, ...]
    base: BasePart | None = None
    source: dict[str, str] = {}
    versions: dict[str, str] = {}
    comparison: Any = None
    files: dict[str, _Sum]

    def compared(self) -> Comparison | None:
        """The comparison of network and k-NN, where the recipe names an owner."""
        return None if self.comparison is None else read_comparison(self.comparison, BUILD_AGAIN)


Kind = TypeVar("Kind", bound=BuildReport)


def read_report(folder: Path) -> tuple[BuildReport, bytes]:
    """A build's report, and its bytes."""
    return read_report_as(BuildReport, folder)


def read_published_report(folder: Path) -> tuple[BuildReport, bytes]:
    """The same of a release: it never changes, so an older schema is read too, and building again is no remedy."""
    return read_report_as(BuildReport, folder, OLDER, "restore it from a copy, or publish a newer version of the model")


def never_learns(folder: Path) -> bool:
    """Whether ``folder`` is the build of a model that stays as it is, as such a report alone says."""
    path = folder / REPORT
    if not path.is_file() or path.stat().st_size > MAXIMUM_BYTES:
        return False
    try:
        return bool(json.loads(path.read_bytes()).get("updatable") is False)
    except (ValueError, AttributeError, RecursionError):
        return False  # whoever reads it next has a sentence for it


def read_report_as(
    kind: type[Kind], folder: Path, older: tuple[int, ...] = (), remedy: str = BUILD_AGAIN
) -> tuple[Kind, bytes]:
    """The same with the fields of ``kind``, a class for readers that need more of a report."""
    path = folder / REPORT
    if not path.is_file():
        result = "does not exist" if not folder.is_dir() else f"has no {REPORT}"
        first = "run `coreml-updatable build` first" if remedy == BUILD_AGAIN else remedy
        raise CatalogueError(f"{folder}: {result}, expected what a build wrote; {first}")
    if path.stat().st_size > MAXIMUM_BYTES:
        raise CatalogueError(f"{path}: is larger than {MAXIMUM_BYTES} bytes; {remedy}")
    content = path.read_bytes()
    return _parsed(kind, content, str(path), older, remedy), content


def _parsed(
    kind: type[Kind], content: bytes, where: str, older: tuple[int, ...] = (), remedy: str = BUILD_AGAIN
) -> Kind:
    try:
        value = json.loads(content)
        result = value.get("schema")
    except (ValueError, AttributeError, RecursionError):
        raise CatalogueError(f"{where}: is not the report of a build; {remedy}") from None
    if result not in (SCHEMA, *older) or isinstance(result, bool):
        raise CatalogueError(f"{where}: {wrong_schema(result, SCHEMA, remedy)}")
    if result in older:
        value["comparison"] = None
    try:
        report = kind.model_validate(value)
        report.compared()
        return report
    except DataError as error:
        raise CatalogueError(f"{where}: {str(error).rpartition('; ')[0]}; {remedy}") from None
    except ValidationError as error:
        raise CatalogueError(f"{where}: {first_fault(error)}; {remedy}") from None
