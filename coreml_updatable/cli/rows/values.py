"""One value of a row, from what a .json or .csv file says."""

import json
from pathlib import Path
from typing import Any

from coreml_updatable.cli.rows.features import Features, kind
from coreml_updatable.cli.rows.pictures import picture_of
from coreml_updatable.errors import DataError, a_kind
from coreml_updatable.spec.messages import FeatureDescription


def row_of(values: dict[str, Any], features: Features, folder: Path, where: str) -> dict[str, Any]:
    """``values`` with their pictures opened. ``folder``: where the file lies; pictures are named from there."""
    row = dict(values)
    for name, value in values.items():
        feature = features.known.get(name)
        if feature is not None and kind(feature) == "imageType":
            row[name] = picture_of(_inside(folder, value, f"{where}: '{name}'"), feature, features)
    return row


def from_text(text: str, feature: FeatureDescription | None, where: str) -> Any:
    """A cell of a table: text where the model reads text or a picture's name, else JSON."""
    if feature is not None and kind(feature) in ("stringType", "imageType"):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if feature is None:
            return text  # a column the model does not have; it says so itself
        raise DataError(f"{where}: is {shortened(text)}, expected a number or a JSON list of numbers") from None


def shortened(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")


def _inside(folder: Path, value: Any, where: str) -> Path:
    if not isinstance(value, str) or "\0" in value:
        raise DataError(f"{where}: is {a_kind(value)}, expected the path of a picture beside the file")
    path = (folder / value).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise DataError(f"{where}: {shortened(value)} lies outside the file's folder; move the picture there")
    return path
